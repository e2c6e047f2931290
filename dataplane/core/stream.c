#include "reef/stream.h"

#include <stdlib.h>
#include <string.h>

#include "reef/status.h"

struct reef_streams {
    uint8_t *memory; /* `buffers` times REEF_HEAD_BYTES */
    uint32_t *free;  /* numbers of the buffers nobody has: a stack */
    uint32_t free_count;
    uint32_t buffers;
    uint64_t refused;
};

int reef_streams_new(uint32_t buffers, reef_streams **out)
{
    *out = NULL;
    if (buffers == 0 || buffers > REEF_FLOWS_MAX)
        return REEF_INVALID;
    reef_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL)
        return REEF_NOMEM;
    streams->memory = malloc((size_t)buffers * REEF_HEAD_BYTES);
    streams->free = malloc(buffers * sizeof *streams->free);
    if (streams->memory == NULL || streams->free == NULL) {
        reef_streams_free(streams);
        return REEF_NOMEM;
    }
    streams->buffers = streams->free_count = buffers;
    for (uint32_t i = 0; i < buffers; i++)
        streams->free[i] = buffers - 1 - i;
    *out = streams;
    return REEF_OK;
}

void reef_streams_free(reef_streams *streams)
{
    if (streams == NULL)
        return;
    free(streams->memory);
    free(streams->free);
    free(streams);
}

void reef_streams_count(const reef_streams *streams, reef_streams_counters *counters)
{
    counters->refused = streams->refused;
    counters->in_use = streams->buffers - streams->free_count;
}

static uint8_t *buffer_of(reef_streams *streams, const reef_flow_head *head)
{
    return streams->memory + (size_t)head->buffer * REEF_HEAD_BYTES;
}

bool reef_stream_bytes(reef_streams *streams, reef_flow *flow, int direction, const reef_packet *packet, bool resume,
                       reef_view *bytes)
{
    reef_flow_head *head = &flow->head[direction];
    if (head->state == REEF_HEAD_ENDED)
        return false;
    uint32_t sequence = packet->tcp_sequence;
    if (packet->tcp_flags & REEF_TCP_SYN) {
        sequence++; /* the SYN takes a number; data on it is TCP Fast Open (RFC 7413) */
        head->next_sequence = sequence;
        head->state = REEF_HEAD_FOLLOWED;
    }
    if (packet->payload_length == 0)
        return false;
    if (head->state == REEF_HEAD_UNSEEN) { /* picked up midstream */
        head->next_sequence = sequence;
        head->state = REEF_HEAD_FOLLOWED;
    }
    uint32_t behind = head->next_sequence - sequence; /* sequence numbers wrap */
    if (behind > INT32_MAX) {                         /* the segment is ahead: something is missing */
        if (!resume || head->held > 0)
            return false;
        behind = 0;
    }
    if (behind >= packet->payload_length)
        return false;
    const uint8_t *data = packet->payload + behind;
    uint32_t length = packet->payload_length - behind;
    head->next_sequence = sequence + packet->payload_length;
    if (head->held == 0) {
        *bytes = (reef_view){data, length};
        return true;
    }
    uint32_t room = REEF_HEAD_BYTES - head->held;
    uint8_t *buffer = buffer_of(streams, head);
    memcpy(buffer + head->held, data, length < room ? length : room);
    head->held += length < room ? length : room;
    *bytes = (reef_view){buffer, head->held};
    return true;
}

bool reef_stream_hold(reef_streams *streams, reef_flow *flow, int direction, reef_view bytes)
{
    reef_flow_head *head = &flow->head[direction];
    if (bytes.length >= REEF_HEAD_BYTES || (head->buffer == REEF_NO_HEAD && streams->free_count == 0)) {
        streams->refused++;
        return false;
    }
    if (head->buffer != REEF_NO_HEAD)
        return true; /* they lie there already */
    head->buffer = streams->free[--streams->free_count];
    memcpy(buffer_of(streams, head), bytes.data, bytes.length);
    head->held = bytes.length;
    return true;
}

void reef_stream_drop(reef_streams *streams, reef_flow *flow, int direction)
{
    reef_flow_head *head = &flow->head[direction];
    if (head->buffer == REEF_NO_HEAD)
        return;
    streams->free[streams->free_count++] = head->buffer;
    head->buffer = REEF_NO_HEAD;
    head->held = 0;
}

void reef_stream_end(reef_streams *streams, reef_flow *flow, int direction)
{
    reef_stream_drop(streams, flow, direction);
    flow->head[direction].state = REEF_HEAD_ENDED;
}
