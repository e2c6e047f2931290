/* The key of a flow and its keyed hash. */
#include "reef/bytes.h"
#include "reef/flow.h"

#include <string.h>

void reef_flow_key_of(const reef_packet *packet, bool by_interface, reef_flow_key *key, bool *source_is_high)
{
    /* ICMP has the same identifier on both ends, and fragments have no ports: addresses decide then. */
    int order;
    if (packet->version == 4) {
        uint32_t source = reef_be32(packet->source), destination = reef_be32(packet->destination);
        order = source < destination ? -1 : source > destination;
    } else {
        order = memcmp(packet->source, packet->destination, 16);
    }
    bool high = order != 0 ? order > 0 : packet->source_port > packet->destination_port;
    *source_is_high = high;
    memcpy(high ? key->high : key->low, packet->source, 16);
    memcpy(high ? key->low : key->high, packet->destination, 16);
    key->low_port = high ? packet->destination_port : packet->source_port;
    key->high_port = high ? packet->source_port : packet->destination_port;
    key->vlan[0] = packet->vlans > 0 ? packet->vlan[0] : 0;
    key->vlan[1] = packet->vlans > 1 ? packet->vlan[1] : 0;
    key->interface = by_interface ? packet->interface : 0;
    key->protocol = packet->protocol;
    key->version = packet->version;
    key->zero = packet->flags & REEF_PACKET_FRAGMENT ? 1 : 0; /* fragments are a conversation of their own */
}

static inline uint64_t rotate(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                                         \
    do {                                                                                  \
        v0 += v1, v1 = rotate(v1, 13), v1 ^= v0, v0 = rotate(v0, 32);                     \
        v2 += v3, v3 = rotate(v3, 16), v3 ^= v2;                                          \
        v0 += v3, v3 = rotate(v3, 21), v3 ^= v0;                                          \
        v2 += v1, v1 = rotate(v1, 17), v1 ^= v2, v2 = rotate(v2, 32);                     \
    } while (0)

#define SIP_WORD(word)                                                                    \
    do {                                                                                  \
        uint64_t m = (word);                                                              \
        v3 ^= m;                                                                          \
        SIP_ROUND;                                                                        \
        v0 ^= m;                                                                          \
    } while (0)

static inline uint64_t word_at(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* SipHash-1-3 (Aumasson, Bernstein 2012), the variant Linux and Rust use for hash tables. The input has one of two
 * fixed lengths, so what tells them apart goes into the start instead of a length at the end. */
uint32_t reef_flow_key_hash(const reef_flow_key *key, const uint64_t seed[2])
{
    uint64_t k0 = seed[0] ^ ((uint64_t)key->interface << 16 | (uint64_t)key->version << 8 | key->zero), k1 = seed[1];
    uint64_t v0 = k0 ^ 0x736f6d6570736575u, v1 = k1 ^ 0x646f72616e646f6du;
    uint64_t v2 = k0 ^ 0x6c7967656e657261u, v3 = k1 ^ 0x7465646279746573u;

    if (key->version == 4) {
        SIP_WORD((uint64_t)reef_u32(key->low) << 32 | reef_u32(key->high));
    } else {
        SIP_WORD(word_at(key->low));
        SIP_WORD(word_at(key->low + 8));
        SIP_WORD(word_at(key->high));
        SIP_WORD(word_at(key->high + 8));
    }
    /* 16 + 16 + 12 + 12 + 8 bits */
    SIP_WORD((uint64_t)key->low_port << 48 | (uint64_t)key->high_port << 32 | (uint64_t)key->vlan[0] << 20 |
             (uint64_t)key->vlan[1] << 8 | key->protocol);
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    uint64_t h = v0 ^ v1 ^ v2 ^ v3;
    return (uint32_t)(h ^ h >> 32);
}

void reef_flow_last_packet(const reef_flow *flow, int direction, reef_packet *packet)
{
    const reef_flow_key *key = &flow->key;
    bool low_sends = (direction == REEF_TO_SERVER) != (flow->client_is_high != 0);
    reef_zero(packet, offsetof(reef_packet, event));
    packet->time_ns = flow->last_ns;
    packet->interface = flow->interface;
    packet->version = key->version;
    packet->protocol = key->protocol;
    packet->way = flow->way;
    packet->icmp_type = flow->icmp_type;
    packet->icmp_code = flow->icmp_code;
    packet->source_port = low_sends ? key->low_port : key->high_port;
    packet->destination_port = low_sends ? key->high_port : key->low_port;
    memcpy(packet->source, low_sends ? key->low : key->high, 16);
    memcpy(packet->destination, low_sends ? key->high : key->low, 16);
}

void reef_flow_turn(reef_flow *flow)
{
    uint64_t bytes = flow->bytes[0];
    uint32_t packets = flow->packets[0];
    uint8_t flags = flow->tcp_flags[0];
    flow->client_is_high = !flow->client_is_high;
    flow->bytes[0] = flow->bytes[1], flow->bytes[1] = bytes;
    flow->packets[0] = flow->packets[1], flow->packets[1] = packets;
    flow->tcp_flags[0] = flow->tcp_flags[1], flow->tcp_flags[1] = flags;
}
