/* IKE on UDP port 500: each message is a transaction. */
#include "ike_internal.h"

#include "reef/bytes.h"

enum { PORT = 500 };
enum { IKE_SA_INIT = 34, INFORMATIONAL = 37 };

static const char *const events[IKE_EVENTS] = {
    "malformed_data",   "no_encryption",     "weak_crypto_enc",     "weak_crypto_prf",  "weak_crypto_dh",
    "weak_crypto_auth", "weak_crypto_no_dh", "weak_crypto_no_auth", "invalid_proposal", "unknown_proposal",
    "payload_extra_data", "multiple_server_proposal",
};

static reef_guess probe(const reef_probe *probe)
{
    reef_view v = probe->bytes;
    if ((probe->server_port != PORT && probe->client_port != PORT) || v.length < IKE_HEADER)
        return REEF_GUESS_NO;
    unsigned major = v.data[17] >> 4;
    if (major == 2 && ((v.data[17] & 15) != 0 || v.data[18] < IKE_SA_INIT || v.data[18] > INFORMATIONAL ||
                       reef_be32(v.data + 24) != v.length))
        return REEF_GUESS_NO;
    if (major != 1 && major != 2)
        return REEF_GUESS_NO;
    if (reef_be64(v.data + 8) == 0) /* no responder yet: the first message */
        *probe->turned = probe->direction == REEF_TO_CLIENT;
    return REEF_GUESS_YES;
}

static void hex_of(const uint8_t *p, char out[16])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 8; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    reef_view v = chunk->bytes;
    if (v.length < IKE_HEADER || (v.data[17] >> 4 != 1 && v.data[17] >> 4 != 2))
        return v.length == 0;
    ike_transaction *t = (ike_transaction *)reef_transaction_new(call);
    if (t == NULL)
        return true;
    t->direction = (uint8_t)direction;
    hex_of(v.data, t->initiator);
    hex_of(v.data + 8, t->responder);
    t->major = v.data[17] >> 4;
    t->minor = v.data[17] & 15;
    t->exchange = v.data[18];
    t->flags = v.data[19];
    t->message_id = reef_be32(v.data + 20);
    reef_transaction_progress(&t->head, direction, 1);
    t->head.progress[!direction] = 1; /* the other way there is nothing to see */
    t->head.told[!direction] = true;
    reef_view payloads = {v.data + IKE_HEADER, v.length - IKE_HEADER};
    if (t->major == 2)
        ike_read_2(call, t, v.data[16], payloads);
    else if (!(t->flags & IKE_ENCRYPTED) && !ike_read_1(call, t, v.data[16], payloads))
        reef_transaction_event(call, &t->head, IKE_EVENT_MALFORMED);
    return true;
}

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_IKE_INIT_SPI, REEF_TO_SERVER, 1},
    {REEF_BUFFER_IKE_RESP_SPI, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_IKE_VENDOR, REEF_TO_SERVER, 1},
    {REEF_BUFFER_IKE_KEY_EXCHANGE_PAYLOAD, REEF_TO_SERVER, 1},
    {REEF_BUFFER_IKE_KEY_EXCHANGE_PAYLOAD, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_IKE_NONCE_PAYLOAD, REEF_TO_SERVER, 1},
    {REEF_BUFFER_IKE_NONCE_PAYLOAD, REEF_TO_CLIENT, 1},
};

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    const ike_transaction *t = (const ike_transaction *)transaction;
    const ike_vendor *vendor = t->vendors;
    (void)session;
    if (direction != t->direction)
        return false;
    out->end = true;
    switch (kind) {
    case REEF_BUFFER_IKE_INIT_SPI:
        out->bytes = (reef_view){(const uint8_t *)t->initiator, sizeof t->initiator};
        return true;
    case REEF_BUFFER_IKE_RESP_SPI:
        out->bytes = (reef_view){(const uint8_t *)t->responder, sizeof t->responder};
        return true;
    case REEF_BUFFER_IKE_VENDOR:
        for (; vendor != NULL && index > 0; index--)
            vendor = vendor->next;
        if (vendor != NULL)
            out->bytes = vendor->hex;
        return vendor != NULL;
    case REEF_BUFFER_IKE_KEY_EXCHANGE_PAYLOAD:
        out->bytes = t->key_exchange;
        return t->key_exchange.length > 0;
    case REEF_BUFFER_IKE_NONCE_PAYLOAD:
        out->bytes = t->nonce;
        return t->nonce.length > 0;
    default:
        return false;
    }
}

static bool value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const ike_transaction *t = (const ike_transaction *)transaction;
    (void)session;
    if (direction != t->direction)
        return false;
    switch (kind) {
    case REEF_VALUE_IKE_EXCHTYPE:
        *out = t->exchange;
        return index == 0;
    case REEF_VALUE_IKE_KEY_EXCHANGE_PAYLOAD_LENGTH:
        *out = t->key_exchange.length;
        return index == 0 && t->key_exchange.length > 0;
    case REEF_VALUE_IKE_NONCE_PAYLOAD_LENGTH:
        *out = t->nonce.length;
        return index == 0 && t->nonce.length > 0;
    case REEF_VALUE_IKE_CHOSEN_SA_ATTRIBUTE:
        if (direction != REEF_TO_CLIENT || t->transforms_count == 0 || index >= t->transforms[0].attributes)
            return false;
        *out = (uint64_t)t->transforms[0].attribute[index].type << 32 | t->transforms[0].attribute[index].value;
        return true;
    default:
        return false;
    }
}

extern const reef_protocol reef_protocol_ike;
const reef_protocol reef_protocol_ike = {
    .name = "ike",
    .event_type = "ike",
    .transport = REEF_PROTO_UDP,
    .complete = {1, 1},
    .state_size = sizeof(ike_state),
    .transaction_size = sizeof(ike_transaction),
    .probe = probe,
    .bytes = bytes,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .events = events,
    .events_count = IKE_EVENTS,
    .write = ike_write,
};
