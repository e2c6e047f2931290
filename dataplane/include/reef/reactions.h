/* reactions: what rules do because the policy says so, whatever they say themselves: by the profile of the connection, and
 * silenced where a person found them wrong. Made for one rule set; immutable once filled; any number of workers share it. */
#ifndef REEF_REACTIONS_H
#define REEF_REACTIONS_H

#include "reef/rules.h"

typedef struct reef_reactions reef_reactions;

/* An action of a profile: reef_rule_action, or this. */
enum { REEF_OFF = 255 };

/* How often a rule is told of; as the keyword threshold. Counted for each rule by itself. */
typedef struct reef_reaction_threshold {
    uint8_t kind;  /* 0: the first `count` in `seconds`; 1: each `count`-th; 2: once, at the `count`-th */
    uint8_t by;    /* 0: source; 1: destination; 2: both; 3: the rule */
    uint32_t count, seconds;
} reef_reaction_threshold;

/* First and last address, network order; IPv4 stands in the first four bytes. */
typedef struct reef_address_range {
    uint8_t version, spare[3];
    uint8_t first[16], last[16];
} reef_address_range;

/* Rules say nothing (REEF_OFF), or stop nothing (REEF_ALERT), in connections of which every condition holds. No ranges: any. */
typedef struct reef_suppression {
    uint8_t action;
    uint64_t until_s;                                    /* seconds since the epoch; 0: for ever */
    const reef_address_range *client, *server, *either;
    uint32_t clients, servers, eithers;
    const uint16_t *profile;                             /* of these; none: of any */
    uint32_t profiles;
} reef_suppression;

/* What can be left out when there is more to look into than time. */
typedef enum reef_shed {
    REEF_SHED_FILES,       /* bodies that begin: they are not searched, hashed or kept */
    REEF_SHED_TRANSFERS,   /* connections that carried much */
    REEF_SHED_ENCRYPTED,   /* that turned to ciphertext */
    REEF_SHED_ESTABLISHED, /* in which nothing was found so far */
    REEF_SHED_NEW,         /* that begin */
    REEF_SHEDS,
} reef_shed;

/* Of a profile: bytes of a direction that are looked at (0: all), and at which pressure each thing is left out (0: at none). */
typedef struct reef_limits {
    uint32_t depth;
    uint8_t shed_at[REEF_SHEDS];
} reef_limits;

/* `actions` are of `profiles` (1 to REEF_PROFILES_MAX) times the rules, in the order of the image; both are copied. The rules must
 * outlive it. */
int reef_reactions_new(const reef_rules *rules, uint32_t profiles, const uint8_t *actions, reef_reactions **out);
void reef_reactions_free(reef_reactions *reactions);
/* The profile of connections that rules of the policy let in, by their number (the mark's); the others have profile 0. */
int reef_reactions_profile(reef_reactions *reactions, const uint16_t *profile_of, uint32_t numbers);
/* Where nothing is said, the worker's depth holds and nothing is left out. */
int reef_reactions_limits(reef_reactions *reactions, uint32_t profile, const reef_limits *limits);
/* For these rules (indices in the image) under one profile. The last one said holds. */
int reef_reactions_threshold(reef_reactions *reactions, uint32_t profile, const uint32_t *rules, uint32_t count,
                             const reef_reaction_threshold *threshold);
/* For these rules. Everything is copied. Of several that hold the first one does. */
int reef_reactions_suppress(reef_reactions *reactions, const uint32_t *rules, uint32_t count, const reef_suppression *suppression);

#endif
