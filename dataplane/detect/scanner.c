/* scanner: patterns are found in three ways.
 *
 * Those that can stand in one place only are held against that place. Those of five bytes and more are found by some of their
 * four-byte stretches (gram_table): a bitmap of hashes that fits into the nearest cache says where none of them can stand, the two
 * bytes behind rule out most of the rest. Shorter ones, of which there are few, are found by tables of their nibbles (brief.c) or,
 * where these let too much through or the processor lacks what they need, by Vectorscan. Letters are folded for the bitmap; the
 * pattern itself is compared where it may stand. */
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "content.h"
#include "scanner_internal.h"

static __attribute__((noinline)) void verify(const scan *at, uint32_t place)
{
    const scanner *of = at->of;
    const gram_table *table = &of->table;
    uint32_t gram = gram_at(at->bytes.data + place) | FOLD, bucket = gram * SPREAD >> table->bucket_shift;
    for (uint32_t i = table->bucket[bucket]; i < table->bucket[bucket + 1]; i++) {
        const gram_entry *entry = &table->gram[i];
        uint32_t from = place - entry->aside; /* a great number in front of the buffer */
        if (from < at->bytes.length && at->bytes.length - from >= WINDOW) {
            uint64_t window;
            memcpy(&window, at->bytes.data + from, sizeof window);
            if (((window | FOLD_WINDOW) & entry->mask) != entry->value)
                continue;
        }
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

static inline uint32_t may_stand(const gram_map *map, const uint8_t *data)
{
    uint32_t hash = (gram_at(data) | FOLD) * SPREAD >> map->shift;
    return (uint32_t)(map->bit[hash >> 6] >> (hash & 63)) & 1;
}

#ifdef __x86_64__
/* The same for sixteen places at once. */
static inline __attribute__((target("avx512f,avx512bw"))) uint32_t may_stand_wide(const gram_map *map, const uint8_t *data)
{
    __m512i grams = _mm512_or_si512(_mm512_loadu_si512(data), _mm512_set1_epi32((int)FOLD));
    __m512i hash = _mm512_srl_epi32(_mm512_mullo_epi32(grams, _mm512_set1_epi32((int)SPREAD)), _mm_cvtsi32_si128((int)map->shift));
    __m512i words = _mm512_i32gather_epi32(_mm512_srli_epi32(hash, 5), (const int *)map->bit, 4);
    return _mm512_test_epi32_mask(words, _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(hash, _mm512_set1_epi32(31))));
}

static inline void verify_hits(const scan *at, uint32_t place, uint32_t hits)
{
    const gram_table *table = &at->of->table;
    for (; hits != 0; hits &= hits - 1) {
        uint32_t here = place + 4 * (uint32_t)__builtin_ctz(hits);
        const uint8_t *data = at->bytes.data + here;
        if (table->tag[(gram_at(data) | FOLD) * SPREAD >> table->bucket_shift] & tag_of(data + GRAM))
            verify(at, here);
    }
}

static __attribute__((target("avx512f,avx512bw"))) uint32_t scan_wide(const scan *at)
{
    const gram_map all = at->of->table.all, between = at->of->table.between;
    const uint8_t *data = at->bytes.data;
    uint32_t i = 0;
    for (; (uint64_t)i + 64 + GRAM + TAGGED <= at->bytes.length; i += 64) {
        verify_hits(at, i, may_stand_wide(&all, data + i));
        if (between.bit != NULL)
            verify_hits(at, i + 2, may_stand_wide(&between, data + i + 2));
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
    const gram_map all = at->of->table.all, between = at->of->table.between;
    const uint8_t *data = at->bytes.data;
    uint32_t length = at->bytes.length, i = at->of->wide ? scan_wide(at) : 0;
    for (; i + 32 + GRAM <= length; i += 32) {
        uint32_t hits = 0;
        for (unsigned k = 0; k < 8; k++)
            hits |= may_stand(&all, data + i + 4 * k) << 2 * k;
        for (unsigned k = 0; between.bit != NULL && k < 8; k++)
            hits |= may_stand(&between, data + i + 4 * k + 2) << (2 * k + 1);
        for (; hits != 0; hits &= hits - 1)
            verify(at, i + 2 * (uint32_t)__builtin_ctz(hits));
    }
    for (; i + GRAM <= length; i += 4) {
        if (may_stand(&all, data + i))
            verify(at, i);
        if (between.bit != NULL && i + 2 + GRAM <= length && may_stand(&between, data + i + 2))
            verify(at, i + 2);
    }
}

static void scan_fixed(const scan *at)
{
    const scanner *of = at->of;
    for (uint32_t n = 0; n < of->fixed_places; n++) {
        const fixed_place *fixed = &of->fixed[n];
        if (fixed->place < at->offset || fixed->place - at->offset >= at->bytes.length)
            continue;
        const uint8_t *data = at->bytes.data + (fixed->place - at->offset);
        if (!(fixed->begins[*data >> 6] >> (*data & 63) & 1))
            continue;
        const uint32_t *first = &of->fixed_first[n].first[*data];
        uint32_t left = at->bytes.length - (uint32_t)(fixed->place - at->offset);
        for (uint32_t i = first[0]; i < first[1]; i++) {
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
    if (of->table.grams > 0 && bytes.length >= LONG_MIN)
        scan_long(&at);
    if (of->brief_table != NULL)
        brief_scan(&at);
    else if (of->brief != NULL)
        hs_scan(of->brief, (const char *)bytes.data, bytes.length, 0, scratch->brief, brief_found, &at);
}
