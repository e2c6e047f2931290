/* MQTT on TCP: a request and what answers it (by message number) are one transaction, as Suricata has them. */
#include "gather.h"
#include "mqtt_internal.h"
#include "reef/bytes.h"
#include "reef/limits.h"
#include "reef/protocol.h"

enum { PORT = 1883 };
#define ID_OF_CONNECT UINT32_MAX        /* message numbers have 16 bits */
#define NO_ID (UINT32_MAX - 1)

typedef struct mqtt_transaction {
    reef_transaction head;
    mqtt_message *first, *last;
    uint32_t messages;
    uint32_t id;       /* that it waits for */
    uint8_t direction; /* of its first message */
    bool complete;
} mqtt_transaction;

typedef struct mqtt_state {
    app_gather side[2];
    uint32_t skip[2]; /* bytes of a message that is too long */
    uint8_t version;
    bool connected;
} mqtt_state;

enum {
    EVENT_MISSING_CONNECT, EVENT_MISSING_PUBLISH, EVENT_MISSING_SUBSCRIBE, EVENT_MISSING_UNSUBSCRIBE, EVENT_DOUBLE_CONNECT,
    EVENT_UNINTRODUCED, EVENT_INVALID_QOS, EVENT_MISSING_ID, EVENT_UNASSIGNED, EVENT_TOO_MANY, EVENT_MALFORMED, EVENTS,
};

static const char *const events[EVENTS] = {
    "missing_connect",      "missing_publish",   "missing_subscribe", "missing_unsubscribe", "double_connect",
    "unintroduced_message", "invalid_qos_level", "missing_msg_id",    "unassigned_msg_type", "too_many_transactions",
    "malformed_traffic",
};

/* --- the fixed header ------------------------------------------------------------------------------------------ */

/* Bytes of it: type and flags, then the length of what follows. 0: more is needed; -1: it is none. */
static int fixed_header(reef_view v, uint32_t *length)
{
    *length = 0;
    for (unsigned i = 1; i < 5; i++) {
        if (i >= v.length)
            return 0;
        *length |= (v.data[i] & 0x7fu) << 7 * (i - 1);
        if (!(v.data[i] & 0x80))
            return (int)i + 1;
    }
    return -1;
}

static reef_guess probe(const reef_probe *probe)
{
    uint32_t length;
    if (probe->server_port != PORT && probe->client_port != PORT)
        return REEF_GUESS_NO;
    int header = fixed_header(probe->bytes, &length);
    if (header == 0)
        return probe->end ? REEF_GUESS_NO : REEF_GUESS_MORE;
    uint8_t first = probe->bytes.data[0];
    return header < 0 || first >> 4 == MQTT_UNASSIGNED || (first >> 1 & 3) == 3 ? REEF_GUESS_NO : REEF_GUESS_YES;
}

/* --- transactions ---------------------------------------------------------------------------------------------- */

static void finish(mqtt_transaction *t)
{
    t->complete = true;
    t->id = NO_ID;
    reef_transaction_progress(&t->head, t->direction, 1);
}

static bool add_message(mqtt_transaction *t, const mqtt_message *m)
{
    if (t->messages == REEF_MQTT_MESSAGES_MAX)
        return false;
    mqtt_message *copy = reef_arena_get(&t->head.arena, sizeof *copy);
    if (copy == NULL)
        return false;
    *copy = *m;
    copy->next = NULL;
    copy->body.data = reef_arena_copy(&t->head.arena, m->body.data, m->body.length);
    if (copy->body.data == NULL)
        copy->body.length = 0;
    if (t->last != NULL)
        t->last->next = copy;
    else
        t->first = copy;
    t->last = copy;
    t->messages++;
    t->head.updated[t->direction] = true;
    return true;
}

/* Too many wait for an answer: the oldest waits no longer. */
static void make_room(reef_call *call)
{
    if (call->session->open < REEF_MQTT_OPEN_MAX)
        return;
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next)
        if (!((mqtt_transaction *)t)->complete) {
            reef_transaction_event(call, t, EVENT_TOO_MANY);
            finish((mqtt_transaction *)t);
            return;
        }
}

static mqtt_transaction *begin(reef_call *call, int direction, const mqtt_message *m)
{
    make_room(call);
    mqtt_transaction *t = (mqtt_transaction *)reef_transaction_new(call);
    if (t == NULL)
        return NULL;
    t->direction = (uint8_t)direction;
    t->id = NO_ID;
    t->head.progress[!direction] = 1; /* the other way there is nothing to see */
    t->head.told[!direction] = true;
    if (m != NULL)
        add_message(t, m);
    return t;
}

static mqtt_transaction *waiting(const reef_call *call, uint32_t id)
{
    for (reef_transaction *t = call->session->first; t != NULL; t = t->next)
        if (((mqtt_transaction *)t)->id == id)
            return (mqtt_transaction *)t;
    return NULL;
}

static void introduced(reef_call *call, mqtt_transaction *t)
{
    if (!((const mqtt_state *)call->session->state)->connected)
        reef_transaction_event(call, &t->head, EVENT_UNINTRODUCED);
}

/* What asks for an answer unless its quality of service is 0. */
static void take_request(reef_call *call, int direction, const mqtt_message *m, int32_t id)
{
    mqtt_transaction *t = begin(call, direction, m);
    if (t == NULL)
        return;
    if (mqtt_qos(m) == 3)
        reef_transaction_event(call, &t->head, EVENT_INVALID_QOS);
    else if (mqtt_qos(m) > 0 && id < 0)
        reef_transaction_event(call, &t->head, EVENT_MISSING_ID);
    else if (mqtt_qos(m) > 0)
        t->id = (uint32_t)id;
    introduced(call, t);
    if (mqtt_qos(m) == 0)
        finish(t);
}

static void take_answer(reef_call *call, int direction, const mqtt_message *m, int32_t id)
{
    static const uint8_t missing[] = {
        [MQTT_PUBACK] = EVENT_MISSING_PUBLISH,   [MQTT_PUBREC] = EVENT_MISSING_PUBLISH,
        [MQTT_PUBREL] = EVENT_MISSING_PUBLISH,   [MQTT_PUBCOMP] = EVENT_MISSING_PUBLISH,
        [MQTT_SUBACK] = EVENT_MISSING_SUBSCRIBE, [MQTT_UNSUBACK] = EVENT_MISSING_UNSUBSCRIBE,
    };
    mqtt_transaction *t = waiting(call, (uint32_t)id);
    if (t != NULL) {
        bool last = m->type != MQTT_PUBREC && m->type != MQTT_PUBREL;
        if (!add_message(t, m) || last)
            finish(t);
        return;
    }
    t = begin(call, direction, m);
    if (t == NULL)
        return;
    reef_transaction_event(call, &t->head, missing[m->type]);
    introduced(call, t);
    finish(t);
}

static void take_connect(reef_call *call, int direction, const mqtt_message *m)
{
    mqtt_state *state = call->session->state;
    mqtt_connect connect;
    if (mqtt_read_connect(m, &connect))
        state->version = connect.version;
    mqtt_transaction *t = begin(call, direction, m);
    if (t == NULL)
        return;
    t->id = ID_OF_CONNECT;
    if (state->connected)
        reef_transaction_event(call, &t->head, EVENT_DOUBLE_CONNECT);
}

static void take_connack(reef_call *call, int direction, const mqtt_message *m)
{
    mqtt_state *state = call->session->state;
    mqtt_transaction *t = waiting(call, ID_OF_CONNECT);
    if (t != NULL) {
        state->connected = true;
        add_message(t, m);
        finish(t);
    } else if ((t = begin(call, direction, m)) != NULL) {
        reef_transaction_event(call, &t->head, EVENT_MISSING_CONNECT);
        finish(t);
    }
}

static void take_message(reef_call *call, int direction, const mqtt_message *m)
{
    mqtt_fields fields = {.id = -1};
    mqtt_transaction *t;
    if (m->type != MQTT_CONNECT && !m->truncated)
        mqtt_read_fields(m, &fields);
    switch (m->truncated ? MQTT_UNASSIGNED : (mqtt_type)m->type) {
    case MQTT_CONNECT:
        take_connect(call, direction, m);
        break;
    case MQTT_CONNACK:
        take_connack(call, direction, m);
        break;
    case MQTT_PUBLISH:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        take_request(call, direction, m, fields.id);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        take_answer(call, direction, m, fields.id);
        break;
    default:
        t = begin(call, direction, m);
        if (t == NULL)
            return;
        if (m->type == MQTT_UNASSIGNED)
            reef_transaction_event(call, &t->head, EVENT_UNASSIGNED);
        else if (!m->truncated)
            introduced(call, t);
        finish(t);
    }
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

static bool malformed(reef_call *call, int direction)
{
    mqtt_transaction *t = begin(call, direction, NULL);
    if (t != NULL) {
        reef_transaction_event(call, &t->head, EVENT_MALFORMED);
        finish(t);
    }
    return false;
}

/* One message off the front of `v`. 1: taken, 0: it is not whole yet, -1: it is none. */
static int take_one(reef_call *call, int direction, reef_view *v)
{
    mqtt_state *state = call->session->state;
    uint32_t length, skip;
    int header = fixed_header(*v, &length);
    if (header <= 0)
        return header;
    mqtt_message m = {.type = v->data[0] >> 4, .flags = v->data[0] & 15, .version = state->version, .length = length};
    m.truncated = length > REEF_MQTT_MESSAGE_MAX;
    if (!m.truncated) {
        if (length > v->length - (uint32_t)header)
            return 0;
        m.body = (reef_view){v->data + header, length};
        if (!mqtt_is_whole(&m))
            return -1;
    }
    take_message(call, direction, &m);
    skip = (uint32_t)header + length;
    if (skip > v->length) {
        state->skip[direction] = skip - v->length;
        skip = v->length;
    }
    v->data += skip;
    v->length -= skip;
    return 1;
}

static bool bytes(reef_call *call, int direction, const reef_chunk *chunk)
{
    mqtt_state *state = call->session->state;
    reef_view v = chunk->bytes;
    uint32_t skip = state->skip[direction] < v.length ? state->skip[direction] : v.length;
    v.data += skip;
    v.length -= skip;
    state->skip[direction] -= skip;
    if (v.length == 0)
        return true;
    v = app_gather_join(&state->side[direction], call->memory, v);
    if (v.data == NULL)
        return false;
    int taken = 1;
    while (v.length > 0 && (taken = take_one(call, direction, &v)) > 0)
        ;
    if (taken < 0)
        return malformed(call, direction);
    return app_gather_keep(&state->side[direction], call->memory, v);
}

static void free_state(reef_memory *memory, reef_session *session)
{
    mqtt_state *state = session->state;
    app_gather_free(&state->side[0], memory);
    app_gather_free(&state->side[1], memory);
}

/* --- what rules ask --------------------------------------------------------------------------------------------- */

#define BOTH_WAYS(kind) {kind, REEF_TO_SERVER, 1}, {kind, REEF_TO_CLIENT, 1}

static const reef_protocol_buffer buffers[] = {
    BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_CLIENTID),       BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_USERNAME),
    BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_PASSWORD),       BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_WILLTOPIC),
    BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_WILLMESSAGE),    BOTH_WAYS(REEF_BUFFER_MQTT_CONNECT_PROTOCOL_STRING),
    BOTH_WAYS(REEF_BUFFER_MQTT_PUBLISH_TOPIC),          BOTH_WAYS(REEF_BUFFER_MQTT_PUBLISH_MESSAGE),
    BOTH_WAYS(REEF_BUFFER_MQTT_SUBSCRIBE_TOPIC),        BOTH_WAYS(REEF_BUFFER_MQTT_UNSUBSCRIBE_TOPIC),
};

static bool connect_buffer(const mqtt_message *m, unsigned kind, reef_view *out)
{
    mqtt_connect c;
    if (m->type != MQTT_CONNECT || !mqtt_read_connect(m, &c))
        return false;
    switch (kind) {
    case REEF_BUFFER_MQTT_CONNECT_CLIENTID:
        *out = c.client_id;
        break;
    case REEF_BUFFER_MQTT_CONNECT_USERNAME:
        *out = c.username;
        break;
    case REEF_BUFFER_MQTT_CONNECT_PASSWORD:
        *out = c.password;
        break;
    case REEF_BUFFER_MQTT_CONNECT_WILLTOPIC:
        *out = c.will_topic;
        break;
    case REEF_BUFFER_MQTT_CONNECT_WILLMESSAGE:
        *out = c.will_message;
        break;
    default:
        *out = c.protocol;
    }
    return out->length > 0;
}

/* The `*index`th topic of the message; counted down by those that it has. */
static bool topic_buffer(const mqtt_message *m, unsigned *index, reef_view *out)
{
    mqtt_fields f;
    int qos;
    if (!mqtt_read_fields(m, &f))
        return false;
    if (mqtt_topic(m, &f, *index, out, &qos))
        return true;
    unsigned topics = 0;
    while (topics < *index && mqtt_topic(m, &f, topics, out, &qos))
        topics++;
    *index -= topics;
    return false;
}

static bool message_buffer(const mqtt_message *m, unsigned kind, unsigned *index, reef_view *out)
{
    mqtt_fields f;
    switch (kind) {
    case REEF_BUFFER_MQTT_SUBSCRIBE_TOPIC:
        return m->type == MQTT_SUBSCRIBE && topic_buffer(m, index, out);
    case REEF_BUFFER_MQTT_UNSUBSCRIBE_TOPIC:
        return m->type == MQTT_UNSUBSCRIBE && topic_buffer(m, index, out);
    case REEF_BUFFER_MQTT_PUBLISH_TOPIC:
    case REEF_BUFFER_MQTT_PUBLISH_MESSAGE:
        if (m->type != MQTT_PUBLISH || !mqtt_read_fields(m, &f))
            return false;
        *out = kind == REEF_BUFFER_MQTT_PUBLISH_TOPIC ? f.topic : f.rest;
        return out->length > 0;
    default:
        return connect_buffer(m, kind, out);
    }
}

static bool buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out)
{
    const mqtt_transaction *t = (const mqtt_transaction *)transaction;
    (void)session;
    if (direction != t->direction || index >= REEF_MQTT_TOPICS_MAX)
        return false;
    for (const mqtt_message *m = t->first; m != NULL; m = m->next)
        if (message_buffer(m, kind, &index, &out->bytes)) {
            out->end = true;
            return true;
        }
    return false;
}

/* The `*index`th code of the message; counted down by those that it has. */
static bool reason_code(const mqtt_message *m, unsigned *index, uint64_t *out)
{
    mqtt_fields f;
    if (m->type == MQTT_CONNECT || m->truncated || !mqtt_read_fields(m, &f))
        return false;
    reef_view many = {NULL, 0};
    if (m->type == MQTT_SUBACK || m->type == MQTT_UNSUBACK)
        many = f.rest;
    unsigned codes = many.length + (f.code >= 0);
    if (*index < codes) {
        *out = f.code >= 0 ? (uint64_t)f.code : many.data[*index];
        return true;
    }
    *index -= codes;
    return false;
}

static bool value_of(const mqtt_message *m, unsigned kind, unsigned *index, uint64_t *out)
{
    mqtt_connect connect;
    mqtt_fields fields;
    switch (kind) {
    case REEF_VALUE_MQTT_REASON_CODE:
        return reason_code(m, index, out);
    case REEF_VALUE_MQTT_CONNECT_FLAGS:
        if (m->type != MQTT_CONNECT || !mqtt_read_connect(m, &connect))
            return false;
        *out = connect.flags;
        break;
    case REEF_VALUE_MQTT_CONNACK_SESSION_PRESENT:
        if (m->type != MQTT_CONNACK || !mqtt_read_fields(m, &fields))
            return false;
        *out = fields.session_present;
        break;
    case REEF_VALUE_MQTT_TYPE:
        *out = m->type;
        break;
    case REEF_VALUE_MQTT_QOS:
        *out = mqtt_qos(m);
        break;
    case REEF_VALUE_MQTT_FLAGS:
        *out = m->flags & (MQTT_RETAIN | MQTT_DUP);
        break;
    default:
        return false;
    }
    return (*index)-- == 0;
}

static bool value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                  uint64_t *out)
{
    const mqtt_transaction *t = (const mqtt_transaction *)transaction;
    if (direction != t->direction)
        return false;
    if (kind == REEF_VALUE_MQTT_PROTOCOL_VERSION) {
        *out = ((const mqtt_state *)session->state)->version;
        return index == 0;
    }
    for (const mqtt_message *m = t->first; m != NULL; m = m->next)
        if (value_of(m, kind, &index, out))
            return true;
    return false;
}

static bool write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json)
{
    const mqtt_transaction *t = (const mqtt_transaction *)transaction;
    (void)session, (void)which;
    for (const mqtt_message *m = t->first; m != NULL; m = m->next)
        mqtt_write_message(m, json);
    return t->first != NULL;
}

extern const reef_protocol reef_protocol_mqtt;
const reef_protocol reef_protocol_mqtt = {
    .name = "mqtt",
    .event_type = "mqtt",
    .transport = REEF_PROTO_TCP,
    .complete = {1, 1},
    .state_size = sizeof(mqtt_state),
    .transaction_size = sizeof(mqtt_transaction),
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
