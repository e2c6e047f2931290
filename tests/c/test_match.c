/* Rules against single packets: what each condition means, in images built by hand. */
#include "image.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/match.h"

typedef struct world {
    reef_memory *memory;
    reef_rules *rules;
    reef_matcher *matcher;
    bytes frame;
    reef_packet packet;
    reef_flow flow;
    const reef_alert *alert;
    reef_verdict verdict;
} world;

static void world_open_with(world *w, image *made, reef_match_options options)
{
    memset(w, 0, sizeof *w);
    w->rules = image_rules(made);
    CHECK_EQUAL(reef_memory_new(1 << 24, &w->memory), 0);
    options.seed[0] = 1, options.seed[1] = 2;
    CHECK_EQUAL(reef_matcher_new(w->memory, w->rules, &options, &w->matcher), 0);
    w->flow.state = REEF_FLOW_ESTABLISHED;
    w->flow.id = 7;
}

static void world_open(world *w, image *made, bool act)
{
    world_open_with(w, made, (reef_match_options){.act = act});
}

static void world_close(world *w)
{
    reef_memory_counters counters;
    reef_match_free_flow(w->matcher, &w->flow);
    reef_matcher_free(w->matcher);
    reef_memory_count(w->memory, &counters);
    CHECK_EQUAL(counters.used, 0);
    reef_rules_free(w->rules);
    reef_memory_free(w->memory);
}

/* How many alerts a datagram with this payload raises. */
static uint32_t send_at(world *w, const void *payload, size_t length, uint64_t seconds)
{
    uint32_t count;
    w->frame.length = 0;
    add_ethernet(&w->frame, 0x0800);
    add_ipv4(&w->frame, 17, 1, 2, 8 + (unsigned)length);
    add_udp(&w->frame, 1000, 2000, (unsigned)length);
    add_bytes(&w->frame, payload, length);
    reef_frame frame = {.data = w->frame.data, .captured = w->frame.length, .length = w->frame.length, .link = REEF_LINK_ETHERNET,
                        .time_ns = seconds * 1000000000u};
    reef_decode(&frame, &w->packet);
    reef_scene scene = {.packet = &w->packet, .flow = &w->flow};
    reef_match_begin(w->matcher, &scene);
    reef_match_packet(w->matcher);
    w->verdict = reef_match_finish(w->matcher, &w->alert, &count);
    return count;
}

static uint32_t send_bytes(world *w, const void *payload, size_t length)
{
    return send_at(w, payload, length, 100);
}

static uint32_t send_text(world *w, const char *text)
{
    return send_bytes(w, text, strlen(text));
}

/* Does a rule of the conditions in `made` match the text? */
static bool holds(image *made, const void *payload, size_t length)
{
    world w;
    world_open(&w, made, false);
    uint32_t count = send_bytes(&w, payload, length);
    world_close(&w);
    return count == 1;
}

static image *payload_image(void)
{
    image *made = image_new();
    image_rule(made, REEF_RULE_PAYLOAD_PACKET);
    image_block(made, REEF_BUFFER_PAYLOAD);
    return made;
}

/* "ab", then "cd" `distance` behind it and `within`. */
static image *pair(int64_t distance, int64_t within)
{
    image *made = payload_image();
    image_content(made, "ab", 2, 0);
    reef_condition *next = image_content(made, "cd", 2, REEF_C_DISTANCE | (within > 0 ? REEF_C_WITHIN : 0));
    next->c = distance;
    next->e = within;
    return made;
}

static void test_contents(void)
{
    image *made = payload_image();
    image_content(made, "Needle", 6, 0);
    CHECK(holds(made, "hay Needle hay", 14));
    made = payload_image();
    image_content(made, "Needle", 6, 0);
    CHECK(!holds(made, "hay needle hay", 14));
    made = payload_image();
    image_content(made, "Needle", 6, REEF_C_NOCASE);
    CHECK(holds(made, "hay nEEdle hay", 14));
    made = payload_image();
    image_content(made, "Needle", 6, REEF_C_NEGATED);
    CHECK(holds(made, "hay", 3));
    made = payload_image();
    image_content(made, "Needle", 6, REEF_C_NEGATED);
    CHECK(!holds(made, "a Needle", 8));
    made = payload_image();
    image_content(made, "end", 3, REEF_C_ENDSWITH);
    CHECK(holds(made, "end of the end", 14));
    made = payload_image();
    image_content(made, "end", 3, REEF_C_ENDSWITH);
    CHECK(!holds(made, "end of it", 9));
}

static image *placed(int64_t offset, int64_t end)
{
    image *made = payload_image();
    reef_condition *content = image_content(made, "abc", 3, (offset > 0 ? REEF_C_OFFSET : 0) | (end > 0 ? REEF_C_DEPTH : 0));
    content->a = offset;
    content->b = end;
    return made;
}

static void test_places(void)
{
    CHECK(holds(placed(0, 3), "abcxxx", 6));
    CHECK(!holds(placed(0, 3), "xabcxx", 6));
    CHECK(holds(placed(2, 0), "xxabc", 5));
    CHECK(!holds(placed(3, 0), "xxabcx", 6));
    CHECK(holds(placed(1, 6), "xxxabcxx", 8));
    CHECK(!holds(placed(1, 5), "xxxabcxx", 8));
    /* the same where the pattern is long enough for the long way */
    image *made = payload_image();
    image_content(made, "0123456789", 10, REEF_C_DEPTH)->b = 12;
    CHECK(holds(made, "xx0123456789", 12));
    made = payload_image();
    image_content(made, "0123456789", 10, REEF_C_DEPTH)->b = 12;
    CHECK(!holds(made, "xxx0123456789", 13));
}

static void test_relative_contents_are_tried_at_every_place(void)
{
    CHECK(holds(pair(0, 2), "abcd", 4));
    CHECK(!holds(pair(0, 2), "abxcd", 5));
    CHECK(holds(pair(0, 2), "abx abcd", 8));         /* the second "ab" leads to it */
    CHECK(holds(pair(1, 2), "ab abcd abXcd", 13));
    CHECK(!holds(pair(1, 2), "ab abcd abXYcd", 14));
    CHECK(holds(pair(-4, 0), "cdab", 4));            /* backwards */
    /* a negated content between its neighbours */
    image *made = payload_image();
    image_content(made, "ab", 2, 0);
    reef_condition *not = image_content(made, "x", 1, REEF_C_DISTANCE | REEF_C_WITHIN | REEF_C_NEGATED);
    not->e = 1;
    CHECK(holds(made, "abx aby", 7));
    made = payload_image();
    image_content(made, "ab", 2, 0);
    not = image_content(made, "x", 1, REEF_C_DISTANCE | REEF_C_WITHIN | REEF_C_NEGATED);
    not->e = 1;
    CHECK(!holds(made, "abx abx", 7));
}

static void test_expressions(void)
{
    image *made = payload_image();
    image_condition(made, REEF_OP_PCRE, 0)->text = image_text(made, "u[0-9]+z", 8);
    CHECK(holds(made, "..u123z..", 9));
    made = payload_image();
    image_condition(made, REEF_OP_PCRE, REEF_C_NEGATED)->text = image_text(made, "u[0-9]+z", 8);
    CHECK(!holds(made, "..u123z..", 9));
    made = payload_image(); /* relative to the second "key" only */
    image_content(made, "key", 3, 0);
    image_condition(made, REEF_OP_PCRE, REEF_C_RELATIVE)->text = image_text(made, "^=[a-f]", 7);
    CHECK(holds(made, "key:a key=b", 11));
    made = payload_image(); /* a content behind an expression: other places of the expression are tried */
    image_condition(made, REEF_OP_PCRE, 0)->text = image_text(made, "a[0-9]", 6);
    image_content(made, "!", 1, REEF_C_DISTANCE | REEF_C_WITHIN)->e = 1;
    CHECK(holds(made, "a1.a2!", 6));
}

static void test_numbers(void)
{
    image *made = payload_image();
    reef_condition *test = image_condition(made, REEF_OP_BYTE_TEST, 0);
    *test = (reef_condition){.op = REEF_OP_BYTE_TEST, .compare = REEF_GT, .a = 2, .b = 0x1234, .c = 1};
    CHECK(holds(made, "\x00\x12\x35", 3));
    made = payload_image();
    test = image_condition(made, REEF_OP_BYTE_TEST, 0);
    *test = (reef_condition){.op = REEF_OP_BYTE_TEST, .compare = REEF_EQ, .a = 2, .b = 0x3512, .c = 1, .flags = REEF_C_LITTLE};
    CHECK(holds(made, "\x00\x12\x35", 3));
    made = payload_image();
    test = image_condition(made, REEF_OP_BYTE_TEST, 0);
    *test = (reef_condition){.op = REEF_OP_BYTE_TEST, .compare = REEF_EQ, .a = 4, .b = 57, .base = 10, .flags = REEF_C_STRING};
    CHECK(holds(made, "0057", 4));
    made = payload_image(); /* jump over as many bytes as the first says, then "end" at once */
    reef_condition *jump = image_condition(made, REEF_OP_BYTE_JUMP, 0);
    jump->a = 1;
    image_content(made, "end", 3, REEF_C_DISTANCE | REEF_C_WITHIN)->e = 3;
    CHECK(holds(made, "\x02xxend", 6));
    made = payload_image();
    image_condition(made, REEF_OP_BYTE_JUMP, 0)->a = 1;
    image_content(made, "end", 3, REEF_C_DISTANCE | REEF_C_WITHIN)->e = 3;
    CHECK(!holds(made, "\x01xxend", 6));
    made = payload_image(); /* a length that is read is where a content must end */
    made->rule[0].variables = 1;
    reef_condition *extract = image_condition(made, REEF_OP_BYTE_EXTRACT, 0);
    extract->a = 1;
    reef_condition *isdataat = image_condition(made, REEF_OP_ISDATAAT, REEF_C_A_VARIABLE | REEF_C_RELATIVE | REEF_C_NEGATED);
    isdataat->a = 0;
    CHECK(!holds(made, "\x03xyz", 4));
    made = payload_image();
    made->rule[0].variables = 1;
    reef_condition *math = image_condition(made, REEF_OP_BYTE_MATH, 0);
    *math = (reef_condition){.op = REEF_OP_BYTE_MATH, .a = 1, .b = 3, .base = '*', .d = 0};
    test = image_condition(made, REEF_OP_BYTE_TEST, 0);
    *test = (reef_condition){.op = REEF_OP_BYTE_TEST, .compare = REEF_EQ, .a = 1, .b = 0, .c = 1, .flags = REEF_C_B_VARIABLE};
    CHECK(holds(made, "\x05\x0f", 2));
}

static void test_base64(void)
{
    image *made = payload_image();
    image_content(made, "x=", 2, 0);
    image_condition(made, REEF_OP_BASE64_DECODE, REEF_C_RELATIVE);
    image_block(made, REEF_BUFFER_BASE64_DATA);
    image_content(made, "hidden", 6, 0);
    CHECK(holds(made, "x=aXQgaXMgaGlkZGVu!", 19)); /* "it is hidden" */
    made = payload_image();
    image_condition(made, REEF_OP_BASE64_DECODE, 0);
    image_block(made, REEF_BUFFER_BASE64_DATA);
    image_content(made, "hidden", 6, 0);
    CHECK(!holds(made, "aXQgaXMgdGhlcmU=", 16));
}

static void test_transforms(void)
{
    image *made = payload_image();
    image_transform(made, REEF_TRANSFORM_STRIP_WHITESPACE, "", 0);
    image_content(made, "abcdef", 6, 0);
    CHECK(holds(made, "a b\tc d\r\ne f", 12));
    made = payload_image();
    image_transform(made, REEF_TRANSFORM_XOR, "\x01\x02", 2);
    image_content(made, "abcdef", 6, 0);
    CHECK(holds(made, "`cbfeg", 6) == false);
    made = payload_image();
    image_transform(made, REEF_TRANSFORM_XOR, "\x01\x02", 2);
    image_content(made, "abcdef", 6, 0);
    CHECK(holds(made, "``bfdd", 6));
}

static void test_flowbits_hold_for_the_flow_and_order_rules(void)
{
    world w;
    image *made = image_new();
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | REEF_RULE_NEEDS_FLOW); /* asks; written first, evaluated last */
    int64_t name = image_name(made, REEF_NAME_FLOWBIT, "seen");
    image_block(made, REEF_BUFFER_NONE);
    image_condition(made, REEF_OP_FLOWBITS, 0)->a = name;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "second", 6, 0);
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | REEF_RULE_NOALERT | REEF_RULE_NEEDS_FLOW);
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "first", 5, 0);
    image_block(made, REEF_BUFFER_NONE)->after = 1;
    reef_condition *set = image_condition(made, REEF_OP_FLOWBITS, 0);
    set->a = name;
    set->base = 2;
    world_open(&w, made, false);
    CHECK_EQUAL(send_text(&w, "the second"), 0);
    CHECK_EQUAL(send_text(&w, "the first"), 0);
    CHECK_EQUAL(send_text(&w, "the second"), 1);
    CHECK_EQUAL(w.alert[0].rule->sid, 1);
    reef_match_free_flow(w.matcher, &w.flow);
    CHECK_EQUAL(send_text(&w, "the first second"), 1);
    world_close(&w);
}

static image *thresholds(unsigned kind, int64_t count)
{
    image *made = payload_image();
    image_content(made, "again", 5, 0);
    image_block(made, REEF_BUFFER_NONE)->after = 1;
    reef_condition *threshold = image_condition(made, REEF_OP_THRESHOLD, 0);
    threshold->base = (uint8_t)kind;
    threshold->a = count;
    threshold->b = 60;
    return made;
}

static uint32_t alerts_of(image *made, unsigned packets, uint64_t apart)
{
    world w;
    uint32_t count = 0;
    world_open(&w, made, false);
    for (unsigned i = 0; i < packets; i++)
        count += send_at(&w, "again", 5, 1000 + i * apart);
    world_close(&w);
    return count;
}

static void test_thresholds(void)
{
    CHECK_EQUAL(alerts_of(thresholds(0, 2), 10, 1), 2);   /* limit */
    CHECK_EQUAL(alerts_of(thresholds(0, 2), 10, 61), 10);
    CHECK_EQUAL(alerts_of(thresholds(1, 3), 10, 1), 3);   /* every third */
    CHECK_EQUAL(alerts_of(thresholds(2, 3), 10, 1), 1);   /* once the third came */
    CHECK_EQUAL(alerts_of(thresholds(3, 3), 10, 1), 7);   /* from the fourth on */
}

static void test_actions(void)
{
    world w;
    image *made = payload_image();
    image_content(made, "evil", 4, 0);
    made->rule[0].action = REEF_DROP;
    image_rule(made, REEF_RULE_PAYLOAD_PACKET)->action = REEF_PASS;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "known", 5, 0);
    world_open(&w, made, true);
    CHECK_EQUAL(send_text(&w, "evil"), 1);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(w.alert[0].action, REEF_VERDICT_DROP);
    CHECK_EQUAL(send_text(&w, "nothing"), 0); /* a packet rule drops its packet alone */
    CHECK_EQUAL(w.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(send_text(&w, "known evil"), 0); /* pass comes first */
    CHECK_EQUAL(w.verdict, REEF_VERDICT_PASS);
    world_close(&w);
}

/* The keyword alert in a rule that lets pass. */
static void test_what_passes_can_be_told(void)
{
    world w;
    image *made = payload_image();
    image_content(made, "evil", 4, 0);
    made->rule[0].action = REEF_DROP;
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | REEF_RULE_TELL)->action = REEF_PASS;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "known", 5, 0);
    world_open(&w, made, true);
    CHECK_EQUAL(send_text(&w, "known evil"), 1);
    CHECK_EQUAL(w.alert[0].rule->sid, 2);
    CHECK_EQUAL(w.alert[0].action, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_PASS);
    world_close(&w);
}

static void test_no_more_than_fifteen_alerts_and_the_gravest_first(void)
{
    world w;
    image *made = image_new();
    for (unsigned i = 0; i < 20; i++) {
        image_rule(made, REEF_RULE_PAYLOAD_PACKET)->priority = (uint8_t)(20 - i);
        image_block(made, REEF_BUFFER_PAYLOAD);
        image_content(made, "same", 4, 0);
    }
    world_open(&w, made, false);
    CHECK_EQUAL(send_text(&w, "the same"), 15);
    CHECK_EQUAL(w.alert[0].rule->sid, 20);
    CHECK_EQUAL(w.alert[14].rule->sid, 6);
    world_close(&w);
}

static void test_what_rules_cost_is_counted_for_who_asks(void)
{
    world w;
    reef_rule_cost cost[4];
    uint32_t from = 0;
    for (int asks = 0; asks < 2; asks++) {
        image *made = payload_image();
        image_content(made, "often", 5, 0);
        image_rule(made, REEF_RULE_PAYLOAD_PACKET);
        image_block(made, REEF_BUFFER_PAYLOAD);
        image_content(made, "often", 5, 0);
        image_content(made, "and this", 8, REEF_C_DISTANCE);
        image_rule(made, REEF_RULE_PAYLOAD_PACKET);
        image_block(made, REEF_BUFFER_PAYLOAD);
        image_content(made, "never there", 11, 0);
        world_open_with(&w, made, (reef_match_options){.costs = asks});
        CHECK_EQUAL(send_text(&w, "it stands here often"), 1);
        CHECK_EQUAL(send_text(&w, "it stands here often, and this too"), 2);
        from = 0;
        CHECK_EQUAL(reef_match_costs(w.matcher, &from, cost, 4), asks ? 2 : 0);
        if (!asks)
            world_close(&w);
    }
    CHECK_EQUAL(cost[0].sid, 1);
    CHECK_EQUAL(cost[0].checks, 2);
    CHECK_EQUAL(cost[0].matches, 2);
    CHECK_EQUAL(cost[1].sid, 2);
    CHECK_EQUAL(cost[1].checks, 2);
    CHECK_EQUAL(cost[1].matches, 1);
    CHECK(cost[0].ns > 0 && cost[0].worst_ns > 0 && cost[0].worst_ns <= cost[0].ns);
    CHECK_EQUAL(reef_match_costs(w.matcher, &from, cost, 4), 0);
    from = 0; /* one at a time */
    CHECK_EQUAL(reef_match_costs(w.matcher, &from, cost, 1), 1);
    CHECK_EQUAL(reef_match_costs(w.matcher, &from, cost, 1), 1);
    CHECK_EQUAL(cost[0].sid, 2);
    CHECK_EQUAL(reef_match_costs(w.matcher, &from, cost, 1), 0);
    world_close(&w);
}

static void test_headers(void)
{
    image *made = payload_image();
    image_content(made, "x", 1, 0);
    made->address_set[1] = (reef_address_set){.ranges4 = 1};
    made->range4[0] = (reef_range4){0x0a000001, 0x0a000001};
    made->port_set[1] = (reef_port_set){.ranges = 1};
    made->port_range[0] = (reef_port_range){2000, 2001};
    made->header.address_sets = made->header.port_sets = 2;
    made->header.ranges4 = made->header.port_ranges = 1;
    made->rule[0].source = made->rule[0].destination_port = 1;
    image *other = malloc(sizeof *other);
    CHECK(other != NULL);
    *other = *made;
    CHECK(holds(made, "x", 1));
    other->port_range[0] = (reef_port_range){2001, 2001};
    CHECK(!holds(other, "x", 1));
}

static void test_a_hostile_image_is_refused(void)
{
    size_t size;
    reef_rules *rules;
    image *made = payload_image();
    image_content(made, "x", 1, 0);
    uint8_t *whole = image_whole(made, &size);
    CHECK_EQUAL(reef_rules_new(whole, size, NULL, 0, &rules), 0);
    reef_rules_free(rules);
    for (size_t at = sizeof(reef_image_header) / 4; at < size / 4; at++) {
        uint32_t *word = (uint32_t *)(void *)whole + at, kept = *word;
        *word = 0xfffffff0;
        if (reef_rules_new(whole, size, NULL, 0, &rules) == 0)
            reef_rules_free(rules);
        *word = kept;
    }
    CHECK(reef_rules_new(whole, size - 8, NULL, 0, &rules) != 0);
    free(whole);
}

int main(void)
{
    test_contents();
    test_places();
    test_relative_contents_are_tried_at_every_place();
    test_expressions();
    test_numbers();
    test_base64();
    test_transforms();
    test_flowbits_hold_for_the_flow_and_order_rules();
    test_thresholds();
    test_actions();
    test_what_passes_can_be_told();
    test_no_more_than_fifteen_alerts_and_the_gravest_first();
    test_what_rules_cost_is_counted_for_who_asks();
    test_headers();
    test_a_hostile_image_is_refused();
    return 0;
}
