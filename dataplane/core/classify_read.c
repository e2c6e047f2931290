/* The words of a lowered policy, read within their bounds. Nothing is copied: lists point into the words. */
#include <stdlib.h>
#include <string.h>

#include "classify_internal.h"
#include "reef/flowlog.h"
#include "reef/status.h"

enum { FORMAT = 1 };

typedef struct cursor {
    const uint64_t *at, *end;
    bool bad;
} cursor;

static uint64_t next(cursor *in)
{
    if (in->at == in->end) {
        in->bad = true;
        return 0;
    }
    return *in->at++;
}

/* `count` things of `size` words; NULL when there are not so many. */
static const uint64_t *take(cursor *in, uint64_t count, size_t size)
{
    size_t left = (size_t)(in->end - in->at);
    if (count > left / size) {
        in->bad = true;
        return NULL;
    }
    const uint64_t *found = in->at;
    in->at += count * size;
    return found;
}

static range_list take_ranges(cursor *in)
{
    uint64_t count = next(in);
    return (range_list){take(in, count, RANGE_WORDS), in->bad ? 0 : (uint32_t)count};
}

static number_list take_numbers(cursor *in, uint64_t below)
{
    uint64_t count = next(in);
    const uint64_t *first = take(in, count, 1);
    for (uint64_t i = 0; !in->bad && i < count; i++)
        in->bad = first[i] >= below;
    return (number_list){first, in->bad ? 0 : (uint32_t)count};
}

static void read_rule(cursor *in, reef_policy *policy, rule *r)
{
    const uint64_t *begin = in->at;
    uint64_t flags = next(in);
    r->any_from = flags & 1;
    r->any_to = flags >> 1 & 1;
    r->action = (uint8_t)(flags >> 8 & 0xff);
    r->schedule = (uint32_t)next(in);
    r->expires = next(in);
    r->identity = (uint32_t)next(in);
    r->target_version = (uint8_t)next(in);
    uint64_t high = __builtin_bswap64(next(in)), low = __builtin_bswap64(next(in));
    memcpy(r->target, &high, 8);
    memcpy(r->target + 8, &low, 8);
    if (r->target_version == 4)
        memcpy(r->target, r->target + 12, 4), memset(r->target + 4, 0, 12);
    r->target_port = (uint16_t)next(in);
    r->from = take_numbers(in, policy->zones);
    r->to = take_numbers(in, policy->zones);
    r->source = take_ranges(in);
    r->destination = take_ranges(in);
    uint64_t keys = next(in);
    r->key = take(in, keys, KEY_WORDS);
    r->keys = in->bad ? 0 : (uint32_t)keys;
    uint64_t entries = next(in);
    r->entry = take(in, entries, ENTRY_WORDS);
    r->entries = in->bad ? 0 : (uint32_t)entries;
    r->live_source = take_numbers(in, policy->lives);
    r->live_person = take_numbers(in, policy->lives);
    r->live_destination = take_numbers(in, policy->lives);
    in->bad |= r->action > REEF_REJECTED || r->schedule > policy->schedules;
    for (uint32_t i = 0; !in->bad && i < r->keys; i++) {
        const uint64_t *key = r->key + (size_t)i * KEY_WORDS;
        in->bad = key[0] >= TRAFFICS || key[1] > key[2] || key[2] > UINT16_MAX;
    }
    r->words = begin;
    r->length = (size_t)(in->at - begin);
}

static rule *read_rules(cursor *in, reef_policy *policy, uint64_t count)
{
    if (count > MAX_RULES || count > (size_t)(in->end - in->at)) {
        in->bad = true;
        return NULL;
    }
    rule *rules = calloc(count + 1, sizeof *rules);
    for (uint64_t i = 0; rules != NULL && !in->bad && i < count; i++)
        read_rule(in, policy, &rules[i]);
    return rules;
}

static int read_zones(cursor *in, reef_policy *policy)
{
    uint64_t zones = next(in);
    if (zones == 0 || zones > MAX_ZONES)
        return REEF_FORMAT;
    policy->zones = (uint32_t)zones;
    policy->zone = calloc(zones, sizeof *policy->zone);
    if (policy->zone == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < zones; i++) {
        policy->zone[i].present = next(in) != 0;
        policy->zone[i].antispoofing = next(in) != 0;
        policy->zone[i].network = take_ranges(in);
    }
    return REEF_OK;
}

static int read_lists(cursor *in, uint32_t *count, range_list **out, size_t size)
{
    uint64_t lists = next(in);
    if (lists > (size_t)(in->end - in->at))
        return REEF_FORMAT;
    *out = calloc(lists + 1, sizeof **out);
    if (*out == NULL)
        return REEF_NOMEM;
    *count = (uint32_t)lists;
    for (uint32_t i = 0; i < lists && !in->bad; i++) {
        uint64_t length = next(in);
        (*out)[i] = (range_list){take(in, length, size), in->bad ? 0 : (uint32_t)length};
    }
    return REEF_OK;
}

int reef_policy_read(reef_policy *policy)
{
    cursor in = {policy->words, policy->words + policy->count, false};
    if (next(&in) != FORMAT || in.bad)
        return REEF_FORMAT;
    uint64_t rules = next(&in), translations = next(&in);
    int status = read_zones(&in, policy);
    if (status == REEF_OK)
        status = read_lists(&in, &policy->schedules, &policy->schedule, 2);
    if (status == REEF_OK)
        status = read_lists(&in, &policy->lives, &policy->live, RANGE_WORDS);
    if (status != REEF_OK || in.bad)
        return status != REEF_OK ? status : REEF_FORMAT;
    uint64_t routes = next(&in);
    policy->route = take(&in, routes, ROUTE_WORDS);
    policy->routes = in.bad ? 0 : (uint32_t)routes;
    for (uint32_t i = 0; i < policy->routes; i++)
        in.bad |= policy->route[(size_t)i * ROUTE_WORDS + RANGE_WORDS] >= policy->zones;
    policy->translation = read_rules(&in, policy, translations);
    policy->translations = (uint32_t)translations;
    policy->frame = (size_t)(in.at - policy->words);
    policy->rule = read_rules(&in, policy, rules);
    policy->rules = (uint32_t)rules;
    if (in.bad || in.at != in.end)
        return REEF_FORMAT;
    return policy->rule != NULL && policy->translation != NULL ? REEF_OK : REEF_NOMEM;
}
