/* HTTP: the request's URI, split and made uniform: percent-encoding undone, separators and dot segments reduced, UTF-8 brought
 * to single bytes. A URI that needs none of it stays a view of the request line. */
#include <arpa/inet.h>

#include "http_internal.h"

/* Bytes that a path is changed for, perhaps. */
static bool is_special(uint8_t c)
{
    return c == '%' || c == '\\' || c >= 0x80;
}

static bool path_is_plain(reef_view path)
{
    for (uint32_t i = 0; i < path.length; i++) {
        uint8_t c = path.data[i];
        if (is_special(c))
            return false;
        if (c == '/' && i + 1 < path.length && (path.data[i + 1] == '/' || path.data[i + 1] == '.'))
            return false;
    }
    return path.length == 0 || path.data[0] != '.';
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static uint8_t hex_value(uint8_t c)
{
    return c <= '9' ? c - '0' : (uint8_t)((c | 0x20) - 'a' + 10);
}

static uint8_t hex_pair(const uint8_t *p)
{
    return (uint8_t)(hex_value(p[0]) << 4 | hex_value(p[1]));
}

/* The byte that `%…` at `p` stands for, and how long it is; what is no encoding is a percent sign. `wide`: %uHHHH is one. */
static uint8_t percent(const uint8_t *p, uint32_t length, bool wide, uint32_t *used)
{
    *used = 1;
    if (length < 3)
        return '%';
    if (wide && (p[1] | 0x20) == 'u') {
        if (length < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5]))
            return '%';
        *used = 6;
        return http_bestfit((uint32_t)hex_pair(p + 2) << 8 | hex_pair(p + 4));
    }
    if (!is_hex(p[1]) || !is_hex(p[2]))
        return '%';
    *used = 3;
    return hex_pair(p + 1);
}

/* Into `out`, which may be the same memory. */
static uint32_t decode(const uint8_t *in, uint32_t length, bool wide, uint8_t *out)
{
    uint32_t to = 0, used;
    for (uint32_t at = 0; at < length; at += used) {
        used = 1;
        out[to++] = in[at] == '%' ? percent(in + at, length - at, wide, &used) : in[at];
    }
    return to;
}

/* The same for paths: backslashes are separators, several separators are one. */
static uint32_t decode_path(const uint8_t *in, uint32_t length, uint8_t *out)
{
    uint32_t to = 0, used;
    bool separator = false;
    for (uint32_t at = 0; at < length; at += used) {
        used = 1;
        uint8_t c = in[at] == '%' ? percent(in + at, length - at, true, &used) : in[at];
        if (c == '\\')
            c = '/';
        if (c == '/' && separator)
            continue;
        separator = c == '/';
        out[to++] = c;
    }
    return to;
}

/* How many bytes a UTF-8 character has that begins with `c`, overlong ones too; 0: none begins so. */
static unsigned utf8_length(uint8_t c)
{
    return c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
}

/* Neither surrogates nor what is behind the last codepoint. */
static bool utf8_continues(uint8_t first, uint32_t taken, uint8_t c)
{
    if ((c & 0xC0) != 0x80)
        return false;
    return taken > 1 || !((first == 0xED && c >= 0xA0) || (first == 0xF4 && c >= 0x90));
}

static uint32_t utf8_to_bytes(uint8_t *data, uint32_t length)
{
    uint32_t to = 0;
    for (uint32_t at = 0; at < length;) {
        unsigned size = utf8_length(data[at]);
        if (size <= 1) {
            data[to++] = size == 1 ? data[at] : '?';
            at++;
            continue;
        }
        uint32_t codepoint = data[at] & (0xFFu >> (size + 1)), taken = 1;
        while (taken < size && at + taken < length && utf8_continues(data[at], taken, data[at + taken]))
            codepoint = codepoint << 6 | (data[at + taken++] & 0x3Fu);
        if (taken == size)
            data[to++] = http_bestfit(codepoint);
        else if (at + taken < length)
            data[to++] = '?'; /* and the byte that does not belong to it is looked at anew */
        at += taken;
    }
    return to;
}

/* RFC 3986 5.2.4: remove dot segments. */
static uint32_t remove_dots(uint8_t *data, uint32_t length)
{
    uint32_t at = 0, to = 0;
    int c = -1;
    while (at < length) {
        if (c == -1)
            c = data[at++];
        uint32_t rest = length - at;
        const uint8_t *p = data + at;
        if (c == '.' && rest > 1 && p[0] == '.' && p[1] == '/') {
            c = -1;
            at += 2;
            continue;
        }
        if (c == '.' && rest > 0 && p[0] == '/') {
            c = -1;
            at += 1;
            continue;
        }
        if (c == '/' && rest > 0 && p[0] == '.' && (rest == 1 || p[1] == '/')) {
            at += rest == 1 ? 1 : 2;
            continue;
        }
        if (c == '/' && rest > 1 && p[0] == '.' && p[1] == '.' && (rest == 2 || p[2] == '/')) {
            at += rest == 2 ? 2 : 3;
            while (to > 0 && data[to - 1] != '/')
                to--;
            if (to > 0)
                to--;
            continue;
        }
        if (c == '.' && (rest == 0 || (rest == 1 && p[0] == '.')))
            return to;
        data[to++] = (uint8_t)c;
        while (at < length && data[at] != '/')
            data[to++] = data[at++];
        c = -1;
    }
    return to;
}

void http_hostport(reef_view text, reef_view *host, reef_view *port, int32_t *number, bool *invalid)
{
    *host = *port = (reef_view){0};
    *number = -1;
    *invalid = false;
    while (text.length > 0 && http_is_space(text.data[0])) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && http_is_space(text.data[text.length - 1]))
        text.length--;
    if (text.length == 0) {
        *invalid = true;
        return;
    }
    const uint8_t *end = text.data + text.length, *colon;
    if (text.data[0] == '[') {
        const uint8_t *bracket = memchr(text.data, ']', text.length);
        if (bracket == NULL) {
            *invalid = true;
            return;
        }
        *host = (reef_view){text.data, (uint32_t)(bracket + 1 - text.data)};
        colon = bracket + 1;
        if (colon == end)
            return;
        if (*colon != ':') {
            *invalid = true;
            return;
        }
    } else {
        colon = memchr(text.data, ':', text.length);
        *host = text;
        if (colon == NULL)
            return;
        host->length = (uint32_t)(colon - text.data);
        while (host->length > 0 && http_is_space(host->data[host->length - 1]))
            host->length--;
    }
    *port = (reef_view){colon + 1, (uint32_t)(end - colon - 1)};
    int64_t value = http_number(port->data, port->length, 10);
    if (value > 0 && value < 65536)
        *number = (int32_t)value;
    else
        *invalid = true;
}

bool http_host_valid(reef_view host)
{
    if (host.length == 0 || host.length > 255)
        return false;
    if (host.data[0] == '[') {
        char text[INET6_ADDRSTRLEN];
        uint8_t address[16];
        if (host.length < 2 || host.length - 2 >= sizeof text)
            return false;
        memcpy(text, host.data + 1, host.length - 2);
        text[host.length - 2] = 0;
        return inet_pton(AF_INET6, text, address) == 1;
    }
    uint32_t label = 0;
    for (uint32_t i = 0; i < host.length; i++) {
        uint8_t c = host.data[i];
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
        if (++label > 63)
            return false;
    }
    return true;
}

/* scheme "://" [user "@"] host [":" port], of which only the host and port are kept; returns where the path begins. */
static uint32_t split_authority(reef_view uri, uint32_t at, http_uri *parsed)
{
    if (at + 2 >= uri.length || uri.data[at] != '/' || uri.data[at + 1] != '/' || uri.data[at + 2] == '/')
        return at;
    uint32_t begin = at + 2, end = begin;
    while (end < uri.length && uri.data[end] != '?' && uri.data[end] != '/' && uri.data[end] != '#')
        end++;
    const uint8_t *user = memchr(uri.data + begin, '@', end - begin);
    if (user != NULL)
        begin = (uint32_t)(user + 1 - uri.data);
    reef_view host = {uri.data + begin, end - begin};
    uint32_t search = 0;
    if (host.length > 0 && host.data[0] == '[') {
        const uint8_t *bracket = memchr(host.data, ']', host.length);
        search = bracket == NULL ? host.length : (uint32_t)(bracket + 1 - host.data);
    }
    const uint8_t *colon = memchr(host.data + search, ':', host.length - search);
    if (colon != NULL) {
        parsed->port = (reef_view){colon + 1, (uint32_t)(host.data + host.length - colon - 1)};
        host.length = search != 0 ? search : (uint32_t)(colon - host.data);
    } else if (search != 0) {
        host.length = search;
    }
    parsed->host = host;
    return end;
}

static void split(reef_view uri, http_uri *parsed)
{
    uint32_t at = 0;
    if (uri.length == 0)
        return;
    if (uri.data[0] != '/') {
        const uint8_t *colon = memchr(uri.data, ':', uri.length);
        if (colon != NULL)
            at = split_authority(uri, (uint32_t)(colon + 1 - uri.data), parsed);
    }
    uint32_t end = at;
    while (end < uri.length && uri.data[end] != '?' && uri.data[end] != '#')
        end++;
    parsed->path = (reef_view){uri.data + at, end - at};
    if (end < uri.length && uri.data[end] == '?') {
        const uint8_t *hash = memchr(uri.data + end, '#', uri.length - end);
        uint32_t query_end = hash == NULL ? uri.length : (uint32_t)(hash - uri.data);
        parsed->query = (reef_view){uri.data + end + 1, query_end - end - 1};
        end = query_end;
    }
    if (end < uri.length)
        parsed->fragment = (reef_view){uri.data + end + 1, uri.length - end - 1};
}

static bool normalise_host(http_tx *tx, reef_view *host)
{
    uint8_t *out = reef_arena_get(&tx->base.arena, host->length);
    if (out == NULL)
        return false;
    uint32_t length = decode(host->data, host->length, true, out);
    for (uint32_t i = 0; i < length; i++)
        out[i] = http_lower(out[i]);
    while (length > 0 && out[length - 1] == '.')
        length--;
    *host = (reef_view){out, length};
    return true;
}

enum { PART_PATH, PART_QUERY, PART_FRAGMENT };

static bool normalise(http_tx *tx, reef_view *view, int part)
{
    bool path = part == PART_PATH;
    if (view->data == NULL || (path ? path_is_plain(*view) : memchr(view->data, '%', view->length) == NULL))
        return true;
    uint8_t *out = reef_arena_get(&tx->base.arena, view->length);
    if (out == NULL)
        return false;
    uint32_t length = path ? decode_path(view->data, view->length, out)
                           : decode(view->data, view->length, part == PART_FRAGMENT, out);
    if (path)
        length = remove_dots(out, utf8_to_bytes(out, length));
    *view = (reef_view){out, length};
    return true;
}

static uint32_t put(uint8_t *out, uint32_t at, char mark, reef_view part)
{
    if (part.data == NULL)
        return at;
    if (mark != 0)
        out[at++] = (uint8_t)mark;
    memcpy(out + at, part.data, part.length);
    return at + part.length;
}

/* path, "?", query, "#", fragment: what rules know as the URI. */
static bool put_together(http_tx *tx)
{
    const http_uri *uri = &tx->parsed;
    uint8_t *out = reef_arena_get(&tx->base.arena, (size_t)uri->path.length + uri->query.length + uri->fragment.length + 2);
    if (out == NULL)
        return false;
    uint32_t length = put(out, 0, 0, uri->path);
    length = put(out, length, '?', uri->query);
    length = put(out, length, '#', uri->fragment);
    tx->uri = (reef_view){out, length};
    return true;
}

static void take_port(http_uri *uri)
{
    uri->port_number = -1;
    if (uri->port.data == NULL)
        return;
    int64_t number = http_number(uri->port.data, uri->port.length, 10);
    if (number > 0 && number < 65536)
        uri->port_number = (int32_t)number;
    else
        uri->host_invalid = true;
}

bool http_uri_parse(http_tx *tx)
{
    http_uri *uri = &tx->parsed;
    if (tx->method_number == HTTP_METHOD_CONNECT) {
        int32_t number = -1;
        if (tx->uri_raw.data != NULL)
            http_hostport(tx->uri_raw, &uri->host, &uri->port, &number, &uri->host_invalid);
    } else if (tx->uri_raw.data != NULL) {
        split(tx->uri_raw, uri);
    }
    take_port(uri);
    if (uri->host.data != NULL) {
        if (!normalise_host(tx, &uri->host))
            return false;
        if (!http_host_valid(uri->host))
            uri->host_invalid = true;
    }
    http_uri before = *uri;
    if (!normalise(tx, &uri->path, PART_PATH) || !normalise(tx, &uri->query, PART_QUERY) ||
        !normalise(tx, &uri->fragment, PART_FRAGMENT))
        return false;
    if (uri->path.data == before.path.data && uri->query.data == before.query.data && uri->fragment.data == before.fragment.data) {
        if (uri->path.data != NULL) /* nothing was changed: from the path to the end */
            tx->uri = (reef_view){uri->path.data, (uint32_t)(tx->uri_raw.data + tx->uri_raw.length - uri->path.data)};
        else
            tx->uri = (reef_view){(const uint8_t *)"", 0};
        return true;
    }
    return put_together(tx);
}
