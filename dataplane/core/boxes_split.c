/* Taking boxes away from boxes, and joining what is left. */
#include <stdlib.h>
#include <string.h>

#include "boxes_internal.h"

int reef_push(reef_space *space, const reef_box *box, uint64_t key, uint64_t bound)
{
    int status = reef_room((void **)&space->piece, &space->piece_room, (uint64_t)space->pieces + 1,
                           sizeof *space->piece, REEF_PIECES_MAX);
    if (status != REEF_OK)
        return status == REEF_FULL ? REEF_END : status; /* a question of too many pieces is one without an answer */
    space->piece[space->pieces++] = (reef_piece){*box, key, bound};
    return REEF_OK;
}

int reef_split(reef_space *space, const reef_box *box, const reef_box *taken, uint64_t key, uint64_t bound,
               reef_box *common)
{
    reef_box inside = *box;
    int status = REEF_OK;
    for (int axis = 0; axis < REEF_AXES && status == REEF_OK; axis++) {
        if (inside.low[axis] < taken->low[axis]) {
            reef_box rest = inside;
            rest.high[axis] = taken->low[axis] - 1;
            inside.low[axis] = taken->low[axis];
            status = reef_push(space, &rest, key, bound);
        }
        if (status == REEF_OK && inside.high[axis] > taken->high[axis]) {
            reef_box rest = inside;
            rest.low[axis] = taken->high[axis] + 1;
            inside.high[axis] = taken->high[axis];
            status = reef_push(space, &rest, key, bound);
        }
    }
    if (status == REEF_OK && (inside.times & ~taken->times)) {
        reef_box rest = inside;
        rest.times &= ~taken->times;
        inside.times &= taken->times;
        status = reef_push(space, &rest, key, bound);
    }
    for (uint64_t open = taken->yes & ~inside.yes; open && status == REEF_OK; open &= open - 1) {
        uint64_t bit = open & (~open + 1);
        reef_box rest = inside;
        rest.no |= bit;
        inside.yes |= bit;
        status = reef_push(space, &rest, key, bound);
    }
    for (uint64_t open = taken->no & ~inside.no; open && status == REEF_OK; open &= open - 1) {
        uint64_t bit = open & (~open + 1);
        reef_box rest = inside;
        rest.yes |= bit;
        inside.no |= bit;
        status = reef_push(space, &rest, key, bound);
    }
    *common = inside;
    return status;
}

bool reef_has_moment(reef_space *space, const reef_box *box, int32_t *second)
{
    const int32_t low = box->low[REEF_AXIS_SECOND], high = box->high[REEF_AXIS_SECOND];
    uint32_t first = 0, count = space->stretches;
    while (count > 1) { /* the last stretch that begins at or before `low` */
        uint32_t half = count / 2;
        first = space->stretch[first + half].second <= low ? first + half : first;
        count -= half;
    }
    for (uint32_t i = first; i < space->stretches && space->stretch[i].second <= high; i++) {
        space->steps++;
        if (box->times >> space->stretch[i].kind & 1) {
            *second = space->stretch[i].second > low ? space->stretch[i].second : low;
            return low <= high;
        }
    }
    return false;
}

int reef_space_moment(const reef_space *space, const reef_box *box, int32_t *second)
{
    reef_space seen = *space; /* its steps are of no question */
    return reef_has_moment(&seen, box, second);
}

int reef_add_part(reef_space *space, const reef_part *part)
{
    int status = reef_room((void **)&space->part, &space->part_room, (uint64_t)space->parts + 1, sizeof *space->part,
                           REEF_PARTS_MAX);
    if (status != REEF_OK)
        return status == REEF_FULL ? REEF_END : status;
    space->part[space->parts++] = *part;
    return REEF_OK;
}

/* What two parts must share to be joined along `axis` (REEF_AXES: along the times), and then where they begin. */
static int compare_but(const reef_part *a, const reef_part *b, int axis)
{
    if (a->old_rule != b->old_rule)
        return a->old_rule < b->old_rule ? -1 : 1;
    if (a->new_rule != b->new_rule)
        return a->new_rule < b->new_rule ? -1 : 1;
    if (a->old_row != b->old_row)
        return a->old_row < b->old_row ? -1 : 1;
    if (a->new_row != b->new_row)
        return a->new_row < b->new_row ? -1 : 1;
    if (a->unsure != b->unsure)
        return a->unsure < b->unsure ? -1 : 1;
    if (a->box.yes != b->box.yes)
        return a->box.yes < b->box.yes ? -1 : 1;
    if (a->box.no != b->box.no)
        return a->box.no < b->box.no ? -1 : 1;
    if (axis != REEF_AXES && a->box.times != b->box.times)
        return a->box.times < b->box.times ? -1 : 1;
    for (int other = 0; other < REEF_AXES; other++) {
        if (other == axis)
            continue;
        if (a->box.low[other] != b->box.low[other])
            return a->box.low[other] < b->box.low[other] ? -1 : 1;
        if (a->box.high[other] != b->box.high[other])
            return a->box.high[other] < b->box.high[other] ? -1 : 1;
    }
    return 0;
}

static int compare_along(const void *left, const void *right, void *axis_of)
{
    const reef_part *a = left, *b = right;
    const int axis = *(const int *)axis_of;
    int order = compare_but(a, b, axis);
    if (order != 0 || axis == REEF_AXES)
        return order;
    return a->box.low[axis] < b->box.low[axis] ? -1 : a->box.low[axis] > b->box.low[axis];
}

static bool join_along(reef_space *space, int axis)
{
    if (space->parts < 2)
        return false;
    qsort_r(space->part, space->parts, sizeof *space->part, compare_along, &axis);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < space->parts; i++) {
        reef_part *last = &space->part[kept], *next = &space->part[i];
        bool same = compare_but(last, next, axis) == 0;
        if (same && axis == REEF_AXES) {
            last->box.times |= next->box.times;
        } else if (same && (int64_t)next->box.low[axis] <= (int64_t)last->box.high[axis] + 1) {
            if (next->box.high[axis] > last->box.high[axis])
                last->box.high[axis] = next->box.high[axis];
        } else {
            space->part[++kept] = *next;
        }
    }
    bool joined = kept + 1 < space->parts;
    space->parts = kept + 1;
    return joined;
}

int reef_merge_parts(reef_space *space)
{
    /* IPv4 ends and IPv6 begins between two ranks: no interval may reach over. Sources and destinations of one part are of
     * one version, so joining along one of the two never changes the version of the other. */
    uint64_t looked = 0; /* each look sorts all of them nine times: that takes seconds where there are many */
    for (bool again = true; again;) {
        again = false;
        for (int axis = 0; axis <= REEF_AXES; axis++)
            again |= join_along(space, axis);
        space->steps += space->parts;
        looked += space->parts;
        if (space->steps > space->limit || looked > 2 * REEF_PARTS_MAX)
            break; /* more parts than need be, all of them true */
    }
    return REEF_OK;
}
