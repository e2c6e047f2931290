/* scanner: patterns are found in three ways.
 *
 * Those that can stand in one place only are held against that place. Those of five bytes and more are found by two of their
 * four-byte stretches, one at an even and one at an odd place, so that looking at every second place of a buffer finds them all;
 * a bitmap of hashes that fits into the nearest cache says where none of them can stand. Shorter ones, of which there are few, are
 * found by tables of their nibbles (brief.c) or, where these let too much through or the processor lacks what they need, by
 * Vectorscan. Letters are folded for the bitmap; the pattern itself is compared where it may stand. */
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "content.h"
#include "scanner_internal.h"

static __attribute__((noinline)) void verify(const scan *at, uint32_t place, uint32_t gram)
{
    const scanner *of = at->of;
    uint32_t bucket = gram * SPREAD >> of->bucket_shift, last = at->bytes.length - GRAM;
    for (uint32_t i = of->bucket[bucket]; i < of->bucket[bucket + 1]; i++) {
        const gram_entry *entry = &of->gram[i];
        if (entry->gram != gram)
            continue;
        uint32_t aside = place + (uint32_t)entry->aside; /* a great number in front of the buffer */
        if (aside <= last && ((gram_at(at->bytes.data + aside) | FOLD) & entry->mask) != entry->beside)
            continue;
        if (at->scratch->seen[entry->pattern] == at->scratch->scan || entry->at > place)
            continue;
        const kept_pattern *pattern = &of->pattern[entry->pattern];
        uint32_t start = place - entry->at;
        if (pattern->length > at->bytes.length - start || !scan_is_placed(at, pattern, start) ||
            !content_equal(at->bytes.data + start, of->text + pattern->text, pattern->length, pattern->nocase))
            continue;
        at->scratch->seen[entry->pattern] = at->scratch->scan;
        scan_take(at, pattern);
    }
}

static inline uint32_t may_stand(const uint64_t *bitmap, unsigned shift, const uint8_t *data)
{
    uint32_t hash = (gram_at(data) | FOLD) * SPREAD >> shift;
    return (uint32_t)(bitmap[hash >> 6] >> (hash & 63)) & 1;
}

#ifdef __x86_64__
/* The same for sixteen places at once, twice: those of even and of odd words. */
static __attribute__((target("avx512f,avx512bw"))) uint32_t scan_wide(const scan *at)
{
    const int *bitmap = (const int *)at->of->bitmap;
    const uint8_t *data = at->bytes.data;
    const __m512i fold = _mm512_set1_epi32((int)FOLD), spread = _mm512_set1_epi32((int)SPREAD), one = _mm512_set1_epi32(1);
    const __m512i low = _mm512_set1_epi32(31);
    const __m128i shift = _mm_cvtsi32_si128((int)at->of->shift);
    uint32_t i = 0;
    for (; (uint64_t)i + 66 <= at->bytes.length; i += 64) {
        for (uint32_t half = 0; half < 4; half += 2) {
            __m512i grams = _mm512_or_si512(_mm512_loadu_si512(data + i + half), fold);
            __m512i hash = _mm512_srl_epi32(_mm512_mullo_epi32(grams, spread), shift);
            __m512i words = _mm512_i32gather_epi32(_mm512_srli_epi32(hash, 5), bitmap, 4);
            __mmask16 hits = _mm512_test_epi32_mask(words, _mm512_sllv_epi32(one, _mm512_and_si512(hash, low)));
            for (uint32_t left = hits; left != 0; left &= left - 1) {
                uint32_t place = i + half + 4 * (uint32_t)__builtin_ctz(left);
                verify(at, place, gram_at(data + place) | FOLD);
            }
        }
    }
    return i;
}

bool scanner_is_wide(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
#else
static uint32_t scan_wide(const scan *at)
{
    (void)at;
    return 0;
}

bool scanner_is_wide(void)
{
    return false;
}
#endif

static void scan_long(const scan *at)
{
    const uint64_t *bitmap = at->of->bitmap;
    const uint8_t *data = at->bytes.data;
    unsigned shift = at->of->shift;
    uint32_t length = at->bytes.length, i = at->of->wide ? scan_wide(at) : 0;
    for (; i + 16 + GRAM <= length; i += 16) {
        uint32_t hits = may_stand(bitmap, shift, data + i);
        for (unsigned k = 1; k < 8; k++)
            hits |= may_stand(bitmap, shift, data + i + 2 * k) << k;
        for (; hits != 0; hits &= hits - 1) {
            uint32_t place = i + 2 * (uint32_t)__builtin_ctz(hits);
            verify(at, place, gram_at(data + place) | FOLD);
        }
    }
    for (; i + GRAM <= length; i += 2)
        if (may_stand(bitmap, shift, data + i))
            verify(at, i, gram_at(data + i) | FOLD);
}

static void scan_fixed(const scan *at)
{
    const scanner *of = at->of;
    for (uint32_t n = 0; n < of->fixed_places; n++) {
        const fixed_place *fixed = &of->fixed[n];
        if (fixed->place < at->offset || fixed->place - at->offset >= at->bytes.length)
            continue;
        const uint8_t *data = at->bytes.data + (fixed->place - at->offset);
        uint32_t left = at->bytes.length - (uint32_t)(fixed->place - at->offset);
        for (uint32_t i = fixed->first[*data]; i < fixed->first[*data + 1]; i++) {
            const kept_pattern *pattern = &of->pattern[of->fixed_list[i]];
            if (pattern->length <= left && memcmp(data, of->text + pattern->text, pattern->length) == 0)
                scan_take(at, pattern);
        }
    }
}

static int brief_found(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
    const scan *at = context;
    uint32_t number = at->of->brief_pattern[id];
    const kept_pattern *pattern = &at->of->pattern[number];
    (void)from;
    (void)flags;
    if (at->scratch->seen[number] == at->scratch->scan || !scan_is_placed(at, pattern, to - pattern->length))
        return 0;
    at->scratch->seen[number] = at->scratch->scan;
    scan_take(at, pattern);
    return 0;
}

void scanner_scan(const scanner *of, scanner_scratch *scratch, reef_view bytes, uint64_t offset, rank_set *found)
{
    scan at = {.of = of, .scratch = scratch, .bytes = bytes, .offset = offset, .found = found};
    if (bytes.length == 0)
        return;
    if (++scratch->scan == 0) {
        memset(scratch->seen, 0, scratch->patterns * sizeof *scratch->seen);
        scratch->scan = 1;
    }
    if (of->fixed != NULL)
        scan_fixed(&at);
    if (of->bitmap != NULL && bytes.length >= LONG_MIN)
        scan_long(&at);
    if (of->brief_table != NULL)
        brief_scan(&at);
    else if (of->brief != NULL)
        hs_scan(of->brief, (const char *)bytes.data, bytes.length, 0, scratch->brief, brief_found, &at);
}
