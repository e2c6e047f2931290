/* HTTP/1: the head of each request (RFC 9112). */
#include "reef/app.h"
#include "reef/bytes.h"

static const char *const methods[] = {
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE",
    "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
};

/* Do the bytes begin with a known method and a space? `more`: so far they could. */
static bool begins_with_method(const uint8_t *p, uint32_t n, uint32_t *length, bool *more)
{
    *more = false;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        uint32_t m = (uint32_t)strlen(methods[i]);
        if (n > m) {
            if (memcmp(p, methods[i], m) == 0 && p[m] == ' ') {
                *length = m;
                return true;
            }
        } else if (memcmp(p, methods[i], n) == 0) {
            *more = true;
        }
    }
    return false;
}

/* The line at `p` without its end; the number of bytes up to the next line is returned, 0 when there is no end. */
static uint32_t line_at(const uint8_t *p, uint32_t n, reef_view *line)
{
    const uint8_t *end = memchr(p, '\n', n);
    if (end == NULL)
        return 0;
    uint32_t length = (uint32_t)(end - p);
    *line = (reef_view){p, length > 0 && p[length - 1] == '\r' ? length - 1 : length};
    return length + 1;
}

static bool name_is(reef_view line, const char *name, reef_view *value)
{
    uint32_t m = (uint32_t)strlen(name);
    if (line.length <= m || line.data[m] != ':')
        return false;
    for (uint32_t i = 0; i < m; i++)
        if ((line.data[i] | 0x20) != name[i])
            return false;
    uint32_t at = m + 1, end = line.length;
    while (at < end && (line.data[at] == ' ' || line.data[at] == '\t'))
        at++;
    while (end > at && (line.data[end - 1] == ' ' || line.data[end - 1] == '\t'))
        end--;
    *value = (reef_view){line.data + at, end - at};
    return true;
}

static bool split_request_line(reef_view line, uint32_t method_length, reef_http *http)
{
    http->method = (reef_view){line.data, method_length};
    const uint8_t *p = line.data + method_length + 1;
    uint32_t n = line.length - method_length - 1;
    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    const uint8_t *space = n > 0 ? memrchr(p, ' ', n) : NULL;
    if (space != NULL && n - (uint32_t)(space - p) > 5 && memcmp(space + 1, "HTTP/", 5) == 0) {
        http->protocol = (reef_view){space + 1, n - (uint32_t)(space + 1 - p)};
        n = (uint32_t)(space - p);
    }
    http->target = (reef_view){p, n};
    return n > 0 && (http->protocol.length > 0 || *p == '/' || *p == '*');
}

static reef_app_answer parse(const reef_app_input *input, reef_app_transaction *transaction)
{
    reef_http *http = &transaction->http;
    const uint8_t *p = input->bytes.data;
    uint32_t n = input->bytes.length, method_length = 0;
    bool more;

    if (input->direction == REEF_TO_CLIENT)
        return n >= 7 && memcmp(p, "HTTP/1.", 7) == 0 ? REEF_APP_NOTHING
               : input->known ? REEF_APP_NOTHING : REEF_APP_NOT_THIS;
    if (!begins_with_method(p, n, &method_length, &more)) {
        if (more)
            return REEF_APP_MORE;
        return input->known ? REEF_APP_NOTHING : REEF_APP_NOT_THIS;
    }
    memset(http, 0, sizeof *http);
    reef_view line;
    uint32_t used = line_at(p, n, &line);
    if (used == 0)
        return REEF_APP_MORE;
    if (line.length <= method_length || !split_request_line(line, method_length, http))
        return REEF_APP_NOT_THIS;
    for (uint32_t at = used; at < n; at += used) {
        used = line_at(p + at, n - at, &line);
        if (used == 0)
            return REEF_APP_MORE;
        if (line.length == 0)
            return REEF_APP_TRANSACTION;
        reef_view value;
        if (http->host.data == NULL && name_is(line, "host", &value))
            http->host = value;
        else if (http->user_agent.data == NULL && name_is(line, "user-agent", &value))
            http->user_agent = value;
        else if (http->referer.data == NULL && name_is(line, "referer", &value))
            http->referer = value;
    }
    return http->protocol.length == 0 ? REEF_APP_TRANSACTION : REEF_APP_MORE; /* HTTP/0.9 has one line */
}

static void write_view(reef_json *text, const char *key, reef_view view)
{
    if (view.length > 0)
        reef_json_bytes(text, key, view.data, view.length, REEF_HTTP_FIELD_MAX);
}

/* "host:port" is two members; an IPv6 literal keeps its brackets and colons. */
static void write_host(reef_json *text, reef_view host)
{
    uint32_t digits = 0, port = 0;
    while (digits < host.length && digits < 6) {
        uint8_t c = host.data[host.length - 1 - digits];
        if (c < '0' || c > '9')
            break;
        digits++;
    }
    if (digits > 0 && digits < 6 && host.length > digits + 1 && host.data[host.length - 1 - digits] == ':') {
        for (uint32_t i = host.length - digits; i < host.length; i++)
            port = port * 10 + (uint32_t)(host.data[i] - '0');
        host.length -= digits + 1;
    }
    write_view(text, "hostname", host);
    if (port > 0)
        reef_json_number(text, "http_port", port);
}

static void write(const reef_app_transaction *transaction, reef_json *text)
{
    const reef_http *http = &transaction->http;
    write_host(text, http->host);
    write_view(text, "url", http->target);
    write_view(text, "http_user_agent", http->user_agent);
    write_view(text, "http_refer", http->referer);
    write_view(text, "http_method", http->method);
    write_view(text, "protocol", http->protocol);
}

const reef_app_protocol reef_app_http = {
    .name = "http", .ip_protocol = REEF_PROTO_TCP, .parse = parse, .write = write};
