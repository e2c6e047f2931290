/* scanner: patterns are found in three ways.
 *
 * Those that can stand in one place only are held against that place. Those of five bytes and more are found by two of their
 * four-byte stretches, one at an even and one at an odd place, so that looking at every second place of a buffer finds them all;
 * a bitmap of hashes that fits into the nearest cache says where none of them can stand. Shorter ones, of which there are few, go
 * to Vectorscan. Letters are folded for the bitmap; the pattern itself is compared where it may stand. */
#include "scanner.h"

#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "reef/status.h"

enum { GRAM = 4, LONG_MIN = 5, BITS_MIN = 12, BITS_MAX = 20, FIXED_FIRST = 64 };
#define FOLD 0x20202020u
#define SPREAD 0x9e3779b1u

typedef struct kept_pattern {
    uint32_t text, length;
    uint32_t from, to;
    uint32_t rank, ranks; /* in `rank` */
    uint8_t nocase;
    uint8_t at; /* place of its first gram */
} kept_pattern;

typedef struct gram_entry {
    uint32_t gram;
    uint32_t pattern : 24, at : 8;
} gram_entry;

/* Patterns that stand at `place` and begin with byte b: first[b] to first[b + 1] in `list`. */
typedef struct fixed_place {
    uint32_t place;
    uint32_t first[257];
} fixed_place;

struct scanner {
    kept_pattern *pattern;
    uint32_t patterns;
    uint8_t *text;
    uint32_t text_bytes;
    uint32_t *rank;
    uint32_t ranks;

    uint64_t *bitmap; /* NULL: no long patterns */
    unsigned shift, bucket_shift;
    uint32_t *bucket;
    gram_entry *gram;
    uint32_t grams, buckets;

    fixed_place *fixed;
    uint32_t fixed_places;
    uint32_t *fixed_list; /* numbers of patterns */

    hs_database_t *brief; /* NULL: no short patterns */
    uint32_t brief_count;
    uint32_t *brief_pattern;
};

struct scanner_scratch {
    hs_scratch_t *brief;
    uint32_t *seen; /* by pattern: the scan it was found in last */
    uint32_t patterns, scan;
};

/* --- which grams are rare ------------------------------------------------------------------------------ */

static uint32_t gram_at(const uint8_t *data)
{
    uint32_t gram;
    memcpy(&gram, data, sizeof gram);
    return gram;
}

/* How rare a folded byte is in traffic, in eighths of a bit or so. */
static uint32_t byte_worth(uint8_t byte)
{
    static const uint8_t letters[26] = {25, 33, 29, 29, 22, 32, 32, 30, 25, 44, 36, 29, 30, 25, 26, 30, 48, 26, 25, 24, 31, 36, 35, 38, 36, 44};
    byte |= 0x20;
    if (byte >= 'a' && byte <= 'z')
        return letters[byte - 'a'];
    if (byte >= '0' && byte <= '9')
        return 32;
    switch (byte) {
    case ' ': return 20; /* NUL too */
    case '/': case '.': case '-': case '*': case '=': case ':': return 29; /* CR and LF are among them */
    default: return 42;
    }
}

static bool is_common(uint32_t gram)
{
    static const char common[][5] = {
#define REEF_GRAM(text) text,
#include "grams.def"
#undef REEF_GRAM
    };
    unsigned low = 0, high = sizeof common / sizeof *common;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        uint32_t value = gram_at((const uint8_t *)common[middle]);
        if (value == gram)
            return true;
        if (value < gram)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static uint32_t gram_worth(const uint8_t *data)
{
    uint32_t worth = 1, gram = gram_at(data) | FOLD;
    for (unsigned i = 0; i < GRAM; i++)
        worth += byte_worth(data[i]);
    uint32_t same = (uint32_t)(data[0] == data[1]) + (data[1] == data[2]) + (data[2] == data[3]);
    worth -= worth * same / 4;
    return is_common(gram) ? worth / 4 : worth;
}

/* The place whose two grams are rarest. */
static uint32_t best_place(reef_view bytes, uint32_t *worth)
{
    uint32_t best = 0;
    *worth = 0;
    for (uint32_t at = 0; at + GRAM + 1 <= bytes.length && at < 250; at++) {
        uint32_t a = gram_worth(bytes.data + at), b = gram_worth(bytes.data + at + 1), least = a < b ? a : b;
        if (least * 4 + a + b > *worth) {
            *worth = least * 4 + a + b;
            best = at;
        }
    }
    return best;
}

uint32_t scanner_worth(reef_view bytes, bool nocase)
{
    uint32_t worth = 0;
    (void)nocase;
    if (bytes.length >= LONG_MIN) {
        best_place(bytes, &worth);
        uint32_t extra = bytes.length < 32 ? bytes.length : 32;
        return worth + 8 * extra;
    }
    for (uint32_t i = 0; i < bytes.length; i++)
        worth += byte_worth(bytes.data[i]);
    return worth;
}

/* --- building ----------------------------------------------------------------------------------------- */

static int compare_patterns(const void *a, const void *b)
{
    const scanner_pattern *x = a, *y = b;
    if (x->bytes.length != y->bytes.length)
        return x->bytes.length < y->bytes.length ? -1 : 1;
    if (x->nocase != y->nocase)
        return x->nocase ? 1 : -1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    int order = memcmp(x->bytes.data, y->bytes.data, x->bytes.length);
    if (order != 0)
        return order;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static bool same_pattern(const scanner_pattern *x, const scanner_pattern *y)
{
    return x->bytes.length == y->bytes.length && x->nocase == y->nocase && x->from == y->from && x->to == y->to &&
           memcmp(x->bytes.data, y->bytes.data, x->bytes.length) == 0;
}

static int keep_patterns(scanner *made, const scanner_pattern *patterns, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += patterns[i].bytes.length;
    made->pattern = calloc(count, sizeof *made->pattern);
    made->rank = calloc(count, sizeof *made->rank);
    made->text = malloc(bytes + GRAM);
    if (made->pattern == NULL || made->rank == NULL || made->text == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !same_pattern(&patterns[i - 1], &patterns[i])) {
            kept_pattern *kept = &made->pattern[made->patterns++];
            *kept = (kept_pattern){.text = made->text_bytes, .length = patterns[i].bytes.length, .from = patterns[i].from,
                                   .to = patterns[i].to, .rank = made->ranks, .nocase = patterns[i].nocase};
            memcpy(made->text + made->text_bytes, patterns[i].bytes.data, patterns[i].bytes.length);
            made->text_bytes += patterns[i].bytes.length;
        }
        made->pattern[made->patterns - 1].ranks++;
        made->rank[made->ranks++] = patterns[i].rank;
    }
    return REEF_OK;
}

static bool is_fixed(const kept_pattern *pattern)
{
    return pattern->to != UINT32_MAX && pattern->to - pattern->from == pattern->length && pattern->from < FIXED_FIRST && !pattern->nocase;
}

static bool is_long(const kept_pattern *pattern)
{
    return !is_fixed(pattern) && pattern->length >= LONG_MIN;
}

static int compare_grams(const void *a, const void *b)
{
    const gram_entry *x = a, *y = b;
    uint32_t p = x->gram * SPREAD, q = y->gram * SPREAD;
    if (p != q)
        return p < q ? -1 : 1;
    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

static int build_long(scanner *made)
{
    uint32_t count = 0, worth;
    for (uint32_t i = 0; i < made->patterns; i++)
        count += is_long(&made->pattern[i]) ? 2 : 0;
    if (count == 0)
        return REEF_OK;
    unsigned bits = BITS_MIN, bucket_bits;
    while (bits < BITS_MAX && 1u << bits < 32 * count)
        bits++;
    for (bucket_bits = 4; 1u << bucket_bits < count && bucket_bits < bits; bucket_bits++)
        ;
    made->shift = 32 - bits;
    made->bucket_shift = 32 - bucket_bits;
    made->buckets = 1u << bucket_bits;
    made->bitmap = calloc((1u << bits) / 64, sizeof *made->bitmap);
    made->bucket = calloc(made->buckets + 1u, sizeof *made->bucket);
    made->gram = calloc(count, sizeof *made->gram);
    if (made->bitmap == NULL || made->bucket == NULL || made->gram == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < made->patterns; i++) {
        kept_pattern *pattern = &made->pattern[i];
        if (!is_long(pattern))
            continue;
        pattern->at = (uint8_t)best_place((reef_view){made->text + pattern->text, pattern->length}, &worth);
        for (uint32_t odd = 0; odd < 2; odd++) {
            uint32_t gram = gram_at(made->text + pattern->text + pattern->at + odd) | FOLD, hash = gram * SPREAD;
            made->gram[made->grams++] = (gram_entry){.gram = gram, .pattern = i & 0xffffff, .at = (pattern->at + odd) & 0xff};
            made->bitmap[hash >> made->shift >> 6] |= 1ull << (hash >> made->shift & 63);
        }
    }
    qsort(made->gram, made->grams, sizeof *made->gram, compare_grams);
    uint32_t at = 0;
    for (uint32_t b = 0; b < made->buckets; b++) {
        made->bucket[b] = at;
        while (at < made->grams && made->gram[at].gram * SPREAD >> made->bucket_shift == b)
            at++;
    }
    made->bucket[made->buckets] = at;
    return REEF_OK;
}

static int build_fixed(scanner *made)
{
    uint32_t count[FIXED_FIRST] = {0}, all = 0, listed = 0;
    for (uint32_t i = 0; i < made->patterns; i++)
        if (is_fixed(&made->pattern[i]))
            count[made->pattern[i].from]++, all++;
    if (all == 0)
        return REEF_OK;
    made->fixed = calloc(FIXED_FIRST, sizeof *made->fixed);
    made->fixed_list = calloc(all, sizeof *made->fixed_list);
    if (made->fixed == NULL || made->fixed_list == NULL)
        return REEF_NOMEM;
    for (uint32_t place = 0; place < FIXED_FIRST; place++) {
        if (count[place] == 0)
            continue;
        fixed_place *fixed = &made->fixed[made->fixed_places++];
        fixed->place = place;
        for (unsigned byte = 0; byte < 256; byte++) {
            fixed->first[byte] = listed;
            for (uint32_t i = 0; i < made->patterns; i++)
                if (is_fixed(&made->pattern[i]) && made->pattern[i].from == place && made->text[made->pattern[i].text] == byte)
                    made->fixed_list[listed++] = i;
        }
        fixed->first[256] = listed;
    }
    return REEF_OK;
}

static int build_brief(scanner *made)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < made->patterns; i++)
        count += !is_fixed(&made->pattern[i]) && !is_long(&made->pattern[i]);
    if (count == 0)
        return REEF_OK;
    enum { WRITTEN = 4 * LONG_MIN };
    const char **text = calloc(count, sizeof *text);
    char *written = calloc(count, WRITTEN);
    unsigned *flags = calloc(count, sizeof *flags), *id = calloc(count, sizeof *id);
    made->brief_pattern = calloc(count, sizeof *made->brief_pattern);
    int status = text == NULL || written == NULL || flags == NULL || id == NULL || made->brief_pattern == NULL ? REEF_NOMEM : REEF_OK;
    for (uint32_t i = 0; status == REEF_OK && i < made->patterns; i++) {
        const kept_pattern *pattern = &made->pattern[i];
        if (is_fixed(pattern) || is_long(pattern))
            continue;
        uint32_t n = made->brief_count++;
        text[n] = written + (size_t)n * WRITTEN; /* as hexadecimal: the library's way for literals refuses a NUL in front */
        for (uint32_t k = 0; k < pattern->length; k++)
            snprintf(written + (size_t)n * WRITTEN + 4 * (size_t)k, 5, "\\x%02x", made->text[pattern->text + k]);
        flags[n] = (pattern->nocase ? HS_FLAG_CASELESS : 0);
        id[n] = n;
        made->brief_pattern[n] = i;
    }
    hs_compile_error_t *error = NULL;
    if (status == REEF_OK && hs_compile_multi(text, flags, id, count, HS_MODE_BLOCK, NULL, &made->brief, &error) != HS_SUCCESS)
        status = REEF_NOMEM;
    hs_free_compile_error(error);
    free(text);
    free(written);
    free(flags);
    free(id);
    return status;
}

int scanner_build(scanner_pattern *patterns, uint32_t count, scanner **out)
{
    *out = NULL;
    if (count == 0)
        return REEF_OK;
    scanner *made = calloc(1, sizeof *made);
    if (made == NULL)
        return REEF_NOMEM;
    qsort(patterns, count, sizeof *patterns, compare_patterns);
    int status = keep_patterns(made, patterns, count);
    if (status == REEF_OK)
        status = build_long(made);
    if (status == REEF_OK)
        status = build_fixed(made);
    if (status == REEF_OK)
        status = build_brief(made);
    if (status != REEF_OK) {
        scanner_free(made);
        return status;
    }
    *out = made;
    return REEF_OK;
}

void scanner_free(scanner *gone)
{
    if (gone == NULL)
        return;
    free(gone->pattern);
    free(gone->text);
    free(gone->rank);
    free(gone->bitmap);
    free(gone->bucket);
    free(gone->gram);
    free(gone->fixed);
    free(gone->fixed_list);
    free(gone->brief_pattern);
    hs_free_database(gone->brief);
    free(gone);
}

size_t scanner_memory(const scanner *of)
{
    size_t brief = 0;
    if (of->brief != NULL)
        hs_database_size(of->brief, &brief);
    return sizeof *of + brief + of->patterns * sizeof *of->pattern + of->text_bytes + of->ranks * sizeof *of->rank +
           (of->bitmap != NULL ? (size_t)1 << (32 - of->shift) >> 3 : 0) + of->buckets * sizeof *of->bucket + of->grams * sizeof *of->gram;
}

uint32_t scanner_patterns(const scanner *of)
{
    return of->patterns;
}

int scanner_scratch_fit(const scanner *of, scanner_scratch **scratch)
{
    if (*scratch == NULL)
        *scratch = calloc(1, sizeof **scratch);
    if (*scratch == NULL)
        return REEF_NOMEM;
    if (of == NULL)
        return REEF_OK;
    if (of->brief != NULL && hs_alloc_scratch(of->brief, &(*scratch)->brief) != HS_SUCCESS)
        return REEF_NOMEM;
    if ((*scratch)->patterns < of->patterns) {
        uint32_t *seen = calloc(of->patterns, sizeof *seen);
        if (seen == NULL)
            return REEF_NOMEM;
        free((*scratch)->seen);
        (*scratch)->seen = seen;
        (*scratch)->patterns = of->patterns;
        (*scratch)->scan = 0;
    }
    return REEF_OK;
}

void scanner_scratch_free(scanner_scratch *scratch)
{
    if (scratch == NULL)
        return;
    hs_free_scratch(scratch->brief);
    free(scratch->seen);
    free(scratch);
}

/* --- scanning ------------------------------------------------------------------------------------------ */

typedef struct scan {
    const scanner *of;
    scanner_scratch *scratch;
    reef_view bytes;
    uint64_t offset;
    rank_set *found;
} scan;

static void take(const scan *at, const kept_pattern *pattern)
{
    for (uint32_t i = 0; i < pattern->ranks; i++)
        rank_set_add(at->found, at->of->rank[pattern->rank + i]);
}

/* May the pattern stand at `start`? */
static bool is_placed(const scan *at, const kept_pattern *pattern, uint64_t start)
{
    uint64_t whole = at->offset + start;
    return whole >= pattern->from && (pattern->to == UINT32_MAX || whole + pattern->length <= pattern->to);
}

static __attribute__((noinline)) void verify(const scan *at, uint32_t place, uint32_t gram)
{
    const scanner *of = at->of;
    uint32_t bucket = gram * SPREAD >> of->bucket_shift;
    for (uint32_t i = of->bucket[bucket]; i < of->bucket[bucket + 1]; i++) {
        const gram_entry *entry = &of->gram[i];
        if (entry->gram != gram || at->scratch->seen[entry->pattern] == at->scratch->scan || entry->at > place)
            continue;
        const kept_pattern *pattern = &of->pattern[entry->pattern];
        uint32_t start = place - entry->at;
        if (pattern->length > at->bytes.length - start || !is_placed(at, pattern, start) ||
            !content_equal(at->bytes.data + start, of->text + pattern->text, pattern->length, pattern->nocase))
            continue;
        at->scratch->seen[entry->pattern] = at->scratch->scan;
        take(at, pattern);
    }
}

static inline uint32_t may_stand(const uint64_t *bitmap, unsigned shift, const uint8_t *data)
{
    uint32_t hash = (gram_at(data) | FOLD) * SPREAD >> shift;
    return (uint32_t)(bitmap[hash >> 6] >> (hash & 63)) & 1;
}

static void scan_long(const scan *at)
{
    const uint64_t *bitmap = at->of->bitmap;
    const uint8_t *data = at->bytes.data;
    unsigned shift = at->of->shift;
    uint32_t length = at->bytes.length, i = 0;
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
                take(at, pattern);
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
    if (at->scratch->seen[number] == at->scratch->scan || !is_placed(at, pattern, to - pattern->length))
        return 0;
    at->scratch->seen[number] = at->scratch->scan;
    take(at, pattern);
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
    if (of->brief != NULL)
        hs_scan(of->brief, (const char *)bytes.data, bytes.length, 0, scratch->brief, brief_found, &at);
}
