/* DCERPC over TCP: one transaction for each call, and for each binding. */
#include <string.h>

#include "dcerpc_pdu.h"
#include "piece.h"
#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"

enum { OPEN, DONE }; /* progress of a direction */

typedef struct rpc_transaction {
    reef_transaction common;
    dcerpc_stub stub[2];
    uint32_t call;
    uint16_t context, operation;
    uint8_t request, response; /* types; 0xff: none yet */
    bool cut[2]; /* the first fragment came */
} rpc_transaction;

enum { NO_TYPE = 0xff };

typedef struct rpc_state {
    reef_piece held[2];
    dcerpc_interfaces interfaces;
} rpc_state;

/* --- probe ------------------------------------------------------------------------------------------------ */

static reef_guess probe(const reef_probe *probe)
{
    const uint8_t *p = probe->bytes.data;
    dcerpc_header header;
    if (probe->bytes.length < 2)
        return probe->bytes.length == 0 || p[0] == 5 ? REEF_GUESS_MORE : REEF_GUESS_NO;
    if (p[0] != 5 || p[1] > 1)
        return REEF_GUESS_NO;
    if (probe->bytes.length < DCERPC_HEADER)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    if (!dcerpc_read_header(probe->bytes, &header))
        return REEF_GUESS_NO;
    bool answers = header.type == DCERPC_RESPONSE || header.type == DCERPC_FAULT || header.type == DCERPC_BINDACK ||
                   header.type == DCERPC_BINDNAK || header.type == DCERPC_ALTER_ANSWER;
    if (probe->turned != NULL && answers != (probe->direction == REEF_TO_CLIENT))
        *probe->turned = true;
    return REEF_GUESS_YES;
}

/* --- fragments -------------------------------------------------------------------------------------------- */

static rpc_transaction *find(reef_call *call, uint32_t number, int direction)
{
    rpc_transaction *found = NULL;
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next) {
        rpc_transaction *one = (rpc_transaction *)t;
        if (one->call == number && one->common.progress[direction] != DONE)
            found = one;
    }
    return found;
}

static rpc_transaction *of_call(reef_call *call, uint32_t number, int direction)
{
    rpc_transaction *found = find(call, number, direction);
    if (found != NULL)
        return found;
    found = (rpc_transaction *)reef_transaction_new(call);
    if (found == NULL)
        return NULL;
    found->call = number;
    found->request = found->response = NO_TYPE;
    return found;
}

static void take_call(reef_call *call, int direction, const dcerpc_header *header, reef_view pdu)
{
    dcerpc_call said;
    rpc_transaction *transaction = of_call(call, header->call, direction);
    if (transaction == NULL || !dcerpc_read_call(header, pdu, &said))
        return;
    if (direction == REEF_TO_SERVER) {
        transaction->request = header->type;
        transaction->context = said.context;
        transaction->operation = said.operation;
    } else {
        transaction->response = header->type;
    }
    dcerpc_stub_add(call->memory, &transaction->stub[direction], said.stub);
    transaction->common.updated[direction] = true;
    if (header->flags & DCERPC_LAST)
        reef_transaction_progress(&transaction->common, direction, DONE);
}

static void take_binding(reef_call *call, rpc_state *state, int direction, const dcerpc_header *header, reef_view pdu)
{
    rpc_transaction *transaction = of_call(call, header->call, direction);
    if (direction == REEF_TO_SERVER)
        dcerpc_take_bind(call->memory, &state->interfaces, header, pdu);
    else if (header->type != DCERPC_BINDNAK)
        dcerpc_take_answer(&state->interfaces, header, pdu);
    if (transaction == NULL)
        return;
    if (direction == REEF_TO_SERVER)
        transaction->request = header->type;
    else
        transaction->response = header->type;
    transaction->common.updated[direction] = true;
    if (header->flags & DCERPC_LAST)
        reef_transaction_progress(&transaction->common, direction, DONE);
}

static void take_fragment(reef_call *call, int direction, const dcerpc_header *header, reef_view pdu)
{
    rpc_state *state = call->session->state;
    switch (header->type) {
    case DCERPC_REQUEST:
        if (direction == REEF_TO_SERVER)
            take_call(call, direction, header, pdu);
        break;
    case DCERPC_RESPONSE:
    case DCERPC_FAULT:
        if (direction == REEF_TO_CLIENT)
            take_call(call, direction, header, pdu);
        break;
    case DCERPC_BIND:
    case DCERPC_ALTER:
        if (direction == REEF_TO_SERVER)
            take_binding(call, state, direction, header, pdu);
        break;
    case DCERPC_BINDACK:
    case DCERPC_BINDNAK:
    case DCERPC_ALTER_ANSWER:
        if (direction == REEF_TO_CLIENT)
            take_binding(call, state, direction, header, pdu);
        break;
    default:
        break;
    }
}

/* Whole fragments in `bytes`; how many bytes they are, or -1: this is no DCERPC. */
static int64_t take_whole(reef_call *call, int direction, reef_view bytes)
{
    uint32_t at = 0;
    dcerpc_header header;
    while (bytes.length - at >= DCERPC_HEADER) {
        reef_view rest = {bytes.data + at, bytes.length - at};
        if (!dcerpc_read_header(rest, &header))
            return -1;
        if (rest.length < header.length)
            break;
        take_fragment(call, direction, &header, (reef_view){rest.data, header.length});
        at += header.length;
    }
    return at;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    rpc_state *state = call->session->state;
    reef_piece *held = &state->held[direction];
    if (chunk->missing > 0)
        return false; /* where the next fragment begins cannot be known */
    if (held->length == 0) { /* nothing waits: fragments are taken where they lie */
        int64_t taken = take_whole(call, direction, chunk->bytes);
        if (taken < 0)
            return false;
        reef_view rest = {chunk->bytes.data + taken, chunk->bytes.length - (uint32_t)taken};
        return rest.length == 0 || reef_piece_add(call->memory, held, rest);
    }
    if (!reef_piece_add(call->memory, held, chunk->bytes))
        return false;
    int64_t taken = take_whole(call, direction, (reef_view){held->data, held->length});
    if (taken < 0)
        return false;
    reef_piece_drop(held, (uint32_t)taken);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    rpc_state *state = session->state;
    reef_piece_free(memory, &state->held[0]);
    reef_piece_free(memory, &state->held[1]);
    dcerpc_interfaces_free(memory, &state->interfaces);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *common)
{
    rpc_transaction *transaction = (rpc_transaction *)common;
    (void)session;
    dcerpc_stub_free(memory, &transaction->stub[0]);
    dcerpc_stub_free(memory, &transaction->stub[1]);
}

/* --- what rules and events see ----------------------------------------------------------------------------- */

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    const rpc_transaction *transaction = (const rpc_transaction *)common;
    const rpc_state *state = session->state;
    switch (kind) {
    case REEF_BUFFER_DCERPC_STUB_DATA:
        if (transaction->stub[direction].length == 0)
            return false;
        *out = (reef_buffer){.bytes = {transaction->stub[direction].data, transaction->stub[direction].length}, .end = true};
        return true;
    case REEF_BUFFER_DCERPC_IFACE:
        return transaction->request == DCERPC_REQUEST &&
               dcerpc_interface_buffer(&state->interfaces, transaction->context, index, out);
    default:
        return false;
    }
}

static bool value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const rpc_transaction *transaction = (const rpc_transaction *)common;
    (void)session;
    (void)direction;
    if (kind != REEF_VALUE_DCERPC_OPNUM || index > 0 || transaction->request != DCERPC_REQUEST)
        return false;
    *out = transaction->operation;
    return true;
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const rpc_transaction *transaction = (const rpc_transaction *)common;
    (void)session;
    (void)which;
    if (transaction->request != NO_TYPE)
        reef_json_text(json, "request", dcerpc_type_name(transaction->request));
    if (transaction->request == DCERPC_REQUEST) {
        reef_json_open(json, "req", '{');
        reef_json_number(json, "opnum", transaction->operation);
        reef_json_number(json, "stub_data_size", transaction->stub[0].length);
        reef_json_close(json, '}');
    }
    if (transaction->response != NO_TYPE)
        reef_json_text(json, "response", dcerpc_type_name(transaction->response));
    if (transaction->response == DCERPC_RESPONSE) {
        reef_json_open(json, "res", '{');
        reef_json_number(json, "stub_data_size", transaction->stub[1].length);
        reef_json_close(json, '}');
    }
    reef_json_number(json, "call_id", transaction->call);
    reef_json_text(json, "rpc_version", "5.0");
    return true;
}

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_DCERPC_IFACE, REEF_TO_SERVER, OPEN},
    {REEF_BUFFER_DCERPC_IFACE, REEF_TO_CLIENT, OPEN},
    {REEF_BUFFER_DCERPC_STUB_DATA, REEF_TO_SERVER, DONE},
    {REEF_BUFFER_DCERPC_STUB_DATA, REEF_TO_CLIENT, DONE},
};

extern const reef_protocol reef_protocol_dcerpc;
const reef_protocol reef_protocol_dcerpc = {
    .name = "dcerpc",
    .event_type = "dcerpc",
    .transport = REEF_PROTO_TCP,
    .complete = {DONE, DONE},
    .state_size = sizeof(rpc_state),
    .transaction_size = sizeof(rpc_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .write = write,
};
