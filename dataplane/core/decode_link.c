/* Link headers: Ethernet with VLAN tags, Linux cooked v1 and v2, loopback, raw IP. */
#include "decode_internal.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_RARP = 0x8035,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_SLOW = 0x8809,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_MULTICAST = 0x8848,
    ETHERTYPE_PPPOE_DISCOVERY = 0x8863,
    ETHERTYPE_PPPOE_SESSION = 0x8864,
    ETHERTYPE_EAPOL = 0x888e,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_LLDP = 0x88cc,
    ETHERTYPE_PTP = 0x88f7,
    ETHERTYPE_QINQ_OLD = 0x9100,
    LARGEST_802_3_LENGTH = 1500,
};

/* Types whose frames are in order though nothing of them is decoded here. */
static bool known_but_not_ip(uint16_t type)
{
    switch (type) {
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
    case ETHERTYPE_SLOW:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_MULTICAST:
    case ETHERTYPE_PPPOE_DISCOVERY:
    case ETHERTYPE_PPPOE_SESSION:
    case ETHERTYPE_EAPOL:
    case ETHERTYPE_LLDP:
    case ETHERTYPE_PTP:
        return true;
    default:
        return type <= LARGEST_802_3_LENGTH;
    }
}

static void decode_ethertype(reef_packet *packet, uint16_t type, const uint8_t *p, uint32_t n)
{
    bool tagged = false;
    while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD) {
        if (n < 4) {
            decode_bad(packet, REEF_EV_VLAN_HEADER_TOO_SMALL);
            return;
        }
        if (packet->vlans == REEF_VLAN_MAX) {
            decode_bad(packet, REEF_EV_VLAN_TOO_MANY_LAYERS);
            return;
        }
        packet->vlan[packet->vlans++] = reef_be16(p) & 0x0fffu;
        type = reef_be16(p + 2);
        p += 4;
        n -= 4;
        tagged = true;
    }
    packet->ether_type = type;
    if (type == ETHERTYPE_IPV4)
        decode_ipv4(packet, p, n);
    else if (type == ETHERTYPE_IPV6)
        decode_ipv6(packet, p, n);
    else if (!known_but_not_ip(type))
        decode_event(packet, tagged ? REEF_EV_VLAN_UNKNOWN_TYPE : REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE);
}

static void decode_raw(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    unsigned version = n > 0 ? p[0] >> 4 : 0;
    if (version == 4)
        decode_ipv4(packet, p, n);
    else if (version == 6)
        decode_ipv6(packet, p, n);
    else
        decode_bad(packet, REEF_EV_IPRAW_INVALID_IPV);
}

/* BSD loopback: the address family as a number, in the byte order of the machine that captured. The
 * families of IPv6 differ between the systems that write such files. */
static void decode_null(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 4) {
        decode_bad(packet, REEF_EV_LTNULL_PKT_TOO_SMALL);
        return;
    }
    uint32_t family = reef_u32(p);
    if (family > 0xffff)
        family = reef_be32(p);
    switch (family) {
    case 2:
        decode_ipv4(packet, p + 4, n - 4);
        break;
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        decode_ipv6(packet, p + 4, n - 4);
        break;
    default:
        decode_event(packet, REEF_EV_LTNULL_UNSUPPORTED_TYPE);
    }
}

bool reef_decode_knows_link(unsigned link)
{
    switch (link) {
    case REEF_LINK_NULL:
    case REEF_LINK_ETHERNET:
    case REEF_LINK_RAW_BSD:
    case REEF_LINK_RAW_OPENBSD:
    case REEF_LINK_RAW:
    case REEF_LINK_LOOP:
    case REEF_LINK_SLL:
    case REEF_LINK_IPV4:
    case REEF_LINK_IPV6:
    case REEF_LINK_SLL2:
        return true;
    default:
        return false;
    }
}

void decode_link(reef_packet *packet, unsigned link, const uint8_t *p, uint32_t n)
{
    switch (link) {
    case REEF_LINK_ETHERNET:
        if (n < 14)
            decode_bad(packet, REEF_EV_ETHERNET_PKT_TOO_SMALL);
        else
            decode_ethertype(packet, reef_be16(p + 12), p + 14, n - 14);
        break;
    case REEF_LINK_RAW:
    case REEF_LINK_RAW_BSD:
    case REEF_LINK_RAW_OPENBSD:
        decode_raw(packet, p, n);
        break;
    case REEF_LINK_IPV4:
        decode_ipv4(packet, p, n);
        break;
    case REEF_LINK_IPV6:
        decode_ipv6(packet, p, n);
        break;
    case REEF_LINK_SLL:
        if (n < 16)
            decode_bad(packet, REEF_EV_SLL_PKT_TOO_SMALL);
        else
            decode_ethertype(packet, reef_be16(p + 14), p + 16, n - 16);
        break;
    case REEF_LINK_SLL2:
        if (n < 20)
            decode_bad(packet, REEF_EV_SLL2_PKT_TOO_SMALL);
        else
            decode_ethertype(packet, reef_be16(p), p + 20, n - 20);
        break;
    case REEF_LINK_NULL:
    case REEF_LINK_LOOP:
        decode_null(packet, p, n);
        break;
    default:
        decode_bad(packet, REEF_EV_LINK_UNSUPPORTED);
    }
}
