#include "reef/eve.h"

#include <stdio.h>
#include <string.h>

#include "eve_internal.h"
#include "reef/protocol.h"
#include "reef/decode.h"
#include "reef/protocol.h"
#include "reef/status.h"

#define MARK_RULE 0x0003ffffu /* appliance/policy/compiling/bundle.py */
static const reef_view nothing = {NULL, 0};

static const char *const flow_states[] = {"new", "established", "closed"};
static const char *const flow_ends[] = {"timeout", "forced", "tcp_reuse", "shutdown"};
static const char *const tcp_states[] = {"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2",
                                         "time_wait", "last_ack", "close_wait", "closing", "closed"};

static void write_flow(reef_json *json, const reef_event *event, const reef_rule_name *rule)
{
    reef_json_open(json, "flow", '{');
    reef_json_number(json, "pkts_toserver", event->packets[REEF_TO_SERVER]);
    reef_json_number(json, "pkts_toclient", event->packets[REEF_TO_CLIENT]);
    reef_json_number(json, "bytes_toserver", event->bytes[REEF_TO_SERVER]);
    reef_json_number(json, "bytes_toclient", event->bytes[REEF_TO_CLIENT]);
    reef_json_time(json, "start", event->start_ns);
    if (!event->opened) {
        uint64_t age = event->time_ns > event->start_ns ? event->time_ns - event->start_ns : 0;
        reef_json_time(json, "end", event->time_ns);
        reef_json_number(json, "age", age / 1000000000u);
        reef_json_word(json, "reason", flow_ends[event->end]);
    }
    reef_json_word(json, "state", flow_states[event->state]);
    if (rule != NULL && strcmp(rule->action, "allow") == 0)
        reef_json_word(json, "action", "accept");
    reef_json_bool(json, "alerted", event->alerted);
    reef_json_close(json, '}');
}

static void write_tcp(reef_json *json, const reef_event *event)
{
    static const struct { uint8_t bit; const char *key; } flags[] = {
        {REEF_TCP_SYN, "syn"}, {REEF_TCP_FIN, "fin"}, {REEF_TCP_RST, "rst"}, {REEF_TCP_PSH, "psh"},
        {REEF_TCP_ACK, "ack"}, {REEF_TCP_URG, "urg"}, {REEF_TCP_ECE, "ecn"}, {REEF_TCP_CWR, "cwr"}};
    unsigned all = event->tcp_flags[0] | event->tcp_flags[1];
    reef_json_open(json, "tcp", '{');
    if (all != 0) {
        reef_json_hex(json, "tcp_flags", all, 2);
        reef_json_hex(json, "tcp_flags_ts", event->tcp_flags[REEF_TO_SERVER], 2);
        reef_json_hex(json, "tcp_flags_tc", event->tcp_flags[REEF_TO_CLIENT], 2);
        for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
            if (all & flags[i].bit)
                reef_json_bool(json, flags[i].key, true);
    }
    if (event->tcp_state != REEF_TCP_NONE)
        reef_json_word(json, "state", tcp_states[event->tcp_state]);
    reef_json_close(json, '}');
}

/* --- the kinds ------------------------------------------------------------------------------------- */

static bool flow_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names)
{
    const reef_rule_name *rule = NULL;
    if (event->from_kernel) { /* every connection of the gateway comes by; the policy says which are logged */
        rule = reef_names_rule_by_number(names, event->mark & MARK_RULE);
        if (rule == NULL || !rule->log_end)
            return false;
    }
    const reef_protocol *app = event->text_length == 0 ? reef_protocol_by_number(event->app) : NULL;
    eve_write_common(json, event, names, "flow");
    reef_json_members(json, text + event->prefix_length, event->text_length - event->prefix_length);
    if (app != NULL)
        reef_json_word(json, "app_proto", app->name);
    write_flow(json, event, rule);
    if (event->protocol == REEF_PROTO_TCP && (event->tcp_flags[0] | event->tcp_flags[1] | event->tcp_state))
        write_tcp(json, event);
    eve_write_metadata(json, event, names, rule, (reef_view){(const uint8_t *)text, event->prefix_length});
    return true;
}

static void anomaly_line(reef_json *json, const reef_event *event, const reef_names *names)
{
    const char *name = reef_decode_event_name(event->code);
    bool of_stream = strncmp(name, "stream.", 7) == 0;
    char decoder[64];
    (void)snprintf(decoder, sizeof decoder, "decoder.%s", name);
    eve_write_common(json, event, names, "anomaly");
    reef_json_open(json, "anomaly", '{');
    reef_json_word(json, "type", of_stream ? "stream" : "decode");
    reef_json_text(json, "event", of_stream ? name : decoder);
    reef_json_close(json, '}');
    eve_write_metadata(json, event, names, NULL, nothing);
}

/* A packet that the ruleset logged: allowed ones begin a flow, the others were dropped. */
static void log_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names,
                     const reef_rule_name *rule)
{
    bool allowed = strcmp(rule->action, "allow") == 0;
    eve_write_common(json, event, names, allowed ? "flow" : "drop");
    if (allowed) {
        write_flow(json, event, rule);
    } else {
        reef_json_open(json, "drop", '{');
        reef_json_members(json, text + event->prefix_length, event->text_length - event->prefix_length);
        reef_json_word(json, "reason", strcmp(rule->rule, "default") == 0 ? "default" : "rules");
        reef_json_close(json, '}');
        reef_json_open(json, "verdict", '{');
        reef_json_word(json, "action", strcmp(rule->action, "reject") == 0 ? "reject" : "drop");
        reef_json_close(json, '}');
    }
    eve_write_metadata(json, event, names, rule, nothing);
}

/* The worker wrote all but the endpoints, the rule and the zones (eve_alert.h). */
static void said_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names, const char *event_type)
{
    eve_write_common(json, event, names, event_type);
    eve_write_metadata(json, event, names, NULL, (reef_view){(const uint8_t *)text, event->prefix_length});
    reef_json_members(json, text + event->prefix_length, event->text_length - event->prefix_length);
}

static void lost_line(reef_json *json, const reef_event *event, const reef_names *names)
{
    static const char *const reasons[] = {[REEF_LOST_IN_RING] = "the event ring was full",
                                          [REEF_LOST_BY_KERNEL] = "the kernel's log socket was full",
                                          [REEF_LOST_BY_RATE] = "the ruleset logged more than is written in a second"};
    char message[128];
    snprintf(message, sizeof message, "events lost: %llu; %s", (unsigned long long)event->packets[0],
             reasons[event->code]);
    eve_write_common(json, event, names, "engine");
    reef_json_open(json, "engine", '{');
    reef_json_word(json, "module", "events");
    reef_json_text(json, "message", message);
    reef_json_close(json, '}');
}

int reef_eve_line(const reef_event *event, const char *text, const reef_names *names, char *out, size_t size,
                  size_t *length)
{
    reef_json json;
    const reef_rule_name *rule;
    *length = 0;
    reef_json_init(&json, out, size);
    switch ((reef_event_kind)event->kind) {
    case REEF_EVENT_FLOW:
        if (!flow_line(&json, event, text, names))
            return REEF_OK;
        break;
    case REEF_EVENT_ANOMALY:
        anomaly_line(&json, event, names);
        break;
    case REEF_EVENT_LOG:
        rule = reef_names_rule_by_prefix(names, text, event->prefix_length);
        if (rule == NULL)
            return REEF_UNKNOWN_PREFIX;
        if (*rule->action == '\0') /* not one of ours: another table logs to the same group */
            return REEF_OK;
        log_line(&json, event, text, names, rule);
        break;
    case REEF_EVENT_ALERT:
        said_line(&json, event, text, names, "alert");
        break;
    case REEF_EVENT_TRANSACTION:
        said_line(&json, event, text, names, reef_protocol_by_number(event->app)->event_type);
        break;
    case REEF_EVENT_FILE:
        said_line(&json, event, text, names, "fileinfo");
        break;
    case REEF_EVENT_EVIDENCE:
    case REEF_EVENT_SLOW_RULE:
        said_line(&json, event, text, names, "engine");
        break;
    case REEF_EVENT_TAGGED:
        said_line(&json, event, text, names, "packet");
        break;
    case REEF_EVENT_APP_ANOMALY:
        said_line(&json, event, text, names, "anomaly");
        break;
    case REEF_EVENT_CONVERSATION:
    case REEF_EVENT_NEIGHBOUR:
        return REEF_OK;
    case REEF_EVENT_LOST:
        lost_line(&json, event, names);
        break;
    }
    reef_json_close(&json, '}');
    reef_json_raw(&json, "\n", 1);
    if (json.full)
        return REEF_FULL;
    *length = reef_json_length(&json);
    return REEF_OK;
}

int reef_eve_drain(reef_events *events, const reef_names *names, char *out, size_t size, size_t *used, size_t *lines)
{
    return reef_eve_drain_and_log(events, names, NULL, NULL, out, size, used, lines);
}

int reef_eve_drain_and_log(reef_events *events, const reef_names *names, reef_flowlog *log, reef_feed *feed, char *out,
                           size_t size, size_t *used, size_t *lines)
{
    const reef_event *event;
    const char *text;
    *used = *lines = 0;
    while ((event = reef_events_peek(events, &text)) != NULL) {
        size_t length;
        int status = reef_eve_line(event, text, names, out + *used, size - *used, &length);
        if (status == REEF_FULL)
            return *lines > 0 ? REEF_OK : REEF_FULL;
        if (status != REEF_OK)
            return status;
        const reef_rule_name *rule =
            event->kind == REEF_EVENT_LOG ? reef_names_rule_by_prefix(names, text, event->prefix_length) : NULL;
        if (log != NULL)
            reef_flowlog_event(log, event, names, rule);
        if (feed != NULL)
            reef_feed_event(feed, event, text, out + *used, length,
                            rule != NULL && *rule->action != '\0' && strcmp(rule->action, "allow") != 0);
        reef_events_done(events);
        *used += length;
        *lines += length > 0;
    }
    return REEF_OK;
}
