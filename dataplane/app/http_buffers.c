/* HTTP: what rules look at. Buffers that put fields together are made when they are asked for, and are views of the raw block
 * where that is written as they would be. */
#include "http_internal.h"

#define TO_SERVER(kind, at) {REEF_BUFFER_##kind, REEF_TO_SERVER, at}
#define TO_CLIENT(kind, at) {REEF_BUFFER_##kind, REEF_TO_CLIENT, at}

const reef_protocol_buffer http_buffers[HTTP_BUFFERS] = {
    TO_SERVER(HTTP_URI, HTTP_HEADERS), TO_SERVER(HTTP_URI_RAW, HTTP_HEADERS), TO_SERVER(HTTP_METHOD, HTTP_HEADERS),
    TO_SERVER(HTTP_REQUEST_LINE, HTTP_HEADERS), TO_SERVER(HTTP_PROTOCOL, HTTP_HEADERS),
    TO_CLIENT(HTTP_RESPONSE_LINE, HTTP_HEADERS), TO_CLIENT(HTTP_PROTOCOL, HTTP_HEADERS), TO_CLIENT(HTTP_STAT_CODE, HTTP_HEADERS),
    TO_CLIENT(HTTP_STAT_MSG, HTTP_HEADERS),
    TO_SERVER(HTTP_URL, HTTP_BODY), TO_SERVER(HTTP_HOST, HTTP_BODY), TO_SERVER(HTTP_HOST_RAW, HTTP_BODY), TO_SERVER(HTTP_HEADER, HTTP_BODY),
    TO_SERVER(HTTP_HEADER_RAW, HTTP_BODY), TO_SERVER(HTTP_HEADER_NAMES, HTTP_BODY), TO_SERVER(HTTP_REQUEST_HEADER, HTTP_BODY),
    TO_SERVER(HTTP_USER_AGENT, HTTP_BODY), TO_SERVER(HTTP_COOKIE, HTTP_BODY), TO_SERVER(HTTP_CONTENT_TYPE, HTTP_BODY),
    TO_SERVER(HTTP_CONTENT_LEN, HTTP_BODY), TO_SERVER(HTTP_CONNECTION, HTTP_BODY), TO_SERVER(HTTP_ACCEPT, HTTP_BODY),
    TO_SERVER(HTTP_ACCEPT_ENC, HTTP_BODY), TO_SERVER(HTTP_ACCEPT_LANG, HTTP_BODY), TO_SERVER(HTTP_REFERER, HTTP_BODY),
    TO_SERVER(HTTP_START, HTTP_BODY), TO_SERVER(HTTP_REQUEST_BODY, HTTP_BODY), TO_SERVER(FILE_DATA, HTTP_BODY),
    TO_SERVER(FILE_NAME, HTTP_BODY), TO_SERVER(FILE_MAGIC, HTTP_BODY), TO_SERVER(FILE_MD5, HTTP_BODY),
    TO_SERVER(FILE_SHA1, HTTP_BODY), TO_SERVER(FILE_SHA256, HTTP_BODY),
    TO_CLIENT(HTTP_HEADER, HTTP_BODY), TO_CLIENT(HTTP_HEADER_RAW, HTTP_BODY), TO_CLIENT(HTTP_HEADER_NAMES, HTTP_BODY),
    TO_CLIENT(HTTP_RESPONSE_HEADER, HTTP_BODY), TO_CLIENT(HTTP_COOKIE, HTTP_BODY), TO_CLIENT(HTTP_CONTENT_TYPE, HTTP_BODY),
    TO_CLIENT(HTTP_CONTENT_LEN, HTTP_BODY), TO_CLIENT(HTTP_CONNECTION, HTTP_BODY), TO_CLIENT(HTTP_LOCATION, HTTP_BODY),
    TO_CLIENT(HTTP_SERVER, HTTP_BODY), TO_CLIENT(HTTP_START, HTTP_BODY), TO_CLIENT(HTTP_RESPONSE_BODY, HTTP_BODY),
    TO_CLIENT(FILE_DATA, HTTP_BODY), TO_CLIENT(FILE_NAME, HTTP_BODY), TO_CLIENT(FILE_MAGIC, HTTP_BODY),
    TO_CLIENT(FILE_MD5, HTTP_BODY), TO_CLIENT(FILE_SHA1, HTTP_BODY), TO_CLIENT(FILE_SHA256, HTTP_BODY),
};

static bool give(reef_view bytes, reef_buffer *out)
{
    if (bytes.data == NULL)
        return false;
    *out = (reef_buffer){.bytes = bytes, .end = true};
    return true;
}

static bool field(const http_message *message, http_field wanted, reef_buffer *out)
{
    const http_header *header = http_header_get(message, wanted);
    return header != NULL && give(header->value, out);
}

static bool is_cookie(const http_header *header, int direction)
{
    return header->field == (direction == REEF_TO_SERVER ? HTTP_FIELD_COOKIE : HTTP_FIELD_SET_COOKIE);
}

/* --- fields put together ----------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, const void *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}

static uint8_t *put_field(uint8_t *at, const http_header *header)
{
    at = put(at, header->name.data, header->name.length);
    at = put(at, ": ", 2);
    at = put(at, header->value.data, header->value.length);
    return put(at, "\r\n", 2);
}

static size_t size_of_fields(const http_headers *headers)
{
    size_t size = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        size += headers->list[i].name.length + (size_t)headers->list[i].value.length + 4;
    return size;
}

/* "name: value" lines without the cookies. */
static bool make_header(http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    const http_headers *headers = &message->headers;
    bool cookie = http_header_get(message, direction == REEF_TO_SERVER ? HTTP_FIELD_COOKIE : HTTP_FIELD_SET_COOKIE) != NULL;
    if (headers->plain && !cookie && message->raw.length >= 2) {
        message->header_buffer = (reef_view){message->raw.data, message->raw.length - 2};
        return true;
    }
    uint8_t *begin = reef_arena_get(&tx->base.arena, size_of_fields(headers)), *at = begin;
    if (begin == NULL)
        return false;
    for (uint32_t i = 0; i < headers->count; i++)
        if (!is_cookie(&headers->list[i], direction))
            at = put_field(at, &headers->list[i]);
    message->header_buffer = (reef_view){begin, (uint32_t)(at - begin)};
    return true;
}

/* CR LF, then each name with CR LF, and CR LF once more. */
static bool make_names(http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    const http_headers *headers = &message->headers;
    uint8_t *begin = reef_arena_get(&tx->base.arena, size_of_fields(headers) + 4), *at = begin;
    if (begin == NULL)
        return false;
    at = put(at, "\r\n", 2);
    for (uint32_t i = 0; i < headers->count; i++) {
        at = put(at, headers->list[i].name.data, headers->list[i].name.length);
        at = put(at, "\r\n", 2);
    }
    at = put(at, "\r\n", 2);
    message->names_buffer = (reef_view){begin, (uint32_t)(at - begin)};
    return true;
}

/* The first line and all fields. */
static bool make_start(http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    const http_headers *headers = &message->headers;
    uint8_t *begin = reef_arena_get(&tx->base.arena, size_of_fields(headers) + message->line.length + 4), *at = begin;
    if (begin == NULL)
        return false;
    at = put(at, message->line.data, message->line.length);
    at = put(at, "\r\n", 2);
    for (uint32_t i = 0; i < headers->count; i++)
        at = put_field(at, &headers->list[i]);
    if (headers->count > 0)
        at = put(at, "\r\n", 2);
    message->start_buffer = (reef_view){begin, (uint32_t)(at - begin)};
    return true;
}

/* A trailer adds fields: what was made before it is made anew. */
static http_message *refreshed(http_tx *tx, int direction)
{
    http_message *message = &tx->message[direction];
    if (message->buffers_count != message->headers.count) {
        message->header_buffer = message->names_buffer = message->start_buffer = (reef_view){0};
        message->buffers_count = message->headers.count;
    }
    return message;
}

static bool made(http_tx *tx, int direction, unsigned kind, reef_buffer *out)
{
    http_message *message = refreshed(tx, direction);
    if (message->broken)
        return false;
    reef_view *view = kind == REEF_BUFFER_HTTP_HEADER ? &message->header_buffer
                      : kind == REEF_BUFFER_HTTP_START ? &message->start_buffer
                                                       : &message->names_buffer;
    if (view->data == NULL) {
        if (message->headers.count == 0 && kind != REEF_BUFFER_HTTP_START)
            return false;
        if (kind == REEF_BUFFER_HTTP_START && message->line.data == NULL)
            return false;
        bool done = kind == REEF_BUFFER_HTTP_HEADER  ? make_header(tx, direction)
                    : kind == REEF_BUFFER_HTTP_START ? make_start(tx, direction)
                                                     : make_names(tx, direction);
        if (!done)
            return false;
    }
    return view->length > 0 && give(*view, out);
}

/* One field as "name: value". */
static bool one_field(http_tx *tx, int direction, unsigned index, reef_buffer *out)
{
    const http_headers *headers = &tx->message[direction].headers;
    if (index >= headers->count || tx->message[direction].broken)
        return false;
    const http_header *header = &headers->list[index];
    uint32_t length = header->name.length + 2 + header->value.length;
    if (header->value.data == header->name.data + header->name.length + 2 && memcmp(header->value.data - 2, ": ", 2) == 0)
        return give((reef_view){header->name.data, length}, out);
    uint8_t *begin = reef_arena_get(&tx->base.arena, length);
    if (begin == NULL)
        return false;
    uint8_t *at = put(begin, header->name.data, header->name.length);
    at = put(at, ": ", 2);
    put(at, header->value.data, header->value.length);
    return give((reef_view){begin, length}, out);
}

/* The host, without its port and in small letters, and what is asked of it: the whole address but for scheme and port. */
static bool url(http_tx *tx, reef_buffer *out)
{
    if (tx->host.data == NULL || tx->uri.data == NULL)
        return false;
    if (tx->url_buffer.data == NULL) {
        uint32_t length = tx->host.length + tx->uri.length;
        uint8_t *begin = length >= tx->host.length ? reef_arena_get(&tx->base.arena, length) : NULL;
        if (begin == NULL)
            return false;
        for (uint32_t i = 0; i < tx->host.length; i++)
            begin[i] = http_lower(tx->host.data[i]);
        put(begin + tx->host.length, tx->uri.data, tx->uri.length);
        tx->url_buffer = (reef_view){begin, length};
    }
    return give(tx->url_buffer, out);
}

/* --- single buffers ------------------------------------------------------------------------------------------ */

static bool raw_host(const http_tx *tx, reef_buffer *out)
{
    if (tx->parsed.host.data != NULL)
        return give(tx->parsed.host, out);
    return field(&tx->message[REEF_TO_SERVER], HTTP_FIELD_HOST, out);
}

static bool of_field(const http_message *message, int direction, unsigned kind, reef_buffer *out)
{
    switch (kind) {
    case REEF_BUFFER_HTTP_USER_AGENT: return field(message, HTTP_FIELD_USER_AGENT, out);
    case REEF_BUFFER_HTTP_COOKIE:
        return field(message, direction == REEF_TO_SERVER ? HTTP_FIELD_COOKIE : HTTP_FIELD_SET_COOKIE, out);
    case REEF_BUFFER_HTTP_CONTENT_TYPE: return field(message, HTTP_FIELD_CONTENT_TYPE, out);
    case REEF_BUFFER_HTTP_CONTENT_LEN: return field(message, HTTP_FIELD_CONTENT_LENGTH, out);
    case REEF_BUFFER_HTTP_CONNECTION: return field(message, HTTP_FIELD_CONNECTION, out);
    case REEF_BUFFER_HTTP_ACCEPT: return field(message, HTTP_FIELD_ACCEPT, out);
    case REEF_BUFFER_HTTP_ACCEPT_ENC: return field(message, HTTP_FIELD_ACCEPT_ENCODING, out);
    case REEF_BUFFER_HTTP_ACCEPT_LANG: return field(message, HTTP_FIELD_ACCEPT_LANGUAGE, out);
    case REEF_BUFFER_HTTP_REFERER: return field(message, HTTP_FIELD_REFERER, out);
    case REEF_BUFFER_HTTP_LOCATION: return field(message, HTTP_FIELD_LOCATION, out);
    case REEF_BUFFER_HTTP_SERVER: return field(message, HTTP_FIELD_SERVER, out);
    default: return false;
    }
}

/* file.data is the body itself, unless it is a form: then it is that of its parts. */
static bool file_buffer(const http_tx *tx, int direction, unsigned kind, unsigned index, reef_buffer *out)
{
    const http_message *message = &tx->message[direction];
    if (kind != REEF_BUFFER_FILE_DATA)
        return reef_tx_file_buffer(message->files, kind, index, out);
    if (direction == REEF_TO_CLIENT)
        return index == 0 && reef_body_window(&message->body, &http_response_limits, out);
    if (tx->body_kind == HTTP_BODY_MULTIPART)
        return reef_tx_file_buffer(message->files, kind, index, out);
    return index == 0 && message->files != NULL && reef_body_window(&message->body, &http_request_limits, out);
}

bool http_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                 reef_buffer *out)
{
    (void)session;
    /* Only what is made on demand is changed: nothing that anybody else could see. */
    http_tx *tx = (http_tx *)(uintptr_t)transaction;
    const http_message *message = &tx->message[direction];
    switch (kind) {
    case REEF_BUFFER_HTTP_URI: return give(tx->uri, out);
    case REEF_BUFFER_HTTP_URI_RAW: return give(tx->uri_raw, out);
    case REEF_BUFFER_HTTP_METHOD: return give(tx->method, out);
    case REEF_BUFFER_HTTP_URL: return url(tx, out);
    case REEF_BUFFER_HTTP_HOST: return give(tx->host, out);
    case REEF_BUFFER_HTTP_HOST_RAW: return raw_host(tx, out);
    case REEF_BUFFER_HTTP_REQUEST_LINE:
    case REEF_BUFFER_HTTP_RESPONSE_LINE: return give(message->line, out);
    case REEF_BUFFER_HTTP_PROTOCOL: return give(message->protocol, out);
    case REEF_BUFFER_HTTP_STAT_CODE: return give(tx->status, out);
    case REEF_BUFFER_HTTP_STAT_MSG: return give(tx->reason, out);
    case REEF_BUFFER_HTTP_HEADER:
    case REEF_BUFFER_HTTP_HEADER_NAMES:
    case REEF_BUFFER_HTTP_START: return made(tx, direction, kind, out);
    case REEF_BUFFER_HTTP_HEADER_RAW: return !message->broken && give(message->raw, out);
    case REEF_BUFFER_HTTP_REQUEST_HEADER:
    case REEF_BUFFER_HTTP_RESPONSE_HEADER: return one_field(tx, direction, index, out);
    case REEF_BUFFER_HTTP_REQUEST_BODY: return reef_body_window(&message->body, &http_request_limits, out);
    case REEF_BUFFER_HTTP_RESPONSE_BODY: return reef_body_window(&message->body, &http_response_limits, out);
    case REEF_BUFFER_FILE_DATA:
    case REEF_BUFFER_FILE_NAME:
    case REEF_BUFFER_FILE_MAGIC:
    case REEF_BUFFER_FILE_MD5:
    case REEF_BUFFER_FILE_SHA1:
    case REEF_BUFFER_FILE_SHA256: return file_buffer(tx, direction, kind, index, out);
    default: return of_field(message, direction, kind, out);
    }
}

bool http_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                uint64_t *out)
{
    (void)session;
    const http_tx *tx = (const http_tx *)transaction;
    return reef_tx_file_value(tx->message[direction].files, kind, index, out);
}
