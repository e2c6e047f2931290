/* Random segments in both directions: whatever comes, bytes stay in order, each is handed over once, and no memory is kept. */
#include "fuzz.h"
#include "reef/decode.h"
#include "reef/status.h"
#include "reef/tcp.h"

typedef struct side {
    uint64_t offset;   /* of the next byte to come */
    uint64_t raw;      /* of the next byte that stream rules have not seen */
    uint32_t sequence; /* segments are aimed around here */
    bool ended;
} side;

/* One segment of the input: what it is, where it lies, how much it carries. */
enum { RECORD = 8 };

static void look(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int d, side *s, bool flush)
{
    reef_raw raw;
    while (reef_tcp_raw(memory, options, flow, d, flush, &raw)) {
        MUST(raw.fresh > 0 && raw.fresh <= raw.bytes.length);
        MUST(raw.offset + raw.bytes.length - raw.fresh >= s->raw);
        s->raw = raw.offset + raw.bytes.length;
        MUST(s->raw <= s->offset);
        reef_tcp_raw_done(memory, flow, d);
    }
}

static void collect(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, const reef_packet *packet, side sides[2],
                    unsigned how)
{
    reef_chunk chunk;
    for (int d = 0; d < 2; d++) {
        while (reef_tcp_next(memory, options, flow, d, packet, &chunk)) {
            side *s = &sides[d];
            MUST(!s->ended);
            MUST(chunk.offset == s->offset + chunk.missing);
            MUST(chunk.bytes.length > 0 || chunk.end);
            s->offset = chunk.offset + chunk.bytes.length;
            s->ended = chunk.end;
            reef_tcp_raw_add(memory, options, flow, d, &chunk);
            if (how & 1)
                look(memory, options, flow, d, s, how & 2);
        }
    }
}

static void run(reef_memory *memory, const reef_tcp_options *options, const uint8_t *data, size_t size)
{
    static uint8_t payload[4096];
    reef_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.key.version = size & 1 ? 6 : 4;
    side sides[2] = {{.sequence = 0xfffffff0u}, {.sequence = 5000}};
    uint64_t second = 1000;
    for (; size >= RECORD; data += RECORD, size -= RECORD) {
        uint8_t header[60] = {0};
        int d = data[0] & 1;
        uint32_t length = data[4] & 0x80 ? (data[4] & 0x7fu) * 32u : data[4] & 0x3fu, options_length = 0;
        if (data[0] & 2) { /* a timestamp */
            memcpy(header + 20, "\1\1\10\12", 4);
            header[27] = data[7];
            options_length = 12;
        } else if (data[0] & 4) { /* anything */
            memcpy(header + 20, data, RECORD);
            options_length = RECORD;
        }
        header[12] = (uint8_t)((20 + options_length) / 4 << 4);
        memset(payload, data[6], length);
        second += data[0] & 8 ? 1 : 0;
        reef_packet packet = {.transport = header, .payload = payload, .payload_length = length,
                              .flags = REEF_PACKET_TRANSPORT, .time_ns = second * 1000000000ull, .tcp_flags = data[1],
                              .tcp_sequence = sides[d].sequence + (uint32_t)(int8_t)data[2] * (data[0] & 16 ? 64u : 1u),
                              .tcp_acknowledgement = data[1] & REEF_TCP_ACK ? sides[!d].sequence + (uint32_t)(int8_t)data[3] : 0,
                              .tcp_window = (uint16_t)(data[5] << 8 | data[7])};
        flow.packets[d]++;
        bool believed = reef_tcp_segment(memory, options, &flow, d, &packet);
        MUST(packet.events <= REEF_DECODE_EVENTS_MAX);
        MUST(flow.tcp != NULL || !believed);
        if (flow.tcp == NULL)
            continue;
        if (believed && data[0] & 32) /* the conversation moves on */
            sides[d].sequence = packet.tcp_sequence + length + (data[1] & (REEF_TCP_SYN | REEF_TCP_FIN) ? 1 : 0);
        collect(memory, options, &flow, &packet, sides, data[0] >> 6);
        (void)reef_tcp_reused(&flow, d, &packet);
        (void)reef_tcp_stream_size(&flow, d);
    }
    if (flow.tcp != NULL) {
        reef_tcp_flush(&flow);
        collect(memory, options, &flow, NULL, sides, 3);
        for (int d = 0; d < 2; d++) {
            look(memory, options, &flow, d, &sides[d], true);
            MUST(sides[d].ended || sides[0].offset + sides[1].offset == 0);
        }
    }
    reef_tcp_free(memory, &flow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    reef_memory *memory;
    MUST(reef_memory_new((size_t)4096 << (data[0] & 7), &memory) == REEF_OK);
    reef_tcp_options options;
    reef_tcp_options_default(&options);
    options.depth = data[0] & 8 ? 8192 : options.depth;
    options.raw_chunk = data[0] & 16 ? 64 : options.raw_chunk;
    options.midstream = data[0] & 32;
    options.async_oneside = data[0] & 64;
    options.inline_ = data[0] & 128;
    options.policy = options.policy_ipv6 = (reef_tcp_policy)(data[1] % (REEF_POLICY_WINDOWS2K3 + 1));
    run(memory, &options, data + 2, size - 2);
    reef_memory_counters counters;
    reef_memory_count(memory, &counters);
    MUST(counters.used == 0);
    reef_memory_free(memory);
    return 0;
}
