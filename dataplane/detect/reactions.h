/* reactions: as the matcher asks them. */
#ifndef REEF_DETECT_REACTIONS_H
#define REEF_DETECT_REACTIONS_H

#include "reef/reactions.h"
#include "rules_internal.h"

/* A connection as suppressions see it. */
typedef struct reaction_ends {
    const uint8_t *client, *server;
    uint64_t now_s;
    uint16_t profile;
    uint8_t version;
} reaction_ends;

/* Reactions that were made for other rules say nothing of these. */
bool reactions_are_of(const reef_reactions *reactions, const reef_rules *rules);
uint16_t reactions_profile(const reef_reactions *reactions, uint32_t mark);
/* NULL: nothing is said of it. */
const reef_limits *reactions_limits(const reef_reactions *reactions, uint16_t profile);
/* What a rule (its index in the image) does there: reef_rule_action or REEF_OFF. */
uint8_t reactions_action(const reef_reactions *reactions, uint32_t rule, const reaction_ends *ends);
/* NULL: as often as the rule says. */
const reef_reaction_threshold *reactions_threshold(const reef_reactions *reactions, uint32_t rule, uint16_t profile);

#endif
