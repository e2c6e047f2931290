/* dataset: sets of values, lists with reputations, lists of digests. Sets change while rules run and outlive a reload by name. */
#include <stdlib.h>
#include <string.h>

#include "match_internal.h"
#include "reef/status.h"

#define MOST_BUCKETS (1u << 22)

enum { ISSET, ISNOTSET, SET, UNSET };

typedef struct set_value {
    struct set_value *next;
    uint32_t hash;
    uint16_t length, reputation;
    uint8_t bytes[];
} set_value;

typedef struct value_set {
    set_value **bucket;
    uint32_t mask, count, limit;
    char *name;
    uint32_t name_length;
} value_set;

struct datasets {
    value_set *set;
    uint32_t count;
};

static uint32_t hash_of(const uint8_t *data, uint32_t length)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ data[i]) * 0x100000001b3ull;
    return (uint32_t)(hash ^ hash >> 29);
}

static set_value **find(const value_set *set, const uint8_t *data, uint32_t length)
{
    uint32_t hash = hash_of(data, length);
    set_value **link = &set->bucket[hash & set->mask];
    while (*link != NULL && ((*link)->hash != hash || (*link)->length != length || memcmp((*link)->bytes, data, length) != 0))
        link = &(*link)->next;
    return link;
}

/* Sets that grow while rules run stay quick; without memory for it they stay as they are. */
static void widen(value_set *set)
{
    uint32_t buckets = 2 * (set->mask + 1);
    set_value **wider = buckets <= MOST_BUCKETS ? calloc(buckets, sizeof *wider) : NULL;
    if (wider == NULL)
        return;
    for (uint32_t b = 0; b <= set->mask; b++)
        for (set_value *next, *value = set->bucket[b]; value != NULL; value = next) {
            next = value->next;
            value->next = wider[value->hash & (buckets - 1)];
            wider[value->hash & (buckets - 1)] = value;
        }
    free(set->bucket);
    set->bucket = wider;
    set->mask = buckets - 1;
}

static bool add(value_set *set, const uint8_t *data, uint32_t length, uint16_t reputation)
{
    if (length > UINT16_MAX || (set->limit > 0 && set->count >= set->limit))
        return false;
    if (*find(set, data, length) != NULL)
        return false;
    if (set->count > 2 * set->mask)
        widen(set);
    set_value **link = find(set, data, length);
    set_value *value = malloc(sizeof *value + length);
    if (value == NULL)
        return false;
    *value = (set_value){.hash = hash_of(data, length), .length = (uint16_t)length, .reputation = reputation};
    if (length > 0)
        memcpy(value->bytes, data, length);
    *link = value;
    set->count++;
    return true;
}

static int fill(value_set *set, const reef_rules *rules, const reef_dataset *from)
{
    uint32_t buckets = 256, at = 0, extra = from->reputation ? 2 : 0;
    while (buckets < from->count && buckets < MOST_BUCKETS)
        buckets *= 2;
    set->bucket = calloc(buckets, sizeof(set_value *));
    set->name = malloc(from->name.length + 1u);
    if (set->bucket == NULL || set->name == NULL)
        return REEF_NOMEM;
    set->mask = buckets - 1;
    set->limit = from->limit;
    set->name_length = from->name.length;
    memcpy(set->name, rules->text + from->name.at, from->name.length);
    const uint8_t *values = (const uint8_t *)rules->text + from->values.at;
    for (uint32_t i = 0; i < from->count; i++) {
        uint32_t length = values[at] | (uint32_t)values[at + 1] << 8;
        uint16_t reputation = 0;
        if (extra)
            reputation = (uint16_t)(values[at + 2 + length] | values[at + 3 + length] << 8);
        add(set, values + at + 2, length, reputation);
        at += 2 + length + extra;
    }
    return REEF_OK;
}

/* What was set at run time under the same name stays. */
static void inherit(value_set *set, const datasets *before)
{
    for (uint32_t i = 0; before != NULL && i < before->count; i++) {
        const value_set *old = &before->set[i];
        if (old->name_length != set->name_length || memcmp(old->name, set->name, set->name_length) != 0)
            continue;
        for (uint32_t b = 0; b <= old->mask; b++)
            for (const set_value *value = old->bucket[b]; value != NULL; value = value->next)
                add(set, value->bytes, value->length, value->reputation);
    }
}

int datasets_new(const reef_rules *rules, const datasets *before, datasets **out)
{
    datasets *sets = calloc(1, sizeof *sets);
    *out = NULL;
    if (sets == NULL)
        return REEF_NOMEM;
    sets->count = rules->header->datasets;
    sets->set = calloc(sets->count > 0 ? sets->count : 1, sizeof *sets->set);
    int status = sets->set == NULL ? REEF_NOMEM : REEF_OK;
    for (uint32_t i = 0; i < sets->count && status == REEF_OK; i++) {
        status = fill(&sets->set[i], rules, &rules->dataset[i]);
        if (status == REEF_OK)
            inherit(&sets->set[i], before);
    }
    if (status != REEF_OK) {
        datasets_free(sets);
        return status;
    }
    *out = sets;
    return REEF_OK;
}

void datasets_free(datasets *sets)
{
    if (sets == NULL)
        return;
    for (uint32_t i = 0; sets->set != NULL && i < sets->count; i++) {
        value_set *set = &sets->set[i];
        for (uint32_t b = 0; set->bucket != NULL && b <= set->mask; b++)
            for (set_value *next, *value = set->bucket[b]; value != NULL; value = next) {
                next = value->next;
                free(value);
            }
        free(set->bucket);
        free(set->name);
    }
    free(sets->set);
    free(sets);
}

static bool in_hash_list(const reef_rules *rules, const reef_hash_list *list, reef_view bytes)
{
    const uint8_t *digests = (const uint8_t *)rules->text + list->digests.at;
    uint32_t low = 0, high = list->count;
    if (bytes.length != list->width)
        return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(bytes.data, digests + (size_t)middle * list->width, list->width);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static int hex_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Sets of digests hold the bytes; a buffer may hold them as hexadecimal digits. */
static reef_view value_of(unsigned type, reef_view bytes, uint8_t digest[32])
{
    uint32_t width = type == 1 ? 16 : type == 2 ? 32 : 0;
    if (width == 0 || bytes.length != 2 * width)
        return bytes;
    for (uint32_t i = 0; i < width; i++) {
        int high = hex_of(bytes.data[2 * i]), low = hex_of(bytes.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return bytes;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return (reef_view){digest, width};
}

static bool take_out(value_set *set, reef_view bytes)
{
    set_value **link = find(set, bytes.data, bytes.length);
    set_value *gone = *link;
    if (gone == NULL)
        return false;
    *link = gone->next;
    free(gone);
    set->count--;
    return true;
}

static value_set *named(datasets *sets, reef_view name)
{
    for (uint32_t i = 0; i < sets->count; i++)
        if (sets->set[i].name_length == name.length && memcmp(sets->set[i].name, name.data, name.length) == 0)
            return &sets->set[i];
    return NULL;
}

/* The next of packed values, each behind its length of 2 bytes; false at the end, and where they are cut short. */
static bool next_value(const uint8_t *values, size_t length, size_t *at, reef_view *value)
{
    if (length - *at < 2)
        return false;
    uint32_t width = values[*at] | (uint32_t)values[*at + 1] << 8;
    if (width > length - *at - 2)
        return false;
    *value = (reef_view){values + *at + 2, width};
    *at += 2 + (size_t)width;
    return true;
}

int datasets_change(datasets *sets, reef_view name, bool out, const uint8_t *values, size_t length)
{
    value_set *set = named(sets, name);
    reef_view value;
    size_t at = 0;
    if (set == NULL)
        return REEF_END;
    while (next_value(values, length, &at, &value))
        ;
    if (at != length)
        return REEF_FORMAT;
    for (at = 0; next_value(values, length, &at, &value);) {
        if (out)
            (void)take_out(set, value);
        else if (*find(set, value.data, value.length) == NULL && !add(set, value.data, value.length, 0))
            return REEF_FULL;
    }
    return REEF_OK;
}

bool dataset_condition(datasets *sets, const reef_rules *rules, const reef_condition *condition, reef_view bytes)
{
    uint8_t digest[32];
    if (condition->op == REEF_OP_HASH_LIST)
        return in_hash_list(rules, &rules->hash_list[condition->a], bytes) != !!(condition->flags & REEF_C_NEGATED);
    value_set *set = &sets->set[condition->a];
    bytes = value_of(rules->dataset[condition->a].type, bytes, digest);
    set_value **link = find(set, bytes.data, bytes.length);
    if (condition->op == REEF_OP_DATAREP)
        return *link != NULL && number_compares((*link)->reputation, condition->compare, condition->b, 0);
    switch (condition->base) {
    case ISSET: return *link != NULL;
    case ISNOTSET: return *link == NULL;
    case SET: return add(set, bytes.data, bytes.length, 0);
    default: return take_out(set, bytes);
    }
}
