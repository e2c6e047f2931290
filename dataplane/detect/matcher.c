/* matcher: one worker's detection: what it keeps, and the order of a packet. */
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "groups.h"
#include "plan.h"
#include "reef/status.h"

static int set_new(rank_set *set, uint32_t rules)
{
    set->rank = calloc(rules + 1u, sizeof *set->rank);
    set->bit = calloc(rules / 64u + 1u, sizeof *set->bit);
    set->count = 0;
    return set->rank == NULL || set->bit == NULL ? REEF_NOMEM : REEF_OK;
}

static void set_free(rank_set *set)
{
    free(set->rank);
    free(set->bit);
    *set = (rank_set){0};
}

enum { FEW = 24 }; /* ranks that are sorted one by one; more are read from their bits */

void rank_set_sort(rank_set *set)
{
    if (set->count <= FEW) {
        for (uint32_t i = 1; i < set->count; i++) {
            uint32_t rank = set->rank[i], k = i;
            for (; k > 0 && set->rank[k - 1] > rank; k--)
                set->rank[k] = set->rank[k - 1];
            set->rank[k] = rank;
        }
        return;
    }
    uint32_t count = 0;
    for (uint32_t word = 0; count < set->count; word++)
        for (uint64_t bits = set->bit[word]; bits != 0; bits &= bits - 1)
            set->rank[count++] = 64 * word + (uint32_t)__builtin_ctzll(bits);
}

static void leave_rules(reef_matcher *matcher)
{
    set_free(&matcher->candidates);
    set_free(&matcher->transaction_candidates);
    set_free(&matcher->payload_held);
    set_free(&matcher->matched);
    set_free(&matcher->stream_held);
    set_free(&matcher->stream_waiting);
    scanner_scratch_free(matcher->prefilter);
    matcher->prefilter = NULL;
    groups_free(matcher->groups);
    matcher->groups = NULL;
    free(matcher->slot);
    matcher->slot = NULL;
    debts_free(&matcher->debts);
    free(matcher->costs);
    matcher->costs = NULL;
}

static int take_rules(reef_matcher *matcher, const reef_rules *rules)
{
    uint32_t count = rules->header->rules, names = rules->header->names;
    datasets *sets = NULL;
    int status = datasets_new(rules, matcher->sets, &sets);
    if (status != REEF_OK)
        return status;
    uint32_t *slot = calloc(names + 1u, sizeof *slot);
    struct debts debts;
    status = debts_new(count, &debts);
    if (slot == NULL)
        status = REEF_NOMEM;
    for (uint32_t i = 0; i < names && status == REEF_OK; i++) {
        slot[i] = slots_of(matcher->slots, rules->name[i].kind, rules_text(rules, rules->name[i].name));
        if (slot[i] == UINT32_MAX)
            status = REEF_NOMEM;
    }
    rank_set fresh[6] = {{0}};
    for (unsigned i = 0; i < 6 && status == REEF_OK; i++)
        status = set_new(&fresh[i], count);
    struct costs *costs = NULL;
    if (status == REEF_OK && matcher->options.costs && (costs = costs_new(count)) == NULL)
        status = REEF_NOMEM;
    scanner_scratch *scratch = NULL;
    if (status == REEF_OK)
        status = plan_scratch(rules->plan, &scratch);
    flow_groups *grouped = NULL;
    if (status == REEF_OK)
        status = groups_new(rules, &rules->plan->groups, matcher->groups != NULL ? groups_generation(matcher->groups) + 1 : 1, &grouped);
    if (status != REEF_OK) {
        for (unsigned i = 0; i < 6; i++)
            set_free(&fresh[i]);
        scanner_scratch_free(scratch);
        datasets_free(sets);
        free(slot);
        free(costs);
        debts_free(&debts);
        return status;
    }
    leave_rules(matcher);
    datasets_free(matcher->sets);
    matcher->sets = sets;
    matcher->slot = slot;
    matcher->debts = debts;
    matcher->costs = costs;
    matcher->candidates = fresh[0];
    matcher->transaction_candidates = fresh[1];
    matcher->payload_held = fresh[2];
    matcher->matched = fresh[3];
    matcher->stream_held = fresh[4];
    matcher->stream_waiting = fresh[5];
    matcher->prefilter = scratch;
    matcher->groups = grouped;
    matcher->rules = rules;
    matcher->reactions = NULL;
    matcher->idle = count == 0;
    matcher->generation++;
    matcher->queued = 0;
    return REEF_OK;
}

int reef_matcher_new(reef_memory *memory, const reef_rules *rules, const reef_match_options *options, reef_matcher **out)
{
    reef_matcher *matcher = calloc(1, sizeof *matcher);
    *out = NULL;
    if (matcher == NULL)
        return REEF_NOMEM;
    matcher->memory = memory;
    matcher->options = *options;
    if (matcher->options.alerts_max == 0)
        matcher->options.alerts_max = REEF_ALERTS_MAX;
    matcher->decoded = malloc(REEF_DECODED_MAX);
    matcher->waiting = malloc(REEF_KEPT_STREAM_MAX);
    matcher->alerts = calloc(2 * (size_t)matcher->options.alerts_max, sizeof *matcher->alerts);
    int status = matcher->decoded == NULL || matcher->waiting == NULL || matcher->alerts == NULL ? REEF_NOMEM : REEF_OK;
    if (status == REEF_OK && options->places != NULL)
        status = places_new(options->places, &matcher->places);
    if (status == REEF_OK)
        status = slots_new(&matcher->slots);
    if (status == REEF_OK)
        status = expression_scratch_new(&matcher->expression);
    if (status == REEF_OK)
        status = host_table_new(REEF_HOST_ENTRIES_MAX, options->seed, &matcher->bits);
    if (status == REEF_OK)
        status = host_table_new(REEF_HOST_ENTRIES_MAX, options->seed, &matcher->counts);
    if (status == REEF_OK)
        status = host_table_new(REEF_HOST_ENTRIES_MAX, options->seed, &matcher->tags);
    if (status == REEF_OK)
        status = take_rules(matcher, rules);
    if (status != REEF_OK) {
        reef_matcher_free(matcher);
        return status;
    }
    *out = matcher;
    return REEF_OK;
}

void reef_matcher_free(reef_matcher *matcher)
{
    if (matcher == NULL)
        return;
    leave_rules(matcher);
    round_end(matcher);
    datasets_free(matcher->sets);
    host_table_free(matcher->bits);
    host_table_free(matcher->counts);
    host_table_free(matcher->tags);
    places_free(matcher->places);
    expression_scratch_free(matcher->expression);
    slots_free(matcher->slots);
    free(matcher->kept[0]);
    free(matcher->kept[1]);
    free(matcher->waiting);
    free(matcher->decoded);
    free(matcher->alerts);
    free(matcher->queue);
    free(matcher);
}

int reef_matcher_rules(reef_matcher *matcher, const reef_rules *rules)
{
    return take_rules(matcher, rules);
}

int reef_matcher_reactions(reef_matcher *matcher, const reef_reactions *reactions)
{
    if (reactions != NULL && !reactions_are_of(reactions, matcher->rules))
        return REEF_INVALID;
    matcher->reactions = reactions;
    return REEF_OK;
}

int reef_matcher_set_change(reef_matcher *matcher, reef_view name, bool out, const uint8_t *values, size_t length)
{
    return datasets_change(matcher->sets, name, out, values, length);
}

const reef_limits *reef_match_limits(const reef_matcher *matcher, uint32_t mark)
{
    const reef_reactions *reactions = matcher->reactions;
    return reactions == NULL ? NULL : reactions_limits(reactions, reactions_profile(reactions, mark));
}

/* --- memory of a round ------------------------------------------------------------------------------- */

enum { PIECE_BYTES = 16384 };

void *round_get(reef_matcher *matcher, uint32_t size)
{
    uint32_t wanted = (size + 15) & ~15u;
    scratch_piece *piece = matcher->piece;
    if (size > REEF_FRAME_MAX * 8)
        return NULL;
    if (piece == NULL || piece->size - piece->used < wanted) {
        uint32_t room = wanted > PIECE_BYTES ? wanted : PIECE_BYTES;
        piece = reef_memory_get_raw(matcher->memory, sizeof *piece + room);
        if (piece == NULL)
            return NULL;
        *piece = (scratch_piece){.next = matcher->piece, .size = room};
        matcher->piece = piece;
    }
    void *data = (uint8_t *)(piece + 1) + piece->used;
    piece->used += wanted;
    return data;
}

void round_end(reef_matcher *matcher)
{
    for (scratch_piece *next, *piece = matcher->piece; piece != NULL; piece = next) {
        next = piece->next;
        reef_memory_give(matcher->memory, piece, sizeof *piece + piece->size);
    }
    matcher->piece = NULL;
}

/* --- a packet ---------------------------------------------------------------------------------------- */

void match_turn(reef_matcher *matcher, int direction)
{
    matcher->direction = direction;
    matcher->turned = direction != matcher->scene->direction;
}

/* The ruleset's mark says by which rule of the policy the connection was let in; what stands for the end of a flow has none. */
static void find_profile(reef_matcher *matcher, const reef_scene *scene)
{
    if (scene->mark == 0) {
        matcher->profile = matcher->state != NULL ? matcher->state->profile : 0;
        return;
    }
    matcher->profile = reactions_profile(matcher->reactions, scene->mark);
    if (matcher->state != NULL)
        matcher->state->profile = matcher->profile;
}

void reef_match_begin(reef_matcher *matcher, const reef_scene *scene)
{
    matcher->scene = scene;
    matcher->state = scene->flow == NULL ? NULL : matcher->idle ? scene->flow->match : flow_state_of(matcher, scene->flow);
    matcher->over = matcher->state != NULL && matcher->state->verdict != REEF_VERDICT_ALLOW;
    matcher->queued = 0;
    matcher->group_direction = -1;
    matcher->transaction = NULL;
    match_turn(matcher, scene->direction);
    if (matcher->idle)
        return;
    if (matcher->reactions != NULL)
        find_profile(matcher, scene);
    matcher->kept_length[0] = matcher->kept_length[1] = 0;
    rank_set_clear(&matcher->matched);
    rank_set_clear(&matcher->stream_held);
    rank_set_clear(&matcher->stream_waiting);
    matcher->waiting_raw.bytes.length = 0;
    rank_set_clear(&matcher->payload_held);
}

flow_group *match_group(reef_matcher *matcher)
{
    const reef_scene *scene = matcher->scene;
    if (matcher->group_direction != scene->direction) {
        matcher->group_direction = scene->direction;
        matcher->group = groups_find(matcher->groups, scene, matcher->state);
    }
    return matcher->group;
}

const scanner *match_scanner(reef_matcher *matcher, const scanner *whole, unsigned app)
{
    return groups_scanner(matcher->groups, match_group(matcher), whole, matcher->direction, app, &matcher->prefilter);
}

void reef_match_free_flow(reef_matcher *matcher, reef_flow *flow)
{
    if (flow->match == NULL)
        return;
    flow_state_free(matcher, flow->match);
    flow->match = NULL;
}
