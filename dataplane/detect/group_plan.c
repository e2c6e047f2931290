/* group_plan: where addresses and ports begin to be in other sets of the rules' headers than those before them. */
#include <stdlib.h>
#include <string.h>

#include "groups.h"
#include "reef/status.h"

/* What is added to the sum from `first` on. */
static bool add_border(group_borders *to, uint64_t first, uint64_t sum)
{
    if (first > UINT32_MAX)
        return true;
    if (to->count == to->room) {
        uint32_t room = to->room > 0 ? 2 * to->room : 256;
        group_border *grown = realloc(to->at, room * sizeof *grown);
        if (grown == NULL)
            return false;
        to->at = grown;
        to->room = room;
    }
    to->at[to->count++] = (group_border){.first = (uint32_t)first, .sum = sum};
    return true;
}

static int compare_borders(const void *a, const void *b)
{
    const group_border *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* From what each border adds to what holds from it on. */
static void sum_up(group_borders *of)
{
    uint64_t sum = 0;
    uint32_t kept = 0;
    if (of->count > 0)
        qsort(of->at, of->count, sizeof *of->at, compare_borders);
    for (uint32_t i = 0; i < of->count; i++) {
        sum += of->at[i].sum;
        if (i + 1 == of->count || of->at[i + 1].first != of->at[i].first)
            of->at[kept++] = (group_border){.first = of->at[i].first, .sum = sum};
    }
    of->count = kept;
}

typedef struct asked {
    uint8_t *address, *port; /* by set: a bit for each side it is asked of */
} asked;

static void ask(const asked *of, const reef_rule *rule, unsigned source, unsigned destination)
{
    of->address[rule->source] |= (uint8_t)source;
    of->address[rule->destination] |= (uint8_t)destination;
    of->port[rule->source_port] |= (uint8_t)source;
    of->port[rule->destination_port] |= (uint8_t)destination;
}

static bool add_sets(const reef_rules *rules, const asked *of, int side, group_plan *plan)
{
    bool done = true;
    for (uint32_t set = 1; set < rules->header->address_sets && done; set++) {
        if (!(of->address[set] >> side & 1))
            continue;
        const reef_address_set *ranges = &rules->address_set[set];
        for (uint32_t i = 0; i < ranges->ranges4 && done; i++) {
            const reef_range4 *range = &rules->range4[ranges->range4 + i];
            done = add_border(&plan->address4[side], range->first, group_number(set)) &&
                   add_border(&plan->address4[side], (uint64_t)range->last + 1, 0 - group_number(set));
        }
        done = done && rank_list_add(&plan->set6[side], set);
    }
    for (uint32_t set = 1; set < rules->header->port_sets && done; set++)
        for (uint32_t i = 0; of->port[set] >> side & 1 && i < rules->port_set[set].ranges && done; i++) {
            const reef_port_range *range = &rules->port_range[rules->port_set[set].range + i];
            done = add_border(&plan->port[side], range->first, group_number(set)) &&
                   add_border(&plan->port[side], (uint64_t)range->last + 1, 0 - group_number(set));
        }
    sum_up(&plan->address4[side]);
    sum_up(&plan->port[side]);
    return done;
}

/* --- different headers ----------------------------------------------------------------------------------- */

/* What ends_fit and the tests beside it ask of a rule. */
typedef struct header_words {
    uint64_t protocols[4];
    uint32_t source, destination, source_port, destination_port, flags, spare;
} header_words;

static header_words words_of(const reef_rule *rule)
{
    header_words words = {.source = rule->source,
                          .destination = rule->destination,
                          .source_port = rule->source_port,
                          .destination_port = rule->destination_port,
                          .flags = rule->flags & (REEF_RULE_ONLY_V4 | REEF_RULE_ONLY_V6 | REEF_RULE_BIDIRECTIONAL)};
    memcpy(words.protocols, rule->protocols, sizeof words.protocols);
    return words;
}

static uint32_t hash_of(const header_words *words)
{
    uint64_t hash = 0, parts[sizeof *words / 8];
    memcpy(parts, words, sizeof parts);
    for (unsigned i = 0; i < sizeof *words / 8; i++)
        hash = (hash ^ parts[i]) * 0x9e3779b97f4a7c15ull ^ hash >> 29;
    return (uint32_t)(hash >> 32);
}

static uint32_t number_apps(group_plan *plan, uint64_t apps)
{
    for (uint32_t i = 0; i < plan->apps_count; i++)
        if (plan->apps[i] == apps)
            return i;
    if (plan->apps_count == GROUP_APPS_MAX)
        return 0;
    plan->apps[plan->apps_count] = apps;
    return plan->apps_count++;
}

/* Rules with the same header get the same number. */
static bool number_headers(const reef_rules *rules, group_plan *plan)
{
    uint32_t count = rules->header->rules, room = 16;
    while (room < 2 * count)
        room *= 2;
    uint32_t *place = calloc(room, sizeof *place); /* number + 1 */
    plan->rule = calloc(count + 1u, sizeof *plan->rule);
    plan->apps_count = 1;
    bool done = place != NULL && plan->rule != NULL;
    for (uint32_t rank = 0; rank < count && done; rank++) {
        header_words words = words_of(rules->ranked[rank].rule);
        uint32_t at = hash_of(&words) & (room - 1);
        for (; place[at] != 0; at = (at + 1) & (room - 1)) {
            header_words other = words_of(rules->ranked[plan->headers.rank[place[at] - 1]].rule);
            if (memcmp(&words, &other, sizeof words) == 0)
                break;
        }
        if (place[at] == 0) {
            done = rank_list_add(&plan->headers, rank);
            place[at] = plan->headers.count;
        }
        plan->rule[rank].header = (place[at] - 1) & 0xffffff;
        plan->rule[rank].apps = number_apps(plan, rules->ranked[rank].rule->apps) & 0xff;
    }
    free(place);
    return done;
}

int group_plan_build(const reef_rules *rules, group_plan *plan)
{
    asked of = {calloc(rules->header->address_sets + 1u, 1), calloc(rules->header->port_sets + 1u, 1)};
    bool done = of.address != NULL && of.port != NULL;
    for (uint32_t rank = 0; rank < rules->header->rules && done; rank++) {
        const detect_rule *rule = &rules->ranked[rank];
        if (rule->kind == RULE_IP_ONLY || rule->kind == RULE_PDU)
            continue;
        unsigned client = 1u << REEF_TO_SERVER, server = 1u << REEF_TO_CLIENT;
        bool both = rule->rule->flags & REEF_RULE_BIDIRECTIONAL;
        if (both || rule->directions >> REEF_TO_SERVER & 1 || rule->transactions >> REEF_TO_SERVER & 1)
            ask(&of, rule->rule, client, server);
        if (both || rule->directions >> REEF_TO_CLIENT & 1 || rule->transactions >> REEF_TO_CLIENT & 1)
            ask(&of, rule->rule, server, client);
    }
    for (int side = 0; side < 2 && done; side++)
        done = add_sets(rules, &of, side, plan);
    done = done && number_headers(rules, plan);
    free(of.address);
    free(of.port);
    return done ? REEF_OK : REEF_NOMEM;
}

void group_plan_free(group_plan *plan)
{
    for (int side = 0; side < 2; side++) {
        free(plan->address4[side].at);
        free(plan->port[side].at);
        free(plan->set6[side].rank);
    }
    free(plan->rule);
    free(plan->headers.rank);
}
