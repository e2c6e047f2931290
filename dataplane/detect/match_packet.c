/* match_packet: rules against the packet at hand and against new bytes of its stream. */
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "groups.h"
#include "plan.h"

bool rule_packet_blocks_hold(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        reef_buffer buffer;
        if (block->after || block->buffer == REEF_BUFFER_PAYLOAD || block->buffer == REEF_BUFFER_BASE64_DATA ||
            reef_buffer_flags(block->buffer) & REEF_BUFFER_PDU || rules_is_transaction_buffer(block->buffer))
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
    memset(matcher->variable, 0, rule->rule->variables * sizeof *matcher->variable);
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

static void keep_stream(reef_matcher *matcher, int direction, const reef_raw *raw)
{
    uint32_t length = raw->bytes.length < REEF_KEPT_STREAM_MAX ? raw->bytes.length : REEF_KEPT_STREAM_MAX;
    if (matcher->kept[direction] == NULL && (matcher->kept[direction] = malloc(REEF_KEPT_STREAM_MAX)) == NULL)
        return;
    memcpy(matcher->kept[direction], raw->bytes.data, length);
    matcher->kept_length[direction] = length;
    matcher->kept_offset[direction] = raw->offset;
}

bool kept_stream_holds(reef_matcher *matcher, const detect_rule *rule)
{
    const reef_packet *packet = matcher->scene->packet;
    int direction = matcher->direction;
    reef_buffer payload = {.bytes = {matcher->kept[direction], matcher->kept_length[direction]}, .offset = matcher->kept_offset[direction]};
    if (payload.bytes.length == 0 && !matcher->turned)
        payload = (reef_buffer){.bytes = {packet->payload, packet->payload_length}, .end = true};
    return payload.bytes.length > 0 && payload_blocks_hold(matcher, rule, &payload, false);
}

/* The number of the application protocol that rules are held against, 0: none. What a TCP packet itself tells is known from the next
 * one on, unless packets can be stopped: see is_late in alerts.c. */
static unsigned app_of(reef_matcher *matcher, bool stream)
{
    const reef_session *session = matcher->scene->session;
    if (session == NULL)
        return 0;
    if (!stream && !matcher->options.act && matcher->scene->packet->protocol == REEF_PROTO_TCP)
        return matcher->state != NULL ? matcher->state->app[matcher->direction] : 0;
    const reef_protocol *protocol = session->protocol != NULL ? session->protocol : session->seen[matcher->direction];
    return protocol != NULL ? matcher_number(matcher, protocol) : 0;
}

/* Is the flow of a protocol the rule is for? */
static bool app_holds(reef_matcher *matcher, const reef_rule *rule, bool stream)
{
    unsigned app = rule->apps != 0 ? app_of(matcher, stream) : 0;
    return rule->apps == 0 || (app != 0 && rule->apps >> app & 1);
}

static void conclude(reef_matcher *matcher, const detect_rule *rule, uint32_t rank, bool stream)
{
    rank_set_add(&matcher->matched, rank);
    rule_after(matcher, rule);
    alert_queue(matcher, rank, NULL, false, stream);
}

/* --- rules that wait for flowbits ---------------------------------------------------------------------- */

/* The rest of the rule is asked when all rules of the packet are, in their order: as long as a flowbit is missing that may come by
 * then, but mostly does not, there is no use in looking at the payload. One stretch of a packet can be kept for that. */
static bool may_wait(const reef_matcher *matcher, const detect_rule *rule)
{
    return rule->flowbits != UINT32_MAX && rule->kind != RULE_TRANSACTION && !matcher->turned && !matcher->options.plain && matcher->waiting_raw.bytes.length == 0;
}

static bool flowbits_hold(reef_matcher *matcher, const detect_rule *rule)
{
    return flow_condition(matcher, rule, &matcher->rules->condition[rule->flowbits]);
}

static void keep_for_waiting(reef_matcher *matcher, const reef_raw *raw)
{
    matcher->waiting_raw = *raw;
    matcher->waiting_raw.bytes.data = matcher->waiting;
    memcpy(matcher->waiting, raw->bytes.data, raw->bytes.length);
}

static bool waiting_holds(reef_matcher *matcher, const detect_rule *rule)
{
    reef_buffer payload = {.bytes = matcher->waiting_raw.bytes, .offset = matcher->waiting_raw.offset};
    matcher->fresh = matcher->waiting_raw.fresh;
    return flowbits_hold(matcher, rule) && stream_blocks_hold(matcher, rule, &payload);
}

static void end_waiting(reef_matcher *matcher)
{
    rank_set_clear(&matcher->stream_held);
    rank_set_clear(&matcher->stream_waiting);
    matcher->waiting_raw.bytes.length = 0;
}

/* --- one rule -------------------------------------------------------------------------------------------- */

/* Whether payload blocks hold in the stream; the rest of the rule is asked when all rules of the packet are, in their order. */
static void try_stream(reef_matcher *matcher, uint32_t rank, const reef_buffer *payload)
{
    const detect_rule *rule = &matcher->rules->ranked[rank];
    bool state = rule->kind == RULE_TRANSACTION;
    if (!(rule->directions >> matcher->direction & 1) || !app_holds(matcher, rule->rule, true) || !header_holds(matcher, rule))
        return;
    if (may_wait(matcher, rule) && payload->bytes.length <= REEF_KEPT_STREAM_MAX && !flowbits_hold(matcher, rule)) {
        rank_set_add(&matcher->stream_waiting, rank);
        return;
    }
    if (!stream_blocks_hold(matcher, rule, payload))
        return;
    if (state)
        rank_set_add(&matcher->payload_held, rank);
    else if (!matcher->turned)
        rank_set_add(&matcher->stream_held, rank);
    else if (rule_packet_blocks_hold(matcher, rule))
        conclude(matcher, rule, rank, true);
}

/* One rule against the packet; `payload` NULL: there is none to look at. */
static void try_rule(reef_matcher *matcher, uint32_t rank, const reef_buffer *payload)
{
    const detect_rule *rule = &matcher->rules->ranked[rank];
    bool waits = rank_set_has(&matcher->stream_waiting, rank);
    bool stream = rank_set_has(&matcher->stream_held, rank) || (waits && waiting_holds(matcher, rule));
    if (waits && !stream && !(rule->payload & PAYLOAD_PACKET) && matcher->scene->streamed)
        return; /* it is not asked of the packet */
    if (!(rule->directions >> matcher->direction & 1) && matcher->scene->flow != NULL)
        return;
    if (!app_holds(matcher, rule->rule, stream) || !header_holds(matcher, rule))
        return;
    if (rule->kind == RULE_TRANSACTION) { /* the rest is asked of the transaction */
        if (payload != NULL && payload_blocks_hold(matcher, rule, payload, true))
            rank_set_add(&matcher->payload_held, rank);
        return;
    }
    if (!rule_packet_blocks_hold(matcher, rule))
        return;
    if (rule->has_payload && !stream && (payload == NULL || !payload_blocks_hold(matcher, rule, payload, true)))
        return;
    conclude(matcher, rule, rank, stream);
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

/* Those of a list that can hold for the flow. */
static void add_group(reef_matcher *matcher, const rank_list *list, unsigned app)
{
    add_list(&matcher->candidates, groups_list(matcher->groups, match_group(matcher), list, matcher->direction, app));
}

/* Those of a list whose ports are the packet's. */
static void add_by_ports(reef_matcher *matcher, const rank_list *list, unsigned app)
{
    if (match_group(matcher) != NULL) {
        add_group(matcher, list, app);
        return;
    }
    const reef_rules *rules = matcher->rules;
    const reef_packet *packet = matcher->scene->packet;
    uint16_t from = matcher->turned ? packet->destination_port : packet->source_port;
    uint16_t to = matcher->turned ? packet->source_port : packet->destination_port;
    for (uint32_t i = 0; i < list->count; i++) {
        const reef_rule *rule = rules->ranked[list->rank[i]].rule;
        if (port_in_set(rules, rule->destination_port, to) && port_in_set(rules, rule->source_port, from))
            rank_set_add(&matcher->candidates, list->rank[i]);
    }
}

static unsigned transport_of(const reef_packet *packet)
{
    return packet->protocol == REEF_PROTO_TCP ? TRANSPORT_TCP : packet->protocol == REEF_PROTO_UDP ? TRANSPORT_UDP : TRANSPORT_OTHER;
}

static void try_candidates(reef_matcher *matcher, const reef_buffer *payload)
{
    rank_set *set = &matcher->candidates;
    rank_set_sort(set);
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t began = cost_begin(matcher);
        try_rule(matcher, set->rank[i], payload);
        cost_end(matcher, set->rank[i], began);
    }
    rank_set_clear(set);
}

static void try_streams(reef_matcher *matcher, const reef_buffer *payload)
{
    rank_set *set = &matcher->candidates;
    rank_set_sort(set);
    for (uint32_t i = 0; i < set->count; i++) {
        uint64_t began = cost_begin(matcher);
        try_stream(matcher, set->rank[i], payload);
        cost_end(matcher, set->rank[i], began);
    }
    rank_set_clear(set);
}

static void look_for(reef_matcher *matcher, const scanner *whole, unsigned app, reef_view bytes, uint64_t offset)
{
    const scanner *with = match_scanner(matcher, whole, app);
    if (with != NULL)
        scanner_scan(with, matcher->prefilter, bytes, offset, &matcher->candidates);
}

/* The twin of the prefilters: every rule that looks at payload this way. */
static void add_all(reef_matcher *matcher, unsigned ways, bool loose)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t rank = 0; rank < rules->header->rules; rank++) {
        const detect_rule *rule = &rules->ranked[rank];
        if (rule->has_payload && !rule->by_buffer && (rule->payload & ways || (loose && rule->payload & PAYLOAD_STREAM)))
            rank_set_add(&matcher->candidates, rank);
    }
}

void reef_match_raw(reef_matcher *matcher, int direction, const reef_raw *raw)
{
    const payload_plan *plan = &matcher->rules->plan->payload[direction][TRANSPORT_TCP];
    reef_buffer payload = {.bytes = raw->bytes, .offset = raw->offset};
    if (matcher->over || raw->fresh == 0)
        return;
    matcher->fresh = raw->fresh;
    match_turn(matcher, direction);
    if (matcher->rules->plan->keeps_stream[direction] && matcher->scene->session != NULL && matcher->scene->session->protocol != NULL)
        keep_stream(matcher, direction, raw);
    if (matcher->options.plain) {
        add_all(matcher, PAYLOAD_STREAM, false);
    } else {
        unsigned app = app_of(matcher, true);
        add_group(matcher, &plan->stream_always, app);
        add_by_ports(matcher, &plan->stream_ports, app);
        look_for(matcher, plan->stream, app, raw->bytes, raw->offset);
    }
    try_streams(matcher, &payload);
    if (matcher->stream_waiting.count > 0 && matcher->waiting_raw.bytes.length == 0)
        keep_for_waiting(matcher, raw);
    match_turn(matcher, matcher->scene->direction);
    round_end(matcher);
}

/* Candidates of the packet's own payload. */
static void look_at_payload(reef_matcher *matcher)
{
    const reef_packet *packet = matcher->scene->packet;
    const payload_plan *plan = &matcher->rules->plan->payload[matcher->direction][transport_of(packet)];
    reef_view payload = {packet->payload, packet->payload_length};
    reef_view near = {packet->payload, packet->payload_length < NEAR_BYTES ? packet->payload_length : NEAR_BYTES};
    bool loose = !matcher->scene->streamed;
    if (matcher->options.plain) {
        add_all(matcher, PAYLOAD_PACKET, loose);
        return;
    }
    unsigned app = app_of(matcher, false);
    add_group(matcher, &plan->packet_always, app);
    add_by_ports(matcher, &plan->packet_ports, app);
    look_for(matcher, plan->near, app, near, 0);
    look_for(matcher, plan->far, app, payload, 0);
    if (loose) {
        add_group(matcher, &plan->loose_always, app);
        add_by_ports(matcher, &plan->loose_ports, app);
        look_for(matcher, plan->near_loose, app, near, 0);
        look_for(matcher, plan->far_loose, app, payload, 0);
    }
}

static void look_at_events(reef_matcher *matcher)
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
}

/* Rules of nothing but addresses: once per flow and direction. */
static void look_at_addresses(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    flow_state *state = matcher->state;
    if (matcher->scene->packet->version == 0 || (state != NULL && state->ip_only_done[matcher->direction]))
        return;
    if (matcher->options.plain)
        add_list(&matcher->candidates, &plan->ip_only);
    else
        addresses_find(&plan->addresses, matcher->scene->packet, &matcher->candidates);
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

/* Those whose payload was looked at, or will be, in the stream. */
static void add_held(reef_matcher *matcher)
{
    for (uint32_t i = 0; i < matcher->stream_held.count; i++)
        rank_set_add(&matcher->candidates, matcher->stream_held.rank[i]);
    for (uint32_t i = 0; i < matcher->stream_waiting.count; i++)
        rank_set_add(&matcher->candidates, matcher->stream_waiting.rank[i]);
}

void match_streams(reef_matcher *matcher)
{
    add_held(matcher);
    try_candidates(matcher, NULL);
    end_waiting(matcher);
}

void reef_match_packet(reef_matcher *matcher)
{
    const struct detect_plan *plan = matcher->rules->plan;
    const reef_packet *packet = matcher->scene->packet;
    reef_buffer payload = {.bytes = {packet->payload, packet->payload_length}, .end = true};
    if (matcher->over || matcher->idle)
        return;
    match_turn(matcher, matcher->scene->direction);
    note_detection(matcher);
    look_at_addresses(matcher);
    unsigned app = app_of(matcher, false);
    add_group(matcher, &plan->packet[matcher->direction][transport_of(packet)], app);
    if (packet->protocol == REEF_PROTO_TCP && packet->tcp_flags & 2) /* SYN */
        add_group(matcher, &plan->opening[matcher->direction], app);
    add_held(matcher);
    if (packet->events > 0)
        look_at_events(matcher);
    /* What GRE and IP in IP carry is looked at as a packet of its own; of UDP that is only known afterwards. */
    bool carries = packet->inner.kind != REEF_INNER_NONE && packet->protocol != REEF_PROTO_UDP;
    bool looks = packet->payload_length > 0 && !carries && !(packet->flags & REEF_PACKET_NO_PAYLOAD) && inspects(matcher);
    if (looks)
        look_at_payload(matcher);
    try_candidates(matcher, looks ? &payload : NULL);
    end_waiting(matcher);
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
