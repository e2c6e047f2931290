/* addresses: rules of nothing but addresses, thousands of them from lists of bad hosts, found by the address of a packet: IPv4
 * space is cut where any rule's range begins or ends, and each piece knows its rules. */
#include "addresses.h"

#include <stdlib.h>
#include <string.h>

#include "reef/status.h"

enum { PIECES_PER_RANGE = 32 };

typedef struct span {
    uint64_t first, last;
    uint32_t rank;
} span;

struct address_index {
    uint64_t *bound; /* piece i is bound[i] up to bound[i + 1] */
    uint32_t bounds;
    uint32_t *first; /* of a piece in `rank` */
    uint32_t *rank;
};

static int compare_bounds(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The piece an address lies in; UINT32_MAX: before the first. */
static uint32_t piece_of(const address_index *index, uint64_t address)
{
    uint32_t low = 0, high = index->bounds;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (index->bound[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

static void cut(address_index *index, const span *spans, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        index->bound[n++] = spans[i].first;
        index->bound[n++] = spans[i].last + 1;
    }
    if (n > 0)
        qsort(index->bound, n, sizeof *index->bound, compare_bounds);
    for (uint32_t i = 0; i < n; i++)
        if (index->bounds == 0 || index->bound[i] != index->bound[index->bounds - 1])
            index->bound[index->bounds++] = index->bound[i];
}

/* Ranges of one side's sets; those that would lie in too many pieces are left to `wide`. */
static int build_side(const reef_rules *rules, const rank_list *members, bool source, rank_list *wide, address_index **out)
{
    uint32_t ranges = 0, count = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const reef_rule *rule = rules->ranked[members->rank[i]].rule;
        ranges += rules->address_set[source ? rule->source : rule->destination].ranges4;
    }
    address_index *index = *out = calloc(1, sizeof *index);
    span *spans = calloc(ranges + 1u, sizeof *spans);
    if (index == NULL || spans == NULL || (index->bound = calloc(2u * ranges + 1u, sizeof *index->bound)) == NULL) {
        free(spans);
        return REEF_NOMEM;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const reef_rule *rule = rules->ranked[members->rank[i]].rule;
        const reef_address_set *set = &rules->address_set[source ? rule->source : rule->destination];
        for (uint32_t k = 0; k < set->ranges4; k++)
            spans[count++] = (span){rules->range4[set->range4 + k].first, rules->range4[set->range4 + k].last, members->rank[i]};
    }
    cut(index, spans, count);
    index->first = calloc(index->bounds + 2u, sizeof *index->first);
    index->rank = calloc((size_t)count * PIECES_PER_RANGE + 1u, sizeof *index->rank);
    bool failed = index->first == NULL || index->rank == NULL;
    uint32_t *at = &index->first[1]; /* counts first, then places */
    for (int pass = 0; pass < 2 && !failed; pass++) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t from = piece_of(index, spans[i].first), to = piece_of(index, spans[i].last);
            if (to - from >= PIECES_PER_RANGE) {
                failed |= pass == 0 && !rank_list_add(wide, spans[i].rank);
                continue;
            }
            for (uint32_t piece = from; piece <= to; piece++) {
                if (pass == 1)
                    index->rank[index->first[piece + 1]] = spans[i].rank;
                at[piece]++;
            }
        }
        uint32_t sum = 0;
        for (uint32_t piece = 0; pass == 0 && piece < index->bounds; piece++) {
            uint32_t here = at[piece];
            at[piece] = sum;
            sum += here;
        }
    }
    free(spans);
    return failed ? REEF_NOMEM : REEF_OK;
}

static uint64_t breadth(const reef_rules *rules, uint32_t set)
{
    uint64_t sum = 0;
    if (set == 0)
        return UINT64_MAX;
    for (uint32_t k = 0; k < rules->address_set[set].ranges4; k++) {
        const reef_range4 *range = &rules->range4[rules->address_set[set].range4 + k];
        sum += (uint64_t)range->last - range->first + 1;
    }
    return sum;
}

static bool meets6(const reef_rules *rules, uint32_t set)
{
    return set == 0 || rules->address_set[set].ranges6 > 0;
}

int addresses_build(const reef_rules *rules, const rank_list *members, address_plan *plan)
{
    rank_list side[2] = {{0}, {0}};
    bool failed = false;
    for (uint32_t i = 0; i < members->count; i++) {
        const reef_rule *rule = rules->ranked[members->rank[i]].rule;
        uint64_t of_source = breadth(rules, rule->source), of_destination = breadth(rules, rule->destination);
        bool wide = (of_source == UINT64_MAX && of_destination == UINT64_MAX) || rule->flags & REEF_RULE_BIDIRECTIONAL;
        failed |= !rank_list_add(wide ? &plan->wide4 : &side[of_source <= of_destination ? 0 : 1], members->rank[i]);
        if (meets6(rules, rule->source) && meets6(rules, rule->destination))
            failed |= !rank_list_add(&plan->all6, members->rank[i]);
    }
    int status = failed ? REEF_NOMEM : REEF_OK;
    for (int s = 0; s < 2 && status == REEF_OK; s++)
        status = build_side(rules, &side[s], s == 0, &plan->wide4, s == 0 ? &plan->source : &plan->destination);
    free(side[0].rank);
    free(side[1].rank);
    return status;
}

static void index_free(address_index *index)
{
    if (index == NULL)
        return;
    free(index->bound);
    free(index->first);
    free(index->rank);
    free(index);
}

void addresses_free(address_plan *plan)
{
    index_free(plan->source);
    index_free(plan->destination);
    free(plan->wide4.rank);
    free(plan->all6.rank);
}

static void add_piece(const address_index *index, const uint8_t *address, rank_set *found)
{
    uint32_t value = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 | address[3];
    uint32_t piece = piece_of(index, value);
    if (piece == UINT32_MAX)
        return;
    for (uint32_t i = index->first[piece]; i < index->first[piece + 1]; i++)
        rank_set_add(found, index->rank[i]);
}

void addresses_find(const address_plan *plan, const reef_packet *packet, rank_set *found)
{
    const rank_list *list = packet->version == 4 ? &plan->wide4 : &plan->all6;
    for (uint32_t i = 0; i < list->count; i++)
        rank_set_add(found, list->rank[i]);
    if (packet->version != 4)
        return;
    add_piece(plan->source, packet->source, found);
    add_piece(plan->destination, packet->destination, found);
}
