/* What building and scanning share. */
#ifndef REEF_SCANNER_INTERNAL_H
#define REEF_SCANNER_INTERNAL_H

#include <hs.h>
#include <string.h>

#include "scanner.h"

enum { GRAM = 4, LONG_MIN = 5, BITS_MIN = 12, BITS_MAX = 18, SPARSE = 256, FIXED_FIRST = 64 };
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
    uint32_t beside, mask; /* what stands of the pattern behind the gram or, where it ends with that, in front of it: folded */
    int32_t aside;         /* where, from the gram */
    uint32_t pattern : 24, at : 8;
} gram_entry;

/* Patterns that stand at `place` and begin with byte b: first[b] to first[b + 1] in `list`. */
typedef struct fixed_place {
    uint32_t place;
    uint32_t first[257];
} fixed_place;

/* Short patterns in eight buckets: which of them a byte may begin, go on or end, by its nibbles (brief.c). */
enum { BRIEF_BUCKETS = 8, BRIEF_PLACES = 4 };
typedef struct brief_entry {
    uint32_t value, mask, fold; /* it stands where (bytes | fold) & mask is its value */
    uint32_t pattern;
} brief_entry;
typedef struct brief_table {
    uint8_t low[BRIEF_PLACES][16], high[BRIEF_PLACES][16];
    uint32_t first[BRIEF_BUCKETS + 1]; /* of a bucket: where in `entry` */
    brief_entry entry[];
} brief_table;

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

    bool wide; /* the processor looks at sixteen places at once */

    hs_database_t *brief; /* NULL: no short patterns, or they are looked for the wide way */
    uint32_t brief_count;
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

/* grams.c: the place in a pattern whose two grams are rarest, and how rare. */
uint32_t scanner_best_place(reef_view bytes, uint32_t *worth);

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

/* brief.c: the wide way for short patterns, whose numbers are in `brief_pattern`. No table is made when there are too many or
 * too common ones. */
int brief_build(scanner *made);
void brief_scan(const scan *at);

/* scanner.c: has the processor what the wide way needs? */
bool scanner_is_wide(void);

#endif
