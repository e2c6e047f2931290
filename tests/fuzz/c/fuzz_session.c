/* Any flow, its protocol found out by its bytes. Input: one byte of transport and port, then pieces of 2 bytes (direction and
 * length, little-endian: 0x8000 to the client, 0x4000 behind a gap) and that many bytes. */
#include <string.h>

#include "fuzz.h"
#include "reef/protocol.h"
#include "reef/status.h"

static void ask(reef_session *session)
{
    static char text[16384];
    const reef_protocol *protocol = session->protocol;
    for (reef_transaction *t = session->first; t != NULL; t = t->next) {
        reef_buffer out;
        reef_json json;
        for (uint32_t i = 0; i < protocol->buffers_count; i++)
            (void)protocol->buffer(session, t, protocol->buffers[i].direction, protocol->buffers[i].kind, 0, &out);
        reef_json_init(&json, text, sizeof text);
        if (protocol->write != NULL)
            (void)protocol->write(session, t, REEF_LOG_ALERT, &json);
        t->told[0] = t->told[1] = true;
        t->logged = 0xff;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t ports[] = {53, 443, 80, 22, 25, 21, 5060, 67, 123, 4444, 445, 502, 1883, 161, 500, 88};
    reef_memory *memory;
    reef_expectations *expectations;
    if (size < 1 || size > 16384 || reef_memory_new((size_t)1 << 22, &memory) != REEF_OK)
        return 0;
    MUST(reef_expectations_new(16, &expectations) == REEF_OK);
    reef_flow flow = {.key = {.low = {10, 0, 0, 1}, .high = {10, 0, 0, 2}, .low_port = 40000, .high_port = ports[data[0] >> 1 & 15],
                              .protocol = data[0] & 1 ? REEF_PROTO_UDP : REEF_PROTO_TCP, .version = 4}};
    reef_packet packet = {.number = 1, .time_ns = 1000};
    reef_session *session = flow.session = reef_session_new(memory);
    uint64_t offset[2] = {0, 0};
    bool midstream = data[0] & 0x20;
    data++, size--;
    while (size >= 2) {
        size_t length = (size_t)(data[0] | (data[1] & 0x3f) << 8);
        int direction = data[1] >> 7;
        uint32_t missing = data[1] & 0x40 ? 100 : 0;
        data += 2, size -= 2;
        length = length < size ? length : size;
        reef_call call = {.memory = memory, .session = session, .flow = &flow, .packet = &packet, .expectations = expectations,
                          .time_ns = packet.time_ns, .logs = true, .detects = true, .midstream = midstream, .may_turn = midstream};
        if (flow.key.protocol == REEF_PROTO_UDP)
            missing = 0;
        reef_chunk chunk = {.bytes = {data, (uint32_t)length}, .offset = offset[direction] + missing, .missing = missing};
        reef_session_bytes(&call, direction, &chunk);
        offset[direction] += missing + length;
        midstream &= !call.turned;
        packet.number++;
        if (session->protocol != NULL)
            ask(session);
        reef_session_reap(&call, false);
        MUST(session->open <= REEF_TRANSACTIONS_OPEN_MAX);
        data += length, size -= length;
    }
    reef_call call = {.memory = memory, .session = session, .flow = &flow, .packet = &packet, .expectations = expectations};
    reef_session_reap(&call, true);
    reef_session_free(memory, session);
    reef_memory_counters counters;
    reef_memory_count(memory, &counters);
    MUST(counters.used == 0);
    reef_expectations_free(expectations);
    reef_memory_free(memory);
    return 0;
}
