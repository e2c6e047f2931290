/* One side of the tables that the XDP program reads (shared.h): entries come and go while it reads them. */
#ifndef REEF_XDP_TABLE_H
#define REEF_XDP_TABLE_H

#include <stdint.h>

#include "reef/banlist.h"
#include "shared.h"

struct reef_table {
    const struct reef_gate_fixed *fixed;
    uint8_t *any4, *index4;
    struct reef_gate_line4 *lines4;
    uint8_t *any6;
    uint64_t *index6, *deep6;
    struct reef_gate_line6 *lines6;
    uint64_t *wide;
};

void reef_table_clear(struct reef_table *table);

/* The first list that bans a prefix keeps it. REEF_FULL: no room; the table holds what it held. */
int reef_table_add4(struct reef_table *table, const struct reef_prefix4 *entry, uint32_t list);
int reef_table_add6(struct reef_table *table, const struct reef_prefix6 *entry, uint32_t list);

/* Such an entry will be added soon. */
void reef_table_expect4(const struct reef_table *table, const struct reef_prefix4 *entry);
void reef_table_expect6(const struct reef_table *table, const struct reef_prefix6 *entry);

/* REEF_UNSUPPORTED: only a new table can be without it. REEF_OK: gone, for every list. */
int reef_table_remove4(struct reef_table *table, const struct reef_prefix4 *entry);
int reef_table_remove6(struct reef_table *table, const struct reef_prefix6 *entry);

/* The list that bans an address, 0 when none does: as the program finds it. */
uint32_t reef_table_find4(const struct reef_table *table, uint32_t address);
uint32_t reef_table_find6(const struct reef_table *table, uint64_t high, uint64_t low);

#endif
