/* One frame decoded, and what its decoding says. */
#ifndef DECODED_H
#define DECODED_H

#include "check.h"
#include "packets.h"
#include "reef/decode.h"

static inline reef_packet decoded(const bytes *b, unsigned link)
{
    /* The exact size on the heap, so that the sanitizer sees a read past the end. */
    uint8_t *copy = malloc(b->length + 1u);
    memcpy(copy, b->data, b->length);
    reef_frame frame = frame_of(b, link, 1);
    frame.data = copy;
    reef_packet packet;
    reef_decode(&frame, &packet);
    free(copy);
    return packet;
}

static inline void check_event(const bytes *b, unsigned link, reef_decode_event event)
{
    reef_packet packet = decoded(b, link);
    for (unsigned i = 0; i < packet.events; i++)
        if (packet.event[i] == event)
            return;
    fprintf(stderr, "no event %s; got:", reef_decode_event_name(event));
    for (unsigned i = 0; i < packet.events; i++)
        fprintf(stderr, " %s", reef_decode_event_name(packet.event[i]));
    fprintf(stderr, "\n");
    exit(1);
}

static inline void ipv6_with(bytes *b, unsigned next, const void *extensions, size_t n)
{
    b->length = 0;
    add_ipv6(b, next, 1, 2, (unsigned)n);
    add_bytes(b, extensions, n);
}

static inline void transport_with(bytes *b, unsigned protocol, const void *data, size_t n)
{
    b->length = 0;
    add_ipv4(b, protocol, 1, 2, (unsigned)n);
    add_bytes(b, data, n);
}

#endif
