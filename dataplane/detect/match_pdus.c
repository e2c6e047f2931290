/* match_pdus: rules with `frame` against the stretches that protocols told of, while they grow and when they are whole. There are
 * few such rules: all are tried. */
#include "cost.h"
#include "plan.h"
#include "reef/pdu.h"

bool reef_match_wants_pdus(const reef_matcher *matcher)
{
    return matcher->rules->plan->pdus.count > 0;
}

/* Can what is not there come still? Then only the whole tells. */
static bool waits_for_all(const reef_rules *rules, const reef_block *block)
{
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        if (condition->flags & REEF_C_NEGATED || condition->op == REEF_OP_BSIZE)
            return true;
    }
    return false;
}

static bool blocks_hold(reef_matcher *matcher, const detect_rule *rule, const reef_pdu *pdu)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        if (!(reef_buffer_flags(block->buffer) & REEF_BUFFER_PDU))
            continue;
        reef_buffer buffer = {.bytes = {pdu->data, pdu->held}, .end = pdu->held == pdu->length};
        if (block->buffer != pdu->kind || (!pdu->ready && waits_for_all(rules, block)) || !transform_apply(matcher, &rules->transform[block->transform], block->transforms, &buffer) ||
            !inspect_block(matcher, rule, block, &buffer, false))
            return false;
    }
    return true;
}

static bool matched_before(const reef_pdu *pdu, uint32_t rank)
{
    for (unsigned i = 0; i < pdu->matches; i++)
        if (pdu->match[i] == rank)
            return true;
    return pdu->matches == REEF_PDU_MATCHES_MAX;
}

static void try_rule(reef_matcher *matcher, reef_pdu *pdu, uint32_t rank, unsigned number)
{
    const detect_rule *rule = &matcher->rules->ranked[rank];
    if (!(rule->directions >> pdu->direction & 1) || (rule->rule->apps != 0 && !(rule->rule->apps >> number & 1)))
        return;
    if (!header_holds(matcher, rule) || !rule_packet_blocks_hold(matcher, rule) || !blocks_hold(matcher, rule, pdu))
        return;
    pdu->match[pdu->matches++] = rank;
    rule_after(matcher, rule);
    alert_queue(matcher, rank, NULL, true, false);
    if (matcher->queued > 0)
        matcher->queue[matcher->queued - 1].alert.pdu = pdu;
}

static void inspect_pdu(reef_matcher *matcher, reef_pdu *pdu)
{
    const reef_session *session = matcher->scene->session;
    const rank_list *list = &matcher->rules->plan->pdus;
    unsigned number = session->protocol != NULL ? reef_protocol_number(session->protocol) : 0;
    match_turn(matcher, pdu->direction);
    for (uint32_t i = 0; i < list->count; i++) {
        if (matched_before(pdu, list->rank[i]))
            continue;
        uint64_t began = cost_begin(matcher);
        try_rule(matcher, pdu, list->rank[i], number);
        cost_end(matcher, list->rank[i], began);
    }
    pdu->told = pdu->ready;
    pdu->fresh = false;
    pdu->looks++;
    round_end(matcher);
}

void reef_match_pdus(reef_matcher *matcher)
{
    reef_session *session = matcher->scene->session;
    if (session == NULL || session->pdus == NULL)
        return;
    for (reef_pdu *pdu = session->pdus; pdu != NULL; pdu = pdu->next) {
        pdu->ready |= matcher->scene->ends;
        if (pdu->told || (!pdu->ready && (!pdu->fresh || pdu->looks >= REEF_PDU_LOOKS_MAX)))
            continue;
        if (matcher->over)
            pdu->told = pdu->ready;
        else
            inspect_pdu(matcher, pdu);
    }
    match_turn(matcher, matcher->scene->direction);
}
