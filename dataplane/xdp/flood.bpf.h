/* Limits of one source (IPv4: the address; IPv6: its /64), and of a line's SYNs altogether.
 *
 * A source may be ahead of the clock by the burst; each packet moves it on by the gap, time lets it fall back (the generic cell
 * rate algorithm, a token bucket in one number). Processors write the same entries without a lock: what gets lost
 * is a packet more or less, never more than the processors that wrote at once.
 */
#ifndef REEF_FLOOD_BPF_H
#define REEF_FLOOD_BPF_H

#include "packet_kept.bpf.h"

static __always_inline __u32 ticks(void)
{
    return (__u32)(bpf_ktime_get_coarse_ns() >> REEF_GATE_TICK_SHIFT);
}

/* Charges one packet to `ahead`. True when the source is too far ahead of the clock; then nothing is charged. */
static __always_inline bool charge(__u32 *ahead, const struct reef_gate_rate *rate, __u32 now)
{
    __s32 lead = (__s32)(*ahead - now);

    if (lead < 0 || (__u32)lead > rate->burst + rate->gap) { /* behind, or from a turn of the clock ago */
        *ahead = now + rate->gap;
        return false;
    }
    if ((__u32)lead > rate->burst)
        return true;
    *ahead += rate->gap;
    return false;
}

static __always_inline bool exceeded(const struct packet *packet, const struct reef_gate_rate *rate, __u32 kind)
{
    __u64 who = packet->version == 4 ? packet->source4 : packet->high;
    __u64 hash = reef_gate_mix(((who ^ fixed.seed6[0]) + kind * packet->version) * 0x9e3779b97f4a7c15ull);
    __u32 at = hash & (REEF_GATE_FLOOD_SETS - 1), mark = (hash >> 32) | 1, now = ticks(), victim = 0;
    struct reef_gate_ways *ways = bpf_map_lookup_elem(&floods, &at);
    __s32 least = 0x7fffffff;

    if (!ways)
        return false;
    for (__u32 i = 0; i < REEF_GATE_WAYS; i++) {
        __s32 lead = (__s32)(ways->ahead[i] - now);

        if (ways->mark[i] == mark)
            return charge(&ways->ahead[i], rate, now);
        if (lead < least) {
            least = lead;
            victim = i;
        }
    }
    /* A stranger takes the place of whoever has been quiet longest: those who send much keep theirs. */
    victim &= REEF_GATE_WAYS - 1;
    ways->mark[victim] = mark;
    ways->ahead[victim] = now + rate->gap;
    return false;
}

/* Was this SYN sent before, about when TCP sends it again? Whoever forges sources does not know which to repeat. */
static __always_inline bool asked_again(const struct packet *packet)
{
    __u64 who = packet->version == 4 ? (__u64)packet->source4 << 32 | packet->target4
                                     : packet->high ^ packet->low * 3 ^ packet->target_high * 5 ^ packet->target_low * 7;
    __u64 hash = reef_gate_mix(((who ^ fixed.seed6[1]) + packet->ports) * 0x9e3779b97f4a7c15ull);
    /* 1 to 255; 0 is never. */
    __u32 now = (__u32)((bpf_ktime_get_coarse_ns() >> REEF_GATE_SEEN_SHIFT) % 255) + 1;
    bool again = true;

    for (__u32 i = 0; i < 2; i++, hash >>= 32) {
        __u32 at = hash & (REEF_GATE_SEEN_LINES - 1), age;
        struct reef_gate_bytes *line = bpf_map_lookup_elem(&seen, &at);
        __u8 *stamp;

        if (!line)
            return true;
        stamp = &line->at[(hash >> 20) & 63];
        age = *stamp ? (now + 255 - *stamp) % 255 : 255;
        again = again && age >= REEF_GATE_SEEN_FROM && age <= REEF_GATE_SEEN_UNTIL;
        if (age > REEF_GATE_SEEN_UNTIL)
            *stamp = (__u8)now;
    }
    return again;
}

/* FINE, or which limit the packet is over. Packets of connections that exist cost no look at all. */
static __always_inline __u32 flooding(const struct packet *packet)
{
    const struct reef_gate_line *line = packet->line.rates;
    __u32 row = packet->line.counters % REEF_GATE_LINE_COUNTERS;

    if (!line)
        return FINE;
    if (packet->protocol == IPPROTO_TCP) {
        if (!packet->syn)
            return FINE;
        if (line->syn.gap && exceeded(packet, &line->syn, 1))
            return REEF_GATE_SYN;
        if (line->syn_total.gap && charge(&totals[row].ahead, &line->syn_total, ticks()) && !asked_again(packet))
            return REEF_GATE_SYN_TOTAL;
        return FINE;
    }
    if (packet->protocol == IPPROTO_UDP && line->udp.gap && exceeded(packet, &line->udp, 2))
        return REEF_GATE_UDP;
    if ((packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) && line->icmp.gap &&
        exceeded(packet, &line->icmp, 3))
        return REEF_GATE_ICMP;
    return FINE;
}

#endif
