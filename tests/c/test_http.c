/* HTTP/1: what is made of messages, well formed and not. What malformed ones give was held against Suricata 7.0.10. */
#include <zlib.h>

#include "check.h"
#include "dialogue.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* --- requests -------------------------------------------------------------------------------------------- */

static void check_uri(const char *written, const char *uri)
{
    conversation c;
    char request[512];
    converse(&c, "http", REEF_PROTO_TCP, 80);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", written);
    say(&c, REEF_TO_SERVER, request);
    CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_HTTP_URI, 0), uri);
    CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_HTTP_URI_RAW, 0), written);
    part(&c);
}

static void uris_become_uniform(void)
{
    static const char *const cases[][2] = {
        {"/", "/"}, {"/a//b/./c/../d", "/a/b/d"}, {"/a/.", "/a"}, {"/a/..", ""}, {"/../x", "/x"}, {"../x", "x"},
        {"/a%2fb", "/a/b"}, {"/a%5cb", "/a/b"}, {"/a\\..\\b", "/b"}, {"/%u002f%u0041x", "/Ax"}, {"/%uff0e%uff0fx", "/x"},
        {"/%zz", "/%zz"}, {"/%4", "/%4"}, {"/%4%41", "/%4A"}, {"/%u00zz", "/%u00zz"}, {"/\xc0\xafx", "//x"},
        {"/\xe0\x80\xaf", "//"}, {"/\xc4\x80x", "/Ax"}, {"/\xff\xfe", "/??"}, {"/\xc3(", "/?("}, {"/\xe2\x82\xac", "/?"},
        {"/\xed\xa0\x80", "/???"}, {"/\xf0\x80\x80\xaf", "//"}, {"/\xf5\x80\x80\x80", "/????"},
        {"/a%20?x=%20", "/a ?x= "}, {"/x?a=%41+b%2bc&d=%u0041%zz%", "/x?a=A+b+c&d=%u0041%zz%"}, {"/x?a#f%u0041", "/x?a#fA"},
        {"/x?#", "/x?#"}, {"http://Ex.Com:8080/p%41?q", "/pA?q"}, {"http://ex.com", ""}, {"http:///p", "/p"}, {"foo:bar", "bar"},
        {"*", "*"}, {"//a/b", "/a/b"}, {"/a/.../b", "/a/.../b"}, {"/a%2e%2e/b", "/a../b"}, {"/a/%2e%2e/b", "/b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_uri(cases[i][0], cases[i][1]);
}

typedef struct one {
    const char *client, *server; /* what they say */
    const char *tells;           /* of the transactions */
} one;

static void check_one(const one *it)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, it->client);
    if (it->server != NULL)
        say(&c, REEF_TO_CLIENT, it->server);
    CHECK_TEXT(heard(&c), it->tells);
    part(&c);
}

#define FILE_OF(size) ",\"files\":[{\"filename\":\"/\",\"gaps\":false,\"state\":\"CLOSED\",\"stored\":false,\"size\":" size ",\"tx_id\":0}]"
#define ANSWER(more) more "\"status\":200,\"length\":2" FILE_OF("2")
#define GET_H "\"hostname\":\"h\",\"url\":\"/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\","

static void requests_are_taken_as_servers_take_them(void)
{
    static const one cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", OK, ANSWER(GET_H) " complete\n"},
        {"GET / HTTP/1.1\nHost: h\n\n", OK, ANSWER(GET_H) " complete\n"},
        {"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", OK, ANSWER(GET_H) " method_delim_non_compliant complete\n"},
        {"GET /\tHTTP/1.1\r\nHost: h\r\n\r\n", OK, ANSWER(GET_H) " uri_delim_non_compliant complete\n"},
        {"GET / HTTP/1.1\r\n\r\n", OK, ANSWER("\"url\":\"/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",") " missing_host_header complete\n"},
        {"GET / HTTP/1.1\r\nHost: EXAMPLE.com:8080\r\n\r\n", OK,
         ANSWER("\"hostname\":\"EXAMPLE.com\",\"http_port\":8080,\"url\":\"/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",") " complete\n"},
        {"GET / HTTP/1.1\r\nHost: EXAMPLE.com\r\n\r\n", OK,
         ANSWER("\"hostname\":\"example.com\",\"url\":\"/\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",") " complete\n"},
        {"GET / HTTP/1.1\r\nHost: h\r\nA b\r\n\r\n", OK, ANSWER(GET_H) " request_field_missing_colon complete\n"},
        {"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", OK, ANSWER(GET_H) " request_header_invalid complete\n"},
        {"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: NTLM x\r\n\r\n", OK, ANSWER(GET_H) " request_auth_unrecognized complete\n"},
        {"GET / HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n", OK, ANSWER(GET_H) " invalid_request_field_folding complete\n"},
        {"GET /\r\n", "old body", "\"http_port\":0,\"url\":\"/\",\"http_method\":\"GET\",\"length\":8,\"files\":[{\"filename\":\"/\",\"gaps\":false,\"state\":\"UNKNOWN\",\"stored\":false,\"size\":8,\"tx_id\":0}]\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_one(&cases[i]);
}

static const char *event_of(const char *client, const char *server)
{
    static char text[256];
    conversation c;
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, client);
    if (server != NULL)
        say(&c, REEF_TO_CLIENT, server);
    const reef_transaction *t = c.call.session->first;
    snprintf(text, sizeof text, "%s", t != NULL && t->events > 0 ? c.call.session->protocol->events[t->event[0]] : "");
    part(&c);
    return text;
}

static void malformed_framing_is_told(void)
{
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"
#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD "HTTP/1.1 200 OK\r\n"
    static const char *const cases[][3] = {
        {POST "Content-Length: x\r\n\r\n", NULL, "invalid_content_length_field_in_request"},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", NULL, "duplicate_content_length_field_in_request"},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", NULL, ""},
        {POST "Transfer-Encoding: identity\r\n\r\n", NULL, "invalid_transfer_encoding_value_in_request"},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", NULL, ""},
        {POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, "invalid_request_chunk_len"},
        {POST "Transfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\n\r\n", NULL, "request_chunk_extension"},
        {POST "\r\nhello\r\n", NULL, "request_body_unexpected"},
        {GET, HEAD "Content-Length: x\r\n\r\n", "invalid_content_length_field_in_response"},
        {GET, HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "duplicate_content_length_field_in_response"},
        {GET, HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid_response_chunk_len"},
        {GET, HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n", "response_abnormal_transfer_encoding"},
        {GET, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "response_chunked_old_proto"},
        {GET, "HTTP/1.1 abc OK\r\n\r\n", "response_invalid_status"},
        {GET, HEAD "Content-Encoding: xgzip\r\nContent-Length: 1\r\n\r\n.", "abnormal_ce_header"},
        {GET, HEAD "Content-Encoding: gzip, gzip, gzip\r\nContent-Length: 1\r\n\r\n.", "too_many_encoding_layers"},
        {GET, HEAD "Content-Type: multipart/byteranges; x\r\n\r\n", "response_multipart_byteranges"},
        {GET, HEAD "Content-Range: xx\r\nContent-Length: 1\r\n\r\n.", "range_invalid"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_TEXT(event_of(cases[i][0], cases[i][1]), cases[i][2]);
}

/* --- buffers ------------------------------------------------------------------------------------------------ */

static void buffers_are_as_rules_expect_them(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "POST /p?q HTTP/1.1\r\nHost: H.com:81\r\nCookie: a=b\r\nX:y\r\nX: z\r\nContent-Length: 3\r\n\r\nabc");
    say(&c, REEF_TO_CLIENT, "HTTP/1.1 404 Not Found\r\nServer: s\r\nSet-Cookie: c\r\nContent-Length: 0\r\n\r\n");
    static const struct { int direction; unsigned kind, index; const char *text; } wanted[] = {
        {0, REEF_BUFFER_HTTP_METHOD, 0, "POST"}, {0, REEF_BUFFER_HTTP_URI, 0, "/p?q"}, {0, REEF_BUFFER_HTTP_PROTOCOL, 0, "HTTP/1.1"},
        {0, REEF_BUFFER_HTTP_HOST, 0, "H.com"}, {0, REEF_BUFFER_HTTP_HOST_RAW, 0, "H.com:81"},
        {0, REEF_BUFFER_HTTP_URL, 0, "h.com/p?q"}, {0, REEF_BUFFER_HTTP_REQUEST_LINE, 0, "POST /p?q HTTP/1.1"},
        {0, REEF_BUFFER_HTTP_HEADER, 0, "Host: H.com:81\r\nX: y, z\r\nContent-Length: 3\r\n"},
        {0, REEF_BUFFER_HTTP_HEADER_RAW, 0, "Host: H.com:81\r\nCookie: a=b\r\nX:y\r\nX: z\r\nContent-Length: 3\r\n\r\n"},
        {0, REEF_BUFFER_HTTP_HEADER_NAMES, 0, "\r\nHost\r\nCookie\r\nX\r\nContent-Length\r\n\r\n"},
        {0, REEF_BUFFER_HTTP_START, 0, "POST /p?q HTTP/1.1\r\nHost: H.com:81\r\nCookie: a=b\r\nX: y, z\r\nContent-Length: 3\r\n\r\n"},
        {0, REEF_BUFFER_HTTP_REQUEST_HEADER, 2, "X: y, z"}, {0, REEF_BUFFER_HTTP_REQUEST_HEADER, 4, NULL},
        {0, REEF_BUFFER_HTTP_COOKIE, 0, "a=b"}, {0, REEF_BUFFER_HTTP_CONTENT_LEN, 0, "3"}, {0, REEF_BUFFER_HTTP_REQUEST_BODY, 0, "abc"},
        {0, REEF_BUFFER_FILE_DATA, 0, "abc"}, {0, REEF_BUFFER_FILE_NAME, 0, "/p"}, {0, REEF_BUFFER_HTTP_USER_AGENT, 0, NULL},
        {1, REEF_BUFFER_HTTP_STAT_CODE, 0, "404"}, {1, REEF_BUFFER_HTTP_STAT_MSG, 0, "Not Found"},
        {1, REEF_BUFFER_HTTP_RESPONSE_LINE, 0, "HTTP/1.1 404 Not Found"}, {1, REEF_BUFFER_HTTP_SERVER, 0, "s"},
        {1, REEF_BUFFER_HTTP_COOKIE, 0, "c"}, {1, REEF_BUFFER_HTTP_HEADER, 0, "Server: s\r\nContent-Length: 0\r\n"},
        {1, REEF_BUFFER_HTTP_RESPONSE_BODY, 0, NULL},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *got = buffer_of(&c, 0, wanted[i].direction, wanted[i].kind, wanted[i].index);
        if (wanted[i].text == NULL)
            CHECK(got == NULL);
        else
            CHECK_TEXT(got, wanted[i].text);
    }
    part(&c);
}

/* --- bodies --------------------------------------------------------------------------------------------------- */

static uint32_t compress_with(int window, const void *data, uint32_t length, uint8_t *out, uint32_t room)
{
    z_stream z = {0};
    CHECK(deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = length;
    z.next_out = out;
    z.avail_out = room;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* The body of a response as rules see it, with what it names as its coding, in pieces of `step` bytes. */
static void check_body(const char *coding, const uint8_t *body, uint32_t length, uint32_t step, const char *wanted)
{
    conversation c;
    char head[256];
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %u\r\n\r\n", coding, length);
    say(&c, REEF_TO_CLIENT, head);
    for (uint32_t at = 0; at < length; at += step)
        say_bytes(&c, REEF_TO_CLIENT, body + at, at + step < length ? step : length - at, false);
    const char *got = buffer_of(&c, 0, REEF_TO_CLIENT, REEF_BUFFER_FILE_DATA, 0);
    CHECK(got != NULL);
    CHECK_TEXT(got, wanted);
    part(&c);
}

static void coded_bodies_are_decoded(void)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog";
    uint32_t length = sizeof text - 1;
    uint8_t gzip[256], zlib[256], raw[256], twice[512], extras[300];
    uint32_t gzip_length = compress_with(15 + 16, text, length, gzip, sizeof gzip);
    uint32_t zlib_length = compress_with(15, text, length, zlib, sizeof zlib);
    uint32_t raw_length = compress_with(-15, text, length, raw, sizeof raw);
    uint32_t twice_length = compress_with(15 + 16, gzip, gzip_length, twice, sizeof twice);
    memcpy(extras, gzip, 10);
    extras[3] = 8; /* a name follows */
    memcpy(extras + 10, "name", 5);
    memcpy(extras + 15, gzip + 10, gzip_length - 10);
    for (uint32_t step = 1; step < 200; step = step * 3 + 1) {
        check_body("gzip", gzip, gzip_length, step, text);
        check_body("x-gzip", extras, gzip_length + 5, step, text);
        check_body("deflate", raw, raw_length, step, text);
        check_body("gzip, gzip", twice, twice_length, step, text);
        check_body("none", (const uint8_t *)text, length, step, text);
    }
    check_body("deflate", zlib, zlib_length, 1000, text); /* wrongly named, as servers do */
    check_body("deflate", gzip, gzip_length, 1000, text);
    check_body("gzip", raw, raw_length, 1000, text);
    check_body("gzip", (const uint8_t *)"not coded at all", 16, 1000, "not coded at all");
}

/* A coded body of a worker whose files are wanted like this: what is told of the file in it, or NULL. */
static const char *told_of_file(conversation *c, const reef_file_wants *wants)
{
    uint8_t gzip[256];
    char head[256];
    uint32_t length = compress_with(15 + 16, "twelve bytes", 12, gzip, sizeof gzip);
    converse(c, "http", REEF_PROTO_TCP, 80);
    CHECK_EQUAL(reef_files_new(wants, NULL, &c->call.files), REEF_OK);
    say(c, REEF_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %u\r\n\r\n", length);
    say(c, REEF_TO_CLIENT, head);
    say_bytes(c, REEF_TO_CLIENT, gzip, length, false);
    CHECK(strstr(heard(c), " complete") != NULL);
    const char *told = strstr(heard(c), "\"files\"");
    reef_files_free(c->call.files);
    part(c);
    return told;
}

static void bodies_that_nobody_is_told_of_are_not_unpacked(void)
{
    static const reef_file_wants nothing = {0}, size = {.any = true};
    conversation c;
    CHECK(told_of_file(&c, &nothing) == NULL);
    const char *told = told_of_file(&c, &size);
    CHECK(told != NULL && strstr(told, "\"size\":12,") != NULL);
}

static void a_bomb_costs_no_more_than_the_limit(void)
{
    enum { SIZE = 64 << 20 };
    uint8_t *zeros = calloc(1, SIZE), *inner = malloc(1 << 20), *outer = malloc(1 << 20);
    CHECK(zeros != NULL && inner != NULL && outer != NULL);
    uint32_t inner_length = compress_with(15 + 16, zeros, SIZE, inner, 1 << 20);
    uint32_t length = compress_with(15 + 16, inner, inner_length, outer, 1 << 20);
    free(zeros);
    conversation c;
    char head[256];
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %u\r\n\r\n", length);
    say(&c, REEF_TO_CLIENT, head);
    say_bytes(&c, REEF_TO_CLIENT, outer, length, false);
    reef_memory_counters counters;
    reef_memory_count(c.memory, &counters);
    CHECK(counters.peak < 1 << 20);
    CHECK(strstr(heard(&c), "\"state\":\"TRUNCATED\",\"stored\":false,\"size\":102400") != NULL);
    part(&c);
    free(inner);
    free(outer);
}

static void forms_give_their_files(void)
{
    static const char body[] = "--AA\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n--AA\r\n"
                               "Content-Disposition: form-data; name=\"f\"; filename=\"n;1.txt\"\r\nContent-Type: text/plain\r\n\r\n"
                               "one\r\n--A\r\nstill one\r\n--AA\r\nContent-Disposition: form-data; filename=n2\r\n\r\ntwo\r\n--AA--\r\n";
    for (uint32_t step = 1; step < sizeof body; step = step * 2 + 1) {
        conversation c;
        char head[256];
        converse(&c, "http", REEF_PROTO_TCP, 80);
        snprintf(head, sizeof head, "POST /up HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=AA\r\nContent-Length: %zu\r\n\r\n",
                 sizeof body - 1);
        say(&c, REEF_TO_SERVER, head);
        for (uint32_t at = 0; at < sizeof body - 1; at += step)
            say_bytes(&c, REEF_TO_SERVER, body + at, at + step < sizeof body - 1 ? step : sizeof body - 1 - at, false);
        CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_FILE_NAME, 0), "n;1.txt");
        CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_FILE_DATA, 0), "one\r\n--A\r\nstill one");
        CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_FILE_NAME, 1), "n2");
        CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_FILE_DATA, 1), "two");
        part(&c);
    }
}

static void bytes_past_the_limit_are_not_kept(void)
{
    conversation c;
    static uint8_t block[65536];
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&c, REEF_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
    for (int i = 0; i < 1024; i++)
        say_bytes(&c, REEF_TO_CLIENT, block, sizeof block, false);
    CHECK(strstr(heard(&c), "\"length\":67108864,\"files\":[{\"filename\":\"/\",\"gaps\":false,\"state\":\"TRUNCATED\"") != NULL);
    CHECK(strstr(heard(&c), "complete") != NULL);
    part(&c);
}

static void a_hole_in_a_body_is_passed_over(void)
{
    conversation c;
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&c, REEF_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    reef_chunk chunk = {.bytes = {(const uint8_t *)"hij" OK, 3 + sizeof OK - 1}, .offset = 99, .missing = 4};
    say(&c, REEF_TO_SERVER, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    reef_session_bytes(&c.call, REEF_TO_CLIENT, &chunk);
    CHECK(strstr(heard(&c), "\"gaps\":true,\"state\":\"CLOSED\",\"stored\":false,\"size\":10") != NULL);
    CHECK(strstr(heard(&c), "\"url\":\"/2\",\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"length\":2") != NULL);
    part(&c);
}

/* --- connections --------------------------------------------------------------------------------------------------- */

static unsigned transactions(conversation *c)
{
    unsigned count = 0;
    for (const reef_transaction *t = c->call.session->first; t != NULL; t = t->next)
        count++;
    return count;
}

static void pipelined_requests_meet_their_responses(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    say(&c, REEF_TO_CLIENT, OK "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Same\r\n\r\n");
    CHECK_EQUAL(transactions(&c), 3);
    CHECK_TEXT(buffer_of(&c, 1, REEF_TO_CLIENT, REEF_BUFFER_HTTP_STAT_CODE, 0), "204");
    CHECK_TEXT(buffer_of(&c, 2, REEF_TO_CLIENT, REEF_BUFFER_HTTP_STAT_CODE, 0), "304");
    say(&c, REEF_TO_CLIENT, OK);
    CHECK_EQUAL(transactions(&c), 4);
    CHECK(strstr(heard(&c), "unable_to_match_response_to_request") != NULL);
    part(&c);
}

static void an_interim_response_is_followed_by_the_real_one(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    say(&c, REEF_TO_CLIENT, "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n");
    say(&c, REEF_TO_SERVER, "abc");
    say(&c, REEF_TO_CLIENT, OK);
    CHECK_TEXT(buffer_of(&c, 0, REEF_TO_CLIENT, REEF_BUFFER_HTTP_STAT_CODE, 0), "200");
    CHECK_TEXT(buffer_of(&c, 0, REEF_TO_CLIENT, REEF_BUFFER_HTTP_HEADER, 0), "Content-Length: 2\r\n");
    CHECK_EQUAL(transactions(&c), 1);
    part(&c);
}

static void a_tunnel_is_another_protocol(void)
{
    conversation c;
    converse(&c, NULL, REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
    say(&c, REEF_TO_CLIENT, "HTTP/1.1 200 OK\r\n\r\n");
    CHECK(c.call.session->flags & REEF_SESSION_CHANGING);
    say(&c, REEF_TO_SERVER, "GET /in HTTP/1.1\r\nHost: i\r\n\r\n");
    CHECK_TEXT(buffer_of(&c, 0, REEF_TO_SERVER, REEF_BUFFER_HTTP_URI, 0), "/in");
    part(&c);
}

/* What is complete may leave at any time. */
static void transactions_leave_while_the_connection_goes_on(void)
{
    static const char *const said[][2] = {
        {NULL, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\nx"}, {NULL, OK}, {"CONNECT h:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"},
        {"GET /old\r\n", "x"}, {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", OK},
    };
    for (size_t first = 0; first < sizeof said / sizeof said[0]; first++) {
        conversation c;
        converse(&c, "http", REEF_PROTO_TCP, 80);
        for (int round = 0; round < 3; round++)
            for (int d = 0; d < 2; d++) {
                if (said[first][d] != NULL)
                    say(&c, d, said[first][d]);
                reef_session_reap(&c.call, false);
            }
        say_bytes(&c, REEF_TO_CLIENT, "", 0, true);
        reef_session_reap(&c.call, false);
        say_bytes(&c, REEF_TO_SERVER, "", 0, true);
        part(&c);
    }
}

static void a_flood_of_fields_is_bounded(void)
{
    conversation c;
    char line[64];
    converse(&c, "http", REEF_PROTO_TCP, 80);
    say(&c, REEF_TO_SERVER, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof line, "X%d: y\r\n", i);
        say(&c, REEF_TO_SERVER, line);
    }
    CHECK((c.call.session->flags & REEF_SESSION_NO_PARSE) != 0);
    part(&c);
    converse(&c, "http", REEF_PROTO_TCP, 80);
    for (int i = 0; i < 400; i++)
        say(&c, REEF_TO_SERVER, "0123456789012345678901234567890123456789012345678901234567890123456789");
    CHECK((c.call.session->flags & REEF_SESSION_NO_PARSE) != 0);
    CHECK(strstr(heard(&c), "request_field_too_long") != NULL);
    part(&c);
}

/* --- segments ---------------------------------------------------------------------------------------------------------- */

static void converse_in_pieces(conversation *c, const one *it, uint32_t step)
{
    const char *texts[2] = {it->client, it->server};
    converse(c, "http", REEF_PROTO_TCP, 80);
    for (int d = 0; d < 2; d++)
        for (uint32_t at = 0, length = (uint32_t)strlen(texts[d]); at < length; at += step)
            say_bytes(c, d, texts[d] + at, at + step < length ? step : length - at, false);
}

/* However the bytes are cut, the transactions are the same. */
static void segments_change_nothing(void)
{
    static const one cases[] = {
        {"GET /a%41 HTTP/1.1\r\nHost: h\r\nCookie: c\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /c HTTP/1.1\r\nHost: h\r\n\r\n",
         OK "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: r\r\n\r\nHTTP/1.1 304 Not\r\n\r\n", NULL},
        {"POST / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\td\r\nE f\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 3\r\nX: y\r\nX: z\r\n\r\nabcHTTP/1.0 200 OK\nContent-Length: 0\n\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        conversation whole, cut;
        converse_in_pieces(&whole, &cases[i], 1u << 20);
        const char *wanted = heard(&whole);
        CHECK(strstr(wanted, " complete") != NULL);
        for (uint32_t step = 1; step < 80; step++) {
            converse_in_pieces(&cut, &cases[i], step);
            CHECK_TEXT(heard(&cut), wanted);
            part(&cut);
        }
        part(&whole);
    }
}

int main(void)
{
    uris_become_uniform();
    requests_are_taken_as_servers_take_them();
    malformed_framing_is_told();
    buffers_are_as_rules_expect_them();
    coded_bodies_are_decoded();
    bodies_that_nobody_is_told_of_are_not_unpacked();
    a_bomb_costs_no_more_than_the_limit();
    forms_give_their_files();
    bytes_past_the_limit_are_not_kept();
    a_hole_in_a_body_is_passed_over();
    pipelined_requests_meet_their_responses();
    an_interim_response_is_followed_by_the_real_one();
    a_tunnel_is_another_protocol();
    transactions_leave_while_the_connection_goes_on();
    a_flood_of_fields_is_bounded();
    segments_change_nothing();
    return 0;
}
