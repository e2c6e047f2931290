/* PPP (RFC 1661, 1662), PPPoE (RFC 2516), MPLS (RFC 3032). */
#include "decode_internal.h"

enum { PPP_IPV4 = 0x0021, PPP_VJ_UNCOMPRESSED = 0x002f, PPP_IPV6 = 0x0057 };
enum { PPPOE_HEADER = 6, PPPOE_SESSION_HEADER = 8 };
enum { LABEL_IPV4, LABEL_ROUTER_ALERT, LABEL_IPV6, LABEL_IMPLICIT_NULL, LABEL_RESERVED_END = 16 };

/* Protocols that are in order though nothing of them is decoded here (IANA's registry). */
static bool ppp_known(unsigned protocol)
{
    switch (protocol) {
    case 0x0023: /* OSI */
    case 0x0025: /* Xerox NS */
    case 0x0027: /* DECnet */
    case 0x0029: /* AppleTalk */
    case 0x002b: /* IPX */
    case 0x002d: /* Van Jacobson, compressed */
    case 0x0031: /* bridging */
    case 0x0033: /* stream protocol */
    case 0x0035: /* Vines */
    case 0x0201: /* spanning tree */
    case 0x0231: /* Luxcom */
    case 0x0233: /* Sigma */
    case 0x0281: /* MPLS */
    case 0x0283:
    case 0x8021: /* control protocols */
    case 0x8023:
    case 0x8025:
    case 0x8027:
    case 0x8029:
    case 0x802b:
    case 0x8033:
    case 0x8035:
    case 0x8057:
    case 0x8281:
    case 0xc021: /* link control */
    case 0xc023: /* authentication */
    case 0xc025: /* link quality */
    case 0xc223: /* CHAP */
        return true;
    default:
        return false;
    }
}

static bool ppp_carries(reef_packet *packet, unsigned protocol, const uint8_t *p, uint32_t n)
{
    switch (protocol) {
    case PPP_VJ_UNCOMPRESSED:
        if (n < DECODE_IPV4_HEADER) {
            decode_bad(packet, REEF_EV_PPPVJU_PKT_TOO_SMALL);
            return false;
        }
        return p[0] >> 4 == 4 ? decode_ipv4(packet, p, n) : true;
    case PPP_IPV4:
        if (n < DECODE_IPV4_HEADER) {
            decode_bad(packet, REEF_EV_PPPIPV4_PKT_TOO_SMALL);
            return false;
        }
        return decode_ipv4(packet, p, n);
    case PPP_IPV6:
        if (n < DECODE_IPV6_HEADER) {
            decode_bad(packet, REEF_EV_PPPIPV6_PKT_TOO_SMALL);
            return false;
        }
        return decode_ipv6(packet, p, n);
    default:
        if (ppp_known(protocol)) {
            decode_event(packet, REEF_EV_PPP_UNSUP_PROTO);
            return true;
        }
        decode_bad(packet, REEF_EV_PPP_WRONG_TYPE);
        return false;
    }
}

/* Address and control octets may have been left out, and the first octet of the protocol when it is 0. */
bool decode_ppp(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    uint32_t header = n >= 2 && p[0] == 0xff && p[1] == 0x03 ? 2 : 0;
    if (n < header + 1 || (!(p[header] & 1) && n < header + 2)) {
        decode_bad(packet, REEF_EV_PPP_PKT_TOO_SMALL);
        return false;
    }
    if (!decode_layer(packet))
        return false;
    if (p[header] & 1)
        return ppp_carries(packet, p[header], p + header + 1, n - header - 1);
    return ppp_carries(packet, reef_be16(p + header), p + header + 2, n - header - 2);
}

static bool pppoe_discovery(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    switch (p[1]) {
    case 0x07: /* offer */
    case 0x09: /* initiation */
    case 0x19: /* request */
    case 0x65: /* session confirmed */
    case 0xa7: /* session ended */
        break;
    default:
        decode_bad(packet, REEF_EV_PPPOE_WRONG_CODE);
        return true;
    }
    if (reef_be16(p + 4) > n - PPPOE_HEADER)
        decode_bad(packet, REEF_EV_PPPOE_MALFORMED_TAGS);
    return true;
}

bool decode_pppoe(reef_packet *packet, bool session, const uint8_t *p, uint32_t n)
{
    if (n < (session ? (uint32_t)PPPOE_SESSION_HEADER : (uint32_t)PPPOE_HEADER)) {
        decode_bad(packet, REEF_EV_PPPOE_PKT_TOO_SMALL);
        return false;
    }
    if (!decode_layer(packet))
        return false;
    if (!session)
        return pppoe_discovery(packet, p, n);
    uint32_t length = reef_be16(p + 4);
    if (length == 0)
        return true;
    return ppp_carries(packet, reef_be16(p + PPPOE_HEADER), p + PPPOE_SESSION_HEADER, n - PPPOE_SESSION_HEADER);
}

/* Behind the last label: what it says, or a guess from the first nibble (RFC 4928). */
static bool mpls_carries(reef_packet *packet, uint32_t label, const uint8_t *p, uint32_t n)
{
    switch (label) {
    case LABEL_IPV4:
        return decode_ipv4(packet, p, n);
    case LABEL_IPV6:
        return decode_ipv6(packet, p, n);
    case LABEL_ROUTER_ALERT:
        decode_bad(packet, REEF_EV_MPLS_BAD_LABEL_ROUTER_ALERT);
        break;
    case LABEL_IMPLICIT_NULL:
        decode_bad(packet, REEF_EV_MPLS_BAD_LABEL_IMPLICIT_NULL);
        break;
    default:
        if (label < LABEL_RESERVED_END)
            decode_bad(packet, REEF_EV_MPLS_BAD_LABEL_RESERVED);
    }
    if (n < 4) {
        decode_bad(packet, REEF_EV_MPLS_PKT_TOO_SMALL);
        return false;
    }
    switch (p[0] >> 4) {
    case 4:
        return decode_ipv4(packet, p, n);
    case 6:
        return decode_ipv6(packet, p, n);
    case 0: /* the control word of a pseudowire */
        return decode_ethernet(packet, p + 4, n - 4);
    default:
        decode_bad(packet, REEF_EV_MPLS_UNKNOWN_PAYLOAD_TYPE);
        return true;
    }
}

bool decode_mpls(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    uint32_t shim;
    do {
        if (n < 4) {
            decode_bad(packet, REEF_EV_MPLS_HEADER_TOO_SMALL);
            return false;
        }
        if (!decode_layer(packet))
            return false;
        shim = reef_be32(p);
        p += 4;
        n -= 4;
    } while (!(shim & 0x100)); /* bottom of the stack */
    return mpls_carries(packet, shim >> 12, p, n);
}
