/* tcp: one direction's segments become bytes in order. Follows the connection as Suricata's stream engine does (handshake,
 * windows, midstream pick-up, evasions as stream events), reassembles by the target's overlap policy, within the worker's memory.
 *
 * Bytes are handed over as soon as they are in order, without a copy where the segment itself is next; only what is ahead
 * of its time is kept. */
#ifndef REEF_TCP_H
#define REEF_TCP_H

#include "reef/flow.h"
#include "reef/memory.h"
#include "reef/session.h"

typedef struct reef_tcp reef_tcp; /* of one flow: flow->tcp */

typedef enum reef_tcp_policy { /* whose way of treating overlaps: Suricata's host-os-policy */
    REEF_POLICY_BSD, REEF_POLICY_FIRST, REEF_POLICY_LAST, REEF_POLICY_LINUX, REEF_POLICY_OLD_LINUX, REEF_POLICY_SOLARIS,
    REEF_POLICY_HPUX10, REEF_POLICY_HPUX11, REEF_POLICY_IRIX, REEF_POLICY_MACOS, REEF_POLICY_WINDOWS, REEF_POLICY_VISTA,
    REEF_POLICY_WINDOWS2K3,
} reef_tcp_policy;

typedef struct reef_tcp_options {
    uint32_t depth;        /* bytes of each direction that are reassembled: 1 MiB */
    uint32_t raw_chunk;    /* bytes that stream rules wait for before they look: 2560 */
    bool midstream;        /* pick up connections whose handshake was not seen */
    bool async_oneside;
    bool inline_;          /* packets can still be stopped: what was seen first holds */
    reef_tcp_policy policy;      /* of the receivers of IPv4 */
    reef_tcp_policy policy_ipv6;
} reef_tcp_options;

void reef_tcp_options_default(reef_tcp_options *options);

/* One segment of the flow; flow->tcp is made when it is the first. Events go to packet->event (stream events). False: the segment is not
 * to be believed (outside the window, bad checksum, bad timestamp, no connection): nothing of it is looked at as stream.
 * flow->state and flow->tcp_state follow the connection; where that changes flow->state, tell the table (reef_flows_settle). */
bool reef_tcp_segment(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, reef_packet *packet);

/* The next bytes in order of a direction that were not handed over yet; false when there are none. Borrowed until the next
 * call on this flow. Ask for both directions after each segment: an acknowledgement may open a gap of the other side. */
bool reef_tcp_next(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, const reef_packet *packet, reef_chunk *chunk);

/* What stream rules look at: bytes in order that they have not seen, `bytes` with up to the tail of what they saw before
 * (offset says where it begins, `fresh` how many of the last bytes are new). Gathers until raw_chunk bytes, `flush`, or the end. */
typedef struct reef_raw {
    reef_view bytes;
    uint64_t offset;
    uint32_t fresh;
} reef_raw;
void reef_tcp_raw_add(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, const reef_chunk *chunk);
bool reef_tcp_raw(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, bool flush, reef_raw *raw);
void reef_tcp_raw_done(reef_memory *memory, reef_flow *flow, int direction);
/* No rule can match in this direction any more: stop gathering for it. */
void reef_tcp_raw_stop(reef_memory *memory, reef_flow *flow, int direction);

/* The flow ends (timeout, closed): gaps are jumped over, so that what lies behind them is handed over by reef_tcp_next. */
void reef_tcp_flush(reef_flow *flow);
void reef_tcp_free(reef_memory *memory, reef_flow *flow);

/* Does the packet open another connection on the addresses and ports of this flow? */
bool reef_tcp_reused(const reef_flow *flow, int direction, const reef_packet *packet);

/* For rules: flow:established as Suricata means it (before the packet at hand, or by its payload); bytes of each direction
 * (stream_size); midstream. */
bool reef_tcp_established(const reef_flow *flow);
uint32_t reef_tcp_stream_size(const reef_flow *flow, int direction);
bool reef_tcp_midstream(const reef_flow *flow);
/* Were so many bytes of a direction handed over, or as many as ever will be (the options' depth)? No single segment can make it so. */
bool reef_tcp_is_deep(const reef_flow *flow, int direction, uint32_t depth);
/* Whether the receiver has acknowledged all of this segment: a sender that missed it says it again, and no receiver reads it. */
bool reef_tcp_is_past(const reef_flow *flow, int direction, const reef_packet *packet);

#endif
