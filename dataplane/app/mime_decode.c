#include <string.h>

#include "mime.h"

enum { OTHER = 64, SPACE = 65, PAD = 66 };

static inline uint8_t value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    switch (c) {
    case '+': return 62;
    case '/': return 63;
    case '=': return PAD;
    case ' ': case '\t': case '\r': case '\n': return SPACE;
    default: return OTHER;
    }
}

uint32_t reef_base64_decode(reef_base64 *state, reef_view text, uint8_t *out, bool *invalid)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < text.length; i++) {
        uint8_t v = value_of(text.data[i]);
        if (v == PAD) {
            n += reef_base64_end(state, out + n);
            state->ended = true;
            continue;
        }
        if (v > 63) {
            *invalid = *invalid || v == OTHER;
            continue;
        }
        state->bits = state->bits << 6 | v;
        if (++state->count < 4)
            continue;
        out[n++] = (uint8_t)(state->bits >> 16);
        out[n++] = (uint8_t)(state->bits >> 8);
        out[n++] = (uint8_t)state->bits;
        state->count = 0;
        state->bits = 0;
    }
    return n;
}

uint32_t reef_base64_end(reef_base64 *state, uint8_t *out)
{
    uint32_t n = 0;
    if (state->count == 2) {
        out[n++] = (uint8_t)(state->bits >> 4);
    } else if (state->count == 3) {
        out[n++] = (uint8_t)(state->bits >> 10);
        out[n++] = (uint8_t)(state->bits >> 2);
    }
    state->bits = 0;
    state->count = 0;
    return n;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t reef_quoted_decode(reef_view text, bool ends, uint8_t *out, bool *joined, bool *invalid)
{
    uint32_t n = 0;
    const uint8_t *at = text.data, *end = text.data + text.length;
    *joined = false;
    while (at < end) {
        const uint8_t *mark = memchr(at, '=', (size_t)(end - at));
        size_t plain = (size_t)((mark != NULL ? mark : end) - at);
        memcpy(out + n, at, plain);
        n += (uint32_t)plain;
        if (mark == NULL)
            break;
        if (mark + 1 == end && ends) {
            *joined = true;
            break;
        }
        int high = mark + 2 < end ? hex(mark[1]) : -1, low = mark + 2 < end ? hex(mark[2]) : -1;
        if (high < 0 || low < 0) {
            *invalid = true;
            out[n++] = '=';
            at = mark + 1;
            continue;
        }
        out[n++] = (uint8_t)(high << 4 | low);
        at = mark + 3;
    }
    return n;
}
