/* The flow table: buckets of chains over one array; a timer wheel; the young flows as a stack. Links are
 * numbers into the array, so that a link costs four bytes. */
#include "reef/flow.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "reef/bytes.h"
#include "reef/status.h"

struct reef_flows {
    reef_flow *flow;   /* `limit` of them */
    uint32_t *bucket;  /* first flow of each bucket */
    uint32_t mask;
    uint32_t limit;
    uint32_t free;     /* first of the free list */
    uint32_t fresh;    /* flows never used yet start here */
    uint32_t youngest;
    bool by_interface;
    bool started;
    uint32_t behind;      /* times in a row that packet time lay far behind */
    uint64_t now_second;  /* the wheel stands here; slots before it were emptied */
    uint32_t due;         /* flows taken from the wheel that are still to be judged, linked by wheel_next */
    uint64_t seed[2];
    reef_flow_timeouts timeouts;
    reef_flows_counters counters;
    uint64_t serial;
    uint32_t wheel[REEF_WHEEL_SLOTS];
};

enum { SLOT_NONE = UINT32_MAX, SLOT_DUE = UINT32_MAX - 1 };
#define NS_PER_SECOND 1000000000ull
#define HUGE_PAGE (2u << 20)
#define CACHE_LINE 64u

/* Memory that is walked at random: where it is large, in large pages if the system has them, so that addresses
 * cost little to translate. */
static void *table_memory(size_t size)
{
    if (size < HUGE_PAGE)
        return aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
    size = (size + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
    void *memory = aligned_alloc(HUGE_PAGE, size);
    if (memory != NULL)
        (void)madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

int reef_flows_new(uint32_t limit, const reef_flow_timeouts *timeouts, const uint64_t seed[2],
                   bool by_interface, reef_flows **out)
{
    *out = NULL;
    if (limit == 0 || limit > REEF_FLOWS_MAX)
        return REEF_INVALID;
    uint32_t buckets = 16;
    while (buckets < limit)
        buckets *= 2;
    reef_flows *flows = calloc(1, sizeof *flows);
    if (flows == NULL)
        return REEF_NOMEM;
    flows->flow = table_memory(limit * sizeof *flows->flow);
    flows->bucket = table_memory(buckets * sizeof *flows->bucket);
    if (flows->flow == NULL || flows->bucket == NULL) {
        reef_flows_free(flows);
        return REEF_NOMEM;
    }
    memset(flows->bucket, 0xff, buckets * sizeof *flows->bucket);
    memset(flows->wheel, 0xff, sizeof flows->wheel);
    flows->mask = buckets - 1;
    flows->limit = limit;
    flows->free = flows->youngest = flows->due = REEF_NO_FLOW;
    flows->timeouts = *timeouts;
    flows->by_interface = by_interface;
    memcpy(flows->seed, seed, sizeof flows->seed);
    *out = flows;
    return REEF_OK;
}

void reef_flows_free(reef_flows *flows)
{
    if (flows == NULL)
        return;
    free(flows->flow);
    free(flows->bucket);
    free(flows);
}

const uint64_t *reef_flows_seed(const reef_flows *flows)
{
    return flows->seed;
}

void reef_flows_prefetch_bucket(const reef_flows *flows, uint32_t hash)
{
    __builtin_prefetch(&flows->bucket[hash & flows->mask]);
}

void reef_flows_prefetch_flow(const reef_flows *flows, uint32_t hash)
{
    uint32_t number = flows->bucket[hash & flows->mask];
    if (number == REEF_NO_FLOW)
        return;
    const char *flow = (const char *)&flows->flow[number];
    __builtin_prefetch(flow);
    __builtin_prefetch(flow + 64, 1);
    __builtin_prefetch(flow + 128, 1);
}

void reef_flows_count(const reef_flows *flows, reef_flows_counters *counters)
{
    *counters = flows->counters;
}

static uint32_t number_of(const reef_flows *flows, const reef_flow *flow)
{
    return (uint32_t)(flow - flows->flow);
}

static uint32_t timeout_of(const reef_flows *flows, const reef_flow *flow)
{
    const reef_flow_timeouts *t = &flows->timeouts;
    switch (flow->key.protocol) {
    case REEF_PROTO_TCP:
        return flow->state == REEF_FLOW_CLOSED ? t->tcp_closed
               : flow->state == REEF_FLOW_ESTABLISHED ? t->tcp_established : t->tcp_new;
    case REEF_PROTO_UDP:
        return flow->state == REEF_FLOW_ESTABLISHED ? t->udp_established : t->udp_new;
    case REEF_PROTO_ICMP:
    case REEF_PROTO_ICMPV6:
        return t->icmp;
    default:
        return t->other;
    }
}

static uint64_t due_second(const reef_flows *flows, const reef_flow *flow)
{
    return flow->last_ns / NS_PER_SECOND + timeout_of(flows, flow);
}

/* --- the wheel ------------------------------------------------------------------------------------- */

static uint32_t *wheel_list(reef_flows *flows, uint32_t slot)
{
    return slot == SLOT_DUE ? &flows->due : &flows->wheel[slot];
}

static void wheel_link(reef_flows *flows, reef_flow *flow, uint32_t slot)
{
    uint32_t *list = wheel_list(flows, slot);
    uint32_t number = number_of(flows, flow);
    flow->wheel_slot = slot;
    flow->wheel_previous = REEF_NO_FLOW;
    flow->wheel_next = *list;
    if (*list != REEF_NO_FLOW)
        flows->flow[*list].wheel_previous = number;
    *list = number;
}

static void wheel_unlink(reef_flows *flows, reef_flow *flow)
{
    if (flow->wheel_slot == SLOT_NONE)
        return;
    if (flow->wheel_previous != REEF_NO_FLOW)
        flows->flow[flow->wheel_previous].wheel_next = flow->wheel_next;
    else
        *wheel_list(flows, flow->wheel_slot) = flow->wheel_next;
    if (flow->wheel_next != REEF_NO_FLOW)
        flows->flow[flow->wheel_next].wheel_previous = flow->wheel_previous;
    flow->wheel_slot = SLOT_NONE;
}

/* Into the slot of its time, or the last one of the round; never into a slot already passed. */
static void wheel_place(reef_flows *flows, reef_flow *flow)
{
    uint64_t due = due_second(flows, flow) + 1;
    if (due <= flows->now_second)
        due = flows->now_second + 1;
    if (due - flows->now_second >= REEF_WHEEL_SLOTS)
        due = flows->now_second + REEF_WHEEL_SLOTS - 1;
    wheel_link(flows, flow, (uint32_t)(due % REEF_WHEEL_SLOTS));
}

static void wheel_take(reef_flows *flows, uint32_t slot)
{
    while (flows->wheel[slot] != REEF_NO_FLOW) {
        reef_flow *flow = &flows->flow[flows->wheel[slot]];
        wheel_unlink(flows, flow);
        wheel_link(flows, flow, SLOT_DUE);
    }
}

/* Packet time fell far behind and stays there (another capture, a clock that was set): what is known of "last seen" lies in
 * a future that will not come. Every flow counts as seen now. A few packets with a wrong stamp do not do that: when the
 * right ones came again, every flow would be too old. */
static void wheel_set_back(reef_flows *flows, uint64_t now_ns)
{
    if (++flows->behind < REEF_CLOCK_BACK_PACKETS)
        return;
    flows->behind = 0;
    flows->counters.clock_set_back++;
    flows->now_second = now_ns / NS_PER_SECOND;
    for (uint32_t slot = 0; slot < REEF_WHEEL_SLOTS; slot++)
        wheel_take(flows, slot);
    while (flows->due != REEF_NO_FLOW) {
        reef_flow *flow = &flows->flow[flows->due];
        wheel_unlink(flows, flow);
        flow->last_ns = now_ns;
        wheel_place(flows, flow);
    }
}

/* Flows that end together lie far apart. While the first of those that are due is told of, what the next one needs is on its
 * way, and the one behind it itself. */
static reef_flow *first_due(const reef_flows *flows)
{
    reef_flow *flow = &flows->flow[flows->due];
    if (flow->wheel_next == REEF_NO_FLOW)
        return flow;
    const reef_flow *next = &flows->flow[flow->wheel_next];
    __builtin_prefetch(&flows->bucket[next->hash & flows->mask]);
    if (next->session != NULL)
        __builtin_prefetch(next->session);
    if (next->wheel_next == REEF_NO_FLOW)
        return flow;
    const char *after = (const char *)&flows->flow[next->wheel_next];
    __builtin_prefetch(after);
    __builtin_prefetch(after + 64, 1);
    __builtin_prefetch(after + 128, 1);
    return flow;
}

reef_flow *reef_flows_timed_out(reef_flows *flows, uint64_t now_ns)
{
    uint64_t second = now_ns / NS_PER_SECOND;
    if (second != flows->now_second) {
        if (!flows->started) {
            flows->started = true;
            flows->now_second = second;
        } else if (second > flows->now_second) {
            flows->behind = 0;
            uint64_t steps = second - flows->now_second;
            if (steps > REEF_WHEEL_SLOTS)
                steps = REEF_WHEEL_SLOTS;
            for (uint64_t i = 1; i <= steps; i++)
                wheel_take(flows, (uint32_t)((flows->now_second + i) % REEF_WHEEL_SLOTS));
            flows->now_second = second;
        } else if (flows->now_second - second > REEF_CLOCK_BACK_MAX) {
            wheel_set_back(flows, now_ns);
        }
    } else {
        flows->behind = 0;
    }
    while (flows->due != REEF_NO_FLOW) {
        reef_flow *flow = first_due(flows);
        if (due_second(flows, flow) < flows->now_second)
            return flow;
        wheel_unlink(flows, flow);
        wheel_place(flows, flow);
    }
    return NULL;
}

/* --- young flows ----------------------------------------------------------------------------------- */

static void young_link(reef_flows *flows, reef_flow *flow)
{
    uint32_t number = number_of(flows, flow);
    flow->young_previous = REEF_NO_FLOW;
    flow->young_next = flows->youngest;
    if (flows->youngest != REEF_NO_FLOW)
        flows->flow[flows->youngest].young_previous = number;
    flows->youngest = number;
}

static bool is_young(const reef_flow *flow)
{
    return flow->packets[REEF_TO_SERVER] == 0 || flow->packets[REEF_TO_CLIENT] == 0;
}

static void young_unlink(reef_flows *flows, reef_flow *flow)
{
    if (flow->young_previous != REEF_NO_FLOW)
        flows->flow[flow->young_previous].young_next = flow->young_next;
    else
        flows->youngest = flow->young_next;
    if (flow->young_next != REEF_NO_FLOW)
        flows->flow[flow->young_next].young_previous = flow->young_previous;
}

/* --- flows ----------------------------------------------------------------------------------------- */

_Static_assert(sizeof(reef_flow_key) == 6 * sizeof(uint64_t), "a key is six words, without padding");

static inline uint64_t word(const reef_flow_key *key, unsigned i)
{
    uint64_t w;
    memcpy(&w, (const char *)key + i * sizeof w, sizeof w);
    return w;
}

static inline bool key_equal(const reef_flow_key *a, const reef_flow_key *b)
{
    return ((word(a, 0) ^ word(b, 0)) | (word(a, 1) ^ word(b, 1)) | (word(a, 2) ^ word(b, 2)) |
            (word(a, 3) ^ word(b, 3)) | (word(a, 4) ^ word(b, 4)) | (word(a, 5) ^ word(b, 5))) == 0;
}

reef_flow *reef_flows_find(reef_flows *flows, const reef_flow_key *key, uint32_t hash)
{
    uint32_t number = flows->bucket[hash & flows->mask];
    while (number != REEF_NO_FLOW) {
        reef_flow *flow = &flows->flow[number];
        if (flow->hash == hash && key_equal(&flow->key, key))
            return flow;
        number = flow->next;
    }
    return NULL;
}

bool reef_flow_is_over(const reef_flow *flow, const reef_packet *packet)
{
    return flow->state == REEF_FLOW_CLOSED && packet->protocol == REEF_PROTO_TCP &&
           (packet->tcp_flags & (REEF_TCP_SYN | REEF_TCP_ACK | REEF_TCP_RST)) == REEF_TCP_SYN;
}

static bool is_full(const reef_flows *flows)
{
    return flows->free == REEF_NO_FLOW && flows->fresh == flows->limit;
}

reef_flow *reef_flows_victim(reef_flows *flows)
{
    if (!is_full(flows) || flows->youngest == REEF_NO_FLOW)
        return NULL;
    return &flows->flow[flows->youngest];
}

reef_flow *reef_flows_add(reef_flows *flows, const reef_packet *packet, const reef_flow_key *key, uint32_t hash,
                          bool source_is_high)
{
    uint32_t number;
    if (flows->free != REEF_NO_FLOW) {
        number = flows->free;
        flows->free = flows->flow[number].next;
    } else if (flows->fresh < flows->limit) {
        number = flows->fresh++;
    } else {
        flows->counters.refused++;
        return NULL;
    }
    reef_flow *flow = &flows->flow[number];
    reef_zero(flow, sizeof *flow);
    flow->key = *key;
    flow->hash = hash;
    flow->next = flows->bucket[hash & flows->mask];
    flows->bucket[hash & flows->mask] = number;
    flow->first_ns = flow->last_ns = packet->time_ns;
    flow->interface = packet->interface;
    flow->way = packet->way;
    flow->icmp_type = packet->icmp_type;
    flow->icmp_code = packet->icmp_code;
    flow->id = (uint64_t)(hash & 0x7fffffffu) << 20 | (flows->serial++ & 0xfffffu);
    /* Who speaks first is the client, unless the first packet seen is the answer to a SYN. */
    bool answer = packet->protocol == REEF_PROTO_TCP &&
                  (packet->tcp_flags & (REEF_TCP_SYN | REEF_TCP_ACK)) == (REEF_TCP_SYN | REEF_TCP_ACK);
    flow->client_is_high = source_is_high != answer;
    wheel_place(flows, flow);
    young_link(flows, flow);
    flows->counters.created++;
    flows->counters.active++;
    return flow;
}

/* RFC 9293 3.3.2 seen from beside the wire: by flags only. Whether segments lie in the window is the stream's. */
static uint8_t tcp_next(uint8_t state, unsigned flags, int direction, const reef_flow *flow)
{
    if (flags & REEF_TCP_RST)
        return REEF_TCP_CLOSED;
    if (flags & REEF_TCP_SYN) {
        if (!(flags & REEF_TCP_ACK))
            return state == REEF_TCP_NONE ? REEF_TCP_SYN_SENT : state;
        return state <= REEF_TCP_SYN_SENT ? REEF_TCP_SYN_RECV : state;
    }
    bool fin = flags & REEF_TCP_FIN, ack = flags & REEF_TCP_ACK;
    bool client = direction == REEF_TO_SERVER;
    switch ((reef_tcp_state)state) {
    case REEF_TCP_NONE: /* picked up midstream: established once both have spoken */
        if (flow->tcp_flags[0] & REEF_TCP_ACK && flow->tcp_flags[1] & REEF_TCP_ACK)
            return REEF_TCP_ESTABLISHED;
        return state;
    case REEF_TCP_SYN_SENT:
        return state;
    case REEF_TCP_SYN_RECV:
        if (client && fin)
            return REEF_TCP_FIN_WAIT1;
        return client && ack ? REEF_TCP_ESTABLISHED : state;
    case REEF_TCP_ESTABLISHED:
        return !fin ? state : client ? REEF_TCP_FIN_WAIT1 : REEF_TCP_CLOSE_WAIT;
    case REEF_TCP_FIN_WAIT1: /* the client has closed its side */
        if (client)
            return state;
        return fin ? REEF_TCP_TIME_WAIT : ack ? REEF_TCP_FIN_WAIT2 : state;
    case REEF_TCP_FIN_WAIT2:
        return !client && fin ? REEF_TCP_TIME_WAIT : state;
    case REEF_TCP_CLOSE_WAIT: /* the server has closed its side */
        return client && fin ? REEF_TCP_LAST_ACK : state;
    case REEF_TCP_LAST_ACK:
        return !client && ack ? REEF_TCP_CLOSED : state;
    case REEF_TCP_TIME_WAIT:
        return client && ack ? REEF_TCP_CLOSED : state;
    case REEF_TCP_CLOSING:
    case REEF_TCP_CLOSED:
        return state;
    }
    return state;
}

static reef_flow_state state_of_tcp(uint8_t tcp_state)
{
    if (tcp_state >= REEF_TCP_TIME_WAIT && tcp_state != REEF_TCP_CLOSE_WAIT)
        return REEF_FLOW_CLOSED;
    return tcp_state >= REEF_TCP_ESTABLISHED ? REEF_FLOW_ESTABLISHED : REEF_FLOW_NEW;
}

int reef_flows_update(reef_flows *flows, reef_flow *flow, const reef_packet *packet, bool source_is_high)
{
    int direction = source_is_high == (bool)flow->client_is_high ? REEF_TO_SERVER : REEF_TO_CLIENT;
    bool fresh = flow->packets[0] + flow->packets[1] == 0;
    bool was_young = !fresh && is_young(flow);
    uint8_t before = flow->state;

    flow->packets[direction]++;
    flow->bytes[direction] += packet->wire_length;
    if (packet->time_ns > flow->last_ns) /* time runs back a little between queues of a card */
        flow->last_ns = packet->time_ns;

    if (packet->protocol == REEF_PROTO_TCP) {
        if (packet->flags & REEF_PACKET_TRANSPORT) {
            flow->tcp_flags[direction] |= packet->tcp_flags;
            if (flow->tcp == NULL) { /* where the stream is followed, it knows better */
                flow->tcp_state = tcp_next(flow->tcp_state, packet->tcp_flags, direction, flow);
                flow->state = (uint8_t)state_of_tcp(flow->tcp_state);
            }
        }
    } else if (!is_young(flow)) {
        flow->state = REEF_FLOW_ESTABLISHED;
    }
    if (was_young && !is_young(flow))
        young_unlink(flows, flow);
    if (flow->state != before)
        reef_flows_settle(flows, flow);
    return direction;
}

void reef_flows_settle(reef_flows *flows, reef_flow *flow)
{
    wheel_unlink(flows, flow);
    wheel_place(flows, flow);
}

void reef_flows_release(reef_flows *flows, reef_flow *flow, bool evicted)
{
    uint32_t number = number_of(flows, flow);
    uint32_t *link = &flows->bucket[flow->hash & flows->mask];
    while (*link != number)
        link = &flows->flow[*link].next;
    *link = flow->next;
    wheel_unlink(flows, flow);
    if (is_young(flow))
        young_unlink(flows, flow);
    flow->next = flows->free;
    flows->free = number;
    flows->counters.active--;
    flows->counters.ended++;
    if (evicted)
        flows->counters.evicted++;
}

reef_flow *reef_flows_any(reef_flows *flows)
{
    for (uint32_t slot = 0; flows->counters.active > 0 && flows->due == REEF_NO_FLOW && slot < REEF_WHEEL_SLOTS; slot++)
        wheel_take(flows, slot);
    return flows->due != REEF_NO_FLOW ? first_due(flows) : NULL;
}
