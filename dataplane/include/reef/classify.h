/* classify: the first rule that matches, for millions of flows against ten thousands of rules.
 *
 * A bit for each rule of a zone pair and class of traffic: one row of bits for every stretch of source addresses
 * on which the same rules hold, likewise for destinations, ports and people. The rules that match a flow are the
 * and of a few rows, the first of them is the lowest bit. A rule's sources, destinations and ports are independent
 * of each other, so nothing is multiplied out. Pairs are built when a flow first needs them.
 *
 * The policy comes as 64-bit words from appliance/policy/answering/classifier.py, which describes them. */
#ifndef REEF_CLASSIFY_H
#define REEF_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct reef_policy reef_policy;

enum {
    REEF_NO_ZONE = -1,
    REEF_BY_DEFAULT = -1, /* no rule: denied */
    REEF_SPOOFED = -2,    /* refused before the rules */
};

/* A flow that is to be decided. Addresses as `reef_policy_place` gives them. */
typedef struct reef_question {
    int32_t from, to;
    uint32_t source, destination;
    uint16_t port;     /* of ICMP type << 8 | code */
    uint8_t version, protocol;
    uint32_t minute;   /* when, minutes since the epoch */
    /* Live sets that the flow is known to have been in when it was logged; their number plus one, 0: none. */
    uint32_t was_source, was_person, was_destination;
} reef_question;

typedef struct reef_answer {
    int32_t rule;      /* index in the policy, or one of the above */
    uint8_t action;    /* reef_flow_action */
    bool unsure;       /* it depends on the source port, which is not kept */
} reef_answer;

/* REEF_FORMAT when the words are not a policy; REEF_NOMEM. The words are copied. */
int reef_policy_new(const uint64_t *words, size_t count, reef_policy **out);
void reef_policy_free(reef_policy *policy);

/* On which stretch of the policy's addresses an address lies; many at once when they are sorted. */
uint32_t reef_policy_place(const reef_policy *policy, unsigned version, const uint8_t *address);
void reef_policy_places(const reef_policy *policy, const uint8_t (*address)[16], uint32_t count4, uint32_t count,
                        uint32_t *place);

/* The zone behind which routing expects addresses of a place, or REEF_NO_ZONE. */
int32_t reef_policy_route(const reef_policy *policy, uint32_t place);
/* Whether the zone's own networks forbid this source. */
bool reef_policy_spoofed(const reef_policy *policy, int32_t zone, const reef_question *question,
                         const uint8_t *source, bool logged_as_spoofed);

/* What destination NAT does: the index of its rule or REEF_BY_DEFAULT. `destination` and `port` of the question are
 * as asked. REEF_NOMEM when the tables of a pair do not fit. */
int reef_policy_translate(reef_policy *policy, const reef_question *question, reef_answer *answer);
/* Where rule `index` of destination NAT sends: the address, its place, and the port or 0. */
void reef_policy_target(const reef_policy *policy, int32_t index, const uint8_t **address, uint32_t *place,
                        uint16_t *port);
int reef_policy_decide(reef_policy *policy, const reef_question *question, reef_answer *answer);

/* Whether two policies agree in everything but their filter rules. */
bool reef_policy_same_frame(const reef_policy *a, const reef_policy *b);

/* The rules of a pair in which two policies differ, from the first to the last that does: what no rule among them speaks of
 * is decided alike. `same` when there is none. */
typedef struct reef_differing {
    uint32_t first[2], end[2]; /* indexes in either policy */
    bool same;
} reef_differing;

void reef_policy_differ(const reef_policy *a, const reef_policy *b, int32_t from, int32_t to, reef_differing *out);
/* Does one of these rules speak of a protocol and port, in the pair? */
bool reef_policy_speaks(const reef_policy *policy, uint32_t first, uint32_t end, int32_t from, int32_t to,
                        uint8_t protocol, uint16_t port);

bool reef_policy_translates(const reef_policy *policy); /* whether there is destination NAT at all */
uint32_t reef_policy_zones(const reef_policy *policy);
/* The number that both policies of a replay give a rule of the same id, and what was known of live sets from it. */
uint32_t reef_policy_identity(const reef_policy *policy, int32_t rule);
void reef_policy_evidence(const reef_policy *policy, int32_t rule, reef_question *question);

#endif
