/* flow: packets become conversations. One table per worker, of a size fixed when it is made.
 *
 * The table owns its flows; a returned `reef_flow *` is borrowed and stays valid until the flow is
 * released. Time is that of the packets; a table never asks the clock. */
#ifndef REEF_FLOW_H
#define REEF_FLOW_H

#include <stdbool.h>

#include "reef/packet.h"

/* Direction within a flow. */
enum { REEF_TO_SERVER = 0, REEF_TO_CLIENT = 1 };

typedef enum reef_flow_state { REEF_FLOW_NEW, REEF_FLOW_ESTABLISHED, REEF_FLOW_CLOSED } reef_flow_state;

typedef enum reef_tcp_state {
    REEF_TCP_NONE,
    REEF_TCP_SYN_SENT,
    REEF_TCP_SYN_RECV,
    REEF_TCP_ESTABLISHED,
    REEF_TCP_FIN_WAIT1,
    REEF_TCP_FIN_WAIT2,
    REEF_TCP_TIME_WAIT,
    REEF_TCP_LAST_ACK,
    REEF_TCP_CLOSE_WAIT,
    REEF_TCP_CLOSING,
    REEF_TCP_CLOSED,
} reef_tcp_state;

/* Why a flow ended. */
typedef enum reef_flow_end {
    REEF_FLOW_END_TIMEOUT,
    REEF_FLOW_END_FORCED,   /* made room for another: the table was full */
    REEF_FLOW_END_REUSED,   /* a new connection with the same addresses and ports */
    REEF_FLOW_END_SHUTDOWN, /* the worker stops */
} reef_flow_end;

/* Both directions of a conversation have the same key: the endpoint that sorts first is `low`. */
typedef struct reef_flow_key {
    uint8_t low[16], high[16];
    uint16_t low_port, high_port;
    uint16_t vlan[2];
    uint32_t interface; /* 0 unless flows are told apart by interface */
    uint8_t protocol, version;
    uint16_t zero;
} reef_flow_key;

#define REEF_NO_FLOW UINT32_MAX

/* Laid out by cache line: looking up reads the first, counting a packet the second, the rest is for what comes
 * after. */
typedef struct reef_flow {
    _Alignas(64) reef_flow_key key;
    uint32_t hash;
    uint32_t next; /* in the bucket, or in the free list */
    uint64_t last_ns;

    uint64_t bytes[2]; /* by direction, of whole frames on the wire */
    uint32_t packets[2];
    uint8_t client_is_high;
    uint8_t state;        /* reef_flow_state */
    uint8_t tcp_state;    /* reef_tcp_state */
    uint8_t tcp_flags[2]; /* all that were seen, by direction */
    uint8_t way;          /* REEF_WAY_... of the first packet */
    uint8_t app;          /* number of the protocol in the registry (protocol.h), 0 while unknown */
    uint8_t icmp_type, icmp_code;
    uint8_t refused;      /* what cannot be followed is not let through: nothing of it is looked at any more */
    uint8_t done;         /* handed back to the kernel: under which rules (reef_worker_hand_back); or left to who judges it; 0: neither */

    uint32_t wheel_slot, wheel_previous, wheel_next;
    uint32_t young_previous, young_next; /* flows of one direction only, newest first */
    uint64_t first_ns;
    uint64_t id; /* 51 bits: every JSON reader holds it exactly */
    uint32_t interface;
    /* Each belongs to its stage; NULL while there is none. */
    struct reef_tcp *tcp;         /* tcp.h: reassembly */
    struct reef_session *session; /* session.h: the application layer */
    void *match;                  /* match.h: what detection keeps of the flow */
} reef_flow;

_Static_assert(sizeof(reef_flow) == 192, "a flow is three cache lines");

typedef struct reef_flows reef_flows;

typedef struct reef_flow_timeouts { /* seconds without a packet */
    uint32_t tcp_new, tcp_established, tcp_closed;
    uint32_t udp_new, udp_established;
    uint32_t icmp, other;
} reef_flow_timeouts;

typedef struct reef_flows_counters {
    uint64_t created, ended, evicted, refused, clock_set_back;
    uint32_t active;
} reef_flows_counters;

/* `limit` flows at most (REEF_FLOWS_MAX); `seed` is secret and random, so that nobody can aim at one bucket. */
int reef_flows_new(uint32_t limit, const reef_flow_timeouts *timeouts, const uint64_t seed[2],
                   bool by_interface, reef_flows **out);
void reef_flows_free(reef_flows *flows);

/* The key of a packet (its version is not 0) and which endpoint sent it. */
void reef_flow_key_of(const reef_packet *packet, bool by_interface, reef_flow_key *key, bool *source_is_high);
uint32_t reef_flow_key_hash(const reef_flow_key *key, const uint64_t seed[2]);

/* One step of time: the next flow whose time has run out at `now_ns`, or NULL. The caller tells of it and
 * releases it, and asks again. */
reef_flow *reef_flows_timed_out(reef_flows *flows, uint64_t now_ns);

/* The flow of a packet, or NULL. */
reef_flow *reef_flows_find(reef_flows *flows, const reef_flow_key *key, uint32_t hash);

/* Does the packet open another connection on the addresses and ports of a closed one? */
bool reef_flow_is_over(const reef_flow *flow, const reef_packet *packet);

/* A flow that has to go before another can be added: NULL while there is room, and also when there is
 * none and no flow is worth less than a new one; then `reef_flows_add` refuses. The newest flow of
 * which nothing but one direction was seen goes first: a flood pushes out itself. */
reef_flow *reef_flows_victim(reef_flows *flows);

/* A new flow, or NULL when the table is full (counted). */
reef_flow *reef_flows_add(reef_flows *flows, const reef_packet *packet, const reef_flow_key *key, uint32_t hash,
                          bool source_is_high);

/* Count the packet, follow the state; the direction is returned. */
int reef_flows_update(reef_flows *flows, reef_flow *flow, const reef_packet *packet, bool source_is_high);

/* A packet without payload that stands for a direction when the flow ends. */
void reef_flow_last_packet(const reef_flow *flow, int direction, reef_packet *packet);

/* A later stage has changed flow->state (tcp.h): another timeout holds from now on. */
void reef_flows_settle(reef_flows *flows, reef_flow *flow);

/* The flow was the wrong way round: who was taken for the client is the server. */
void reef_flow_turn(reef_flow *flow);

/* Give a flow's place back. */
void reef_flows_release(reef_flows *flows, reef_flow *flow, bool evicted);

/* Any flow that is still there, or NULL: to end all of them. */
reef_flow *reef_flows_any(reef_flows *flows);

void reef_flows_count(const reef_flows *flows, reef_flows_counters *counters);
const uint64_t *reef_flows_seed(const reef_flows *flows);
/* Ask for memory before it is needed: first the bucket of a hash, then the flow that it leads to. */
void reef_flows_prefetch_bucket(const reef_flows *flows, uint32_t hash);
void reef_flows_prefetch_flow(const reef_flows *flows, uint32_t hash);

#endif
