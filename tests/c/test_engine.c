/* engine: frames in, events out: the whole path at once. */
#include "check.h"
#include "packets.h"
#include "reef/engine.h"
#include "reef/eve.h"
#include "reef/status.h"

#define SECOND 1000000000ull
enum { ACKNOWLEDGEMENT_AT = 14 + 20 + 8 };

static reef_options options(void)
{
    reef_options o;
    reef_options_default(&o);
    o.flows = 256, o.memory = 1 << 20, o.events = 1024, o.text_bytes = 1 << 18;
    o.seed[0] = 1, o.seed[1] = 2;
    o.checksums = false; /* the frames have none */
    return o;
}

static reef_config *config;

static reef_worker *worker_of(const reef_options *o)
{
    reef_worker *worker;
    CHECK_EQUAL(reef_config_new(o, &config), REEF_OK);
    CHECK_EQUAL(reef_worker_new(config, &worker), REEF_OK);
    return worker;
}

static void give(reef_worker *worker, const bytes *b, uint64_t time_ns, uint8_t way)
{
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, time_ns);
    frame.way = way;
    reef_worker_frames(worker, &frame, 1);
}

/* The same, of a TCP segment that acknowledges so many. */
static void give_acknowledging(reef_worker *worker, bytes *b, uint32_t acknowledged)
{
    for (int i = 0; i < 4; i++)
        b->data[ACKNOWLEDGEMENT_AT + i] = (uint8_t)(acknowledged >> (24 - 8 * i));
    give(worker, b, SECOND, 0);
}

/* A handshake: the first bytes are 1000 there and 500 back. */
static void open_connection(reef_worker *worker)
{
    bytes b;
    tcp_frame(&b, 1, 40000, 2, 80, 999, REEF_TCP_SYN, "", 0), give(worker, &b, SECOND, 0);
    tcp_frame(&b, 2, 80, 1, 40000, 499, REEF_TCP_SYN | REEF_TCP_ACK, "", 0), give_acknowledging(worker, &b, 1000);
    tcp_frame(&b, 1, 40000, 2, 80, 1000, REEF_TCP_ACK, "", 0), give_acknowledging(worker, &b, 500);
}

/* Everything that happened, as lines. */
static const char *lines_of(reef_worker *worker)
{
    static char out[4 * REEF_EVE_LINE_MAX + 1];
    reef_names *names;
    size_t used, count;
    CHECK(reef_worker_finish(worker));
    CHECK_EQUAL(reef_names_new("", &names), REEF_OK);
    CHECK_EQUAL(reef_eve_drain(reef_worker_events(worker), names, out, sizeof out - 1, &used, &count), REEF_OK);
    out[used] = '\0';
    reef_names_free(names);
    reef_worker_free(worker);
    reef_config_free(config);
    return out;
}

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        n++;
    return n;
}

/* A request cut into single bytes, with each segment sent twice, is one request. */
static void test_request_in_pieces(void)
{
    static const char request[] = "GET /index HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
    reef_options o = options();
    reef_worker *worker = worker_of(&o);
    bytes b;
    open_connection(worker);
    for (uint32_t i = 0; i < sizeof request - 1; i++)
        for (int twice = 0; twice < 2; twice++) {
            tcp_frame(&b, 1, 40000, 2, 80, 1000 + i, REEF_TCP_ACK, request + i, 1);
            give_acknowledging(worker, &b, 500);
        }
    const char *lines = lines_of(worker);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"http\""), 1);
    CHECK(strstr(lines, "\"http\":{\"hostname\":\"www.example.org\",\"url\":\"/index\"") != NULL);
    CHECK(strstr(lines, "\"app_proto\":\"http\",\"flow\":{\"pkts_toserver\":94,\"pkts_toclient\":1") != NULL);
}

/* Several requests on one connection, some segments between them. */
static void test_requests_in_a_row(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    reef_options o = options();
    reef_worker *worker = worker_of(&o);
    bytes b;
    uint32_t there = 1000, back = 500;
    open_connection(worker);
    for (int i = 0; i < 5; i++) {
        tcp_frame(&b, 1, 40000, 2, 80, there, REEF_TCP_ACK, request, sizeof request - 1), give_acknowledging(worker, &b, back);
        there += sizeof request - 1;
        tcp_frame(&b, 2, 80, 1, 40000, back, REEF_TCP_ACK, reply, sizeof reply - 1), give_acknowledging(worker, &b, there);
        back += sizeof reply - 1;
    }
    const char *lines = lines_of(worker);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"http\""), 5);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"flow\""), 1);
}

static void test_dns_and_timeout(void)
{
    reef_options o = options();
    reef_worker *worker = worker_of(&o);
    bytes b;
    udp_frame(&b, 1, 40000, 2, 53, dns_question, DNS_QUESTION);
    give(worker, &b, 100 * SECOND, 0);
    reef_worker_time(worker, 100 * SECOND + 31 * SECOND);
    reef_counters counters;
    reef_worker_count(worker, &counters);
    CHECK_EQUAL(counters.flows_active, 0);
    CHECK_EQUAL(counters.transactions, 1);
    const char *lines = lines_of(worker);
    CHECK(strstr(lines, "\"rrname\":\"www.example.org\"") != NULL);
    CHECK(strstr(lines, "\"reason\":\"timeout\"") != NULL);
    /* Who asked is the source, in every event. */
    CHECK_EQUAL(occurrences(lines, "\"src_ip\":\"10.0.0.1\",\"src_port\":40000,\"dest_ip\":\"10.0.0.2\",\"dest_port\":53"), 2);
}

/* One flow cannot fill the log by itself. */
static void test_transactions_of_a_flow_are_bounded(void)
{
    reef_options o = options();
    o.events = 4096, o.text_bytes = 1 << 22;
    reef_worker *worker = worker_of(&o);
    bytes b;
    udp_frame(&b, 1, 40000, 2, 53, dns_question, DNS_QUESTION);
    for (int i = 0; i < REEF_APP_TRANSACTIONS_MAX + 10; i++)
        give(worker, &b, SECOND, 0);
    reef_counters counters;
    reef_worker_count(worker, &counters);
    CHECK_EQUAL(counters.transactions, REEF_APP_TRANSACTIONS_MAX);
    CHECK_EQUAL(counters.events_lost, 0);
    reef_worker_free(worker);
    reef_config_free(config);
}

static void test_anomaly(void)
{
    reef_options o = options();
    reef_worker *worker = worker_of(&o);
    bytes b;
    tcp_frame(&b, 1, 1, 2, 2, 0, REEF_TCP_ACK, "x", 1);
    b.length -= 10;
    give(worker, &b, SECOND, 0);
    const char *lines = lines_of(worker);
    CHECK(strstr(lines, "\"event\":\"decoder.ipv4.trunc_pkt\"") != NULL);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"flow\""), 0);
}

/* On a gateway a conversation is seen where it enters and where it leaves: it is reported once. */
static void test_only_entering(void)
{
    reef_options o = options();
    o.only_entering = true, o.by_interface = true;
    reef_worker *worker = worker_of(&o);
    bytes b;
    udp_frame(&b, 1, 40000, 2, 53, dns_question, DNS_QUESTION);
    reef_frame frame = frame_of(&b, REEF_LINK_ETHERNET, SECOND);
    frame.interface = 2, frame.way = REEF_WAY_IN;
    reef_worker_frames(worker, &frame, 1);
    frame.interface = 3, frame.way = REEF_WAY_OUT;
    reef_worker_frames(worker, &frame, 1);
    const char *lines = lines_of(worker);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"dns\""), 1);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"flow\""), 1);
}

/* A flood of SYNs in a small table: memory stays, the answered connection goes on being followed. */
static void test_flood(void)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: known\r\n\r\n";
    reef_options o = options();
    o.flows = 32, o.report_flows = false;
    reef_worker *worker = worker_of(&o);
    bytes b;
    open_connection(worker);
    for (unsigned i = 1; i < 50000; i++)
        tcp_frame(&b, 3, i, 2, 80, i, REEF_TCP_SYN, "", 0), give(worker, &b, SECOND, 0);
    tcp_frame(&b, 1, 40000, 2, 80, 1000, REEF_TCP_ACK, request, sizeof request - 1), give(worker, &b, SECOND, 0);
    reef_counters counters;
    reef_worker_count(worker, &counters);
    CHECK_EQUAL(counters.flows_active, 32);
    CHECK_EQUAL(counters.flows_evicted, 49999 - 31);
    CHECK(strstr(lines_of(worker), "\"hostname\":\"known\"") != NULL);
}

/* With a ring that nobody drains the engine goes on, and says what was lost. */
static void test_ring_overflow(void)
{
    reef_options o = options();
    o.events = 4;
    reef_worker *worker = worker_of(&o);
    bytes b;
    udp_frame(&b, 1, 40000, 2, 53, dns_question, DNS_QUESTION);
    for (int i = 0; i < 100; i++)
        give(worker, &b, SECOND, 0);
    reef_counters counters;
    reef_worker_count(worker, &counters);
    CHECK_EQUAL(counters.events_lost, 96);
    CHECK(!reef_worker_finish(worker)); /* no room for the flow: the caller drains and asks again */
    char out[REEF_EVE_LINE_MAX];
    reef_names *names;
    size_t used, count;
    CHECK_EQUAL(reef_names_new("", &names), REEF_OK);
    CHECK_EQUAL(reef_eve_drain(reef_worker_events(worker), names, out, sizeof out, &used, &count), REEF_OK);
    CHECK_EQUAL(count, 4);
    reef_names_free(names);
    const char *lines = lines_of(worker);
    CHECK(strstr(lines, "events lost: 96;") != NULL);
    CHECK_EQUAL(occurrences(lines, "\"event_type\":\"flow\""), 1);
}

int main(void)
{
    test_request_in_pieces();
    test_requests_in_a_row();
    test_dns_and_timeout();
    test_transactions_of_a_flow_are_bounded();
    test_anomaly();
    test_only_entering();
    test_flood();
    test_ring_overflow();
    return 0;
}
