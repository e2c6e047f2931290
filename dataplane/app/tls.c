/* TLS records (RFC 8446 5.1), and those of SSLv2, as Suricata follows them: until both sides encrypt everything is read, then
 * records are only counted off. One transaction for each connection. */
#include <string.h>

#include "reef/bytes.h"
#include "reef/limits.h"
#include "tls_internal.h"

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION = 23, HEARTBEAT = 24 };
enum { RECORD_HEADER = 5, RECORD_MAX = (1 << 14) + 1024 };
enum { SSLV2 = 0x0200 };

static const char *const events[TLS_EV_COUNT] = {
    [TLS_EV_INVALID_SSLV2_HEADER] = "invalid_sslv2_header",
    [TLS_EV_INVALID_TLS_HEADER] = "invalid_tls_header",
    [TLS_EV_INVALID_RECORD_VERSION] = "invalid_record_version",
    [TLS_EV_INVALID_RECORD_TYPE] = "invalid_record_type",
    [TLS_EV_INVALID_RECORD_LENGTH] = "invalid_record_length",
    [TLS_EV_INVALID_HANDSHAKE_MESSAGE] = "invalid_handshake_message",
    [TLS_EV_HEARTBEAT] = "heartbeat_message",
    [TLS_EV_INVALID_HEARTBEAT] = "invalid_heartbeat_message",
    [TLS_EV_OVERFLOW_HEARTBEAT] = "overflow_heartbeat_message",
    [TLS_EV_DATALEAK_HEARTBEAT] = "dataleak_heartbeat_mismatch",
    [TLS_EV_HANDSHAKE_INVALID_LENGTH] = "handshake_invalid_length",
    [TLS_EV_MULTIPLE_SNI] = "multiple_sni_extensions",
    [TLS_EV_INVALID_SNI_TYPE] = "invalid_sni_type",
    [TLS_EV_INVALID_SNI_LENGTH] = "invalid_sni_length",
    [TLS_EV_TOO_MANY_RECORDS] = "too_many_records_in_packet",
    [TLS_EV_INVALID_CERTIFICATE] = "invalid_certificate",
    [TLS_EV_CERTIFICATE_LENGTH] = "certificate_invalid_length",
    [TLS_EV_CERTIFICATE_VERSION] = "certificate_invalid_version",
    [TLS_EV_CERTIFICATE_SERIAL] = "certificate_invalid_serial",
    [TLS_EV_CERTIFICATE_ALGORITHM] = "certificate_invalid_algorithmidentifier",
    [TLS_EV_CERTIFICATE_NAME] = "certificate_invalid_x509name",
    [TLS_EV_CERTIFICATE_DATE] = "certificate_invalid_date",
    [TLS_EV_CERTIFICATE_EXTENSIONS] = "certificate_invalid_extensions",
    [TLS_EV_CERTIFICATE_DER] = "certificate_invalid_der",
    [TLS_EV_CERTIFICATE_SUBJECT] = "certificate_invalid_subject",
    [TLS_EV_CERTIFICATE_ISSUER] = "certificate_invalid_issuer",
    [TLS_EV_CERTIFICATE_VALIDITY] = "certificate_invalid_validity",
    [TLS_EV_ERROR_MESSAGE] = "error_message_encountered",
    [TLS_EV_INVALID_SSL_RECORD] = "invalid_ssl_record",
};

void tls_raise(reef_call *call, unsigned event)
{
    const tls_state *state = call->session->state;
    reef_transaction_event(call, state->transaction, event);
}

bool tls_is_version(unsigned version)
{
    return (version >= 0x0300 && version <= 0x0304) || (version >= 0x7f10 && version <= 0x7f1c) || version == 0x7f01 ||
           (version >= 0xfb14 && version <= 0xfb17) || version == 0xfb1a;
}

/* --- telling it ------------------------------------------------------------------------------------------------- */

static reef_guess probe(const reef_probe *probe)
{
    const uint8_t *p = probe->bytes.data;
    uint32_t n = probe->bytes.length;
    bool client = probe->direction == REEF_TO_SERVER;
    bool begins = client ? p[0] == HANDSHAKE || p[0] == 1 : p[0] >= ALERT && p[0] <= APPLICATION;
    bool old = client && (p[0] & 0x80) != 0; /* an SSLv2 hello that offers SSLv2, or on TLS's port any of them */
    if (!begins && !old)
        return REEF_GUESS_NO;
    if (begins && ((n > 1 && p[1] != 3) || (n > 2 && p[2] > 3)))
        return REEF_GUESS_NO;
    if (n < 3)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    if (begins)
        return REEF_GUESS_YES;
    if (p[2] != 1)
        return REEF_GUESS_NO;
    if (probe->server_port == 443)
        return REEF_GUESS_YES;
    if (n < 5)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    return p[3] == 0 && p[4] == 2 ? REEF_GUESS_YES : REEF_GUESS_NO;
}

/* --- heartbeats (RFC 6520), for CVE-2014-0160 ------------------------------------------------------------------------ */

static bool begin_heartbeat(reef_call *call, int direction, reef_view body)
{
    tls_state *state = call->session->state;
    state->flags |= TLS_HEARTBEAT | (direction == REEF_TO_CLIENT ? TLS_HEARTBEAT_SERVER : TLS_HEARTBEAT_CLIENT);
    if (state->flags & TLS_CHANGED_CIPHER) { /* encrypted: only its length can be compared */
        state->heartbeat = body.length;
        return true;
    }
    uint32_t payload = reef_be16(body.data + 1);
    if (payload + 3 > body.length) {
        tls_raise(call, TLS_EV_OVERFLOW_HEARTBEAT);
        return false;
    }
    if (body.length - payload - 3 < 16) { /* padding_length: at least 16 */
        tls_raise(call, TLS_EV_INVALID_HEARTBEAT);
        return false;
    }
    return true;
}

static bool take_heartbeat(reef_call *call, int direction, reef_view body)
{
    tls_state *state = call->session->state;
    uint32_t own = direction == REEF_TO_CLIENT ? TLS_HEARTBEAT_SERVER : TLS_HEARTBEAT_CLIENT;
    if (body.length < 3)
        return true;
    if (!(state->flags & TLS_CHANGED_CIPHER) && body.data[0] != 1 && body.data[0] != 2) {
        tls_raise(call, TLS_EV_INVALID_HEARTBEAT);
        return false;
    }
    if (!(state->flags & TLS_HEARTBEAT))
        return begin_heartbeat(call, direction, body);
    if (state->flags & own) { /* two at a time */
        tls_raise(call, TLS_EV_INVALID_HEARTBEAT);
        return false;
    }
    state->flags &= ~(uint32_t)(TLS_HEARTBEAT | TLS_HEARTBEAT_CLIENT | TLS_HEARTBEAT_SERVER);
    bool longer = (state->flags & TLS_CHANGED_CIPHER) && state->heartbeat > 0 && state->heartbeat < body.length;
    state->heartbeat = 0;
    if (longer)
        tls_raise(call, TLS_EV_DATALEAK_HEARTBEAT);
    return !longer;
}

/* --- records ---------------------------------------------------------------------------------------------------------- */

typedef enum taken { TAKEN, SHORT, WRONG } taken;

static void handshake_is_done(tls_state *state)
{
    state->flags |= TLS_HANDSHAKE_DONE;
    reef_transaction_progress(state->transaction, REEF_TO_SERVER, TLS_DONE);
    reef_transaction_progress(state->transaction, REEF_TO_CLIENT, TLS_DONE);
}

static void take_application(reef_call *call)
{
    tls_state *state = call->session->state;
    /* Early data comes before the server has said anything. */
    if ((state->flags & TLS_EARLY_DATA) && !(state->flags & TLS_SERVER_HELLO))
        return;
    if (!(state->flags & TLS_HANDSHAKE_DONE))
        handshake_is_done(state);
    reef_session_stop_inspection(call->session);
}

static bool take_handshake(reef_call *call, int direction, reef_view body)
{
    tls_state *state = call->session->state;
    if (state->flags & TLS_CHANGED_CIPHER) {
        /* In TLS 1.3 that record means nothing (RFC 8446 D.4). */
        bool hollow = (state->flags & TLS_CLIENT_HELLO) && state->side[REEF_TO_SERVER].version > 0x0303 &&
                      !(state->flags & TLS_SERVER_HELLO);
        if (!hollow)
            return true;
    }
    if (body.length < 4) {
        tls_raise(call, TLS_EV_INVALID_SSL_RECORD);
        return false;
    }
    if (!tls_handshake(call, direction, body)) {
        tls_raise(call, TLS_EV_INVALID_HANDSHAKE_MESSAGE);
        return false;
    }
    return true;
}

static bool take_body(reef_call *call, int direction, uint8_t type, reef_view body)
{
    tls_state *state = call->session->state;
    switch (type) {
    case CHANGE_CIPHER_SPEC:
        state->flags |= TLS_CHANGED_CIPHER | (direction == REEF_TO_CLIENT ? TLS_SERVER_CHANGED : TLS_CLIENT_CHANGED);
        return true;
    case HANDSHAKE:
        return take_handshake(call, direction, body);
    case HEARTBEAT:
        return take_heartbeat(call, direction, body);
    default:
        return true;
    }
}

/* The record at the front of `bytes`; `used` says how much of them it is. */
static taken take_record(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    const uint8_t *p = bytes.data;
    if (bytes.length < RECORD_HEADER)
        return SHORT;
    uint16_t before = side->version;
    uint32_t length = reef_be16(p + 3);
    bool fixed = (state->flags & (direction == REEF_TO_SERVER ? TLS_CLIENT_HELLO : TLS_SERVER_HELLO)) && side->version != 0;
    uint16_t version = fixed ? side->version : reef_be16(p + 1);
    if (p[0] < CHANGE_CIPHER_SPEC || p[0] > HEARTBEAT) {
        tls_raise(call, TLS_EV_INVALID_RECORD_TYPE);
        if (before != 0x0301 && before != 0x0302) /* there types could still be added: such a record is passed over */
            return WRONG;
        *used = RECORD_HEADER;
        side->skip = length;
        return TAKEN;
    }
    side->version = version;
    if (length == 0 || length > RECORD_MAX) {
        tls_raise(call, length == 0 || tls_is_version(version) ? TLS_EV_INVALID_RECORD_LENGTH : TLS_EV_INVALID_RECORD_VERSION);
        return WRONG;
    }
    if (!tls_is_version(version)) {
        tls_raise(call, TLS_EV_INVALID_RECORD_VERSION);
        return WRONG;
    }
    uint32_t there = bytes.length - RECORD_HEADER;
    if (p[0] == APPLICATION) { /* nobody needs its bytes */
        take_application(call);
        reef_session_boundary(call->session, direction);
        *used = RECORD_HEADER + (there < length ? there : length);
        side->skip = length - (*used - RECORD_HEADER);
        return TAKEN;
    }
    if (there < length)
        return SHORT;
    *used = RECORD_HEADER + length;
    reef_session_boundary(call->session, direction);
    return take_body(call, direction, p[0], (reef_view){p + RECORD_HEADER, length}) ? TAKEN : WRONG;
}

/* --- SSLv2 --------------------------------------------------------------------------------------------------------------- */

enum { OLD_ERROR, OLD_CLIENT_HELLO, OLD_CLIENT_MASTER_KEY, OLD_CLIENT_FINISHED, OLD_SERVER_HELLO, OLD_SERVER_VERIFY,
       OLD_SERVER_FINISHED, OLD_REQUEST_CERTIFICATE, OLD_CLIENT_CERTIFICATE };

static void old_encryption(reef_call *call, int direction)
{
    tls_state *state = call->session->state;
    if (!(state->flags & TLS_OLD_CLIENT) || !(state->flags & TLS_OLD_SERVER))
        return;
    if (direction == REEF_TO_CLIENT)
        state->flags |= TLS_OLD_SERVER_ENCRYPTED;
    else if (state->flags & (TLS_OLD_NO_SESSION | TLS_OLD_MASTER_KEY))
        state->flags |= TLS_OLD_CLIENT_ENCRYPTED;
    if ((state->flags & TLS_OLD_SERVER_ENCRYPTED) && (state->flags & TLS_OLD_CLIENT_ENCRYPTED))
        reef_session_stop_inspection(call->session);
}

static bool take_old_body(reef_call *call, int direction, uint8_t type, reef_view body)
{
    tls_state *state = call->session->state;
    switch (type) {
    case OLD_ERROR:
        tls_raise(call, TLS_EV_ERROR_MESSAGE);
        break;
    case OLD_CLIENT_HELLO:
        if (body.length < 6) {
            tls_raise(call, TLS_EV_INVALID_SSL_RECORD);
            return false;
        }
        state->flags |= TLS_CLIENT_HELLO | TLS_OLD_CLIENT;
        state->side[direction].version = reef_be16(body.data);
        if (reef_be16(body.data + 4) == 0)
            state->flags |= TLS_OLD_NO_SESSION;
        reef_transaction_progress(state->transaction, direction, TLS_HELLO);
        break;
    case OLD_CLIENT_MASTER_KEY:
        state->flags |= TLS_OLD_MASTER_KEY;
        break;
    case OLD_SERVER_HELLO:
        state->flags |= TLS_SERVER_HELLO | TLS_OLD_SERVER;
        reef_transaction_progress(state->transaction, direction, TLS_HELLO);
        break;
    case OLD_CLIENT_FINISHED:
    case OLD_SERVER_VERIFY:
    case OLD_SERVER_FINISHED:
    case OLD_REQUEST_CERTIFICATE:
    case OLD_CLIENT_CERTIFICATE:
        old_encryption(call, direction);
        break;
    default:
        break;
    }
    return true;
}

/* Two bytes of length, or three with padding; then the type. */
static taken take_old_record(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    tls_state *state = call->session->state;
    const uint8_t *p = bytes.data;
    uint32_t lead = p[0] & 0x80 ? 2 : 3;
    if (bytes.length < lead + 1)
        return SHORT;
    uint32_t length = (uint32_t)(p[0] & (lead == 2 ? 0x7f : 0x3f)) << 8 | p[1];
    state->side[direction].version = SSLV2;
    if (lead + length > bytes.length)
        return SHORT;
    if (length == 0) {
        tls_raise(call, TLS_EV_INVALID_SSLV2_HEADER);
        tls_raise(call, TLS_EV_INVALID_SSL_RECORD);
        return WRONG;
    }
    *used = lead + length;
    if (take_old_body(call, direction, p[lead], (reef_view){p + lead + 1, length - 1}))
        return TAKEN;
    tls_raise(call, TLS_EV_INVALID_SSL_RECORD);
    return WRONG;
}

/* --- the stream ------------------------------------------------------------------------------------------------------------ */

static taken take_any(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    tls_state *state = call->session->state;
    if (bytes.data[0] & 0xc0) /* no TLS record begins so */
        return take_old_record(call, direction, bytes, used);
    if (state->side[direction].version == SSLV2)
        state->side[direction].version = 0;
    return take_record(call, direction, bytes, used);
}

/* Records of `bytes` until they end in the middle of one; `used` says where. */
static taken take_records(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    tls_side *side = &((tls_state *)call->session->state)->side[direction];
    *used = 0;
    while (*used < bytes.length) {
        uint32_t n = bytes.length - *used;
        if (side->skip > 0) {
            uint32_t skipped = side->skip < n ? side->skip : n;
            side->skip -= skipped;
            *used += skipped;
            continue;
        }
        taken answer = take_any(call, direction, (reef_view){bytes.data + *used, n}, &n);
        if (answer != TAKEN)
            return answer;
        *used += n;
    }
    return TAKEN;
}

/* The first bytes of a record are held: add to them until it is whole. */
static taken complete_record(reef_call *call, int direction, reef_view *bytes)
{
    tls_side *side = &((tls_state *)call->session->state)->side[direction];
    uint32_t used = 0;
    while (bytes->length > 0) {
        const uint8_t *p = side->record.data;
        uint32_t have = side->record.length, wanted;
        if (p[0] & 0xc0) {
            uint32_t lead = p[0] & 0x80 ? 2 : 3;
            wanted = have < lead + 1 ? lead + 1 : lead + (((uint32_t)(p[0] & (lead == 2 ? 0x7f : 0x3f)) << 8) | p[1]);
        } else {
            wanted = have < RECORD_HEADER ? RECORD_HEADER : RECORD_HEADER + (uint32_t)reef_be16(p + 3);
        }
        uint32_t n = wanted > have ? wanted - have : 1;
        if (n > bytes->length)
            n = bytes->length;
        if (!reef_piece_add(call->memory, &side->record, (reef_view){bytes->data, n}))
            return WRONG;
        bytes->data += n;
        bytes->length -= n;
        taken answer = take_any(call, direction, (reef_view){side->record.data, side->record.length}, &used);
        if (answer == SHORT)
            continue;
        reef_piece_free(call->memory, &side->record);
        return answer;
    }
    return SHORT;
}

static taken take_bytes(reef_call *call, int direction, reef_view bytes)
{
    tls_side *side = &((tls_state *)call->session->state)->side[direction];
    uint32_t used;
    if (side->record.length > 0) {
        taken answer = complete_record(call, direction, &bytes);
        if (answer != TAKEN)
            return answer;
    }
    taken answer = take_records(call, direction, bytes, &used);
    if (answer == SHORT && !reef_piece_add(call->memory, &side->record, (reef_view){bytes.data + used, bytes.length - used}))
        return WRONG;
    return answer;
}

static bool begin(reef_call *call, tls_state *state)
{
    reef_arena_init(&state->arena, call->memory);
    state->transaction = reef_transaction_new(call);
    return state->transaction != NULL;
}

/* Certificates are there where they are expected: nothing more comes that could be read. */
static void look_whether_done(tls_state *state)
{
    int who = state->flags & TLS_WANTS_CLIENT ? REEF_TO_SERVER : REEF_TO_CLIENT;
    if (!(state->flags & TLS_HANDSHAKE_DONE) && state->side[who].has_certificate)
        handshake_is_done(state);
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    if (state->transaction == NULL && (call->session->transactions > 0 || !begin(call, state)))
        return false; /* both sides have ended, or there is no memory */
    if (call->pdus)
        tls_note_records(call, direction, chunk);
    if (side->skip >= chunk->bytes.length && !chunk->end) { /* the most frequent case by far */
        side->skip -= chunk->bytes.length;
        return true;
    }
    if (chunk->bytes.length > 0) {
        taken answer = take_bytes(call, direction, chunk->bytes);
        if (answer == WRONG)
            return false;
        if (answer == TAKEN)
            look_whether_done(state);
    }
    if (chunk->end)
        reef_transaction_progress(state->transaction, direction, TLS_FINISHED);
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    tls_state *state = session->state;
    for (int d = 0; d < 2; d++) {
        reef_piece_free(memory, &state->side[d].record);
        reef_piece_free(memory, &state->side[d].message);
    }
    if (state->arena.memory != NULL)
        reef_arena_free(&state->arena);
}

static void free_transaction(reef_memory *memory, reef_session *session, reef_transaction *transaction)
{
    (void)memory;
    tls_state *state = session->state;
    if (state->transaction == transaction)
        state->transaction = NULL;
}

const reef_protocol reef_protocol_tls = {
    .name = "tls",
    .event_type = "tls",
    .transport = REEF_PROTO_TCP,
    .first = REEF_WAY_TO_SERVER,
    .complete = {TLS_FINISHED, TLS_FINISHED},
    .logged = {TLS_DONE, TLS_DONE},
    .state_size = sizeof(tls_state),
    .transaction_size = sizeof(reef_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .free_transaction = free_transaction,
    .buffers = tls_buffers,
    .buffers_count = TLS_BUFFERS,
    .buffer = tls_buffer,
    .value = tls_value,
    .events = events,
    .events_count = TLS_EV_COUNT,
    .write = tls_write,
};
