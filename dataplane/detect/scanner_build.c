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
                                   .to = patterns[i].to, .rank = made->ranks, .nocase = patterns[i].nocase,
                                   .rarest = scanner_rarest(patterns[i].bytes, BRIEF_PLACES)};
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

static fixed_entry fixed_entry_of(const scanner *of, uint32_t number)
{
    const kept_pattern *pattern = &of->pattern[number];
    fixed_entry entry = {.length = pattern->length, .pattern = number};
    uint32_t window = pattern->length < WINDOW ? pattern->length : WINDOW;
    uint8_t mask[WINDOW] = {0};
    entry.aside = pattern->length - window;
    memcpy(&entry.value, of->text + pattern->text + entry.aside, window);
    memset(mask, UINT8_MAX, window);
    memcpy(&entry.mask, mask, sizeof mask);
    return entry;
}

/* Those of one place, from `listed` on, by the byte that each begins with. */
static uint32_t list_place(scanner *made, uint32_t n, const uint32_t *number, uint32_t count, uint32_t listed)
{
    fixed_place *fixed = &made->fixed[n];
    uint32_t *first = made->fixed_first[n].first, here[256] = {0};
    for (uint32_t i = 0; i < count; i++)
        if (made->pattern[number[i]].from == fixed->place)
            here[made->text[made->pattern[number[i]].text]]++;
    for (unsigned byte = 0; byte < 256; byte++) {
        fixed->begins[byte >> 6] |= (uint64_t)(here[byte] > 0) << (byte & 63);
        first[byte] = listed;
        listed += here[byte];
        here[byte] = first[byte];
    }
    first[256] = listed;
    for (uint32_t i = 0; i < count; i++)
        if (made->pattern[number[i]].from == fixed->place)
            made->fixed_list[here[made->text[made->pattern[number[i]].text]]++] = fixed_entry_of(made, number[i]);
    return listed;
}

static int build_fixed(scanner *made, const uint64_t *taken)
{
    uint32_t all = 0, listed = 0, n = 0;
    uint64_t places = 0;
    uint32_t *number = malloc((made->patterns + 1u) * sizeof *number);
    if (number == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < made->patterns; i++)
        if (bit_of(taken, i)) {
            places |= 1ull << made->pattern[i].from;
            number[all++] = i;
        }
    made->fixed_places = (uint32_t)__builtin_popcountll(places);
    made->fixed_patterns = all;
    int status = REEF_OK;
    if (all > 0) {
        made->fixed = calloc(made->fixed_places, sizeof *made->fixed);
        made->fixed_first = calloc(made->fixed_places, sizeof *made->fixed_first);
        made->fixed_list = calloc(all, sizeof *made->fixed_list);
        status = made->fixed == NULL || made->fixed_first == NULL || made->fixed_list == NULL ? REEF_NOMEM : REEF_OK;
    }
    for (; status == REEF_OK && places != 0; places &= places - 1) {
        made->fixed[n].place = (uint32_t)__builtin_ctzll(places);
        listed = list_place(made, n++, number, all, listed);
    }
    free(number);
    return status;
}

/* By Vectorscan: where a processor is not wide, or what there is lets too much through. */
static int compile_brief(scanner *made)
{
    enum { WRITTEN = 4 * LONG_MIN };
    uint32_t count = made->brief_count;
    if (count == 0)
        return REEF_OK;
    const char **text = calloc(count, sizeof *text);
    char *written = calloc(count, WRITTEN);
    unsigned *flags = calloc(count, sizeof *flags), *id = calloc(count, sizeof *id);
    int status = text == NULL || written == NULL || flags == NULL || id == NULL ? REEF_NOMEM : REEF_OK;
    for (uint32_t n = 0; status == REEF_OK && n < count; n++) {
        const kept_pattern *pattern = &made->pattern[made->brief_pattern[n]];
        text[n] = written + (size_t)n * WRITTEN; /* as hexadecimal: the library's way for literals refuses a NUL in front */
        for (uint32_t k = 0; k < pattern->length; k++)
            snprintf(written + (size_t)n * WRITTEN + 4 * (size_t)k, 5, "\\x%02x", made->text[pattern->text + k]);
        flags[n] = (pattern->nocase ? HS_FLAG_CASELESS : 0);
        id[n] = n;
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

static void list_brief(scanner *made, const uint64_t *taken)
{
    for (uint32_t i = 0; i < made->patterns; i++)
        if (bit_of(taken, i))
            made->brief_pattern[made->brief_count++] = i;
}

_Static_assert(FIXED_FIRST <= 64, "places are bits of a word");

enum { FIXED, LONG, MIDDLE, BRIEF, WAYS };
enum { BRIEF_FEW = 48, BRIEF_MANY = 160 }; /* so few patterns of any length are tried as short ones; so many are not */

static uint32_t count_of(const scanner *made, const uint64_t *taken)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < made->patterns; i++)
        count += bit_of(taken, i);
    return count;
}

/* Longer patterns are looked for with the short ones where that lets little through: it saves a pass. `first` is the longest kind
 * that is: LONG, MIDDLE or BRIEF. */
static int build_brief(scanner *made, const uint64_t *way, uint32_t words, unsigned *first)
{
    uint32_t count[WAYS], all = 0;
    for (unsigned kind = LONG; kind < WAYS; kind++)
        all += count[kind] = count_of(made, way + (size_t)kind * words);
    *first = BRIEF;
    if (all == 0 || (count[BRIEF] == 0 && !made->wide))
        return REEF_OK;
    made->brief_pattern = calloc(all, sizeof *made->brief_pattern);
    if (made->brief_pattern == NULL)
        return REEF_NOMEM;
    for (unsigned from = made->wide ? LONG : WAYS; from < WAYS; from++) {
        if ((from == LONG && all > BRIEF_FEW) || (from == MIDDLE && count[MIDDLE] + count[BRIEF] > BRIEF_MANY) ||
            (from < BRIEF && count[from] == 0))
            continue;
        made->brief_count = 0;
        for (unsigned kind = from; kind < WAYS; kind++)
            list_brief(made, way + (size_t)kind * words);
        int status = made->brief_count > 0 ? brief_build(made, from == BRIEF) : REEF_OK;
        if (status != REEF_OK || made->brief_table != NULL) {
            *first = from;
            return status;
        }
    }
    made->brief_count = 0;
    list_brief(made, way + (size_t)BRIEF * words);
    return compile_brief(made);
}

/* Each pattern goes where it is found at the least cost. */
static int build_tables(scanner *made, const uint64_t *chosen)
{
    uint32_t words = made->patterns / 64 + 1;
    uint64_t *way = calloc((size_t)WAYS * words, sizeof *way);
    if (way == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; i < made->patterns; i++) {
        const kept_pattern *pattern = &made->pattern[i];
        if (chosen != NULL && !bit_of(chosen, i))
            continue;
        unsigned goes = is_fixed(pattern) ? FIXED : pattern->length >= FAR_MIN ? LONG : pattern->length >= LONG_MIN ? MIDDLE : BRIEF;
        way[goes * words + i / 64] |= 1ull << (i & 63);
    }
    made->wide = scanner_is_wide();
    unsigned first;
    int status = build_brief(made, way, words, &first);
    uint64_t *longer = way + (size_t)LONG * words;
    const uint64_t *middle = way + (size_t)MIDDLE * words;
    for (uint32_t w = 0; first == BRIEF && w < words; w++)
        longer[w] |= middle[w];
    if (status == REEF_OK && first > LONG)
        status = gram_table_build(made, longer, made->whole != NULL ? &made->whole->table : NULL, &made->table);
    if (status == REEF_OK)
        status = build_fixed(made, way);
    free(way);
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
        status = build_tables(made, NULL);
    if (status != REEF_OK) {
        scanner_free(made);
        return status;
    }
    *out = made;
    return REEF_OK;
}

uint32_t scanner_choose(const scanner *whole, scanner_fits *fits, const void *context, uint64_t *chosen)
{
    uint32_t count = 0;
    memset(chosen, 0, scanner_choice_words(whole) * sizeof *chosen);
    for (uint32_t i = 0; i < whole->patterns; i++) {
        const kept_pattern *pattern = &whole->pattern[i];
        for (uint32_t k = 0; k < pattern->ranks; k++)
            if (fits(context, whole->rank[pattern->rank + k])) {
                chosen[i / 64] |= 1ull << (i & 63);
                count++;
                break;
            }
    }
    return count;
}

int scanner_part(const scanner *whole, const uint64_t *chosen, scanner **out)
{
    scanner *made = *out = calloc(1, sizeof *made);
    if (made == NULL)
        return REEF_NOMEM;
    made->whole = whole;
    made->pattern = whole->pattern;
    made->patterns = whole->patterns;
    made->text = whole->text;
    made->rank = whole->rank;
    int status = build_tables(made, chosen);
    if (status != REEF_OK) {
        scanner_free(made);
        *out = NULL;
    }
    return status;
}

void scanner_free(scanner *gone)
{
    if (gone == NULL)
        return;
    if (gone->whole == NULL) {
        free(gone->pattern);
        free(gone->text);
        free(gone->rank);
    }
    gram_table_free(&gone->table);
    free(gone->fixed);
    free(gone->fixed_first);
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
    size_t own = of->whole != NULL ? 0 : of->patterns * sizeof *of->pattern + of->text_bytes + of->ranks * sizeof *of->rank;
    size_t tables = of->brief_table != NULL ? sizeof *of->brief_table + of->brief_rows * sizeof *of->brief_table->row : 0;
    size_t fixed = of->fixed_places * (sizeof *of->fixed + sizeof *of->fixed_first) + of->fixed_patterns * sizeof *of->fixed_list;
    return sizeof *of + brief + own + tables + gram_table_memory(&of->table) + fixed;
}

uint32_t scanner_patterns(const scanner *of)
{
    return of->patterns;
}

uint32_t scanner_choice_words(const scanner *whole)
{
    return whole->patterns / 64 + 1;
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
