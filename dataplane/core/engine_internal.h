/* Between the files of the engine only: what a worker is made of, and how it tells what it saw. */
#ifndef REEF_ENGINE_INTERNAL_H
#define REEF_ENGINE_INTERNAL_H

#include "reef/defrag.h"
#include "reef/engine.h"
#include "reef/evidence.h"
#include "reef/feed.h"
#include "reef/judge.h"
#include "reef/match.h"
#include "reef/neighbours.h"
#include "reef/protocol.h"
#include "reef/tx_file.h"

struct reef_config {
    reef_options options;
};

/* Packets go through the stages in small groups, so that the memory one packet needs is on its way while the
 * others are worked on: headers AHEAD of decoding, a bucket when its hash is known, its flow BEHIND that. */
enum { GROUP = 16, AHEAD = 4, BEHIND = 4 };

struct reef_worker {
    const reef_config *config;
    reef_flows *flows;
    reef_memory *memory;
    reef_defrag *defrag;
    reef_expectations *expectations;
    reef_files *files;
    reef_neighbours *neighbours; /* NULL: nobody is fed */
    reef_matcher *matcher; /* NULL while there are no rules */
    const reef_rules *rules;
    bool asks;             /* the matcher: not before it has rules, or packets can be stopped */
    reef_evidence *evidence;  /* NULL while none is kept */
    uint64_t evidence_flow;   /* of the frame at hand, the innermost; only while evidence is kept */
    bool keeps_all;           /* every file, whatever the rules want */
    const reef_frame *frame;  /* at hand */
    reef_events *events;
    reef_call call; /* engine.c */
    reef_counters counters;
    /* Where packets wait (judge.c): of the frame at hand. */
    reef_judgement *judgement; /* where the next one goes; NULL: nobody asks for any */
    reef_flow *judged;         /* the flow that the kernel knows it by; NULL: none */
    reef_verdict verdict;      /* the hardest one so far */
    bool unseen;
    uint8_t pressure;          /* shed.c */
    uint64_t memory_refused;   /* so often before it */
    uint8_t epoch;             /* of the rules; never 0 */
    reef_packet packet[GROUP];
    reef_flow_key key[GROUP];
    uint32_t hash[GROUP];
    bool source_is_high[GROUP];
};

/* Conversations are reported once: on the line by which their first packet came in. */
static inline bool reef_is_reported(const reef_worker *worker, uint8_t way)
{
    return !worker->config->options.only_entering || way != REEF_WAY_OUT;
}

/* The rules have changed, and with them what parsers are told. */
void reef_worker_settle_call(reef_worker *worker);
/* A flow that this worker judges is claimed; one that another judges is left to it. Before the packet is counted. */
enum { REEF_DONE_ELSEWHERE = 255 };
void reef_judge_claim(reef_worker *worker, reef_flow *flow);
/* The verdict on one packet of the frame at hand: it, or what it carries. */
void reef_judge_packet(reef_worker *worker, const reef_packet *packet, reef_verdict verdict);
/* For want of time (shed.c): no file of the flow is looked at; and the packet at hand, which is dropped or handed back. */
bool reef_sheds_files(const reef_worker *worker);
bool reef_shed_packet(reef_worker *worker, reef_flow *flow, const reef_packet *packet);
/* The kernel forwards the flow from now on: what it leaves is told; it stays in the table so that stragglers are known. */
void reef_worker_hand_back(reef_worker *worker, reef_flow *flow);

/* What the flow's stages hold of it goes; the flow itself stays. */
void reef_worker_forget(reef_worker *worker, reef_flow *flow);

void reef_report_anomalies(reef_worker *worker, const reef_packet *packet, unsigned first);
/* The flow ends: where its packets lie, if they were kept. */
void reef_report_evidence(reef_worker *worker, const reef_flow *flow);
void reef_report_flow(reef_worker *worker, const reef_flow *flow, reef_flow_end end);
/* Of a conversation, for the feed; what the ring is short of room for gives way to everything else. */
void reef_report_conversation(reef_worker *worker, const reef_flow *flow, reef_fed which, uint64_t time_ns);
void reef_report_neighbour(reef_worker *worker, const reef_packet *packet);
void reef_report_alerts(reef_worker *worker, const reef_scene *scene, const reef_alert *alerts, uint32_t count);
/* Rules that cost too much, once each time they begin to rest. */
void reef_report_slow_rules(reef_worker *worker, const reef_packet *packet);
/* A packet that an alert before it asked for. */
void reef_report_tagged(reef_worker *worker, const reef_scene *scene);
/* What is due of the session's transactions, their files and events; scene->ends: all of it. */
void reef_report_session(reef_worker *worker, const reef_scene *scene);

#endif
