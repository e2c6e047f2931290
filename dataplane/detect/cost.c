#include "cost.h"

#include <stdlib.h>

uint64_t costs_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct costs *costs_new(uint32_t rules)
{
    struct costs *costs = calloc(1, sizeof *costs + rules * sizeof costs->rule[0]);
    if (costs == NULL)
        return NULL;
    costs->rules = rules;
    costs->began_ns = costs_clock();
    costs->began_ticks = costs_ticks();
    return costs;
}

uint32_t reef_match_costs(const reef_matcher *matcher, uint32_t *from, reef_rule_cost *out, uint32_t max)
{
    const struct costs *costs = matcher->costs;
    uint32_t count = 0;
    if (costs == NULL)
        return 0;
    uint64_t ticks = costs_ticks() - costs->began_ticks;
    double tick = ticks > 0 ? (double)(costs_clock() - costs->began_ns) / (double)ticks : 1;
    for (; *from < costs->rules && count < max; ++*from) {
        const cost *of = &costs->rule[*from];
        const reef_rule *rule = matcher->rules->ranked[*from].rule;
        if (of->checks == 0)
            continue;
        out[count++] = (reef_rule_cost){
            .sid = rule->sid, .gid = rule->gid, .rev = rule->rev,
            .checks = of->checks, .matches = of->matches,
            .ns = (uint64_t)((double)of->ticks * tick), .worst_ns = (uint64_t)((double)of->worst * tick),
        };
    }
    return count;
}
