#include "reef/classify.h"

#include <stdlib.h>
#include <string.h>

#include "classify_internal.h"
#include "reef/bytes.h"
#include "reef/flowlog.h"
#include "reef/status.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58 };

/* --- stretches of addresses ----------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    address_value x = *(const address_value *)a, y = *(const address_value *)b;
    return x < y ? -1 : x > y;
}

typedef struct bounds {
    address_value *value;
    size_t count, room;
} bounds;

static void bound(bounds *list, address_value value)
{
    if (value != 0 && list->value != NULL && list->count < list->room)
        list->value[list->count++] = value;
}

/* Where the ranges begin, and where what follows them does. Counts only while there is no memory to write to. */
static bool bound_ranges(bounds list[2], range_list ranges, size_t words)
{
    for (uint32_t i = 0; i < ranges.count; i++) {
        const uint64_t *range = ranges.first + i * words;
        address_value most = range[0] == 4 ? UINT32_MAX : ~(address_value)0;
        if ((range[0] != 4 && range[0] != 6) || reef_first_of(range) > reef_last_of(range) || reef_last_of(range) > most)
            return false;
        bounds *one = &list[range[0] == 6];
        if (one->value == NULL) {
            one->room += 2;
            continue;
        }
        bound(one, reef_first_of(range));
        if (reef_last_of(range) < most)
            bound(one, reef_last_of(range) + 1);
    }
    return true;
}

static bool bound_rules(bounds list[2], const rule *rules, uint32_t count)
{
    bool whole = true;
    for (uint32_t i = 0; i < count && whole; i++)
        whole = bound_ranges(list, rules[i].source, RANGE_WORDS) &&
                bound_ranges(list, rules[i].destination, RANGE_WORDS);
    return whole;
}

static bool bound_all(bounds list[2], const reef_policy *policy)
{
    bool whole = bound_rules(list, policy->rule, policy->rules) &&
                 bound_rules(list, policy->translation, policy->translations) &&
                 bound_ranges(list, (range_list){policy->route, policy->routes}, ROUTE_WORDS);
    for (uint32_t i = 0; i < policy->zones && whole; i++)
        whole = bound_ranges(list, policy->zone[i].network, RANGE_WORDS);
    for (uint32_t i = 0; i < policy->lives && whole; i++)
        whole = bound_ranges(list, policy->live[i], RANGE_WORDS);
    return whole;
}

static int cut_addresses(reef_policy *policy)
{
    bounds list[2] = {{NULL, 0, 0}, {NULL, 0, 0}};
    if (!bound_all(list, policy))
        return REEF_FORMAT;
    for (int v = 0; v < 2; v++) {
        list[v].value = malloc((list[v].room + 1) * sizeof(address_value));
        policy->cut[v] = list[v].value;
        if (list[v].value == NULL)
            return REEF_NOMEM;
    }
    bound_all(list, policy);
    for (int v = 0; v < 2; v++) {
        qsort(list[v].value, list[v].count, sizeof(address_value), by_value);
        uint32_t kept = 0;
        for (size_t i = 0; i < list[v].count; i++)
            if (kept == 0 || list[v].value[kept - 1] != list[v].value[i])
                list[v].value[kept++] = list[v].value[i];
        policy->cuts[v] = kept;
    }
    return REEF_OK;
}

uint32_t reef_place_of_value(const reef_policy *policy, int six, address_value value)
{
    const address_value *cut = policy->cut[six];
    uint32_t low = 0, high = policy->cuts[six];
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cut[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return six ? policy->cuts[0] + 1 + low : low;
}

static address_value value_of(int six, const uint8_t *address)
{
    return six ? (address_value)reef_be64(address) << 64 | reef_be64(address + 8) : reef_be32(address);
}

uint32_t reef_policy_place(const reef_policy *policy, unsigned version, const uint8_t *address)
{
    return reef_place_of_value(policy, version == 6, value_of(version == 6, address));
}

void reef_policy_places(const reef_policy *policy, const uint8_t (*address)[16], uint32_t count4, uint32_t count,
                        uint32_t *place)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        int six = i >= count4;
        if (i == count4)
            at = 0;
        address_value value = value_of(six, address[i]);
        while (at < policy->cuts[six] && policy->cut[six][at] <= value)
            at++;
        place[i] = six ? policy->cuts[0] + 1 + at : at;
    }
}

/* --- zones ---------------------------------------------------------------------------------------------- */

static int lay_routes(reef_policy *policy)
{
    uint32_t places = policy->cuts[0] + policy->cuts[1] + 2;
    policy->zone_of_place = malloc(places * sizeof *policy->zone_of_place);
    if (policy->zone_of_place == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < places; i++)
        policy->zone_of_place[i] = REEF_NO_ZONE;
    for (uint32_t i = 0; i < policy->routes; i++) { /* later ones are narrower */
        const uint64_t *route = policy->route + (size_t)i * ROUTE_WORDS;
        uint32_t last = reef_place_of_value(policy, route[0] == 6, reef_last_of(route));
        for (uint32_t p = reef_place_of_value(policy, route[0] == 6, reef_first_of(route)); p <= last; p++)
            policy->zone_of_place[p] = (int32_t)route[RANGE_WORDS];
    }
    for (uint32_t z = 0; z < policy->zones; z++) {
        zone *one = &policy->zone[z];
        if (!one->antispoofing || one->network.count == 0)
            continue;
        one->inside = calloc(places + 1u, sizeof *one->inside);
        if (one->inside == NULL)
            return REEF_NOMEM;
        for (uint32_t i = 0; i < one->network.count; i++) {
            const uint64_t *range = one->network.first + (size_t)i * RANGE_WORDS;
            uint32_t last = reef_place_of_value(policy, range[0] == 6, reef_last_of(range));
            for (uint32_t p = reef_place_of_value(policy, range[0] == 6, reef_first_of(range)); p <= last; p++)
                one->inside[p] = true;
        }
    }
    return REEF_OK;
}

int32_t reef_policy_route(const reef_policy *policy, uint32_t place)
{
    return policy->zone_of_place[place];
}

/* What has no address yet asks for one; link-local does not leave its line. As `decide._bootstrap` says it. */
static bool is_bootstrap(const reef_question *question, const uint8_t *source)
{
    static const uint8_t none[16];
    if (question->version == 4)
        return memcmp(source, none, 4) == 0 && question->protocol == UDP && question->port == 67;
    if (memcmp(source, none, 16) == 0) {
        unsigned type = question->port >> 8;
        return question->protocol == ICMPV6 && (type == 133 || type == 135 || type == 143);
    }
    return source[0] == 0xfe && (source[1] & 0xc0) == 0x80;
}

bool reef_policy_spoofed(const reef_policy *policy, int32_t zone_number, const reef_question *question,
                         const uint8_t *source, bool logged_as_spoofed)
{
    if (zone_number <= 0 || !policy->zone[zone_number].antispoofing || is_bootstrap(question, source))
        return false;
    const zone *one = &policy->zone[zone_number];
    return logged_as_spoofed || (one->inside != NULL && !one->inside[question->source]);
}

/* --- deciding ------------------------------------------------------------------------------------------- */

unsigned reef_traffic_of(unsigned version, unsigned protocol)
{
    unsigned family = protocol == TCP                                  ? 0
                      : protocol == UDP                                ? 1
                      : protocol == (version == 4 ? ICMP : ICMPV6) ? 2
                                                                       : 3;
    return family + (version == 6 ? 4 : 0);
}

static bool is_on(const reef_policy *policy, const rule *r, uint64_t now)
{
    if (r->expires != 0 && now >= r->expires)
        return false;
    if (r->schedule == 0)
        return true;
    range_list windows = policy->schedule[r->schedule - 1];
    uint32_t low = 0, high = windows.count; /* the first window that ends after now */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (windows.first[2 * middle + 1] <= now)
            low = middle + 1;
        else
            high = middle;
    }
    return low < windows.count && windows.first[2 * low] <= now;
}

enum { NO, MAYBE, YES };

/* Entries of services that a key does not hold: ports of SCTP, source ports. */
static int entries_hold(const rule *r, const reef_question *question)
{
    int found = r->entries == 0 ? YES : NO;
    for (uint32_t i = 0; i < r->entries && found != YES; i++) {
        const uint64_t *entry = r->entry + (size_t)i * ENTRY_WORDS;
        bool every = entry[0] > UINT8_MAX;
        if (!every && entry[0] != question->protocol)
            continue;
        if (!every && (question->port < entry[1] || question->port > entry[2]))
            continue;
        found = every || (entry[3] == 0 && entry[4] == UINT16_MAX) ? YES : MAYBE;
    }
    return found;
}

static const uint64_t *with_evidence(const group *g, const uint64_t *bits, const axis *one, uint32_t was,
                                     uint64_t *scratch)
{
    const uint64_t *mention = was != 0 ? reef_axis_mention(one, was - 1) : NULL;
    if (mention == NULL)
        return bits;
    for (uint32_t i = 0; i < g->summary + g->words; i++)
        scratch[i] = bits[i] | mention[i];
    return scratch;
}

static bool answer_with(const reef_policy *policy, const rule *rules, uint32_t index, const reef_question *question,
                        reef_answer *answer)
{
    const rule *r = &rules[index];
    if ((r->schedule != 0 || r->expires != 0) && !is_on(policy, r, (uint64_t)question->minute * 60))
        return false;
    int held = entries_hold(r, question);
    if (held == NO)
        return false;
    answer->unsure |= held == MAYBE;
    answer->rule = (int32_t)index;
    answer->action = r->action;
    return true;
}

static void first_match(reef_policy *policy, const rule *rules, const group *g, const reef_question *question,
                        reef_answer *answer)
{
    *answer = (reef_answer){REEF_BY_DEFAULT, REEF_DENIED, false};
    if (g->rules == 0)
        return;
    uint32_t base = question->version == 6 ? policy->cuts[0] + 1 : 0;
    unsigned family = reef_traffic_of(question->version, question->protocol) & 3;
    const uint64_t *source = reef_axis_bits(&g->source, question->source - base, g);
    const uint64_t *destination = reef_axis_bits(&g->destination, question->destination - base, g);
    const uint64_t *key = reef_axis_bits(&g->key, family == 3 ? question->protocol : question->port, g);
    const uint64_t *person = g->people ? reef_axis_bits(&g->person, question->source - base, g) : source;
    source = with_evidence(g, source, &g->source, question->was_source, policy->scratch);
    destination = with_evidence(g, destination, &g->destination, question->was_destination,
                                policy->scratch + policy->scratch_words);
    person = g->people ? with_evidence(g, person, &g->person, question->was_person,
                                       policy->scratch + 2 * policy->scratch_words)
                       : source;
    for (uint32_t i = 0; i < g->summary; i++) {
        uint64_t words = source[i] & destination[i] & key[i] & person[i];
        for (; words != 0; words &= words - 1) {
            uint32_t word = i * 64 + (unsigned)__builtin_ctzll(words), at = g->summary + word;
            uint64_t bits = source[at] & destination[at] & key[at] & person[at];
            for (; bits != 0; bits &= bits - 1)
                if (answer_with(policy, rules, g->rule[word * 64 + (unsigned)__builtin_ctzll(bits)], question, answer))
                    return;
        }
    }
}

bool reef_in_policy(const reef_policy *policy, int32_t zone_number)
{
    return zone_number >= 0 && (uint32_t)zone_number < policy->zones && policy->zone[zone_number].present;
}

int reef_policy_decide(reef_policy *policy, const reef_question *question, reef_answer *answer)
{
    *answer = (reef_answer){REEF_BY_DEFAULT, REEF_DENIED, false};
    if (!reef_in_policy(policy, question->from) || !reef_in_policy(policy, question->to))
        return REEF_OK;
    size_t at = ((size_t)question->from * policy->zones + (size_t)question->to) * TRAFFICS +
                reef_traffic_of(question->version, question->protocol);
    if (policy->pair[at] == NULL) {
        int status = reef_group_build(policy, policy->rule, policy->rules, question, true, &policy->pair[at]);
        if (status != REEF_OK)
            return status;
    }
    first_match(policy, policy->rule, policy->pair[at], question, answer);
    return REEF_OK;
}

int reef_policy_translate(reef_policy *policy, const reef_question *question, reef_answer *answer)
{
    *answer = (reef_answer){REEF_BY_DEFAULT, REEF_ALLOWED, false};
    if (policy->translations == 0 || question->from <= 0 || !reef_in_policy(policy, question->from))
        return REEF_OK;
    size_t at = (size_t)question->from * TRAFFICS + reef_traffic_of(question->version, question->protocol);
    if (policy->entering[at] == NULL) {
        int status =
            reef_group_build(policy, policy->translation, policy->translations, question, false, &policy->entering[at]);
        if (status != REEF_OK)
            return status;
    }
    first_match(policy, policy->translation, policy->entering[at], question, answer);
    return REEF_OK;
}

void reef_policy_target(const reef_policy *policy, int32_t index, const uint8_t **address, uint32_t *place,
                        uint16_t *port)
{
    const rule *r = &policy->translation[index];
    *address = r->target;
    *place = r->target_place;
    *port = r->target_port;
}

/* --- the policy ----------------------------------------------------------------------------------------- */

int reef_policy_new(const uint64_t *words, size_t count, reef_policy **out)
{
    *out = NULL;
    reef_policy *policy = calloc(1, sizeof *policy);
    if (policy == NULL)
        return REEF_NOMEM;
    policy->words = malloc((count + 1) * sizeof *words);
    policy->count = count;
    int status = policy->words != NULL ? REEF_OK : REEF_NOMEM;
    if (status == REEF_OK) {
        memcpy(policy->words, words, count * sizeof *words);
        status = reef_policy_read(policy);
    }
    if (status == REEF_OK)
        status = cut_addresses(policy);
    if (status == REEF_OK)
        status = lay_routes(policy);
    if (status == REEF_OK) {
        uint32_t most = policy->rules > policy->translations ? policy->rules : policy->translations;
        policy->scratch_words = (most + 63) / 64 + (most + 4095) / 4096 + 1;
        policy->pair = calloc((size_t)policy->zones * policy->zones * TRAFFICS, sizeof *policy->pair);
        policy->entering = calloc((size_t)policy->zones * TRAFFICS, sizeof *policy->entering);
        policy->scratch = calloc(3 * (size_t)policy->scratch_words, sizeof *policy->scratch);
        if (policy->pair == NULL || policy->entering == NULL || policy->scratch == NULL)
            status = REEF_NOMEM;
        for (uint32_t i = 0; i < policy->translations; i++) {
            rule *r = &policy->translation[i];
            r->target_place = reef_policy_place(policy, r->target_version, r->target);
        }
    }
    if (status != REEF_OK) {
        reef_policy_free(policy);
        return status;
    }
    *out = policy;
    return REEF_OK;
}

void reef_policy_free(reef_policy *policy)
{
    if (policy == NULL)
        return;
    size_t pairs = policy->pair != NULL ? (size_t)policy->zones * policy->zones * TRAFFICS : 0;
    for (size_t i = 0; i < pairs; i++)
        reef_group_free(policy->pair[i]);
    for (size_t i = 0; policy->entering != NULL && i < (size_t)policy->zones * TRAFFICS; i++)
        reef_group_free(policy->entering[i]);
    for (uint32_t i = 0; policy->zone != NULL && i < policy->zones; i++)
        free(policy->zone[i].inside);
    free(policy->pair);
    free(policy->entering);
    free(policy->scratch);
    free(policy->zone);
    free(policy->zone_of_place);
    free(policy->schedule);
    free(policy->live);
    free(policy->translation);
    free(policy->rule);
    free(policy->cut[0]);
    free(policy->cut[1]);
    free(policy->words);
    free(policy);
}

bool reef_policy_translates(const reef_policy *policy)
{
    return policy->translations > 0;
}

uint32_t reef_policy_zones(const reef_policy *policy)
{
    return policy->zones;
}

uint32_t reef_policy_identity(const reef_policy *policy, int32_t index)
{
    return policy->rule[index].identity;
}

/* Only where the set alone can have let the flow match: no addresses beside it, and no second set. */
void reef_policy_evidence(const reef_policy *policy, int32_t index, reef_question *question)
{
    question->was_source = question->was_person = question->was_destination = 0;
    if (index < 0 || (uint32_t)index >= policy->rules)
        return;
    const rule *r = &policy->rule[index];
    if (r->live_source.count == 1 && r->source.count == 0)
        question->was_source = (uint32_t)r->live_source.first[0] + 1;
    if (r->live_person.count == 1)
        question->was_person = (uint32_t)r->live_person.first[0] + 1;
    if (r->live_destination.count == 1 && r->destination.count == 0)
        question->was_destination = (uint32_t)r->live_destination.first[0] + 1;
}

bool reef_policy_same_frame(const reef_policy *a, const reef_policy *b)
{
    /* The first three words are the format and the numbers of rules. */
    return a->frame == b->frame && a->words[2] == b->words[2] &&
           memcmp(a->words + 3, b->words + 3, (a->frame - 3) * sizeof *a->words) == 0;
}
