/* What building and scanning share. */
#ifndef REEF_SCANNER_INTERNAL_H
#define REEF_SCANNER_INTERNAL_H

#include <hs.h>
#include <string.h>

#include "scanner.h"

enum { GRAM = 4, LONG_MIN = 5, FAR_MIN = 7, TAGGED = 2, BITS_MIN = 12, BITS_MAX = 18, SPARSE = 256, FIXED_FIRST = 64 };
#define FOLD 0x20202020u
#define FOLD_WINDOW 0x2020202020202020u
#define SPREAD 0x9e3779b1u

enum { WINDOW = 8 };

typedef struct kept_pattern {
    uint32_t text, length;
    uint32_t from, to;
    uint32_t rank, ranks; /* in `rank` */
    uint8_t nocase;
    uint8_t rarest; /* where its rarest four bytes are; 0 when it is shorter */
} kept_pattern;

typedef struct gram_entry {
    uint64_t value, mask;     /* of up to eight bytes of the pattern round its gram, folded: `aside` of them in front of it */
    uint32_t pattern : 24, at : 8; /* the gram's place in the pattern */
    uint32_t aside;
} gram_entry;

/* Patterns of five bytes and more by stretches of four of their bytes. Those of seven and more are found at every fourth place of a
 * buffer, since four of their stretches are here, one behind the other; those of five and six also halfway between. */
typedef struct gram_map {
    uint8_t *seen; /* by hash of a gram: what its two bytes behind may be (nearby_of), a bit each; NULL: there are none */
    unsigned shift;
} gram_map;
typedef struct gram_table {
    gram_map all, between;
    uint64_t *tag; /* by bucket: what the two bytes behind its grams and those in front of them may be (tags_of), a bit each */
    uint32_t *bucket;
    unsigned bucket_shift;
    gram_entry *gram;
    uint32_t grams, buckets;
} gram_table;

/* Patterns that stand at `place`: a bit for each byte that one of them begins with; those with byte b are from first[b] to
 * first[b + 1] in `fixed_list`. */
typedef struct fixed_place {
    uint32_t place;
    uint64_t begins[4];
} fixed_place;
typedef struct fixed_first {
    uint32_t first[257];
} fixed_first;
/* One of them, with its last bytes, since many begin alike: (window at `aside`) & mask is `value`. */
typedef struct fixed_entry {
    uint64_t value, mask;
    uint32_t aside, length, pattern;
} fixed_entry;

/* Short patterns in eight buckets: which of them a byte may begin, go on or end, by its last seven bits or by its nibbles (brief.c). */
enum { BRIEF_BUCKETS = 8, BRIEF_PLACES = 4, BRIEF_LANES = 16 };
/* Sixteen of a bucket: one stands where (bytes | fold) & mask is its value. */
typedef struct brief_row {
    uint32_t value[BRIEF_LANES], mask[BRIEF_LANES], fold[BRIEF_LANES];
    uint32_t pattern[BRIEF_LANES];
    uint8_t skip[BRIEF_LANES]; /* where in the pattern these bytes are: the rest is compared too */
} brief_row;
typedef struct brief_table {
    uint8_t byte[BRIEF_PLACES][128];
    uint8_t low[BRIEF_PLACES][16], high[BRIEF_PLACES][16];
    bool exact;
    uint32_t first[BRIEF_BUCKETS + 1]; /* of a bucket: where in `row` */
    brief_row row[];
} brief_table;

struct scanner {
    kept_pattern *pattern;
    uint32_t patterns;
    uint8_t *text;
    uint32_t text_bytes;
    uint32_t *rank;
    uint32_t ranks;
    const scanner *whole; /* what it shares patterns, text and ranks with; NULL: they are its own */

    gram_table table;

    fixed_place *fixed;
    fixed_first *fixed_first; /* beside them */
    uint32_t fixed_places;
    fixed_entry *fixed_list;
    uint32_t fixed_patterns;

    bool wide; /* the processor looks at sixteen places at once */

    hs_database_t *brief; /* NULL: no short patterns, or they are looked for the wide way */
    uint32_t brief_count, brief_rows;
    uint32_t *brief_pattern;
    brief_table *brief_table;
};

struct scanner_scratch {
    hs_scratch_t *brief;
    uint32_t *seen; /* by pattern: the scan it was found in last */
    uint32_t patterns, scan;
};

static inline uint32_t gram_at(const uint8_t *data)
{
    uint32_t gram;
    memcpy(&gram, data, sizeof gram);
    return gram;
}

/* grams.c: the place in a pattern whose `step` grams are rarest, and how rare. */
uint32_t scanner_best_place(reef_view bytes, uint32_t step, uint32_t *worth);

/* Two bytes behind a gram or in front of it as one of 32, and as one of 8. */
enum { SPREAD_TWO = 0x9e3b };

static inline uint32_t spread_two(const uint8_t *bytes)
{
    uint16_t two;
    memcpy(&two, bytes, sizeof two);
    return (two | (FOLD & 0xffff)) * SPREAD_TWO & UINT16_MAX;
}
static inline uint64_t tag_behind(const uint8_t *gram)
{
    return 1ull << (spread_two(gram + GRAM) >> 8 & 31);
}
static inline uint64_t tag_in_front(const uint8_t *gram)
{
    return 1ull << 32 << (spread_two(gram - TAGGED) >> 8 & 31);
}
static inline uint64_t tags_of(const uint8_t *gram)
{
    return tag_behind(gram) | tag_in_front(gram);
}
static inline uint8_t nearby_of(const uint8_t *behind)
{
    return (uint8_t)(1u << (spread_two(behind) >> 13));
}

typedef struct scan {
    const scanner *of;
    scanner_scratch *scratch;
    reef_view bytes;
    uint64_t offset;
    rank_set *found;
} scan;

static inline void scan_take(const scan *at, const kept_pattern *pattern)
{
    for (uint32_t i = 0; i < pattern->ranks; i++)
        rank_set_add(at->found, at->of->rank[pattern->rank + i]);
}

/* May the pattern stand at `start`? */
static inline bool scan_is_placed(const scan *at, const kept_pattern *pattern, uint64_t start)
{
    uint64_t whole = at->offset + start;
    return whole >= pattern->from && (pattern->to == UINT32_MAX || whole + pattern->length <= pattern->to);
}

/* gram_table.c: of the patterns that `taken` has a bit for; entries that `whole` has (it may be NULL) are taken from there. */
int gram_table_build(const scanner *of, const uint64_t *taken, const gram_table *whole, gram_table *made);
void gram_table_free(gram_table *gone);
size_t gram_table_memory(const gram_table *of);

static inline bool bit_of(const uint64_t *bits, uint32_t number)
{
    return bits[number >> 6] >> (number & 63) & 1;
}

/* grams.c: where the `window` rarest bytes of it are. */
uint8_t scanner_rarest(reef_view bytes, uint32_t window);

/* grams.c: how rare a folded byte is in traffic, in eighths of a bit or so. */
uint32_t scanner_byte_worth(uint8_t byte);

static inline uint32_t entry_gram(const gram_entry *entry)
{
    return (uint32_t)(entry->value >> 8 * entry->aside);
}

/* brief.c: the wide way for short patterns, whose numbers are in `brief_pattern`. No table is made when there are too many or
 * too common ones. `alone`: without those that can be found by their stretches of four bytes as well. */
int brief_build(scanner *made, bool alone);
void brief_scan(const scan *at);

/* scanner.c: has the processor what the wide way needs? */
bool scanner_is_wide(void);

#endif
