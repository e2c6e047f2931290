/* The table of the flow log, between the file that fills it and the one that writes it down. */
#ifndef REEF_FLOWLOG_INTERNAL_H
#define REEF_FLOWLOG_INTERNAL_H

#include <stdint.h>

#include "reef/flowlog.h"
#include "reef/limits.h"

typedef struct flow_row {
    uint64_t bytes, packets;
    uint32_t count, minute;
    uint32_t from, to, rule;             /* of the names */
    uint32_t source, destination, asked; /* of the addresses */
    uint16_t port, asked_port;
    uint8_t protocol, action;
} flow_row;

typedef struct flow_address {
    uint8_t bytes[16]; /* the rest of an IPv4 address is zero */
    uint8_t version;
} flow_address;

struct reef_flowlog {
    uint64_t seed[2];
    flow_row *row;
    flow_address *address;
    char **name;
    /* Open addressing, powers of two, at most half full: the number of the entry plus one, 0 for none. */
    uint32_t *row_at, *address_at, *name_at;
    uint32_t rows, addresses, names;
    uint32_t rows_max, addresses_max;
    uint32_t row_slots, address_slots, name_slots;
    uint64_t lost;
};

#endif
