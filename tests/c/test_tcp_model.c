/* tcp against a twin that thinks of single bytes: random segments, overlapping, repeated, in any order, by every policy. */
#include "talk.h"

enum { SPAN = 96, SEGMENTS = 64, ROUNDS = 3000 };

typedef struct twin_segment { int from, to; } twin_segment;

typedef struct twin {
    char byte[SPAN]; /* what the receiver has; 0: nothing */
    twin_segment waiting[SEGMENTS];
    int count, base;
    char got[SPAN + 1];
} twin;

/* In the words of the papers: does a newer segment's byte replace that of an older one that covers it too? */
static bool replaces(reef_tcp_policy policy, twin_segment newer, twin_segment older)
{
    bool before = newer.from < older.from, same = newer.from == older.from;
    switch (policy) {
    case REEF_POLICY_FIRST:
    case REEF_POLICY_VISTA:
        return false;
    case REEF_POLICY_LAST:
        return true;
    case REEF_POLICY_LINUX:
        return before || (same && newer.to > older.to);
    case REEF_POLICY_OLD_LINUX:
        return before || (same && newer.to >= older.to);
    case REEF_POLICY_SOLARIS:
    case REEF_POLICY_HPUX11:
        return before || same ? newer.to >= older.to : newer.to > older.to;
    default:
        return before;
    }
}

static void twin_take(twin *w, reef_tcp_policy policy, twin_segment s, const char *data)
{
    if (s.to <= w->base)
        return;
    for (int i = s.from; i < s.to; i++) {
        bool keep = false;
        for (int k = 0; k < w->count; k++)
            if (w->waiting[k].from <= i && i < w->waiting[k].to && !replaces(policy, s, w->waiting[k]))
                keep = true;
        if (i >= w->base && !keep)
            w->byte[i] = data[i - s.from];
    }
    w->waiting[w->count++] = s;
    while (w->base < SPAN && w->byte[w->base] != 0) {
        w->got[w->base] = w->byte[w->base];
        w->base++;
    }
    w->got[w->base] = 0;
    for (int k = 0; k < w->count;) /* what was handed over is forgotten */
        if (w->waiting[k].to <= w->base)
            w->waiting[k] = w->waiting[--w->count];
        else
            k++;
}

static uint32_t random_state = 12345;
static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static void round_of(reef_tcp_policy policy)
{
    static talk t;
    static twin w;
    memset(&w, 0, sizeof w);
    talk_begin(&t);
    t.raw = random_below(2);
    t.options.policy = policy;
    talk_open(&t);
    uint32_t segments = 1 + random_below(SEGMENTS - 1), widest = 1 + random_below(32);
    for (uint32_t n = 0; n < segments; n++) {
        twin_segment s;
        s.from = w.base > 0 && random_below(3) == 0 ? w.base : (int)random_below(SPAN - 1);
        if (s.from >= SPAN - 1)
            s.from = SPAN - 2;
        s.to = s.from + 2 + (int)random_below(widest); /* one byte in front of the next is a keep-alive */
        if (s.to > SPAN)
            s.to = SPAN;
        char data[SPAN] = {0};
        for (int i = 0; i < s.to - s.from; i++)
            data[i] = (char)('!' + n);
        twin_take(&w, policy, s, data);
        talk_bytes(&t, TO_SERVER, ACK, 1001 + (uint32_t)s.from, 5001, data, (uint32_t)(s.to - s.from));
        CHECK_EQUAL(t.length[TO_SERVER], w.base);
        CHECK_TEXT(t.got[TO_SERVER], w.got);
    }
    talk_end(&t);
}

int main(void)
{
    for (int policy = REEF_POLICY_BSD; policy <= REEF_POLICY_WINDOWS2K3; policy++)
        for (int i = 0; i < ROUNDS / 10; i++)
            round_of((reef_tcp_policy)policy);
    return 0;
}
