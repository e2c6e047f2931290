/* rules_rank: what kind each rule is, and the order in which rules are evaluated: by action (pass, drop, reject, alert), those that
 * set a flowbit before those that ask for it, then by priority and sid (Suricata's detect-engine-sigorder). */
#include <stdlib.h>

#include "reef/status.h"
#include "rules_internal.h"

bool rules_is_transaction_buffer(unsigned kind)
{
    return kind != REEF_BUFFER_BASE64_DATA && !(reef_buffer_flags(kind) & (REEF_BUFFER_PACKET | REEF_BUFFER_PDU));
}

bool rules_is_transaction_condition(const reef_condition *condition)
{
    return condition->op == REEF_OP_VALUE || (condition->op == REEF_OP_APP_EVENT && condition->a != 0);
}

static void look_at_block(detect_rule *rule, const reef_rules *rules, const reef_block *block)
{
    if (block->buffer == REEF_BUFFER_PAYLOAD)
        rule->has_payload = true;
    if (reef_buffer_flags(block->buffer) & REEF_BUFFER_PDU)
        rule->kind = RULE_PDU;
    if (rules_is_transaction_buffer(block->buffer)) {
        rule->kind = RULE_TRANSACTION;
        rule->transactions &= (uint8_t)reef_buffer_way(block->buffer);
    }
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        if (rules_is_transaction_condition(condition)) {
            rule->kind = RULE_TRANSACTION;
            if (condition->op == REEF_OP_VALUE)
                rule->transactions &= (uint8_t)reef_value_way(condition->base);
        }
        if (condition->op == REEF_OP_DECODE_EVENT)
            rule->events = true;
        if (condition->op == REEF_OP_FLOWBITS && condition->base == 0 && rule->flowbits == UINT32_MAX) /* isset */
            rule->flowbits = block->condition + i;
    }
}

static void classify(detect_rule *rule, const reef_rules *rules)
{
    const reef_rule *of = rule->rule;
    rule->kind = of->flags & REEF_RULE_IP_ONLY ? RULE_IP_ONLY : RULE_PACKET;
    rule->transactions = 3;
    rule->after = UINT16_MAX;
    rule->flowbits = UINT32_MAX;
    rule->detection_only = of->flags & REEF_RULE_PROTOCOL_ONLY;
    rule->directions = of->flags & REEF_RULE_TO_SERVER ? 1 << REEF_TO_SERVER : of->flags & REEF_RULE_TO_CLIENT ? 1 << REEF_TO_CLIENT : 3;
    rule->payload = (uint8_t)((of->flags & REEF_RULE_PAYLOAD_PACKET ? PAYLOAD_PACKET : 0) | (of->flags & REEF_RULE_PAYLOAD_STREAM ? PAYLOAD_STREAM : 0));
    for (uint16_t i = 0; i < of->blocks; i++) {
        const reef_block *block = &rules->block[of->block + i];
        if (block->after)
            rule->after = i;
        else
            look_at_block(rule, rules, block);
    }
    rule->protocol_alone = of->apps != 0 && of->blocks == (rule->after != UINT16_MAX);
    if (rule->has_payload && rule->payload == PAYLOAD_NONE)
        rule->payload = PAYLOAD_PACKET;
    rule->transactions &= rule->directions;
}

/* --- order ------------------------------------------------------------------------------------------- */

enum { BITS_NONE = 1, BITS_READ = 2, BITS_SET_READ = 3, BITS_SET = 4 };

typedef struct sort_key {
    uint8_t action, flowbits, flowint, hostbits, xbits;
    uint8_t priority;
    uint32_t sid, index;
} sort_key;

static uint8_t use_of(const reef_rules *rules, const reef_rule *rule, unsigned op)
{
    bool reads = false, sets = false;
    for (uint32_t b = 0; b < rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->block + b];
        for (uint32_t i = 0; i < block->conditions; i++) {
            const reef_condition *condition = &rules->condition[block->condition + i];
            if (condition->op != op)
                continue;
            bool changes = op == REEF_OP_FLOWINT ? condition->base == '+' || condition->base == '-' || condition->base == '=' : condition->base > 1;
            sets |= changes;
            reads |= !changes;
        }
    }
    if (reads && sets)
        return BITS_SET_READ;
    return reads ? BITS_READ : sets ? BITS_SET : BITS_NONE;
}

static int compare_keys(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->action != y->action)
        return x->action < y->action ? -1 : 1;
    if (x->flowbits != y->flowbits)
        return x->flowbits > y->flowbits ? -1 : 1;
    if (x->flowint != y->flowint)
        return x->flowint > y->flowint ? -1 : 1;
    if (x->hostbits != y->hostbits)
        return x->hostbits > y->hostbits ? -1 : 1;
    if (x->xbits != y->xbits)
        return x->xbits > y->xbits ? -1 : 1;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    if (x->sid != y->sid)
        return x->sid < y->sid ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static uint8_t order_of_action(uint8_t action)
{
    switch (action) {
    case REEF_PASS: return 0;
    case REEF_DROP: return 1;
    case REEF_ALERT: return 3;
    default: return 2;
    }
}

int rules_rank(reef_rules *rules)
{
    uint32_t count = rules->header->rules;
    sort_key *key = calloc(count + 1u, sizeof *key);
    rules->ranked = calloc(count + 1u, sizeof *rules->ranked);
    rules->rank_of = calloc(count + 1u, sizeof *rules->rank_of);
    if (key == NULL || rules->ranked == NULL || rules->rank_of == NULL) {
        free(key);
        return REEF_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const reef_rule *rule = &rules->rule[i];
        key[i] = (sort_key){.action = order_of_action(rule->action),
                            .flowbits = use_of(rules, rule, REEF_OP_FLOWBITS),
                            .flowint = use_of(rules, rule, REEF_OP_FLOWINT),
                            .hostbits = use_of(rules, rule, REEF_OP_HOSTBITS),
                            .xbits = use_of(rules, rule, REEF_OP_XBITS),
                            .priority = rule->priority,
                            .sid = rule->sid,
                            .index = i};
    }
    qsort(key, count, sizeof *key, compare_keys);
    for (uint32_t rank = 0; rank < count; rank++) {
        detect_rule *rule = &rules->ranked[rank];
        rule->index = key[rank].index;
        rule->rule = &rules->rule[rule->index];
        rules->rank_of[rule->index] = rank;
        classify(rule, rules);
    }
    free(key);
    return REEF_OK;
}
