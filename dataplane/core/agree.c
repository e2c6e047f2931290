#include "reef/agree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reef/bytes.h"
#include "reef/status.h"

typedef unsigned __int128 u128;

#define AXES REEF_AGREE_AXES
#define SAMPLE 63       /* boundaries that a cut is chosen from */
#define DEPTH_MAX 20000 /* cuts within cuts; each takes one frame of the stack below */
#define ALL ((1u << AXES) - 1)

struct span {
    u128 first, last;
};

struct values {
    const struct span *spans;
    uint32_t count;
};

/* A row that meets the cell at hand, and the axes on which it holds all of it. */
struct held {
    uint32_t row;
    uint32_t whole;
};

struct cell {
    struct span box[AXES];
    size_t start[2]; /* of its rows in the arena */
    size_t count[2];
};

struct comparison {
    struct span *spans;
    struct values *values;
    const struct reef_agree_program *programs[2];
    struct held *arena;
    size_t used, room;
    uint64_t *told; /* an open hash table of what was told */
    size_t told_room, told_count;
    struct reef_agree_answer *answer;
};

static u128 number(const uint8_t bytes[16])
{
    return (u128)reef_be64(bytes) << 64 | reef_be64(bytes + 8);
}

static void write_number(uint8_t bytes[16], u128 value)
{
    for (int i = 15; i >= 0; i--, value >>= 8)
        bytes[i] = (uint8_t)value;
}

/* The first of the spans that ends at or behind `at`. */
static uint32_t find(const struct values *values, u128 at)
{
    uint32_t low = 0, high = values->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (values->spans[middle].last < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum relation { APART, PARTLY, WHOLLY };

static enum relation relate(const struct values *values, const struct span *box)
{
    uint32_t at = values->count == 1 ? 0 : find(values, box->first);
    if (at == values->count || values->spans[at].first > box->last || values->spans[at].last < box->first)
        return APART;
    return values->spans[at].first <= box->first && values->spans[at].last >= box->last ? WHOLLY : PARTLY;
}

static bool reserve(struct comparison *c, size_t more)
{
    if (c->room - c->used >= more)
        return true;
    size_t room = c->room ? c->room : 1024;
    while (room - c->used < more)
        room *= 2;
    struct held *arena = realloc(c->arena, room * sizeof *arena);
    if (arena == NULL)
        return false;
    c->arena = arena, c->room = room;
    return true;
}

/* Which rows are still reached while a side is read in order. */
struct reading {
    size_t begun;   /* its first row in the arena */
    uint64_t until; /* the next row that is reached */
};

static bool skips(const struct reef_agree_row *row)
{
    return row->does == REEF_AGREE_SKIPS || row->does == REEF_AGREE_IF_SKIPS;
}

/* Behind a row that ends everything (or skips on to `target`), only what a row before it skips to is reached. */
static uint64_t reached(const struct comparison *c, const struct reading *reading, const struct reef_agree_row *rows,
                        uint32_t row, uint64_t target)
{
    for (size_t i = reading->begun; i < c->used; i++) {
        uint32_t before = c->arena[i].row;
        if (skips(&rows[before]) && (uint64_t)before + rows[before].then > row)
            target = target < (uint64_t)before + rows[before].then ? target : (uint64_t)before + rows[before].then;
    }
    return target;
}

static void read_row(struct comparison *c, struct reading *reading, const struct reef_agree_row *rows, struct held held)
{
    const struct reef_agree_row *row = &rows[held.row];
    if (held.whole == ALL && row->does == REEF_AGREE_SKIPS) {
        uint64_t target = (uint64_t)held.row + row->then;
        reading->until = reached(c, reading, rows, held.row, target);
        if (reading->until == target)
            return; /* nothing lies between that could be reached */
    } else if (held.whole == ALL && row->does == REEF_AGREE_ENDS)
        reading->until = reached(c, reading, rows, held.row, UINT64_MAX);
    c->arena[c->used++] = held;
}

/* Put the rows of `from` that matter in `box` behind what the arena holds. `axis` is the one that was cut; on the others
 * nothing changed. */
static size_t keep(struct comparison *c, unsigned side, size_t from, size_t count, const struct span *box, unsigned axis)
{
    const struct reef_agree_row *rows = c->programs[side]->rows;
    size_t begun = c->used;
    struct reading reading = {c->used, 0};
    for (size_t i = 0; i < count && reading.until != UINT64_MAX; i++) {
        struct held held = c->arena[from + i];
        if (held.row < reading.until)
            continue;
        if (!(held.whole >> axis & 1)) {
            enum relation relation = relate(&c->values[rows[held.row].values[axis]], &box[axis]);
            if (relation == APART)
                continue;
            if (relation == WHOLLY)
                held.whole |= 1u << axis;
        }
        read_row(c, &reading, rows, held);
    }
    return c->used - begun;
}

/* Whether both sides are left with the very same rows: then it does not matter which packets these hold. */
static bool same(const struct comparison *c, const struct cell *cell)
{
    if (cell->count[0] != cell->count[1])
        return false;
    for (size_t i = 0; i < cell->count[0]; i++) {
        const struct held *one = &c->arena[cell->start[0] + i], *other = &c->arena[cell->start[1] + i];
        const struct reef_agree_row *a = &c->programs[0]->rows[one->row], *b = &c->programs[1]->rows[other->row];
        if (a->leaf != b->leaf || a->does != b->does || one->whole != other->whole)
            return false;
        if (skips(a))
            return false;
        for (unsigned axis = 0; axis < AXES; axis++)
            if (!(one->whole >> axis & 1) && a->values[axis] != b->values[axis])
                return false;
    }
    return true;
}

/* Where the values begin or end inside the box: the second part of the cut begins there. */
static u128 boundary(const struct values *values, const struct span *box)
{
    uint32_t low = find(values, box->first), high = find(values, box->last);
    uint32_t at = low + (high - low) / 2;
    if (at == values->count || values->spans[at].first > box->last)
        at--;
    const struct span *span = &values->spans[at];
    return span->first > box->first ? span->first : span->last + 1;
}

/* The axis on which most rows do not agree with the cell yet, and the middle of their boundaries. */
static bool choose(const struct comparison *c, const struct cell *cell, unsigned *axis, u128 *cut)
{
    size_t undone[AXES] = {0};
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < cell->count[side]; i++) {
            uint32_t whole = c->arena[cell->start[side] + i].whole;
            for (unsigned at = 0; at < AXES; at++)
                undone[at] += !(whole >> at & 1);
        }
    *axis = 0;
    for (unsigned at = 1; at < AXES; at++)
        if (undone[at] > undone[*axis])
            *axis = at;
    if (undone[*axis] == 0)
        return false;
    u128 sample[SAMPLE];
    size_t taken = 0, seen = 0, step = undone[*axis] / SAMPLE + 1;
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < cell->count[side]; i++) {
            const struct held *held = &c->arena[cell->start[side] + i];
            if (held->whole >> *axis & 1 || seen++ % step != 0 || taken == SAMPLE)
                continue;
            const struct reef_agree_row *row = &c->programs[side]->rows[held->row];
            u128 at = boundary(&c->values[row->values[*axis]], &cell->box[*axis]);
            size_t place = taken++;
            for (; place > 0 && sample[place - 1] > at; place--)
                sample[place] = sample[place - 1];
            sample[place] = at;
        }
    *cut = sample[taken / 2];
    return true;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Whether this is new; 0 stands for an empty place. */
static bool remember(struct comparison *c, uint64_t hash)
{
    hash += hash == 0;
    if (c->told_count * 2 >= c->told_room)
        return true;
    for (size_t at = hash & (c->told_room - 1);; at = (at + 1) & (c->told_room - 1)) {
        if (c->told[at] == hash)
            return false;
        if (c->told[at] == 0) {
            c->told[at] = hash, c->told_count++;
            return true;
        }
    }
}

/* Tell the caller of a cell; false when there is no more room. */
static bool tell(struct comparison *c, const struct cell *cell)
{
    struct reef_agree_answer *answer = c->answer;
    uint64_t hash = 1;
    for (unsigned side = 0; side < 2; side++) {
        bool skipping = false;
        hash = mix(hash, cell->count[side]);
        for (size_t i = 0; i < cell->count[side]; i++) {
            uint32_t at = c->arena[cell->start[side] + i].row;
            const struct reef_agree_row *row = &c->programs[side]->rows[at];
            /* Behind a row that skips it matters where the others stand. */
            skipping = skipping || skips(row);
            hash = mix(hash, skipping ? (uint64_t)row->leaf << 32 | at : row->leaf);
        }
    }
    if (!remember(c, hash))
        return true;
    size_t wanted = cell->count[0] + cell->count[1];
    if (answer->cell_count == answer->cell_room || wanted > answer->residue_room - answer->residue_count)
        return false;
    struct reef_agree_cell *told = &answer->cells[answer->cell_count++];
    told->start = (uint32_t)answer->residue_count;
    for (unsigned axis = 0; axis < AXES; axis++) {
        write_number(told->box[axis].first, cell->box[axis].first);
        write_number(told->box[axis].last, cell->box[axis].last);
    }
    for (unsigned side = 0; side < 2; side++) {
        told->counts[side] = (uint32_t)cell->count[side];
        for (size_t i = 0; i < cell->count[side]; i++)
            answer->residue[answer->residue_count++] = c->arena[cell->start[side] + i].row;
    }
    return true;
}

struct stack {
    struct cell *cells;
    size_t room;
};

static bool deepen(struct stack *stack, size_t depth)
{
    if (depth <= stack->room)
        return true;
    size_t room = stack->room ? stack->room * 2 : 64;
    struct cell *cells = realloc(stack->cells, room * sizeof *cells);
    if (cells == NULL)
        return false;
    stack->cells = cells, stack->room = room;
    return true;
}

/* Cut the cell on top of the stack until it is decided. The stack is depth first, so the arena is one, too. */
static int run(struct comparison *c, struct stack *stack)
{
    struct reef_agree_answer *answer = c->answer;
    size_t depth = 1;
    while (depth > 0) {
        struct cell cell = stack->cells[--depth];
        c->used = cell.start[1] + cell.count[1];
        uint64_t cost = cell.count[0] + cell.count[1] + 1;
        if (answer->budget < cost)
            return REEF_OK;
        answer->budget -= cost;
        if (same(c, &cell))
            continue;
        unsigned axis;
        u128 cut;
        if (!choose(c, &cell, &axis, &cut)) {
            if (!tell(c, &cell))
                return REEF_OK;
            continue;
        }
        if (depth + 2 > DEPTH_MAX)
            return REEF_OK;
        if (!deepen(stack, depth + 2))
            return REEF_NOMEM;
        /* The rows of both halves lie one behind the other; the second half is looked at first. */
        for (unsigned half = 0; half < 2; half++) {
            struct cell *part = &stack->cells[depth++];
            *part = cell;
            if (half == 0)
                part->box[axis].last = cut - 1;
            else
                part->box[axis].first = cut;
            if (!reserve(c, cell.count[0] + cell.count[1]))
                return REEF_NOMEM;
            for (unsigned side = 0; side < 2; side++) {
                part->start[side] = c->used;
                part->count[side] = keep(c, side, cell.start[side], cell.count[side], part->box, axis);
            }
        }
    }
    answer->complete = 1;
    return REEF_OK;
}

/* The first cell: the whole space with every row that holds something of it. */
static int begin(struct comparison *c, const struct reef_agree_space *space, struct cell *cell)
{
    for (unsigned axis = 0; axis < AXES; axis++)
        cell->box[axis] = (struct span){number(space->whole[axis].first), number(space->whole[axis].last)};
    for (unsigned side = 0; side < 2; side++) {
        const struct reef_agree_program *program = c->programs[side];
        if (program->count > UINT32_MAX / 2)
            return REEF_INVALID;
        if (!reserve(c, program->count))
            return REEF_NOMEM;
        cell->start[side] = c->used;
        struct reading reading = {c->used, 0};
        for (size_t i = 0; i < program->count; i++) {
            const struct reef_agree_row *row = &program->rows[i];
            struct held held = {(uint32_t)i, 0};
            bool apart = false;
            if (skips(row) && row->then == 0)
                return REEF_INVALID;
            for (unsigned axis = 0; axis < AXES; axis++) {
                if (row->values[axis] >= space->values_count)
                    return REEF_INVALID;
                enum relation relation = relate(&c->values[row->values[axis]], &cell->box[axis]);
                apart = apart || relation == APART;
                held.whole |= (uint32_t)(relation == WHOLLY) << axis;
            }
            if (!apart && i >= reading.until)
                read_row(c, &reading, program->rows, held);
        }
        cell->count[side] = c->used - cell->start[side];
    }
    return REEF_OK;
}

static int prepare(struct comparison *c, const struct reef_agree_space *space)
{
    c->spans = calloc(space->interval_count + 1, sizeof *c->spans);
    c->values = calloc(space->values_count + 1, sizeof *c->values);
    c->told_room = 1 << 12;
    c->told = calloc(c->told_room, sizeof *c->told);
    if (c->spans == NULL || c->values == NULL || c->told == NULL)
        return REEF_NOMEM;
    for (size_t i = 0; i < space->interval_count; i++)
        c->spans[i] = (struct span){number(space->intervals[i].first), number(space->intervals[i].last)};
    for (size_t i = 0; i < space->values_count; i++) {
        const struct reef_agree_values *values = &space->values[i];
        if (values->start > space->interval_count || values->count > space->interval_count - values->start)
            return REEF_INVALID;
        c->values[i] = (struct values){c->spans + values->start, values->count};
        for (uint32_t j = 0; j < values->count; j++) {
            const struct span *span = &c->values[i].spans[j];
            if (span->first > span->last || (j > 0 && span[-1].last >= span->first))
                return REEF_INVALID;
        }
    }
    return REEF_OK;
}

int reef_agree(const struct reef_agree_space *space, const struct reef_agree_program *one,
               const struct reef_agree_program *other, struct reef_agree_answer *answer)
{
    struct comparison c = {.programs = {one, other}, .answer = answer};
    answer->cell_count = answer->residue_count = 0;
    answer->complete = 0;
    struct stack stack = {NULL, 0};
    int status = deepen(&stack, 1) ? prepare(&c, space) : REEF_NOMEM;
    if (status == REEF_OK)
        status = begin(&c, space, &stack.cells[0]);
    if (status == REEF_OK)
        status = run(&c, &stack);
    free(stack.cells);
    free(c.spans);
    free(c.values);
    free(c.told);
    free(c.arena);
    return status;
}
