/* judge: frames in, a verdict on each out, where packets wait for it: who holds them stops what is to be stopped. */
#ifndef REEF_JUDGE_H
#define REEF_JUDGE_H

#include "reef/engine.h"

enum {
    REEF_JUDGED_DONE = 0x01,   /* nothing more of this flow need be seen: the kernel may forward it by itself */
    REEF_JUDGED_UNSEEN = 0x02, /* it could not be looked at (no room for its flow, a part of it missing): the rule says what then */
};

typedef struct reef_judgement {
    uint8_t verdict; /* reef_verdict */
    uint8_t flags;   /* REEF_JUDGED_... */
} reef_judgement;

/* As reef_worker_frames; judgement[i] is of frames[i]. The verdict on a tunnel's packet is the hardest of those on what it carries. */
void reef_worker_judge(reef_worker *worker, const reef_frame *frames, size_t count, reef_judgement *judgements);

/* How much more there is to look into than time: 0 (none) to REEF_SHEDS. What is left out at which pressure is the profile's to
 * say (reef/reactions.h). A connection that is left out is handed back where its rule is fail-open; where it is fail-closed its
 * packets are dropped, which slows down who sends them. */
void reef_worker_pressure(reef_worker *worker, unsigned pressure);

#endif
