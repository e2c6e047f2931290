#include "eve_internal.h"

#include <stdio.h>
#include <nettle/sha1.h>

#include "reef/bytes.h"
#include "reef/eve.h"

#define GATEWAY_ZONE "gateway" /* appliance/policy/model.py: the box itself */

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

bool eve_has_ports(unsigned protocol)
{
    return protocol == REEF_PROTO_TCP || protocol == REEF_PROTO_UDP || protocol == REEF_PROTO_SCTP;
}

bool eve_is_icmp(unsigned protocol)
{
    return protocol == REEF_PROTO_ICMP || protocol == REEF_PROTO_ICMPV6;
}

bool reef_community_id(const reef_event *event, char out[31])
{
    if (event->version == 0)
        return false;
    size_t size = event->version == 4 ? 4 : 16;
    uint16_t source_port = event->source_port, destination_port = event->destination_port;
    bool ports = eve_has_ports(event->protocol), one_way = false;
    if (eve_is_icmp(event->protocol)) {
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
    uint8_t digest[SHA1_DIGEST_SIZE + 1] = {0};
    struct sha1_ctx sha1;
    sha1_init(&sha1);
    sha1_update(&sha1, (size_t)(at - message), message);
    sha1_digest(&sha1, SHA1_DIGEST_SIZE, digest);
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

void eve_write_protocol(reef_json *json, unsigned protocol)
{
    const char *name = protocol_name(protocol);
    char number[8];
    if (name == NULL) {
        snprintf(number, sizeof number, "%03u", protocol);
        name = number;
    }
    reef_json_word(json, "proto", name);
}

const char *eve_came_name(unsigned came)
{
    static const char *const names[] = {
        [REEF_CAME_UNSAID] = "",
        [REEF_CAME_WIRE] = "wire/pcap",
        [REEF_CAME_GRE] = "gre tunnel",
        [REEF_CAME_IPV4] = "ipv4 tunnel",
        [REEF_CAME_IPV6] = "ipv6 tunnel",
        [REEF_CAME_TEREDO] = "teredo tunnel",
        [REEF_CAME_VXLAN] = "vxlan encapsulation",
        [REEF_CAME_GENEVE] = "geneve encapsulation",
        [REEF_CAME_FRAGMENTS] = "defrag",
        [REEF_CAME_FLOW_END] = "stream (flow timeout)",
    };
    return names[came];
}

void eve_write_common(reef_json *json, const reef_event *event, const reef_names *names, const char *event_type)
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
    reef_json_word(json, "event_type", event_type);
    if (event->vlans > 0) {
        reef_json_open(json, "vlan", '[');
        for (unsigned i = 0; i < event->vlans; i++)
            reef_json_number(json, NULL, event->vlan[i]);
        reef_json_close(json, ']');
    }
    if (event->version != 0) {
        bool ports = eve_has_ports(event->protocol);
        reef_json_address(json, "src_ip", event->version, event->source);
        if (ports)
            reef_json_number(json, "src_port", event->source_port);
        reef_json_address(json, "dest_ip", event->version, event->destination);
        if (ports)
            reef_json_number(json, "dest_port", event->destination_port);
        eve_write_protocol(json, event->protocol);
        reef_json_number(json, "ip_v", event->version);
        if (eve_is_icmp(event->protocol)) {
            reef_json_number(json, "icmp_type", event->icmp_type);
            reef_json_number(json, "icmp_code", event->icmp_code);
        }
        if (event->came != REEF_CAME_UNSAID)
            reef_json_word(json, "pkt_src", eve_came_name(event->came));
        char id[31];
        if (reef_community_id(event, id))
            reef_json_word(json, "community_id", id);
    }
    if (*reef_names_site(names) != '\0')
        reef_json_text(json, "host", reef_names_site(names));
}

/* Rule, action and zones, as far as they are known; `said`: members that the worker wrote. */
void eve_write_metadata(reef_json *json, const reef_event *event, const reef_names *names, const reef_rule_name *rule,
                        reef_view said)
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
    bool placed = ruled || *source != '\0' || *destination != '\0';
    if (!placed && said.length == 0)
        return;
    reef_json_open(json, "metadata", '{');
    reef_json_members(json, (const char *)said.data, said.length);
    if (!placed) {
        reef_json_close(json, '}');
        return;
    }
    reef_json_open(json, "flowvars", '[');
    reef_json_open(json, NULL, '{');
    reef_json_word(json, "gid", "reef");
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
