/* The box algebra against a look at every packet: spaces so small that all packets can be listed. */
#include "check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reef/boxes.h"
#include "reef/status.h"

enum { ADDRESSES = 4, SERVICES = 3, PEOPLE = 3, SECONDS = 4, RULES = 7 };

static uint32_t state = 1;

static uint32_t random_below(uint32_t limit)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % limit;
}

/* A rule of one row: one interval on each axis that is used, kinds of time and two conditions. */
typedef struct small_rule {
    uint32_t source[2], destination[2];
    int32_t service[2], person[2], until;
    uint64_t times, yes, no;
    int32_t effect;
    uint8_t action;
} small_rule;

typedef struct packet {
    uint32_t source, destination;
    int32_t service, person, second;
    uint64_t conditions;
} packet;

static const reef_box_stretch STRETCHES[] = {{0, 0}, {2, 1}};

static void interval(uint32_t *low, uint32_t *high, uint32_t size)
{
    uint32_t a = random_below(size), b = random_below(size);
    *low = a < b ? a : b;
    *high = a < b ? b : a;
    if (random_below(3) == 0)
        *low = 0, *high = size - 1;
}

static small_rule random_rule(void)
{
    small_rule rule = {.times = 1 + random_below(3), .until = (int32_t)random_below(SECONDS)};
    uint32_t low, high;
    interval(&rule.source[0], &rule.source[1], ADDRESSES);
    interval(&rule.destination[0], &rule.destination[1], ADDRESSES);
    if (random_below(3) == 0)
        rule.source[1] = UINT32_MAX; /* any */
    interval(&low, &high, SERVICES);
    rule.service[0] = (int32_t)low, rule.service[1] = (int32_t)high;
    interval(&low, &high, PEOPLE);
    rule.person[0] = (int32_t)low, rule.person[1] = (int32_t)high;
    if (random_below(4))
        rule.times = 3, rule.until = INT32_MAX;
    if (random_below(4) == 0)
        rule.yes = 1u << random_below(2);
    if (random_below(4) == 0)
        rule.no = 1u << random_below(2);
    rule.action = (uint8_t)random_below(3);
    rule.effect = rule.action;
    return rule;
}

static bool holds(const small_rule *rule, const packet *p)
{
    uint64_t kind = p->second < 2 ? 1 : 2;
    return p->source >= rule->source[0] && p->source <= rule->source[1] && p->destination >= rule->destination[0] &&
           p->destination <= rule->destination[1] && p->service >= rule->service[0] &&
           p->service <= rule->service[1] && p->person >= rule->person[0] && p->person <= rule->person[1] &&
           p->second <= rule->until && (rule->times & kind) && (p->conditions & rule->yes) == rule->yes &&
           !(p->conditions & rule->no);
}

/* Calls `see` for every packet there is. */
static void every_packet(void (*see)(const packet *, void *), void *context)
{
    packet p;
    for (p.source = 0; p.source < ADDRESSES + 1; p.source++)
        for (p.destination = 0; p.destination < ADDRESSES; p.destination++)
            for (p.service = 0; p.service < SERVICES; p.service++)
                for (p.person = 0; p.person < PEOPLE; p.person++)
                    for (p.second = 0; p.second < SECONDS; p.second++)
                        for (p.conditions = 0; p.conditions < 4; p.conditions++)
                            see(&p, context);
}

/* The lists and rows of rules, each with lists of its own. */
typedef struct row_lists {
    uint32_t four[4 * RULES], four_end[2 * RULES], six_end[2 * RULES], service_end[RULES];
    int32_t pair[4], service[4 * RULES], people[2 * RULES];
    uint32_t pair_end[1], people_end[RULES];
    reef_box_row row[RULES];
    reef_box_rule rule[RULES];
    reef_box_lists lists;
} row_lists;

static void pack(row_lists *out, const small_rule *rules, uint32_t count, uint32_t first)
{
    memset(out, 0, sizeof *out);
    out->pair_end[0] = 1;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(&out->four[4 * i], rules[i].source, 8);
        memcpy(&out->four[4 * i + 2], rules[i].destination, 8);
        out->four_end[2 * i] = 2 * i + 1;
        out->four_end[2 * i + 1] = 2 * i + 2;
        memcpy(&out->service[4 * i], rules[i].service, 8);
        out->service_end[i] = i + 1;
        memcpy(&out->people[2 * i], rules[i].person, 8);
        out->people_end[i] = i + 1;
        out->row[i] = (reef_box_row){(int32_t)(first + i), 0, 2 * i, 2 * i + 1, i, i, rules[i].until, 0,
                                     rules[i].times, rules[i].yes, rules[i].no};
    }
    static const uint8_t none[1];
    out->lists = (reef_box_lists){out->four, none, out->four_end, out->six_end, 2 * count, out->pair, out->pair_end, 1,
                                  out->service, out->service_end, out->service_end, count, out->people,
                                  out->people_end, count};
    for (uint32_t i = 0; i < count; i++)
        out->rule[i] = (reef_box_rule){rules[i].effect, rules[i].action, REEF_SIDE_BOTH, 0};
}

static reef_space *space_of(const small_rule *rules, uint32_t count, const uint8_t *sides)
{
    reef_space *space;
    row_lists packed;
    CHECK(reef_space_new(STRETCHES, 2, SECONDS - 1, (reef_box_rule){1, 1, REEF_SIDE_BOTH, 0}, &space) == REEF_OK);
    pack(&packed, rules, count, 0);
    for (uint32_t i = 0; sides != NULL && i < count; i++)
        packed.rule[i].side = sides[i];
    CHECK(reef_space_change(space, NULL, packed.rule, count, &packed.lists, packed.row, count) == REEF_OK);
    return space;
}

/* What every packet says of the rules. */
typedef struct truth {
    const small_rule *rules;
    const uint8_t *sides;
    const reef_space *space;
    const reef_part *part;
    uint32_t count, parts;
    bool reached[RULES], needed[RULES], crossed[RULES][RULES], beside[RULES][RULES];
} truth;

static int32_t first_match(const truth *t, const packet *p, uint32_t without, uint8_t side)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (i != without && (t->sides == NULL || (t->sides[i] & side)) && holds(&t->rules[i], p))
            return (int32_t)i;
    return REEF_NO_RULE;
}

static int32_t effect_of(const truth *t, int32_t rule)
{
    return rule == REEF_NO_RULE ? 1 : t->rules[rule].effect;
}

static void judge(const packet *p, void *context)
{
    truth *t = context;
    int32_t first = first_match(t, p, UINT32_MAX, REEF_SIDE_BOTH);
    for (uint32_t a = 0; a < t->count; a++)
        for (uint32_t b = 0; b < t->count; b++)
            if (holds(&t->rules[a], p) && !holds(&t->rules[b], p))
                t->beside[a][b] = true;
    if (first == REEF_NO_RULE)
        return;
    t->reached[first] = true;
    if (effect_of(t, first_match(t, p, (uint32_t)first, REEF_SIDE_BOTH)) != effect_of(t, first))
        t->needed[first] = true;
    for (uint32_t b = (uint32_t)first + 1; b < t->count; b++)
        if (holds(&t->rules[b], p) && t->rules[b].action != t->rules[first].action)
            t->crossed[first][b] = true;
}

static bool in_box(const reef_space *space, const reef_box *box, const packet *p)
{
    const int32_t at[REEF_AXES] = {0, 0, 0, 0, p->service, 0, p->person, p->second};
    for (int axis = 0; axis < REEF_AXES; axis++) {
        if (axis == REEF_AXIS_SOURCE || axis == REEF_AXIS_DESTINATION) {
            int version;
            uint8_t first[16], last[16];
            uint32_t value = axis == REEF_AXIS_SOURCE ? p->source : p->destination, from, to;
            CHECK(reef_space_addresses(space, box->low[axis], box->high[axis], &version, first, last) == REEF_OK);
            memcpy(&from, first, 4);
            memcpy(&to, last, 4);
            CHECK(version == 4);
            if (value < from || value > to)
                return false;
        } else if (at[axis] < box->low[axis] || at[axis] > box->high[axis]) {
            return false;
        }
    }
    return (box->times >> (p->second < 2 ? 0 : 1) & 1) && (p->conditions & box->yes) == box->yes &&
           !(p->conditions & box->no);
}

static void compare_proof(reef_space *space, const small_rule *rules, uint32_t count)
{
    truth t = {.rules = rules, .count = count};
    every_packet(judge, &t);
    uint64_t used;
    const reef_finding *finding;
    uint32_t findings;
    uint8_t said[RULES] = {0};
    bool conflict[RULES][RULES] = {{false}};
    CHECK(reef_space_prove(space, 10000000, 10000000, RULES, &used, NULL, &finding, &findings) == REEF_OK);
    for (uint32_t i = 0; i < findings; i++) {
        CHECK(finding[i].kind != REEF_FINDING_UNDECIDED);
        if (finding[i].kind == REEF_FINDING_CONFLICT)
            conflict[finding[i].rule][finding[i].other[0]] = true;
        else
            said[finding[i].rule] = (uint8_t)finding[i].kind;
    }
    for (uint32_t a = 0; a < count; a++) {
        bool dead = said[a] == REEF_FINDING_DEAD || said[a] == REEF_FINDING_EMPTY;
        CHECK(dead == !t.reached[a]);
        CHECK((said[a] == REEF_FINDING_NO_EFFECT) == (t.reached[a] && !t.needed[a]));
        for (uint32_t b = 0; b < count; b++)
            CHECK(conflict[a][b] == (t.crossed[a][b] && t.beside[a][b] && t.beside[b][a]));
    }
}

static void small_spaces_are_proven_as_a_look_at_every_packet_says(void)
{
    for (int round = 0; round < 250; round++) {
        small_rule rules[RULES];
        uint32_t count = 1 + random_below(RULES);
        for (uint32_t i = 0; i < count; i++)
            rules[i] = random_rule();
        reef_space *space = space_of(rules, count, NULL);
        compare_proof(space, rules, count);
        reef_space_free(space);
    }
}

static void see_decided(const packet *p, void *context)
{
    truth *t = context;
    int32_t rule = first_match(t, p, UINT32_MAX, REEF_SIDE_BOTH);
    uint32_t found = 0;
    for (uint32_t i = 0; i < t->parts; i++)
        if (in_box(t->space, &t->part[i].box, p)) {
            found++;
            CHECK(t->part[i].old_rule == rule);
        }
    CHECK(found == 1);
}

static void every_packet_lies_in_one_decided_part(void)
{
    for (int round = 0; round < 60; round++) {
        small_rule rules[RULES];
        for (uint32_t i = 0; i < RULES; i++)
            rules[i] = random_rule();
        reef_space *space = space_of(rules, RULES, NULL);
        reef_box all = {.times = 3};
        reef_space_whole(space, 4, &all.low[REEF_AXIS_SOURCE], &all.high[REEF_AXIS_SOURCE]);
        all.low[REEF_AXIS_DESTINATION] = all.low[REEF_AXIS_SOURCE];
        all.high[REEF_AXIS_DESTINATION] = all.high[REEF_AXIS_SOURCE];
        all.high[REEF_AXIS_SERVICE] = SERVICES - 1;
        all.high[REEF_AXIS_PERSON] = PEOPLE - 1;
        all.high[REEF_AXIS_SECOND] = SECONDS - 1;
        truth t = {.rules = rules, .count = RULES, .space = space};
        uint64_t used;
        CHECK(reef_space_decide(space, &all, 1, REEF_SIDE_BOTH, 256, 1, 10000000, &used, &t.part, &t.parts) == REEF_OK);
        every_packet(see_decided, &t);
        reef_space_free(space);
    }
}

static void see_difference(const packet *p, void *context)
{
    truth *t = context;
    int32_t before = first_match(t, p, UINT32_MAX, REEF_SIDE_OLD), after = first_match(t, p, UINT32_MAX, REEF_SIDE_NEW);
    uint32_t found = 0;
    for (uint32_t i = 0; i < t->parts; i++)
        if (in_box(t->space, &t->part[i].box, p)) {
            found++;
            CHECK(t->part[i].old_rule == before && t->part[i].new_rule == after);
        }
    uint8_t actions[2] = {before < 0 ? 1 : t->rules[before].action, after < 0 ? 1 : t->rules[after].action};
    CHECK(found == (actions[0] != actions[1]));
}

static void what_two_lists_decide_otherwise_lies_in_one_part(void)
{
    for (int round = 0; round < 120; round++) {
        small_rule rules[RULES];
        uint8_t sides[RULES];
        for (uint32_t i = 0; i < RULES; i++) {
            rules[i] = random_rule();
            sides[i] = (uint8_t)(random_below(2) ? REEF_SIDE_BOTH : 1 + random_below(2));
        }
        reef_space *space = space_of(rules, RULES, sides);
        truth t = {.rules = rules, .sides = sides, .count = RULES, .space = space};
        uint64_t used;
        CHECK(reef_space_compare(space, 10000000, &used, &t.part, &t.parts) == REEF_OK);
        every_packet(see_difference, &t);
        reef_space_free(space);
    }
}

static void a_space_that_is_changed_is_as_if_made_so(void)
{
    for (int round = 0; round < 60; round++) {
        small_rule rules[RULES];
        uint32_t count = 4;
        for (uint32_t i = 0; i < count; i++)
            rules[i] = random_rule();
        reef_space *space = space_of(rules, count, NULL);
        for (int edit = 0; edit < 12; edit++) {
            int32_t moved[RULES];
            small_rule after[RULES], fresh = random_rule();
            uint32_t kept = 0, gone = random_below(count + 1), at = random_below(count + 1), now = 0, place = 0;
            bool grow = count < RULES && (gone == count || random_below(2));
            for (uint32_t i = 0; i <= count; i++) {
                if (grow && i == at) {
                    place = now;
                    after[now++] = fresh;
                }
                if (i == count)
                    break;
                moved[i] = i == gone ? REEF_NO_RULE : (int32_t)now;
                if (i != gone)
                    after[now++] = rules[i], kept++;
            }
            row_lists packed, all;
            pack(&packed, &fresh, grow ? 1 : 0, place);
            pack(&all, after, now, 0);
            CHECK(reef_space_change(space, moved, all.rule, now, &packed.lists, packed.row, grow ? 1 : 0) == REEF_OK);
            memcpy(rules, after, sizeof after);
            count = now;
            CHECK(reef_space_rules(space) == count);
            reef_space *cold = space_of(rules, count, NULL);
            const reef_finding *finding;
            uint32_t findings;
            uint64_t used;
            CHECK(reef_space_prove(space, 10000000, 10000000, RULES, &used, NULL, &finding, &findings) == REEF_OK);
            CHECK(reef_space_prove(cold, 10000000, 10000000, RULES, &used, NULL, &finding, &findings) == REEF_OK);
            CHECK(reef_space_crossings(space) == reef_space_crossings(cold));
            CHECK(reef_space_boxes(space) == reef_space_boxes(cold));
            reef_space_free(cold);
            if (count == 0)
                break;
        }
        reef_space_free(space);
    }
}

static void ranks_name_the_addresses_they_came_from(void)
{
    small_rule rules[1] = {random_rule()};
    reef_space *space = space_of(rules, 1, NULL);
    const uint32_t four[] = {10, 20, 15, UINT32_MAX};
    uint8_t six[32] = {0}, last4[16] = {0}, first[16], last[16], whole[16];
    memset(six + 16, 0xff, 16);
    six[0] = 7;
    memset(whole, 0xff, sizeof whole);
    CHECK(reef_space_cut(space, four, 2, six, 1) == REEF_OK);
    int32_t low, high;
    int version;
    uint8_t from[16] = {0}, to[16] = {0};
    from[0] = 10, to[0] = 20;
    memset(last4, 0xff, 4);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    CHECK(reef_space_ranks(space, 4, from, to, &low, &high) == REEF_OK);
    CHECK(reef_space_addresses(space, low, high, &version, first, last) == REEF_OK);
    CHECK(version == 4 && memcmp(first, from, 16) == 0 && memcmp(last, to, 16) == 0);
    from[0] = 15;
    CHECK(reef_space_ranks(space, 4, from, last4, &low, &high) == REEF_OK);
    from[0] = 11; /* no border */
    CHECK(reef_space_ranks(space, 4, from, to, &low, &high) == REEF_INVALID);
#endif
    CHECK(reef_space_ranks(space, 6, six, whole, &low, &high) == REEF_OK);
    CHECK(reef_space_addresses(space, low, high, &version, first, last) == REEF_OK);
    CHECK(version == 6 && memcmp(first, six, 16) == 0 && memcmp(last, whole, 16) == 0);
    CHECK(reef_space_ranks(space, 6, whole, six, &low, &high) == REEF_INVALID);
    CHECK(reef_space_addresses(space, 0, 1 << 20, &version, first, last) == REEF_INVALID);
    reef_space_free(space);
}

static void what_is_out_of_bounds_is_refused(void)
{
    reef_space *space;
    const reef_box_rule deny = {1, 1, REEF_SIDE_BOTH, 0};
    CHECK(reef_space_new(STRETCHES, 0, 3, deny, &space) == REEF_INVALID);
    CHECK(reef_space_new(STRETCHES, 2, 1, deny, &space) == REEF_INVALID);
    CHECK(reef_space_new((reef_box_stretch[]){{0, 64}}, 1, 3, deny, &space) == REEF_INVALID);
    small_rule rule = random_rule();
    row_lists packed;
    CHECK(reef_space_new(STRETCHES, 2, 3, deny, &space) == REEF_OK);
    pack(&packed, &rule, 1, 0);
    packed.row[0].source = 2;
    CHECK(reef_space_change(space, NULL, packed.rule, 1, &packed.lists, packed.row, 1) == REEF_INVALID);
    reef_space_free(space);
    CHECK(reef_space_new(STRETCHES, 2, 3, deny, &space) == REEF_OK);
    pack(&packed, &rule, 1, 0);
    packed.four[0] = 9, packed.four[1] = 8;
    CHECK(reef_space_change(space, NULL, packed.rule, 1, &packed.lists, packed.row, 1) == REEF_INVALID);
    reef_space_free(space);
    reef_space_free(NULL);
}

static void a_budget_ends_questions(void)
{
    small_rule rules[RULES];
    for (uint32_t i = 0; i < RULES; i++)
        rules[i] = random_rule();
    reef_space *space = space_of(rules, RULES, NULL);
    const reef_finding *finding;
    uint32_t findings;
    uint64_t used;
    CHECK(reef_space_prove(space, 1, 1, 1, &used, NULL, &finding, &findings) == REEF_OK);
    CHECK(findings >= RULES - 1 && finding[findings - 1].kind == REEF_FINDING_UNDECIDED);
    CHECK(reef_space_prove(space, 10000000, 10000000, RULES, &used, NULL, &finding, &findings) == REEF_OK);
    reef_box all = {.times = 3};
    for (int axis = 0; axis < REEF_AXES; axis++)
        all.high[axis] = 2;
    const reef_part *part;
    CHECK(reef_space_decide(space, &all, 1, REEF_SIDE_BOTH, 256, 1, 0, &used, &part, &findings) == REEF_END);
    reef_space_free(space);
}

/* Two rules of 128 x 128 boxes that all meet each other, and one far away: looking at every pair takes 3e8 steps. */
static void what_meets_very_much_ends_with_its_share(void)
{
    enum { MANY = 128, FAR = 2 * MANY };
    static uint32_t four[2 * (MANY + 1)];
    for (uint32_t i = 0; i < MANY; i++)
        four[2 * i] = 0, four[2 * i + 1] = 1000 + i;
    four[FAR] = four[FAR + 1] = 5000;
    reef_box_lists lists = {
        .four = four, .six = (const uint8_t[16]){0}, .four_end = (uint32_t[]){MANY, MANY + 1}, .six_end = (uint32_t[]){0, 0},
        .addresses = 2, .pair = (int32_t[]){0, 0, 0, 0}, .pair_end = (uint32_t[]){1}, .pairs = 1,
        .service = (int32_t[]){0, 5, 0, 0}, .service4_end = (uint32_t[]){1}, .service6_end = (uint32_t[]){1},
        .services = 1, .people = (int32_t[]){0, 0}, .people_end = (uint32_t[]){1}, .peoples = 1,
    };
    reef_box_row row[3] = {{.rule = 0, .until = 3, .times = 3}, {.rule = 1, .until = 3, .times = 3},
                           {.rule = 2, .source = 1, .destination = 1, .until = 3, .times = 3}};
    reef_box_rule rule[3] = {{0, 0, REEF_SIDE_BOTH, 0}, {1, 1, REEF_SIDE_BOTH, 0}, {0, 0, REEF_SIDE_BOTH, 0}};
    reef_space *space;
    const reef_finding *finding;
    uint32_t findings;
    uint64_t used;
    uint8_t proven[3];
    CHECK(reef_space_new(STRETCHES, 2, 3, (reef_box_rule){1, 1, REEF_SIDE_BOTH, 0}, &space) == REEF_OK);
    CHECK(reef_space_change(space, NULL, rule, 3, &lists, row, 3) == REEF_OK);
    CHECK(reef_space_prove(space, 6000000, 2000000, 8, &used, proven, &finding, &findings) == REEF_OK);
    CHECK(used < 7000000);
    CHECK(findings > 0 && finding[0].rule == 0 && finding[0].kind == REEF_FINDING_UNDECIDED);
    /* What the edit touches is not looked for to the end: everything is, even what is far away. */
    CHECK(reef_space_prove(space, 100000000, 100000, 8, &used, proven, &finding, &findings) == REEF_OK);
    reef_box_lists none = lists;
    none.pairs = none.addresses = none.services = none.peoples = 0;
    CHECK(reef_space_change(space, (int32_t[]){REEF_NO_RULE, 0, 1}, rule + 1, 2, &none, NULL, 0) == REEF_OK);
    CHECK(reef_space_prove(space, 300000, 100000, 8, &used, proven, &finding, &findings) == REEF_OK);
    CHECK(proven[0] == 1 && proven[1] == 1);
    reef_space_free(space);
}

int main(void)
{
    small_spaces_are_proven_as_a_look_at_every_packet_says();
    every_packet_lies_in_one_decided_part();
    what_two_lists_decide_otherwise_lies_in_one_part();
    a_space_that_is_changed_is_as_if_made_so();
    ranks_name_the_addresses_they_came_from();
    what_is_out_of_bounds_is_refused();
    a_budget_ends_questions();
    what_meets_very_much_ends_with_its_share();
    return 0;
}
