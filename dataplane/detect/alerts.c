/* alerts: what matched in a packet, in order; thresholds asked, actions applied, the first ones told. */
#include <stdlib.h>
#include <string.h>

#include "cost.h"

/* Where packets cannot be stopped, Suricata looks at a stream once it is acknowledged: what it finds there comes after what the
 * packet itself told, and a rule that lets the flow pass comes too late to silence that. */
static bool is_late(const reef_matcher *matcher)
{
    return !matcher->options.act && matcher->scene->packet->protocol == REEF_PROTO_TCP;
}

/* What the policy has the rule do here: reef_rule_action or REEF_OFF. Where it says nothing the rule's own word holds. */
static uint8_t action_of(const reef_matcher *matcher, const detect_rule *rule)
{
    const reef_packet *packet = matcher->scene->packet;
    if (matcher->reactions == NULL)
        return rule->rule->action;
    bool by_client = matcher->scene->direction == REEF_TO_SERVER;
    reaction_ends ends = {.client = by_client ? packet->source : packet->destination,
                          .server = by_client ? packet->destination : packet->source,
                          .now_s = packet->time_ns / 1000000000u,
                          .profile = matcher->profile,
                          .version = packet->version};
    return reactions_action(matcher->reactions, rule->index, &ends);
}

void alert_queue(reef_matcher *matcher, uint32_t rank, reef_transaction *transaction, bool state, bool stream)
{
    cost_match(matcher, rank);
    uint8_t action = action_of(matcher, &matcher->rules->ranked[rank]);
    if (action == REEF_OFF)
        return;
    if (matcher->queued == matcher->room) {
        uint32_t room = matcher->room > 0 ? 2 * matcher->room : 64;
        queued *grown = realloc(matcher->queue, room * sizeof *grown);
        if (grown == NULL) {
            matcher->discarded++;
            return;
        }
        matcher->queue = grown;
        matcher->room = room;
    }
    uint32_t order = matcher->queued++;
    matcher->queue[order] = (queued){
        .alert = {.rule = matcher->rules->ranked[rank].rule, .transaction = transaction, .state = state, .stream = stream, .log = true},
        .rank = rank,
        .order = order,
        .action = action,
        .direction = (uint8_t)matcher->direction,
        .late = (state || stream) && is_late(matcher),
    };
}

/* Pass, drop, reject, alert. */
static int standing(uint8_t action)
{
    return action == REEF_PASS ? 0 : action == REEF_DROP ? 1 : action == REEF_ALERT ? 3 : 2;
}

static int compare_queued(const void *a, const void *b)
{
    const queued *x = a, *y = b;
    if (x->late != y->late)
        return x->late ? 1 : -1;
    if (x->action != y->action && standing(x->action) != standing(y->action))
        return standing(x->action) < standing(y->action) ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Does what the rule says hold for the flow, or for this packet alone? */
static bool acts_on_flow(const detect_rule *rule, const reef_alert *alert)
{
    if (rule->kind == RULE_IP_ONLY || rule->kind == RULE_TRANSACTION || rule->kind == RULE_PDU || rule->detection_only || alert->state || alert->stream)
        return true;
    return rule->protocol_alone;
}

static reef_verdict verdict_of(uint8_t action)
{
    switch (action) {
    case REEF_ALERT: return REEF_VERDICT_ALLOW;
    case REEF_PASS: return REEF_VERDICT_PASS;
    case REEF_DROP: return REEF_VERDICT_DROP;
    default: return REEF_VERDICT_REJECT;
    }
}

static void apply(reef_matcher *matcher, const detect_rule *rule, const queued *entry, reef_verdict *verdict)
{
    const reef_alert *alert = &entry->alert;
    reef_verdict of_rule = verdict_of(entry->action);
    if (of_rule == REEF_VERDICT_ALLOW || (of_rule != REEF_VERDICT_PASS && !matcher->options.act))
        return;
    if (of_rule == REEF_VERDICT_PASS && *verdict != REEF_VERDICT_ALLOW)
        return; /* a drop before it holds */
    if (*verdict == REEF_VERDICT_ALLOW)
        *verdict = of_rule;
    if (matcher->state != NULL && acts_on_flow(rule, alert) && matcher->state->verdict == REEF_VERDICT_ALLOW)
        matcher->state->verdict = of_rule == REEF_VERDICT_PASS ? REEF_VERDICT_PASS : REEF_VERDICT_DROP;
}

/* The alerts from `first` up to `end`. */
static void settle(reef_matcher *matcher, uint32_t first, uint32_t end, reef_verdict *verdict, uint32_t *told)
{
    uint32_t most = *told + matcher->options.alerts_max;
    for (uint32_t i = first; i < end; i++) {
        queued *entry = &matcher->queue[i];
        const detect_rule *rule = &matcher->rules->ranked[entry->rank];
        matcher->turned = entry->direction != matcher->scene->direction;
        threshold_answer answer = threshold_ask(matcher, rule);
        if (answer != THRESHOLD_NO_MATCH)
            apply(matcher, rule, entry, verdict);
        if (answer == THRESHOLD_TELL)
            answer = threshold_of_policy(matcher, rule);
        if (answer == THRESHOLD_TELL)
            rule_tags(matcher, rule);
        bool pass = entry->action == REEF_PASS && answer != THRESHOLD_NO_MATCH;
        bool quiet = rule->rule->flags & REEF_RULE_NOALERT || (entry->action == REEF_PASS && !(rule->rule->flags & REEF_RULE_TELL));
        bool tell = answer == THRESHOLD_TELL && !quiet;
        if (tell && *told < most) {
            bool stopped = matcher->options.act && (*verdict == REEF_VERDICT_DROP || *verdict == REEF_VERDICT_REJECT);
            entry->alert.action = (uint8_t)(entry->action != REEF_ALERT && stopped ? verdict_of(entry->action) : REEF_VERDICT_ALLOW);
            matcher->alerts[(*told)++] = entry->alert;
        } else if (tell) {
            matcher->discarded++;
        }
        if (pass)
            break; /* nothing after it is told */
    }
    matcher->turned = false;
}

void reef_match_refuse(reef_matcher *matcher)
{
    matcher->over = true;
    matcher->queued = 0;
    if (matcher->state == NULL && matcher->scene->flow != NULL)
        matcher->state = flow_state_of(matcher, matcher->scene->flow);
    if (matcher->state != NULL)
        matcher->state->verdict = REEF_VERDICT_DROP;
}

/* What the next packet's rules take for known. */
static void note_end(const reef_matcher *matcher)
{
    const reef_session *session = matcher->scene->session;
    if (matcher->state == NULL || session == NULL)
        return;
    for (int d = 0; d < 2; d++) {
        const reef_protocol *protocol = session->protocol != NULL ? session->protocol : session->seen[d];
        matcher->state->app[d] = protocol != NULL ? (uint8_t)reef_protocol_number(protocol) : 0;
    }
}

reef_verdict reef_match_finish(reef_matcher *matcher, const reef_alert **alerts, uint32_t *count)
{
    reef_verdict verdict = matcher->state != NULL ? (reef_verdict)matcher->state->verdict : REEF_VERDICT_ALLOW;
    uint32_t told = 0;
    *alerts = matcher->alerts;
    *count = 0;
    if (matcher->queued == 0) {
        note_end(matcher);
        return verdict;
    }
    if (matcher->queued > 1)
        qsort(matcher->queue, matcher->queued, sizeof *matcher->queue, compare_queued);
    uint32_t late = 0;
    while (late < matcher->queued && !matcher->queue[late].late)
        late++;
    settle(matcher, 0, late, &verdict, &told);
    bool passed = matcher->state != NULL && matcher->state->verdict == REEF_VERDICT_PASS;
    if (!passed || verdict != REEF_VERDICT_PASS)
        settle(matcher, late, matcher->queued, &verdict, &told);
    note_end(matcher);
    if (told > 0 && matcher->state != NULL)
        matcher->state->alerted = true;
    matcher->queued = 0;
    *count = told;
    return verdict;
}
