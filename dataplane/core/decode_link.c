/* Link headers: Ethernet with VLAN, I-TAG, VN-Tag and FabricPath, Linux cooked v1 and v2, Cisco HDLC, loopback, raw IP. */
#include "decode_internal.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_BRIDGED = 0x6558,
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
    ETHERTYPE_ITAG = 0x88e7, /* IEEE 802.1ah */
    ETHERTYPE_PTP = 0x88f7,
    ETHERTYPE_FABRICPATH = 0x8903,
    ETHERTYPE_VNTAG = 0x8926,
    ETHERTYPE_NSH = 0x894f,
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
    case ETHERTYPE_EAPOL:
    case ETHERTYPE_LLDP:
    case ETHERTYPE_PTP:
        return true;
    default:
        return type <= LARGEST_802_3_LENGTH;
    }
}

/* What an unknown type is called depends on the header that names it. */
static bool decode_ethertype(reef_packet *packet, uint16_t type, const uint8_t *p, uint32_t n, reef_decode_event unknown);

bool decode_vlan(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 4) {
        decode_bad(packet, REEF_EV_VLAN_HEADER_TOO_SMALL);
        return false;
    }
    if (!decode_layer(packet))
        return false;
    if (packet->vlans == REEF_VLAN_MAX) {
        decode_bad(packet, REEF_EV_VLAN_TOO_MANY_LAYERS);
        return false;
    }
    packet->vlan[packet->vlans++] = reef_be16(p) & 0x0fffu;
    return decode_ethertype(packet, reef_be16(p + 2), p + 4, n - 4, REEF_EV_VLAN_UNKNOWN_TYPE);
}

/* The service instance tag of a provider backbone: flags, the customer's addresses, and its type. */
static bool decode_itag(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 18) {
        decode_bad(packet, REEF_EV_IEEE8021AH_HEADER_TOO_SMALL);
        return false;
    }
    return decode_layer(packet) &&
           decode_ethertype(packet, reef_be16(p + 16), p + 18, n - 18, REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE);
}

static bool decode_vntag(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 6) {
        decode_bad(packet, REEF_EV_VNTAG_HEADER_TOO_SMALL);
        return false;
    }
    return decode_layer(packet) && decode_ethertype(packet, reef_be16(p + 4), p + 6, n - 6, REEF_EV_VNTAG_UNKNOWN_TYPE);
}

static bool decode_fabricpath(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 2 + 14) {
        decode_bad(packet, REEF_EV_DCE_PKT_TOO_SMALL);
        return false;
    }
    return decode_layer(packet) && decode_ethernet(packet, p + 2, n - 2);
}

/* Everything but IP. */
static __attribute__((noinline)) bool decode_other_type(reef_packet *packet, uint16_t type, const uint8_t *p, uint32_t n,
                                                        reef_decode_event unknown)
{
    switch (type) {
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_QINQ_OLD:
        return decode_vlan(packet, p, n);
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_MULTICAST:
        return decode_mpls(packet, p, n);
    case ETHERTYPE_PPPOE_DISCOVERY:
    case ETHERTYPE_PPPOE_SESSION:
        return decode_pppoe(packet, type == ETHERTYPE_PPPOE_SESSION, p, n);
    case ETHERTYPE_ITAG:
        return decode_itag(packet, p, n);
    case ETHERTYPE_VNTAG:
        return decode_vntag(packet, p, n);
    case ETHERTYPE_FABRICPATH:
        return decode_fabricpath(packet, p, n);
    case ETHERTYPE_NSH:
        return decode_nsh(packet, p, n);
    case ETHERTYPE_BRIDGED:
        return decode_layer(packet) && decode_ethernet(packet, p, n);
    default:
        if (!known_but_not_ip(type)) {
            if (unknown == REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE)
                decode_event(packet, unknown);
            else
                decode_bad(packet, unknown);
        }
        return true;
    }
}

static bool decode_ethertype(reef_packet *packet, uint16_t type, const uint8_t *p, uint32_t n, reef_decode_event unknown)
{
    packet->ether_type = type;
    if (type == ETHERTYPE_IPV4)
        return decode_ipv4(packet, p, n);
    if (type == ETHERTYPE_IPV6)
        return decode_ipv6(packet, p, n);
    return decode_other_type(packet, type, p, n, unknown);
}

bool decode_ethernet(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 14) {
        decode_bad(packet, REEF_EV_ETHERNET_PKT_TOO_SMALL);
        return false;
    }
    return decode_ethertype(packet, reef_be16(p + 12), p + 14, n - 14, REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE);
}

/* A header that ends `header` bytes in, with the type at `at`. */
static bool decode_cooked(reef_packet *packet, const uint8_t *p, uint32_t n, uint32_t header, uint32_t at,
                          reef_decode_event too_small)
{
    if (n < header) {
        decode_bad(packet, too_small);
        return false;
    }
    return decode_ethertype(packet, reef_be16(p + at), p + header, n - header, REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE);
}

static bool decode_raw(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    unsigned version = n > 0 ? p[0] >> 4 : 0;
    if (version == 4)
        return decode_ipv4(packet, p, n);
    if (version == 6)
        return decode_ipv6(packet, p, n);
    decode_bad(packet, REEF_EV_IPRAW_INVALID_IPV);
    return false;
}

/* BSD loopback: the address family as a number, in the byte order of the machine that captured. The
 * families of IPv6 differ between the systems that write such files. */
static bool decode_null(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 4) {
        decode_bad(packet, REEF_EV_LTNULL_PKT_TOO_SMALL);
        return false;
    }
    uint32_t family = reef_u32(p);
    if (family > 0xffff)
        family = reef_be32(p);
    switch (family) {
    case 2:
        return decode_ipv4(packet, p + 4, n - 4);
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        return decode_ipv6(packet, p + 4, n - 4);
    default:
        decode_event(packet, REEF_EV_LTNULL_UNSUPPORTED_TYPE);
        return false;
    }
}

bool reef_decode_knows_link(unsigned link)
{
    switch (link) {
    case REEF_LINK_NULL:
    case REEF_LINK_ETHERNET:
    case REEF_LINK_PPP:
    case REEF_LINK_RAW_BSD:
    case REEF_LINK_RAW_OPENBSD:
    case REEF_LINK_RAW:
    case REEF_LINK_CHDLC:
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

bool decode_link(reef_packet *packet, unsigned link, const uint8_t *p, uint32_t n)
{
    switch (link) {
    case REEF_LINK_ETHERNET:
        return decode_ethernet(packet, p, n);
    case REEF_LINK_RAW:
    case REEF_LINK_RAW_BSD:
    case REEF_LINK_RAW_OPENBSD:
        return decode_raw(packet, p, n);
    case REEF_LINK_IPV4:
        return decode_ipv4(packet, p, n);
    case REEF_LINK_IPV6:
        return decode_ipv6(packet, p, n);
    case REEF_LINK_SLL:
        return decode_cooked(packet, p, n, 16, 14, REEF_EV_SLL_PKT_TOO_SMALL);
    case REEF_LINK_SLL2:
        return decode_cooked(packet, p, n, 20, 0, REEF_EV_SLL2_PKT_TOO_SMALL);
    case REEF_LINK_CHDLC:
        return decode_cooked(packet, p, n, 4, 2, REEF_EV_CHDLC_PKT_TOO_SMALL);
    case REEF_LINK_PPP:
        return decode_ppp(packet, p, n);
    case REEF_LINK_NULL:
    case REEF_LINK_LOOP:
        return decode_null(packet, p, n);
    default:
        decode_bad(packet, REEF_EV_LINK_UNSUPPORTED);
        return false;
    }
}
