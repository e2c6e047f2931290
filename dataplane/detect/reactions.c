/* reactions: the action of a rule under a profile, what keeps it from being told, and where it was found wrong. */
#include "reactions.h"

#include <stdlib.h>
#include <string.h>

#include "reef/status.h"

enum { MARK_RULE = 0x0003ffff }; /* appliance/policy/compiling/bundle.py */

/* What is said of one rule besides its action; a chain, 0 ends it (places count from 1). */
typedef struct remark {
    uint32_t next;
    uint32_t what; /* of thresholds or suppressions */
    uint16_t profile;
} remark;

typedef struct chains {
    uint32_t *first; /* by rule */
    remark *remark;
    uint32_t count, room;
} chains;

typedef struct suppression {
    reef_suppression said;
    void *memory; /* its arrays */
} suppression;

struct reef_reactions {
    const reef_rules *rules;
    uint32_t profiles;
    uint8_t *action; /* of profile and rule */
    uint16_t *profile_of;
    uint32_t numbers;
    reef_limits *limits; /* by profile */
    bool *limited;
    chains thresholds, suppressions;
    reef_reaction_threshold *threshold;
    suppression *suppression;
    uint32_t threshold_count, suppression_count;
};

/* --- making -------------------------------------------------------------------------------------------- */

int reef_reactions_new(const reef_rules *rules, uint32_t profiles, const uint8_t *actions, reef_reactions **out)
{
    *out = NULL;
    uint32_t count = rules->header->rules;
    if (profiles == 0 || profiles > REEF_PROFILES_MAX)
        return REEF_INVALID;
    size_t size = (size_t)profiles * count;
    for (size_t i = 0; i < size; i++)
        if (actions[i] > REEF_REJECT_BOTH && actions[i] != REEF_OFF)
            return REEF_INVALID;
    reef_reactions *made = calloc(1, sizeof *made);
    if (made == NULL)
        return REEF_NOMEM;
    made->rules = rules;
    made->profiles = profiles;
    made->action = malloc(size + 1);
    made->limits = calloc(profiles, sizeof *made->limits);
    made->limited = calloc(profiles, sizeof *made->limited);
    made->thresholds.first = calloc(count + 1u, sizeof(uint32_t));
    made->suppressions.first = calloc(count + 1u, sizeof(uint32_t));
    if (made->limits == NULL || made->limited == NULL || made->action == NULL || made->thresholds.first == NULL || made->suppressions.first == NULL) {
        reef_reactions_free(made);
        return REEF_NOMEM;
    }
    memcpy(made->action, actions, size);
    *out = made;
    return REEF_OK;
}

void reef_reactions_free(reef_reactions *reactions)
{
    if (reactions == NULL)
        return;
    for (uint32_t i = 0; i < reactions->suppression_count; i++)
        free(reactions->suppression[i].memory);
    free(reactions->suppression);
    free(reactions->threshold);
    free(reactions->thresholds.first);
    free(reactions->thresholds.remark);
    free(reactions->suppressions.first);
    free(reactions->suppressions.remark);
    free(reactions->profile_of);
    free(reactions->limits);
    free(reactions->limited);
    free(reactions->action);
    free(reactions);
}

int reef_reactions_profile(reef_reactions *reactions, const uint16_t *profile_of, uint32_t numbers)
{
    if (numbers > MARK_RULE + 1u)
        return REEF_INVALID;
    for (uint32_t i = 0; i < numbers; i++)
        if (profile_of[i] >= reactions->profiles)
            return REEF_INVALID;
    uint16_t *copy = malloc(((size_t)numbers + 1) * sizeof *copy);
    if (copy == NULL)
        return REEF_NOMEM;
    memcpy(copy, profile_of, numbers * sizeof *copy);
    free(reactions->profile_of);
    reactions->profile_of = copy;
    reactions->numbers = numbers;
    return REEF_OK;
}

int reef_reactions_limits(reef_reactions *reactions, uint32_t profile, const reef_limits *limits)
{
    if (profile >= reactions->profiles)
        return REEF_INVALID;
    reactions->limits[profile] = *limits;
    reactions->limited[profile] = true;
    return REEF_OK;
}

/* Put `what` in front of, or with `last` behind, what is said of each rule. */
static int remark_on(const reef_reactions *reactions, chains *on, const uint32_t *rules, uint32_t count, uint32_t what, uint16_t profile, bool last)
{
    for (uint32_t i = 0; i < count; i++)
        if (rules[i] >= reactions->rules->header->rules)
            return REEF_INVALID;
    if (on->room - on->count < count + 1u) {
        uint32_t room = on->count + count + 64;
        room += room / 2;
        remark *grown = realloc(on->remark, room * sizeof *grown);
        if (grown == NULL)
            return REEF_NOMEM;
        on->remark = grown;
        on->room = room;
        if (on->count == 0)
            on->count = 1; /* place 0 is none */
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *at = &on->first[rules[i]];
        while (last && *at != 0)
            at = &on->remark[*at].next;
        on->remark[on->count] = (remark){.next = *at, .what = what, .profile = profile};
        *at = on->count++;
    }
    return REEF_OK;
}

int reef_reactions_threshold(reef_reactions *reactions, uint32_t profile, const uint32_t *rules, uint32_t count,
                             const reef_reaction_threshold *threshold)
{
    if (profile >= reactions->profiles || threshold->kind > 2 || threshold->by > 3 || threshold->count == 0 || threshold->seconds == 0)
        return REEF_INVALID;
    reef_reaction_threshold *grown = realloc(reactions->threshold, (reactions->threshold_count + 1u) * sizeof *grown);
    if (grown == NULL)
        return REEF_NOMEM;
    reactions->threshold = grown;
    grown[reactions->threshold_count] = *threshold;
    int status = remark_on(reactions, &reactions->thresholds, rules, count, reactions->threshold_count, (uint16_t)profile, false);
    reactions->threshold_count += status == REEF_OK;
    return status;
}

static bool ranges_are_right(const reef_address_range *range, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if ((range[i].version != 4 && range[i].version != 6) || memcmp(range[i].first, range[i].last, 16) > 0)
            return false;
    return true;
}

static const void *copy_into(uint8_t **at, const void *from, size_t size)
{
    const void *place = *at;
    if (size > 0)
        memcpy(*at, from, size);
    *at += size;
    return place;
}

int reef_reactions_suppress(reef_reactions *reactions, const uint32_t *rules, uint32_t count, const reef_suppression *said)
{
    if ((said->action != REEF_OFF && said->action != REEF_ALERT) || !ranges_are_right(said->client, said->clients) ||
        !ranges_are_right(said->server, said->servers) || !ranges_are_right(said->either, said->eithers))
        return REEF_INVALID;
    suppression *grown = realloc(reactions->suppression, (reactions->suppression_count + 1u) * sizeof *grown);
    if (grown == NULL)
        return REEF_NOMEM;
    reactions->suppression = grown;
    size_t range = sizeof(reef_address_range);
    uint8_t *memory = malloc(((size_t)said->clients + said->servers + said->eithers) * range + said->profiles * sizeof(uint16_t) + 1);
    if (memory == NULL)
        return REEF_NOMEM;
    suppression *put = &grown[reactions->suppression_count];
    *put = (suppression){.said = *said, .memory = memory};
    put->said.client = copy_into(&memory, said->client, said->clients * range);
    put->said.server = copy_into(&memory, said->server, said->servers * range);
    put->said.either = copy_into(&memory, said->either, said->eithers * range);
    put->said.profile = copy_into(&memory, said->profile, said->profiles * sizeof(uint16_t));
    int status = remark_on(reactions, &reactions->suppressions, rules, count, reactions->suppression_count, 0, true);
    if (status != REEF_OK)
        free(put->memory);
    reactions->suppression_count += status == REEF_OK;
    return status;
}

/* --- asking -------------------------------------------------------------------------------------------- */

bool reactions_are_of(const reef_reactions *reactions, const reef_rules *rules)
{
    return reactions != NULL && reactions->rules == rules;
}

uint16_t reactions_profile(const reef_reactions *reactions, uint32_t mark)
{
    uint32_t number = mark & MARK_RULE;
    return number < reactions->numbers ? reactions->profile_of[number] : 0;
}

const reef_limits *reactions_limits(const reef_reactions *reactions, uint16_t profile)
{
    return profile < reactions->profiles && reactions->limited[profile] ? &reactions->limits[profile] : NULL;
}

static bool holds_one(const reef_address_range *range, uint32_t count, unsigned version, const uint8_t *address)
{
    size_t length = version == 4 ? 4 : 16;
    for (uint32_t i = 0; i < count; i++)
        if (range[i].version == version && memcmp(address, range[i].first, length) >= 0 && memcmp(address, range[i].last, length) <= 0)
            return true;
    return false;
}

static bool is_suppressed_by(const reef_suppression *said, const reaction_ends *ends)
{
    if (said->until_s != 0 && ends->now_s >= said->until_s)
        return false;
    bool of_profile = said->profiles == 0;
    for (uint32_t i = 0; i < said->profiles; i++)
        of_profile |= said->profile[i] == ends->profile;
    return of_profile && (said->clients == 0 || holds_one(said->client, said->clients, ends->version, ends->client)) &&
           (said->servers == 0 || holds_one(said->server, said->servers, ends->version, ends->server)) &&
           (said->eithers == 0 || holds_one(said->either, said->eithers, ends->version, ends->client) ||
            holds_one(said->either, said->eithers, ends->version, ends->server));
}

uint8_t reactions_action(const reef_reactions *reactions, uint32_t rule, const reaction_ends *ends)
{
    uint32_t profile = ends->profile < reactions->profiles ? ends->profile : 0;
    uint8_t action = reactions->action[(size_t)profile * reactions->rules->header->rules + rule];
    for (uint32_t at = reactions->suppressions.first[rule]; at != 0 && action != REEF_OFF; at = reactions->suppressions.remark[at].next) {
        const reef_suppression *said = &reactions->suppression[reactions->suppressions.remark[at].what].said;
        if (is_suppressed_by(said, ends))
            return said->action == REEF_ALERT && action == REEF_PASS ? REEF_PASS : said->action;
    }
    return action;
}

const reef_reaction_threshold *reactions_threshold(const reef_reactions *reactions, uint32_t rule, uint16_t profile)
{
    for (uint32_t at = reactions->thresholds.first[rule]; at != 0; at = reactions->thresholds.remark[at].next)
        if (reactions->thresholds.remark[at].profile == profile)
            return &reactions->threshold[reactions->thresholds.remark[at].what];
    return NULL;
}
