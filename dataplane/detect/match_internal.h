/* What the files of detection share of a matcher. */
#ifndef REEF_MATCH_INTERNAL_H
#define REEF_MATCH_INTERNAL_H

#include "reactions.h"
#include "reef/match.h"
#include "place.h"
#include "rules_internal.h"

enum { VARIABLES_MAX = 64 };

/* One buffer under inspection by one rule's block. */
typedef struct inspection {
    reef_matcher *matcher;
    const detect_rule *rule;
    reef_view bytes;
    uint64_t start;      /* place of bytes[0] in the whole */
    bool end;            /* the whole ends with them */
    bool packet_payload; /* `replace` may act */
    uint32_t at;         /* where the last match ended */
    uint32_t search;     /* where the next search of an expression begins, 0: not yet */
    uint32_t steps;
    uint32_t exceeded;   /* how often a limit was run into */
    uint64_t searched;   /* bytes that contents and expressions were looked for in */
} inspection;

typedef enum inspect_result { INSPECT_GIVE_UP = -1, INSPECT_NO = 0, INSPECT_YES = 1 } inspect_result;

/* inspect.c: do the conditions of a block hold in this buffer? */
bool inspect_block(reef_matcher *matcher, const detect_rule *rule, const reef_block *block, const reef_buffer *buffer, bool packet_payload);

/* bytes.c: numbers in buffers. Each says whether it holds; some move inspection->at. */
bool bytes_test(inspection *at, const reef_condition *condition);
bool bytes_jump(inspection *at, const reef_condition *condition);
bool bytes_extract(inspection *at, const reef_condition *condition);
bool bytes_math(inspection *at, const reef_condition *condition);
bool number_compares(uint64_t value, unsigned compare, int64_t a, int64_t b);

/* asn1_scan.c */
bool asn1_holds(reef_view bytes, uint32_t at, const reef_condition *condition);

/* base64_scan.c: how many bytes were decoded into `out`, at most `room`. Mode as of from_base64: 0 RFC 4648, 1 RFC 2045, 2 strict. */
uint32_t base64_decode(reef_view bytes, uint8_t *out, uint32_t room, unsigned mode);

/* transform.c: the bytes after a block's transforms; they live until the round ends. False: there is nothing to look at. */
bool transform_apply(reef_matcher *matcher, const reef_transform *transform, unsigned transforms, reef_buffer *buffer);

/* packet_tests.c: conditions of a block of kind NONE. */
bool packet_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition);
/* The rule's header and flags against the packet. */
bool header_holds(const reef_matcher *matcher, const detect_rule *rule);
bool header_addresses_hold(const reef_matcher *matcher, const detect_rule *rule);
bool packet_buffer(const reef_packet *packet, unsigned kind, reef_buffer *out);
bool address_in_set(const reef_rules *rules, uint32_t set, unsigned version, const uint8_t *address);
bool port_in_set(const reef_rules *rules, uint32_t set, uint16_t port);

/* slots.c: names of the rule language's variables have numbers that outlive a reload. */
typedef struct name_slots name_slots;
int slots_new(name_slots **out);
void slots_free(name_slots *slots);
/* The number of a name of this kind; UINT32_MAX: no memory. */
uint32_t slots_of(name_slots *slots, uint32_t kind, reef_view name);
uint32_t slots_count(const name_slots *slots);
/* What a number stands for. */
reef_view slots_name(const name_slots *slots, uint32_t slot, uint32_t *kind);

typedef struct flow_groups flow_groups;
typedef struct flow_group flow_group;

/* flow_state.c: what is kept of a flow. */
typedef struct flow_state {
    uint64_t *bits;       /* flowbits by slot; the same words hold which flowints are known */
    uint32_t bit_words;
    uint32_t *number;     /* flowints by slot */
    uint32_t numbers;
    bool ip_only_done[2];
    bool told;            /* the protocol was known when last looked */
    bool told_now;        /* it became known with this packet */
    bool alerted;         /* an alert of it was told */
    uint8_t app[2];       /* number of the protocol by direction, as the packet before left it */
    uint32_t group, group_side, group_generation; /* groups.c: its number + 1 or 0, and what that was found with */
    uint8_t verdict;      /* REEF_VERDICT_DROP or REEF_VERDICT_PASS hold for the rest of the flow */
    uint16_t profile;     /* of the connection, while there are reactions */
} flow_state;

/* NULL: no memory for it. */
flow_state *flow_state_of(reef_matcher *matcher, reef_flow *flow);
void flow_state_free(reef_matcher *matcher, flow_state *state);
bool flowbit_is_set(reef_matcher *matcher, uint32_t name);
bool flow_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition);
/* flowbits and flowints that are changed when the rule has matched. */
void flow_after(reef_matcher *matcher, const reef_condition *condition);
/* match_transaction.c */
bool transaction_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition);

/* host_state.c: bits and counts of addresses, with an expiry. */
typedef struct host_table host_table;
typedef struct host_key { uint8_t a[16], b[16]; uint32_t kind, number, c, d; } host_key;
typedef struct host_entry {
    host_key key;
    uint64_t expires_ns;
    uint64_t since_ns, hold_ns; /* thresholds */
    uint64_t count;
    uint32_t next, newer, older;
    uint32_t hash;
    uint32_t renewed; /* tags: by alerts behind the one that made it */
    bool fresh;       /* tags: made by the packet at hand */
} host_entry;
int host_table_new(uint32_t limit, const uint64_t seed[2], host_table **out);
void host_table_free(host_table *table);
/* NULL: not there. One that expired is gone. */
host_entry *host_table_find(host_table *table, const host_key *key, uint64_t now_ns);
/* NULL: no room for the memory. The oldest goes when the table is full. */
host_entry *host_table_make(host_table *table, const host_key *key, uint64_t now_ns);
void host_table_drop(host_table *table, host_entry *entry);
uint32_t host_table_count(const host_table *table);

/* host_bits.c */
bool hostbits_condition(reef_matcher *matcher, const reef_condition *condition, bool act);

/* threshold.c: is the alert told? `silent` alerts still act when the rule is a detection filter that holds. */
typedef enum threshold_answer { THRESHOLD_TELL, THRESHOLD_SILENT, THRESHOLD_NO_MATCH } threshold_answer;
threshold_answer threshold_ask(reef_matcher *matcher, const detect_rule *rule);
/* How often the policy wants it told: TELL or SILENT. */
threshold_answer threshold_of_policy(reef_matcher *matcher, const detect_rule *rule);

/* tag.c */
void rule_tags(reef_matcher *matcher, const detect_rule *rule);

/* dataset.c */
typedef struct datasets datasets;
int datasets_new(const reef_rules *rules, const datasets *before, datasets **out);
void datasets_free(datasets *sets);
int datasets_change(datasets *sets, reef_view name, bool out, const uint8_t *values, size_t length); /* as in match.h */
bool dataset_condition(datasets *sets, const reef_rules *rules, const reef_condition *condition, reef_view bytes);

/* place.c: ISO 3166 country of an address from the file given by option. */

bool geoip_condition(const reef_matcher *matcher, const reef_condition *condition);

/* debt.c: rules that cost too much */
struct debts {
    struct debt *rule; /* by rank */
    uint32_t resting;
    uint32_t untold;   /* rank + 1 of the last one that began to rest and is not told yet; 0: none */
};
int debts_new(uint32_t rules, struct debts *out);
void debts_free(struct debts *debts);
/* Does it rest still? Asked only while any does. */
bool debts_rests(reef_matcher *matcher, const detect_rule *rule);
/* A block of the rule ran into limits so often, and searched so many bytes. */
void debts_owe(reef_matcher *matcher, const detect_rule *rule, uint32_t exceeded, uint64_t searched);

/* alerts.c */
typedef struct queued {
    reef_alert alert;
    uint32_t rank, order;
    uint8_t action; /* reef_rule_action: of the rule or of the policy */
    uint8_t direction;
    bool late;
} queued;

/* candidates: ranks, each once */
typedef struct rank_set {
    uint32_t *rank;
    uint32_t count;
    uint64_t *bit;
} rank_set;

static inline void rank_set_add(rank_set *set, uint32_t rank)
{
    uint64_t bit = 1ull << (rank & 63);
    if (set->bit[rank >> 6] & bit)
        return;
    set->bit[rank >> 6] |= bit;
    set->rank[set->count++] = rank;
}
static inline void rank_set_clear(rank_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        set->bit[set->rank[i] >> 6] = 0;
    set->count = 0;
}
static inline bool rank_set_has(const rank_set *set, uint32_t rank)
{
    return set->bit[rank >> 6] >> (rank & 63) & 1;
}
void rank_set_sort(rank_set *set);

typedef struct scratch_piece {
    struct scratch_piece *next;
    uint32_t size, used;
} scratch_piece;

struct reef_matcher {
    reef_memory *memory;
    const reef_rules *rules;
    reef_match_options options;
    uint32_t generation; /* of the rules: counts reloads */
    name_slots *slots;
    uint32_t *slot;      /* of the names of these rules */

    const reef_reactions *reactions; /* NULL: rules do what they say themselves */
    uint16_t profile;                /* of the packet's connection */

    const reef_scene *scene; /* the engine's: session and direction may change during the packet */
    int direction;     /* of what is being inspected: not always the packet's */
    bool turned;       /* it is the other one */
    flow_state *state; /* of the scene's flow, NULL: not asked for yet */
    bool over;         /* dropped or passed already: nothing is looked at */
    bool idle;         /* there are no rules */
    bool packet_done;  /* reef_match_packet was called */
    reef_transaction *transaction; /* under inspection */
    int transaction_direction;

    const reef_protocol *numbered; /* the protocol asked for last, */
    unsigned number;               /* and its number */

    uint64_t variable[VARIABLES_MAX];
    rank_set candidates, transaction_candidates;
    rank_set payload_held; /* rules of transactions whose payload blocks held in this packet */
    uint8_t *kept[2];      /* the stretch of the stream that came with this packet, by direction, for rules of transactions */
    uint32_t kept_length[2];
    uint64_t kept_offset[2];
    uint32_t fresh;        /* of the stretch of the stream at hand: how many of its last bytes are new */
    rank_set matched;      /* packet rules that matched in this packet */
    rank_set stream_held;  /* rules whose payload blocks held in the stream of this packet; the rest is asked with the others */
    rank_set stream_waiting; /* rules that ask for flowbits which are not set: their payload blocks are asked with the rest, if they are by then */
    uint8_t *waiting;        /* the stretch of the stream they are asked for: as long as any of them waits */
    reef_raw waiting_raw;
    struct expression_scratch *expression;
    struct scanner_scratch *prefilter;
    flow_groups *groups;        /* groups.h */
    flow_group *group;          /* of the packet at hand, NULL: none; asked for once */
    int group_direction;   /* of the packet, when that was; -1: not yet */

    queued *queue;
    reef_alert *alerts;
    uint32_t queued, room;
    uint64_t discarded; /* alerts beyond the limit */

    uint8_t *decoded;         /* base64 */
    scratch_piece *piece;     /* what transforms made in this round */
    struct transformed *made; /* of this round, so that each is made once */
    uint32_t made_count;

    datasets *sets;
    host_table *bits, *counts, *tags;
    place_file *places;
    struct debts debts;
    struct costs *costs; /* cost.h; NULL: not asked for */
};

/* reef_protocol_number, which looks for it. */
static inline unsigned matcher_number(reef_matcher *matcher, const reef_protocol *protocol)
{
    if (matcher->numbered != protocol) {
        matcher->numbered = protocol;
        matcher->number = reef_protocol_number(protocol);
    }
    return matcher->number;
}

static inline uint64_t matcher_now(const reef_matcher *matcher)
{
    return matcher->scene->packet->time_ns;
}

/* alerts.c */
void alert_queue(reef_matcher *matcher, uint32_t rank, reef_transaction *transaction, bool state, bool stream);

/* groups.h */
flow_group *match_group(reef_matcher *matcher);
/* The part of a scanner that is to be used for the packet at hand; NULL: none. */
const struct scanner *match_scanner(reef_matcher *matcher, const struct scanner *whole, unsigned app);

/* match_packet.c: the blocks of a rule that look at packet and flow, not `after`; and what is done on a match. */
bool rule_packet_blocks_hold(reef_matcher *matcher, const detect_rule *rule);
void rule_after(reef_matcher *matcher, const detect_rule *rule);
/* A rule found by its transaction: do its payload blocks hold in what came with this packet? */
bool kept_stream_holds(reef_matcher *matcher, const detect_rule *rule);
/* Rules whose payload held in the stream, where no packet came with it. */
void match_streams(reef_matcher *matcher);

/* matcher.c: the direction that is inspected from now on */
void match_turn(reef_matcher *matcher, int direction);
/* memory of a round */
void *round_get(reef_matcher *matcher, uint32_t size);
void round_end(reef_matcher *matcher);

#endif
