/* packet_tests: what rules ask of a packet's headers: addresses, ports, protocol, direction, and the fields of the keywords. */
#include <string.h>

#include "match_internal.h"

bool address_in_set(const reef_rules *rules, uint32_t set, unsigned version, const uint8_t *address)
{
    if (set == 0)
        return true;
    const reef_address_set *ranges = &rules->address_set[set];
    if (version == 4) {
        uint32_t value = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 | address[3];
        const reef_range4 *range = &rules->range4[ranges->range4];
        uint32_t low = 0, high = ranges->ranges4;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (value > range[middle].last)
                low = middle + 1;
            else
                high = middle;
        }
        return low < ranges->ranges4 && value >= range[low].first;
    }
    const reef_range6 *range = &rules->range6[ranges->range6];
    uint32_t low = 0, high = ranges->ranges6;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (memcmp(address, range[middle].last, 16) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranges->ranges6 && memcmp(address, range[low].first, 16) >= 0;
}

bool port_in_set(const reef_rules *rules, uint32_t set, uint16_t port)
{
    if (set == 0)
        return true;
    const reef_port_set *ranges = &rules->port_set[set];
    const reef_port_range *range = &rules->port_range[ranges->range];
    uint32_t low = 0, high = ranges->ranges;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (port > range[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ranges->ranges && port >= range[low].first;
}

static bool ends_hold(const reef_matcher *matcher, const reef_rule *rule, bool turned)
{
    const reef_packet *packet = matcher->scene->packet;
    const reef_rules *rules = matcher->rules;
    const uint8_t *source = turned ? packet->destination : packet->source;
    const uint8_t *destination = turned ? packet->source : packet->destination;
    uint16_t from = turned ? packet->destination_port : packet->source_port;
    uint16_t to = turned ? packet->source_port : packet->destination_port;
    bool ports = packet->flags & REEF_PACKET_TRANSPORT && packet->protocol != REEF_PROTO_ICMP && packet->protocol != REEF_PROTO_ICMPV6;
    if (rule->destination_port != 0 && (!ports || !port_in_set(rules, rule->destination_port, to)))
        return false;
    if (rule->source_port != 0 && (!ports || !port_in_set(rules, rule->source_port, from)))
        return false;
    return address_in_set(rules, rule->source, packet->version, source) && address_in_set(rules, rule->destination, packet->version, destination);
}

bool header_addresses_hold(const reef_matcher *matcher, const detect_rule *rule)
{
    if ((rule->rule->source | rule->rule->destination | rule->rule->source_port | rule->rule->destination_port) == 0)
        return true;
    bool turned = matcher->turned;
    return ends_hold(matcher, rule->rule, turned) || (rule->rule->flags & REEF_RULE_BIDIRECTIONAL && ends_hold(matcher, rule->rule, !turned));
}

static bool flow_holds(const reef_matcher *matcher, uint32_t flags)
{
    const reef_scene *scene = matcher->scene;
    const reef_flow *flow = scene->flow;
    if (flow == NULL)
        return false;
    if (flags & REEF_RULE_TO_SERVER && matcher->direction != REEF_TO_SERVER)
        return false;
    if (flags & REEF_RULE_TO_CLIENT && matcher->direction != REEF_TO_CLIENT)
        return false;
    if (flags & (REEF_RULE_ESTABLISHED | REEF_RULE_NOT_ESTABLISHED)) {
        /* Of TCP the tracker knows: one whose beginning was not seen is not established. */
        bool established = flow->key.protocol == REEF_PROTO_TCP ? reef_tcp_established(flow) : flow->state == REEF_FLOW_ESTABLISHED;
        if (established != !!(flags & REEF_RULE_ESTABLISHED))
            return false;
    }
    return true;
}

bool header_holds(const reef_matcher *matcher, const detect_rule *rule)
{
    const reef_packet *packet = matcher->scene->packet;
    uint32_t flags = rule->rule->flags;
    if (packet->version == 0)
        return flags & (REEF_RULE_PACKET_HEADER | REEF_RULE_DECODE_EVENTS);
    if (flags & (REEF_RULE_ONLY_V4 | REEF_RULE_ONLY_V6) && packet->version != (flags & REEF_RULE_ONLY_V4 ? 4 : 6))
        return false;
    if (!(rule->rule->protocols[packet->protocol >> 6] >> (packet->protocol & 63) & 1))
        return false;
    const uint32_t of_flow = REEF_RULE_TO_SERVER | REEF_RULE_TO_CLIENT | REEF_RULE_ESTABLISHED | REEF_RULE_NOT_ESTABLISHED |
                             REEF_RULE_STATELESS | REEF_RULE_ONLY_STREAM | REEF_RULE_NEEDS_FLOW;
    if (flags & of_flow && !flow_holds(matcher, flags))
        return false;
    if (flags & (REEF_RULE_NO_FRAG | REEF_RULE_ONLY_FRAG)) {
        bool fragment = packet->flags & REEF_PACKET_DEFRAGMENTED;
        if (fragment != !!(flags & REEF_RULE_ONLY_FRAG))
            return false;
    }
    return header_addresses_hold(matcher, rule);
}

/* --- fields ------------------------------------------------------------------------------------------ */

static uint32_t transport_bytes(const reef_packet *packet)
{
    if (packet->transport == NULL || packet->network == NULL || packet->transport < packet->network ||
        packet->transport > packet->network + packet->network_length)
        return 0;
    return (uint32_t)(packet->network + packet->network_length - packet->transport);
}

static uint32_t read16(const uint8_t *data)
{
    return (uint32_t)data[0] << 8 | data[1];
}

/* The value of a TCP option; -1: it is not there. */
static int64_t tcp_option(const reef_packet *packet, uint8_t kind, unsigned size)
{
    uint32_t left = transport_bytes(packet);
    if (packet->protocol != REEF_PROTO_TCP || left < 20)
        return -1;
    uint32_t end = (uint32_t)(packet->transport[12] >> 4) * 4;
    if (end > left)
        end = left;
    for (uint32_t at = 20; at < end;) {
        uint8_t option = packet->transport[at];
        if (option == 0)
            break;
        if (option == 1) {
            at++;
            continue;
        }
        if (at + 1 >= end || packet->transport[at + 1] < 2 || at + packet->transport[at + 1] > end)
            break;
        if (option == kind && packet->transport[at + 1] == size + 2)
            return size == 2 ? read16(packet->transport + at + 2) : packet->transport[at + 2];
        at += packet->transport[at + 1];
    }
    return -1;
}

static bool ip_option(const reef_packet *packet, int64_t wanted)
{
    if (packet->version != 4 || packet->network == NULL || packet->network_length < 20)
        return false;
    uint32_t end = (uint32_t)(packet->network[0] & 15) * 4;
    if (end > packet->network_length)
        return false;
    for (uint32_t at = 20; at < end;) {
        uint8_t option = packet->network[at];
        if (wanted == 0x100 || option == wanted)
            return true;
        if (option == 0)
            break;
        if (option == 1) {
            at++;
            continue;
        }
        if (at + 1 >= end || packet->network[at + 1] < 2)
            break;
        at += packet->network[at + 1];
    }
    return false;
}

static bool is_icmp(const reef_packet *packet)
{
    return packet->flags & REEF_PACKET_TRANSPORT && (packet->protocol == REEF_PROTO_ICMP || packet->protocol == REEF_PROTO_ICMPV6);
}

/* The number a keyword compares; -1: the packet has none. */
static int64_t field(const reef_packet *packet, unsigned op)
{
    bool ip4 = packet->version == 4 && packet->network != NULL && packet->network_length >= 20;
    bool tcp = packet->protocol == REEF_PROTO_TCP && packet->flags & REEF_PACKET_TRANSPORT;
    switch (op) {
    case REEF_OP_DSIZE: return packet->flags & REEF_PACKET_TRANSPORT || packet->payload_length > 0 ? (int64_t)packet->payload_length : packet->version != 0 ? 0 : -1;
    case REEF_OP_TTL: return packet->version != 0 ? packet->ttl : -1;
    case REEF_OP_TOS: return ip4 ? packet->network[1] : -1;
    case REEF_OP_IP_ID: return ip4 ? (int64_t)read16(packet->network + 4) : -1;
    case REEF_OP_TCP_SEQUENCE: return tcp ? (int64_t)packet->tcp_sequence : -1;
    case REEF_OP_TCP_ACK: return tcp ? (int64_t)packet->tcp_acknowledgement : -1;
    case REEF_OP_TCP_WINDOW: return tcp ? packet->tcp_window : -1;
    case REEF_OP_TCP_MSS: return tcp ? tcp_option(packet, 2, 2) : -1;
    case REEF_OP_TCP_WSCALE: return tcp ? tcp_option(packet, 3, 1) : -1;
    case REEF_OP_IP_PROTO: return packet->version != 0 ? packet->protocol : -1;
    case REEF_OP_FRAGOFFSET: return ip4 ? (int64_t)(read16(packet->network + 6) & 0x1fff) : packet->version == 6 && packet->flags & REEF_PACKET_FRAGMENT ? packet->fragment_offset / 8 : -1;
    case REEF_OP_ICMP_TYPE: return is_icmp(packet) ? packet->icmp_type : -1;
    case REEF_OP_ICMP_CODE: return is_icmp(packet) ? packet->icmp_code : -1;
    case REEF_OP_ICMP_ID: return is_icmp(packet) && transport_bytes(packet) >= 8 ? (int64_t)read16(packet->transport + 4) : -1;
    case REEF_OP_ICMP_SEQ: return is_icmp(packet) && transport_bytes(packet) >= 8 ? (int64_t)read16(packet->transport + 6) : -1;
    case REEF_OP_ICMPV6_MTU:
        if (packet->protocol != REEF_PROTO_ICMPV6 || packet->icmp_type != 2 || transport_bytes(packet) < 8)
            return -1;
        return (int64_t)read16(packet->transport + 4) << 16 | read16(packet->transport + 6);
    default: return -1;
    }
}

static bool bits_hold(unsigned value, unsigned wanted, unsigned how)
{
    switch (how) {
    case '+': return (value & wanted) == wanted;
    case '*': return (value & wanted) != 0;
    case '!': return (value & wanted) != wanted;
    default: return value == wanted;
    }
}

static uint32_t sum16(const uint8_t *data, uint32_t length, uint32_t sum)
{
    for (; length > 1; data += 2, length -= 2)
        sum += read16(data);
    if (length > 0)
        sum += (uint32_t)data[0] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* 1 valid, 0 not, -1 there is none to check. */
static int checksum_of(const reef_packet *packet, const reef_condition *condition)
{
    unsigned header = packet->network != NULL && packet->network_length >= 20 ? (packet->network[0] & 15) * 4u : 0;
    if (condition->base == 4)
        return packet->version == 4 && header >= 20 && header <= packet->network_length ? sum16(packet->network, header, 0) == 0xffff : -1;
    uint32_t length = transport_bytes(packet);
    if (packet->protocol != condition->base || !(packet->flags & REEF_PACKET_TRANSPORT) || packet->flags & REEF_PACKET_CUT || length < 8 ||
        (condition->c != 0 && condition->c != packet->version))
        return -1;
    if (packet->payload != NULL && packet->payload >= packet->transport && packet->payload_length <= length)
        length = (uint32_t)(packet->payload - packet->transport) + packet->payload_length;
    uint32_t sum = 0;
    if (packet->protocol != REEF_PROTO_ICMP) {
        unsigned width = packet->version == 4 ? 4 : 16;
        sum = sum16(packet->source, width, 0) + sum16(packet->destination, width, 0) + packet->protocol + (length & 0xffff) + (length >> 16);
    }
    if (packet->protocol == REEF_PROTO_UDP && read16(packet->transport + 6) == 0)
        return -1;
    return sum16(packet->transport, length, sum) == 0xffff;
}

static bool has_event(const reef_packet *packet, int64_t event)
{
    for (unsigned i = 0; i < packet->events; i++)
        if (packet->event[i] == event)
            return true;
    return false;
}

/* PORT a,b,c,d,p,p with an address that is not the client's. */
static bool ftpbounce(const reef_packet *packet)
{
    unsigned number[4] = {0}, n = 0;
    if (packet->payload_length < 6 || packet->version != 4 || memcmp(packet->payload, "PORT", 4) != 0)
        return false;
    for (uint32_t i = 4; i < packet->payload_length && n < 4; i++) {
        uint8_t byte = packet->payload[i];
        if (byte >= '0' && byte <= '9')
            number[n] = number[n] * 10 + (byte - '0');
        else if (byte == ',')
            n++;
        else if (byte != ' ')
            break;
        if (n < 4 && number[n] > 255)
            return false;
    }
    if (n < 4)
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (number[i] != packet->source[i])
            return true;
    return false;
}

static bool rpc_holds(const reef_packet *packet, const reef_condition *condition)
{
    const uint8_t *data = packet->payload;
    uint32_t skip = packet->protocol == REEF_PROTO_TCP ? 4 : 0;
    if (packet->payload_length < 28 + skip)
        return false;
    data += skip;
    uint32_t type = read16(data + 4) << 16 | read16(data + 6), version = read16(data + 8) << 16 | read16(data + 10);
    if (type != 0 || version != 2)
        return false;
    int64_t program = (int64_t)read16(data + 12) << 16 | read16(data + 14), of = (int64_t)read16(data + 16) << 16 | read16(data + 18);
    int64_t procedure = (int64_t)read16(data + 20) << 16 | read16(data + 22);
    return program == condition->a && (condition->b < 0 || of == condition->b) && (condition->c < 0 || procedure == condition->c);
}

bool packet_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition)
{
    const reef_packet *packet = matcher->scene->packet;
    bool negated = condition->flags & REEF_C_NEGATED;
    switch (condition->op) {
    case REEF_OP_TCP_FLAGS:
        return packet->protocol == REEF_PROTO_TCP && packet->flags & REEF_PACKET_TRANSPORT &&
               bits_hold(packet->tcp_flags & ~(unsigned)condition->b & 0xff, (unsigned)condition->a, condition->base);
    case REEF_OP_FRAGBITS:
        return packet->version == 4 && packet->network != NULL && packet->network_length >= 20 &&
               bits_hold(packet->network[6] >> 5, (unsigned)condition->a, condition->base);
    case REEF_OP_IPOPTS:
        return ip_option(packet, condition->a);
    case REEF_OP_SAMEIP:
        return packet->version != 0 && memcmp(packet->source, packet->destination, 16) == 0;
    case REEF_OP_CHECKSUM:
        return checksum_of(packet, condition) == (int)condition->a;
    case REEF_OP_GEOIP:
        return geoip_condition(matcher, condition);
    case REEF_OP_DECODE_EVENT:
        return has_event(packet, condition->a) != negated;
    case REEF_OP_FTPBOUNCE:
        return ftpbounce(packet);
    case REEF_OP_RPC:
        return rpc_holds(packet, condition);
    case REEF_OP_FLOWBITS:
    case REEF_OP_FLOWINT:
    case REEF_OP_XBITS:
    case REEF_OP_HOSTBITS:
    case REEF_OP_STREAM_SIZE:
    case REEF_OP_APP_PROTOCOL:
    case REEF_OP_FLOW_AGE:
    case REEF_OP_FLOW_PKTS:
    case REEF_OP_FLOW_BYTES:
        return flow_condition(matcher, rule, condition);
    case REEF_OP_APP_EVENT:
    case REEF_OP_VALUE:
        return transaction_condition(matcher, rule, condition);
    case REEF_OP_THRESHOLD:
    case REEF_OP_TAG:
    case REEF_OP_REPLACE:
        return true; /* done on the match */
    default:
        break;
    }
    int64_t value = field(packet, condition->op);
    return value >= 0 && number_compares((uint64_t)value, condition->compare, condition->a, condition->b) != negated;
}

bool packet_buffer(const reef_packet *packet, unsigned kind, reef_buffer *out)
{
    uint32_t left = transport_bytes(packet), size = 0;
    *out = (reef_buffer){.end = true};
    switch (kind) {
    case REEF_BUFFER_IPV4_HDR:
        if (packet->version != 4 || packet->network == NULL || packet->network_length < 20)
            return false;
        size = (packet->network[0] & 15) * 4u;
        out->bytes = (reef_view){packet->network, size < packet->network_length ? size : packet->network_length};
        return true;
    case REEF_BUFFER_IPV6_HDR:
        if (packet->version != 6 || packet->network == NULL || packet->network_length < 40)
            return false;
        out->bytes = (reef_view){packet->network, packet->transport > packet->network ? (uint32_t)(packet->transport - packet->network) : 40};
        return true;
    case REEF_BUFFER_TCP_HDR:
        if (packet->protocol != REEF_PROTO_TCP || left < 20)
            return false;
        size = (uint32_t)(packet->transport[12] >> 4) * 4;
        break;
    case REEF_BUFFER_UDP_HDR:
        if (packet->protocol != REEF_PROTO_UDP || left < 8)
            return false;
        size = 8;
        break;
    case REEF_BUFFER_ICMPV4_HDR:
    case REEF_BUFFER_ICMPV6_HDR:
        if (packet->protocol != (kind == REEF_BUFFER_ICMPV4_HDR ? REEF_PROTO_ICMP : REEF_PROTO_ICMPV6) || left < 8)
            return false;
        size = left;
        if (kind == REEF_BUFFER_ICMPV4_HDR && packet->flags & REEF_PACKET_TRANSPORT) /* with what its type adds */
            size = (uint32_t)(packet->payload - packet->transport);
        break;
    default:
        return false;
    }
    out->bytes = (reef_view){packet->transport, size < left ? size : left};
    return true;
}
