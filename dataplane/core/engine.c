/* The data path, and the only place that calls its stages:
 *
 *     decode -> defrag -> flow -> tcp -> session -> match -> verdict -> event
 *
 * Stages never call each other. */
#include "reef/engine.h"

#include "engine_internal.h"
#include "reef/decode.h"
#include "reef/pdu.h"

/* What parsers are called with: most of it stays the same from packet to packet. */
static reef_call *call_of(reef_worker *worker, reef_flow *flow, const reef_packet *packet)
{
    reef_call *call = &worker->call;
    call->session = flow->session;
    call->flow = flow;
    call->packet = packet;
    call->time_ns = packet->time_ns;
    call->midstream = call->may_turn = call->turned = false;
    call->sheds_files = worker->pressure > 0 && reef_sheds_files(worker);
    return call;
}

void reef_worker_settle_call(reef_worker *worker)
{
    const reef_options *options = &worker->config->options;
    reef_matcher *matcher = worker->matcher;
    worker->asks |= matcher != NULL && (reef_rules_count(worker->rules) > 0 || options->match.act || options->tcp.inline_);
    worker->call = (reef_call){.memory = worker->memory,
                               .expectations = worker->expectations,
                               .files = worker->files,
                               .logs = options->report_apps,
                               .detects = worker->asks,
                               .pdus = worker->asks && reef_match_wants_pdus(matcher),
                               .matcher = matcher,
                               .forget = matcher != NULL ? reef_match_free_transaction : NULL};
}

/* --- session and stream -------------------------------------------------------------------------------- */

/* The session is made with the first bytes, or when the flow was expected. */
static void feed_session(reef_worker *worker, reef_scene *scene, int direction, const reef_chunk *chunk)
{
    reef_flow *flow = scene->flow;
    if (flow->session == NULL) {
        flow->session = reef_session_new(worker->memory);
        if (flow->session == NULL)
            return;
        reef_expectations_meet(call_of(worker, flow, scene->packet));
    }
    scene->session = flow->session;
    if (flow->session->flags & REEF_SESSION_NO_PARSE)
        return;
    reef_call *call = call_of(worker, flow, scene->packet);
    call->midstream = flow->tcp != NULL && reef_tcp_midstream(flow);
    call->may_turn = flow->key.protocol == REEF_PROTO_UDP && flow->packets[REEF_TO_CLIENT] == 0;
    reef_session_bytes(call, direction, chunk);
    if (call->turned) {
        reef_flow_turn(flow);
        scene->direction = !scene->direction;
    }
}

static bool wants_stream(const reef_worker *worker, const reef_flow *flow, int direction)
{
    if (!worker->asks || (flow->session != NULL && flow->session->flags & REEF_SESSION_NO_INSPECT))
        return false;
    return reef_match_wants_stream(worker->matcher, flow, direction);
}

static void match_raw(reef_worker *worker, const reef_scene *scene, int direction, bool flush)
{
    const reef_tcp_options *tcp = &worker->config->options.tcp;
    reef_raw raw;
    while (reef_tcp_raw(worker->memory, tcp, scene->flow, direction, flush, &raw)) {
        reef_match_raw(worker->matcher, direction, &raw);
        reef_tcp_raw_done(worker->memory, scene->flow, direction);
    }
}

/* One side of a transaction is complete, and detection has not seen it so: stream rules look at it now, too. */
static bool completes(reef_session *session, int direction)
{
    if (session == NULL || session->protocol == NULL)
        return false;
    if (session->boundary & 1u << direction) {
        session->boundary &= (uint8_t)~(1u << direction);
        return true;
    }
    for (const reef_transaction *t = session->first; t != NULL; t = t->next)
        if (t->updated[direction] && !t->told[direction] && t->progress[direction] >= session->protocol->complete[direction])
            return true;
    return false;
}

/* Everything of one direction that is in order now: to the parser, and to the stream rules, which gather while nothing asks
 * for an answer. */
static void inspect_bytes(reef_worker *worker, reef_scene *scene, int direction)
{
    const reef_tcp_options *tcp = &worker->config->options.tcp;
    reef_flow *flow = scene->flow;
    reef_chunk chunk;
    while (reef_tcp_next(worker->memory, tcp, flow, direction, scene->packet, &chunk)) {
        bool wanted = wants_stream(worker, flow, direction);
        feed_session(worker, scene, direction, &chunk);
        bool goes_on = wanted && wants_stream(worker, flow, direction);
        if (wanted) { /* what came before the parser said that nothing more is to be seen is looked at still */
            reef_tcp_raw_add(worker->memory, tcp, flow, direction, &chunk);
            match_raw(worker, scene, direction,
                      chunk.end || scene->ends || !goes_on || tcp->inline_ || completes(flow->session, direction));
        }
        if (!goes_on)
            reef_tcp_raw_stop(worker->memory, flow, direction);
    }
}

static void inspect_segment(reef_worker *worker, reef_scene *scene, reef_packet *packet)
{
    const reef_tcp_options *tcp = &worker->config->options.tcp;
    unsigned events = packet->events;
    uint8_t state = scene->flow->state;
    bool believed = reef_tcp_segment(worker->memory, tcp, scene->flow, scene->direction, packet);
    if (scene->flow->state != state)
        reef_flows_settle(worker->flows, scene->flow);
    if (packet->events > events)
        reef_report_anomalies(worker, packet, events);
    scene->streamed = believed;
    if (!believed) {
        worker->unseen |= packet->payload_length > 0 && !reef_tcp_is_deep(scene->flow, scene->direction, UINT32_MAX) &&
                          !reef_tcp_is_past(scene->flow, scene->direction, packet);
        return;
    }
    inspect_bytes(worker, scene, scene->direction);
    inspect_bytes(worker, scene, !scene->direction); /* what this segment acknowledges may jump over a gap */
}

static void inspect_datagram(reef_worker *worker, reef_scene *scene, const reef_packet *packet)
{
    if (packet->payload_length == 0)
        return;
    reef_chunk chunk = {.bytes = {packet->payload, packet->payload_length}};
    feed_session(worker, scene, scene->direction, &chunk);
}

/* --- match --------------------------------------------------------------------------------------------- */

static reef_verdict conclude(reef_worker *worker, reef_scene *scene)
{
    reef_flow *flow = scene->flow;
    reef_verdict verdict = REEF_VERDICT_ALLOW;
    if (worker->asks) {
        const reef_alert *alerts;
        uint32_t count;
        reef_match_transactions(worker->matcher);
        reef_match_pdus(worker->matcher);
        verdict = reef_match_finish(worker->matcher, &alerts, &count);
        worker->counters.verdicts[verdict]++;
        if (count > 0)
            reef_report_alerts(worker, scene, alerts, count);
        reef_report_slow_rules(worker, scene->packet);
        if (flow != NULL && flow->session != NULL && flow->session->pdus != NULL)
            reef_pdus_reap(worker->memory, flow->session);
    }
    if (flow == NULL || flow->session == NULL || (flow->session->first == NULL && flow->session->events == 0))
        return verdict;
    reef_report_session(worker, scene);
    reef_session_reap(call_of(worker, flow, scene->packet), scene->ends);
    return verdict;
}

/* A packet through the stages behind flow; `flow` is NULL for one that belongs to none. */
static void inspect(reef_worker *worker, reef_flow *flow, int direction, reef_packet *packet)
{
    reef_scene scene = {.packet = packet,
                        .flow = flow,
                        .session = flow != NULL ? flow->session : NULL,
                        .direction = direction,
                        .mark = worker->frame->mark};
    if (worker->asks)
        reef_match_begin(worker->matcher, &scene);
    if (flow != NULL && packet->flags & REEF_PACKET_TRANSPORT) {
        if (packet->protocol == REEF_PROTO_TCP)
            inspect_segment(worker, &scene, packet);
        else if (packet->protocol == REEF_PROTO_UDP)
            inspect_datagram(worker, &scene, packet);
    }
    if (worker->asks) {
        if (flow != NULL && flow->refused)
            reef_match_refuse(worker->matcher);
        reef_match_packet(worker->matcher);
    }
    reef_verdict verdict = conclude(worker, &scene);
    if (worker->judgement != NULL)
        reef_judge_packet(worker, packet, verdict);
    if (worker->asks && reef_match_tagged(worker->matcher))
        reef_report_tagged(worker, &scene);
}

/* --- flow ---------------------------------------------------------------------------------------------- */

void reef_worker_forget(reef_worker *worker, reef_flow *flow)
{
    if (flow->session != NULL) {
        reef_packet last;
        reef_flow_last_packet(flow, REEF_TO_SERVER, &last);
        reef_session_reap(call_of(worker, flow, &last), true);
        reef_session_free(worker->memory, flow->session);
        flow->session = NULL;
    }
    reef_tcp_free(worker->memory, flow);
    if (worker->matcher != NULL)
        reef_match_free_flow(worker->matcher, flow);
}

/* The last look: what waits behind gaps, bodies that no more comes of. One packet without payload stands for each direction. */
static void look_last(reef_worker *worker, reef_flow *flow)
{
    for (int direction = 0; direction < 2; direction++) {
        reef_packet last;
        reef_flow_last_packet(flow, direction, &last);
        reef_scene scene = {.packet = &last, .flow = flow, .session = flow->session, .direction = direction, .ends = true};
        if (worker->asks)
            reef_match_begin(worker->matcher, &scene);
        if (flow->tcp != NULL) {
            reef_tcp_flush(flow);
            inspect_bytes(worker, &scene, direction);
            if (wants_stream(worker, flow, direction))
                match_raw(worker, &scene, direction, true);
        }
        if (flow->session != NULL && !(flow->session->flags & REEF_SESSION_NO_PARSE)) {
            reef_chunk end = {.end = true};
            feed_session(worker, &scene, direction, &end);
        }
        scene.ends = direction == REEF_TO_CLIENT; /* transactions go when both directions were looked at */
        conclude(worker, &scene);
    }
}

/* Datagrams are parsed one by one: what their transactions had to say was said, unless one still waits for its answer. */
static bool has_more_to_say(const reef_flow *flow)
{
    const reef_session *session = flow->session;
    return flow->tcp != NULL || (session != NULL && (session->first != NULL || session->pdus != NULL));
}

static void end_flow(reef_worker *worker, reef_flow *flow, reef_flow_end end)
{
    if (has_more_to_say(flow))
        look_last(worker, flow);
    if (worker->evidence != NULL)
        reef_report_evidence(worker, flow);
    reef_report_flow(worker, flow, end);
    /* One that was pushed out before anybody answered is not known to have failed. */
    if (worker->neighbours != NULL && (end != REEF_FLOW_END_FORCED || flow->packets[REEF_TO_CLIENT] > 0))
        reef_report_conversation(worker, flow, REEF_FED_ENDED, flow->last_ns);
    reef_worker_forget(worker, flow);
    reef_flows_release(worker->flows, flow, end == REEF_FLOW_END_FORCED);
}

void reef_worker_hand_back(reef_worker *worker, reef_flow *flow)
{
    if (flow->session != NULL || flow->tcp != NULL)
        look_last(worker, flow);
    if (worker->evidence != NULL)
        reef_report_evidence(worker, flow);
    reef_worker_forget(worker, flow);
    flow->done = worker->epoch;
}

/* `flow` and the others whose time has run out, too. A lull in a capture lets thousands time out at once: those for
 * whose events there is no room wait. */
static __attribute__((noinline)) void end_timed_out(reef_worker *worker, reef_flow *flow, uint64_t now_ns)
{
    while (flow != NULL && !reef_events_half_full(worker->events)) {
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

static bool is_over(const reef_worker *worker, const reef_flow *flow, const reef_packet *packet, bool source_is_high)
{
    if (flow->done != 0 && flow->done != worker->epoch && flow->done != REEF_DONE_ELSEWHERE)
        return true; /* handed back under other rules: it is looked at anew */
    if (flow->tcp == NULL)
        return reef_flow_is_over(flow, packet);
    return reef_tcp_reused(flow, source_is_high == (flow->client_is_high != 0) ? REEF_TO_SERVER : REEF_TO_CLIENT, packet);
}

static reef_flow *flow_of(reef_worker *worker, const reef_packet *packet, const reef_flow_key *key, uint32_t hash, bool source_is_high)
{
    reef_flow *flow = reef_flows_find(worker->flows, key, hash);
    if (flow != NULL && is_over(worker, flow, packet, source_is_high)) {
        end_flow(worker, flow, REEF_FLOW_END_REUSED);
        flow = NULL;
    }
    if (flow != NULL)
        return flow;
    reef_flow *victim = reef_flows_victim(worker->flows);
    if (victim != NULL)
        end_flow(worker, victim, REEF_FLOW_END_FORCED);
    return reef_flows_add(worker->flows, packet, key, hash, source_is_high);
}

/* --- packets ------------------------------------------------------------------------------------------- */

static void count_packet(reef_worker *worker, reef_packet *packet)
{
    packet->number = worker->counters.packets;
    worker->counters.not_ip += packet->version == 0;
    worker->counters.malformed += packet->flags & REEF_PACKET_BAD ? 1 : 0;
    worker->counters.fragments += packet->flags & REEF_PACKET_FRAGMENT ? 1 : 0;
}

static inline void feed(reef_worker *worker, const reef_flow *flow, int direction, const reef_packet *packet)
{
    if (direction == REEF_TO_CLIENT && flow->packets[REEF_TO_CLIENT] == 1)
        reef_report_conversation(worker, flow, REEF_FED_ANSWERED, packet->time_ns);
    else if (((flow->packets[0] + flow->packets[1]) & (REEF_FEED_GOES_ON - 1)) == 0)
        reef_report_conversation(worker, flow, REEF_FED_GOES_ON, packet->time_ns);
}

/* One decoded packet through the stages after decode. */
static void take_packet(reef_worker *worker, reef_packet *packet, const reef_flow_key *key, uint32_t hash,
                        bool source_is_high)
{
    if (packet->events > 0)
        reef_report_anomalies(worker, packet, 0);
    if (worker->neighbours != NULL && reef_shows_neighbour(packet))
        reef_report_neighbour(worker, packet);
    if (packet->version == 0 || packet->flags & (REEF_PACKET_BAD | REEF_PACKET_NO_FLOW)) {
        if (worker->asks && (packet->version != 0 || packet->events > 0))
            inspect(worker, NULL, REEF_TO_SERVER, packet);
        return;
    }
    reef_flow *flow = flow_of(worker, packet, key, hash, source_is_high);
    if (flow == NULL) {
        worker->unseen = true;
        return;
    }
    if (worker->judgement != NULL && packet->outer == NULL && packet->inner.kind == REEF_INNER_NONE &&
        !(packet->flags & REEF_PACKET_FRAGMENT))
        worker->judged = flow;
    if (worker->config->options.claims != NULL)
        reef_judge_claim(worker, flow);
    int direction = reef_flows_update(worker->flows, flow, packet, source_is_high);
    if (worker->neighbours != NULL)
        feed(worker, flow, direction, packet);
    if (worker->evidence != NULL && worker->evidence_flow == 0)
        worker->evidence_flow = flow->id;
    if (worker->pressure > 0 && reef_shed_packet(worker, flow, packet))
        return;
    if (reef_is_reported(worker, flow->way) && flow->done == 0 && (worker->config->options.report_apps || worker->matcher != NULL))
        inspect(worker, flow, direction, packet);
}

static void unwrap(reef_worker *worker, reef_packet *packet, const reef_flow_key *key, uint32_t hash, bool source_is_high);

/* A packet that came out of another one: the datagram of fragments, what a tunnel carries. */
static void take_derived(reef_worker *worker, reef_packet *packet)
{
    const reef_options *options = &worker->config->options;
    reef_flow_key key;
    bool source_is_high = false;
    uint32_t hash = 0;
    count_packet(worker, packet);
    if (options->checksums)
        reef_packet_checksums(packet);
    if (packet->version != 0) {
        reef_flow_key_of(packet, options->by_interface, &key, &source_is_high);
        hash = reef_flow_key_hash(&key, options->seed);
    }
    unwrap(worker, packet, &key, hash, source_is_high);
}

/* A packet and what is inside, as deep as decode goes (REEF_LAYERS_MAX). What is inside is found first, as that says things
 * about the packet itself: overlapping fragments, a payload that is looked at as a packet of its own. */
static __attribute__((noinline)) void unwrap(reef_worker *worker, reef_packet *packet, const reef_flow_key *key, uint32_t hash,
                                             bool source_is_high)
{
    reef_packet inside;
    bool any = packet->flags & REEF_PACKET_FRAGMENT ? reef_defrag_take(worker->defrag, packet, &inside)
                                                    : reef_decode_inner(packet, &inside);
    take_packet(worker, packet, key, hash, source_is_high);
    if (any)
        take_derived(worker, &inside);
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
    worker->counters.packets++;
    worker->counters.bytes += frame->length;
    count_packet(worker, packet);
    if (packet->version == 0)
        return;
    reef_flow_key_of(packet, options->by_interface, &worker->key[i], &worker->source_is_high[i]);
    worker->hash[i] = reef_flow_key_hash(&worker->key[i], options->seed);
    reef_flows_prefetch_bucket(worker->flows, worker->hash[i]);
}

void reef_worker_frames(reef_worker *worker, const reef_frame *frames, size_t count)
{
    reef_worker_frames_meanwhile(worker, frames, count, NULL, NULL);
}

void reef_worker_frames_meanwhile(reef_worker *worker, const reef_frame *frames, size_t count, void (*errand)(void *context), void *context)
{
    bool checksums = worker->config->options.checksums;
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
        for (size_t i = 0; i < group; i++) {
            reef_packet *packet = &worker->packet[i];
            pass_time(worker, packet->time_ns);
            worker->frame = &frames[at + i];
            if (checksums)
                reef_packet_checksums(packet);
            if (packet->flags & REEF_PACKET_FRAGMENT || packet->inner.kind != REEF_INNER_NONE)
                unwrap(worker, packet, &worker->key[i], worker->hash[i], worker->source_is_high[i]);
            else
                take_packet(worker, packet, &worker->key[i], worker->hash[i], worker->source_is_high[i]);
            if (worker->evidence != NULL) {
                reef_evidence_frame(worker->evidence, worker->evidence_flow, &frames[at + i]);
                worker->evidence_flow = 0;
            }
            if (errand != NULL)
                errand(context);
        }
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
        if (reef_events_half_full(worker->events))
            return false;
        end_flow(worker, flow, REEF_FLOW_END_SHUTDOWN);
    }
    return true;
}
