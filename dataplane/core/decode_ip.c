/* IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200). */
#include "decode_internal.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40 };
enum { MORE_FRAGMENTS = 0x2000, OFFSET_MASK = 0x1fff };

/* Options of RFC 791, 1108, 1393, 2113, 4782: each at most once. */
static bool ipv4_option_known(uint8_t type)
{
    switch (type) {
    case 7:    /* record route */
    case 25:   /* quick start */
    case 68:   /* timestamp */
    case 130:  /* security */
    case 131:  /* loose source route */
    case 133:  /* extended security */
    case 134:  /* commercial security */
    case 136:  /* stream identifier */
    case 137:  /* strict source route */
    case 148:  /* router alert */
        return true;
    default:
        return false;
    }
}

static void decode_ipv4_options(reef_packet *packet, const uint8_t *p, unsigned n)
{
    uint64_t seen[4] = {0};
    while (n > 0) {
        uint8_t type = p[0];
        if (type == 0) /* end of options */
            return;
        if (type == 1) { /* no operation */
            p++;
            n--;
            continue;
        }
        if (n < 2) {
            decode_event(packet, REEF_EV_IPV4_OPT_PAD_REQUIRED);
            return;
        }
        unsigned length = p[1];
        if (length < 2 || length > n) {
            decode_event(packet, REEF_EV_IPV4_OPT_INVALID_LEN);
            return;
        }
        if (!ipv4_option_known(type)) {
            decode_event(packet, REEF_EV_IPV4_OPT_UNKNOWN);
        } else if (seen[type >> 6] & 1ull << (type & 63)) {
            decode_event(packet, REEF_EV_IPV4_OPT_DUPLICATE);
        } else if ((type == 7 || type == 131 || type == 137) && (length < 3 || p[2] < 4)) {
            decode_event(packet, REEF_EV_IPV4_OPT_MALFORMED); /* the pointer counts from 4 */
        }
        seen[type >> 6] |= 1ull << (type & 63);
        p += length;
        n -= length;
    }
}

void decode_ipv4(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < IPV4_HEADER) {
        decode_bad(packet, REEF_EV_IPV4_PKT_TOO_SMALL);
        return;
    }
    if (p[0] >> 4 != 4) {
        decode_bad(packet, REEF_EV_IPV4_WRONG_IP_VER);
        return;
    }
    uint32_t header = (uint32_t)(p[0] & 0x0f) * 4;
    uint32_t total = reef_be16(p + 2);
    if (header < IPV4_HEADER) {
        decode_bad(packet, REEF_EV_IPV4_HLEN_TOO_SMALL);
        return;
    }
    /* A segment larger than 64 KiB that the kernel has not cut yet (GSO) carries a length of 0. */
    if (total == 0 && n > 0xffff)
        total = n;
    if (total < header) {
        decode_bad(packet, REEF_EV_IPV4_IPLEN_SMALLER_THAN_HLEN);
        return;
    }
    if (n < total && (!(packet->flags & REEF_PACKET_CUT) || n < header)) {
        decode_bad(packet, REEF_EV_IPV4_TRUNC_PKT);
        return;
    }
    packet->version = 4;
    packet->network = p;
    packet->network_length = n < total ? n : total;
    packet->ttl = p[8];
    packet->protocol = p[9];
    memcpy(packet->source, p + 12, 4);
    memcpy(packet->destination, p + 16, 4);
    if (header > IPV4_HEADER)
        decode_ipv4_options(packet, p + IPV4_HEADER, header - IPV4_HEADER);

    uint16_t fragment = reef_be16(p + 6);
    if (fragment & (MORE_FRAGMENTS | OFFSET_MASK)) {
        packet->flags |= REEF_PACKET_FRAGMENT;
        packet->fragment_id = reef_be16(p + 4);
        packet->fragment_offset = (uint16_t)((fragment & OFFSET_MASK) * 8u);
        return;
    }
    if (packet->protocol == REEF_PROTO_ICMPV6) {
        decode_bad(packet, REEF_EV_IPV4_WITH_ICMPV6);
        return;
    }
    decode_transport(packet, p + header, packet->network_length - header);
}

enum {
    NEXT_HOP_BY_HOP = 0,
    NEXT_ROUTING = 43,
    NEXT_FRAGMENT = 44,
    NEXT_AUTHENTICATION = 51,
    NEXT_NONE = 59,
    NEXT_DESTINATION = 60,
};

/* The options of a hop-by-hop or destination header (RFC 8200 4.2). */
static void decode_ipv6_options(reef_packet *packet, const uint8_t *p, uint32_t n, bool hop)
{
    bool only_padding = true;
    while (n > 0) {
        uint8_t type = p[0];
        if (type == 0) { /* Pad1 */
            p++;
            n--;
            continue;
        }
        if (n < 2 || p[1] > n - 2) {
            decode_event(packet, REEF_EV_IPV6_EXTHDR_INVALID_OPTLEN);
            return;
        }
        uint32_t length = p[1];
        switch (type) {
        case 1: /* PadN */
            if (length == 0)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_ZERO_LEN_PADN);
            break;
        case 5:    /* router alert */
        case 0xc2: /* jumbo payload */
        case 0xc9: /* home address */
            only_padding = false;
            break;
        default:
            only_padding = false;
            decode_event(packet, hop ? REEF_EV_IPV6_HOPOPTS_UNKNOWN_OPT : REEF_EV_IPV6_DSTOPTS_UNKNOWN_OPT);
        }
        p += 2 + length;
        n -= 2 + length;
    }
    if (only_padding)
        decode_event(packet, hop ? REEF_EV_IPV6_HOPOPTS_ONLY_PADDING : REEF_EV_IPV6_DSTOPTS_ONLY_PADDING);
}

/* Seen extension headers, to say which stands there twice. */
enum { SEEN_HOP = 1, SEEN_DESTINATION = 2, SEEN_DESTINATION_AGAIN = 4, SEEN_ROUTING = 8, SEEN_FRAGMENT = 16, SEEN_AH = 32 };

static void decode_ipv6_extensions(reef_packet *packet, const uint8_t *p, uint32_t n, uint8_t next)
{
    unsigned seen = 0;
    for (unsigned walked = 0; walked < REEF_IPV6_EXTENSIONS_MAX; walked++) {
        uint32_t length;
        if (walked > 0 && n < 2 && next != NEXT_NONE) { /* an extension header announced one that is not there */
            packet->protocol = next;
            decode_bad(packet, REEF_EV_IPV6_TRUNC_EXTHDR);
            return;
        }
        switch (next) {
        case NEXT_HOP_BY_HOP:
        case NEXT_DESTINATION:
        case NEXT_ROUTING:
            if (n < 8 || n < (length = ((uint32_t)p[1] + 1) * 8)) {
                decode_bad(packet, REEF_EV_IPV6_TRUNC_EXTHDR);
                return;
            }
            if (next == NEXT_HOP_BY_HOP) {
                if (seen & SEEN_HOP)
                    decode_event(packet, REEF_EV_IPV6_EXTHDR_DUPL_HH);
                seen |= SEEN_HOP;
                decode_ipv6_options(packet, p + 2, length - 2, true);
            } else if (next == NEXT_DESTINATION) {
                /* Twice is allowed: before a routing header and before the upper layer. */
                if (seen & SEEN_DESTINATION_AGAIN)
                    decode_event(packet, REEF_EV_IPV6_EXTHDR_DUPL_DH);
                seen |= seen & SEEN_DESTINATION ? SEEN_DESTINATION_AGAIN : SEEN_DESTINATION;
                decode_ipv6_options(packet, p + 2, length - 2, false);
            } else {
                if (seen & SEEN_ROUTING)
                    decode_event(packet, REEF_EV_IPV6_EXTHDR_DUPL_RH);
                seen |= SEEN_ROUTING;
                if (p[2] == 0)
                    decode_event(packet, REEF_EV_IPV6_EXTHDR_RH_TYPE_0);
            }
            break;
        case NEXT_FRAGMENT: {
            length = 8;
            if (n < length) {
                decode_bad(packet, REEF_EV_IPV6_TRUNC_EXTHDR);
                return;
            }
            if (seen & SEEN_FRAGMENT)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_DUPL_FH);
            seen |= SEEN_FRAGMENT;
            uint16_t field = reef_be16(p + 2);
            if (p[1] != 0 || field & 0x0006u)
                decode_event(packet, REEF_EV_IPV6_FH_NON_ZERO_RES_FIELD);
            if (field & 0xfff9u) {
                packet->flags |= REEF_PACKET_FRAGMENT;
                packet->fragment_id = reef_be32(p + 4);
                packet->fragment_offset = field & 0xfff8u;
                packet->protocol = p[0];
                return;
            }
            decode_event(packet, REEF_EV_IPV6_EXTHDR_USELESS_FH); /* an atomic fragment, RFC 6946 */
            break;
        }
        case NEXT_AUTHENTICATION:
            if (n < 12 || n < (length = ((uint32_t)p[1] + 2) * 4)) {
                decode_bad(packet, REEF_EV_IPV6_TRUNC_EXTHDR);
                return;
            }
            if (seen & SEEN_AH)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_DUPL_AH);
            seen |= SEEN_AH;
            if (reef_be16(p + 2) != 0)
                decode_event(packet, REEF_EV_IPV6_EXTHDR_AH_RES_NOT_NULL);
            break;
        case NEXT_NONE:
            packet->protocol = next;
            if (n > 0)
                decode_event(packet, REEF_EV_IPV6_DATA_AFTER_NONE_HEADER);
            return;
        case REEF_PROTO_ICMP:
            packet->protocol = next;
            decode_bad(packet, REEF_EV_IPV6_WITH_ICMPV4);
            return;
        default:
            packet->protocol = next;
            decode_transport(packet, p, n);
            return;
        }
        next = p[0];
        p += length;
        n -= length;
    }
    packet->protocol = next;
    decode_bad(packet, REEF_EV_IPV6_UNKNOWN_NEXT_HEADER);
}

void decode_ipv6(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < IPV6_HEADER) {
        decode_bad(packet, REEF_EV_IPV6_PKT_TOO_SMALL);
        return;
    }
    if (p[0] >> 4 != 6) {
        decode_bad(packet, REEF_EV_IPV6_WRONG_IP_VER);
        return;
    }
    uint32_t length = reef_be16(p + 4);
    if (length == 0 && n > IPV6_HEADER + 0xffffu)
        length = n - IPV6_HEADER; /* GSO, as in IPv4 */
    if (n - IPV6_HEADER < length && !(packet->flags & REEF_PACKET_CUT)) {
        decode_bad(packet, REEF_EV_IPV6_TRUNC_PKT);
        return;
    }
    if (length > n - IPV6_HEADER)
        length = n - IPV6_HEADER;
    packet->version = 6;
    packet->network = p;
    packet->network_length = IPV6_HEADER + length;
    packet->ttl = p[7];
    memcpy(packet->source, p + 8, 16);
    memcpy(packet->destination, p + 24, 16);
    decode_ipv6_extensions(packet, p + IPV6_HEADER, length, p[6]);
}
