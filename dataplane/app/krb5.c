/* Kerberos 5 (RFC 4120) on port 88, UDP and TCP: each message is a transaction. */
#include <stdio.h>
#include <string.h>

#include "der.h"
#include "gather.h"
#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"

enum { PORT = 88 };
enum { AS_REQ = 10, AS_REP = 11, TGS_REQ = 12, TGS_REP = 13, ERROR = 30 };
enum { EVENT_MALFORMED, EVENT_WEAK, EVENTS };

static const char *const events[EVENTS] = {"malformed_data", "weak_encryption"};

typedef struct krb5_transaction {
    reef_transaction head;
    reef_view client, server; /* principals: the strings of their names; data NULL: it is not there */
    reef_view realm;
    int32_t encryption, ticket_encryption, error; /* -1: none */
    uint8_t direction, type, failed;
} krb5_transaction;

typedef struct krb5_state {
    app_gather side[2];
    uint8_t request; /* the last one */
} krb5_state;

/* --- reading ------------------------------------------------------------------------------------------------- */

/* Element [number] of a sequence, whose elements stand in order. */
static bool field(reef_view sequence, unsigned number, reef_view *out)
{
    uint8_t tag;
    while (sequence.length > 0 && reef_der_next(&sequence, &tag, out) == REEF_DER_OK)
        if (tag == (0xa0 | number))
            return true;
    return false;
}

static bool sequence_at(reef_view v, unsigned number, reef_view *out)
{
    reef_view inside;
    return field(v, number, &inside) && reef_der_expect(&inside, REEF_DER_SEQUENCE, out) == REEF_DER_OK;
}

static int32_t number_at(reef_view v, unsigned number)
{
    reef_view inside, digits;
    if (!field(v, number, &inside) || reef_der_expect(&inside, REEF_DER_INTEGER, &digits) != REEF_DER_OK ||
        digits.length == 0 || digits.length > 4)
        return -1;
    int32_t value = digits.data[0] & 0x80 ? -1 : 0;
    for (uint32_t i = 0; i < digits.length; i++)
        value = (int32_t)((uint32_t)value << 8 | digits.data[i]);
    return value;
}

static void principal_at(reef_view v, unsigned number, reef_view *out)
{
    reef_view principal;
    if (!sequence_at(v, number, &principal) || !sequence_at(principal, 1, out))
        *out = (reef_view){NULL, 0};
}

static void text_at(reef_view v, unsigned number, reef_view *out)
{
    reef_view inside;
    uint8_t tag;
    if (!field(v, number, &inside) || reef_der_next(&inside, &tag, out) != REEF_DER_OK)
        *out = (reef_view){NULL, 0};
}

static bool is_weak(int32_t encryption)
{
    switch (encryption) {
    case 17: /* AES with SHA-1 */
    case 18:
    case 19: /* AES with SHA-2 */
    case 20:
    case 25: /* Camellia */
    case 26:
        return false;
    default:
        return encryption >= 0;
    }
}

static void read_request(krb5_transaction *t, reef_view v)
{
    reef_view body;
    if (!sequence_at(v, 4, &body))
        return;
    principal_at(body, 1, &t->client);
    text_at(body, 2, &t->realm);
    principal_at(body, 3, &t->server);
}

static void read_reply(krb5_transaction *t, reef_view v)
{
    reef_view application, ticket, part, sealed;
    uint8_t tag;
    text_at(v, 3, &t->realm);
    principal_at(v, 4, &t->client);
    if (field(v, 5, &application) && reef_der_next(&application, &tag, &part) == REEF_DER_OK &&
        reef_der_expect(&part, REEF_DER_SEQUENCE, &ticket) == REEF_DER_OK) {
        principal_at(ticket, 2, &t->server);
        if (sequence_at(ticket, 3, &sealed))
            t->ticket_encryption = number_at(sealed, 0);
    }
    if (sequence_at(v, 6, &sealed))
        t->encryption = number_at(sealed, 0);
}

static void read_error(krb5_transaction *t, reef_view v)
{
    t->error = number_at(v, 6);
    text_at(v, 7, &t->realm);
    principal_at(v, 8, &t->client);
    principal_at(v, 10, &t->server);
}

/* The sequence within [APPLICATION n], and n; 0: it is none. */
static unsigned message_of(reef_view v, reef_view *inside)
{
    reef_view application;
    uint8_t tag;
    if (reef_der_next(&v, &tag, &application) != REEF_DER_OK || (tag & 0xe0) != 0x60 ||
        reef_der_expect(&application, REEF_DER_SEQUENCE, inside) != REEF_DER_OK)
        return 0;
    return tag & 0x1fu;
}

static bool read_message(reef_call *call, int direction, reef_view v)
{
    krb5_state *state = call->session->state;
    reef_view inside;
    unsigned type = message_of(v, &inside);
    if (type == 0) {
        if (call->session->last != NULL)
            reef_transaction_event(call, call->session->last, EVENT_MALFORMED);
        return false;
    }
    if (type != AS_REQ && type != AS_REP && type != TGS_REQ && type != TGS_REP && type != ERROR)
        return true;
    krb5_transaction *t = (krb5_transaction *)reef_transaction_new(call);
    if (t == NULL)
        return true;
    t->direction = (uint8_t)direction;
    t->type = (uint8_t)type;
    t->encryption = t->ticket_encryption = t->error = -1;
    reef_transaction_progress(&t->head, direction, 1);
    t->head.progress[!direction] = 1; /* the other way there is nothing to see */
    t->head.told[!direction] = true;
    inside.data = reef_arena_copy(&t->head.arena, inside.data, inside.length);
    if (inside.data == NULL)
        return true;
    if (type == AS_REQ || type == TGS_REQ) {
        read_request(t, inside);
        state->request = (uint8_t)type;
        return true;
    }
    if (type == ERROR)
        read_error(t, inside);
    else
        read_reply(t, inside);
    t->failed = state->request;
    state->request = 0;
    if (is_weak(t->encryption))
        reef_transaction_event(call, &t->head, EVENT_WEAK);
    return true;
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

static reef_guess probe(const reef_probe *probe)
{
    reef_view v = probe->bytes, inside, version;
    uint8_t tag;
    if (probe->server_port != PORT && probe->client_port != PORT)
        return REEF_GUESS_NO;
    if (probe->stream) {
        if (v.length < 4)
            return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
        if (reef_be32(v.data) > REEF_KRB5_RECORD_MAX)
            return REEF_GUESS_NO;
        v = (reef_view){v.data + 4, v.length - 4};
    }
    /* [APPLICATION n], a sequence, and in its first element the version: as far as they are there. */
    for (unsigned i = 0; i < 2; i++) {
        if (v.length < 6)
            return probe->stream && !probe->end ? REEF_GUESS_MORE : REEF_GUESS_NO;
        if (i == 0 ? (v.data[0] & 0xe0) != 0x60 : v.data[0] != REEF_DER_SEQUENCE)
            return REEF_GUESS_NO;
        uint32_t head = v.data[1] & 0x80 ? 2 + (v.data[1] & 0x7fu) : 2;
        if (head > 6 || head > v.length)
            return REEF_GUESS_NO;
        v = (reef_view){v.data + head, v.length - head};
    }
    if (reef_der_next(&v, &tag, &inside) != REEF_DER_OK || reef_der_expect(&inside, REEF_DER_INTEGER, &version) != REEF_DER_OK)
        return REEF_GUESS_NO;
    return version.length == 1 && version.data[0] == 5 ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static bool stream_bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    krb5_state *state = call->session->state;
    reef_view v = chunk->bytes;
    if (v.length == 0)
        return true;
    v = app_gather_join(&state->side[direction], call->memory, v);
    if (v.data == NULL)
        return false;
    while (v.length >= 4) {
        uint32_t length = reef_be32(v.data);
        if (length > REEF_KRB5_RECORD_MAX)
            return false;
        if (length > v.length - 4)
            break;
        if (!read_message(call, direction, (reef_view){v.data + 4, length}))
            return false;
        v.data += 4 + length;
        v.length -= 4 + length;
    }
    return app_gather_keep(&state->side[direction], call->memory, v);
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    if (call->flow->key.protocol == REEF_PROTO_TCP)
        return stream_bytes(call, direction, chunk);
    return chunk->bytes.length == 0 || read_message(call, direction, chunk->bytes);
}

static void free_state(reef_memory *memory, reef_session *session)
{
    krb5_state *state = session->state;
    app_gather_free(&state->side[0], memory);
    app_gather_free(&state->side[1], memory);
}

/* --- what rules ask -------------------------------------------------------------------------------------------- */

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_KRB5_CNAME, REEF_TO_SERVER, 1}, {REEF_BUFFER_KRB5_CNAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_KRB5_SNAME, REEF_TO_SERVER, 1}, {REEF_BUFFER_KRB5_SNAME, REEF_TO_CLIENT, 1},
};

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    const krb5_transaction *t = (const krb5_transaction *)transaction;
    reef_view names = kind == REEF_BUFFER_KRB5_CNAME ? t->client : t->server;
    uint8_t tag;
    (void)session;
    if (direction != t->direction)
        return false;
    for (;; index--) {
        if (names.length == 0 || reef_der_next(&names, &tag, &out->bytes) != REEF_DER_OK)
            return false;
        if (index == 0)
            break;
    }
    out->end = true;
    return true;
}

static bool value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const krb5_transaction *t = (const krb5_transaction *)transaction;
    (void)session;
    if (direction != t->direction || index > 0)
        return false;
    if (kind == REEF_VALUE_KRB5_MSG_TYPE) {
        *out = t->type;
        return true;
    }
    *out = (uint64_t)t->error;
    return kind == REEF_VALUE_KRB5_ERR_CODE && t->error >= 0;
}

/* --- EVE --------------------------------------------------------------------------------------------------------- */

static const char *message_name(unsigned type)
{
    switch (type) {
    case AS_REQ:
        return "KRB_AS_REQ";
    case AS_REP:
        return "KRB_AS_REP";
    case TGS_REQ:
        return "KRB_TGS_REQ";
    case TGS_REP:
        return "KRB_TGS_REP";
    case ERROR:
        return "KRB_ERROR";
    default:
        return "UNKNOWN";
    }
}

static void write_encryption(reef_json *json, const char *key, int32_t encryption)
{
    static const char *const names[] = {
        [1] = "DES_CBC_CRC",  [2] = "DES_CBC_MD4",    [3] = "DES_CBC_MD5",
        [16] = "DES3_CBC_SHA1_KD", [17] = "AES128_CTS_HMAC_SHA1_96", [18] = "AES256_CTS_HMAC_SHA1_96",
        [19] = "AES128_CTS_HMAC_SHA256_128", [20] = "AES256_CTS_HMAC_SHA384_192", [23] = "RC4_HMAC",
        [24] = "RC4_HMAC_EXP", [25] = "CAMELLIA128_CTS_CMAC", [26] = "CAMELLIA256_CTS_CMAC",
    };
    if (encryption >= 0 && (size_t)encryption < sizeof names / sizeof names[0] && names[encryption] != NULL) {
        reef_json_text(json, key, names[encryption]);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "EncryptionType(%d)", encryption);
    reef_json_text(json, key, encryption < 0 ? "<none>" : text);
}

static void write_error(reef_json *json, int32_t error)
{
    static const char *const names[] = {
        [0] = "KDC_ERR_NONE",           [3] = "KDC_ERR_BAD_PVNO",        [6] = "KDC_ERR_C_PRINCIPAL_UNKNOWN",
        [7] = "KDC_ERR_S_PRINCIPAL_UNKNOWN", [9] = "KDC_ERR_NULL_KEY",   [12] = "KDC_ERR_POLICY",
        [13] = "KDC_ERR_BADOPTION",     [14] = "KDC_ERR_ETYPE_NOSUPP",   [16] = "KDC_ERR_PADATA_TYPE_NOSUPP",
        [18] = "KDC_ERR_CLIENT_REVOKED", [20] = "KDC_ERR_TGT_REVOKED",   [23] = "KDC_ERR_KEY_EXPIRED",
        [24] = "KDC_ERR_PREAUTH_FAILED", [25] = "KDC_ERR_PREAUTH_REQUIRED", [31] = "KRB_AP_ERR_BAD_INTEGRITY",
        [32] = "KRB_AP_ERR_TKT_EXPIRED", [37] = "KRB_AP_ERR_SKEW",       [41] = "KRB_AP_ERR_MODIFIED",
        [52] = "KRB_ERR_RESPONSE_TOO_BIG", [60] = "KRB_ERR_GENERIC",     [68] = "KDC_ERR_WRONG_REALM",
    };
    char text[32];
    snprintf(text, sizeof text, "ErrorCode(%d)", error);
    bool known = (size_t)error < sizeof names / sizeof names[0] && names[error] != NULL;
    reef_json_text(json, "error_code", known ? names[error] : text);
}

/* The strings of a name with slashes between. */
static void write_principal(reef_json *json, const char *key, reef_view names)
{
    uint8_t text[REEF_KRB5_NAME_MAX];
    uint32_t at = 0;
    reef_view part;
    uint8_t tag;
    if (names.data == NULL) {
        reef_json_text(json, key, "<empty>");
        return;
    }
    while (names.length > 0 && reef_der_next(&names, &tag, &part) == REEF_DER_OK && at < sizeof text) {
        if (at > 0)
            text[at++] = '/';
        uint32_t n = part.length < sizeof text - at ? part.length : (uint32_t)sizeof text - at;
        memcpy(text + at, part.data, n);
        at += n;
    }
    reef_json_bytes(json, key, text, at, sizeof text);
}

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    const krb5_transaction *t = (const krb5_transaction *)transaction;
    (void)session, (void)which;
    reef_json_text(json, "msg_type", message_name(t->type));
    if (t->error >= 0) {
        reef_json_text(json, "failed_request", message_name(t->failed));
        write_error(json, t->error);
    }
    write_principal(json, "cname", t->client);
    if (t->realm.data != NULL)
        reef_json_bytes(json, "realm", t->realm.data, t->realm.length, REEF_KRB5_NAME_MAX);
    else
        reef_json_text(json, "realm", "<empty>");
    write_principal(json, "sname", t->server);
    write_encryption(json, "encryption", t->encryption);
    reef_json_bool(json, "weak_encryption", is_weak(t->encryption));
    if (t->ticket_encryption >= 0) {
        write_encryption(json, "ticket_encryption", t->ticket_encryption);
        reef_json_bool(json, "ticket_weak_encryption", is_weak(t->ticket_encryption));
    }
    return true;
}

extern const reef_protocol reef_protocol_krb5;
const reef_protocol reef_protocol_krb5 = {
    .name = "krb5",
    .event_type = "krb5",
    .complete = {1, 1},
    .state_size = sizeof(krb5_state),
    .transaction_size = sizeof(krb5_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .events = events,
    .events_count = EVENTS,
    .write = write,
};
