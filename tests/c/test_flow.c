/* flow: the table against a naive twin, a plain list that is searched from end to end. */
#include "check.h"
#include "packets.h"
#include "reef/flow.h"
#include "reef/status.h"

#define SECOND 1000000000ull

static const reef_flow_timeouts timeouts = {
    .tcp_new = 10, .tcp_established = 100, .tcp_closed = 3, .udp_new = 5, .udp_established = 20, .icmp = 4, .other = 7};
static const uint64_t seed[2] = {1, 2};

static uint64_t random_state = 42;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % n);
}

static reef_packet packet_of(unsigned protocol, unsigned from, unsigned from_port, unsigned to, unsigned to_port,
                             unsigned tcp_flags, uint64_t time_ns)
{
    reef_packet p = {.version = 4, .protocol = (uint8_t)protocol, .source_port = (uint16_t)from_port,
                     .destination_port = (uint16_t)to_port, .tcp_flags = (uint8_t)tcp_flags, .time_ns = time_ns,
                     .flags = REEF_PACKET_TRANSPORT, .wire_length = 60};
    p.source[0] = 10, p.source[3] = (uint8_t)from;
    p.destination[0] = 10, p.destination[3] = (uint8_t)to;
    return p;
}

/* What the engine does with a packet; returns the flow. */
static reef_flow *take(reef_flows *flows, const reef_packet *p, int *direction)
{
    reef_flow *ended;
    while ((ended = reef_flows_timed_out(flows, p->time_ns)) != NULL)
        reef_flows_release(flows, ended, false);
    reef_flow_key key;
    bool high;
    reef_flow_key_of(p, false, &key, &high);
    uint32_t hash = reef_flow_key_hash(&key, seed);
    reef_flow *flow = reef_flows_find(flows, &key, hash);
    if (flow != NULL && reef_flow_is_over(flow, p)) {
        reef_flows_release(flows, flow, false);
        flow = NULL;
    }
    if (flow == NULL) {
        reef_flow *victim = reef_flows_victim(flows);
        if (victim != NULL)
            reef_flows_release(flows, victim, true);
        flow = reef_flows_add(flows, p, &key, hash, high);
    }
    if (flow != NULL)
        *direction = reef_flows_update(flows, flow, p, high);
    return flow;
}

/* --- the twin -------------------------------------------------------------------------------------- */

typedef struct twin {
    uint8_t client[4], server[4];
    uint16_t client_port, server_port;
    uint8_t protocol;
    uint64_t last, packets[2];
} twin;

static twin list[4096];
static unsigned listed;

static unsigned twin_timeout(const twin *t)
{
    bool both = t->packets[0] > 0 && t->packets[1] > 0;
    return t->protocol == REEF_PROTO_UDP ? (both ? 20 : 5) : t->protocol == REEF_PROTO_ICMP ? 4 : 7;
}

static twin *twin_take(const reef_packet *p, int *direction)
{
    for (unsigned i = 0; i < listed;) /* a flow ends in the first whole second after its time */
        if (list[i].last / SECOND + twin_timeout(&list[i]) < p->time_ns / SECOND)
            list[i] = list[--listed];
        else
            i++;
    for (unsigned i = 0; i < listed; i++) {
        twin *t = &list[i];
        if (t->protocol != p->protocol)
            continue;
        bool there = memcmp(t->client, p->source, 4) == 0 && memcmp(t->server, p->destination, 4) == 0 &&
                     t->client_port == p->source_port && t->server_port == p->destination_port;
        bool back = memcmp(t->client, p->destination, 4) == 0 && memcmp(t->server, p->source, 4) == 0 &&
                    t->client_port == p->destination_port && t->server_port == p->source_port;
        if (there || back) {
            *direction = there ? REEF_TO_SERVER : REEF_TO_CLIENT;
            t->packets[*direction]++;
            if (p->time_ns > t->last)
                t->last = p->time_ns;
            return t;
        }
    }
    twin *t = &list[listed++];
    *t = (twin){.protocol = p->protocol, .client_port = p->source_port, .server_port = p->destination_port,
                .last = p->time_ns, .packets = {1, 0}};
    memcpy(t->client, p->source, 4);
    memcpy(t->server, p->destination, 4);
    *direction = REEF_TO_SERVER;
    return t;
}

static void test_against_twin(void)
{
    reef_flows *flows;
    CHECK_EQUAL(reef_flows_new(4096, &timeouts, seed, false, &flows), REEF_OK);
    uint64_t now = 1000 * SECOND;
    static const uint8_t protocols[] = {REEF_PROTO_UDP, REEF_PROTO_UDP, REEF_PROTO_ICMP, REEF_PROTO_GRE};
    for (int i = 0; i < 60000; i++) {
        if (random_below(100) == 0)
            now += random_below(40) * SECOND / 4;
        if (random_below(5000) == 0)
            now += 3000 * SECOND; /* further than the wheel is round */
        unsigned protocol = protocols[random_below(4)];
        unsigned a = random_below(6), b = 6 + random_below(6);
        unsigned pa = protocol == REEF_PROTO_UDP ? random_below(8) : 0, pb = protocol == REEF_PROTO_UDP ? 53 : 0;
        bool turn = random_below(3) == 0;
        uint64_t stamp = now - random_below(3) * SECOND / 8; /* a little out of order, as several queues are */
        reef_packet p = turn ? packet_of(protocol, b, pb, a, pa, 0, stamp) : packet_of(protocol, a, pa, b, pb, 0, stamp);
        int direction = -1, twin_direction = -1;
        reef_flow *flow = take(flows, &p, &direction);
        twin *t = twin_take(&p, &twin_direction);
        CHECK(flow != NULL);
        CHECK_EQUAL(direction, twin_direction);
        CHECK_EQUAL(flow->packets[0], t->packets[0]);
        CHECK_EQUAL(flow->packets[1], t->packets[1]);
        CHECK_EQUAL(flow->last_ns, t->last);
        reef_flows_counters counters;
        reef_flows_count(flows, &counters);
        CHECK_EQUAL(counters.active, listed);
    }
    unsigned left = 0;
    for (reef_flow *flow; (flow = reef_flows_any(flows)) != NULL; left++)
        reef_flows_release(flows, flow, false);
    CHECK_EQUAL(left, listed);
    reef_flows_free(flows);
}

/* One letter per segment: capital from the client, small from the server; S syn, A ack, F fin, R rst. */
static void check_tcp(const char *segments, reef_tcp_state state, reef_flow_state flow_state)
{
    reef_flows *flows;
    CHECK_EQUAL(reef_flows_new(16, &timeouts, seed, false, &flows), REEF_OK);
    reef_flow *flow = NULL;
    int direction;
    for (const char *at = segments; *at != '\0'; at++) {
        bool client = *at >= 'A' && *at <= 'Z';
        unsigned flags = 0;
        switch (*at | 0x20) {
        case 's': flags = client ? REEF_TCP_SYN : REEF_TCP_SYN | REEF_TCP_ACK; break;
        case 'a': flags = REEF_TCP_ACK; break;
        case 'f': flags = REEF_TCP_FIN | REEF_TCP_ACK; break;
        default: flags = REEF_TCP_RST; break;
        }
        reef_packet p = client ? packet_of(REEF_PROTO_TCP, 1, 1000, 2, 80, flags, SECOND)
                               : packet_of(REEF_PROTO_TCP, 2, 80, 1, 1000, flags, SECOND);
        flow = take(flows, &p, &direction);
        CHECK_EQUAL(direction, client ? REEF_TO_SERVER : REEF_TO_CLIENT);
    }
    CHECK_EQUAL(flow->tcp_state, state);
    CHECK_EQUAL(flow->state, flow_state);
    reef_flows_free(flows);
}

static void test_tcp_states(void)
{
    check_tcp("S", REEF_TCP_SYN_SENT, REEF_FLOW_NEW);
    check_tcp("SSS", REEF_TCP_SYN_SENT, REEF_FLOW_NEW);
    check_tcp("Ss", REEF_TCP_SYN_RECV, REEF_FLOW_NEW);
    check_tcp("SsA", REEF_TCP_ESTABLISHED, REEF_FLOW_ESTABLISHED);
    check_tcp("SsAaAa", REEF_TCP_ESTABLISHED, REEF_FLOW_ESTABLISHED);
    check_tcp("SsAF", REEF_TCP_FIN_WAIT1, REEF_FLOW_ESTABLISHED);
    check_tcp("SsAFa", REEF_TCP_FIN_WAIT2, REEF_FLOW_ESTABLISHED);
    check_tcp("SsAFaf", REEF_TCP_TIME_WAIT, REEF_FLOW_CLOSED);
    check_tcp("SsAFafA", REEF_TCP_CLOSED, REEF_FLOW_CLOSED);
    check_tcp("SsAf", REEF_TCP_CLOSE_WAIT, REEF_FLOW_ESTABLISHED);
    check_tcp("SsAfF", REEF_TCP_LAST_ACK, REEF_FLOW_CLOSED);
    check_tcp("SsAfFa", REEF_TCP_CLOSED, REEF_FLOW_CLOSED);
    check_tcp("Sr", REEF_TCP_CLOSED, REEF_FLOW_CLOSED);
    check_tcp("Aa", REEF_TCP_ESTABLISHED, REEF_FLOW_ESTABLISHED); /* midstream */
    check_tcp("s", REEF_TCP_SYN_RECV, REEF_FLOW_NEW);             /* the SYN was missed: still the server speaks */
    check_tcp("SsAFafAS", REEF_TCP_SYN_SENT, REEF_FLOW_NEW);      /* the ports are used again */
}

/* A flood of new flows pushes out itself; flows that were answered stay. */
static void test_flood(void)
{
    enum { LIMIT = 64, KNOWN = 40 };
    reef_flows *flows;
    int direction;
    CHECK_EQUAL(reef_flows_new(LIMIT, &timeouts, seed, false, &flows), REEF_OK);
    for (unsigned i = 0; i < KNOWN; i++) {
        reef_packet there = packet_of(REEF_PROTO_UDP, 1, 1000 + i, 2, 53, 0, SECOND);
        reef_packet back = packet_of(REEF_PROTO_UDP, 2, 53, 1, 1000 + i, 0, SECOND);
        take(flows, &there, &direction);
        take(flows, &back, &direction);
    }
    for (unsigned i = 0; i < 10000; i++) {
        reef_packet p = packet_of(REEF_PROTO_TCP, 3, 1 + i % 60000, 2, 80, REEF_TCP_SYN, SECOND);
        CHECK(take(flows, &p, &direction) != NULL);
    }
    reef_flows_counters counters;
    reef_flows_count(flows, &counters);
    CHECK_EQUAL(counters.active, LIMIT);
    CHECK_EQUAL(counters.evicted, 10000 - (LIMIT - KNOWN));
    for (unsigned i = 0; i < KNOWN; i++) {
        reef_packet p = packet_of(REEF_PROTO_UDP, 1, 1000 + i, 2, 53, 0, SECOND);
        reef_flow *flow = take(flows, &p, &direction);
        CHECK(flow != NULL && flow->packets[REEF_TO_CLIENT] == 1);
    }
    reef_flows_free(flows);
}

/* The newest of the unanswered goes, wherever it lies in the table; an answered one that is newer stays. */
static void test_victim_is_the_newest_young_flow(void)
{
    reef_flows *flows;
    int direction;
    CHECK_EQUAL(reef_flows_new(3, &timeouts, seed, false, &flows), REEF_OK);
    for (unsigned port = 1; port <= 3; port++) {
        reef_packet p = packet_of(REEF_PROTO_UDP, 1, port, 2, 53, 0, SECOND);
        take(flows, &p, &direction);
    }
    reef_packet answer = packet_of(REEF_PROTO_UDP, 2, 53, 1, 3, 0, SECOND);
    take(flows, &answer, &direction);
    reef_flow *victim = reef_flows_victim(flows);
    CHECK(victim != NULL);
    CHECK_EQUAL(victim->key.low_port, 2);
    reef_flows_free(flows);
}

/* With nothing but answered flows there is nothing worth less than a new one: it is refused, and counted. */
static void test_refusal(void)
{
    reef_flows *flows;
    int direction;
    CHECK_EQUAL(reef_flows_new(4, &timeouts, seed, false, &flows), REEF_OK);
    for (unsigned i = 0; i < 4; i++) {
        reef_packet there = packet_of(REEF_PROTO_UDP, 1, i, 2, 53, 0, SECOND);
        reef_packet back = packet_of(REEF_PROTO_UDP, 2, 53, 1, i, 0, SECOND);
        take(flows, &there, &direction);
        take(flows, &back, &direction);
    }
    reef_packet p = packet_of(REEF_PROTO_UDP, 9, 9, 2, 53, 0, SECOND);
    CHECK(take(flows, &p, &direction) == NULL);
    p.time_ns = 60 * SECOND; /* the others time out; it is let in */
    CHECK(take(flows, &p, &direction) != NULL);
    reef_flows_counters counters;
    reef_flows_count(flows, &counters);
    CHECK_EQUAL(counters.refused, 1);
    CHECK_EQUAL(counters.active, 1);
    reef_flows_free(flows);
}

/* One stamp from the far future does not make every later flow immortal. */
static void test_clock_set_back(void)
{
    reef_flows *flows;
    int direction;
    CHECK_EQUAL(reef_flows_new(16, &timeouts, seed, false, &flows), REEF_OK);
    reef_packet future = packet_of(REEF_PROTO_UDP, 1, 1, 2, 53, 0, 4000000000ull * SECOND);
    take(flows, &future, &direction);
    reef_packet present = packet_of(REEF_PROTO_UDP, 3, 3, 2, 53, 0, 1700000000ull * SECOND);
    for (unsigned i = 0; i < REEF_CLOCK_BACK_PACKETS; i++)
        take(flows, &present, &direction);
    reef_packet later = packet_of(REEF_PROTO_UDP, 5, 5, 2, 53, 0, 1700000030ull * SECOND);
    take(flows, &later, &direction);
    reef_flows_counters counters;
    reef_flows_count(flows, &counters);
    CHECK_EQUAL(counters.clock_set_back, 1);
    CHECK_EQUAL(counters.active, 1);
    reef_flows_free(flows);
}

/* Nor does one from the far past make what comes after it too old. */
static void test_one_stamp_from_the_past(void)
{
    reef_flows *flows;
    int direction;
    CHECK_EQUAL(reef_flows_new(16, &timeouts, seed, false, &flows), REEF_OK);
    reef_packet asked = packet_of(REEF_PROTO_UDP, 1, 1, 2, 53, 0, 1700000000ull * SECOND);
    reef_packet answered = packet_of(REEF_PROTO_UDP, 2, 53, 1, 1, 0, 700000000ull * SECOND);
    for (unsigned i = 0; i < 3 * REEF_CLOCK_BACK_PACKETS; i++) {
        take(flows, &asked, &direction);
        take(flows, &answered, &direction);
    }
    reef_flows_counters counters;
    reef_flows_count(flows, &counters);
    CHECK_EQUAL(counters.clock_set_back, 0);
    CHECK_EQUAL(counters.created, 1);
    CHECK_EQUAL(counters.ended, 0);
    reef_flows_free(flows);
}

static void test_keys(void)
{
    reef_packet there = packet_of(REEF_PROTO_UDP, 1, 5, 2, 6, 0, 0), back = packet_of(REEF_PROTO_UDP, 2, 6, 1, 5, 0, 0);
    reef_flow_key a, b;
    bool high_a, high_b;
    reef_flow_key_of(&there, false, &a, &high_a);
    reef_flow_key_of(&back, false, &b, &high_b);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK(high_a != high_b);
    uint32_t hash = reef_flow_key_hash(&a, seed);
    back.interface = 3;
    reef_flow_key_of(&back, true, &b, &high_b);
    CHECK(memcmp(&a, &b, sizeof a) != 0);
    there.vlan[0] = 9, there.vlans = 1;
    reef_flow_key_of(&there, false, &b, &high_b);
    CHECK(reef_flow_key_hash(&b, seed) != hash);
    static const uint64_t other[2] = {3, 4};
    CHECK(reef_flow_key_hash(&a, other) != hash);
}

int main(void)
{
    reef_flows *none;
    CHECK_EQUAL(reef_flows_new(0, &timeouts, seed, false, &none), REEF_INVALID);
    test_keys();
    test_against_twin();
    test_tcp_states();
    test_flood();
    test_victim_is_the_newest_young_flow();
    test_refusal();
    test_clock_set_back();
    test_one_stamp_from_the_past();
    return 0;
}
