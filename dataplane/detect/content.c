/* content: first and last byte of the pattern are looked for in sixteen places at once; only where both stand is the rest
 * compared. */
#include "content.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

bool content_equal(const uint8_t *a, const uint8_t *b, uint32_t length, bool nocase)
{
    if (!nocase)
        return memcmp(a, b, length) == 0;
    for (uint32_t i = 0; i < length; i++)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

static const uint8_t *find_plain(const uint8_t *data, uint32_t length, reef_view pattern, bool nocase)
{
    uint8_t first = ascii_lower(pattern.data[0]);
    for (uint32_t i = 0; i + pattern.length <= length; i++)
        if (ascii_lower(data[i]) == first && content_equal(data + i, pattern.data, pattern.length, nocase))
            return data + i;
    return NULL;
}

const uint8_t *content_find(const uint8_t *data, uint32_t length, reef_view pattern, bool nocase)
{
    if (pattern.length > length)
        return NULL;
    if (pattern.length == 1 && !nocase)
        return memchr(data, pattern.data[0], length);
    uint32_t i = 0;
#ifdef __SSE2__
    uint8_t first = pattern.data[0], last = pattern.data[pattern.length - 1];
    const __m128i first_a = _mm_set1_epi8((char)(nocase ? ascii_lower(first) : first));
    const __m128i first_b = _mm_set1_epi8((char)(nocase ? ascii_upper(first) : first));
    const __m128i last_a = _mm_set1_epi8((char)(nocase ? ascii_lower(last) : last));
    const __m128i last_b = _mm_set1_epi8((char)(nocase ? ascii_upper(last) : last));
    uint32_t behind = pattern.length - 1;
    for (; (uint64_t)i + behind + 16 <= length; i += 16) {
        __m128i heads = _mm_loadu_si128((const __m128i *)(data + i));
        __m128i tails = _mm_loadu_si128((const __m128i *)(data + i + behind));
        __m128i head = _mm_or_si128(_mm_cmpeq_epi8(heads, first_a), _mm_cmpeq_epi8(heads, first_b));
        __m128i tail = _mm_or_si128(_mm_cmpeq_epi8(tails, last_a), _mm_cmpeq_epi8(tails, last_b));
        unsigned both = (unsigned)_mm_movemask_epi8(_mm_and_si128(head, tail));
        for (; both != 0; both &= both - 1) {
            const uint8_t *place = data + i + __builtin_ctz(both);
            if (content_equal(place, pattern.data, pattern.length, nocase))
                return place;
        }
    }
#endif
    return find_plain(data + i, length - i, pattern, nocase);
}
