/* tag: packets that follow an alert are to be kept: of its flow, or of one of its hosts. */
#include <string.h>

#include "match_internal.h"

enum { SESSION, HOST };
enum { PACKETS, SECONDS, BYTES };
enum { RENEWED_MAX = 10 }; /* a flow that alerts all the time is not kept whole */
#define SECOND_NS 1000000000u

static void tag_begin(reef_matcher *matcher, const reef_condition *condition)
{
    const reef_packet *packet = matcher->scene->packet;
    uint64_t now = matcher_now(matcher);
    host_key key = {.kind = condition->base, .c = packet->version, .d = (uint32_t)condition->b};
    if (condition->base == SESSION) {
        if (matcher->scene->flow == NULL)
            return;
        memcpy(key.a, &matcher->scene->flow->id, 8);
    } else {
        memcpy(key.a, condition->c == 0 ? packet->source : packet->destination, 16);
    }
    host_entry *entry = host_table_find(matcher->tags, &key, now);
    if (entry != NULL && ++entry->renewed >= RENEWED_MAX)
        return;
    if (entry == NULL && (entry = host_table_make(matcher->tags, &key, now)) != NULL)
        entry->fresh = true;
    if (entry == NULL)
        return;
    entry->hold_ns = (uint64_t)condition->a;
    entry->count = 0;
    entry->since_ns = now;
    /* whole seconds, as the packets' are told apart by */
    entry->expires_ns = condition->b == SECONDS ? (now / SECOND_NS + (uint64_t)condition->a + 1) * SECOND_NS : 0;
}

void rule_tags(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_rules *rules = matcher->rules;
    if (rule->after == UINT16_MAX)
        return;
    const reef_block *block = &rules->block[rule->rule->block + rule->after];
    for (uint32_t i = 0; i < block->conditions; i++)
        if (rules->condition[block->condition + i].op == REEF_OP_TAG)
            tag_begin(matcher, &rules->condition[block->condition + i]);
}

static bool counts(reef_matcher *matcher, const host_key *key)
{
    host_entry *entry = host_table_find(matcher->tags, key, matcher_now(matcher));
    if (entry == NULL)
        return false;
    entry->count += key->d == PACKETS ? 1 : matcher->scene->packet->wire_length;
    if (entry->fresh) { /* the alert tells of this packet */
        entry->fresh = false;
        return false;
    }
    if (key->d == SECONDS || entry->count <= entry->hold_ns)
        return true;
    host_table_drop(matcher->tags, entry);
    return false;
}

bool reef_match_tagged(reef_matcher *matcher)
{
    const reef_packet *packet = matcher->scene->packet;
    bool tagged = false;
    if (host_table_count(matcher->tags) == 0 || packet->version == 0)
        return false;
    for (uint32_t metric = PACKETS; metric <= BYTES; metric++) {
        host_key key = {.kind = SESSION, .c = packet->version, .d = metric};
        if (matcher->scene->flow != NULL) {
            memcpy(key.a, &matcher->scene->flow->id, 8);
            tagged |= counts(matcher, &key);
        }
        key.kind = HOST;
        memcpy(key.a, packet->source, 16);
        tagged |= counts(matcher, &key);
        memcpy(key.a, packet->destination, 16);
        tagged |= counts(matcher, &key);
    }
    return tagged;
}
