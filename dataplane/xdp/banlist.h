/* Inside of a list of prefixes: shared by what sorts it and what reads it. */
#ifndef REEF_XDP_BANLIST_H
#define REEF_XDP_BANLIST_H

#include "reef/banlist.h"

struct reef_banlist {
    struct reef_prefix4 *four;
    struct reef_prefix6 *six;
    size_t count4, room4, count6, room6;
};

int reef_banlist_add4(reef_banlist *list, uint32_t address, uint32_t length);
int reef_banlist_add6(reef_banlist *list, uint64_t high, uint64_t low, uint32_t length);

/* REEF_INVALID when it is not one of that version, too wide to be banned, or has bits behind its length. */
int reef_prefix_as4(const struct reef_prefix *prefix, struct reef_prefix4 *out);
int reef_prefix_as6(const struct reef_prefix *prefix, struct reef_prefix6 *out);

static inline uint32_t reef_mask4(unsigned length)
{
    return length > 0 ? ~0u << (32 - length) : 0;
}

/* Of the upper `length` bits, 0 to 64. */
static inline uint64_t reef_mask64(unsigned length)
{
    return length > 0 ? ~0ull << (64 - length) : 0;
}

#endif
