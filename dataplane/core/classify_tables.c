/* The tables of a zone pair: for each axis, which rules hold on which stretch, as rows of bits. */
#include <stdlib.h>
#include <string.h>

#include "classify_internal.h"
#include "reef/limits.h"
#include "reef/status.h"

/* A rule begins or ends to hold at a stretch. */
typedef struct turn {
    uint32_t stretch;
    uint32_t member; /* of the group; the highest bit: it ends */
} turn;

enum { ENDS = INT32_MIN };

typedef struct turns {
    turn *turn;
    size_t count, room;
} turns;

static bool add_turn(turns *list, uint32_t stretch, uint32_t member)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 256 : list->room * 2;
        turn *larger = realloc(list->turn, room * sizeof *larger);
        if (larger == NULL)
            return false;
        list->turn = larger;
        list->room = room;
    }
    list->turn[list->count++] = (turn){stretch, member};
    return true;
}

static bool add_interval(turns *list, uint32_t first, uint32_t last, uint32_t member)
{
    return add_turn(list, first, member) && add_turn(list, last + 1, member | (uint32_t)ENDS);
}

static int by_stretch(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    return x->stretch < y->stretch ? -1 : x->stretch > y->stretch;
}

/* --- rows of bits, each kept once ------------------------------------------------------------------------ */

typedef struct interned {
    uint32_t *slot; /* the row plus one */
    uint32_t slots;
} interned;

static uint64_t hash_bits(const uint64_t *bits, uint32_t words)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (uint32_t i = 0; i < words; i++) {
        h = (h ^ bits[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

/* The words of bits of a row, behind its summary. */
static uint64_t *bits_of(const axis *one, uint32_t row, uint32_t words)
{
    return one->bits + (size_t)row * one->stride + (one->stride - words);
}

static void summarize(uint64_t *row, uint32_t summary, uint32_t words)
{
    memset(row, 0, summary * sizeof *row);
    for (uint32_t i = 0; i < words; i++)
        if (row[summary + i] != 0)
            row[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool grow_interned(interned *known, const axis *one, uint32_t words)
{
    uint32_t slots = known->slots == 0 ? 64 : known->slots * 2;
    uint32_t *larger = calloc(slots, sizeof *larger);
    if (larger == NULL)
        return false;
    for (uint32_t r = 0; r < one->rows; r++) {
        uint32_t i = (uint32_t)hash_bits(bits_of(one, r, words), words) & (slots - 1);
        while (larger[i] != 0)
            i = (i + 1) & (slots - 1);
        larger[i] = r + 1;
    }
    free(known->slot);
    known->slot = larger;
    known->slots = slots;
    return true;
}

/* The number of the row with these bits; UINT32_MAX when there is no memory. */
static uint32_t row_of(axis *one, interned *known, const uint64_t *bits, uint32_t words)
{
    if (one->rows * 2 >= known->slots && !grow_interned(known, one, words))
        return UINT32_MAX;
    uint32_t i = (uint32_t)hash_bits(bits, words) & (known->slots - 1);
    for (; known->slot[i] != 0; i = (i + 1) & (known->slots - 1))
        if (memcmp(bits_of(one, known->slot[i] - 1, words), bits, words * sizeof *bits) == 0)
            return known->slot[i] - 1;
    if (one->rows == one->room) {
        uint32_t room = one->room == 0 ? 16 : one->room * 2;
        if ((uint64_t)room * one->stride * sizeof *bits > REEF_CLASSIFY_BYTES_MAX)
            return UINT32_MAX;
        uint64_t *larger = realloc(one->bits, (size_t)room * one->stride * sizeof *bits);
        if (larger == NULL)
            return UINT32_MAX;
        one->bits = larger;
        one->room = room;
    }
    memcpy(bits_of(one, one->rows, words), bits, words * sizeof *bits);
    summarize(one->bits + (size_t)one->rows * one->stride, one->stride - words, words);
    known->slot[i] = ++one->rows;
    return one->rows - 1;
}

/* One sweep over the stretches; `depth` says how many intervals of a rule lie over the place where it stands. */
static int sweep(axis *one, turns *list, uint32_t stretches, const group *g)
{
    uint32_t words = g->words, rules = g->rules;
    one->stride = g->summary + words;
    if (list->count > 0)
        qsort(list->turn, list->count, sizeof *list->turn, by_stretch);
    interned known = {NULL, 0};
    uint64_t *bits = calloc(words, sizeof *bits);
    uint32_t *depth = calloc(rules + 1u, sizeof *depth);
    one->row = malloc((size_t)stretches * sizeof *one->row);
    int status = bits != NULL && depth != NULL && one->row != NULL ? REEF_OK : REEF_NOMEM;
    size_t at = 0;
    for (uint32_t stretch = 0; status == REEF_OK && stretch < stretches;) {
        for (; at < list->count && list->turn[at].stretch == stretch; at++) {
            uint32_t member = list->turn[at].member & ~(uint32_t)ENDS;
            depth[member] += list->turn[at].member & (uint32_t)ENDS ? UINT32_MAX : 1u;
        }
        /* Bits after all turns of the stretch: one that ends and one that begins may be the same rule's. */
        for (size_t back = at; back > 0 && list->turn[back - 1].stretch == stretch; back--) {
            uint32_t member = list->turn[back - 1].member & ~(uint32_t)ENDS;
            uint64_t bit = (uint64_t)1 << (member % 64);
            bits[member / 64] = depth[member] != 0 ? bits[member / 64] | bit : bits[member / 64] & ~bit;
        }
        uint32_t end = at < list->count && list->turn[at].stretch < stretches ? list->turn[at].stretch : stretches;
        uint32_t row = row_of(one, &known, bits, words);
        if (row == UINT32_MAX)
            status = REEF_NOMEM;
        for (; stretch < end; stretch++)
            one->row[stretch] = row;
    }
    free(known.slot);
    free(bits);
    free(depth);
    return status;
}

/* --- the axes -------------------------------------------------------------------------------------------- */

static bool add_ranges(const reef_policy *policy, turns *list, range_list ranges, unsigned version, uint32_t member)
{
    for (uint32_t i = 0; i < ranges.count; i++) {
        const uint64_t *range = ranges.first + (size_t)i * RANGE_WORDS;
        if (range[0] != version)
            continue;
        uint32_t base = version == 6 ? policy->cuts[0] + 1 : 0;
        if (!add_interval(list, reef_place_of_value(policy, version == 6, reef_first_of(range)) - base,
                          reef_place_of_value(policy, version == 6, reef_last_of(range)) - base, member))
            return false;
    }
    return true;
}

typedef enum side { SOURCE, DESTINATION, PERSON } side;

static number_list live_of(const rule *r, side which)
{
    return which == SOURCE ? r->live_source : which == DESTINATION ? r->live_destination : r->live_person;
}

static int note_lives(axis *one, const rule *rules, const group *g, side which)
{
    size_t total = 0;
    for (uint32_t i = 0; i < g->rules; i++)
        total += live_of(&rules[g->rule[i]], which).count;
    if (total == 0)
        return REEF_OK;
    one->live = calloc(total, sizeof *one->live);
    one->mention = calloc(total * one->stride + 1, sizeof *one->mention);
    if (one->live == NULL || one->mention == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < g->rules; i++) {
        number_list lives = live_of(&rules[g->rule[i]], which);
        for (uint32_t j = 0; j < lives.count; j++) {
            uint32_t k = 0;
            while (k < one->lives && one->live[k] != lives.first[j])
                k++;
            one->live[k] = (uint32_t)lives.first[j];
            one->lives += k == one->lives;
            one->mention[(size_t)k * one->stride + g->summary + i / 64] |= (uint64_t)1 << (i % 64);
        }
    }
    for (uint32_t k = 0; k < one->lives; k++)
        summarize(one->mention + (size_t)k * one->stride, g->summary, g->words);
    return REEF_OK;
}

const uint64_t *reef_axis_mention(const axis *one, uint32_t live)
{
    for (uint32_t k = 0; k < one->lives; k++)
        if (one->live[k] == live)
            return one->mention + (size_t)k * one->stride;
    return NULL;
}

static int build_addresses(const reef_policy *policy, const rule *rules, const group *g, unsigned version, side which,
                           axis *one)
{
    turns list = {NULL, 0, 0};
    uint32_t stretches = policy->cuts[version == 6] + 1;
    bool room = true;
    for (uint32_t i = 0; room && i < g->rules; i++) {
        const rule *r = &rules[g->rule[i]];
        number_list lives = live_of(r, which);
        if (which == PERSON && lives.count == 0)
            room = add_interval(&list, 0, stretches - 1, i);
        else if (which != PERSON)
            room = add_ranges(policy, &list, which == SOURCE ? r->source : r->destination, version, i);
        for (uint32_t j = 0; room && j < lives.count; j++)
            room = add_ranges(policy, &list, policy->live[lives.first[j]], version, i);
    }
    int status = room ? sweep(one, &list, stretches, g) : REEF_NOMEM;
    free(list.turn);
    return status == REEF_OK ? note_lives(one, rules, g, which) : status;
}

static int build_keys(const rule *rules, const group *g, unsigned traffic, axis *one)
{
    turns list = {NULL, 0, 0};
    bool room = true;
    for (uint32_t i = 0; room && i < g->rules; i++) {
        const rule *r = &rules[g->rule[i]];
        for (uint32_t k = 0; room && k < r->keys; k++) {
            const uint64_t *key = r->key + (size_t)k * KEY_WORDS;
            if (key[0] == traffic)
                room = add_interval(&list, (uint32_t)key[1], (uint32_t)key[2], i);
        }
    }
    int status = room ? sweep(one, &list, UINT16_MAX + 1, g) : REEF_NOMEM;
    free(list.turn);
    return status;
}

/* --- the group ------------------------------------------------------------------------------------------- */

static bool listed(number_list zones, uint32_t number)
{
    for (uint32_t i = 0; i < zones.count; i++)
        if (zones.first[i] == number)
            return true;
    return false;
}

bool reef_rule_serves(const rule *r, uint32_t from, uint32_t to)
{
    return ((r->any_from && from != 0) || listed(r->from, from)) && ((r->any_to && to != 0) || listed(r->to, to));
}

static bool speaks_of(const rule *r, unsigned traffic)
{
    for (uint32_t k = 0; k < r->keys; k++)
        if (r->key[(size_t)k * KEY_WORDS] == traffic)
            return true;
    return false;
}

int reef_group_build(const reef_policy *policy, const rule *rules, uint32_t count, const reef_question *question,
                     bool pairs, group **out)
{
    *out = NULL;
    group *g = calloc(1, sizeof *g);
    unsigned traffic = reef_traffic_of(question->version, question->protocol);
    uint32_t from = (uint32_t)question->from, to = (uint32_t)question->to;
    if (g == NULL || (g->rule = calloc(count + 1u, sizeof *g->rule)) == NULL) {
        reef_group_free(g);
        return REEF_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const rule *r = &rules[i];
        bool serves = pairs ? reef_rule_serves(r, from, to) : (r->any_from && from != 0) || listed(r->from, from);
        if (!serves || !speaks_of(r, traffic))
            continue;
        g->people |= r->live_person.count > 0;
        g->rule[g->rules++] = i;
    }
    g->words = (g->rules + 63) / 64;
    g->summary = (g->words + 63) / 64;
    int status = REEF_OK;
    if (g->rules > 0) {
        status = build_addresses(policy, rules, g, question->version, SOURCE, &g->source);
        if (status == REEF_OK)
            status = build_addresses(policy, rules, g, question->version, DESTINATION, &g->destination);
        if (status == REEF_OK && g->people)
            status = build_addresses(policy, rules, g, question->version, PERSON, &g->person);
        if (status == REEF_OK)
            status = build_keys(rules, g, traffic, &g->key);
    }
    if (status != REEF_OK) {
        reef_group_free(g);
        return status;
    }
    *out = g;
    return REEF_OK;
}

/* --- where two policies differ --------------------------------------------------------------------------- */

static bool same_rule(const rule *x, const rule *y)
{
    return x->length == y->length && memcmp(x->words, y->words, x->length * sizeof *x->words) == 0;
}

static uint32_t next_serving(const reef_policy *policy, uint32_t at, uint32_t from, uint32_t to)
{
    while (at < policy->rules && !reef_rule_serves(&policy->rule[at], from, to))
        at++;
    return at;
}

/* The end behind the last rule before `at` that serves the pair, or `first`. */
static uint32_t last_serving(const reef_policy *policy, uint32_t first, uint32_t at, uint32_t from, uint32_t to)
{
    while (at > first && !reef_rule_serves(&policy->rule[at - 1], from, to))
        at--;
    return at;
}

void reef_policy_differ(const reef_policy *a, const reef_policy *b, int32_t from, int32_t to, reef_differing *out)
{
    bool here = reef_in_policy(a, from) && reef_in_policy(a, to), there = reef_in_policy(b, from) && reef_in_policy(b, to);
    *out = (reef_differing){{0, 0}, {a->rules, b->rules}, false};
    if (!here || !there) {
        out->same = here == there;
        return;
    }
    uint32_t f = (uint32_t)from, t = (uint32_t)to;
    uint32_t i = next_serving(a, 0, f, t), j = next_serving(b, 0, f, t);
    while (i < a->rules && j < b->rules && same_rule(&a->rule[i], &b->rule[j])) {
        i = next_serving(a, i + 1, f, t);
        j = next_serving(b, j + 1, f, t);
    }
    uint32_t k = last_serving(a, i, a->rules, f, t), l = last_serving(b, j, b->rules, f, t);
    while (k > i && l > j && same_rule(&a->rule[k - 1], &b->rule[l - 1])) {
        k = last_serving(a, i, k - 1, f, t);
        l = last_serving(b, j, l - 1, f, t);
    }
    *out = (reef_differing){{i, j}, {k, l}, i == k && j == l};
}

bool reef_policy_speaks(const reef_policy *policy, uint32_t first, uint32_t end, int32_t from, int32_t to,
                        uint8_t protocol, uint16_t port)
{
    for (uint32_t i = first; i < end; i++) {
        const rule *r = &policy->rule[i];
        for (uint32_t k = 0; k < r->keys; k++) {
            const uint64_t *key = r->key + (size_t)k * KEY_WORDS;
            unsigned traffic = reef_traffic_of(key[0] < 4 ? 4 : 6, protocol);
            unsigned value = (traffic & 3) == 3 ? protocol : port;
            if (key[0] == traffic && key[1] <= value && value <= key[2] &&
                reef_rule_serves(r, (uint32_t)from, (uint32_t)to))
                return true;
        }
    }
    return false;
}

static void free_axis(axis *one)
{
    free(one->row);
    free(one->bits);
    free(one->live);
    free(one->mention);
}

void reef_group_free(group *g)
{
    if (g == NULL)
        return;
    free(g->rule);
    free_axis(&g->source);
    free_axis(&g->destination);
    free_axis(&g->key);
    free_axis(&g->person);
    free(g);
}
