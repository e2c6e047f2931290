/* shed: what is left out while there is more to look into than time, in the order of a profile; and how deep profiles look. */
#include "check.h"
#include "image.h"
#include "packets.h"
#include "reef/judge.h"
#include "reef/limits.h"
#include "reef/reactions.h"
#include "reef/status.h"

#define SECOND 1000000000ull
enum { CLOSED = 0x80000001, OPEN = 0x40000002, PLAIN = 0x40000003, SERVER_PORT = 9 };

typedef struct world {
    reef_config *config;
    reef_worker *worker;
    reef_rules *rules;
    reef_reactions *reactions;
    uint64_t now;
} world;

/* Rule 1 of the policy is fail-closed with profile 1, rule 2 fail-open with profile 2; of rule 3 nothing is said. */
static world open_world(const reef_limits *limits)
{
    world w = {.now = SECOND};
    image *made = image_new();
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | REEF_RULE_PAYLOAD_STREAM)->action = REEF_DROP;
    image_block(made, REEF_BUFFER_PAYLOAD);
    image_content(made, "evil intent", 11, 0);
    w.rules = image_rules(made);
    reef_options o;
    reef_options_default(&o);
    o.flows = 1024, o.memory = 1 << 22, o.events = 1024, o.text_bytes = 1 << 18;
    o.seed[0] = 1, o.seed[1] = 2;
    o.checksums = false;
    o.tcp.inline_ = o.tcp.midstream = o.match.act = true;
    o.tcp.depth = 0;
    o.rules = w.rules;
    CHECK_EQUAL(reef_config_new(&o, &w.config), REEF_OK);
    CHECK_EQUAL(reef_worker_new(w.config, &w.worker), REEF_OK);
    static const uint8_t actions[] = {REEF_DROP, REEF_DROP, REEF_DROP};
    static const uint16_t profile_of[] = {0, 1, 2, 0};
    CHECK_EQUAL(reef_reactions_new(w.rules, 3, actions, &w.reactions), REEF_OK);
    CHECK_EQUAL(reef_reactions_profile(w.reactions, profile_of, 4), REEF_OK);
    for (unsigned profile = 1; profile < 3; profile++)
        CHECK_EQUAL(reef_reactions_limits(w.reactions, profile, limits), REEF_OK);
    CHECK_EQUAL(reef_reactions_limits(w.reactions, 3, limits), REEF_INVALID);
    CHECK_EQUAL(reef_worker_reactions(w.worker, w.reactions), REEF_OK);
    return w;
}

static void close_world(world *w)
{
    reef_worker_free(w->worker);
    reef_config_free(w->config);
    reef_reactions_free(w->reactions);
    reef_rules_free(w->rules);
}

static reef_judgement judge(world *w, const bytes *b, uint32_t mark)
{
    reef_judgement judgement;
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, w->now += 1000);
    frame.mark = mark;
    reef_worker_judge(w->worker, &frame, 1, &judgement);
    return judgement;
}

/* A datagram of the client's, or with `back` of the server's. */
static reef_judgement datagram(world *w, uint32_t mark, unsigned port, bool back, const char *text, size_t length)
{
    bytes b;
    if (back)
        udp_frame(&b, 2, SERVER_PORT, 1, port, text, length);
    else
        udp_frame(&b, 1, port, 2, SERVER_PORT, text, length);
    return judge(w, &b, mark);
}

static reef_judgement say(world *w, uint32_t mark, unsigned port, const char *text)
{
    return datagram(w, mark, port, false, text, strlen(text));
}

static uint64_t shed(const world *w)
{
    reef_counters counters;
    reef_worker_count(w->worker, &counters);
    return counters.shed;
}

static void carry_much(world *w, uint32_t mark, unsigned port)
{
    static const char zeros[1400];
    for (unsigned sent = 0; sent < REEF_SHED_TRANSFER; sent += sizeof zeros)
        datagram(w, mark, port, false, zeros, sizeof zeros);
}

static void check_passed(reef_judgement judgement)
{
    CHECK_EQUAL(judgement.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(judgement.flags, 0);
}

static void test_nothing_is_left_out_without_pressure(void)
{
    world w = open_world(&(reef_limits){.shed_at = {1, 1, 1, 1, 1}});
    check_passed(say(&w, CLOSED, 1, "hello"));
    check_passed(say(&w, OPEN, 2, "hello"));
    CHECK_EQUAL(say(&w, OPEN, 2, "evil intent").verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(shed(&w), 0);
    close_world(&w);
}

/* What is left out goes on where the rule says so, and is dropped where it says that; nothing evil comes through the latter. */
static void test_what_is_left_out_is_handed_back_or_dropped_as_the_rule_says(void)
{
    world w = open_world(&(reef_limits){.shed_at = {[REEF_SHED_NEW] = 1}});
    reef_worker_pressure(w.worker, 1);
    CHECK_EQUAL(say(&w, CLOSED, 1, "hello").verdict, REEF_VERDICT_DROP);
    reef_judgement judgement = say(&w, OPEN, 2, "hello");
    CHECK_EQUAL(judgement.verdict, REEF_VERDICT_ALLOW);
    CHECK_EQUAL(judgement.flags, REEF_JUDGED_DONE);
    check_passed(say(&w, PLAIN, 3, "hello")); /* of its profile nothing is said */
    CHECK_EQUAL(say(&w, PLAIN, 3, "evil intent").verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(shed(&w), 2);
    close_world(&w);
}

static void test_the_pressure_is_over(void)
{
    world w = open_world(&(reef_limits){.shed_at = {[REEF_SHED_NEW] = 1}});
    reef_worker_pressure(w.worker, 9);
    CHECK_EQUAL(say(&w, CLOSED, 1, "hello").verdict, REEF_VERDICT_DROP);
    reef_worker_pressure(w.worker, 0);
    check_passed(say(&w, CLOSED, 1, "hello"));
    CHECK_EQUAL(say(&w, CLOSED, 1, "evil intent").verdict, REEF_VERDICT_DROP);
    close_world(&w);
}

static void test_the_order_is_the_profiles(void)
{
    world w = open_world(&(reef_limits){.shed_at = {[REEF_SHED_TRANSFERS] = 2, [REEF_SHED_ESTABLISHED] = 3}});
    carry_much(&w, CLOSED, 1);
    check_passed(datagram(&w, CLOSED, 2, false, "hello", 5));
    check_passed(datagram(&w, CLOSED, 2, true, "hello", 5));
    static const reef_verdict much[] = {REEF_VERDICT_ALLOW, REEF_VERDICT_DROP, REEF_VERDICT_DROP};
    static const reef_verdict answered[] = {REEF_VERDICT_ALLOW, REEF_VERDICT_ALLOW, REEF_VERDICT_DROP};
    for (unsigned pressure = 1; pressure <= 3; pressure++) {
        reef_worker_pressure(w.worker, pressure);
        CHECK_EQUAL(say(&w, CLOSED, 1, "more").verdict, much[pressure - 1]);
        CHECK_EQUAL(say(&w, CLOSED, 2, "more").verdict, answered[pressure - 1]);
        check_passed(say(&w, CLOSED, 100 + pressure, "somebody new"));
    }
    close_world(&w);
}

/* A connection in which something was found is looked at as long as others can be left out. */
static void test_one_with_a_find_is_not_among_the_established(void)
{
    world w = open_world(&(reef_limits){.shed_at = {[REEF_SHED_ESTABLISHED] = 1}});
    datagram(&w, OPEN, 1, false, "hello", 5);
    CHECK_EQUAL(say(&w, OPEN, 1, "evil intent").verdict, REEF_VERDICT_DROP);
    datagram(&w, OPEN, 1, true, "hello", 5);
    reef_worker_pressure(w.worker, 5);
    CHECK_EQUAL(say(&w, OPEN, 1, "evil intent").verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(shed(&w), 0);
    close_world(&w);
}

/* The kernel knows a tunnel by its envelope: what is in it is looked at. */
static void test_what_comes_in_a_tunnel_is_not_left_out(void)
{
    world w = open_world(&(reef_limits){.shed_at = {[REEF_SHED_NEW] = 1}});
    reef_worker_pressure(w.worker, 5);
    bytes b = {.length = 0};
    add_ethernet(&b, 0x0800);
    add_ipv4(&b, REEF_PROTO_IPIP, 1, 2, 28 + 11);
    add_ipv4(&b, REEF_PROTO_UDP, 3, 4, 8 + 11);
    add_udp(&b, 7, 9, 11);
    add_text(&b, "evil intent");
    CHECK_EQUAL(judge(&w, &b, OPEN).verdict, REEF_VERDICT_DROP);
    CHECK_EQUAL(shed(&w), 0);
    close_world(&w);
}

static unsigned packets_until_handed_back(const reef_limits *limits, unsigned most)
{
    static const char zeros[1000];
    world w = open_world(limits);
    unsigned count = 0;
    while (count++ < most && !(datagram(&w, OPEN, 1, false, zeros, sizeof zeros).flags & REEF_JUDGED_DONE))
        ;
    close_world(&w);
    return count;
}

static void test_a_profile_says_how_deep_is_looked(void)
{
    CHECK_EQUAL(packets_until_handed_back(&(reef_limits){.depth = 10500}, 4000), 10 + 1);
    CHECK(packets_until_handed_back(&(reef_limits){.depth = 2 << 20}, 4000) > 2000);
    CHECK_EQUAL(packets_until_handed_back(&(reef_limits){.depth = 0}, 4000), 4001);
}

int main(void)
{
    test_nothing_is_left_out_without_pressure();
    test_what_is_left_out_is_handed_back_or_dropped_as_the_rule_says();
    test_the_pressure_is_over();
    test_the_order_is_the_profiles();
    test_one_with_a_find_is_not_among_the_established();
    test_what_comes_in_a_tunnel_is_not_left_out();
    test_a_profile_says_how_deep_is_looked();
    return 0;
}
