/* DNS on UDP and TCP (RFC 1035, RFC 7766): one transaction for each message, complete as soon as it is there. */
#include <string.h>

#include "dns_internal.h"
#include "piece.h"
#include "reef/bytes.h"
#include "reef/limits.h"

typedef struct dns_transaction {
    reef_transaction head;
    reef_dns_message message; /* its bytes lie in the arena */
    uint8_t direction;
    reef_view question;       /* name of the first question, once somebody asked for it */
    uint32_t at;              /* where the record after the last one asked for begins: instances are asked for in turn */
    uint8_t at_section;
    uint32_t at_index;
} dns_transaction;

typedef struct dns_state { /* of TCP: what of a message is there */
    reef_piece held[2];
    bool gap[2];
} dns_state;

static const char *const events[REEF_DNS_EVENTS] = {
    [REEF_DNS_MALFORMED] = "malformed_data",         [REEF_DNS_NOT_REQUEST] = "not_request",
    [REEF_DNS_NOT_RESPONSE] = "not_response",        [REEF_DNS_Z_FLAG] = "z_flag_set",
    [REEF_DNS_OPCODE_EVENT] = "invalid_opcode",      [REEF_DNS_NAME_TOO_LONG] = "name_too_long",
    [REEF_DNS_INFINITE_LOOP] = "infinite_loop",      [REEF_DNS_TOO_MANY_LABELS] = "too_many_labels",
};

/* --- telling it ---------------------------------------------------------------------------------------- */

enum { PORT = 53, NETBIOS = 137, MULTICAST = 5353, LINK_LOCAL = 5355 };

/* On its port the header has to be plausible and the questions have to be readable, as far as they are there. */
static bool looks_like_dns(reef_view m, uint32_t length)
{
    reef_dns_message message = {.bytes = m};
    reef_dns_record record;
    uint32_t at = REEF_DNS_HEADER;
    if (m.length < REEF_DNS_HEADER || !reef_dns_is_plausible(m.data, length))
        return false;
    if (m.length < length)
        return true;
    for (unsigned i = reef_be16(m.data + 4); i > 0; i--) {
        uint32_t name = at;
        at = reef_dns_record_at(&message, REEF_DNS_QUESTIONS, at, &record);
        if (at == 0) /* cut off is fine, nonsense is not */
            return name < m.length && (m.data[name] & 0xc0) != 0x80 && (m.data[name] & 0xc0) != 0x40;
    }
    return true;
}

static reef_guess probe(const reef_probe *probe)
{
    reef_view m = probe->bytes;
    bool on_port = probe->server_port == PORT || probe->client_port == PORT;
    if (probe->stream && !on_port)
        return REEF_GUESS_NO;
    if (!probe->stream && !on_port) {
        bool like = probe->server_port == NETBIOS || probe->server_port == MULTICAST || probe->server_port == LINK_LOCAL ||
                    probe->client_port == NETBIOS || probe->client_port == MULTICAST || probe->client_port == LINK_LOCAL;
        if (like || !reef_dns_is_surely(m))
            return REEF_GUESS_NO;
    }
    uint32_t length = m.length;
    if (probe->stream) {
        if (m.length < REEF_DNS_HEADER + 2)
            return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
        length = reef_be16(m.data);
        m = (reef_view){m.data + 2, m.length - 2 < length ? m.length - 2 : length};
    }
    if (!looks_like_dns(m, length))
        return REEF_GUESS_NO;
    bool response = m.data[2] & 0x80;
    *probe->turned = response != (probe->direction == REEF_TO_CLIENT);
    return REEF_GUESS_YES;
}

/* --- reading it ---------------------------------------------------------------------------------------- */

/* Of what there is no transaction goes to the newest one, if that is still there. */
static void late_event(reef_call *call, unsigned event)
{
    if (call->session->last != NULL)
        reef_transaction_event(call, call->session->last, event);
}

static void raise_oddities(reef_call *call, reef_transaction *transaction, const reef_dns_message *message, unsigned odd)
{
    if (message->flags & 0x0040)
        reef_transaction_event(call, transaction, REEF_DNS_Z_FLAG);
    if ((message->flags >> 11 & 15) >= 7)
        reef_transaction_event(call, transaction, REEF_DNS_OPCODE_EVENT);
    if (odd & REEF_DNS_CUT)
        reef_transaction_event(call, transaction, REEF_DNS_NAME_TOO_LONG);
    if (odd & REEF_DNS_LOOP)
        reef_transaction_event(call, transaction, REEF_DNS_INFINITE_LOOP);
    if (odd & REEF_DNS_LABELS)
        reef_transaction_event(call, transaction, REEF_DNS_TOO_MANY_LABELS);
}

/* One message. False: no further one will be understood (on TCP). */
static bool take_message(reef_call *call, int direction, reef_view bytes)
{
    reef_dns_message message;
    unsigned odd;
    bool response = direction == REEF_TO_CLIENT;
    if (bytes.length < REEF_DNS_HEADER || !reef_dns_is_plausible(bytes.data, bytes.length))
        return false;
    if (!reef_dns_read(bytes, response, &message, &odd)) {
        late_event(call, REEF_DNS_MALFORMED);
        return false;
    }
    bool says_response = message.flags & 0x8000;
    if (!response && says_response) {
        late_event(call, REEF_DNS_NOT_REQUEST);
        return false;
    }
    if (response && !says_response)
        late_event(call, REEF_DNS_NOT_RESPONSE);
    dns_transaction *dns = (dns_transaction *)reef_transaction_new(call);
    if (dns == NULL)
        return true;
    dns->direction = (uint8_t)direction;
    uint8_t *copy = reef_arena_copy(&dns->head.arena, bytes.data, bytes.length);
    if (copy == NULL)
        memset(&message, 0, sizeof message);
    message.bytes.data = copy;
    dns->message = message;
    reef_transaction_progress(&dns->head, direction, 1);
    dns->head.progress[!direction] = 1; /* the other way there is nothing to see */
    dns->head.told[!direction] = true;
    dns->head.logged = (uint8_t)(1u << (direction == REEF_TO_SERVER ? REEF_LOG_TO_CLIENT : REEF_LOG_TO_SERVER));
    raise_oddities(call, &dns->head, &message, odd);
    return true;
}

/* --- TCP: each message behind its length ---------------------------------------------------------------- */

/* Whole messages of `bytes`; `used` says how much that was. */
static bool take_messages(reef_call *call, int direction, reef_view bytes, uint32_t *used)
{
    *used = 0;
    while (bytes.length - *used >= 2) {
        const uint8_t *p = bytes.data + *used;
        uint32_t size = reef_be16(p);
        if (size > bytes.length - *used - 2)
            break;
        if (size > 0 && !take_message(call, direction, (reef_view){p + 2, size}))
            return false;
        *used += 2 + size;
        reef_session_boundary(call->session, direction);
    }
    return true;
}

static bool stream_bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    dns_state *state = call->session->state;
    reef_piece *held = &state->held[direction];
    reef_view bytes = chunk->bytes;
    uint32_t used;
    if (chunk->missing > 0) {
        held->length = 0;
        state->gap[direction] = true;
    }
    if (bytes.length == 0)
        return true;
    if (state->gap[direction]) {
        uint32_t size = bytes.length < 2 ? 0 : reef_be16(bytes.data);
        uint32_t there = bytes.length < 2 ? 0 : bytes.length - 2;
        if (there >= REEF_DNS_HEADER && !looks_like_dns((reef_view){bytes.data + 2, there < size ? there : size}, size))
            return true;
        state->gap[direction] = false;
    }
    if (held->length == 0)
        return take_messages(call, direction, bytes, &used) &&
               reef_piece_add(call->memory, held, (reef_view){bytes.data + used, bytes.length - used});
    if (!reef_piece_add(call->memory, held, bytes) ||
        !take_messages(call, direction, (reef_view){held->data, held->length}, &used))
        return false;
    reef_piece_drop(held, used);
    return true;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    if (call->flow->key.protocol != REEF_PROTO_UDP)
        return stream_bytes(call, direction, chunk);
    if (chunk->bytes.length > 0)
        (void)take_message(call, direction, chunk->bytes); /* the next datagram may well be one */
    return true;
}

static void free_state(reef_memory *memory, reef_session *session)
{
    dns_state *state = session->state;
    for (int d = 0; d < 2; d++)
        reef_piece_free(memory, &state->held[d]);
}

/* --- what rules ask ------------------------------------------------------------------------------------- */

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_DNS_QUERY, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_QUERY_NAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_QUERY_NAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_QUERIES_RRNAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_QUERIES_RRNAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_ANSWER_NAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_ANSWER_NAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_ANSWERS_RRNAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_ANSWERS_RRNAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_AUTHORITIES_RRNAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_AUTHORITIES_RRNAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_ADDITIONALS_RRNAME, REEF_TO_SERVER, 1},
    {REEF_BUFFER_DNS_ADDITIONALS_RRNAME, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_DNS_RESPONSE_RRNAME, REEF_TO_CLIENT, 1},
};

/* The record `index` of a section. Records are asked for one after the other: the place of the next one is kept. */
static bool record_of(dns_transaction *dns, unsigned section, uint32_t index, reef_dns_record *record)
{
    if (index >= dns->message.count[section] || dns->message.at[section] == 0)
        return false;
    bool next = dns->at != 0 && dns->at_section == section && dns->at_index <= index;
    uint32_t at = next ? dns->at : dns->message.at[section];
    for (uint32_t i = next ? dns->at_index : 0; i <= index; i++) {
        dns->at = at;
        dns->at_index = i;
        dns->at_section = (uint8_t)section;
        at = reef_dns_record_at(&dns->message, section, at, record);
        if (at == 0)
            return false;
    }
    return true;
}

static bool name_of(dns_transaction *dns, uint32_t at, reef_buffer *out)
{
    uint8_t name[REEF_DNS_NAME_ROOM];
    uint32_t length = 0;
    unsigned odd = 0;
    if (reef_dns_name(dns->message.bytes, at, dns->message.bytes.length, name, &length, &odd) == 0 || length == 0)
        return false;
    uint8_t *copy = reef_arena_copy(&dns->head.arena, name, length);
    if (copy == NULL)
        return false;
    *out = (reef_buffer){.bytes = {copy, length}, .end = true};
    return true;
}

static bool section_name(dns_transaction *dns, unsigned section, unsigned index, reef_buffer *out)
{
    reef_dns_record record;
    if (section == REEF_DNS_QUESTIONS && index == 0 && dns->question.data != NULL) {
        *out = (reef_buffer){.bytes = dns->question, .end = true};
        return true;
    }
    if (!record_of(dns, section, index, &record) || !name_of(dns, record.name, out))
        return false;
    if (section == REEF_DNS_QUESTIONS && index == 0)
        dns->question = out->bytes;
    return true;
}

/* All names of a response, one section after the other. */
static bool response_name(dns_transaction *dns, unsigned index, reef_buffer *out)
{
    for (unsigned section = 0; section < REEF_DNS_SECTIONS; section++) {
        if (index < dns->message.count[section])
            return section_name(dns, section, index, out);
        index -= dns->message.count[section];
    }
    return false;
}

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    (void)session;
    dns_transaction *dns = (dns_transaction *)(uintptr_t)transaction; /* what was found out is kept */
    if (direction != dns->direction)
        return false;
    switch (kind) {
    case REEF_BUFFER_DNS_QUERY:
    case REEF_BUFFER_DNS_QUERY_NAME:
    case REEF_BUFFER_DNS_QUERIES_RRNAME:
        return section_name(dns, REEF_DNS_QUESTIONS, index, out);
    case REEF_BUFFER_DNS_ANSWER_NAME:
    case REEF_BUFFER_DNS_ANSWERS_RRNAME:
        return section_name(dns, REEF_DNS_ANSWERS, index, out);
    case REEF_BUFFER_DNS_AUTHORITIES_RRNAME:
        return section_name(dns, REEF_DNS_AUTHORITIES, index, out);
    case REEF_BUFFER_DNS_ADDITIONALS_RRNAME:
        return section_name(dns, REEF_DNS_ADDITIONALS, index, out);
    case REEF_BUFFER_DNS_RESPONSE_RRNAME:
        return response_name(dns, index, out);
    default:
        return false;
    }
}

static bool value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                  unsigned index, uint64_t *out)
{
    (void)session;
    dns_transaction *dns = (dns_transaction *)(uintptr_t)transaction;
    reef_dns_record record;
    if (direction != dns->direction)
        return false;
    switch (kind) {
    case REEF_VALUE_DNS_OPCODE:
        *out = dns->message.flags >> 11 & 15;
        return index == 0;
    case REEF_VALUE_DNS_RCODE:
        *out = dns->message.flags & 15;
        return index == 0 && direction == REEF_TO_CLIENT;
    case REEF_VALUE_DNS_RRTYPE:
        for (unsigned section = 0; section < REEF_DNS_SECTIONS; section++) {
            if (index < dns->message.count[section]) {
                if (!record_of(dns, section, index, &record))
                    return false;
                *out = record.type;
                return true;
            }
            index -= dns->message.count[section];
        }
        return false;
    default:
        return false;
    }
}

/* --- output --------------------------------------------------------------------------------------------- */

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    (void)session;
    const dns_transaction *dns = (const dns_transaction *)transaction;
    bool query = dns->direction == REEF_TO_SERVER;
    if (dns->message.bytes.data == NULL || dns->message.count[REEF_DNS_QUESTIONS] == 0)
        return false;
    if (which == REEF_LOG_ALERT) {
        reef_json_number(json, "version", 2);
        reef_json_open(json, query ? "query" : "answer", query ? '[' : '{');
        if (query)
            reef_json_open(json, NULL, '{');
    } else if (which != (query ? REEF_LOG_TO_SERVER : REEF_LOG_TO_CLIENT)) {
        return false;
    }
    if (query) {
        if (which != REEF_LOG_ALERT)
            reef_json_number(json, "version", 2);
        reef_dns_write_query(&dns->message, dns->head.number, json);
    } else {
        reef_dns_write_answer(&dns->message, json);
    }
    if (which == REEF_LOG_ALERT) {
        reef_json_close(json, '}');
        if (query)
            reef_json_close(json, ']');
    }
    return true;
}

const reef_protocol reef_protocol_dns = {
    .name = "dns",
    .event_type = "dns",
    .transport = 0,
    .logs_each_way = true,
    .takes_gaps = true,
    .complete = {1, 1},
    .state_size = sizeof(dns_state),
    .transaction_size = sizeof(dns_transaction),
    .probe = probe,
    .bytes = bytes,
    .free_state = free_state,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .events = events,
    .events_count = REEF_DNS_EVENTS,
    .write = write,
};
