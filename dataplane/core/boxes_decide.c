/* Which rule decides what: of one list of rules, or of two that are compared. */
#include <string.h>

#include "boxes_internal.h"

enum { NO_ACTION = 256 }; /* of every action, or of none in particular */

/* What meets a box first, at or after a key. */
typedef struct first_met {
    uint32_t entry;  /* of which all is known */
    uint32_t unsure; /* whether one of which nothing is known comes before it */
    uint32_t maybe;  /* the first such entry of the action that is asked for */
} first_met;

static first_met first_of(reef_space *space, const reef_box *box, uint64_t key, uint8_t sides, uint32_t action)
{
    uint64_t best = UINT64_MAX, doubt = UINT64_MAX, maybe = UINT64_MAX;
    reef_walk walk;
    reef_walk_start(&walk, space, box);
    walk.from = (int32_t)(key >> 32);
    walk.sides = sides;
    for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;) {
        uint64_t at = reef_key(space, found);
        if (at < key)
            continue;
        if (space->entry[found].unsure) {
            doubt = at < doubt ? at : doubt;
            if (space->entry[found].action == action && at < maybe)
                maybe = at;
        } else if (at < best) {
            best = at;
            walk.to = space->entry[found].rule;
        }
    }
    return (first_met){
        .entry = best == UINT64_MAX ? REEF_NO_ENTRY : (uint32_t)best,
        .unsure = doubt < best,
        .maybe = maybe < best ? (uint32_t)maybe : REEF_NO_ENTRY,
    };
}

static void begin(reef_space *space, uint64_t budget)
{
    space->steps = 0;
    space->limit = budget;
    space->pieces = 0;
    space->parts = 0;
}

static int finish(reef_space *space, int status, uint64_t *used, const reef_part **parts, uint32_t *count)
{
    if (status == REEF_OK)
        status = reef_merge_parts(space);
    *used = space->steps;
    *parts = space->part;
    *count = space->parts;
    return status;
}

/* Whoever decides a box: rules of which nothing is known might, with the action that is asked for. */
static int add_doubts(reef_space *space, const reef_box *box, first_met met, uint8_t sides, uint32_t action)
{
    int status = REEF_OK;
    while (met.maybe != REEF_NO_ENTRY && status == REEF_OK) {
        const reef_entry *might = &space->entry[met.maybe];
        const reef_part doubt = {.box = *box, .old_rule = might->rule, .new_rule = might->rule,
                                 .old_row = might->row, .new_row = might->row, .unsure = 1};
        status = reef_add_part(space, &doubt);
        met = first_of(space, box, (uint64_t)(uint32_t)(might->rule + 1) << 32, sides, action);
    }
    return status;
}

int reef_space_decide(reef_space *space, const reef_box *boxes, uint32_t count, int side, uint32_t action, int all,
                      uint64_t budget, uint64_t *used, const reef_part **parts, uint32_t *part_count)
{
    begin(space, budget);
    int status = REEF_OK;
    for (uint32_t i = count; i-- > 0 && status == REEF_OK;)
        status = reef_push(space, &boxes[i], 0, 0);
    while (space->pieces > 0 && status == REEF_OK) {
        if (space->steps > budget) {
            status = REEF_END;
            break;
        }
        const reef_piece piece = space->piece[--space->pieces];
        int32_t second;
        if (!reef_has_moment(space, &piece.box, &second))
            continue;
        reef_part part = {.box = piece.box, .old_rule = REEF_NO_RULE, .new_rule = REEF_NO_RULE};
        const first_met met = first_of(space, &piece.box, piece.key, (uint8_t)side, action);
        const uint32_t found = met.entry;
        part.unsure = met.unsure;
        status = add_doubts(space, &piece.box, met, (uint8_t)side, action);
        if (status != REEF_OK)
            break;
        if (found == REEF_NO_ENTRY) {
            if (all && (action > 255 || action == space->fallback.action))
                status = reef_add_part(space, &part);
            continue;
        }
        const reef_entry *entry = &space->entry[found];
        const uint32_t waiting = space->pieces;
        status = reef_split(space, &piece.box, &entry->box, reef_key(space, found) + 1, 0, &part.box);
        if (entry->optional) { /* it decides this, and may as well not */
            space->pieces = waiting;
            if (status == REEF_OK)
                status = reef_push(space, &piece.box, reef_key(space, found) + 1, 0);
        }
        part.old_rule = part.new_rule = entry->rule;
        part.old_row = part.new_row = entry->row;
        if (status == REEF_OK && (action > 255 || action == entry->action) &&
            reef_has_moment(space, &part.box, &second))
            status = reef_add_part(space, &part);
    }
    return finish(space, status, used, parts, part_count);
}

/* --- two lists ------------------------------------------------------------------------------------- */

static const reef_box_rule *rule_of(const reef_space *space, int32_t rule)
{
    return rule == REEF_NO_RULE ? &space->fallback : &space->rule[rule];
}

/* One side has decided a box at `key`; who decides it on the other? */
static int other_side(reef_space *space, const reef_part *known, uint64_t key, bool old_known)
{
    const uint32_t waiting = space->pieces;
    int status = reef_push(space, &known->box, key, 0);
    const uint8_t action = rule_of(space, old_known ? known->old_rule : known->new_rule)->action;
    while (space->pieces > waiting && status == REEF_OK) {
        if (space->steps > space->limit)
            return REEF_END;
        const reef_piece piece = space->piece[--space->pieces];
        reef_part part = *known;
        part.box = piece.box;
        const first_met met =
            first_of(space, &piece.box, piece.key, old_known ? REEF_SIDE_NEW : REEF_SIDE_OLD, NO_ACTION);
        const uint32_t found = met.entry;
        part.unsure |= met.unsure;
        int32_t rule = REEF_NO_RULE;
        uint32_t row = 0;
        if (found != REEF_NO_ENTRY) {
            const reef_entry *entry = &space->entry[found];
            const uint32_t before = space->pieces;
            rule = entry->rule;
            row = entry->row;
            status = reef_split(space, &piece.box, &entry->box, reef_key(space, found) + 1, 0, &part.box);
            if (status == REEF_OK && entry->optional) {
                space->pieces = before;
                status = reef_push(space, &piece.box, reef_key(space, found) + 1, 0);
            }
        }
        int32_t second;
        if (status != REEF_OK || rule_of(space, rule)->action == action || !reef_has_moment(space, &part.box, &second))
            continue;
        if (old_known) {
            part.new_rule = rule;
            part.new_row = row;
        } else {
            part.old_rule = rule;
            part.old_row = row;
        }
        status = reef_add_part(space, &part);
    }
    return status;
}

/* A piece of what a changed rule has: met by both lists down to the first rule that only one of them has. */
static int compare_piece(reef_space *space, const reef_piece *piece)
{
    reef_part part = {.box = piece->box, .old_rule = REEF_NO_RULE, .new_rule = REEF_NO_RULE};
    const first_met met = first_of(space, &piece->box, piece->key, REEF_SIDE_BOTH, NO_ACTION);
    const uint32_t found = met.entry;
    part.unsure = met.unsure;
    if (found == REEF_NO_ENTRY)
        return REEF_OK; /* the fallback, twice */
    const reef_entry *entry = &space->entry[found];
    const uint64_t after = reef_key(space, found) + 1;
    const uint32_t waiting = space->pieces;
    int status = reef_split(space, &piece->box, &entry->box, after, 0, &part.box);
    if (status == REEF_OK && entry->optional) {
        space->pieces = waiting;
        status = reef_push(space, &piece->box, after, 0);
    }
    int32_t second;
    if (status != REEF_OK || entry->side == REEF_SIDE_BOTH || !reef_has_moment(space, &part.box, &second))
        return status;
    if (entry->side == REEF_SIDE_OLD) {
        part.old_rule = entry->rule;
        part.old_row = entry->row;
    } else {
        part.new_rule = entry->rule;
        part.new_row = entry->row;
    }
    return other_side(space, &part, after, entry->side == REEF_SIDE_OLD);
}

/* An entry of a changed rule, before `key`, that meets a box: what they share was looked at with that one. */
static uint32_t changed_before(reef_space *space, const reef_box *box, uint64_t key)
{
    reef_walk walk;
    reef_walk_start(&walk, space, box);
    walk.to = (int32_t)(key >> 32);
    for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;)
        if (space->entry[found].side != REEF_SIDE_BOTH && !space->entry[found].unsure && reef_key(space, found) < key)
            return found;
    return REEF_NO_ENTRY;
}

/* The parts of one changed entry that no earlier changed entry has, each compared. */
static int compare_entry(reef_space *space, uint32_t number)
{
    const uint64_t own = reef_key(space, number);
    space->pieces = 0;
    int status = reef_push(space, &space->entry[number].box, 0, 0);
    while (space->pieces > 0 && status == REEF_OK) {
        if (space->steps > space->limit)
            return REEF_END;
        const reef_piece piece = space->piece[--space->pieces];
        if (piece.key == 0) {
            uint32_t before = changed_before(space, &piece.box, own);
            if (before != REEF_NO_ENTRY) {
                reef_box common;
                status = reef_split(space, &piece.box, &space->entry[before].box, 0, 0, &common);
                continue;
            }
        }
        status = compare_piece(space, &piece);
    }
    return status;
}

int reef_space_compare(reef_space *space, uint64_t budget, uint64_t *used, const reef_part **parts,
                       uint32_t *part_count)
{
    begin(space, budget);
    int status = REEF_OK;
    for (uint32_t rule = 0; rule < space->rules && status == REEF_OK; rule++) {
        if (space->rule[rule].side == REEF_SIDE_BOTH)
            continue;
        uint32_t i = rule == 0 ? 0 : space->rule_end[rule - 1];
        for (; i < space->rule_end[rule] && status == REEF_OK; i++) {
            const reef_entry *entry = &space->entry[space->rule_entry[i]];
            if (entry->unsure) { /* what it changes nobody knows: that is told, too */
                reef_part doubt = {.box = entry->box, .old_rule = REEF_NO_RULE, .new_rule = REEF_NO_RULE, .unsure = 1};
                *(entry->side == REEF_SIDE_OLD ? &doubt.old_rule : &doubt.new_rule) = entry->rule;
                status = reef_add_part(space, &doubt);
            }
            if (status == REEF_OK)
                status = compare_entry(space, space->rule_entry[i]);
        }
    }
    return finish(space, status, used, parts, part_count);
}
