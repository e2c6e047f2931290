#include "reef/eve.h"

#include <stdio.h>
#include <string.h>

#include "reef/app.h"
#include "reef/bytes.h"
#include "reef/decode.h"
#include "reef/sha1.h"
#include "reef/status.h"

#define MARK_RULE 0x0003ffffu /* appliance/policy/bundle.py */
#define GATEWAY_ZONE "gateway"  /* appliance/policy/model.py: the box itself */

enum { HOOK_INPUT = 1, HOOK_OUTPUT = 3 }; /* enum nf_inet_hooks */

/* --- community id ---------------------------------------------------------------------------------- */

/* ICMP types that have a counterpart: (type, its answer). Others are one-way and keep type and code. */
static int icmp_counterpart(unsigned protocol, unsigned type)
{
    static const uint8_t pairs4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
    static const uint8_t pairs6[][2] = {{128, 129}, {133, 134}, {135, 136}, {130, 131}, {144, 145}, {146, 147},
                                        {139, 140}};
    const uint8_t(*pairs)[2] = protocol == REEF_PROTO_ICMP ? pairs4 : pairs6;
    size_t count = protocol == REEF_PROTO_ICMP ? sizeof pairs4 / 2 : sizeof pairs6 / 2;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i][0] == type)
            return pairs[i][1];
        if (pairs[i][1] == type)
            return pairs[i][0];
    }
    return -1;
}

static bool protocol_has_ports(unsigned protocol)
{
    return protocol == REEF_PROTO_TCP || protocol == REEF_PROTO_UDP || protocol == REEF_PROTO_SCTP;
}

static bool protocol_is_icmp(unsigned protocol)
{
    return protocol == REEF_PROTO_ICMP || protocol == REEF_PROTO_ICMPV6;
}

bool reef_community_id(const reef_event *event, char out[31])
{
    if (event->version == 0)
        return false;
    size_t size = event->version == 4 ? 4 : 16;
    uint16_t source_port = event->source_port, destination_port = event->destination_port;
    bool ports = protocol_has_ports(event->protocol), one_way = false;
    if (protocol_is_icmp(event->protocol)) {
        int counterpart = icmp_counterpart(event->protocol, event->icmp_type);
        one_way = counterpart < 0;
        source_port = event->icmp_type;
        destination_port = one_way ? event->icmp_code : (uint16_t)counterpart;
        ports = true;
    }
    int order = memcmp(event->source, event->destination, size);
    bool swap = !one_way && (order > 0 || (order == 0 && ports && source_port > destination_port));
    uint8_t message[40] = {0}, *at = message + 2; /* the seed, 0 */
    memcpy(at, swap ? event->destination : event->source, size);
    memcpy(at + size, swap ? event->source : event->destination, size);
    at += 2 * size;
    *at++ = event->protocol;
    *at++ = 0;
    if (ports) {
        uint16_t first = swap ? destination_port : source_port, second = swap ? source_port : destination_port;
        *at++ = (uint8_t)(first >> 8), *at++ = (uint8_t)first;
        *at++ = (uint8_t)(second >> 8), *at++ = (uint8_t)second;
    }
    uint8_t digest[21] = {0};
    reef_sha1(message, (size_t)(at - message), digest);
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    *out++ = '1', *out++ = ':';
    for (int i = 0; i < 21; i += 3) {
        uint32_t v = reef_be24(digest + i);
        for (int j = 0; j < 4; j++)
            *out++ = base64[v >> (18 - 6 * j) & 63];
    }
    out[-1] = '='; /* 20 bytes leave one place of padding */
    *out = '\0';
    return true;
}

/* --- parts of a line ------------------------------------------------------------------------------- */

static const char *protocol_name(unsigned protocol)
{
    switch (protocol) {
    case 1: return "ICMP";
    case 2: return "IGMP";
    case 4: return "IPv4";
    case 6: return "TCP";
    case 17: return "UDP";
    case 33: return "DCCP";
    case 41: return "IPv6";
    case 47: return "GRE";
    case 50: return "ESP";
    case 51: return "AH";
    case 58: return "IPv6-ICMP";
    case 89: return "OSPFIGP";
    case 103: return "PIM";
    case 112: return "VRRP";
    case 132: return "SCTP";
    case 136: return "UDPLite";
    default: return NULL;
    }
}

static void write_protocol(reef_json *json, unsigned protocol)
{
    const char *name = protocol_name(protocol);
    char number[8];
    if (name == NULL) {
        snprintf(number, sizeof number, "%03u", protocol);
        name = number;
    }
    reef_json_text(json, "proto", name);
}

static void write_common(reef_json *json, const reef_event *event, const reef_names *names, const char *event_type)
{
    reef_json_open(json, NULL, '{');
    reef_json_time(json, "timestamp", event->time_ns);
    if (event->flow_id != 0)
        reef_json_number(json, "flow_id", event->flow_id);
    const char *interface = event->interface != 0 ? reef_names_interface_name(names, event->interface) : NULL;
    if (interface != NULL)
        reef_json_text(json, "in_iface", interface);
    if (event->packet != 0 && reef_names_of_capture(names))
        reef_json_number(json, "pcap_cnt", event->packet);
    reef_json_text(json, "event_type", event_type);
    if (event->vlans > 0) {
        reef_json_open(json, "vlan", '[');
        for (unsigned i = 0; i < event->vlans; i++)
            reef_json_number(json, NULL, event->vlan[i]);
        reef_json_close(json, ']');
    }
    if (event->version != 0) {
        bool ports = protocol_has_ports(event->protocol);
        reef_json_address(json, "src_ip", event->version, event->source);
        if (ports)
            reef_json_number(json, "src_port", event->source_port);
        reef_json_address(json, "dest_ip", event->version, event->destination);
        if (ports)
            reef_json_number(json, "dest_port", event->destination_port);
        write_protocol(json, event->protocol);
        reef_json_number(json, "ip_v", event->version);
        if (protocol_is_icmp(event->protocol)) {
            reef_json_number(json, "icmp_type", event->icmp_type);
            reef_json_number(json, "icmp_code", event->icmp_code);
        }
        char id[31];
        if (reef_community_id(event, id))
            reef_json_text(json, "community_id", id);
    }
    if (*reef_names_site(names) != '\0')
        reef_json_text(json, "host", reef_names_site(names));
}

/* Rule, action and zones, as far as they are known. */
static void write_metadata(reef_json *json, const reef_event *event, const reef_names *names,
                           const reef_rule_name *rule)
{
    const char *source = rule != NULL ? rule->source : "", *destination = rule != NULL ? rule->destination : "";
    if (event->kind == REEF_EVENT_LOG && event->code == HOOK_INPUT)
        destination = GATEWAY_ZONE;
    if (event->kind == REEF_EVENT_LOG && event->code == HOOK_OUTPUT)
        source = GATEWAY_ZONE;
    if (*source == '\0' && event->interface != 0)
        source = reef_names_zone_of_interface(names, event->interface);
    if (*source == '\0' && event->version != 0)
        source = reef_names_zone_of_address(names, event->version, event->source);
    if (*destination == '\0' && event->out_interface != 0)
        destination = reef_names_zone_of_interface(names, event->out_interface);
    if (*destination == '\0' && event->version != 0)
        destination = reef_names_zone_of_address(names, event->version, event->destination);
    bool ruled = rule != NULL && *rule->rule != '\0';
    if (!ruled && *source == '\0' && *destination == '\0')
        return;
    reef_json_open(json, "metadata", '{');
    reef_json_open(json, "flowvars", '[');
    reef_json_open(json, NULL, '{');
    reef_json_text(json, "gid", "reef");
    if (ruled) {
        reef_json_text(json, "rule", rule->rule);
        reef_json_text(json, "action", rule->action);
    }
    if (*source != '\0')
        reef_json_text(json, "from", source);
    if (*destination != '\0')
        reef_json_text(json, "to", destination);
    reef_json_close(json, '}');
    reef_json_close(json, ']');
    reef_json_close(json, '}');
}

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
        reef_json_text(json, "reason", flow_ends[event->end]);
    }
    reef_json_text(json, "state", flow_states[event->state]);
    if (rule != NULL && strcmp(rule->action, "allow") == 0)
        reef_json_text(json, "action", "accept");
    reef_json_bool(json, "alerted", false);
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
        reef_json_text(json, "state", tcp_states[event->tcp_state]);
    reef_json_close(json, '}');
}

/* --- the kinds ------------------------------------------------------------------------------------- */

static bool flow_line(reef_json *json, const reef_event *event, const reef_names *names)
{
    const reef_rule_name *rule = NULL;
    if (event->from_kernel) { /* every connection of the gateway comes by; the policy says which are logged */
        rule = reef_names_rule_by_number(names, event->mark & MARK_RULE);
        if (rule == NULL || !rule->log_end)
            return false;
    }
    const reef_app_protocol *app = reef_app_by_number(event->app);
    write_common(json, event, names, "flow");
    if (app != NULL)
        reef_json_text(json, "app_proto", app->name);
    write_flow(json, event, rule);
    if (event->protocol == REEF_PROTO_TCP && (event->tcp_flags[0] | event->tcp_flags[1] | event->tcp_state))
        write_tcp(json, event);
    write_metadata(json, event, names, rule);
    return true;
}

static void app_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names)
{
    const char *name = reef_app_by_number(event->app)->name;
    write_common(json, event, names, name);
    reef_json_open(json, name, '{');
    reef_json_members(json, text, event->text_length);
    reef_json_close(json, '}');
    write_metadata(json, event, names, NULL);
}

static void anomaly_line(reef_json *json, const reef_event *event, const reef_names *names)
{
    char name[64];
    snprintf(name, sizeof name, "decoder.%s", reef_decode_event_name(event->code));
    write_common(json, event, names, "anomaly");
    reef_json_open(json, "anomaly", '{');
    reef_json_text(json, "type", "decode");
    reef_json_text(json, "event", name);
    reef_json_close(json, '}');
    write_metadata(json, event, names, NULL);
}

/* A packet that the ruleset logged: allowed ones begin a flow, the others were dropped. */
static void log_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names,
                     const reef_rule_name *rule)
{
    bool allowed = strcmp(rule->action, "allow") == 0;
    write_common(json, event, names, allowed ? "flow" : "drop");
    if (allowed) {
        write_flow(json, event, rule);
    } else {
        reef_json_open(json, "drop", '{');
        reef_json_members(json, text + event->prefix_length, event->text_length - event->prefix_length);
        reef_json_text(json, "reason", strcmp(rule->rule, "default") == 0 ? "default" : "rules");
        reef_json_close(json, '}');
        reef_json_open(json, "verdict", '{');
        reef_json_text(json, "action", strcmp(rule->action, "reject") == 0 ? "reject" : "drop");
        reef_json_close(json, '}');
    }
    write_metadata(json, event, names, rule);
}

/* The worker wrote all but the endpoints (eve_alert.h). */
static void alert_line(reef_json *json, const reef_event *event, const char *text, const reef_names *names)
{
    write_common(json, event, names, "alert");
    reef_json_members(json, text, event->text_length);
}

static void lost_line(reef_json *json, const reef_event *event, const reef_names *names)
{
    static const char *const reasons[] = {[REEF_LOST_IN_RING] = "the event ring was full",
                                          [REEF_LOST_BY_KERNEL] = "the kernel's log socket was full",
                                          [REEF_LOST_BY_RATE] = "the ruleset logged more than is written in a second"};
    char message[128];
    snprintf(message, sizeof message, "events lost: %llu; %s", (unsigned long long)event->packets[0],
             reasons[event->code]);
    write_common(json, event, names, "engine");
    reef_json_open(json, "engine", '{');
    reef_json_text(json, "module", "events");
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
        if (!flow_line(&json, event, names))
            return REEF_OK;
        break;
    case REEF_EVENT_APP:
        app_line(&json, event, text, names);
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
        alert_line(&json, event, text, names);
        break;
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
    return reef_eve_drain_and_log(events, names, NULL, out, size, used, lines);
}

int reef_eve_drain_and_log(reef_events *events, const reef_names *names, reef_flowlog *log, char *out, size_t size,
                           size_t *used, size_t *lines)
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
        if (log != NULL)
            reef_flowlog_event(log, event, names,
                               event->kind == REEF_EVENT_LOG
                                   ? reef_names_rule_by_prefix(names, text, event->prefix_length)
                                   : NULL);
        reef_events_done(events);
        *used += length;
        *lines += length > 0;
    }
    return REEF_OK;
}
