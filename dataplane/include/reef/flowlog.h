/* flowlog: what passed and what was refused, as rows of a table and as columns of bytes.
 *
 * A row stands for all connections of one hour that agree in everything but source port and size. The table is
 * filled from events, written out as columns, and emptied. Nothing of a source port is kept, times are whole
 * minutes, sizes are rounded: what a replay needs and no more (R30). The addresses of a block lie in a list
 * of their own, which is encrypted; the columns only number them. docs/flowlog.md has the format. */
#ifndef REEF_FLOWLOG_H
#define REEF_FLOWLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/event.h"
#include "reef/names.h"

typedef enum reef_flow_action { REEF_ALLOWED, REEF_DENIED, REEF_REJECTED } reef_flow_action;

/* What happened once, or `count` times. Texts need not outlive the call. */
typedef struct reef_flow_seen {
    const char *from, *to;     /* zones, "" where not known */
    const char *rule;          /* id, "default", or "" where not known */
    uint8_t source[16];
    uint8_t destination[16];   /* where it went */
    uint8_t asked[16];         /* where it was sent, before destination NAT */
    uint16_t port;             /* destination port; of ICMP type << 8 | code */
    uint16_t asked_port;
    uint8_t version, protocol;
    uint8_t action;            /* reef_flow_action */
    uint32_t minute;           /* when it began, minutes since the epoch */
    uint32_t count;
    uint64_t bytes, packets;   /* both directions */
} reef_flow_seen;

/* --- the table --- */

typedef struct reef_flowlog reef_flowlog;

/* At most `rows` rows (REEF_FLOW_ROWS_MAX); `seed` is secret, strangers choose the addresses that are hashed. */
int reef_flowlog_new(uint32_t rows, const uint64_t seed[2], reef_flowlog **out);
void reef_flowlog_free(reef_flowlog *log);

/* REEF_FULL: it found no room and is counted as lost. */
int reef_flowlog_add(reef_flowlog *log, const reef_flow_seen *seen);
/* A connection that ended, or a packet that the ruleset logged and did not let through; others are passed over.
 * Events that were lost before they came here are counted as lost. `rule` as the event's log prefix says, or NULL. */
void reef_flowlog_event(reef_flowlog *log, const reef_event *event, const reef_names *names,
                        const reef_rule_name *rule);

typedef struct reef_flow_sum {
    uint32_t rows, addresses, names;
    uint32_t first, last;  /* minutes */
    uint64_t flows;        /* sum of the counts */
    uint64_t lost;         /* flows that found no room since the table was last emptied */
} reef_flow_sum;

void reef_flowlog_sum(const reef_flowlog *log, reef_flow_sum *sum);
void reef_flowlog_empty(reef_flowlog *log);

/* --- columns --- */

/* Bytes that the three parts of the table take at most. */
void reef_flowlog_bound(const reef_flowlog *log, size_t *heads, size_t *body, size_t *addresses);
/* The table as three strings of bytes, sorted; the table stays as it is but for the order of its rows. */
int reef_flowlog_encode(reef_flowlog *log, uint8_t *heads, size_t *heads_size, uint8_t *body, size_t *body_size,
                        uint8_t *addresses, size_t *addresses_size);

/* Rows that agree in zones, rule, decision, protocol and port. */
typedef struct reef_flow_run {
    uint32_t from, to, rule; /* of the names */
    uint32_t rows;
    uint16_t port;
    uint8_t protocol, action;
} reef_flow_run;

typedef struct reef_flow_heads {
    uint32_t names;
    const char **name;
    reef_flow_run *run;
    uint32_t runs;
    uint32_t rows;
} reef_flow_heads;

typedef struct reef_flow_body {
    uint32_t rows;
    uint32_t addresses, addresses4; /* the first `addresses4` are IPv4, four bytes in the front */
    uint8_t (*address)[16];         /* each kind sorted */
    uint32_t *source, *destination, *asked;
    uint16_t *asked_port;           /* of a row whose `asked` is not its `destination`, or whose port changed */
    bool *translated;
    uint32_t *count, *minute;
    uint64_t *bytes, *packets;
} reef_flow_body;

/* REEF_FORMAT when the bytes are not what encode wrote; nothing is allocated then. */
int reef_flow_heads_decode(const uint8_t *heads, size_t size, reef_flow_heads **out);
void reef_flow_heads_free(reef_flow_heads *heads);
int reef_flow_body_decode(const reef_flow_heads *heads, const uint8_t *body, size_t body_size,
                          const uint8_t *addresses, size_t addresses_size, reef_flow_body **out);
void reef_flow_body_free(reef_flow_body *body);

/* Add decoded rows to a table: the blocks of an hour become one. What finds no room is counted as lost. */
int reef_flowlog_merge(reef_flowlog *log, const reef_flow_heads *heads, const reef_flow_body *body);

/* Sizes lose their last digits: five bits after the first stay, so the error is at most one in 32. */
uint32_t reef_flow_size_code(uint64_t size);
uint64_t reef_flow_size_of(uint32_t code);

#endif
