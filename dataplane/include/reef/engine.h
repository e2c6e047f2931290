/* The engine: frames in, events out. Three lifetimes, three types:
 *   reef_config  what to do; immutable, shared by all workers
 *   reef_worker  scratch of one thread: flow table, buffers, event ring; nothing is allocated per packet
 *   reef_flow    state of one conversation, inside the worker's table
 *
 * A worker is used by one thread at a time; its ring may be read by another (event.h). */
#ifndef REEF_ENGINE_H
#define REEF_ENGINE_H

#include "reef/claims.h"
#include "reef/defrag.h"
#include "reef/event.h"
#include "reef/flow.h"
#include "reef/match.h"
#include "reef/packet.h"
#include "reef/tcp.h"
#include "reef/tx_file.h"

typedef struct reef_config reef_config;
typedef struct reef_worker reef_worker;

typedef struct reef_options {
    uint32_t flows;        /* most flows at a time */
    uint32_t events;       /* records in the event ring */
    uint32_t text_bytes;   /* bytes in its text ring */
    reef_flow_timeouts timeouts;
    uint64_t seed[2];      /* secret; of the flow hash */
    bool by_interface;     /* the same addresses on two interfaces are two flows */
    bool only_entering;    /* report only conversations whose first packet came in from the network */
    bool report_flows;
    bool report_apps;
    bool report_anomalies;
    bool feeds;            /* conversations and neighbours go into the ring, for a feed (feed.h) */
    bool checksums;        /* verified: what has a bad one is not looked at as stream */
    uint32_t depth;        /* judged flows are handed back when so much of a direction was looked at */
    uint64_t memory;       /* bytes that inspection may keep of conversations, besides the flow table */
    reef_tcp_options tcp;
    reef_defrag_options defrag;
    reef_match_options match;
    unsigned alerts_with;  /* REEF_ALERT_WITH_... (eve_alert.h) */
    reef_filestore *store; /* where files go that are kept; NULL: nowhere. Borrowed */
    struct reef_evidence *evidence; /* records the packets of flows with alerts; NULL: nobody does. Borrowed */
    reef_file_wants files; /* what is wanted of files, whatever the rules say */
    reef_claims *claims;     /* shared by who judges and who taps; NULL: all is looked at. Borrowed */
    const reef_rules *rules; /* NULL: none; must outlive the worker, or its next rules */
} reef_options;

/* Sensible values for everything but the seed. */
void reef_options_default(reef_options *options);

int reef_config_new(const reef_options *options, reef_config **out);
void reef_config_free(reef_config *config);

/* The config must outlive the worker. */
int reef_worker_new(const reef_config *config, reef_worker **out);
void reef_worker_free(reef_worker *worker);

/* Any number of frames, in the order they came. */
void reef_worker_frames(reef_worker *worker, const reef_frame *frames, size_t count);
/* The same, with an errand after each: to look for the frames that come next while these are worked on. */
void reef_worker_frames_meanwhile(reef_worker *worker, const reef_frame *frames, size_t count, void (*errand)(void *context), void *context);

/* Other rules from the next packet on; flow state stays. They must outlive the worker, or its next rules. */
int reef_worker_rules(reef_worker *worker, const reef_rules *rules);
/* A set of the rules changes (reef_matcher_set_change). REEF_END too where no rules are loaded. */
int reef_worker_set_change(reef_worker *worker, const char *name, bool out, const uint8_t *values, size_t length);

/* What the policy has the rules at hand do, until other rules or reactions come; NULL: what they say themselves. */
int reef_worker_reactions(reef_worker *worker, const reef_reactions *reactions);

/* From the next packet on files go to `store` (`all`, or those that a rule asks for) and packets of conversations with alerts
 * to `evidence`; NULL: none do. The evidence given before may then be freed; every store must outlive the worker. */
int reef_worker_keep(reef_worker *worker, reef_filestore *store, bool all, struct reef_evidence *evidence);

/* No packets came for a while: time goes on all the same. */
void reef_worker_time(reef_worker *worker, uint64_t now_ns);

/* End flows that are left, as many as the ring has room for; false: drain it and ask again. */
bool reef_worker_finish(reef_worker *worker);

/* The worker's ring; borrowed. Captures that see events rather than frames (nflog, conntrack) write to it too. */
reef_events *reef_worker_events(reef_worker *worker);

typedef struct reef_counters {
    uint64_t packets, bytes;
    uint64_t not_ip, malformed, fragments;
    uint64_t flows_created, flows_ended, flows_evicted, flows_refused, clock_set_back;
    uint64_t transactions;
    uint64_t events_lost;
    uint64_t alerts;
    uint64_t verdicts[4];  /* packets by reef_verdict, while there are rules */
    uint64_t shed;         /* packets that were not looked at for want of time (judge.h) */
    uint64_t feed_lost;    /* words of conversations for which the ring had no room to spare */
    uint64_t memory_used, memory_peak, memory_refused;
    uint32_t flows_active;
} reef_counters;

void reef_worker_count(const reef_worker *worker, reef_counters *counters);

/* What rules cost since they came into force (reef_match_costs), while options.match.costs is on: begin with *from 0 and ask until
 * it gives 0. */
uint32_t reef_worker_rule_costs(const reef_worker *worker, uint32_t *from, reef_rule_cost *out, uint32_t max);

#endif
