/* HTTP: the states of a response's body: how long it is, and where it ends. */
#include "http_internal.h"

static http_step chunk_length(http_reader *reader);
static http_step chunk_data(http_reader *reader);
static http_step chunk_end(http_reader *reader);

static http_message *message_of(const http_reader *reader)
{
    return &reader->side->tx->message[REEF_TO_CLIENT];
}

static http_step begin_body(http_reader *reader)
{
    return http_body_coding(reader->call, reader->side->tx, REEF_TO_CLIENT) ? STEP_ON : STEP_ERROR;
}

/* An interim response: its fields are forgotten and another status line comes. */
static bool continues(http_reader *reader, const http_header *transfer, const http_header *length)
{
    http_tx *tx = reader->side->tx;
    if (tx->status_number != 100 || transfer != NULL || (length != NULL && http_content_length(length->value) > 0))
        return false;
    if (tx->continues > 0)
        http_tell(reader->call, tx, HTTP_EVENT_100_CONTINUE_ALREADY_SEEN);
    tx->continues = 1;
    http_headers *headers = &message_of(reader)->headers;
    headers->count = 0;
    memset(headers->at, 0, sizeof headers->at);
    tx->base.progress[REEF_TO_CLIENT] = HTTP_LINE;
    reader->side->state = http_response_line;
    return true;
}

static bool switches(http_reader *reader, const http_header *transfer, const http_header *length)
{
    if (reader->side->tx->status_number != 101 || transfer != NULL || length != NULL)
        return false;
    http_side *client = &reader->connection->side[REEF_TO_SERVER];
    http_tx *tx = reader->side->tx;
    const http_header *upgrade = http_header_get(message_of(reader), HTTP_FIELD_UPGRADE);
    message_of(reader)->coding = HTTP_CODING_NONE;
    if (client->tx == tx)
        (void)http_request_complete(reader->connection, reader->call, tx);
    (void)http_response_complete(reader);
    if (client->status != HTTP_ERROR)
        client->status = HTTP_TUNNEL;
    reader->side->status = HTTP_TUNNEL;
    if (upgrade != NULL && http_view_is(upgrade->value, "h2c"))
        http_change(reader, tx, &reef_protocol_http2);
    return true;
}

/* A client that asked whether to go on was refused: its body will not come. */
static void check_expectation(http_reader *reader)
{
    http_tx *tx = reader->side->tx;
    http_side *client = &reader->connection->side[REEF_TO_SERVER];
    const http_message *request = &tx->message[REEF_TO_SERVER];
    if (tx->status_number < 400 || tx->status_number > 499 || client->tx != tx || request->content_length <= 0 ||
        client->state != http_request_identity || client->left != request->content_length)
        return;
    const http_header *expect = http_header_get(request, HTTP_FIELD_EXPECT);
    if (expect != NULL && http_view_like(expect->value, "100-continue"))
        client->state = http_request_finalize;
}

/* Single fields can still be looked at. */
static http_step broken(http_reader *reader)
{
    message_of(reader)->broken = true;
    reef_transaction_progress(&reader->side->tx->base, REEF_TO_CLIENT, HTTP_BODY);
    return STEP_ERROR;
}

static http_step body_by_length(http_reader *reader, const http_header *length)
{
    http_message *response = message_of(reader);
    response->coding = HTTP_CODING_IDENTITY;
    response->content_length = http_content_length(length->value);
    if (response->content_length < 0) {
        http_tell(reader->call, reader->side->tx, HTTP_EVENT_INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE);
        return broken(reader);
    }
    if (response->content_length == 0) {
        reader->side->state = http_response_finalize;
        return begin_body(reader);
    }
    reader->side->left = response->content_length;
    reader->side->state = http_response_known;
    reef_transaction_progress(&reader->side->tx->base, REEF_TO_CLIENT, HTTP_BODY);
    return begin_body(reader);
}

static http_step body_by_chunks(http_reader *reader, const http_header *transfer)
{
    http_tx *tx = reader->side->tx;
    http_message *response = message_of(reader);
    if (!http_view_like(transfer->value, "chunked"))
        http_tell(reader->call, tx, HTTP_EVENT_RESPONSE_ABNORMAL_TRANSFER_ENCODING);
    if (response->protocol_number < HTTP_PROTOCOL_1_1)
        http_tell(reader->call, tx, HTTP_EVENT_RESPONSE_CHUNKED_OLD_PROTO);
    response->coding = HTTP_CODING_CHUNKED;
    reader->side->state = chunk_length;
    reef_transaction_progress(&tx->base, REEF_TO_CLIENT, HTTP_BODY);
    return begin_body(reader);
}

static http_step body_until_close(http_reader *reader)
{
    http_message *response = message_of(reader);
    const http_header *type = http_header_get(response, HTTP_FIELD_CONTENT_TYPE);
    if (type != NULL && http_view_has(type->value, "multipart/byteranges")) {
        http_tell(reader->call, reader->side->tx, HTTP_EVENT_RESPONSE_MULTIPART_BYTERANGES);
        return broken(reader);
    }
    response->coding = HTTP_CODING_IDENTITY;
    reader->side->left = -1;
    reader->side->state = http_response_until_close;
    reef_transaction_progress(&reader->side->tx->base, REEF_TO_CLIENT, HTTP_BODY);
    return begin_body(reader);
}

http_step http_response_body(http_reader *reader)
{
    http_tx *tx = reader->side->tx;
    http_message *response = message_of(reader);
    http_side *client = &reader->connection->side[REEF_TO_SERVER];
    int status = tx->status_number;
    if (tx->method_number == HTTP_METHOD_CONNECT) {
        if (status >= 200 && status <= 299) {
            response->coding = HTTP_CODING_NONE;
            reader->side->state = http_response_finalize;
            return STEP_ON;
        }
        if (client->status != HTTP_ERROR)
            client->status = HTTP_OPEN;
        reader->side->stop_at_end = status != 407;
    }
    const http_header *length = http_header_get(response, HTTP_FIELD_CONTENT_LENGTH);
    const http_header *transfer = http_header_get(response, HTTP_FIELD_TRANSFER_ENCODING);
    if (switches(reader, transfer, length) || continues(reader, transfer, length))
        return STEP_ON;
    check_expectation(reader);
    bool bodiless = (status >= 100 && status <= 199) || status == 204 || status == 304;
    if (tx->method_number == HTTP_METHOD_HEAD || (bodiless && transfer == NULL && length == NULL)) {
        response->coding = HTTP_CODING_NONE;
        reader->side->state = http_response_finalize;
        return STEP_ON;
    }
    if (transfer != NULL && http_view_has(transfer->value, "chunked"))
        return body_by_chunks(reader, transfer);
    return length != NULL ? body_by_length(reader, length) : body_until_close(reader);
}

/* --- bodies ------------------------------------------------------------------------------------------------ */

static bool give_body(http_reader *reader, uint32_t have)
{
    reef_view bytes = {reader->data != NULL ? reader->data + reader->read : NULL, have};
    bool useful = http_body_bytes(reader->call, reader->side->tx, REEF_TO_CLIENT, bytes);
    reader->read += have;
    reader->taken = reader->read;
    return useful;
}

static uint32_t available(const http_reader *reader)
{
    uint32_t have = reader->length - reader->read;
    return have > (uint64_t)reader->side->left ? (uint32_t)reader->side->left : have;
}

http_step http_response_known(http_reader *reader)
{
    http_side *side = reader->side;
    if (side->status == HTTP_CLOSED) {
        side->state = http_response_finalize;
        return STEP_ON;
    }
    uint32_t have = available(reader);
    if (have == 0)
        return STEP_DATA;
    if (!give_body(reader, have))
        return STEP_ERROR;
    side->left -= have;
    if (side->left > 0)
        return STEP_DATA;
    side->state = http_response_finalize;
    http_body_end(reader->call, side->tx, REEF_TO_CLIENT);
    return STEP_ON;
}

http_step http_response_until_close(http_reader *reader)
{
    uint32_t have = reader->length - reader->read;
    if (have > 0 && !give_body(reader, have))
        return STEP_ERROR;
    if (reader->side->status != HTTP_CLOSED)
        return STEP_DATA;
    reader->side->state = http_response_finalize;
    return STEP_ON;
}

static http_step chunk_data(http_reader *reader)
{
    uint32_t have = available(reader);
    if (have == 0)
        return STEP_DATA;
    if (!give_body(reader, have))
        return STEP_ERROR;
    reader->side->left -= have;
    if (reader->side->left > 0)
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
    http_tx *tx = reader->side->tx;
    reef_view line;
    bool extension;
    int64_t length;
    uint32_t fresh;
    for (;;) {
        if (!http_read_chunk_line(reader))
            return STEP_HOLD;
        fresh = reader->read - reader->taken;
        if (!http_gather(reader, &line))
            return STEP_ERROR;
        length = http_chunk_length(line.data, line.length, &extension);
        if (length != HTTP_CHUNK_EMPTY)
            break;
        reader->taken = reader->read;
        reader->side->held_length = 0;
    }
    if (extension)
        http_tell(reader->call, tx, HTTP_EVENT_REQUEST_CHUNK_EXTENSION);
    message_of(reader)->message_length += line.length;
    if (length < 0) { /* not chunked after all */
        http_tell(reader->call, tx, HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN);
        message_of(reader)->coding = HTTP_CODING_IDENTITY;
        reader->side->state = http_response_until_close;
        if (reader->side->held_length > fresh) {
            reef_view held = {line.data, line.length - fresh};
            if (!http_body_bytes(reader->call, tx, REEF_TO_CLIENT, held))
                return STEP_ERROR;
        }
        reader->side->held_length = 0;
        reader->read -= fresh;
        reader->taken = reader->read;
        return STEP_ON;
    }
    http_used(reader);
    reader->side->left = length;
    if (length > 0) {
        reader->side->state = chunk_data;
        return STEP_ON;
    }
    message_of(reader)->lines_at = message_of(reader)->raw.length;
    reader->side->state = http_response_headers;
    reef_transaction_progress(&tx->base, REEF_TO_CLIENT, HTTP_TRAILER);
    return STEP_ON;
}
