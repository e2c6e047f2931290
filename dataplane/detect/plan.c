/* plan: each rule is put where it is cheapest to find: by the rarest of its patterns, or on the shortest list that is tried
 * without one. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "choose.h"
#include "reef/status.h"

bool rank_list_add(rank_list *list, uint32_t rank)
{
    if (list->count == list->room) {
        uint32_t room = list->room > 0 ? 2 * list->room : 16;
        uint32_t *grown = realloc(list->rank, room * sizeof *grown);
        if (grown == NULL)
            return false;
        list->rank = grown;
        list->room = room;
    }
    list->rank[list->count++] = rank;
    return true;
}

/* --- building ------------------------------------------------------------------------------------------ */

typedef struct heap {
    scanner_pattern *pattern;
    uint32_t count, room;
} heap;

enum { HEAP_STREAM, HEAP_NEAR, HEAP_FAR, HEAP_NEAR_LOOSE, HEAP_FAR_LOOSE, PAYLOAD_HEAPS };

typedef struct builder {
    const reef_rules *rules;
    struct detect_plan *plan;
    heap payload[2][TRANSPORTS][PAYLOAD_HEAPS];
    heap *buffer; /* beside plan->buffer */
    uint32_t room;
    popularity *popular;
    bool failed;
} builder;

static void heap_add(builder *make, heap *on, const scanner_pattern *pattern, uint32_t rank)
{
    if (on->count == on->room) {
        uint32_t room = on->room > 0 ? 2 * on->room : 64;
        scanner_pattern *grown = realloc(on->pattern, room * sizeof *grown);
        if (grown == NULL) {
            make->failed = true;
            return;
        }
        on->pattern = grown;
        on->room = room;
    }
    on->pattern[on->count] = *pattern;
    on->pattern[on->count++].rank = rank;
}

static void list_add(builder *make, rank_list *list, uint32_t rank)
{
    make->failed |= !rank_list_add(list, rank);
}

static bool speaks(const reef_rule *rule, unsigned transport)
{
    uint64_t tcp = 1ull << REEF_PROTO_TCP, udp = 1ull << REEF_PROTO_UDP;
    switch (transport) {
    case TRANSPORT_TCP: return rule->protocols[0] & tcp;
    case TRANSPORT_UDP: return rule->protocols[0] & udp;
    default: return (rule->protocols[0] & ~(tcp | udp)) | rule->protocols[1] | rule->protocols[2] | rule->protocols[3];
    }
}

enum { BRIEF = 3, PORTS_FEW = 256 };

static bool few_ports(const reef_rules *rules, uint32_t set)
{
    uint32_t ports = 0;
    for (uint32_t k = 0; set != 0 && k < rules->port_set[set].ranges; k++) {
        const reef_port_range *range = &rules->port_range[rules->port_set[set].range + k];
        ports += (uint32_t)range->last - range->first + 1;
    }
    return set != 0 && ports <= PORTS_FEW;
}

/* Short patterns stand everywhere and are dear to look for: a rule for a few ports is rather asked for its ports. */
static bool is_by_ports(const reef_rules *rules, const detect_rule *rule, const choice *found)
{
    const scanner_pattern *pattern = &found->pattern;
    bool fixed = pattern->to != UINT32_MAX && pattern->to - pattern->from == pattern->bytes.length && !pattern->nocase;
    return found->block != NULL && pattern->bytes.length < BRIEF && !fixed && !(rule->rule->flags & REEF_RULE_BIDIRECTIONAL) &&
           (few_ports(rules, rule->rule->destination_port) || few_ports(rules, rule->rule->source_port));
}

static void place_payload(builder *make, const detect_rule *rule, uint32_t rank, const choice *found, int direction, unsigned transport)
{
    payload_plan *plan = &make->plan->payload[direction][transport];
    heap *heaps = make->payload[direction][transport];
    bool stream = rule->payload & PAYLOAD_STREAM && transport == TRANSPORT_TCP;
    bool packet = rule->payload & PAYLOAD_PACKET || transport != TRANSPORT_TCP;
    bool near = found->block != NULL && found->pattern.to <= NEAR_BYTES;
    if (is_by_ports(make->rules, rule, found)) {
        if (stream)
            list_add(make, &plan->stream_ports, rank);
        list_add(make, packet ? &plan->packet_ports : &plan->loose_ports, rank);
        return;
    }
    if (found->block == NULL) {
        if (stream)
            list_add(make, &plan->stream_always, rank);
        list_add(make, packet ? &plan->packet_always : &plan->loose_always, rank);
        return;
    }
    if (stream)
        heap_add(make, &heaps[HEAP_STREAM], &found->pattern, rank);
    if (packet)
        heap_add(make, &heaps[near ? HEAP_NEAR : HEAP_FAR], &found->pattern, rank);
    else
        heap_add(make, &heaps[near ? HEAP_NEAR_LOOSE : HEAP_FAR_LOOSE], &found->pattern, rank);
}

static bool same_transforms(const reef_rules *rules, const buffer_plan *buffer, const reef_block *block)
{
    if (buffer->transforms != block->transforms)
        return false;
    for (uint32_t i = 0; i < block->transforms; i++) {
        const reef_transform *x = &rules->transform[buffer->transform + i], *y = &rules->transform[block->transform + i];
        if (x->kind != y->kind || x->a != y->a || x->b != y->b || x->argument.length != y->argument.length ||
            memcmp(rules->text + x->argument.at, rules->text + y->argument.at, x->argument.length) != 0)
            return false;
    }
    return true;
}

static void place_buffer(builder *make, uint32_t rank, const choice *found, int direction)
{
    struct detect_plan *plan = make->plan;
    uint32_t n = 0;
    while (n < plan->buffers && (plan->buffer[n].kind != found->block->buffer || plan->buffer[n].direction != direction ||
                                 !same_transforms(make->rules, &plan->buffer[n], found->block)))
        n++;
    if (n == make->room) {
        uint32_t room = make->room > 0 ? 2 * make->room : 64;
        buffer_plan *buffer = realloc(plan->buffer, room * sizeof *buffer);
        if (buffer != NULL)
            plan->buffer = buffer;
        heap *grown = realloc(make->buffer, room * sizeof *grown);
        if (grown != NULL)
            make->buffer = grown;
        make->failed |= buffer == NULL || grown == NULL;
        if (make->failed)
            return;
        memset(grown + make->room, 0, (room - make->room) * sizeof *grown);
        make->room = room;
    }
    if (n == plan->buffers)
        plan->buffer[plan->buffers++] = (buffer_plan){.kind = found->block->buffer, .direction = (uint8_t)direction,
                                                      .transforms = (uint8_t)found->block->transforms, .transform = found->block->transform};
    heap_add(make, &make->buffer[n], &found->pattern, rank);
}

static void place_event(builder *make, const detect_rule *rule, uint32_t rank)
{
    struct detect_plan *plan = make->plan;
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &make->rules->block[rule->rule->block + b];
        for (uint32_t i = 0; i < block->conditions; i++) {
            const reef_condition *condition = &make->rules->condition[block->condition + i];
            if (condition->op != REEF_OP_DECODE_EVENT || condition->flags & REEF_C_NEGATED || block->after)
                continue;
            event_rule *grown = realloc(plan->event, (plan->event_rules + 1) * sizeof *grown);
            make->failed |= grown == NULL;
            if (grown == NULL)
                return;
            plan->event = grown;
            grown[plan->event_rules++] = (event_rule){.event = (uint32_t)condition->a, .rank = rank};
            return;
        }
    }
    list_add(make, &plan->events, rank);
}

/* Can it hold only for TCP packets with SYN? */
static bool asks_syn(const reef_rules *rules, const reef_rule *rule)
{
    enum { SYN = 2 };
    for (uint32_t b = 0; b < rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->block + b];
        for (uint32_t i = 0; i < block->conditions && !block->after && block->buffer == REEF_BUFFER_NONE; i++) {
            const reef_condition *condition = &rules->condition[block->condition + i];
            if (condition->op == REEF_OP_TCP_FLAGS && (condition->base == 0 || condition->base == '+') && condition->a & SYN &&
                !(condition->b & SYN) && !(condition->flags & REEF_C_NEGATED))
                return true;
        }
    }
    return false;
}

static int compare_events(const void *a, const void *b)
{
    const event_rule *x = a, *y = b;
    if (x->event != y->event)
        return x->event < y->event ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void place_rule(builder *make, detect_rule *rule, uint32_t rank)
{
    struct detect_plan *plan = make->plan;
    if (rule->kind == RULE_IP_ONLY) {
        list_add(make, &plan->ip_only, rank);
        return;
    }
    if (rule->kind == RULE_PDU) {
        list_add(make, &plan->pdus, rank);
        return;
    }
    if (rule->kind == RULE_PACKET && rule->events) {
        place_event(make, rule, rank);
        return;
    }
    /* A rule of both is found by its payload, which is gone when its transaction is looked at; where that has no pattern that
     * serves, by its transaction, and the stream of that packet is kept until then. */
    choice found = choose(make->rules, make->popular, rule, rule->has_payload);
    if (found.block == NULL && rule->has_payload && rule->kind == RULE_TRANSACTION) {
        found = choose(make->rules, make->popular, rule, false);
        rule->by_buffer = found.block != NULL;
    }
    plan->with_pattern += found.block != NULL;
    for (int direction = 0; direction < 2; direction++) {
        if (!(rule->directions >> direction & 1))
            continue;
        for (unsigned transport = 0; transport < TRANSPORTS; transport++) {
            if (!speaks(rule->rule, transport))
                continue;
            if (rule->has_payload && !rule->by_buffer)
                place_payload(make, rule, rank, &found, direction, transport);
            else if (rule->kind == RULE_PACKET)
                list_add(make, transport == TRANSPORT_TCP && asks_syn(make->rules, rule->rule) ? &plan->opening[direction]
                                                                                              : &plan->packet[direction][transport], rank);
        }
        if (rule->kind != RULE_TRANSACTION || (rule->has_payload && !rule->by_buffer) || !(rule->transactions >> direction & 1))
            continue;
        plan->keeps_stream[direction] |= rule->by_buffer;
        if (found.block != NULL) {
            place_buffer(make, rank, &found, direction);
            continue;
        }
        for (unsigned number = 1; number < PROTOCOLS_MAX && number <= reef_protocols_count(); number++)
            if (rule->rule->apps == 0 || rule->rule->apps >> number & 1)
                list_add(make, &plan->transaction_always[number][direction], rank);
    }
}

static int build_scanners(builder *make)
{
    struct detect_plan *plan = make->plan;
    int status = REEF_OK;
    for (int d = 0; d < 2; d++)
        for (unsigned t = 0; t < TRANSPORTS; t++) {
            payload_plan *payload = &plan->payload[d][t];
            scanner **made[PAYLOAD_HEAPS] = {&payload->stream, &payload->near, &payload->far, &payload->near_loose, &payload->far_loose};
            for (unsigned h = 0; h < PAYLOAD_HEAPS && status == REEF_OK; h++)
                status = scanner_build(make->payload[d][t][h].pattern, make->payload[d][t][h].count, made[h]);
        }
    for (uint32_t n = 0; n < plan->buffers && status == REEF_OK; n++)
        status = scanner_build(make->buffer[n].pattern, make->buffer[n].count, &plan->buffer[n].scanner);
    return status;
}

static int compare_buffers(const void *a, const void *b)
{
    const buffer_plan *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->direction != y->direction)
        return x->direction < y->direction ? -1 : 1;
    return x->transform < y->transform ? -1 : x->transform > y->transform;
}

static void index_buffers(struct detect_plan *plan)
{
    if (plan->buffers > 0)
        qsort(plan->buffer, plan->buffers, sizeof *plan->buffer, compare_buffers);
    for (uint32_t n = plan->buffers; n-- > 0;) {
        plan->buffer_first[plan->buffer[n].kind][plan->buffer[n].direction] = n;
        plan->buffer_count[plan->buffer[n].kind][plan->buffer[n].direction]++;
    }
}

static void index_protocols(struct detect_plan *plan)
{
    for (unsigned number = 1; number < PROTOCOLS_MAX && number <= reef_protocols_count(); number++) {
        const reef_protocol *protocol = reef_protocol_by_number(number);
        for (uint32_t i = 0; i < protocol->buffers_count && i < PLACES_MAX; i++) {
            const reef_protocol_buffer *known = &protocol->buffers[i];
            if (plan->buffer_count[known->kind][known->direction] > 0)
                plan->asked[number][known->direction][i / 64] |= 1ull << (i & 63);
        }
    }
}

int plan_new(const reef_rules *rules, struct detect_plan **out)
{
    struct detect_plan *plan = calloc(1, sizeof *plan);
    builder *make = calloc(1, sizeof *make);
    *out = plan;
    int status = plan == NULL || make == NULL ? REEF_NOMEM : REEF_OK;
    if (status == REEF_OK)
        status = popularity_new(rules, &make->popular);
    if (status == REEF_OK) {
        make->rules = rules;
        make->plan = plan;
        for (uint32_t rank = 0; rank < rules->header->rules && !make->failed; rank++)
            place_rule(make, &rules->ranked[rank], rank);
        status = make->failed ? REEF_NOMEM : build_scanners(make);
        index_buffers(plan);
        index_protocols(plan);
        if (status == REEF_OK)
            status = addresses_build(rules, &plan->ip_only, &plan->addresses);
        if (status == REEF_OK)
            status = group_plan_build(rules, &plan->groups);
        if (plan->event_rules > 0)
            qsort(plan->event, plan->event_rules, sizeof *plan->event, compare_events);
        for (int d = 0; d < 2; d++)
            for (unsigned t = 0; t < TRANSPORTS; t++)
                for (unsigned h = 0; h < PAYLOAD_HEAPS; h++)
                    free(make->payload[d][t][h].pattern);
        for (uint32_t n = 0; n < make->room && make->buffer != NULL; n++)
            free(make->buffer[n].pattern);
        free(make->buffer);
        popularity_free(make->popular);
    }
    free(make);
    return status;
}

static void each_scanner(struct detect_plan *plan, int (*does)(scanner *, void *), void *context)
{
    for (int d = 0; d < 2; d++)
        for (unsigned t = 0; t < TRANSPORTS; t++) {
            payload_plan *payload = &plan->payload[d][t];
            scanner *all[] = {payload->stream, payload->near, payload->far, payload->near_loose, payload->far_loose};
            for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
                if (all[i] != NULL && does(all[i], context) != REEF_OK)
                    return;
        }
    for (uint32_t n = 0; n < plan->buffers; n++)
        if (plan->buffer[n].scanner != NULL && does(plan->buffer[n].scanner, context) != REEF_OK)
            return;
}

static int give_back(scanner *gone, void *context)
{
    (void)context;
    scanner_free(gone);
    return REEF_OK;
}

typedef struct fitting {
    scanner_scratch **scratch;
    int status;
} fitting;

static int fit(scanner *of, void *context)
{
    fitting *at = context;
    return at->status = scanner_scratch_fit(of, at->scratch);
}

int plan_scratch(struct detect_plan *plan, scanner_scratch **scratch)
{
    fitting at = {.scratch = scratch, .status = REEF_OK};
    *scratch = NULL;
    each_scanner(plan, fit, &at);
    if (at.status == REEF_OK && *scratch == NULL)
        at.status = scanner_scratch_fit(NULL, scratch);
    return at.status;
}

void plan_free(struct detect_plan *plan)
{
    if (plan == NULL)
        return;
    each_scanner(plan, give_back, NULL);
    for (int d = 0; d < 2; d++) {
        free(plan->opening[d].rank);
        for (unsigned t = 0; t < TRANSPORTS; t++) {
            free(plan->packet[d][t].rank);
            free(plan->payload[d][t].stream_always.rank);
            free(plan->payload[d][t].packet_always.rank);
            free(plan->payload[d][t].loose_always.rank);
            free(plan->payload[d][t].stream_ports.rank);
            free(plan->payload[d][t].packet_ports.rank);
            free(plan->payload[d][t].loose_ports.rank);
        }
        for (unsigned n = 0; n < PROTOCOLS_MAX; n++)
            free(plan->transaction_always[n][d].rank);
    }
    addresses_free(&plan->addresses);
    group_plan_free(&plan->groups);
    free(plan->ip_only.rank);
    free(plan->pdus.rank);
    free(plan->events.rank);
    free(plan->event);
    free(plan->buffer);
    free(plan);
}
