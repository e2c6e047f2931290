/* app: each parser on whole, cut and hostile input. Inputs lie on the heap in their exact size. */
#include "check.h"
#include "packets.h"
#include "reef/app.h"

static uint8_t *copy;

static reef_app_answer parse(const reef_app_protocol *protocol, const void *data, size_t n, int direction,
                             uint16_t port, reef_app_transaction *t)
{
    free(copy);
    copy = malloc(n + (n == 0));
    memcpy(copy, data, n);
    reef_app_input input = {.bytes = {copy, (uint32_t)n}, .direction = direction, .source_port = 40000,
                            .destination_port = port};
    return protocol->parse(&input, t);
}

static const char *written(const reef_app_protocol *protocol, const reef_app_transaction *t)
{
    static char memory[REEF_EVENT_TEXT_MAX + 1];
    reef_json text;
    reef_json_init(&text, memory, REEF_EVENT_TEXT_MAX);
    protocol->write(t, &text);
    CHECK(!text.full);
    memory[reef_json_length(&text)] = '\0';
    return memory;
}

static void test_registry(void)
{
    CHECK(reef_app_by_number(0) == NULL);
    CHECK(reef_app_by_number(reef_app_count() + 1) == NULL);
    for (unsigned a = 1; a <= reef_app_count(); a++)
        for (unsigned b = 1; b < a; b++)
            CHECK(strcmp(reef_app_by_number(a)->name, reef_app_by_number(b)->name) != 0);
}

/* --- DNS ------------------------------------------------------------------------------------------- */

/* The answer: a CNAME to cdn.example.org by a compressed name, and its address. */
static const uint8_t answer[] =
    "\x12\x34\x81\x80\0\1\0\2\0\0\0\0\3www\7example\3org\0\0\1\0\1"
    "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3cdn\xc0\x10"
    "\xc0\x2d\0\1\0\1\0\0\0\x1e\0\4\xc0\0\2\1";

static void test_dns(void)
{
    reef_app_transaction t;
    CHECK_EQUAL(parse(&reef_app_dns, dns_question, DNS_QUESTION, 0, 53, &t), REEF_APP_TRANSACTION);
    CHECK_TEXT(written(&reef_app_dns, &t),
               "\"version\":3,\"type\":\"request\",\"id\":4660,\"opcode\":0,"
               "\"queries\":[{\"rrname\":\"www.example.org\",\"rrtype\":\"A\"}]");
    CHECK_EQUAL(parse(&reef_app_dns, answer, sizeof answer - 1, 1, 40000, &t), REEF_APP_TRANSACTION);
    CHECK_TEXT(written(&reef_app_dns, &t),
               "\"version\":3,\"type\":\"response\",\"id\":4660,\"flags\":\"8180\",\"qr\":true,\"rd\":true,\"ra\":true,"
               "\"opcode\":0,\"rcode\":\"NOERROR\",\"queries\":[{\"rrname\":\"www.example.org\",\"rrtype\":\"A\"}],"
               "\"answers\":[{\"rrname\":\"www.example.org\",\"rrtype\":\"CNAME\",\"ttl\":60,\"rdata\":\"cdn.example.org\"},"
               "{\"rrname\":\"cdn.example.org\",\"rrtype\":\"A\",\"ttl\":30,\"rdata\":\"192.0.2.1\"}]");

    /* Away from port 53 it is told by its shape, and only whole. */
    CHECK_EQUAL(parse(&reef_app_dns, dns_question, DNS_QUESTION, 0, 5300, &t), REEF_APP_TRANSACTION);
    CHECK_EQUAL(parse(&reef_app_dns, dns_question, DNS_QUESTION - 1, 0, 5300, &t), REEF_APP_NOT_THIS);
    CHECK_EQUAL(parse(&reef_app_dns, "some other datagram, long enough", 32, 0, 5300, &t), REEF_APP_NOT_THIS);

    /* A name that points at itself ends. */
    static const uint8_t loop[] = "\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1";
    CHECK_EQUAL(parse(&reef_app_dns, loop, sizeof loop - 1, 0, 53, &t), REEF_APP_TRANSACTION);
    written(&reef_app_dns, &t);
    for (size_t n = 0; n < sizeof answer; n++)
        if (parse(&reef_app_dns, answer, n, 1, 53, &t) == REEF_APP_TRANSACTION)
            written(&reef_app_dns, &t);
}

/* A message of nothing but long names never writes more than the bound. */
static void test_dns_bound(void)
{
    static uint8_t message[65000];
    memset(message, 0, sizeof message);
    memcpy(message, "\0\1\x81\x80\0\1\xff\xff\0\0\0\0", 12);
    size_t at = 12;
    for (int label = 0; label < 3; label++) {
        message[at] = 63;
        memset(message + at + 1, 0x01, 63); /* control characters: six bytes of output each */
        at += 64;
    }
    at += 1 + 4;
    while (at + 16 < sizeof message) {
        memcpy(message + at, "\xc0\x0c\0\5\0\1\0\0\0\0\0\2\xc0\x0c", 14);
        at += 14;
    }
    reef_app_transaction t;
    CHECK_EQUAL(parse(&reef_app_dns, message, at, 1, 53, &t), REEF_APP_TRANSACTION);
    CHECK(strlen(written(&reef_app_dns, &t)) > 4096);
}

/* --- TLS ------------------------------------------------------------------------------------------- */

static uint32_t client_hello(uint8_t *out, const char *name)
{
    bytes b = {.length = 0}, extensions = {.length = 0};
    uint32_t n = (uint32_t)strlen(name);
    add16(&extensions, 0), add16(&extensions, n + 5), add16(&extensions, n + 3), add8(&extensions, 0);
    add16(&extensions, n), add_bytes(&extensions, name, n);
    add16(&extensions, 16), add16(&extensions, 14), add16(&extensions, 12);
    add8(&extensions, 2), add_text(&extensions, "h2"), add8(&extensions, 8), add_text(&extensions, "http/1.1");
    add16(&extensions, 43), add16(&extensions, 9), add8(&extensions, 8);
    add16(&extensions, 0x7a7a), add16(&extensions, 0x7f1c); /* GREASE, a draft */
    add16(&extensions, 0x0304), add16(&extensions, 0x0303);

    uint32_t hello = 2 + 32 + 1 + 2 + 2 + 1 + 1 + 2 + extensions.length;
    add8(&b, 22), add16(&b, 0x0301), add16(&b, hello + 4);
    add8(&b, 1), add8(&b, 0), add16(&b, hello);
    add16(&b, 0x0303);
    for (int i = 0; i < 32; i++)
        add8(&b, (unsigned)i);
    add8(&b, 0), add16(&b, 2), add16(&b, 0x1301), add8(&b, 1), add8(&b, 0);
    add16(&b, extensions.length);
    add_bytes(&b, extensions.data, extensions.length);
    memcpy(out, b.data, b.length);
    return b.length;
}

static void test_tls(void)
{
    uint8_t hello[1024];
    uint32_t n = client_hello(hello, "www.example.org");
    reef_app_transaction t;
    CHECK_EQUAL(parse(&reef_app_tls, hello, n, 0, 443, &t), REEF_APP_ENDED);
    CHECK_TEXT(written(&reef_app_tls, &t),
               "\"sni\":\"www.example.org\",\"client_alpns\":[\"h2\",\"http/1.1\"],"
               "\"client_handshake\":{\"version\":\"TLS 1.3\"}");
    for (uint32_t cut = 0; cut < n; cut++)
        CHECK_EQUAL(parse(&reef_app_tls, hello, cut, 0, 443, &t), REEF_APP_MORE);
    CHECK_EQUAL(parse(&reef_app_tls, "GET / HTTP/1.1\r\n", 16, 0, 443, &t), REEF_APP_NOT_THIS);

    /* Lengths inside that lie: every byte changed to its extremes. */
    for (uint32_t at = 5; at < n; at++)
        for (int value = 0; value < 256; value += 51) {
            uint8_t changed[1024];
            memcpy(changed, hello, n);
            changed[at] = (uint8_t)value;
            if (parse(&reef_app_tls, changed, n, 0, 443, &t) == REEF_APP_ENDED)
                written(&reef_app_tls, &t);
        }
}

/* --- HTTP ------------------------------------------------------------------------------------------ */

static void test_http(void)
{
    static const char request[] = "GET /a?b=c HTTP/1.1\r\nHost: www.example.org:8080\r\nUser-Agent:  curl/8 \r\n"
                                  "Referer: http://x/\r\nAccept: */*\r\n\r\n";
    reef_app_transaction t;
    CHECK_EQUAL(parse(&reef_app_http, request, sizeof request - 1, 0, 80, &t), REEF_APP_TRANSACTION);
    CHECK_TEXT(written(&reef_app_http, &t),
               "\"hostname\":\"www.example.org\",\"http_port\":8080,\"url\":\"/a?b=c\",\"http_user_agent\":\"curl/8\","
               "\"http_refer\":\"http://x/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\"");
    for (size_t cut = 0; cut < sizeof request - 1; cut++)
        CHECK_EQUAL(parse(&reef_app_http, request, cut, 0, 80, &t), REEF_APP_MORE);
    CHECK_EQUAL(parse(&reef_app_http, "GETTING /", 9, 0, 80, &t), REEF_APP_NOT_THIS);
    CHECK_EQUAL(parse(&reef_app_http, "GET \r\n\r\n", 8, 0, 80, &t), REEF_APP_NOT_THIS);
    CHECK_EQUAL(parse(&reef_app_http, "SSH-2.0-x\r\n", 11, 0, 80, &t), REEF_APP_NOT_THIS);
    CHECK_EQUAL(parse(&reef_app_http, "HTTP/1.1 200 OK\r\n", 17, 1, 80, &t), REEF_APP_NOTHING);

    CHECK_EQUAL(parse(&reef_app_http, "GET / HTTP/1.0\nhOsT: [2001:db8::1]\n\n", 37, 0, 80, &t), REEF_APP_TRANSACTION);
    CHECK_TEXT(written(&reef_app_http, &t),
               "\"hostname\":\"[2001:db8::1]\",\"url\":\"/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.0\"");
}

/* Bytes of the network never break the JSON, nor make it longer than its bound. */
static void test_http_hostile(void)
{
    static char request[REEF_HEAD_BYTES];
    int n = snprintf(request, sizeof request, "GET /");
    memset(request + n, '\1', 5000);
    n += 5000;
    n += snprintf(request + n, sizeof request - (size_t)n, " HTTP/1.1\r\nHost: \"\\\xff\xc3\xa4\r\n\r\n");
    reef_app_transaction t;
    CHECK_EQUAL(parse(&reef_app_http, request, (size_t)n, 0, 80, &t), REEF_APP_TRANSACTION);
    const char *text = written(&reef_app_http, &t);
    CHECK(strstr(text, "\"hostname\":\"\\\"\\\\\\\\xff\xc3\xa4\"") != NULL);
    CHECK(strlen(text) < REEF_HTTP_FIELD_MAX + 200);
}

int main(void)
{
    test_registry();
    test_dns();
    test_dns_bound();
    test_tls();
    test_http();
    test_http_hostile();
    free(copy);
    return 0;
}
