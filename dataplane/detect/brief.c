/* brief: patterns of one to four bytes, and longer ones by four of theirs, found at sixty-four places at once. Each is in one of eight
 * buckets, a bit each; a table per place says which buckets have a pattern with such a byte there: by its last seven bits, or, where the
 * processor has no table of 128 bytes, two tables by its nibbles. Where a bit is left of all of them, the bucket's patterns are
 * compared, sixteen at once. */
#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <stdlib.h>

#include "content.h"
#include "reef/status.h"
#include "scanner_internal.h"

/* --- building ------------------------------------------------------------------------------------------ */

/* Looked at so many places, one bucket's patterns may be compared once; more is dearer than other ways. Where the other way is
 * Vectorscan, that is for a few bytes dearer still. */
enum { NARROW = 100, NARROW_EXACT = 20 };

static bool is_exact(void);

/* What of a byte tells it apart: all but its first bit; or, where the processor has no table of 128 bytes, either nibble by itself. */
typedef struct bytes_seen {
    float often[256]; /* in traffic */
    bool exact;
} bytes_seen;

/* The bytes that a bucket's patterns have at one place. */
typedef struct place_shape {
    uint64_t byte[2];
    uint16_t low, high;
    float often;
} place_shape;

typedef struct bucket_shape {
    place_shape at[BRIEF_PLACES];
    float often; /* how many of all places it lets through */
} bucket_shape;

static void bytes_seen_by(bytes_seen *seen, bool exact)
{
    float all = 0;
    seen->exact = exact;
    for (unsigned byte = 0; byte < 256; byte++)
        all += seen->often[byte] = 1.0f / (float)(1u << scanner_byte_worth((uint8_t)byte) / 8);
    for (unsigned byte = 0; byte < 256; byte++)
        seen->often[byte] /= all;
}

static void place_add(place_shape *place, const bytes_seen *seen, uint8_t byte)
{
    uint16_t low = place->low | (uint16_t)(1u << (byte & 15)), high = place->high | (uint16_t)(1u << (byte >> 4));
    uint64_t bit = 1ull << (byte & 63), *bytes = &place->byte[byte >> 6 & 1];
    if (seen->exact && !(*bytes & bit))
        place->often += seen->often[byte] + seen->often[byte ^ 0x80];
    if (!seen->exact && (low != place->low || high != place->high)) {
        place->often = 0;
        for (unsigned b = 0; b < 256; b++)
            place->often += low >> (b & 15) & 1 && high >> (b >> 4) & 1 ? seen->often[b] : 0;
    }
    *bytes |= bit;
    place->low = low;
    place->high = high;
}

static void shape_add(bucket_shape *shape, const scanner *made, const kept_pattern *pattern, const bytes_seen *seen)
{
    shape->often = 1;
    for (uint32_t k = 0; k < BRIEF_PLACES; k++) {
        place_shape *place = &shape->at[k];
        if (k >= pattern->length) {
            *place = (place_shape){{UINT64_MAX, UINT64_MAX}, UINT16_MAX, UINT16_MAX, 1};
            continue;
        }
        uint8_t byte = made->text[pattern->text + pattern->rarest + k];
        place_add(place, seen, byte);
        if (pattern->nocase)
            place_add(place, seen, ascii_lower(byte) != byte ? ascii_lower(byte) : ascii_upper(byte));
        shape->often *= place->often;
    }
}

/* Each pattern goes where it lets the least more through. */
static void choose_buckets(const scanner *made, const bytes_seen *seen, bucket_shape *shape, uint8_t *bucket)
{
    for (uint32_t i = 0; i < made->brief_count; i++) {
        const kept_pattern *pattern = &made->pattern[made->brief_pattern[i]];
        bucket_shape best = {0};
        for (unsigned b = 0; b < BRIEF_BUCKETS; b++) {
            bucket_shape with = shape[b];
            shape_add(&with, made, pattern, seen);
            if (b == 0 || with.often - shape[b].often < best.often - shape[bucket[i]].often) {
                best = with;
                bucket[i] = (uint8_t)b;
            }
        }
        shape[bucket[i]] = best;
    }
}

static void row_put(brief_row *row, unsigned lane, const scanner *made, uint32_t number)
{
    const kept_pattern *pattern = &made->pattern[number];
    uint8_t value[BRIEF_PLACES] = {0}, mask[BRIEF_PLACES] = {0}, fold[BRIEF_PLACES] = {0};
    for (uint32_t k = 0; k < pattern->length && k < BRIEF_PLACES; k++) {
        uint8_t byte = made->text[pattern->text + pattern->rarest + k];
        bool either = pattern->nocase && ascii_lower(byte) != ascii_upper(byte);
        mask[k] = UINT8_MAX;
        fold[k] = either ? 0x20 : 0;
        value[k] = either ? ascii_lower(byte) : byte;
    }
    row->value[lane] = gram_at(value);
    row->mask[lane] = gram_at(mask);
    row->fold[lane] = gram_at(fold);
    row->pattern[lane] = number;
    row->skip[lane] = pattern->rarest;
}

/* Do they let so little through that comparing costs next to nothing? */
static bool are_narrow(const bucket_shape *shape, unsigned narrow)
{
    float often = 0;
    for (unsigned b = 0; b < BRIEF_BUCKETS; b++)
        often += shape[b].often;
    return often * (float)narrow < 1;
}

static void fill_bytes(brief_table *table, const bucket_shape *shape)
{
    for (unsigned b = 0; b < BRIEF_BUCKETS; b++)
        for (uint32_t k = 0; k < BRIEF_PLACES; k++) {
            const place_shape *place = &shape[b].at[k];
            for (unsigned byte = 0; byte < 128; byte++)
                table->byte[k][byte] |= (uint8_t)((place->byte[byte >> 6] >> (byte & 63) & 1) << b);
            for (unsigned nibble = 0; nibble < 16; nibble++) {
                table->low[k][nibble] |= (uint8_t)((place->low >> nibble & 1) << b);
                table->high[k][nibble] |= (uint8_t)((place->high >> nibble & 1) << b);
            }
        }
}

static void fill_rows(brief_table *table, const scanner *made, const uint8_t *bucket)
{
    uint32_t rows = 0;
    for (unsigned b = 0; b < BRIEF_BUCKETS; b++) {
        unsigned lane = 0;
        table->first[b] = rows;
        for (uint32_t i = 0; i < made->brief_count; i++) {
            if (bucket[i] != b)
                continue;
            row_put(&table->row[rows + lane / BRIEF_LANES], lane % BRIEF_LANES, made, made->brief_pattern[i]);
            lane++;
        }
        rows += (lane + BRIEF_LANES - 1) / BRIEF_LANES;
        for (; lane % BRIEF_LANES != 0; lane++)
            table->row[rows - 1].value[lane % BRIEF_LANES] = 1; /* without a bit in its mask: it stands nowhere */
    }
    table->first[BRIEF_BUCKETS] = rows;
}

int brief_build(scanner *made, bool alone)
{
    bucket_shape shape[BRIEF_BUCKETS] = {0};
    bytes_seen seen;
    uint8_t *bucket = calloc(made->brief_count, 1);
    if (bucket == NULL)
        return REEF_NOMEM;
    bytes_seen_by(&seen, is_exact());
    choose_buckets(made, &seen, shape, bucket);
    int status = REEF_OK;
    if (are_narrow(shape, alone && seen.exact ? NARROW_EXACT : NARROW)) {
        made->brief_rows = BRIEF_BUCKETS + made->brief_count / BRIEF_LANES;
        made->brief_table = calloc(1, sizeof *made->brief_table + made->brief_rows * sizeof *made->brief_table->row);
        status = made->brief_table == NULL ? REEF_NOMEM : REEF_OK;
    }
    if (made->brief_table != NULL) {
        made->brief_table->exact = seen.exact;
        fill_bytes(made->brief_table, shape);
        fill_rows(made->brief_table, made, bucket);
    }
    free(bucket);
    return status;
}

/* --- scanning ------------------------------------------------------------------------------------------ */

#ifdef __x86_64__
#define WIDE __attribute__((target("avx512f,avx512bw")))
#define EXACT __attribute__((target("avx512f,avx512bw,avx512vbmi")))

/* The pattern whose byte `skip` is at `place`. */
static bool stands(const scan *at, const kept_pattern *pattern, uint32_t place, uint32_t skip)
{
    if (place < skip || pattern->length > at->bytes.length - (place - skip) || !scan_is_placed(at, pattern, place - skip))
        return false;
    return pattern->length <= BRIEF_PLACES ||
           content_equal(at->bytes.data + place - skip, at->of->text + pattern->text, pattern->length, pattern->nocase);
}

/* Was each of a bucket's patterns found? */
static bool all_found(const scan *at, unsigned bucket)
{
    const brief_table *table = at->of->brief_table;
    for (uint32_t i = table->first[bucket]; i < table->first[bucket + 1]; i++)
        for (unsigned lane = 0; lane < BRIEF_LANES; lane++)
            if (table->row[i].mask[lane] != 0 && at->scratch->seen[table->row[i].pattern[lane]] != at->scratch->scan)
                return false;
    return true;
}

/* The patterns of one bucket at one place. False: each of them was found. */
static WIDE bool compare_bucket(const scan *at, unsigned bucket, uint32_t place)
{
    const brief_table *table = at->of->brief_table;
    uint32_t bytes = 0, rest = at->bytes.length - place;
    bool found = false;
    memcpy(&bytes, at->bytes.data + place, rest < sizeof bytes ? rest : sizeof bytes);
    const __m512i here = _mm512_set1_epi32((int)bytes);
    for (uint32_t i = table->first[bucket]; i < table->first[bucket + 1]; i++) {
        const brief_row *row = &table->row[i];
        __m512i folded = _mm512_and_si512(_mm512_or_si512(here, _mm512_loadu_si512(row->fold)), _mm512_loadu_si512(row->mask));
        unsigned equal = _mm512_cmpeq_epi32_mask(folded, _mm512_loadu_si512(row->value));
        for (; equal != 0; equal &= equal - 1) {
            unsigned lane = (unsigned)__builtin_ctz(equal);
            uint32_t number = row->pattern[lane];
            if (at->scratch->seen[number] == at->scratch->scan || !stands(at, &at->of->pattern[number], place, row->skip[lane]))
                continue;
            at->scratch->seen[number] = at->scratch->scan;
            scan_take(at, &at->of->pattern[number]);
            found = true;
        }
    }
    return !found || !all_found(at, bucket);
}

/* Sixty-four bytes from a place on; where the buffer ends before, zeros behind it. */
static inline WIDE __m512i load_at(const scan *at, uint32_t place)
{
    uint32_t length = at->bytes.length;
    if (length >= place + 64)
        return _mm512_loadu_si512(at->bytes.data + place);
    return _mm512_maskz_loadu_epi8(length > place ? ((__mmask64)1 << (length - place)) - 1 : 0, at->bytes.data + place);
}

/* The places of sixty-four where patterns may stand are compared; the buckets that have patterns which were not found yet. */
static WIDE __attribute__((noinline)) uint8_t compare_hits(const scan *at, uint32_t from, __mmask64 hits, __m512i left, uint8_t live)
{
    uint8_t buckets[64];
    if (at->bytes.length - from < 64)
        hits &= ((__mmask64)1 << (at->bytes.length - from)) - 1;
    _mm512_storeu_si512(buckets, left);
    for (; hits != 0; hits &= hits - 1) {
        uint32_t lane = (uint32_t)__builtin_ctzll(hits);
        for (unsigned some = buckets[lane] & live; some != 0; some &= some - 1) {
            unsigned bucket = (unsigned)__builtin_ctz(some);
            if (!compare_bucket(at, bucket, from + lane))
                live &= (uint8_t)~(1u << bucket);
        }
    }
    return live;
}

typedef struct exact_tables {
    __m512i front[BRIEF_PLACES], back[BRIEF_PLACES];
} exact_tables;

static inline EXACT __m512i buckets_of(const exact_tables *table, const __m512i *bytes)
{
    __m512i found[BRIEF_PLACES];
#pragma GCC unroll 4
    for (unsigned k = 0; k < BRIEF_PLACES; k++)
        found[k] = _mm512_permutex2var_epi8(table->front[k], bytes[k], table->back[k]);
    return _mm512_and_si512(_mm512_and_si512(found[0], found[1]), _mm512_and_si512(found[2], found[3]));
}

static EXACT void scan_exactly(const scan *at)
{
    const brief_table *from = at->of->brief_table;
    const uint8_t *data = at->bytes.data;
    uint32_t length = at->bytes.length, i = 0;
    uint8_t live = UINT8_MAX; /* buckets with patterns that were not found yet */
    __m512i bytes[BRIEF_PLACES];
    exact_tables table;
#pragma GCC unroll 4
    for (unsigned k = 0; k < BRIEF_PLACES; k++) {
        table.front[k] = _mm512_loadu_si512(from->byte[k]);
        table.back[k] = _mm512_loadu_si512(from->byte[k] + 64);
    }
    for (; length - i >= 64 + BRIEF_PLACES && live != 0; i += 64) {
#pragma GCC unroll 4
        for (unsigned k = 0; k < BRIEF_PLACES; k++)
            bytes[k] = _mm512_loadu_si512(data + i + k);
        __m512i left = buckets_of(&table, bytes);
        __mmask64 hits = _mm512_test_epi8_mask(left, left);
        if (hits != 0)
            live = compare_hits(at, i, hits, left, live);
    }
    for (; i < length && live != 0; i += 64) {
#pragma GCC unroll 4
        for (unsigned k = 0; k < BRIEF_PLACES; k++)
            bytes[k] = load_at(at, i + k);
        __m512i left = buckets_of(&table, bytes);
        __mmask64 hits = _mm512_test_epi8_mask(left, left);
        if (hits != 0)
            live = compare_hits(at, i, hits, left, live);
    }
}

/* A bit for each bucket of which a pattern has such nibbles at place `k`. */
static inline WIDE __m512i buckets_with(const brief_table *table, unsigned k, __m512i bytes)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i low = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table->low[k]));
    __m512i high = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table->high[k]));
    return _mm512_and_si512(_mm512_shuffle_epi8(low, _mm512_and_si512(bytes, nibble)),
                            _mm512_shuffle_epi8(high, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble)));
}

static WIDE void scan_nibbles(const scan *at)
{
    uint8_t live = UINT8_MAX;
    for (uint32_t i = 0; i < at->bytes.length && live != 0; i += 64) {
        __m512i left = _mm512_set1_epi8((char)live);
        for (unsigned k = 0; k < BRIEF_PLACES; k++)
            left = _mm512_and_si512(left, buckets_with(at->of->brief_table, k, load_at(at, i + k)));
        __mmask64 hits = _mm512_test_epi8_mask(left, left);
        if (hits != 0)
            live = compare_hits(at, i, hits, left, live);
    }
}

void brief_scan(const scan *at)
{
    if (at->of->brief_table->exact)
        scan_exactly(at);
    else
        scan_nibbles(at);
}

static bool is_exact(void)
{
    return __builtin_cpu_supports("avx512vbmi");
}
#else
void brief_scan(const scan *at)
{
    (void)at; /* scanner_is_wide says no */
}

static bool is_exact(void)
{
    return false;
}
#endif
