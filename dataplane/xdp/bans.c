#include "reef/bans.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "banlist.h"
#include "reef/status.h"
#include "table.h"

enum { AHEAD = 12 }; /* entries that memory is asked for before they are put in */

/* What happened to the lists while a table was built. */
struct deed {
    struct reef_prefix prefix;
    uint32_t list;
    bool add;
};

struct reef_bans {
    struct reef_gate_live *live;
    struct reef_table sides[2];
    reef_banlist *lists[REEF_BANS_LISTS + 1];
    pthread_mutex_t lock; /* of everything but the side that does not count */
    bool building, unsettled;
    struct deed *deeds;
    size_t deed_count, deed_room;
};

static struct reef_table side_of(const struct reef_bans_memory *memory, unsigned side)
{
    const struct reef_gate_fixed *fixed = memory->fixed;
    return (struct reef_table){
        .fixed = fixed,
        .any4 = memory->any4 + (size_t)side * REEF_GATE_ANY4_LINES * 64,
        .index4 = memory->index4 + (size_t)side * REEF_GATE_INDEX4_LINES * 64,
        .lines4 = memory->lines4 + (size_t)side * fixed->lines4,
        .any6 = memory->any6 + (size_t)side * REEF_GATE_ANY6_LINES * 64,
        .index6 = memory->index6 + (size_t)side * fixed->cells6,
        .deep6 = memory->deep6 + (size_t)side * fixed->cells6,
        .lines6 = memory->lines6 + (size_t)side * fixed->lines6,
        .wide = (uint64_t *)&memory->live->wide[side],
    };
}

int reef_bans_new(const struct reef_bans_memory *memory, reef_bans **out)
{
    reef_bans *bans = calloc(1, sizeof *bans);
    *out = bans;
    if (bans == NULL)
        return REEF_NOMEM;
    bans->live = memory->live;
    pthread_mutex_init(&bans->lock, NULL);
    for (unsigned i = 0; i < 2; i++)
        bans->sides[i] = side_of(memory, i);
    for (unsigned i = 1; i <= REEF_BANS_LISTS; i++)
        if (reef_banlist_new(&bans->lists[i]) != REEF_OK) {
            reef_bans_free(bans);
            *out = NULL;
            return REEF_NOMEM;
        }
    return REEF_OK;
}

void reef_bans_free(reef_bans *bans)
{
    if (bans == NULL)
        return;
    for (unsigned i = 1; i <= REEF_BANS_LISTS; i++)
        reef_banlist_free(bans->lists[i]);
    free(bans->deeds);
    pthread_mutex_destroy(&bans->lock);
    free(bans);
}

static bool list_has(const reef_banlist *list, const struct reef_prefix *prefix)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    if (reef_prefix_as4(prefix, &four) == REEF_OK)
        return reef_banlist_has4(list, &four);
    return reef_prefix_as6(prefix, &six) == REEF_OK && reef_banlist_has6(list, &six);
}

static bool is_prefix(const struct reef_prefix *prefix)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    return reef_prefix_as4(prefix, &four) == REEF_OK || reef_prefix_as6(prefix, &six) == REEF_OK;
}

static int table_add(struct reef_table *table, const struct reef_prefix *prefix, uint32_t list)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    if (reef_prefix_as4(prefix, &four) == REEF_OK)
        return reef_table_add4(table, &four, list);
    return reef_prefix_as6(prefix, &six) == REEF_OK ? reef_table_add6(table, &six, list) : REEF_INVALID;
}

/* Takes a prefix out of a table, and puts back what other lists have to say of it. */
static void table_remove(reef_bans *bans, struct reef_table *table, const struct reef_prefix *prefix)
{
    struct reef_prefix4 four, half;
    struct reef_prefix6 six;
    bool is4 = reef_prefix_as4(prefix, &four) == REEF_OK;
    int status = is4 ? reef_table_remove4(table, &four)
               : reef_prefix_as6(prefix, &six) == REEF_OK ? reef_table_remove6(table, &six) : REEF_OK;
    if (status == REEF_UNSUPPORTED) {
        bans->unsettled = true;
        return;
    }
    half = (struct reef_prefix4){is4 ? four.address & reef_mask4(25) : 0, 25};
    for (uint32_t i = 1; i <= REEF_BANS_LISTS; i++) {
        /* They had room there a moment ago. */
        if (list_has(bans->lists[i], prefix))
            (void)table_add(table, prefix, i);
        if (is4 && four.length == 26 && reef_banlist_has4(bans->lists[i], &half))
            (void)reef_table_add4(table, &half, i); /* a /25 is kept as its halves */
    }
}

/* What the list says now, what happened while a table is built included. */
static bool has(const reef_bans *bans, uint32_t list, const struct reef_prefix *prefix)
{
    for (size_t i = bans->deed_count; i > 0; i--) {
        const struct deed *deed = &bans->deeds[i - 1];
        if (deed->list == list && memcmp(&deed->prefix, prefix, sizeof *prefix) == 0)
            return deed->add;
    }
    return list_has(bans->lists[list], prefix);
}

static int remember(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix, bool add)
{
    if (bans->deed_count == bans->deed_room) {
        size_t room = bans->deed_room > 0 ? bans->deed_room * 2 : 64;
        struct deed *deeds = realloc(bans->deeds, room * sizeof *deeds);
        if (deeds == NULL)
            return REEF_NOMEM;
        bans->deeds = deeds;
        bans->deed_room = room;
    }
    bans->deeds[bans->deed_count++] = (struct deed){*prefix, list, add};
    return REEF_OK;
}

static struct reef_table *counting(reef_bans *bans)
{
    return &bans->sides[bans->live->side & 1];
}

static int add(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix)
{
    if (has(bans, list, prefix))
        return REEF_END;
    int status = table_add(counting(bans), prefix, list);
    if (status != REEF_OK)
        return status;
    return bans->building ? remember(bans, list, prefix, true) : reef_banlist_insert(bans->lists[list], prefix);
}

int reef_bans_add(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix)
{
    if (list == 0 || list > REEF_BANS_LISTS || !is_prefix(prefix))
        return REEF_INVALID;
    pthread_mutex_lock(&bans->lock);
    int status = add(bans, list, prefix);
    pthread_mutex_unlock(&bans->lock);
    return status;
}

static int take(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix)
{
    if (!has(bans, list, prefix))
        return REEF_END;
    int status = bans->building ? remember(bans, list, prefix, false) : reef_banlist_remove(bans->lists[list], prefix);
    if (status != REEF_OK)
        return status;
    if (bans->building)
        bans->unsettled = true; /* the lists do not say yet who else bans it: the table that counts keeps it until then */
    else
        table_remove(bans, counting(bans), prefix);
    return REEF_OK;
}

int reef_bans_remove(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix)
{
    if (list == 0 || list > REEF_BANS_LISTS || !is_prefix(prefix))
        return REEF_INVALID;
    pthread_mutex_lock(&bans->lock);
    int status = take(bans, list, prefix);
    pthread_mutex_unlock(&bans->lock);
    return status;
}

bool reef_bans_unsettled(reef_bans *bans)
{
    pthread_mutex_lock(&bans->lock);
    bool unsettled = bans->unsettled;
    pthread_mutex_unlock(&bans->lock);
    return unsettled;
}

/* Waits until no processor runs the program on the table that counted before the last change. */
static void wait_for_readers(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
        return;
    struct timespec pause = {0, 50 * 1000 * 1000}; /* a kernel without it: a program runs for microseconds */
    nanosleep(&pause, NULL);
}

static int fill(struct reef_table *table, const reef_banlist *entries, uint32_t list)
{
    const struct reef_prefix4 *four;
    const struct reef_prefix6 *six;
    size_t count4 = reef_banlist_entries4(entries, &four), count6 = reef_banlist_entries6(entries, &six);
    int status = REEF_OK;
    for (size_t i = 0; i < count4 && status == REEF_OK; i++) {
        if (i + AHEAD < count4)
            reef_table_expect4(table, &four[i + AHEAD]);
        status = reef_table_add4(table, &four[i], list);
    }
    for (size_t i = 0; i < count6 && status == REEF_OK; i++) {
        if (i + AHEAD < count6)
            reef_table_expect6(table, &six[i + AHEAD]);
        status = reef_table_add6(table, &six[i], list);
    }
    return status;
}

/* Does in the lists, and in `table` where there is a new one, what was done meanwhile. */
static int catch_up(reef_bans *bans, struct reef_table *table)
{
    int status = REEF_OK;
    for (size_t i = 0; i < bans->deed_count; i++) {
        const struct deed *deed = &bans->deeds[i];
        int done = deed->add ? reef_banlist_insert(bans->lists[deed->list], &deed->prefix)
                             : reef_banlist_remove(bans->lists[deed->list], &deed->prefix);
        if (done == REEF_NOMEM)
            status = done;
        if (table != NULL && deed->add && table_add(table, &deed->prefix, deed->list) != REEF_OK)
            status = REEF_FULL;
        if (table != NULL && !deed->add)
            table_remove(bans, table, &deed->prefix);
    }
    bans->deed_count = 0;
    return status;
}

static int build(reef_bans *bans, uint32_t list, reef_banlist *entries, struct reef_table *table)
{
    int status = REEF_OK;
    wait_for_readers();
    reef_table_clear(table);
    for (uint32_t i = 1; i <= REEF_BANS_LISTS && status == REEF_OK; i++)
        status = fill(table, i == list ? entries : bans->lists[i], i);
    return status;
}

/* `entries` NULL: as the lists are. */
static int replace(reef_bans *bans, uint32_t list, reef_banlist *entries)
{
    pthread_mutex_lock(&bans->lock);
    uint32_t other = !(bans->live->side & 1);
    bool unsettled = bans->unsettled;
    bans->building = true;
    bans->unsettled = false;
    pthread_mutex_unlock(&bans->lock);

    int status = build(bans, list, entries, &bans->sides[other]);

    pthread_mutex_lock(&bans->lock);
    reef_banlist *old = bans->lists[list];
    if (status == REEF_OK && entries != NULL)
        bans->lists[list] = entries;
    if (status == REEF_OK) {
        bans->unsettled = false;
        status = catch_up(bans, &bans->sides[other]);
        if (status != REEF_OK && entries != NULL)
            bans->lists[list] = old;
    } else {
        (void)catch_up(bans, NULL);
        bans->unsettled = bans->unsettled || unsettled;
    }
    if (status == REEF_OK)
        __atomic_store_n(&bans->live->side, other, __ATOMIC_RELEASE);
    bans->building = false;
    pthread_mutex_unlock(&bans->lock);
    if (status == REEF_OK && entries != NULL)
        reef_banlist_free(old);
    return status;
}

int reef_bans_replace(reef_bans *bans, uint32_t list, reef_banlist *entries)
{
    if (list == 0 || list > REEF_BANS_LISTS)
        return REEF_INVALID;
    return replace(bans, list, entries);
}

int reef_bans_settle(reef_bans *bans)
{
    return replace(bans, 0, NULL);
}

size_t reef_bans_count(reef_bans *bans, uint32_t list)
{
    const struct reef_prefix4 *four;
    const struct reef_prefix6 *six;
    if (list == 0 || list > REEF_BANS_LISTS)
        return 0;
    pthread_mutex_lock(&bans->lock);
    size_t count = reef_banlist_entries4(bans->lists[list], &four) + reef_banlist_entries6(bans->lists[list], &six);
    pthread_mutex_unlock(&bans->lock);
    return count;
}

uint32_t reef_bans_find(reef_bans *bans, const struct reef_prefix *host)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    uint32_t list = 0;
    pthread_mutex_lock(&bans->lock);
    if (reef_prefix_as4(host, &four) == REEF_OK)
        list = reef_table_find4(counting(bans), four.address);
    else if (reef_prefix_as6(host, &six) == REEF_OK)
        list = reef_table_find6(counting(bans), six.high, six.low);
    pthread_mutex_unlock(&bans->lock);
    return list;
}
