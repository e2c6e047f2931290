/* threshold: how often an alert is told (threshold) and how often something must happen before it is one (detection_filter). */
#include <string.h>

#include "match_internal.h"

enum { LIMIT, THRESHOLD, BOTH, RATE, BACKOFF };
enum { BY_SOURCE, BY_DESTINATION, BY_BOTH, BY_RULE, BY_FLOW };

static void key_of(const reef_matcher *matcher, const reef_rule *rule, const reef_condition *condition, host_key *key)
{
    const reef_packet *packet = matcher->scene->packet;
    *key = (host_key){.kind = (uint32_t)condition->c, .number = rule->sid, .c = rule->gid, .d = packet->version};
    const uint8_t *source = matcher->turned ? packet->destination : packet->source;
    const uint8_t *destination = matcher->turned ? packet->source : packet->destination;
    if (condition->c == BY_SOURCE || condition->c == BY_BOTH)
        memcpy(key->a, source, 16);
    if (condition->c == BY_DESTINATION)
        memcpy(key->a, destination, 16);
    if (condition->c == BY_BOTH) { /* either way round */
        bool turned = memcmp(source, destination, 16) > 0;
        memcpy(key->a, turned ? destination : source, 16);
        memcpy(key->b, turned ? source : destination, 16);
    }
    if (condition->c == BY_FLOW && matcher->scene->flow != NULL)
        memcpy(key->a, &matcher->scene->flow->id, 8);
}

/* What the policy says is counted apart from what the rule says. */
enum { OF_POLICY = 1 << 8 };

static threshold_answer ask_one(reef_matcher *matcher, const reef_rule *rule, const reef_condition *condition, uint32_t who)
{
    uint64_t now = matcher_now(matcher), span = (uint64_t)condition->b * 1000000000u, wanted = (uint64_t)condition->a;
    host_key key;
    key_of(matcher, rule, condition, &key);
    key.d |= who;
    host_entry *entry = host_table_find(matcher->counts, &key, now);
    bool fresh = entry == NULL;
    if (fresh)
        entry = host_table_make(matcher->counts, &key, now);
    if (entry == NULL)
        return THRESHOLD_TELL; /* no memory to count with: rather one alert too many */
    if (condition->base == BACKOFF) {
        if (fresh)
            entry->hold_ns = wanted;
        if (++entry->count < entry->hold_ns)
            return THRESHOLD_SILENT;
        entry->hold_ns *= condition->d > 1 ? (uint64_t)condition->d : 1;
        return THRESHOLD_TELL;
    }
    if (fresh || now > entry->since_ns + span) {
        entry->since_ns = now;
        entry->count = 0;
    }
    entry->expires_ns = entry->since_ns + span + 1;
    entry->count++;
    switch (condition->base) {
    case LIMIT:
        return entry->count <= wanted ? THRESHOLD_TELL : THRESHOLD_SILENT;
    case THRESHOLD:
        if (entry->count < wanted)
            return THRESHOLD_NO_MATCH;
        entry->count = 0;
        return THRESHOLD_TELL;
    case BOTH:
        return entry->count == wanted ? THRESHOLD_TELL : entry->count > wanted ? THRESHOLD_SILENT : THRESHOLD_NO_MATCH;
    default:
        return entry->count > wanted ? THRESHOLD_TELL : THRESHOLD_NO_MATCH;
    }
}

threshold_answer threshold_ask(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_rules *rules = matcher->rules;
    threshold_answer answer = THRESHOLD_TELL;
    if (rule->after == UINT16_MAX)
        return answer;
    const reef_block *block = &rules->block[rule->rule->block + rule->after];
    for (uint32_t i = 0; i < block->conditions && answer == THRESHOLD_TELL; i++)
        if (rules->condition[block->condition + i].op == REEF_OP_THRESHOLD)
            answer = ask_one(matcher, rule->rule, &rules->condition[block->condition + i], 0);
    return answer;
}

threshold_answer threshold_of_policy(reef_matcher *matcher, const detect_rule *rule)
{
    if (matcher->reactions == NULL)
        return THRESHOLD_TELL;
    const reef_reaction_threshold *said = reactions_threshold(matcher->reactions, rule->index, matcher->profile);
    if (said == NULL)
        return THRESHOLD_TELL;
    static const uint8_t kinds[] = {LIMIT, THRESHOLD, BOTH};
    const reef_condition condition = {.base = kinds[said->kind], .a = said->count, .b = said->seconds, .c = said->by};
    /* What it keeps quiet stops connections all the same. */
    return ask_one(matcher, rule->rule, &condition, OF_POLICY) == THRESHOLD_TELL ? THRESHOLD_TELL : THRESHOLD_SILENT;
}
