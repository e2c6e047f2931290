/* choose: the pattern a rule is looked for by. */
#ifndef REEF_CHOOSE_H
#define REEF_CHOOSE_H

#include "match_internal.h"
#include "scanner.h"

typedef struct choice {
    const reef_block *block; /* NULL: none of its patterns serves */
    scanner_pattern pattern;
    uint32_t worth;
} choice;

/* In how many rules each pattern stands. */
typedef struct popularity popularity;

int popularity_new(const reef_rules *rules, popularity **out);
void popularity_free(popularity *popular);

/* Among the patterns of payload, or of the transaction's buffers. */
choice choose(const reef_rules *rules, const popularity *popular, const detect_rule *rule, bool payload);

#endif
