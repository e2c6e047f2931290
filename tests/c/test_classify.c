#include "check.h"
#include "reef/classify.h"
#include "reef/flowlog.h"
#include "reef/status.h"

#define EVERY_4 4, 0, 0, 0, 0xffffffff
#define TEN 4, 0, 0x0a000000, 0, 0x0affffff

/* Zones gateway and 1 (10.0.0.0/8, anti-spoofing), a schedule that is on from second 600 to 1200, a live set of 10.0.0.7. */
#define FRAME(rules)                                                                            \
    1, rules, 0, 2, 1, 0, 0, 1, 1, 1, TEN, 1, 1, 600, 1200, 1, 1, 4, 0, 0x0a000007, 0, 0x0a000007, 1, EVERY_4, 1
/* tcp/443 from zone 1 to the gateway; `head` is flags, schedule, expiry and identity. */
#define RULE(sources, lives, ...)                                                               \
    __VA_ARGS__, 0, 0, 0, 0, 1, 1, 1, 0, sources, 1, EVERY_4, 1, 0, 443, 443, 0, lives, 0, 0
#define SOME_SOURCES 1, TEN
#define NO_SOURCES 0
#define NO_LIVES 0
#define ONE_LIVE 1, 0

static const uint8_t HOST[16] = {10, 0, 0, 7}, OTHER[16] = {10, 0, 0, 8}, STRANGER[16] = {192, 0, 2, 1};

static reef_policy *policy_of(const uint64_t *words, size_t count)
{
    reef_policy *policy;
    CHECK_EQUAL(reef_policy_new(words, count, &policy), REEF_OK);
    return policy;
}

static reef_question question(const reef_policy *policy, const uint8_t *source, uint32_t minute)
{
    reef_question asked = {.from = 1, .to = 0, .port = 443, .version = 4, .protocol = 6, .minute = minute};
    asked.source = reef_policy_place(policy, 4, source);
    asked.destination = reef_policy_place(policy, 4, STRANGER);
    return asked;
}

static int decided(reef_policy *policy, const reef_question *asked)
{
    reef_answer answer;
    CHECK_EQUAL(reef_policy_decide(policy, asked, &answer), REEF_OK);
    return answer.rule;
}

static void the_first_rule_that_holds_decides(void)
{
    static const uint64_t words[] = {FRAME(3), RULE(SOME_SOURCES, NO_LIVES, REEF_ALLOWED << 8, 1, 0, 0),
                                     RULE(NO_SOURCES, ONE_LIVE, REEF_DENIED << 8, 0, 1800, 1),
                                     RULE(SOME_SOURCES, NO_LIVES, REEF_REJECTED << 8, 0, 0, 2)};
    reef_policy *policy = policy_of(words, sizeof words / sizeof *words);
    reef_question asked = question(policy, HOST, 15);
    CHECK_EQUAL(decided(policy, &asked), 0); /* the schedule is on */
    asked = question(policy, HOST, 25);
    CHECK_EQUAL(decided(policy, &asked), 1); /* off; the live set holds the host */
    asked = question(policy, HOST, 30);
    CHECK_EQUAL(decided(policy, &asked), 2); /* expired */
    asked = question(policy, OTHER, 25);
    CHECK_EQUAL(decided(policy, &asked), 2);
    asked.was_source = 1; /* it was in the live set when it was logged */
    CHECK_EQUAL(decided(policy, &asked), 1);
    asked = question(policy, STRANGER, 15);
    CHECK_EQUAL(decided(policy, &asked), REEF_BY_DEFAULT);
    asked = question(policy, HOST, 15);
    asked.port = 80;
    CHECK_EQUAL(decided(policy, &asked), REEF_BY_DEFAULT);
    asked.to = REEF_NO_ZONE;
    CHECK_EQUAL(decided(policy, &asked), REEF_BY_DEFAULT);
    reef_policy_evidence(policy, 1, &asked);
    CHECK_EQUAL(asked.was_source, 1);
    reef_policy_free(policy);
}

static void a_source_outside_of_its_zone_is_spoofed(void)
{
    static const uint64_t words[] = {FRAME(0)};
    reef_policy *policy = policy_of(words, sizeof words / sizeof *words);
    reef_question asked = question(policy, STRANGER, 0);
    CHECK(reef_policy_spoofed(policy, 1, &asked, STRANGER, false));
    CHECK(!reef_policy_spoofed(policy, 0, &asked, STRANGER, false)); /* the gateway itself */
    asked = question(policy, HOST, 0);
    CHECK(!reef_policy_spoofed(policy, 1, &asked, HOST, false));
    CHECK(reef_policy_spoofed(policy, 1, &asked, HOST, true));
    CHECK_EQUAL(reef_policy_route(policy, asked.source), 1);
    reef_policy_free(policy);
}

static void policies_are_compared_by_pair(void)
{
    static const uint64_t one[] = {FRAME(1), RULE(SOME_SOURCES, NO_LIVES, REEF_ALLOWED << 8, 0, 0, 0)};
    static const uint64_t two[] = {FRAME(1), RULE(SOME_SOURCES, NO_LIVES, REEF_DENIED << 8, 0, 0, 0)};
    reef_policy *a = policy_of(one, sizeof one / sizeof *one), *b = policy_of(two, sizeof two / sizeof *two);
    CHECK(reef_policy_same_frame(a, b));
    reef_differing found;
    reef_policy_differ(a, a, 1, 0, &found);
    CHECK(found.same);
    reef_policy_differ(a, b, 1, 0, &found);
    CHECK(!found.same);
    CHECK(reef_policy_speaks(b, found.first[1], found.end[1], 1, 0, 6, 443));
    CHECK(!reef_policy_speaks(b, found.first[1], found.end[1], 1, 0, 6, 80));
    CHECK(!reef_policy_speaks(b, found.first[1], found.end[1], 0, 1, 6, 443));
    reef_policy_differ(a, b, 0, 1, &found); /* no rule speaks of it */
    CHECK(found.same);
    reef_policy_free(a);
    reef_policy_free(b);
}

static void words_that_are_no_policy_are_refused(void)
{
    static const uint64_t words[] = {FRAME(1), RULE(SOME_SOURCES, ONE_LIVE, REEF_ALLOWED << 8, 1, 0, 0)};
    size_t count = sizeof words / sizeof *words;
    reef_policy *policy;
    for (size_t cut = 0; cut < count; cut++)
        CHECK_EQUAL(reef_policy_new(words, cut, &policy), REEF_FORMAT);
    uint64_t wrong[sizeof words / sizeof *words + 1] = {0};
    memcpy(wrong, words, sizeof words);
    CHECK_EQUAL(reef_policy_new(wrong, count + 1, &policy), REEF_FORMAT); /* something behind it */
    wrong[0] = 2;
    CHECK_EQUAL(reef_policy_new(wrong, count, &policy), REEF_FORMAT);
}

static void sizes_keep_six_bits(void)
{
    for (unsigned bit = 0; bit < 64; bit++)
        for (int more = -1; more <= 1; more++) {
            uint64_t size = ((uint64_t)1 << bit) + (uint64_t)more, kept = reef_flow_size_of(reef_flow_size_code(size));
            CHECK(kept <= size && size - kept <= size / 32);
        }
}

int main(void)
{
    the_first_rule_that_holds_decides();
    a_source_outside_of_its_zone_is_spoofed();
    policies_are_compared_by_pair();
    words_that_are_no_policy_are_refused();
    sizes_keep_six_bits();
    return 0;
}
