/* Telnet: commands and lines are told apart, however they are cut. */
#include "check.h"
#include "dialogue.h"
#include "reef/pdu.h"

enum { C = REEF_TO_SERVER };

static void list(const conversation *c, char *out)
{
    for (const reef_pdu *p = c->call.session->pdus; p != NULL; p = p->next)
        if (p->kind != REEF_BUFFER_PDU_TELNET_PDU)
            out += sprintf(out, "%s %u+%u ", reef_pdu_type(p->kind), (unsigned)p->offset, (unsigned)p->length);
}

int main(void)
{
    static const char said[] = "\xff\xfb\x18\xff\xfa\x22\1\xff\xff\x0b\xff\xf0login\r\nls -a\xff\xf4$ ";
    for (size_t step = 1; step <= sizeof said; step++) {
        conversation c;
        char seen[256] = "";
        converse(&c, step == 1 ? "telnet" : NULL, REEF_PROTO_TCP, 23);
        c.call.pdus = true;
        for (size_t at = 0; at < sizeof said - 1; at += step)
            say_bytes(&c, C, said + at, sizeof said - 1 - at < step ? sizeof said - 1 - at : step, false);
        CHECK(c.call.session->protocol != NULL);
        CHECK_TEXT(c.call.session->protocol->name, "telnet");
        list(&c, seen);
        CHECK_TEXT(seen, "ctl 0+3 ctl 3+9 data 12+7 data 19+5 ctl 24+2 ");
        part(&c);
    }
    return 0;
}
