/* agree: two programs in small worlds, against looking at every packet under every assignment of the conditions. */
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "reef/agree.h"
#include "reef/status.h"

#define WORLDS 4000
#define ROWS_MAX 9
#define SIDE 4 /* values on an axis */
#define USED 3 /* axes that say something */
#define CONDITIONS 2
#define DEEDS 3

/* A leaf is (condition or none) * DEEDS + deed; skips have the deed 0. */
static struct reef_agree_interval intervals[256];
static struct reef_agree_values values[128];
static size_t interval_count, values_count;

static uint64_t state = 88172645463325252u;

static unsigned chance(unsigned below)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)(state >> 33) % below;
}

static void put(uint8_t bytes[16], unsigned value)
{
    memset(bytes, 0, 16);
    bytes[15] = (uint8_t)value;
}

/* Every set of values of an axis, by its bits, as intervals: number `mask`; 0 is not used. */
static void make_values(void)
{
    values_count = 1u << SIDE;
    interval_count = 0;
    for (unsigned mask = 0; mask < values_count; mask++) {
        values[mask] = (struct reef_agree_values){(uint32_t)interval_count, 0};
        for (unsigned at = 0; at < SIDE; at++) {
            if (!(mask >> at & 1))
                continue;
            unsigned last = at;
            while (last + 1 < SIDE && mask >> (last + 1) & 1)
                last++;
            put(intervals[interval_count].first, at);
            put(intervals[interval_count++].last, last);
            values[mask].count++;
            at = last;
        }
    }
}

static size_t make_program(struct reef_agree_row *rows)
{
    size_t count = 1 + chance(ROWS_MAX - 1);
    for (size_t i = 0; i < count; i++) {
        struct reef_agree_row *row = &rows[i];
        memset(row, 0, sizeof *row);
        for (unsigned axis = 0; axis < REEF_AGREE_AXES; axis++) {
            unsigned all = (1u << SIDE) - 1;
            row->values[axis] = axis < USED && chance(3) ? 1 + chance(all) : all;
        }
        unsigned condition = chance(CONDITIONS + 2); /* the last two: none */
        bool sure = condition >= CONDITIONS, skips = i + 1 < count && chance(4) == 0;
        row->does = skips ? (sure ? REEF_AGREE_SKIPS : REEF_AGREE_IF_SKIPS)
                          : (sure ? REEF_AGREE_ENDS : REEF_AGREE_IF_ENDS);
        row->then = skips ? 1 + chance((unsigned)(count - i)) : 0;
        row->leaf = (sure ? CONDITIONS : condition) * (DEEDS + 1) + (skips ? 0 : 1 + chance(DEEDS));
    }
    return count;
}

/* What a program decides: a deed, 0 for none. `held` are the places of the rows that may be looked at. */
static unsigned decide(const struct reef_agree_row *rows, size_t count, const unsigned *packet, unsigned given,
                       const uint32_t *held, size_t held_count)
{
    uint64_t until = 0;
    for (size_t n = 0; n < (held == NULL ? count : held_count); n++) {
        size_t i = held == NULL ? n : held[n];
        const struct reef_agree_row *row = &rows[i];
        if (i < until)
            continue;
        unsigned condition = row->leaf / (DEEDS + 1);
        if (condition < CONDITIONS && !(given >> condition & 1))
            continue;
        bool inside = true;
        for (unsigned axis = 0; packet != NULL && axis < USED; axis++)
            inside = inside && (row->values[axis] >> packet[axis] & 1);
        if (!inside)
            continue;
        if (row->does == REEF_AGREE_ENDS || row->does == REEF_AGREE_IF_ENDS)
            return row->leaf % (DEEDS + 1);
        until = i + row->then;
    }
    return 0;
}

static struct reef_agree_cell cells[4096];
static uint32_t residue[65536];

static bool in_box(const struct reef_agree_cell *cell, const unsigned *packet)
{
    for (unsigned axis = 0; axis < USED; axis++)
        if (packet[axis] < cell->box[axis].first[15] || packet[axis] > cell->box[axis].last[15])
            return false;
    return true;
}

/* Whether the answer says of a packet in a cell what the programs say. */
static void check_cell(const struct reef_agree_row *const rows[2], const size_t counts[2],
                       const struct reef_agree_cell *cell, const unsigned *packet, unsigned given)
{
    const uint32_t *held = residue + cell->start;
    for (unsigned side = 0; side < 2; side++) {
        CHECK(decide(rows[side], counts[side], packet, given, NULL, 0) ==
              decide(rows[side], counts[side], NULL, given, held, cell->counts[side]));
        held += cell->counts[side];
    }
}

static bool looked_at(const struct reef_agree_row *const rows[2], const size_t counts[2],
                      const struct reef_agree_answer *answer, bool *told)
{
    bool differs = false;
    *told = false;
    unsigned packet[USED];
    for (unsigned number = 0; number < SIDE * SIDE * SIDE; number++) {
        packet[0] = number % SIDE, packet[1] = number / SIDE % SIDE, packet[2] = number / SIDE / SIDE;
        for (unsigned given = 0; given < 1u << CONDITIONS; given++) {
            differs = differs || decide(rows[0], counts[0], packet, given, NULL, 0) !=
                                     decide(rows[1], counts[1], packet, given, NULL, 0);
            for (size_t i = 0; i < answer->cell_count; i++)
                if (in_box(&answer->cells[i], packet))
                    check_cell(rows, counts, &answer->cells[i], packet, given);
        }
    }
    for (size_t i = 0; i < answer->cell_count; i++) {
        const uint32_t *one = residue + answer->cells[i].start, *other = one + answer->cells[i].counts[0];
        for (unsigned given = 0; given < 1u << CONDITIONS; given++)
            *told = *told || decide(rows[0], counts[0], NULL, given, one, answer->cells[i].counts[0]) !=
                                 decide(rows[1], counts[1], NULL, given, other, answer->cells[i].counts[1]);
    }
    return differs;
}

static struct reef_agree_answer ask(const struct reef_agree_space *space, struct reef_agree_row *const rows[2],
                                    const size_t counts[2], uint64_t budget, int wanted)
{
    struct reef_agree_program programs[2] = {{rows[0], counts[0]}, {rows[1], counts[1]}};
    struct reef_agree_answer answer = {.cells = cells,
                                       .cell_room = sizeof cells / sizeof *cells,
                                       .residue = residue,
                                       .residue_room = sizeof residue / sizeof *residue,
                                       .budget = budget};
    CHECK(reef_agree(space, &programs[0], &programs[1], &answer) == wanted);
    return answer;
}

int main(void)
{
    make_values();
    struct reef_agree_space space = {intervals, interval_count, values, values_count, {{{0}, {0}}}};
    for (unsigned axis = 0; axis < REEF_AGREE_AXES; axis++)
        put(space.whole[axis].last, SIDE - 1);
    unsigned alike = 0, others = 0;
    for (unsigned world = 0; world < WORLDS; world++) {
        static struct reef_agree_row one[ROWS_MAX], other[ROWS_MAX];
        struct reef_agree_row *const rows[2] = {one, other};
        size_t counts[2] = {make_program(one), 0};
        if (chance(2)) { /* nearly the same: one row of it is another */
            memcpy(other, one, sizeof one);
            counts[1] = counts[0];
            if (chance(3))
                other[chance((unsigned)counts[1])].values[chance(USED)] = 1 + chance((1u << SIDE) - 1);
        } else
            counts[1] = make_program(other);
        struct reef_agree_answer answer = ask(&space, rows, counts, 1u << 24, REEF_OK);
        CHECK(answer.complete);
        bool told;
        bool differs = looked_at((const struct reef_agree_row *const *)rows, counts, &answer, &told);
        CHECK(differs == told);
        alike += !differs, others += differs;
        CHECK(!ask(&space, rows, counts, 0, REEF_OK).complete); /* without a budget nothing is claimed */
    }
    CHECK(alike > WORLDS / 10 && others > WORLDS / 10);

    /* Rows that name what is not there, or skip to themselves, and values that overlap, are refused. */
    static struct reef_agree_row bad[1];
    struct reef_agree_row *const rows[2] = {bad, bad};
    const size_t counts[2] = {1, 1};
    bad[0] = (struct reef_agree_row){.does = REEF_AGREE_ENDS};
    bad[0].values[2] = (uint32_t)values_count;
    ask(&space, rows, counts, 100, REEF_INVALID);
    bad[0] = (struct reef_agree_row){.does = REEF_AGREE_SKIPS};
    ask(&space, rows, counts, 100, REEF_INVALID);
    put(intervals[1].last, 200), put(intervals[1].first, 201);
    ask(&space, rows, counts, 100, REEF_INVALID);
    return 0;
}
