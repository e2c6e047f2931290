/* HTTP: bodies, decoded where they are coded, as what rules look at and as files. */
#include "http_internal.h"

const reef_body_limits http_request_limits = {.limit = REEF_HTTP_BODY_MAX, .minimal = 32u << 10, .window = 4u << 10};
const reef_body_limits http_response_limits = {.limit = REEF_HTTP_BODY_MAX, .minimal = 40u << 10, .window = 16u << 10};

static const reef_body_limits *limits_of(int direction)
{
    return direction == REEF_TO_SERVER ? &http_request_limits : &http_response_limits;
}

/* --- content coding ------------------------------------------------------------------------------------ */

static bool exactly(reef_view token, const char *one, const char *other)
{
    return http_view_is(token, one) || http_view_is(token, other);
}

/* -1: no coding that is undone. */
static int coding_of(reef_call *call, http_tx *tx, reef_view token)
{
    if (http_view_has(token, "gzip")) {
        if (!exactly(token, "gzip", "x-gzip"))
            http_tell(call, tx, HTTP_EVENT_ABNORMAL_CE_HEADER);
        return REEF_CODING_GZIP;
    }
    if (http_view_has(token, "deflate")) {
        if (!exactly(token, "deflate", "x-deflate"))
            http_tell(call, tx, HTTP_EVENT_ABNORMAL_CE_HEADER);
        return REEF_CODING_DEFLATE;
    }
    if (!exactly(token, "inflate", "none") && !http_view_is(token, "lzma"))
        http_tell(call, tx, HTTP_EVENT_ABNORMAL_CE_HEADER);
    return http_view_is(token, "br") ? (int)REEF_CODING_BROTLI : -1;
}

static bool one_coding(http_message *message, reef_view value)
{
    if (http_view_like(value, "gzip") || http_view_like(value, "x-gzip"))
        message->layer[message->layers++] = REEF_CODING_GZIP;
    else if (http_view_like(value, "deflate") || http_view_like(value, "x-deflate"))
        message->layer[message->layers++] = REEF_CODING_DEFLATE;
    else if (!http_view_like(value, "inflate") && !http_view_like(value, "none") && !http_view_like(value, "lzma"))
        return false;
    return true;
}

static bool is_separator(uint8_t c)
{
    return c == ',' || c == ' ';
}

bool http_body_coding(reef_call *call, http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    const http_header *header = http_header_get(message, HTTP_FIELD_CONTENT_ENCODING);
    message->layers = 0;
    if (header == NULL || one_coding(message, header->value))
        return true;
    unsigned tokens = 0;
    for (uint32_t at = 0; at < header->value.length;) {
        const uint8_t *data = header->value.data;
        while (at < header->value.length && is_separator(data[at]))
            at++;
        uint32_t end = at;
        while (end < header->value.length && !is_separator(data[end]))
            end++;
        if (end == at)
            break;
        if (++tokens > REEF_HTTP_LAYERS_MAX) {
            http_tell(call, tx, HTTP_EVENT_TOO_MANY_ENCODING_LAYERS);
            break;
        }
        int coding = coding_of(call, tx, (reef_view){data + at, end - at});
        if (coding >= 0)
            message->layer[message->layers++] = (uint8_t)coding;
        at = end;
    }
    return true;
}

/* The decoders are made with the first bytes: many messages that name a coding have no body. */
static bool begin_decoding(reef_call *call, http_message *message)
{
    for (unsigned i = 0; i < message->layers; i++) {
        reef_inflate *layer = reef_inflate_new(call->memory, (reef_coding)message->layer[i]);
        if (layer == NULL)
            return false;
        if (message->inflate == NULL)
            message->inflate = layer;
        else
            reef_inflate_append(message->inflate, layer);
    }
    return true;
}

static void stop_decoding(reef_call *call, http_message *message)
{
    reef_inflate_free(call->memory, message->inflate);
    message->inflate = NULL;
}

/* --- files --------------------------------------------------------------------------------------------- */

/* bytes START-END/SIZE (RFC 9110 14.4); false: not like that. */
static bool content_range(reef_view value, uint64_t *start, uint64_t *end)
{
    const uint8_t *slash = memchr(value.data, '/', value.length);
    if (value.length < 6 || !http_equal_nocase(value.data, (const uint8_t *)"bytes ", 6) || slash == NULL)
        return false;
    const uint8_t *from = value.data + 6, *dash = memchr(from, '-', (size_t)(slash - from));
    if (dash == NULL)
        return false;
    int64_t a = http_number(from, (uint32_t)(dash - from), 10), b = http_number(dash + 1, (uint32_t)(slash - dash - 1), 10);
    if (a < 0 || b < a)
        return false;
    *start = (uint64_t)a;
    *end = (uint64_t)b;
    return true;
}

static reef_view file_name(reef_call *call, http_tx *tx, int direction)
{
    reef_view name = {0};
    if (direction == REEF_TO_CLIENT) {
        const http_header *disposition = http_header_get(&tx->message[direction], HTTP_FIELD_CONTENT_DISPOSITION);
        if (disposition != NULL)
            (void)http_parameter(disposition->value, "filename=", &name);
    }
    if (name.data == NULL)
        name = tx->parsed.path;
    if (name.length > REEF_HTTP_FILE_NAME_MAX) {
        name.length = REEF_HTTP_FILE_NAME_MAX;
        http_tell(call, tx, HTTP_EVENT_FILE_NAME_TOO_LONG);
    }
    return name;
}

static void begin_file(reef_call *call, http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    message->file_begun = true;
    reef_view name = file_name(call, tx, direction);
    if (name.data == NULL)
        return;
    message->file = reef_tx_file_begin(call, &tx->base, direction, &message->files, name, NULL);
    const http_header *range = direction == REEF_TO_CLIENT ? http_header_get(message, HTTP_FIELD_CONTENT_RANGE) : NULL;
    uint64_t start, end;
    if (range == NULL)
        return;
    if (content_range(range->value, &start, &end))
        reef_tx_file_range(message->file, start, end);
    else
        http_tell(call, tx, HTTP_EVENT_RANGE_INVALID);
}

void http_file_end(reef_call *call, http_tx *tx, int direction, reef_tx_file_state state)
{
    http_message *message = &tx->message[direction];
    if (direction == REEF_TO_SERVER && tx->multipart != NULL)
        http_multipart_end(call, tx);
    if (message->file != NULL)
        reef_tx_file_end(call, &tx->base, message->file, state);
    message->file = NULL;
}

static void give_file(reef_call *call, http_tx *tx, int direction, reef_view bytes)
{
    http_message *message = &tx->message[direction];
    if (!message->file_begun)
        begin_file(call, tx, direction);
    if (bytes.data != NULL)
        reef_tx_file_bytes(call, &tx->base, message->file, bytes);
    else
        reef_tx_file_gap(call, &tx->base, message->file, bytes.length);
}

/* --- the entity ------------------------------------------------------------------------------------------ */

/* What a request's body is: a form with parts, a file, or something that is only looked at. */
static uint8_t kind_of(reef_call *call, http_tx *tx)
{
    if (tx->method_number == HTTP_METHOD_PUT)
        return HTTP_BODY_FILE;
    if (tx->method_number != HTTP_METHOD_POST)
        return HTTP_BODY_PLAIN;
    const http_header *type = http_header_get(&tx->message[REEF_TO_SERVER], HTTP_FIELD_CONTENT_TYPE);
    reef_view boundary;
    if (type == NULL || !http_parameter(type->value, "boundary=", &boundary))
        return HTTP_BODY_FILE;
    tx->multipart = boundary.length > 0 && boundary.length < REEF_HTTP_BOUNDARY_MAX ? http_multipart_new(call, tx) : NULL;
    return HTTP_BODY_MULTIPART;
}

static void keep(reef_call *call, http_tx *tx, int direction, reef_view bytes)
{
    http_message *message = &tx->message[direction];
    const reef_body_limits *limits = limits_of(direction);
    if (call->files != NULL && !reef_files_wants(call->files)->data)
        message->body.size += bytes.length;
    else if (bytes.data != NULL ? reef_body_add(&message->body, call->memory, limits, bytes)
                                : reef_body_gap(&message->body, call->memory, limits, bytes.length))
        reef_transaction_window(&tx->base, direction);
    if (direction == REEF_TO_CLIENT) {
        give_file(call, tx, direction, bytes);
        return;
    }
    if (tx->body_kind == HTTP_BODY_UNKNOWN)
        tx->body_kind = kind_of(call, tx);
    if (tx->body_kind == HTTP_BODY_FILE)
        give_file(call, tx, direction, bytes);
    else if (tx->multipart != NULL && bytes.data != NULL)
        http_multipart_bytes(call, tx, bytes);
}

/* Decoded bytes, up to the limit. */
static bool entity(reef_call *call, http_tx *tx, int direction, reef_view bytes)
{
    http_message *message = &tx->message[direction];
    message->entity_length += bytes.length;
    if (message->kept >= REEF_HTTP_BODY_MAX) {
        message->passed = true;
        http_file_end(call, tx, direction, REEF_TX_FILE_TRUNCATED);
        return false;
    }
    if (bytes.length > REEF_HTTP_BODY_MAX - message->kept)
        bytes.length = (uint32_t)(REEF_HTTP_BODY_MAX - message->kept);
    message->kept += bytes.length;
    keep(call, tx, direction, bytes);
    if (message->layers > 0 && message->entity_length > REEF_HTTP_BOMB_BYTES &&
        message->entity_length > REEF_HTTP_BOMB_RATIO * message->message_length) {
        message->passed = true;
        http_tell(call, tx, HTTP_EVENT_COMPRESSION_BOMB);
        return false;
    }
    return true;
}

typedef struct decoded {
    reef_call *call;
    http_tx *tx;
    int direction;
} decoded;

static bool take_decoded(void *context, reef_view bytes)
{
    const decoded *to = context;
    return entity(to->call, to->tx, to->direction, bytes);
}

bool http_body_bytes(reef_call *call, http_tx *tx, int direction, reef_view bytes)
{
    http_message *message = &tx->message[direction];
    message->message_length += bytes.length;
    if (message->kept == 0 && !reef_files_wanted(call))
        message->passed = true;
    if (bytes.length == 0 || message->passed)
        return true;
    if (message->layers == 0 || bytes.data == NULL) {
        (void)entity(call, tx, direction, bytes);
        return true;
    }
    if (message->inflate == NULL && !begin_decoding(call, message)) {
        message->layers = 0;
        stop_decoding(call, message);
        (void)entity(call, tx, direction, bytes);
        return true;
    }
    decoded to = {call, tx, direction};
    bool failed = false;
    reef_inflate_bytes(message->inflate, bytes, take_decoded, &to, &failed);
    if (failed)
        http_tell(call, tx, HTTP_EVENT_GZIP_DECOMPRESSION_FAILED);
    if (message->passed)
        stop_decoding(call, message);
    return true;
}

void http_body_end(reef_call *call, http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    stop_decoding(call, message);
    message->layers = 0;
    if (message->ended)
        return;
    message->ended = true;
    if (reef_body_end(&message->body, limits_of(direction)))
        reef_transaction_window(&tx->base, direction);
}
