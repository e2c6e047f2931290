#include "reef/json.h"

#include <arpa/inet.h>

static const char hex_digits[] = "0123456789abcdef";

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                            "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

void reef_json_init(reef_json *json, char *memory, size_t size)
{
    json->start = json->at = memory;
    json->end = memory + size;
    json->full = false;
    json->comma = false;
}

static bool has_room(reef_json *json, size_t length)
{
    if (length <= reef_json_room(json))
        return true;
    json->full = true;
    return false;
}

static inline char *pair(char *at, unsigned value)
{
    memcpy(at, pairs + 2 * (size_t)value, 2);
    return at + 2;
}

/* --- numbers ----------------------------------------------------------------------------------------- */

static unsigned digits_of(uint64_t value)
{
    unsigned count = 1;
    for (; value >= 10000; value /= 10000)
        count += 4;
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

void reef_json_put_number(reef_json *json, uint64_t value)
{
    unsigned count = digits_of(value);
    if (!has_room(json, count))
        return;
    char *at = json->at + count;
    json->at = at;
    for (; value >= 100; value /= 100)
        (void)pair(at -= 2, (unsigned)(value % 100));
    if (value >= 10)
        (void)pair(at - 2, (unsigned)value);
    else
        at[-1] = (char)('0' + value);
}

void reef_json_put_hex(reef_json *json, unsigned value, unsigned digits)
{
    if (digits == 0)
        digits = value == 0 ? 1 : (35u - (unsigned)__builtin_clz(value)) / 4;
    if (!has_room(json, digits + 2))
        return;
    *json->at++ = '"';
    while (digits-- > 0)
        *json->at++ = hex_digits[value >> 4 * digits & 15];
    *json->at++ = '"';
}

/* --- text -------------------------------------------------------------------------------------------- */

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

/* Eight bytes of p, of which there are n; what is missing is 0. */
static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t word = 0;
    if (n >= 8) {
        memcpy(&word, p, 8);
    } else if (n >= 4) { /* two that overlap */
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        word = low | (uint64_t)high << 8 * (n - 4);
    } else if (n > 0) { /* the first, the middle and the last may be the same */
        word = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    }
    return word;
}

/* How many of the first bytes of a word are written as they are: printable ASCII but for quote and backslash. A borrow only
 * reaches bytes behind the first that is not, so the first is found exactly. */
static unsigned clean_bytes(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, high = ones << 7;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\', last = word ^ ones * 0x7f;
    uint64_t odd = (word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
                    ((backslash - ones) & ~backslash) | ((last - ones) & ~last)) & high;
    return odd == 0 ? 8 : (unsigned)__builtin_ctzll(odd) / 8;
}

void reef_json_put_bytes(reef_json *json, const uint8_t *data, size_t length, size_t limit)
{
    if (!has_room(json, 2))
        return;
    char *at = json->at, *stop = json->end - 1;
    bool cut = limit <= (size_t)(stop - at - 1); /* the limit comes before the end of the memory */
    *at++ = '"';
    if (cut)
        stop = at + limit;
    while (length > 0) {
        char out[6];
        unsigned used, n;
        if (stop - at >= 8) { /* what is behind the clean ones is written over */
            uint64_t word = load(data, length);
            memcpy(at, &word, 8);
            n = clean_bytes(word);
            at += n, data += n, length -= n;
            if (n == 8 || length == 0)
                continue;
        }
        n = escape(data, length, out, &used);
        if ((ptrdiff_t)n > stop - at) {
            json->full |= !cut;
            break;
        }
        memcpy(at, out, n);
        at += n, data += used, length -= used;
    }
    *at++ = '"';
    json->at = at;
}

void reef_json_put_base64(reef_json *json, const uint8_t *data, size_t length)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!has_room(json, (length + 2) / 3 * 4 + 2))
        return;
    char *at = json->at;
    *at++ = '"';
    for (; length > 0; data += 3, length -= length < 3 ? length : 3) {
        uint32_t v = (uint32_t)data[0] << 16 | (length > 1 ? (uint32_t)data[1] << 8 : 0) | (length > 2 ? data[2] : 0);
        *at++ = letters[v >> 18];
        *at++ = letters[v >> 12 & 63];
        *at++ = length > 1 ? letters[v >> 6 & 63] : '=';
        *at++ = length > 2 ? letters[v & 63] : '=';
    }
    *at++ = '"';
    json->at = at;
}

void reef_json_put_printable(reef_json *json, const uint8_t *data, size_t length)
{
    reef_json_raw(json, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        char out[6];
        unsigned used;
        uint8_t c = data[i] == '\n' || data[i] == '\r' || (data[i] >= 0x20 && data[i] < 0x7f) ? data[i] : '.';
        reef_json_raw(json, out, escape(&c, 1, out, &used));
    }
    reef_json_raw(json, "\"", 1);
}

/* --- addresses and times ----------------------------------------------------------------------------- */

static char *dotted(char *at, const uint8_t *address)
{
    for (int i = 0; i < 4; i++) {
        unsigned v = address[i];
        if (v >= 100) {
            *at++ = (char)('0' + v / 100);
            at = pair(at, v % 100);
        } else if (v >= 10) {
            at = pair(at, v);
        } else {
            *at++ = (char)('0' + v);
        }
        *at++ = '.';
    }
    return at - 1;
}

size_t reef_address_text(unsigned version, const uint8_t *address, char *out)
{
    if (version != 4) { /* RFC 5952, as glibc writes it */
        inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
        return strlen(out);
    }
    char *end = dotted(out, address);
    *end = '\0';
    return (size_t)(end - out);
}

void reef_json_put_address(reef_json *json, unsigned version, const uint8_t *address)
{
    if (!has_room(json, INET6_ADDRSTRLEN))
        return;
    char *at = json->at;
    *at++ = '"';
    if (version == 4) {
        at = dotted(at, address);
    } else {
        for (int i = 0; i < 16; i++) {
            if (i > 0 && i % 2 == 0)
                *at++ = ':';
            *at++ = hex_digits[address[i] >> 4];
            *at++ = hex_digits[address[i] & 15];
        }
    }
    *at++ = '"';
    json->at = at;
}

/* Days since the epoch to a date of the Gregorian calendar (Hinnant, chrono-compatible algorithms). Time in nanoseconds ends in
 * the year 2554, so 32 bits hold all of it. */
static void civil(uint32_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint32_t z = days + 719468, era = z / 146097, of_era = z % 146097;
    uint32_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

void reef_json_put_time(reef_json *json, uint64_t time_ns)
{
    enum { LENGTH = sizeof "\"2026-03-31T17:00:00.123456+0000\"" - 1 };
    uint64_t seconds = time_ns / 1000000000u;
    unsigned year, month, day, of_day = (unsigned)(seconds % 86400);
    unsigned micro = (unsigned)(time_ns - seconds * 1000000000u) / 1000;
    if (!has_room(json, LENGTH))
        return;
    civil((uint32_t)(seconds / 86400), &year, &month, &day);
    char *at = json->at;
    json->at += LENGTH;
    *at++ = '"';
    at = pair(pair(at, year / 100), year % 100), *at++ = '-';
    at = pair(at, month), *at++ = '-';
    at = pair(at, day), *at++ = 'T';
    at = pair(at, of_day / 3600), *at++ = ':';
    at = pair(at, of_day / 60 % 60), *at++ = ':';
    at = pair(at, of_day % 60), *at++ = '.';
    at = pair(pair(pair(at, micro / 10000), micro / 100 % 100), micro % 100);
    memcpy(at, "+0000\"", 6);
}
