/* The inside of a space, shared by the files boxes*.c. */
#ifndef REEF_BOXES_INTERNAL_H
#define REEF_BOXES_INTERNAL_H

#include <stdbool.h>
#include <string.h>

#include "reef/boxes.h"
#include "reef/status.h"

typedef unsigned __int128 reef_wide;

/* A box of a rule. Entries [0, treed) lie in the order of the tree's leaves, the others wait for the next building. */
typedef struct reef_entry {
    reef_box box;
    int32_t rule; /* REEF_NO_RULE: it is gone */
    uint32_t row;
    int32_t effect;
    uint8_t optional, unsure, side, action;
} reef_entry;

/* A node knows the box around all below it, and which rules lie there. A leaf has `count` entries. */
typedef struct reef_node {
    int32_t low[REEF_AXES], high[REEF_AXES];
    int32_t first_rule, last_rule;
    uint32_t first, count;
    uint32_t child[3]; /* 0: none */
    int32_t effect; /* of all entries below, or MIXED */
    uint8_t actions, sides;
} reef_node;

/* A piece of a question; `key` is where in the order of entries the search goes on, `bound` where it ends. */
typedef struct reef_piece {
    reef_box box;
    uint64_t key, bound;
} reef_piece;

/* How much may meet a box and still be kept as a list; a test sets it so low that nothing is. */
#ifndef REEF_NEAR_MAX
#define REEF_NEAR_MAX 96
#endif

struct reef_space {
    reef_box_rule fallback;
    reef_box_stretch *stretch;
    uint32_t stretches;
    int32_t last;
    uint64_t all_times;

    reef_box_rule *rule;
    uint32_t rules;
    uint8_t *dirty;
    uint32_t *crossing; /* conflicts of each rule with later ones */

    reef_entry *entry;
    uint32_t entries, entry_room, treed, gone;
    uint32_t *rule_end, *rule_entry; /* the entries of rule i: rule_entry[rule_end[i-1]] up to rule_end[i] */

    reef_wide *four, *six; /* borders: the first address of each rank */
    uint32_t fours, sixes;

    reef_node *node; /* node 0 is the root */
    uint32_t nodes, node_room;

    reef_piece *piece;
    uint32_t pieces, piece_room;
    reef_part *part;
    uint32_t parts, part_room;
    reef_finding *finding;
    uint32_t findings, finding_room;
    uint32_t *stamp; /* one for each rule, of the question that saw it last */
    uint32_t now_stamp;

    /* What meets `near_box`, in the order of a walk: walks for parts of that box look at nothing else. */
    reef_box near_box;
    uint32_t near[REEF_NEAR_MAX], nears;
    bool near_known;

    uint64_t steps, limit;
};

enum { REEF_EFFECT_MIXED = -1, REEF_ANY_EFFECT = 0, REEF_THIS_EFFECT, REEF_OTHER_EFFECT };

/* The entries that meet a box, or that hold all of it, among rules from `from` to `to`. */
typedef struct reef_walk {
    reef_space *space;
    const reef_box *box;
    int32_t from, to;
    uint8_t actions, sides;
    bool holding; /* only entries that hold all of the box */
    uint8_t which; /* REEF_..._EFFECT, by `effect` */
    int32_t effect;
    uint32_t at, end;
    bool among; /* at and end are of the space's `near` */
    uint32_t depth;
    uint32_t stack[256];
} reef_walk;

#define REEF_TREE_DEPTH 80
#define REEF_NO_ENTRY UINT32_MAX

int reef_tree_build(reef_space *space);
void reef_walk_start(reef_walk *walk, reef_space *space, const reef_box *box);
uint32_t reef_walk_next(reef_walk *walk); /* the number of an entry, or REEF_NO_ENTRY */
/* Is there nothing left but what the walk is looking at? */
static inline bool reef_walk_ends(const reef_walk *walk)
{
    return walk->among ? walk->at >= walk->end : walk->depth == 0;
}
/* Remember what meets a box, unless that is too much. Until `reef_forget_near`. */
void reef_know_near(reef_space *space, const reef_box *box);
static inline void reef_forget_near(reef_space *space)
{
    space->near_known = false;
}

/* Room for `need` elements in a vector of elements of `size` bytes, at most `most` of them. */
int reef_room(void **vector, uint32_t *room, uint64_t need, size_t size, uint32_t most);
int reef_index_rules(reef_space *space);
/* The ranks of an interval of addresses that begins and ends at borders. */
void reef_ranks4(const reef_space *space, reef_wide first, reef_wide last, int32_t *low, int32_t *high);
void reef_ranks6(const reef_space *space, reef_wide first, reef_wide last, int32_t *low, int32_t *high);
static inline reef_wide reef_wide_at(const uint8_t *bytes)
{
    reef_wide value;
    memcpy(&value, bytes, sizeof value);
    return value;
}
int reef_push(reef_space *space, const reef_box *box, uint64_t key, uint64_t bound);
/* Push what is left of `box` beside `taken`, which meets it; what they share goes to `common`. */
int reef_split(reef_space *space, const reef_box *box, const reef_box *taken, uint64_t key, uint64_t bound,
               reef_box *common);
bool reef_has_moment(reef_space *space, const reef_box *box, int32_t *second);
int reef_merge_parts(reef_space *space);
int reef_add_part(reef_space *space, const reef_part *part);

/* Four axes at a time: any processor of this architecture can. */
typedef int32_t reef_four __attribute__((vector_size(16)));
typedef int64_t reef_two __attribute__((vector_size(16)));
_Static_assert(REEF_AXES == 8, "two vectors have all axes");

static inline reef_four reef_load(const int32_t *from)
{
    reef_four value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline bool reef_none(reef_four flags)
{
    reef_two wide = (reef_two)flags;
    return (wide[0] | wide[1]) == 0;
}

static inline bool reef_meets(const reef_box *a, const int32_t *low, const int32_t *high)
{
    return reef_none((reef_load(a->low) > reef_load(high)) | (reef_load(a->low + 4) > reef_load(high + 4)) |
                     (reef_load(low) > reef_load(a->high)) | (reef_load(low + 4) > reef_load(a->high + 4)));
}

static inline bool reef_boxes_meet(const reef_box *a, const reef_box *b)
{
    return reef_meets(a, b->low, b->high) && (a->times & b->times) && !(a->yes & b->no) && !(a->no & b->yes);
}

static inline bool reef_within(const reef_box *a, const int32_t *low, const int32_t *high)
{
    return reef_none((reef_load(low) > reef_load(a->low)) | (reef_load(low + 4) > reef_load(a->low + 4)) |
                     (reef_load(a->high) > reef_load(high)) | (reef_load(a->high + 4) > reef_load(high + 4)));
}

/* Is `a` inside `b`? */
static inline bool reef_box_inside(const reef_box *a, const reef_box *b)
{
    return reef_within(a, b->low, b->high) && !(a->times & ~b->times) && !(b->yes & ~a->yes) && !(b->no & ~a->no);
}

static inline uint64_t reef_key(const reef_space *space, uint32_t entry)
{
    return (uint64_t)(uint32_t)space->entry[entry].rule << 32 | entry;
}

#endif
