/* HTTP: the first lines of messages, and the numbers in them. */
#include "http_internal.h"

bool http_equal_nocase(const uint8_t *a, const uint8_t *b, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (a[i] != b[i] && http_lower(a[i]) != http_lower(b[i]))
            return false;
    return true;
}

bool http_view_like(reef_view view, const char *text)
{
    for (uint32_t i = 0; i < view.length; i++) {
        if (view.data[i] == 0)
            continue;
        if (*text == 0 || http_lower(view.data[i]) != (uint8_t)*text)
            return false;
        text++;
    }
    return *text == 0;
}

bool http_view_has(reef_view view, const char *text)
{
    for (uint32_t from = 0; from < view.length; from++) {
        if (view.data[from] == 0)
            continue;
        const char *wanted = text;
        for (uint32_t i = from; i < view.length && *wanted != 0; i++) {
            if (view.data[i] == 0)
                continue;
            if (http_lower(view.data[i]) != (uint8_t)*wanted)
                break;
            wanted++;
        }
        if (*wanted == 0)
            return true;
    }
    return false;
}

/* Without the line ends behind it: LF or CR LF, as many as there are. */
uint32_t http_chomp(const uint8_t *data, uint32_t length)
{
    while (length > 0 && (data[length - 1] == '\n' || data[length - 1] == '\r')) {
        length--;
        if (length > 0 && data[length] == '\n' && data[length - 1] == '\r')
            length--;
    }
    return length;
}

uint8_t http_method_number(reef_view method)
{
    static const char *const others[] = {
        "GET", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
        "VERSION-CONTROL", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE", "MKACTIVITY",
        "BASELINE-CONTROL", "MERGE", "INVALID",
    };
    if (http_view_is(method, "GET"))
        return HTTP_METHOD_OTHER;
    if (http_view_is(method, "POST"))
        return HTTP_METHOD_POST;
    if (http_view_is(method, "HEAD"))
        return HTTP_METHOD_HEAD;
    if (http_view_is(method, "PUT"))
        return HTTP_METHOD_PUT;
    if (http_view_is(method, "CONNECT"))
        return HTTP_METHOD_CONNECT;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (http_view_is(method, others[i]))
            return HTTP_METHOD_OTHER;
    return HTTP_METHOD_UNKNOWN;
}

/* Strict, unlike the rest: what is not one of the three is invalid. */
int16_t http_protocol_number(reef_view protocol)
{
    if (protocol.length != 8 || memcmp(protocol.data, "HTTP/", 5) != 0 || protocol.data[6] != '.')
        return HTTP_PROTOCOL_INVALID;
    if (protocol.data[5] == '0' && protocol.data[7] == '9')
        return HTTP_PROTOCOL_0_9;
    if (protocol.data[5] == '1' && protocol.data[7] == '0')
        return HTTP_PROTOCOL_1_0;
    if (protocol.data[5] == '1' && protocol.data[7] == '1')
        return HTTP_PROTOCOL_1_1;
    return HTTP_PROTOCOL_INVALID;
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* Digits at the start; `*used` of them. -1: none, -2: too many. */
static int64_t digits(const uint8_t *data, uint32_t length, unsigned base, uint32_t *used)
{
    int64_t value = 0;
    uint32_t i = 0;
    for (; i < length; i++) {
        int digit = digit_of(data[i]);
        if (digit >= (int)base)
            break;
        if (value > (INT64_MAX - digit) / (int64_t)base)
            return -2;
        value = value * (int64_t)base + digit;
    }
    *used = i;
    return i == 0 ? -1 : value;
}

/* A number with nothing but blanks around it; negative: it is not one. */
int64_t http_number(const uint8_t *data, uint32_t length, unsigned base)
{
    uint32_t at = 0, used = 0;
    while (at < length && http_is_blank(data[at]))
        at++;
    int64_t value = digits(data + at, length - at, base, &used);
    if (value < 0)
        return value;
    for (at += used; at < length; at++)
        if (!http_is_blank(data[at]))
            return -1;
    return value;
}

/* The first number in it, whatever stands around. */
int64_t http_content_length(reef_view value)
{
    uint32_t at = 0, used = 0;
    while (at < value.length && (value.data[at] < '0' || value.data[at] > '9'))
        at++;
    return at == value.length ? -1 : digits(value.data + at, value.length - at, 10, &used);
}

int64_t http_chunk_length(const uint8_t *data, uint32_t length, bool *extension)
{
    *extension = false;
    while (length > 0 && http_is_space(*data)) {
        data++;
        length--;
    }
    if (length == 0)
        return HTTP_CHUNK_EMPTY;
    uint32_t used = 0;
    int64_t value = digits(data, length, 16, &used);
    if (value < 0)
        return -1;
    *extension = memchr(data + used, ';', length - used) != NULL;
    return value > INT32_MAX ? -1 : value;
}

int16_t http_status_number(reef_view status)
{
    int64_t number = http_number(status.data, status.length, 10);
    return number >= 100 && number <= 999 ? (int16_t)number : HTTP_STATUS_INVALID;
}

/* Where a status line should be, does this look like one to a browser? */
bool http_line_is_body(const uint8_t *data, uint32_t length)
{
    while (length > 0 && (http_is_space(*data) || *data == 0)) {
        data++;
        length--;
    }
    return length < 4 || !http_equal_nocase(data, (const uint8_t *)"http", 4);
}

/* `length` with the line's end. */
bool http_line_ends_headers(const uint8_t *data, uint32_t length, bool no_end_follows)
{
    if (length == 1)
        return data[0] == '\r' || data[0] == '\n';
    if (length == 2 && data[0] == '\r')
        return true;
    return length == 2 && http_is_blank(data[0]) && data[1] == '\n' && no_end_follows;
}

static uint32_t skip_spaces(reef_view line, uint32_t at)
{
    while (at < line.length && http_is_space(line.data[at]))
        at++;
    return at;
}

static uint32_t skip_word(reef_view line, uint32_t at)
{
    while (at < line.length && !http_is_space(line.data[at]))
        at++;
    return at;
}

static reef_view part(reef_view line, uint32_t from, uint32_t to)
{
    return (reef_view){line.data + from, to - from};
}

/* The end of a URI: a space; where there is none, any white space. */
static uint32_t uri_end(reef_call *call, http_tx *tx, reef_view line, uint32_t from)
{
    const uint8_t *space = memchr(line.data + from, ' ', line.length - from);
    uint32_t end = space != NULL ? (uint32_t)(space - line.data) : line.length, other = skip_word(line, from);
    if (other < end)
        http_tell(call, tx, HTTP_EVENT_URI_DELIM_NON_COMPLIANT);
    return space != NULL ? end : other;
}

void http_split_request_line(reef_call *call, http_tx *tx)
{
    http_message *request = &tx->message[REEF_TO_SERVER];
    reef_view line = request->line;
    uint32_t begin = skip_spaces(line, 0);
    if (begin > 0)
        http_tell(call, tx, HTTP_EVENT_REQUEST_LINE_LEADING_WHITESPACE);
    uint32_t end = skip_word(line, begin);
    tx->method = part(line, begin, end);
    tx->method_number = http_method_number(tx->method);
    uint32_t uri = skip_spaces(line, end);
    for (uint32_t i = end; i < uri; i++)
        if (line.data[i] != ' ') {
            http_tell(call, tx, HTTP_EVENT_METHOD_DELIM_NON_COMPLIANT);
            break;
        }
    if (uri == line.length) {
        tx->short_form = true;
        request->protocol_number = HTTP_PROTOCOL_0_9;
        return;
    }
    end = uri_end(call, tx, line, uri);
    tx->uri_raw = part(line, uri, end);
    uint32_t protocol = skip_spaces(line, end);
    if (protocol == line.length) {
        tx->short_form = true;
        request->protocol_number = HTTP_PROTOCOL_0_9;
        return;
    }
    request->protocol = part(line, protocol, line.length);
    request->protocol_number = http_protocol_number(request->protocol);
}

void http_split_response_line(reef_call *call, http_tx *tx)
{
    http_message *response = &tx->message[REEF_TO_CLIENT];
    reef_view line = response->line;
    response->protocol = tx->status = tx->reason = (reef_view){0};
    response->protocol_number = HTTP_PROTOCOL_INVALID;
    tx->status_number = HTTP_STATUS_INVALID;
    uint32_t begin = skip_spaces(line, 0), end = skip_word(line, begin);
    if (end > begin) {
        response->protocol = part(line, begin, end);
        response->protocol_number = http_protocol_number(response->protocol);
        begin = skip_spaces(line, end);
        end = skip_word(line, begin);
    }
    if (response->protocol.length > 0 && end > begin) {
        tx->status = part(line, begin, end);
        tx->status_number = http_status_number(tx->status);
        begin = skip_spaces(line, end);
        if (begin < line.length)
            tx->reason = part(line, begin, line.length);
    }
    if (response->protocol_number == HTTP_PROTOCOL_INVALID)
        http_tell(call, tx, HTTP_EVENT_RESPONSE_INVALID_PROTOCOL);
    if (tx->status_number == HTTP_STATUS_INVALID)
        http_tell(call, tx, HTTP_EVENT_RESPONSE_INVALID_STATUS);
}
