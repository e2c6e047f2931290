/* SMB 2 and 3 (MS-SMB2): messages, one or several in a frame. */
#include <string.h>

#include "smb_internal.h"

enum { HEADER = 64, FLAG_ANSWER = 1 };
enum { SESSION_SETUP = 1, TREE_CONNECT = 3, TREE_DISCONNECT = 4, CREATE = 5, CLOSE = 6, READ = 8, WRITE = 9, IOCTL = 11 };
enum { SHARE_PIPE = 2, FSCTL_PIPE_TRANSCEIVE = 0x0011c017 };
#define STATUS_PENDING 0x00000103u

/* A stretch of the message, as far as it is here; offsets count from the header. */
static reef_view part(const smb_message *m, uint32_t offset, uint32_t length)
{
    if (offset < HEADER || offset >= m->bytes.length)
        return (reef_view){0};
    uint32_t here = m->bytes.length - offset;
    return (reef_view){m->bytes.data + offset, length < here ? length : here};
}

static bool on_pipe(const smb_state *state, const smb_message *m)
{
    const smb_open *tree = smb_opened(state, true, m->key.tree, m->key.session);
    return tree != NULL && tree->is_pipe;
}

static void name_it(smb_transaction *transaction, reef_view utf16)
{
    char name[REEF_SMB_NAME_MAX];
    uint32_t length = smb_name(utf16.data, utf16.length, true, name);
    transaction->name.data = reef_arena_copy(&transaction->common.arena, (const uint8_t *)name, length);
    transaction->name.length = transaction->name.data != NULL ? length : 0;
}

/* --- requests ---------------------------------------------------------------------------------------------- */

static void request(reef_call *call, smb_message *m)
{
    const smb_state *state = call->session->state;
    const uint8_t *body = m->bytes.data + HEADER;
    uint32_t n = m->bytes.length - HEADER;
    smb_transaction *transaction = NULL;
    switch (m->key.command) {
    case TREE_CONNECT:
        transaction = smb_begin(call, m, SMB_TREE);
        if (transaction != NULL && n >= 8)
            name_it(transaction, part(m, reef_u16(body + 4), reef_u16(body + 6)));
        break;
    case TREE_DISCONNECT:
        smb_forget(call, true, m->key.tree, m->key.session);
        break;
    case CREATE:
        transaction = smb_begin(call, m, SMB_CREATE);
        if (transaction != NULL && n >= 48)
            name_it(transaction, part(m, reef_u16(body + 44), reef_u16(body + 46)));
        break;
    case CLOSE:
        if (n >= 24) {
            smb_file_close(call, smb_u64(body + 8), smb_u64(body + 16));
            smb_forget(call, false, smb_u64(body + 8), smb_u64(body + 16));
        }
        break;
    case READ:
        transaction = smb_begin(call, m, SMB_GENERIC);
        if (transaction != NULL && n >= 32) {
            transaction->offset = smb_u64(body + 8);
            transaction->handle[0] = smb_u64(body + 16);
            transaction->handle[1] = smb_u64(body + 24);
        }
        break;
    case WRITE:
        if (n >= 32) {
            uint32_t length = reef_u32(body + 4), at = reef_u16(body + 2);
            uint64_t id0 = smb_u64(body + 16), id1 = smb_u64(body + 24);
            if (at < HEADER || at > m->length || length > m->length - at) {
                reef_transaction_event(call, NULL, SMB_EV_MALFORMED_DATA);
                break;
            }
            reef_view here = part(m, at, length);
            if (on_pipe(state, m))
                smb_pipe_bytes(call, m, here);
            else
                smb_file_bytes(call, m, smb_opened(state, false, id0, id1), id0, id1, smb_u64(body + 8), here, length);
        }
        transaction = smb_begin(call, m, SMB_GENERIC);
        break;
    case IOCTL:
        transaction = smb_begin(call, m, SMB_GENERIC);
        if (n >= 32 && reef_u32(body + 4) == FSCTL_PIPE_TRANSCEIVE)
            smb_pipe_bytes(call, m, part(m, reef_u32(body + 24), reef_u32(body + 28)));
        break;
    default:
        transaction = smb_begin(call, m, SMB_GENERIC);
        break;
    }
    if (transaction != NULL)
        reef_transaction_progress(&transaction->common, REEF_TO_SERVER, transaction->kind == SMB_TREE ? SMB_ASKED : SMB_DONE);
}

/* --- answers ----------------------------------------------------------------------------------------------- */

static void open_named(reef_call *call, const smb_transaction *asked, smb_open *open)
{
    open->name_length = (uint16_t)(asked->name.length < REEF_SMB_NAME_MAX ? asked->name.length : REEF_SMB_NAME_MAX);
    if (open->name_length > 0)
        memcpy(open->name, asked->name.data, open->name_length);
    smb_remember(call, open);
}

static void read_answer(reef_call *call, const smb_message *m, const smb_transaction *asked)
{
    const smb_state *state = call->session->state;
    const uint8_t *body = m->bytes.data + HEADER;
    if (m->bytes.length < HEADER + 16 || asked == NULL)
        return;
    uint32_t at = body[2], length = reef_u32(body + 4);
    if (at < HEADER || at > m->length || length > m->length - at) {
        reef_transaction_event(call, NULL, SMB_EV_MALFORMED_DATA);
        return;
    }
    if (on_pipe(state, m)) {
        smb_pipe_bytes(call, m, part(m, at, length));
        return;
    }
    uint64_t id0 = asked->handle[0], id1 = asked->handle[1];
    smb_file_bytes(call, m, smb_opened(state, false, id0, id1), id0, id1, asked->offset, part(m, at, length), length);
}

static void answer(reef_call *call, smb_message *m)
{
    smb_state *state = call->session->state;
    const uint8_t *body = m->bytes.data + HEADER;
    uint32_t n = m->bytes.length - HEADER;
    if (m->status == STATUS_PENDING)
        return; /* the answer proper comes later */
    smb_transaction *asked = smb_find(call, &m->key);
    bool good = m->status == 0 || m->status == 0x80000005u; /* or "more data" */
    smb_open open = {0};
    if (good && asked != NULL && m->key.command == TREE_CONNECT && n >= 3) {
        asked->is_pipe = body[2] == SHARE_PIPE;
        open.is_tree = true;
        open.is_pipe = asked->is_pipe;
        open.id[0] = m->key.tree;
        open.id[1] = m->key.session;
        open_named(call, asked, &open);
    } else if (good && asked != NULL && m->key.command == CREATE && n >= 80) {
        open.id[0] = smb_u64(body + 64);
        open.id[1] = smb_u64(body + 72);
        open.is_pipe = on_pipe(state, m);
        open_named(call, asked, &open);
    } else if (good && m->key.command == READ) {
        read_answer(call, m, asked);
    } else if (good && m->key.command == IOCTL && n >= 40 && reef_u32(body + 4) == FSCTL_PIPE_TRANSCEIVE) {
        smb_pipe_bytes(call, m, part(m, reef_u32(body + 32), reef_u32(body + 36)));
    } else if (good && m->key.command == 0 && n >= 6) {
        state->dialect = reef_u16(body + 4);
    }
    if (asked != NULL)
        smb_answered(asked, m->status);
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static bool take_one(reef_call *call, const smb_message *frame, uint32_t at, uint32_t length)
{
    const uint8_t *p = frame->bytes.data + at;
    uint32_t here = frame->bytes.length - at;
    if (here < HEADER || memcmp(p, "\xfeSMB", 4) != 0)
        return false;
    smb_message m = {.bytes = {p, here < length ? here : length}, .length = length, .direction = frame->direction,
                     .status = reef_u32(p + 8), .unicode = true,
                     .key = {.command = reef_u16(p + 12), .message = smb_u64(p + 24), .tree = reef_u32(p + 36),
                             .session = smb_u64(p + 40)}};
    m.answer = reef_u32(p + 16) & FLAG_ANSWER;
    if (m.answer != (frame->direction == REEF_TO_CLIENT)) {
        reef_transaction_event(call, NULL, m.answer ? SMB_EV_RESPONSE_TO_SERVER : SMB_EV_REQUEST_TO_CLIENT);
        return true;
    }
    if (m.answer)
        answer(call, &m);
    else
        request(call, &m);
    return true;
}

void smb2_take(reef_call *call, smb_message *m)
{
    smb_state *state = call->session->state;
    state->second_version = true;
    for (uint32_t at = 0; m->length - at >= HEADER && m->bytes.length > at && m->bytes.length - at >= HEADER;) {
        uint32_t next = reef_u32(m->bytes.data + at + 20); /* related messages follow each other in one frame */
        uint32_t length = next >= HEADER && next <= m->length - at ? next : m->length - at;
        if (!take_one(call, m, at, length))
            return;
        if (next < HEADER || next > m->length - at)
            return;
        at += next;
    }
}
