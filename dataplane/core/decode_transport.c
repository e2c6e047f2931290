/* TCP, UDP, SCTP and ESP headers. What is inside ESP stays closed. */
#include "decode_internal.h"

/* Lengths that an option of a known kind may have (RFC 9293 3.2, 7323, 2018, 2385, 5925, 7413). */
static bool tcp_option_fits(unsigned kind, unsigned length)
{
    switch (kind) {
    case 2: /* maximum segment size */
        return length == 4;
    case 3: /* window scale */
        return length == 3;
    case 4: /* SACK permitted */
        return length == 2;
    case 5: /* SACK: an empty one is useless, and common */
        return length == 2 || (length >= 10 && length <= 34 && (length - 2) % 8 == 0);
    case 8: /* timestamp */
        return length == 10;
    case 19: /* MD5 */
        return length == 18;
    case 29: /* authentication */
        return length >= 4;
    case 34: /* fast open */
        return length == 2 || (length >= 6 && length <= 18 && length % 2 == 0);
    default:
        return true;
    }
}

static void decode_tcp_options(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    /* Kind 0 ends, 1 pads; each of these may stand there once. */
    static const uint64_t once = 1ull << 2 | 1ull << 3 | 1ull << 4 | 1ull << 5 | 1ull << 8 | 1ull << 34;
    uint64_t seen = 0;
    while (n > 0) {
        uint8_t kind = p[0];
        if (kind == 0)
            return;
        if (kind == 1) {
            p++;
            n--;
            continue;
        }
        if (n < 2)
            return;
        if (p[1] < 2 || p[1] > n) {
            decode_event(packet, REEF_EV_TCP_OPT_INVALID_LEN);
            return;
        }
        if (!tcp_option_fits(kind, p[1]))
            decode_event(packet, REEF_EV_TCP_OPT_INVALID_LEN);
        else if (kind < 64 && once & 1ull << kind) {
            if (seen & 1ull << kind)
                decode_event(packet, REEF_EV_TCP_OPT_DUPLICATE);
            seen |= 1ull << kind;
        }
        n -= p[1];
        p += p[1];
    }
}

const uint8_t *reef_packet_tcp_option(const reef_packet *packet, unsigned kind, uint32_t *length)
{
    const uint8_t *p = packet->transport + 20, *end = packet->transport + reef_packet_tcp_header(packet);
    while (p < end && p[0] != 0) {
        if (p[0] == 1) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p)
            return NULL;
        if (p[0] == kind) {
            *length = p[1] - 2u;
            return p + 2;
        }
        p += p[1];
    }
    return NULL;
}

/* The one shape nearly every segment of an established connection has: two pads and a timestamp. */
static bool only_timestamp(const uint8_t *p, uint32_t n)
{
    return n == 12 && reef_be32(p) == 0x0101080a;
}

static void decode_tcp(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 20) {
        decode_bad(packet, REEF_EV_TCP_PKT_TOO_SMALL);
        return;
    }
    uint32_t header = (uint32_t)(p[12] >> 4) * 4;
    if (n < header) {
        decode_bad(packet, REEF_EV_TCP_HLEN_TOO_SMALL);
        return;
    }
    if (header < 20) {
        decode_bad(packet, REEF_EV_TCP_INVALID_OPTLEN);
        return;
    }
    packet->source_port = reef_be16(p);
    packet->destination_port = reef_be16(p + 2);
    packet->tcp_sequence = reef_be32(p + 4);
    packet->tcp_acknowledgement = reef_be32(p + 8);
    packet->tcp_flags = p[13];
    packet->tcp_window = reef_be16(p + 14);
    if (header > 20 && !only_timestamp(p + 20, header - 20))
        decode_tcp_options(packet, p + 20, header - 20);
    decode_transport_whole(packet, p, header, n);
}

static void decode_udp(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8) {
        decode_bad(packet, REEF_EV_UDP_HLEN_TOO_SMALL);
        return;
    }
    uint32_t length = reef_be16(p + 4);
    if (length == 0 && n > 0xffff)
        length = n; /* GSO */
    if (length > n && !(packet->flags & REEF_PACKET_CUT)) {
        decode_bad(packet, REEF_EV_UDP_PKT_TOO_SMALL);
        return;
    }
    if (length < 8) {
        decode_bad(packet, REEF_EV_UDP_LEN_INVALID);
        return;
    }
    packet->source_port = reef_be16(p);
    packet->destination_port = reef_be16(p + 2);
    decode_transport_whole(packet, p, 8, length < n ? length : n);
    if (decode_is_tunnel_port(packet->source_port) || decode_is_tunnel_port(packet->destination_port))
        decode_udp_tunnel(packet, packet->payload, packet->payload_length);
}

static void decode_sctp(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 12) {
        decode_bad(packet, REEF_EV_SCTP_PKT_TOO_SMALL);
        return;
    }
    packet->source_port = reef_be16(p);
    packet->destination_port = reef_be16(p + 2);
    decode_transport_whole(packet, p, 12, n);
}

void decode_transport(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    switch (packet->protocol) {
    case REEF_PROTO_TCP:
        decode_tcp(packet, p, n);
        break;
    case REEF_PROTO_UDP:
        decode_udp(packet, p, n);
        break;
    case REEF_PROTO_ICMP:
        decode_icmpv4(packet, p, n);
        break;
    case REEF_PROTO_ICMPV6:
        decode_icmpv6(packet, p, n);
        break;
    case REEF_PROTO_SCTP:
        decode_sctp(packet, p, n);
        break;
    case REEF_PROTO_ESP:
        if (n < 8)
            decode_bad(packet, REEF_EV_ESP_PKT_TOO_SMALL);
        else
            decode_transport_whole(packet, p, 8, n);
        break;
    case REEF_PROTO_GRE:
        decode_gre(packet, p, n);
        break;
    case REEF_PROTO_IPIP:
        decode_carries(packet, REEF_INNER_IPV4, p, n);
        break;
    case REEF_PROTO_IPV6:
        decode_carries(packet, REEF_INNER_IPV6, p, n);
        break;
    default:
        packet->transport = p;
        packet->payload = p;
        packet->payload_length = n;
    }
}
