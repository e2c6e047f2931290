/* The data channel of FTP: one file, of which the control channel told name and direction. */
#include "ftp_data.h"

#include <string.h>

#include "reef/protocol.h"
#include "reef/tx_file.h"

static const reef_body_limits file_limits = {.limit = 100000, .minimal = 32768, .window = 4096};

typedef struct data_transaction {
    reef_transaction common;
    reef_tx_file *files;
} data_transaction;

typedef struct data_state {
    ftp_data_cookie cookie;
    data_transaction *transaction;
    bool ended;
} data_state;

static void expected(reef_call *call, const uint8_t *cookie, size_t length)
{
    data_state *state = call->session->state;
    if (length <= sizeof state->cookie)
        memcpy(&state->cookie, cookie, length);
}

static bool begin(reef_call *call, data_state *state)
{
    data_transaction *transaction = (data_transaction *)reef_transaction_new(call);
    if (transaction == NULL)
        return false;
    state->transaction = transaction;
    int direction = state->cookie.direction;
    (void)reef_tx_file_begin(call, &transaction->common, direction, &transaction->files,
                             (reef_view){state->cookie.name, state->cookie.name_length}, &file_limits);
    reef_transaction_progress(&transaction->common, !direction, 1);
    return true;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    data_state *state = call->session->state;
    if (direction != state->cookie.direction)
        return true; /* nothing is sent that way */
    if (state->transaction == NULL && (state->ended || chunk->bytes.length == 0))
        return !state->ended;
    if (state->transaction == NULL && !begin(call, state))
        return false;
    data_transaction *transaction = state->transaction;
    if (chunk->missing > 0)
        reef_tx_file_gap(call, &transaction->common, transaction->files, chunk->missing);
    reef_tx_file_bytes(call, &transaction->common, transaction->files, chunk->bytes);
    if (!chunk->end)
        return true;
    state->ended = true;
    reef_tx_file_end(call, &transaction->common, transaction->files, REEF_TX_FILE_CLOSED);
    reef_transaction_progress(&transaction->common, direction, 1);
    return false;
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *common)
{
    data_state *state = session->state;
    state->transaction = NULL;
    reef_tx_file_free_list(memory, ((data_transaction *)common)->files);
}

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    const data_state *state = session->state;
    return direction == state->cookie.direction && reef_tx_file_buffer(((const data_transaction *)common)->files, kind, index, out);
}

static bool value(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const data_state *state = session->state;
    if (kind == REEF_VALUE_FTPDATA_COMMAND) {
        *out = state->cookie.command;
        return index == 0;
    }
    return direction == state->cookie.direction && reef_tx_file_value(((const data_transaction *)common)->files, kind, index, out);
}

static void inspected(reef_session *session, reef_transaction *common, int direction)
{
    const data_state *state = session->state;
    if (direction == state->cookie.direction)
        reef_tx_file_inspected(common->arena.memory, ((data_transaction *)common)->files);
}

static reef_tx_file *files(const reef_session *session, const reef_transaction *common, int direction)
{
    const data_state *state = session->state;
    return direction == state->cookie.direction ? ((const data_transaction *)common)->files : NULL;
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const data_state *state = session->state;
    (void)common;
    (void)which;
    if (state->cookie.name_length > 0)
        reef_json_bytes(json, "filename", state->cookie.name, state->cookie.name_length, FTP_DATA_NAME_MAX);
    reef_json_text(json, "command", state->cookie.command == FTP_DATA_STOR ? "STOR" : "RETR");
    return true;
}

#define BOTH_WAYS(kind) {kind, REEF_TO_SERVER, 0}, {kind, REEF_TO_CLIENT, 0}

static const reef_protocol_buffer buffers[] = {
    BOTH_WAYS(REEF_BUFFER_FILE_DATA), BOTH_WAYS(REEF_BUFFER_FILE_NAME), BOTH_WAYS(REEF_BUFFER_FILE_MAGIC),
    BOTH_WAYS(REEF_BUFFER_FILE_MD5),  BOTH_WAYS(REEF_BUFFER_FILE_SHA1), BOTH_WAYS(REEF_BUFFER_FILE_SHA256),
};

extern const reef_protocol reef_protocol_ftp_data;
const reef_protocol reef_protocol_ftp_data = {
    .name = "ftp-data",
    .event_type = "ftp_data",
    .transport = REEF_PROTO_TCP,
    .takes_gaps = true,
    .complete = {1, 1},
    .state_size = sizeof(data_state),
    .transaction_size = sizeof(data_transaction),
    .bytes = bytes,
    .free_transaction = free_transaction,
    .expected = expected,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .inspected = inspected,
    .files = files,
    .write = write,
};
