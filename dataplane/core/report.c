/* What the engine tells: events into the worker's ring. */
#include <string.h>

#include "engine_internal.h"
#include "reef/eve_alert.h"

static void endpoints_of_packet(reef_event *event, const reef_packet *packet)
{
    event->packet = packet->outer == NULL ? packet->number : 0;
    event->came = reef_packet_came(packet);
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

void reef_report_anomalies(reef_worker *worker, const reef_packet *packet, unsigned first)
{
    if (!worker->config->options.report_anomalies || !reef_is_reported(worker, packet->way))
        return;
    for (unsigned i = first; i < packet->events; i++) {
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

void reef_report_evidence(reef_worker *worker, const reef_flow *flow)
{
    reef_json text;
    uint8_t digest[32];
    if (!reef_evidence_end(worker->evidence, flow->id, digest))
        return;
    reef_event *event = reef_events_begin(worker->events, flow->last_ns, &text);
    if (event == NULL)
        return;
    endpoints_of_flow(event, flow);
    reef_evidence_write(event, digest, &text);
    reef_events_commit(worker->events, event, &text);
}

void reef_report_conversation(reef_worker *worker, const reef_flow *flow, reef_fed which, uint64_t time_ns)
{
    reef_json text;
    if (!reef_is_reported(worker, flow->way))
        return;
    reef_event *event = reef_events_half_full(worker->events) ? NULL : reef_events_begin(worker->events, time_ns, &text);
    if (event == NULL) {
        worker->counters.feed_lost++;
        return;
    }
    event->kind = REEF_EVENT_CONVERSATION;
    event->code = (uint16_t)which;
    endpoints_of_flow(event, flow);
    event->start_ns = flow->first_ns;
    event->app = flow->app;
    for (int d = 0; d < 2; d++) {
        event->bytes[d] = flow->bytes[d];
        event->packets[d] = flow->packets[d];
        event->tcp_flags[d] = flow->tcp_flags[d];
    }
    reef_events_commit(worker->events, event, &text);
}

static void tell_neighbour(reef_worker *worker, const reef_packet *packet, const reef_neighbour *seen, const char *name)
{
    reef_json text;
    reef_event *event = reef_events_begin(worker->events, packet->time_ns, &text);
    if (event == NULL)
        return;
    event->kind = REEF_EVENT_NEIGHBOUR;
    event->code = seen->how;
    event->interface = seen->interface;
    event->version = seen->version;
    memcpy(event->source, seen->address, 16);
    memcpy(event->destination, seen->asked, 4);
    memcpy(event->other_address, seen->mac, 6);
    reef_json_raw(&text, name, strlen(name));
    reef_events_commit(worker->events, event, &text);
}

void reef_report_neighbour(reef_worker *worker, const reef_packet *packet)
{
    reef_neighbour seen;
    char name[REEF_NEIGHBOUR_NAME_MAX + 1];
    if (packet->way == REEF_WAY_OUT || packet->outer != NULL)
        return;
    if (reef_neighbours_take(worker->neighbours, worker->frame, packet, &seen, name))
        tell_neighbour(worker, packet, &seen, name);
    if (reef_neighbours_asks(worker->neighbours, worker->frame, packet, &seen))
        tell_neighbour(worker, packet, &seen, "");
}

void reef_report_flow(reef_worker *worker, const reef_flow *flow, reef_flow_end end)
{
    reef_json text;
    if (!worker->config->options.report_flows || !reef_is_reported(worker, flow->way))
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
    if (flow->session != NULL || flow->match != NULL) {
        event->alerted = reef_match_alerted(flow);
        reef_flow_text_write(event, worker->matcher, flow, &text);
    }
    reef_events_commit(worker->events, event, &text);
}

/* filestore: the files of the transaction that matched. */
static void keep_files(const reef_scene *scene, const reef_alert *alert)
{
    const reef_session *session = scene->session;
    if (alert->transaction == NULL || session == NULL || session->protocol == NULL || session->protocol->files == NULL)
        return;
    for (int direction = 0; direction < 2; direction++)
        reef_tx_file_keep(session->protocol->files(session, alert->transaction, direction), alert->rule->sid);
}

void reef_report_alerts(reef_worker *worker, const reef_scene *scene, const reef_alert *alerts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        reef_json text;
        if (alerts[i].rule->flags & REEF_RULE_FILESTORE)
            keep_files(scene, &alerts[i]);
        if (!alerts[i].log)
            continue;
        worker->counters.alerts++;
        if (worker->evidence != NULL && scene->flow != NULL)
            reef_evidence_alert(worker->evidence, scene->flow->id);
        reef_event *event = reef_events_begin(worker->events, scene->packet->time_ns, &text);
        if (event == NULL)
            return;
        endpoints_of_packet(event, scene->packet);
        if (scene->flow != NULL) {
            event->flow_id = scene->flow->id;
            event->app = scene->flow->app;
            event->interface = scene->flow->interface;
        }
        reef_alert_write(event, worker->matcher, worker->rules, scene, &alerts[i], worker->config->options.alerts_with, &text);
        reef_events_commit(worker->events, event, &text);
    }
}

void reef_report_tagged(reef_worker *worker, const reef_scene *scene)
{
    reef_json text;
    reef_event *event = reef_events_begin(worker->events, scene->packet->time_ns, &text);
    if (event == NULL)
        return;
    endpoints_of_packet(event, scene->packet);
    if (scene->flow != NULL) {
        event->flow_id = scene->flow->id;
        event->interface = scene->flow->interface;
    }
    reef_tagged_write(event, worker->frame, worker->config->options.alerts_with, &text);
    reef_events_commit(worker->events, event, &text);
}

void reef_report_slow_rules(reef_worker *worker, const reef_packet *packet)
{
    for (const reef_rule *rule; (rule = reef_match_slow_rule(worker->matcher)) != NULL;) {
        reef_json text;
        reef_event *event = reef_events_begin(worker->events, packet->time_ns, &text);
        if (event == NULL)
            continue;
        reef_slow_rule_write(event, rule, &text);
        reef_events_commit(worker->events, event, &text);
    }
}

/* --- sessions ------------------------------------------------------------------------------------------ */

static reef_event *begin(reef_worker *worker, const reef_scene *scene, reef_json *text)
{
    reef_event *event = reef_events_begin(worker->events, scene->packet->time_ns, text);
    if (event != NULL) {
        endpoints_of_flow(event, scene->flow);
        event->packet = scene->packet->outer == NULL ? scene->packet->number : 0;
        event->came = reef_packet_came(scene->packet);
    }
    return event;
}

static void report_transaction(reef_worker *worker, const reef_scene *scene, reef_transaction *transaction, reef_log which)
{
    const reef_session *session = scene->flow->session;
    reef_json text;
    if (!reef_transaction_due(session, transaction, which, scene->ends))
        return;
    transaction->logged |= (uint8_t)(1u << which);
    if (transaction->number >= REEF_APP_TRANSACTIONS_MAX)
        return;
    reef_event *event = begin(worker, scene, &text);
    if (event == NULL || !reef_transaction_write(event, session, transaction, which, &text))
        return;
    worker->counters.transactions++;
    reef_events_commit(worker->events, event, &text);
}

static void report_files(reef_worker *worker, const reef_scene *scene, reef_transaction *transaction)
{
    const reef_session *session = scene->flow->session;
    if (session->protocol->files == NULL || !(transaction->files_ended || scene->ends))
        return;
    transaction->files_ended = false;
    for (int direction = 0; direction < 2; direction++) {
        reef_tx_file *list = session->protocol->files(session, transaction, direction);
        for (reef_tx_file *file; list != NULL && (file = reef_tx_file_to_log(list, scene->ends)) != NULL;) {
            reef_json text;
            reef_event *event = worker->config->options.report_apps ? begin(worker, scene, &text) : NULL;
            if (event == NULL)
                continue;
            reef_fileinfo_write(event, session, transaction, file, &text);
            reef_events_commit(worker->events, event, &text);
        }
    }
}

static void report_app_anomaly(reef_worker *worker, const reef_scene *scene, const reef_transaction *transaction, unsigned number)
{
    reef_json text;
    reef_event *event = begin(worker, scene, &text);
    if (event == NULL)
        return;
    reef_app_anomaly_write(event, scene->flow->session, transaction, number, &text);
    reef_events_commit(worker->events, event, &text);
}

/* Each event once: those of a transaction are counted as they are told, those of the session belong to one packet. */
static void report_app_anomalies(reef_worker *worker, const reef_scene *scene, reef_transaction *transaction)
{
    for (; transaction->events_told < transaction->events; transaction->events_told++)
        report_app_anomaly(worker, scene, transaction, transaction->event[transaction->events_told]);
}

void reef_report_session(reef_worker *worker, const reef_scene *scene)
{
    const reef_options *options = &worker->config->options;
    reef_session *session = scene->flow->session;
    if (options->report_anomalies && session->events > 0 && session->event_packet == scene->packet->number)
        for (unsigned i = 0; i < session->events; i++)
            report_app_anomaly(worker, scene, NULL, session->event[i]);
    if (session->protocol == NULL)
        return;
    for (reef_transaction *t = session->first; t != NULL; t = t->next) {
        if (options->report_anomalies)
            report_app_anomalies(worker, scene, t);
        report_files(worker, scene, t);
        if (!options->report_apps)
            continue;
        report_transaction(worker, scene, t, REEF_LOG_TO_SERVER);
        report_transaction(worker, scene, t, REEF_LOG_TO_CLIENT);
        report_transaction(worker, scene, t, REEF_LOG_WHOLE);
    }
}
