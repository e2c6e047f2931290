/* smb and dcerpc: trees, files and calls as they are told, whole and byte by byte. */
#include "check.h"
#include "dialogue.h"
#include "packets.h"

enum { C = REEF_TO_SERVER, S = REEF_TO_CLIENT };

static void le16(bytes *b, unsigned v) { add8(b, v), add8(b, v >> 8); }
static void le32(bytes *b, uint32_t v) { le16(b, v), le16(b, v >> 16); }
static void zeros(bytes *b, unsigned n) { while (n-- > 0) add8(b, 0); }
static void utf16(bytes *b, const char *text) { for (; *text != 0; text++) le16(b, (unsigned char)*text); }

/* --- dcerpc ------------------------------------------------------------------------------------------------ */

static void fragment(bytes *b, unsigned type, unsigned flags, const bytes *body)
{
    add8(b, 5), add8(b, 0), add8(b, type), add8(b, flags), add8(b, 0x10), zeros(b, 3);
    le16(b, 16 + body->length), le16(b, 0), le32(b, 1);
    add_bytes(b, body->data, body->length);
}

static void bind(bytes *b)
{
    bytes body = {.length = 0};
    le16(&body, 4280), le16(&body, 4280), le32(&body, 0), add8(&body, 1), zeros(&body, 3);
    le16(&body, 0), add8(&body, 1), add8(&body, 0);
    add_bytes(&body, "\x78\x56\x34\x12\x34\x12\xcd\xab\xef\x00\x01\x23\x45\x67\x89\xab", 16);
    le16(&body, 3), le16(&body, 0), zeros(&body, 20);
    fragment(b, 11, 3, &body);
}

static void bind_answer(bytes *b, unsigned result)
{
    bytes body = {.length = 0};
    le16(&body, 4280), le16(&body, 4280), le32(&body, 1), le16(&body, 4), add_bytes(&body, "135", 4), zeros(&body, 2);
    add8(&body, 1), zeros(&body, 3), le16(&body, result), le16(&body, 0), zeros(&body, 20);
    fragment(b, 12, 3, &body);
}

static void call(bytes *b, unsigned type, unsigned flags, unsigned operation, const char *stub)
{
    bytes body = {.length = 0};
    le32(&body, 0), le16(&body, 0), le16(&body, operation), add_text(&body, stub);
    fragment(b, type, flags, &body);
}

/* `step` 0: whole. */
static void send_bytes(conversation *c, int direction, const bytes *b, size_t step)
{
    for (size_t at = 0; at < b->length; at += step == 0 ? b->length : step)
        say_bytes(c, direction, b->data + at, step == 0 || b->length - at < step ? b->length - at : step, false);
}

static const reef_transaction *nth(const conversation *c, unsigned n)
{
    const reef_transaction *t = c->call.session->first;
    while (t != NULL && n-- > 0)
        t = t->next;
    CHECK(t != NULL);
    return t;
}

static void test_calls(size_t step)
{
    conversation c;
    bytes b = {.length = 0};
    uint64_t operation;
    converse(&c, NULL, REEF_PROTO_TCP, 135);
    bind(&b);
    send_bytes(&c, C, &b, step);
    b.length = 0, bind_answer(&b, 0);
    send_bytes(&c, S, &b, step);
    CHECK_TEXT(c.call.session->protocol->name, "dcerpc");
    b.length = 0, call(&b, 0, 1, 10, "first "), call(&b, 0, 2, 10, "second");
    send_bytes(&c, C, &b, step);
    b.length = 0, call(&b, 2, 3, 0, "answer");
    send_bytes(&c, S, &b, step);
    CHECK_TEXT(buffer_of(&c, 1, C, REEF_BUFFER_DCERPC_STUB_DATA, 0), "first second");
    CHECK_TEXT(buffer_of(&c, 1, S, REEF_BUFFER_DCERPC_STUB_DATA, 0), "answer");
    CHECK(buffer_of(&c, 1, C, REEF_BUFFER_DCERPC_IFACE, 0) != NULL);
    CHECK(memcmp(c.text, "\x12\x34\x56\x78\x12\x34\xab\xcd\xef\x00\x01\x23\x45\x67\x89\xab\0\3\1", 19) == 0);
    CHECK(buffer_of(&c, 1, C, REEF_BUFFER_DCERPC_IFACE, 1) == NULL);
    CHECK(buffer_of(&c, 0, C, REEF_BUFFER_DCERPC_IFACE, 0) == NULL); /* the bind itself is no call */
    CHECK(c.call.session->protocol->value(c.call.session, nth(&c, 1), C, REEF_VALUE_DCERPC_OPNUM, 0, &operation));
    CHECK_EQUAL(operation, 10);
    part(&c);
}

static void test_refused_binding(void)
{
    conversation c;
    bytes b = {.length = 0};
    converse(&c, "dcerpc", REEF_PROTO_TCP, 135);
    bind(&b);
    send_bytes(&c, C, &b, 0);
    b.length = 0, bind_answer(&b, 2);
    send_bytes(&c, S, &b, 0);
    b.length = 0, call(&b, 0, 3, 1, "x");
    send_bytes(&c, C, &b, 0);
    CHECK(buffer_of(&c, 1, C, REEF_BUFFER_DCERPC_IFACE, 0) == NULL);
    part(&c);
}

/* --- smb --------------------------------------------------------------------------------------------------- */

static void message(bytes *b, unsigned command, bool answer, unsigned number, const bytes *body)
{
    add32(b, 64 + body->length);
    add_bytes(b, "\xfeSMB", 4), le16(b, 64), le16(b, 0), le32(b, 0), le16(b, command), le16(b, 1), le32(b, answer), le32(b, 0);
    le32(b, number), le32(b, 0), le32(b, 0), le32(b, 5), le32(b, 7), le32(b, 0), zeros(b, 16);
    add_bytes(b, body->data, body->length);
}

static void connect_tree(conversation *c, const char *name, unsigned share, size_t step)
{
    bytes b = {.length = 0}, body = {.length = 0};
    le16(&body, 9), le16(&body, 0), le16(&body, 72), le16(&body, (unsigned)(2 * strlen(name))), utf16(&body, name);
    message(&b, 3, false, 1, &body);
    send_bytes(c, C, &b, step);
    b.length = body.length = 0;
    le16(&body, 16), add8(&body, share), zeros(&body, 13);
    message(&b, 3, true, 1, &body);
    send_bytes(c, S, &b, step);
}

static void test_file(size_t step)
{
    conversation c;
    bytes b = {.length = 0}, body = {.length = 0};
    converse(&c, NULL, REEF_PROTO_TCP, 445);
    connect_tree(&c, "\\\\host\\data", 1, step);
    CHECK_TEXT(c.call.session->protocol->name, "smb");
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SMB_SHARE, 0), "\\\\host\\data");
    CHECK(buffer_of(&c, 0, C, REEF_BUFFER_SMB_NAMED_PIPE, 0) == NULL);

    le16(&body, 57), zeros(&body, 42), le16(&body, 120), le16(&body, 10), zeros(&body, 8), utf16(&body, "a.exe");
    message(&b, 5, false, 2, &body);
    send_bytes(&c, C, &b, step);
    b.length = body.length = 0;
    le16(&body, 89), zeros(&body, 62), add_bytes(&body, "handle of a file", 16), zeros(&body, 8);
    message(&b, 5, true, 2, &body);
    send_bytes(&c, S, &b, step);

    for (unsigned i = 0; i < 2; i++) { /* the second time the same bytes: an overlap */
        b.length = body.length = 0;
        le16(&body, 49), le16(&body, 112), le32(&body, 8), le32(&body, 0), le32(&body, 0);
        add_bytes(&body, "handle of a file", 16), zeros(&body, 16), add_bytes(&body, i == 0 ? "MZ here." : "MZ there", 8);
        message(&b, 9, false, 3 + i, &body);
        send_bytes(&c, C, &b, step);
    }
    b.length = body.length = 0;
    le16(&body, 24), zeros(&body, 6), add_bytes(&body, "handle of a file", 16);
    message(&b, 6, false, 5, &body);
    send_bytes(&c, C, &b, step);
    CHECK(strstr(heard(&c), "\"filename\":\"a.exe\"") != NULL);
    CHECK(strstr(c.text, "\"size\":8") != NULL);
    CHECK(strstr(c.text, "file_overlap complete") != NULL);
    part(&c);
}

static void test_pipe(size_t step)
{
    conversation c;
    bytes b = {.length = 0}, body = {.length = 0}, inside = {.length = 0};
    converse(&c, "smb", REEF_PROTO_TCP, 445);
    connect_tree(&c, "\\\\host\\IPC$", 2, step);
    CHECK_TEXT(buffer_of(&c, 0, C, REEF_BUFFER_SMB_NAMED_PIPE, 0), "\\\\host\\IPC$");
    CHECK(buffer_of(&c, 0, C, REEF_BUFFER_SMB_SHARE, 0) == NULL);
    bind(&inside);
    call(&inside, 0, 3, 89, "stub");
    le16(&body, 57), le16(&body, 0), le32(&body, 0x0011c017), zeros(&body, 16), le32(&body, 120), le32(&body, inside.length);
    zeros(&body, 24), add_bytes(&body, inside.data, inside.length);
    message(&b, 11, false, 2, &body);
    send_bytes(&c, C, &b, step);
    CHECK(strstr(heard(&c), "\"opnum\":89") != NULL);
    part(&c);
}

/* What a gap hides is passed over while it is known where the next message begins. */
static void test_gap(void)
{
    conversation c;
    converse(&c, "smb", REEF_PROTO_TCP, 445);
    connect_tree(&c, "\\\\host\\data", 1, 0);
    reef_chunk chunk = {.missing = 100, .bytes = {(const uint8_t *)"anything", 8}};
    reef_session_bytes(&c.call, C, &chunk);
    CHECK(c.call.session->flags & REEF_SESSION_NO_PARSE);
    part(&c);
}

int main(void)
{
    test_calls(0);
    test_calls(1);
    test_refused_binding();
    test_file(0);
    test_file(1);
    test_pipe(0);
    test_pipe(1);
    test_gap();
    return 0;
}
