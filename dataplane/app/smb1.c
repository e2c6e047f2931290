/* SMB 1, or CIFS (MS-CIFS): a message and the commands that are chained to it. */
#include <string.h>

#include "smb_internal.h"

enum { HEADER = 32, FLAG_ANSWER = 0x80, FLAG_UNICODE = 0x8000, CHAIN_MAX = 16 };
enum {
    COM_CLOSE = 0x04, COM_TRANSACTION = 0x25, COM_READ_ANDX = 0x2e, COM_WRITE_ANDX = 0x2f, COM_TREE_DISCONNECT = 0x71,
    COM_NEGOTIATE = 0x72, COM_SESSION_SETUP_ANDX = 0x73, COM_TREE_CONNECT_ANDX = 0x75, COM_NT_CREATE_ANDX = 0xa2,
    COM_OPEN_ANDX = 0x2d, COM_LOCKING_ANDX = 0x24, COM_LOGOFF_ANDX = 0x74, COM_NONE = 0xff,
};
enum { TRANSACT_NAMED_PIPE = 0x26 };

/* One command of a chain: its words and its bytes, as far as they are here; offsets count from the header. */
typedef struct command {
    uint8_t code;
    const uint8_t *words, *bytes;
    uint32_t words_length, bytes_length, bytes_at;
} command;

static bool is_chained(unsigned code)
{
    return code == COM_READ_ANDX || code == COM_WRITE_ANDX || code == COM_SESSION_SETUP_ANDX || code == COM_TREE_CONNECT_ANDX ||
           code == COM_NT_CREATE_ANDX || code == COM_OPEN_ANDX || code == COM_LOCKING_ANDX || code == COM_LOGOFF_ANDX;
}

static bool read_command(const smb_message *m, uint32_t at, unsigned code, command *c)
{
    if (at < HEADER || at >= m->bytes.length)
        return false;
    const uint8_t *p = m->bytes.data + at;
    uint32_t here = m->bytes.length - at, words = 2u * p[0];
    if (here < 1 + words + 2)
        return false;
    *c = (command){.code = (uint8_t)code, .words = p + 1, .words_length = words, .bytes = p + 3 + words, .bytes_at = at + 3 + words};
    uint32_t count = reef_u16(p + 1 + words);
    c->bytes_length = count < here - 3 - words ? count : here - 3 - words;
    return true;
}

static reef_view part(const smb_message *m, uint32_t offset, uint32_t length)
{
    if (offset < HEADER || offset >= m->bytes.length)
        return (reef_view){0};
    uint32_t here = m->bytes.length - offset;
    return (reef_view){m->bytes.data + offset, length < here ? length : here};
}

static bool on_pipe(const smb_state *state, const smb_message *m)
{
    const smb_open *tree = smb_opened(state, true, m->key.tree, 0);
    return tree != NULL && tree->is_pipe;
}

static uint64_t handle_of(const smb_message *m, const uint8_t *p)
{
    return (uint64_t)m->key.tree << 16 | reef_u16(p);
}

/* Text in the bytes of a command; UTF-16 begins at an even offset of the message. */
static void name_it(const smb_message *m, smb_transaction *transaction, const command *c, uint32_t skip)
{
    char name[REEF_SMB_NAME_MAX];
    if (m->unicode && (c->bytes_at + skip) % 2 != 0)
        skip++;
    if (skip >= c->bytes_length)
        return;
    uint32_t length = smb_name(c->bytes + skip, c->bytes_length - skip, m->unicode, name);
    transaction->name.data = reef_arena_copy(&transaction->common.arena, (const uint8_t *)name, length);
    transaction->name.length = transaction->name.data != NULL ? length : 0;
}

/* --- requests ---------------------------------------------------------------------------------------------- */

static void write_request(reef_call *call, const smb_message *m, const command *c)
{
    const smb_state *state = call->session->state;
    if (c->words_length < 24)
        return;
    const uint8_t *w = c->words;
    uint64_t id = handle_of(m, w + 4), offset = reef_u32(w + 6);
    if (c->words_length >= 28)
        offset |= (uint64_t)reef_u32(w + 24) << 32;
    uint32_t length = reef_u16(w + 20) | (uint32_t)reef_u16(w + 18) << 16, at = reef_u16(w + 22);
    if (at < HEADER || at > m->length || length > m->length - at) {
        reef_transaction_event(call, NULL, SMB_EV_MALFORMED_DATA);
        return;
    }
    reef_view here = part(m, at, length);
    if (on_pipe(state, m))
        smb_pipe_bytes(call, m, here);
    else
        smb_file_bytes(call, m, smb_opened(state, false, id, 0), id, 0, offset, here, length);
}

static smb_transaction *request_of(reef_call *call, const smb_message *m, const command *c)
{
    const uint8_t *w = c->words;
    smb_transaction *transaction;
    switch (c->code) {
    case COM_TREE_CONNECT_ANDX:
        transaction = smb_begin(call, m, SMB_TREE);
        if (transaction != NULL && c->words_length >= 8)
            name_it(m, transaction, c, reef_u16(w + 6)); /* behind the password */
        return transaction;
    case COM_NT_CREATE_ANDX:
        transaction = smb_begin(call, m, SMB_CREATE);
        if (transaction != NULL)
            name_it(m, transaction, c, 0);
        return transaction;
    case COM_READ_ANDX:
        transaction = smb_begin(call, m, SMB_GENERIC);
        if (transaction != NULL && c->words_length >= 20) {
            transaction->handle[0] = handle_of(m, w + 4);
            transaction->offset = reef_u32(w + 6);
            if (c->words_length >= 24)
                transaction->offset |= (uint64_t)reef_u32(w + 20) << 32;
        }
        return transaction;
    case COM_WRITE_ANDX:
        write_request(call, m, c);
        return smb_begin(call, m, SMB_GENERIC);
    case COM_CLOSE:
        if (c->words_length >= 2) {
            smb_file_close(call, handle_of(m, w), 0);
            smb_forget(call, false, handle_of(m, w), 0);
        }
        return smb_begin(call, m, SMB_GENERIC);
    case COM_TREE_DISCONNECT:
        smb_forget(call, true, m->key.tree, 0);
        return smb_begin(call, m, SMB_GENERIC);
    case COM_TRANSACTION:
        if (c->words_length >= 32 && reef_u16(w + 28) == TRANSACT_NAMED_PIPE)
            smb_pipe_bytes(call, m, part(m, reef_u16(w + 24), reef_u16(w + 22)));
        return smb_begin(call, m, SMB_GENERIC);
    default:
        return smb_begin(call, m, SMB_GENERIC);
    }
}

/* --- answers ----------------------------------------------------------------------------------------------- */

static void open_named(reef_call *call, const smb_transaction *asked, smb_open *open)
{
    open->name_length = (uint16_t)(asked->name.length < REEF_SMB_NAME_MAX ? asked->name.length : REEF_SMB_NAME_MAX);
    if (open->name_length > 0)
        memcpy(open->name, asked->name.data, open->name_length);
    smb_remember(call, open);
}

static void read_answer(reef_call *call, const smb_message *m, const command *c, const smb_transaction *asked)
{
    const smb_state *state = call->session->state;
    if (c->words_length < 16)
        return;
    const uint8_t *w = c->words;
    uint32_t length = reef_u16(w + 10) | (uint32_t)reef_u16(w + 14) << 16, at = reef_u16(w + 12);
    if (length == 0)
        return;
    if (at < HEADER || at > m->length || length > m->length - at) {
        reef_transaction_event(call, NULL, SMB_EV_MALFORMED_DATA);
        return;
    }
    reef_view here = part(m, at, length);
    if (on_pipe(state, m)) {
        smb_pipe_bytes(call, m, here);
        return;
    }
    /* Chained to the opening of its file, a read could not name the handle yet. */
    uint64_t id = asked->handle[0];
    const smb_open *open = smb_opened(state, false, id, 0);
    if (open == NULL && state->opens_count > 0 && !state->opens[state->opens_count - 1].open->is_tree) {
        open = state->opens[state->opens_count - 1].open;
        id = open->id[0];
    }
    smb_file_bytes(call, m, open, id, 0, asked->offset, here, length);
}

static void answer_of(reef_call *call, const smb_message *m, const command *c, smb_transaction *asked)
{
    const smb_state *state = call->session->state;
    smb_open open = {0};
    switch (c->code) {
    case COM_TREE_CONNECT_ANDX:
        if (asked == NULL)
            break;
        asked->is_pipe = c->bytes_length >= 3 && memcmp(c->bytes, "IPC", 3) == 0;
        open.is_tree = true;
        open.is_pipe = asked->is_pipe;
        open.id[0] = m->key.tree;
        open_named(call, asked, &open);
        break;
    case COM_NT_CREATE_ANDX:
        if (asked == NULL || c->words_length < 7)
            break;
        open.id[0] = handle_of(m, c->words + 5);
        open.is_pipe = on_pipe(state, m);
        open_named(call, asked, &open);
        break;
    case COM_READ_ANDX:
        if (asked != NULL)
            read_answer(call, m, c, asked);
        break;
    case COM_TRANSACTION:
        if (c->words_length >= 16 && on_pipe(state, m))
            smb_pipe_bytes(call, m, part(m, reef_u16(c->words + 14), reef_u16(c->words + 12)));
        break;
    default:
        break;
    }
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static void take_command(reef_call *call, smb_message *m, const command *c)
{
    m->key.command = (uint16_t)(0x100 | c->code);
    if (!m->answer) {
        smb_transaction *transaction = request_of(call, m, c);
        if (transaction != NULL)
            reef_transaction_progress(&transaction->common, REEF_TO_SERVER, transaction->kind == SMB_TREE ? SMB_ASKED : SMB_DONE);
        return;
    }
    smb_transaction *asked = smb_find(call, &m->key);
    bool good = m->status == 0 || m->status == 0x80000005u;
    if (good)
        answer_of(call, m, c, asked);
    if (asked != NULL)
        smb_answered(asked, m->status);
}

void smb1_take(reef_call *call, smb_message *m)
{
    const uint8_t *p = m->bytes.data;
    command c;
    if (m->bytes.length < HEADER)
        return;
    m->answer = p[9] & FLAG_ANSWER;
    m->unicode = reef_u16(p + 10) & FLAG_UNICODE;
    m->status = reef_u32(p + 5);
    m->key.tree = reef_u16(p + 24);
    m->key.session = reef_u16(p + 28);
    m->key.message = (uint64_t)reef_u16(p + 26) << 16 | reef_u16(p + 30);
    if (m->answer != (m->direction == REEF_TO_CLIENT)) {
        reef_transaction_event(call, NULL, m->answer ? SMB_EV_RESPONSE_TO_SERVER : SMB_EV_REQUEST_TO_CLIENT);
        return;
    }
    uint32_t at = HEADER;
    unsigned code = p[4];
    for (unsigned chained = 0; chained < CHAIN_MAX && read_command(m, at, code, &c); chained++) {
        take_command(call, m, &c);
        if (!is_chained(code) || c.words_length < 4 || c.words[0] == COM_NONE)
            return;
        uint32_t next = reef_u16(c.words + 2);
        if (next <= at) /* a chain only goes forward */
            return;
        code = c.words[0];
        at = next;
    }
}
