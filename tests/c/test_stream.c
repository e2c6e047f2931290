/* stream: the first bytes of a direction, whatever order and overlap they come in. */
#include "check.h"
#include "reef/status.h"
#include "reef/stream.h"

static reef_flow flow_new(void)
{
    reef_flow flow;
    memset(&flow, 0, sizeof flow);
    flow.head[0].buffer = flow.head[1].buffer = REEF_NO_HEAD;
    return flow;
}

static reef_packet segment(uint32_t sequence, unsigned flags, const char *payload)
{
    return (reef_packet){.tcp_sequence = sequence, .tcp_flags = (uint8_t)flags, .payload = (const uint8_t *)payload,
                         .payload_length = (uint32_t)strlen(payload)};
}

static void check_bytes(reef_streams *streams, reef_flow *flow, reef_packet packet, bool resume, const char *expected)
{
    reef_view bytes = {NULL, 0};
    bool got = reef_stream_bytes(streams, flow, 0, &packet, resume, &bytes);
    CHECK_EQUAL(got, expected != NULL);
    if (got) {
        CHECK_EQUAL(bytes.length, strlen(expected));
        CHECK(memcmp(bytes.data, expected, bytes.length) == 0);
        CHECK(reef_stream_hold(streams, flow, 0, bytes));
    }
}

static void test_order(void)
{
    reef_streams *streams;
    CHECK_EQUAL(reef_streams_new(4, &streams), REEF_OK);
    reef_flow flow = flow_new();
    check_bytes(streams, &flow, segment(99, REEF_TCP_SYN, ""), false, NULL);
    check_bytes(streams, &flow, segment(104, 0, "late"), false, NULL);    /* ahead: waits for its turn */
    check_bytes(streams, &flow, segment(100, 0, "GET "), false, "GET ");
    check_bytes(streams, &flow, segment(100, 0, "GET "), false, NULL);    /* sent again */
    check_bytes(streams, &flow, segment(102, 0, "T / "), false, "GET / "); /* overlaps: only what is new */
    check_bytes(streams, &flow, segment(106, 0, "HTTP"), false, "GET / HTTP");
    check_bytes(streams, &flow, segment(120, 0, "behind a gap"), true, NULL); /* what is held waits for what is missing */
    reef_streams_counters counters;
    reef_streams_count(streams, &counters);
    CHECK_EQUAL(counters.in_use, 1);
    reef_stream_drop(streams, &flow, 0);
    check_bytes(streams, &flow, segment(200, 0, "more"), false, NULL); /* behind a gap */
    check_bytes(streams, &flow, segment(200, 0, "more"), true, "more"); /* unless that is allowed */
    reef_stream_end(streams, &flow, 0);
    check_bytes(streams, &flow, segment(204, 0, "rest"), true, NULL);
    reef_streams_count(streams, &counters);
    CHECK_EQUAL(counters.in_use, 0);
    reef_streams_free(streams);
}

static void test_wrap_and_midstream(void)
{
    reef_streams *streams;
    CHECK_EQUAL(reef_streams_new(4, &streams), REEF_OK);
    reef_flow flow = flow_new();
    check_bytes(streams, &flow, segment(0xfffffffeu, 0, "abcd"), false, "abcd");
    check_bytes(streams, &flow, segment(2, 0, "ef"), false, "abcdef");
    reef_stream_end(streams, &flow, 0);
    reef_streams_free(streams);
}

/* No buffer left: the newcomer goes without, the others keep theirs. */
static void test_exhaustion(void)
{
    reef_streams *streams;
    CHECK_EQUAL(reef_streams_new(2, &streams), REEF_OK);
    reef_flow flows[3] = {flow_new(), flow_new(), flow_new()};
    for (int i = 0; i < 3; i++) {
        reef_packet packet = segment(1, 0, "part");
        reef_view bytes;
        CHECK(reef_stream_bytes(streams, &flows[i], 0, &packet, false, &bytes));
        CHECK_EQUAL(reef_stream_hold(streams, &flows[i], 0, bytes), i < 2);
    }
    reef_streams_counters counters;
    reef_streams_count(streams, &counters);
    CHECK_EQUAL(counters.refused, 1);
    for (int i = 0; i < 3; i++)
        reef_stream_end(streams, &flows[i], 0);
    reef_streams_count(streams, &counters);
    CHECK_EQUAL(counters.in_use, 0);
    reef_streams_free(streams);
}

/* A direction never holds more than one buffer. */
static void test_bound(void)
{
    static char much[REEF_HEAD_BYTES];
    memset(much, 'x', sizeof much - 1);
    reef_streams *streams;
    CHECK_EQUAL(reef_streams_new(2, &streams), REEF_OK);
    reef_flow flow = flow_new();
    uint32_t sequence = 1;
    reef_view bytes;
    reef_packet first = segment(sequence, 0, "first");
    CHECK(reef_stream_bytes(streams, &flow, 0, &first, false, &bytes));
    CHECK(reef_stream_hold(streams, &flow, 0, bytes));
    sequence += 5;
    for (int i = 0; i < 3; i++) {
        reef_packet packet = segment(sequence, 0, much);
        CHECK(reef_stream_bytes(streams, &flow, 0, &packet, false, &bytes));
        CHECK_EQUAL(bytes.length, REEF_HEAD_BYTES);
        CHECK(!reef_stream_hold(streams, &flow, 0, bytes));
        sequence += REEF_HEAD_BYTES - 1;
    }
    reef_stream_end(streams, &flow, 0);
    reef_streams_free(streams);
}

int main(void)
{
    reef_streams *none;
    CHECK_EQUAL(reef_streams_new(0, &none), REEF_INVALID);
    test_order();
    test_wrap_and_midstream();
    test_exhaustion();
    test_bound();
    return 0;
}
