#include "check.h"
#include "dialogue.h"
#include "reef/pdu.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static const reef_pdu *nth(const conversation *c, unsigned n)
{
    const reef_pdu *pdu = c->call.session->pdus;
    while (pdu != NULL && n-- > 0)
        pdu = pdu->next;
    return pdu;
}

static void check(const conversation *c, unsigned n, const char *type, const char *text)
{
    const reef_pdu *pdu = nth(c, n);
    CHECK(pdu != NULL && pdu->ready);
    CHECK_TEXT(reef_pdu_type(pdu->kind), type);
    CHECK(pdu->held == strlen(text) && memcmp(pdu->data, text, pdu->held) == 0);
}

static void parts_of_a_datagram(void)
{
    conversation c;
    converse(&c, "sip", REEF_PROTO_UDP, 5060);
    c.call.pdus = true;
    say(&c, C, "INVITE sip:a SIP/2.0\r\nVia: x\r\n\r\nbody");
    check(&c, 0, "pdu", "INVITE sip:a SIP/2.0\r\nVia: x\r\n\r\nbody");
    check(&c, 1, "request.line", "INVITE sip:a SIP/2.0\r\n");
    check(&c, 2, "request.headers", "Via: x\r\n");
    check(&c, 3, "request.body", "body");
    CHECK(nth(&c, 4) == NULL);
    c.call.session->pdus->told = true;
    reef_pdus_reap(c.memory, c.call.session);
    check(&c, 0, "request.line", "INVITE sip:a SIP/2.0\r\n");
    c.call.pdus = false;
    say(&c, S, "SIP/2.0 200 OK\r\n\r\n"); /* no rule asks: nothing is kept */
    CHECK(nth(&c, 3) == NULL);
    part(&c);
}

static void records_of_a_stream_however_it_is_cut(void)
{
    static const char stream[] = "\x17\3\3\0\5hello\x17\3\3\0\3yes\x17\3\3\1\0half";
    for (unsigned step = 1; step <= sizeof stream; step += 3) {
        conversation c;
        converse(&c, "tls", REEF_PROTO_TCP, 443);
        c.call.pdus = true;
        for (unsigned at = 0; at < sizeof stream - 1; at += step)
            say_bytes(&c, S, stream + at, sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step, false);
        CHECK(nth(&c, 0)->held == 10 && memcmp(nth(&c, 0)->data, stream, 10) == 0 && nth(&c, 0)->ready);
        CHECK(nth(&c, 1)->offset == 10 && nth(&c, 1)->held == 8 && memcmp(nth(&c, 1)->data, stream + 10, 8) == 0);
        CHECK(nth(&c, 2)->length == 261 && nth(&c, 2)->held == 9 && !nth(&c, 2)->ready && nth(&c, 3) == NULL);
        part(&c);
    }
}

static void holes_ends_and_bounds(void)
{
    conversation c;
    converse(&c, "tls", REEF_PROTO_TCP, 443);
    c.call.pdus = true;
    reef_pdu_note(&c.call, S, REEF_BUFFER_PDU_HTTP_RESPONSE, 0, REEF_PDU_OPEN_END);
    reef_pdus_gather(&c.call, S, &(reef_chunk){.bytes = {(const uint8_t *)"ab", 2}});
    reef_pdus_gather(&c.call, C, &(reef_chunk){.bytes = {(const uint8_t *)"xx", 2}, .offset = 2});
    reef_pdu_close(&c.call, S, REEF_BUFFER_PDU_HTTP_RESPONSE, 6);
    reef_pdus_gather(&c.call, S, &(reef_chunk){.bytes = {(const uint8_t *)"cdef", 4}, .offset = 4, .missing = 2});
    const reef_pdu *pdu = nth(&c, 0);
    CHECK(pdu->ready && pdu->held == 6 && memcmp(pdu->data, "ab\0\0cd", 6) == 0);
    for (unsigned i = 0; i < 2 * REEF_PDUS_MAX; i++)
        reef_pdu_note(&c.call, S, REEF_BUFFER_PDU_HTTP_STREAM, 8, REEF_PDU_OPEN_END);
    CHECK(nth(&c, REEF_PDUS_MAX - 1) != NULL && nth(&c, REEF_PDUS_MAX) == NULL);
    static const uint8_t much[REEF_PDU_BYTES_MAX + 1];
    reef_pdus_gather(&c.call, S, &(reef_chunk){.bytes = {much, sizeof much}, .offset = 8});
    CHECK(nth(&c, 1)->held == REEF_PDU_BYTES_MAX && nth(&c, 1)->ready);
    part(&c);
}

int main(void)
{
    parts_of_a_datagram();
    records_of_a_stream_however_it_is_cut();
    holes_ends_and_bounds();
    return 0;
}
