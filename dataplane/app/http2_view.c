/* HTTP/2: what rules look at, under the names of HTTP/1, and transactions as text. */
#include <string.h>

#include "http2_internal.h"

#define TO_SERVER(kind) {REEF_BUFFER_##kind, REEF_TO_SERVER, HTTP2_HEADERS}
#define TO_CLIENT(kind) {REEF_BUFFER_##kind, REEF_TO_CLIENT, HTTP2_HEADERS}

const reef_protocol_buffer http2_buffers[HTTP2_BUFFERS] = {
    TO_SERVER(HTTP_URI), TO_SERVER(HTTP_URI_RAW), TO_SERVER(HTTP_METHOD), TO_SERVER(HTTP_HOST), TO_SERVER(HTTP_HOST_RAW),
    TO_SERVER(HTTP_HEADER), TO_SERVER(HTTP_HEADER_RAW), TO_SERVER(HTTP_HEADER_NAMES), TO_SERVER(HTTP_REQUEST_HEADER),
    TO_SERVER(HTTP_USER_AGENT), TO_SERVER(HTTP_COOKIE), TO_SERVER(HTTP_CONTENT_TYPE), TO_SERVER(HTTP_CONTENT_LEN),
    TO_SERVER(HTTP_CONNECTION), TO_SERVER(HTTP_ACCEPT), TO_SERVER(HTTP_ACCEPT_ENC), TO_SERVER(HTTP_ACCEPT_LANG),
    TO_SERVER(HTTP_REFERER), TO_SERVER(HTTP_REQUEST_LINE), TO_SERVER(HTTP_REQUEST_BODY), TO_SERVER(FILE_DATA), TO_SERVER(FILE_NAME),
    TO_SERVER(FILE_MAGIC), TO_SERVER(FILE_MD5), TO_SERVER(FILE_SHA1), TO_SERVER(FILE_SHA256), TO_SERVER(HTTP2_HEADER_NAME),
    TO_CLIENT(HTTP_STAT_CODE), TO_CLIENT(HTTP_HEADER), TO_CLIENT(HTTP_HEADER_RAW), TO_CLIENT(HTTP_HEADER_NAMES),
    TO_CLIENT(HTTP_RESPONSE_HEADER), TO_CLIENT(HTTP_COOKIE), TO_CLIENT(HTTP_CONTENT_TYPE), TO_CLIENT(HTTP_CONTENT_LEN),
    TO_CLIENT(HTTP_LOCATION), TO_CLIENT(HTTP_SERVER), TO_CLIENT(HTTP_RESPONSE_LINE), TO_CLIENT(HTTP_RESPONSE_BODY),
    TO_CLIENT(FILE_DATA), TO_CLIENT(FILE_NAME), TO_CLIENT(FILE_MAGIC), TO_CLIENT(FILE_MD5), TO_CLIENT(FILE_SHA1),
    TO_CLIENT(FILE_SHA256), TO_CLIENT(HTTP2_HEADER_NAME),
};

static bool give(reef_view bytes, reef_buffer *out)
{
    if (bytes.data == NULL)
        return false;
    *out = (reef_buffer){.bytes = bytes, .end = true};
    return true;
}

bool http2_field_get(const http2_message *message, const char *name, reef_view *out)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < message->count; i++)
        if (message->list[i].name.length == length && memcmp(message->list[i].name.data, name, length) == 0) {
            *out = message->list[i].value;
            return true;
        }
    return false;
}

static uint8_t *put(uint8_t *at, const void *data, size_t length)
{
    memcpy(at, data, length);
    return at + length;
}

/* Fields of one name are one list (a cookie comes in pieces). */
static bool field(http2_tx *tx, const http2_message *message, const char *name, reef_buffer *out)
{
    reef_view value;
    size_t length = strlen(name), size = 0;
    unsigned count = 0;
    if (!http2_field_get(message, name, &value))
        return false;
    for (uint32_t i = 0; i < message->count; i++)
        if (message->list[i].name.length == length && memcmp(message->list[i].name.data, name, length) == 0) {
            size += message->list[i].value.length + 2;
            count++;
        }
    if (count == 1)
        return give(value, out);
    uint8_t *begin = reef_arena_get(&tx->base.arena, size), *at = begin;
    if (begin == NULL)
        return false;
    for (uint32_t i = 0; i < message->count; i++)
        if (message->list[i].name.length == length && memcmp(message->list[i].name.data, name, length) == 0) {
            if (at > begin)
                at = put(at, ", ", 2);
            at = put(at, message->list[i].value.data, message->list[i].value.length);
        }
    return give((reef_view){begin, (uint32_t)(at - begin)}, out);
}

/* "name: value" lines, or names between line ends. */
static bool put_fields(http2_tx *tx, http2_message *message, bool values, reef_view *out)
{
    size_t size = 4;
    for (uint32_t i = 0; i < message->count; i++)
        size += message->list[i].name.length + (size_t)message->list[i].value.length + 4;
    uint8_t *begin = reef_arena_get(&tx->base.arena, size), *at = begin;
    if (begin == NULL)
        return false;
    if (!values)
        at = put(at, "\r\n", 2);
    for (uint32_t i = 0; i < message->count; i++) {
        at = put(at, message->list[i].name.data, message->list[i].name.length);
        if (values) {
            at = put(at, ": ", 2);
            at = put(at, message->list[i].value.data, message->list[i].value.length);
        }
        at = put(at, "\r\n", 2);
    }
    if (!values)
        at = put(at, "\r\n", 2);
    *out = (reef_view){begin, (uint32_t)(at - begin)};
    return true;
}

static bool header_buffer(http2_tx *tx, http2_message *message, bool values, reef_buffer *out)
{
    reef_view *view = values ? &message->header_buffer : &message->names_buffer;
    if (message->count == 0 || (view->data == NULL && !put_fields(tx, message, values, view)))
        return false;
    return give(*view, out);
}

static bool one_field(http2_tx *tx, const http2_message *message, unsigned index, bool value, reef_buffer *out)
{
    if (index >= message->count)
        return false;
    const http2_field *field = &message->list[index];
    if (!value)
        return give(field->name, out);
    uint32_t length = field->name.length + 2 + field->value.length;
    uint8_t *begin = reef_arena_get(&tx->base.arena, length);
    if (begin == NULL)
        return false;
    uint8_t *at = put(begin, field->name.data, field->name.length);
    at = put(at, ": ", 2);
    put(at, field->value.data, field->value.length);
    return give((reef_view){begin, length}, out);
}

/* The authority without user and port, in lower case. */
static bool host(http2_tx *tx, http2_message *message, reef_buffer *out)
{
    reef_view value;
    if (message->host_buffer.data != NULL)
        return give(message->host_buffer, out);
    if (!http2_field_get(message, ":authority", &value) && !http2_field_get(message, "host", &value))
        return false;
    const uint8_t *user = memchr(value.data, '@', value.length);
    if (user != NULL) {
        value.length -= (uint32_t)(user + 1 - value.data);
        value.data = user + 1;
    }
    const uint8_t *port = memchr(value.data, ':', value.length);
    if (port != NULL)
        value.length = (uint32_t)(port - value.data);
    uint8_t *lower = reef_arena_copy(&tx->base.arena, value.data, value.length);
    if (lower == NULL)
        return false;
    for (uint32_t i = 0; i < value.length; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] |= 0x20;
    message->host_buffer = (reef_view){lower, value.length};
    return give(message->host_buffer, out);
}

/* As the first line of HTTP/1 would be. */
static bool line(http2_tx *tx, http2_message *message, int direction, reef_buffer *out)
{
    reef_view first = {0}, second = {0};
    if (message->line_buffer.data != NULL)
        return give(message->line_buffer, out);
    bool request = direction == REEF_TO_SERVER;
    if (!http2_field_get(message, request ? ":method" : ":status", &first) ||
        (request && !http2_field_get(message, ":path", &second)))
        return false;
    uint8_t *begin = reef_arena_get(&tx->base.arena, (size_t)first.length + second.length + 16), *at = begin;
    if (begin == NULL)
        return false;
    if (!request)
        at = put(at, "HTTP/2 ", 7);
    at = put(at, first.data, first.length);
    if (request) {
        at = put(at, " ", 1);
        at = put(at, second.data, second.length);
        at = put(at, " HTTP/2", 7);
    }
    at = put(at, "\r\n", 2);
    message->line_buffer = (reef_view){begin, (uint32_t)(at - begin)};
    return give(message->line_buffer, out);
}

static bool of_field(http2_tx *tx, const http2_message *message, int direction, unsigned kind, reef_buffer *out)
{
    switch (kind) {
    case REEF_BUFFER_HTTP_URI:
    case REEF_BUFFER_HTTP_URI_RAW: return field(tx, message, ":path", out);
    case REEF_BUFFER_HTTP_METHOD: return field(tx, message, ":method", out);
    case REEF_BUFFER_HTTP_HOST_RAW: return field(tx, message, ":authority", out) || field(tx, message, "host", out);
    case REEF_BUFFER_HTTP_STAT_CODE: return field(tx, message, ":status", out);
    case REEF_BUFFER_HTTP_USER_AGENT: return field(tx, message, "user-agent", out);
    case REEF_BUFFER_HTTP_COOKIE: return field(tx, message, direction == REEF_TO_SERVER ? "cookie" : "set-cookie", out);
    case REEF_BUFFER_HTTP_CONTENT_TYPE: return field(tx, message, "content-type", out);
    case REEF_BUFFER_HTTP_CONTENT_LEN: return field(tx, message, "content-length", out);
    case REEF_BUFFER_HTTP_CONNECTION: return field(tx, message, "connection", out);
    case REEF_BUFFER_HTTP_ACCEPT: return field(tx, message, "accept", out);
    case REEF_BUFFER_HTTP_ACCEPT_ENC: return field(tx, message, "accept-encoding", out);
    case REEF_BUFFER_HTTP_ACCEPT_LANG: return field(tx, message, "accept-language", out);
    case REEF_BUFFER_HTTP_REFERER: return field(tx, message, "referer", out);
    case REEF_BUFFER_HTTP_LOCATION: return field(tx, message, "location", out);
    case REEF_BUFFER_HTTP_SERVER: return field(tx, message, "server", out);
    default: return false;
    }
}

bool http2_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  reef_buffer *out)
{
    (void)session;
    /* Only what is made on demand is changed: nothing that anybody else could see. */
    http2_tx *tx = (http2_tx *)(uintptr_t)transaction;
    http2_message *message = &tx->message[direction];
    switch (kind) {
    case REEF_BUFFER_HTTP_HEADER:
    case REEF_BUFFER_HTTP_HEADER_RAW: return header_buffer(tx, message, true, out);
    case REEF_BUFFER_HTTP_HEADER_NAMES: return header_buffer(tx, message, false, out);
    case REEF_BUFFER_HTTP_REQUEST_HEADER:
    case REEF_BUFFER_HTTP_RESPONSE_HEADER: return one_field(tx, message, index, true, out);
    case REEF_BUFFER_HTTP2_HEADER_NAME: return one_field(tx, message, index, false, out);
    case REEF_BUFFER_HTTP_HOST: return host(tx, message, out);
    case REEF_BUFFER_HTTP_REQUEST_LINE:
    case REEF_BUFFER_HTTP_RESPONSE_LINE: return line(tx, message, direction, out);
    case REEF_BUFFER_HTTP_REQUEST_BODY:
    case REEF_BUFFER_HTTP_RESPONSE_BODY:
    case REEF_BUFFER_FILE_DATA:
        return index == 0 && reef_body_window(&message->body, direction == REEF_TO_SERVER ? &http2_request_limits
                                                                                           : &http2_response_limits, out);
    case REEF_BUFFER_FILE_NAME:
    case REEF_BUFFER_FILE_MAGIC:
    case REEF_BUFFER_FILE_MD5:
    case REEF_BUFFER_FILE_SHA1:
    case REEF_BUFFER_FILE_SHA256: return reef_tx_file_buffer(message->files, kind, index, out);
    default: return of_field(tx, message, direction, kind, out);
    }
}

/* The `index`th frame type that was seen. */
static bool frame_type(const http2_message *message, unsigned index, uint64_t *out)
{
    for (unsigned type = 0; type < HTTP2_FRAME_TYPES; type++)
        if (message->types >> type & 1 && index-- == 0) {
            *out = type;
            return true;
        }
    return false;
}

static bool setting(const http2_message *message, unsigned kind, uint64_t *out)
{
    unsigned id = kind - REEF_VALUE_HTTP2_SETTING_1 + 1;
    *out = message->setting[id];
    return message->settings >> id & 1;
}

bool http2_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                 uint64_t *out)
{
    (void)session;
    const http2_message *message = &((const http2_tx *)transaction)->message[direction];
    if (kind == REEF_VALUE_HTTP2_FRAMETYPE)
        return frame_type(message, index, out);
    if (kind == REEF_VALUE_FILESIZE)
        return reef_tx_file_value(message->files, kind, index, out);
    if (index > 0)
        return false;
    switch (kind) {
    case REEF_VALUE_HTTP2_ERRORCODE:
        *out = message->error;
        return message->has_error;
    case REEF_VALUE_HTTP2_PRIORITY:
        *out = message->priority;
        return message->has_priority;
    case REEF_VALUE_HTTP2_WINDOW:
        *out = message->window;
        return message->has_window;
    default:
        return kind >= REEF_VALUE_HTTP2_SETTING_1 && kind <= REEF_VALUE_HTTP2_SETTING_6 && setting(message, kind, out);
    }
}

/* --- output -------------------------------------------------------------------------------------------------------- */

static void write_fields(reef_json *json, const char *key, const http2_message *message)
{
    enum { ROOM = 3 * REEF_HTTP_FIELD_MAX };
    if (message->count == 0)
        return;
    reef_json_open(json, key, '[');
    for (uint32_t i = 0; i < message->count && reef_json_room(json) > 2 * ROOM; i++) {
        const http2_field *field = &message->list[i];
        reef_json_open(json, NULL, '{');
        reef_json_bytes(json, "name", field->name.data, field->name.length, REEF_HTTP_FIELD_MAX);
        reef_json_bytes(json, "value", field->value.data, field->value.length, REEF_HTTP_FIELD_MAX);
        reef_json_close(json, '}');
    }
    reef_json_close(json, ']');
}

static void write_field(reef_json *json, const char *key, const http2_message *message, const char *name)
{
    reef_view value;
    if (http2_field_get(message, name, &value))
        reef_json_bytes(json, key, value.data, value.length, REEF_HTTP_FIELD_MAX);
}

static const char *error_name(uint32_t error)
{
    static const char *const names[] = {
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    };
    return error < sizeof names / sizeof names[0] ? names[error] : "UNKNOWN";
}

static void write_frames(reef_json *json, const char *key, const http2_message *message)
{
    static const char *const names[] = {
        NULL, "SETTINGSHEADERTABLESIZE", "SETTINGSENABLEPUSH", "SETTINGSMAXCONCURRENTSTREAMS", "SETTINGSINITIALWINDOWSIZE",
        "SETTINGSMAXFRAMESIZE", "SETTINGSMAXHEADERLISTSIZE",
    };
    if (message->settings == 0 && !message->has_error && !message->has_priority)
        return;
    reef_json_open(json, key, '{');
    if (message->settings != 0) {
        reef_json_open(json, "settings", '[');
        for (unsigned id = 1; id <= REEF_HTTP2_SETTINGS_MAX; id++)
            if (message->settings >> id & 1) {
                reef_json_open(json, NULL, '{');
                reef_json_text(json, "settings_id", names[id]);
                reef_json_number(json, "settings_value", message->setting[id]);
                reef_json_close(json, '}');
            }
        reef_json_close(json, ']');
    }
    if (message->has_error)
        reef_json_text(json, "error_code", error_name(message->error));
    if (message->has_priority)
        reef_json_number(json, "priority", message->priority);
    reef_json_close(json, '}');
}

bool http2_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)session;
    (void)which;
    const http2_tx *tx = (const http2_tx *)transaction;
    const http2_message *request = &tx->message[REEF_TO_SERVER], *response = &tx->message[REEF_TO_CLIENT];
    reef_view status;
    reef_json_text(json, "version", "2");
    write_fields(json, "request_headers", request);
    write_fields(json, "response_headers", response);
    write_field(json, "http_method", request, ":method");
    write_field(json, "url", request, ":path");
    write_field(json, "hostname", request, ":authority");
    write_field(json, "http_user_agent", request, "user-agent");
    write_field(json, "http_refer", request, "referer");
    write_field(json, "http_content_type", response, "content-type");
    if (http2_field_get(response, ":status", &status)) {
        uint64_t number = 0;
        for (uint32_t i = 0; i < status.length && i < 9 && status.data[i] >= '0' && status.data[i] <= '9'; i++)
            number = number * 10 + (status.data[i] - '0');
        reef_json_number(json, "status", number);
    }
    reef_json_number(json, "length", response->length);
    reef_json_open(json, "http2", '{');
    reef_json_number(json, "stream_id", tx->stream);
    write_frames(json, "request", request);
    write_frames(json, "response", response);
    reef_json_close(json, '}');
    return true;
}
