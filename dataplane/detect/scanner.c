/* scanner: patterns are found in three ways.
 *
 * Those that can stand in one place only are held against that place. Those of five bytes and more are found by some of their
 * four-byte stretches (gram_table): a table by hash that fits into the nearest cache says where none of them can stand with these two
 * bytes behind; more of the two rules out most of the rest. Shorter ones, of which there are few, are found by tables of their nibbles (brief.c) or,
 * where these let too much through or the processor lacks what they need, by Vectorscan. Letters are folded for the table; the
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

#ifdef __x86_64__
#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl")))

/* A branch that is guessed wrong throws away the look-ups under way. So a piece of the buffer is hashed first, then looked up, then
 * the places where something may stand are gathered, thinned out, and compared last. Sixteen look-ups of one byte each are
 * cheaper than the instruction that gathers sixteen. */
enum { PIECE = 2048, LANES = 16 };

typedef struct wide_piece {
    uint16_t hash[PIECE / 4] __attribute__((aligned(64)));
    uint8_t nearby[PIECE / 4] __attribute__((aligned(64)));
    uint8_t seen[PIECE / 4] __attribute__((aligned(64)));
} wide_piece;

static inline WIDE void hash_lanes(const gram_map *map, const uint8_t *data, uint16_t *hash, uint8_t *nearby)
{
    __m512i grams = _mm512_or_si512(_mm512_loadu_si512(data), _mm512_set1_epi32((int)FOLD));
    __m512i spread = _mm512_srl_epi32(_mm512_mullo_epi32(grams, _mm512_set1_epi32((int)SPREAD)), _mm_cvtsi32_si128((int)map->shift));
    _mm256_storeu_si256((__m256i *)hash, _mm512_cvtepi32_epi16(spread));
    __m512i behind = _mm512_or_si512(_mm512_loadu_si512(data + GRAM), _mm512_set1_epi32((int)FOLD));
    __m512i two = _mm512_srli_epi16(_mm512_mullo_epi16(behind, _mm512_set1_epi16((int16_t)SPREAD_TWO)), 13);
    __m512i bits = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(two, _mm512_set1_epi32(7)));
    _mm_storeu_si128((__m128i *)nearby, _mm512_cvtepi32_epi8(bits));
}

/* The places of every fourth byte from `from` on where a gram of the map may stand; how many. */
static WIDE uint32_t gather_places(const gram_map *map, const uint8_t *data, uint32_t from, uint32_t blocks, uint32_t *place)
{
    wide_piece piece;
    for (uint32_t b = 0; b < blocks; b++)
        hash_lanes(map, data + from + 64 * b, piece.hash + LANES * b, piece.nearby + LANES * b);
#pragma GCC unroll 8
    for (uint32_t i = 0; i < LANES * blocks; i++)
        /* cppcheck-suppress uninitvar ; hash_lanes wrote it, by an instruction that the check does not know */
        piece.seen[i] = map->seen[piece.hash[i]];
    const __m512i apart = _mm512_set_epi32(60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0);
    uint32_t count = 0;
    for (uint32_t b = 0; b < blocks; b++) {
        __mmask16 hits = _mm_test_epi8_mask(_mm_load_si128((const __m128i *)(piece.seen + LANES * b)),
                                            _mm_load_si128((const __m128i *)(piece.nearby + LANES * b)));
        __m512i here = _mm512_add_epi32(_mm512_set1_epi32((int)(from + 64 * b)), apart);
        _mm512_storeu_si512(place + count, _mm512_maskz_compress_epi32(hits, here));
        count += (uint32_t)__builtin_popcount(hits);
    }
    return count;
}

static inline uint32_t thin_out(const scan *at, uint32_t *place, uint32_t count)
{
    const gram_table *table = &at->of->table;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t here = place[i];
        const uint8_t *data = at->bytes.data + here;
        place[left] = here;
        uint64_t tags = tags_of(data);
        left += (table->tag[(gram_at(data) | FOLD) * SPREAD >> table->bucket_shift] & tags) == tags;
    }
    return left;
}

/* From `i` on, which is not the first place: there is something in front of each. */
static WIDE uint32_t scan_wide(const scan *at, uint32_t i)
{
    const gram_map all = at->of->table.all, between = at->of->table.between;
    const uint8_t *data = at->bytes.data;
    uint32_t place[PIECE / 2 + LANES];
    while ((uint64_t)i + 64 + 2 + GRAM + TAGGED <= at->bytes.length) {
        uint32_t blocks = (at->bytes.length - i - 2 - GRAM - TAGGED) / 64;
        if (blocks > PIECE / 64)
            blocks = PIECE / 64;
        uint32_t count = gather_places(&all, data, i, blocks, place);
        if (between.seen != NULL)
            count += gather_places(&between, data, i + 2, blocks, place + count);
        count = thin_out(at, place, count);
        for (uint32_t k = 0; k < count; k++)
            verify(at, place[k]);
        i += 64 * blocks;
    }
    return i;
}

bool scanner_is_wide(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
static uint32_t scan_wide(const scan *at, uint32_t i)
{
    (void)at;
    return i;
}

bool scanner_is_wide(void)
{
    return false;
}
#endif

static inline void look_at(const scan *at, const gram_map *map, uint32_t place)
{
    const uint8_t *data = at->bytes.data + place;
    uint8_t seen = map->seen[(gram_at(data) | FOLD) * SPREAD >> map->shift];
    if (seen == 0)
        return;
    if (at->bytes.length - place < GRAM + TAGGED || seen & nearby_of(data + GRAM))
        verify(at, place);
}

static inline void look_at_both(const scan *at, const gram_map *all, const gram_map *between, uint32_t place)
{
    look_at(at, all, place);
    if (between->seen != NULL && place + 2 + GRAM <= at->bytes.length)
        look_at(at, between, place + 2);
}

static void scan_long(const scan *at)
{
    const gram_map all = at->of->table.all, between = at->of->table.between;
    look_at_both(at, &all, &between, 0);
    for (uint32_t i = at->of->wide ? scan_wide(at, 4) : 4; i + GRAM <= at->bytes.length; i += 4)
        look_at_both(at, &all, &between, i);
}

static inline bool stands_fixed(const scanner *of, const fixed_entry *entry, const uint8_t *data, uint32_t left)
{
    uint64_t window = 0;
    if (entry->length > left)
        return false;
    memcpy(&window, data + entry->aside, left < WINDOW ? left : WINDOW); /* a longer one has as much behind `aside` */
    return (window & entry->mask) == entry->value && memcmp(data, of->text + of->pattern[entry->pattern].text, entry->aside) == 0;
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
        for (uint32_t i = first[0]; i < first[1]; i++)
            if (stands_fixed(of, &of->fixed_list[i], data, left))
                scan_take(at, &of->pattern[of->fixed_list[i].pattern]);
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
