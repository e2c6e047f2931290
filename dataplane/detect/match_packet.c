/* match_packet: rules against the packet at hand and against new bytes of its stream. */
#include "match_internal.h"
#include "plan.h"

bool rule_packet_blocks_hold(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        reef_buffer buffer;
        if (block->after || block->buffer == REEF_BUFFER_PAYLOAD || block->buffer == REEF_BUFFER_BASE64_DATA ||
            rules_is_transaction_buffer(block->buffer))
            continue;
        if (block->buffer != REEF_BUFFER_NONE) {
            if (!packet_buffer(matcher->scene.packet, block->buffer, &buffer) ||
                !transform_apply(matcher, &rules->transform[block->transform], block->transforms, &buffer) ||
                !inspect_block(matcher, rule, block, &buffer, false))
                return false;
            continue;
        }
        for (uint32_t i = 0; i < block->conditions; i++) {
            const reef_condition *condition = &rules->condition[block->condition + i];
            if (!rules_is_transaction_condition(condition) && !packet_condition(matcher, rule, condition))
                return false;
        }
    }
    return true;
}

void rule_after(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_rules *rules = matcher->rules;
    if (rule->after == UINT16_MAX)
        return;
    const reef_block *block = &rules->block[rule->rule->block + rule->after];
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        switch (condition->op) {
        case REEF_OP_FLOWBITS:
        case REEF_OP_FLOWINT:
        case REEF_OP_XBITS:
        case REEF_OP_HOSTBITS:
            flow_after(matcher, condition);
            break;
        default:
            break;
        }
    }
}

static bool payload_blocks_hold(reef_matcher *matcher, const detect_rule *rule, const reef_buffer *payload, bool packet)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        reef_buffer buffer = *payload;
        if (block->after || block->buffer != REEF_BUFFER_PAYLOAD)
            continue;
        if (!transform_apply(matcher, &rules->transform[block->transform], block->transforms, &buffer) ||
            !inspect_block(matcher, rule, block, &buffer, packet))
            return false;
    }
    return true;
}

static bool app_holds(const reef_matcher *matcher, const detect_rule *rule)
{
    const reef_session *session = matcher->scene.session;
    if (rule->rule->apps == 0)
        return true;
    if (session == NULL)
        return false;
    const reef_protocol *protocol = session->protocol != NULL ? session->protocol : session->seen[matcher->direction];
    return protocol != NULL && (rule->rule->apps >> reef_protocol_number(protocol) & 1);
}

/* One rule against packet or stream; `payload` NULL: it looks at none. */
static void try_rule(reef_matcher *matcher, uint32_t rank, const reef_buffer *payload, bool stream)
{
    const detect_rule *rule = &matcher->rules->ranked[rank];
    if (!(rule->directions >> matcher->direction & 1) && matcher->scene.flow != NULL)
        return;
    if (matcher->matched.bit[rank >> 6] >> (rank & 63) & 1)
        return;
    if (!app_holds(matcher, rule) || !header_holds(matcher, rule))
        return;
    if (rule->kind == RULE_TRANSACTION) { /* the rest is asked of the transaction */
        if (payload_blocks_hold(matcher, rule, payload, !stream))
            rank_set_add(&matcher->payload_held, rank);
        return;
    }
    if (!rule_packet_blocks_hold(matcher, rule) || (payload != NULL && !payload_blocks_hold(matcher, rule, payload, !stream)))
        return;
    rank_set_add(&matcher->matched, rank);
    rule_after(matcher, rule);
    alert_queue(matcher, rank, NULL, false, stream);
}

static bool inspects(const reef_matcher *matcher)
{
    return matcher->scene.session == NULL || !(matcher->scene.session->flags & REEF_SESSION_NO_INSPECT);
}

void reef_match_raw(reef_matcher *matcher, int direction, const reef_raw *raw)
{
    const struct detect_plan *plan = matcher->rules->plan;
    reef_buffer payload = {.bytes = raw->bytes, .offset = raw->offset};
    if (matcher->over || raw->fresh == 0 || !inspects(matcher))
        return;
    match_turn(matcher, direction);
    for (uint32_t i = 0; i < plan->payload.count; i++)
        if (matcher->rules->ranked[plan->payload.rank[i]].payload & PAYLOAD_STREAM)
            try_rule(matcher, plan->payload.rank[i], &payload, true);
    match_turn(matcher, matcher->scene.direction);
    round_end(matcher);
}

static void try_ip_only(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    flow_state *state = matcher->state;
    if (matcher->scene.packet->version == 0 || (state != NULL && state->ip_only_done[matcher->direction]))
        return;
    for (uint32_t i = 0; i < plan->ip_only.count; i++)
        try_rule(matcher, plan->ip_only.rank[i], NULL, false);
    if (state != NULL)
        state->ip_only_done[matcher->direction] = true;
}

/* Did the flow's protocol become known with this packet? */
static void note_detection(reef_matcher *matcher)
{
    const reef_session *session = matcher->scene.session;
    flow_state *state = matcher->state;
    if (state == NULL)
        return;
    bool told = session != NULL && session->flags & (REEF_SESSION_DETECTED | REEF_SESSION_FAILED);
    state->told_now = told && !state->told;
    state->told = told;
}

void reef_match_packet(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    const reef_packet *packet = matcher->scene.packet;
    if (matcher->over)
        return;
    note_detection(matcher);
    try_ip_only(matcher);
    if (packet->events > 0)
        for (uint32_t i = 0; i < plan->events.count; i++)
            try_rule(matcher, plan->events.rank[i], NULL, false);
    for (uint32_t i = 0; i < plan->packet.count; i++)
        try_rule(matcher, plan->packet.rank[i], NULL, false);
    if (packet->payload_length > 0 && !(packet->flags & REEF_PACKET_NO_PAYLOAD) && inspects(matcher)) {
        reef_buffer payload = {.bytes = {packet->payload, packet->payload_length}, .end = true};
        for (uint32_t i = 0; i < plan->payload.count; i++) {
            const detect_rule *rule = &matcher->rules->ranked[plan->payload.rank[i]];
            if (rule->payload & PAYLOAD_PACKET || !matcher->scene.streamed)
                try_rule(matcher, plan->payload.rank[i], &payload, false);
        }
    }
    round_end(matcher);
}

bool reef_match_wants_stream(const reef_matcher *matcher, const reef_flow *flow, int direction)
{
    (void)flow;
    (void)direction;
    return matcher->rules->plan->payload.count > 0;
}
