/* SIP (RFC 3261) in datagrams and streams. Each message is a transaction of its own: a request, or a response. What does not
 * begin as a message is an event; within, no server is stricter than this is. */
#include <string.h>
#include <strings.h>

#include "lines.h"
#include "reef/limits.h"
#include "reef/pdu.h"
#include "reef/protocol.h"

enum { INCOMPLETE_DATA, INVALID_DATA, EVENTS_COUNT };

static const char *const event_names[EVENTS_COUNT] = {"incomplete_data", "invalid_data"};

static const char *const methods[] = {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS",
                                      "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"};

typedef struct sip_transaction {
    reef_transaction common;
    uint8_t direction;
    bool response;
    reef_view line;      /* of the request or status, without its end */
    reef_view method, uri, version, code, reason;
    reef_view header;    /* fields, each with its end */
} sip_transaction;

typedef struct sip_side {
    uint8_t *header; /* lines of a message that is not whole: streams alone */
    uint32_t length, capacity;
    uint32_t body_left;
    reef_lines lines;
} sip_side;

typedef struct sip_state {
    sip_side side[2];
} sip_state;

/* --- message ---------------------------------------------------------------------------------------------- */

typedef struct sip_message {
    reef_view line, method, uri, version, code, reason;
    bool response;
} sip_message;

/* RFC 3261 25.1: of a token. */
static bool is_token(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("-.!%*_+`'~", c) != NULL);
}

/* The part of `text` up to a space, which moves on behind it; empty: there is none. */
static reef_view word(reef_view *text)
{
    const uint8_t *space = text->length > 0 ? memchr(text->data, ' ', text->length) : NULL;
    if (space == NULL)
        return (reef_view){0};
    reef_view out = {text->data, (uint32_t)(space - text->data)};
    *text = (reef_view){space + 1, text->length - out.length - 1};
    return out;
}

static bool is_version(reef_view text)
{
    return text.length >= 5 && memcmp(text.data, "SIP/", 4) == 0 && memchr(text.data, ' ', text.length) == NULL;
}

static bool read_line(reef_view line, sip_message *out)
{
    reef_view rest = line;
    *out = (sip_message){.line = line};
    reef_view first = word(&rest);
    if (first.length == 0)
        return false;
    if (is_version(first)) {
        out->response = true;
        out->version = first;
        out->code = word(&rest);
        out->reason = rest;
        bool digits = out->code.length == 3;
        for (unsigned i = 0; digits && i < 3; i++)
            digits = out->code.data[i] >= '0' && out->code.data[i] <= '9';
        return digits;
    }
    for (uint32_t i = 0; i < first.length; i++)
        if (!is_token(first.data[i]))
            return false;
    out->method = first;
    out->uri = word(&rest);
    out->version = rest;
    return out->uri.length > 0 && is_version(rest);
}

/* Behind the empty line that ends the header; 0: it is not there. */
static uint32_t header_end(reef_view message, uint32_t from)
{
    while (from < message.length) {
        const uint8_t *end = memchr(message.data + from, '\n', message.length - from);
        if (end == NULL)
            return 0;
        uint32_t at = (uint32_t)(end - message.data);
        if (at == from || (at == from + 1 && message.data[from] == '\r'))
            return at + 1;
        from = at + 1;
    }
    return 0;
}

/* A field's value of a header, folded lines included; `index` counts those of the name. */
static bool field(reef_view header, const char *name, const char *compact, unsigned index, reef_view *out)
{
    uint32_t at = 0;
    while (at < header.length) {
        uint32_t end = at;
        do { /* a line that begins with a space goes on with the one before */
            const uint8_t *lf = memchr(header.data + end, '\n', header.length - end);
            end = lf != NULL ? (uint32_t)(lf - header.data) + 1 : header.length;
        } while (end < header.length && (header.data[end] == ' ' || header.data[end] == '\t'));
        const uint8_t *colon = memchr(header.data + at, ':', end - at);
        if (colon != NULL) {
            uint32_t length = (uint32_t)(colon - header.data) - at, value = at + length + 1, stop = end;
            while (length > 0 && (header.data[at + length - 1] == ' ' || header.data[at + length - 1] == '\t'))
                length--;
            const char *text = (const char *)header.data + at;
            bool is = (length == strlen(name) && strncasecmp(text, name, length) == 0) ||
                      (compact != NULL && length == strlen(compact) && strncasecmp(text, compact, length) == 0);
            while (value < stop && (header.data[value] == ' ' || header.data[value] == '\t'))
                value++;
            while (stop > value && header.data[stop - 1] <= ' ')
                stop--;
            if (is && index-- == 0) {
                *out = (reef_view){header.data + value, stop - value};
                return true;
            }
        }
        at = end;
    }
    return false;
}

static uint32_t body_length(reef_view header)
{
    reef_view text;
    uint64_t length = 0;
    if (!field(header, "content-length", "l", 0, &text))
        return 0;
    for (uint32_t i = 0; i < text.length && i < 9 && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        length = length * 10 + text.data[i] - '0';
    return (uint32_t)length;
}

static reef_view moved(reef_view part, const uint8_t *from, const uint8_t *to)
{
    return part.data == NULL ? part : (reef_view){to + (part.data - from), part.length};
}

/* `text` is the line and the header. */
static bool take_message(reef_call *call, int direction, reef_view text, const sip_message *message, uint32_t line_end)
{
    sip_transaction *t = (sip_transaction *)reef_transaction_new(call);
    if (t == NULL)
        return false;
    const uint8_t *copy = reef_arena_copy(&t->common.arena, text.data, text.length);
    if (copy != NULL) {
        t->line = moved(message->line, text.data, copy);
        t->method = moved(message->method, text.data, copy);
        t->uri = moved(message->uri, text.data, copy);
        t->version = moved(message->version, text.data, copy);
        t->code = moved(message->code, text.data, copy);
        t->reason = moved(message->reason, text.data, copy);
        t->header = (reef_view){copy + line_end, text.length - line_end};
    }
    t->response = message->response;
    t->direction = (uint8_t)direction;
    reef_transaction_progress(&t->common, REEF_TO_SERVER, 1);
    reef_transaction_progress(&t->common, REEF_TO_CLIENT, 1);
    return true;
}

static void tell(reef_call *call, unsigned event)
{
    if (call->session->last != NULL)
        reef_transaction_event(call, call->session->last, event);
}

static reef_view first_line(reef_view text, uint32_t *end)
{
    const uint8_t *lf = text.length > 0 ? memchr(text.data, '\n', text.length) : NULL;
    *end = lf != NULL ? (uint32_t)(lf - text.data) + 1 : 0;
    if (lf == NULL)
        return (reef_view){0};
    uint32_t length = *end - 1;
    return (reef_view){text.data, length > 0 && text.data[length - 1] == '\r' ? length - 1 : length};
}

static void note_parts(reef_call *call, int direction, bool response, uint64_t offset, uint32_t line, uint32_t header, uint32_t all)
{
    reef_pdu_note(call, direction, response ? REEF_BUFFER_PDU_SIP_RESPONSE_LINE : REEF_BUFFER_PDU_SIP_REQUEST_LINE, offset, line);
    uint32_t fields = header - line;
    fields -= fields >= 2 ? 2 : fields; /* without the empty line */
    reef_pdu_note(call, direction, response ? REEF_BUFFER_PDU_SIP_RESPONSE_HEADERS : REEF_BUFFER_PDU_SIP_REQUEST_HEADERS, offset + line, fields);
    if (all > header)
        reef_pdu_note(call, direction, response ? REEF_BUFFER_PDU_SIP_RESPONSE_BODY : REEF_BUFFER_PDU_SIP_REQUEST_BODY, offset + header,
                      all - header);
}

static void take_datagram(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_view text = chunk->bytes;
    sip_message message;
    reef_pdu_note(call, direction, REEF_BUFFER_PDU_SIP_PDU, chunk->offset, text.length);
    uint32_t line_end;
    reef_view line = first_line(text, &line_end);
    if (line_end == 0) {
        tell(call, INCOMPLETE_DATA);
        return;
    }
    if (!read_line(line, &message)) {
        tell(call, INVALID_DATA);
        return;
    }
    uint32_t end = header_end(text, line_end);
    if (end == 0) {
        tell(call, INCOMPLETE_DATA);
        return;
    }
    note_parts(call, direction, message.response, chunk->offset, line_end, end, text.length);
    (void)take_message(call, direction, (reef_view){text.data, end}, &message, line_end);
}

/* --- streams -------------------------------------------------------------------------------------------------- */

static bool add_header(reef_memory *memory, sip_side *side, const reef_line *line)
{
    uint32_t wanted = side->length + line->text.length + 2;
    if (wanted > REEF_SIP_HEADER_MAX)
        return false;
    if (wanted > side->capacity) {
        uint32_t capacity = side->capacity != 0 ? side->capacity : 1024;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *fresh = reef_memory_resize(memory, side->header, side->capacity, capacity);
        if (fresh == NULL)
            return false;
        side->header = fresh;
        side->capacity = capacity;
    }
    if (line->text.length > 0)
        memcpy(side->header + side->length, line->text.data, line->text.length);
    memcpy(side->header + side->length + line->text.length, "\r\n", 2);
    side->length = wanted;
    return true;
}

/* A line of a stream. False: this is no SIP any more. */
static bool take_line(reef_call *call, int direction, sip_side *side, const reef_line *line)
{
    if (line->end == 0 || !add_header(call->memory, side, line)) {
        tell(call, INVALID_DATA);
        return false;
    }
    if (line->text.length > 0)
        return true;
    if (side->length == 2) { /* RFC 3261 7.5, RFC 5626 3.5.1: empty lines between messages */
        side->length = 0;
        return true;
    }
    sip_message message;
    uint32_t line_end;
    reef_view text = {side->header, side->length};
    if (!read_line(first_line(text, &line_end), &message)) {
        tell(call, INVALID_DATA);
        return false;
    }
    side->body_left = body_length((reef_view){text.data + line_end, text.length - line_end});
    side->length = 0;
    return take_message(call, direction, text, &message, line_end);
}

static bool take_stream(reef_call *call, int direction, sip_side *side, reef_view rest)
{
    reef_line line;
    while (rest.length > 0) {
        if (side->body_left > 0) {
            uint32_t skip = side->body_left < rest.length ? side->body_left : rest.length;
            side->body_left -= skip;
            rest = (reef_view){rest.data + skip, rest.length - skip};
            continue;
        }
        if (!reef_lines_next(&side->lines, call->memory, &rest, REEF_SIP_HEADER_MAX, &line))
            break;
        if (!take_line(call, direction, side, &line))
            return false;
    }
    return true;
}

/* --- protocol ---------------------------------------------------------------------------------------------------- */

static reef_guess probe(const reef_probe *probe)
{
    reef_view bytes = probe->bytes;
    bool more = bytes.length < 8 && memcmp(bytes.data, "SIP/2.0 ", bytes.length) == 0;
    bool known = bytes.length >= 8 && memcmp(bytes.data, "SIP/2.0 ", 8) == 0;
    for (unsigned i = 0; !known && !more && i < sizeof methods / sizeof methods[0]; i++) {
        size_t length = strlen(methods[i]), n = bytes.length < length ? bytes.length : length;
        if (memcmp(bytes.data, methods[i], n) != 0)
            continue;
        more = n < length || bytes.length == length;
        known = !more && bytes.data[length] == ' ';
    }
    if (!known)
        return more && !probe->end ? REEF_GUESS_MORE : REEF_GUESS_NO;
    uint32_t end;
    sip_message message;
    reef_view line = first_line(bytes, &end);
    if (end == 0)
        return bytes.length < REEF_SIP_PROBE_MAX && !probe->end ? REEF_GUESS_MORE : REEF_GUESS_NO;
    return read_line(line, &message) ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    sip_state *state = call->session->state;
    if (chunk->bytes.length == 0)
        return true;
    if (call->flow->key.protocol == REEF_PROTO_TCP)
        return take_stream(call, direction, &state->side[direction], chunk->bytes);
    take_datagram(call, direction, chunk);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    sip_state *state = session->state;
    for (int d = 0; d < 2; d++) {
        reef_memory_give(memory, state->side[d].header, state->side[d].capacity);
        reef_lines_free(&state->side[d].lines, memory);
    }
}

static bool whole(reef_view text, reef_buffer *out)
{
    *out = (reef_buffer){.bytes = text, .end = true};
    return text.data != NULL;
}

static bool header_buffer(const sip_transaction *t, const char *name, const char *compact, unsigned index, reef_buffer *out)
{
    reef_view text;
    return t->header.data != NULL && field(t->header, name, compact, index, &text) && whole(text, out);
}

static bool buffer(const reef_session *session, const reef_transaction *common, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    const sip_transaction *t = (const sip_transaction *)common;
    (void)session;
    if (direction != t->direction)
        return false;
    switch (kind) {
    case REEF_BUFFER_SIP_METHOD: return whole(t->method, out);
    case REEF_BUFFER_SIP_URI: return whole(t->uri, out);
    case REEF_BUFFER_SIP_PROTOCOL: return whole(t->version, out);
    case REEF_BUFFER_SIP_STAT_CODE: return whole(t->code, out);
    case REEF_BUFFER_SIP_STAT_MSG: return whole(t->reason, out);
    case REEF_BUFFER_SIP_REQUEST_LINE: return !t->response && whole(t->line, out);
    case REEF_BUFFER_SIP_RESPONSE_LINE: return t->response && whole(t->line, out);
    case REEF_BUFFER_SIP_FROM: return header_buffer(t, "from", "f", index, out);
    case REEF_BUFFER_SIP_TO: return header_buffer(t, "to", "t", index, out);
    case REEF_BUFFER_SIP_VIA: return header_buffer(t, "via", "v", index, out);
    case REEF_BUFFER_SIP_USER_AGENT: return header_buffer(t, "user-agent", NULL, index, out);
    case REEF_BUFFER_SIP_CONTENT_TYPE: return header_buffer(t, "content-type", "c", index, out);
    case REEF_BUFFER_SIP_CONTENT_LENGTH: return header_buffer(t, "content-length", "l", index, out);
    default: return false;
    }
}

static void write_text(reef_json *json, const char *key, reef_view text)
{
    if (text.data != NULL)
        reef_json_bytes(json, key, text.data, text.length, REEF_SIP_TEXT_MAX);
}

static bool write(const reef_session *session, const reef_transaction *common, reef_log which, reef_json *json)
{
    const sip_transaction *t = (const sip_transaction *)common;
    (void)session;
    (void)which;
    write_text(json, "method", t->method);
    write_text(json, "uri", t->uri);
    write_text(json, "version", t->version);
    write_text(json, "code", t->code);
    write_text(json, "reason", t->reason);
    write_text(json, t->response ? "response_line" : "request_line", t->line);
    return true;
}

#define BOTH_WAYS(kind) {kind, REEF_TO_SERVER, 1}, {kind, REEF_TO_CLIENT, 1}

/* A gateway's request may come either way, and so may the answer. */
static const reef_protocol_buffer buffers[] = {
    BOTH_WAYS(REEF_BUFFER_SIP_METHOD),       BOTH_WAYS(REEF_BUFFER_SIP_URI),
    BOTH_WAYS(REEF_BUFFER_SIP_PROTOCOL),     BOTH_WAYS(REEF_BUFFER_SIP_STAT_CODE),
    BOTH_WAYS(REEF_BUFFER_SIP_STAT_MSG),     BOTH_WAYS(REEF_BUFFER_SIP_REQUEST_LINE),
    BOTH_WAYS(REEF_BUFFER_SIP_RESPONSE_LINE), BOTH_WAYS(REEF_BUFFER_SIP_FROM),
    BOTH_WAYS(REEF_BUFFER_SIP_TO),           BOTH_WAYS(REEF_BUFFER_SIP_VIA),
    BOTH_WAYS(REEF_BUFFER_SIP_USER_AGENT),   BOTH_WAYS(REEF_BUFFER_SIP_CONTENT_TYPE),
    BOTH_WAYS(REEF_BUFFER_SIP_CONTENT_LENGTH),
};

extern const reef_protocol reef_protocol_sip;
const reef_protocol reef_protocol_sip = {
    .name = "sip",
    .event_type = "sip",
    .complete = {1, 1},
    .state_size = sizeof(sip_state),
    .transaction_size = sizeof(sip_transaction),
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
