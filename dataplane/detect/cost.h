/* cost: what each rule costs, for who asks. Off, it is one pointer that is NULL: a branch that always goes the same way. */
#ifndef REEF_COST_H
#define REEF_COST_H

#include "match_internal.h"

#ifdef __x86_64__
#include <x86intrin.h>
#endif

typedef struct cost {
    uint64_t checks, matches;
    uint64_t ticks, worst; /* all checks; the longest */
} cost;

struct costs {
    uint64_t began_ticks, began_ns;   /* the two clocks at one time: what a tick is comes of how far they got since */
    uint64_t looked_ticks, looked_ns; /* when the thread's own time was asked for last, and what it was */
    uint32_t rules;
    cost rule[]; /* by rank */
};

enum { COSTS_LOOK_TICKS = 1 << 19 }; /* about a fifth of a millisecond */

uint64_t costs_clock(void);
/* What a check that ended now took of the thread's own time, where that is less: it may have been interrupted. */
uint64_t costs_look(struct costs *costs, uint64_t now, uint64_t took);

/* A clock that is cheap to read; of unknown speed. */
static inline uint64_t costs_ticks(void)
{
#ifdef __x86_64__
    return __rdtsc();
#else
    return costs_clock();
#endif
}

/* Around each check of a rule. */
static inline uint64_t cost_begin(const reef_matcher *matcher)
{
    return matcher->costs != NULL ? costs_ticks() : 0;
}

static inline void cost_end(reef_matcher *matcher, uint32_t rank, uint64_t began)
{
    if (matcher->costs == NULL)
        return;
    uint64_t now = costs_ticks(), took = now - began;
    if (now - matcher->costs->looked_ticks > COSTS_LOOK_TICKS)
        took = costs_look(matcher->costs, now, took);
    cost *of = &matcher->costs->rule[rank];
    of->checks++;
    of->ticks += took;
    if (took > of->worst)
        of->worst = took;
}

static inline void cost_match(reef_matcher *matcher, uint32_t rank)
{
    if (matcher->costs != NULL)
        matcher->costs->rule[rank].matches++;
}

/* NULL: no memory. */
struct costs *costs_new(uint32_t rules);

#endif
