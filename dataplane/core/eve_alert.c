#include "reef/eve_alert.h"

#include <stdio.h>
#include <string.h>

#include "eve_internal.h"
#include "reef/pdu.h"
#include "reef/protocol.h"

enum {
    NAMES_MAX = 64,      /* flowbits or flowints of a flow that are told */
    SIGNATURE_MAX = 1024, /* bytes of a rule's texts */
    PAYLOAD_MAX = 3000,   /* bytes of a packet that are told */
    PACKET_MAX = 9216,    /* of a whole frame */
};

/* --- how a packet came ------------------------------------------------------------------------------ */

enum { PORT_TEREDO = 3544, PORT_GENEVE = 6081 };

static uint8_t came_in(const reef_packet *inner, const reef_packet *outer)
{
    switch (outer->protocol) {
    case REEF_PROTO_GRE:
        return REEF_CAME_GRE;
    case REEF_PROTO_UDP:
        if (outer->destination_port == PORT_GENEVE)
            return REEF_CAME_GENEVE;
        return outer->inner.kind == REEF_INNER_TEREDO ? REEF_CAME_TEREDO : REEF_CAME_VXLAN;
    default:
        return outer->version == 4 && inner->version != 0 ? REEF_CAME_IPV4 : REEF_CAME_IPV6;
    }
}

uint8_t reef_packet_came(const reef_packet *packet)
{
    if (packet->number == 0)
        return REEF_CAME_FLOW_END;
    if (packet->flags & REEF_PACKET_DEFRAGMENTED)
        return REEF_CAME_FRAGMENTS;
    return packet->outer == NULL ? REEF_CAME_WIRE : came_in(packet, packet->outer);
}

/* --- state of the flow ------------------------------------------------------------------------------ */

static bool begins_with(const reef_flow_name *name, const char *with, size_t length)
{
    return name->length > length && memcmp(name->name, with, length) == 0;
}

#define TRAFFIC_ID "traffic/id/"
#define TRAFFIC_LABEL "traffic/label/"

/* The flowbits of one kind: those that begin with `with`, or (NULL) those that are not about the kind of traffic. */
static void write_bits(reef_json *json, const char *key, const reef_flow_name *names, uint32_t count, const char *with)
{
    bool open = false;
    for (uint32_t i = 0; i < count; i++) {
        size_t skip = with != NULL ? strlen(with) : 0;
        if (with != NULL ? !begins_with(&names[i], with, skip)
                         : begins_with(&names[i], TRAFFIC_ID, sizeof TRAFFIC_ID - 1) ||
                               begins_with(&names[i], TRAFFIC_LABEL, sizeof TRAFFIC_LABEL - 1))
            continue;
        if (!open)
            reef_json_open(json, key, '[');
        open = true;
        reef_json_bytes(json, NULL, (const uint8_t *)names[i].name + skip, names[i].length - skip, REEF_NAME_MAX);
    }
    if (open)
        reef_json_close(json, ']');
}

static void write_numbers(reef_json *json, const reef_flow_name *names, uint32_t count)
{
    if (count == 0)
        return;
    reef_json_open(json, "flowints", '{');
    for (uint32_t i = 0; i < count; i++) {
        char key[REEF_NAME_MAX];
        uint32_t length = names[i].length < sizeof key ? names[i].length : (uint32_t)sizeof key - 1;
        memcpy(key, names[i].name, length); /* names of flowints are letters, digits, dots and the like */
        key[length] = '\0';
        reef_json_number(json, key, names[i].value);
    }
    reef_json_close(json, '}');
}

/* The members of "metadata" go in front; what follows begins anew. */
static void write_flow_state(reef_event *event, const reef_matcher *matcher, const reef_flow *flow, reef_json *json)
{
    if (matcher == NULL || flow == NULL || flow->match == NULL)
        return;
    reef_flow_name bits[NAMES_MAX], numbers[NAMES_MAX];
    uint32_t count = reef_match_flow_names(matcher, flow, REEF_NAME_FLOWBIT, bits, NAMES_MAX);
    uint32_t known = reef_match_flow_names(matcher, flow, REEF_NAME_FLOWINT, numbers, NAMES_MAX);
    write_bits(json, "flowbits", bits, count, NULL);
    write_numbers(json, numbers, known);
    event->prefix_length = (uint16_t)reef_json_length(json);
    json->comma = false;
    bool told = false;
    for (uint32_t i = 0; i < count && !told; i++)
        told = begins_with(&bits[i], "traffic/", 8);
    if (!told)
        return;
    reef_json_open(json, "traffic", '{');
    write_bits(json, "id", bits, count, TRAFFIC_ID);
    write_bits(json, "label", bits, count, TRAFFIC_LABEL);
    reef_json_close(json, '}');
}

/* --- what the flow speaks ---------------------------------------------------------------------------- */

static void write_side(reef_json *json, const char *key, const reef_session *session, int direction)
{
    const reef_protocol *seen = session->seen[direction];
    if (seen != NULL && seen != session->protocol)
        reef_json_text(json, key, seen->name);
    else if (seen == NULL && session->side[direction].gone && session->protocol != NULL)
        reef_json_text(json, key, "failed");
}

static void write_protocols(const reef_session *session, reef_json *json)
{
    if (session == NULL)
        return;
    if (session->protocol != NULL)
        reef_json_word(json, "app_proto", session->protocol->name);
    else if (session->flags & REEF_SESSION_FAILED)
        reef_json_word(json, "app_proto", "failed");
    write_side(json, "app_proto_ts", session, REEF_TO_SERVER);
    write_side(json, "app_proto_tc", session, REEF_TO_CLIENT);
    if (session->before != NULL && session->before != session->protocol)
        reef_json_word(json, "app_proto_orig", session->before->name);
    if (session->wanted != NULL && session->wanted != session->protocol)
        reef_json_word(json, "app_proto_expected", session->wanted->name);
}

/* Members of one object, which goes away again when there are none. */
static bool write_object(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    const reef_protocol *protocol = session->protocol;
    const char *key = protocol->member != NULL ? protocol->member : protocol->event_type;
    if (protocol->write == NULL || key == NULL)
        return false;
    reef_json before = *json;
    reef_json_open(json, key, '{');
    if (!protocol->write(session, transaction, which, json)) {
        *json = before;
        return false;
    }
    reef_json_close(json, '}');
    return true;
}

static void write_beside(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    if (session->protocol->write_beside != NULL)
        session->protocol->write_beside(session, transaction, which, json);
}

static void write_files(const reef_session *session, const reef_transaction *transaction, int direction, reef_json *json)
{
    if (session->protocol->files != NULL)
        reef_tx_file_write_list(session->protocol->files(session, transaction, direction), json);
}

/* --- alerts ------------------------------------------------------------------------------------------ */

static void write_text(reef_json *json, const reef_rules *rules, const char *key, reef_text text)
{
    reef_json_bytes(json, key, (const uint8_t *)reef_rules_text(rules, text), text.length, SIGNATURE_MAX);
}

static void write_end(reef_json *json, const char *key, const reef_packet *packet, bool source)
{
    reef_json_open(json, key, '{');
    reef_json_address(json, "ip", packet->version, source ? packet->source : packet->destination);
    if (eve_has_ports(packet->protocol))
        reef_json_number(json, "port", source ? packet->source_port : packet->destination_port);
    reef_json_close(json, '}');
}

static void write_rule(reef_json *json, const reef_rules *rules, const reef_packet *packet, const reef_alert *alert,
                       unsigned with)
{
    const reef_rule *rule = alert->rule;
    bool blocked = alert->action == REEF_VERDICT_DROP || alert->action == REEF_VERDICT_REJECT;
    reef_json_open(json, "alert", '{');
    reef_json_word(json, "action", blocked ? "blocked" : "allowed");
    reef_json_number(json, "gid", rule->gid);
    reef_json_number(json, "signature_id", rule->sid);
    reef_json_number(json, "rev", rule->rev);
    write_text(json, rules, "signature", rule->message);
    write_text(json, rules, "category", rule->category);
    reef_json_number(json, "severity", rule->priority);
    if (packet->version != 0 && rule->flags & (REEF_RULE_TARGET_SOURCE | REEF_RULE_TARGET_DESTINATION)) {
        bool to_source = (rule->flags & REEF_RULE_TARGET_SOURCE) != 0;
        write_end(json, "source", packet, !to_source);
        write_end(json, "target", packet, to_source);
    }
    if (rule->metadata.length > 0) {
        reef_json_open(json, "metadata", '{');
        reef_json_members(json, reef_rules_text(rules, rule->metadata), rule->metadata.length);
        reef_json_close(json, '}');
    }
    if (with & REEF_ALERT_WITH_RULE) {
        if (rule->references.length > 0) {
            reef_json_open(json, "references", '[');
            reef_json_members(json, reef_rules_text(rules, rule->references), rule->references.length);
            reef_json_close(json, ']');
        }
        reef_json_bytes(json, "rule", (const uint8_t *)reef_rules_text(rules, rule->text), rule->text.length,
                        REEF_EVENT_TEXT_MAX / 4);
    }
    reef_json_close(json, '}');
}

static void write_tunnel(reef_json *json, const reef_packet *packet)
{
    const reef_packet *root = packet->outer;
    if (root == NULL)
        return;
    while (root->outer != NULL)
        root = root->outer;
    bool ports = eve_has_ports(root->protocol);
    reef_json_open(json, "tunnel", '{');
    reef_json_address(json, "src_ip", root->version, root->source);
    reef_json_number(json, "src_port", ports ? root->source_port : 0);
    reef_json_address(json, "dest_ip", root->version, root->destination);
    reef_json_number(json, "dest_port", ports ? root->destination_port : 0);
    eve_write_protocol(json, root->protocol);
    reef_json_number(json, "depth", packet->depth);
    reef_json_number(json, "pcap_cnt", root->number);
    reef_json_text(json, "pkt_src", eve_came_name(REEF_CAME_WIRE));
    reef_json_close(json, '}');
}

static void write_flow(reef_json *json, const reef_flow *flow)
{
    const reef_flow_key *key = &flow->key;
    bool high = flow->client_is_high;
    reef_json_open(json, "flow", '{');
    reef_json_number(json, "pkts_toserver", flow->packets[REEF_TO_SERVER]);
    reef_json_number(json, "pkts_toclient", flow->packets[REEF_TO_CLIENT]);
    reef_json_number(json, "bytes_toserver", flow->bytes[REEF_TO_SERVER]);
    reef_json_number(json, "bytes_toclient", flow->bytes[REEF_TO_CLIENT]);
    reef_json_time(json, "start", flow->first_ns);
    reef_json_address(json, "src_ip", key->version, high ? key->high : key->low);
    reef_json_address(json, "dest_ip", key->version, high ? key->low : key->high);
    if (eve_has_ports(key->protocol)) {
        reef_json_number(json, "src_port", high ? key->high_port : key->low_port);
        reef_json_number(json, "dest_port", high ? key->low_port : key->high_port);
    }
    reef_json_close(json, '}');
}

static void write_payload(reef_json *json, const reef_packet *packet, const reef_alert *alert)
{
    uint32_t length = packet->payload_length < PAYLOAD_MAX ? packet->payload_length : PAYLOAD_MAX;
    reef_json_base64(json, "payload", packet->payload, length);
    reef_json_printable(json, "payload_printable", packet->payload, length);
    reef_json_number(json, "stream", alert->stream);
}

static void write_pdu(reef_json *json, const reef_pdu *pdu)
{
    reef_json_open(json, "frame", '{');
    reef_json_word(json, "type", reef_pdu_type(pdu->kind));
    reef_json_number(json, "id", pdu->number);
    reef_json_word(json, "direction", pdu->direction == REEF_TO_SERVER ? "toserver" : "toclient");
    reef_json_number(json, "stream_offset", pdu->offset);
    if (pdu->length != REEF_PDU_OPEN_END)
        reef_json_number(json, "length", pdu->length);
    reef_json_bool(json, "complete", pdu->held == pdu->length);
    reef_json_close(json, '}');
}

/* `whole`: with what the transaction says, and the packet. */
static void write_alert(reef_event *event, const reef_matcher *matcher, const reef_rules *rules, const reef_scene *scene,
                        const reef_alert *alert, unsigned with, bool whole, reef_json *json)
{
    const reef_packet *packet = scene->packet;
    const reef_session *session = scene->session;
    const reef_transaction *transaction = session != NULL && session->protocol != NULL ? alert->transaction : NULL;
    write_flow_state(event, matcher, scene->flow, json);
    if (transaction != NULL) {
        reef_json_number(json, "tx_id", transaction->number);
        if (!alert->state && packet->protocol != REEF_PROTO_UDP)
            reef_json_bool(json, "tx_guessed", true);
    }
    write_rule(json, rules, packet, alert, with);
    write_tunnel(json, packet);
    if (transaction != NULL && whole) {
        write_object(session, transaction, REEF_LOG_ALERT, json);
        write_beside(session, transaction, REEF_LOG_ALERT, json);
        write_files(session, transaction, scene->direction, json);
    }
    if (alert->pdu != NULL)
        write_pdu(json, alert->pdu);
    if (scene->flow != NULL) {
        write_protocols(session, json);
        reef_json_word(json, "direction", scene->direction == REEF_TO_SERVER ? "to_server" : "to_client");
        write_flow(json, scene->flow);
    }
    if (with & REEF_ALERT_WITH_PAYLOAD && packet->payload_length > 0 && whole)
        write_payload(json, packet, alert);
}

void reef_alert_write(reef_event *event, const reef_matcher *matcher, const reef_rules *rules, const reef_scene *scene,
                      const reef_alert *alert, unsigned with, reef_json *json)
{
    reef_json empty = *json;
    event->kind = REEF_EVENT_ALERT;
    write_alert(event, matcher, rules, scene, alert, with, true, json);
    if (!json->full)
        return;
    *json = empty; /* an alert is told, if need be without what was said in the conversation */
    event->prefix_length = 0;
    write_alert(event, NULL, rules, scene, alert, 0, false, json);
}

/* --- the others -------------------------------------------------------------------------------------- */

bool reef_transaction_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                            reef_log which, reef_json *json)
{
    event->kind = REEF_EVENT_TRANSACTION;
    event->app = (uint8_t)reef_protocol_number(session->protocol);
    if (session->protocol->event_type == NULL)
        return false;
    reef_json_number(json, "tx_id", transaction->number);
    if (!write_object(session, transaction, which, json))
        return false;
    write_beside(session, transaction, which, json);
    return true;
}

void reef_fileinfo_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                         const reef_tx_file *file, reef_json *json)
{
    event->kind = REEF_EVENT_FILE;
    write_object(session, transaction, REEF_LOG_ALERT, json);
    write_beside(session, transaction, REEF_LOG_ALERT, json);
    reef_json_word(json, "app_proto", session->protocol->name);
    reef_json_open(json, "fileinfo", '{');
    reef_tx_file_write(file, json);
    reef_json_close(json, '}');
}

/* Those of detection are written in capitals. */
static void write_event_name(reef_json *json, const char *name, bool capitals)
{
    char text[REEF_NAME_MAX];
    size_t length = strnlen(name, sizeof text - 1);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(capitals && name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    text[length] = '\0';
    reef_json_text(json, "event", text);
}

void reef_app_anomaly_write(reef_event *event, const reef_session *session, const reef_transaction *transaction,
                            unsigned number, reef_json *json)
{
    const reef_protocol *protocol = session->protocol;
    bool of_detection = (number & REEF_SESSION_EVENT) != 0;
    const char *name = of_detection ? reef_session_event_name(number)
                       : protocol != NULL && number < protocol->events_count ? protocol->events[number]
                                                                             : NULL;
    event->kind = REEF_EVENT_APP_ANOMALY;
    if (transaction != NULL)
        reef_json_number(json, "tx_id", transaction->number);
    reef_json_open(json, "anomaly", '{');
    reef_json_word(json, "app_proto", protocol != NULL ? protocol->name : "failed");
    reef_json_word(json, "type", "applayer");
    if (name != NULL)
        write_event_name(json, name, of_detection);
    reef_json_word(json, "layer", of_detection ? "proto_detect" : "proto_parser");
    reef_json_close(json, '}');
}

void reef_evidence_write(reef_event *event, const uint8_t sha256[32], reef_json *json)
{
    static const char digits[] = "0123456789abcdef";
    char message[] = "packets kept: 0123456789012345678901234567890123456789012345678901234567890123";
    char *at = message + sizeof message - 1 - 64;
    for (int i = 0; i < 32; i++) {
        *at++ = digits[sha256[i] >> 4];
        *at++ = digits[sha256[i] & 15];
    }
    event->kind = REEF_EVENT_EVIDENCE;
    reef_json_open(json, "engine", '{');
    reef_json_word(json, "module", "evidence");
    reef_json_text(json, "message", message);
    reef_json_close(json, '}');
}

void reef_slow_rule_write(reef_event *event, const reef_rule *rule, reef_json *json)
{
    char message[160];
    (void)snprintf(message, sizeof message, "rule %u:%u is disabled for %u s: it ran into the limits of inspection %u times within %u s",
                   rule->gid, rule->sid, (unsigned)(REEF_RULE_REST_NS / 1000000000u), REEF_RULE_DEBT_MAX,
                   (unsigned)(REEF_RULE_DEBT_NS / 1000000000u));
    event->kind = REEF_EVENT_SLOW_RULE;
    reef_json_open(json, "engine", '{');
    reef_json_word(json, "module", "detect");
    reef_json_text(json, "message", message);
    reef_json_close(json, '}');
}

void reef_tagged_write(reef_event *event, const reef_frame *frame, unsigned with, reef_json *json)
{
    event->kind = REEF_EVENT_TAGGED;
    if (with & REEF_ALERT_WITH_PAYLOAD)
        reef_json_base64(json, "packet", frame->data, frame->captured < PACKET_MAX ? frame->captured : PACKET_MAX);
    reef_json_open(json, "packet_info", '{');
    reef_json_number(json, "linktype", frame->link);
    reef_json_close(json, '}');
}

void reef_flow_text_write(reef_event *event, const reef_matcher *matcher, const reef_flow *flow, reef_json *json)
{
    write_flow_state(event, matcher, flow, json);
    write_protocols(flow->session, json);
}
