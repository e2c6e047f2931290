/* transform: a buffer made into another before contents are looked for in it. Made once per round and kept until its end. */
#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <string.h>

#include "content.h"
#include "match_internal.h"
#include "transform.h"

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool keep(reef_buffer *buffer, uint8_t *data, uint32_t length)
{
    buffer->bytes = (reef_view){data, length};
    return true;
}

static bool dotprefix(reef_matcher *matcher, reef_view in, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length + 1);
    if (data == NULL)
        return false;
    data[0] = '.';
    if (in.length > 0)
        memcpy(data + 1, in.data, in.length);
    return keep(out, data, in.length + 1);
}

static bool whitespace(reef_matcher *matcher, reef_view in, bool compress, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length);
    uint32_t made = 0;
    if (data == NULL)
        return false;
    for (uint32_t i = 0; i < in.length; i++) {
        if (!is_space(in.data[i]))
            data[made++] = in.data[i];
        else if (compress && (i == 0 || !is_space(in.data[i - 1])))
            data[made++] = in.data[i];
    }
    return keep(out, data, made);
}

/* `until_colon`: only the names of header lines. */
static bool change_case(reef_matcher *matcher, reef_view in, bool upper, bool until_colon, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length);
    bool name = true;
    if (data == NULL)
        return false;
    for (uint32_t i = 0; i < in.length; i++) {
        uint8_t byte = in.data[i];
        if (until_colon && byte == ':')
            name = false;
        else if (until_colon && byte == '\n')
            name = true;
        data[i] = !name ? byte : upper ? ascii_upper(byte) : ascii_lower(byte);
    }
    return keep(out, data, in.length);
}

static bool digest(reef_matcher *matcher, reef_view in, unsigned kind, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, 32);
    if (data == NULL)
        return false;
    if (kind == REEF_TRANSFORM_TO_MD5) {
        struct md5_ctx md5;
        md5_init(&md5);
        md5_update(&md5, in.length, in.data);
        md5_digest(&md5, 16, data);
        return keep(out, data, 16);
    }
    if (kind == REEF_TRANSFORM_TO_SHA1) {
        struct sha1_ctx sha1;
        sha1_init(&sha1);
        sha1_update(&sha1, in.length, in.data);
        sha1_digest(&sha1, 20, data);
        return keep(out, data, 20);
    }
    struct sha256_ctx sha256;
    sha256_init(&sha256);
    sha256_update(&sha256, in.length, in.data);
    sha256_digest(&sha256, 32, data);
    return keep(out, data, 32);
}

static int hex_of(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool url_decode(reef_matcher *matcher, reef_view in, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length);
    uint32_t made = 0;
    if (data == NULL)
        return false;
    for (uint32_t i = 0; i < in.length; i++) {
        uint8_t byte = in.data[i];
        bool escape = byte == '%' && i + 2 < in.length;
        int high = escape ? hex_of(in.data[i + 1]) : -1, low = escape ? hex_of(in.data[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        data[made++] = byte;
    }
    return keep(out, data, made);
}

static bool xor_with(reef_matcher *matcher, reef_view in, reef_view key, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length);
    if (data == NULL || key.length == 0)
        return false;
    for (uint32_t i = 0; i < in.length; i++)
        data[i] = in.data[i] ^ key.data[i % key.length];
    return keep(out, data, in.length);
}

static bool from_base64(reef_matcher *matcher, reef_view in, const reef_transform *transform, reef_buffer *out)
{
    uint32_t offset = transform->b & 0xffff, mode = transform->b >> 16;
    if (offset > in.length)
        return true; /* as it was */
    in.data += offset;
    in.length -= offset;
    if (transform->a > 0 && transform->a < in.length)
        in.length = transform->a;
    uint32_t room = in.length / 4 * 3 + 3;
    uint8_t *data = round_get(matcher, room);
    if (data == NULL)
        return false;
    uint32_t made = base64_decode(in, data, room, mode);
    return made == 0 ? true : keep(out, data, made);
}

static bool by_expression(reef_matcher *matcher, const reef_transform *transform, reef_buffer *out)
{
    uint32_t span[2];
    const struct expression *expression = rules_transform_expression(matcher->rules, (uint32_t)(transform - matcher->rules->transform));
    if (expression == NULL || expression_search(expression, matcher->expression, out->bytes, 0, span) != 1)
        return true;
    if (!expression_group(matcher->expression, 1, span))
        return true;
    out->bytes.data += span[0];
    out->bytes.length = span[1] - span[0];
    return true;
}

/* Lines of HTTP/2's pseudo headers (":method: GET") go. */
static bool strip_pseudo_headers(reef_matcher *matcher, reef_view in, reef_buffer *out)
{
    uint8_t *data = round_get(matcher, in.length);
    uint32_t made = 0;
    if (data == NULL)
        return false;
    for (uint32_t at = 0; at < in.length;) {
        const uint8_t *newline = memchr(in.data + at, '\n', in.length - at);
        uint32_t length = newline != NULL ? (uint32_t)(newline - (in.data + at)) + 1 : in.length - at;
        if (in.data[at] != ':') {
            memcpy(data + made, in.data + at, length);
            made += length;
        }
        at += length;
    }
    return keep(out, data, made);
}

/* The name under the public suffix, and the suffix: by the last labels; suffixes of two labels are those of `second`. */
static bool domain_of(reef_buffer *buffer, bool only_top)
{
    static const char second[][4] = {"co", "com", "net", "org", "gov", "edu", "ac"};
    reef_view in = buffer->bytes;
    uint32_t start[3] = {0, 0, 0}, labels = 0, end = in.length;
    for (uint32_t i = in.length; i > 0 && labels < 3; i--)
        if (in.data[i - 1] == '.')
            start[labels++] = i;
    if (labels == 0)
        return true;
    uint32_t suffix = 1;
    if (end - start[0] == 2 && labels >= 2) {
        uint32_t length = start[0] - 1 - start[1];
        for (unsigned k = 0; k < sizeof second / sizeof *second; k++)
            if (strlen(second[k]) == length && content_equal(in.data + start[1], (const uint8_t *)second[k], length, true))
                suffix = 2;
    }
    uint32_t wanted = only_top ? suffix : suffix + 1;
    uint32_t from = wanted <= labels ? start[wanted - 1] : 0;
    buffer->bytes = (reef_view){in.data + from, end - from};
    return true;
}

static bool apply_one(reef_matcher *matcher, const reef_transform *transform, reef_buffer *buffer)
{
    reef_view in = buffer->bytes;
    switch (transform->kind) {
    case REEF_TRANSFORM_DOTPREFIX: return dotprefix(matcher, in, buffer);
    case REEF_TRANSFORM_STRIP_WHITESPACE: return whitespace(matcher, in, false, buffer);
    case REEF_TRANSFORM_COMPRESS_WHITESPACE: return whitespace(matcher, in, true, buffer);
    case REEF_TRANSFORM_TO_LOWERCASE: return change_case(matcher, in, false, false, buffer);
    case REEF_TRANSFORM_TO_UPPERCASE: return change_case(matcher, in, true, false, buffer);
    case REEF_TRANSFORM_HEADER_LOWERCASE: return change_case(matcher, in, false, true, buffer);
    case REEF_TRANSFORM_TO_MD5:
    case REEF_TRANSFORM_TO_SHA1:
    case REEF_TRANSFORM_TO_SHA256: return digest(matcher, in, transform->kind, buffer);
    case REEF_TRANSFORM_URL_DECODE: return url_decode(matcher, in, buffer);
    case REEF_TRANSFORM_XOR: return xor_with(matcher, in, rules_text(matcher->rules, transform->argument), buffer);
    case REEF_TRANSFORM_FROM_BASE64: return from_base64(matcher, in, transform, buffer);
    case REEF_TRANSFORM_PCREXFORM: return by_expression(matcher, transform, buffer);
    case REEF_TRANSFORM_STRIP_PSEUDO_HEADERS: return strip_pseudo_headers(matcher, in, buffer);
    case REEF_TRANSFORM_DOMAIN: return domain_of(buffer, false);
    case REEF_TRANSFORM_TLD: return domain_of(buffer, true);
    default: return false;
    }
}

bool transform_apply(reef_matcher *matcher, const reef_transform *transform, unsigned transforms, reef_buffer *buffer)
{
    for (unsigned i = 0; i < transforms; i++)
        if (!apply_one(matcher, &transform[i], buffer))
            return false;
    return true;
}
