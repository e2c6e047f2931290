/* JA3 and JA3S (MD5 of what a hello offers), JA4 (FoxIO's successor), as Suricata makes them. */
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reef/bytes.h"
#include "tls_hello.h"

enum { LIST_MAX = 512 }; /* numbers of one list that go into JA4 */

static const char figures[] = "0123456789abcdef";

static bool is_grease(uint32_t value) /* RFC 8701 */
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* --- JA3 ---------------------------------------------------------------------------------------------------- */

static char *put_number(char *at, uint32_t value)
{
    char digits[10];
    unsigned n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

/* Numbers of two bytes (or one), joined. */
static char *put_list(char *at, reef_view list, uint32_t item, bool grease)
{
    char *start = at;
    for (uint32_t i = 0; i + item <= list.length; i += item) {
        uint32_t value = item == 2 ? reef_be16(list.data + i) : list.data[i];
        if (item == 2 && !grease && is_grease(value))
            continue;
        if (at != start)
            *at++ = '-';
        at = put_number(at, value);
    }
    return at;
}

static char *put_extensions(char *at, reef_view list, bool grease)
{
    char *start = at;
    while (list.length >= 4) {
        uint32_t type = reef_be16(list.data), step = 4u + reef_be16(list.data + 2);
        if (grease || !is_grease(type)) {
            if (at != start)
                *at++ = '-';
            at = put_number(at, type);
        }
        list.data += step;
        list.length -= step < list.length ? step : list.length;
    }
    return at;
}

bool reef_ja3_string(const reef_tls_hello *hello, bool server, bool grease, reef_arena *arena, reef_view *out)
{
    /* Six bytes are enough for each number of two bytes, four for each of one, six for each extension of at least four. */
    size_t room = 16 + 3 * (size_t)(hello->ciphers.length + hello->groups.length) + 4 * (size_t)hello->formats.length +
                  2 * (size_t)hello->extensions.length;
    char *text = reef_arena_get(arena, room), *at = text;
    if (text == NULL)
        return false;
    at = put_number(at, hello->legacy_version);
    *at++ = ',';
    at = put_list(at, hello->ciphers, 2, grease);
    *at++ = ',';
    at = put_extensions(at, hello->extensions, grease);
    if (!server) {
        *at++ = ',';
        at = put_list(at, hello->groups, 2, grease);
        *at++ = ',';
        at = put_list(at, hello->formats, 1, grease);
    }
    *out = (reef_view){(const uint8_t *)text, (uint32_t)(at - text)};
    return true;
}

bool reef_md5_text(reef_view data, reef_arena *arena, reef_view *out)
{
    struct md5_ctx md5;
    uint8_t digest[MD5_DIGEST_SIZE];
    md5_init(&md5);
    md5_update(&md5, data.length, data.data);
    md5_digest(&md5, sizeof digest, digest);
    char *text = reef_arena_get(arena, 2 * sizeof digest);
    if (text == NULL)
        return false;
    for (size_t i = 0; i < sizeof digest; i++) {
        text[2 * i] = figures[digest[i] >> 4];
        text[2 * i + 1] = figures[digest[i] & 15];
    }
    *out = (reef_view){(const uint8_t *)text, 2 * sizeof digest};
    return true;
}

/* --- JA4 ---------------------------------------------------------------------------------------------------- */

typedef struct numbers {
    uint16_t value[LIST_MAX];
    uint32_t count;
} numbers;

static void add(numbers *list, uint32_t value)
{
    if (!is_grease(value) && list->count < LIST_MAX)
        list->value[list->count++] = (uint16_t)value;
}

static int by_value(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

static void hash_numbers(struct sha256_ctx *sha, const numbers *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        uint16_t v = list->value[i];
        uint8_t text[5] = {',', (uint8_t)figures[v >> 12], (uint8_t)figures[v >> 8 & 15], (uint8_t)figures[v >> 4 & 15],
                           (uint8_t)figures[v & 15]};
        sha256_update(sha, i > 0 ? 5 : 4, i > 0 ? text : text + 1);
    }
}

static void put_hash(struct sha256_ctx *sha, char out[12])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(sha, sizeof digest, digest);
    for (unsigned i = 0; i < 6; i++) {
        out[2 * i] = figures[digest[i] >> 4];
        out[2 * i + 1] = figures[digest[i] & 15];
    }
}

static const char *version_code(uint16_t version)
{
    switch (version) {
    case 0x0304: return "13";
    case 0x0303: return "12";
    case 0x0302: return "11";
    case 0x0301: return "10";
    case 0x0300: return "s3";
    default: return "00";
    }
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* First and last character of the first protocol. */
static void alpn_code(reef_view alpn, char out[2])
{
    out[0] = out[1] = '0';
    if (alpn.length < 2 || alpn.data[0] == 0 || alpn.data[0] >= alpn.length)
        return;
    uint32_t length = alpn.data[0];
    uint8_t first = alpn.data[1], last = alpn.data[length];
    if (length == 2 && is_grease((uint32_t)first << 8 | last))
        return;
    bool plain = is_alphanumeric(first) && is_alphanumeric(last);
    out[0] = plain ? (char)first : figures[first >> 4];
    out[1] = plain ? (char)last : figures[last & 15];
}

bool reef_ja4(const reef_tls_hello *hello, char transport, reef_arena *arena, reef_view *out)
{
    numbers ciphers, extensions, algorithms;
    uint32_t count = 0;
    bool domain = false;
    char alpn[2], *text = reef_arena_get(arena, 40);
    if (text == NULL)
        return false;
    ciphers.count = extensions.count = algorithms.count = 0;
    for (uint32_t i = 0; i + 2 <= hello->ciphers.length; i += 2)
        add(&ciphers, reef_be16(hello->ciphers.data + i));
    for (uint32_t i = 0; i + 2 <= hello->algorithms.length; i += 2)
        add(&algorithms, reef_be16(hello->algorithms.data + i));
    for (reef_view list = hello->extensions; list.length >= 4;) {
        uint32_t type = reef_be16(list.data), step = 4u + reef_be16(list.data + 2);
        count += !is_grease(type);
        domain |= type == 0;
        if (type != 0 && type != 16)
            add(&extensions, type);
        list.data += step;
        list.length -= step < list.length ? step : list.length;
    }
    alpn_code(hello->alpn, alpn);
    snprintf(text, 40, "%c%s%c%02u%02u%c%c_", transport, version_code(hello->highest_version), domain ? 'd' : 'i',
             ciphers.count < 99 ? ciphers.count : 99, count < 99 ? count : 99, alpn[0], alpn[1]);

    struct sha256_ctx sha;
    qsort(ciphers.value, ciphers.count, sizeof ciphers.value[0], by_value);
    qsort(extensions.value, extensions.count, sizeof extensions.value[0], by_value);
    sha256_init(&sha);
    hash_numbers(&sha, &ciphers);
    put_hash(&sha, text + 11);
    text[23] = '_';
    sha256_init(&sha);
    hash_numbers(&sha, &extensions);
    sha256_update(&sha, 1, (const uint8_t *)"_");
    hash_numbers(&sha, &algorithms);
    put_hash(&sha, text + 24);
    *out = (reef_view){(const uint8_t *)text, 36};
    return true;
}
