/* Segments in order through the TCP tracker: for callgrind, which looks at `stream_packets`.
 *
 *     bench_tcp [--raw] --count PACKETS
 *
 * One download: two full segments of the server and an acknowledgement of the client in turn, all with timestamps. With
 * --raw the bytes are gathered for stream rules, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reef/status.h"
#include "reef/tcp.h"

enum { PAYLOAD = 1448 };

typedef struct conversation {
    reef_memory *memory;
    reef_tcp_options options;
    reef_flow flow;
    uint8_t header[32], payload[PAYLOAD];
    uint32_t sequence[2];
    bool raw;
    uint64_t bytes;
} conversation;

static void say(conversation *c, int direction, unsigned flags, uint32_t length)
{
    reef_packet packet;
    reef_chunk chunk;
    reef_raw raw;
    packet.flags = REEF_PACKET_TRANSPORT;
    packet.events = 0;
    packet.transport = c->header;
    packet.payload = c->payload;
    packet.payload_length = length;
    packet.time_ns = 1700000000ull * 1000000000ull;
    packet.tcp_flags = (uint8_t)flags;
    packet.tcp_sequence = c->sequence[direction];
    packet.tcp_acknowledgement = flags & REEF_TCP_ACK ? c->sequence[!direction] : 0;
    packet.tcp_window = 65535;
    reef_tcp_segment(c->memory, &c->options, &c->flow, direction, &packet);
    for (int d = 0; d < 2; d++)
        while (reef_tcp_next(c->memory, &c->options, &c->flow, d, &packet, &chunk)) {
            c->bytes += chunk.bytes.length;
            if (c->raw) {
                reef_tcp_raw_add(c->memory, &c->options, &c->flow, d, &chunk);
                if (reef_tcp_raw(c->memory, &c->options, &c->flow, d, false, &raw))
                    reef_tcp_raw_done(c->memory, &c->flow, d);
            }
        }
    c->sequence[direction] += length + (flags & REEF_TCP_SYN ? 1 : 0);
}

__attribute__((noinline)) void stream_packets(conversation *c, unsigned long count);
void stream_packets(conversation *c, unsigned long count)
{
    for (unsigned long i = 0; i < count; i += 3) {
        say(c, REEF_TO_CLIENT, REEF_TCP_ACK, PAYLOAD);
        say(c, REEF_TO_CLIENT, REEF_TCP_ACK | REEF_TCP_PSH, PAYLOAD);
        say(c, REEF_TO_SERVER, REEF_TCP_ACK, 0);
    }
}

int main(int argc, char **argv)
{
    static conversation c;
    unsigned long count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--raw") == 0)
            c.raw = true;
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtoul(argv[++i], NULL, 10);
    }
    if (count == 0 || reef_memory_new(64u << 20, &c.memory) != REEF_OK) {
        fprintf(stderr, "usage: bench_tcp [--raw] --count PACKETS\n");
        return 2;
    }
    reef_tcp_options_default(&c.options);
    c.options.depth = 0; /* all of it */
    c.header[12] = 8 << 4;
    memcpy(c.header + 20, "\1\1\10\12\0\0\0\1\0\0\0\1", 12);
    say(&c, REEF_TO_SERVER, REEF_TCP_SYN, 0);
    say(&c, REEF_TO_CLIENT, REEF_TCP_SYN | REEF_TCP_ACK, 0);
    say(&c, REEF_TO_SERVER, REEF_TCP_ACK, 0);
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    stream_packets(&c, count);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    if (c.bytes / PAYLOAD < count / 2) {
        fprintf(stderr, "bench_tcp: bytes went missing\n");
        return 1;
    }
    printf("%.1f ns per packet\n", ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / (double)count);
    reef_tcp_free(c.memory, &c.flow);
    reef_memory_free(c.memory);
    return 0;
}
