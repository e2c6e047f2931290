/* Packets for tests, built byte by byte: no decoder or library stands between the test and the wire. */
#ifndef REEF_TEST_PACKETS_H
#define REEF_TEST_PACKETS_H

#include <stdint.h>
#include <string.h>

#include "reef/packet.h"

typedef struct bytes {
    uint8_t data[4096];
    uint32_t length;
} bytes;

static inline void add8(bytes *b, unsigned v) { b->data[b->length++] = (uint8_t)v; }
static inline void add16(bytes *b, unsigned v) { add8(b, v >> 8), add8(b, v); }
static inline void add32(bytes *b, uint32_t v) { add16(b, v >> 16), add16(b, v & 0xffff); }

static inline void add_bytes(bytes *b, const void *data, size_t n)
{
    memcpy(b->data + b->length, data, n);
    b->length += (uint32_t)n;
}

static inline void add_text(bytes *b, const char *text) { add_bytes(b, text, strlen(text)); }

static inline void add_ethernet(bytes *b, unsigned type)
{
    add_bytes(b, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    add16(b, type);
}

static inline void add_vlan(bytes *b, unsigned tag, unsigned type) { add16(b, tag), add16(b, type); }

/* 10.0.0.<source> to 10.0.0.<destination>, `inside` bytes follow. */
static inline void add_ipv4(bytes *b, unsigned protocol, unsigned source, unsigned destination, unsigned inside)
{
    add8(b, 0x45), add8(b, 0), add16(b, 20 + inside);
    add16(b, 7), add16(b, 0x4000);
    add8(b, 64), add8(b, protocol), add16(b, 0);
    add32(b, 0x0a000000u + source), add32(b, 0x0a000000u + destination);
}

static inline void add_ipv6(bytes *b, unsigned next, unsigned source, unsigned destination, unsigned inside)
{
    add32(b, 0x60000000), add16(b, inside), add8(b, next), add8(b, 64);
    add_bytes(b, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15), add8(b, source);
    add_bytes(b, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15), add8(b, destination);
}

static inline void add_tcp(bytes *b, unsigned source, unsigned destination, uint32_t sequence, unsigned flags)
{
    add16(b, source), add16(b, destination), add32(b, sequence), add32(b, 0);
    add8(b, 5 << 4), add8(b, flags), add16(b, 1024), add16(b, 0), add16(b, 0);
}

static inline void add_udp(bytes *b, unsigned source, unsigned destination, unsigned inside)
{
    add16(b, source), add16(b, destination), add16(b, 8 + inside), add16(b, 0);
}

static inline reef_frame frame_of(const bytes *b, unsigned link, uint64_t time_ns)
{
    return (reef_frame){.data = b->data, .captured = b->length, .length = b->length, .link = (uint16_t)link,
                        .time_ns = time_ns};
}

/* A TCP segment in an Ethernet frame between two hosts of 10.0.0.0/24. */
static inline void tcp_frame(bytes *b, unsigned from, unsigned from_port, unsigned to, unsigned to_port, uint32_t sequence,
                             unsigned flags, const void *payload, size_t n)
{
    b->length = 0;
    add_ethernet(b, 0x0800);
    add_ipv4(b, REEF_PROTO_TCP, from, to, (unsigned)(20 + n));
    add_tcp(b, from_port, to_port, sequence, flags);
    add_bytes(b, payload, n);
}

static inline void udp_frame(bytes *b, unsigned from, unsigned from_port, unsigned to, unsigned to_port, const void *payload,
                             size_t n)
{
    b->length = 0;
    add_ethernet(b, 0x0800);
    add_ipv4(b, REEF_PROTO_UDP, from, to, (unsigned)(8 + n));
    add_udp(b, from_port, to_port, (unsigned)n);
    add_bytes(b, payload, n);
}

/* A question for the A record of www.example.org, number 0x1234. */
static const uint8_t dns_question[] = "\x12\x34\x01\x00\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1";
enum { DNS_QUESTION = sizeof dns_question - 1 };

#endif
