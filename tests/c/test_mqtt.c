/* MQTT: messages and what answers them. */
#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

#define SAY(c, direction, text) say_bytes(c, direction, text, sizeof(text) - 1, false)

static uint64_t value_of(conversation *c, unsigned number, unsigned kind, unsigned index)
{
    const reef_transaction *t = c->call.session->first;
    uint64_t value;
    while (number-- > 0)
        t = t->next;
    return c->call.session->protocol->value(c->call.session, t, C, kind, index, &value) ? value : UINT64_MAX;
}

static void a_connection_of_version_5(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 1883);
    SAY(&c, C, "\x10\x1b\0\4MQTT\5\xc2\0\x3c\0\0\2id\0\4user\0\4");
    SAY(&c, C, "pa"); /* in pieces */
    SAY(&c, C, "ss");
    CHECK_TEXT(c.call.session->protocol->name, "mqtt");
    SAY(&c, S, "\x20\3\1\0\0");
    SAY(&c, C, "\x82\x0b\0\2\0\0\5topic\1\x32\x11\0\5topic\0\3\x02\1\1paylo");
    SAY(&c, S, "\x90\4\0\2\0\x80\x40\2\0\3");
    SAY(&c, C, "\xe0\0");
    CHECK_TEXT(heard(&c),
               "\"connect\":{\"qos\":0,\"retain\":false,\"dup\":false,\"protocol_string\":\"MQTT\",\"protocol_version\":5,\"client_id\":\"id\","
               "\"flags\":{\"username\":true,\"password\":true,\"will_retain\":false,\"will\":false,\"clean_session\":true},"
               "\"username\":\"user\"},\"connack\":{\"qos\":0,\"retain\":false,\"dup\":false,\"session_present\":true,\"return_code\":0} "
               "complete\n"
               "\"subscribe\":{\"qos\":1,\"retain\":false,\"dup\":false,\"message_id\":2,\"topics\":[{\"topic\":\"topic\",\"qos\":1}]},"
               "\"suback\":{\"qos\":0,\"retain\":false,\"dup\":false,\"message_id\":2,\"qos_granted\":[128]} complete\n"
               "\"publish\":{\"qos\":1,\"retain\":false,\"dup\":false,\"topic\":\"topic\",\"message_id\":3,\"properties\":"
               "{\"payload_format_indicator\":1}},\"puback\":{\"qos\":0,\"retain\":false,\"dup\":false,\"message_id\":3,\"reason_code\":0} "
               "complete\n"
               "\"disconnect\":{\"qos\":0,\"retain\":false,\"dup\":false,\"reason_code\":0} complete\n");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_MQTT_CONNECT_PASSWORD, 0), "pass");
    CHECK_TEXT(buffer_of(&c, 1, C, REEF_BUFFER_MQTT_SUBSCRIBE_TOPIC, 0), "topic");
    CHECK(buffer_of(&c, 1, C, REEF_BUFFER_MQTT_SUBSCRIBE_TOPIC, 1) == NULL);
    CHECK_TEXT(buffer_of(&c, 2, C, REEF_BUFFER_MQTT_PUBLISH_MESSAGE, 0), "paylo");
    CHECK(buffer_of(&c, 2, S, REEF_BUFFER_MQTT_PUBLISH_MESSAGE, 0) == NULL);
    CHECK_EQUAL(value_of(&c, 0, REEF_VALUE_MQTT_TYPE, 1), 2);
    CHECK_EQUAL(value_of(&c, 1, REEF_VALUE_MQTT_REASON_CODE, 0), 128);
    CHECK_EQUAL(value_of(&c, 0, REEF_VALUE_MQTT_CONNECT_FLAGS, 0), 0xc2);
    CHECK_EQUAL(value_of(&c, 3, REEF_VALUE_MQTT_PROTOCOL_VERSION, 0), 5);
    part(&c);
}

static void what_does_not_belong(void)
{
    static const struct { int direction; const char *bytes; size_t n; const char *events; } cases[] = {
        {S, "\x20\2\0\0", 4, " missing_connect"},
        {C, "\x40\2\0\7", 4, " missing_publish unintroduced_message"},
        {S, "\x90\3\0\7\0", 5, " missing_subscribe unintroduced_message"},
        {S, "\xb0\2\0\7", 4, " missing_unsubscribe unintroduced_message"},
        {C, "\x36\6\0\1t\0\1x", 8, " unintroduced_message invalid_qos_level"},
        {C, "\0\0", 2, " unassigned_msg_type"},
        {C, "\x30\3\0\x09t", 5, " malformed_traffic"},
        {C, "\x30\xff\xff\xff\xff\1", 6, " malformed_traffic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        conversation c;
        converse(&c, "mqtt", REEF_PROTO_TCP, 1883);
        say_bytes(&c, cases[i].direction, cases[i].bytes, cases[i].n, false);
        CHECK_EQUAL(c.call.session->transactions, 1);
        const char *text = heard(&c);
        char events[128];
        strcpy(events, cases[i].events);
        for (char *word = strtok(events, " "); word != NULL; word = strtok(NULL, " "))
            CHECK(strstr(text, word) != NULL);
        part(&c);
    }
}

/* A message over the limit is passed over; what follows is read. */
static void long_messages_are_skipped(void)
{
    conversation c;
    static char zero[4096];
    converse(&c, "mqtt", REEF_PROTO_TCP, 1883);
    SAY(&c, C, "\x30\x81\x80\x40"); /* 1 MiB and 1 */
    for (unsigned i = 0; i < (1u << 20) / sizeof zero; i++)
        say_bytes(&c, C, zero, sizeof zero, false);
    SAY(&c, C, "\0\xc0\0");
    CHECK_EQUAL(c.call.session->transactions, 2);
    CHECK(strstr(heard(&c), "\"truncated\":true,\"skipped_length\":1048577") != NULL);
    CHECK(strstr(c.text, "\"pingreq\"") != NULL);
    part(&c);
}

int main(void)
{
    a_connection_of_version_5();
    what_does_not_belong();
    long_messages_are_skipped();
    return 0;
}
