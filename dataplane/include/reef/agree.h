/* Do two first-match programs decide every packet alike?
 *
 * A program is a row of matches over the same axes. Reading it in order, the first row that holds a packet, and whose
 * conditions hold, decides it; a row may instead leave out the rows behind it. The space of packets is cut into cells
 * until in each cell every row holds all of it or nothing of it: exact, and bounded by a budget of steps. */
#ifndef REEF_AGREE_H
#define REEF_AGREE_H

#include <stddef.h>
#include <stdint.h>

#define REEF_AGREE_AXES 7
#define REEF_AGREE_RESIDUE_MAX 4096 /* rows of one answer that are told */

/* What a row does where it holds. The order of the values matters to nobody. */
enum {
    REEF_AGREE_ENDS = 1,     /* nothing behind it is reached */
    REEF_AGREE_SKIPS = 2,    /* goes on `then` rows further */
    REEF_AGREE_IF_ENDS = 3,  /* ends where its conditions hold */
    REEF_AGREE_IF_SKIPS = 4, /* skips where its conditions hold */
};

/* A closed interval; 16 bytes in network order each. */
struct reef_agree_interval {
    uint8_t first[16];
    uint8_t last[16];
};

/* The values that a row holds on one axis: `count` intervals from `start`, disjoint and ascending. */
struct reef_agree_values {
    uint32_t start;
    uint32_t count;
};

struct reef_agree_row {
    uint32_t values[REEF_AGREE_AXES]; /* by number; equal values have equal numbers */
    uint32_t leaf;                    /* what it does, by number; equal deeds have equal numbers */
    uint32_t does;                    /* one of the above */
    uint32_t then;                    /* for rows that skip: where it goes on, counted from this row, >= 1 */
};

struct reef_agree_program {
    const struct reef_agree_row *rows;
    size_t count;
};

/* The caller's world: all intervals, all values, the whole space. */
struct reef_agree_space {
    const struct reef_agree_interval *intervals;
    size_t interval_count;
    const struct reef_agree_values *values;
    size_t values_count;
    struct reef_agree_interval whole[REEF_AGREE_AXES];
};

/* A cell in which the two programs are left with different rows. The caller judges whether these mean the same. */
struct reef_agree_cell {
    struct reef_agree_interval box[REEF_AGREE_AXES];
    uint32_t start;    /* of its rows in `residue`: those of the first program, then those of the second */
    uint32_t counts[2];
};

struct reef_agree_answer {
    struct reef_agree_cell *cells; /* room for `cell_room`, by the caller */
    size_t cell_room, cell_count;
    uint32_t *residue; /* rows by their place in their program; room for `residue_room` */
    size_t residue_room, residue_count;
    uint64_t budget; /* steps that may be taken; what is left of them afterwards */
    int complete;    /* 0: the budget or the room ended first, and nothing is proven */
};

/* REEF_OK, REEF_NOMEM, or REEF_INVALID for rows that name values which are not there. Cells that are left with the same
 * rows are told once. */
int reef_agree(const struct reef_agree_space *space, const struct reef_agree_program *one,
               const struct reef_agree_program *other, struct reef_agree_answer *answer);

#endif
