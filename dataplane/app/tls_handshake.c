/* Handshake messages: whole ones are read where they lie, those of several records are gathered. */
#include <string.h>

#include "reef/bytes.h"
#include "reef/limits.h"
#include "tls_internal.h"

enum {
    HELLO_REQUEST = 0, CLIENT_HELLO = 1, SERVER_HELLO = 2, NEW_SESSION_TICKET = 4, CERTIFICATE = 11, SERVER_KEY_EXCHANGE = 12,
    CERTIFICATE_REQUEST = 13, SERVER_HELLO_DONE = 14, CERTIFICATE_VERIFY = 15, CLIENT_KEY_EXCHANGE = 16, FINISHED = 20,
    CERTIFICATE_URL = 21, CERTIFICATE_STATUS = 22,
};

static bool is_known(uint8_t type)
{
    static const uint32_t known = 1u << HELLO_REQUEST | 1u << CLIENT_HELLO | 1u << SERVER_HELLO | 1u << NEW_SESSION_TICKET |
                                  1u << CERTIFICATE | 1u << SERVER_KEY_EXCHANGE | 1u << CERTIFICATE_REQUEST |
                                  1u << SERVER_HELLO_DONE | 1u << CERTIFICATE_VERIFY | 1u << CLIENT_KEY_EXCHANGE |
                                  1u << FINISHED | 1u << CERTIFICATE_URL | 1u << CERTIFICATE_STATUS;
    return type < 32 && (known >> type & 1) != 0;
}

/* --- hello -------------------------------------------------------------------------------------------------- */

static void raise_wrong(reef_call *call, unsigned wrong)
{
    if (wrong & REEF_HELLO_BAD_LENGTH)
        tls_raise(call, TLS_EV_HANDSHAKE_INVALID_LENGTH);
    if (wrong & REEF_HELLO_BAD_SNI_TYPE)
        tls_raise(call, TLS_EV_INVALID_SNI_TYPE);
    if (wrong & REEF_HELLO_BAD_SNI_LENGTH)
        tls_raise(call, TLS_EV_INVALID_SNI_LENGTH);
    if (wrong & REEF_HELLO_TWO_SNI)
        tls_raise(call, TLS_EV_MULTIPLE_SNI);
}

/* Early drafts of TLS 1.3 said 1.3 here, or a number of their own. */
static uint16_t version_of_field(uint16_t version)
{
    return version == 0x0304 || (version >= 0x7f01 && version < 0x7f10) ? 0x7f01 : version;
}

static void take_version(tls_state *state, tls_side *side, const reef_tls_hello *hello, bool server)
{
    side->version = version_of_field(hello->legacy_version);
    if (hello->version != 0)
        side->version = hello->version;
    if (hello->old)
        state->flags |= TLS_WITHOUT_CERTIFICATE;
    if (!server && hello->versions)
        state->flags |= TLS_CLIENT_VERSIONS;
    if (server && hello->version > 0x0303 && (state->flags & TLS_CLIENT_VERSIONS))
        state->flags |= TLS_WITHOUT_CERTIFICATE;
}

/* The same session as before: the server repeats the identifier, or a ticket may have been taken. */
static void take_session(tls_state *state, tls_side *side, const reef_tls_hello *hello, bool server)
{
    const reef_view *client = &state->side[REEF_TO_SERVER].session_id;
    if (!server && hello->ticket)
        state->flags |= TLS_RESUMED;
    if (hello->session_id.length == 0 || side->session_id.length != 0)
        return;
    side->session_id = hello->session_id;
    if (server && client->length == side->session_id.length && memcmp(client->data, side->session_id.data, client->length) == 0)
        state->flags |= TLS_RESUMED;
}

static void read_hello(reef_call *call, int direction, reef_view message, bool server)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    reef_tls_hello hello;
    if (side->hellos == REEF_TLS_HELLOS_MAX)
        return;
    side->hellos++;
    uint8_t *copy = reef_arena_copy(&state->arena, message.data, message.length);
    if (copy == NULL)
        return;
    reef_tls_hello_read((reef_view){copy, message.length}, server, side->hello.sni.data != NULL, &hello);
    raise_wrong(call, hello.wrong);
    if (hello.legacy_version == 0 && message.length < 2)
        return;
    if (message.length >= 2)
        take_version(state, side, &hello, server);
    if (hello.random.length == 32) {
        /* By what the message is rather than by who sent it, as Suricata does. */
        tls_side *owner = &state->side[server ? REEF_TO_CLIENT : REEF_TO_SERVER];
        memcpy(owner->random, hello.random.data, 32);
        owner->has_random = true;
    }
    take_session(state, side, &hello, server);
    if (!server && hello.early_data)
        state->flags |= TLS_EARLY_DATA;
    if (!side->hello.whole) {
        reef_view sni = side->hello.sni;
        side->hello = hello;
        if (sni.data != NULL)
            side->hello.sni = sni;
    }
    state->flags |= server ? TLS_SERVER_HELLO : TLS_CLIENT_HELLO;
    reef_transaction_progress(state->transaction, direction, TLS_HELLO);
    state->transaction->updated[direction] = true;
}

/* --- certificates --------------------------------------------------------------------------------------------- */

static void raise_certificate(reef_call *call, reef_x509_status status)
{
    static const uint8_t events[] = {
        [REEF_X509_BAD_LENGTH] = TLS_EV_CERTIFICATE_LENGTH,       [REEF_X509_BAD_VERSION] = TLS_EV_CERTIFICATE_VERSION,
        [REEF_X509_BAD_SERIAL] = TLS_EV_CERTIFICATE_SERIAL,       [REEF_X509_BAD_ALGORITHM] = TLS_EV_CERTIFICATE_ALGORITHM,
        [REEF_X509_BAD_NAME] = TLS_EV_CERTIFICATE_NAME,           [REEF_X509_BAD_DATE] = TLS_EV_CERTIFICATE_DATE,
        [REEF_X509_BAD_EXTENSIONS] = TLS_EV_CERTIFICATE_EXTENSIONS, [REEF_X509_BAD_DER] = TLS_EV_CERTIFICATE_DER,
        [REEF_X509_BAD_CERTIFICATE] = TLS_EV_INVALID_CERTIFICATE, [REEF_X509_BAD_SUBJECT] = TLS_EV_CERTIFICATE_SUBJECT,
        [REEF_X509_BAD_ISSUER] = TLS_EV_CERTIFICATE_ISSUER};
    if (status < sizeof events && status != REEF_X509_OK)
        tls_raise(call, events[status]);
}

/* The chain: certificate_list<0..2^24-1> of certificates behind their lengths. Fields are kept of the first one that can
 * be read. */
static void read_certificates(reef_call *call, int direction, reef_view m)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    if (m.length < 3 || reef_be24(m.data) > m.length - 3 || side->has_certificates)
        return;
    uint32_t length = reef_be24(m.data);
    const uint8_t *list = reef_arena_copy(&state->arena, m.data + 3, length);
    if (list == NULL)
        return;
    side->certificates = (reef_view){list, 0};
    side->has_certificates = true;
    for (uint32_t at = 0; at < length;) {
        const uint8_t *p = list + at;
        if (length - at < 3 || reef_be24(p) > length - at - 3) {
            tls_raise(call, TLS_EV_INVALID_CERTIFICATE);
            break;
        }
        reef_view certificate = {p + 3, reef_be24(p)};
        if (!side->has_certificate) {
            reef_x509_status status = reef_x509_read(certificate, &state->arena, &side->certificate);
            raise_certificate(call, status);
            side->has_certificate = status == REEF_X509_OK;
            if (status == REEF_X509_BAD_SUBJECT || status == REEF_X509_BAD_ISSUER || status == REEF_X509_NO_MEMORY)
                break;
            if (status != REEF_X509_OK) { /* not one of the chain, then; it must stay first in it */
                at += 3 + certificate.length;
                if (side->chain == 0)
                    side->certificates.data = p + 3 + certificate.length;
                continue;
            }
        }
        at += 3 + certificate.length;
        side->chain++;
        side->certificates.length = (uint32_t)(p + 3 + certificate.length - side->certificates.data);
    }
    reef_transaction_progress(state->transaction, direction, TLS_CERTIFICATE);
    state->transaction->updated[direction] = true;
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static bool take_message(reef_call *call, int direction, uint8_t type, reef_view message)
{
    tls_state *state = call->session->state;
    if (message.length == 0)
        return true;
    switch (type) {
    case CLIENT_HELLO:
    case SERVER_HELLO:
        read_hello(call, direction, message, type == SERVER_HELLO);
        break;
    case CERTIFICATE:
        read_certificates(call, direction, message);
        break;
    case CERTIFICATE_REQUEST:
        if (direction == REEF_TO_CLIENT)
            state->flags |= TLS_WANTS_CLIENT;
        break;
    case SERVER_KEY_EXCHANGE:
        state->flags |= TLS_SERVER_KEYS;
        break;
    case CLIENT_KEY_EXCHANGE:
        state->flags |= TLS_CLIENT_KEYS;
        break;
    default:
        break;
    }
    return true;
}

/* More of a message that began in another record. */
static bool continue_message(reef_call *call, int direction, reef_view *bytes)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    uint32_t wanted = side->message_size - side->message.length;
    uint32_t n = wanted < bytes->length ? wanted : bytes->length;
    if (side->message_size <= REEF_TLS_MESSAGE_MAX && !reef_piece_add(call->memory, &side->message, (reef_view){bytes->data, n}))
        return false;
    if (side->message_size > REEF_TLS_MESSAGE_MAX) /* longer than anything sensible: passed over */
        side->message.length += n;
    bytes->data += n;
    bytes->length -= n;
    if (side->message.length < side->message_size)
        return true;
    bool sound = side->message_size > REEF_TLS_MESSAGE_MAX ||
                 take_message(call, direction, side->message_type, (reef_view){side->message.data, side->message.length});
    reef_piece_free(call->memory, &side->message);
    side->message_size = 0;
    return sound;
}

bool tls_handshake(reef_call *call, int direction, reef_view bytes)
{
    tls_state *state = call->session->state;
    tls_side *side = &state->side[direction];
    while (bytes.length > 0) {
        if (side->message_size > 0) {
            if (!continue_message(call, direction, &bytes))
                return false;
            continue;
        }
        if (bytes.length < 4) {
            tls_raise(call, TLS_EV_INVALID_SSL_RECORD);
            return false;
        }
        uint8_t type = bytes.data[0];
        uint32_t length = reef_be24(bytes.data + 1);
        bytes.data += 4;
        bytes.length -= 4;
        if (!is_known(type)) {
            uint32_t n = length < bytes.length ? length : bytes.length;
            bytes.data += n;
            bytes.length -= n;
            if (!(state->flags & (direction == REEF_TO_CLIENT ? TLS_SERVER_CHANGED : TLS_CLIENT_CHANGED)))
                tls_raise(call, TLS_EV_INVALID_HANDSHAKE_MESSAGE);
            continue;
        }
        if (length > bytes.length) {
            side->message_size = length;
            side->message_type = type;
            return continue_message(call, direction, &bytes);
        }
        if (!take_message(call, direction, type, (reef_view){bytes.data, length}))
            return false;
        bytes.data += length;
        bytes.length -= length;
    }
    return true;
}
