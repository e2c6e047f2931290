#include "reef/replay.h"

#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/status.h"

/* What one policy does with a flow. */
typedef struct outcome {
    reef_answer answer;
    int32_t from, to;
    const uint8_t *destination;
    uint16_t port;
    int32_t translation;
} outcome;

typedef struct detail_entry {
    reef_detail detail;
    uint32_t change;
    uint8_t axis;
} detail_entry;

/* Where the policies differ in a pair of zones, once it is asked for. */
typedef struct pair {
    reef_differing differing;
    bool known;
} pair;

struct reef_replay {
    reef_policy *policy[2]; /* running, candidate */
    uint64_t seed[2];
    bool same_frame;
    uint32_t zones;
    pair *pair;
    reef_change *change;
    uint32_t *change_at;
    detail_entry *detail;
    uint32_t *detail_at;
    uint32_t changes, details, details_room, detail_slots;
    uint32_t last_change; /* most often the next one is alike */
    bool in_order; /* the details lie in the order in which they are asked for */
    uint32_t *place[2];
    uint32_t places;
    reef_replay_sum sum;
};

enum { CHANGE_SLOTS = 4 * REEF_CHANGES_MAX, FIRST_DETAILS = 1024 };

int reef_replay_new(reef_policy *running, reef_policy *candidate, const uint64_t seed[2], reef_replay **out)
{
    *out = NULL;
    if (reef_policy_zones(running) != reef_policy_zones(candidate))
        return REEF_INVALID;
    reef_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL)
        return REEF_NOMEM;
    replay->policy[0] = running;
    replay->policy[1] = candidate;
    memcpy(replay->seed, seed, sizeof replay->seed);
    replay->zones = reef_policy_zones(running);
    replay->same_frame = reef_policy_same_frame(running, candidate);
    replay->pair = calloc((size_t)replay->zones * replay->zones, sizeof *replay->pair);
    replay->change = calloc(REEF_CHANGES_MAX, sizeof *replay->change);
    replay->change_at = calloc(CHANGE_SLOTS, sizeof *replay->change_at);
    if (!replay->pair || !replay->change || !replay->change_at) {
        reef_replay_free(replay);
        return REEF_NOMEM;
    }
    *out = replay;
    return REEF_OK;
}

void reef_replay_free(reef_replay *replay)
{
    if (replay == NULL)
        return;
    free(replay->pair);
    free(replay->change);
    free(replay->change_at);
    free(replay->detail);
    free(replay->detail_at);
    free(replay->place[0]);
    free(replay->place[1]);
    free(replay);
}

/* --- counting what differs ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t word)
{
    unsigned __int128 product = (unsigned __int128)(h ^ word) * 0x9e3779b97f4a7c15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static bool same_change(const reef_change *a, const reef_change *b)
{
    return a->from == b->from && a->to == b->to && a->to_now == b->to_now && a->rule == b->rule &&
           a->rule_now == b->rule_now && a->kind == b->kind;
}

static uint32_t number_of_change(reef_replay *replay, const reef_change *change)
{
    uint64_t h = mix(replay->seed[0], (uint64_t)(uint32_t)change->from << 32 | (uint32_t)change->to);
    h = mix(h, (uint64_t)(uint32_t)change->to_now << 32 | change->kind);
    h = mix(h, (uint64_t)(uint32_t)change->rule << 32 | (uint32_t)change->rule_now);
    for (uint32_t i = (uint32_t)h & (CHANGE_SLOTS - 1);; i = (i + 1) & (CHANGE_SLOTS - 1)) {
        if (replay->change_at[i] == 0) {
            if (replay->changes == REEF_CHANGES_MAX)
                return UINT32_MAX;
            replay->change[replay->changes] = *change;
            replay->change_at[i] = ++replay->changes;
            return replay->changes - 1;
        }
        if (same_change(&replay->change[replay->change_at[i] - 1], change))
            return replay->change_at[i] - 1;
    }
}

static uint32_t detail_slot(const reef_replay *replay, const detail_entry *entry)
{
    uint64_t words[2];
    memcpy(words, entry->detail.address, 16);
    uint64_t h = mix(replay->seed[0], words[0]);
    h = mix(h ^ replay->seed[1], words[1]);
    h = mix(h, (uint64_t)entry->change << 32 | (uint64_t)entry->detail.version << 24 | entry->axis);
    h = mix(h, (uint64_t)entry->detail.port << 8 | entry->detail.protocol);
    uint32_t mask = replay->detail_slots - 1;
    for (uint32_t i = (uint32_t)h & mask;; i = (i + 1) & mask) {
        if (replay->detail_at[i] == 0)
            return i;
        const detail_entry *known = &replay->detail[replay->detail_at[i] - 1];
        if (known->change == entry->change && known->axis == entry->axis &&
            known->detail.version == entry->detail.version && known->detail.protocol == entry->detail.protocol &&
            known->detail.port == entry->detail.port && memcmp(known->detail.address, entry->detail.address, 16) == 0)
            return i;
    }
}

static bool grow_details(reef_replay *replay)
{
    uint32_t room = replay->details_room == 0 ? FIRST_DETAILS : replay->details_room * 2;
    if (room > REEF_DETAILS_MAX)
        return false;
    detail_entry *larger = realloc(replay->detail, room * sizeof *larger);
    if (larger == NULL)
        return false;
    replay->detail = larger;
    uint32_t *slots = calloc((size_t)room * 2, sizeof *slots);
    if (slots == NULL)
        return false;
    free(replay->detail_at);
    replay->detail_at = slots;
    replay->detail_slots = room * 2;
    replay->details_room = room;
    for (uint32_t i = 0; i < replay->details; i++)
        replay->detail_at[detail_slot(replay, &replay->detail[i])] = i + 1;
    return true;
}

static void count_detail(reef_replay *replay, const detail_entry *entry)
{
    if (replay->details == replay->details_room && !grow_details(replay)) {
        uint32_t slot = replay->detail_slots > 0 ? detail_slot(replay, entry) : 0;
        if (replay->detail_slots == 0 || replay->detail_at[slot] == 0) {
            replay->sum.details_lost++;
            return;
        }
    }
    uint32_t slot = detail_slot(replay, entry);
    if (replay->detail_at[slot] != 0) {
        replay->detail[replay->detail_at[slot] - 1].detail.flows += entry->detail.flows;
        return;
    }
    replay->detail[replay->details] = *entry;
    replay->detail_at[slot] = ++replay->details;
}

/* --- one flow ------------------------------------------------------------------------------------------- */

typedef struct flow {
    const reef_flow_run *run;
    const reef_flow_body *body;
    uint32_t at;
    int32_t from, to; /* as logged */
    int32_t rule;     /* of the running policy, as logged */
    uint8_t version;
} flow;

/* The zone as it was logged, unless the candidate's routing expects the address elsewhere than the running one does. */
static int32_t zone_under(const reef_replay *replay, int which, int32_t logged, uint32_t place, uint32_t place_running)
{
    int32_t here = reef_policy_route(replay->policy[which], place);
    if (logged == REEF_NO_ZONE || which == 0)
        return logged != REEF_NO_ZONE ? logged : here;
    int32_t running = reef_policy_route(replay->policy[0], place_running);
    return here != REEF_NO_ZONE && running != REEF_NO_ZONE && here != running ? here : logged;
}

static int decide(reef_replay *replay, int which, const flow *f, reef_question *question, outcome *out)
{
    reef_policy *policy = replay->policy[which];
    const reef_flow_body *body = f->body;
    const uint32_t *place = replay->place[which], *running = replay->place[0];
    uint32_t source = body->source[f->at], asked = body->asked[f->at], reached = body->destination[f->at];
    question->source = place[source];
    out->from = question->from = zone_under(replay, which, f->from, place[source], running[source]);
    question->port = body->translated[f->at] ? body->asked_port[f->at] : f->run->port;
    if (reef_policy_spoofed(policy, question->from, question, body->address[source], f->rule == REEF_SPOOFED)) {
        out->answer = (reef_answer){REEF_SPOOFED, REEF_DENIED, false};
        out->to = f->to;
        out->destination = body->address[asked];
        out->port = question->port;
        return REEF_OK;
    }
    question->destination = place[asked];
    reef_answer translated;
    int status = reef_policy_translate(policy, question, &translated);
    if (status != REEF_OK)
        return status;
    out->destination = body->address[asked];
    if (translated.rule >= 0) {
        uint16_t port;
        reef_policy_target(policy, translated.rule, &out->destination, &question->destination, &port);
        question->port = port != 0 ? port : question->port;
    }
    out->port = question->port;
    if (memcmp(out->destination, body->address[reached], 16) == 0)
        out->to = zone_under(replay, which, f->to, place[reached], running[reached]);
    else
        out->to = reef_policy_route(policy, question->destination);
    question->to = out->to;
    status = reef_policy_decide(policy, question, &out->answer);
    out->answer.unsure |= translated.unsure;
    return status;
}

static uint32_t identity(const reef_replay *replay, int which, int32_t rule)
{
    return rule < 0 ? (uint32_t)rule : reef_policy_identity(replay->policy[which], rule);
}

/* Which kind of difference, or -1 for none. */
static int kind_of(const reef_replay *replay, const outcome *was, const outcome *now)
{
    bool before = was->answer.action == REEF_ALLOWED, after = now->answer.action == REEF_ALLOWED;
    if (before != after)
        return before ? REEF_NOW_DENIED : REEF_NOW_ALLOWED;
    if (before && (was->port != now->port || memcmp(was->destination, now->destination, 16) != 0))
        return REEF_NOW_ELSEWHERE;
    if (was->answer.action != now->answer.action)
        return REEF_NOW_REFUSED;
    bool same = identity(replay, 0, was->answer.rule) == identity(replay, 1, now->answer.rule);
    return same ? -1 : REEF_NOW_BY_ANOTHER;
}

static void note_change(reef_replay *replay, const flow *f, const outcome *was, const outcome *now, int kind)
{
    const reef_flow_body *body = f->body;
    uint32_t at = f->at, minute = body->minute[at];
    const uint8_t *source = body->address[body->source[at]], *asked = body->address[body->asked[at]];
    uint16_t port = body->translated[at] ? body->asked_port[at] : f->run->port;
    reef_change fresh = {
        .from = was->from, .to = was->to, .to_now = now->to,
        .rule = was->answer.rule, .rule_now = now->answer.rule,
        .kind = (uint8_t)kind, .action = was->answer.action, .action_now = now->answer.action,
        .first = minute,
    };
    uint32_t number = replay->last_change;
    if (number >= replay->changes || !same_change(&replay->change[number], &fresh))
        number = replay->last_change = number_of_change(replay, &fresh);
    if (number == UINT32_MAX) {
        replay->sum.changes_lost += body->count[at];
        return;
    }
    reef_change *change = &replay->change[number];
    change->rows++;
    change->flows += body->count[at];
    change->bytes += body->bytes[at];
    change->packets += body->packets[at];
    change->first = minute < change->first ? minute : change->first;
    if (minute >= change->last) {
        change->last = minute;
        change->version = f->version;
        change->protocol = f->run->protocol;
        change->port = port;
        memcpy(change->source, source, 16);
        memcpy(change->destination, asked, 16);
    }
    detail_entry entry = {.change = number, .axis = REEF_BY_SERVICE};
    entry.detail = (reef_detail){.flows = body->count[at], .port = port, .version = f->version,
                                 .protocol = f->run->protocol};
    count_detail(replay, &entry);
    entry.detail.port = entry.detail.protocol = 0;
    entry.axis = REEF_BY_SOURCE;
    memcpy(entry.detail.address, source, 16);
    count_detail(replay, &entry);
    entry.axis = REEF_BY_DESTINATION;
    memcpy(entry.detail.address, asked, 16);
    count_detail(replay, &entry);
}

/* `question` holds what the flows of a run have in common. */
static int replay_flow(reef_replay *replay, const flow *f, reef_question question)
{
    question.version = f->version;
    question.minute = f->body->minute[f->at];
    outcome was, now;
    int status = decide(replay, 0, f, &question, &was);
    if (status == REEF_OK)
        status = decide(replay, 1, f, &question, &now);
    if (status != REEF_OK)
        return status;
    uint32_t count = f->body->count[f->at];
    if (f->rule != REEF_NO_RULE && was.answer.rule != f->rule)
        replay->sum.unlike_log_flows += count;
    if (was.answer.unsure || now.answer.unsure) {
        replay->sum.unsure_flows += count; /* what would decide if the source port does not match is not known */
        return REEF_OK;
    }
    int kind = kind_of(replay, &was, &now);
    if (kind >= 0)
        note_change(replay, f, &was, &now, kind);
    return REEF_OK;
}

/* --- blocks --------------------------------------------------------------------------------------------- */

static const reef_differing *differing_in(reef_replay *replay, int32_t from, int32_t to)
{
    pair *one = &replay->pair[(size_t)from * replay->zones + (size_t)to];
    if (!one->known)
        reef_policy_differ(replay->policy[0], replay->policy[1], from, to, &one->differing);
    one->known = true;
    return &one->differing;
}

enum { FEW = 64 }; /* differing rules that are asked one by one, whether they speak of a run */

/* Whether both policies decide all flows of a run alike. Where there is destination NAT, a flow may have been led
 * elsewhere when it was logged than it would be now: then every pair from its zone must be the same. */
static bool decided_alike(reef_replay *replay, int32_t from, int32_t to, const reef_flow_run *run)
{
    if (!replay->same_frame || from == REEF_NO_ZONE || to == REEF_NO_ZONE)
        return false;
    if (reef_policy_translates(replay->policy[0])) {
        for (uint32_t z = 0; z < replay->zones; z++)
            if (!differing_in(replay, from, (int32_t)z)->same)
                return false;
        return true;
    }
    const reef_differing *found = differing_in(replay, from, to);
    for (int which = 0; which < 2 && !found->same; which++)
        if (found->end[which] - found->first[which] > FEW ||
            reef_policy_speaks(replay->policy[which], found->first[which], found->end[which], from, to, run->protocol,
                               run->port))
            return false;
    return true;
}

bool reef_replay_wants(reef_replay *replay, const reef_flow_heads *heads, const int32_t *zone_of_name)
{
    for (uint32_t r = 0; r < heads->runs; r++)
        if (!decided_alike(replay, zone_of_name[heads->run[r].from], zone_of_name[heads->run[r].to],
                           &heads->run[r]))
            return true;
    return false;
}

static int lay_places(reef_replay *replay, const reef_flow_body *body)
{
    for (int which = 0; which < 2; which++) {
        if (body->addresses > replay->places || replay->place[which] == NULL) {
            uint32_t *larger = realloc(replay->place[which], (body->addresses + 1u) * sizeof *larger);
            if (larger == NULL)
                return REEF_NOMEM;
            replay->place[which] = larger;
        }
        reef_policy_places(replay->policy[which], (const uint8_t(*)[16])body->address, body->addresses4,
                           body->addresses, replay->place[which]);
    }
    if (body->addresses > replay->places)
        replay->places = body->addresses;
    return REEF_OK;
}

int reef_replay_rows(reef_replay *replay, const reef_flow_heads *heads, const reef_flow_body *body,
                     const int32_t *zone_of_name, const int32_t *rule_of_name, bool all)
{
    int status = lay_places(replay, body);
    replay->in_order = false;
    uint32_t at = 0;
    for (uint32_t r = 0; r < heads->runs && status == REEF_OK; r++) {
        const reef_flow_run *run = &heads->run[r];
        flow f = {.run = run, .body = body, .from = zone_of_name[run->from], .to = zone_of_name[run->to],
                  .rule = rule_of_name[run->rule]};
        if (f.rule == REEF_NOT_BY_RULES || (!all && decided_alike(replay, f.from, f.to, run))) {
            at += run->rows;
            continue;
        }
        reef_question question = {.protocol = run->protocol};
        reef_policy_evidence(replay->policy[0], f.rule, &question);
        for (uint32_t end = at + run->rows; at < end && status == REEF_OK; at++) {
            f.at = at;
            f.version = body->source[at] < body->addresses4 ? 4 : 6;
            status = replay_flow(replay, &f, question);
        }
    }
    for (uint32_t i = 0; i < body->rows; i++)
        replay->sum.flows += body->count[i];
    replay->sum.rows += body->rows;
    return status;
}

/* --- the result ----------------------------------------------------------------------------------------- */

void reef_replay_sum_up(const reef_replay *replay, reef_replay_sum *sum)
{
    *sum = replay->sum;
    sum->changes = replay->changes;
}

const reef_change *reef_replay_change(const reef_replay *replay, uint32_t index)
{
    return index < replay->changes ? &replay->change[index] : NULL;
}

static int by_flows(const void *a, const void *b)
{
    const detail_entry *x = a, *y = b;
    if (x->change != y->change)
        return x->change < y->change ? -1 : 1;
    if (x->axis != y->axis)
        return x->axis < y->axis ? -1 : 1;
    if (x->detail.flows != y->detail.flows)
        return x->detail.flows > y->detail.flows ? -1 : 1;
    return memcmp(x->detail.address, y->detail.address, sizeof x->detail.address);
}

static size_t first_detail(const reef_replay *replay, uint32_t change, uint32_t axis)
{
    size_t low = 0, high = replay->details;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const detail_entry *entry = &replay->detail[middle];
        if (entry->change < change || (entry->change == change && entry->axis < axis))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t reef_replay_details(reef_replay *replay, uint32_t change, reef_detail_axis axis, reef_detail *out, size_t max)
{
    if (!replay->in_order && replay->details > 0) {
        qsort(replay->detail, replay->details, sizeof *replay->detail, by_flows);
        memset(replay->detail_at, 0, replay->detail_slots * sizeof *replay->detail_at);
        for (uint32_t i = 0; i < replay->details; i++)
            replay->detail_at[detail_slot(replay, &replay->detail[i])] = i + 1;
    }
    replay->in_order = true;
    size_t first = first_detail(replay, change, axis), end = first_detail(replay, change, (uint32_t)axis + 1);
    for (size_t i = first; i < end && i - first < max; i++)
        out[i - first] = replay->detail[i].detail;
    return end - first;
}
