/* feed: what a worker saw comes out as records, with the lines that matter; what finds no room is counted and said. */
#include "check.h"
#include "packets.h"
#include "reef/engine.h"
#include "reef/eve.h"
#include "reef/neighbours.h"
#include "reef/status.h"

#define SECOND 1000000000ull

static reef_config *config;
static reef_worker *worker;
static reef_names *names;
static reef_feed *feed;

static void start(size_t size, bool feeds)
{
    reef_options o;
    reef_options_default(&o);
    o.flows = 256, o.memory = 1 << 20, o.events = 1024, o.text_bytes = 1 << 18;
    o.seed[0] = 1, o.seed[1] = 2;
    o.checksums = false, o.report_flows = false, o.feeds = feeds;
    CHECK_EQUAL(reef_config_new(&o, &config), REEF_OK);
    CHECK_EQUAL(reef_worker_new(config, &worker), REEF_OK);
    CHECK_EQUAL(reef_names_new("", &names), REEF_OK);
    CHECK_EQUAL(reef_feed_new(size, &feed), REEF_OK);
}

static void stop(void)
{
    reef_feed_free(feed);
    reef_names_free(names);
    reef_worker_free(worker);
    reef_config_free(config);
}

static void give(const bytes *b, uint64_t time_ns)
{
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, time_ns);
    reef_worker_frames(worker, &frame, 1);
}

static size_t drain(void)
{
    static char out[1 << 20];
    size_t used, lines;
    CHECK_EQUAL(reef_eve_drain_and_log(reef_worker_events(worker), names, NULL, feed, out, sizeof out, &used, &lines), REEF_OK);
    return lines;
}

/* The record at `at`, which then stands behind it. */
static reef_feed_record next(size_t *at)
{
    size_t size;
    reef_feed_record record;
    const uint8_t *data = reef_feed_data(feed, &size);
    CHECK(*at + sizeof record <= size);
    memcpy(&record, data + *at, sizeof record);
    CHECK(record.size >= sizeof record && record.size % 8 == 0 && *at + record.size <= size);
    *at += record.size;
    return record;
}

static size_t fed(void)
{
    size_t size;
    reef_feed_data(feed, &size);
    return size;
}

static void test_a_conversation_is_told_when_answered_and_when_over(void)
{
    bytes b;
    size_t at = 0;
    start(1 << 20, true);
    tcp_frame(&b, 1, 40000, 2, 80, 999, REEF_TCP_SYN, "", 0), give(&b, SECOND);
    CHECK_EQUAL(drain(), 0);
    CHECK_EQUAL(fed(), 0);
    tcp_frame(&b, 2, 80, 1, 40000, 0, REEF_TCP_RST | REEF_TCP_ACK, "", 0), give(&b, 2 * SECOND);
    drain();
    reef_feed_record record = next(&at);
    CHECK_EQUAL(record.kind, REEF_FED_ANSWERED);
    CHECK_EQUAL(record.flags[REEF_TO_CLIENT], REEF_TCP_RST | REEF_TCP_ACK);
    CHECK_EQUAL(record.client[3], 1);
    CHECK_EQUAL(record.server_port, 80);
    CHECK_EQUAL(record.time_ns, 2 * SECOND);
    CHECK_EQUAL(record.start_ns, SECOND);
    CHECK(reef_worker_finish(worker));
    drain();
    record = next(&at);
    CHECK_EQUAL(record.kind, REEF_FED_ENDED);
    CHECK_EQUAL(record.packets[REEF_TO_SERVER], 1);
    CHECK_EQUAL(record.packets[REEF_TO_CLIENT], 1);
    CHECK_EQUAL(at, fed());
    reef_feed_empty(feed);
    CHECK_EQUAL(fed(), 0);
    stop();
}

static void test_a_long_conversation_is_told_while_it_goes_on(void)
{
    bytes b;
    size_t at = 0;
    start(1 << 20, true);
    udp_frame(&b, 1, 4000, 2, 5000, "0123456789", 10);
    for (unsigned i = 0; i < 2 * REEF_FEED_GOES_ON; i++)
        give(&b, SECOND + i);
    drain();
    CHECK_EQUAL(next(&at).packets[0], REEF_FEED_GOES_ON);
    reef_feed_record record = next(&at);
    CHECK_EQUAL(record.kind, REEF_FED_GOES_ON);
    CHECK_EQUAL(record.bytes[0], 2 * REEF_FEED_GOES_ON * b.length);
    stop();
}

static void test_lines_that_matter_come_along(void)
{
    bytes b;
    size_t at = 0;
    start(1 << 20, true);
    udp_frame(&b, 1, 4000, 2, 53, dns_question, DNS_QUESTION), give(&b, SECOND);
    CHECK_EQUAL(drain(), 1);
    reef_feed_record record = next(&at);
    size_t size;
    const char *line = (const char *)reef_feed_data(feed, &size) + sizeof record;
    CHECK_EQUAL(record.kind, REEF_FED_LINE);
    CHECK_EQUAL(record.server_port, 53);
    CHECK(strstr(line, "\"rrname\":\"www.example.org\"") != NULL);
    CHECK_EQUAL(line[record.size - sizeof record - 1], 0);
    stop();
}

static void test_neighbours_come_along(void)
{
    bytes b = {.length = 0};
    size_t at = 0;
    start(1 << 20, true);
    add_ethernet(&b, 0x0806);
    add16(&b, 1), add16(&b, 0x0800), add8(&b, 6), add8(&b, 4), add16(&b, 1);
    add_bytes(&b, "\2\0\0\0\0\x10\x0a\0\0\5\0\0\0\0\0\0\x0a\0\0\1", 20);
    give(&b, SECOND);
    CHECK_EQUAL(drain(), 0);
    reef_feed_record record = next(&at);
    CHECK_EQUAL(record.kind, REEF_FED_NEIGHBOUR);
    CHECK_EQUAL(record.how, REEF_NEIGHBOUR_ARP);
    CHECK(memcmp(record.mac, "\2\0\0\0\0\x10", 6) == 0);
    CHECK_EQUAL(record.client[3], 5);
    stop();
}

static void test_nothing_is_told_where_nobody_is_fed(void)
{
    bytes b;
    start(1 << 20, false);
    tcp_frame(&b, 1, 40000, 2, 80, 999, REEF_TCP_SYN, "", 0), give(&b, SECOND);
    tcp_frame(&b, 2, 80, 1, 40000, 0, REEF_TCP_RST | REEF_TCP_ACK, "", 0), give(&b, SECOND);
    CHECK(reef_worker_finish(worker));
    CHECK_EQUAL(drain(), 0);
    CHECK_EQUAL(fed(), 0);
    stop();
}

static void test_what_finds_no_room_is_said(void)
{
    bytes b;
    reef_feed *other;
    CHECK_EQUAL(reef_feed_new(64, &other), REEF_INVALID);
    CHECK_EQUAL(reef_feed_new((size_t)REEF_FEED_MAX + 1, &other), REEF_INVALID);
    size_t room = REEF_EVE_LINE_MAX + 2 * sizeof(reef_feed_record);
    start(room, true);
    unsigned many = 0;
    while (reef_feed_lost(feed) < 10) {
        tcp_frame(&b, 1, 1024 + many, 2, 80, 9, REEF_TCP_SYN, "", 0), give(&b, (1 + many / 100 * 100) * SECOND);
        tcp_frame(&b, 2, 80, 1, 1024 + many, 0, REEF_TCP_RST | REEF_TCP_ACK, "", 0), give(&b, (1 + many / 100 * 100) * SECOND);
        many++;
        drain();
    }
    CHECK(fed() + sizeof(reef_feed_record) > room);
    uint64_t lost = reef_feed_lost(feed);
    size_t at = 0;
    unsigned records = 0;
    while (at < fed())
        records += next(&at).kind == REEF_FED_ANSWERED;
    reef_feed_empty(feed);
    tcp_frame(&b, 3, 1024, 2, 80, 9, REEF_TCP_SYN, "", 0), give(&b, 100000 * SECOND);
    tcp_frame(&b, 2, 80, 3, 1024, 0, REEF_TCP_RST | REEF_TCP_ACK, "", 0), give(&b, 100000 * SECOND);
    drain();
    at = 0;
    reef_feed_record record = next(&at);
    CHECK_EQUAL(record.kind, REEF_FED_LOST);
    CHECK_EQUAL(record.bytes[0], lost);
    CHECK(records > 0);
    stop();
}

static void test_a_ring_half_full_is_left_to_what_matters_more(void)
{
    bytes b;
    reef_counters counters;
    start(1 << 20, true);
    for (unsigned i = 0; i < 1000; i++) {
        tcp_frame(&b, 1, 1024 + i % 200, 2, 80 + i / 200, 9, REEF_TCP_SYN, "", 0), give(&b, (1 + i / 100 * 100) * SECOND);
        tcp_frame(&b, 2, 80 + i / 200, 1, 1024 + i % 200, 0, REEF_TCP_RST | REEF_TCP_ACK, "", 0), give(&b, (1 + i / 100 * 100) * SECOND);
    }
    reef_worker_count(worker, &counters);
    CHECK(counters.feed_lost > 0);
    CHECK_EQUAL(counters.events_lost, 0);
    stop();
}

int main(void)
{
    test_a_conversation_is_told_when_answered_and_when_over();
    test_a_long_conversation_is_told_while_it_goes_on();
    test_lines_that_matter_come_along();
    test_neighbours_come_along();
    test_nothing_is_told_where_nobody_is_fed();
    test_what_finds_no_room_is_said();
    test_a_ring_half_full_is_left_to_what_matters_more();
    return 0;
}
