/* IKE: proposals of both versions, and what is weak in them. */
#include "check.h"
#include "dialogue.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

/* Version 1: an SA with one proposal of one transform, a vendor, a nonce. */
static const uint8_t main_mode[] = {
    1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 96,
    13, 0, 0, 52, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 40, 1, 1, 0, 1, 0, 0, 0, 32, 1, 1, 0, 0,
    0x80, 1, 0, 7, 0x80, 2, 0, 2, 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 1, 0x51, 0x80, 0x80, 4, 0, 2,
    10, 0, 0, 8, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 8, 9, 8, 7, 6,
};

static void version_1(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_UDP, 500);
    say_bytes(&c, C, main_mode, sizeof main_mode, false);
    CHECK_TEXT(c.call.session->protocol->name, "ike");
    say_bytes(&c, S, main_mode, sizeof main_mode, false);
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_IKE_INIT_SPI, 0), "0102030405060708");
    CHECK(buffer_of(&c, 1, C, REEF_BUFFER_IKE_INIT_SPI, 0) == NULL);
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_IKE_VENDOR, 0), "deadbeef");
    CHECK(buffer_of(&c, 0, C, REEF_BUFFER_IKE_VENDOR, 1) == NULL);
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_IKE_NONCE_PAYLOAD, 0), "\x09\x08\7\6");
    const reef_protocol *ike = c.call.session->protocol;
    uint64_t value;
    bool duration = false;
    CHECK(!ike->value(c.call.session, c.call.session->first, C, REEF_VALUE_IKE_CHOSEN_SA_ATTRIBUTE, 0, &value)); /* only offered */
    for (unsigned i = 0; ike->value(c.call.session, c.call.session->last, S, REEF_VALUE_IKE_CHOSEN_SA_ATTRIBUTE, i, &value); i++)
        duration |= value == (12ull << 32 | 86400);
    CHECK(duration);
    CHECK(strstr(heard(&c), "\"attributes\":[{\"key\":\"alg_enc\",\"value\":\"EncAesCbc\",\"raw\":7},") != NULL);
    CHECK(strstr(c.text, "\"vendor_ids\":[\"deadbeef\"]") != NULL);
    part(&c);
}

static void version_2(const uint8_t *transforms, size_t n, const char *events)
{
    uint8_t m[256] = {1, 2, 3, 4, 5, 6, 7, 8, [16] = 33, 0x20, 34, 8};
    conversation c;
    size_t size = 28 + 4 + 8 + n;
    m[27] = (uint8_t)size;
    m[31] = (uint8_t)(size - 28), m[35] = (uint8_t)(size - 32), m[36] = 1, m[37] = 1;
    memcpy(m + 40, transforms, n);
    converse(&c, NULL, REEF_PROTO_UDP, 500);
    say_bytes(&c, C, m, size, false);
    const char *text = heard(&c), *at = strstr(text, "}}");
    CHECK_TEXT(c.call.session->protocol->name, "ike");
    CHECK(strstr(text, events) != NULL && at == NULL);
    part(&c);
}

static void weak_proposals(void)
{
    static const uint8_t weak[] = {3, 0, 0, 8, 1, 0, 0, 3, 3, 0, 0, 8, 2, 0, 0, 1, 3, 0, 0, 8, 3, 0, 0, 1, 0, 0, 0, 8, 4, 0, 0, 2};
    static const uint8_t good[] = {3, 0, 0, 8, 1, 0, 0, 20, 3, 0, 0, 8, 2, 0, 0, 5, 0, 0, 0, 8, 4, 0, 0, 31};
    static const uint8_t none[] = {0, 0, 0, 8, 1, 0, 0, 12};
    version_2(weak, sizeof weak, " weak_crypto_enc weak_crypto_prf weak_crypto_auth weak_crypto_dh complete\n");
    version_2(good, sizeof good, "\"errors\":0} complete\n");
    version_2(none, sizeof none, " weak_crypto_no_dh weak_crypto_no_auth complete\n");
}

/* However it is cut, nothing is read behind its end. */
static void every_prefix(void)
{
    for (size_t n = 0; n < sizeof main_mode; n++) {
        conversation c;
        converse(&c, "ike", REEF_PROTO_UDP, 500);
        say_bytes(&c, C, main_mode, n, false);
        CHECK_EQUAL(c.call.session->transactions, n >= 28);
        CHECK(n <= 28 || strstr(heard(&c), "malformed_data") != NULL);
        part(&c);
    }
}

int main(void)
{
    version_1();
    weak_proposals();
    every_prefix();
    return 0;
}
