/* The XDP gate: what is dropped before the kernel makes a packet of it.
 *
 * In order: what no host may send (malformed), who may not send it here (bogons), who is banned, who sends too much. A source
 * on the allow-list passes all but the first. Everything else goes on to the ruleset, which decides; the gate allows nothing.
 */
#include "bans.bpf.h"
#include "flood.bpf.h"
#include "packet.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int drop(const struct packet *packet, __u32 reason)
{
    __u32 key = (packet->line.counters % REEF_GATE_LINE_COUNTERS) * REEF_GATE_REASONS + reason;
    struct reef_gate_count *count = bpf_map_lookup_elem(&reasons, &key);

    if (count) {
        count->packets++;
        count->bytes += packet->bytes;
    }
    return reason == REEF_GATE_ALLOWED ? XDP_PASS : XDP_DROP;
}

static __always_inline int drop_unless_allowed(const struct packet *packet, __u32 reason)
{
    return drop(packet, is_allowed(packet, REEF_GATE_NOT_LIMITED) ? REEF_GATE_ALLOWED : reason);
}

static __always_inline int drop_banned(const struct packet *packet, __u32 list)
{
    struct reef_gate_count *count;

    if (is_allowed(packet, REEF_GATE_NOT_BANNED))
        return drop(packet, REEF_GATE_ALLOWED);
    count = bpf_map_lookup_elem(&lists, &list);
    if (count) {
        count->packets++;
        count->bytes += packet->bytes;
    }
    return drop(packet, REEF_GATE_BANNED);
}

static __always_inline __u32 banned(const struct packet *packet)
{
    __u32 side = live.side & 1;

    return packet->version == 4 ? banned4(packet->source4, side) : banned6(packet->high, packet->low, side);
}

/* Two processors at once may both say yes: then it is one more. */
static __always_inline bool left_to_ruleset(__u32 list)
{
    __u64 now;

    if (list != REEF_GATE_INDICATED)
        return false;
    now = bpf_ktime_get_coarse_ns();
    if (now < left_from)
        return false;
    left_from = now + REEF_GATE_LEFT_EVERY;
    return true;
}

static __always_inline int gate(struct xdp_md *context)
{
    struct packet packet = {0};
    __u32 list, reason;

    find_line(&packet.line, context->ingress_ifindex);
    reason = read_packet(context, &packet);
    if (reason != FINE && packet.line.checks & REEF_GATE_CHECK_MALFORMED)
        return drop(&packet, reason);
    if (packet.version == 0)
        return XDP_PASS; /* no IP, or too broken to say whose it is */
    list = banned(&packet);
    if (list && !left_to_ruleset(list))
        return drop_banned(&packet, list);
    if (packet.line.checks & (REEF_GATE_CHECK_MARTIANS | REEF_GATE_CHECK_PRIVATE | REEF_GATE_CHECK_EXAMPLES) &&
        is_bogon(&packet))
        return drop_unless_allowed(&packet, REEF_GATE_BOGON);
    reason = flooding(&packet);
    if (reason != FINE)
        return drop_unless_allowed(&packet, reason);
    return XDP_PASS;
}

#ifndef REEF_GATE_ONLY_FUNCTIONS
SEC("xdp.frags")
int reef_gate(struct xdp_md *context)
{
    return gate(context);
}
#endif
