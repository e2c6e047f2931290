/* A conversation for tests of protocols: a flow with its session, fed by hand. */
#ifndef REEF_TEST_CONVERSATION_H
#define REEF_TEST_CONVERSATION_H

#include <stdlib.h>

#include "check.h"
#include "reef/protocol.h"
#include "reef/status.h"

typedef struct conversation {
    reef_memory *memory;
    reef_expectations *expectations;
    reef_flow flow;
    reef_packet packet;
    uint64_t offset[2];
    bool midstream, may_turn, turned;
} conversation;

static inline reef_call conversation_call(conversation *c)
{
    return (reef_call){.memory = c->memory,
                       .session = c->flow.session,
                       .flow = &c->flow,
                       .packet = &c->packet,
                       .expectations = c->expectations,
                       .time_ns = c->packet.time_ns,
                       .midstream = c->midstream,
                       .may_turn = c->may_turn,
                       .logs = true,
                       .detects = true};
}

/* From port 40000 of one address to `port` of another. */
static inline void conversation_begin(conversation *c, unsigned protocol, uint16_t port)
{
    memset(c, 0, sizeof *c);
    CHECK_EQUAL(reef_memory_new(1 << 24, &c->memory), REEF_OK);
    CHECK_EQUAL(reef_expectations_new(64, &c->expectations), REEF_OK);
    c->flow.key = (reef_flow_key){.low = {10, 0, 0, 1}, .high = {10, 0, 0, 2}, .low_port = 40000, .high_port = port,
                                  .protocol = (uint8_t)protocol, .version = 4};
    c->packet.number = 1;
    c->packet.time_ns = 1000000000;
    c->flow.session = reef_session_new(c->memory);
    CHECK(c->flow.session != NULL);
}

static inline void conversation_chunk(conversation *c, int direction, const void *data, uint32_t length, uint32_t missing, bool end)
{
    reef_call call = conversation_call(c);
    uint8_t *copy = malloc(length > 0 ? length : 1); /* so that a sanitizer sees who reads past the end */
    CHECK(copy != NULL);
    if (length > 0)
        memcpy(copy, data, length);
    reef_chunk chunk = {.bytes = {copy, length}, .offset = c->offset[direction] + missing, .missing = missing, .end = end};
    reef_session_bytes(&call, direction, &chunk);
    c->offset[direction] += missing + length;
    c->turned |= call.turned;
    free(copy);
}

static inline void say(conversation *c, int direction, const void *data, size_t length)
{
    conversation_chunk(c, direction, data, (uint32_t)length, 0, false);
    c->packet.number++;
}

/* The same in pieces of at most `most` bytes, as `seed` has it. */
static inline void say_in_pieces(conversation *c, int direction, const uint8_t *data, size_t length, size_t most, uint32_t *seed)
{
    while (length > 0) {
        *seed = *seed * 1664525u + 1013904223u;
        size_t n = 1 + (*seed >> 16) % most;
        if (n > length)
            n = length;
        say(c, direction, data, n);
        data += n;
        length -= n;
    }
}

static inline void conversation_end(conversation *c)
{
    reef_call call = conversation_call(c);
    reef_session_reap(&call, true);
    reef_session_free(c->memory, c->flow.session);
    reef_memory_counters counters;
    reef_memory_count(c->memory, &counters);
    CHECK_EQUAL(counters.used, 0); /* everything was given back */
    reef_expectations_free(c->expectations);
    reef_memory_free(c->memory);
}

static inline const reef_session *session_of(const conversation *c)
{
    return c->flow.session;
}

/* The buffer as text, or "(none)"; one at a time. */
static inline const char *buffer_text(const conversation *c, const reef_transaction *transaction, int direction, unsigned kind,
                                      unsigned index)
{
    static char text[4096];
    const reef_session *session = c->flow.session;
    reef_buffer buffer;
    if (!session->protocol->buffer(session, transaction, direction, kind, index, &buffer))
        return "(none)";
    CHECK(buffer.bytes.length < sizeof text);
    memcpy(text, buffer.bytes.data, buffer.bytes.length);
    text[buffer.bytes.length] = '\0';
    return text;
}

static inline const char *written(const conversation *c, const reef_transaction *transaction, reef_log which)
{
    static char text[16384];
    const reef_session *session = c->flow.session;
    reef_json json;
    reef_json_init(&json, text, sizeof text - 1);
    if (!session->protocol->write(session, transaction, which, &json))
        return "(nothing)";
    CHECK(!json.full);
    text[reef_json_length(&json)] = '\0';
    return text;
}

static inline bool has_event(const reef_session *session, const reef_transaction *transaction, const char *name)
{
    int number = reef_protocol_event(session->protocol, name);
    CHECK(number >= 0);
    for (unsigned i = 0; i < transaction->events; i++)
        if (transaction->event[i] == number)
            return true;
    return false;
}

static inline bool has_session_event(const reef_session *session, unsigned event)
{
    for (unsigned i = 0; i < session->events; i++)
        if (session->event[i] == (REEF_SESSION_EVENT | event))
            return true;
    return false;
}

#endif
