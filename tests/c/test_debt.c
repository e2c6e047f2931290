/* Rules that are built to be slow: they are named and rest, the others go on, and time stays bounded. */
#include <time.h>

#include "image.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/match.h"

enum { PAYLOAD = 1400, SECOND_NS = 1000000000 };

typedef struct world {
    reef_memory *memory;
    reef_rules *rules;
    reef_matcher *matcher;
    bytes frame;
} world;

/* Rule 1 tries "a" in every place against "a" in every place behind, for what never comes; rule 2 is the expression that doubles
 * its work with each byte; rule 3 is an ordinary one that matches the same packets. */
static void open_world(world *w)
{
    image *made = image_new();
    memset(w, 0, sizeof *w);
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "a", 1, 0);
    image_content(made, "a", 1, REEF_C_DISTANCE);
    image_content(made, "a", 1, REEF_C_DISTANCE);
    image_condition(made, REEF_OP_PCRE, REEF_C_RELATIVE)->text = image_text(made, "^zz", 3);
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_condition(made, REEF_OP_PCRE, 0)->text = image_text(made, "(a+)+\\d", 7);
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "aab", 3, 0);
    w->rules = image_rules(made);
    CHECK_EQUAL(reef_memory_new(1 << 24, &w->memory), 0);
    reef_match_options options = {.seed = {1, 2}};
    CHECK_EQUAL(reef_matcher_new(w->memory, w->rules, &options, &w->matcher), 0);
}

static void close_world(world *w)
{
    reef_matcher_free(w->matcher);
    reef_rules_free(w->rules);
    reef_memory_free(w->memory);
}

/* The sids that alerted, as bits. */
static unsigned send(world *w, uint64_t time_ns, char letter)
{
    reef_packet packet;
    const reef_alert *alerts;
    uint32_t count;
    unsigned sids = 0;
    char payload[PAYLOAD];
    memset(payload, letter, sizeof payload);
    payload[sizeof payload - 1] = 'b';
    w->frame.length = 0;
    add_ethernet(&w->frame, 0x0800);
    add_ipv4(&w->frame, 17, 1, 2, 8 + PAYLOAD);
    add_udp(&w->frame, 1000, 2000, PAYLOAD);
    add_bytes(&w->frame, payload, sizeof payload);
    reef_frame frame = {.data = w->frame.data, .captured = w->frame.length, .length = w->frame.length, .link = REEF_LINK_ETHERNET,
                        .time_ns = time_ns};
    reef_decode(&frame, &packet);
    reef_scene scene = {.packet = &packet};
    reef_match_begin(w->matcher, &scene);
    reef_match_packet(w->matcher);
    (void)reef_match_finish(w->matcher, &alerts, &count);
    for (uint32_t i = 0; i < count; i++)
        sids |= 1u << alerts[i].rule->sid;
    return sids;
}

/* The sids that were named as slow, as bits. */
static unsigned named(world *w)
{
    unsigned sids = 0;
    for (const reef_rule *rule; (rule = reef_match_slow_rule(w->matcher)) != NULL;) {
        CHECK(!(sids >> rule->sid & 1));
        sids |= 1u << rule->sid;
    }
    return sids;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Packets until both slow rules are named; each once. */
static unsigned until_named(world *w, uint64_t *at)
{
    unsigned packets = 0, sids = 0;
    while (sids != (1u << 1 | 1u << 2)) {
        CHECK(packets++ < REEF_RULE_DEBT_MAX);
        CHECK_EQUAL(send(w, *at += 1000, 'a'), 1u << 3);
        unsigned more = named(w);
        CHECK_EQUAL(sids & more, 0);
        sids |= more;
    }
    return packets;
}

static void test_slow_rules_are_named_and_rest(void)
{
    world w;
    uint64_t at = SECOND_NS;
    open_world(&w);
    unsigned packets = until_named(&w, &at);
    CHECK(packets > 100);
    double before = seconds();
    for (unsigned i = 0; i < 20000; i++) {
        CHECK_EQUAL(send(&w, at += 1000, 'a'), 1u << 3); /* the others go on */
        CHECK_EQUAL(named(&w), 0);
    }
    CHECK(seconds() - before < 5); /* some ten milliseconds; many seconds if they were tried */
    at += REEF_RULE_REST_NS; /* they are tried again, and named again when they are as slow as before */
    CHECK_EQUAL(until_named(&w, &at), packets);
    close_world(&w);
}

/* Once in a while is not too much, however long it goes on; nor is traffic that does not make the rules slow. */
static void test_what_is_seldom_slow_is_tried_for_ever(void)
{
    world w;
    uint64_t at = SECOND_NS;
    open_world(&w);
    for (unsigned i = 0; i < 2 * REEF_RULE_DEBT_MAX; i++) {
        CHECK_EQUAL(send(&w, at += REEF_RULE_DEBT_NS / 50, 'a'), 1u << 3);
        CHECK_EQUAL(send(&w, at, 'x'), 0);
        CHECK_EQUAL(named(&w), 0);
    }
    close_world(&w);
}

int main(void)
{
    test_slow_rules_are_named_and_rest();
    test_what_is_seldom_slow_is_tried_for_ever();
    return 0;
}
