/* Fills the tables. The program reads them meanwhile on other processors: an entry is whole before the index says that it is
 * there, and what is taken away is taken from the entry first. */
#include "table.h"

#include <string.h>

#include "banlist.h"
#include "reef/status.h"

static void store64(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static uint64_t load64(const __u64 *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static void store_slot(__u64 *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

void reef_table_clear(struct reef_table *table)
{
    const struct reef_gate_fixed *fixed = table->fixed;
    memset(table->any4, 0, (size_t)REEF_GATE_ANY4_LINES * 64);
    memset(table->index4, 0, (size_t)REEF_GATE_INDEX4_LINES * 64);
    memset(table->lines4, 0, fixed->lines4 * sizeof *table->lines4);
    memset(table->any6, 0, (size_t)REEF_GATE_ANY6_LINES * 64);
    memset(table->index6, 0, fixed->cells6 * sizeof *table->index6);
    memset(table->deep6, 0, fixed->cells6 * sizeof *table->deep6);
    memset(table->lines6, 0, fixed->lines6 * sizeof *table->lines6);
    *table->wide = 0;
}

/* --- IPv4 ------------------------------------------------------------------------------------------- */

static uint64_t key4(uint32_t address, uint32_t length)
{
    return address | (uint64_t)(1u << (32 - length)) << 32;
}

/* The place of a key, or NULL; `free_slot` is the first free one on the way, `last` the line where the way ends. */
static __u64 *seek4(const struct reef_table *table, uint64_t key, __u64 **free_slot, uint32_t *last, uint32_t *steps)
{
    uint32_t lines = table->fixed->lines4, number = reef_gate_line_of(reef_gate_hash4(key, table->fixed->seed4), lines);
    *free_slot = NULL;
    for (*steps = 0; *steps < REEF_GATE_CHAIN; (*steps)++) {
        struct reef_gate_line4 *line = &table->lines4[number];
        *last = number;
        for (unsigned i = 0; i < REEF_GATE_SLOTS4; i++) {
            uint64_t held = load64(&line->slots[i]) & REEF_GATE_KEY4;
            if (held == key)
                return &line->slots[i];
            if (held == 0 && *free_slot == NULL)
                *free_slot = &line->slots[i];
        }
        if (!(load64(&line->slots[REEF_GATE_SLOTS4 - 1]) & REEF_GATE_MORE))
            return NULL;
        number = number + 1 < lines ? number + 1 : 0;
    }
    return NULL;
}

static int put4(struct reef_table *table, uint32_t address, uint32_t length, uint32_t list)
{
    uint64_t key = key4(address, length), value = key | (uint64_t)list << 40;
    __u64 *free_slot;
    uint32_t last, steps, lines = table->fixed->lines4;
    if (seek4(table, key, &free_slot, &last, &steps) != NULL)
        return REEF_OK;
    while (free_slot == NULL) {
        if (++steps >= REEF_GATE_CHAIN)
            return REEF_FULL;
        __u64 *end = &table->lines4[last].slots[REEF_GATE_SLOTS4 - 1];
        store_slot(end, load64(end) | REEF_GATE_MORE);
        last = last + 1 < lines ? last + 1 : 0;
        for (unsigned i = 0; i < REEF_GATE_SLOTS4 && free_slot == NULL; i++)
            if ((load64(&table->lines4[last].slots[i]) & REEF_GATE_KEY4) == 0)
                free_slot = &table->lines4[last].slots[i];
    }
    store_slot(free_slot, value | (load64(free_slot) & REEF_GATE_MORE));
    return REEF_OK;
}

/* Something is banned in this /24, which the index says already. */
static void mark4(struct reef_table *table, uint32_t block)
{
    uint8_t *byte = &table->any4[block >> 3];
    uint8_t bit = (uint8_t)(1u << (block & 7));
    if (!(*byte & bit))
        __atomic_store_n(byte, (uint8_t)(*byte | bit), __ATOMIC_RELEASE);
}

int reef_table_add4(struct reef_table *table, const struct reef_prefix4 *entry, uint32_t list)
{
    uint8_t *cell = &table->index4[entry->address >> 8];
    if (entry->length <= 24) {
        size_t count = (size_t)1 << (24 - entry->length);
        for (size_t i = 0; i < count; i++) {
            if (cell[i] == 0 || cell[i] & REEF_GATE_DEEPER)
                __atomic_store_n(&cell[i], (uint8_t)list, __ATOMIC_RELEASE);
            mark4(table, (entry->address >> 8) + (uint32_t)i);
        }
        return REEF_OK;
    }
    if (*cell != 0 && !(*cell & REEF_GATE_DEEPER))
        return REEF_OK; /* a wider one bans it */
    uint32_t length = entry->length == 25 ? 26 : entry->length;
    int status = put4(table, entry->address, length, list);
    if (status == REEF_OK && entry->length == 25)
        status = put4(table, entry->address + 64, length, list);
    if (status != REEF_OK)
        return status;
    __atomic_store_n(cell, (uint8_t)(*cell | REEF_GATE_DEEPER | 1u << (32 - length)), __ATOMIC_RELEASE);
    mark4(table, entry->address >> 8);
    return REEF_OK;
}

int reef_table_remove4(struct reef_table *table, const struct reef_prefix4 *entry)
{
    __u64 *free_slot;
    uint32_t last, steps;
    if (entry->length <= 25)
        return REEF_UNSUPPORTED;
    __u64 *slot = seek4(table, key4(entry->address, entry->length), &free_slot, &last, &steps);
    if (slot != NULL)
        store_slot(slot, load64(slot) & REEF_GATE_MORE);
    return REEF_OK;
}

uint32_t reef_table_find4(const struct reef_table *table, uint32_t address)
{
    uint32_t cell = table->index4[address >> 8], last, steps;
    __u64 *free_slot;
    if (!(table->any4[address >> 11] >> (address >> 8 & 7) & 1))
        return 0;
    if (!(cell & REEF_GATE_DEEPER))
        return cell;
    for (uint32_t bits = cell & (REEF_GATE_DEEPER - 1); bits != 0; bits &= bits - 1) {
        uint32_t bit = bits & -bits;
        const __u64 *slot = seek4(table, (address & -bit) | (uint64_t)bit << 32, &free_slot, &last, &steps);
        if (slot != NULL)
            return (uint32_t)(*slot >> 40) & REEF_GATE_LISTS;
    }
    return 0;
}

/* --- IPv6 ------------------------------------------------------------------------------------------- */

struct key6 {
    uint64_t high, low;
    uint8_t kind;
};

struct place6 {
    struct reef_gate_line6 *line; /* NULL: nowhere */
    unsigned slot;
};

static struct key6 key6(uint64_t high, uint64_t low, uint32_t length)
{
    if (length <= 64)
        return (struct key6){high & reef_mask64(length), 1ull << ((64 - length) & 63), REEF_GATE_SHORT6};
    if (length == 128)
        return (struct key6){high, low, REEF_GATE_WHOLE6};
    uint64_t bit = 1ull << ((128 - length) & 63);
    return (struct key6){high, (low & -bit) | bit >> 1, REEF_GATE_LONG6};
}

static uint64_t *cell6(const struct reef_table *table, uint64_t *cells, uint64_t what)
{
    return &cells[reef_gate_hash6(what, 0, table->fixed->seed6) & (table->fixed->cells6 - 1)];
}

static struct place6 seek6(const struct reef_table *table, const struct key6 *key, struct place6 *room, uint32_t *last,
                           uint32_t *steps)
{
    uint32_t lines = table->fixed->lines6;
    uint32_t number = reef_gate_line_of(reef_gate_hash6(key->high, key->low, table->fixed->seed6), lines);
    room->line = NULL;
    for (*steps = 0; *steps < REEF_GATE_CHAIN; (*steps)++) {
        struct reef_gate_line6 *line = &table->lines6[number];
        *last = number;
        for (unsigned i = 0; i < REEF_GATE_SLOTS6; i++) {
            if (line->kind[i] == key->kind && line->high[i] == key->high && line->low[i] == key->low)
                return (struct place6){line, i};
            if (line->kind[i] == 0 && room->line == NULL)
                *room = (struct place6){line, i};
        }
        if (!line->more)
            break;
        number = number + 1 < lines ? number + 1 : 0;
    }
    return (struct place6){NULL, 0};
}

static void fill6(const struct place6 *place, const struct key6 *key, uint32_t list)
{
    struct reef_gate_line6 *line = place->line;
    line->high[place->slot] = key->high;
    line->low[place->slot] = key->low;
    line->list[place->slot] = (uint8_t)list;
    __atomic_store_n(&line->kind[place->slot], key->kind, __ATOMIC_RELEASE);
}

static int put6(struct reef_table *table, const struct key6 *key, uint32_t list)
{
    struct place6 room;
    uint32_t last, steps, lines = table->fixed->lines6;
    if (seek6(table, key, &room, &last, &steps).line != NULL)
        return REEF_OK;
    while (room.line == NULL) {
        if (++steps >= REEF_GATE_CHAIN)
            return REEF_FULL;
        __atomic_store_n(&table->lines6[last].more, 1, __ATOMIC_RELEASE);
        last = last + 1 < lines ? last + 1 : 0;
        for (unsigned i = 0; i < REEF_GATE_SLOTS6 && room.line == NULL; i++)
            if (table->lines6[last].kind[i] == 0)
                room = (struct place6){&table->lines6[last], i};
    }
    fill6(&room, key, list);
    return REEF_OK;
}

/* There is something with this hash. */
static void mark6(struct reef_table *table, uint32_t hash)
{
    uint8_t *byte = &table->any6[hash >> 11];
    uint8_t bit = (uint8_t)(1u << ((hash >> 8) & 7));
    if (!(*byte & bit))
        __atomic_store_n(byte, (uint8_t)(*byte | bit), __ATOMIC_RELEASE);
}

static int marked6(const struct reef_table *table, uint32_t hash)
{
    return table->any6[hash >> 11] >> ((hash >> 8) & 7) & 1;
}

int reef_table_add6(struct reef_table *table, const struct reef_prefix6 *entry, uint32_t list)
{
    struct key6 key = key6(entry->high, entry->low, entry->length);
    int status = put6(table, &key, list);
    if (status != REEF_OK)
        return status;
    uint64_t *top = cell6(table, table->index6, entry->high >> 32);
    mark6(table, reef_gate_hash6(key.high, key.low, table->fixed->seed6));
    if (entry->length > 64) {
        mark6(table, reef_gate_hash6(entry->high, 0, table->fixed->seed6));
        uint64_t *deep = cell6(table, table->deep6, entry->high);
        store64(deep, *deep | 1ull << ((128 - entry->length) & 63));
        store64(top, *top | REEF_GATE_DEEP);
    } else if (entry->length >= 32) {
        store64(top, *top | 1ull << ((64 - entry->length) & 63));
    } else {
        store64(table->wide, *table->wide | 1ull << ((64 - entry->length) & 63));
    }
    return REEF_OK;
}

int reef_table_remove6(struct reef_table *table, const struct reef_prefix6 *entry)
{
    struct key6 key = key6(entry->high, entry->low, entry->length);
    struct place6 room;
    uint32_t last, steps;
    struct place6 place = seek6(table, &key, &room, &last, &steps);
    if (place.line != NULL)
        __atomic_store_n(&place.line->kind[place.slot], 0, __ATOMIC_RELEASE);
    return REEF_OK;
}

static uint32_t list6(const struct reef_table *table, const struct key6 *key)
{
    struct place6 room;
    uint32_t last, steps;
    if (!marked6(table, reef_gate_hash6(key->high, key->low, table->fixed->seed6)))
        return 0;
    struct place6 place = seek6(table, key, &room, &last, &steps);
    return place.line != NULL ? place.line->list[place.slot] : 0;
}

uint32_t reef_table_find6(const struct reef_table *table, uint64_t high, uint64_t low)
{
    uint64_t top = *cell6(table, table->index6, high >> 32);
    uint64_t bits = (top & ~REEF_GATE_DEEP) | *table->wide;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t bit = bits & -bits;
        struct key6 key = {high & -bit, bit, REEF_GATE_SHORT6};
        uint32_t list = list6(table, &key);
        if (list != 0)
            return list;
    }
    bits = top & REEF_GATE_DEEP && marked6(table, reef_gate_hash6(high, 0, table->fixed->seed6))
               ? *cell6(table, table->deep6, high)
               : 0;
    for (; bits != 0; bits &= bits - 1) {
        uint64_t bit = bits & -bits;
        struct key6 key = {high, bit == 1 ? low : (low & -bit) | bit >> 1, bit == 1 ? REEF_GATE_WHOLE6 : REEF_GATE_LONG6};
        uint32_t list = list6(table, &key);
        if (list != 0)
            return list;
    }
    return 0;
}

/* The lines that entries will be in come from memory while those before them are put in: a large list is little else. */
void reef_table_expect4(const struct reef_table *table, const struct reef_prefix4 *entry)
{
    uint64_t key = entry->address | (uint64_t)(1u << ((32 - entry->length) & 31)) << 32;
    __builtin_prefetch(&table->lines4[reef_gate_line_of(reef_gate_hash4(key, table->fixed->seed4), table->fixed->lines4)], 1);
    __builtin_prefetch(&table->index4[entry->address >> 8], 1);
}

void reef_table_expect6(const struct reef_table *table, const struct reef_prefix6 *entry)
{
    struct key6 key = key6(entry->high, entry->low, entry->length);
    uint32_t hash = reef_gate_hash6(key.high, key.low, table->fixed->seed6);
    __builtin_prefetch(&table->lines6[reef_gate_line_of(hash, table->fixed->lines6)], 1);
    __builtin_prefetch(cell6(table, table->index6, entry->high >> 32), 1);
    if (entry->length > 64)
        __builtin_prefetch(cell6(table, table->deep6, entry->high), 1);
}
