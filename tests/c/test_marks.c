/* Rules that remember: tags, xbits and hostbits on addresses, sets of values; and rules of addresses alone, asn1. */
#include "image.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/match.h"
#include "reef/status.h"

enum { ISSET, ISNOTSET, SET, UNSET, TOGGLE };
enum { SECOND_NS = 1000000000 };

typedef struct world {
    reef_memory *memory;
    reef_rules *rules;
    reef_matcher *matcher;
    bytes frame;
    reef_flow flow;
    uint64_t time_ns;
    uint32_t source, destination; /* last number of the address */
    bool tagged;
    unsigned sids; /* that alerted, as bits */
} world;

static void open_world(world *w, image *made)
{
    memset(w, 0, sizeof *w);
    w->rules = image_rules(made);
    CHECK_EQUAL(reef_memory_new(1 << 24, &w->memory), 0);
    reef_match_options options = {.seed = {1, 2}};
    CHECK_EQUAL(reef_matcher_new(w->memory, w->rules, &options, &w->matcher), 0);
    w->flow.state = REEF_FLOW_ESTABLISHED;
    w->flow.id = 7;
    w->time_ns = SECOND_NS;
    w->source = 1, w->destination = 2;
}

static void close_world(world *w)
{
    reef_match_free_flow(w->matcher, &w->flow);
    reef_matcher_free(w->matcher);
    reef_rules_free(w->rules);
    reef_memory_free(w->memory);
}

static unsigned send_bytes(world *w, const void *payload, size_t length)
{
    reef_packet packet;
    const reef_alert *alerts;
    uint32_t count;
    w->frame.length = 0;
    add_ethernet(&w->frame, 0x0800);
    add_ipv4(&w->frame, 17, w->source, w->destination, 8 + (unsigned)length);
    add_udp(&w->frame, 1000, 2000, (unsigned)length);
    add_bytes(&w->frame, payload, length);
    reef_frame frame = {.data = w->frame.data, .captured = w->frame.length, .length = w->frame.length, .link = REEF_LINK_ETHERNET,
                        .time_ns = w->time_ns};
    reef_decode(&frame, &packet);
    reef_scene scene = {.packet = &packet, .flow = &w->flow};
    reef_match_begin(w->matcher, &scene);
    reef_match_packet(w->matcher);
    (void)reef_match_finish(w->matcher, &alerts, &count);
    w->tagged = reef_match_tagged(w->matcher);
    w->sids = 0;
    for (uint32_t i = 0; i < count; i++)
        w->sids |= 1u << alerts[i].rule->sid;
    return w->sids;
}

static unsigned send(world *w, const char *text)
{
    return send_bytes(w, text, strlen(text));
}

static void payload_rule(image *made, const char *text)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, text, strlen(text), 0);
}

/* --- tag ----------------------------------------------------------------------------------------------- */

static image *tagging(unsigned of, int64_t count, int64_t metric, int64_t side)
{
    image *made = image_new();
    payload_rule(made, "begin");
    image_block(made, REEF_BUFFER_NONE)->after = 1;
    reef_condition *tag = image_condition(made, REEF_OP_TAG, 0);
    tag->base = (uint8_t)of;
    tag->a = count, tag->b = metric, tag->c = side;
    return made;
}

/* One letter a packet behind the one that alerts: t when it is tagged. */
static void check_tags(image *made, uint64_t apart_ns, const char *expected)
{
    world w;
    char found[32] = "";
    open_world(&w, made);
    CHECK_EQUAL(send(&w, "before"), 0);
    CHECK(!w.tagged);
    CHECK_EQUAL(send(&w, "begin"), 1u << 1);
    CHECK(!w.tagged);
    for (size_t i = 0; i < strlen(expected); i++) {
        w.time_ns += apart_ns;
        send(&w, "after");
        found[i] = w.tagged ? 't' : '-';
    }
    CHECK_TEXT(found, expected);
    close_world(&w);
}

static void test_tags_of_a_flow(void)
{
    check_tags(tagging(0, 3, 0, 0), 1, "tt---"); /* the packet that alerts is one of them */
    check_tags(tagging(0, 1, 0, 0), 1, "-----");
    check_tags(tagging(0, 2, 1, 0), SECOND_NS, "tt---");
    check_tags(tagging(0, 47 + 2 * 47, 2, 0), 1, "tt---"); /* bytes of frames: 42 of headers */
}

static void test_tags_of_a_host(void)
{
    world w;
    open_world(&w, tagging(1, 100, 0, 1)); /* the destination */
    send(&w, "begin");
    w.flow.id = 8; /* another conversation */
    w.source = 5;
    send(&w, "x");
    CHECK(w.tagged);
    w.source = 2, w.destination = 5;
    send(&w, "x");
    CHECK(w.tagged);
    w.source = 1;
    send(&w, "x");
    CHECK(!w.tagged);
    close_world(&w);
}

static void test_a_flow_that_always_alerts_is_not_kept_whole(void)
{
    world w;
    unsigned tagged = 0;
    open_world(&w, tagging(0, 3, 0, 0));
    for (unsigned i = 0; i < 20; i++) {
        CHECK_EQUAL(send(&w, "begin"), 1u << 1);
        tagged += w.tagged;
    }
    CHECK_EQUAL(tagged, 17); /* as Suricata 7.0.10: 2 to 12, and from 15 on: the tag went with 13, 14 made another */
    close_world(&w);
}

/* --- bits ---------------------------------------------------------------------------------------------- */

static void bit_rule(image *made, const char *text, unsigned op, int64_t name, unsigned how, int64_t by, int64_t seconds)
{
    payload_rule(made, text);
    image_block(made, REEF_BUFFER_NONE)->after = how > ISNOTSET;
    reef_condition *bit = image_condition(made, op, 0);
    bit->a = name, bit->b = by, bit->c = seconds;
    bit->base = (uint8_t)how;
}

/* sid 1 sets, 2 asks, 3 takes away, 4 toggles, 5 asks whether it is not there. */
static void open_bits(world *w, unsigned op, int64_t by, int64_t by_asked)
{
    image *made = image_new();
    int64_t name = image_name(made, op == REEF_OP_XBITS ? REEF_NAME_XBIT : REEF_NAME_HOSTBIT, "mark");
    bit_rule(made, "set", op, name, SET, by, 60);
    bit_rule(made, "ask", op, name, ISSET, by_asked, 0);
    bit_rule(made, "take", op, name, UNSET, by, 0);
    bit_rule(made, "toggle", op, name, TOGGLE, by, 60);
    bit_rule(made, "ask", op, name, ISNOTSET, by_asked, 0);
    open_world(w, made);
}

static bool is_set(world *w)
{
    unsigned sids = send(w, "ask");
    CHECK(sids == 1u << 2 || sids == 1u << 5);
    return sids == 1u << 2;
}

static void test_marks_of_an_address(void)
{
    for (unsigned op = REEF_OP_XBITS; op <= REEF_OP_HOSTBITS; op++) {
        world w;
        open_bits(&w, op, 0, 0);
        CHECK(!is_set(&w));
        send(&w, "set");
        CHECK(is_set(&w));
        w.destination = 9; /* the mark is the source's */
        CHECK(is_set(&w));
        w.source = 3;
        CHECK(!is_set(&w));
        w.source = 1;
        w.time_ns += 59ull * SECOND_NS;
        CHECK(is_set(&w));
        w.time_ns += 2ull * SECOND_NS;
        CHECK(!is_set(&w));
        send(&w, "toggle");
        CHECK(is_set(&w));
        send(&w, "toggle");
        CHECK(!is_set(&w));
        send(&w, "set");
        send(&w, "take");
        CHECK(!is_set(&w));
        close_world(&w);
    }
}

static void test_a_mark_of_a_destination_is_the_same_as_of_a_source(void)
{
    world w;
    open_bits(&w, REEF_OP_XBITS, 1, 0);
    send(&w, "set");
    CHECK(!is_set(&w));
    w.source = 2;
    CHECK(is_set(&w));
    close_world(&w);
}

static void test_a_mark_of_a_pair(void)
{
    world w;
    open_bits(&w, REEF_OP_XBITS, 2, 2);
    send(&w, "set");
    CHECK(is_set(&w));
    w.source = 2, w.destination = 1; /* either way */
    CHECK(is_set(&w));
    w.destination = 3;
    CHECK(!is_set(&w));
    close_world(&w);
}

/* --- sets ---------------------------------------------------------------------------------------------- */

static reef_text values(image *made, const char *const *value, uint32_t count, const uint16_t *reputation)
{
    char text[256];
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(value[i]);
        text[at++] = (char)length;
        text[at++] = 0;
        memcpy(text + at, value[i], length);
        at += length;
        if (reputation != NULL) {
            text[at++] = (char)(reputation[i] & 0xff);
            text[at++] = (char)(reputation[i] >> 8);
        }
    }
    return image_text(made, text, at);
}

static reef_condition *set_rule(image *made, unsigned op, unsigned how)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    reef_condition *condition = image_condition(made, op, 0);
    condition->base = (uint8_t)how;
    return condition;
}

static image *with_set(bool reputation, uint32_t limit)
{
    static const char *const known[] = {"red", "green"};
    static const uint16_t reputations[] = {10, 300};
    image *made = image_new();
    made->dataset[0] = (reef_dataset){.reputation = reputation, .count = 2, .limit = limit, .name = image_text(made, "colours", 7),
                                      .values = values(made, known, 2, reputation ? reputations : NULL)};
    made->header.datasets = 1;
    return made;
}

static void test_sets_of_values(void)
{
    world w;
    image *made = with_set(false, 0);
    set_rule(made, REEF_OP_DATASET, ISSET);
    set_rule(made, REEF_OP_DATASET, ISNOTSET);
    open_world(&w, made);
    CHECK_EQUAL(send(&w, "red"), 1u << 1);
    CHECK_EQUAL(send(&w, "green"), 1u << 1);
    CHECK_EQUAL(send(&w, "re"), 1u << 2);
    CHECK_EQUAL(send(&w, "reds"), 1u << 2);
    close_world(&w);
}

static void test_sets_that_learn(void)
{
    world w;
    image *made = with_set(false, 3);
    set_rule(made, REEF_OP_DATASET, SET);
    open_world(&w, made);
    CHECK_EQUAL(send(&w, "red"), 0); /* it is there: nothing was set */
    CHECK_EQUAL(send(&w, "blue"), 1u << 1);
    CHECK_EQUAL(send(&w, "blue"), 0);
    CHECK_EQUAL(send(&w, "black"), 0); /* full */
    made = with_set(false, 3); /* what was learnt outlives other rules */
    set_rule(made, REEF_OP_DATASET, UNSET);
    reef_rules *others = image_rules(made);
    CHECK_EQUAL(reef_matcher_rules(w.matcher, others), 0);
    CHECK_EQUAL(send(&w, "black"), 0);
    CHECK_EQUAL(send(&w, "blue"), 1u << 1);
    CHECK_EQUAL(send(&w, "blue"), 0);
    close_world(&w);
    reef_rules_free(others);
}

static int change(world *w, const char *name, bool out, const char *packed, size_t length)
{
    return reef_matcher_set_change(w->matcher, (reef_view){(const uint8_t *)name, (uint32_t)strlen(name)}, out, (const uint8_t *)packed,
                                   length);
}

static void test_sets_that_are_told(void)
{
    world w;
    image *made = with_set(false, 4);
    set_rule(made, REEF_OP_DATASET, ISSET);
    open_world(&w, made);
    CHECK_EQUAL(change(&w, "colours", false, "\4\0blue\3\0red", 11), REEF_OK);
    CHECK_EQUAL(send(&w, "blue"), 1u << 1);
    CHECK_EQUAL(change(&w, "colours", true, "\3\0red\5\0white", 12), REEF_OK); /* what is not in it is not missed */
    CHECK_EQUAL(send(&w, "red"), 0);
    CHECK_EQUAL(change(&w, "sounds", false, "\4\0loud", 6), REEF_END);
    CHECK_EQUAL(change(&w, "colours", false, "\3\0red\4\0gre", 10), REEF_FORMAT);
    CHECK_EQUAL(change(&w, "colours", false, "\3\0red\4", 6), REEF_FORMAT);
    CHECK_EQUAL(send(&w, "red"), 0); /* all of it or nothing */
    CHECK_EQUAL(change(&w, "colours", false, "\1\0a\1\0b\1\0c", 9), REEF_FULL);
    CHECK_EQUAL(send(&w, "b"), 1u << 1);
    CHECK_EQUAL(send(&w, "c"), 0);
    close_world(&w);
}

static void test_sets_that_grow(void)
{
    world w;
    image *made = with_set(false, 0);
    set_rule(made, REEF_OP_DATASET, ISSET);
    open_world(&w, made);
    char value[16];
    for (unsigned i = 0; i < 20000; i++) {
        int length = snprintf(value + 2, sizeof value - 2, "n%u", i);
        value[0] = (char)length, value[1] = 0;
        CHECK_EQUAL(change(&w, "colours", false, value, 2 + (size_t)length), REEF_OK);
    }
    for (unsigned i = 0; i < 20010; i += 501) {
        snprintf(value, sizeof value, "n%u", i);
        CHECK_EQUAL(send(&w, value), i < 20000 ? 1u << 1 : 0);
    }
    close_world(&w);
}

static void test_reputations(void)
{
    world w;
    image *made = with_set(true, 0);
    reef_condition *asked = set_rule(made, REEF_OP_DATAREP, 0);
    asked->compare = REEF_GT;
    asked->b = 200;
    open_world(&w, made);
    CHECK_EQUAL(send(&w, "red"), 0);
    CHECK_EQUAL(send(&w, "green"), 1u << 1);
    CHECK_EQUAL(send(&w, "blue"), 0);
    close_world(&w);
}

/* --- addresses alone ----------------------------------------------------------------------------------- */

static void test_rules_of_addresses_alone(void)
{
    world w;
    image *made = image_new();
    image_rule(made, 0)->source = 1; /* 10.0.0.1 to .2 */
    image_rule(made, 0)->destination = 2; /* all but 10.0.0.4 */
    made->address_set[1] = (reef_address_set){.ranges4 = 1};
    made->address_set[2] = (reef_address_set){.range4 = 1, .ranges4 = 2};
    made->range4[0] = (reef_range4){0x0a000001, 0x0a000002};
    made->range4[1] = (reef_range4){0, 0x0a000003};
    made->range4[2] = (reef_range4){0x0a000005, 0xffffffff};
    made->header.address_sets = 3;
    made->header.ranges4 = 3;
    open_world(&w, made);
    static const struct { uint32_t source, destination; unsigned sids; } cases[] = {
        {1, 4, 1u << 1}, {2, 4, 1u << 1}, {3, 4, 0}, {3, 3, 1u << 2}, {3, 5, 1u << 2}, {1, 5, 1u << 1 | 1u << 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reef_match_free_flow(w.matcher, &w.flow); /* a flow is asked once */
        w.source = cases[i].source, w.destination = cases[i].destination;
        CHECK_EQUAL(send(&w, "x"), cases[i].sids);
    }
    close_world(&w);
}

/* --- asn1 ---------------------------------------------------------------------------------------------- */

static bool asn1_holds(unsigned what, int64_t most, int64_t place, const char *data, size_t length)
{
    world w;
    image *made = image_new();
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    reef_condition *asn1 = image_condition(made, REEF_OP_ASN1, 0);
    asn1->base = (uint8_t)what;
    asn1->a = most, asn1->c = place;
    open_world(&w, made);
    bool held = send_bytes(&w, data, length) != 0;
    close_world(&w);
    return held;
}

static void test_lengths_that_cannot_be_true(void)
{
    static const char sequence[] = "\x30\x09\x02\x01\x05\x04\x04" "abcd", large[] = "\x30\x06\x04\x84\x7f\xff\xff\xff";
    CHECK(!asn1_holds(1, 100, 0, sequence, sizeof sequence - 1));
    CHECK(asn1_holds(1, 8, 0, sequence, sizeof sequence - 1));
    CHECK(asn1_holds(1, 3, 0, sequence, sizeof sequence - 1));
    CHECK(asn1_holds(1, 3, 2, sequence, sizeof sequence - 1)); /* the integer, then the text of four */
    CHECK(!asn1_holds(1, 4, 2, sequence, sizeof sequence - 1));
    CHECK(!asn1_holds(1, 3, 100, sequence, sizeof sequence - 1));
    CHECK(asn1_holds(1, 100, 0, large, sizeof large - 1));
    CHECK(asn1_holds(2, 0, 0, "\x03\x01\x09", 3)); /* nine bits of eight are not used */
    CHECK(!asn1_holds(2, 0, 0, "\x03\x01\x07", 3));
    CHECK(asn1_holds(4, 0, 0, "\x09\x82\x01\x00\x03", 5)); /* a number in text of 256 bytes */
    CHECK(!asn1_holds(4, 0, 0, "\x09\x03\x80\x01\x01", 5));
}

int main(void)
{
    test_tags_of_a_flow();
    test_tags_of_a_host();
    test_a_flow_that_always_alerts_is_not_kept_whole();
    test_marks_of_an_address();
    test_a_mark_of_a_destination_is_the_same_as_of_a_source();
    test_a_mark_of_a_pair();
    test_sets_of_values();
    test_sets_that_learn();
    test_sets_that_are_told();
    test_sets_that_grow();
    test_reputations();
    test_rules_of_addresses_alone();
    test_lengths_that_cannot_be_true();
    return 0;
}
