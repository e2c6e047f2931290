/* Random patterns in random bytes: each way of looking for them finds those that stand there, and no others. */
#include "../../dataplane/detect/content.h"
#include "../../dataplane/detect/scanner_internal.h"
#include "check.h"
#include "reef/status.h"

enum { PATTERNS = 90, BYTES = 6000, TEXT = 24 };

static uint64_t state = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

/* Some are alike but for one bit: those that tell letters' cases apart, nibbles, and bytes beyond ASCII from those of it. */
static uint8_t random_byte(void)
{
    static const char alphabet[] = "abcAB \r\n/@`\x01\xe1\xc1\xff";
    uint32_t kind = random_below(8);
    return kind < 5 ? (uint8_t)alphabet[random_below(sizeof alphabet - 1)] : kind < 6 ? 0 : (uint8_t)random_below(256);
}

typedef struct sample {
    scanner_pattern pattern[PATTERNS];
    uint8_t text[PATTERNS][TEXT];
    uint32_t patterns;
    uint8_t *bytes;
    uint32_t length;
    uint64_t offset;
} sample;

static void random_patterns(sample *of)
{
    of->patterns = 1 + random_below(random_below(2) ? PATTERNS : 12);
    uint32_t longest = random_below(2) ? TEXT : 6;
    for (uint32_t i = 0; i < of->patterns; i++) {
        scanner_pattern *pattern = &of->pattern[i];
        *pattern = (scanner_pattern){.bytes = {of->text[i], 1 + random_below(longest)}, .nocase = random_below(2), .to = UINT32_MAX, .rank = i};
        for (uint32_t k = 0; k < pattern->bytes.length; k++)
            of->text[i][k] = random_byte();
        if (random_below(3) == 0) {
            pattern->from = random_below(100);
            pattern->to = pattern->from + pattern->bytes.length + random_below(3) * 20;
        }
    }
}

/* Patterns stand here and there in it, some with a bit of them wrong. */
static void random_content(sample *of)
{
    of->length = random_below(3) ? random_below(300) : random_below(BYTES);
    of->offset = random_below(3) ? 0 : random_below(80);
    of->bytes = malloc(of->length + 1); /* of just this size: what is read beyond is told */
    CHECK(of->bytes != NULL);
    for (uint32_t i = 0; i < of->length; i++)
        of->bytes[i] = random_byte();
    for (uint32_t n = random_below(20); n > 0; n--) {
        reef_view pattern = of->pattern[random_below(of->patterns)].bytes;
        if (pattern.length > of->length)
            continue;
        uint8_t *at = of->bytes + random_below(of->length - pattern.length + 1);
        memcpy(at, pattern.data, pattern.length);
        if (random_below(3) == 0)
            at[random_below(pattern.length)] ^= (uint8_t)(1u << random_below(8));
    }
}

static bool stands(const sample *of, const scanner_pattern *pattern)
{
    for (uint32_t i = 0; i + pattern->bytes.length <= of->length; i++) {
        uint64_t whole = of->offset + i;
        if (whole >= pattern->from && (pattern->to == UINT32_MAX || whole + pattern->bytes.length <= pattern->to) &&
            content_equal(of->bytes + i, pattern->bytes.data, pattern->bytes.length, pattern->nocase))
            return true;
    }
    return false;
}

static uint32_t compare(const sample *of, const scanner *with, scanner_scratch **scratch, const uint64_t *chosen)
{
    uint32_t rank[PATTERNS], stand = 0;
    uint64_t bit[PATTERNS / 64 + 1] = {0};
    rank_set found = {.rank = rank, .bit = bit};
    CHECK(scanner_scratch_fit(with, scratch) == REEF_OK);
    scanner_scan(with, *scratch, (reef_view){of->bytes, of->length}, of->offset, &found);
    for (uint32_t i = 0; i < of->patterns; i++) { /* sorted when the scanner was built: by rank */
        const scanner_pattern *pattern = &of->pattern[i];
        bool asked = chosen == NULL || bit_of(chosen, pattern->rank);
        CHECK(rank_set_has(&found, pattern->rank) == (asked && stands(of, pattern)));
        stand += rank_set_has(&found, pattern->rank);
    }
    return stand;
}

static bool is_chosen(const void *context, uint32_t rank)
{
    return bit_of(context, rank);
}

/* The whole, and a part of it that rules with some ranks ask for; where the processor can do more, also as those that cannot do it. */
static uint32_t look_every_way(sample *of)
{
    scanner *whole, *part;
    scanner_scratch *scratch = NULL;
    uint64_t ranks[PATTERNS / 64 + 1] = {0}, chosen[PATTERNS / 64 + 1];
    CHECK(scanner_build(of->pattern, of->patterns, &whole) == REEF_OK);
    for (uint32_t i = 0; i < of->patterns; i++)
        ranks[i / 64] |= (uint64_t)random_below(2) << (i & 63);
    CHECK(scanner_choice_words(whole) <= PATTERNS / 64 + 1);
    (void)scanner_choose(whole, is_chosen, ranks, chosen);
    CHECK(scanner_part(whole, chosen, &part) == REEF_OK);
    uint32_t stand = 0;
    for (unsigned round = 0; round < 4; round++) {
        random_content(of);
        stand += compare(of, whole, &scratch, NULL);
        uint64_t with[PATTERNS / 64 + 1] = {0}; /* what stands where a chosen one does is found with it */
        for (uint32_t p = 0; p < whole->patterns; p++)
            for (uint32_t k = 0; bit_of(chosen, p) && k < whole->pattern[p].ranks; k++) {
                uint32_t rank = whole->rank[whole->pattern[p].rank + k];
                with[rank / 64] |= 1ull << (rank & 63);
            }
        stand += compare(of, part, &scratch, with);
        bool exact = whole->brief_table != NULL && whole->brief_table->exact;
        if (exact)
            whole->brief_table->exact = false;
        whole->wide = false;
        stand += compare(of, whole, &scratch, NULL);
        if (exact)
            whole->brief_table->exact = true;
        whole->wide = scanner_is_wide();
        free(of->bytes);
    }
    scanner_free(part);
    scanner_free(whole);
    scanner_scratch_free(scratch);
    return stand;
}

int main(void)
{
    static sample of;
    uint32_t stand = 0;
    for (uint32_t round = 0; round < 600; round++) {
        random_patterns(&of);
        stand += look_every_way(&of);
    }
    CHECK(stand > 10000);
    puts("ok");
    return 0;
}
