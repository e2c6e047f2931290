/* match: rules against packets, streams and transactions. One matcher per worker; the rules are shared and never change: a
 * reload builds others beside them and hands them over between two packets. */
#ifndef REEF_MATCH_H
#define REEF_MATCH_H

#include "reef/protocol.h"
#include "reef/reactions.h"
#include "reef/rules.h"
#include "reef/tcp.h"

typedef struct reef_matcher reef_matcher;

typedef struct reef_match_options {
    bool act;           /* as if inline: drop and reject take effect on packet and flow */
    uint32_t alerts_max; /* of one packet: 15 */
    bool plain;         /* without prefilters, every rule is tried: what they are held against in tests */
    bool costs;         /* count what each rule costs: reef_match_costs */
    const char *places; /* file in MaxMind's format for geoip, or NULL */
    uint64_t seed[2];
} reef_match_options;

/* What a packet is seen with. */
typedef struct reef_scene {
    const reef_packet *packet; /* at the end of a flow: one without payload that has the flow's addresses */
    reef_flow *flow;           /* NULL: the packet belongs to none */
    reef_session *session;     /* NULL while there is none */
    int direction;             /* of the packet within the flow */
    uint32_t mark;             /* of the connection, as the ruleset set it (bundle.py); 0: none */
    bool ends;                 /* the flow ends */
    bool streamed;             /* the payload went into the stream: rules of the stream see it there */
} reef_scene;

typedef struct reef_alert {
    const reef_rule *rule;
    reef_transaction *transaction; /* NULL: none; valid until reef_session_reap */
    const struct reef_pdu *pdu;    /* NULL: none; valid until reef_pdus_reap */
    uint8_t action;                /* reef_verdict that came of it: what EVE's "action" says */
    bool state;                    /* matched in a transaction rather than the packet */
    bool stream;                   /* matched in the reassembled stream */
    bool log;                      /* false: thresholds or noalert keep it from being told */
} reef_alert;

typedef enum reef_verdict { REEF_VERDICT_ALLOW, REEF_VERDICT_DROP, REEF_VERDICT_REJECT, REEF_VERDICT_PASS } reef_verdict;

int reef_matcher_new(reef_memory *memory, const reef_rules *rules, const reef_match_options *options, reef_matcher **out);
void reef_matcher_free(reef_matcher *matcher);
/* Other rules from now on; flow state (flowbits, thresholds, what was seen) is kept by name where both know it. */
int reef_matcher_rules(reef_matcher *matcher, const reef_rules *rules);
/* What these rules do by the policy's word, until others come; NULL: by their own. REEF_INVALID: made for other rules. They must
 * outlive the matcher, or its next reactions or rules. */
int reef_matcher_reactions(reef_matcher *matcher, const reef_reactions *reactions);
/* Values put into the set of that name, or taken out of it, while rules run; they outlive the rules, as what the keyword `set` puts
 * in does. `values` are packed: 2 bytes of length, little-endian, and the bytes. REEF_END: no set has that name; REEF_FORMAT: badly
 * packed, nothing changed; REEF_FULL: the set's limit is reached. */
int reef_matcher_set_change(reef_matcher *matcher, reef_view name, bool out, const uint8_t *values, size_t length);
/* Of the profile of connections with this mark; NULL: nothing is said of it. */
const reef_limits *reef_match_limits(const reef_matcher *matcher, uint32_t mark);

/* A packet: begin; then for each new stretch of stream, and whenever a session was fed, the calls between; finish. */
void reef_match_begin(reef_matcher *matcher, const reef_scene *scene);
/* Stream rules of one direction: bytes of the other one come with this packet too when it acknowledges beyond a gap. */
void reef_match_raw(reef_matcher *matcher, int direction, const reef_raw *raw);
void reef_match_packet(reef_matcher *matcher);                    /* header and payload rules */
void reef_match_transactions(reef_matcher *matcher);              /* both directions' transactions that changed */
void reef_match_pdus(reef_matcher *matcher);              /* what protocols told of for rules with `frame` (pdu.h) */
/* Are there any? */
bool reef_match_wants_pdus(const reef_matcher *matcher);
/* Actions ordered and applied (pass before drop before alert), thresholds asked; the alerts, borrowed until the next begin. */
reef_verdict reef_match_finish(reef_matcher *matcher, const reef_alert **alerts, uint32_t *count);
/* After finish: a rule that ran into its limits so often that it is not tried for a while (REEF_RULE_REST_NS), each time once; NULL: no more. */
const reef_rule *reef_match_slow_rule(reef_matcher *matcher);
/* What rules cost since they came into force: those that were checked, in the order of evaluation from rank *from on, which
 * moves on. How many were written; 0: no more, or options.costs is off. */
typedef struct reef_rule_cost {
    uint32_t sid, gid, rev;
    const char *message; /* not NUL-terminated; the rules' */
    uint32_t message_length;
    uint64_t checks, matches; /* how often its conditions were asked, and how often all of them held */
    uint64_t ns, worst_ns;    /* of all checks, and of the longest */
} reef_rule_cost;
uint32_t reef_match_costs(const reef_matcher *matcher, uint32_t *from, reef_rule_cost *out, uint32_t max);
/* After finish, once: was this packet asked for by an alert before it (the keyword tag)? Counts it. */
bool reef_match_tagged(reef_matcher *matcher);
/* The flow of the packet at hand is stopped for another reason than a rule: nothing of it is looked at. */
void reef_match_refuse(reef_matcher *matcher);
/* Can any rule still look at payload or stream of this flow and direction? */
bool reef_match_wants_stream(const reef_matcher *matcher, const reef_flow *flow, int direction);

/* What output tells of a flow's state: its flowbits that are set (kind REEF_NAME_FLOWBIT), its flowints that are known (REEF_NAME_FLOWINT).
 * At most `max`; how many. */
typedef struct reef_flow_name {
    const char *name; /* not NUL-terminated */
    uint32_t length, value;
} reef_flow_name;
uint32_t reef_match_flow_names(const reef_matcher *matcher, const reef_flow *flow, unsigned kind, reef_flow_name *names,
                               uint32_t max);
/* Did a rule alert in it? */
bool reef_match_alerted(const reef_flow *flow);

void reef_match_free_flow(reef_matcher *matcher, reef_flow *flow);              /* flow->match */
void reef_match_free_transaction(reef_matcher *matcher, reef_transaction *transaction); /* transaction->detect */

#endif
