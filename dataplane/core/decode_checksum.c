/* The Internet checksum (RFC 1071) of what was captured. */
#include "decode_internal.h"

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Sums words in the machine's order: the sum of ones' complement does not mind (RFC 1071 2.B). Two chains, so that one add
 * need not wait for the other's carry. */
static uint64_t sum_of(const uint8_t *p, uint32_t n, uint64_t start)
{
    uint64_t a = start, b = 0;
    for (; n >= 16; p += 16, n -= 16) {
        uint64_t v = load64(p), w = load64(p + 8);
        a += (v & 0xffffffffu) + (v >> 32);
        b += (w & 0xffffffffu) + (w >> 32);
    }
    a += b;
    for (; n >= 4; p += 4, n -= 4)
        a += reef_u32(p);
    if (n >= 2) {
        a += reef_u16(p);
        p += 2;
        n -= 2;
    }
    return n > 0 ? a + p[0] : a;
}

static bool is_right(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16 & 0xffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return sum == 0xffff;
}

/* Addresses, protocol and length (RFC 9293 3.1, RFC 8200 8.1). */
static uint64_t pseudo_header(const reef_packet *packet, uint32_t length)
{
    uint32_t address = packet->version == 4 ? 4 : 16;
    uint64_t sum = (uint64_t)__builtin_bswap32(length) + ((uint64_t)packet->protocol << 8);
    return sum_of(packet->destination, address, sum_of(packet->source, address, sum));
}

static bool transport_is_right(const reef_packet *packet, uint32_t n)
{
    const uint8_t *p = packet->transport;
    switch (packet->protocol) {
    case REEF_PROTO_TCP:
    case REEF_PROTO_ICMPV6:
        return is_right(sum_of(p, n, pseudo_header(packet, n)));
    case REEF_PROTO_UDP:
        if (reef_u16(p + 6) == 0) /* none; with IPv6 that is not allowed, and yet tunnels do it (RFC 6935) */
            return packet->version == 4;
        n = packet->payload_length + 8;
        return is_right(sum_of(p, n, pseudo_header(packet, n)));
    case REEF_PROTO_ICMP:
        return is_right(sum_of(p, n, 0));
    default:
        return true;
    }
}

void reef_packet_checksums(reef_packet *packet)
{
    if (packet->version == 0 || packet->flags & REEF_PACKET_CUT)
        return;
    if (packet->version == 4 && !(packet->flags & REEF_PACKET_DEFRAGMENTED) && !is_right(sum_of(packet->network, reef_packet_network_header(packet), 0)))
        packet->flags |= REEF_PACKET_BAD_IP_CHECKSUM;
    if (!(packet->flags & REEF_PACKET_TRANSPORT))
        return;
    uint32_t n = (uint32_t)(packet->network + packet->network_length - packet->transport);
    if (!transport_is_right(packet, n))
        packet->flags |= REEF_PACKET_BAD_CHECKSUM;
}
