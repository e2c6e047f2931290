/* SNMP of all three versions. */
#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

#define SAY(c, direction, text) say_bytes(c, direction, text, sizeof(text) - 1, false)

#define VARIABLES "\x30\x0e\x30\x0c\6\x08\x2b\6\1\2\1\1\5\0\5\0"
#define GET "\xa0\x19\2\1\1\2\1\0\2\1\0" VARIABLES

static void versions(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_UDP, 161);
    SAY(&c, C, "\x30\x26\2\1\1\4\6public" GET);
    CHECK_TEXT(c.call.session->protocol->name, "snmp");
    SAY(&c, S, "\x30\x2f\2\1\0\4\6public\xa4\x22\6\1\x2b\x40\4\1\2\3\4\2\1\6\2\1\1\x43\1\1" VARIABLES);
    CHECK_TEXT(heard(&c), "\"version\":2,\"pdu_type\":\"get_request\",\"vars\":[\"1.3.6.1.2.1.1.5.0\"],\"community\":\"public\" complete\n"
                          "\"version\":1,\"pdu_type\":\"trap_v1\",\"trap_type\":\"EnterpriseSpecific\",\"trap_oid\":\"1.3\",\"trap_address\":"
                          "\"1.2.3.4\",\"vars\":[\"1.3.6.1.2.1.1.5.0\"],\"community\":\"public\" version_mismatch complete\n");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SNMP_COMMUNITY, 0), "public");
    CHECK(buffer_of(&c, 0, S, REEF_BUFFER_SNMP_COMMUNITY, 0) == NULL);
    part(&c);
    converse(&c, "snmp", REEF_PROTO_UDP, 161);
    SAY(&c, C, "\x30\x2a\2\1\3\x30\x0c\2\1\1\2\1\5\4\1\3\2\1\3\4\x12\x30\x10\4\1\x65\2\1\1\2\1\1\4\5\x61\x64min\4\3\xab\xcd\xef");
    CHECK_TEXT(heard(&c), "\"version\":3,\"pdu_type\":\"encrypted\" complete\n");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SNMP_USM, 0), "admin");
    part(&c);
}

static void every_prefix(void)
{
    static const char message[] = "\x30\x26\2\1\1\4\6public" GET;
    for (size_t n = 0; n < sizeof message - 1; n++) {
        conversation c;
        converse(&c, "snmp", REEF_PROTO_UDP, 161);
        say_bytes(&c, C, message, n, false);
        CHECK_EQUAL(c.call.session->transactions, 0); /* the outermost length says that bytes are missing */
        part(&c);
    }
}

int main(void)
{
    versions();
    every_prefix();
    return 0;
}
