/* SMTP (RFC 5321) with BDAT (RFC 3030) and STARTTLS (RFC 3207): one transaction for each mail. */
#include <string.h>
#include <strings.h>

#include "smtp_internal.h"

static const char *const event_names[SMTP_EVENTS_COUNT] = {
    [SMTP_INVALID_REPLY] = "invalid_reply",
    [SMTP_UNABLE_TO_MATCH_REPLY_WITH_REQUEST] = "unable_to_match_reply_with_request",
    [SMTP_MAX_COMMAND_LINE_LEN_EXCEEDED] = "max_command_line_len_exceeded",
    [SMTP_MAX_REPLY_LINE_LEN_EXCEEDED] = "max_reply_line_len_exceeded",
    [SMTP_INVALID_PIPELINED_SEQUENCE] = "invalid_pipelined_sequence",
    [SMTP_BDAT_CHUNK_LEN_EXCEEDED] = "bdat_chunk_len_exceeded",
    [SMTP_NO_SERVER_WELCOME_MESSAGE] = "no_server_welcome_message",
    [SMTP_TLS_REJECTED] = "tls_rejected",
    [SMTP_DATA_COMMAND_REJECTED] = "data_command_rejected",
    [SMTP_MIME_PARSE_FAILED] = "mime_parse_failed",
    [SMTP_MIME_MALFORMED_MSG] = "mime_malformed_msg",
    [SMTP_MIME_INVALID_BASE64] = "mime_invalid_base64",
    [SMTP_MIME_INVALID_QP] = "mime_invalid_qp",
    [SMTP_MIME_LONG_LINE] = "mime_long_line",
    [SMTP_MIME_LONG_ENC_LINE] = "mime_long_enc_line",
    [SMTP_MIME_LONG_HEADER_NAME] = "mime_long_header_name",
    [SMTP_MIME_LONG_HEADER_VALUE] = "mime_long_header_value",
    [SMTP_MIME_LONG_BOUNDARY] = "mime_long_boundary",
    [SMTP_MIME_LONG_FILENAME] = "mime_long_filename",
    [SMTP_DUPLICATE_FIELDS] = "duplicate_fields",
    [SMTP_UNPARSABLE_CONTENT] = "unparsable_content",
    [SMTP_TRUNCATED_LINE] = "truncated_line",
};

static bool starts(reef_view text, const char *word)
{
    size_t length = strlen(word);
    return text.length >= length && strncasecmp((const char *)text.data, word, length) == 0;
}

static void event(reef_call *call, smtp_event number)
{
    smtp_state *state = call->session->state;
    if (state->current != NULL)
        reef_transaction_event(call, &state->current->common, number);
}

/* --- probe -------------------------------------------------------------------------------------------------- */

static reef_guess probe_client(reef_view bytes)
{
    static const char *const words[] = {"EHLO", "HELO", "QUIT"};
    for (unsigned i = 0; i < 3; i++) {
        size_t length = bytes.length < 4 ? bytes.length : 4;
        if (strncasecmp((const char *)bytes.data, words[i], length) == 0)
            return length < 4 ? REEF_GUESS_MORE : REEF_GUESS_YES;
    }
    return REEF_GUESS_NO;
}

static bool is_domain_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* "220 host.domain …": FTP greets with 220 too, but not with a domain on these ports. */
static reef_guess probe_server(const reef_probe *probe)
{
    reef_view bytes = probe->bytes;
    uint16_t port = probe->server_port;
    if (port != 25 && port != 587 && port != 465)
        return REEF_GUESS_NO;
    size_t length = bytes.length < 3 ? bytes.length : 3;
    if (memcmp(bytes.data, "220", length) != 0)
        return REEF_GUESS_NO;
    if (bytes.length < 5)
        return REEF_GUESS_MORE;
    if (bytes.data[3] != ' ' && bytes.data[3] != '-')
        return REEF_GUESS_NO;
    uint32_t at = 4;
    while (at < bytes.length && is_domain_byte(bytes.data[at]))
        at++;
    if (at == 4)
        return REEF_GUESS_NO;
    return memchr(bytes.data + 4, '\n', bytes.length - 4) != NULL ? REEF_GUESS_YES : REEF_GUESS_MORE;
}

static reef_guess probe(const reef_probe *probe)
{
    if (probe->bytes.length == 0)
        return REEF_GUESS_MORE;
    return probe->direction == REEF_TO_SERVER ? probe_client(probe->bytes) : probe_server(probe);
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

static smtp_transaction *begin_transaction(reef_call *call)
{
    smtp_state *state = call->session->state;
    state->current = (smtp_transaction *)reef_transaction_new(call);
    return state->current;
}

static void complete(smtp_transaction *transaction)
{
    if (transaction == NULL)
        return; /* it left already */
    transaction->done = true;
    reef_transaction_progress(&transaction->common, REEF_TO_SERVER, 1);
    reef_transaction_progress(&transaction->common, REEF_TO_CLIENT, 1);
}

static void end_of_mail(reef_call *call, smtp_state *state)
{
    smtp_mail_end(call, state->current, true);
    complete(state->current);
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static bool queue_command(reef_call *call, smtp_state *state, smtp_command command)
{
    uint32_t count = state->commands_count;
    if (count > 0 && (state->commands[count - 1] == SMTP_COMMAND_STARTTLS || state->commands[count - 1] == SMTP_COMMAND_DATA))
        event(call, SMTP_INVALID_PIPELINED_SEQUENCE);
    if (count == REEF_SMTP_COMMANDS_MAX) {
        if (state->command_at == 0)
            return false;
        memmove(state->commands, state->commands + state->command_at, count - state->command_at);
        state->commands_count -= state->command_at;
        state->command_at = 0;
    }
    state->commands[state->commands_count++] = (uint8_t)command;
    return true;
}

/* What follows the command up to a space: RFC 1870 and others put options behind an address. */
static reef_view parameter(reef_view line, uint32_t prefix)
{
    uint32_t from = prefix < line.length ? prefix : line.length;
    while (from < line.length && line.data[from] == ' ')
        from++;
    uint32_t end = from;
    while (end < line.length && line.data[end] != ' ')
        end++;
    return (reef_view){line.data + from, end - from};
}

static void take_helo(reef_call *call, smtp_state *state, reef_view line)
{
    if (state->has_helo) {
        event(call, SMTP_DUPLICATE_FIELDS);
        return;
    }
    reef_view name = parameter(line, 5);
    state->has_helo = true;
    state->helo = name.length > 0 ? reef_memory_get_raw(call->memory, name.length) : NULL;
    if (state->helo == NULL)
        return;
    memcpy(state->helo, name.data, name.length);
    state->helo_length = name.length;
}

static void take_mail_from(reef_call *call, smtp_transaction *transaction, reef_view line)
{
    if (transaction->has_mail_from) {
        event(call, SMTP_DUPLICATE_FIELDS);
        return;
    }
    reef_view address = parameter(line, 10);
    transaction->has_mail_from = true;
    transaction->mail_from.data = reef_arena_copy(&transaction->common.arena, address.data, address.length);
    transaction->mail_from.length = address.length;
}

/* BDAT length [LAST]. False: that it is not. */
static bool take_bdat(reef_call *call, smtp_state *state, smtp_transaction *transaction, reef_view line)
{
    uint32_t at = 4, digits = 0;
    uint64_t length = 0;
    while (at < line.length && line.data[at] == ' ')
        at++;
    if (at == 4)
        return false;
    for (; at < line.length && line.data[at] >= '0' && line.data[at] <= '9' && digits < 18; at++, digits++)
        length = length * 10 + (line.data[at] - '0');
    if (digits == 0)
        return false;
    while (at < line.length && line.data[at] == ' ')
        at++;
    state->chunk_left = length;
    state->chunk_last = starts((reef_view){line.data + at, line.length - at}, "last");
    state->chunk_mid_line = false;
    if (!transaction->has_mime)
        smtp_mail_begin(call, transaction);
    return true;
}

/* DATA while a mail of this transaction has not ended: another one begins. */
static smtp_transaction *take_data(reef_call *call, smtp_state *state)
{
    smtp_transaction *transaction = state->current;
    if (transaction->has_mime) {
        event(call, SMTP_UNPARSABLE_CONTENT);
        transaction->unparsable = true;
        smtp_mail_end(call, transaction, false);
        complete(transaction);
        transaction = begin_transaction(call);
        if (transaction == NULL)
            return NULL;
    }
    smtp_mail_begin(call, transaction);
    if (state->pipelining)
        state->in_data = true; /* it need not wait for the reply */
    return transaction;
}

static bool take_command(reef_call *call, smtp_state *state, reef_view line)
{
    smtp_transaction *transaction = state->current;
    smtp_command command = SMTP_COMMAND_OTHER;
    if (starts(line, "starttls")) {
        command = SMTP_COMMAND_STARTTLS;
    } else if (starts(line, "data")) {
        command = SMTP_COMMAND_DATA;
        if (take_data(call, state) == NULL)
            return false;
    } else if (starts(line, "bdat")) {
        command = SMTP_COMMAND_BDAT;
        if (!take_bdat(call, state, transaction, line))
            return false;
        state->in_data = state->chunk_left > 0;
        if (!state->in_data && state->chunk_last)
            end_of_mail(call, state);
    } else if (starts(line, "helo") || starts(line, "ehlo")) {
        take_helo(call, state, line);
    } else if (starts(line, "mail from")) {
        take_mail_from(call, transaction, line);
    } else if (starts(line, "rcpt to")) {
        (void)smtp_list_add(transaction, &transaction->recipients, REEF_SMTP_RECIPIENTS_MAX, parameter(line, 8));
    } else if (starts(line, "rset")) {
        command = SMTP_COMMAND_RSET;
        state->chunk_left = 0;
    }
    state->command = (uint8_t)command;
    state->current->common.updated[REEF_TO_SERVER] = true;
    return queue_command(call, state, command);
}

static void data_line(reef_call *call, smtp_state *state, reef_line line)
{
    if (line.begins && line.text.length > 0 && line.text.data[0] == '.') {
        if (line.text.length == 1 && line.end > 0) {
            state->in_data = false;
            (void)queue_command(call, state, SMTP_COMMAND_MAIL);
            end_of_mail(call, state);
            return;
        }
        line.text.data++; /* RFC 5321 4.5.2 */
        line.text.length--;
    }
    smtp_mail_line(call, state->current, &line);
}

static bool client_line(reef_call *call, smtp_state *state, const reef_line *line)
{
    bool same = state->in_data || starts(line->text, "rset") || starts(line->text, "quit");
    if (state->current == NULL || (state->current->done && !same))
        if (begin_transaction(call) == NULL)
            return false;
    if (!state->first_reply)
        event(call, SMTP_NO_SERVER_WELCOME_MESSAGE);
    if (state->in_data) {
        if (state->command == SMTP_COMMAND_DATA)
            data_line(call, state, *line);
        return true;
    }
    if (!line->begins)
        return true; /* the rest of a line that was too long */
    if (line->end == 0)
        event(call, SMTP_TRUNCATED_LINE);
    if (state->chunk_mid_line) {
        event(call, SMTP_BDAT_CHUNK_LEN_EXCEEDED);
        state->chunk_mid_line = false;
    }
    return take_command(call, state, line->text);
}

/* Bytes of a BDAT chunk: they need not end with a line. */
static void chunk_bytes(reef_call *call, smtp_state *state, reef_view *rest)
{
    reef_view part = {rest->data, rest->length < state->chunk_left ? rest->length : (uint32_t)state->chunk_left};
    *rest = (reef_view){rest->data + part.length, rest->length - part.length};
    state->chunk_left -= part.length;
    state->chunk_mid_line = part.data[part.length - 1] != '\n';
    smtp_transaction *mail = state->current;
    reef_line line;
    while (mail != NULL && reef_lines_next(&state->chunk_lines, call->memory, &part, REEF_SMTP_LINE_MAX, &line))
        smtp_mail_line(call, mail, &line);
    if (state->chunk_left > 0)
        return;
    state->in_data = false;
    if (!state->chunk_last || mail == NULL)
        return;
    while (reef_lines_last(&state->chunk_lines, &line))
        smtp_mail_line(call, mail, &line);
    state->chunk_lines.inside = false;
    end_of_mail(call, state);
}

static bool client_bytes(reef_call *call, smtp_state *state, reef_view rest)
{
    reef_line line;
    while (rest.length > 0) {
        if (state->in_data && state->command == SMTP_COMMAND_BDAT) {
            chunk_bytes(call, state, &rest);
            continue;
        }
        if (!reef_lines_next(&state->lines[REEF_TO_SERVER], call->memory, &rest, REEF_SMTP_LINE_MAX, &line))
            break;
        if (!client_line(call, state, &line))
            return false;
    }
    if (state->current != NULL)
        smtp_mail_flush(call, state->current);
    return true;
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

static bool is_reply_code(unsigned code)
{
    static const uint16_t codes[] = {211, 214, 220, 221, 235, 250, 251, 252, 334, 354, 421, 450, 451, 452, 454, 455,
                                     500, 501, 502, 503, 504, 530, 535, 550, 551, 552, 553, 554, 555};
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* 0: it has none. */
static unsigned code_of(reef_view line)
{
    unsigned code = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return 0;
        code = code * 10 + line.data[i] - '0';
    }
    return is_reply_code(code) ? code : 0;
}

static void start_tls(reef_call *call, smtp_state *state, uint32_t left)
{
    complete(state->current);
    reef_session_change(call, reef_protocol_by_name("tls"), left);
}

/* A reply to the oldest command that waits. */
static void take_reply(reef_call *call, smtp_state *state, unsigned code, reef_view line, uint32_t left)
{
    switch (state->commands_count == 0 ? SMTP_COMMAND_OTHER : state->commands[state->command_at]) {
    case SMTP_COMMAND_STARTTLS:
        if (code == 220)
            start_tls(call, state, left);
        else
            event(call, SMTP_TLS_REJECTED);
        break;
    case SMTP_COMMAND_DATA:
        if (code != 354)
            event(call, SMTP_DATA_COMMAND_REJECTED);
        else if (state->command == SMTP_COMMAND_DATA && state->current != NULL && !state->current->done)
            state->in_data = true;
        break;
    case SMTP_COMMAND_RSET:
        if (code == 250 && state->current != NULL && !state->multi_line) {
            smtp_mail_end(call, state->current, false);
            complete(state->current);
        }
        break;
    default:
        break;
    }
    if (!state->multi_line)
        state->command_at++;
    else if (state->first_reply && code == 250 && starts((reef_view){line.data + 3, line.length - 3}, "-pipelining") && line.length == 14)
        state->pipelining = true;
    if (state->command_at >= state->commands_count)
        state->command_at = state->commands_count = 0;
}

static bool server_line(reef_call *call, smtp_state *state, const reef_line *line, uint32_t left)
{
    if (!line->begins)
        return true;
    if (line->end == 0)
        event(call, SMTP_TRUNCATED_LINE);
    if (line->text.length == 0 && line->end == 1)
        return true;
    if (line->text.length < 3) {
        event(call, SMTP_INVALID_REPLY);
        return false;
    }
    state->multi_line = line->text.length >= 4 && line->text.data[3] == '-';
    unsigned code = code_of(line->text);
    if (code == 0) {
        event(call, SMTP_INVALID_REPLY);
        return false;
    }
    if (state->command_at < state->commands_count) {
        take_reply(call, state, code, line->text, left);
        return true;
    }
    if (!state->first_reply) {
        state->first_reply = !state->multi_line;
        if (code != 220)
            event(call, SMTP_INVALID_REPLY);
    }
    return true;
}

static bool server_bytes(reef_call *call, smtp_state *state, reef_view rest)
{
    reef_line line;
    while (reef_lines_next(&state->lines[REEF_TO_CLIENT], call->memory, &rest, REEF_SMTP_LINE_MAX, &line)) {
        if (!server_line(call, state, &line, rest.length))
            return false;
        if (call->session->flags & REEF_SESSION_CHANGING)
            return true;
    }
    return true;
}

/* --- protocol ---------------------------------------------------------------------------------------------------- */

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    smtp_state *state = call->session->state;
    bool goes_on = direction == REEF_TO_SERVER ? client_bytes(call, state, chunk->bytes) : server_bytes(call, state, chunk->bytes);
    if (direction == REEF_TO_SERVER && (chunk->end || !goes_on) && state->current != NULL)
        smtp_mail_end(call, state->current, false);
    return goes_on;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    smtp_state *state = session->state;
    reef_lines_free(&state->lines[0], memory);
    reef_lines_free(&state->lines[1], memory);
    reef_lines_free(&state->chunk_lines, memory);
    reef_memory_give(memory, state->helo, state->helo_length);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *common)
{
    smtp_state *state = session->state;
    smtp_transaction *transaction = (smtp_transaction *)common;
    if (state != NULL && state->current == transaction)
        state->current = NULL;
    reef_tx_file_free_list(memory, transaction->files);
    reef_mime_free(transaction->mime, memory);
}

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_SMTP_HELO, REEF_TO_SERVER, 0},    {REEF_BUFFER_SMTP_MAIL_FROM, REEF_TO_SERVER, 0},
    {REEF_BUFFER_SMTP_RCPT_TO, REEF_TO_SERVER, 0}, {REEF_BUFFER_FILE_DATA, REEF_TO_SERVER, 0},
    {REEF_BUFFER_FILE_NAME, REEF_TO_SERVER, 0},    {REEF_BUFFER_FILE_MAGIC, REEF_TO_SERVER, 0},
    {REEF_BUFFER_FILE_MD5, REEF_TO_SERVER, 0},     {REEF_BUFFER_FILE_SHA1, REEF_TO_SERVER, 0},
    {REEF_BUFFER_FILE_SHA256, REEF_TO_SERVER, 0},  {REEF_BUFFER_EMAIL_FROM, REEF_TO_SERVER, 0},
    {REEF_BUFFER_EMAIL_SUBJECT, REEF_TO_SERVER, 0}, {REEF_BUFFER_EMAIL_TO, REEF_TO_SERVER, 0},
    {REEF_BUFFER_EMAIL_CC, REEF_TO_SERVER, 0},     {REEF_BUFFER_EMAIL_DATE, REEF_TO_SERVER, 0},
    {REEF_BUFFER_EMAIL_MESSAGE_ID, REEF_TO_SERVER, 0}, {REEF_BUFFER_EMAIL_X_MAILER, REEF_TO_SERVER, 0},
    {REEF_BUFFER_EMAIL_URL, REEF_TO_SERVER, 0},    {REEF_BUFFER_EMAIL_RECEIVED, REEF_TO_SERVER, 0},
};

extern const reef_protocol reef_protocol_smtp;
const reef_protocol reef_protocol_smtp = {
    .name = "smtp",
    .event_type = "smtp",
    .transport = REEF_PROTO_TCP,
    .complete = {1, 1},
    .state_size = sizeof(smtp_state),
    .transaction_size = sizeof(smtp_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = smtp_buffer,
    .value = smtp_value,
    .inspected = smtp_inspected,
    .files = smtp_files,
    .events = event_names,
    .events_count = SMTP_EVENTS_COUNT,
    .write = smtp_write,
    .write_beside = smtp_write_beside,
};
