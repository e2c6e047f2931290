/* plan: which rules are looked at for what; made once from a rule set, shared by the workers. */
#ifndef REEF_PLAN_H
#define REEF_PLAN_H

#include "addresses.h"
#include "groups.h"
#include "scanner.h"

enum { TRANSPORT_TCP, TRANSPORT_UDP, TRANSPORT_OTHER, TRANSPORTS };
enum { PROTOCOLS_MAX = 64, PLACES_MAX = 128 /* buffers of a protocol */ };

/* Payload of one direction and transport. `near` holds patterns that stand among the first bytes of a packet. */
enum { NEAR_BYTES = 96 };

typedef struct payload_plan {
    scanner *stream;      /* rules of the stream */
    scanner *near, *far;  /* rules of packets */
    scanner *near_loose, *far_loose; /* rules of the stream alone, for packets that did not go into it */
    rank_list stream_always, packet_always, loose_always; /* without a pattern to look for */
    rank_list stream_ports, packet_ports, loose_ports;    /* with a short one, but for few ports: by those */
} payload_plan;

/* A buffer of transactions as rules look at it: by direction, with one chain of transforms. */
typedef struct buffer_plan {
    uint16_t kind;
    uint8_t direction, transforms;
    uint32_t transform; /* first of them in the rules */
    scanner *scanner;
} buffer_plan;

typedef struct event_rule {
    uint32_t event, rank;
} event_rule;

struct detect_plan {
    rank_list ip_only;
    address_plan addresses;                           /* of those */
    group_plan groups;
    rank_list events;                                 /* rules that ask for decode or stream events in no simple way */
    event_rule *event;                                /* the others, by event */
    uint32_t event_rules;
    rank_list packet[2][TRANSPORTS];                  /* rules that look at no payload: tried for every packet */
    rank_list opening[2];                             /* those of TCP that ask for SYN: tried where it is set */
    payload_plan payload[2][TRANSPORTS];
    buffer_plan *buffer;                              /* sorted by kind and direction */
    uint32_t buffers;
    uint32_t buffer_first[REEF_BUFFER_COUNT + 1][2];  /* of a kind and direction: where in `buffer` */
    uint32_t buffer_count[REEF_BUFFER_COUNT + 1][2];
    uint64_t asked[PROTOCOLS_MAX][2][PLACES_MAX / 64]; /* by protocol and direction: which of its buffers rules look into, by their place among them */
    rank_list pdus;                                   /* rules with `frame` */
    rank_list transaction_always[PROTOCOLS_MAX][2];   /* by protocol number and direction */
    bool keeps_stream[2];                             /* a rule found by a transaction asks for its stream then */
    uint32_t with_pattern;                            /* rules found by a pattern */
    size_t memory;
};

int plan_scratch(struct detect_plan *plan, scanner_scratch **scratch);

#endif
