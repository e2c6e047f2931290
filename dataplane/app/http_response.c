/* HTTP: the states of a server's bytes. */
#include "http_internal.h"


static http_message *message_of(const http_reader *reader)
{
    return &reader->side->tx->message[REEF_TO_CLIENT];
}

static const char not_seen[] = "/libhtp::request_uri_not_seen"; /* what rules know a request by that was not seen */

/* A response whose request was not seen. */
static http_tx *begin_alone(http_reader *reader)
{
    http_connection *connection = reader->connection;
    http_side *client = &connection->side[REEF_TO_SERVER];
    if (client->state == http_request_finalize && client->tx != NULL)
        http_request_complete(connection, reader->call, client->tx);
    http_tx *tx = http_tx_new(reader);
    if (tx == NULL)
        return NULL;
    http_tell(reader->call, tx, HTTP_EVENT_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST);
    tx->uri_raw = tx->parsed.path = (reef_view){(const uint8_t *)not_seen, sizeof not_seen - 1};
    client->tx = tx;
    client->state = http_request_finalize;
    return tx;
}

http_step http_response_idle(http_reader *reader)
{
    http_connection *connection = reader->connection;
    if (reader->read >= reader->length)
        return STEP_DATA;
    http_tx *tx = connection->waiting;
    if (tx == NULL)
        tx = begin_alone(reader);
    if (tx == NULL)
        return STEP_ERROR;
    connection->waiting = (http_tx *)tx->base.next;
    http_note_pdu(reader, REEF_BUFFER_PDU_HTTP_RESPONSE);
    reader->side->tx = tx;
    reader->side->left = -1;
    if (tx->short_form) {
        message_of(reader)->coding = HTTP_CODING_IDENTITY;
        reef_transaction_progress(&tx->base, REEF_TO_CLIENT, HTTP_BODY);
        reader->side->state = http_response_until_close;
    } else {
        reef_transaction_progress(&tx->base, REEF_TO_CLIENT, HTTP_LINE);
        reader->side->state = http_response_line;
    }
    http_side *client = &connection->side[REEF_TO_SERVER];
    if (client->tx == tx && tx->method_number == HTTP_METHOD_UNKNOWN && tx->uri_raw.data == NULL &&
        client->state == http_request_line) {
        http_tell(reader->call, tx, HTTP_EVENT_REQUEST_LINE_INCOMPLETE);
        http_reader half = {.call = reader->call, .connection = connection, .side = client, .direction = REEF_TO_SERVER};
        if (http_request_line_over(&half) == STEP_ERROR)
            return STEP_ERROR;
    }
    return STEP_ON;
}

/* --- status line --------------------------------------------------------------------------------------- */

enum { LINE_NONE, LINE_WHOLE, LINE_HOLD };

/* Reads to the end of a line: LF, or a CR with something else behind it. */
static int read_status_line(http_reader *reader)
{
    while (reader->read < reader->length) {
        const uint8_t *from = reader->data + reader->read, *end = from;
        const uint8_t *stop = reader->data + reader->length;
        while (end < stop && *end != '\n' && *end != '\r')
            end++;
        if (end == stop) {
            reader->read = reader->length;
            return LINE_HOLD;
        }
        reader->read = (uint32_t)(end + 1 - reader->data);
        if (*end == '\n')
            return LINE_WHOLE;
        int next = http_peek(reader);
        if (next == -1)
            return LINE_HOLD;
        if (next != '\n')
            return LINE_WHOLE;
    }
    return LINE_HOLD;
}

/* What is no status line is body, as browsers have it, unless a status line follows. */
static http_step line_is_body(http_reader *reader, reef_view line, uint32_t whole)
{
    http_message *response = message_of(reader);
    uint32_t rest = reader->length - reader->read;
    if (rest > 1 && (reader->data[reader->read] == 'H' || line.length <= 2)) {
        http_used(reader);
        return STEP_ON;
    }
    response->layers = 0;
    line.length = whole;
    bool useful = http_body_bytes(reader->call, reader->side->tx, REEF_TO_CLIENT, line);
    http_used(reader);
    if (!useful)
        return STEP_ERROR;
    if (reader->read >= reader->length) {
        response->coding = HTTP_CODING_IDENTITY;
        reef_transaction_progress(&reader->side->tx->base, REEF_TO_CLIENT, HTTP_BODY);
        reader->side->left = -1;
        reader->side->state = http_response_finalize;
    }
    return STEP_ON;
}

http_step http_response_line(http_reader *reader)
{
    http_side *side = reader->side;
    http_message *response = message_of(reader);
    reef_view line;
    if (side->status != HTTP_CLOSED && read_status_line(reader) != LINE_WHOLE)
        return STEP_HOLD;
    if (!http_gather(reader, &line))
        return STEP_ERROR;
    if (line.length == 0 || http_line_ends_headers(line.data, line.length, false)) {
        if (side->status == HTTP_CLOSED)
            side->state = http_response_finalize;
        http_used(reader);
        return STEP_ON;
    }
    uint32_t whole = line.length;
    line.length = http_chomp(line.data, line.length);
    if (http_line_is_body(line.data, line.length))
        return line_is_body(reader, line, whole);
    const uint8_t *copy = reef_arena_copy(&side->tx->base.arena, line.data, whole);
    if (copy == NULL || (side->tx->continues > 0 && !http_raw_add(reader, (reef_view){copy, whole})))
        return STEP_ERROR;
    response->line = (reef_view){copy, line.length};
    http_used(reader);
    http_split_response_line(reader->call, side->tx);
    response->lines_at = response->raw.length;
    response->headers.plain = response->raw.length == 0;
    side->state = http_response_headers;
    reef_transaction_progress(&side->tx->base, REEF_TO_CLIENT, HTTP_HEADERS);
    return STEP_ON;
}

/* --- headers ------------------------------------------------------------------------------------------- */

/* The end of a header line as browsers see it: LF, CR LF, LF CR, or CR alone. `*lf_cr`: the line before ended with LF CR,
 * `*cr`: this one ends with a CR. LINE_HOLD: what comes must be seen first. */
static int read_header_line(http_reader *reader, bool *lf_cr, bool *cr)
{
    http_message *response = message_of(reader);
    while (reader->read < reader->length) {
        const uint8_t *at = reader->data + reader->read, *stop = reader->data + reader->length;
        const uint8_t *end = memchr(at, '\n', (size_t)(stop - at));
        const uint8_t *bare = memchr(at, '\r', (size_t)((end != NULL ? end : stop) - at));
        if (bare != NULL)
            end = bare;
        if (end == NULL) {
            reader->read = reader->length;
            return LINE_HOLD;
        }
        if (end > at)
            *lf_cr = false;
        reader->read = (uint32_t)(end + 1 - reader->data);
        if (*end == '\n') {
            *lf_cr = http_peek(reader) == '\r';
            reader->read += *lf_cr;
            *cr = false;
            return LINE_WHOLE;
        }
        int next = http_peek(reader);
        if (next == -1)
            return LINE_HOLD;
        if (next == '\r')
            continue;
        if (next == '\n') {
            reader->read++;
            if (*lf_cr && http_peek(reader) == '\r') { /* LF CR CR LF CR LF are two ends */
                reader->read++;
                response->lines_at++;
                if (http_peek(reader) == '\n') {
                    reader->read++;
                    response->lines_at++;
                }
            }
        }
        *lf_cr = false;
        *cr = true;
        return LINE_WHOLE;
    }
    return LINE_HOLD;
}

static http_step headers_over(http_reader *reader)
{
    if (reader->side->tx->base.progress[REEF_TO_CLIENT] == HTTP_HEADERS) {
        reader->side->state = http_response_body;
        return STEP_ON;
    }
    message_of(reader)->trailer = true;
    message_of(reader)->headers.plain = false;
    reader->side->state = http_response_finalize;
    return STEP_ON;
}

static bool line_too_long(http_reader *reader)
{
    const http_message *response = message_of(reader);
    if (response->raw.length - response->lines_at + (uint64_t)response->pending.length <= REEF_HTTP_LINE_MAX)
        return false;
    http_tell(reader->call, reader->side->tx, HTTP_EVENT_RESPONSE_FIELD_TOO_LONG);
    return true;
}

http_step http_response_headers(http_reader *reader)
{
    http_message *response = message_of(reader);
    if (reader->side->status == HTTP_CLOSED) {
        reader->side->state = http_response_finalize;
        return STEP_ON;
    }
    if (!http_raw_begin(reader))
        return STEP_ERROR;
    bool lf_cr = false, cr = false;
    while (read_header_line(reader, &lf_cr, &cr) == LINE_WHOLE) {
        if (!http_raw_reach(reader, reader->read))
            return STEP_ERROR;
        uint32_t at = http_raw_at(reader);
        reef_view line = {response->raw.data + response->lines_at, at - response->lines_at};
        if (cr && line.length < 2) /* CR CR LF is no empty line */
            continue;
        response->lines_at = at;
        int next = http_peek(reader);
        if (http_line_ends_headers(line.data, line.length, next != -1 && next != '\n')) {
            http_raw_end(reader);
            if (line.length != 2 || line.data[0] != '\r' || line.data[1] != '\n')
                response->headers.plain = false;
            return http_field_take(reader, REEF_TO_CLIENT) ? headers_over(reader) : STEP_ERROR;
        }
        if (!http_field_line(reader, REEF_TO_CLIENT, line))
            return STEP_ERROR;
    }
    if (!http_raw_reach(reader, reader->read))
        return STEP_ERROR;
    http_raw_end(reader);
    return line_too_long(reader) ? STEP_ERROR : STEP_DATA;
}

/* --- the end ------------------------------------------------------------------------------------------------- */

static void change_after_connect(http_reader *reader, http_tx *tx)
{
    if (tx->method_number != HTTP_METHOD_CONNECT || tx->status_number < 200 || tx->status_number > 299 ||
        reader->connection->responses != 1)
        return;
    reef_transaction_progress(&tx->base, REEF_TO_SERVER, HTTP_COMPLETE);
    http_change(reader, tx, NULL);
}

http_step http_response_complete(http_reader *reader)
{
    http_side *side = reader->side, *client = &reader->connection->side[REEF_TO_SERVER];
    http_tx *tx = side->tx;
    http_message *response = message_of(reader);
    if (tx->base.progress[REEF_TO_CLIENT] != HTTP_COMPLETE) {
        if (response->coding != HTTP_CODING_NONE)
            http_body_end(reader->call, tx, REEF_TO_CLIENT);
        reader->connection->responses++;
        reef_transaction_progress(&tx->base, REEF_TO_CLIENT, HTTP_COMPLETE);
        http_file_end(reader->call, tx, REEF_TO_CLIENT, REEF_TX_FILE_CLOSED);
        change_after_connect(reader, tx);
    }
    /* A client that waits for this response reads on before the next one. */
    bool others_turn = (client->status == HTTP_WAITS && client->tx == tx) || side->stop_at_end;
    side->stop_at_end = false;
    side->tx = NULL;
    side->state = http_response_idle;
    return others_turn ? STEP_OTHER : STEP_ON;
}

/* A response is over when another one begins; what does not look like one is still its body. */
http_step http_response_finalize(http_reader *reader)
{
    http_side *side = reader->side;
    reef_view rest;
    if (side->status != HTTP_CLOSED) {
        int next = http_peek(reader);
        if (next == -1)
            return http_response_complete(reader);
        if ((next != '\n' || reader->taken >= reader->read) && !http_read_line(reader))
            return STEP_HOLD;
    }
    uint32_t fresh = reader->read - reader->taken;
    if (!http_gather(reader, &rest))
        return STEP_ERROR;
    if (rest.length == 0)
        return http_response_complete(reader);
    if (http_line_is_body(rest.data, rest.length)) {
        bool useful = http_body_bytes(reader->call, side->tx, REEF_TO_CLIENT, rest);
        http_used(reader);
        return useful ? STEP_ON : STEP_ERROR;
    }
    http_ungather(reader, fresh);
    return http_response_complete(reader);
}
