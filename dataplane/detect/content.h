/* content: where a pattern stands in a stretch of bytes. */
#ifndef REEF_CONTENT_H
#define REEF_CONTENT_H

#include <stdbool.h>

#include "reef/view.h"

/* ASCII letters of either case are one when `nocase`. NULL: nowhere. `pattern.length` is not 0. */
const uint8_t *content_find(const uint8_t *data, uint32_t length, reef_view pattern, bool nocase);
bool content_equal(const uint8_t *a, const uint8_t *b, uint32_t length, bool nocase);

static inline uint8_t ascii_lower(uint8_t byte)
{
    return (uint8_t)(byte - 'A') < 26 ? (uint8_t)(byte | 0x20) : byte;
}

static inline uint8_t ascii_upper(uint8_t byte)
{
    return (uint8_t)(byte - 'a') < 26 ? (uint8_t)(byte & ~0x20) : byte;
}

#endif
