/* ICMP (RFC 792, 950, 1256) and ICMPv6 (RFC 4443 and IANA's registry): types, codes and what errors quote. */
#include "decode_internal.h"

enum { HEADER = 8, INFORMATION_HEADER = 4 /* of ICMPv6 messages without an identifier */ };

/* The packet that an error quotes: its header must be there. */
static void quoted_ipv4(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < DECODE_IPV4_HEADER)
        decode_bad(packet, REEF_EV_ICMPV4_IPV4_TRUNC_PKT);
    else if (p[0] >> 4 != 4)
        decode_bad(packet, REEF_EV_ICMPV4_IPV4_UNKNOWN_VER);
}

static void quoted_ipv6(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < DECODE_IPV6_HEADER)
        decode_bad(packet, REEF_EV_ICMPV6_IPV6_TRUNC_PKT);
    else if (p[0] >> 4 != 6)
        decode_bad(packet, REEF_EV_ICMPV6_IPV6_UNKNOWN_VER);
}

static void icmpv4_error(reef_packet *packet, const uint8_t *p, uint32_t n, unsigned last_code)
{
    if (p[1] > last_code)
        decode_event(packet, REEF_EV_ICMPV4_UNKNOWN_CODE);
    else if (n > HEADER)
        quoted_ipv4(packet, p + HEADER, n - HEADER);
}

void decode_icmpv4(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < HEADER) {
        decode_bad(packet, REEF_EV_ICMPV4_PKT_TOO_SMALL);
        return;
    }
    packet->icmp_type = p[0];
    packet->icmp_code = p[1];
    uint32_t header = HEADER, more = 0;
    switch (p[0]) {
    case 13: /* timestamp */
    case 14:
        more = 12;
        __attribute__((fallthrough));
    case 0:  /* echo reply */
    case 8:  /* echo */
    case 15: /* information */
    case 16:
    case 17: /* address mask */
    case 18:
        packet->source_port = packet->destination_port = reef_be16(p + 4); /* identifier: both ways alike */
        if (p[1] != 0)
            decode_event(packet, REEF_EV_ICMPV4_UNKNOWN_CODE);
        break;
    case 3: /* unreachable */
        icmpv4_error(packet, p, n, 15);
        break;
    case 5: /* redirect */
        icmpv4_error(packet, p, n, 3);
        break;
    case 11: /* time exceeded */
        icmpv4_error(packet, p, n, 1);
        break;
    case 4: /* source quench */
        if (n == HEADER && p[1] == 0)
            decode_bad(packet, REEF_EV_ICMPV4_IPV4_TRUNC_PKT);
        __attribute__((fallthrough));
    case 12: /* parameter problem */
        icmpv4_error(packet, p, n, 0);
        break;
    case 9: /* router advertisement: number of addresses, words of each */
        more = p[4] * (p[5] * 4u);
        break;
    default:
        decode_event(packet, REEF_EV_ICMPV4_UNKNOWN_TYPE);
    }
    if (n < header + more)
        decode_event(packet, REEF_EV_ICMPV4_IPV4_TRUNC_PKT);
    else
        header += more;
    decode_transport_whole(packet, p, header, n);
}

/* Codes of the messages that are no errors: the highest that is assigned; -1: any. */
static int highest_code(unsigned type)
{
    switch (type) {
    case 128: /* echo */
    case 129:
    case 130: /* listener query, report, done */
    case 131:
    case 132:
    case 133: /* neighbour discovery */
    case 134:
    case 135:
    case 136:
    case 137:
    case 141: /* inverse neighbour discovery */
    case 142:
    case 143: /* listener report, version 2 */
    case 144: /* mobility */
    case 145:
    case 146:
    case 147:
    case 148: /* certification path */
    case 149:
    case 154: /* fast handover */
    case 156: /* locator update */
    case 157: /* duplicate address */
    case 158:
    case 159: /* multicast for low-power networks */
        return 0;
    case 138: /* router renumbering */
    case 139: /* node information */
    case 140:
        return 2;
    case 155: /* routing for low-power networks */
        return 132;
    default:
        return -1;
    }
}

static void icmpv6_code(reef_packet *packet, unsigned type, unsigned code)
{
    int highest = highest_code(type);
    if (highest >= 0 && code > (unsigned)highest && !(type == 138 && code == 255))
        decode_event(packet, REEF_EV_ICMPV6_UNKNOWN_CODE);
    if (type == 155 && code > 3 && code < 128)
        decode_event(packet, REEF_EV_ICMPV6_UNKNOWN_CODE);
    if (type >= 130 && type <= 132 && packet->ttl != 1) /* RFC 2710 3: listener messages never leave the link */
        decode_event(packet, REEF_EV_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL);
}

static void icmpv6_unknown(reef_packet *packet, unsigned type)
{
    if (type == 100 || type == 101 || type == 200 || type == 201)
        decode_event(packet, REEF_EV_ICMPV6_EXPERIMENTATION_TYPE);
    else if ((type > 4 && type < 127) || type >= 160)
        decode_event(packet, REEF_EV_ICMPV6_UNASSIGNED_TYPE);
    else
        decode_event(packet, REEF_EV_ICMPV6_UNKNOWN_TYPE);
}

void decode_icmpv6(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    static const uint8_t last_error_code[] = {[1] = 6, [2] = 0, [3] = 1, [4] = 2};
    if (n < HEADER) {
        decode_bad(packet, REEF_EV_ICMPV6_PKT_TOO_SMALL);
        return;
    }
    unsigned type = p[0], code = p[1];
    uint32_t header = INFORMATION_HEADER;
    packet->icmp_type = p[0];
    packet->icmp_code = p[1];
    if (type >= 1 && type <= 4) {
        if (code > last_error_code[type]) {
            decode_event(packet, REEF_EV_ICMPV6_UNKNOWN_CODE);
        } else {
            quoted_ipv6(packet, p + HEADER, n - HEADER);
            header = HEADER;
        }
    } else if (type >= 128 && type <= 159) {
        icmpv6_code(packet, type, code);
        if (type <= 129) {
            packet->source_port = packet->destination_port = reef_be16(p + 4);
            header = HEADER;
        }
    } else {
        icmpv6_unknown(packet, type);
    }
    decode_transport_whole(packet, p, header, n);
}
