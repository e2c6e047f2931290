/* A parser of bytes in order: what it tells must not hang on how the bytes were cut, must fit its bounds, and all it took must
 * be given back. Input: pieces of 2 bytes (direction and length, little-endian: 0x8000 to the client) and that many bytes. */
#ifndef REEF_FUZZ_DIALOGUE_H
#define REEF_FUZZ_DIALOGUE_H

#include "../../c/dialogue.h"
#include "fuzz.h"

static inline void fuzz_read_all(conversation *c)
{
    const reef_session *session = c->call.session;
    const reef_protocol *protocol = session->protocol;
    for (reef_transaction *t = session->first; t != NULL; t = t->next)
        for (uint32_t i = 0; i < protocol->buffers_count; i++) {
            reef_buffer out;
            const reef_protocol_buffer *b = &protocol->buffers[i];
            uint8_t sum = 0;
            for (unsigned n = 0; n < 4 && protocol->buffer(session, t, b->direction, b->kind, n, &out); n++)
                for (uint32_t at = 0; at < out.bytes.length; at++)
                    sum ^= out.bytes.data[at];
            volatile uint8_t kept = sum;
            (void)kept;
        }
}

static inline void fuzz_run(conversation *c, const char *name, uint8_t transport, uint16_t port, const uint8_t *data, size_t size,
                            size_t step)
{
    converse(c, name, transport, port);
    c->call.pdus = true;
    while (size >= 2) {
        size_t length = (size_t)(data[0] | (data[1] & 0x7f) << 8);
        int direction = data[1] >> 7;
        data += 2, size -= 2;
        length = length < size ? length : size;
        for (size_t at = 0; at < length; at += step) {
            bool over = c->call.session->flags & REEF_SESSION_CHANGING;
            if (!over)
                say_bytes(c, direction, data + at, length - at < step ? length - at : step, false);
        }
        data += length, size -= length;
        fuzz_read_all(c);
    }
    if (!(c->call.session->flags & REEF_SESSION_CHANGING))
        for (int direction = 0; direction < 2; direction++)
            say_bytes(c, direction, NULL, 0, true);
    (void)heard(c);
}

/* A stream: in pieces as given, and byte by byte. */
static inline int fuzz_stream(const char *name, uint16_t port, const uint8_t *data, size_t size)
{
    static conversation whole, cut;
    if (size > 16384)
        return 0;
    fuzz_run(&whole, name, REEF_PROTO_TCP, port, data, size, 65536);
    fuzz_run(&cut, name, REEF_PROTO_TCP, port, data, size, 1);
    MUST(strcmp(whole.text, cut.text) == 0);
    part(&whole), part(&cut);
    return 0;
}

/* Datagrams. */
static inline int fuzz_datagrams(const char *name, uint16_t port, const uint8_t *data, size_t size)
{
    static conversation c;
    if (size > 16384)
        return 0;
    fuzz_run(&c, name, REEF_PROTO_UDP, port, data, size, 65536);
    part(&c);
    return 0;
}

#endif
