/* What the files of detection share of a rule set. */
#ifndef REEF_RULES_INTERNAL_H
#define REEF_RULES_INTERNAL_H

#include <stdatomic.h>

#include "reef/protocol.h"
#include "reef/rules.h"

/* A block as the matcher reads it: conditions, transforms and their flags looked up once. */
enum {
    COND_RELATIVE_NEXT = 1 << 0, /* a later condition is looked for from where this one ends: other places of it are tried */
    COND_LAST = 1 << 1,          /* the last of its block */
};

/* How a rule looks at payload. */
enum { PAYLOAD_NONE = 0, PAYLOAD_PACKET = 1, PAYLOAD_STREAM = 2 };

typedef enum rule_kind {
    RULE_PACKET,      /* packet, payload or stream */
    RULE_IP_ONLY,     /* addresses alone: once per flow and direction */
    RULE_PDU,         /* has a block of a stretch (pdu.h) */
    RULE_TRANSACTION, /* has a block, value or event of a transaction */
} rule_kind;

/* What is worked out of a rule when it is loaded. The array stands in the order of evaluation; its index is the rank. */
typedef struct detect_rule {
    const reef_rule *rule;
    uint32_t index;       /* in the image */
    uint8_t kind;         /* rule_kind */
    uint8_t payload;      /* PAYLOAD_... */
    uint8_t directions;   /* bit REEF_TO_SERVER, REEF_TO_CLIENT */
    uint8_t transactions; /* bits of the directions of its transaction blocks */
    bool has_payload;     /* a block of REEF_BUFFER_PAYLOAD */
    bool detection_only;  /* asks nothing but the protocol: on the packet that told it */
    bool by_buffer;       /* of payload and transaction, and found by the transaction's pattern */
    bool protocol_alone;  /* asks nothing but the protocol its header names */
    bool events;          /* asks for a decode or stream event */
    uint32_t flowbits;    /* the condition that asks for flowbits that are set, or UINT32_MAX */
    uint16_t after;       /* index in its blocks of the one done on a match, or UINT16_MAX */
} detect_rule;

struct reef_rules {
    uint8_t *image;
    const reef_image_header *header;
    const reef_rule *rule;
    const reef_block *block;
    const reef_condition *condition;
    const reef_transform *transform;
    const reef_address_set *address_set;
    const reef_range4 *range4;
    const reef_range6 *range6;
    const reef_port_set *port_set;
    const reef_port_range *port_range;
    const reef_name *name;
    const reef_dataset *dataset;
    const reef_hash_list *hash_list;
    const char *text;

    uint8_t *next;               /* per condition: COND_... */
    detect_rule *ranked;         /* header->rules of them, by rank */
    uint32_t *rank_of;           /* by index in the image */
    _Atomic(void *) *expression; /* per condition: its compiled expression, made at first use */
    _Atomic(void *) *transform_expression; /* per transform, likewise */
    struct detect_plan *plan;    /* prefilter.h: groups and databases */
    struct place_file *places;   /* place.h: NULL: those of the matcher's options */
};

static inline reef_view rules_text(const reef_rules *rules, reef_text text)
{
    return (reef_view){(const uint8_t *)rules->text + text.at, text.length};
}

/* rules_check.c: 0, or REEF_FORMAT when a number points outside its table. */
int rules_check(const reef_rules *rules);
/* rules_rank.c: what each rule is and the order they are evaluated in. */
int rules_rank(reef_rules *rules);
bool rules_is_transaction_buffer(unsigned kind);
/* A condition that only a transaction can answer. */
bool rules_is_transaction_condition(const reef_condition *condition);

/* plan.c: which rules are looked at for what. */
typedef struct rank_list {
    uint32_t *rank;
    uint32_t count, room;
} rank_list;
bool rank_list_add(rank_list *list, uint32_t rank);
int plan_new(const reef_rules *rules, struct detect_plan **out);
void plan_free(struct detect_plan *plan);

/* expression.c */
struct expression;
/* The compiled expression of a condition, or NULL: it cannot be compiled. Shared by all workers. */
const struct expression *rules_expression(const reef_rules *rules, uint32_t condition);
void expression_free(struct expression *expression);
/* Search from `start`; 1 found (span[0] first byte, span[1] behind it), 0 not, -1 the limits were reached. */
struct expression_scratch;
int expression_search(const struct expression *expression, struct expression_scratch *scratch, reef_view bytes, uint32_t start, uint32_t span[2]);
int expression_scratch_new(struct expression_scratch **out);
void expression_scratch_free(struct expression_scratch *scratch);
/* Start and end of a group of the last search; false: it took no part. */
bool expression_group(const struct expression_scratch *scratch, unsigned group, uint32_t span[2]);

#endif
