/* TLS: real handshakes in one piece and in any pieces say the same; hostile ones are named. */
#include "conversation.h"
#include "handshakes.h"

#define SAY(c, direction, bytes) say(c, direction, bytes, sizeof(bytes))

static const char tls12_ja3[] = "771,49196-49200-159-52393-52392-52394-49195-49199-158-49188-49192-107-49187-49191-103-49162-"
                                "49172-57-49161-49171-51-157-156-61-60-53-47-255,0-11-10-35-16-22-23-13,29-23-30-25-24,0-1-2";

static void check_tls12(const conversation *c)
{
    const reef_transaction *t = session_of(c)->first;
    CHECK(t != NULL);
    CHECK_TEXT(session_of(c)->protocol->name, "tls");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_TLS_SNI, 0), "www.example.org");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_TLS_ALPN, 0), "h2");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_TLS_ALPN, 1), "http/1.1");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_TLS_ALPN, 2), "(none)");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_ALPN, 0), "http/1.1");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_JA3_STRING, 0), tls12_ja3);
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_JA3_HASH, 0), "22558766122974704364c9c75c5cce0a");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_JA3S_STRING, 0), "771,49196,65281-11-35-16-23");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_JA3S_HASH, 0), "e195432758194ce2d482396b82e0d48e");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_JA4_HASH, 0), "t12d2808h2_d943125447b4_e7e480e5a997");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_CERT_SUBJECT, 0), "C=DE, O=Reef Tests, CN=www.example.org");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_CERT_ISSUER, 0), "C=DE, O=Reef Tests, CN=www.example.org");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_CERT_SERIAL, 0), "0A:1B:2C:3D:4E");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_CERT_FINGERPRINT, 0),
               "fc:9e:ad:ad:26:30:5d:cc:f2:80:ce:4c:65:0b:6f:7a:3b:a4:ee:49");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_SUBJECTALTNAME, 0), "www.example.org");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_CLIENT, REEF_BUFFER_TLS_SUBJECTALTNAME, 2), "192.0.2.1");
    CHECK_TEXT(buffer_text(c, t, REEF_TO_SERVER, REEF_BUFFER_TLS_CERT_SUBJECT, 0), "(none)");
    uint64_t value;
    const reef_protocol *tls = session_of(c)->protocol;
    CHECK(tls->value(session_of(c), t, REEF_TO_CLIENT, REEF_VALUE_TLS_VERSION, 0, &value));
    CHECK_EQUAL(value, 0x0303);
    CHECK(tls->value(session_of(c), t, REEF_TO_CLIENT, REEF_VALUE_TLS_CERT_CHAIN_LEN, 0, &value));
    CHECK_EQUAL(value, 1);
    CHECK(tls->value(session_of(c), t, REEF_TO_CLIENT, REEF_VALUE_TLS_CERT_NOTBEFORE, 0, &value));
    CHECK_EQUAL(value, 1795321914); /* 2026-11-22 04:31:54 */
    CHECK_EQUAL(t->events, 0);
    CHECK(session_of(c)->flags & REEF_SESSION_NO_INSPECT);
    const char *text = written(c, t, REEF_LOG_WHOLE);
    CHECK(strstr(text, "\"notafter\":\"2126-10-29T04:31:54\"") != NULL);
    CHECK(strstr(text, "\"sni\":\"www.example.org\",\"version\":\"TLS 1.2\"") != NULL);
}

static void test_a_handshake_of_tls_1_2(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 8443);
    SAY(&c, REEF_TO_SERVER, tls12_0_client);
    CHECK_TEXT(buffer_text(&c, session_of(&c)->first, REEF_TO_SERVER, REEF_BUFFER_TLS_SNI, 0), "www.example.org");
    SAY(&c, REEF_TO_CLIENT, tls12_1_server);
    CHECK(!(session_of(&c)->flags & REEF_SESSION_NO_INSPECT));
    CHECK(reef_transaction_due(session_of(&c), session_of(&c)->first, REEF_LOG_WHOLE, false));
    SAY(&c, REEF_TO_SERVER, tls12_2_client);
    SAY(&c, REEF_TO_CLIENT, tls12_3_server);
    SAY(&c, REEF_TO_SERVER, tls12_4_client);
    SAY(&c, REEF_TO_CLIENT, tls12_5_server);
    check_tls12(&c);
    conversation_end(&c);
}

static void test_any_segmentation_says_the_same(void)
{
    for (uint32_t run = 0; run < 60; run++) {
        conversation c;
        uint32_t seed = run;
        size_t most = run < 3 ? 1 : 1 + run * 7;
        conversation_begin(&c, REEF_PROTO_TCP, 443);
        say_in_pieces(&c, REEF_TO_SERVER, tls12_0_client, sizeof tls12_0_client, most, &seed);
        say_in_pieces(&c, REEF_TO_CLIENT, tls12_1_server, sizeof tls12_1_server, most, &seed);
        say_in_pieces(&c, REEF_TO_SERVER, tls12_2_client, sizeof tls12_2_client, most, &seed);
        say_in_pieces(&c, REEF_TO_CLIENT, tls12_3_server, sizeof tls12_3_server, most, &seed);
        say_in_pieces(&c, REEF_TO_SERVER, tls12_4_client, sizeof tls12_4_client, most, &seed);
        say_in_pieces(&c, REEF_TO_CLIENT, tls12_5_server, sizeof tls12_5_server, most, &seed);
        check_tls12(&c);
        conversation_end(&c);
    }
}

/* The ClientHello cut into records of a few bytes each (RFC 8446 5.1). */
static void test_a_message_in_many_records(void)
{
    uint8_t cut[4096];
    size_t length = 0;
    const uint8_t *message = tls12_0_client + 5;
    for (size_t at = 0; at < sizeof tls12_0_client - 5; at += 15) {
        size_t n = sizeof tls12_0_client - 5 - at < 15 ? sizeof tls12_0_client - 5 - at : 15;
        memcpy(cut + length, (uint8_t[]){22, 3, 1, 0, (uint8_t)n}, 5);
        memcpy(cut + length + 5, message + at, n);
        length += 5 + n;
    }
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    say(&c, REEF_TO_SERVER, cut, length);
    CHECK_TEXT(buffer_text(&c, session_of(&c)->first, REEF_TO_SERVER, REEF_BUFFER_JA3_STRING, 0), tls12_ja3);
    conversation_end(&c);
}

static void test_a_handshake_of_tls_1_3(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    SAY(&c, REEF_TO_SERVER, tls13_0_client);
    SAY(&c, REEF_TO_CLIENT, tls13_1_server);
    SAY(&c, REEF_TO_SERVER, tls13_2_client);
    SAY(&c, REEF_TO_CLIENT, tls13_3_server);
    const reef_transaction *t = session_of(&c)->first;
    CHECK_TEXT(buffer_text(&c, t, REEF_TO_SERVER, REEF_BUFFER_JA3_HASH, 0), "a4e852ed87d60903caddb37da85ae9a9");
    CHECK_TEXT(buffer_text(&c, t, REEF_TO_CLIENT, REEF_BUFFER_JA3S_HASH, 0), "15af977ce25de452b96affa2addb1036");
    CHECK_TEXT(buffer_text(&c, t, REEF_TO_SERVER, REEF_BUFFER_JA4_HASH, 0), "t13d0412h2_16476d049b0b_7f28efdaea70");
    CHECK(strstr(written(&c, t, REEF_LOG_WHOLE), "\"version\":\"TLS 1.3\"") != NULL);
    CHECK(session_of(&c)->flags & REEF_SESSION_NO_INSPECT);
    CHECK(!(session_of(&c)->flags & REEF_SESSION_NO_PARSE));
    conversation_end(&c);
}

static void test_the_server_may_not_speak_first(void)
{
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    SAY(&c, REEF_TO_CLIENT, tls12_1_server);
    CHECK(session_of(&c)->flags & REEF_SESSION_FAILED);
    CHECK(has_session_event(session_of(&c), REEF_SESSION_EVENT_WRONG_DIRECTION));
    conversation_end(&c);
}

static void test_heartbleed_is_named(void)
{
    static const uint8_t request[] = {24, 3, 2, 0, 3, 1, 0x40, 0};
    conversation c;
    conversation_begin(&c, REEF_PROTO_TCP, 443);
    SAY(&c, REEF_TO_SERVER, tls12_0_client);
    SAY(&c, REEF_TO_SERVER, request);
    CHECK(has_event(session_of(&c), session_of(&c)->first, "overflow_heartbeat_message"));
    conversation_end(&c);
}

static void test_records_of_nonsense_are_named(void)
{
    static const uint8_t type[] = {25, 3, 3, 0, 4, 0, 0, 0, 0}, empty[] = {22, 3, 3, 0, 0}, huge[] = {22, 3, 3, 0xff, 0xff},
                         version[] = {22, 9, 9, 0, 4, 0, 0, 0, 0};
    static const struct { int direction; const uint8_t *bytes; size_t length; const char *event; } cases[] = {
        {REEF_TO_SERVER, type, sizeof type, "invalid_record_type"},
        {REEF_TO_SERVER, empty, sizeof empty, "invalid_record_length"},
        {REEF_TO_SERVER, huge, sizeof huge, "invalid_record_length"},
        {REEF_TO_CLIENT, version, sizeof version, "invalid_record_version"}, /* is not TLS at all, but follows the client's */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        conversation c;
        conversation_begin(&c, REEF_PROTO_TCP, 443);
        SAY(&c, REEF_TO_SERVER, tls12_0_client);
        say(&c, cases[i].direction, cases[i].bytes, cases[i].length);
        CHECK(has_event(session_of(&c), session_of(&c)->first, cases[i].event));
        CHECK(session_of(&c)->flags & REEF_SESSION_NO_PARSE);
        conversation_end(&c);
    }
}

/* Whatever byte of a handshake is spoilt, nothing is read outside of it (a sanitizer watches) and all memory comes back. */
static void test_spoilt_handshakes_end_well(void)
{
    for (size_t at = 0; at < sizeof tls12_1_server; at++) {
        uint8_t spoilt[sizeof tls12_1_server];
        memcpy(spoilt, tls12_1_server, sizeof spoilt);
        spoilt[at] ^= 0xff;
        conversation c;
        conversation_begin(&c, REEF_PROTO_TCP, 443);
        SAY(&c, REEF_TO_SERVER, tls12_0_client);
        say(&c, REEF_TO_CLIENT, spoilt, sizeof spoilt);
        if (session_of(&c)->protocol != NULL && session_of(&c)->first != NULL)
            (void)written(&c, session_of(&c)->first, REEF_LOG_ALERT);
        conversation_end(&c);
    }
}

int main(void)
{
    test_a_handshake_of_tls_1_2();
    test_any_segmentation_says_the_same();
    test_a_message_in_many_records();
    test_a_handshake_of_tls_1_3();
    test_the_server_may_not_speak_first();
    test_heartbleed_is_named();
    test_records_of_nonsense_are_named();
    test_spoilt_handshakes_end_well();
    return 0;
}
