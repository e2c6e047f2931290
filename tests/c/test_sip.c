#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static const char invite[] = "INVITE sip:bob@example.org;x=1 SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nv: SIP/2.0/UDP b,\r\n  c\r\nFrom : <sip:ann@example.org>\r\n"
                             "l: 5\r\n\r\nv=0\r\n";
static const char invite_text[] = "\"method\":\"INVITE\",\"uri\":\"sip:bob@example.org;x=1\",\"version\":\"SIP/2.0\",\"request_line\":"
                                  "\"INVITE sip:bob@example.org;x=1 SIP/2.0\" complete\n";
static const char ok_text[] = "\"version\":\"SIP/2.0\",\"code\":\"200\",\"reason\":\"All is well\",\"response_line\":\"SIP/2.0 200 All is well\" complete\n";

static void datagrams(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_UDP, 5060);
    say(&c, C, invite);
    CHECK_TEXT(heard(&c), invite_text);
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SIP_VIA, 1), "SIP/2.0/UDP b,\r\n  c");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SIP_FROM, 0), "<sip:ann@example.org>");
    CHECK(buffer_of(&c, 0, S, REEF_BUFFER_SIP_METHOD, 0) == NULL && buffer_of(&c, 0, C, REEF_BUFFER_SIP_STAT_CODE, 0) == NULL);
    say(&c, S, "SIP/2.0 200 All is well\r\n\r\n");
    CHECK_TEXT(buffer_of(&c, 1, S, REEF_BUFFER_SIP_STAT_MSG, 0), "All is well");
    say(&c, S, "nonsense\r\n"), say(&c, S, "SIP/2.0 200 ok\r\nVia: x\r\n");
    CHECK(strstr(heard(&c), " invalid_data incomplete_data complete\n") != NULL);
    part(&c);
}

static void a_stream_is_cut_by_content_length(void)
{
    for (unsigned step = 1; step < 50; step += 7) {
        conversation c;
        char text[1000];
        int length = snprintf(text, sizeof text, "\r\n%sSIP/2.0 200 All is well\r\n\r\n", invite);
        converse(&c, "sip", REEF_PROTO_TCP, 5060);
        for (int at = 0; at < length; at += (int)step)
            say_bytes(&c, C, text + at, (size_t)(length - at < (int)step ? length - at : (int)step), false);
        char both[1000];
        (void)snprintf(both, sizeof both, "%s%s", invite_text, ok_text);
        CHECK_TEXT(heard(&c), both);
        part(&c);
    }
}

int main(void)
{
    datagrams();
    a_stream_is_cut_by_content_length();
    return 0;
}
