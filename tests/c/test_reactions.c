/* What rules do because the policy says so: by profile, silenced, told less often. */
#include "image.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/match.h"
#include "reef/reactions.h"
#include "reef/status.h"

enum { SECOND_NS = 1000000000 };

typedef struct world {
    reef_memory *memory;
    reef_rules *rules;
    reef_matcher *matcher;
    reef_reactions *reactions;
    reef_flow flow;
    uint32_t mark;
    uint64_t time_ns;
    reef_verdict verdict;
    unsigned blocked; /* alerts that say so */
} world;

static void payload_rule(image *made, const char *text, uint8_t action)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET)->action = action;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, text, strlen(text), 0);
}

/* Three rules for "bad": the first two alert, the third drops. */
static void open_world(world *w, uint32_t profiles, const uint8_t *actions)
{
    memset(w, 0, sizeof *w);
    image *made = image_new();
    payload_rule(made, "bad", REEF_ALERT);
    payload_rule(made, "bad", REEF_ALERT);
    payload_rule(made, "bad", REEF_DROP);
    w->rules = image_rules(made);
    CHECK_EQUAL(reef_memory_new(1 << 24, &w->memory), 0);
    reef_match_options options = {.act = true, .seed = {1, 2}};
    CHECK_EQUAL(reef_matcher_new(w->memory, w->rules, &options, &w->matcher), 0);
    CHECK_EQUAL(reef_reactions_new(w->rules, profiles, actions, &w->reactions), 0);
    const uint16_t profile_of[] = {0, 0, 1, 2};
    CHECK_EQUAL(reef_reactions_profile(w->reactions, profile_of, profiles > 2 ? 4 : profiles > 1 ? 3 : 2), 0);
    CHECK_EQUAL(reef_matcher_reactions(w->matcher, w->reactions), 0);
    w->flow.state = REEF_FLOW_ESTABLISHED;
    w->flow.id = 7;
    w->time_ns = SECOND_NS;
}

static void close_world(world *w)
{
    reef_match_free_flow(w->matcher, &w->flow);
    reef_matcher_free(w->matcher);
    reef_reactions_free(w->reactions);
    reef_rules_free(w->rules);
    reef_memory_free(w->memory);
}

/* Another connection from 10.0.0.`source`; the sids that alert, as bits. */
static unsigned connect_from(world *w, uint32_t source)
{
    static bytes frame_bytes;
    reef_packet packet;
    const reef_alert *alerts;
    uint32_t count;
    unsigned sids = 0;
    reef_match_free_flow(w->matcher, &w->flow);
    w->flow.id++;
    frame_bytes.length = 0;
    add_ethernet(&frame_bytes, 0x0800);
    add_ipv4(&frame_bytes, 17, source, 2, 11);
    add_udp(&frame_bytes, 1000, 2000, 3);
    add_bytes(&frame_bytes, "bad", 3);
    reef_frame frame = {.data = frame_bytes.data, .captured = frame_bytes.length, .length = frame_bytes.length,
                        .link = REEF_LINK_ETHERNET, .time_ns = w->time_ns};
    reef_decode(&frame, &packet);
    reef_scene scene = {.packet = &packet, .flow = &w->flow, .mark = w->mark};
    reef_match_begin(w->matcher, &scene);
    reef_match_packet(w->matcher);
    w->verdict = reef_match_finish(w->matcher, &alerts, &count);
    w->blocked = 0;
    for (uint32_t i = 0; i < count; i++) {
        sids |= 1u << alerts[i].rule->sid;
        w->blocked += alerts[i].action == REEF_VERDICT_DROP || alerts[i].action == REEF_VERDICT_REJECT;
    }
    return sids;
}

static const uint8_t of_profiles[] = {
    REEF_ALERT, REEF_ALERT, REEF_DROP,  /* 0: as the rules say */
    REEF_ALERT, REEF_OFF, REEF_ALERT,   /* 1: the second says nothing, the third stops nothing */
    REEF_REJECT, REEF_PASS, REEF_ALERT, /* 2: one that lets pass comes before one that rejects */
};

static void test_the_profile_of_the_connection_says_what_rules_do(void)
{
    world w;
    open_world(&w, 3, of_profiles);
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(w.blocked, 1);
    w.mark = 0x00400000 | 2; /* the policy's rule 2: profile 1; other bits do not matter */
    CHECK_EQUAL(connect_from(&w, 1), 1u << 1 | 1u << 3);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(w.blocked, 0);
    w.mark = 3;
    CHECK_EQUAL(connect_from(&w, 1), 0);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_PASS);
    w.mark = 99; /* a rule that nobody told of */
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_DROP);
    close_world(&w);
}

static void suppress(world *w, uint32_t rule, const reef_suppression *suppression, int expected)
{
    CHECK_EQUAL(reef_reactions_suppress(w->reactions, &rule, 1, suppression), expected);
}

static void test_suppressions_hold_for_their_addresses_until_their_end(void)
{
    world w;
    open_world(&w, 1, of_profiles);
    const reef_address_range five = {.version = 4, .first = {10, 0, 0, 5}, .last = {10, 0, 0, 6}};
    suppress(&w, 0, &(reef_suppression){.action = REEF_OFF, .client = &five, .clients = 1, .until_s = 100}, 0);
    suppress(&w, 2, &(reef_suppression){.action = REEF_ALERT, .either = &five, .eithers = 1}, 0);
    suppress(&w, 1, &(reef_suppression){.action = REEF_OFF, .server = &five, .servers = 1}, 0); /* never: the server is 2 */
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(connect_from(&w, 5), 0xc);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(connect_from(&w, 7), 0xe);
    w.time_ns = 100ull * SECOND_NS; /* the first one ends */
    CHECK_EQUAL(connect_from(&w, 6), 0xe);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_ALLOW);
    close_world(&w);
}

static void test_suppressions_of_a_profile_and_the_first_of_several(void)
{
    world w;
    open_world(&w, 2, of_profiles);
    const uint16_t one = 1;
    suppress(&w, 0, &(reef_suppression){.action = REEF_OFF, .profile = &one, .profiles = 1}, 0);
    suppress(&w, 2, &(reef_suppression){.action = REEF_ALERT}, 0);
    suppress(&w, 2, &(reef_suppression){.action = REEF_OFF}, 0);
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_ALLOW);
    w.mark = 2;
    CHECK_EQUAL(connect_from(&w, 1), 1u << 3);
    close_world(&w);
}

static void test_thresholds_keep_quiet_what_still_drops(void)
{
    world w;
    open_world(&w, 1, of_profiles);
    const uint32_t third = 2;
    const reef_reaction_threshold one_a_minute = {.kind = 0, .by = 0, .count = 1, .seconds = 60};
    CHECK_EQUAL(reef_reactions_threshold(w.reactions, 0, &third, 1, &one_a_minute), 0);
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    CHECK_EQUAL(connect_from(&w, 1), 0x6);
    CHECK_EQUAL(w.verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(connect_from(&w, 4), 0xe); /* another source */
    w.time_ns += 61ull * SECOND_NS;
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    close_world(&w);
}

static void test_thresholds_each_count_and_once(void)
{
    world w;
    open_world(&w, 1, of_profiles);
    const uint32_t first = 0, second = 1;
    CHECK_EQUAL(reef_reactions_threshold(w.reactions, 0, &first, 1, &(reef_reaction_threshold){.kind = 1, .by = 3, .count = 2, .seconds = 60}), 0);
    CHECK_EQUAL(reef_reactions_threshold(w.reactions, 0, &second, 1, &(reef_reaction_threshold){.kind = 2, .by = 1, .count = 3, .seconds = 60}), 0);
    const unsigned expected[] = {0x8, 0xa, 0xc, 0xa, 0x8, 0xa};
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQUAL(connect_from(&w, i + 1), expected[i]);
    close_world(&w);
}

static void test_what_is_wrong_is_refused(void)
{
    world w;
    reef_reactions *other;
    open_world(&w, 1, of_profiles);
    const uint8_t wrong[] = {REEF_ALERT, 77, REEF_DROP};
    const uint16_t profile = 1;
    const uint32_t rule = 3;
    const reef_address_range turned = {.version = 4, .first = {10, 0, 0, 6}, .last = {10, 0, 0, 5}}, none = {.version = 5};
    CHECK_EQUAL(reef_reactions_new(w.rules, 1, wrong, &other), REEF_INVALID);
    CHECK_EQUAL(reef_reactions_new(w.rules, 0, wrong, &other), REEF_INVALID);
    CHECK_EQUAL(reef_reactions_profile(w.reactions, &profile, 1), REEF_INVALID);
    CHECK_EQUAL(reef_reactions_suppress(w.reactions, &rule, 1, &(reef_suppression){.action = REEF_OFF}), REEF_INVALID);
    suppress(&w, 0, &(reef_suppression){.action = REEF_DROP}, REEF_INVALID);
    suppress(&w, 0, &(reef_suppression){.action = REEF_OFF, .client = &turned, .clients = 1}, REEF_INVALID);
    suppress(&w, 0, &(reef_suppression){.action = REEF_OFF, .either = &none, .eithers = 1}, REEF_INVALID);
    CHECK_EQUAL(connect_from(&w, 1), 0xe); /* as before */
    close_world(&w);
}

static void test_reactions_of_other_rules_are_refused_and_end_with_theirs(void)
{
    world w, x;
    open_world(&w, 1, (const uint8_t[]){REEF_OFF, REEF_OFF, REEF_OFF});
    open_world(&x, 1, of_profiles);
    CHECK_EQUAL(reef_matcher_reactions(w.matcher, x.reactions), REEF_INVALID);
    CHECK_EQUAL(connect_from(&w, 1), 0);
    CHECK_EQUAL(reef_matcher_rules(w.matcher, x.rules), 0);
    CHECK_EQUAL(connect_from(&w, 1), 0xe);
    close_world(&w);
    close_world(&x);
}

int main(void)
{
    test_the_profile_of_the_connection_says_what_rules_do();
    test_suppressions_hold_for_their_addresses_until_their_end();
    test_suppressions_of_a_profile_and_the_first_of_several();
    test_thresholds_keep_quiet_what_still_drops();
    test_thresholds_each_count_and_once();
    test_what_is_wrong_is_refused();
    test_reactions_of_other_rules_are_refused_and_end_with_theirs();
    return 0;
}
