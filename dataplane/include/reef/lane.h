/* lane: packets from the process that holds a queue of the kernel to the one that looks into them, and the judgements back.
 *
 * Two pieces of memory and two eventfds, made by the holder. The worker can only read the packets and the holder takes nothing
 * from the judgements but small numbers, which it checks: each side stays whole whatever the other one writes. A packet stays
 * as it is until the worker has judged it, also when the holder has long decided without it.
 *
 * One thread on each side. */
#ifndef REEF_LANE_H
#define REEF_LANE_H

#include "reef/judge.h"

typedef struct reef_lane reef_lane;

/* What a packet is, beside its bytes. */
typedef struct reef_lane_packet {
    uint64_t time_ns;
    uint32_t at;       /* where its bytes begin within its slot */
    uint32_t captured; /* of them */
    uint32_t length;   /* of the packet */
    uint32_t mark;
    uint32_t in, out;  /* interfaces, 0: none */
} reef_lane_packet;

enum { REEF_LANE_FDS = 4 }; /* packets, judgements, wakes the worker, wakes the holder: in this order */

/* --- the holder ---------------------------------------------------------------------------------------- */

int reef_lane_new(reef_lane **out);
void reef_lane_free(reef_lane *lane);
/* Borrowed: for the worker, over a socket. */
void reef_lane_fds(const reef_lane *lane, int fds[REEF_LANE_FDS]);
/* Nobody is at the other end any more: as if new. */
void reef_lane_clear(reef_lane *lane);

/* Room for up to `max` packets of REEF_LANE_SLOT bytes each; how many. The same until they are posted. */
size_t reef_lane_slots(reef_lane *lane, uint8_t **slots, size_t max);
/* The first of the slots given has this packet. */
void reef_lane_post(reef_lane *lane, const reef_lane_packet *packet);
/* What was posted is for the worker now. */
void reef_lane_publish(reef_lane *lane);
/* Judgements in the order of the packets; how many, at most `max`. False: the other side does not keep to the rules. */
bool reef_lane_take(reef_lane *lane, reef_judgement *judgements, size_t max, size_t *count);
/* Posted, and not judged yet. */
uint32_t reef_lane_pending(const reef_lane *lane);
/* Before and after the holder sleeps on its eventfd: true: there is nothing to take, sleep. */
bool reef_lane_before_sleep(reef_lane *lane);
void reef_lane_after_sleep(reef_lane *lane);

/* --- the worker ---------------------------------------------------------------------------------------- */

/* The descriptors are the caller's still, but for the eventfds, which must stay open. REEF_FORMAT: not a lane. */
int reef_lane_join(const int fds[REEF_LANE_FDS], reef_lane **out);
/* Packets that are there, at most `max`; borrowed until they are judged. */
size_t reef_lane_next(reef_lane *lane, reef_frame *frames, size_t max);
/* Posted, and not given to the worker yet. */
uint32_t reef_lane_waiting(const reef_lane *lane);
/* The oldest `count` of them; and the holder is woken. */
void reef_lane_judge(reef_lane *lane, const reef_judgement *judgements, size_t count);
/* Sleep until there are packets, `other` can be read or is closed, or the time is over. REEF_END: `other` was closed. */
int reef_lane_sleep(reef_lane *lane, int other, int milliseconds);

#endif
