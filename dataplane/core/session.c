/* What is common to all protocols: bytes go to the parser, transactions come and go. How the protocol is found stands in
 * session_detect.c. */
#include <string.h>
#include <strings.h>

#include "reef/pdu.h"
#include "session_internal.h"

static const char *const event_names[REEF_SESSION_EVENT_COUNT] = {
    [REEF_SESSION_EVENT_MISMATCH] = "applayer_mismatch_protocol_both_directions",
    [REEF_SESSION_EVENT_WRONG_DIRECTION] = "applayer_wrong_direction_first_data",
    [REEF_SESSION_EVENT_ONE_DIRECTION] = "applayer_detect_protocol_only_one_direction",
    [REEF_SESSION_EVENT_SKIPPED] = "applayer_proto_detection_skipped",
    [REEF_SESSION_EVENT_NO_TLS] = "applayer_no_tls_after_starttls",
    [REEF_SESSION_EVENT_UNEXPECTED] = "applayer_unexpected_protocol",
};

const char *reef_session_event_name(unsigned event)
{
    event &= ~(unsigned)REEF_SESSION_EVENT;
    return event < REEF_SESSION_EVENT_COUNT ? event_names[event] : NULL;
}

int reef_session_event(const char *name)
{
    for (int i = 0; i < REEF_SESSION_EVENT_COUNT; i++)
        if (strcasecmp(name, event_names[i]) == 0)
            return i;
    return -1;
}

reef_session *reef_session_new(reef_memory *memory)
{
    return reef_memory_get(memory, sizeof(reef_session));
}

/* --- transactions -------------------------------------------------------------------------------------- */

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *transaction)
{
    if (session->protocol->free_transaction != NULL)
        session->protocol->free_transaction(memory, session, transaction);
    reef_arena_free(&transaction->arena);
    reef_memory_give(memory, transaction, transaction->size);
}

static void forget(reef_call *call, reef_transaction *transaction)
{
    if (call->forget != NULL)
        call->forget(call->matcher, transaction);
    free_transaction(call->memory, call->session, transaction);
}

static bool is_complete(const reef_session *session, const reef_transaction *transaction)
{
    const uint8_t *complete = session->protocol->complete;
    return transaction->progress[0] >= complete[0] && transaction->progress[1] >= complete[1];
}

static bool is_logged(const reef_session *session, const reef_transaction *transaction)
{
    enum { EACH = 1 << REEF_LOG_TO_SERVER | 1 << REEF_LOG_TO_CLIENT };
    if (session->protocol->event_type == NULL)
        return true;
    if (session->protocol->logs_each_way)
        return (transaction->logged & EACH) == EACH;
    return (transaction->logged & 1 << REEF_LOG_WHOLE) != 0;
}

bool reef_transaction_due(const reef_session *session, const reef_transaction *transaction, unsigned which, bool ends)
{
    const reef_protocol *protocol = session->protocol;
    if (protocol == NULL || protocol->event_type == NULL || (transaction->logged & 1 << which) != 0 ||
        protocol->logs_each_way != (which != REEF_LOG_WHOLE))
        return false;
    if (ends || (session->flags & REEF_SESSION_CHANGING) != 0)
        return true;
    for (int d = 0; d < 2; d++) {
        unsigned wanted = protocol->logged[d] != 0 ? protocol->logged[d] : protocol->complete[d];
        bool asked = which == REEF_LOG_WHOLE || (which == REEF_LOG_TO_SERVER) == (d == REEF_TO_SERVER);
        if (asked && transaction->progress[d] < wanted)
            return false;
    }
    return true;
}

static void unlink_transaction(reef_session *session, reef_transaction *previous, reef_transaction *transaction)
{
    if (previous == NULL)
        session->first = transaction->next;
    else
        previous->next = transaction->next;
    if (session->last == transaction)
        session->last = previous;
    session->open--;
}

/* Room for one more at the limit: the oldest that is complete goes, inspected or not. */
static bool drop_oldest_complete(reef_call *call)
{
    reef_session *session = call->session;
    reef_transaction *previous = NULL;
    for (reef_transaction *t = session->first; t != NULL; previous = t, t = t->next) {
        if (!is_complete(session, t))
            continue;
        unlink_transaction(session, previous, t);
        forget(call, t);
        return true;
    }
    return false;
}

reef_transaction *reef_transaction_new(reef_call *call)
{
    reef_session *session = call->session;
    if (session->open >= REEF_TRANSACTIONS_OPEN_MAX && !drop_oldest_complete(call))
        return NULL;
    uint32_t size = session->protocol->transaction_size;
    reef_transaction *transaction = reef_memory_get(call->memory, size);
    if (transaction == NULL)
        return NULL;
    transaction->size = size;
    transaction->number = session->transactions++;
    reef_arena_init(&transaction->arena, call->memory);
    if (session->last != NULL)
        session->last->next = transaction;
    else
        session->first = transaction;
    session->last = transaction;
    session->open++;
    return transaction;
}

static void add_event(uint16_t list[REEF_TX_EVENTS_MAX], uint8_t *count, unsigned event)
{
    for (unsigned i = 0; i < *count; i++)
        if (list[i] == event)
            return;
    if (*count < REEF_TX_EVENTS_MAX)
        list[(*count)++] = (uint16_t)event;
}

void reef_transaction_event(reef_call *call, reef_transaction *transaction, unsigned event)
{
    if (transaction == NULL) {
        reef_session *session = call->session;
        uint64_t packet = call->packet != NULL ? call->packet->number : 0;
        if (session->event_packet != packet) {
            session->event_packet = packet;
            session->events = 0;
        }
        add_event(session->event, &session->events, event);
        return;
    }
    add_event(transaction->event, &transaction->events, event);
    transaction->updated[0] = transaction->updated[1] = true;
}

void reef_session_reap(reef_call *call, bool all)
{
    reef_session *session = call->session;
    reef_transaction *previous = NULL;
    for (reef_transaction *next, *t = session->first; t != NULL; t = next) {
        next = t->next;
        bool stays = !all && (!is_complete(session, t) || (call->detects && !(t->told[0] && t->told[1])) ||
                              (call->logs && !is_logged(session, t)));
        if (stays) {
            previous = t;
            continue;
        }
        unlink_transaction(session, previous, t);
        forget(call, t);
    }
}

/* --- the protocol ------------------------------------------------------------------------------------- */

bool reef_session_adopt(reef_call *call, const reef_protocol *protocol)
{
    reef_session *session = call->session;
    if (protocol->state_size > 0) {
        session->state = reef_memory_get(call->memory, protocol->state_size);
        if (session->state == NULL) {
            session->flags |= REEF_SESSION_DETECTED | REEF_SESSION_FAILED | REEF_SESSION_NO_PARSE;
            return false;
        }
    }
    session->protocol = protocol;
    session->flags |= REEF_SESSION_DETECTED;
    session->flags &= (uint8_t)~REEF_SESSION_FAILED;
    call->flow->app = (uint8_t)reef_protocol_number(protocol);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    const reef_protocol *protocol = session->protocol;
    if (protocol == NULL || session->state == NULL)
        return;
    if (protocol->free_state != NULL)
        protocol->free_state(memory, session);
    reef_memory_give(memory, session->state, protocol->state_size);
    session->state = NULL;
}

static void free_side(reef_memory *memory, reef_session *session, int direction)
{
    reef_memory_give(memory, session->side[direction].data, session->side[direction].capacity);
    session->side[direction].data = NULL;
    session->side[direction].length = session->side[direction].capacity = 0;
}

void reef_session_let_go(reef_call *call, int direction)
{
    free_side(call->memory, call->session, direction);
}

void reef_session_free(reef_memory *memory, reef_session *session)
{
    if (session == NULL)
        return;
    for (reef_transaction *next, *t = session->first; t != NULL; t = next) {
        next = t->next;
        free_transaction(memory, session, t);
    }
    free_state(memory, session);
    free_side(memory, session, 0);
    free_side(memory, session, 1);
    reef_pdus_free(memory, session);
    reef_memory_give(memory, session, sizeof *session);
}

void reef_session_feed(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    if (session->flags & REEF_SESSION_NO_PARSE)
        return;
    bool goes_on = chunk->missing == 0 || session->protocol->takes_gaps;
    session->fed = true;
    if (goes_on && !session->protocol->bytes(call, direction, chunk))
        goes_on = false;
    if (session->pdus != NULL)
        reef_pdus_gather(call, direction, chunk);
    if (!goes_on)
        session->flags |= REEF_SESSION_NO_PARSE;
}

/* --- change of protocol -------------------------------------------------------------------------------- */

bool reef_session_change(reef_call *call, const reef_protocol *wanted, uint32_t left)
{
    if (call->session->settling || call->session->flags & REEF_SESSION_CHANGING)
        return false;
    call->session->wanted = wanted;
    call->session->left = left;
    call->session->flags |= REEF_SESSION_CHANGING;
    return true;
}

/* The old protocol goes with all it has; what the new one is comes out of the bytes that follow. */
static void change_now(reef_call *call)
{
    reef_session *session = call->session;
    reef_session_reap(call, true);
    free_state(call->memory, session);
    session->before = session->protocol;
    session->protocol = NULL;
    session->seen[0] = session->seen[1] = NULL;
    session->fed = false;
    session->first_side = 0;
    session->flags = REEF_SESSION_CHANGED;
    for (int d = 0; d < 2; d++) {
        session->side[d].gone = false;
        session->side[d].lost = 0;
        if (session->side[d].length > 0 && session->first_side == 0)
            session->first_side = (uint8_t)(1 + d);
    }
}

/* The bytes behind the change came with the chunk that caused it: they wait, so that the old transactions are seen once more. */
static void keep_left(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    uint32_t left = session->left < chunk->bytes.length ? session->left : chunk->bytes.length;
    session->left = 0;
    session->side[direction].ended = chunk->end;
    if (left > 0)
        reef_session_hold(call, direction, (reef_view){chunk->bytes.data + chunk->bytes.length - left, left});
}

void reef_session_bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_session *session = call->session;
    session->side[direction].bytes += chunk->missing + (uint64_t)chunk->bytes.length;
    if (session->flags & REEF_SESSION_CHANGING) {
        if (chunk->bytes.length == 0 && chunk->missing == 0 && session->side[0].length + session->side[1].length == 0)
            return;
        change_now(call);
    }
    if (session->flags & REEF_SESSION_NO_PARSE)
        return;
    if (session->protocol != NULL && session->side[direction].gone)
        reef_session_feed(call, direction, chunk);
    else
        reef_session_detect(call, direction, chunk);
    if (session->flags & REEF_SESSION_CHANGING && session->left > 0)
        keep_left(call, direction, chunk);
}
