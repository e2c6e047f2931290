/* replay: logged flows against two policies, the running one and a candidate; what differs is counted.
 *
 * Both decide every flow, so that a difference is the candidate's doing and not that of an edit made since the
 * flow was logged. What the log knows better than the policies is taken from it: the zones the flow went between, and
 * the live sets (people, DNS names) that must have held it. */
#ifndef REEF_REPLAY_H
#define REEF_REPLAY_H

#include "reef/classify.h"
#include "reef/flowlog.h"

typedef struct reef_replay reef_replay;

typedef enum reef_change_kind {
    REEF_NOW_DENIED,    /* the running policy lets it through, the candidate does not */
    REEF_NOW_ALLOWED,
    REEF_NOW_ELSEWHERE, /* both let it through, to another destination */
    REEF_NOW_REFUSED,   /* neither does, and the sender is told (reject) by one only */
    REEF_NOW_BY_ANOTHER /* decided alike, by another rule */
} reef_change_kind;

/* Flows that are decided otherwise in the same way. Rules are indexes in their policy, or negative (classify.h). */
typedef struct reef_change {
    int32_t from, to, to_now;       /* zones */
    int32_t rule, rule_now;
    uint8_t kind, action, action_now;
    uint8_t version, protocol;      /* the latest of them */
    uint16_t port;
    uint8_t source[16], destination[16];
    uint32_t first, last;           /* minutes */
    uint64_t rows, flows, bytes, packets;
} reef_change;

typedef enum reef_detail_axis { REEF_BY_SERVICE, REEF_BY_SOURCE, REEF_BY_DESTINATION } reef_detail_axis;

/* How many of a change's flows had one service, source or destination. */
typedef struct reef_detail {
    uint8_t address[16];
    uint64_t flows;
    uint16_t port;
    uint8_t version, protocol;
} reef_detail;

typedef struct reef_replay_sum {
    uint64_t rows, flows;           /* looked at */
    uint64_t unsure_flows;          /* they may be decided otherwise: it depends on the source port */
    uint64_t unlike_log_flows;      /* the running policy decides them otherwise than when they were logged */
    uint64_t details_lost;          /* details that found no room: the details of a change are then too few */
    uint64_t changes_lost;          /* flows whose change found no room */
    uint32_t changes;
} reef_replay_sum;

/* The policies must outlive the replay; their tables grow in use, so each belongs to one replay at a time. */
int reef_replay_new(reef_policy *running, reef_policy *candidate, const uint64_t seed[2], reef_replay **out);
void reef_replay_free(reef_replay *replay);

/* Zones of the block's names (REEF_NO_ZONE: not known), and rules of the running policy that they are: an index, a
 * negative answer of classify.h, or one of these: a rule that is no more, or what no rule decided (bans, invalid packets). */
enum { REEF_NO_RULE = -3, REEF_NOT_BY_RULES = -4 };

/* Can any of these flows be decided otherwise? No: the block's body need not be read. */
bool reef_replay_wants(reef_replay *replay, const reef_flow_heads *heads, const int32_t *zone_of_name);
/* `all`: also where the two policies are the same. REEF_NOMEM when the tables of a zone pair do not fit. */
int reef_replay_rows(reef_replay *replay, const reef_flow_heads *heads, const reef_flow_body *body,
                     const int32_t *zone_of_name, const int32_t *rule_of_name, bool all);

void reef_replay_sum_up(const reef_replay *replay, reef_replay_sum *sum);
/* Borrowed until the next call with rows. */
const reef_change *reef_replay_change(const reef_replay *replay, uint32_t index);
/* The details of one axis, most flows first: how many there are, `max` of them in `out`. */
size_t reef_replay_details(reef_replay *replay, uint32_t change, reef_detail_axis axis, reef_detail *out, size_t max);

#endif
