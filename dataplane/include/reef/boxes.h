/* boxes: what an ordered list of rules decides, as exact algebra over boxes.
 *
 * A box is a product of closed intervals on REEF_AXES axes, of a set of kinds of time, and of conditions that nothing but
 * the running gateway can know (bits that must be true, bits that must be false). A rule is a union of boxes; the
 * first rule that has a packet decides it. Addresses are kept as ranks: the numbers of the intervals between
 * all borders that occur, IPv4 first, then IPv6.
 *
 * A space owns its boxes. Every question counts its steps against a budget and answers REEF_END when it is used up:
 * then nothing is known. Pointers that are handed out stay valid until the next call. */
#ifndef REEF_BOXES_H
#define REEF_BOXES_H

#include <stddef.h>
#include <stdint.h>

#include "reef/limits.h"

#define REEF_AXES 8
enum {
    REEF_AXIS_FROM,
    REEF_AXIS_TO,
    REEF_AXIS_SOURCE,
    REEF_AXIS_DESTINATION,
    REEF_AXIS_SERVICE, /* protocol * 65536 + port or ICMP type * 256 + code */
    REEF_AXIS_SOURCE_PORT,
    REEF_AXIS_PERSON,
    REEF_AXIS_SECOND, /* seconds from the moment of the proof */
};

typedef struct reef_box {
    int32_t low[REEF_AXES], high[REEF_AXES];
    uint64_t times;   /* kinds of time, one bit each */
    uint64_t yes, no; /* conditions that must hold, that must not hold */
} reef_box;

/* Which list of rules a rule belongs to, where two are compared. */
enum { REEF_SIDE_OLD = 1, REEF_SIDE_NEW = 2, REEF_SIDE_BOTH = 3 };

#define REEF_NO_RULE (-1)

/* A rule: what it does. Equal `effect` means decided alike. */
typedef struct reef_box_rule {
    int32_t effect;
    uint8_t action;
    uint8_t side;
    uint16_t zero;
} reef_box_rule;

/* A row may have a condition of its own, which no other rule shares and no bit stands for: it holds or it does not,
 * whatever else is true. Of a row that is unsure nothing is claimed, nor of what it meets. */
enum { REEF_ROW_PLAIN = 0, REEF_ROW_OPTIONAL = 1, REEF_ROW_UNSURE = 2 };

/* A row: one product of lists, part of rule `rule`. The rows of one rule follow each other. */
typedef struct reef_box_row {
    int32_t rule;
    uint32_t pair, source, destination, service, people; /* numbers of lists */
    int32_t until;     /* the last second in which it holds */
    uint32_t optional; /* REEF_ROW_... */
    uint64_t times, yes, no;
} reef_box_row;

/* Lists are given by their ends: list i holds the elements from end[i-1] (0 for the first) up to end[i]. */
typedef struct reef_box_lists {
    const uint32_t *four; /* first, last of IPv4 intervals */
    const uint8_t *six;   /* first, last of IPv6 intervals, each 16 bytes in the order of this machine */
    const uint32_t *four_end, *six_end;
    uint32_t addresses;
    const int32_t *pair; /* from low, from high, to low, to high */
    const uint32_t *pair_end;
    uint32_t pairs;
    const int32_t *service; /* low, high, source port low, high */
    const uint32_t *service4_end, *service6_end; /* list i for IPv4 ends at service4_end[i], for IPv6 (it follows) at service6_end[i] */
    uint32_t services;
    const int32_t *people; /* low, high */
    const uint32_t *people_end;
    uint32_t peoples;
} reef_box_lists;

/* A stretch of time: from `second` to the next one it is time of kind `kind`. */
typedef struct reef_box_stretch {
    int32_t second;
    uint32_t kind;
} reef_box_stretch;

typedef struct reef_space reef_space;

/* `stretches` cover the seconds from 0 to `last` without a gap; `fallback` is the effect and action of what no rule
 * decides. REEF_INVALID for what is beyond its bounds. */
int reef_space_new(const reef_box_stretch *stretches, uint32_t count, int32_t last, reef_box_rule fallback,
                   reef_space **out);
void reef_space_free(reef_space *space);

/* Change the rules. Rule i of before (of `reef_space_rules`) is rule moved[i] now, in the same order, or gone
 * (REEF_NO_RULE). `rules` has all `count` rules as they are now; `rows` those that are new, numbered as now.
 * A row with more than REEF_RULE_BOXES_MAX boxes is kept as the one box around it, of which nothing is claimed.
 * After an error the space must be freed. */
int reef_space_change(reef_space *space, const int32_t *moved, const reef_box_rule *rules, uint32_t count,
                      const reef_box_lists *lists, const reef_box_row *rows, uint32_t row_count);
uint32_t reef_space_rules(const reef_space *space);
uint32_t reef_space_boxes(const reef_space *space);

/* Borders that questions will name: without them an interval of addresses that ends elsewhere has no ranks. */
int reef_space_cut(reef_space *space, const uint32_t *four, uint32_t fours, const uint8_t *six, uint32_t sixes);

/* The ranks of an interval whose borders are known, and the addresses of ranks. `version` is 4 or 6. */
int reef_space_ranks(const reef_space *space, int version, const uint8_t first[16], const uint8_t last[16],
                     int32_t *low, int32_t *high);
int reef_space_addresses(const reef_space *space, int32_t low, int32_t high, int *version, uint8_t first[16],
                         uint8_t last[16]);
/* The ranks of one version: all of it. */
void reef_space_whole(const reef_space *space, int version, int32_t *low, int32_t *high);

typedef enum reef_finding_kind {
    REEF_FINDING_EMPTY = 1, /* no packet has the rule's own fields */
    REEF_FINDING_DEAD,      /* `other` hide the rule */
    REEF_FINDING_NO_EFFECT, /* `other` decide alike without it; REEF_NO_RULE among them is the fallback */
    REEF_FINDING_CONFLICT,  /* with other[0] */
    REEF_FINDING_UNDECIDED, /* the budget of the rule ended, or a row of too many boxes is in the way */
} reef_finding_kind;

typedef struct reef_finding {
    int32_t rule;
    uint32_t kind;
    uint32_t others; /* how many there are; `other` holds the first ones */
    int32_t other[REEF_OTHERS_MAX];
    uint32_t row_optional; /* of the witness's box: see reef_box_row */
    uint32_t row;          /* number of its row within its rule */
    reef_box witness;      /* an empty box (low > high) when there is none */
} reef_finding;

/* Prove what changed since the last proof. `budget` steps for all of it, of which one rule gets `share` at most;
 * `used` says how many were used, `proven` (one byte for each rule, may be NULL) which rules were looked at.
 * Of the conflicts of a rule `conflicts` are kept; `reef_space_crossings` counts all. */
int reef_space_prove(reef_space *space, uint64_t budget, uint64_t share, uint32_t conflicts, uint64_t *used,
                     uint8_t *proven, const reef_finding **findings, uint32_t *count);
uint64_t reef_space_crossings(const reef_space *space);

/* A part of the space that is decided by one rule; where two lists are compared, by two. */
typedef struct reef_part {
    reef_box box;
    int32_t old_rule, new_rule;
    uint32_t old_row, new_row; /* numbers of the rows within their rules */
    uint32_t unsure;           /* a row of too many boxes might decide it instead */
} reef_part;

/* Which rule of `side` decides which part of `boxes`: old_rule and new_rule are the same. Parts that the fallback decides
 * are left out unless `all` is set; with `action` below 256 only parts of that action are given, and, unsure, those
 * that a row of too many boxes with that action might decide. */
int reef_space_decide(reef_space *space, const reef_box *boxes, uint32_t count, int side, uint32_t action, int all,
                      uint64_t budget, uint64_t *used, const reef_part **parts, uint32_t *part_count);

/* Where the old rules and the new ones act differently. */
int reef_space_compare(reef_space *space, uint64_t budget, uint64_t *used, const reef_part **parts,
                       uint32_t *part_count);

/* Is there a moment in the box? If so `second` is one. */
int reef_space_moment(const reef_space *space, const reef_box *box, int32_t *second);

#endif
