/* A conversation in one protocol without a network: bytes go to its parser, and all that it tells can be read as text. */
#ifndef REEF_TEST_DIALOGUE_H
#define REEF_TEST_DIALOGUE_H

#include <stdlib.h>
#include <string.h>

#include "reef/protocol.h"
#include "reef/status.h"
#include "reef/tx_file.h"

typedef struct conversation {
    reef_memory *memory;
    reef_expectations *expectations;
    reef_flow flow;
    reef_call call;
    char text[65536];
} conversation;

/* `named` NULL: the protocol is found by its bytes. The client is 10.0.0.1:1024, the server 10.0.0.2:`port`. */
static inline void converse(conversation *c, const char *named, uint8_t transport, uint16_t port)
{
    memset(c, 0, sizeof *c);
    if (reef_memory_new(4 << 20, &c->memory) != REEF_OK || reef_expectations_new(64, &c->expectations) != REEF_OK)
        abort();
    c->flow.key = (reef_flow_key){.low = {10, 0, 0, 1}, .high = {10, 0, 0, 2}, .low_port = 1024, .high_port = port,
                                  .protocol = transport, .version = 4};
    c->call = (reef_call){.memory = c->memory, .flow = &c->flow, .expectations = c->expectations, .time_ns = 1};
    c->call.session = c->flow.session = reef_session_new(c->memory);
    if (c->call.session == NULL)
        abort();
    if (named == NULL)
        return;
    if (!reef_session_adopt(&c->call, reef_protocol_by_name(named)))
        abort();
    c->call.session->side[0].gone = c->call.session->side[1].gone = true;
    c->call.session->seen[0] = c->call.session->seen[1] = c->call.session->protocol;
}

static inline void say_bytes(conversation *c, int direction, const void *data, size_t length, bool end)
{
    uint8_t *copy = malloc(length > 0 ? length : 1); /* its exact size: a read past the end is seen */
    if (copy == NULL)
        abort();
    if (length > 0)
        memcpy(copy, data, length);
    reef_chunk chunk = {.bytes = {copy, (uint32_t)length}, .offset = c->call.session->side[direction].bytes, .end = end};
    reef_session_bytes(&c->call, direction, &chunk);
    free(copy);
}

static inline void say(conversation *c, int direction, const char *text)
{
    say_bytes(c, direction, text, strlen(text), false);
}

/* Everything the transactions tell, one line each. Borrowed. */
static inline const char *heard(conversation *c)
{
    reef_json json;
    const reef_session *session = c->call.session;
    const reef_protocol *protocol = session->protocol;
    reef_json_init(&json, c->text, sizeof c->text - 1);
    for (reef_transaction *t = session->first; t != NULL; t = t->next) {
        json.comma = false;
        bool any = protocol->write != NULL && protocol->write(session, t, REEF_LOG_WHOLE, &json);
        if (!any)
            reef_json_raw(&json, "-", 1);
        if (protocol->write_beside != NULL)
            protocol->write_beside(session, t, REEF_LOG_WHOLE, &json);
        for (int d = 0; d < 2 && protocol->files != NULL; d++)
            reef_tx_file_write_list(protocol->files(session, t, d), &json);
        for (unsigned i = 0; i < t->events; i++) {
            reef_json_raw(&json, " ", 1);
            reef_json_raw(&json, protocol->events[t->event[i]], strlen(protocol->events[t->event[i]]));
        }
        if (t->progress[0] >= protocol->complete[0] && t->progress[1] >= protocol->complete[1])
            reef_json_raw(&json, " complete", 9);
        reef_json_raw(&json, "\n", 1);
    }
    c->text[reef_json_length(&json)] = 0;
    return c->text;
}

/* The text of a buffer of the first transaction; NULL: it has none. Borrowed, cut at 4 KiB. */
static inline const char *buffer_of(conversation *c, unsigned transaction, int direction, unsigned kind, unsigned index)
{
    reef_buffer out;
    const reef_session *session = c->call.session;
    const reef_transaction *t = session->first;
    while (t != NULL && transaction-- > 0)
        t = t->next;
    if (t == NULL || !session->protocol->buffer(session, t, direction, kind, index, &out))
        return NULL;
    uint32_t n = out.bytes.length < 4095 ? out.bytes.length : 4095;
    if (n > 0)
        memcpy(c->text, out.bytes.data, n);
    c->text[n] = 0;
    return c->text;
}

/* All is given back. */
static inline void part(conversation *c)
{
    reef_memory_counters counters;
    reef_session_free(c->memory, c->call.session);
    reef_memory_count(c->memory, &counters);
    if (counters.used != 0)
        abort();
    reef_expectations_free(c->expectations);
    reef_memory_free(c->memory);
}

#endif
