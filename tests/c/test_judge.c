/* judge: a verdict on each of the frames that wait, and when their flow need not wait any more. */
#include "check.h"
#include "image.h"
#include "packets.h"
#include "reef/judge.h"
#include "reef/status.h"

#define SECOND 1000000000ull
enum { DEPTH = 4096, MANY = 40 };

typedef struct world {
    reef_config *config;
    reef_worker *worker;
    reef_rules *rules;
    uint64_t now;
} world;

static void add_rule(image *made, unsigned action, const char *content)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | REEF_RULE_PAYLOAD_STREAM)->action = (uint8_t)action;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, content, strlen(content), 0);
}

static reef_rules *some_rules(void)
{
    image *made = image_new();
    add_rule(made, REEF_DROP, "evil intent");
    add_rule(made, REEF_REJECT, "wrong number");
    add_rule(made, REEF_PASS, "old friend");
    return image_rules(made);
}

static world open_world(uint32_t flows, uint32_t memory)
{
    world w = {.rules = some_rules(), .now = SECOND};
    reef_options o;
    reef_options_default(&o);
    o.flows = flows, o.memory = memory, o.events = 1024, o.text_bytes = 1 << 18;
    o.seed[0] = 1, o.seed[1] = 2;
    o.checksums = false, o.depth = DEPTH;
    o.tcp.inline_ = o.tcp.midstream = o.match.act = true;
    o.rules = w.rules;
    CHECK_EQUAL(reef_config_new(&o, &w.config), REEF_OK);
    CHECK_EQUAL(reef_worker_new(w.config, &w.worker), REEF_OK);
    return w;
}

static void close_world(world *w)
{
    reef_worker_free(w->worker);
    reef_config_free(w->config);
    reef_rules_free(w->rules);
}

static reef_judgement judge(world *w, const bytes *b)
{
    reef_judgement judgement;
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, w->now += 1000);
    reef_worker_judge(w->worker, &frame, 1, &judgement);
    return judgement;
}

static reef_judgement datagram(world *w, unsigned port, const char *text)
{
    bytes b;
    udp_frame(&b, 1, port, 2, 9, text, strlen(text));
    return judge(w, &b);
}

static void test_each_frame_has_the_verdict_of_its_own(void)
{
    world w = open_world(256, 1 << 22);
    static const char *const said[] = {"nothing", "evil intent", "wrong number", "still nothing", "an old friend"};
    static const reef_verdict meant[] = {REEF_VERDICT_ALLOW, REEF_VERDICT_DROP, REEF_VERDICT_REJECT, REEF_VERDICT_ALLOW, REEF_VERDICT_PASS};
    static bytes b[MANY];
    reef_frame frames[MANY];
    reef_judgement judgements[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        const char *text = said[i * 7 % 5];
        udp_frame(&b[i], 1, 1000 + i, 2, 9, text, strlen(text));
        frames[i] = frame_of(&b[i], REEF_LINK_ETHERNET, SECOND + i);
    }
    reef_worker_judge(w.worker, frames, MANY, judgements);
    for (unsigned i = 0; i < MANY; i++) {
        CHECK_EQUAL(judgements[i].verdict, meant[i * 7 % 5]);
        CHECK_EQUAL(judgements[i].flags, meant[i * 7 % 5] == REEF_VERDICT_PASS ? REEF_JUDGED_DONE : 0);
    }
    close_world(&w);
}

/* With a window that holds all of a test. */
static void acknowledge(bytes *b, uint32_t number)
{
    b->data[14 + 20 + 14] = b->data[14 + 20 + 15] = 0xff;
    for (int i = 0; i < 4; i++)
        b->data[14 + 20 + 8 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static reef_judgement segment(world *w, uint32_t sequence, unsigned flags, const void *payload, size_t n)
{
    bytes b;
    tcp_frame(&b, 1, 40000, 2, 80, sequence, flags, payload, n);
    if (flags & REEF_TCP_ACK)
        acknowledge(&b, 500);
    return judge(w, &b);
}

static reef_judgement long_segment(world *w, uint32_t *sequence, size_t n)
{
    static const char zeros[1400];
    reef_judgement judgement = segment(w, *sequence, REEF_TCP_ACK, zeros, n);
    *sequence += (uint32_t)n;
    return judgement;
}

/* A handshake: the first byte of the client's is 1000. */
static void open_connection(world *w)
{
    bytes b;
    segment(w, 999, REEF_TCP_SYN, "", 0);
    tcp_frame(&b, 2, 80, 1, 40000, 499, REEF_TCP_SYN | REEF_TCP_ACK, "", 0);
    acknowledge(&b, 1000);
    judge(w, &b);
    tcp_frame(&b, 1, 40000, 2, 80, 1000, REEF_TCP_ACK, "", 0);
    acknowledge(&b, 500);
    judge(w, &b);
}

/* What makes a stream evil may be spread over segments: the last of them is stopped, and all that follow. */
static void test_a_stream_is_stopped_where_it_turns_evil(void)
{
    world w = open_world(256, 1 << 22);
    open_connection(&w);
    CHECK_EQUAL(segment(&w, 1000, REEF_TCP_ACK, "ev", 2).verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(segment(&w, 1002, REEF_TCP_ACK, "il int", 6).verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(segment(&w, 1008, REEF_TCP_ACK, "ent", 3).verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(segment(&w, 1008, REEF_TCP_ACK, "ent", 3).verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(segment(&w, 1011, REEF_TCP_ACK, "more", 4).verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(segment(&w, 1011, REEF_TCP_ACK, "more", 4).flags, 0);
    close_world(&w);
}

static void answer(world *w, uint32_t acknowledged)
{
    bytes b;
    tcp_frame(&b, 2, 80, 1, 40000, 500, REEF_TCP_ACK, "", 0);
    acknowledge(&b, acknowledged);
    judge(w, &b);
}

/* A sender that missed the acknowledgement says it again until it is answered: whoever dropped that would end the connection. */
static void test_what_was_acknowledged_may_come_again_and_nothing_else(void)
{
    world w = open_world(256, 1 << 22);
    open_connection(&w);
    CHECK_EQUAL(segment(&w, 1000, REEF_TCP_ACK, "some words", 10).flags, 0);
    answer(&w, 1010);
    reef_judgement again = segment(&w, 1000, REEF_TCP_ACK, "some words", 10);
    CHECK_EQUAL(again.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(again.flags, 0);
    CHECK_EQUAL(segment(&w, 900, REEF_TCP_ACK, "some words", 10).flags, 0); /* before the beginning */
    CHECK_EQUAL(segment(&w, 90000000, REEF_TCP_ACK, "some words", 10).flags, REEF_JUDGED_UNSEEN);
    CHECK_EQUAL(segment(&w, 1010, REEF_TCP_ACK, "more", 4).flags, 0);
    close_world(&w);
}

/* Midstream nobody knows what the receiver has: what lies before the first segment may be news to it. */
static void test_what_lies_before_a_connection_that_was_picked_up_is_not_believed(void)
{
    world w = open_world(256, 1 << 22);
    CHECK_EQUAL(segment(&w, 1000, REEF_TCP_ACK, "some words", 10).flags, 0);
    answer(&w, 1010);
    CHECK_EQUAL(segment(&w, 990, REEF_TCP_ACK, "evil words", 10).flags, REEF_JUDGED_UNSEEN);
    close_world(&w);
}

static void test_a_deep_flow_is_handed_back_and_is_recalled_by_other_rules(void)
{
    world w = open_world(256, 1 << 22);
    uint32_t sequence = 1000;
    open_connection(&w);
    CHECK_EQUAL(long_segment(&w, &sequence, 1400).flags, 0);
    CHECK_EQUAL(long_segment(&w, &sequence, 1400).flags, 0);
    CHECK_EQUAL(long_segment(&w, &sequence, 1400).flags, REEF_JUDGED_DONE);
    CHECK_EQUAL(long_segment(&w, &sequence, 1400).flags, REEF_JUDGED_DONE); /* stragglers */
    CHECK_EQUAL(segment(&w, sequence, REEF_TCP_ACK, "evil intent", 11).flags, REEF_JUDGED_DONE);
    reef_rules *others = some_rules();
    CHECK_EQUAL(reef_worker_rules(w.worker, others), REEF_OK);
    reef_rules_free(w.rules);
    w.rules = others;
    CHECK_EQUAL(segment(&w, sequence + 11, REEF_TCP_ACK, "a word", 6).flags, 0);
    CHECK_EQUAL(segment(&w, sequence + 17, REEF_TCP_ACK, "evil intent", 11).verdict, REEF_VERDICT_DROP);
    close_world(&w);
}

static void test_a_new_connection_on_the_addresses_of_one_handed_back_is_looked_at(void)
{
    world w = open_world(256, 1 << 22);
    uint32_t sequence = 1000;
    open_connection(&w);
    while (!(long_segment(&w, &sequence, 1400).flags & REEF_JUDGED_DONE))
        CHECK(sequence < 100000);
    segment(&w, sequence, REEF_TCP_RST, "", 0);
    w.now += 3600 * SECOND;
    CHECK_EQUAL(segment(&w, 5000, REEF_TCP_SYN, "", 0).flags, 0);
    CHECK_EQUAL(segment(&w, 5001, REEF_TCP_ACK, "evil intent", 11).verdict, REEF_VERDICT_DROP);
    close_world(&w);
}

/* IP in IP: the kernel sees but the envelope. What is in it stops it, and it is never handed back. */
static reef_judgement envelope(world *w, unsigned port, const char *text, size_t length)
{
    bytes b = {.length = 0};
    add_ethernet(&b, 0x0800);
    add_ipv4(&b, REEF_PROTO_IPIP, 1, 2, (unsigned)(28 + length));
    add_ipv4(&b, REEF_PROTO_UDP, 3, 4, (unsigned)(8 + length));
    add_udp(&b, port, 9, (unsigned)length);
    add_bytes(&b, text, length);
    return judge(w, &b);
}

static void test_a_tunnel_is_stopped_for_what_it_carries_and_never_handed_back(void)
{
    static const char zeros[1000];
    world w = open_world(256, 1 << 22);
    CHECK_EQUAL(envelope(&w, 7, "nothing", 7).verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(envelope(&w, 8, "evil intent", 11).verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(envelope(&w, 8, "wrong number", 12).verdict, REEF_VERDICT_DROP); /* no answer would reach the sender */
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(envelope(&w, 7, zeros, sizeof zeros).flags, 0);
    CHECK_EQUAL(envelope(&w, 9, "an old friend", 13).flags, 0);
    close_world(&w);
}

/* Fragments: whoever comes last is the datagram. */
static reef_judgement fragment(world *w, unsigned offset, bool more, const void *data, size_t length)
{
    bytes b = {.length = 0};
    add_ethernet(&b, 0x0800);
    add_ipv4(&b, REEF_PROTO_UDP, 1, 2, (unsigned)length);
    b.data[14 + 6] = (uint8_t)((more ? 0x20 : 0) | (offset / 8) >> 8);
    b.data[14 + 7] = (uint8_t)(offset / 8);
    add_bytes(&b, data, length);
    return judge(w, &b);
}

static void test_a_datagram_in_fragments_does_not_get_whole(void)
{
    world w = open_world(256, 1 << 22);
    bytes udp = {.length = 0};
    add_udp(&udp, 1000, 9, 16);
    add_text(&udp, "with evil intent");
    CHECK_EQUAL(fragment(&w, 16, false, udp.data + 16, udp.length - 16).verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(fragment(&w, 0, true, udp.data, 16).verdict, REEF_VERDICT_DROP);
    close_world(&w);
}

static void test_what_finds_no_room_or_is_cut_was_not_seen(void)
{
    world w = open_world(4, 1 << 22);
    bytes b;
    unsigned unseen = 0;
    for (unsigned port = 1; port <= 8; port++) { /* both ways, so that none of them makes room for another */
        unseen += (datagram(&w, port, "nothing").flags & REEF_JUDGED_UNSEEN) != 0;
        udp_frame(&b, 2, 9, 1, port, "nothing", 7);
        judge(&w, &b);
    }
    CHECK_EQUAL(unseen, 4);
    udp_frame(&b, 1, 1, 2, 9, "nothing", 7);
    reef_frame frame = frame_of(&b, REEF_LINK_ETHERNET, w.now);
    reef_judgement judgement;
    frame.length += 4;
    reef_worker_judge(w.worker, &frame, 1, &judgement);
    CHECK_EQUAL(judgement.flags, REEF_JUDGED_UNSEEN);
    close_world(&w);
}

static reef_worker *worker_with(reef_config **config, const reef_rules *rules, reef_claims *claims, bool tap)
{
    reef_worker *worker;
    reef_options o;
    reef_options_default(&o);
    o.flows = 256, o.memory = 1 << 22, o.events = 1024, o.text_bytes = 1 << 18;
    o.checksums = false, o.by_interface = o.only_entering = tap, o.rules = rules, o.claims = claims;
    CHECK_EQUAL(reef_config_new(&o, config), REEF_OK);
    CHECK_EQUAL(reef_worker_new(*config, &worker), REEF_OK);
    return worker;
}

static uint64_t alerts_of(const reef_worker *worker)
{
    reef_counters counters;
    reef_worker_count(worker, &counters);
    return counters.alerts;
}

/* A tap sees what a lane judges, too, on any interface and in any VLAN: it is told once. */
static void test_what_a_lane_judges_is_left_to_it(void)
{
    const uint64_t seed[2] = {3, 4};
    reef_claims *claims;
    reef_config *configs[2];
    reef_rules *rules = some_rules();
    CHECK_EQUAL(reef_claims_new(seed, &claims), REEF_OK);
    reef_worker *lane = worker_with(&configs[0], rules, claims, false), *tap = worker_with(&configs[1], rules, claims, true);
    for (unsigned port = 1; port <= 100; port++) {
        bytes b;
        reef_judgement judgement;
        udp_frame(&b, 1, port, 2, 9, "evil intent", 11);
        reef_frame frame = frame_of(&b, REEF_LINK_ETHERNET, SECOND + port);
        if (port % 2 == 0)
            reef_worker_judge(lane, &frame, 1, &judgement);
        frame.interface = 5, frame.way = REEF_WAY_IN, frame.vlan = 7 | REEF_FRAME_HAS_VLAN;
        reef_worker_frames(tap, &frame, 1);
    }
    CHECK_EQUAL(alerts_of(lane), 50);
    CHECK_EQUAL(alerts_of(tap), 50);
    reef_worker_free(lane);
    reef_worker_free(tap);
    reef_config_free(configs[0]);
    reef_config_free(configs[1]);
    reef_rules_free(rules);
    reef_claims_free(claims);
}

/* Packets are stamped with the wall clock, which somebody sets, to any day. */
static void test_a_clock_that_jumps_stops_and_frees_nothing(void)
{
    static const int64_t jumps[] = {86400, -86400, 3600 * 24 * 365, -3600 * 24 * 400, 1};
    world w = open_world(256, 1 << 22);
    w.now += 3600ull * 24 * 500 * SECOND;
    for (unsigned i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        CHECK_EQUAL(datagram(&w, 100 + i, "nothing").verdict, REEF_VERDICT_ALLOW);
        w.now += (uint64_t)(jumps[i] * (int64_t)SECOND);
        CHECK_EQUAL(datagram(&w, 100 + i, "nothing").flags, 0);
        CHECK_EQUAL(datagram(&w, 100 + i, "evil intent").verdict, REEF_VERDICT_DROP);
        for (unsigned more = 0; more < 20; more++)
            CHECK_EQUAL(datagram(&w, 200 + more, "nothing").verdict, REEF_VERDICT_ALLOW);
    }
    close_world(&w);
}

/* A segment that is not believed is not part of what stream rules see: the receiver might believe it. */
static void test_a_segment_outside_the_window_was_not_seen(void)
{
    world w = open_world(256, 1 << 22);
    open_connection(&w);
    CHECK_EQUAL(segment(&w, 1000, REEF_TCP_ACK, "a word", 6).flags, 0);
    CHECK_EQUAL(segment(&w, 1000 + (1u << 30), REEF_TCP_ACK, "far away", 8).flags, REEF_JUDGED_UNSEEN);
    CHECK_EQUAL(segment(&w, 1006, REEF_TCP_ACK, "another", 7).flags, 0);
    close_world(&w);
}

int main(void)
{
    test_what_a_lane_judges_is_left_to_it();
    test_a_clock_that_jumps_stops_and_frees_nothing();
    test_a_segment_outside_the_window_was_not_seen();
    test_each_frame_has_the_verdict_of_its_own();
    test_what_was_acknowledged_may_come_again_and_nothing_else();
    test_what_lies_before_a_connection_that_was_picked_up_is_not_believed();
    test_a_stream_is_stopped_where_it_turns_evil();
    test_a_deep_flow_is_handed_back_and_is_recalled_by_other_rules();
    test_a_new_connection_on_the_addresses_of_one_handed_back_is_looked_at();
    test_a_tunnel_is_stopped_for_what_it_carries_and_never_handed_back();
    test_a_datagram_in_fragments_does_not_get_whole();
    test_what_finds_no_room_or_is_cut_was_not_seen();
    return 0;
}
