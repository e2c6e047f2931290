/* What is open in a connection: trees, files and pipes by their handles; and the transactions that wait for an answer. */
#include <stddef.h>
#include <string.h>

#include "smb_internal.h"

smb_transaction *smb_find(reef_call *call, const smb_key *key)
{
    smb_transaction *found = NULL;
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next) {
        smb_transaction *one = (smb_transaction *)t;
        if (!one->answered && one->kind != SMB_FILE && one->key.message == key->message && one->key.command == key->command)
            found = one;
    }
    return found;
}

smb_transaction *smb_begin(reef_call *call, const smb_message *m, smb_kind kind)
{
    smb_transaction *transaction = (smb_transaction *)reef_transaction_new(call);
    if (transaction == NULL)
        return NULL;
    transaction->key = m->key;
    transaction->kind = (uint8_t)kind;
    transaction->request = transaction->response = SMB_NO_TYPE;
    return transaction;
}

void smb_answered(smb_transaction *transaction, uint32_t status)
{
    transaction->answered = true;
    transaction->status = status;
    reef_transaction_progress(&transaction->common, REEF_TO_SERVER, SMB_DONE);
    reef_transaction_progress(&transaction->common, REEF_TO_CLIENT, SMB_DONE);
}

/* --- handles ----------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const smb_state *state, bool is_tree, uint64_t id0, uint64_t id1)
{
    for (uint32_t i = state->opens_count; i > 0; i--) {
        const smb_open *open = state->opens[i - 1].open;
        if (open->is_tree == is_tree && open->id[0] == id0 && open->id[1] == id1)
            return i - 1;
    }
    return UINT32_MAX;
}

const smb_open *smb_opened(const smb_state *state, bool is_tree, uint64_t id0, uint64_t id1)
{
    uint32_t slot = slot_of(state, is_tree, id0, id1);
    return slot == UINT32_MAX ? NULL : state->opens[slot].open;
}

void smb_forget(reef_call *call, bool is_tree, uint64_t id0, uint64_t id1)
{
    smb_state *state = call->session->state;
    uint32_t slot = slot_of(state, is_tree, id0, id1);
    if (slot == UINT32_MAX)
        return;
    reef_memory_give(call->memory, state->opens[slot].open, state->opens[slot].size);
    state->opens[slot] = state->opens[--state->opens_count];
}

void smb_remember(reef_call *call, const smb_open *open)
{
    smb_state *state = call->session->state;
    smb_forget(call, open->is_tree, open->id[0], open->id[1]);
    if (state->opens_count == REEF_SMB_OPEN_MAX)
        smb_forget(call, state->opens[0].open->is_tree, state->opens[0].open->id[0], state->opens[0].open->id[1]);
    if (state->opens_count == state->opens_capacity) {
        uint32_t capacity = state->opens_capacity == 0 ? 4 : 2 * state->opens_capacity;
        smb_open_slot *grown = reef_memory_resize(call->memory, state->opens, state->opens_capacity * sizeof *grown,
                                                  capacity * sizeof *grown);
        if (grown == NULL)
            return;
        state->opens = grown;
        state->opens_capacity = capacity;
    }
    uint32_t size = (uint32_t)(offsetof(smb_open, name) + open->name_length); /* no more than the name takes */
    smb_open *kept = reef_memory_get_raw(call->memory, size);
    if (kept == NULL)
        return;
    memcpy(kept, open, size);
    state->opens[state->opens_count++] = (smb_open_slot){kept, size};
}

void smb_forget_all(reef_memory *memory, smb_state *state)
{
    for (uint32_t i = 0; i < state->opens_count; i++)
        reef_memory_give(memory, state->opens[i].open, state->opens[i].size);
    reef_memory_give(memory, state->opens, state->opens_capacity * sizeof *state->opens);
    state->opens = NULL;
    state->opens_count = state->opens_capacity = 0;
}

/* --- names ------------------------------------------------------------------------------------------------- */

/* Suricata drops the high bytes of UTF-16; here a name is UTF-8, which is the same for ASCII. */
static uint32_t put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

uint32_t smb_name(const uint8_t *p, uint32_t length, bool unicode, char *out)
{
    uint32_t n = 0;
    if (!unicode) {
        for (; n < length && n < REEF_SMB_NAME_MAX && p[n] != 0; n++)
            out[n] = (char)p[n];
        return n;
    }
    for (; length >= 2 && n + 3 <= REEF_SMB_NAME_MAX; p += 2, length -= 2) {
        uint32_t code = reef_u16(p);
        if (code == 0)
            break;
        n += put_utf8(code, out + n);
    }
    return n;
}
