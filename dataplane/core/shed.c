/* What is left out of inspection while there is more to look into than time, in the order of the connection's profile. */
#include "reef/judge.h"

#include "engine_internal.h"
#include "reef/limits.h"

#define MARK_CLOSED 0x80000000u /* appliance/policy/compiling/bundle.py: what is not looked at does not pass */

void reef_worker_pressure(reef_worker *worker, unsigned pressure)
{
    worker->pressure = (uint8_t)(pressure > REEF_SHEDS ? REEF_SHEDS : pressure);
}

static const reef_limits *limits_of(const reef_worker *worker)
{
    return worker->matcher != NULL && worker->frame != NULL ? reef_match_limits(worker->matcher, worker->frame->mark) : NULL;
}

static bool sheds(const reef_worker *worker, const reef_limits *limits, reef_shed what)
{
    return limits->shed_at[what] != 0 && limits->shed_at[what] <= worker->pressure;
}

bool reef_sheds_files(const reef_worker *worker)
{
    const reef_limits *limits = limits_of(worker);
    return limits != NULL && sheds(worker, limits, REEF_SHED_FILES);
}

static bool is_encrypted(const reef_flow *flow)
{
    return flow->session != NULL && flow->session->flags & (REEF_SESSION_NO_INSPECT | REEF_SESSION_NO_PARSE);
}

static bool is_left_out(const reef_worker *worker, const reef_limits *limits, const reef_flow *flow)
{
    uint64_t bytes = flow->bytes[REEF_TO_SERVER] + flow->bytes[REEF_TO_CLIENT];
    uint64_t packets = flow->packets[REEF_TO_SERVER] + flow->packets[REEF_TO_CLIENT];
    bool answered = flow->packets[REEF_TO_SERVER] > 0 && flow->packets[REEF_TO_CLIENT] > 0;
    return (bytes >= REEF_SHED_TRANSFER && sheds(worker, limits, REEF_SHED_TRANSFERS)) ||
           (is_encrypted(flow) && sheds(worker, limits, REEF_SHED_ENCRYPTED)) ||
           (answered && !reef_match_alerted(flow) && sheds(worker, limits, REEF_SHED_ESTABLISHED)) ||
           (packets <= 1 && sheds(worker, limits, REEF_SHED_NEW));
}

/* What comes in tunnels and fragments is looked at: the kernel knows it by another connection. */
bool reef_shed_packet(reef_worker *worker, reef_flow *flow, const reef_packet *packet)
{
    if (worker->judged != flow || flow->done != 0)
        return false;
    const reef_limits *limits = limits_of(worker);
    if (limits == NULL || !is_left_out(worker, limits, flow))
        return false;
    worker->counters.shed++;
    if (worker->frame->mark & MARK_CLOSED)
        reef_judge_packet(worker, packet, REEF_VERDICT_DROP);
    else
        reef_worker_hand_back(worker, flow);
    return true;
}
