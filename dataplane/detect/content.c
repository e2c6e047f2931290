/* content: first and last byte of the pattern are looked for in many places at once; only where both stand is the rest
 * compared. */
#include "content.h"

#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

/* --- comparing --------------------------------------------------------------------------------------- */

static inline uint64_t load8(const uint8_t *data)
{
    uint64_t value;
    memcpy(&value, data, sizeof value);
    return value;
}

static inline uint64_t load4(const uint8_t *data)
{
    uint32_t value;
    memcpy(&value, data, sizeof value);
    return value;
}

/* Eight bytes with their letters small: what is added to the seven lower bits tells by the eighth where they begin and end. */
static inline uint64_t lower8(uint64_t bytes)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t low = bytes & 0x7f * each;
    uint64_t from = low + (0x80 - 'A') * each, behind = low + (0x7f - 'Z') * each;
    return bytes | (from & ~behind & ~bytes & 0x80 * each) >> 2;
}

static inline bool equal8(uint64_t a, uint64_t b, bool nocase)
{
    const uint64_t letter = 0x2020202020202020u;
    if (!nocase || ((a ^ b) & ~letter) != 0)
        return a == b;
    return lower8(a) == lower8(b);
}

bool content_equal(const uint8_t *a, const uint8_t *b, uint32_t length, bool nocase)
{
    if (length < 4) {
        for (uint32_t i = 0; i < length; i++)
            if (nocase ? ascii_lower(a[i]) != ascii_lower(b[i]) : a[i] != b[i])
                return false;
        return true;
    }
    if (length < 8)
        return equal8(load4(a), load4(b), nocase) && equal8(load4(a + length - 4), load4(b + length - 4), nocase);
    for (uint32_t i = 0; i + 8 < length; i += 8)
        if (!equal8(load8(a + i), load8(b + i), nocase))
            return false;
    return equal8(load8(a + length - 8), load8(b + length - 8), nocase);
}

/* --- finding ----------------------------------------------------------------------------------------- */

/* First and last byte of a pattern; a letter that may be of either case is compared with this bit set in both. */
typedef struct ends {
    uint8_t first, first_fold, last, last_fold;
} ends;

static uint8_t fold_of(uint8_t byte, bool nocase)
{
    return nocase && (uint8_t)((byte | 0x20) - 'a') < 26 ? 0x20 : 0;
}

static ends ends_of(reef_view pattern, bool nocase)
{
    uint8_t first = pattern.data[0], last = pattern.data[pattern.length - 1];
    ends of = {.first_fold = fold_of(first, nocase), .last_fold = fold_of(last, nocase)};
    of.first = first | of.first_fold;
    of.last = last | of.last_fold;
    return of;
}

static const uint8_t *find_plain(const uint8_t *data, uint32_t places, reef_view pattern, bool nocase)
{
    uint8_t first = ascii_lower(pattern.data[0]);
    for (uint32_t i = 0; i < places; i++)
        if (ascii_lower(data[i]) == first && content_equal(data + i, pattern.data, pattern.length, nocase))
            return data + i;
    return NULL;
}

#ifdef __SSE2__
/* `places`: how many the pattern may begin at, sixteen at least. The last sixteen may have been looked at in part. */
static const uint8_t *find_many(const uint8_t *data, uint32_t places, reef_view pattern, bool nocase)
{
    ends of = ends_of(pattern, nocase);
    const __m128i first = _mm_set1_epi8((char)of.first), first_fold = _mm_set1_epi8((char)of.first_fold);
    const __m128i last = _mm_set1_epi8((char)of.last), last_fold = _mm_set1_epi8((char)of.last_fold);
    uint32_t behind = pattern.length - 1;
    for (uint32_t i = 0;; i = i + 32 <= places ? i + 16 : places - 16) {
        __m128i heads = _mm_loadu_si128((const __m128i *)(data + i));
        __m128i tails = _mm_loadu_si128((const __m128i *)(data + i + behind));
        __m128i head = _mm_cmpeq_epi8(_mm_or_si128(heads, first_fold), first);
        __m128i tail = _mm_cmpeq_epi8(_mm_or_si128(tails, last_fold), last);
        unsigned both = (unsigned)_mm_movemask_epi8(_mm_and_si128(head, tail));
        for (; both != 0; both &= both - 1) {
            const uint8_t *place = data + i + __builtin_ctz(both);
            if (content_equal(place, pattern.data, pattern.length, nocase))
                return place;
        }
        if (i + 16 >= places)
            return NULL;
    }
}
#endif

#ifdef __x86_64__
/* The same for sixty-four places at once, and any number of them. */
static __attribute__((target("avx512f,avx512bw"))) const uint8_t *find_wide(const uint8_t *data, uint32_t places, reef_view pattern, bool nocase)
{
    ends of = ends_of(pattern, nocase);
    const __m512i first = _mm512_set1_epi8((char)of.first), first_fold = _mm512_set1_epi8((char)of.first_fold);
    const __m512i last = _mm512_set1_epi8((char)of.last), last_fold = _mm512_set1_epi8((char)of.last_fold);
    uint32_t behind = pattern.length - 1;
    for (uint32_t i = 0; i < places; i += 64) {
        __mmask64 there = places - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (places - i)) - 1;
        __m512i heads = _mm512_maskz_loadu_epi8(there, data + i);
        __m512i tails = _mm512_maskz_loadu_epi8(there, data + i + behind);
        __mmask64 both = _mm512_mask_cmpeq_epi8_mask(there, _mm512_or_si512(heads, first_fold), first);
        both = _mm512_mask_cmpeq_epi8_mask(both, _mm512_or_si512(tails, last_fold), last);
        for (; both != 0; both &= both - 1) {
            const uint8_t *place = data + i + __builtin_ctzll(both);
            if (content_equal(place, pattern.data, pattern.length, nocase))
                return place;
        }
    }
    return NULL;
}
#endif

const uint8_t *content_find(const uint8_t *data, uint32_t length, reef_view pattern, bool nocase)
{
    if (pattern.length > length)
        return NULL;
    if (pattern.length == 1 && !nocase)
        return memchr(data, pattern.data[0], length);
    uint32_t places = length - pattern.length + 1;
    if (places == 1) /* mostly a place that the rule names */
        return content_equal(data, pattern.data, length, nocase) ? data : NULL;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512bw"))
        return find_wide(data, places, pattern, nocase);
#endif
#ifdef __SSE2__
    if (places >= 16)
        return find_many(data, places, pattern, nocase);
#endif
    return find_plain(data, places, pattern, nocase);
}
