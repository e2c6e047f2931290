/* Which protocol it is, when, and what becomes of transactions. */
#include "conversation.h"
#include "handshakes.h"

static const uint8_t question[] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 4, 'r', 'e', 'e', 'f', 0, 0, 1, 0, 1};

static void test_a_datagram_of_dns_is_a_transaction_until_it_was_told_and_logged(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_UDP, 53);
    say(&c, REEF_TO_SERVER, question, sizeof question);
    reef_transaction *t = c.flow.session->first;
    CHECK_TEXT(session_of(&c)->protocol->name, "dns");
    CHECK_TEXT(buffer_text(&c, t, REEF_TO_SERVER, REEF_BUFFER_DNS_QUERY, 0), "www.reef");
    CHECK(reef_transaction_due(session_of(&c), t, REEF_LOG_TO_SERVER, false));
    reef_call call = conversation_call(&c);
    reef_session_reap(&call, false);
    CHECK_EQUAL(session_of(&c)->open, 1);
    t->told[0] = t->told[1] = true;
    reef_session_reap(&call, false);
    CHECK_EQUAL(session_of(&c)->open, 1); /* not written down yet */
    t->logged = 1 << REEF_LOG_TO_SERVER | 1 << REEF_LOG_TO_CLIENT;
    reef_session_reap(&call, false);
    CHECK_EQUAL(session_of(&c)->open, 0);
    conversation_end(&c);
}

static void test_an_answer_that_comes_first_turns_the_flow(void)
{
    uint8_t answer[sizeof question];
    memcpy(answer, question, sizeof answer);
    answer[2] |= 0x80;
    conversation c;
    conversation_begin(&c, REEF_PROTO_UDP, 53);
    c.may_turn = true;
    say(&c, REEF_TO_SERVER, answer, sizeof answer);
    CHECK(c.turned);
    CHECK_TEXT(buffer_text(&c, session_of(&c)->first, REEF_TO_CLIENT, REEF_BUFFER_DNS_QUERY_NAME, 0), "www.reef");
    conversation_end(&c);
}

static void test_first_bytes_are_held_until_they_tell(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 2222);
    say(&c, REEF_TO_CLIENT, "SS", 2);
    CHECK(session_of(&c)->protocol == NULL);
    say(&c, REEF_TO_CLIENT, "H-2.0-OpenSSH_9.6 x\r\n", 21);
    CHECK_TEXT(session_of(&c)->protocol->name, "ssh");
    CHECK_TEXT(buffer_text(&c, session_of(&c)->first, REEF_TO_CLIENT, REEF_BUFFER_SSH_SOFTWARE, 0), "OpenSSH_9.6");
    conversation_end(&c);
}

static void test_a_side_that_nobody_knows_follows_the_other_one(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    say(&c, REEF_TO_SERVER, tls12_0_client, sizeof tls12_0_client);
    conversation_chunk(&c, REEF_TO_CLIENT, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 8, 0, false);
    CHECK(has_session_event(session_of(&c), REEF_SESSION_EVENT_ONE_DIRECTION));
    CHECK_TEXT(session_of(&c)->protocol->name, "tls");
    conversation_end(&c);
}

static void test_two_unknown_sides_are_given_up(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 9999);
    say(&c, REEF_TO_SERVER, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 8);
    CHECK(!(session_of(&c)->flags & REEF_SESSION_FAILED));
    say(&c, REEF_TO_CLIENT, "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 8);
    CHECK(session_of(&c)->flags & REEF_SESSION_FAILED);
    CHECK(session_of(&c)->side[0].data == NULL);
    conversation_end(&c);
}

static void test_a_gap_in_front_ends_what_cannot_be_known(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    conversation_chunk(&c, REEF_TO_SERVER, tls12_0_client, sizeof tls12_0_client, 10, false);
    CHECK(session_of(&c)->flags & REEF_SESSION_FAILED);
    conversation_end(&c);
}

static void test_an_announced_flow_is_met_once(void)
{
    static const uint8_t address[4] = {10, 0, 0, 2};
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 5000);
    reef_call call = conversation_call(&c);
    reef_session_expect(&call, reef_protocol_by_name("ssh"), 4, address, 5000, NULL, 0);
    CHECK_EQUAL(reef_expectations_count(c.expectations), 1);
    reef_expectations_meet(&call);
    CHECK_TEXT(session_of(&c)->protocol->name, "ssh");
    CHECK_EQUAL(reef_expectations_count(c.expectations), 0);
    conversation_end(&c);
}

static void test_names_of_rules_find_protocols(void)
{
    CHECK(reef_protocol_by_name("ssl") == reef_protocol_by_name("tls"));
    CHECK(reef_protocol_by_name("nothing") == NULL);
    CHECK_EQUAL(reef_session_event("applayer_unexpected_protocol"), REEF_SESSION_EVENT_UNEXPECTED);
    for (unsigned i = 1; i <= reef_protocols_count(); i++)
        CHECK_EQUAL(reef_protocol_number(reef_protocol_by_number(i)), i);
}

int main(void)
{
    test_a_datagram_of_dns_is_a_transaction_until_it_was_told_and_logged();
    test_an_answer_that_comes_first_turns_the_flow();
    test_first_bytes_are_held_until_they_tell();
    test_a_side_that_nobody_knows_follows_the_other_one();
    test_two_unknown_sides_are_given_up();
    test_a_gap_in_front_ends_what_cannot_be_known();
    test_an_announced_flow_is_met_once();
    test_names_of_rules_find_protocols();
    return 0;
}
