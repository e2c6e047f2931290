/* brief: patterns of one to four bytes, and longer ones by four of theirs, found at sixty-four places at once. Each is in one of eight buckets, a bit each; two
 * tables per place say which buckets have a pattern with such a nibble there. Where a bit is left of all of them, the
 * bucket's patterns are compared. */
#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <stdlib.h>

#include "content.h"
#include "reef/status.h"
#include "scanner_internal.h"

/* --- building ------------------------------------------------------------------------------------------ */

/* Looked at so many places, one bucket's patterns may be compared once; more is dearer than other ways. */
enum { NARROW = 100 };

/* The rarest four bytes of a pattern. */
static uint32_t rarest_of(const scanner *made, const kept_pattern *pattern)
{
    uint32_t best = 0, most = 0;
    for (uint32_t at = 0; at + BRIEF_PLACES <= pattern->length; at++) {
        uint32_t worth = 0;
        for (uint32_t k = 0; k < BRIEF_PLACES; k++)
            worth += scanner_byte_worth(made->text[pattern->text + at + k]);
        if (worth > most) {
            most = worth;
            best = at;
        }
    }
    return best;
}

typedef struct bucket_shape {
    uint16_t low[BRIEF_PLACES], high[BRIEF_PLACES]; /* nibbles, a bit each */
} bucket_shape;

static void shape_add(bucket_shape *shape, const scanner *made, const kept_pattern *pattern)
{
    uint32_t skip = rarest_of(made, pattern);
    for (uint32_t k = 0; k < BRIEF_PLACES; k++) {
        if (k >= pattern->length) {
            shape->low[k] = shape->high[k] = UINT16_MAX;
            continue;
        }
        uint8_t byte = made->text[pattern->text + skip + k];
        uint8_t other = !pattern->nocase ? byte : ascii_lower(byte) != byte ? ascii_lower(byte) : ascii_upper(byte);
        shape->low[k] |= (uint16_t)(1u << (byte & 15) | 1u << (other & 15));
        shape->high[k] |= (uint16_t)(1u << (byte >> 4) | 1u << (other >> 4));
    }
}

/* How many of all possible beginnings it lets through. */
static double shape_width(const bucket_shape *shape)
{
    double width = 1;
    for (uint32_t k = 0; k < BRIEF_PLACES; k++)
        width *= __builtin_popcount(shape->low[k]) * __builtin_popcount(shape->high[k]);
    return width;
}

/* Each pattern goes where it lets the least more through. */
static void choose_buckets(const scanner *made, bucket_shape *shape, uint8_t *bucket)
{
    for (uint32_t i = 0; i < made->brief_count; i++) {
        const kept_pattern *pattern = &made->pattern[made->brief_pattern[i]];
        double least = 0;
        for (unsigned b = 0; b < BRIEF_BUCKETS; b++) {
            bucket_shape with = shape[b];
            shape_add(&with, made, pattern);
            double more = shape_width(&with) - shape_width(&shape[b]);
            if (b == 0 || more < least) {
                least = more;
                bucket[i] = (uint8_t)b;
            }
        }
        shape_add(&shape[bucket[i]], made, pattern);
    }
}

static brief_entry entry_of(const scanner *made, uint32_t number)
{
    const kept_pattern *pattern = &made->pattern[number];
    uint8_t value[BRIEF_PLACES] = {0}, mask[BRIEF_PLACES] = {0}, fold[BRIEF_PLACES] = {0};
    uint32_t skip = rarest_of(made, pattern);
    for (uint32_t k = 0; k < pattern->length && k < BRIEF_PLACES; k++) {
        uint8_t byte = made->text[pattern->text + skip + k];
        bool either = pattern->nocase && ascii_lower(byte) != ascii_upper(byte);
        mask[k] = UINT8_MAX;
        fold[k] = either ? 0x20 : 0;
        value[k] = either ? ascii_lower(byte) : byte;
    }
    return (brief_entry){.value = gram_at(value), .mask = gram_at(mask), .fold = gram_at(fold), .pattern = number & 0xffffff, .skip = skip & 0xff};
}

/* Do they let so little through that comparing costs next to nothing? By how often bytes are seen in traffic. */
static bool are_narrow(const bucket_shape *shape)
{
    double often[256], all = 0, width = 0;
    for (unsigned byte = 0; byte < 256; byte++)
        all += often[byte] = 1.0 / (double)(1u << scanner_byte_worth((uint8_t)byte) / 8);
    for (unsigned b = 0; b < BRIEF_BUCKETS; b++) {
        double passes = 1;
        for (unsigned k = 0; k < BRIEF_PLACES; k++) {
            double here = 0;
            for (unsigned byte = 0; byte < 256; byte++)
                if (shape[b].low[k] >> (byte & 15) & 1 && shape[b].high[k] >> (byte >> 4) & 1)
                    here += often[byte];
            passes *= here / all;
        }
        width += passes;
    }
    return width * NARROW < 1;
}

int brief_build(scanner *made)
{
    bucket_shape shape[BRIEF_BUCKETS] = {0};
    uint8_t *bucket = calloc(made->brief_count, 1);
    if (bucket == NULL)
        return REEF_NOMEM;
    choose_buckets(made, shape, bucket);
    if (!are_narrow(shape)) {
        free(bucket);
        return REEF_OK;
    }
    brief_table *table = made->brief_table = calloc(1, sizeof *table + made->brief_count * sizeof *table->entry);
    if (table == NULL) {
        free(bucket);
        return REEF_NOMEM;
    }
    uint32_t listed = 0;
    for (unsigned b = 0; b < BRIEF_BUCKETS; b++) {
        table->first[b] = listed;
        for (uint32_t i = 0; i < made->brief_count; i++)
            if (bucket[i] == b)
                table->entry[listed++] = entry_of(made, made->brief_pattern[i]);
        for (uint32_t k = 0; k < BRIEF_PLACES; k++)
            for (unsigned nibble = 0; nibble < 16; nibble++) {
                table->low[k][nibble] |= (uint8_t)((shape[b].low[k] >> nibble & 1) << b);
                table->high[k][nibble] |= (uint8_t)((shape[b].high[k] >> nibble & 1) << b);
            }
    }
    table->first[BRIEF_BUCKETS] = listed;
    free(bucket);
    return REEF_OK;
}

/* --- scanning ------------------------------------------------------------------------------------------ */

#ifdef __x86_64__
/* The pattern whose byte `skip` is at `place`. */
static bool stands(const scan *at, const kept_pattern *pattern, uint32_t place, uint32_t skip)
{
    if (place < skip || pattern->length > at->bytes.length - (place - skip) || !scan_is_placed(at, pattern, place - skip))
        return false;
    return pattern->length <= BRIEF_PLACES ||
           content_equal(at->bytes.data + place - skip, at->of->text + pattern->text, pattern->length, pattern->nocase);
}

/* The patterns of one bucket at one place. False: each of them was found already. */
static bool compare_bucket(const scan *at, unsigned bucket, uint32_t place)
{
    const scanner *of = at->of;
    bool left = false;
    uint32_t bytes = 0, rest = at->bytes.length - place;
    memcpy(&bytes, at->bytes.data + place, rest < sizeof bytes ? rest : sizeof bytes);
    for (uint32_t i = of->brief_table->first[bucket]; i < of->brief_table->first[bucket + 1]; i++) {
        const brief_entry *entry = &of->brief_table->entry[i];
        uint32_t number = entry->pattern;
        const kept_pattern *pattern = &of->pattern[number];
        if (at->scratch->seen[number] == at->scratch->scan)
            continue;
        if (((bytes | entry->fold) & entry->mask) != entry->value || !stands(at, pattern, place, entry->skip)) {
            left = true;
            continue;
        }
        at->scratch->seen[number] = at->scratch->scan;
        scan_take(at, pattern);
    }
    return left;
}

#define WIDE __attribute__((target("avx512f,avx512bw")))

/* Sixty-four bytes from a place on; where the buffer ends before, zeros behind it. */
static inline WIDE __m512i load_at(const uint8_t *data, uint32_t length, uint32_t place)
{
    if (length - place >= 64)
        return _mm512_loadu_si512(data + place);
    return _mm512_maskz_loadu_epi8(length > place ? ((__mmask64)1 << (length - place)) - 1 : 0, data + place);
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

/* The places of sixty-four where patterns may stand are compared; the buckets that have patterns which were not found yet. */
static WIDE uint8_t compare_hits(const scan *at, uint32_t from, __mmask64 hits, __m512i left, uint8_t live)
{
    uint8_t buckets[64];
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

WIDE void brief_scan(const scan *at)
{
    const brief_table *table = at->of->brief_table;
    const uint8_t *data = at->bytes.data;
    uint32_t length = at->bytes.length;
    uint8_t live = UINT8_MAX; /* buckets with patterns that were not found yet */
    for (uint32_t i = 0; i < length && live != 0; i += 64) {
        __m512i left = _mm512_set1_epi8((char)live);
        if (length - i >= 64 + BRIEF_PLACES) {
#pragma GCC unroll 4
            for (unsigned k = 0; k < BRIEF_PLACES; k++)
                left = _mm512_and_si512(left, buckets_with(table, k, _mm512_loadu_si512(data + i + k)));
        } else {
            for (unsigned k = 0; k < BRIEF_PLACES; k++)
                left = _mm512_and_si512(left, buckets_with(table, k, i + k < length ? load_at(data, length, i + k) : _mm512_setzero_si512()));
        }
        __mmask64 hits = _mm512_test_epi8_mask(left, left);
        if (length - i < 64)
            hits &= ((__mmask64)1 << (length - i)) - 1;
        if (hits != 0)
            live = compare_hits(at, i, hits, left, live);
    }
}
#else
void brief_scan(const scan *at)
{
    (void)at; /* scanner_is_wide says no */
}
#endif
