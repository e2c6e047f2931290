/* scanner: many patterns in one pass over a buffer. What it finds are candidates: rules whose pattern stands there. */
#ifndef REEF_SCANNER_H
#define REEF_SCANNER_H

#include <stddef.h>

#include "match_internal.h"

typedef struct scanner scanner;
typedef struct scanner_scratch scanner_scratch;

typedef struct scanner_pattern {
    reef_view bytes;    /* borrowed until scanner_build returns */
    bool nocase;
    uint32_t from, to;  /* it stands within these bytes of the whole; to: UINT32_MAX without a limit */
    uint32_t rank;
} scanner_pattern;

/* `patterns` is reordered. NULL in `out` when there are none. */
int scanner_build(scanner_pattern *patterns, uint32_t count, scanner **out);
void scanner_free(scanner *scanner);
size_t scanner_memory(const scanner *scanner);
uint32_t scanner_patterns(const scanner *scanner);

/* A part of a scanner: the patterns of those rules that `fits` says yes to, a bit each in `chosen`. How many they are. */
typedef bool scanner_fits(const void *context, uint32_t rank);
uint32_t scanner_choose(const scanner *whole, scanner_fits *fits, const void *context, uint64_t *chosen);
uint32_t scanner_choice_words(const scanner *whole);
/* The whole must outlive it. */
int scanner_part(const scanner *whole, const uint64_t *chosen, scanner **out);

/* Scratch that fits each scanner it was grown for (NULL: none). */
int scanner_scratch_fit(const scanner *scanner, scanner_scratch **scratch);
void scanner_scratch_free(scanner_scratch *scratch);

/* Adds the rules whose pattern stands in `bytes`, which begin at `offset` of the whole. */
void scanner_scan(const scanner *scanner, scanner_scratch *scratch, reef_view bytes, uint64_t offset, rank_set *found);

/* How good a pattern is to look for: the greater the rarer. 0: not at all. */
uint32_t scanner_worth(reef_view bytes, bool nocase);

#endif
