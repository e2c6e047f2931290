/* What is banned, by list, and the two tables in which the XDP program finds it.
 *
 * A single ban goes into the table that counts, at once. A whole list is built into the other table while the first one
 * goes on counting, and then the other one counts: no packet sees half of it. One thread may build while another one bans and
 * unbans; neither may do two things at once. */
#ifndef REEF_BANS_H
#define REEF_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/banlist.h"

#define REEF_BANS_LISTS 127u /* lists have ids 1 to this */

struct reef_gate_fixed;
struct reef_gate_live;
struct reef_gate_line4;
struct reef_gate_line6;

/* Where the tables lie, both sides of each behind one another, and what the program was loaded with (xdp/shared.h). */
struct reef_bans_memory {
    const struct reef_gate_fixed *fixed;
    struct reef_gate_live *live;
    uint8_t *any4, *index4;
    struct reef_gate_line4 *lines4;
    uint8_t *any6;
    uint64_t *index6, *deep6;
    struct reef_gate_line6 *lines6;
};

typedef struct reef_bans reef_bans;

/* The memory stays the caller's, is zeroed, and outlives the bans. */
int reef_bans_new(const struct reef_bans_memory *memory, reef_bans **out);
void reef_bans_free(reef_bans *bans);

/* REEF_END: the list bans it already. REEF_FULL: no room for it. REEF_INVALID: no prefix that anybody bans, or no list. */
int reef_bans_add(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix);

/* REEF_END: the list does not ban it. Where only a new table can be without it, it goes with the next `reef_bans_settle`. */
int reef_bans_remove(reef_bans *bans, uint32_t list, const struct reef_prefix *prefix);
bool reef_bans_unsettled(reef_bans *bans);

/* Builds the other table from all lists, `entries` in the place of those of `list`, and lets it count. `entries` is taken
 * over when it succeeds. REEF_FULL: more than the tables hold; what was banned is banned. */
int reef_bans_replace(reef_bans *bans, uint32_t list, reef_banlist *entries);
int reef_bans_settle(reef_bans *bans);

size_t reef_bans_count(reef_bans *bans, uint32_t list);

/* The list that bans a host (`length` all bits), 0 when none does: as the program finds it. */
uint32_t reef_bans_find(reef_bans *bans, const struct reef_prefix *host);

#endif
