/* TCP, UDP, ICMP, ICMPv6, SCTP, ESP and GRE headers. What is inside GRE and ESP stays closed here. */
#include "decode_internal.h"

static void transport_whole(reef_packet *packet, const uint8_t *p, uint32_t header, uint32_t n)
{
    packet->transport = p;
    packet->payload = p + header;
    packet->payload_length = n - header;
    packet->flags |= REEF_PACKET_TRANSPORT;
}

static void decode_tcp_options(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    /* Kind 0 ends, 1 pads; of the known ones each may stand there once (RFC 9293 3.2, 7323, 2018). */
    static const uint8_t length_of[] = {[2] = 4, [3] = 3, [4] = 2, [8] = 10};
    unsigned seen = 0;
    while (n > 0) {
        uint8_t kind = p[0];
        if (kind == 0)
            return;
        if (kind == 1) {
            p++;
            n--;
            continue;
        }
        if (n < 2 || p[1] < 2 || p[1] > n) {
            decode_event(packet, REEF_EV_TCP_OPT_INVALID_LEN);
            return;
        }
        if (kind < sizeof length_of && length_of[kind] != 0) {
            if (p[1] != length_of[kind])
                decode_event(packet, REEF_EV_TCP_OPT_INVALID_LEN);
            else if (seen & 1u << kind)
                decode_event(packet, REEF_EV_TCP_OPT_DUPLICATE);
            seen |= 1u << kind;
        }
        n -= p[1];
        p += p[1];
    }
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
    transport_whole(packet, p, header, n);
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
    transport_whole(packet, p, 8, length < n ? length : n);
}

static void decode_icmpv4(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8) {
        decode_bad(packet, REEF_EV_ICMPV4_PKT_TOO_SMALL);
        return;
    }
    packet->icmp_type = p[0];
    packet->icmp_code = p[1];
    switch (p[0]) {
    case 0:  /* echo reply */
    case 8:  /* echo */
    case 13: /* timestamp */
    case 14:
    case 15: /* information */
    case 16:
    case 17: /* address mask */
    case 18:
        packet->source_port = packet->destination_port = reef_be16(p + 4); /* identifier: both ways alike */
        break;
    case 3:  /* unreachable */
    case 4:  /* source quench */
    case 5:  /* redirect */
    case 9:  /* router advertisement */
    case 10: /* router solicitation */
    case 11: /* time exceeded */
    case 12: /* parameter problem */
        break;
    default:
        decode_event(packet, REEF_EV_ICMPV4_UNKNOWN_TYPE);
    }
    transport_whole(packet, p, 8, n);
}

static void decode_icmpv6(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 8) {
        decode_bad(packet, REEF_EV_ICMPV6_PKT_TOO_SMALL);
        return;
    }
    packet->icmp_type = p[0];
    packet->icmp_code = p[1];
    if (p[0] == 128 || p[0] == 129) /* echo, echo reply */
        packet->source_port = packet->destination_port = reef_be16(p + 4);
    else if (p[0] == 0 || (p[0] > 4 && p[0] < 100) || (p[0] > 161 && p[0] < 200) || p[0] == 255)
        decode_event(packet, REEF_EV_ICMPV6_UNKNOWN_TYPE); /* not in IANA's registry */
    transport_whole(packet, p, 8, n);
}

static void decode_gre(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < 4) {
        decode_bad(packet, REEF_EV_GRE_PKT_TOO_SMALL);
        return;
    }
    if ((p[1] & 0x07) > 1) {
        decode_bad(packet, REEF_EV_GRE_WRONG_VERSION);
        return;
    }
    transport_whole(packet, p, 4, n);
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
        if (n < 12) {
            decode_bad(packet, REEF_EV_SCTP_PKT_TOO_SMALL);
        } else {
            packet->source_port = reef_be16(p);
            packet->destination_port = reef_be16(p + 2);
            transport_whole(packet, p, 12, n);
        }
        break;
    case REEF_PROTO_ESP:
        if (n < 8)
            decode_bad(packet, REEF_EV_ESP_PKT_TOO_SMALL);
        else
            transport_whole(packet, p, 8, n);
        break;
    case REEF_PROTO_GRE:
        decode_gre(packet, p, n);
        break;
    default:
        packet->transport = p;
        packet->payload = p;
        packet->payload_length = n;
    }
}
