/* Kerberos on UDP and TCP. */
#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

#define SAY(c, direction, text) say_bytes(c, direction, text, sizeof(text) - 1, false)

#define ANN "\x30\x0e\xa0\3\2\1\1\xa1\7\x30\5\x1b\3" "ann"
#define KDC "\x30\x14\xa0\3\2\1\2\xa1\x0d\x30\x0b\x1b\6krbtgt\x1b\1R"
#define REQUEST \
    "\x6a\x3f\x30\x3d\xa1\3\2\1\5\xa2\3\2\1\x0a\xa4\x31\x30\x2f\xa1\x10" ANN "\xa2\3\x1b\1R\xa3\x16" KDC
#define REFUSAL "\x7e\x23\x30\x21\xa0\3\2\1\5\xa1\3\2\1\x1e\xa6\3\2\1\x19\xaa\x10" ANN

static void request_and_refusal(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 88);
    c.call.session->side[0].gone = false;
    SAY(&c, C, "\0\0\0\x41" REQUEST);
    CHECK(c.call.session->protocol != NULL);
    CHECK_TEXT(c.call.session->protocol->name, "krb5");
    SAY(&c, S, "\0\0");
    SAY(&c, S, "\0\x25" REFUSAL);
    CHECK_TEXT(heard(&c), "\"msg_type\":\"KRB_AS_REQ\",\"cname\":\"ann\",\"realm\":\"R\",\"sname\":\"krbtgt/R\",\"encryption\":\"<none>\","
                          "\"weak_encryption\":false complete\n"
                          "\"msg_type\":\"KRB_ERROR\",\"failed_request\":\"KRB_AS_REQ\",\"error_code\":\"KDC_ERR_PREAUTH_REQUIRED\","
                          "\"cname\":\"<empty>\",\"realm\":\"<empty>\",\"sname\":\"ann\",\"encryption\":\"<none>\",\"weak_encryption\":false "
                          "complete\n");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_KRB5_SNAME, 1), "R");
    uint64_t value;
    const reef_session *session = c.call.session;
    CHECK(session->protocol->value(session, session->first, C, REEF_VALUE_KRB5_MSG_TYPE, 0, &value) && value == 10);
    CHECK(session->protocol->value(session, session->last, S, REEF_VALUE_KRB5_ERR_CODE, 0, &value) && value == 25);
    part(&c);
}

int main(void)
{
    request_and_refusal();
    return 0;
}
