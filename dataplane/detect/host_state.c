/* host_state: a hash table of what is remembered of addresses, bounded: the entry that was touched longest ago makes room. */
#include <stdlib.h>
#include <string.h>

#include "match_internal.h"
#include "reef/status.h"

enum { NOBODY = UINT32_MAX, GROW = 256 };

struct host_table {
    host_entry *entry;
    uint32_t *bucket;
    uint32_t limit, room, used, mask;
    uint32_t free, newest, oldest;
    uint32_t live;
    uint64_t seed[2];
};

int host_table_new(uint32_t limit, const uint64_t seed[2], host_table **out)
{
    host_table *table = calloc(1, sizeof *table);
    *out = NULL;
    if (table == NULL)
        return REEF_NOMEM;
    uint32_t buckets = 1024;
    table->bucket = malloc(buckets * sizeof *table->bucket);
    if (table->bucket == NULL) {
        free(table);
        return REEF_NOMEM;
    }
    memset(table->bucket, 0xff, buckets * sizeof *table->bucket);
    table->mask = buckets - 1;
    table->limit = limit;
    table->free = table->newest = table->oldest = NOBODY;
    memcpy(table->seed, seed, sizeof table->seed);
    *out = table;
    return REEF_OK;
}

void host_table_free(host_table *table)
{
    if (table == NULL)
        return;
    free(table->entry);
    free(table->bucket);
    free(table);
}

uint32_t host_table_count(const host_table *table)
{
    return table->live;
}

static uint32_t hash_of(const host_table *table, const host_key *key)
{
    uint64_t word[sizeof *key / 8], hash = table->seed[0];
    memcpy(word, key, sizeof word);
    for (unsigned i = 0; i < sizeof word / sizeof *word; i++) {
        __uint128_t product = (__uint128_t)(hash ^ word[i]) * (table->seed[1] | 0x9e3779b97f4a7c15ull);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static void leave_order(host_table *table, const host_entry *entry)
{
    if (entry->newer != NOBODY)
        table->entry[entry->newer].older = entry->older;
    else
        table->newest = entry->older;
    if (entry->older != NOBODY)
        table->entry[entry->older].newer = entry->newer;
    else
        table->oldest = entry->newer;
}

static void enter_order(host_table *table, uint32_t index)
{
    host_entry *entry = &table->entry[index];
    entry->newer = NOBODY;
    entry->older = table->newest;
    if (table->newest != NOBODY)
        table->entry[table->newest].newer = index;
    table->newest = index;
    if (table->oldest == NOBODY)
        table->oldest = index;
}

void host_table_drop(host_table *table, host_entry *entry)
{
    uint32_t index = (uint32_t)(entry - table->entry);
    uint32_t *link = &table->bucket[entry->hash & table->mask];
    while (*link != index)
        link = &table->entry[*link].next;
    *link = entry->next;
    leave_order(table, entry);
    entry->next = table->free;
    table->free = index;
    table->live--;
}

host_entry *host_table_find(host_table *table, const host_key *key, uint64_t now_ns)
{
    if (table->live == 0)
        return NULL;
    uint32_t hash = hash_of(table, key);
    for (uint32_t i = table->bucket[hash & table->mask]; i != NOBODY; i = table->entry[i].next) {
        host_entry *entry = &table->entry[i];
        if (entry->hash != hash || memcmp(&entry->key, key, sizeof *key) != 0)
            continue;
        if (entry->expires_ns != 0 && entry->expires_ns <= now_ns) {
            host_table_drop(table, entry);
            return NULL;
        }
        return entry;
    }
    return NULL;
}

static void spread(host_table *table)
{
    uint32_t buckets = (table->mask + 1) * 4;
    uint32_t *bucket = malloc(buckets * sizeof *bucket);
    if (bucket == NULL)
        return;
    memset(bucket, 0xff, buckets * sizeof *bucket);
    free(table->bucket);
    table->bucket = bucket;
    table->mask = buckets - 1;
    for (uint32_t i = table->newest; i != NOBODY; i = table->entry[i].older) {
        uint32_t *head = &bucket[table->entry[i].hash & table->mask];
        table->entry[i].next = *head;
        *head = i;
    }
}

host_entry *host_table_make(host_table *table, const host_key *key, uint64_t now_ns)
{
    if (table->limit == 0)
        return NULL;
    host_entry *known = host_table_find(table, key, now_ns);
    if (known != NULL) {
        uint32_t index = (uint32_t)(known - table->entry);
        leave_order(table, known);
        enter_order(table, index);
        return known;
    }
    if (table->live == table->limit)
        host_table_drop(table, &table->entry[table->oldest]);
    if (table->free == NOBODY && table->used == table->room) {
        uint32_t room = table->room > 0 ? 2 * table->room : GROW;
        room = room < table->limit ? room : table->limit;
        host_entry *grown = realloc(table->entry, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        table->entry = grown;
        table->room = room;
    }
    if (table->live > 2 * table->mask)
        spread(table);
    uint32_t index = table->free;
    if (index != NOBODY)
        table->free = table->entry[index].next;
    else
        index = table->used++;
    host_entry *entry = &table->entry[index];
    *entry = (host_entry){.key = *key, .hash = hash_of(table, key)};
    uint32_t *head = &table->bucket[entry->hash & table->mask];
    entry->next = *head;
    *head = index;
    enter_order(table, index);
    table->live++;
    return entry;
}
