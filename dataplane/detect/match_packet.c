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
            if (!packet_buffer(matcher->scene->packet, block->buffer, &buffer) ||
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

/* In a stretch of the stream of which the last `fresh` bytes are new: a rule holds for those alone, or across the border to
 * what was looked at before, but not once more for what it held for then. */
static bool stream_blocks_hold(reef_matcher *matcher, const detect_rule *rule, const reef_buffer *payload)
{
    uint32_t seen = payload->bytes.length - matcher->fresh;
    reef_buffer fresh = *payload, tail = *payload;
    fresh.bytes.data += seen;
    fresh.bytes.length -= seen;
    fresh.offset += seen;
    tail.bytes.length = seen;
    return payload_blocks_hold(matcher, rule, &fresh, false) ||
           (seen > 0 && payload_blocks_hold(matcher, rule, payload, false) && !payload_blocks_hold(matcher, rule, &tail, false));
}

static bool payload_holds(reef_matcher *matcher, const detect_rule *rule, const reef_buffer *payload, bool stream)
{
    return stream ? stream_blocks_hold(matcher, rule, payload) : payload_blocks_hold(matcher, rule, payload, true);
}

static bool app_holds(const reef_matcher *matcher, const detect_rule *rule)
{
    const reef_session *session = matcher->scene->session;
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
    if (!(rule->directions >> matcher->direction & 1) && matcher->scene->flow != NULL)
        return;
    if (matcher->matched.bit[rank >> 6] >> (rank & 63) & 1)
        return;
    if (!app_holds(matcher, rule) || !header_holds(matcher, rule))
        return;
    if (rule->kind == RULE_TRANSACTION) { /* the rest is asked of the transaction */
        if (payload_holds(matcher, rule, payload, stream))
            rank_set_add(&matcher->payload_held, rank);
        return;
    }
    if (!rule_packet_blocks_hold(matcher, rule) || (payload != NULL && !payload_holds(matcher, rule, payload, stream)))
        return;
    rank_set_add(&matcher->matched, rank);
    rule_after(matcher, rule);
    alert_queue(matcher, rank, NULL, false, stream);
}

static bool inspects(const reef_matcher *matcher)
{
    return matcher->scene->session == NULL || !(matcher->scene->session->flags & REEF_SESSION_NO_INSPECT);
}

static void add_list(rank_set *set, const rank_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        rank_set_add(set, list->rank[i]);
}

static unsigned transport_of(const reef_packet *packet)
{
    return packet->protocol == REEF_PROTO_TCP ? TRANSPORT_TCP : packet->protocol == REEF_PROTO_UDP ? TRANSPORT_UDP : TRANSPORT_OTHER;
}

static void try_candidates(reef_matcher *matcher, const reef_buffer *payload, bool stream)
{
    rank_set *set = &matcher->candidates;
    rank_set_sort(set);
    for (uint32_t i = 0; i < set->count; i++)
        try_rule(matcher, set->rank[i], payload, stream);
    rank_set_clear(set);
}

static void look_for(reef_matcher *matcher, const scanner *with, reef_view bytes, uint64_t offset)
{
    if (with != NULL)
        scanner_scan(with, matcher->prefilter, bytes, offset, &matcher->candidates);
}

/* The twin of the prefilters: every rule that looks at payload this way. */
static void try_all(reef_matcher *matcher, const reef_buffer *payload, unsigned ways, bool loose)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t rank = 0; rank < rules->header->rules; rank++) {
        const detect_rule *rule = &rules->ranked[rank];
        if (rule->has_payload && (rule->payload & ways || (loose && rule->payload & PAYLOAD_STREAM)))
            rank_set_add(&matcher->candidates, rank);
    }
    try_candidates(matcher, payload, ways == PAYLOAD_STREAM);
}

void reef_match_raw(reef_matcher *matcher, int direction, const reef_raw *raw)
{
    const payload_plan *plan = &matcher->rules->plan->payload[direction][TRANSPORT_TCP];
    reef_buffer payload = {.bytes = raw->bytes, .offset = raw->offset};
    if (matcher->over || raw->fresh == 0)
        return;
    matcher->fresh = raw->fresh;
    match_turn(matcher, direction);
    if (matcher->options.plain) {
        try_all(matcher, &payload, PAYLOAD_STREAM, false);
    } else {
        add_list(&matcher->candidates, &plan->stream_always);
        look_for(matcher, plan->stream, raw->bytes, raw->offset);
        try_candidates(matcher, &payload, true);
    }
    match_turn(matcher, matcher->scene->direction);
    round_end(matcher);
}

static void match_payload(reef_matcher *matcher)
{
    const reef_packet *packet = matcher->scene->packet;
    const payload_plan *plan = &matcher->rules->plan->payload[matcher->direction][transport_of(packet)];
    reef_buffer payload = {.bytes = {packet->payload, packet->payload_length}, .end = true};
    reef_view near = {packet->payload, packet->payload_length < NEAR_BYTES ? packet->payload_length : NEAR_BYTES};
    bool loose = !matcher->scene->streamed;
    if (matcher->options.plain) {
        try_all(matcher, &payload, PAYLOAD_PACKET, loose);
        return;
    }
    add_list(&matcher->candidates, &plan->packet_always);
    look_for(matcher, plan->near, near, 0);
    look_for(matcher, plan->far, payload.bytes, 0);
    if (loose) {
        add_list(&matcher->candidates, &plan->loose_always);
        look_for(matcher, plan->near_loose, near, 0);
        look_for(matcher, plan->far_loose, payload.bytes, 0);
    }
    try_candidates(matcher, &payload, false);
}

static void match_events(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    const reef_packet *packet = matcher->scene->packet;
    add_list(&matcher->candidates, &plan->events);
    for (unsigned n = 0; n < packet->events; n++) {
        uint32_t low = 0, high = plan->event_rules;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (plan->event[middle].event < packet->event[n])
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < plan->event_rules && plan->event[low].event == packet->event[n]; low++)
            rank_set_add(&matcher->candidates, plan->event[low].rank);
    }
    try_candidates(matcher, NULL, false);
}

static void match_addresses(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    flow_state *state = matcher->state;
    if (matcher->scene->packet->version == 0 || (state != NULL && state->ip_only_done[matcher->direction]))
        return;
    for (uint32_t i = 0; i < plan->ip_only.count; i++)
        try_rule(matcher, plan->ip_only.rank[i], NULL, false);
    if (state != NULL)
        state->ip_only_done[matcher->direction] = true;
}

/* Did the flow's protocol become known with this packet? */
static void note_detection(reef_matcher *matcher)
{
    const reef_session *session = matcher->scene->session;
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
    const reef_packet *packet = matcher->scene->packet;
    if (matcher->over)
        return;
    note_detection(matcher);
    match_addresses(matcher);
    if (packet->events > 0)
        match_events(matcher);
    const rank_list *list = &plan->packet[matcher->direction][transport_of(packet)];
    for (uint32_t i = 0; i < list->count; i++)
        try_rule(matcher, list->rank[i], NULL, false);
    /* What GRE and IP in IP carry is looked at as a packet of its own; of UDP that is only known afterwards. */
    bool carries = packet->inner.kind != REEF_INNER_NONE && packet->protocol != REEF_PROTO_UDP;
    if (packet->payload_length > 0 && !carries && !(packet->flags & REEF_PACKET_NO_PAYLOAD) && inspects(matcher))
        match_payload(matcher);
    round_end(matcher);
}

bool reef_match_wants_stream(const reef_matcher *matcher, const reef_flow *flow, int direction)
{
    const payload_plan *plan = &matcher->rules->plan->payload[direction][TRANSPORT_TCP];
    const flow_state *state = flow->match;
    if (state != NULL && state->verdict != REEF_VERDICT_ALLOW)
        return false;
    return plan->stream != NULL || plan->stream_always.count > 0;
}
