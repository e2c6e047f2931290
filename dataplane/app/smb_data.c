/* What is read and written: bytes of files, and DCERPC within named pipes. */
#include <string.h>

#include "smb_internal.h"

/* --- files ------------------------------------------------------------------------------------------------- */

static const reef_body_limits whole_file = {.limit = 0, .minimal = 1, .window = 4096};

static smb_transaction *file_of(reef_call *call, uint64_t id0, uint64_t id1, int way)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next) {
        smb_transaction *one = (smb_transaction *)t;
        if (one->kind == SMB_FILE && !one->answered && one->handle[0] == id0 && one->handle[1] == id1 &&
            (way < 0 || one->way == way))
            return one;
    }
    return NULL;
}

static smb_transaction *begin_file(reef_call *call, const smb_message *m, const smb_open *open, uint64_t id0, uint64_t id1,
                                   uint64_t offset)
{
    smb_transaction *file = smb_begin(call, m, SMB_FILE);
    if (file == NULL)
        return NULL;
    file->handle[0] = id0;
    file->handle[1] = id1;
    file->way = m->direction;
    file->next = offset;
    if (open != NULL) {
        file->name.data = reef_arena_copy(&file->common.arena, (const uint8_t *)open->name, open->name_length);
        file->name.length = file->name.data != NULL ? open->name_length : 0;
    }
    file->file = reef_tx_file_begin(call, &file->common, m->direction, &file->files[m->direction], file->name, &whole_file);
    return file;
}

void smb_file_bytes(reef_call *call, const smb_message *m, const smb_open *open, uint64_t id0, uint64_t id1, uint64_t offset,
                    reef_view here, uint32_t length)
{
    smb_state *state = call->session->state;
    smb_transaction *file = file_of(call, id0, id1, m->direction);
    if (file == NULL)
        file = begin_file(call, m, open, id0, id1, offset);
    if (file == NULL || length == 0)
        return;
    if (offset < file->next) {
        reef_transaction_event(call, &file->common, SMB_EV_FILE_OVERLAP);
        return; /* what was seen first holds */
    }
    if (offset > file->next)
        reef_tx_file_gap(call, &file->common, file->file, offset - file->next > UINT32_MAX ? UINT32_MAX : (uint32_t)(offset - file->next));
    file->next = offset + length;
    reef_tx_file_bytes(call, &file->common, file->file, here);
    file->common.updated[m->direction] = true;
    if (length > here.length) {
        state->side[m->direction].file = file;
        state->side[m->direction].body = length - here.length;
    }
}

void smb_file_close(reef_call *call, uint64_t id0, uint64_t id1)
{
    smb_state *state = call->session->state;
    for (smb_transaction *file; (file = file_of(call, id0, id1, -1)) != NULL;) {
        for (int d = 0; d < 2; d++)
            if (state->side[d].file == file)
                state->side[d].file = NULL;
        reef_tx_file_end(call, &file->common, file->file, REEF_TX_FILE_CLOSED);
        smb_answered(file, 0);
    }
}

/* --- pipes ------------------------------------------------------------------------------------------------- */

static smb_transaction *call_of(reef_call *call, const smb_message *m, uint32_t number)
{
    smb_transaction *found = NULL;
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next) {
        smb_transaction *one = (smb_transaction *)t;
        if (one->kind == SMB_RPC && one->call == number && one->common.progress[m->direction] != SMB_DONE)
            found = one;
    }
    if (found != NULL || m->direction == REEF_TO_CLIENT)
        return found;
    found = smb_begin(call, m, SMB_RPC);
    if (found != NULL) {
        found->call = number;
        found->from_pipe = true;
        found->answered = true; /* it waits for a fragment, not for a message */
    }
    return found;
}

static void take_fragment(reef_call *call, const smb_message *m, const dcerpc_header *header, reef_view pdu)
{
    smb_state *state = call->session->state;
    bool asks = m->direction == REEF_TO_SERVER;
    bool known = asks ? header->type == DCERPC_REQUEST || header->type == DCERPC_BIND || header->type == DCERPC_ALTER
                      : header->type == DCERPC_RESPONSE || header->type == DCERPC_FAULT || header->type == DCERPC_BINDACK ||
                            header->type == DCERPC_ALTER_ANSWER || header->type == DCERPC_BINDNAK;
    smb_transaction *transaction = known ? call_of(call, m, header->call) : NULL;
    dcerpc_call said;
    if (header->type == DCERPC_BIND || header->type == DCERPC_ALTER)
        dcerpc_take_bind(call->memory, &state->interfaces, header, pdu);
    else if (header->type == DCERPC_BINDACK || header->type == DCERPC_ALTER_ANSWER)
        dcerpc_take_answer(&state->interfaces, header, pdu);
    if (transaction == NULL)
        return;
    if (asks)
        transaction->request = header->type;
    else
        transaction->response = header->type;
    if ((header->type == DCERPC_REQUEST || header->type == DCERPC_RESPONSE) && dcerpc_read_call(header, pdu, &said)) {
        if (asks) {
            transaction->context = said.context;
            transaction->operation = said.operation;
        }
        dcerpc_stub_add(call->memory, &transaction->stub[m->direction], said.stub);
    }
    transaction->common.updated[m->direction] = true;
    if (header->flags & DCERPC_LAST)
        reef_transaction_progress(&transaction->common, m->direction, SMB_DONE);
}

void smb_pipe_bytes(reef_call *call, const smb_message *m, reef_view bytes)
{
    smb_state *state = call->session->state;
    reef_piece *held = &state->side[m->direction].rpc;
    dcerpc_header header;
    if (held->length + bytes.length > REEF_SMB_RECORD_MAX || !reef_piece_add(call->memory, held, bytes)) {
        reef_piece_drop(held, held->length);
        return;
    }
    uint32_t at = 0;
    while (held->length - at >= DCERPC_HEADER) {
        reef_view rest = {held->data + at, held->length - at};
        if (!dcerpc_read_header(rest, &header)) {
            at = held->length; /* something else speaks through this pipe */
            break;
        }
        if (rest.length < header.length)
            break;
        take_fragment(call, m, &header, (reef_view){rest.data, header.length});
        at += header.length;
    }
    reef_piece_drop(held, at);
}
