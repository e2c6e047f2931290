/* Reads the headers of a packet as far as the gate needs them, and says what no host may send. */
#ifndef REEF_PACKET_BPF_H
#define REEF_PACKET_BPF_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include "packet_kept.bpf.h"

#define VLAN_TAGS 2
#define ICMP_HEADER 8
#define EXTENSIONS 8
#define EXTENSION_OFFSET_MAX 0xfff
#define IPV4_MORE 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MORE 0x0001
#define IPV6_OFFSET 0xfff8

struct tag {
    __be16 control;
    __be16 protocol;
};

struct extension {
    __u8 next;
    __u8 length; /* in eight bytes, without the first; AH: in four bytes, less two */
    union {
        __be16 fragment;
        __u8 type;
    };
    __u8 rest[4];
};

/* What lies behind the headers of IP, and how many bytes of it there should be. */
struct payload {
    const void *at;
    __u32 length;
    __u8 protocol;
    bool first; /* of its fragments, or no fragment */
    bool whole;
};

/* Does the packet have `length` bytes from `at` on? Long ones lie in pieces, of which only the first is mapped. */
static __always_inline bool has(struct xdp_md *context, const struct packet *packet, const void *at, __u32 length)
{
    if (length <= (__u32)(packet->end - at))
        return true;
    return (__u32)(at - packet->data) + length <= bpf_xdp_get_buff_len(context);
}

/* RFC 9293 3.1, and which flags go together: a SYN ends nothing, and everything but SYN and RST acknowledges. */
static __always_inline bool nonsense(const struct tcphdr *tcp)
{
    if (tcp->syn)
        return tcp->fin || tcp->rst;
    if (tcp->rst)
        return tcp->fin;
    return !tcp->ack;
}

static __always_inline __u32 read_tcp(struct packet *packet, const struct payload *payload)
{
    const struct tcphdr *tcp = payload->at;

    if (payload->length < sizeof *tcp)
        return REEF_GATE_BAD_TCP;
    if ((const void *)(tcp + 1) > packet->end)
        return FINE;
    packet->syn = tcp->syn && !tcp->ack;
    packet->ports = (__u32)tcp->source << 16 | tcp->dest;
    if (tcp->doff < 5 || tcp->doff * 4u > payload->length || !tcp->source || !tcp->dest)
        return REEF_GATE_BAD_TCP;
    return nonsense(tcp) ? REEF_GATE_BAD_FLAGS : FINE;
}

static __always_inline __u32 read_udp(struct packet *packet, const struct payload *payload)
{
    const struct udphdr *udp = payload->at;
    __u32 length;

    if (payload->length < sizeof *udp)
        return REEF_GATE_BAD_UDP;
    if ((const void *)(udp + 1) > packet->end)
        return FINE;
    packet->ports = (__u32)udp->source << 16 | udp->dest;
    length = bpf_ntohs(udp->len);
    if (length < sizeof *udp || !udp->dest || (payload->whole && length > payload->length))
        return REEF_GATE_BAD_UDP;
    return FINE;
}

static __always_inline __u32 read_transport(struct packet *packet, const struct payload *payload)
{
    packet->protocol = payload->protocol;
    if (!payload->first)
        return FINE;
    switch (payload->protocol) {
    case IPPROTO_TCP:
        return read_tcp(packet, payload);
    case IPPROTO_UDP:
        return read_udp(packet, payload);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return payload->length < ICMP_HEADER ? REEF_GATE_BAD_ICMP : FINE;
    default:
        return FINE;
    }
}

static __always_inline __u32 read_ipv4(struct xdp_md *context, struct packet *packet, const void *at)
{
    const struct iphdr *ip = at;
    __u32 header, length, fragment, offset;
    struct payload payload = {0};

    if ((const void *)(ip + 1) > packet->end || ip->version != 4)
        return REEF_GATE_BAD_IPV4;
    packet->source4 = bpf_ntohl(ip->saddr);
    packet->target4 = bpf_ntohl(ip->daddr);
    packet->version = 4;
    header = ip->ihl * 4u;
    length = bpf_ntohs(ip->tot_len);
    if (header < sizeof *ip || length < header || !has(context, packet, at, length))
        return REEF_GATE_BAD_IPV4;
    if (ip->saddr == ip->daddr)
        return REEF_GATE_LAND;
    payload.at = at + header;
    payload.length = length - header;
    payload.protocol = ip->protocol;
    fragment = bpf_ntohs(ip->frag_off);
    offset = (fragment & IPV4_OFFSET) * 8;
    payload.first = offset == 0;
    payload.whole = !(fragment & (IPV4_MORE | IPV4_OFFSET));
    /* Fragments past the end of the largest datagram, of no whole eight bytes, or that overwrite the flags of TCP (RFC 3128). */
    if (!payload.whole && (offset + payload.length + header > 65535 || payload.length == 0 ||
                           (fragment & IPV4_MORE && payload.length % 8) ||
                           (offset == 8 && ip->protocol == IPPROTO_TCP)))
        return REEF_GATE_BAD_FRAGMENT;
    return read_transport(packet, &payload);
}

static __always_inline bool is_extension(__u8 protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
           protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH;
}

/* A step over one extension header at `offset`: its length in the low half; above it the next protocol, and what is known. */
#define STEP_BAD (1ull << 40)
#define STEP_BAD_FRAGMENT (1ull << 41)
#define STEP_LATER (1ull << 42)    /* a fragment that is not the first, or in a piece that is not mapped: no more is read */
#define STEP_FRAGMENT (1ull << 43)

static __always_inline __u64 step_fragment(__u32 fragment, __u32 left, __u8 next)
{
    __u64 step = sizeof(struct extension) | (__u64)next << 32 | STEP_FRAGMENT;

    if (left <= sizeof(struct extension) || (fragment & IPV6_MORE && left % 8) ||
        (fragment & IPV6_OFFSET) + left - sizeof(struct extension) > 65535)
        return STEP_BAD_FRAGMENT;
    if (fragment & IPV6_OFFSET)
        step |= STEP_LATER;
    return step;
}

/* A function of its own to the verifier, which would follow every path through eight of them otherwise. */
__noinline __u64 step_over(struct xdp_md *context, __u32 offset, __u32 protocol, __u32 left)
{
    const void *data = (const void *)(long)context->data, *end = (const void *)(long)context->data_end;
    const struct extension *header;
    __u32 length;

    if (offset > EXTENSION_OFFSET_MAX || left < sizeof *header)
        return STEP_BAD;
    header = data + offset;
    if ((const void *)(header + 1) > end)
        return STEP_LATER;
    if (protocol == IPPROTO_FRAGMENT)
        return step_fragment(bpf_ntohs(header->fragment), left, header->next);
    if (protocol == IPPROTO_ROUTING && header->type == 0 && header->length)
        return STEP_BAD; /* source routes (RFC 5095) */
    length = protocol == IPPROTO_AH ? header->length * 4u + 8u : header->length * 8u + 8u;
    return length > left ? STEP_BAD : length | (__u64)header->next << 32;
}

/* Walks over the extension headers from `offset` on. FINE with `payload` at what follows them. */
static __always_inline __u32 skip_extensions(struct xdp_md *context, const struct packet *packet, struct payload *payload)
{
    __u32 offset = (__u32)(payload->at - packet->data);

    for (__u32 i = 0; i < EXTENSIONS && is_extension(payload->protocol) && payload->first; i++) {
        __u64 step = step_over(context, offset, payload->protocol, payload->length);

        if (step & STEP_BAD)
            return REEF_GATE_BAD_IPV6;
        if (step & STEP_BAD_FRAGMENT)
            return REEF_GATE_BAD_FRAGMENT;
        payload->first = !(step & STEP_LATER);
        payload->whole = payload->whole && !(step & STEP_FRAGMENT);
        payload->protocol = (__u8)(step >> 32);
        payload->length -= (__u32)step;
        offset += (__u32)step;
    }
    if (payload->first && is_extension(payload->protocol))
        return REEF_GATE_BAD_IPV6;
    if (offset > EXTENSION_OFFSET_MAX)
        payload->first = false;
    barrier_var(offset); /* the compiler knows that the mask changes nothing, the verifier does not */
    payload->at = packet->data + (offset & EXTENSION_OFFSET_MAX);
    return FINE;
}

static __always_inline __u64 eight(const __u8 *at)
{
    const __be32 *words = (const __be32 *)at;

    return (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]);
}

static __always_inline __u32 read_ipv6(struct xdp_md *context, struct packet *packet, const void *at)
{
    const struct ipv6hdr *ip = at;
    struct payload payload = {0};
    __u32 reason;

    if ((const void *)(ip + 1) > packet->end || ip->version != 6)
        return REEF_GATE_BAD_IPV6;
    packet->high = eight(ip->saddr.in6_u.u6_addr8);
    packet->low = eight(ip->saddr.in6_u.u6_addr8 + 8);
    packet->target_high = eight(ip->daddr.in6_u.u6_addr8);
    packet->target_low = eight(ip->daddr.in6_u.u6_addr8 + 8);
    packet->version = 6;
    payload.at = at + sizeof *ip;
    payload.length = bpf_ntohs(ip->payload_len);
    payload.protocol = ip->nexthdr;
    payload.first = payload.whole = true;
    if (payload.length == 0 && ip->nexthdr == IPPROTO_HOPOPTS) {
        packet->protocol = ip->nexthdr; /* a jumbogram (RFC 2675) as segmentation offload makes them: the stack knows */
        return FINE;
    }
    if (!has(context, packet, payload.at, payload.length))
        return REEF_GATE_BAD_IPV6;
    if (packet->high == packet->target_high && packet->low == packet->target_low)
        return REEF_GATE_LAND;
    reason = skip_extensions(context, packet, &payload);
    return reason == FINE ? read_transport(packet, &payload) : reason;
}

/* Fills `packet`. Answers FINE, or what is wrong with it. */
static __always_inline __u32 read_packet(struct xdp_md *context, struct packet *packet)
{
    const void *at = (const void *)(long)context->data;
    const struct ethhdr *ethernet = at;
    __be16 protocol;

    packet->data = at;
    packet->end = (const void *)(long)context->data_end;
    packet->bytes = (__u32)(packet->end - at);
    if (packet->line.checks & REEF_GATE_NO_ETHERNET) {
        if (at + 1 > packet->end)
            return REEF_GATE_BAD_ETHERNET;
        protocol = *(const __u8 *)at >> 4 == 6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
    } else {
        if ((const void *)(ethernet + 1) > packet->end)
            return REEF_GATE_BAD_ETHERNET;
        protocol = ethernet->h_proto;
        at = ethernet + 1;
    }
    for (__u32 i = 0; i < VLAN_TAGS; i++) {
        const struct tag *tag = at;

        if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
            break;
        if ((const void *)(tag + 1) > packet->end)
            return REEF_GATE_BAD_ETHERNET;
        protocol = tag->protocol;
        at = tag + 1;
    }
    if (protocol == bpf_htons(ETH_P_IP))
        return read_ipv4(context, packet, at);
    if (protocol == bpf_htons(ETH_P_IPV6))
        return read_ipv6(context, packet, at);
    return FINE;
}

#endif
