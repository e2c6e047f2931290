/* IPv4 (RFC 791) with its options. */
#include "decode_internal.h"

enum { MORE_FRAGMENTS = 0x2000, OFFSET_MASK = 0x1fff };
enum {
    OPTION_RECORD_ROUTE = 7,
    OPTION_QUICK_START = 25,
    OPTION_TIMESTAMP = 68,
    OPTION_SECURITY = 130,
    OPTION_LOOSE_ROUTE = 131,
    OPTION_EXTENDED_SECURITY = 133,
    OPTION_COMMERCIAL_SECURITY = 134,
    OPTION_STREAM = 136,
    OPTION_STRICT_ROUTE = 137,
    OPTION_ROUTER_ALERT = 148,
};

/* A pointer counts from 1 and steps over whole records behind `first`. */
static bool pointer_fits(unsigned pointer, unsigned first, unsigned record, unsigned length)
{
    return pointer >= first && (pointer - first) % record == 0 && pointer <= length + 1;
}

/* CIPSO: the tags fill the option; types 1, 2, 5, 6, 7 are known, and all but 7 have an alignment octet of 0. */
static bool cipso_fits(const uint8_t *p, unsigned n)
{
    while (n > 0) {
        if (n < 4 || p[1] < 4 || p[1] > n)
            return false;
        if (p[0] != 1 && p[0] != 2 && p[0] != 5 && p[0] != 6 && p[0] != 7)
            return false;
        if (p[0] != 7 && p[2] != 0)
            return false;
        n -= p[1];
        p += p[1];
    }
    return true;
}

/* What is wrong with an option of `n` bytes at `p`: an event, or REEF_EV_COUNT. */
static reef_decode_event option_wrong(const uint8_t *p, unsigned n)
{
    switch (p[0]) {
    case OPTION_RECORD_ROUTE:
    case OPTION_LOOSE_ROUTE:
    case OPTION_STRICT_ROUTE:
        if (n < 3)
            return REEF_EV_IPV4_OPT_INVALID_LEN;
        return pointer_fits(p[2], 4, 4, n) ? REEF_EV_COUNT : REEF_EV_IPV4_OPT_MALFORMED;
    case OPTION_TIMESTAMP:
        if (n < 5)
            return REEF_EV_IPV4_OPT_INVALID_LEN;
        /* The flag whose low bit is set says that addresses stand beside the times; the overflow count shares its octet. */
        return pointer_fits(p[2], 5, p[3] == 1 || p[3] == 3 ? 8 : 4, n) ? REEF_EV_COUNT : REEF_EV_IPV4_OPT_MALFORMED;
    case OPTION_QUICK_START:
        return n < 8 ? REEF_EV_IPV4_OPT_INVALID_LEN : REEF_EV_COUNT;
    case OPTION_SECURITY:
        return n < 3 ? REEF_EV_IPV4_OPT_INVALID_LEN : REEF_EV_COUNT;
    case OPTION_STREAM:
    case OPTION_ROUTER_ALERT:
        return n != 4 ? REEF_EV_IPV4_OPT_INVALID_LEN : REEF_EV_COUNT;
    case OPTION_COMMERCIAL_SECURITY:
        if (n < 10)
            return REEF_EV_IPV4_OPT_INVALID_LEN;
        return cipso_fits(p + 6, n - 6) ? REEF_EV_COUNT : REEF_EV_IPV4_OPT_MALFORMED;
    case OPTION_EXTENDED_SECURITY:
        return REEF_EV_COUNT;
    default:
        return REEF_EV_IPV4_OPT_INVALID;
    }
}

static void decode_options(reef_packet *packet, const uint8_t *p, unsigned n)
{
    uint64_t seen[4] = {0};
    packet->flags |= REEF_PACKET_IP_OPTIONS;
    if (n % 8 != 0)
        decode_event(packet, REEF_EV_IPV4_OPT_PAD_REQUIRED);
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
            decode_event(packet, REEF_EV_IPV4_OPT_EOL_REQUIRED);
            return;
        }
        unsigned length = p[1];
        if (length < 2 || length > n) {
            decode_bad(packet, REEF_EV_IPV4_OPT_INVALID_LEN);
            return;
        }
        reef_decode_event wrong = option_wrong(p, length);
        if (wrong == REEF_EV_IPV4_OPT_INVALID) {
            decode_event(packet, wrong);
        } else if (seen[type >> 6] & 1ull << (type & 63)) {
            decode_event(packet, REEF_EV_IPV4_OPT_DUPLICATE);
        } else if (wrong != REEF_EV_COUNT) {
            decode_bad(packet, wrong);
            return;
        }
        seen[type >> 6] |= 1ull << (type & 63);
        p += length;
        n -= length;
    }
}

bool reef_packet_ip_option(const reef_packet *packet, unsigned type)
{
    if (!(packet->flags & REEF_PACKET_IP_OPTIONS))
        return false;
    const uint8_t *p = packet->network + DECODE_IPV4_HEADER, *end = packet->network + reef_packet_network_header(packet);
    while (p < end) {
        if (p[0] == type)
            return true;
        if (p[0] == 0)
            return false;
        if (p[0] == 1) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p)
            return false;
        p += p[1];
    }
    return false;
}

bool decode_ipv4(reef_packet *packet, const uint8_t *p, uint32_t n)
{
    if (n < DECODE_IPV4_HEADER) {
        decode_bad(packet, REEF_EV_IPV4_PKT_TOO_SMALL);
        return false;
    }
    if (p[0] >> 4 != 4) {
        decode_bad(packet, REEF_EV_IPV4_WRONG_IP_VER);
        return false;
    }
    uint32_t header = (uint32_t)(p[0] & 0x0f) * 4;
    uint32_t total = reef_be16(p + 2);
    if (header < DECODE_IPV4_HEADER) {
        decode_bad(packet, REEF_EV_IPV4_HLEN_TOO_SMALL);
        return false;
    }
    /* A segment larger than 64 KiB that the kernel has not cut yet (GSO) carries a length of 0. */
    if (total == 0 && n > 0xffff)
        total = n;
    if (total < header) {
        decode_bad(packet, REEF_EV_IPV4_IPLEN_SMALLER_THAN_HLEN);
        return false;
    }
    if (n < total && (!(packet->flags & REEF_PACKET_CUT) || n < header)) {
        decode_bad(packet, REEF_EV_IPV4_TRUNC_PKT);
        return false;
    }
    packet->version = 4;
    packet->network = p;
    packet->network_length = n < total ? n : total;
    packet->ttl = p[8];
    packet->protocol = p[9];
    memcpy(packet->source, p + 12, 4);
    memcpy(packet->destination, p + 16, 4);
    if (header > DECODE_IPV4_HEADER)
        decode_options(packet, p + DECODE_IPV4_HEADER, header - DECODE_IPV4_HEADER);

    uint16_t fragment = reef_be16(p + 6);
    if (fragment & (MORE_FRAGMENTS | OFFSET_MASK)) {
        packet->flags |= REEF_PACKET_FRAGMENT;
        packet->fragment_id = reef_be16(p + 4);
        packet->fragment_offset = (uint16_t)((fragment & OFFSET_MASK) * 8u);
        packet->transport = p + header; /* of the fragment, whatever it is */
    } else if (packet->protocol == REEF_PROTO_ICMPV6) {
        decode_bad(packet, REEF_EV_IPV4_WITH_ICMPV6);
    } else {
        decode_transport(packet, p + header, packet->network_length - header);
    }
    return true;
}
