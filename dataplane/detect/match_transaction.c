/* match_transaction: rules against what protocols found. A rule matches a transaction when all of its blocks do; those that can be
 * told now are, what holds is remembered with the transaction, and the others wait for the progress they need. */
#include <string.h>

#include "cost.h"
#include "plan.h"

enum { PENDING_DEAD = 1, PENDING_MATCHED = 2 };

typedef struct pending {
    uint32_t rank;
    uint8_t flags;
    uint64_t held; /* blocks */
} pending;

typedef struct transaction_state {
    uint32_t count, room;
    uint32_t generation; /* of the rules the ranks belong to */
    uint8_t window;      /* of the transaction, when bodies were looked at */
    bool looked;         /* at a body at least once */
    uint8_t files;       /* of the transaction, when rules were asked */
    uint64_t scanned[PLACES_MAX / 64]; /* by number in the protocol's buffers: those that come once and were looked at */
    pending *entry;
} transaction_state;

void reef_match_free_transaction(reef_matcher *matcher, reef_transaction *transaction)
{
    for (int d = 0; d < 2; d++) {
        transaction_state *state = transaction->detect[d];
        if (state == NULL)
            continue;
        reef_memory_give(matcher->memory, state->entry, state->room * sizeof *state->entry);
        reef_memory_give(matcher->memory, state, sizeof *state);
        transaction->detect[d] = NULL;
    }
}

static transaction_state *state_of(reef_matcher *matcher, reef_transaction *transaction, int direction)
{
    transaction_state *state = transaction->detect[direction];
    if (state == NULL) {
        state = transaction->detect[direction] = reef_memory_get(matcher->memory, sizeof *state);
        if (state != NULL)
            state->generation = matcher->generation;
    }
    if (state != NULL && state->generation != matcher->generation) { /* other rules: what waited is forgotten */
        state->count = 0;
        state->scanned[0] = state->scanned[1] = 0;
        state->looked = false;
        state->generation = matcher->generation;
    }
    return state;
}

static pending *find_pending(transaction_state *state, uint32_t rank)
{
    for (uint32_t i = 0; i < state->count; i++)
        if (state->entry[i].rank == rank)
            return &state->entry[i];
    return NULL;
}

static pending *add_pending(reef_matcher *matcher, transaction_state *state, uint32_t rank)
{
    if (state->count == state->room) {
        uint32_t room = state->room > 0 ? 2 * state->room : 4;
        pending *grown = reef_memory_resize(matcher->memory, state->entry, state->room * sizeof *grown, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        state->entry = grown;
        state->room = room;
    }
    pending *entry = &state->entry[state->count++];
    *entry = (pending){.rank = rank};
    return entry;
}

static bool is_of_files(const reef_rules *rules, const reef_block *block)
{
    if (block->buffer >= REEF_BUFFER_FILE_NAME && block->buffer <= REEF_BUFFER_FILE_SHA256)
        return true;
    for (uint32_t i = 0; block->buffer == REEF_BUFFER_NONE && i < block->conditions; i++) {
        const reef_condition *condition = &rules->condition[block->condition + i];
        if (condition->op == REEF_OP_VALUE && condition->base == REEF_VALUE_FILESIZE)
            return true;
    }
    return false;
}

/* Another file began in the transaction: rules about files are asked once more, matched or not. */
static void renew_files(reef_matcher *matcher, transaction_state *state)
{
    const reef_rules *rules = matcher->rules;
    for (uint32_t i = 0; i < state->count; i++) {
        const reef_rule *rule = rules->ranked[state->entry[i].rank].rule;
        uint64_t renewed = 0;
        for (uint32_t b = 0; b < rule->blocks && b < 64; b++)
            if (is_of_files(rules, &rules->block[rule->block + b]))
                renewed |= 1ull << b;
        if (renewed == 0)
            continue;
        state->entry[i].held &= ~renewed;
        state->entry[i].flags = 0;
    }
}

/* --- one block --------------------------------------------------------------------------------------- */

typedef enum block_answer { BLOCK_HOLDS, BLOCK_WAITS, BLOCK_NEVER } block_answer;

typedef struct round_at {
    reef_matcher *matcher;
    const reef_session *session;
    reef_transaction *transaction;
    int direction;
    unsigned number; /* of the protocol */
    bool complete; /* nothing more will come in this direction */
} round_at;

static const reef_protocol_buffer *buffer_of(const reef_protocol *protocol, unsigned kind, int direction)
{
    for (uint32_t i = 0; i < protocol->buffers_count; i++)
        if (protocol->buffers[i].kind == kind && protocol->buffers[i].direction == direction)
            return &protocol->buffers[i];
    return NULL;
}

static block_answer ask_block(const round_at *at, const detect_rule *rule, const reef_block *block)
{
    reef_matcher *matcher = at->matcher;
    const reef_protocol *protocol = at->session->protocol;
    const reef_protocol_buffer *known = buffer_of(protocol, block->buffer, at->direction);
    unsigned flags = reef_buffer_flags(block->buffer);
    if (known == NULL)
        return BLOCK_NEVER;
    if (at->transaction->progress[at->direction] < known->progress)
        return at->complete ? BLOCK_NEVER : BLOCK_WAITS;
    for (unsigned index = 0;; index++) {
        reef_buffer buffer = {.end = true};
        if (!protocol->buffer(at->session, at->transaction, at->direction, block->buffer, index, &buffer))
            break;
        if (!(flags & REEF_BUFFER_BODY)) {
            buffer.offset = 0;
            buffer.end = true;
        }
        if (transform_apply(matcher, &matcher->rules->transform[block->transform], block->transforms, &buffer) &&
            inspect_block(matcher, rule, block, &buffer, false))
            return BLOCK_HOLDS;
        if (!(flags & REEF_BUFFER_MULTI))
            break;
    }
    bool grows = flags & (REEF_BUFFER_BODY | REEF_BUFFER_MULTI);
    return grows && !at->complete ? BLOCK_WAITS : BLOCK_NEVER;
}

static bool event_holds(const reef_matcher *matcher, const reef_condition *condition)
{
    const reef_session *session = matcher->scene->session;
    const reef_transaction *transaction = matcher->transaction;
    if (session == NULL)
        return false;
    if (condition->a == 0) { /* of detection itself */
        for (unsigned i = 0; i < session->events; i++)
            if (session->event[i] == (condition->b | REEF_SESSION_EVENT) && session->event_packet == matcher->scene->packet->number)
                return true;
        return false;
    }
    if (session->protocol == NULL || reef_protocol_number(session->protocol) != (uint64_t)condition->a || transaction == NULL)
        return false;
    for (unsigned i = 0; i < transaction->events; i++)
        if (transaction->event[i] == condition->b)
            return true;
    return false;
}

static bool value_holds(const reef_matcher *matcher, const reef_condition *condition)
{
    const reef_session *session = matcher->scene->session;
    if (session == NULL || session->protocol == NULL || session->protocol->value == NULL || matcher->transaction == NULL)
        return false;
    for (unsigned index = 0;; index++) {
        uint64_t value;
        if (!session->protocol->value(session, matcher->transaction, matcher->direction, condition->base, index, &value))
            return false;
        if (number_compares(value, condition->compare, condition->a, condition->b) != !!(condition->flags & REEF_C_NEGATED))
            return true;
        if (index >= REEF_DNS_RECORDS_MAX * 4)
            return false;
    }
}

bool transaction_condition(reef_matcher *matcher, const detect_rule *rule, const reef_condition *condition)
{
    (void)rule;
    return (condition->op == REEF_OP_VALUE ? value_holds(matcher, condition) : event_holds(matcher, condition)) !=
           (condition->op == REEF_OP_APP_EVENT && condition->flags & REEF_C_NEGATED);
}

static block_answer ask_conditions(const round_at *at, const detect_rule *rule, const reef_block *block)
{
    for (uint32_t i = 0; i < block->conditions; i++) {
        const reef_condition *condition = &at->matcher->rules->condition[block->condition + i];
        if (rules_is_transaction_condition(condition) && !transaction_condition(at->matcher, rule, condition))
            return at->complete ? BLOCK_NEVER : BLOCK_WAITS;
    }
    return BLOCK_HOLDS;
}

/* --- one rule ---------------------------------------------------------------------------------------- */

static bool may_begin(reef_matcher *matcher, const detect_rule *rule, uint32_t rank)
{
    if (rule->has_payload && !rule->by_buffer && !(matcher->payload_held.bit[rank >> 6] >> (rank & 63) & 1))
        return false;
    return header_holds(matcher, rule) && rule_packet_blocks_hold(matcher, rule) &&
           (!rule->by_buffer || kept_stream_holds(matcher, rule));
}

/* Asks the blocks that do not hold yet; true: all do. */
static bool ask_rule(const round_at *at, const detect_rule *rule, uint64_t *held, bool *dead)
{
    const reef_rules *rules = at->matcher->rules;
    bool all = true;
    memset(at->matcher->variable, 0, rule->rule->variables * sizeof *at->matcher->variable);
    for (uint32_t b = 0; b < rule->rule->blocks && !*dead; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        block_answer answer = BLOCK_HOLDS;
        if (block->after || *held >> b & 1)
            continue;
        if (block->buffer == REEF_BUFFER_NONE)
            answer = ask_conditions(at, rule, block);
        else if (rules_is_transaction_buffer(block->buffer))
            answer = ask_block(at, rule, block);
        if (answer == BLOCK_HOLDS)
            *held |= 1ull << b;
        else
            all = false;
        *dead |= answer == BLOCK_NEVER;
    }
    return all && !*dead;
}

static void try_rule(const round_at *at, transaction_state *state, uint32_t rank)
{
    reef_matcher *matcher = at->matcher;
    const detect_rule *rule = &matcher->rules->ranked[rank];
    pending *entry = find_pending(state, rank);
    uint64_t held = entry != NULL ? entry->held : 0;
    bool dead = false;
    if (entry != NULL && entry->flags != 0)
        return;
    if (entry == NULL && !may_begin(matcher, rule, rank))
        return;
    if (entry == NULL && rule->rule->apps != 0 && !(rule->rule->apps >> at->number & 1))
        return;
    bool all = ask_rule(at, rule, &held, &dead);
    if (entry == NULL && held == 0 && !dead && !all && !rule->has_payload)
        return; /* nothing of it holds yet: it is found again, or tried again */
    if (entry == NULL)
        entry = add_pending(matcher, state, rank);
    if (entry != NULL) {
        entry->held = held;
        entry->flags = dead ? PENDING_DEAD : all ? PENDING_MATCHED : 0;
    }
    if (!all)
        return;
    rule_after(matcher, rule);
    alert_queue(matcher, rank, at->transaction, true, false);
}

/* --- candidates -------------------------------------------------------------------------------------- */

/* One instance of a buffer through each of its scanners. */
static void scan_buffer(const round_at *at, unsigned kind, const reef_buffer *bytes)
{
    reef_matcher *matcher = at->matcher;
    const struct detect_plan *plan = matcher->rules->plan;
    uint32_t first = plan->buffer_first[kind][at->direction];
    for (uint32_t n = first; n < first + plan->buffer_count[kind][at->direction]; n++) {
        reef_buffer buffer = *bytes;
        const scanner *with = match_scanner(matcher, plan->buffer[n].scanner, matcher_number(matcher, at->session->protocol));
        if (with != NULL &&
            transform_apply(matcher, &matcher->rules->transform[plan->buffer[n].transform], plan->buffer[n].transforms, &buffer))
            scanner_scan(with, matcher->prefilter, buffer.bytes, buffer.offset, &matcher->transaction_candidates);
    }
}

/* All instances of one of the protocol's buffers. */
static void find_in_buffer(const round_at *at, const reef_protocol_buffer *known)
{
    unsigned flags = reef_buffer_flags(known->kind);
    for (unsigned index = 0;; index++) {
        reef_buffer buffer = {.end = true};
        if (!at->session->protocol->buffer(at->session, at->transaction, at->direction, known->kind, index, &buffer))
            break;
        if (!(flags & REEF_BUFFER_BODY))
            buffer.offset = 0;
        scan_buffer(at, known->kind, &buffer);
        if (!(flags & REEF_BUFFER_MULTI))
            break;
    }
}

/* Rules whose pattern stands in what is new of the transaction. */
static void find_candidates(const round_at *at, transaction_state *state)
{
    const reef_protocol *protocol = at->session->protocol;
    const uint64_t *asked = at->matcher->rules->plan->asked[at->number % PROTOCOLS_MAX][at->direction];
    bool window = !state->looked || state->window != at->transaction->window[at->direction] || at->complete;
    for (uint32_t word = 0; word < PLACES_MAX / 64; word++)
        for (uint64_t left = asked[word] & ~state->scanned[word]; left != 0; left &= left - 1) {
            const reef_protocol_buffer *known = &protocol->buffers[64 * word + (uint32_t)__builtin_ctzll(left)];
            unsigned flags = reef_buffer_flags(known->kind);
            if (at->transaction->progress[at->direction] < known->progress)
                continue;
            if (!(flags & (REEF_BUFFER_BODY | REEF_BUFFER_MULTI)))
                state->scanned[word] |= left & -left;
            if (window || !(flags & REEF_BUFFER_BODY))
                find_in_buffer(at, known);
        }
    state->window = at->transaction->window[at->direction];
    state->looked = true;
}

static void add_waiting(const round_at *at, const transaction_state *state)
{
    for (uint32_t i = 0; i < state->count; i++)
        if (state->entry[i].flags == 0)
            rank_set_add(&at->matcher->transaction_candidates, state->entry[i].rank);
}

/* Rules of payload and transaction, whose payload this packet had. */
static void add_held(const round_at *at, unsigned number)
{
    reef_matcher *matcher = at->matcher;
    for (uint32_t i = 0; i < matcher->payload_held.count; i++) {
        uint32_t rank = matcher->payload_held.rank[i];
        const detect_rule *rule = &matcher->rules->ranked[rank];
        if (rule->transactions >> at->direction & 1 && (rule->rule->apps == 0 || rule->rule->apps >> number & 1))
            rank_set_add(&matcher->transaction_candidates, rank);
    }
}

/* The twin of the prefilters: every rule of transactions. */
static void add_all(const round_at *at, unsigned number)
{
    const reef_rules *rules = at->matcher->rules;
    for (uint32_t rank = 0; rank < rules->header->rules; rank++) {
        const detect_rule *rule = &rules->ranked[rank];
        if (rule->kind == RULE_TRANSACTION && rule->transactions >> at->direction & 1 && (rule->rule->apps == 0 || rule->rule->apps >> number & 1))
            rank_set_add(&at->matcher->transaction_candidates, rank);
    }
}

static void inspect(reef_matcher *matcher, reef_transaction *transaction, int direction)
{
    reef_session *session = matcher->scene->session;
    const reef_protocol *protocol = session->protocol;
    unsigned number = matcher_number(matcher, protocol);
    rank_set *set = &matcher->transaction_candidates;
    round_at at = {.matcher = matcher, .session = session, .transaction = transaction, .direction = direction, .number = number,
                   .complete = matcher->scene->ends || transaction->progress[direction] >= protocol->complete[direction]};
    transaction->updated[direction] = false;
    match_turn(matcher, direction);
    matcher->transaction = transaction;
    transaction_state *state = state_of(matcher, transaction, direction);
    if (state != NULL) {
        if (state->files != transaction->files_begun[direction])
            renew_files(matcher, state);
        state->files = transaction->files_begun[direction];
        if (matcher->options.plain) {
            add_all(&at, number);
        } else {
            find_candidates(&at, state);
            add_waiting(&at, state);
            add_held(&at, number);
            const rank_list *always = &matcher->rules->plan->transaction_always[number % PROTOCOLS_MAX][direction];
            for (uint32_t i = 0; i < always->count; i++)
                rank_set_add(set, always->rank[i]);
        }
        rank_set_sort(set);
        for (uint32_t i = 0; i < set->count; i++) {
            uint64_t began = cost_begin(matcher);
            try_rule(&at, state, set->rank[i]);
            cost_end(matcher, set->rank[i], began);
        }
        rank_set_clear(set);
    }
    if (protocol->inspected != NULL)
        protocol->inspected(session, transaction, direction);
    if (at.complete)
        transaction->told[direction] = true;
    matcher->transaction = NULL;
    round_end(matcher);
}

void reef_match_transactions(reef_matcher *matcher)
{
    reef_session *session = matcher->scene->session;
    if (matcher->stream_held.count + matcher->stream_waiting.count > 0)
        match_streams(matcher);
    if (session == NULL || session->protocol == NULL)
        return;
    for (reef_transaction *transaction = session->first; transaction != NULL; transaction = transaction->next)
        for (int d = 0; d < 2; d++) {
            if (transaction->told[d] || !(transaction->updated[d] || matcher->scene->ends))
                continue;
            if (matcher->over || matcher->idle) {
                transaction->updated[d] = false;
                transaction->told[d] = transaction->progress[d] >= session->protocol->complete[d] || matcher->scene->ends;
                if (session->protocol->inspected != NULL)
                    session->protocol->inspected(session, transaction, d);
                continue;
            }
            inspect(matcher, transaction, d);
        }
    match_turn(matcher, matcher->scene->direction);
}
