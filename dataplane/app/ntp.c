/* NTP (RFC 5905): requests of clients, each a transaction; nothing of them is written down. */
#include "reef/protocol.h"

enum { UNSOLICITED_RESPONSE, MALFORMED_DATA, NOT_REQUEST, NOT_RESPONSE, EVENTS_COUNT };

static const char *const event_names[EVENTS_COUNT] = {"unsolicited_response", "malformed_data", "not_request", "not_response"};

enum { HEADER = 48, CONTROL_HEADER = 12, PRIVATE_HEADER = 8 };
enum { SYMMETRIC_ACTIVE = 1, SYMMETRIC_PASSIVE, CLIENT, SERVER, BROADCAST, CONTROL, PRIVATE };

static unsigned mode_of(reef_view bytes)
{
    return bytes.data[0] & 7;
}

/* Versions 1 to 4, a mode that exists, and bytes enough for it. */
static bool is_ntp(reef_view bytes)
{
    if (bytes.length < PRIVATE_HEADER)
        return false;
    unsigned version = bytes.data[0] >> 3 & 7, mode = mode_of(bytes);
    if (version < 1 || version > 4 || mode == 0)
        return false;
    uint32_t least = mode == CONTROL ? CONTROL_HEADER : mode == PRIVATE ? PRIVATE_HEADER : HEADER;
    return bytes.length >= least;
}

static reef_guess probe(const reef_probe *probe)
{
    if (probe->server_port != 123 && probe->client_port != 123)
        return REEF_GUESS_NO;
    return is_ntp(probe->bytes) ? REEF_GUESS_YES : REEF_GUESS_NO;
}

static void tell(reef_call *call, unsigned event)
{
    if (call->session->last != NULL)
        reef_transaction_event(call, call->session->last, event);
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    (void)direction;
    if (chunk->bytes.length == 0)
        return true;
    if (!is_ntp(chunk->bytes)) {
        tell(call, MALFORMED_DATA);
        return true;
    }
    unsigned mode = mode_of(chunk->bytes);
    if (mode != SYMMETRIC_ACTIVE && mode != CLIENT)
        return true;
    reef_transaction *transaction = reef_transaction_new(call);
    if (transaction == NULL)
        return false;
    reef_transaction_progress(transaction, REEF_TO_SERVER, 1);
    reef_transaction_progress(transaction, REEF_TO_CLIENT, 1);
    return true;
}

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                   reef_buffer *out)
{
    (void)session, (void)transaction, (void)direction, (void)kind, (void)index, (void)out;
    return false;
}

extern const reef_protocol reef_protocol_ntp;
const reef_protocol reef_protocol_ntp = {
    .name = "ntp",
    .transport = REEF_PROTO_UDP,
    .complete = {1, 1},
    .transaction_size = sizeof(reef_transaction),
    .probe = probe,
    .bytes = bytes,
    .buffer = buffer,
    .events = event_names,
    .events_count = EVENTS_COUNT,
};
