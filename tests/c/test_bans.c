/* The tables of bans say what a plain list says, whatever is put in, taken out and replaced, and in whatever order. */
#include <pthread.h>

#include "check.h"
#include "reef/bans.h"
#include "reef/status.h"
#include "shared.h"

enum { ROOM = 4096, STEPS = 6000, PROBES = 40, LISTS = 3 };

struct stand {
    struct reef_gate_fixed fixed;
    struct reef_gate_live live;
    struct reef_bans_memory memory;
    reef_bans *bans;
};

struct twin {
    struct reef_prefix entries[STEPS];
    uint32_t lists[STEPS];
    size_t count;
};

static uint64_t state = 88172645463325252ull;

static uint32_t roll(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % below);
}

static void *zeroed(size_t count, size_t size)
{
    void *at = calloc(count, size);
    CHECK(at != NULL);
    return at;
}

static struct stand *stand_new(uint32_t lines4, uint32_t lines6)
{
    struct stand *stand = zeroed(1, sizeof *stand);
    stand->fixed = (struct reef_gate_fixed){.seed4 = 7, .seed6 = {11, 13}, .lines4 = lines4, .lines6 = lines6, .cells6 = 256};
    stand->memory = (struct reef_bans_memory){
        .fixed = &stand->fixed,
        .live = &stand->live,
        .any4 = zeroed(2u * REEF_GATE_ANY4_LINES, 64),
        .index4 = zeroed(2u * REEF_GATE_INDEX4_LINES, 64),
        .lines4 = zeroed(2u * lines4, sizeof(struct reef_gate_line4)),
        .any6 = zeroed(2u * REEF_GATE_ANY6_LINES, 64),
        .index6 = zeroed(2u * 256, 8),
        .deep6 = zeroed(2u * 256, 8),
        .lines6 = zeroed(2u * lines6, sizeof(struct reef_gate_line6)),
    };
    CHECK_EQUAL(reef_bans_new(&stand->memory, &stand->bans), REEF_OK);
    return stand;
}

static void stand_free(struct stand *stand)
{
    reef_bans_free(stand->bans);
    free(stand->memory.any4);
    free(stand->memory.index4);
    free(stand->memory.lines4);
    free(stand->memory.any6);
    free(stand->memory.index6);
    free(stand->memory.deep6);
    free(stand->memory.lines6);
    free(stand);
}

static void cut(struct reef_prefix *prefix)
{
    for (unsigned bit = prefix->length; bit < 128; bit++)
        prefix->address[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
}

/* Few addresses and all lengths, so that everything lies in everything else. */
static struct reef_prefix any_address(void)
{
    struct reef_prefix prefix = {.version = roll(2) ? 4 : 6};
    prefix.length = prefix.version == 4 ? 32 : 128;
    prefix.address[0] = prefix.version == 4 ? 10 : 0x20;
    prefix.address[1] = (uint8_t)roll(2);
    prefix.address[2] = (uint8_t)roll(2);
    prefix.address[3] = (uint8_t)(roll(4) * 0x55);
    for (unsigned i = 4; prefix.version == 6 && i < 16; i++)
        prefix.address[i] = (uint8_t)(roll(2) * (i % 4 == 3 ? 0xff : 0x80));
    return prefix;
}

static struct reef_prefix any_prefix(void)
{
    struct reef_prefix prefix = any_address();
    unsigned least = prefix.version == 4 ? REEF_BAN4_SHORTEST + 7 : REEF_BAN6_SHORTEST;
    prefix.length = (uint8_t)(least + roll(prefix.length - least + 1));
    cut(&prefix);
    return prefix;
}

static bool holds(const struct reef_prefix *prefix, const struct reef_prefix *host)
{
    struct reef_prefix network = *host;
    network.length = prefix->length;
    cut(&network);
    return memcmp(&network, prefix, sizeof network) == 0;
}

static size_t twin_find(const struct twin *twin, uint32_t list, const struct reef_prefix *prefix)
{
    for (size_t i = 0; i < twin->count; i++)
        if (twin->lists[i] == list && memcmp(&twin->entries[i], prefix, sizeof *prefix) == 0)
            return i;
    return twin->count;
}

static void check_alike(struct stand *stand, const struct twin *twin)
{
    for (int i = 0; i < PROBES; i++) {
        struct reef_prefix host = any_address();
        uint32_t list = reef_bans_find(stand->bans, &host);
        bool banned = false, by_list = false;
        for (size_t k = 0; k < twin->count; k++)
            if (holds(&twin->entries[k], &host)) {
                banned = true;
                by_list = by_list || twin->lists[k] == list;
            }
        CHECK_EQUAL(list != 0, banned);
        CHECK(!banned || by_list);
    }
}

static void twin_add(struct twin *twin, uint32_t list, const struct reef_prefix *prefix)
{
    twin->entries[twin->count] = *prefix;
    twin->lists[twin->count++] = list;
}

static void twin_drop(struct twin *twin, size_t at)
{
    twin->entries[at] = twin->entries[--twin->count];
    twin->lists[at] = twin->lists[twin->count];
}

static void one_step(struct stand *stand, struct twin *twin)
{
    struct reef_prefix prefix = any_prefix();
    uint32_t list = 1 + roll(LISTS);
    size_t at = twin_find(twin, list, &prefix);
    if (roll(3) != 0) {
        CHECK_EQUAL(reef_bans_add(stand->bans, list, &prefix), at < twin->count ? REEF_END : REEF_OK);
        if (at == twin->count)
            twin_add(twin, list, &prefix);
    } else {
        if (twin->count > 0 && roll(2)) {
            at = roll((uint32_t)twin->count);
            prefix = twin->entries[at];
            list = twin->lists[at];
        }
        CHECK_EQUAL(reef_bans_remove(stand->bans, list, &prefix), at < twin->count ? REEF_OK : REEF_END);
        if (at < twin->count)
            twin_drop(twin, at);
        if (reef_bans_unsettled(stand->bans))
            CHECK_EQUAL(reef_bans_settle(stand->bans), REEF_OK);
        CHECK(!reef_bans_unsettled(stand->bans));
    }
}

/* `settle` clears 32 MiB: a few hundred times are enough. */
static void steps_say_what_a_plain_list_says(void)
{
    struct stand *stand = stand_new(ROOM / 8, ROOM / 3);
    struct twin *twin = zeroed(1, sizeof *twin);
    for (int i = 0; i < 400; i++) {
        one_step(stand, twin);
        check_alike(stand, twin);
    }
    free(twin);
    stand_free(stand);
}

static void a_list_is_replaced_whole(void)
{
    struct stand *stand = stand_new(ROOM / 8, ROOM / 3);
    struct twin *twin = zeroed(1, sizeof *twin);
    for (int round = 0; round < 6; round++) {
        struct reef_banlist_report report = {0};
        reef_banlist *entries;
        CHECK_EQUAL(reef_banlist_new(&entries), REEF_OK);
        for (size_t i = twin->count; i-- > 0;)
            if (twin->lists[i] == 2)
                twin_drop(twin, i);
        for (int i = 0; i < 60; i++) {
            struct reef_prefix prefix = any_prefix();
            CHECK_EQUAL(reef_banlist_add(entries, &prefix), REEF_OK);
            if (twin_find(twin, 2, &prefix) == twin->count)
                twin_add(twin, 2, &prefix);
        }
        reef_banlist_finish(entries, &report);
        CHECK_EQUAL(reef_bans_replace(stand->bans, 2, entries), REEF_OK);
        check_alike(stand, twin);
        for (int i = 0; i < 10; i++)
            one_step(stand, twin);
        check_alike(stand, twin);
    }
    free(twin);
    stand_free(stand);
}

static void what_is_no_ban_is_refused(void)
{
    struct stand *stand = stand_new(64, 64);
    struct reef_prefix everybody = {.version = 4}, behind = {.address = {10, 0, 0, 1}, .version = 4, .length = 24};
    struct reef_prefix wide = {.address = {0x20}, .version = 6, .length = 12}, host = {.address = {10}, .version = 4, .length = 33};
    CHECK_EQUAL(reef_bans_add(stand->bans, 1, &everybody), REEF_INVALID);
    CHECK_EQUAL(reef_bans_add(stand->bans, 1, &behind), REEF_INVALID);
    CHECK_EQUAL(reef_bans_add(stand->bans, 1, &wide), REEF_INVALID);
    CHECK_EQUAL(reef_bans_add(stand->bans, 1, &host), REEF_INVALID);
    host.length = 32;
    CHECK_EQUAL(reef_bans_add(stand->bans, 0, &host), REEF_INVALID);
    CHECK_EQUAL(reef_bans_add(stand->bans, REEF_BANS_LISTS + 1, &host), REEF_INVALID);
    CHECK_EQUAL(reef_bans_find(stand->bans, &host), 0);
    stand_free(stand);
}

static reef_banlist *hosts(uint32_t first, uint32_t count)
{
    struct reef_banlist_report report = {0};
    reef_banlist *entries;
    CHECK_EQUAL(reef_banlist_new(&entries), REEF_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct reef_prefix host = {.version = 4, .length = 32};
        for (int k = 0; k < 4; k++)
            host.address[k] = (uint8_t)((first + i) >> (24 - 8 * k));
        CHECK_EQUAL(reef_banlist_add(entries, &host), REEF_OK);
    }
    reef_banlist_finish(entries, &report);
    CHECK_EQUAL(report.duplicates, 0);
    return entries;
}

static void what_does_not_fit_changes_nothing(void)
{
    struct stand *stand = stand_new(32, 32); /* 256 places */
    struct reef_prefix first = {.address = {10, 0, 0, 0}, .version = 4, .length = 32}, other = {.address = {11}, .version = 4, .length = 32};
    reef_banlist *many = hosts(11u << 24, 1000);
    CHECK_EQUAL(reef_bans_replace(stand->bans, 1, hosts(10u << 24, 100)), REEF_OK);
    CHECK_EQUAL(reef_bans_replace(stand->bans, 1, many), REEF_FULL);
    reef_banlist_free(many);
    CHECK_EQUAL(reef_bans_count(stand->bans, 1), 100);
    CHECK_EQUAL(reef_bans_find(stand->bans, &first), 1);
    CHECK_EQUAL(reef_bans_find(stand->bans, &other), 0);
    stand_free(stand);
}

static void *add_meanwhile(void *given)
{
    struct stand *stand = given;
    for (uint32_t i = 0; i < 2000; i++) {
        struct reef_prefix host = {.address = {12, 0, (uint8_t)(i >> 8), (uint8_t)i}, .version = 4, .length = 32};
        CHECK_EQUAL(reef_bans_add(stand->bans, 3, &host), REEF_OK);
        CHECK_EQUAL(reef_bans_find(stand->bans, &host), 3);
    }
    for (uint32_t i = 0; i < 2000; i += 2) {
        struct reef_prefix host = {.address = {12, 0, (uint8_t)(i >> 8), (uint8_t)i}, .version = 4, .length = 32};
        CHECK_EQUAL(reef_bans_remove(stand->bans, 3, &host), REEF_OK);
    }
    return NULL;
}

static void bans_that_come_while_a_table_is_built_stay(void)
{
    struct stand *stand = stand_new(2000, 32);
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, add_meanwhile, stand), 0);
    for (int i = 0; i < 12; i++)
        CHECK_EQUAL(reef_bans_replace(stand->bans, 1, hosts((uint32_t)(20 + i) << 24, 500)), REEF_OK);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(reef_bans_settle(stand->bans), REEF_OK);
    CHECK(!reef_bans_unsettled(stand->bans));
    for (uint32_t i = 0; i < 2000; i++) {
        struct reef_prefix host = {.address = {12, 0, (uint8_t)(i >> 8), (uint8_t)i}, .version = 4, .length = 32};
        CHECK_EQUAL(reef_bans_find(stand->bans, &host), i % 2 ? 3 : 0);
    }
    CHECK_EQUAL(reef_bans_count(stand->bans, 3), 1000);
    stand_free(stand);
}

int main(void)
{
    what_is_no_ban_is_refused();
    what_does_not_fit_changes_nothing();
    a_list_is_replaced_whole();
    steps_say_what_a_plain_list_says();
    bans_that_come_while_a_table_is_built_stay();
    return 0;
}
