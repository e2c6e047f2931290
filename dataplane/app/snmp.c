/* SNMP (RFC 1157, 3416, 3412, 3414) on UDP ports 161 and 162: each message is a transaction. */
#include <stdio.h>

#include "der.h"
#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"

enum { PORT = 161, PORT_OF_TRAPS = 162 };
enum { PDU_TRAP_1 = 0xa4, SECURITY_USM = 3, IP_ADDRESS = 0x40 };
enum { EVENT_MALFORMED, EVENT_SECURITY_MODEL, EVENT_VERSION, EVENTS };

static const char *const events[EVENTS] = {"malformed_data", "unknown_security_model", "version_mismatch"};

typedef struct snmp_transaction {
    reef_transaction head;
    reef_view community, user;             /* data NULL: it is not there */
    reef_view variables;                   /* the list of a PDU */
    reef_view trap_oid, trap_address;
    int32_t trap_type;
    uint8_t direction, version, pdu;       /* pdu 0: none was read */
    bool encrypted;
} snmp_transaction;

typedef struct snmp_state { uint8_t version; /* of the first message */ } snmp_state;

/* A small number; false: it is none. */
static bool take_number(reef_view *from, int32_t *out)
{
    reef_view v;
    if (reef_der_expect(from, REEF_DER_INTEGER, &v) != REEF_DER_OK || v.length == 0 || v.length > 5)
        return false;
    int64_t value = v.data[0] & 0x80 ? -1 : 0;
    for (uint32_t i = 0; i < v.length; i++)
        value = (int64_t)((uint64_t)value << 8) | v.data[i];
    *out = (int32_t)value;
    return true;
}

/* Version 1, 2 or 3 of a message, 0: it is none; `inside` is what follows the version. */
static unsigned version_of(reef_view v, reef_view *inside)
{
    int32_t number;
    if (reef_der_expect(&v, REEF_DER_SEQUENCE, inside) != REEF_DER_OK || !take_number(inside, &number))
        return 0;
    return number == 0 ? 1 : number == 1 ? 2 : number == 3 ? 3 : 0;
}

static reef_guess probe(const reef_probe *probe)
{
    reef_view inside;
    bool on_port = probe->server_port == PORT || probe->client_port == PORT || probe->server_port == PORT_OF_TRAPS ||
                   probe->client_port == PORT_OF_TRAPS;
    return on_port && version_of(probe->bytes, &inside) != 0 ? REEF_GUESS_YES : REEF_GUESS_NO;
}

/* --- reading ------------------------------------------------------------------------------------------------- */

static bool read_trap_1(snmp_transaction *t, reef_view v)
{
    reef_view ticks;
    uint8_t tag;
    int32_t specific;
    return reef_der_expect(&v, REEF_DER_OID, &t->trap_oid) == REEF_DER_OK &&
           reef_der_expect(&v, IP_ADDRESS, &t->trap_address) == REEF_DER_OK && take_number(&v, &t->trap_type) &&
           take_number(&v, &specific) && reef_der_next(&v, &tag, &ticks) == REEF_DER_OK &&
           reef_der_expect(&v, REEF_DER_SEQUENCE, &t->variables) == REEF_DER_OK;
}

static bool read_pdu(snmp_transaction *t, reef_view v)
{
    reef_view inside;
    int32_t number;
    if (reef_der_next(&v, &t->pdu, &inside) != REEF_DER_OK || (t->pdu & 0xe0) != 0xa0) {
        t->pdu = 0;
        return false;
    }
    if (t->pdu == PDU_TRAP_1)
        return read_trap_1(t, inside);
    for (unsigned i = 0; i < 3; i++) /* request, error, index; of bulk requests: repetitions */
        if (!take_number(&inside, &number))
            return false;
    return reef_der_expect(&inside, REEF_DER_SEQUENCE, &t->variables) == REEF_DER_OK;
}

static bool read_user(snmp_transaction *t, reef_view parameters)
{
    reef_view v, engine;
    int32_t number;
    return reef_der_expect(&parameters, REEF_DER_SEQUENCE, &v) == REEF_DER_OK &&
           reef_der_expect(&v, REEF_DER_OCTET_STRING, &engine) == REEF_DER_OK && take_number(&v, &number) &&
           take_number(&v, &number) && reef_der_expect(&v, REEF_DER_OCTET_STRING, &t->user) == REEF_DER_OK;
}

static bool read_version_3(reef_call *call, snmp_transaction *t, reef_view v)
{
    reef_view global, flags, parameters, data, engine, name;
    int32_t number, model;
    uint8_t tag;
    if (reef_der_expect(&v, REEF_DER_SEQUENCE, &global) != REEF_DER_OK || !take_number(&global, &number) ||
        !take_number(&global, &number) || reef_der_expect(&global, REEF_DER_OCTET_STRING, &flags) != REEF_DER_OK ||
        !take_number(&global, &model) || reef_der_expect(&v, REEF_DER_OCTET_STRING, &parameters) != REEF_DER_OK ||
        reef_der_next(&v, &tag, &data) != REEF_DER_OK)
        return false;
    if (model != SECURITY_USM)
        reef_transaction_event(call, &t->head, EVENT_SECURITY_MODEL);
    else if (!read_user(t, parameters))
        return false;
    t->encrypted = tag != REEF_DER_SEQUENCE;
    return t->encrypted || (reef_der_expect(&data, REEF_DER_OCTET_STRING, &engine) == REEF_DER_OK &&
                            reef_der_expect(&data, REEF_DER_OCTET_STRING, &name) == REEF_DER_OK && read_pdu(t, data));
}

static bool read_message(reef_call *call, snmp_transaction *t, reef_view inside)
{
    if (t->version == 3)
        return read_version_3(call, t, inside);
    return reef_der_expect(&inside, REEF_DER_OCTET_STRING, &t->community) == REEF_DER_OK && read_pdu(t, inside);
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    snmp_state *state = call->session->state;
    reef_view inside;
    unsigned version = version_of(chunk->bytes, &inside);
    if (version == 0) {
        if (call->session->last != NULL)
            reef_transaction_event(call, call->session->last, EVENT_MALFORMED);
        return false;
    }
    snmp_transaction *t = (snmp_transaction *)reef_transaction_new(call);
    if (t == NULL)
        return true;
    t->direction = (uint8_t)direction;
    t->version = (uint8_t)version;
    t->trap_type = -1;
    reef_transaction_progress(&t->head, direction, 1);
    t->head.progress[!direction] = 1; /* the other way there is nothing to see */
    t->head.told[!direction] = true;
    const uint8_t *copy = reef_arena_copy(&t->head.arena, inside.data, inside.length);
    if (copy == NULL)
        return true;
    if (state->version == 0)
        state->version = t->version;
    if (state->version != t->version)
        reef_transaction_event(call, &t->head, EVENT_VERSION);
    if (!read_message(call, t, (reef_view){copy, inside.length}))
        reef_transaction_event(call, &t->head, EVENT_MALFORMED);
    return true;
}

/* --- what rules ask -------------------------------------------------------------------------------------------- */

static const reef_protocol_buffer buffers[] = {
    {REEF_BUFFER_SNMP_COMMUNITY, REEF_TO_SERVER, 1}, {REEF_BUFFER_SNMP_COMMUNITY, REEF_TO_CLIENT, 1},
    {REEF_BUFFER_SNMP_USM, REEF_TO_SERVER, 1},       {REEF_BUFFER_SNMP_USM, REEF_TO_CLIENT, 1},
};

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    const snmp_transaction *t = (const snmp_transaction *)transaction;
    (void)session, (void)index;
    out->bytes = kind == REEF_BUFFER_SNMP_COMMUNITY ? t->community : t->user;
    out->end = true;
    return direction == t->direction && out->bytes.data != NULL;
}

static bool value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const snmp_transaction *t = (const snmp_transaction *)transaction;
    (void)session;
    if (direction != t->direction || index > 0)
        return false;
    if (kind == REEF_VALUE_SNMP_VERSION) {
        *out = t->version;
        return true;
    }
    *out = t->pdu & 0x1fu;
    return kind == REEF_VALUE_SNMP_PDU_TYPE && t->pdu != 0;
}

/* --- EVE --------------------------------------------------------------------------------------------------------- */

static void write_oid(reef_json *json, const char *key, reef_view oid)
{
    char text[REEF_SNMP_OID_TEXT_MAX];
    size_t at = 0;
    uint64_t arc = 0;
    bool first = true;
    for (uint32_t i = 0; i < oid.length && at + 24 < sizeof text; i++) {
        arc = arc << 7 | (oid.data[i] & 0x7fu);
        if (oid.data[i] & 0x80)
            continue;
        if (first) { /* two arcs in one number (X.690 8.19.4) */
            unsigned top = arc < 80 ? (unsigned)arc / 40 : 2;
            at += (size_t)snprintf(text + at, sizeof text - at, "%u.%llu", top, (unsigned long long)(arc - 40u * top));
            first = false;
        } else {
            at += (size_t)snprintf(text + at, sizeof text - at, ".%llu", (unsigned long long)arc);
        }
        arc = 0;
    }
    reef_json_bytes(json, key, (const uint8_t *)text, at, sizeof text);
}

static void write_variables(reef_json *json, reef_view v)
{
    reef_view variable, oid;
    if (v.length == 0)
        return;
    reef_json_open(json, "vars", '[');
    for (unsigned i = 0; i < REEF_SNMP_VARIABLES_MAX; i++) {
        if (reef_der_expect(&v, REEF_DER_SEQUENCE, &variable) != REEF_DER_OK)
            break;
        if (reef_der_expect(&variable, REEF_DER_OID, &oid) == REEF_DER_OK)
            write_oid(json, NULL, oid);
    }
    reef_json_close(json, ']');
}

static const char *const pdu_names[] = {"get_request", "get_next_request", "response",       "set_request", "trap_v1",
                                        "get_bulk_request", "inform_request", "trap_v2", "report"};
static const char *const trap_names[] = {"ColdStart", "WarmStart", "LinkDown", "LinkUp", "AuthenticationFailure",
                                         "EgpNeighborLoss", "EnterpriseSpecific"};

static void write_text(reef_json *json, const char *key, reef_view text)
{
    if (text.data != NULL)
        reef_json_bytes(json, key, text.data, text.length, REEF_SNMP_TEXT_MAX);
}

static void write_pdu(reef_json *json, const snmp_transaction *t)
{
    unsigned type = t->pdu & 0x1fu;
    if (t->pdu == 0)
        return;
    reef_json_text(json, "pdu_type", type < sizeof pdu_names / sizeof pdu_names[0] ? pdu_names[type] : "unknown");
    if (t->pdu == PDU_TRAP_1 && t->trap_type >= 0) {
        size_t names = sizeof trap_names / sizeof trap_names[0];
        reef_json_text(json, "trap_type", (size_t)t->trap_type < names ? trap_names[t->trap_type] : "unknown");
        write_oid(json, "trap_oid", t->trap_oid);
        if (t->trap_address.length == 4)
            reef_json_address(json, "trap_address", 4, t->trap_address.data);
    }
    write_variables(json, t->variables);
}

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    const snmp_transaction *t = (const snmp_transaction *)transaction;
    (void)session, (void)which;
    reef_json_number(json, "version", t->version);
    if (t->encrypted) {
        reef_json_text(json, "pdu_type", "encrypted");
        return true;
    }
    write_pdu(json, t);
    write_text(json, "community", t->community);
    write_text(json, "usm", t->user);
    return true;
}

extern const reef_protocol reef_protocol_snmp;
const reef_protocol reef_protocol_snmp = {
    .name = "snmp",
    .event_type = "snmp",
    .transport = REEF_PROTO_UDP,
    .complete = {1, 1},
    .state_size = sizeof(snmp_state),
    .transaction_size = sizeof(snmp_transaction),
    .probe = probe,
    .bytes = bytes,
    .buffers = buffers,
    .buffers_count = sizeof buffers / sizeof buffers[0],
    .buffer = buffer,
    .value = value,
    .events = events,
    .events_count = EVENTS,
    .write = write,
};
