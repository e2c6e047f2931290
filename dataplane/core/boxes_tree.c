/* The index of a space: a tree that cuts on one axis at a time. Boxes wholly below the cut go left, wholly
 * above it right, and those that straddle it to a third child, which is then cut on other axes: rules that say
 * "any" somewhere lie beside each other and do not spoil the hulls of those that say one host. */
#include <stdlib.h>
#include <string.h>

#include "boxes_internal.h"

enum { LEAF = 4, SAMPLES = 16 };

static uint32_t new_node(reef_space *space)
{
    if (reef_room((void **)&space->node, &space->node_room, (uint64_t)space->nodes + 1, sizeof *space->node,
                  REEF_SPACE_BOXES_MAX * 2u) != REEF_OK)
        return 0;
    memset(&space->node[space->nodes], 0, sizeof *space->node);
    return space->nodes++;
}

static reef_four lesser(reef_four a, reef_four b)
{
    const reef_four less = a < b;
    return (a & less) | (b & ~less);
}

static reef_four greater(reef_four a, reef_four b)
{
    const reef_four more = a > b;
    return (a & more) | (b & ~more);
}

static void hull_of(reef_space *space, reef_node *node, uint32_t first, uint32_t count)
{
    const reef_entry *entry = &space->entry[first];
    reef_four low = reef_load(entry->box.low), low_rest = reef_load(entry->box.low + 4);
    reef_four high = reef_load(entry->box.high), high_rest = reef_load(entry->box.high + 4);
    int32_t first_rule = entry->rule, last_rule = entry->rule, other = 0;
    uint32_t actions = 0, sides = 0;
    node->first = first;
    node->effect = entry->effect;
    for (uint32_t i = 0; i < count; i++, entry++) {
        low = lesser(low, reef_load(entry->box.low));
        low_rest = lesser(low_rest, reef_load(entry->box.low + 4));
        high = greater(high, reef_load(entry->box.high));
        high_rest = greater(high_rest, reef_load(entry->box.high + 4));
        first_rule = entry->rule < first_rule ? entry->rule : first_rule;
        last_rule = entry->rule > last_rule ? entry->rule : last_rule;
        actions |= 1u << entry->action;
        sides |= entry->side;
        other |= entry->effect ^ node->effect;
    }
    memcpy(node->low, &low, sizeof low), memcpy(node->low + 4, &low_rest, sizeof low);
    memcpy(node->high, &high, sizeof high), memcpy(node->high + 4, &high_rest, sizeof high);
    node->first_rule = first_rule;
    node->last_rule = last_rule;
    node->actions = (uint8_t)actions;
    node->sides = (uint8_t)sides;
    if (other != 0)
        node->effect = REEF_EFFECT_MIXED;
}

static void sort_small(int32_t *value, int count)
{
    for (int i = 1; i < count; i++) {
        int32_t held = value[i];
        int at = i;
        for (; at > 0 && value[at - 1] > held; at--)
            value[at] = value[at - 1];
        value[at] = held;
    }
}

/* The axis and the plane that part a sample best: few boxes straddle, neither side is much larger. */
static bool choose_cut(const reef_space *space, const reef_node *node, uint32_t count, int *best_axis, int32_t *plane)
{
    uint32_t number[SAMPLES];
    int samples = count < SAMPLES ? (int)count : SAMPLES;
    for (int i = 0; i < samples; i++)
        number[i] = node->first + (uint32_t)((uint64_t)count * (uint64_t)i / (uint64_t)samples);
    int best = samples;
    for (int axis = 0; axis < REEF_AXES; axis++) {
        if (node->low[axis] == node->high[axis])
            continue;
        int32_t low[SAMPLES], high[SAMPLES], least_high = INT32_MAX, most_low = INT32_MIN;
        for (int i = 0; i < samples; i++) {
            low[i] = space->entry[number[i]].box.low[axis];
            high[i] = space->entry[number[i]].box.high[axis];
            least_high = high[i] < least_high ? high[i] : least_high;
            most_low = low[i] > most_low ? low[i] : most_low;
        }
        if (most_low <= least_high)
            continue; /* all of them share a value: any plane is straddled */
        sort_small(low, samples);
        for (int tried = 1; tried <= 3; tried++) {
            int32_t at = low[samples * tried / 4];
            int below = 0, above = 0;
            for (int i = 0; i < samples; i++) {
                below += high[i] < at;
                above += low[i] >= at;
            }
            int straddle = samples - below - above;
            int cost = straddle + (below > above ? below : above);
            if (below > 0 && above > 0 && cost < best) {
                best = cost;
                *best_axis = axis;
                *plane = at;
            }
        }
    }
    return best < samples;
}

static void swap_entries(reef_entry *a, reef_entry *b)
{
    reef_entry held = *a;
    *a = *b;
    *b = held;
}

static int build(reef_space *space, uint32_t at, uint32_t first, uint32_t count, uint32_t depth)
{
    hull_of(space, &space->node[at], first, count);
    int axis = 0;
    int32_t plane = 0;
    if (count <= LEAF || depth >= REEF_TREE_DEPTH || !choose_cut(space, &space->node[at], count, &axis, &plane)) {
        space->node[at].count = count;
        return REEF_OK;
    }
    /* Three ways: below | straddling | above. */
    uint32_t below = first, i = first, above = first + count;
    while (i < above) {
        reef_entry *entry = &space->entry[i];
        if (entry->box.high[axis] < plane) {
            if (i != below)
                swap_entries(entry, &space->entry[below]);
            below++, i++;
        } else if (entry->box.low[axis] >= plane) {
            swap_entries(entry, &space->entry[--above]);
        } else {
            i++;
        }
    }
    const uint32_t start[3] = {first, below, above};
    const uint32_t size[3] = {below - first, above - below, first + count - above};
    for (int part = 0; part < 3; part++) {
        if (size[part] == 0)
            continue;
        uint32_t child = new_node(space);
        if (child == 0)
            return REEF_NOMEM;
        space->node[at].child[part] = child;
        int status = build(space, child, start[part], size[part], depth + 1);
        if (status != REEF_OK)
            return status;
    }
    return REEF_OK;
}

int reef_tree_build(reef_space *space)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < space->entries; i++)
        if (space->entry[i].rule != REEF_NO_RULE) {
            if (kept != i)
                space->entry[kept] = space->entry[i];
            kept++;
        }
    space->entries = space->treed = kept;
    space->gone = 0;
    space->nodes = 0;
    if (kept == 0)
        return REEF_OK;
    if (reef_room((void **)&space->node, &space->node_room, kept / 4 + 16, sizeof *space->node,
                  REEF_SPACE_BOXES_MAX * 2u) != REEF_OK)
        return REEF_NOMEM;
    (void)new_node(space);
    return build(space, 0, 0, kept, 0);
}

void reef_walk_start(reef_walk *walk, reef_space *space, const reef_box *box)
{
    walk->space = space;
    walk->box = box;
    walk->from = 0;
    walk->to = INT32_MAX;
    walk->actions = 0xff;
    walk->sides = REEF_SIDE_BOTH;
    walk->holding = false;
    walk->which = REEF_ANY_EFFECT;
    walk->effect = 0;
    walk->depth = 0;
    walk->among = space->near_known && reef_box_inside(box, &space->near_box);
    if (walk->among) {
        walk->at = 0;
        walk->end = space->nears;
        return;
    }
    walk->at = space->treed; /* the loose entries first */
    walk->end = space->entries;
    if (space->nodes > 0)
        walk->stack[walk->depth++] = 0;
}

static bool entry_fits(const reef_walk *walk, const reef_entry *entry)
{
    if (entry->rule < walk->from || entry->rule > walk->to || !(entry->side & walk->sides) ||
        !(walk->actions >> entry->action & 1))
        return false;
    if (walk->which != REEF_ANY_EFFECT && (entry->effect == walk->effect) != (walk->which == REEF_THIS_EFFECT))
        return false;
    return walk->holding ? reef_box_inside(walk->box, &entry->box) : reef_boxes_meet(walk->box, &entry->box);
}

static bool node_fits(const reef_walk *walk, const reef_node *node)
{
    if (node->first_rule > walk->to || node->last_rule < walk->from || !(node->actions & walk->actions) ||
        !(node->sides & walk->sides))
        return false;
    if (walk->which == REEF_THIS_EFFECT ? node->effect != REEF_EFFECT_MIXED && node->effect != walk->effect
                                        : walk->which == REEF_OTHER_EFFECT && node->effect == walk->effect)
        return false;
    return walk->holding ? reef_within(walk->box, node->low, node->high)
                         : reef_meets(walk->box, node->low, node->high);
}

uint32_t reef_walk_next(reef_walk *walk)
{
    reef_space *space = walk->space;
    for (;;) {
        while (walk->at < walk->end) {
            uint32_t number = walk->among ? space->near[walk->at] : walk->at;
            walk->at++;
            space->steps++;
            if (entry_fits(walk, &space->entry[number]))
                return number;
        }
        if (walk->depth == 0)
            return REEF_NO_ENTRY;
        const reef_node *node = &space->node[walk->stack[--walk->depth]];
        space->steps++;
        if (!node_fits(walk, node))
            continue;
        if (node->count > 0) {
            walk->at = node->first;
            walk->end = node->first + node->count;
            continue;
        }
        for (int part = 0; part < 3; part++)
            if (node->child[part] != 0)
                walk->stack[walk->depth++] = node->child[part];
    }
}

void reef_know_near(reef_space *space, const reef_box *box)
{
    reef_walk walk;
    reef_forget_near(space);
    reef_walk_start(&walk, space, box);
    uint32_t count = 0;
    for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY; count++) {
        if (count == REEF_NEAR_MAX)
            return; /* more than a list is good for */
        space->near[count] = found;
    }
    space->near_box = *box;
    space->nears = count;
    space->near_known = true;
}
