/* defrag: datagrams come out whole, whatever the order; overlaps are settled by the policy; memory stays bounded. */
#include "check.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/defrag.h"
#include "reef/status.h"

typedef struct piece {
    unsigned offset, length;
    char letter;
    bool last;
} piece;

typedef struct engine {
    reef_memory *memory;
    reef_defrag *defrag;
    uint64_t now_ns;
} engine;

static engine engine_new(reef_defrag_policy policy, uint32_t datagrams, size_t memory)
{
    engine e = {.now_ns = 1000000000};
    reef_defrag_options options;
    reef_defrag_options_default(&options);
    options.seed[0] = 1, options.seed[1] = 2;
    options.policy = policy;
    options.datagrams = datagrams;
    CHECK_EQUAL(reef_memory_new(memory, &e.memory), REEF_OK);
    CHECK_EQUAL(reef_defrag_new(e.memory, &options, &e.defrag), REEF_OK);
    return e;
}

static void engine_free(engine *e)
{
    reef_memory_counters counters;
    reef_defrag_free(e->defrag);
    reef_memory_count(e->memory, &counters);
    CHECK_EQUAL(counters.used, 0); /* everything was given back */
    reef_memory_free(e->memory);
}

static bool has_event(const reef_packet *packet, unsigned event)
{
    for (unsigned i = 0; i < packet->events; i++)
        if (packet->event[i] == event)
            return true;
    return false;
}

/* A fragment of UDP datagram `id`; IPv6 ones have a destination header in front of the fragment header. */
static bytes fragment_of(unsigned version, uint32_t id, const piece *p)
{
    bytes b = {.length = 0};
    if (version == 4) {
        add_ipv4(&b, REEF_PROTO_UDP, 1, 2, p->length);
        b.data[4] = (uint8_t)(id >> 8), b.data[5] = (uint8_t)id;
        unsigned field = p->offset / 8 | (p->last ? 0 : 0x2000);
        b.data[6] = (uint8_t)(field >> 8), b.data[7] = (uint8_t)field;
    } else {
        add_ipv6(&b, 60, 1, 2, 16 + p->length);
        add_bytes(&b, "\x2c\0\x1e\4\0\0\0\0", 8);
        add8(&b, REEF_PROTO_UDP), add8(&b, 0), add16(&b, p->offset | !p->last), add32(&b, id);
    }
    memset(b.data + b.length, p->letter, p->length);
    if (p->offset == 0 && p->length >= 8) { /* ports and length, so that it is a datagram that can be read */
        memcpy(b.data + b.length, "\0\1\0\2", 4);
        b.data[b.length + 4] = 0, b.data[b.length + 5] = 8;
    }
    b.length += p->length;
    return b;
}

static bytes taken; /* what a fragment points into */

static bool take(engine *e, unsigned version, uint32_t id, const piece *p, reef_packet *fragment, reef_packet *whole)
{
    taken = fragment_of(version, id, p);
    reef_frame frame = frame_of(&taken, REEF_LINK_RAW, e->now_ns);
    reef_decode(&frame, fragment);
    CHECK(fragment->flags & REEF_PACKET_FRAGMENT);
    return reef_defrag_take(e->defrag, fragment, whole);
}

static void test_every_order(void)
{
    static const piece pieces[3] = {{0, 16, 'A', false}, {16, 8, 'B', false}, {24, 5, 'C', true}};
    static const unsigned orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (unsigned version = 4; version <= 6; version += 2)
        for (size_t o = 0; o < 6; o++) {
            engine e = engine_new(REEF_DEFRAG_BSD, 100, 1 << 20);
            reef_packet fragment, whole;
            CHECK(!take(&e, version, 9, &pieces[orders[o][0]], &fragment, &whole));
            CHECK(!take(&e, version, 9, &pieces[orders[o][1]], &fragment, &whole));
            CHECK(take(&e, version, 9, &pieces[orders[o][2]], &fragment, &whole));
            CHECK_EQUAL(fragment.events, version == 4 ? 0 : 1); /* of the destination option */
            CHECK(fragment.flags & REEF_PACKET_NO_PAYLOAD);
            CHECK(whole.flags & REEF_PACKET_DEFRAGMENTED && whole.flags & REEF_PACKET_TRANSPORT);
            CHECK(!(whole.flags & (REEF_PACKET_FRAGMENT | REEF_PACKET_TUNNEL)));
            CHECK(whole.outer == &fragment);
            CHECK_EQUAL(whole.protocol, REEF_PROTO_UDP);
            CHECK_EQUAL(whole.source_port, 1);
            CHECK_EQUAL(whole.destination_port, 2);
            CHECK_EQUAL(whole.network_length, (version == 4 ? 20 : 48) + 29);
            CHECK(memcmp(whole.transport + 8, "AAAAAAAABBBBBBBBCCCCC", 21) == 0);
            engine_free(&e);
        }
}

/* Shankar and Paxson's fragments, as Novak extended them. */
static const piece novak[] = {
    {0, 24, 'A', false},   {32, 16, 'B', false}, {48, 24, 'C', false},  {80, 8, 'D', false},  {104, 16, 'E', false},
    {120, 24, 'F', false}, {144, 16, 'G', false}, {160, 16, 'H', false}, {176, 8, 'I', false}, {8, 32, 'J', false},
    {48, 24, 'K', false},  {72, 24, 'L', false}, {96, 24, 'M', false},  {128, 8, 'N', false}, {152, 8, 'O', false},
    {160, 8, 'P', false},  {176, 16, 'Q', true},
};

static void test_overlaps(void)
{
    static const struct { reef_defrag_policy policy; const char *blocks; } policies[] = {
        {REEF_DEFRAG_BSD, "AAAJJBCCCLLLMMMFFFGGHHIQ"},   {REEF_DEFRAG_LINUX, "AAAJJBKKKLLLMMMFFFGGPHQQ"},
        {REEF_DEFRAG_FIRST, "AAAJBBCCCLDLMEEFFFGGHHIQ"}, {REEF_DEFRAG_LAST, "AJJJJBKKKLLLMMMFNFGOPHQQ"},
        {REEF_DEFRAG_WINDOWS, "AAAJBBCCCLLLMEEFFFGGHHIQ"}, {REEF_DEFRAG_SOLARIS, "AAAJBBCCCLLLMMMFFFGGHHIQ"},
    };
    for (unsigned version = 4; version <= 6; version += 2)
        for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
            engine e = engine_new(policies[i].policy, 100, 1 << 20);
            reef_packet fragment, whole;
            bool overlap = false, done = false;
            size_t count = sizeof novak / sizeof novak[0];
            for (size_t p = 0; p < count; p++) {
                CHECK(!done);
                done = take(&e, version, 1, &novak[p], &fragment, &whole);
                overlap |= has_event(&fragment, version == 4 ? REEF_EV_IPV4_FRAG_OVERLAP : REEF_EV_IPV6_FRAG_OVERLAP);
                CHECK(p >= 9 || !overlap);
            }
            CHECK(done && overlap);
            char seen[25] = "";
            for (size_t block = 0; block < 24; block++)
                seen[block] = block == 0 ? 'A' : (char)whole.transport[block * 8];
            CHECK_TEXT(seen, policies[i].blocks);
            engine_free(&e);
        }
}

static void test_what_does_not_belong_together(void)
{
    static const piece first = {0, 16, 'A', false}, last = {16, 8, 'B', true};
    engine e = engine_new(REEF_DEFRAG_BSD, 100, 1 << 20);
    reef_packet fragment, whole;
    reef_defrag_counters counters;
    CHECK(!take(&e, 4, 1, &first, &fragment, &whole));
    CHECK(!take(&e, 4, 2, &last, &fragment, &whole)); /* another datagram */
    CHECK(!take(&e, 6, 1, &last, &fragment, &whole));
    e.now_ns += 61ull * 1000000000;
    CHECK(!take(&e, 4, 1, &last, &fragment, &whole)); /* too late */
    reef_defrag_count(e.defrag, &counters);
    CHECK_EQUAL(counters.timed_out, 3);
    CHECK_EQUAL(counters.datagrams, 1);
    CHECK(take(&e, 4, 1, &first, &fragment, &whole));

    static const piece far = {65528, 16, 'C', true};
    CHECK(!take(&e, 4, 1, &far, &fragment, &whole));
    CHECK(has_event(&fragment, REEF_EV_IPV4_FRAG_PKT_TOO_LARGE));
    engine_free(&e);
}

/* A flood pushes out itself: what was begun before it still becomes whole. */
static void test_bounds(void)
{
    static const piece first = {0, 16, 'A', false}, last = {16, 8, 'B', true}, big = {8, 1400, 'X', false};
    engine e = engine_new(REEF_DEFRAG_BSD, 8, 1 << 20);
    reef_packet fragment, whole;
    reef_defrag_counters counters;
    CHECK(!take(&e, 4, 1, &first, &fragment, &whole));
    for (uint32_t id = 100; id < 1100; id++)
        CHECK(!take(&e, 4, id, &big, &fragment, &whole));
    reef_defrag_count(e.defrag, &counters);
    CHECK_EQUAL(counters.datagrams, 8);
    CHECK(take(&e, 4, 1, &last, &fragment, &whole));
    engine_free(&e);

    /* The same with memory as the bound, and then with one datagram of very many fragments. */
    e = engine_new(REEF_DEFRAG_BSD, 10000, 64 << 10);
    CHECK(!take(&e, 4, 1, &first, &fragment, &whole));
    for (uint32_t id = 100; id < 1100; id++)
        take(&e, 4, id, &big, &fragment, &whole);
    reef_defrag_count(e.defrag, &counters);
    CHECK(counters.pushed_out + counters.refused > 900);
    CHECK(take(&e, 4, 1, &last, &fragment, &whole));
    engine_free(&e);
    e = engine_new(REEF_DEFRAG_BSD, 10, 16 << 20);
    for (unsigned offset = 64000; offset > 0; offset -= 8) {
        piece p = {offset, 8, 'Y', offset == 64000};
        CHECK(!take(&e, 4, 3, &p, &fragment, &whole));
    }
    CHECK(take(&e, 4, 3, &first, &fragment, &whole));
    CHECK_EQUAL(whole.network_length, 20 + 64008);
    engine_free(&e);
}

int main(void)
{
    test_every_order();
    test_overlaps();
    test_what_does_not_belong_together();
    test_bounds();
    return 0;
}
