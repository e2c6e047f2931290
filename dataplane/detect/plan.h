/* plan: which rules are looked at for what; made once from a rule set. */
#ifndef REEF_PLAN_H
#define REEF_PLAN_H

#include "rules_internal.h"

struct detect_plan {
    rank_list ip_only;
    rank_list events;       /* rules that ask for decode or stream events */
    rank_list packet;       /* without a pattern in payload: tried for every packet */
    rank_list payload;      /* with payload blocks */
    rank_list transaction;  /* with blocks of transactions */
};

#endif
