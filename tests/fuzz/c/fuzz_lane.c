/* A lane of which either side writes what it likes: the holder must keep its count, the worker its bounds. */
#include "fuzz.h"
#include "reef/status.h"
#include "../../../dataplane/capture/lane.c" /* what the other side can write is its own business: no header shows it */

typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static unsigned take(input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

/* What a worker that was taken over can do: write anywhere into its memory, judge out of turn. */
static void lie(reef_lane *worker, input *in)
{
    uint8_t *memory = (uint8_t *)worker->judgements;
    unsigned count = take(in) % 16;
    for (unsigned i = 0; i < count; i++) {
        size_t where = (take(in) | take(in) << 8) % sizeof *worker->judgements;
        memory[where] = (uint8_t)take(in);
    }
}

/* And what a holder could that was. */
static void misdescribe(reef_lane *holder, input *in)
{
    uint8_t *memory = (uint8_t *)holder->packets;
    size_t first = offsetof(packets_memory, posted), end = offsetof(packets_memory, slot);
    for (unsigned count = take(in) % 16; count > 0; count--) {
        size_t where = first + (take(in) | take(in) << 8) % (end - first);
        memory[where] = (uint8_t)take(in);
    }
}

static void read_frames(reef_lane *worker, input *in)
{
    reef_frame frames[32];
    size_t count = reef_lane_next(worker, frames, 1 + take(in) % 32);
    const uint8_t *first = worker->packets->slot[0], *end = first + sizeof worker->packets->slot;
    for (size_t i = 0; i < count; i++)
        MUST(frames[i].data >= first && frames[i].captured <= (size_t)(end - frames[i].data));
    reef_judgement judgements[32] = {{0}};
    reef_lane_judge(worker, judgements, count);
}

static void hold(reef_lane *holder, input *in)
{
    uint8_t *slots[REEF_LANE_BATCH];
    size_t room = reef_lane_slots(holder, slots, take(in) % REEF_LANE_BATCH);
    for (size_t i = 0; i < room; i++) {
        MUST(slots[i] >= holder->packets->slot[0]);
        slots[i][0] = slots[i][REEF_LANE_SLOT - 1] = 1;
        reef_lane_packet packet = {.captured = take(in)};
        reef_lane_post(holder, &packet);
    }
    reef_lane_publish(holder);
    reef_judgement judgements[REEF_LANE_PACKETS];
    uint32_t pending = reef_lane_pending(holder);
    size_t taken;
    MUST(pending <= REEF_LANE_PACKETS);
    if (!reef_lane_take(holder, judgements, REEF_LANE_PACKETS, &taken))
        reef_lane_clear(holder);
    else
        MUST(taken <= pending && reef_lane_pending(holder) == pending - taken);
    MUST(holder->frees + reef_lane_pending(holder) == REEF_LANE_PACKETS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    reef_lane *holder, *worker;
    int fds[REEF_LANE_FDS];
    MUST(reef_lane_new(&holder) == REEF_OK);
    reef_lane_fds(holder, fds);
    MUST(reef_lane_join(fds, &worker) == REEF_OK);
    while (in.left > 0)
        switch (take(&in) % 4) {
        case 0: lie(worker, &in); break;
        case 1: misdescribe(holder, &in); break;
        case 2: read_frames(worker, &in); break;
        default: hold(holder, &in); break;
        }
    reef_lane_free(worker);
    reef_lane_free(holder);
    return 0;
}
