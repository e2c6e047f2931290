/* debt: rules that cost too much. A rule owes for each time that it runs into a limit, and for searching very many bytes;
 * who owes too much within a while of packets rests, and is named. What counts is work and the packets' time, not the clock, so that
 * a capture gives the same answer every time. */
#include <stdlib.h>

#include "match_internal.h"
#include "reef/status.h"

struct debt {
    uint64_t since_ns;  /* the while began */
    uint64_t rests_ns;  /* until then; 0: it does not rest */
    uint32_t owed;
    uint32_t next;      /* rank + 1 of the one that began to rest before it and is not told yet; 0: none */
};

int debts_new(uint32_t rules, struct debts *out)
{
    *out = (struct debts){.rule = calloc(rules + 1u, sizeof *out->rule)};
    return out->rule == NULL ? REEF_NOMEM : REEF_OK;
}

void debts_free(struct debts *debts)
{
    free(debts->rule);
    *debts = (struct debts){0};
}

bool debts_rests(reef_matcher *matcher, const detect_rule *rule)
{
    struct debts *debts = &matcher->debts;
    struct debt *debt = &debts->rule[rule - matcher->rules->ranked];
    if (debt->rests_ns == 0)
        return false;
    if (matcher_now(matcher) < debt->rests_ns)
        return true;
    debt->rests_ns = 0;
    debts->resting--;
    return false;
}

void debts_owe(reef_matcher *matcher, const detect_rule *rule, uint32_t exceeded, uint64_t searched)
{
    struct debts *debts = &matcher->debts;
    uint32_t rank = (uint32_t)(rule - matcher->rules->ranked);
    struct debt *debt = &debts->rule[rank];
    uint64_t now = matcher_now(matcher);
    if (now - debt->since_ns > REEF_RULE_DEBT_NS) { /* also when time goes back */
        debt->since_ns = now;
        debt->owed = 0;
    }
    debt->owed += exceeded + (uint32_t)(searched / REEF_INSPECT_BYTES_MAX);
    if (debt->owed < REEF_RULE_DEBT_MAX || debt->rests_ns != 0)
        return;
    debt->rests_ns = now + REEF_RULE_REST_NS;
    debt->owed = 0;
    debts->resting++;
    debt->next = debts->untold;
    debts->untold = rank + 1;
}

const reef_rule *reef_match_slow_rule(reef_matcher *matcher)
{
    struct debts *debts = &matcher->debts;
    if (debts->untold == 0)
        return NULL;
    uint32_t rank = debts->untold - 1;
    debts->untold = debts->rule[rank].next;
    return matcher->rules->ranked[rank].rule;
}
