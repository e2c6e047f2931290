/* IPv6 with extension headers (RFC 8200). */
#include "decode_internal.h"

enum {
    NEXT_HOP_BY_HOP = 0,
    NEXT_ROUTING = 43,
    NEXT_FRAGMENT = 44,
    NEXT_AUTHENTICATION = 51,
    NEXT_NONE = 59,
    NEXT_DESTINATION = 60,
    NEXT_MOBILITY = 135,
    NEXT_HIP = 139,
    NEXT_SHIM6 = 140,
};

enum { PAD1 = 0, PADN = 1, ROUTER_ALERT = 5, JUMBO = 0xc2, HOME_ADDRESS = 0xc9 };

/* Bytes that an option of a known type has at least. */
static uint32_t option_least(uint8_t type)
{
    switch (type) {
    case ROUTER_ALERT:
        return 2;
    case JUMBO:
        return 4;
    case HOME_ADDRESS:
        return 16;
    default:
        return 0;
    }
}

/* The options of a hop-by-hop or destination header (RFC 8200 4.2). */
static void decode_options(reef_packet *packet, const uint8_t *p, uint32_t n, bool hop)
{
    bool padding = false, other = false;
    while (n > 0) {
        uint8_t type = p[0];
        if (type == PAD1) {
            padding = true;
            p++;
            n--;
            continue;
        }
        if (n < 2 || p[1] > n - 2 || p[1] < option_least(type)) {
            decode_bad(packet, REEF_EV_IPV6_EXTHDR_INVALID_OPTLEN);
            break;
        }
        uint32_t length = p[1];
        if (type == PADN) {
            padding = true;
            if (length == 0)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_ZERO_LEN_PADN);
        } else if (type != JUMBO) {
            other = true;
            if (type != ROUTER_ALERT && type != HOME_ADDRESS)
                decode_event(packet, hop ? REEF_EV_IPV6_HOPOPTS_UNKNOWN_OPT : REEF_EV_IPV6_DSTOPTS_UNKNOWN_OPT);
        }
        p += 2 + length;
        n -= 2 + length;
    }
    if (padding && !other)
        decode_event(packet, hop ? REEF_EV_IPV6_HOPOPTS_ONLY_PADDING : REEF_EV_IPV6_DSTOPTS_ONLY_PADDING);
}

/* Seen extension headers, to say which stands there twice. */
enum { SEEN_HOP = 1, SEEN_DESTINATION = 2, SEEN_DESTINATION_AGAIN = 4, SEEN_ROUTING = 8, SEEN_FRAGMENT = 16, SEEN_AH = 32 };

/* Said of one that stands there too often; such a one is not looked into. */
static bool is_first(reef_packet *packet, unsigned *seen, unsigned which, reef_decode_event again)
{
    if (*seen & which) {
        decode_event(packet, again);
        return false;
    }
    *seen |= which;
    return true;
}

static void decode_destination(reef_packet *packet, unsigned *seen, const uint8_t *p, uint32_t n)
{
    /* Twice is allowed: before a routing header and before the upper layer. */
    if (!(*seen & SEEN_DESTINATION))
        *seen |= SEEN_DESTINATION;
    else if (!is_first(packet, seen, SEEN_DESTINATION_AGAIN, REEF_EV_IPV6_EXTHDR_DUPL_DH))
        return;
    decode_options(packet, p, n, false);
}

/* True: it is a fragment, and what follows is read when the datagram is whole. */
static bool decode_fragment(reef_packet *packet, unsigned *seen, const uint8_t *p, uint32_t n)
{
    if (p[1] != 0)
        decode_event(packet, REEF_EV_IPV6_FH_NON_ZERO_RES_FIELD);
    if (!is_first(packet, seen, SEEN_FRAGMENT, REEF_EV_IPV6_EXTHDR_DUPL_FH))
        return false;
    uint16_t field = reef_be16(p + 2);
    if (!(field & 0xfff9u)) {
        decode_event(packet, REEF_EV_IPV6_EXTHDR_USELESS_FH); /* an atomic fragment, RFC 6946 */
        return false;
    }
    if (field & 1 && n % 8 != 0)
        decode_event(packet, REEF_EV_IPV6_FRAG_INVALID_LENGTH);
    packet->flags |= REEF_PACKET_FRAGMENT;
    packet->fragment_id = reef_be32(p + 4);
    packet->fragment_offset = field & 0xfff8u;
    packet->protocol = p[0];
    packet->transport = p + 8; /* of the fragment, whatever it is */
    return true;
}

uint32_t decode_extension_length(uint8_t next, const uint8_t *p, uint32_t n)
{
    switch (next) {
    case NEXT_HOP_BY_HOP:
    case NEXT_DESTINATION:
    case NEXT_ROUTING:
    case NEXT_MOBILITY:
    case NEXT_HIP:
    case NEXT_SHIM6:
        return n < 8 ? 8 : ((uint32_t)p[1] + 1) * 8;
    case NEXT_FRAGMENT:
        return 8;
    case NEXT_AUTHENTICATION:
        return n < 12 || p[1] == 0 ? 12 : ((uint32_t)p[1] + 2) * 4;
    default:
        return 0;
    }
}

static bool decode_ip_inside(reef_packet *packet, const uint8_t *p, uint32_t n, unsigned version, uint32_t header,
                             reef_decode_event too_small, reef_decode_event wrong_version)
{
    if (n >= header && p[0] >> 4 == version)
        return true;
    decode_bad(packet, n < header ? too_small : wrong_version);
    return false;
}

/* What comes after the last extension header. */
static void decode_upper(reef_packet *packet, const uint8_t *p, uint32_t n, uint8_t next)
{
    packet->protocol = next;
    switch (next) {
    case NEXT_NONE:
        if (n > 0)
            decode_event(packet, REEF_EV_IPV6_DATA_AFTER_NONE_HEADER);
        return;
    case REEF_PROTO_ICMP:
        decode_event(packet, REEF_EV_IPV6_WITH_ICMPV4);
        return;
    case REEF_PROTO_IPIP:
        if (!decode_ip_inside(packet, p, n, 4, DECODE_IPV4_HEADER, REEF_EV_IPV4_IN_IPV6_PKT_TOO_SMALL,
                              REEF_EV_IPV4_IN_IPV6_WRONG_IP_VER))
            return;
        break;
    case REEF_PROTO_IPV6:
        if (!decode_ip_inside(packet, p, n, 6, DECODE_IPV6_HEADER, REEF_EV_IPV6_IN_IPV6_PKT_TOO_SMALL,
                              REEF_EV_IPV6_IN_IPV6_WRONG_IP_VER))
            return;
        break;
    case REEF_PROTO_TCP:
    case REEF_PROTO_UDP:
    case REEF_PROTO_ICMPV6:
    case REEF_PROTO_SCTP:
    case REEF_PROTO_ESP:
    case REEF_PROTO_GRE:
        break;
    default:
        decode_event(packet, REEF_EV_IPV6_UNKNOWN_NEXT_HEADER);
    }
    decode_transport(packet, p, n);
}

static void decode_extensions(reef_packet *packet, const uint8_t *p, uint32_t n, uint8_t next)
{
    unsigned seen = 0;
    for (unsigned walked = 0; walked < REEF_IPV6_EXTENSIONS_MAX; walked++) {
        uint32_t length = decode_extension_length(next, p, n);
        if (length > n || (walked > 0 && n < 2 && next != NEXT_NONE)) { /* one was announced that is not there */
            packet->protocol = next;
            decode_bad(packet, REEF_EV_IPV6_TRUNC_EXTHDR);
            return;
        }
        if (length == 0) {
            decode_upper(packet, p, n, next);
            return;
        }
        if (next == NEXT_HOP_BY_HOP) {
            if (is_first(packet, &seen, SEEN_HOP, REEF_EV_IPV6_EXTHDR_DUPL_HH))
                decode_options(packet, p + 2, length - 2, true);
        } else if (next == NEXT_DESTINATION) {
            decode_destination(packet, &seen, p + 2, length - 2);
        } else if (next == NEXT_ROUTING) {
            if (is_first(packet, &seen, SEEN_ROUTING, REEF_EV_IPV6_EXTHDR_DUPL_RH) && p[2] == 0)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_RH_TYPE_0);
        } else if (next == NEXT_FRAGMENT) {
            if (decode_fragment(packet, &seen, p, n))
                return;
        } else if (next == NEXT_AUTHENTICATION) {
            if (reef_be16(p + 2) != 0)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_AH_RES_NOT_NULL);
            is_first(packet, &seen, SEEN_AH, REEF_EV_IPV6_EXTHDR_DUPL_AH);
        }
        next = p[0];
        p += length;
        n -= length;
    }
    packet->protocol = next;
    decode_bad(packet, REEF_EV_IPV6_UNKNOWN_NEXT_HEADER);
}

bool decode_ipv6(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < DECODE_IPV6_HEADER) {
        decode_bad(packet, REEF_EV_IPV6_PKT_TOO_SMALL);
        return false;
    }
    if (p[0] >> 4 != 6) {
        decode_bad(packet, REEF_EV_IPV6_WRONG_IP_VER);
        return false;
    }
    uint32_t length = reef_be16(p + 4);
    if (length == 0 && n > DECODE_IPV6_HEADER + 0xffffu)
        length = n - DECODE_IPV6_HEADER; /* GSO, as in IPv4 */
    if (n - DECODE_IPV6_HEADER < length && !(packet->flags & REEF_PACKET_CUT)) {
        decode_bad(packet, REEF_EV_IPV6_TRUNC_PKT);
        return false;
    }
    if (length > n - DECODE_IPV6_HEADER)
        length = n - DECODE_IPV6_HEADER;
    packet->version = 6;
    packet->network = p;
    packet->network_length = DECODE_IPV6_HEADER + length;
    packet->ttl = p[7];
    memcpy(packet->source, p + 8, 16);
    memcpy(packet->destination, p + 24, 16);
    if (p[6] == REEF_PROTO_TCP || p[6] == REEF_PROTO_UDP) {
        packet->protocol = p[6];
        decode_transport(packet, p + DECODE_IPV6_HEADER, length);
    } else {
        decode_extensions(packet, p + DECODE_IPV6_HEADER, length, p[6]);
    }
    return true;
}
