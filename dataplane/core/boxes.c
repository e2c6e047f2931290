/* A space: its rules, and the boxes that rows of lists make. */
#include "boxes_internal.h"

#include <stdlib.h>
#include <string.h>

int reef_room(void **vector, uint32_t *room, uint64_t need, size_t size, uint32_t most)
{
    if (need <= *room)
        return REEF_OK;
    if (need > most)
        return REEF_FULL;
    uint64_t larger = (uint64_t)*room * 2 > need ? (uint64_t)*room * 2 : need;
    if (larger < 64)
        larger = 64;
    if (larger > most)
        larger = most;
    void *grown = realloc(*vector, larger * size);
    if (grown == NULL)
        return REEF_NOMEM;
    *vector = grown;
    *room = (uint32_t)larger;
    return REEF_OK;
}

int reef_space_new(const reef_box_stretch *stretches, uint32_t count, int32_t last, reef_box_rule fallback,
                   reef_space **out)
{
    *out = NULL;
    if (count == 0 || count > REEF_SPACE_BOXES_MAX || last < 0 || stretches[0].second != 0 || fallback.action > 7 || fallback.effect < 0)
        return REEF_INVALID;
    for (uint32_t i = 0; i < count; i++)
        if (stretches[i].kind > 63 || stretches[i].second > last ||
            (i > 0 && stretches[i].second <= stretches[i - 1].second))
            return REEF_INVALID;
    reef_space *space = calloc(1, sizeof *space);
    if (space == NULL)
        return REEF_NOMEM;
    space->stretch = malloc(count * sizeof *space->stretch);
    space->four = malloc(sizeof *space->four);
    space->six = malloc(sizeof *space->six);
    space->rule_end = calloc(1, sizeof *space->rule_end);
    if (space->stretch == NULL || space->four == NULL || space->six == NULL || space->rule_end == NULL) {
        reef_space_free(space);
        return REEF_NOMEM;
    }
    memcpy(space->stretch, stretches, count * sizeof *stretches);
    space->stretches = count;
    space->last = last;
    space->fallback = fallback;
    space->four[0] = space->six[0] = 0;
    space->fours = space->sixes = 1;
    for (uint32_t i = 0; i < count; i++)
        space->all_times |= (uint64_t)1 << stretches[i].kind;
    *out = space;
    return REEF_OK;
}

void reef_space_free(reef_space *space)
{
    if (space == NULL)
        return;
    free(space->stretch);
    free(space->rule);
    free(space->dirty);
    free(space->crossing);
    free(space->entry);
    free(space->rule_end);
    free(space->rule_entry);
    free(space->four);
    free(space->six);
    free(space->node);
    free(space->piece);
    free(space->part);
    free(space->finding);
    free(space->stamp);
    free(space);
}

uint32_t reef_space_rules(const reef_space *space)
{
    return space->rules;
}

uint32_t reef_space_boxes(const reef_space *space)
{
    return space->entries - space->gone;
}

/* --- rows into boxes ------------------------------------------------------------------------------- */

/* The elements of list `number`. */
static uint32_t list(const uint32_t *end, uint32_t number, uint32_t *first)
{
    *first = number == 0 ? 0 : end[number - 1];
    return end[number] - *first;
}

/* The ends of lists rise, and intervals are such. */
static bool sound(const reef_box_lists *lists)
{
    for (uint32_t i = 1; i < lists->addresses; i++)
        if (lists->four_end[i] < lists->four_end[i - 1] || lists->six_end[i] < lists->six_end[i - 1])
            return false;
    for (uint32_t i = 1; i < lists->pairs; i++)
        if (lists->pair_end[i] < lists->pair_end[i - 1])
            return false;
    for (uint32_t i = 0; i < lists->services; i++)
        if ((i > 0 && lists->service4_end[i] < lists->service6_end[i - 1]) ||
            lists->service6_end[i] < lists->service4_end[i])
            return false;
    for (uint32_t i = 1; i < lists->peoples; i++)
        if (lists->people_end[i] < lists->people_end[i - 1])
            return false;
    uint32_t four = lists->addresses > 0 ? lists->four_end[lists->addresses - 1] : 0;
    uint32_t six = lists->addresses > 0 ? lists->six_end[lists->addresses - 1] : 0;
    if (four > REEF_SPACE_BOXES_MAX || six > REEF_SPACE_BOXES_MAX)
        return false;
    for (uint32_t i = 0; i < four; i++)
        if (lists->four[2 * i] > lists->four[2 * i + 1])
            return false;
    for (uint32_t i = 0; i < six; i++)
        if (reef_wide_at(lists->six + 32 * (size_t)i) > reef_wide_at(lists->six + 32 * (size_t)i + 16))
            return false;
    return true;
}

static bool sound_row(const reef_space *space, const reef_box_lists *lists, const reef_box_row *row)
{
    return row->rule >= 0 && (uint32_t)row->rule < space->rules && row->pair < lists->pairs &&
           row->source < lists->addresses && row->destination < lists->addresses && row->service < lists->services &&
           row->people < lists->peoples;
}

/* Ranks of all address intervals, once for each list instead of once for each box. */
typedef struct ranked {
    int32_t *four, *six; /* low, high */
} ranked;

static int rank_lists(const reef_space *space, const reef_box_lists *lists, ranked *out)
{
    uint32_t fours = lists->addresses > 0 ? lists->four_end[lists->addresses - 1] : 0;
    uint32_t sixes = lists->addresses > 0 ? lists->six_end[lists->addresses - 1] : 0;
    out->four = malloc(((size_t)fours + 1) * 2 * sizeof *out->four);
    out->six = malloc(((size_t)sixes + 1) * 2 * sizeof *out->six);
    if (out->four == NULL || out->six == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < fours; i++)
        reef_ranks4(space, lists->four[2 * i], lists->four[2 * i + 1], &out->four[2 * i], &out->four[2 * i + 1]);
    for (uint32_t i = 0; i < sixes; i++)
        reef_ranks6(space, reef_wide_at(lists->six + 32 * (size_t)i), reef_wide_at(lists->six + 32 * (size_t)i + 16),
               &out->six[2 * i], &out->six[2 * i + 1]);
    return REEF_OK;
}

static void around(int32_t *low, int32_t *high, const int32_t *value, uint32_t count, uint32_t stride)
{
    *low = value[0];
    *high = value[1];
    for (uint32_t i = 1; i < count; i++) {
        *low = value[i * stride] < *low ? value[i * stride] : *low;
        *high = value[i * stride + 1] > *high ? value[i * stride + 1] : *high;
    }
}

/* The product of one row for one version. */
static int expand(reef_space *space, const reef_box_lists *lists, const reef_box_row *row, uint32_t number,
                  const int32_t *address, const uint32_t *address_end, uint32_t service, uint32_t services)
{
    uint32_t pair, source, destination, people;
    uint32_t pairs = list(lists->pair_end, row->pair, &pair);
    uint32_t sources = list(address_end, row->source, &source);
    uint32_t destinations = list(address_end, row->destination, &destination);
    uint32_t peoples = list(lists->people_end, row->people, &people);
    const int32_t *p = lists->pair + 4 * (size_t)pair, *s = address + 2 * (size_t)source;
    const int32_t *d = address + 2 * (size_t)destination, *v = lists->service + 4 * (size_t)service;
    const int32_t *who = lists->people + 2 * (size_t)people;
    if (pairs == 0 || sources == 0 || destinations == 0 || services == 0 || peoples == 0)
        return REEF_OK;
    uint64_t boxes = 1;
    const uint32_t factor[5] = {pairs, sources, destinations, services, peoples};
    for (int i = 0; i < 5; i++)
        boxes = boxes > REEF_RULE_BOXES_MAX ? boxes : boxes * factor[i];
    const reef_box_rule *rule = &space->rule[row->rule];
    reef_entry made = {
        .box = {.times = row->times & space->all_times, .yes = row->yes, .no = row->no},
        .rule = row->rule, .row = number, .effect = rule->effect, 
        .optional = row->optional == REEF_ROW_OPTIONAL, .unsure = row->optional == REEF_ROW_UNSURE, .side = rule->side, .action = rule->action,
    };
    made.box.high[REEF_AXIS_SECOND] = row->until < space->last ? row->until : space->last;
    if (made.box.high[REEF_AXIS_SECOND] < 0 || made.box.times == 0 || (row->yes & row->no))
        return REEF_OK;
    made.unsure |= boxes > REEF_RULE_BOXES_MAX;
    if (made.unsure)
        boxes = 1;
    int status = reef_room((void **)&space->entry, &space->entry_room, space->entries + boxes, sizeof *space->entry,
                           REEF_SPACE_BOXES_MAX);
    if (status != REEF_OK)
        return status;
    int32_t *low = made.box.low, *high = made.box.high;
    if (made.unsure) {
        around(&low[REEF_AXIS_FROM], &high[REEF_AXIS_FROM], p, pairs, 4);
        around(&low[REEF_AXIS_TO], &high[REEF_AXIS_TO], p + 2, pairs, 4);
        around(&low[REEF_AXIS_SOURCE], &high[REEF_AXIS_SOURCE], s, sources, 2);
        around(&low[REEF_AXIS_DESTINATION], &high[REEF_AXIS_DESTINATION], d, destinations, 2);
        around(&low[REEF_AXIS_SERVICE], &high[REEF_AXIS_SERVICE], v, services, 4);
        around(&low[REEF_AXIS_SOURCE_PORT], &high[REEF_AXIS_SOURCE_PORT], v + 2, services, 4);
        around(&low[REEF_AXIS_PERSON], &high[REEF_AXIS_PERSON], who, peoples, 2);
        space->entry[space->entries++] = made;
        return REEF_OK;
    }
    for (uint32_t a = 0; a < pairs; a++)
        for (uint32_t b = 0; b < sources; b++)
            for (uint32_t c = 0; c < destinations; c++)
                for (uint32_t e = 0; e < services; e++)
                    for (uint32_t f = 0; f < peoples; f++) {
                        low[REEF_AXIS_FROM] = p[4 * a], high[REEF_AXIS_FROM] = p[4 * a + 1];
                        low[REEF_AXIS_TO] = p[4 * a + 2], high[REEF_AXIS_TO] = p[4 * a + 3];
                        low[REEF_AXIS_SOURCE] = s[2 * b], high[REEF_AXIS_SOURCE] = s[2 * b + 1];
                        low[REEF_AXIS_DESTINATION] = d[2 * c], high[REEF_AXIS_DESTINATION] = d[2 * c + 1];
                        low[REEF_AXIS_SERVICE] = v[4 * e], high[REEF_AXIS_SERVICE] = v[4 * e + 1];
                        low[REEF_AXIS_SOURCE_PORT] = v[4 * e + 2], high[REEF_AXIS_SOURCE_PORT] = v[4 * e + 3];
                        low[REEF_AXIS_PERSON] = who[2 * f], high[REEF_AXIS_PERSON] = who[2 * f + 1];
                        space->entry[space->entries++] = made;
                    }
    return REEF_OK;
}

static int expand_rows(reef_space *space, const reef_box_lists *lists, const reef_box_row *rows, uint32_t count)
{
    ranked ranks = {NULL, NULL};
    int status = rank_lists(space, lists, &ranks);
    uint32_t number = 0;
    for (uint32_t i = 0; status == REEF_OK && i < count; i++) {
        const reef_box_row *row = &rows[i];
        if (!sound_row(space, lists, row)) {
            status = REEF_INVALID;
            break;
        }
        number = i > 0 && row->rule == rows[i - 1].rule ? number + 1 : 0;
        uint32_t first = row->service == 0 ? 0 : lists->service6_end[row->service - 1];
        uint32_t middle = lists->service4_end[row->service], end = lists->service6_end[row->service];
        status = expand(space, lists, row, number, ranks.four, lists->four_end, first, middle - first);
        if (status == REEF_OK)
            status = expand(space, lists, row, number, ranks.six, lists->six_end, middle, end - middle);
    }
    free(ranks.four);
    free(ranks.six);
    return status;
}

/* --- changes --------------------------------------------------------------------------------------- */

int reef_index_rules(reef_space *space)
{
    uint32_t *end = calloc((size_t)space->rules + 2, sizeof *end);
    uint32_t *entry = malloc(((size_t)space->entries + 1) * sizeof *entry);
    free(space->rule_end);
    free(space->rule_entry);
    space->rule_end = end;
    space->rule_entry = entry;
    if (end == NULL || entry == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < space->entries; i++)
        if (space->entry[i].rule != REEF_NO_RULE)
            end[space->entry[i].rule + 2]++;
    for (uint32_t i = 2; i < space->rules + 2; i++)
        end[i] += end[i - 1];
    for (uint32_t i = 0; i < space->entries; i++)
        if (space->entry[i].rule != REEF_NO_RULE)
            entry[end[space->entry[i].rule + 1]++] = i;
    /* Filling has moved every start to its end: end[i] is where rule i - 1 ends. */
    memmove(end, end + 1, ((size_t)space->rules + 1) * sizeof *end);
    return REEF_OK;
}

/* What meets a box has to be looked at again. Looking for that has an end: where much meets much, all is looked at,
 * which has a budget. */
static void soil(reef_space *space, const reef_box *box)
{
    reef_walk walk;
    if (space->steps > space->limit)
        return;
    reef_walk_start(&walk, space, box);
    for (uint32_t found; (found = reef_walk_next(&walk)) != REEF_NO_ENTRY;)
        space->dirty[space->entry[found].rule] = 1;
    if (space->steps > space->limit)
        memset(space->dirty, 1, space->rules);
}

static void begin_soiling(reef_space *space)
{
    space->steps = 0;
    space->limit = REEF_SOIL_STEPS_MAX;
}

/* Rules go and move; what met them is marked. */
static int move_rules(reef_space *space, const int32_t *moved, const reef_box_rule *rules, uint32_t count)
{
    int32_t before = -1;
    for (uint32_t i = 0; i < space->rules; i++) {
        if (moved[i] == REEF_NO_RULE)
            continue;
        if (moved[i] <= before || (uint32_t)moved[i] >= count)
            return REEF_INVALID;
        before = moved[i];
    }
    for (uint32_t i = 0; i < count; i++)
        if (rules[i].effect < 0 || rules[i].action > 7 || rules[i].side < 1 || rules[i].side > 3)
            return REEF_INVALID;
    begin_soiling(space);
    for (uint32_t i = 0; i < space->entries; i++) {
        const reef_entry *entry = &space->entry[i];
        if (entry->rule != REEF_NO_RULE && moved[entry->rule] == REEF_NO_RULE)
            soil(space, &entry->box);
    }
    reef_box_rule *rule = malloc(((size_t)count + 1) * sizeof *rule);
    uint8_t *dirty = malloc((size_t)count + 1);
    uint32_t *crossing = calloc((size_t)count + 1, sizeof *crossing), *stamp = calloc((size_t)count + 1, sizeof *stamp);
    int32_t *next = malloc(((size_t)space->rules + 1) * sizeof *next);
    if (rule == NULL || dirty == NULL || crossing == NULL || stamp == NULL || next == NULL) {
        free(rule), free(dirty), free(crossing), free(stamp), free(next);
        return REEF_NOMEM;
    }
    memcpy(rule, rules, count * sizeof *rule);
    memset(dirty, 1, (size_t)count + 1);
    int32_t following = (int32_t)count;
    next[space->rules] = following; /* where the last rules of a node are gone */
    for (uint32_t i = space->rules; i-- > 0;) { /* where a rule, or the next one that stays, stands now */
        if (moved[i] != REEF_NO_RULE) {
            following = moved[i];
            dirty[following] = space->dirty[i];
            crossing[following] = space->crossing[i];
        }
        next[i] = following;
    }
    for (uint32_t i = 0; i < space->entries; i++) {
        reef_entry *entry = &space->entry[i];
        if (entry->rule == REEF_NO_RULE)
            continue;
        entry->rule = moved[entry->rule];
        if (entry->rule == REEF_NO_RULE) {
            entry->side = 0;
            space->gone++;
        }
    }
    for (uint32_t i = 0; i < space->nodes; i++) {
        space->node[i].first_rule = next[space->node[i].first_rule];
        space->node[i].last_rule = next[space->node[i].last_rule]; /* at or behind the last that stays */
    }
    free(next);
    free(space->rule), free(space->dirty), free(space->crossing), free(space->stamp);
    space->rule = rule;
    space->dirty = dirty;
    space->crossing = crossing;
    space->stamp = stamp;
    space->now_stamp = 0;
    space->rules = count;
    return REEF_OK;
}

static int cut_lists(reef_space *space, const reef_box_lists *lists)
{
    if (lists->addresses == 0)
        return REEF_OK;
    return reef_space_cut(space, lists->four, lists->four_end[lists->addresses - 1], lists->six,
                          lists->six_end[lists->addresses - 1]);
}

int reef_space_change(reef_space *space, const int32_t *moved, const reef_box_rule *rules, uint32_t count,
                      const reef_box_lists *lists, const reef_box_row *rows, uint32_t row_count)
{
    if (count > REEF_SPACE_RULES_MAX || !sound(lists))
        return REEF_INVALID;
    int status = move_rules(space, moved, rules, count);
    if (status == REEF_OK)
        status = cut_lists(space, lists);
    const uint32_t first = space->entries;
    if (status == REEF_OK)
        status = expand_rows(space, lists, rows, row_count);
    if (status != REEF_OK)
        return status;
    begin_soiling(space);
    uint32_t loose = space->entries - space->treed;
    if (loose > 64 + space->treed / 256 || space->gone > space->entries / 4) {
        if (first > 0 && (space->entries - first) * 8 < space->entries) {
            for (uint32_t i = first; i < space->entries; i++)
                soil(space, &space->entry[i].box);
        } else {
            memset(space->dirty, 1, space->rules);
        }
        status = reef_tree_build(space);
    } else {
        for (uint32_t i = first; i < space->entries; i++)
            soil(space, &space->entry[i].box);
    }
    return status == REEF_OK ? reef_index_rules(space) : status;
}
