/* flow_state: what rules remember of a flow (flowbits, flowints) and ask of it (age, packets, protocol, sizes). */
#include <string.h>

#include "match_internal.h"

enum { ISSET, ISNOTSET, SET, UNSET, TOGGLE };

flow_state *flow_state_of(reef_matcher *matcher, reef_flow *flow)
{
    if (flow->match == NULL)
        flow->match = reef_memory_get(matcher->memory, sizeof(flow_state));
    return flow->match;
}

void flow_state_free(reef_matcher *matcher, flow_state *state)
{
    reef_memory_give(matcher->memory, state->bits, state->bit_words * sizeof *state->bits);
    reef_memory_give(matcher->memory, state->number, state->numbers * sizeof *state->number);
    reef_memory_give(matcher->memory, state, sizeof *state);
}

static bool grow_bits(reef_matcher *matcher, flow_state *state, uint32_t slot)
{
    if (slot / 64 < state->bit_words)
        return true;
    uint32_t words = (slots_count(matcher->slots) + 63) / 64;
    uint64_t *grown = reef_memory_get(matcher->memory, words * sizeof *grown);
    if (grown == NULL)
        return false;
    if (state->bits != NULL)
        memcpy(grown, state->bits, state->bit_words * sizeof *grown);
    reef_memory_give(matcher->memory, state->bits, state->bit_words * sizeof *grown);
    state->bits = grown;
    state->bit_words = words;
    return true;
}

static bool bit_is_set(const flow_state *state, uint32_t slot)
{
    return state != NULL && slot / 64 < state->bit_words && (state->bits[slot / 64] >> (slot & 63) & 1);
}

bool flowbit_is_set(reef_matcher *matcher, uint32_t name)
{
    return bit_is_set(matcher->state, matcher->slot[name]);
}

static uint32_t name_count(const reef_condition *condition)
{
    return condition->text.length > 0 ? condition->text.length / 4 : 1;
}

static uint32_t name_at(const reef_matcher *matcher, const reef_condition *condition, uint32_t i)
{
    uint32_t name = (uint32_t)condition->a;
    if (condition->text.length > 0)
        memcpy(&name, matcher->rules->text + condition->text.at + 4 * (size_t)i, 4);
    return name;
}

static bool flowbits_condition(reef_matcher *matcher, const reef_condition *condition)
{
    bool any = false;
    if (matcher->scene->flow == NULL)
        return false;
    if (condition->base > ISNOTSET)
        return true; /* done on the match */
    for (uint32_t i = 0; i < name_count(condition) && !any; i++)
        any = flowbit_is_set(matcher, name_at(matcher, condition, i)) == (condition->base == ISSET);
    return any;
}

static bool flowint_value(const reef_matcher *matcher, uint32_t name, uint32_t *value)
{
    uint32_t slot = matcher->slot[name];
    if (!bit_is_set(matcher->state, slot) || slot >= matcher->state->numbers)
        return false;
    *value = matcher->state->number[slot];
    return true;
}

static bool flowint_store(reef_matcher *matcher, uint32_t name, uint32_t value)
{
    flow_state *state = matcher->state;
    uint32_t slot = matcher->slot[name];
    if (!grow_bits(matcher, state, slot))
        return false;
    if (slot >= state->numbers) {
        uint32_t numbers = slots_count(matcher->slots);
        uint32_t *grown = reef_memory_get(matcher->memory, numbers * sizeof *grown);
        if (grown == NULL)
            return false;
        if (state->number != NULL)
            memcpy(grown, state->number, state->numbers * sizeof *grown);
        reef_memory_give(matcher->memory, state->number, state->numbers * sizeof *grown);
        state->number = grown;
        state->numbers = numbers;
    }
    state->number[slot] = value;
    state->bits[slot / 64] |= 1ull << (slot & 63);
    return true;
}

/* As Suricata does, a flowint is changed where it stands in the rule, not when all of the rule has matched. */
static bool flowint_condition(reef_matcher *matcher, const reef_condition *condition)
{
    uint32_t value = 0, operand = (uint32_t)condition->b;
    if (matcher->scene->flow == NULL || matcher->state == NULL)
        return false;
    bool known = flowint_value(matcher, (uint32_t)condition->a, &value);
    if (condition->flags & REEF_C_B_VARIABLE && !flowint_value(matcher, (uint32_t)condition->b, &operand))
        return false;
    switch (condition->base) {
    case 0: return known;
    case 1: return !known;
    case '+': return flowint_store(matcher, (uint32_t)condition->a, value + operand);
    case '-': return known && flowint_store(matcher, (uint32_t)condition->a, value - operand);
    case '=': return flowint_store(matcher, (uint32_t)condition->a, operand);
    default: return known && number_compares(value, condition->compare, operand, 0);
    }
}

static uint64_t packets_or_bytes(const reef_flow *flow, unsigned op, unsigned direction)
{
    return op == REEF_OP_FLOW_PKTS ? flow->packets[direction] : flow->bytes[direction];
}

static bool counts_hold(const reef_flow *flow, const reef_condition *condition)
{
    uint64_t to_server = packets_or_bytes(flow, condition->op, REEF_TO_SERVER), to_client = packets_or_bytes(flow, condition->op, REEF_TO_CLIENT);
    switch (condition->base) {
    case 0: return number_compares(to_server, condition->compare, condition->a, condition->b);
    case 1: return number_compares(to_client, condition->compare, condition->a, condition->b);
    case 2:
        return number_compares(to_server, condition->compare, condition->a, condition->b) ||
               number_compares(to_client, condition->compare, condition->a, condition->b);
    default: return number_compares(to_server + to_client, condition->compare, condition->a, condition->b);
    }
}

static bool stream_size_holds(const reef_flow *flow, const reef_condition *condition)
{
    if (flow->tcp == NULL)
        return false;
    bool client = number_compares(reef_tcp_stream_size(flow, REEF_TO_SERVER), condition->compare, condition->a, condition->b);
    bool server = number_compares(reef_tcp_stream_size(flow, REEF_TO_CLIENT), condition->compare, condition->a, condition->b);
    switch (condition->base) {
    case 0: return server;
    case 1: return client;
    case 2: return server && client;
    default: return server || client;
    }
}

static bool names(const reef_condition *condition, unsigned protocol)
{
    return protocol < 64 && ((uint64_t)condition->a >> protocol & 1);
}

static unsigned number_of(const reef_protocol *protocol)
{
    return protocol != NULL ? reef_protocol_number(protocol) : 0;
}

static bool protocol_holds(const reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition)
{
    const reef_session *session = matcher->scene->session;
    bool negated = condition->flags & REEF_C_NEGATED, failed = condition->a & 1;
    if (session == NULL)
        return false;
    bool gave_up = session->flags & REEF_SESSION_FAILED;
    if (rule->detection_only && (matcher->state == NULL || !matcher->state->told_now))
        return false;
    unsigned whole = number_of(session->protocol), side[2] = {number_of(session->seen[0]), number_of(session->seen[1])};
    switch (condition->base) {
    case 1:
        if (whole == 0 && !gave_up)
            return false;
        return (names(condition, whole) || (failed && gave_up)) != negated;
    case 2: {
        unsigned first = session->before != NULL ? number_of(session->before) : whole;
        if (first == 0 && !gave_up)
            return false;
        return (names(condition, first) || (failed && gave_up)) != negated;
    }
    case 3:
    case 4: {
        unsigned seen = side[condition->base - 3];
        if (seen == 0 && !gave_up)
            return false;
        return ((seen != 0 && names(condition, seen)) || (failed && seen == 0)) != negated;
    }
    case 5:
        if (side[0] == 0 && side[1] == 0 && !gave_up)
            return false;
        return ((side[0] != 0 && names(condition, side[0])) || (side[1] != 0 && names(condition, side[1])) || (failed && gave_up)) != negated;
    default: {
        unsigned seen = whole != 0 ? whole : side[matcher->direction];
        if (seen == 0 && !gave_up)
            return false;
        return ((seen != 0 && names(condition, seen)) || (failed && seen == 0 && gave_up)) != negated;
    }
    }
}

bool flow_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition)
{
    const reef_flow *flow = matcher->scene->flow;
    if (condition->op == REEF_OP_XBITS || condition->op == REEF_OP_HOSTBITS)
        return hostbits_condition(matcher, condition, false);
    if (flow == NULL)
        return false;
    switch (condition->op) {
    case REEF_OP_FLOWBITS:
        return flowbits_condition(matcher, condition);
    case REEF_OP_FLOWINT:
        return flowint_condition(matcher, condition);
    case REEF_OP_STREAM_SIZE:
        return stream_size_holds(flow, condition);
    case REEF_OP_APP_PROTOCOL:
        return protocol_holds(matcher, rule, condition);
    case REEF_OP_FLOW_AGE:
        return number_compares((flow->last_ns - flow->first_ns) / 1000000000u, condition->compare, condition->a, condition->b);
    default:
        return counts_hold(flow, condition);
    }
}

void flow_after(reef_matcher *matcher, const reef_condition *condition)
{
    flow_state *state = matcher->state;
    if (condition->op == REEF_OP_XBITS || condition->op == REEF_OP_HOSTBITS) {
        hostbits_condition(matcher, condition, true);
        return;
    }
    if (matcher->scene->flow == NULL || state == NULL)
        return;
    if (condition->op == REEF_OP_FLOWINT) {
        flowint_condition(matcher, condition);
        return;
    }
    for (uint32_t i = 0; condition->base > ISNOTSET && i < name_count(condition); i++) {
        uint32_t slot = matcher->slot[name_at(matcher, condition, i)];
        if (!grow_bits(matcher, state, slot))
            return;
        uint64_t bit = 1ull << (slot & 63);
        if (condition->base == SET)
            state->bits[slot / 64] |= bit;
        else if (condition->base == UNSET)
            state->bits[slot / 64] &= ~bit;
        else
            state->bits[slot / 64] ^= bit;
    }
}
