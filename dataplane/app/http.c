/* HTTP/1 (RFC 9112) and 0.9 as a protocol of sessions: how it is told, and how bytes go through the states. */
#include "http_internal.h"

static const char *const event_names[HTTP_EVENTS] = {
    "unknown_error", "gzip_decompression_failed", "request_field_missing_colon", "response_field_missing_colon",
    "invalid_request_chunk_len", "invalid_response_chunk_len", "invalid_transfer_encoding_value_in_request",
    "invalid_transfer_encoding_value_in_response", "invalid_content_length_field_in_request",
    "invalid_content_length_field_in_response", "duplicate_content_length_field_in_request",
    "duplicate_content_length_field_in_response", "100_continue_already_seen", "unable_to_match_response_to_request",
    "invalid_server_port_in_request", "invalid_authority_port", "request_header_invalid", "response_header_invalid",
    "missing_host_header", "host_header_ambiguous", "invalid_request_field_folding", "invalid_response_field_folding",
    "request_field_too_long", "response_field_too_long", "file_name_too_long", "request_line_invalid",
    "request_body_unexpected", "request_server_port_tcp_port_mismatch", "request_uri_host_invalid",
    "request_header_host_invalid", "request_auth_unrecognized", "request_header_repetition", "response_header_repetition",
    "double_encoded_uri", "uri_delim_non_compliant", "method_delim_non_compliant", "request_line_leading_whitespace",
    "too_many_encoding_layers", "abnormal_ce_header", "response_multipart_byteranges", "response_abnormal_transfer_encoding",
    "response_chunked_old_proto", "response_invalid_protocol", "response_invalid_status", "request_line_incomplete",
    "lzma_memlimit_reached", "compression_bomb", "range_invalid", "request_chunk_extension", "multipart_generic_error",
    "multipart_no_filedata", "multipart_invalid_header", "too_many_warnings", "failed_protocol_change",
};

void http_tell(reef_call *call, http_tx *tx, http_event event)
{
    reef_transaction_event(call, tx != NULL ? &tx->base : NULL, event);
}

void http_change(http_reader *reader, http_tx *tx, const reef_protocol *protocol)
{
    if (!reef_session_change(reader->call, protocol, reader->length - reader->read))
        http_tell(reader->call, tx, HTTP_EVENT_FAILED_PROTOCOL_CHANGE);
}

http_tx *http_tx_new(http_reader *reader)
{
    if (reader->call->session->open > REEF_HTTP_TRANSACTIONS_MAX)
        return NULL;
    http_tx *tx = (http_tx *)reef_transaction_new(reader->call);
    if (tx == NULL)
        return NULL;
    tx->parsed.port_number = -1;
    for (int d = 0; d < 2; d++) {
        tx->message[d].content_length = -1;
        tx->message[d].protocol_number = HTTP_PROTOCOL_UNKNOWN;
    }
    if (reader->connection->waiting == NULL)
        reader->connection->waiting = tx;
    return tx;
}

/* --- probe --------------------------------------------------------------------------------------------- */

/* By which a client is told; a space or tab follows. */
static const char *const methods[] = {
    "GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE",
    "LOCK", "UNLOCK", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY", "MERGE",
    "INVALID", "VERSION-CONTROL", "BASELINE-CONTROL",
};
static const char *const versions[] = {"HTTP/1.1", "HTTP/1.0", "HTTP/0.9"};

/* Whatever the case. */
static reef_guess begins(reef_view bytes, const char *text, bool blank)
{
    uint32_t wanted = (uint32_t)strlen(text), have = bytes.length < wanted ? bytes.length : wanted;
    if (!http_equal_nocase(bytes.data, (const uint8_t *)text, have))
        return REEF_GUESS_NO;
    if (bytes.length < wanted + blank)
        return REEF_GUESS_MORE;
    return !blank || http_is_blank(bytes.data[wanted]) ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static reef_guess among(reef_view bytes, const char *const *texts, size_t count, bool blank)
{
    reef_guess best = REEF_GUESS_NO;
    for (size_t i = 0; i < count && best != REEF_GUESS_YES; i++) {
        if (http_lower(bytes.data[0]) != http_lower((uint8_t)texts[i][0]))
            continue;
        reef_guess guess = begins(bytes, texts[i], blank);
        best = guess > best ? guess : best;
    }
    return best;
}

static reef_guess probe(const reef_probe *probe)
{
    if (probe->bytes.length == 0)
        return REEF_GUESS_MORE;
    bool response = (probe->bytes.data[0] | 0x20) == 'h' &&
                    among(probe->bytes, versions, sizeof versions / sizeof versions[0], false) == REEF_GUESS_YES;
    reef_guess request = among(probe->bytes, methods, sizeof methods / sizeof methods[0], true);
    if (probe->turned != NULL)
        *probe->turned = probe->direction == REEF_TO_SERVER ? response : request == REEF_GUESS_YES;
    if (response || request == REEF_GUESS_YES)
        return REEF_GUESS_YES;
    reef_guess version = among(probe->bytes, versions, sizeof versions / sizeof versions[0], false);
    return version > request ? version : request;
}

/* --- bytes --------------------------------------------------------------------------------------------- */

/* States that know what to do about bytes that are missing. */
static bool takes_gap(const http_side *side)
{
    return side->state == http_request_identity || side->state == http_request_ignore || side->state == http_response_known ||
           side->state == http_response_until_close;
}

static http_step gap_step(http_reader *reader)
{
    http_side *side = reader->side;
    if (takes_gap(side))
        return side->state(reader);
    reader->taken = reader->read = reader->length; /* the rest of the hole is nobody's */
    if (side->state == http_request_finalize)
        return http_request_complete(reader->connection, reader->call, side->tx);
    if (side->state == http_response_finalize)
        return http_response_complete(reader);
    return STEP_DATA;
}

/* False: nothing more can be made of this connection. */
static bool run(http_reader *reader)
{
    http_side *side = reader->side;
    bool gap = reader->data == NULL && reader->length > 0;
    if (side->status == HTTP_ERROR)
        return false;
    if (side->status == HTTP_TUNNEL)
        return true;
    if (reader->direction == REEF_TO_SERVER && side->status == HTTP_WAITS && reader->length == 0)
        return true;
    for (;;) {
        http_step step = gap ? gap_step(reader) : side->state(reader);
        if (step == STEP_ON) {
            if (side->status == HTTP_TUNNEL)
                return true;
            continue;
        }
        if (step == STEP_HOLD && !http_hold(reader))
            step = STEP_ERROR;
        if (step == STEP_ERROR) {
            side->status = HTTP_ERROR;
            return false;
        }
        if (step == STEP_OTHER)
            return true;
        if (side->status != HTTP_TUNNEL)
            side->status = HTTP_OPEN;
        return true;
    }
}

static bool feed(reef_call *call, int direction, uint64_t pdu_offset, const uint8_t *data, uint32_t length)
{
    http_connection *connection = call->session->state;
    http_reader reader = {.call = call, .connection = connection, .side = &connection->side[direction], .direction = direction,
                          .pdu_offset = pdu_offset, .data = data, .length = length};
    return run(&reader);
}

static bool close_side(reef_call *call, int direction)
{
    http_connection *connection = call->session->state;
    http_side *side = &connection->side[direction];
    if (side->closed || side->status == HTTP_ERROR)
        return true;
    side->closed = true;
    side->status = HTTP_CLOSED;
    return feed(call, direction, call->session->side[direction].bytes, (const uint8_t *)"", 0);
}

/* Nothing more comes of a direction, or it cannot be followed further: what is open ends with what there is. */
static void cut_off(reef_call *call, int direction)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next) {
        http_tx *tx = (http_tx *)t;
        if (tx->message[direction].ended)
            continue;
        http_body_end(call, tx, direction);
        http_file_end(call, tx, direction, REEF_TX_FILE_TRUNCATED);
    }
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    http_connection *connection = call->session->state;
    if (connection->side[0].state == NULL) {
        connection->side[REEF_TO_SERVER].state = http_request_idle;
        connection->side[REEF_TO_CLIENT].state = http_response_idle;
    }
    if (call->pdus && !connection->side[direction].pdu_noted) {
        connection->side[direction].pdu_noted = true;
        reef_pdu_note(call, direction, REEF_BUFFER_PDU_HTTP_STREAM, chunk->offset - chunk->missing, REEF_PDU_OPEN_END);
    }
    bool useful = chunk->missing == 0 || feed(call, direction, chunk->offset - chunk->missing, NULL, chunk->missing);
    if (useful && chunk->bytes.length > 0)
        useful = feed(call, direction, chunk->offset, chunk->bytes.data, chunk->bytes.length);
    if (useful && chunk->end) {
        useful = close_side(call, REEF_TO_SERVER);
        if (useful && direction == REEF_TO_CLIENT)
            useful = close_side(call, REEF_TO_CLIENT);
    }
    if (!useful || (chunk->end && direction == REEF_TO_CLIENT)) {
        cut_off(call, REEF_TO_SERVER);
        cut_off(call, REEF_TO_CLIENT);
    } else if (chunk->end) {
        cut_off(call, direction);
    }
    return useful;
}

/* --- lifetimes ------------------------------------------------------------------------------------------ */

static void free_state(reef_memory *memory, reef_session *session)
{
    http_connection *connection = session->state;
    for (int d = 0; d < 2; d++)
        reef_memory_give(memory, connection->side[d].held, connection->side[d].held_capacity);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *transaction)
{
    http_tx *tx = (http_tx *)transaction;
    http_connection *connection = session->state;
    for (int d = 0; d < 2; d++) {
        reef_inflate_free(memory, tx->message[d].inflate);
        reef_body_free(&tx->message[d].body, memory);
        reef_tx_file_free_list(memory, tx->message[d].files);
        if (connection != NULL && connection->side[d].tx == tx) {
            connection->side[d].tx = NULL;
            connection->side[d].state = d == REEF_TO_SERVER ? http_request_idle : http_response_idle;
            connection->side[d].held_length = 0;
        }
    }
    if (connection != NULL && connection->waiting == tx)
        connection->waiting = (http_tx *)tx->base.next;
    http_multipart_free(memory, tx->multipart);
}

static void inspected(reef_session *session, reef_transaction *transaction, int direction)
{
    (void)session;
    http_tx *tx = (http_tx *)transaction;
    http_message *message = &tx->message[direction];
    const reef_body_limits *limits = direction == REEF_TO_SERVER ? &http_request_limits : &http_response_limits;
    reef_body_inspected(&message->body, tx->base.arena.memory, limits);
    reef_tx_file_inspected(tx->base.arena.memory, message->files);
}

static reef_tx_file *files(const reef_session *session, const reef_transaction *transaction, int direction)
{
    (void)session;
    return ((const http_tx *)transaction)->message[direction].files;
}

const reef_protocol reef_protocol_http = {
    .name = "http",
    .event_type = "http",
    .transport = REEF_PROTO_TCP,
    .takes_gaps = true,
    .complete = {HTTP_COMPLETE, HTTP_COMPLETE},
    .state_size = sizeof(http_connection),
    .transaction_size = sizeof(http_tx),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = http_buffers,
    .buffers_count = HTTP_BUFFERS,
    .buffer = http_buffer,
    .value = http_value,
    .inspected = inspected,
    .files = files,
    .events = event_names,
    .events_count = HTTP_EVENTS,
    .write = http_write,
};
