/* The gate beside a trie of the kernel and a drop without looking: the same frame with another source each time.
 *
 * `try_*` are run by BPF_PROG_TEST_RUN: they take the next address and decide. `send` does the same and sends the frame to
 * a link; `take_*` stand at the other end, and drop whatever the decision was, so that a miss costs nothing behind them. */
#define REEF_GATE_ONLY_FUNCTIONS
#include "gate.bpf.c"

#include "bench_gate.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, BENCH_ADDRESSES);
    __type(key, __u32);
    __type(value, struct bench_address);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, BENCH_PREFIXES);
    __type(key, struct reef_gate_allow4);
    __type(value, __u8);
} trie4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, BENCH_PREFIXES);
    __type(key, struct reef_gate_allow6);
    __type(value, __u8);
} trie6 SEC(".maps");

struct bench_state bench SEC(".data.bench");

static __always_inline const struct ethhdr *frame(struct xdp_md *context)
{
    const struct ethhdr *ethernet = (const void *)(long)context->data;

    return (const void *)(ethernet + 1) <= (const void *)(long)context->data_end ? ethernet : NULL;
}

/* Puts the next address into the frame. */
static __always_inline bool next_source(struct xdp_md *context)
{
    const void *end = (const void *)(long)context->data_end;
    const struct ethhdr *ethernet = frame(context);
    __u32 at = bench.cursor++ & (BENCH_ADDRESSES - 1);
    const struct bench_address *address = bpf_map_lookup_elem(&addresses, &at);

    if (!ethernet || !address)
        return false;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = (void *)(ethernet + 1);

        if ((void *)(ip + 1) > end)
            return false;
        ip->saddr = address->words[0];
    } else {
        struct ipv6hdr *ip = (void *)(ethernet + 1);

        if ((void *)(ip + 1) > end)
            return false;
        __builtin_memcpy(&ip->saddr, address->words, 16);
    }
    return true;
}

/* The program that a trie makes of it: no more than it must read. */
static __always_inline int by_trie(struct xdp_md *context)
{
    const void *end = (const void *)(long)context->data_end;
    const struct ethhdr *ethernet = frame(context);

    if (!ethernet)
        return XDP_PASS;
    if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
        const struct iphdr *ip = (const void *)(ethernet + 1);
        struct reef_gate_allow4 key = {.length = 32};

        if ((const void *)(ip + 1) > end)
            return XDP_PASS;
        __builtin_memcpy(key.address, &ip->saddr, 4);
        return bpf_map_lookup_elem(&trie4, &key) ? XDP_DROP : XDP_PASS;
    }
    const struct ipv6hdr *ip = (const void *)(ethernet + 1);
    struct reef_gate_allow6 key = {.length = 128};

    if ((const void *)(ip + 1) > end)
        return XDP_PASS;
    __builtin_memcpy(key.address, &ip->saddr, 16);
    return bpf_map_lookup_elem(&trie6, &key) ? XDP_DROP : XDP_PASS;
}

static __always_inline int counted(int verdict)
{
    bench.frames++;
    bench.dropped += verdict == XDP_DROP;
    return XDP_DROP;
}

SEC("xdp.frags")
int try_drop(struct xdp_md *context)
{
    return counted(next_source(context) ? XDP_DROP : XDP_PASS);
}

SEC("xdp.frags")
int try_trie(struct xdp_md *context)
{
    return counted(next_source(context) ? by_trie(context) : XDP_PASS);
}

SEC("xdp.frags")
int try_gate(struct xdp_md *context)
{
    return counted(next_source(context) ? gate(context) : XDP_PASS);
}

SEC("xdp.frags")
int send(struct xdp_md *context)
{
    return next_source(context) ? bpf_redirect(bench.link, 0) : XDP_DROP;
}

static __always_inline __u16 folded(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)(sum + (sum >> 16));
}

/* A SYN of the next source: both checksums are mended by what the source changed (RFC 1624). */
SEC("xdp.frags")
int send_syn(struct xdp_md *context)
{
    const void *end = (const void *)(long)context->data_end;
    const struct ethhdr *ethernet = frame(context);
    __u32 before, after;

    if (!ethernet)
        return XDP_DROP;
    struct iphdr *ip = (void *)(ethernet + 1);
    struct tcphdr *tcp = (void *)(ip + 1);
    if ((void *)(tcp + 1) > end)
        return XDP_DROP;
    before = ip->saddr;
    if (!next_source(context))
        return XDP_DROP;
    after = ip->saddr;
    before = (~before & 0xffff) + (~before >> 16) + (after & 0xffff) + (after >> 16);
    ip->check = ~folded((__u16)~ip->check + before);
    tcp->check = ~folded((__u16)~tcp->check + before);
    return bpf_redirect(bench.link, 0);
}

SEC("xdp.frags")
int take_drop(struct xdp_md *context)
{
    return counted(frame(context) ? XDP_DROP : XDP_PASS);
}

SEC("xdp.frags")
int take_trie(struct xdp_md *context)
{
    return counted(by_trie(context));
}

/* The name that the user side of the gate looks for. */
SEC("xdp.frags")
int reef_gate(struct xdp_md *context)
{
    return counted(gate(context));
}
