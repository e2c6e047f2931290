/* scanner_build: patterns sorted, kept once each and put where scanner.c finds them. */
#include <stdio.h>
#include <stdlib.h>

#include "reef/status.h"
#include "scanner_internal.h"

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

/* Four more bytes that tell most places apart before the pattern itself is fetched. */
static void look_beside(const scanner *made, const kept_pattern *pattern, gram_entry *entry)
{
    const uint8_t *text = made->text + pattern->text;
    uint32_t at = entry->at, behind = pattern->length - at - GRAM;
    uint8_t beside[GRAM] = {0}, mask[GRAM] = {0};
    entry->aside = behind > 0 ? GRAM : -GRAM;
    for (uint32_t k = 0; k < GRAM; k++) {
        if (behind > 0 ? k >= behind : k + at < GRAM)
            continue;
        beside[k] = (uint8_t)(text[behind > 0 ? at + GRAM + k : at + k - GRAM] | (FOLD & 0xff));
        mask[k] = UINT8_MAX;
    }
    entry->beside = gram_at(beside);
    entry->mask = gram_at(mask);
}

static int build_long(scanner *made)
{
    uint32_t count = 0, worth;
    for (uint32_t i = 0; i < made->patterns; i++)
        count += is_long(&made->pattern[i]) ? 2 : 0;
    if (count == 0)
        return REEF_OK;
    unsigned bits = BITS_MIN, bucket_bits;
    while (bits < BITS_MAX && 1u << bits < SPARSE * count)
        bits++;
    for (bucket_bits = 4; 1u << bucket_bits < count && bucket_bits < bits; bucket_bits++)
        ;
    made->shift = 32 - bits;
    made->wide = scanner_is_wide();
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
        pattern->at = (uint8_t)scanner_best_place((reef_view){made->text + pattern->text, pattern->length}, &worth);
        for (uint32_t odd = 0; odd < 2; odd++) {
            uint32_t gram = gram_at(made->text + pattern->text + pattern->at + odd) | FOLD, hash = gram * SPREAD;
            made->gram[made->grams] = (gram_entry){.gram = gram, .pattern = i & 0xffffff, .at = (pattern->at + odd) & 0xff};
            look_beside(made, pattern, &made->gram[made->grams++]);
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

static int build_brief_wide(scanner *made, uint32_t count)
{
    made->brief_pattern = calloc(count, sizeof *made->brief_pattern);
    if (made->brief_pattern == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < made->patterns; i++)
        if (!is_fixed(&made->pattern[i]) && !is_long(&made->pattern[i]))
            made->brief_pattern[made->brief_count++] = i;
    return brief_build(made);
}

static int build_brief(scanner *made)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < made->patterns; i++)
        count += !is_fixed(&made->pattern[i]) && !is_long(&made->pattern[i]);
    if (count == 0)
        return REEF_OK;
    if (scanner_is_wide()) {
        int status = build_brief_wide(made, count);
        if (status != REEF_OK || made->brief_table != NULL)
            return status;
        free(made->brief_pattern);
        made->brief_count = 0;
    }
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
    free(gone->brief_table);
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
