/* What the gate keeps of a packet, the line it came by, and what is asked of its source alone. */
#ifndef REEF_PACKET_KEPT_BPF_H
#define REEF_PACKET_KEPT_BPF_H

#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include "maps.bpf.h"

#define FINE REEF_GATE_REASONS /* no reason to drop it */

struct line {
    const struct reef_gate_line *rates; /* NULL where nothing is limited */
    __u32 counters;
    __u32 checks;
};

struct packet {
    const void *data, *end; /* the piece of it that is mapped */
    struct line line;
    __u32 bytes;
    __u32 version; /* 0: no IP */
    __u32 source4, target4;
    __u64 high, low; /* the source of IPv6 */
    __u64 target_high, target_low;
    __u32 ports;
    __u8 protocol;
    bool syn; /* asks for a connection */
};

static __always_inline void find_line(struct line *line, __u32 interface)
{
    __u32 at = interface % REEF_GATE_LINES;
    const struct reef_gate_line *known = bpf_map_lookup_elem(&ways_in, &at);

    if (!known || known->interface != interface)
        return;
    line->rates = known;
    line->counters = known->counters;
    line->checks = known->checks;
}

/* Is the source spared `what`? */
static __always_inline bool is_allowed(const struct packet *packet, __u8 what)
{
    const __u8 *spared;

    if (!live.allowed || !packet->version)
        return false;
    if (packet->version == 4) {
        struct reef_gate_allow4 key = {.length = 32};

        *(__be32 *)key.address = bpf_htonl(packet->source4);
        spared = bpf_map_lookup_elem(&allow4, &key);
        return spared && *spared & what;
    }
    struct reef_gate_allow6 key = {.length = 128};
    __be32 *words = (__be32 *)key.address;

    words[0] = bpf_htonl(packet->high >> 32);
    words[1] = bpf_htonl((__u32)packet->high);
    words[2] = bpf_htonl(packet->low >> 32);
    words[3] = bpf_htonl((__u32)packet->low);
    spared = bpf_map_lookup_elem(&allow6, &key);
    return spared && *spared & what;
}

static __always_inline bool within(__u32 address, __u32 network, __u32 length)
{
    return (address ^ network) >> (32 - length) == 0;
}

/* RFC 6890. Asking for an address (DHCP) and joining a group come from nobody's address. */
static __always_inline bool bogon4(const struct packet *packet)
{
    __u32 from = packet->source4;

    if (packet->line.checks & REEF_GATE_CHECK_MARTIANS) {
        if (from == 0)
            return !(packet->target4 == 0xffffffff && packet->protocol == IPPROTO_UDP) && packet->protocol != IPPROTO_IGMP;
        if (within(from, 0, 8) || within(from, 0x7f000000, 8) || from >= 0xe0000000)
            return true;
    }
    if (packet->line.checks & REEF_GATE_CHECK_PRIVATE &&
        (within(from, 0x0a000000, 8) || within(from, 0xac100000, 12) || within(from, 0xc0a80000, 16) ||
         within(from, 0x64400000, 10) || within(from, 0xa9fe0000, 16)))
        return true;
    return packet->line.checks & REEF_GATE_CHECK_EXAMPLES &&
           (within(from, 0xc0000200, 24) || within(from, 0xc6336400, 24) || within(from, 0xcb007100, 24) ||
            within(from, 0xc6120000, 15) || within(from, 0xc0000000, 24));
}

/* RFC 6890, RFC 4291. Neighbour discovery asks from ::, and from fe80::/10, which is every line's own. */
static __always_inline bool bogon6(const struct packet *packet)
{
    __u64 high = packet->high, low = packet->low;

    if (packet->line.checks & REEF_GATE_CHECK_MARTIANS) {
        if (high == 0 && low == 0)
            return packet->target_high >> 56 != 0xff;
        if ((high == 0 && (low >> 32 == 0 || low >> 32 == 0xffff)) || high >> 56 == 0xff)
            return true;
    }
    if (packet->line.checks & REEF_GATE_CHECK_PRIVATE && (high >> 57 == 0xfc >> 1 || high >> 54 == 0xfec0 >> 6))
        return true;
    return packet->line.checks & REEF_GATE_CHECK_EXAMPLES &&
           (high >> 32 == 0x20010db8 || high >> 44 == 0x3fff0 || high >> 16 == 0x200100020000);
}

static __always_inline bool is_bogon(const struct packet *packet)
{
    return packet->version == 4 ? bogon4(packet) : bogon6(packet);
}

#endif
