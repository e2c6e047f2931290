/* groups: which rules' headers can hold is told from a flow's addresses and ports, once for all flows alike. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/status.h"

typedef struct group_key {
    uint64_t address[2], port[2]; /* sums, by side */
    uint8_t protocol, version, spare[6];
} group_key;

/* A part of a scanner or list, for one application protocol. */
typedef struct group_part {
    const void *whole; /* NULL: free */
    unsigned app;
    const void *part;
} group_part;

struct flow_group {
    group_key key;
    uint8_t address[2][16]; /* of the flow it was made for: what holds for those holds for all of its flows */
    uint16_t port[2];
    uint8_t *holds[2]; /* by direction and number of a header: HEADER_... */
    group_part *part; /* room of them, a power of two */
    uint32_t parts, room;
};

enum { HEADER_UNKNOWN, HEADER_HOLDS, HEADER_NEVER };

/* Groups whose rules are the same share the scanner of these. */
typedef struct made_scanner {
    const scanner *whole;
    uint64_t *chosen;
    scanner *part;
} made_scanner;

struct flow_groups {
    const reef_rules *rules;
    const group_plan *plan;
    flow_group group[REEF_GROUPS_MAX];
    uint32_t count;
    uint32_t generation; /* counts how often all were given up */
    uint64_t given_up_ns;
    made_scanner made[REEF_GROUP_SCANNERS_MAX];
    uint32_t scanners;
    rank_list *list[REEF_GROUP_LISTS_MAX];
    uint32_t lists;
    size_t memory;
};

int groups_new(const reef_rules *rules, const group_plan *plan, uint32_t generation, flow_groups **out)
{
    flow_groups *made = *out = calloc(1, sizeof *made);
    if (made == NULL)
        return REEF_NOMEM;
    made->rules = rules;
    made->plan = plan;
    made->generation = generation;
    return REEF_OK;
}

static void give_up(flow_groups *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        free(all->group[i].part);
        free(all->group[i].holds[0]);
    }
    for (uint32_t i = 0; i < all->scanners; i++) {
        scanner_free(all->made[i].part);
        free(all->made[i].chosen);
    }
    for (uint32_t i = 0; i < all->lists; i++) {
        free(all->list[i]->rank);
        free(all->list[i]);
    }
    memset(all->group, 0, all->count * sizeof *all->group);
    all->count = all->scanners = all->lists = 0;
    all->memory = 0;
    all->generation++;
}

void groups_free(flow_groups *gone)
{
    if (gone == NULL)
        return;
    give_up(gone);
    free(gone);
}

uint32_t groups_generation(const flow_groups *of)
{
    return of->generation;
}

/* --- the group of a flow --------------------------------------------------------------------------------- */

static uint64_t border_sum(const group_borders *borders, uint32_t value)
{
    uint32_t low = 0, high = borders->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (borders->at[middle].first <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? borders->at[low - 1].sum : 0;
}

static uint64_t address_sum(const flow_groups *all, int side, unsigned version, const uint8_t *address)
{
    if (version == 4)
        return border_sum(&all->plan->address4[side], (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 | address[3]);
    uint64_t sum = 0;
    const rank_list *sets = &all->plan->set6[side];
    for (uint32_t i = 0; i < sets->count; i++)
        sum += address_in_set(all->rules, sets->rank[i], version, address) ? group_number(sets->rank[i]) : 0;
    return sum;
}

static bool is_full(const flow_groups *all)
{
    return all->count == REEF_GROUPS_MAX || all->scanners == REEF_GROUP_SCANNERS_MAX || all->lists == REEF_GROUP_LISTS_MAX ||
           all->memory > REEF_GROUP_BYTES_MAX;
}

static flow_group *find_or_make(flow_groups *all, const group_key *key, const reef_packet *packet, const uint8_t *address[2], const uint16_t port[2])
{
    for (uint32_t i = 0; i < all->count; i++)
        if (memcmp(&all->group[i].key, key, sizeof *key) == 0)
            return &all->group[i];
    if (is_full(all)) {
        if (packet->time_ns - all->given_up_ns < REEF_GROUPS_REST_NS)
            return NULL;
        give_up(all);
        all->given_up_ns = packet->time_ns;
    }
    uint32_t headers = all->plan->headers.count;
    uint8_t *holds = calloc(2, headers + 1u);
    if (holds == NULL)
        return NULL;
    flow_group *made = &all->group[all->count++];
    *made = (flow_group){.key = *key, .holds = {holds, holds + headers}};
    all->memory += 2 * (size_t)headers;
    for (int side = 0; side < 2; side++) {
        memcpy(made->address[side], address[side], sizeof made->address[side]);
        made->port[side] = port[side];
    }
    return made;
}

flow_group *groups_find(flow_groups *all, const reef_scene *scene, flow_state *state)
{
    const reef_packet *packet = scene->packet;
    if (state == NULL || packet->version == 0 || !(packet->flags & REEF_PACKET_TRANSPORT) ||
        (packet->protocol != REEF_PROTO_TCP && packet->protocol != REEF_PROTO_UDP))
        return NULL;
    bool to_server = scene->direction == REEF_TO_SERVER;
    const uint8_t *address[2] = {to_server ? packet->source : packet->destination, to_server ? packet->destination : packet->source};
    uint16_t port[2] = {to_server ? packet->source_port : packet->destination_port, to_server ? packet->destination_port : packet->source_port};
    uint64_t client[2];
    memcpy(client, address[0], sizeof client);
    uint32_t side = (uint32_t)((client[0] * 3 + client[1]) * 0x9e3779b97f4a7c15ull >> 32) ^ (uint32_t)port[0] << 16 ^ port[1];
    /* A flow may be turned round: what was found holds while the client is the same. */
    if (state->group_generation == all->generation && state->group_side == side)
        return state->group > 0 ? &all->group[state->group - 1] : NULL;
    group_key key = {.protocol = packet->protocol, .version = packet->version};
    for (int s = 0; s < 2; s++) {
        key.address[s] = address_sum(all, s, packet->version, address[s]);
        key.port[s] = border_sum(&all->plan->port[s], port[s]);
    }
    flow_group *found = find_or_make(all, &key, packet, address, port);
    state->group_generation = all->generation;
    state->group_side = side;
    state->group = found != NULL ? (uint32_t)(found - all->group) + 1 : 0;
    return found;
}

/* --- the rules of a group -------------------------------------------------------------------------------- */

typedef struct fitting {
    const reef_rules *rules;
    const group_plan *plan;
    const flow_group *of;
    int direction;
    unsigned app;
} fitting;

static bool ends_fit(const fitting *at, const reef_rule *rule, int from)
{
    const reef_rules *rules = at->rules;
    const flow_group *of = at->of;
    unsigned version = of->key.version;
    return port_in_set(rules, rule->destination_port, of->port[!from]) && port_in_set(rules, rule->source_port, of->port[from]) &&
           address_in_set(rules, rule->source, version, of->address[from]) &&
           address_in_set(rules, rule->destination, version, of->address[!from]);
}

static bool header_fits(const fitting *at, const reef_rule *rule)
{
    unsigned version = at->of->key.version, protocol = at->of->key.protocol;
    if (rule->flags & (REEF_RULE_ONLY_V4 | REEF_RULE_ONLY_V6) && version != (rule->flags & REEF_RULE_ONLY_V4 ? 4 : 6))
        return false;
    if (!(rule->protocols[protocol >> 6] >> (protocol & 63) & 1))
        return false;
    return ends_fit(at, rule, at->direction) || (rule->flags & REEF_RULE_BIDIRECTIONAL && ends_fit(at, rule, !at->direction));
}

/* Can the rule's header hold? What may change from packet to packet is asked by header_holds. */
static bool fits(const void *context, uint32_t rank)
{
    const fitting *at = context;
    group_rule rule = at->plan->rule[rank];
    uint64_t apps = at->plan->apps[rule.apps];
    if (apps != 0 && !(apps >> at->app & 1))
        return false;
    uint8_t *holds = &at->of->holds[at->direction][rule.header];
    if (*holds == HEADER_UNKNOWN)
        *holds = header_fits(at, at->rules->ranked[rank].rule) ? HEADER_HOLDS : HEADER_NEVER;
    return *holds == HEADER_HOLDS;
}

static uint32_t place_of(const flow_group *at, const void *whole, unsigned app)
{
    uint64_t hash = ((uint64_t)(uintptr_t)whole + app) * 0x9e3779b97f4a7c15ull;
    uint32_t place = (uint32_t)(hash >> 32) & (at->room - 1);
    while (at->part[place].whole != NULL && (at->part[place].whole != whole || at->part[place].app != app))
        place = (place + 1) & (at->room - 1);
    return place;
}

static const group_part *find_part(const flow_group *at, const void *whole, unsigned app)
{
    if (at->room == 0)
        return NULL;
    const group_part *part = &at->part[place_of(at, whole, app)];
    return part->whole != NULL ? part : NULL;
}

static bool keep_part(flow_groups *all, flow_group *at, const void *whole, unsigned app, const void *part)
{
    if (2 * at->parts >= at->room) {
        group_part *old = at->part;
        uint32_t room = at->room;
        group_part *grown = calloc(room > 0 ? 2 * room : 16, sizeof *grown);
        if (grown == NULL)
            return false;
        at->part = grown;
        at->room = room > 0 ? 2 * room : 16;
        for (uint32_t i = 0; i < room; i++)
            if (old[i].whole != NULL)
                at->part[place_of(at, old[i].whole, old[i].app)] = old[i];
        free(old);
        all->memory += (at->room - room) * sizeof *grown;
    }
    at->part[place_of(at, whole, app)] = (group_part){.whole = whole, .app = app, .part = part};
    at->parts++;
    return true;
}

/* The scanner of these patterns: one that another group has already, or a new one. NULL: there is no room. */
static const scanner *make_scanner(flow_groups *all, const scanner *whole, uint64_t *chosen)
{
    size_t bytes = scanner_choice_words(whole) * sizeof *chosen;
    for (uint32_t i = 0; i < all->scanners; i++)
        if (all->made[i].whole == whole && memcmp(all->made[i].chosen, chosen, bytes) == 0) {
            free(chosen);
            return all->made[i].part;
        }
    made_scanner *made = &all->made[all->scanners];
    if (all->scanners == REEF_GROUP_SCANNERS_MAX || all->memory > REEF_GROUP_BYTES_MAX || scanner_part(whole, chosen, &made->part) != REEF_OK) {
        free(chosen);
        return NULL;
    }
    made->whole = whole;
    made->chosen = chosen;
    all->scanners++;
    all->memory += bytes + scanner_memory(made->part);
    return made->part;
}

const scanner *groups_scanner(flow_groups *all, flow_group *at, const scanner *whole, int direction, unsigned app, scanner_scratch **scratch)
{
    if (at == NULL || whole == NULL)
        return whole;
    const group_part *known = find_part(at, whole, app);
    if (known != NULL)
        return known->part;
    fitting with = {.rules = all->rules, .plan = all->plan, .of = at, .direction = direction, .app = app};
    uint64_t *chosen = calloc(scanner_choice_words(whole), sizeof *chosen);
    if (chosen == NULL)
        return whole;
    uint32_t count = scanner_choose(whole, fits, &with, chosen);
    const scanner *part = count == scanner_patterns(whole) ? whole : NULL;
    if (count == 0 || part != NULL) {
        free(chosen);
    } else {
        part = make_scanner(all, whole, chosen);
        if (part == NULL || scanner_scratch_fit(part, scratch) != REEF_OK)
            return whole;
    }
    return keep_part(all, at, whole, app, part) ? part : whole;
}

const rank_list *groups_list(flow_groups *all, flow_group *at, const rank_list *whole, int direction, unsigned app)
{
    if (at == NULL || whole->count == 0)
        return whole;
    const group_part *known = find_part(at, whole, app);
    if (known != NULL)
        return known->part;
    if (all->lists == REEF_GROUP_LISTS_MAX)
        return whole;
    rank_list *part = calloc(1, sizeof *part);
    if (part == NULL)
        return whole;
    all->list[all->lists++] = part;
    fitting with = {.rules = all->rules, .plan = all->plan, .of = at, .direction = direction, .app = app};
    for (uint32_t i = 0; i < whole->count; i++)
        if (fits(&with, whole->rank[i]) && !rank_list_add(part, whole->rank[i]))
            return whole;
    all->memory += sizeof *part + part->room * sizeof *part->rank;
    return keep_part(all, at, whole, app, part) ? part : whole;
}
