/* HTTP: the states of a client's bytes. */
#include "http_internal.h"

static http_step request_protocol(http_reader *reader);
static http_step request_headers(http_reader *reader);
static http_step chunk_length(http_reader *reader);
static http_step chunk_data(http_reader *reader);
static http_step chunk_end(http_reader *reader);
static http_step connect_wait(http_reader *reader);
static http_step connect_probe(http_reader *reader);

enum { SHORT_FORM_JUNK_MAX = 16 }; /* bytes behind a line without a protocol, of which white space is no header */

static http_message *message_of(const http_reader *reader)
{
    return &reader->side->tx->message[REEF_TO_SERVER];
}

http_step http_request_idle(http_reader *reader)
{
    if (reader->read >= reader->length)
        return STEP_DATA;
    http_tx *tx = http_tx_new(reader);
    if (tx == NULL)
        return STEP_ERROR;
    reader->side->tx = tx;
    http_note_pdu(reader, REEF_BUFFER_PDU_HTTP_REQUEST);
    reader->side->state = http_request_line;
    reef_transaction_progress(&tx->base, REEF_TO_SERVER, HTTP_LINE);
    return STEP_ON;
}

http_step http_request_line(http_reader *reader)
{
    if (reader->read >= reader->length)
        return reader->side->status == HTTP_CLOSED ? http_request_line_over(reader) : STEP_HOLD;
    if (!http_read_line(reader))
        return reader->side->status == HTTP_CLOSED ? http_request_line_over(reader) : STEP_HOLD;
    return http_request_line_over(reader);
}

static void tell_of_uri(http_reader *reader, http_tx *tx)
{
    if (tx->parsed.host_invalid)
        http_tell(reader->call, tx, HTTP_EVENT_REQUEST_URI_HOST_INVALID);
}

http_step http_request_line_over(http_reader *reader)
{
    http_tx *tx = reader->side->tx;
    http_message *request = message_of(reader);
    reef_view line;
    if (!http_gather(reader, &line))
        return STEP_ERROR;
    if (line.length == 0) {
        http_used(reader);
        return STEP_DATA;
    }
    if (http_line_ends_headers(line.data, line.length, false)) { /* an empty line before a request */
        http_used(reader);
        return STEP_ON;
    }
    line.length = http_chomp(line.data, line.length);
    const uint8_t *copy = reef_arena_copy(&tx->base.arena, line.data, line.length);
    if (copy == NULL)
        return STEP_ERROR;
    request->line = (reef_view){copy, line.length};
    http_used(reader);
    http_split_request_line(reader->call, tx);
    if (!http_uri_parse(tx))
        return STEP_ERROR;
    tell_of_uri(reader, tx);
    reader->side->state = request_protocol;
    return STEP_ON;
}

static http_step to_headers(http_reader *reader)
{
    reader->side->tx->short_form = false;
    message_of(reader)->headers.plain = true;
    reader->side->state = request_headers;
    reef_transaction_progress(&reader->side->tx->base, REEF_TO_SERVER, HTTP_HEADERS);
    return STEP_ON;
}

/* Without a protocol it may be HTTP/0.9, or the protocol is missing: what follows tells. */
static http_step request_protocol(http_reader *reader)
{
    if (!reader->side->tx->short_form || reader->length > reader->read + SHORT_FORM_JUNK_MAX)
        return to_headers(reader);
    for (uint32_t i = reader->read; i < reader->length; i++)
        if (!http_is_space(reader->data[i]))
            return to_headers(reader);
    reader->side->state = http_request_finalize;
    return STEP_ON;
}

/* --- headers ------------------------------------------------------------------------------------------- */

static bool lower_host(http_tx *tx)
{
    bool lower = true;
    for (uint32_t i = 0; i < tx->host.length; i++)
        lower = lower && http_lower(tx->host.data[i]) == tx->host.data[i];
    if (lower)
        return true;
    uint8_t *out = reef_arena_get(&tx->base.arena, tx->host.length);
    if (out == NULL)
        return false;
    for (uint32_t i = 0; i < tx->host.length; i++)
        out[i] = http_lower(tx->host.data[i]);
    tx->host.data = out;
    return true;
}

static bool parse_host(http_reader *reader, http_tx *tx)
{
    const http_header *header = http_header_get(message_of(reader), HTTP_FIELD_HOST);
    tx->host = tx->parsed.host;
    tx->port = tx->parsed.port_number;
    if (header == NULL) {
        if (message_of(reader)->protocol_number >= HTTP_PROTOCOL_1_1)
            http_tell(reader->call, tx, HTTP_EVENT_MISSING_HOST_HEADER);
        return true;
    }
    reef_view host, port;
    int32_t number;
    bool invalid;
    http_hostport(header->value, &host, &port, &number, &invalid);
    if (invalid || (host.data != NULL && !http_host_valid(host)))
        http_tell(reader->call, tx, HTTP_EVENT_REQUEST_HEADER_HOST_INVALID);
    if (host.data == NULL) {
        if (tx->host.data != NULL)
            http_tell(reader->call, tx, HTTP_EVENT_HOST_HEADER_AMBIGUOUS);
        return true;
    }
    if (tx->host.data == NULL) {
        tx->host = host;
        tx->port = number;
        return port.data != NULL || host.data[0] == '[' || lower_host(tx);
    }
    bool other = host.length != tx->host.length || !http_equal_nocase(host.data, tx->host.data, host.length);
    if (other || (tx->port != -1 && number != -1 && tx->port != number))
        http_tell(reader->call, tx, HTTP_EVENT_HOST_HEADER_AMBIGUOUS);
    return true;
}

/* Is one of the codings "chunked"? */
static bool is_chunked(reef_view value)
{
    for (uint32_t at = 0; at < value.length;) {
        const uint8_t *comma = memchr(value.data + at, ',', value.length - at);
        uint32_t next = comma == NULL ? value.length : (uint32_t)(comma - value.data), end = next;
        while (at < end && http_is_blank(value.data[at]))
            at++;
        while (end > at && http_is_blank(value.data[end - 1]))
            end--;
        if (end - at == 7 && http_equal_nocase(value.data + at, (const uint8_t *)"chunked", 7))
            return true;
        at = next + 1;
    }
    return false;
}

static void determine_coding(http_reader *reader, http_tx *tx)
{
    http_message *request = message_of(reader);
    const http_header *transfer = http_header_get(request, HTTP_FIELD_TRANSFER_ENCODING);
    const http_header *length = http_header_get(request, HTTP_FIELD_CONTENT_LENGTH);
    if (transfer != NULL) {
        bool old = request->protocol_number < HTTP_PROTOCOL_1_1;
        request->coding = is_chunked(transfer->value) ? HTTP_CODING_CHUNKED : HTTP_CODING_INVALID;
        if (old || request->coding == HTTP_CODING_INVALID)
            http_tell(reader->call, tx, HTTP_EVENT_INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST);
        return;
    }
    if (length == NULL) {
        request->coding = HTTP_CODING_NONE;
        return;
    }
    request->content_length = http_content_length(length->value);
    request->coding = request->content_length < 0 ? HTTP_CODING_INVALID : HTTP_CODING_IDENTITY;
    if (request->content_length < 0)
        http_tell(reader->call, tx, HTTP_EVENT_INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST);
}

static void check_authorization(http_reader *reader, http_tx *tx)
{
    static const char *const schemes[] = {"basic", "digest", "bearer"};
    const http_header *header = http_header_get(message_of(reader), HTTP_FIELD_AUTHORIZATION);
    if (header == NULL)
        return;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        uint32_t length = (uint32_t)strlen(schemes[i]);
        if (header->value.length >= length && http_equal_nocase(header->value.data, (const uint8_t *)schemes[i], length))
            return;
    }
    http_tell(reader->call, tx, HTTP_EVENT_REQUEST_AUTH_UNRECOGNIZED);
}

static http_step determine_body(http_reader *reader)
{
    http_side *side = reader->side;
    http_message *request = message_of(reader);
    request->broken = request->coding == HTTP_CODING_INVALID;
    reef_transaction_progress(&side->tx->base, REEF_TO_SERVER, HTTP_BODY);
    if (request->coding == HTTP_CODING_CHUNKED) {
        side->state = chunk_length;
    } else if (request->coding == HTTP_CODING_IDENTITY && request->content_length > 0) {
        side->left = request->content_length;
        side->state = http_request_identity;
    } else if (request->coding == HTTP_CODING_INVALID) {
        return STEP_ERROR;
    } else {
        side->state = http_request_finalize;
    }
    return STEP_ON;
}

static http_step headers_over(http_reader *reader)
{
    http_tx *tx = reader->side->tx;
    if (tx->base.progress[REEF_TO_SERVER] > HTTP_HEADERS) {
        message_of(reader)->trailer = true;
        message_of(reader)->headers.plain = false;
        reader->side->state = http_request_finalize;
        return STEP_ON;
    }
    determine_coding(reader, tx);
    if (!parse_host(reader, tx) || !http_body_coding(reader->call, tx, REEF_TO_SERVER))
        return STEP_ERROR;
    check_authorization(reader, tx);
    if (tx->method_number != HTTP_METHOD_CONNECT)
        return determine_body(reader);
    /* Whether a tunnel comes next only the response tells. */
    reef_transaction_progress(&tx->base, REEF_TO_SERVER, HTTP_BODY);
    reader->side->state = connect_wait;
    reader->side->status = HTTP_WAITS;
    return STEP_OTHER;
}

static http_step request_headers(http_reader *reader)
{
    http_message *request = message_of(reader);
    if (reader->side->status == HTTP_CLOSED && reader->read >= reader->length) {
        bool kept = http_field_take(reader, REEF_TO_SERVER);
        reef_transaction_progress(&reader->side->tx->base, REEF_TO_SERVER, HTTP_TRAILER);
        return kept ? headers_over(reader) : STEP_ERROR;
    }
    if (!http_raw_begin(reader))
        return STEP_ERROR;
    while (http_read_line(reader)) {
        if (!http_raw_reach(reader, reader->read))
            return STEP_ERROR;
        uint32_t at = http_raw_at(reader);
        reef_view line = {request->raw.data + request->lines_at, at - request->lines_at};
        request->lines_at = at;
        if (http_line_ends_headers(line.data, line.length, false)) {
            http_raw_end(reader);
            if (line.length != 2)
                request->headers.plain = false;
            return http_field_take(reader, REEF_TO_SERVER) ? headers_over(reader) : STEP_ERROR;
        }
        if (!http_field_line(reader, REEF_TO_SERVER, line))
            return STEP_ERROR;
    }
    if (!http_raw_reach(reader, reader->read))
        return STEP_ERROR;
    http_raw_end(reader);
    if (request->raw.length - request->lines_at + (uint64_t)request->pending.length > REEF_HTTP_LINE_MAX) {
        http_tell(reader->call, reader->side->tx, HTTP_EVENT_REQUEST_FIELD_TOO_LONG);
        return STEP_ERROR;
    }
    return STEP_DATA;
}

/* --- bodies -------------------------------------------------------------------------------------------- */

/* Takes up to `left` bytes of body; true when it is all there. */
static bool take_body(http_reader *reader, bool *useful)
{
    uint32_t have = reader->length - reader->read;
    if (have > (uint64_t)reader->side->left)
        have = (uint32_t)reader->side->left;
    *useful = true;
    if (have == 0)
        return false;
    reef_view bytes = {reader->data != NULL ? reader->data + reader->read : NULL, have};
    *useful = http_body_bytes(reader->call, reader->side->tx, REEF_TO_SERVER, bytes);
    reader->read += have;
    reader->taken = reader->read;
    reader->side->left -= have;
    return reader->side->left == 0;
}

http_step http_request_identity(http_reader *reader)
{
    bool useful;
    bool all = take_body(reader, &useful);
    if (!useful)
        return STEP_ERROR;
    if (!all)
        return STEP_DATA;
    reader->side->state = http_request_finalize;
    return STEP_ON;
}

static http_step chunk_data(http_reader *reader)
{
    bool useful;
    bool all = take_body(reader, &useful);
    if (!useful)
        return STEP_ERROR;
    if (!all)
        return STEP_DATA;
    reader->side->state = chunk_end;
    return STEP_ON;
}

static http_step chunk_end(http_reader *reader)
{
    bool line = http_read_line(reader);
    message_of(reader)->message_length += reader->read - reader->taken;
    reader->taken = reader->read;
    if (!line)
        return STEP_DATA;
    reader->side->state = chunk_length;
    return STEP_ON;
}

static http_step chunk_length(http_reader *reader)
{
    reef_view line;
    bool extension;
    int64_t length;
    if (!http_read_chunk_line(reader))
        return STEP_HOLD;
    if (!http_gather(reader, &line))
        return STEP_ERROR;
    length = http_chunk_length(line.data, line.length, &extension);
    http_used(reader);
    http_tx *tx = reader->side->tx;
    tx->message[REEF_TO_SERVER].message_length += line.length;
    if (extension)
        http_tell(reader->call, tx, HTTP_EVENT_REQUEST_CHUNK_EXTENSION);
    if (length < 0) {
        http_tell(reader->call, tx, HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN);
        return STEP_ERROR;
    }
    reader->side->left = length;
    if (length > 0) {
        reader->side->state = chunk_data;
        return STEP_ON;
    }
    message_of(reader)->lines_at = message_of(reader)->raw.length;
    reader->side->state = request_headers;
    reef_transaction_progress(&tx->base, REEF_TO_SERVER, HTTP_TRAILER);
    return STEP_ON;
}

/* --- the end --------------------------------------------------------------------------------------------- */

static bool begins_with_method(reef_view line, bool *word)
{
    uint32_t begin = 0;
    while (begin < line.length && http_is_space(line.data[begin]))
        begin++;
    uint32_t end = begin;
    while (end < line.length && !http_is_space(line.data[end]))
        end++;
    *word = end > begin;
    return http_method_number((reef_view){line.data + begin, end - begin}) != HTTP_METHOD_UNKNOWN;
}

http_step http_request_complete(http_connection *connection, reef_call *call, http_tx *tx)
{
    http_side *side = &connection->side[REEF_TO_SERVER];
    if (tx == NULL) { /* made for a response that nobody asked for, and gone with it */
        side->state = http_request_idle;
        return STEP_ON;
    }
    http_message *request = &tx->message[REEF_TO_SERVER];
    if (tx->base.progress[REEF_TO_SERVER] != HTTP_COMPLETE) {
        if (request->coding == HTTP_CODING_IDENTITY || request->coding == HTTP_CODING_CHUNKED)
            http_body_end(call, tx, REEF_TO_SERVER);
        reef_transaction_progress(&tx->base, REEF_TO_SERVER, HTTP_COMPLETE);
        http_file_end(call, tx, REEF_TO_SERVER, REEF_TX_FILE_CLOSED);
    }
    side->state = tx->short_form ? http_request_ignore : http_request_idle;
    side->tx = NULL;
    return STEP_ON;
}

/* A request is over when another one begins; what does not look like one is still its body. */
http_step http_request_finalize(http_reader *reader)
{
    http_side *side = reader->side;
    reef_view rest;
    bool word;
    if (side->status != HTTP_CLOSED) {
        int next = http_peek(reader);
        if (next == -1)
            return http_request_complete(reader->connection, reader->call, side->tx);
        if (!http_read_line(reader))
            return STEP_HOLD;
    }
    uint32_t fresh = reader->read - reader->taken;
    if (!http_gather(reader, &rest))
        return STEP_ERROR;
    if (rest.length == 0)
        return http_request_complete(reader->connection, reader->call, side->tx);
    if (begins_with_method(rest, &word)) {
        http_ungather(reader, fresh);
        return http_request_complete(reader->connection, reader->call, side->tx);
    }
    if (word && side->status != HTTP_CLOSED && !(message_of(reader)->said & HTTP_SAID_BODY))
        http_tell(reader->call, side->tx, HTTP_EVENT_REQUEST_BODY_UNEXPECTED);
    if (word)
        message_of(reader)->said |= HTTP_SAID_BODY;
    bool useful = http_body_bytes(reader->call, side->tx, REEF_TO_SERVER, rest);
    http_used(reader);
    return useful ? STEP_ON : STEP_ERROR;
}

http_step http_request_ignore(http_reader *reader)
{
    reader->read = reader->taken = reader->length;
    return STEP_DATA;
}

/* --- CONNECT ----------------------------------------------------------------------------------------------- */

static http_step connect_wait(http_reader *reader)
{
    const http_tx *tx = reader->side->tx;
    if (tx->base.progress[REEF_TO_CLIENT] <= HTTP_LINE)
        return STEP_OTHER;
    bool tunnel = tx->status_number >= 200 && tx->status_number <= 299;
    reader->side->state = tunnel ? connect_probe : http_request_finalize;
    return STEP_ON;
}

/* A tunnel may carry plain HTTP. */
static http_step connect_probe(http_reader *reader)
{
    uint32_t at = reader->read;
    while (at < reader->length && reader->data[at] != '\n' && reader->data[at] != 0)
        at++;
    bool whole = at < reader->length;
    reader->read = at;
    if (!whole)
        return STEP_HOLD;
    reef_view line;
    bool word;
    uint32_t fresh = reader->read - reader->taken;
    if (!http_gather(reader, &line))
        return STEP_ERROR;
    if (begins_with_method(line, &word)) {
        http_ungather(reader, fresh);
        reader->side->state = http_request_finalize;
        return STEP_ON;
    }
    reader->side->status = HTTP_TUNNEL;
    reader->connection->side[REEF_TO_CLIENT].status = HTTP_TUNNEL;
    return STEP_ON;
}
