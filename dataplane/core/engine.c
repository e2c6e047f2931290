/* The data path, and the only place that calls its stages:
 *
 *     decode -> flow -> stream -> event
 *
 * Stages never call each other. */
#include "reef/engine.h"

#include <stdlib.h>
#include <string.h>

#include "reef/app.h"
#include "reef/decode.h"
#include "reef/status.h"
#include "reef/stream.h"

struct reef_config {
    reef_options options;
};

/* Packets go through the stages in small groups, so that the memory one packet needs is on its way while the
 * others are worked on: headers AHEAD of decoding, a bucket when its hash is known, its flow BEHIND that. */
enum { GROUP = 16, AHEAD = 4, BEHIND = 4 };

struct reef_worker {
    const reef_config *config;
    reef_flows *flows;
    reef_streams *streams;
    reef_events *events;
    reef_app_transaction transaction;
    reef_counters counters;
    reef_packet packet[GROUP];
    reef_flow_key key[GROUP];
    uint32_t hash[GROUP];
    bool source_is_high[GROUP];
};

void reef_options_default(reef_options *options)
{
    *options = (reef_options){
        .flows = REEF_FLOWS_DEFAULT,
        .heads = REEF_HEADS_DEFAULT,
        .events = REEF_EVENTS_DEFAULT,
        .text_bytes = REEF_PAYLOAD_DEFAULT,
        .timeouts = {.tcp_new = 60, .tcp_established = 600, .tcp_closed = 10, .udp_new = 30, .udp_established = 120,
                     .icmp = 30, .other = 60},
        .report_flows = true,
        .report_apps = true,
        .report_anomalies = true,
    };
}

int reef_config_new(const reef_options *options, reef_config **out)
{
    *out = NULL;
    if (options->flows == 0 || options->flows > REEF_FLOWS_MAX)
        return REEF_INVALID;
    reef_config *config = malloc(sizeof *config);
    if (config == NULL)
        return REEF_NOMEM;
    config->options = *options;
    *out = config;
    return REEF_OK;
}

void reef_config_free(reef_config *config)
{
    free(config);
}

int reef_worker_new(const reef_config *config, reef_worker **out)
{
    const reef_options *options = &config->options;
    *out = NULL;
    reef_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return REEF_NOMEM;
    worker->config = config;
    int status = reef_flows_new(options->flows, &options->timeouts, options->seed, options->by_interface, &worker->flows);
    if (status == REEF_OK)
        status = reef_streams_new(options->heads, &worker->streams);
    if (status == REEF_OK)
        status = reef_events_new(options->events, options->text_bytes, &worker->events);
    if (status != REEF_OK) {
        reef_worker_free(worker);
        return status;
    }
    *out = worker;
    return REEF_OK;
}

void reef_worker_free(reef_worker *worker)
{
    if (worker == NULL)
        return;
    reef_events_free(worker->events);
    reef_streams_free(worker->streams);
    reef_flows_free(worker->flows);
    free(worker);
}

reef_events *reef_worker_events(reef_worker *worker)
{
    return worker->events;
}

/* --- event ----------------------------------------------------------------------------------------- */

static void endpoints_of_packet(reef_event *event, const reef_packet *packet)
{
    event->packet = packet->number;
    event->interface = packet->interface;
    event->way = packet->way;
    event->version = packet->version;
    event->protocol = packet->protocol;
    event->source_port = packet->source_port;
    event->destination_port = packet->destination_port;
    event->icmp_type = packet->icmp_type;
    event->icmp_code = packet->icmp_code;
    event->vlans = packet->vlans;
    memcpy(event->vlan, packet->vlan, sizeof event->vlan);
    memcpy(event->source, packet->source, 16);
    memcpy(event->destination, packet->destination, 16);
}

/* The client is the source. */
static void endpoints_of_flow(reef_event *event, const reef_flow *flow)
{
    const reef_flow_key *key = &flow->key;
    bool high = flow->client_is_high;
    event->flow_id = flow->id;
    event->interface = flow->interface;
    event->way = flow->way;
    event->version = key->version;
    event->protocol = key->protocol;
    event->source_port = high ? key->high_port : key->low_port;
    event->destination_port = high ? key->low_port : key->high_port;
    event->icmp_type = flow->icmp_type;
    event->icmp_code = flow->icmp_code;
    event->vlans = (uint8_t)((key->vlan[0] != 0) + (key->vlan[1] != 0));
    memcpy(event->vlan, key->vlan, sizeof key->vlan);
    memcpy(event->source, high ? key->high : key->low, 16);
    memcpy(event->destination, high ? key->low : key->high, 16);
}

static bool is_reported(const reef_worker *worker, uint8_t way)
{
    return !worker->config->options.only_entering || way != REEF_WAY_OUT;
}

static void report_anomalies(reef_worker *worker, const reef_packet *packet)
{
    if (!worker->config->options.report_anomalies || !is_reported(worker, packet->way))
        return;
    for (unsigned i = 0; i < packet->events; i++) {
        reef_json text;
        reef_event *event = reef_events_begin(worker->events, packet->time_ns, &text);
        if (event == NULL)
            return;
        event->kind = REEF_EVENT_ANOMALY;
        event->code = packet->event[i];
        endpoints_of_packet(event, packet);
        reef_events_commit(worker->events, event, &text);
    }
}

static void report_flow(reef_worker *worker, const reef_flow *flow, reef_flow_end end)
{
    reef_json text;
    if (!worker->config->options.report_flows || !is_reported(worker, flow->way))
        return;
    reef_event *event = reef_events_begin(worker->events, flow->last_ns, &text);
    if (event == NULL)
        return;
    event->kind = REEF_EVENT_FLOW;
    endpoints_of_flow(event, flow);
    event->start_ns = flow->first_ns;
    event->app = flow->app;
    event->state = flow->state;
    event->tcp_state = flow->tcp_state;
    event->end = (uint8_t)end;
    for (int d = 0; d < 2; d++) {
        event->bytes[d] = flow->bytes[d];
        event->packets[d] = flow->packets[d];
        event->tcp_flags[d] = flow->tcp_flags[d];
    }
    reef_events_commit(worker->events, event, &text);
}

static void report_transaction(reef_worker *worker, reef_flow *flow, const reef_packet *packet)
{
    reef_json text;
    if (flow->transactions == REEF_APP_TRANSACTIONS_MAX)
        return;
    flow->transactions++;
    worker->counters.transactions++;
    reef_event *event = reef_events_begin(worker->events, packet->time_ns, &text);
    if (event == NULL)
        return;
    event->kind = REEF_EVENT_APP;
    event->app = flow->app;
    endpoints_of_flow(event, flow);
    event->packet = packet->number;
    reef_app_by_number(flow->app)->write(&worker->transaction, &text);
    if (!text.full) /* a text that does not fit is never half written: the parsers' bounds keep it from being so */
        reef_events_commit(worker->events, event, &text);
}

/* --- application layer ----------------------------------------------------------------------------- */

/* Ask the flow's protocol, or each one in turn while it is not known. */
static reef_app_answer ask_protocols(reef_worker *worker, reef_flow *flow, const reef_app_input *input)
{
    if (flow->app != 0)
        return reef_app_by_number(flow->app)->parse(input, &worker->transaction);
    bool more = false;
    for (unsigned number = 1; number <= reef_app_count(); number++) {
        const reef_app_protocol *protocol = reef_app_by_number(number);
        if (protocol->ip_protocol != flow->key.protocol)
            continue;
        reef_app_answer answer = protocol->parse(input, &worker->transaction);
        if (answer == REEF_APP_NOT_THIS)
            continue;
        if (answer == REEF_APP_MORE) {
            more = true;
            continue;
        }
        flow->app = (uint8_t)number;
        return answer;
    }
    return more ? REEF_APP_MORE : REEF_APP_NOT_THIS;
}

static void inspect_datagram(reef_worker *worker, reef_flow *flow, int direction, const reef_packet *packet)
{
    if (flow->app_tried[direction] || packet->payload_length == 0)
        return;
    reef_app_input input = {.bytes = {packet->payload, packet->payload_length},
                            .direction = direction,
                            .source_port = packet->source_port,
                            .destination_port = packet->destination_port,
                            .known = flow->app != 0};
    reef_app_answer answer = ask_protocols(worker, flow, &input);
    if (answer == REEF_APP_TRANSACTION || answer == REEF_APP_ENDED)
        report_transaction(worker, flow, packet);
    else if (flow->app == 0)
        flow->app_tried[direction] = 1;
}

static void inspect_segment(reef_worker *worker, reef_flow *flow, int direction, const reef_packet *packet)
{
    reef_app_input input = {.direction = direction,
                            .source_port = packet->source_port,
                            .destination_port = packet->destination_port,
                            .known = flow->app != 0};
    if (!reef_stream_bytes(worker->streams, flow, direction, packet, input.known, &input.bytes))
        return;
    reef_app_answer answer = ask_protocols(worker, flow, &input);
    switch (answer) {
    case REEF_APP_MORE:
        if (!reef_stream_hold(worker->streams, flow, direction, input.bytes))
            reef_stream_end(worker->streams, flow, direction);
        break;
    case REEF_APP_TRANSACTION:
        report_transaction(worker, flow, packet);
        reef_stream_drop(worker->streams, flow, direction);
        break;
    case REEF_APP_NOTHING:
        reef_stream_drop(worker->streams, flow, direction);
        break;
    case REEF_APP_ENDED:
        report_transaction(worker, flow, packet);
        reef_stream_end(worker->streams, flow, REEF_TO_SERVER);
        reef_stream_end(worker->streams, flow, REEF_TO_CLIENT);
        break;
    case REEF_APP_NOT_THIS:
        reef_stream_end(worker->streams, flow, direction);
        break;
    }
}

/* --- flow ------------------------------------------------------------------------------------------ */

static void end_flow(reef_worker *worker, reef_flow *flow, reef_flow_end end)
{
    reef_stream_end(worker->streams, flow, REEF_TO_SERVER);
    reef_stream_end(worker->streams, flow, REEF_TO_CLIENT);
    reef_flows_release(worker->flows, flow, end == REEF_FLOW_END_FORCED);
}

/* `flow` and the others whose time has run out, too. A lull in a capture lets thousands time out at once: those for
 * whose events there is no room wait. */
static __attribute__((noinline)) void end_timed_out(reef_worker *worker, reef_flow *flow, uint64_t now_ns)
{
    while (flow != NULL && !reef_events_half_full(worker->events)) {
        report_flow(worker, flow, REEF_FLOW_END_TIMEOUT);
        end_flow(worker, flow, REEF_FLOW_END_TIMEOUT);
        flow = reef_flows_timed_out(worker->flows, now_ns);
    }
}

static inline void pass_time(reef_worker *worker, uint64_t now_ns)
{
    reef_flow *flow = reef_flows_timed_out(worker->flows, now_ns);
    if (flow != NULL)
        end_timed_out(worker, flow, now_ns);
}

static reef_flow *flow_of(reef_worker *worker, const reef_packet *packet, unsigned i)
{
    reef_flow *flow = reef_flows_find(worker->flows, &worker->key[i], worker->hash[i]);
    if (flow != NULL && reef_flow_is_over(flow, packet)) {
        report_flow(worker, flow, REEF_FLOW_END_REUSED);
        end_flow(worker, flow, REEF_FLOW_END_REUSED);
        flow = NULL;
    }
    if (flow != NULL)
        return flow;
    reef_flow *victim = reef_flows_victim(worker->flows);
    if (victim != NULL) {
        report_flow(worker, victim, REEF_FLOW_END_FORCED);
        end_flow(worker, victim, REEF_FLOW_END_FORCED);
    }
    return reef_flows_add(worker->flows, packet, &worker->key[i], worker->hash[i], worker->source_is_high[i]);
}

/* One decoded packet through the stages after decode. */
static void take_packet(reef_worker *worker, const reef_packet *packet, unsigned i)
{
    pass_time(worker, packet->time_ns);
    if (packet->events > 0)
        report_anomalies(worker, packet);
    if (packet->version == 0 || packet->flags & REEF_PACKET_BAD)
        return;
    reef_flow *flow = flow_of(worker, packet, i);
    if (flow == NULL)
        return;
    int direction = reef_flows_update(worker->flows, flow, packet, worker->source_is_high[i]);
    if (!(packet->flags & REEF_PACKET_TRANSPORT) || !worker->config->options.report_apps ||
        !is_reported(worker, flow->way))
        return;
    if (packet->protocol == REEF_PROTO_TCP)
        inspect_segment(worker, flow, direction, packet);
    else if (packet->protocol == REEF_PROTO_UDP)
        inspect_datagram(worker, flow, direction, packet);
}

/* Link, network and transport header seldom end in the first cache line. */
static void prefetch_headers(const reef_frame *frame)
{
    __builtin_prefetch(frame->data);
    __builtin_prefetch(frame->data + 64);
}

static void prefetch_flow(const reef_worker *worker, size_t i)
{
    if (worker->packet[i].version != 0)
        reef_flows_prefetch_flow(worker->flows, worker->hash[i]);
}

static void decode_one(reef_worker *worker, const reef_frame *frame, size_t i)
{
    const reef_options *options = &worker->config->options;
    reef_packet *packet = &worker->packet[i];
    reef_decode(frame, packet);
    packet->number = ++worker->counters.packets;
    worker->counters.bytes += frame->length;
    worker->counters.not_ip += packet->version == 0;
    worker->counters.malformed += packet->flags & REEF_PACKET_BAD ? 1 : 0;
    worker->counters.fragments += packet->flags & REEF_PACKET_FRAGMENT ? 1 : 0;
    if (packet->version == 0)
        return;
    reef_flow_key_of(packet, options->by_interface, &worker->key[i], &worker->source_is_high[i]);
    worker->hash[i] = reef_flow_key_hash(&worker->key[i], options->seed);
    reef_flows_prefetch_bucket(worker->flows, worker->hash[i]);
}

void reef_worker_frames(reef_worker *worker, const reef_frame *frames, size_t count)
{
    for (size_t i = 0; i < AHEAD && i < count; i++)
        prefetch_headers(&frames[i]);
    for (size_t at = 0; at < count; at += GROUP) {
        size_t group = count - at < GROUP ? count - at : GROUP;
        for (size_t i = 0; i < group; i++) {
            if (at + i + AHEAD < count)
                prefetch_headers(&frames[at + i + AHEAD]);
            decode_one(worker, &frames[at + i], i);
            if (i >= BEHIND)
                prefetch_flow(worker, i - BEHIND);
        }
        for (size_t i = group < BEHIND ? 0 : group - BEHIND; i < group; i++)
            prefetch_flow(worker, i);
        for (size_t i = 0; i < group; i++)
            take_packet(worker, &worker->packet[i], (unsigned)i);
    }
}

void reef_worker_time(reef_worker *worker, uint64_t now_ns)
{
    pass_time(worker, now_ns);
}

bool reef_worker_finish(reef_worker *worker)
{
    reef_flow *flow;
    while ((flow = reef_flows_any(worker->flows)) != NULL) {
        if (!reef_events_have_room(worker->events))
            return false;
        report_flow(worker, flow, REEF_FLOW_END_SHUTDOWN);
        end_flow(worker, flow, REEF_FLOW_END_SHUTDOWN);
    }
    return true;
}

void reef_worker_count(const reef_worker *worker, reef_counters *counters)
{
    reef_flows_counters flows;
    reef_streams_counters streams;
    reef_flows_count(worker->flows, &flows);
    reef_streams_count(worker->streams, &streams);
    *counters = worker->counters;
    counters->flows_created = flows.created;
    counters->flows_ended = flows.ended;
    counters->flows_evicted = flows.evicted;
    counters->flows_refused = flows.refused;
    counters->clock_set_back = flows.clock_set_back;
    counters->flows_active = flows.active;
    counters->heads_refused = streams.refused;
    counters->heads_in_use = streams.in_use;
    counters->events_lost = reef_events_lost(worker->events);
}
