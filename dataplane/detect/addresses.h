/* addresses: rules of nothing but addresses, by address. */
#ifndef REEF_ADDRESSES_H
#define REEF_ADDRESSES_H

#include "match_internal.h"

typedef struct address_index address_index;

typedef struct address_plan {
    address_index *source, *destination; /* each rule in the one of its narrower side */
    rank_list wide4;                     /* rules that are tried for every IPv4 packet */
    rank_list all6;
} address_plan;

int addresses_build(const reef_rules *rules, const rank_list *members, address_plan *plan);
void addresses_free(address_plan *plan);
/* Rules that may be about the packet's addresses. */
void addresses_find(const address_plan *plan, const reef_packet *packet, rank_set *found);

#endif
