/* A TCP conversation for tests, segment by segment, with headers as on the wire. */
#ifndef REEF_TEST_TALK_H
#define REEF_TEST_TALK_H

#include "check.h"
#include "reef/decode.h"
#include "reef/status.h"
#include "reef/tcp.h"

enum { SYN = REEF_TCP_SYN, ACK = REEF_TCP_ACK, FIN = REEF_TCP_FIN, RST = REEF_TCP_RST, PSH = REEF_TCP_PSH };
enum { TO_SERVER = REEF_TO_SERVER, TO_CLIENT = REEF_TO_CLIENT };

typedef struct talk {
    reef_memory *memory;
    reef_tcp_options options;
    reef_flow flow;
    reef_packet packet; /* the last one */
    uint8_t header[60];
    uint8_t extra[40]; /* options of the next segment */
    uint32_t extra_length;
    uint32_t window;   /* of the next segments */
    uint64_t second;
    char got[2][65536]; /* bytes in order so far; a gap is shown as "[n]", the end as "|" */
    uint32_t length[2];
    bool raw;           /* gather for stream rules too */
} talk;

static inline void talk_begin(talk *t)
{
    memset(t, 0, sizeof *t);
    CHECK_EQUAL(reef_memory_new(64u << 20, &t->memory), REEF_OK);
    reef_tcp_options_default(&t->options);
    t->flow.key.version = 4;
    t->flow.key.protocol = REEF_PROTO_TCP;
    t->window = 65535;
    t->second = 1700000000;
}

static inline void talk_collect(talk *t)
{
    reef_chunk chunk;
    for (int d = 0; d < 2; d++)
        while (reef_tcp_next(t->memory, &t->options, &t->flow, d, &t->packet, &chunk)) {
            if (t->raw)
                reef_tcp_raw_add(t->memory, &t->options, &t->flow, d, &chunk);
            if (chunk.missing > 0)
                t->length[d] += (uint32_t)snprintf(t->got[d] + t->length[d], 16, "[%u]", chunk.missing);
            CHECK(t->length[d] + chunk.bytes.length + 2 < sizeof t->got[d]);
            if (chunk.bytes.length > 0)
                memcpy(t->got[d] + t->length[d], chunk.bytes.data, chunk.bytes.length);
            t->length[d] += chunk.bytes.length;
            if (chunk.end)
                t->got[d][t->length[d]++] = '|';
            t->got[d][t->length[d]] = 0;
        }
}

static inline bool talk_bytes(talk *t, int direction, unsigned flags, uint32_t sequence, uint32_t acknowledgement,
                              const void *payload, uint32_t n)
{
    uint32_t header = 20 + t->extra_length;
    memset(t->header, 0, sizeof t->header);
    t->header[12] = (uint8_t)(header / 4 << 4);
    memcpy(t->header + 20, t->extra, t->extra_length);
    t->extra_length = 0;
    t->packet = (reef_packet){.transport = t->header, .payload = payload, .payload_length = n, .flags = REEF_PACKET_TRANSPORT,
                              .protocol = REEF_PROTO_TCP, .version = 4, .time_ns = t->second * 1000000000ull,
                              .tcp_flags = (uint8_t)flags, .tcp_sequence = sequence, .tcp_acknowledgement = acknowledgement,
                              .tcp_window = (uint16_t)t->window};
    t->flow.packets[direction]++;
    bool believed = reef_tcp_segment(t->memory, &t->options, &t->flow, direction, &t->packet);
    talk_collect(t);
    return believed;
}

static inline bool talk_say(talk *t, int direction, unsigned flags, uint32_t sequence, uint32_t acknowledgement, const char *text)
{
    return talk_bytes(t, direction, flags, sequence, acknowledgement, text, (uint32_t)strlen(text));
}

/* The next segment carries a timestamp. */
static inline void talk_stamp(talk *t, uint32_t value, uint32_t echo)
{
    uint8_t *p = t->extra + t->extra_length;
    const uint32_t v[2] = {__builtin_bswap32(value), __builtin_bswap32(echo)};
    memcpy(p, "\1\1\10\12", 4);
    memcpy(p + 4, v, 8);
    t->extra_length += 12;
}

static inline void talk_option(talk *t, const char *bytes, uint32_t n)
{
    memcpy(t->extra + t->extra_length, bytes, n);
    t->extra_length += n;
}

/* The client's bytes begin at 1001, the server's at 5001. */
static inline void talk_open(talk *t)
{
    talk_say(t, TO_SERVER, SYN, 1000, 0, "");
    talk_say(t, TO_CLIENT, SYN | ACK, 5000, 1001, "");
    talk_say(t, TO_SERVER, ACK, 1001, 5001, "");
    CHECK_EQUAL(t->flow.tcp_state, REEF_TCP_ESTABLISHED);
}

static inline void talk_end(talk *t)
{
    reef_memory_counters counters;
    reef_tcp_free(t->memory, &t->flow);
    reef_memory_count(t->memory, &counters);
    CHECK_EQUAL(counters.used, 0);
    reef_memory_free(t->memory);
}

static inline bool talk_event(const talk *t, reef_decode_event event)
{
    for (unsigned i = 0; i < t->packet.events; i++)
        if (t->packet.event[i] == event)
            return true;
    return false;
}

/* Flow over: what is held comes out. */
static inline void talk_flush(talk *t)
{
    reef_tcp_flush(&t->flow);
    t->packet.payload_length = 0;
    talk_collect(t);
}

#endif
