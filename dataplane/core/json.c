#include "reef/json.h"

#include <arpa/inet.h>
#include <string.h>

#include "reef/bytes.h"

static const char hex_digits[] = "0123456789abcdef";

void reef_json_init(reef_json *json, char *memory, size_t size)
{
    json->start = json->at = memory;
    json->end = memory + size;
    json->full = false;
    json->comma = false;
}

void reef_json_raw(reef_json *json, const char *text, size_t length)
{
    if (length > reef_json_room(json)) {
        json->full = true;
        return;
    }
    if (length > 0) /* nothing may be at NULL, which memcpy does not take */
        memcpy(json->at, text, length);
    json->at += length;
}

static void put(reef_json *json, char c)
{
    if (json->at == json->end)
        json->full = true;
    else
        *json->at++ = c;
}

static void key_of(reef_json *json, const char *key)
{
    if (json->comma)
        put(json, ',');
    json->comma = true;
    if (key == NULL)
        return;
    put(json, '"');
    reef_json_raw(json, key, strlen(key));
    reef_json_raw(json, "\":", 2);
}

void reef_json_open(reef_json *json, const char *key, char bracket)
{
    key_of(json, key);
    put(json, bracket);
    json->comma = false;
}

void reef_json_close(reef_json *json, char bracket)
{
    put(json, bracket);
    json->comma = true;
}

static void decimal(reef_json *json, uint64_t value)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof digits - ++n] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    reef_json_raw(json, digits + sizeof digits - n, n);
}

void reef_json_number(reef_json *json, const char *key, uint64_t value)
{
    key_of(json, key);
    decimal(json, value);
}

void reef_json_bool(reef_json *json, const char *key, bool value)
{
    key_of(json, key);
    reef_json_raw(json, value ? "true" : "false", value ? 4 : 5);
}

/* Length of the UTF-8 sequence at p (RFC 3629: shortest form, no surrogates), or 0. */
static unsigned utf8_length(const uint8_t *p, size_t n)
{
    uint8_t a = p[0];
    if (a >= 0xc2 && a <= 0xdf)
        return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (a >= 0xe0 && a <= 0xef) {
        if (n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
            return 0;
        if ((a == 0xe0 && p[1] < 0xa0) || (a == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (a >= 0xf0 && a <= 0xf4) {
        if (n < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80)
            return 0;
        if ((a == 0xf0 && p[1] < 0x90) || (a == 0xf4 && p[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

/* The escaped form of one character at p into `out` (up to 6 bytes); `used` says how many bytes of p it was. */
static unsigned escape(const uint8_t *p, size_t n, char *out, unsigned *used)
{
    uint8_t c = *p;
    *used = 1;
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c < 0x20 || c == 0x7f) {
        memcpy(out, "\\u00", 4);
        out[4] = hex_digits[c >> 4];
        out[5] = hex_digits[c & 15];
        return 6;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    unsigned length = utf8_length(p, n);
    if (length > 0) {
        memcpy(out, p, length);
        *used = length;
        return length;
    }
    memcpy(out, "\\\\x", 3);
    out[3] = hex_digits[c >> 4];
    out[4] = hex_digits[c & 15];
    return 5;
}

void reef_json_bytes(reef_json *json, const char *key, const uint8_t *data, size_t length, size_t limit)
{
    key_of(json, key);
    put(json, '"');
    size_t written = 0;
    while (length > 0) {
        char out[6];
        unsigned used, n = escape(data, length, out, &used);
        if (written + n > limit)
            break;
        reef_json_raw(json, out, n);
        written += n;
        data += used;
        length -= used;
    }
    put(json, '"');
}

void reef_json_base64(reef_json *json, const char *key, const uint8_t *data, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    key_of(json, key);
    put(json, '"');
    for (; length > 0; data += 3, length -= length < 3 ? length : 3) {
        uint32_t v = (uint32_t)data[0] << 16 | (length > 1 ? (uint32_t)data[1] << 8 : 0) | (length > 2 ? data[2] : 0);
        char four[4] = {letters[v >> 18], letters[v >> 12 & 63], length > 1 ? letters[v >> 6 & 63] : '=',
                        length > 2 ? letters[v & 63] : '='};
        reef_json_raw(json, four, 4);
    }
    put(json, '"');
}

void reef_json_printable(reef_json *json, const char *key, const uint8_t *data, size_t length)
{
    key_of(json, key);
    put(json, '"');
    for (size_t i = 0; i < length; i++) {
        char out[6];
        unsigned used;
        uint8_t c = data[i] == '\n' || data[i] == '\r' || (data[i] >= 0x20 && data[i] < 0x7f) ? data[i] : '.';
        reef_json_raw(json, out, escape(&c, 1, out, &used));
    }
    put(json, '"');
}

void reef_json_text(reef_json *json, const char *key, const char *value)
{
    reef_json_bytes(json, key, (const uint8_t *)value, strlen(value), SIZE_MAX);
}

void reef_json_hex(reef_json *json, const char *key, unsigned value, unsigned digits)
{
    key_of(json, key);
    put(json, '"');
    while (digits-- > 0)
        put(json, hex_digits[value >> 4 * digits & 15]);
    put(json, '"');
}

size_t reef_address_text(unsigned version, const uint8_t *address, char *out)
{
    if (version != 4) { /* RFC 5952, as glibc writes it */
        inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
        return strlen(out);
    }
    char *at = out;
    for (int i = 0; i < 4; i++) {
        unsigned v = address[i];
        if (v >= 100)
            *at++ = (char)('0' + v / 100);
        if (v >= 10)
            *at++ = (char)('0' + v / 10 % 10);
        *at++ = (char)('0' + v % 10);
        *at++ = '.';
    }
    *--at = '\0';
    return (size_t)(at - out);
}

void reef_json_address(reef_json *json, const char *key, unsigned version, const uint8_t *address)
{
    char text[INET6_ADDRSTRLEN];
    size_t length = 0;
    if (version == 4) {
        length = reef_address_text(version, address, text);
    } else {
        for (int i = 0; i < 16; i++) {
            if (i > 0 && i % 2 == 0)
                text[length++] = ':';
            text[length++] = hex_digits[address[i] >> 4];
            text[length++] = hex_digits[address[i] & 15];
        }
    }
    key_of(json, key);
    put(json, '"');
    reef_json_raw(json, text, length);
    put(json, '"');
}

/* Days since the epoch to a date of the Gregorian calendar (Hinnant, chrono-compatible algorithms). */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t shifted = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (unsigned)(year_of_era + era * 400 + (*month <= 2));
}

static char *padded(char *at, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

void reef_json_time(reef_json *json, const char *key, uint64_t time_ns)
{
    uint64_t seconds = time_ns / 1000000000u;
    unsigned year, month, day, of_day = (unsigned)(seconds % 86400);
    civil(seconds / 86400, &year, &month, &day);
    char text[40], *at = text;
    *at++ = '"';
    at = padded(at, year, 4), *at++ = '-';
    at = padded(at, month, 2), *at++ = '-';
    at = padded(at, day, 2), *at++ = 'T';
    at = padded(at, of_day / 3600, 2), *at++ = ':';
    at = padded(at, of_day / 60 % 60, 2), *at++ = ':';
    at = padded(at, of_day % 60, 2), *at++ = '.';
    at = padded(at, (unsigned)(time_ns % 1000000000u / 1000), 6);
    memcpy(at, "+0000\"", 6);
    key_of(json, key);
    reef_json_raw(json, text, (size_t)(at + 6 - text));
}

void reef_json_members(reef_json *json, const char *text, size_t length)
{
    if (length == 0)
        return;
    if (json->comma)
        put(json, ',');
    json->comma = true;
    reef_json_raw(json, text, length);
}
