/* What building and scanning share. */
#ifndef REEF_SCANNER_INTERNAL_H
#define REEF_SCANNER_INTERNAL_H

#include <hs.h>
#include <string.h>

#include "scanner.h"

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

    bool wide; /* the processor looks at sixteen places at once */

    hs_database_t *brief; /* NULL: no short patterns */
    uint32_t brief_count;
    uint32_t *brief_pattern;
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

/* scanner.c: has the processor what the wide way needs? */
bool scanner_is_wide(void);

#endif
