/* A lowered policy, between the file that reads and asks it and the one that builds its tables of bits. */
#ifndef REEF_CLASSIFY_INTERNAL_H
#define REEF_CLASSIFY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/classify.h"

enum {
    TRAFFICS = 8,    /* IPv4 and IPv6, each: tcp, udp, icmp, other */
    RANGE_WORDS = 5, /* version, first (high, low), last (high, low) */
    ROUTE_WORDS = 6, /* a range and a zone */
    KEY_WORDS = 3,   /* class of traffic, first, last */
    ENTRY_WORDS = 5, /* protocol (256: every), ports, source ports */
    MAX_ZONES = 1024,
    MAX_RULES = 1 << 20,
};

typedef unsigned __int128 address_value;

typedef struct range_list {
    const uint64_t *first;
    uint32_t count;
} range_list;

typedef struct number_list {
    const uint64_t *first;
    uint32_t count;
} number_list;

typedef struct rule {
    const uint64_t *words; /* all of it, to compare */
    size_t length;
    bool any_from, any_to;
    uint8_t action;
    uint32_t schedule; /* plus one; 0: always */
    uint64_t expires;
    uint32_t identity;
    number_list from, to;
    range_list source, destination;
    const uint64_t *key, *entry;
    uint32_t keys, entries;
    number_list live_source, live_person, live_destination;
    /* Of destination NAT. */
    uint8_t target[16], target_version;
    uint16_t target_port;
    uint32_t target_place;
} rule;

/* The rows of bits of one axis: `row[i]` is which row holds on stretch i. A row begins with its summary, a bit for each
 * of its words that is not zero: of thousands of rules few speak of one address, and only their words are looked at. */
typedef struct axis {
    uint32_t *row;
    uint64_t *bits;
    uint32_t rows, room;
    /* Which rules of the group speak of a live set on this axis. */
    uint32_t *live;
    uint64_t *mention;
    uint32_t lives, stride;
} axis;

typedef struct group {
    uint32_t *rule; /* of the policy, in order */
    uint32_t rules, words, summary; /* words of bits, and of summary before them */
    bool people;
    axis source, destination, key, person;
} group;

typedef struct zone {
    bool present, antispoofing;
    range_list network;
    bool *inside; /* by place; NULL where every source may be */
} zone;

struct reef_policy {
    uint64_t *words;
    size_t count, frame; /* `frame`: the words before the filter rules */
    zone *zone;
    uint32_t zones;
    range_list *schedule, *live; /* windows are pairs of seconds */
    uint32_t schedules, lives;
    const uint64_t *route;
    uint32_t routes;
    rule *rule, *translation;
    uint32_t rules, translations;
    address_value *cut[2]; /* where stretches of IPv4 and of IPv6 begin, but for the first */
    uint32_t cuts[2];
    int32_t *zone_of_place;
    group **pair, **entering;
    uint64_t *scratch;
    uint32_t scratch_words;
};

static inline const uint64_t *reef_axis_bits(const axis *one, uint32_t stretch, const group *g)
{
    return one->bits + (size_t)one->row[stretch] * (g->summary + g->words);
}

static inline address_value reef_first_of(const uint64_t *range)
{
    return (address_value)range[1] << 64 | range[2];
}

static inline address_value reef_last_of(const uint64_t *range)
{
    return (address_value)range[3] << 64 | range[4];
}

/* Sets what `policy->words` say. REEF_FORMAT, REEF_NOMEM. */
int reef_policy_read(reef_policy *policy);
bool reef_in_policy(const reef_policy *policy, int32_t zone_number);
uint32_t reef_place_of_value(const reef_policy *policy, int six, address_value value);
/* The rules that speak of this live set, or NULL. */
const uint64_t *reef_axis_mention(const axis *one, uint32_t live);
unsigned reef_traffic_of(unsigned version, unsigned protocol);
bool reef_rule_serves(const rule *r, uint32_t from, uint32_t to);
/* The tables for the pair and class of the question; `pairs` false: for what enters from its zone, to wherever. */
int reef_group_build(const reef_policy *policy, const rule *rules, uint32_t count, const reef_question *question,
                     bool pairs, group **out);
void reef_group_free(group *g);

#endif
