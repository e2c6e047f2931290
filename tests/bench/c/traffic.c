#include "traffic.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reef/capture.h"
#include "reef/status.h"

#define RECORD_HEADER 16u /* between frames, as in a pcap file */

static uint64_t state;

static uint32_t below(uint32_t n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (uint32_t)((state >> 20) % n);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    return memory;
}

typedef struct connection {
    uint32_t client, server;
    uint32_t sequence[2];
    uint16_t client_port, server_port;
    uint16_t step, length; /* segments sent, and how many it has */
    bool six, tagged;
} connection;

static uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_address6(uint8_t *p, uint32_t host)
{
    memcpy(p, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0", 12);
    return put32(p + 12, host);
}

/* Link and network header for `inside` bytes; returns where they go. */
static uint8_t *put_headers(uint8_t *p, const connection *c, int way, unsigned protocol, unsigned inside)
{
    uint32_t from = way ? c->server : c->client, to = way ? c->client : c->server;
    memcpy(p, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    p += 12;
    if (c->tagged)
        p = put16(put16(p, 0x8100), 100);
    p = put16(p, c->six ? 0x86dd : 0x0800);
    if (c->six) {
        p = put32(p, 0x60000000), p = put16(p, inside);
        *p++ = (uint8_t)protocol, *p++ = 64;
        return put_address6(put_address6(p, from), to);
    }
    *p++ = 0x45, *p++ = 0, p = put16(p, 20 + inside), p = put32(p, 0x00004000);
    *p++ = 64, *p++ = (uint8_t)protocol, p = put16(p, 0);
    return put32(put32(p, from), to);
}

static const char request[] = "GET /page HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: bench\r\n\r\n";
static const uint8_t question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1";

/* The next segment of a connection: handshake, request, then data one way and acknowledgements the other, end. */
static uint8_t *put_segment(uint8_t *p, connection *c)
{
    static const uint8_t opening[] = {REEF_TCP_SYN, REEF_TCP_SYN | REEF_TCP_ACK, REEF_TCP_ACK};
    unsigned step = c->step++, flags = REEF_TCP_ACK, size = 0;
    int way = 0;
    if (step < 3) {
        flags = opening[step];
        way = step == 1;
    } else if (step == 3) {
        flags |= REEF_TCP_PSH;
        size = sizeof request - 1;
    } else if (step + 3 >= c->length) {
        flags |= step + 1 < c->length ? REEF_TCP_FIN : 0;
        way = step + 3 == c->length;
    } else if (step % 3 != 0) {
        way = 1;
        size = below(8) == 0 ? 1 + below(1448) : 1448;
    }
    bool stamped = step >= 3;
    unsigned header = stamped ? 32 : 20;
    p = put_headers(p, c, way, REEF_PROTO_TCP, header + size);
    p = put16(p, way ? c->server_port : c->client_port), p = put16(p, way ? c->client_port : c->server_port);
    p = put32(p, c->sequence[way]), p = put32(p, c->sequence[!way]);
    *p++ = (uint8_t)(header / 4 << 4), *p++ = (uint8_t)flags, p = put16(p, 1024), p = put32(p, 0);
    if (stamped)
        p = put32(put32(put32(p, 0x0101080a), step), step);
    if (step == 3)
        memcpy(p, request, size);
    else
        memset(p, (int)(step & 0xff), size);
    c->sequence[way] += size + (flags & (REEF_TCP_SYN | REEF_TCP_FIN) ? 1 : 0);
    return p + size;
}

static uint8_t *put_datagram(uint8_t *p, const connection *c, const void *data, unsigned size, unsigned port)
{
    p = put_headers(p, c, 0, REEF_PROTO_UDP, 8 + size);
    p = put16(put16(put16(put16(p, c->client_port), port), 8 + size), 0);
    if (data != NULL)
        memcpy(p, data, size);
    else
        memset(p, 0xa5, size);
    return p + size;
}

static uint8_t *put_echo(uint8_t *p, const connection *c)
{
    p = put_headers(p, c, 0, c->six ? REEF_PROTO_ICMPV6 : REEF_PROTO_ICMP, 64);
    memset(p, 0, 64);
    p[0] = c->six ? 128 : 8;
    put16(p + 4, c->client_port);
    return p + 64;
}

static connection opened(void)
{
    return (connection){.client = 0x0a000000u + below(1 << 16), .server = 0xc0000200u + below(1 << 12),
                        .client_port = (uint16_t)(1024 + below(60000)), .server_port = (uint16_t)(below(2) ? 443 : 80),
                        .sequence = {below(UINT32_MAX), below(UINT32_MAX)}, .length = (uint16_t)(9 + below(200)),
                        .six = below(5) == 0, .tagged = below(10) == 0};
}

traffic traffic_made(uint64_t bytes, unsigned flows)
{
    traffic t = {0};
    size_t most = (size_t)(bytes / 200);
    state = 0x9e3779b97f4a7c15u;
    t.memory = must(malloc(bytes + 4096));
    t.frame = must(malloc(most * sizeof *t.frame));
    connection *table = must(malloc(flows * sizeof *table));
    for (unsigned i = 0; i < flows; i++) {
        table[i] = opened();
        table[i].step = (uint16_t)below(table[i].length); /* in the middle of things */
    }
    uint8_t *p = t.memory;
    while (p < t.memory + bytes - 4096 && t.frames < most) {
        p += RECORD_HEADER;
        connection *c = &table[below(flows)];
        uint8_t *start = p;
        unsigned kind = below(100);
        if (kind < 90) {
            if (c->step >= c->length)
                *c = opened();
            p = put_segment(p, c);
        } else if (kind < 94) {
            p = put_datagram(p, c, question, sizeof question - 1, 53);
        } else if (kind < 99) {
            p = put_datagram(p, c, NULL, 100 + below(1100), 4500);
        } else {
            p = put_echo(p, c);
        }
        uint32_t length = (uint32_t)(p - start);
        t.frame[t.frames] = (reef_frame){.data = start, .captured = length, .length = length, .link = REEF_LINK_ETHERNET,
                                         .time_ns = 1700000000000000000ull + t.frames * 1000ull};
        t.frames++;
        t.bytes += length;
    }
    free(table);
    return t;
}

static void append(traffic *t, size_t *room, size_t *at, size_t size, const reef_frame *frame)
{
    if (*at + RECORD_HEADER + frame->captured > size)
        return;
    if (t->frames == *room) {
        *room = *room == 0 ? 65536 : *room * 2;
        t->frame = must(realloc(t->frame, *room * sizeof *t->frame));
    }
    *at += RECORD_HEADER;
    memcpy(t->memory + *at, frame->data, frame->captured);
    t->frame[t->frames] = *frame;
    t->frame[t->frames].data = t->memory + *at;
    t->frames++;
    t->bytes += frame->captured;
    *at += frame->captured;
}

traffic traffic_read(char *const *paths, size_t count, uint64_t bytes)
{
    traffic t = {0};
    size_t room = 0, at = 0;
    t.memory = must(malloc(bytes));
    for (size_t before = SIZE_MAX; t.frames != before && at + REEF_FRAME_MAX < bytes;) {
        before = t.frames;
        for (size_t i = 0; i < count; i++) {
            reef_file *file;
            if (reef_file_open(paths[i], &file) != REEF_OK)
                continue;
            reef_frame frame;
            size_t got;
            while (reef_file_next(file, &frame, 1, &got) == REEF_OK)
                append(&t, &room, &at, bytes, &frame);
            reef_file_free(file);
        }
    }
    for (size_t i = 0; i < t.frames; i++) /* one capture behind the other, as if taken in a row */
        t.frame[i].time_ns = 1700000000000000000ull + i * 1000ull;
    return t;
}

void traffic_free(traffic *t)
{
    free(t->frame);
    free(t->memory);
}
