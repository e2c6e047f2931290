/* What carries packets: GRE (RFC 2784, 2890, 1701; PPTP's version 1, RFC 2637), ERSPAN, NSH (RFC 8300), and on UDP Teredo
 * (RFC 4380), VXLAN (RFC 7348), Geneve (RFC 8926). */
#include "decode_internal.h"

enum {
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_STRICT_ROUTE = 0x0800,
    GRE_RECURSION = 0x0700,
    GRE_ACKNOWLEDGEMENT = 0x0080, /* of version 1 */
    GRE_FLAGS_1 = 0x0078,         /* spare in version 1 */
    GRE_FLAGS_0 = 0x00f8,         /* spare in version 0 */
    GRE_VERSION = 0x0007,
};
enum {
    TYPE_IPV4 = 0x0800,
    TYPE_BRIDGED = 0x6558,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86dd,
    TYPE_PPP = 0x880b,
    TYPE_ERSPAN = 0x88be,
};
enum { ETHERNET_HEADER = 14 };

/* Bytes of the header of version 0, or 0 (which has been said). */
static uint32_t gre_header_0(reef_packet *packet, unsigned flags, const uint8_t *p, uint32_t n)
{
    if (flags & GRE_RECURSION) {
        decode_bad(packet, REEF_EV_GRE_VERSION0_RECUR);
        return 0;
    }
    if (flags & GRE_FLAGS_0) {
        decode_bad(packet, REEF_EV_GRE_VERSION0_FLAGS);
        return 0;
    }
    uint32_t header = 4u + (flags & GRE_KEY ? 4 : 0) + (flags & GRE_SEQUENCE ? 4 : 0) +
                      (flags & (GRE_CHECKSUM | GRE_ROUTING) ? 4 : 0);
    if (header > n) {
        decode_bad(packet, REEF_EV_GRE_VERSION0_HDR_TOO_BIG);
        return 0;
    }
    bool more = flags & GRE_ROUTING;
    while (more) { /* source route entries: family, offset, length; the last is all zero */
        if (n - header < 4) {
            decode_bad(packet, REEF_EV_GRE_VERSION0_MALFORMED_SRE_HDR);
            return 0;
        }
        uint32_t length = p[header + 3];
        more = reef_be16(p + header) != 0 || length != 0;
        header += 4;
        if (length > n - header) {
            decode_bad(packet, REEF_EV_GRE_VERSION0_MALFORMED_SRE_HDR);
            return 0;
        }
        header += length;
    }
    return header;
}

static uint32_t gre_header_1(reef_packet *packet, unsigned flags, unsigned type, uint32_t n)
{
    static const struct { uint16_t flag, event; } forbidden[] = {
        {GRE_CHECKSUM, REEF_EV_GRE_VERSION1_CHKSUM},   {GRE_ROUTING, REEF_EV_GRE_VERSION1_ROUTE},
        {GRE_STRICT_ROUTE, REEF_EV_GRE_VERSION1_SSR},  {GRE_RECURSION, REEF_EV_GRE_VERSION1_RECUR},
        {GRE_FLAGS_1, REEF_EV_GRE_VERSION1_FLAGS},
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        if (flags & forbidden[i].flag) {
            decode_bad(packet, (reef_decode_event)forbidden[i].event);
            return 0;
        }
    if (type != TYPE_PPP || !(flags & GRE_KEY)) {
        decode_bad(packet, type != TYPE_PPP ? REEF_EV_GRE_VERSION1_WRONG_PROTOCOL : REEF_EV_GRE_VERSION1_NO_KEY);
        return 0;
    }
    uint32_t header = 8u + (flags & GRE_SEQUENCE ? 4 : 0) + (flags & GRE_ACKNOWLEDGEMENT ? 4 : 0);
    if (header > n) {
        decode_bad(packet, REEF_EV_GRE_VERSION1_HDR_TOO_BIG);
        return 0;
    }
    return header;
}

static reef_inner_kind gre_carries(unsigned flags, unsigned type, const uint8_t *p)
{
    switch (type) {
    case TYPE_IPV4:
        return REEF_INNER_IPV4;
    case TYPE_IPV6:
        return REEF_INNER_IPV6;
    case TYPE_VLAN:
        return REEF_INNER_VLAN;
    case TYPE_BRIDGED:
        return REEF_INNER_ETHERNET;
    case TYPE_ERSPAN: /* type I has no header of its own, and no sequence number */
        return flags & GRE_SEQUENCE ? REEF_INNER_ERSPAN2 : REEF_INNER_ERSPAN1;
    case TYPE_PPP: /* PPTP: the upper half of the key is the length; only an acknowledgement has none */
        return (flags & GRE_VERSION) == 1 && reef_be16(p + 4) == 0 ? REEF_INNER_NONE : REEF_INNER_PPP;
    default:
        return REEF_INNER_NONE;
    }
}

void decode_gre(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 4) {
        decode_bad(packet, REEF_EV_GRE_PKT_TOO_SMALL);
        return;
    }
    if (!decode_layer(packet))
        return;
    unsigned flags = reef_be16(p), type = reef_be16(p + 2);
    uint32_t header = 0;
    if ((flags & GRE_VERSION) == 0)
        header = gre_header_0(packet, flags, p, n);
    else if ((flags & GRE_VERSION) == 1)
        header = gre_header_1(packet, flags, type, n);
    else
        decode_bad(packet, REEF_EV_GRE_WRONG_VERSION);
    if (header == 0)
        return;
    decode_transport_whole(packet, p, header, n);
    reef_inner_kind kind = gre_carries(flags, type, p);
    if (kind == REEF_INNER_NONE)
        return;
    packet->flags |= REEF_PACKET_NO_FLOW;
    decode_carries(packet, kind, p + header, n - header);
}

/* Type II: a header of eight bytes with a VLAN tag, then the frame. */
bool decode_erspan(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8) {
        decode_event(packet, REEF_EV_ERSPAN_HEADER_TOO_SMALL);
        return false;
    }
    if (!decode_layer(packet))
        return false;
    if (p[0] >> 4 != 1) {
        decode_event(packet, REEF_EV_ERSPAN_UNSUPPORTED_VERSION);
        return false;
    }
    unsigned tag = reef_be16(p) & 0x0fffu;
    if (tag != 0) {
        if (packet->vlans == REEF_VLAN_MAX) {
            decode_event(packet, REEF_EV_ERSPAN_TOO_MANY_VLAN_LAYERS);
            return false;
        }
        packet->vlan[packet->vlans++] = (uint16_t)tag;
    }
    return decode_ethernet(packet, p + 8, n - 8);
}

bool decode_nsh(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8) {
        decode_bad(packet, REEF_EV_NSH_HEADER_TOO_SMALL);
        return false;
    }
    if (!decode_layer(packet))
        return false;
    if (p[0] >> 6 != 0) {
        decode_event(packet, REEF_EV_NSH_UNSUPPORTED_VERSION);
        return true;
    }
    uint32_t header = (p[1] & 0x3fu) * 4u;
    unsigned type = p[2] & 0x0fu;
    if (header >= n || header < 8 || (type == 1 && header != 24)) {
        decode_bad(packet, REEF_EV_NSH_BAD_HEADER_LENGTH);
        return false;
    }
    if (type != 1 && type != 2) {
        decode_event(packet, type == 0 || type == 15 ? REEF_EV_NSH_RESERVED_TYPE : REEF_EV_NSH_UNSUPPORTED_TYPE);
        return true;
    }
    switch (p[3]) {
    case 1:
        return decode_ipv4(packet, p + header, n - header);
    case 2:
        return decode_ipv6(packet, p + header, n - header);
    case 3:
        return decode_ethernet(packet, p + header, n - header);
    case 5:
        return decode_mpls(packet, p + header, n - header);
    default:
        decode_event(packet, REEF_EV_NSH_UNKNOWN_PAYLOAD);
        return true;
    }
}

/* Teredo puts origin indications of eight bytes in front of the IPv6 packet, which fills the datagram. */
static void carries_teredo(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    while (n >= DECODE_IPV6_HEADER && p[0] == 0 && p[1] == 0) {
        p += 8;
        n -= 8;
    }
    if (n >= DECODE_IPV6_HEADER && p[0] >> 4 == 6 && reef_be16(p + 4) == n - DECODE_IPV6_HEADER)
        decode_carries(packet, REEF_INNER_TEREDO, p, n);
}

static void carries_ethernet(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < ETHERNET_HEADER)
        return;
    unsigned type = reef_be16(p + 12);
    if (type == TYPE_IPV4)
        decode_carries(packet, REEF_INNER_IPV4, p + ETHERNET_HEADER, n - ETHERNET_HEADER);
    else if (type == TYPE_IPV6)
        decode_carries(packet, REEF_INNER_IPV6, p + ETHERNET_HEADER, n - ETHERNET_HEADER);
    else if (type == TYPE_VLAN)
        decode_carries(packet, REEF_INNER_VLAN, p + ETHERNET_HEADER, n - ETHERNET_HEADER);
}

static void carries_vxlan(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n >= 8 && p[0] & 0x08 && p[7] == 0)
        carries_ethernet(packet, p + 8, n - 8);
}

static void carries_geneve(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8 || p[0] >> 6 != 0)
        return;
    uint32_t header = 8 + (p[0] & 0x3fu) * 4u;
    if (header > n)
        return;
    unsigned type = reef_be16(p + 2);
    if (type == TYPE_BRIDGED)
        carries_ethernet(packet, p + header, n - header);
    else if (type == TYPE_IPV4)
        decode_carries(packet, REEF_INNER_IPV4, p + header, n - header);
    else if (type == TYPE_IPV6)
        decode_carries(packet, REEF_INNER_IPV6, p + header, n - header);
}

void decode_udp_tunnel(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    unsigned source = packet->source_port, destination = packet->destination_port;
    if (source == 3544 || destination == 3544)
        carries_teredo(packet, p, n);
    if (packet->inner.kind == REEF_INNER_NONE && (source == 6081 || destination == 6081))
        carries_geneve(packet, p, n);
    if (packet->inner.kind == REEF_INNER_NONE && (source == 4789 || destination == 4789))
        carries_vxlan(packet, p, n);
}
