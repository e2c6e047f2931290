/* FTP (RFC 959, 2428, 4217): one transaction for each command and its replies. PORT, PASV and their kin tell of a data channel,
 * which RETR or STOR give a name. */
#include <string.h>
#include <strings.h>

#include "ftp_data.h"
#include "lines.h"
#include "reef/protocol.h"

enum { REQUEST_TOO_LONG, RESPONSE_TOO_LONG, EVENTS_COUNT };

static const char *const event_names[EVENTS_COUNT] = {"request_command_too_long", "response_command_too_long"};

enum { PROGRESS_OPEN, PROGRESS_PORT, PROGRESS_DONE };

/* Those that mean something to this parser come first. */
static const char *const commands[] = {
    "PORT", "EPRT", "PASV", "EPSV", "RETR", "STOR", "AUTH TLS",
    "ABOR", "ACCT", "ALLO", "APPE", "CDUP", "CHMOD", "CWD", "DELE", "HELP", "IDLE", "LIST", "MAIL", "MDTM", "MKD", "MLFL",
    "MODE", "MRCP", "MRSQ", "MSAM", "MSND", "MSOM", "NLST", "NOOP", "PASS", "PWD", "QUIT", "REIN", "REST", "RMD", "RNFR",
    "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOU", "STRU", "SYST", "TYPE", "UMASK", "USER",
};
enum { PORT, EPRT, PASV, EPSV, RETR, STOR, AUTH_TLS, COMMANDS = sizeof commands / sizeof commands[0], UNKNOWN };

typedef struct reply {
    struct reply *next;
    reef_view text;
} reply;

typedef struct ftp_transaction {
    reef_transaction common;
    reef_view request;
    reply *replies, *last_reply;
    uint32_t replies_count;
    uint16_t dynamic_port;
    uint8_t command;
    bool done, request_cut, reply_cut;
} ftp_transaction;

typedef struct ftp_state {
    reef_lines lines[2];
    uint16_t dynamic_port;
    bool active;
    uint8_t command; /* the last one */
    uint16_t port_argument; /* of PORT or EPRT, until its reply */
} ftp_state;

/* --- probe ------------------------------------------------------------------------------------------------ */

static reef_guess probe(const reef_probe *probe)
{
    static const char *const words[] = {"FEAT", "USER ", "PASS ", "PORT "};
    reef_view bytes = probe->bytes;
    bool more = false;
    if (probe->direction == REEF_TO_CLIENT) {
        size_t n = bytes.length < 5 ? bytes.length : 5;
        return memcmp(bytes.data, "220 (", n) != 0 ? REEF_GUESS_NO : n < 5 ? REEF_GUESS_MORE : REEF_GUESS_YES;
    }
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]), n = bytes.length < length ? bytes.length : length;
        if (strncasecmp((const char *)bytes.data, words[i], n) != 0)
            continue;
        if (n == length)
            return REEF_GUESS_YES;
        more = true;
    }
    return more ? REEF_GUESS_MORE : REEF_GUESS_NO;
}

/* --- ports ------------------------------------------------------------------------------------------------- */

/* A number of at most `limit` at *at; -1: there is none. */
static int number(reef_view text, uint32_t *at, int limit)
{
    int value = -1;
    for (; *at < text.length && text.data[*at] >= '0' && text.data[*at] <= '9'; (*at)++) {
        value = (value < 0 ? 0 : value) * 10 + text.data[*at] - '0';
        if (value > limit)
            return -1;
    }
    return value;
}

/* h1,h2,h3,h4,p1,p2; 0: it is not. */
static uint16_t six_numbers(reef_view text, uint32_t at)
{
    int value[6];
    for (unsigned i = 0; i < 6; i++) {
        if (i > 0 && (at >= text.length || text.data[at++] != ','))
            return 0;
        while (at < text.length && text.data[at] == ' ')
            at++;
        value[i] = number(text, &at, 255);
        if (value[i] < 0)
            return 0;
    }
    return (uint16_t)(value[4] << 8 | value[5]);
}

/* EPRT |2|2001:db8::1|5282|: the third part, whatever the delimiter is. EPSV's reply has (|||6446|). */
static uint16_t delimited(reef_view text, uint32_t at, unsigned skip)
{
    if (at >= text.length)
        return 0;
    uint8_t mark = text.data[at++];
    while (skip > 0 && at < text.length)
        skip -= text.data[at++] == mark;
    int port = skip == 0 ? number(text, &at, 65535) : -1;
    return port > 0 && at < text.length && text.data[at] == mark ? (uint16_t)port : 0;
}

static uint32_t argument_at(reef_view line, uint32_t at)
{
    while (at < line.length && line.data[at] == ' ')
        at++;
    return at;
}

static uint16_t port_of_reply(unsigned command, reef_view line)
{
    const char *code = command == PASV ? "227 " : "229 ";
    if (line.length < 4 || memcmp(line.data, code, 4) != 0)
        return 0;
    const uint8_t *open = memchr(line.data, '(', line.length);
    if (command == EPSV)
        return open != NULL ? delimited(line, (uint32_t)(open - line.data) + 1, 2) : 0;
    uint32_t at = 4;
    if (open != NULL)
        at = (uint32_t)(open - line.data) + 1;
    else /* not all servers write brackets */
        while (at < line.length && (line.data[at] < '0' || line.data[at] > '9'))
            at++;
    return six_numbers(line, at);
}

/* --- requests ------------------------------------------------------------------------------------------------ */

static unsigned command_of(reef_view line)
{
    for (unsigned i = 0; i < COMMANDS; i++) {
        size_t length = strlen(commands[i]);
        if (line.length >= length && strncasecmp((const char *)line.data, commands[i], length) == 0)
            return i;
    }
    return UNKNOWN;
}

static reef_view trimmed(reef_view line)
{
    while (line.length > 0 && (line.data[line.length - 1] == ' ' || (line.data[line.length - 1] >= '\t' && line.data[line.length - 1] <= '\r')))
        line.length--;
    return line;
}

/* The data channel gets its file's name. Passive: client to server's port. Active: server to client's. */
static void expect_data(reef_call *call, ftp_state *state, unsigned command, reef_view line)
{
    const reef_flow_key *key = &call->flow->key;
    bool high = call->flow->client_is_high;
    const uint8_t *client = high ? key->high : key->low, *server = high ? key->low : key->high;
    ftp_data_cookie cookie = {.command = command == RETR ? FTP_DATA_RETR : FTP_DATA_STOR};
    bool to_client = (command == RETR) != state->active;
    cookie.direction = to_client ? REEF_TO_CLIENT : REEF_TO_SERVER;
    uint32_t length = line.length - 5;
    cookie.name_length = (uint8_t)(length < FTP_DATA_NAME_MAX ? length : FTP_DATA_NAME_MAX);
    memcpy(cookie.name, line.data + 5, cookie.name_length);
    reef_session_expect_from(call, reef_protocol_by_name("ftp-data"), key->version, state->active ? client : server,
                             state->dynamic_port, state->active ? server : client, (const uint8_t *)&cookie, sizeof cookie);
    state->dynamic_port = 0;
    state->active = false;
}

static bool request(reef_call *call, ftp_state *state, const reef_line *piece)
{
    if (!piece->begins)
        return true; /* the rest of a line that was too long */
    reef_view line = trimmed(piece->text);
    unsigned command = command_of(line);
    state->command = (uint8_t)command;
    if (command == UNKNOWN)
        return true;
    ftp_transaction *transaction = (ftp_transaction *)reef_transaction_new(call);
    if (transaction == NULL)
        return false;
    transaction->command = (uint8_t)command;
    transaction->request_cut = piece->end == 0;
    transaction->request.data = reef_arena_copy(&transaction->common.arena, line.data, line.length);
    transaction->request.length = transaction->request.data != NULL ? line.length : 0;
    transaction->common.updated[REEF_TO_SERVER] = true;
    if (transaction->request_cut)
        reef_transaction_event(call, &transaction->common, REQUEST_TOO_LONG);
    if (command == PORT || command == EPRT) {
        uint32_t at = argument_at(line, 4);
        state->port_argument = command == PORT ? six_numbers(line, at) : delimited(line, at, 2);
        if (command == PORT)
            reef_transaction_progress(&transaction->common, REEF_TO_SERVER, PROGRESS_PORT);
    } else if (command == RETR || command == STOR) {
        if (state->dynamic_port == 0 || line.length < 6)
            return true;
        expect_data(call, state, command, line);
    }
    return true;
}

/* --- replies ------------------------------------------------------------------------------------------------- */

static ftp_transaction *oldest_open(reef_call *call)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next)
        if (!((ftp_transaction *)t)->done)
            return (ftp_transaction *)t;
    if (call->session->last != NULL)
        return (ftp_transaction *)call->session->last;
    ftp_transaction *transaction = (ftp_transaction *)reef_transaction_new(call);
    if (transaction != NULL)
        transaction->command = UNKNOWN;
    return transaction;
}

static void keep_reply(ftp_transaction *transaction, reef_view line)
{
    line = trimmed(line);
    if (line.length == 0 || transaction->replies_count == REEF_FTP_REPLIES_MAX)
        return;
    reply *kept = reef_arena_get(&transaction->common.arena, sizeof *kept);
    uint8_t *text = kept != NULL ? reef_arena_copy(&transaction->common.arena, line.data, line.length) : NULL;
    if (text == NULL)
        return;
    *kept = (reply){.text = {text, line.length}};
    if (transaction->last_reply != NULL)
        transaction->last_reply->next = kept;
    else
        transaction->replies = kept;
    transaction->last_reply = kept;
    transaction->replies_count++;
    transaction->common.updated[REEF_TO_CLIENT] = true;
}

/* Of the data channel that the reply tells of. */
static void take_port(ftp_state *state, ftp_transaction *transaction, reef_view line)
{
    unsigned command = transaction->command;
    uint16_t port = 0;
    if (command == PORT || command == EPRT)
        port = state->port_argument;
    else if (command == PASV || command == EPSV)
        port = port_of_reply(command, line);
    if (port == 0)
        return;
    state->dynamic_port = transaction->dynamic_port = port;
    state->active = command == PORT || command == EPRT;
}

static bool is_preliminary(reef_view line)
{
    return line.length >= 4 && line.data[0] == '1' && line.data[1] >= '0' && line.data[1] <= '9' && line.data[2] >= '0' &&
           line.data[2] <= '9' && (line.data[3] == ' ' || line.data[3] == '\t');
}

static bool response(reef_call *call, ftp_state *state, const reef_line *piece, uint32_t left)
{
    if (!piece->begins)
        return true;
    ftp_transaction *transaction = oldest_open(call);
    if (transaction == NULL)
        return false;
    take_port(state, transaction, piece->text);
    keep_reply(transaction, piece->text);
    if (piece->end == 0) {
        transaction->reply_cut = true;
        reef_transaction_event(call, &transaction->common, RESPONSE_TOO_LONG);
    }
    if (!is_preliminary(piece->text)) {
        transaction->done = true;
        reef_transaction_progress(&transaction->common, REEF_TO_SERVER, PROGRESS_DONE);
        reef_transaction_progress(&transaction->common, REEF_TO_CLIENT, PROGRESS_DONE);
    }
    if (state->command == AUTH_TLS && piece->text.length >= 4 && memcmp(piece->text.data, "234 ", 4) == 0)
        reef_session_change(call, reef_protocol_by_name("tls"), left);
    return true;
}

/* --- protocol ------------------------------------------------------------------------------------------------- */

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    ftp_state *state = call->session->state;
    reef_view rest = chunk->bytes;
    reef_line line;
    while (reef_lines_next(&state->lines[direction], call->memory, &rest, REEF_FTP_LINE_MAX, &line)) {
        bool goes_on = direction == REEF_TO_SERVER ? request(call, state, &line) : response(call, state, &line, rest.length);
        if (!goes_on)
            return false;
        if (call->session->flags & REEF_SESSION_CHANGING)
            return true;
    }
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    ftp_state *state = session->state;
    reef_lines_free(&state->lines[0], memory);
    reef_lines_free(&state->lines[1], memory);
}

/* --- what rules and events see ----------------------------------------------------------------------------------- */

static reef_view argument_of(const ftp_transaction *transaction)
{
    uint32_t skip = transaction->command < COMMANDS ? (uint32_t)strlen(commands[transaction->command]) + 1 : 0;
    if (transaction->request.length <= skip)
        return (reef_view){0};
    return (reef_view){transaction->request.data + skip, transaction->request.length - skip};
}

/* "226 done": the code is the first part, the text the second. */
static bool has_code(reef_view text)
{
    return text.length >= 4 && text.data[0] >= '0' && text.data[0] <= '9' && text.data[1] >= '0' && text.data[1] <= '9' &&
           text.data[2] >= '0' && text.data[2] <= '9' && (text.data[3] == ' ' || text.data[3] == '-');
}

static reef_view text_of(reef_view line)
{
    return has_code(line) ? (reef_view){line.data + 4, line.length - 4} : line;
}

static bool nth(const ftp_transaction *transaction, unsigned index, bool code, reef_buffer *out)
{
    for (const reply *r = transaction->replies; r != NULL; r = r->next) {
        if (code && !has_code(r->text))
            continue;
        if (index-- > 0)
            continue;
        *out = (reef_buffer){.bytes = code ? (reef_view){r->text.data, 3} : text_of(r->text), .end = true};
        return true;
    }
    return false;
}

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    const ftp_transaction *transaction = (const ftp_transaction *)common;
    (void)session;
    (void)direction;
    switch (kind) {
    case REEF_BUFFER_FTP_COMMAND:
        if (transaction->command >= COMMANDS)
            return false;
        *out = (reef_buffer){.bytes = {(const uint8_t *)commands[transaction->command], (uint32_t)strlen(commands[transaction->command])},
                             .end = true};
        return true;
    case REEF_BUFFER_FTP_COMMAND_DATA:
        *out = (reef_buffer){.bytes = argument_of(transaction), .end = true};
        return out->bytes.length > 0;
    case REEF_BUFFER_FTP_REPLY: return nth(transaction, index, false, out);
    case REEF_BUFFER_FTP_COMPLETION_CODE: return nth(transaction, index, true, out);
    default: return false;
    }
}

static void write_replies(const ftp_transaction *transaction, reef_json *json)
{
    bool codes = false;
    for (const reply *r = transaction->replies; r != NULL; r = r->next)
        codes = codes || has_code(r->text);
    if (codes) {
        reef_json_open(json, "completion_code", '[');
        for (const reply *r = transaction->replies; r != NULL; r = r->next)
            if (has_code(r->text))
                reef_json_bytes(json, NULL, r->text.data, 3, 3);
        reef_json_close(json, ']');
    }
    if (transaction->replies == NULL)
        return;
    reef_json_open(json, "reply", '[');
    for (const reply *r = transaction->replies; r != NULL; r = r->next)
        reef_json_bytes(json, NULL, text_of(r->text).data, text_of(r->text).length, REEF_FTP_TEXT_MAX);
    reef_json_close(json, ']');
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const ftp_transaction *transaction = (const ftp_transaction *)common;
    unsigned command = transaction->command;
    (void)session;
    (void)which;
    if (command < COMMANDS)
        reef_json_text(json, "command", commands[command]);
    reef_view argument = argument_of(transaction);
    if (argument.length > 0) {
        reef_json_bytes(json, "command_data", argument.data, argument.length, REEF_FTP_TEXT_MAX);
        reef_json_bool(json, "command_truncated", transaction->request_cut);
    }
    write_replies(transaction, json);
    if (transaction->dynamic_port != 0)
        reef_json_number(json, "dynamic_port", transaction->dynamic_port);
    if (command == PORT || command == EPRT)
        reef_json_text(json, "mode", "active");
    else if (command == PASV || command == EPSV)
        reef_json_text(json, "mode", "passive");
    reef_json_text(json, "reply_received", transaction->done ? "yes" : "no");
    if (transaction->replies != NULL)
        reef_json_bool(json, "reply_truncated", transaction->reply_cut);
    return true;
}

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_FTP_COMMAND, REEF_TO_SERVER, 0},
    {REEF_BUFFER_FTP_COMMAND_DATA, REEF_TO_SERVER, 0},
    {REEF_BUFFER_FTP_REPLY, REEF_TO_CLIENT, 0},
    {REEF_BUFFER_FTP_COMPLETION_CODE, REEF_TO_CLIENT, 0},
};

extern const reef_protocol reef_protocol_ftp;
const reef_protocol reef_protocol_ftp = {
    .name = "ftp",
    .event_type = "ftp",
    .transport = REEF_PROTO_TCP,
    .complete = {PROGRESS_DONE, PROGRESS_DONE},
    .state_size = sizeof(ftp_state),
    .transaction_size = sizeof(ftp_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .events = event_names,
    .events_count = EVENTS_COUNT,
    .write = write,
};
