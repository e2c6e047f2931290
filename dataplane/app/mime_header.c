/* Parameters of structured header fields (RFC 2045 5.1, RFC 2231). */
#include <string.h>
#include <strings.h>

#include "mime.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool reef_mime_is(reef_view field, const char *token)
{
    uint32_t from = 0;
    while (from < field.length && is_space(field.data[from]))
        from++;
    size_t length = strlen(token);
    return field.length - from >= length && strncasecmp((const char *)field.data + from, token, length) == 0;
}

/* Behind the parameter at `at`: the next ';' that is not in quotes. */
static uint32_t skip_value(reef_view field, uint32_t at)
{
    bool quoted = false;
    for (; at < field.length; at++) {
        uint8_t c = field.data[at];
        if (c == '\\' && quoted)
            at++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ';' && !quoted)
            return at;
    }
    return field.length;
}

static uint32_t copy_value(reef_view field, uint32_t at, bool encoded, uint8_t *out, uint32_t size)
{
    uint32_t n = 0, end = skip_value(field, at);
    bool quoted = at < end && field.data[at] == '"';
    if (!quoted)
        while (end > at && is_space(field.data[end - 1]))
            end--;
    for (uint32_t i = at + quoted; i < end; i++) {
        uint8_t c = field.data[i];
        if (quoted && c == '"')
            break;
        if (quoted && c == '\\' && i + 1 < end && (field.data[i + 1] == '"' || field.data[i + 1] == '\\'))
            c = field.data[++i];
        unsigned value;
        char digits[3] = {0};
        if (encoded && c == '%' && i + 2 < end) {
            memcpy(digits, field.data + i + 1, 2);
            static const char alphabet[] = "0123456789abcdef";
            const char *high = strchr(alphabet, digits[0] | (digits[0] > '9' ? 0x20 : 0));
            const char *low = strchr(alphabet, digits[1] | (digits[1] > '9' ? 0x20 : 0));
            if (digits[0] != 0 && digits[1] != 0 && high != NULL && low != NULL) {
                value = (unsigned)(high - alphabet) << 4 | (unsigned)(low - alphabet);
                c = (uint8_t)value;
                i += 2;
            }
        }
        if (n < size)
            out[n] = c;
        n++;
    }
    return n;
}

/* Where the value of `name` followed by `tail` begins; 0: it is not there. */
static uint32_t find(reef_view field, const char *name, const char *tail)
{
    size_t length = strlen(name), tail_length = strlen(tail);
    uint32_t at = skip_value(field, 0);
    while (at < field.length) {
        at++;
        while (at < field.length && is_space(field.data[at]))
            at++;
        const char *p = (const char *)field.data + at;
        if (field.length - at > length + tail_length && strncasecmp(p, name, length) == 0 &&
            strncasecmp(p + length, tail, tail_length) == 0) {
            uint32_t value = at + (uint32_t)(length + tail_length);
            while (value < field.length && is_space(field.data[value]))
                value++;
            if (value < field.length && field.data[value] == '=') {
                value++;
                while (value < field.length && is_space(field.data[value]))
                    value++;
                return value;
            }
        }
        at = skip_value(field, at);
    }
    return 0;
}

/* UTF-8''text: the text; the charset is not looked at, as names are matched as bytes. */
static uint32_t past_charset(reef_view field, uint32_t at)
{
    uint32_t end = skip_value(field, at), quotes = 0;
    for (uint32_t i = at; i < end; i++)
        if (field.data[i] == '\'' && ++quotes == 2)
            return i + 1;
    return at;
}

uint32_t reef_mime_parameter(reef_view field, const char *name, uint8_t *out, uint32_t size)
{
    uint32_t at = find(field, name, "");
    if (at != 0)
        return copy_value(field, at, false, out, size);
    at = find(field, name, "*");
    if (at != 0)
        return copy_value(field, past_charset(field, at), true, out, size);
    uint32_t n = 0;
    for (unsigned part = 0; part < 10; part++) { /* RFC 2231 3: pieces */
        char plain[3] = {'*', (char)('0' + part), 0}, encoded[4] = {'*', (char)('0' + part), '*', 0};
        bool is_encoded = false;
        at = find(field, name, plain);
        if (at == 0) {
            at = find(field, name, encoded);
            is_encoded = true;
        }
        if (at == 0)
            break;
        if (is_encoded && part == 0)
            at = past_charset(field, at);
        n += copy_value(field, at, is_encoded, n < size ? out + n : out, n < size ? size - n : 0);
    }
    return n;
}
