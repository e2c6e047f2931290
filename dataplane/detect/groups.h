/* groups: flows alike in all that rules' headers ask of addresses and ports. Of each scanner and list of the plan a group has the
 * part whose rules can hold for its flows, made when it is first asked for. */
#ifndef REEF_GROUPS_H
#define REEF_GROUPS_H

#include "match_internal.h"
#include "scanner.h"

/* From `first` on, up to the next: a sum that stands for the sets of the rules that these addresses or ports are in. */
typedef struct group_border {
    uint32_t first;
    uint64_t sum;
} group_border;

typedef struct group_borders {
    group_border *at;
    uint32_t count, room;
} group_borders;

/* What a set adds to it. */
static inline uint64_t group_number(uint32_t set)
{
    uint64_t x = (uint64_t)set * 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* What a group asks of a rule before anything else, by numbers: thousands of rules have few different headers. */
typedef struct group_rule {
    uint32_t header : 24, apps : 8;
} group_rule;
enum { GROUP_APPS_MAX = 256 };

/* Of the rules, by side of the flow: REEF_TO_SERVER the client's, REEF_TO_CLIENT the server's. */
typedef struct group_plan {
    group_borders address4[2], port[2];
    rank_list set6[2]; /* numbers of address sets */
    group_rule *rule;  /* by rank */
    rank_list headers; /* a rule of each */
    uint64_t apps[GROUP_APPS_MAX]; /* sets of application protocols, a bit each; 0: all. The first is that, and serves where there are too many */
    uint32_t apps_count;
} group_plan;

int group_plan_build(const reef_rules *rules, group_plan *plan);
void group_plan_free(group_plan *plan);

/* `generation`: another one than of any that flows were shown to before. */
int groups_new(const reef_rules *rules, const group_plan *plan, uint32_t generation, flow_groups **out);
uint32_t groups_generation(const flow_groups *of);
void groups_free(flow_groups *gone);
/* The group of the packet at hand; NULL: it has none, and all rules are looked for. */
flow_group *groups_find(flow_groups *all, const reef_scene *scene, flow_state *state);

/* The part of `whole` for flows of the application protocol with this number (0: none yet), of rules that look in `direction`.
 * NULL: none of its rules can hold. */
const scanner *groups_scanner(flow_groups *all, flow_group *at, const scanner *whole, int direction, unsigned app, scanner_scratch **scratch);
const rank_list *groups_list(flow_groups *all, flow_group *at, const rank_list *whole, int direction, unsigned app);

#endif
