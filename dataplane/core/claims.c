/* A table of marks: the place of a claim comes from one hash of its key, its mark from another. The last one at a place holds. */
#include "reef/claims.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "reef/limits.h"
#include "reef/status.h"

struct reef_claims {
    uint64_t place[2], mark[2]; /* seeds */
    _Atomic uint32_t claimed[REEF_CLAIMS];
};

_Static_assert((REEF_CLAIMS & (REEF_CLAIMS - 1)) == 0, "places are taken by a mask");

int reef_claims_new(const uint64_t seed[2], reef_claims **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return REEF_NOMEM;
    (*out)->place[0] = seed[0], (*out)->place[1] = seed[1];
    (*out)->mark[0] = ~seed[1], (*out)->mark[1] = ~seed[0];
    return REEF_OK;
}

void reef_claims_free(reef_claims *claims)
{
    free(claims);
}

static reef_flow_key bare(const reef_flow_key *key)
{
    reef_flow_key copy = *key;
    copy.interface = 0;
    copy.vlan[0] = copy.vlan[1] = 0;
    return copy;
}

/* 0 stands for an empty place. */
static uint32_t mark_of(const reef_claims *claims, const reef_flow_key *key)
{
    return reef_flow_key_hash(key, claims->mark) | 1;
}

void reef_claims_add(reef_claims *claims, const reef_flow_key *key)
{
    reef_flow_key copy = bare(key);
    uint32_t place = reef_flow_key_hash(&copy, claims->place) & (REEF_CLAIMS - 1);
    atomic_store_explicit(&claims->claimed[place], mark_of(claims, &copy), memory_order_relaxed);
}

bool reef_claims_has(const reef_claims *claims, const reef_flow_key *key)
{
    reef_flow_key copy = bare(key);
    uint32_t place = reef_flow_key_hash(&copy, claims->place) & (REEF_CLAIMS - 1);
    return atomic_load_explicit(&claims->claimed[place], memory_order_relaxed) == mark_of(claims, &copy);
}
