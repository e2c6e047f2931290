/* SMB over TCP (MS-SMB, MS-SMB2, RFC 1002): frames of a length each; one transaction for each request with its answer, for each
 * file that is read or written, and for each call of DCERPC in a named pipe. */
#include <stdio.h>
#include <string.h>

#include "reef/pdu.h"
#include "smb_internal.h"

enum { FRAME = 4 };

static const char *const event_names[SMB_EVENTS] = {
    [SMB_EV_MALFORMED_DATA] = "malformed_data",
    [SMB_EV_RECORD_OVERFLOW] = "record_overflow",
    [SMB_EV_FILE_OVERLAP] = "file_overlap",
    [SMB_EV_RESPONSE_TO_SERVER] = "response_to_server",
    [SMB_EV_REQUEST_TO_CLIENT] = "request_to_client",
};

/* --- probe ------------------------------------------------------------------------------------------------- */

static reef_guess probe(const reef_probe *probe)
{
    static const uint8_t first[2][4] = {{0xff, 'S', 'M', 'B'}, {0xfe, 'S', 'M', 'B'}};
    reef_view b = probe->bytes;
    if (b.length > 0 && b.data[0] != 0x00) /* session requests come before the first message, on the port of NetBIOS */
        return b.data[0] == 0x81 && probe->server_port == 139 ? REEF_GUESS_MORE : REEF_GUESS_NO;
    if (b.length < FRAME + 4) {
        bool could = b.length <= FRAME || b.data[FRAME] == 0xff || b.data[FRAME] == 0xfe;
        return could && !probe->end ? REEF_GUESS_MORE : REEF_GUESS_NO;
    }
    for (unsigned i = 0; i < 2; i++)
        if (memcmp(b.data + FRAME, first[i], 4) == 0)
            return REEF_GUESS_YES;
    return REEF_GUESS_NO;
}

/* --- frames ------------------------------------------------------------------------------------------------ */

/* A message, or the beginning of a long one. */
static void take_message(reef_call *call, int direction, reef_view bytes, uint32_t length)
{
    smb_message m = {.bytes = bytes, .length = length, .direction = direction};
    if (bytes.length < 4)
        return;
    if (memcmp(bytes.data, "\xffSMB", 4) == 0)
        smb1_take(call, &m);
    else if (memcmp(bytes.data, "\xfeSMB", 4) == 0)
        smb2_take(call, &m);
}

/* Bytes of a message whose beginning was looked at: those of a file go to it, the rest is passed over. */
static uint32_t pass_over(reef_call *call, smb_side *side, reef_view bytes)
{
    uint32_t n = bytes.length < side->skip ? bytes.length : side->skip;
    uint32_t body = n < side->body ? n : side->body;
    if (body > 0 && side->file != NULL) {
        reef_tx_file_bytes(call, &side->file->common, side->file->file, (reef_view){bytes.data, body});
        side->file->common.updated[side->file->way] = true;
    }
    side->body -= body;
    side->skip -= n;
    if (side->skip == 0)
        side->file = NULL;
    return n;
}

/* For rules with `frame`: a message that begins at `offset` of its direction. */
static void note(reef_call *call, int direction, reef_view message, uint64_t offset, uint32_t length)
{
    enum { HEADER2 = 64 };
    if (!call->pdus || message.length < 4)
        return;
    if (message.data[0] == 0xff) {
        reef_pdu_note(call, direction, REEF_BUFFER_PDU_SMB_SMB1_PDU, offset, length);
        return;
    }
    reef_pdu_note(call, direction, REEF_BUFFER_PDU_SMB_SMB2_PDU, offset, length);
    reef_pdu_note(call, direction, REEF_BUFFER_PDU_SMB_SMB2_HDR, offset, length < HEADER2 ? length : HEADER2);
    if (length > HEADER2)
        reef_pdu_note(call, direction, REEF_BUFFER_PDU_SMB_SMB2_DATA, offset + HEADER2, length - HEADER2);
}

/* Whole frames, and beginnings of long ones; how many bytes were taken. `offset` is that of the first byte. */
static uint32_t take_frames(reef_call *call, int direction, reef_view bytes, uint64_t offset)
{
    smb_state *state = call->session->state;
    smb_side *side = &state->side[direction];
    uint32_t at = 0;
    while (at < bytes.length) {
        reef_view rest = {bytes.data + at, bytes.length - at};
        if (side->skip > 0) {
            at += pass_over(call, side, rest);
            continue;
        }
        if (rest.length < FRAME)
            break;
        uint32_t length = reef_be24(rest.data + 1), here = rest.length - FRAME;
        if (rest.data[0] != 0) { /* of the NetBIOS session: nothing to look at */
            side->skip = FRAME + length;
            side->body = 0;
            continue;
        }
        uint32_t wanted = length <= REEF_SMB_RECORD_MAX ? length : REEF_SMB_HEAD;
        if (!side->noted && here >= 4) {
            note(call, direction, (reef_view){rest.data + FRAME, here}, offset + at + FRAME, length);
            side->noted = true;
        }
        if (here < wanted)
            break;
        side->noted = false;
        if (here > wanted)
            here = wanted; /* of a long one always the same, however the bytes came */
        take_message(call, direction, (reef_view){rest.data + FRAME, here}, length);
        at += FRAME + here;
        side->skip = length - here;
    }
    return at;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    smb_state *state = call->session->state;
    smb_side *side = &state->side[direction];
    reef_view fresh = chunk->bytes;
    if (chunk->missing > 0) {
        if (side->held.length > 0 || chunk->missing >= side->skip)
            return false; /* where the next frame begins cannot be known */
        if (side->file != NULL && side->body > 0)
            reef_tx_file_gap(call, &side->file->common, side->file->file, chunk->missing < side->body ? chunk->missing : side->body);
        side->body -= chunk->missing < side->body ? chunk->missing : side->body;
        side->skip -= chunk->missing;
    }
    if (side->held.length == 0) {
        uint32_t taken = take_frames(call, direction, fresh, chunk->offset);
        reef_view rest = {fresh.data + taken, fresh.length - taken};
        return rest.length == 0 || reef_piece_add(call->memory, &side->held, rest);
    }
    uint64_t offset = chunk->offset - side->held.length;
    if (!reef_piece_add(call->memory, &side->held, fresh))
        return false;
    uint32_t taken = take_frames(call, direction, (reef_view){side->held.data, side->held.length}, offset);
    reef_piece_drop(&side->held, taken);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    smb_state *state = session->state;
    for (int d = 0; d < 2; d++) {
        reef_piece_free(memory, &state->side[d].held);
        reef_piece_free(memory, &state->side[d].rpc);
    }
    dcerpc_interfaces_free(memory, &state->interfaces);
    smb_forget_all(memory, state);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *common)
{
    smb_transaction *transaction = (smb_transaction *)common;
    smb_state *state = session->state;
    for (int d = 0; d < 2; d++) {
        if (state != NULL && state->side[d].file == transaction)
            state->side[d].file = NULL;
        dcerpc_stub_free(memory, &transaction->stub[d]);
        reef_tx_file_free_list(memory, transaction->files[d]);
    }
}

/* --- what rules and events see ------------------------------------------------------------------------------ */

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    const smb_transaction *transaction = (const smb_transaction *)common;
    const smb_state *state = session->state;
    switch (kind) {
    case REEF_BUFFER_SMB_SHARE:
    case REEF_BUFFER_SMB_NAMED_PIPE:
        if (transaction->kind != SMB_TREE || transaction->is_pipe != (kind == REEF_BUFFER_SMB_NAMED_PIPE))
            return false;
        *out = (reef_buffer){.bytes = transaction->name, .end = true};
        return true;
    case REEF_BUFFER_DCERPC_STUB_DATA:
        if (transaction->stub[direction].length == 0)
            return false;
        *out = (reef_buffer){.bytes = {transaction->stub[direction].data, transaction->stub[direction].length}, .end = true};
        return true;
    case REEF_BUFFER_DCERPC_IFACE:
        return transaction->request == DCERPC_REQUEST && dcerpc_interface_buffer(&state->interfaces, -1, index, out);
    default:
        return reef_tx_file_buffer(transaction->files[direction], kind, index, out);
    }
}

static bool value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const smb_transaction *transaction = (const smb_transaction *)common;
    (void)session;
    if (kind != REEF_VALUE_DCERPC_OPNUM)
        return reef_tx_file_value(transaction->files[direction], kind, index, out);
    if (index > 0 || transaction->request != DCERPC_REQUEST)
        return false;
    *out = transaction->operation;
    return true;
}

static reef_tx_file *files(const reef_session *session, const reef_transaction *common, int direction)
{
    (void)session;
    return ((const smb_transaction *)common)->files[direction];
}

static void write_rpc(const smb_transaction *transaction, reef_json *json)
{
    reef_json_open(json, "dcerpc", '{');
    if (transaction->request != SMB_NO_TYPE)
        reef_json_text(json, "request", dcerpc_type_name(transaction->request));
    if (transaction->response != SMB_NO_TYPE)
        reef_json_text(json, "response", dcerpc_type_name(transaction->response));
    if (transaction->request == DCERPC_REQUEST)
        reef_json_number(json, "opnum", transaction->operation);
    reef_json_number(json, "call_id", transaction->call);
    reef_json_close(json, '}');
}

static const char *command_name(unsigned command)
{
    static const char *const second[] = {
        "SMB2_COMMAND_NEGOTIATE_PROTOCOL", "SMB2_COMMAND_SESSION_SETUP", "SMB2_COMMAND_SESSION_LOGOFF",
        "SMB2_COMMAND_TREE_CONNECT", "SMB2_COMMAND_TREE_DISCONNECT", "SMB2_COMMAND_CREATE", "SMB2_COMMAND_CLOSE",
        "SMB2_COMMAND_FLUSH", "SMB2_COMMAND_READ", "SMB2_COMMAND_WRITE", "SMB2_COMMAND_LOCK", "SMB2_COMMAND_IOCTL",
        "SMB2_COMMAND_CANCEL", "SMB2_COMMAND_KEEPALIVE", "SMB2_COMMAND_FIND", "SMB2_COMMAND_CHANGE_NOTIFY",
        "SMB2_COMMAND_GET_INFO", "SMB2_COMMAND_SET_INFO", "SMB2_COMMAND_OPLOCK_BREAK",
    };
    static const struct { uint8_t code; const char *name; } of_first[] = {
        {0x04, "SMB1_COMMAND_CLOSE"}, {0x24, "SMB1_COMMAND_LOCKING_ANDX"}, {0x25, "SMB1_COMMAND_TRANS"},
        {0x2b, "SMB1_COMMAND_ECHO"}, {0x2d, "SMB1_COMMAND_OPEN_ANDX"}, {0x2e, "SMB1_COMMAND_READ_ANDX"},
        {0x2f, "SMB1_COMMAND_WRITE_ANDX"}, {0x32, "SMB1_COMMAND_TRANS2"}, {0x71, "SMB1_COMMAND_TREE_DISCONNECT"},
        {0x72, "SMB1_COMMAND_NEGOTIATE_PROTOCOL"}, {0x73, "SMB1_COMMAND_SESSION_SETUP_ANDX"},
        {0x74, "SMB1_COMMAND_LOGOFF_ANDX"}, {0x75, "SMB1_COMMAND_TREE_CONNECT_ANDX"}, {0xa0, "SMB1_COMMAND_NT_TRANS"},
        {0xa2, "SMB1_COMMAND_NT_CREATE_ANDX"},
    };
    if (command < sizeof second / sizeof second[0])
        return second[command];
    for (unsigned i = 0; command >= 0x100 && i < sizeof of_first / sizeof of_first[0]; i++)
        if (of_first[i].code == (command & 0xff))
            return of_first[i].name;
    return "UNKNOWN";
}

static const char *dialect_name(const smb_state *state)
{
    switch (state->dialect) {
    case 0x0202: return "2.02";
    case 0x0210: return "2.10";
    case 0x0300: return "3.00";
    case 0x0302: return "3.02";
    case 0x0311: return "3.11";
    case 0x02ff: return "2.??";
    default: return state->second_version ? "unknown" : "NT LM 0.12";
    }
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const smb_transaction *transaction = (const smb_transaction *)common;
    (void)which;
    reef_json_number(json, "id", common->number + 1);
    reef_json_text(json, "dialect", dialect_name(session->state));
    reef_json_text(json, "command", command_name(transaction->key.command));
    if (transaction->answered && transaction->kind != SMB_RPC) {
        char status[16];
        snprintf(status, sizeof status, "0x%x", transaction->status);
        reef_json_text(json, "status_code", status);
    }
    reef_json_number(json, "session_id", transaction->key.session);
    reef_json_number(json, "tree_id", transaction->key.tree);
    if (transaction->kind == SMB_TREE)
        reef_json_bytes(json, transaction->is_pipe ? "named_pipe" : "share", transaction->name.data, transaction->name.length,
                        REEF_SMB_NAME_MAX);
    else if (transaction->name.length > 0)
        reef_json_bytes(json, "filename", transaction->name.data, transaction->name.length, REEF_SMB_NAME_MAX);
    if (transaction->kind == SMB_RPC)
        write_rpc(transaction, json);
    return true;
}

static void inspected(reef_session *session, reef_transaction *common, int direction)
{
    (void)session;
    reef_tx_file_inspected(common->arena.memory, ((smb_transaction *)common)->files[direction]);
}

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_DCERPC_IFACE, REEF_TO_SERVER, SMB_OPEN},
    {REEF_BUFFER_DCERPC_IFACE, REEF_TO_CLIENT, SMB_OPEN},
    {REEF_BUFFER_FILE_DATA, REEF_TO_SERVER, SMB_OPEN},
    {REEF_BUFFER_FILE_DATA, REEF_TO_CLIENT, SMB_OPEN},
    {REEF_BUFFER_FILE_NAME, REEF_TO_SERVER, SMB_OPEN},
    {REEF_BUFFER_FILE_NAME, REEF_TO_CLIENT, SMB_OPEN},
    {REEF_BUFFER_FILE_MAGIC, REEF_TO_SERVER, SMB_OPEN},
    {REEF_BUFFER_FILE_MAGIC, REEF_TO_CLIENT, SMB_OPEN},
    {REEF_BUFFER_FILE_MD5, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_FILE_MD5, REEF_TO_CLIENT, SMB_DONE},
    {REEF_BUFFER_FILE_SHA1, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_FILE_SHA1, REEF_TO_CLIENT, SMB_DONE},
    {REEF_BUFFER_FILE_SHA256, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_FILE_SHA256, REEF_TO_CLIENT, SMB_DONE},
    {REEF_BUFFER_SMB_SHARE, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_SMB_NAMED_PIPE, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_DCERPC_STUB_DATA, REEF_TO_SERVER, SMB_DONE},
    {REEF_BUFFER_DCERPC_STUB_DATA, REEF_TO_CLIENT, SMB_DONE},
};

extern const reef_protocol reef_protocol_smb;
const reef_protocol reef_protocol_smb = {
    .name = "smb",
    .event_type = "smb",
    .transport = REEF_PROTO_TCP,
    .takes_gaps = true,
    .complete = {SMB_DONE, SMB_DONE},
    .state_size = sizeof(smb_state),
    .transaction_size = sizeof(smb_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .inspected = inspected,
    .files = files,
    .events = event_names,
    .events_count = SMB_EVENTS,
    .write = write,
};
