/* What the engine thinks of a packet that waits, and whether anything more of its flow need be seen. */
#include "reef/judge.h"

#include "engine_internal.h"

static int hardness(reef_verdict verdict)
{
    static const int of[] = {[REEF_VERDICT_ALLOW] = 0, [REEF_VERDICT_PASS] = 1, [REEF_VERDICT_REJECT] = 2, [REEF_VERDICT_DROP] = 3};
    return of[verdict];
}

/* An answer to the sender of a tunnel's packet would not reach whoever sent what is inside: it is dropped without. */
void reef_judge_packet(reef_worker *worker, const reef_packet *packet, reef_verdict verdict)
{
    if (verdict == REEF_VERDICT_REJECT && packet->flags & REEF_PACKET_TUNNEL)
        verdict = REEF_VERDICT_DROP;
    if (hardness(verdict) > hardness(worker->verdict))
        worker->verdict = verdict;
}

void reef_judge_claim(reef_worker *worker, reef_flow *flow)
{
    uint32_t packets = flow->packets[REEF_TO_SERVER] + flow->packets[REEF_TO_CLIENT];
    reef_claims *claims = worker->config->options.claims;
    if (worker->judgement != NULL && packets == 0)
        reef_claims_add(claims, &flow->key);
    else if (worker->judgement == NULL && packets < REEF_CLAIM_PACKETS && flow->done == 0 && reef_claims_has(claims, &flow->key)) {
        reef_worker_forget(worker, flow);
        flow->done = REEF_DONE_ELSEWHERE;
    }
}

static bool is_deep(const reef_flow *flow, int direction, uint32_t depth)
{
    if (flow->tcp != NULL)
        return reef_tcp_is_deep(flow, direction, depth);
    return flow->bytes[direction] >= depth;
}

/* The packets of an alert's flow are being written down. */
static bool is_evidence(const reef_worker *worker, const reef_flow *flow)
{
    return worker->evidence != NULL && reef_match_alerted(flow) &&
           flow->bytes[REEF_TO_SERVER] + flow->bytes[REEF_TO_CLIENT] < reef_evidence_most(worker->evidence);
}

static bool wants_stream(const reef_worker *worker, const reef_flow *flow)
{
    return worker->matcher != NULL && (reef_match_wants_stream(worker->matcher, flow, REEF_TO_SERVER) ||
                                       reef_match_wants_stream(worker->matcher, flow, REEF_TO_CLIENT));
}

/* Nothing more can be learned of it: a rule passed it, it is encrypted from here on, nobody looks, or it is deeper than is
 * looked at. */
static bool is_done(const reef_worker *worker, const reef_flow *flow)
{
    const reef_session *session = flow->session;
    if (worker->verdict == REEF_VERDICT_PASS)
        return true;
    if (worker->verdict != REEF_VERDICT_ALLOW || worker->unseen || is_evidence(worker, flow))
        return false;
    if (session != NULL && (session->flags & REEF_SESSION_NO_INSPECT ||
                            (session->flags & REEF_SESSION_NO_PARSE && !wants_stream(worker, flow))))
        return true;
    const reef_limits *limits = worker->matcher != NULL ? reef_match_limits(worker->matcher, worker->frame->mark) : NULL;
    uint32_t depth = limits != NULL ? limits->depth : worker->config->options.depth;
    return depth > 0 && (is_deep(flow, REEF_TO_SERVER, depth) || is_deep(flow, REEF_TO_CLIENT, depth));
}

/* After each frame. */
static void judge_frame(void *context)
{
    reef_worker *worker = context;
    reef_flow *flow = worker->judged;
    reef_memory_counters memory;
    reef_memory_count(worker->memory, &memory);
    worker->unseen |= memory.refused != worker->memory_refused || worker->frame->captured < worker->frame->length;
    if (flow != NULL && flow->done == 0 && is_done(worker, flow))
        reef_worker_hand_back(worker, flow);
    bool done = flow != NULL && flow->done != 0;
    *worker->judgement++ = (reef_judgement){
        .verdict = (uint8_t)worker->verdict,
        .flags = done ? REEF_JUDGED_DONE : worker->unseen ? REEF_JUDGED_UNSEEN : 0,
    };
    worker->judged = NULL;
    worker->verdict = REEF_VERDICT_ALLOW;
    worker->unseen = false;
    worker->memory_refused = memory.refused;
}

void reef_worker_judge(reef_worker *worker, const reef_frame *frames, size_t count, reef_judgement *judgements)
{
    worker->judgement = judgements;
    reef_worker_frames_meanwhile(worker, frames, count, judge_frame, worker);
    worker->judgement = NULL;
}
