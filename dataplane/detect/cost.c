#include "cost.h"

#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t costs_clock(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Nanoseconds. */
static double tick_of(const struct costs *costs, uint64_t now)
{
    uint64_t ticks = now - costs->began_ticks;
    return ticks > 0 ? (double)(costs_clock() - costs->began_ns) / (double)ticks : 1;
}

/* Asking for the thread's own time is dear, so it is done now and then: the check took no more of it than has passed since. */
uint64_t costs_look(struct costs *costs, uint64_t now, uint64_t took)
{
    uint64_t ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    double most = (double)(ns - costs->looked_ns) / tick_of(costs, now);
    costs->looked_ns = ns;
    costs->looked_ticks = now;
    return (double)took > most ? (uint64_t)most : took;
}

struct costs *costs_new(uint32_t rules)
{
    struct costs *costs = calloc(1, sizeof *costs + rules * sizeof costs->rule[0]);
    if (costs == NULL)
        return NULL;
    costs->rules = rules;
    costs->began_ns = costs_clock();
    costs->began_ticks = costs->looked_ticks = costs_ticks();
    costs->looked_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return costs;
}

uint32_t reef_match_costs(const reef_matcher *matcher, uint32_t *from, reef_rule_cost *out, uint32_t max)
{
    const struct costs *costs = matcher->costs;
    uint32_t count = 0;
    if (costs == NULL)
        return 0;
    double tick = tick_of(costs, costs_ticks());
    for (; *from < costs->rules && count < max; ++*from) {
        const cost *of = &costs->rule[*from];
        const reef_rule *rule = matcher->rules->ranked[*from].rule;
        if (of->checks == 0)
            continue;
        out[count++] = (reef_rule_cost){
            .sid = rule->sid, .gid = rule->gid, .rev = rule->rev,
            .message = matcher->rules->text + rule->message.at, .message_length = rule->message.length,
            .checks = of->checks, .matches = of->matches,
            .ns = (uint64_t)((double)of->ticks * tick), .worst_ns = (uint64_t)((double)of->worst * tick),
        };
    }
    return count;
}
