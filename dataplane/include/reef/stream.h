/* stream: the first bytes of each direction of a TCP connection, in order.
 *
 * Nothing is copied while a parser is content with one segment; when it asks for more, the bytes so far are
 * held in one of a fixed number of buffers. When there is no buffer left the newcomer goes without. */
#ifndef REEF_STREAM_H
#define REEF_STREAM_H

#include "reef/app.h"
#include "reef/flow.h"

typedef struct reef_streams reef_streams;

typedef struct reef_streams_counters {
    uint64_t refused;  /* directions that found no buffer, or needed more than one holds */
    uint32_t in_use;
} reef_streams_counters;

int reef_streams_new(uint32_t buffers, reef_streams **out);
void reef_streams_free(reef_streams *streams);

/* The segment's new bytes in order, together with those held before. False when it brings none: a
 * retransmission, a segment ahead of its time, no payload. `resume` allows to go on behind a gap.
 * `bytes` is borrowed until the next call with this flow. */
bool reef_stream_bytes(reef_streams *streams, reef_flow *flow, int direction, const reef_packet *packet, bool resume,
                       reef_view *bytes);

/* Keep what `reef_stream_bytes` gave until more comes; false when that cannot be. */
bool reef_stream_hold(reef_streams *streams, reef_flow *flow, int direction, reef_view bytes);

/* What was held is done with; the direction is followed on. */
void reef_stream_drop(reef_streams *streams, reef_flow *flow, int direction);

/* No more of this direction is wanted. */
void reef_stream_end(reef_streams *streams, reef_flow *flow, int direction);

void reef_streams_count(const reef_streams *streams, reef_streams_counters *counters);

#endif
