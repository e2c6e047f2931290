#include "plan.h"

#include <stdlib.h>

#include "reef/status.h"

bool rank_list_add(rank_list *list, uint32_t rank)
{
    if (list->count == list->room) {
        uint32_t room = list->room > 0 ? 2 * list->room : 16;
        uint32_t *grown = realloc(list->rank, room * sizeof *grown);
        if (grown == NULL)
            return false;
        list->rank = grown;
        list->room = room;
    }
    list->rank[list->count++] = rank;
    return true;
}

static bool sort_in(struct detect_plan *plan, const detect_rule *rule, uint32_t rank)
{
    if (rule->kind == RULE_IP_ONLY)
        return rank_list_add(&plan->ip_only, rank);
    if (rule->kind == RULE_TRANSACTION)
        return rank_list_add(&plan->transaction, rank) && (!rule->has_payload || rank_list_add(&plan->payload, rank));
    if (rule->events)
        return rank_list_add(&plan->events, rank);
    return rank_list_add(rule->has_payload ? &plan->payload : &plan->packet, rank);
}

int plan_new(const reef_rules *rules, struct detect_plan **out)
{
    struct detect_plan *plan = calloc(1, sizeof *plan);
    *out = plan;
    if (plan == NULL)
        return REEF_NOMEM;
    for (uint32_t rank = 0; rank < rules->header->rules; rank++)
        if (!sort_in(plan, &rules->ranked[rank], rank))
            return REEF_NOMEM;
    return REEF_OK;
}

void plan_free(struct detect_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->ip_only.rank);
    free(plan->events.rank);
    free(plan->packet.rank);
    free(plan->payload.rank);
    free(plan->transaction.rank);
    free(plan);
}
