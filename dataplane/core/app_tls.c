/* TLS: the ClientHello (RFC 8446 4.1.2), which says where the client wants to go (RFC 6066 3, SNI). */
#include "reef/app.h"
#include "reef/bytes.h"

enum { CONTENT_HANDSHAKE = 22, CLIENT_HELLO = 1 };
enum { EXTENSION_SERVER_NAME = 0, EXTENSION_ALPN = 16, EXTENSION_VERSIONS = 43 };

/* A cursor that runs dry instead of running over: after a short read every read is 0 and `dry` is set. */
typedef struct cursor {
    const uint8_t *at;
    uint32_t left;
    bool dry;
} cursor;

static const uint8_t *take(cursor *c, uint32_t n)
{
    if (n > c->left) {
        c->dry = true;
        c->left = 0;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += n;
    c->left -= n;
    return p;
}

static uint32_t take_number(cursor *c, unsigned bytes)
{
    const uint8_t *p = take(c, bytes);
    uint32_t value = 0;
    for (unsigned i = 0; p != NULL && i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static cursor take_vector(cursor *c, unsigned length_bytes)
{
    uint32_t length = take_number(c, length_bytes);
    const uint8_t *p = take(c, length);
    return (cursor){.at = p, .left = p != NULL ? length : 0, .dry = c->dry};
}

static void read_server_name(cursor extension, reef_tls *tls)
{
    cursor list = take_vector(&extension, 2);
    while (list.left > 0) {
        uint32_t type = take_number(&list, 1);
        cursor name = take_vector(&list, 2);
        if (type == 0 && !list.dry) {
            tls->server_name = (reef_view){name.at, name.left};
            return;
        }
    }
}

static void read_alpn(cursor extension, reef_tls *tls)
{
    cursor list = take_vector(&extension, 2);
    while (list.left > 0 && tls->alpns < REEF_TLS_ALPN_MAX) {
        cursor name = take_vector(&list, 1);
        if (!list.dry && name.left > 0)
            tls->alpn[tls->alpns++] = (reef_view){name.at, name.left};
    }
}

static void read_versions(cursor extension, reef_tls *tls)
{
    cursor list = take_vector(&extension, 1);
    while (list.left >= 2) {
        uint16_t version = (uint16_t)take_number(&list, 2);
        bool grease = (version & 0x0f0f) == 0x0a0a; /* RFC 8701 */
        if (!grease && version > tls->version && version <= 0x03ff)
            tls->version = version;
    }
}

/* A ClientHello may be cut into several records (RFC 8446 5.1). Most are not, and are read in place; of the
 * others what the first record holds is read, once the record is whole. */
static reef_app_answer parse(const reef_app_input *input, reef_app_transaction *transaction)
{
    reef_tls *tls = &transaction->tls;
    const uint8_t *p = input->bytes.data;
    uint32_t n = input->bytes.length;

    /* 22, 3, minor <= 4, length, 1: six bytes that hardly anything else begins with. */
    static const uint8_t shape[] = {CONTENT_HANDSHAKE, 3};
    for (uint32_t i = 0; i < sizeof shape && i < n; i++)
        if (p[i] != shape[i])
            return REEF_APP_NOT_THIS;
    if (n > 2 && p[2] > 4)
        return REEF_APP_NOT_THIS;
    if (n > 5 && p[5] != CLIENT_HELLO)
        return input->direction == REEF_TO_CLIENT && p[5] == 2 ? REEF_APP_NOTHING : REEF_APP_NOT_THIS;
    if (n < 6)
        return REEF_APP_MORE;
    uint32_t record = reef_be16(p + 3);
    if (record < 42 || record > 16384 + 256)
        return REEF_APP_NOT_THIS;
    if (n < 5 + record)
        return REEF_APP_MORE;

    memset(tls, 0, sizeof *tls);
    cursor c = {.at = p + 5, .left = record};
    take_number(&c, 1);
    uint32_t hello_length = take_number(&c, 3);
    cursor hello = {.at = c.at, .left = hello_length < c.left ? hello_length : c.left};
    tls->version = (uint16_t)take_number(&hello, 2);
    take(&hello, 32); /* random */
    take_vector(&hello, 1); /* session id */
    take_vector(&hello, 2); /* cipher suites */
    take_vector(&hello, 1); /* compression methods */
    if (hello.dry)
        return REEF_APP_NOT_THIS;
    uint32_t extensions_length = take_number(&hello, 2);
    cursor extensions = {.at = hello.at, .left = extensions_length < hello.left ? extensions_length : hello.left};
    while (extensions.left >= 4) {
        uint32_t type = take_number(&extensions, 2);
        cursor extension = take_vector(&extensions, 2);
        if (extensions.dry)
            break;
        if (type == EXTENSION_SERVER_NAME)
            read_server_name(extension, tls);
        else if (type == EXTENSION_ALPN && tls->alpns == 0)
            read_alpn(extension, tls);
        else if (type == EXTENSION_VERSIONS)
            read_versions(extension, tls);
    }
    return REEF_APP_ENDED;
}

/* Suricata's words for versions. */
static const char *version_text(uint16_t version)
{
    switch (version) {
    case 0x0200: return "SSLv2";
    case 0x0300: return "SSLv3";
    case 0x0301: return "TLSv1";
    case 0x0302: return "TLS 1.1";
    case 0x0303: return "TLS 1.2";
    case 0x0304: return "TLS 1.3";
    default: return "UNDETERMINED";
    }
}

static void write(const reef_app_transaction *transaction, reef_json *text)
{
    const reef_tls *tls = &transaction->tls;
    if (tls->server_name.length > 0)
        reef_json_bytes(text, "sni", tls->server_name.data, tls->server_name.length, 1024);
    if (tls->alpns > 0) {
        reef_json_open(text, "client_alpns", '[');
        for (unsigned i = 0; i < tls->alpns; i++)
            reef_json_bytes(text, NULL, tls->alpn[i].data, tls->alpn[i].length, 1024);
        reef_json_close(text, ']');
    }
    reef_json_open(text, "client_handshake", '{');
    reef_json_text(text, "version", version_text(tls->version));
    reef_json_close(text, '}');
}

const reef_app_protocol reef_app_tls = {
    .name = "tls", .ip_protocol = REEF_PROTO_TCP, .parse = parse, .write = write};
