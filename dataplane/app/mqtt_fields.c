/* Fields of MQTT messages, read when somebody asks. */
#include "mqtt_internal.h"
#include "reef/bytes.h"
#include "reef/limits.h"

typedef struct cursor {
    const uint8_t *p;
    uint32_t n;
    bool bad;
} cursor;

static uint8_t take8(cursor *c)
{
    if (c->n < 1) {
        c->bad = true;
        return 0;
    }
    c->n--;
    return *c->p++;
}

static uint16_t take16(cursor *c)
{
    if (c->n < 2) {
        c->bad = true;
        return 0;
    }
    uint16_t v = reef_be16(c->p);
    c->p += 2;
    c->n -= 2;
    return v;
}

static reef_view take(cursor *c, uint32_t length)
{
    if (c->n < length) {
        c->bad = true;
        return (reef_view){NULL, 0};
    }
    reef_view v = {c->p, length};
    c->p += length;
    c->n -= length;
    return v;
}

static reef_view take_text(cursor *c)
{
    return take(c, take16(c));
}

/* Seven bits an octet, the lowest first, at most four octets. */
static uint32_t take_number(cursor *c)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t octet = take8(c);
        value |= (octet & 0x7fu) << shift;
        if (!(octet & 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

/* --- properties of version 5 --------------------------------------------------------------------------------- */

typedef enum property_kind { NO_PROPERTY, OCTET, FLAG, TWO, FOUR, NUMBER, TEXT, DATA, PAIR } property_kind;

static const struct { const char *name; property_kind kind; } properties[] = {
    [1] = {"payload_format_indicator", OCTET},
    [2] = {"message_expiry_interval", FOUR},
    [3] = {"content_type", TEXT},
    [8] = {"response_topic", TEXT},
    [9] = {"correlation_data", DATA},
    [11] = {"subscription_identifier", NUMBER},
    [17] = {"session_expiry_interval", FOUR},
    [18] = {"assigned_client_id", TEXT},
    [19] = {"server_keep_alive", TWO},
    [21] = {"authentication_method", TEXT},
    [22] = {"authentication_data", DATA},
    [23] = {"request_problem_info", OCTET},
    [24] = {"will_delay_interval", FOUR},
    [25] = {"request_response_info", OCTET},
    [26] = {"response_info", TEXT},
    [28] = {"server_reference", TEXT},
    [31] = {"reason_string", TEXT},
    [33] = {"receive_maximum", TWO},
    [34] = {"topic_alias_maximum", TWO},
    [35] = {"topic_alias", TWO},
    [36] = {"maximum_qos", OCTET},
    [37] = {"retain_available", OCTET},
    [38] = {"user_property", PAIR},
    [39] = {"maximum_packet_size", FOUR},
    [40] = {"wildcard_subscription_available", OCTET},
    [41] = {"subscription_identifiers_available", OCTET},
    [42] = {"shared_subscription_available", OCTET},
};

static property_kind kind_of(uint32_t id)
{
    return id < sizeof properties / sizeof properties[0] ? properties[id].kind : NO_PROPERTY;
}

static void skip_property(cursor *c, property_kind kind)
{
    switch (kind) {
    case OCTET:
    case FLAG:
        take8(c);
        break;
    case TWO:
        take16(c);
        break;
    case FOUR:
        take(c, 4);
        break;
    case NUMBER:
        take_number(c);
        break;
    case PAIR:
        take_text(c);
        take_text(c);
        break;
    case TEXT:
    case DATA:
        take_text(c);
        break;
    case NO_PROPERTY:
        c->bad = true;
    }
}

static reef_view take_properties(cursor *c)
{
    reef_view all = take(c, take_number(c));
    cursor inside = {all.data, all.length, false};
    while (inside.n > 0 && !inside.bad)
        skip_property(&inside, kind_of(take_number(&inside)));
    c->bad |= inside.bad;
    return all;
}

static void write_property(reef_json *json, cursor *c, uint32_t id)
{
    property_kind kind = kind_of(id);
    const char *name = kind != NO_PROPERTY ? properties[id].name : NULL;
    reef_view v;
    switch (kind) {
    case OCTET:
    case FLAG:
        reef_json_number(json, name, take8(c));
        break;
    case TWO:
        reef_json_number(json, name, take16(c));
        break;
    case FOUR:
        v = take(c, 4);
        reef_json_number(json, name, v.data != NULL ? reef_be32(v.data) : 0);
        break;
    case NUMBER:
        reef_json_number(json, name, take_number(c));
        break;
    case TEXT:
        v = take_text(c);
        reef_json_bytes(json, name, v.data, v.length, REEF_MQTT_TEXT_MAX);
        break;
    default: /* opaque data and what users name themselves stay in the packet */
        skip_property(c, kind);
    }
}

static void write_properties(reef_json *json, reef_view all)
{
    if (all.length == 0)
        return;
    cursor c = {all.data, all.length, false};
    reef_json_open(json, "properties", '{');
    while (c.n > 0 && !c.bad)
        write_property(json, &c, take_number(&c));
    reef_json_close(json, '}');
}

/* --- messages ------------------------------------------------------------------------------------------------ */

bool mqtt_read_connect(const mqtt_message *m, mqtt_connect *out)
{
    cursor c = {m->body.data, m->body.length, false};
    *out = (mqtt_connect){.protocol = take_text(&c)};
    out->version = take8(&c);
    out->flags = take8(&c);
    take16(&c); /* keep alive */
    if (out->version == 5)
        out->properties = take_properties(&c);
    out->client_id = take_text(&c);
    if (out->flags & MQTT_WILL) {
        if (out->version == 5)
            out->will_properties = take_properties(&c);
        out->will_topic = take_text(&c);
        out->will_message = take_text(&c);
    }
    if (out->flags & MQTT_USERNAME)
        out->username = take_text(&c);
    if (out->flags & MQTT_PASSWORD)
        out->password = take_text(&c);
    return !c.bad && !m->truncated;
}

/* A code and properties that may be left out from the end; `code` is what leaving it out means. */
static void take_short(cursor *c, const mqtt_message *m, mqtt_fields *out)
{
    if (m->version < 5)
        return;
    out->code = c->n > 0 ? take8(c) : 0;
    if (c->n > 0)
        out->properties = take_properties(c);
}

bool mqtt_read_fields(const mqtt_message *m, mqtt_fields *out)
{
    cursor c = {m->body.data, m->body.length, false};
    *out = (mqtt_fields){.id = -1, .code = -1};
    switch ((mqtt_type)m->type) {
    case MQTT_CONNACK:
        out->session_present = take8(&c) & 1;
        out->code = take8(&c);
        if (m->version == 5)
            out->properties = take_properties(&c);
        break;
    case MQTT_PUBLISH:
        out->topic = take_text(&c);
        if (mqtt_qos(m) != 0)
            out->id = take16(&c);
        if (m->version == 5)
            out->properties = take_properties(&c);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        out->id = take16(&c);
        take_short(&c, m, out);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_SUBACK:
    case MQTT_UNSUBSCRIBE:
    case MQTT_UNSUBACK:
        out->id = take16(&c);
        if (m->version == 5)
            out->properties = take_properties(&c);
        break;
    case MQTT_DISCONNECT:
        take_short(&c, m, out);
        break;
    case MQTT_AUTH:
        out->code = take8(&c);
        out->properties = take_properties(&c);
        break;
    default:
        break;
    }
    out->rest = (reef_view){c.p, c.n};
    return !c.bad && !m->truncated;
}

bool mqtt_topic(const mqtt_message *m, const mqtt_fields *fields, unsigned index, reef_view *topic, int *qos)
{
    cursor c = {fields->rest.data, fields->rest.length, false};
    for (unsigned i = 0; c.n > 0; i++) {
        *topic = take_text(&c);
        *qos = m->type == MQTT_SUBSCRIBE ? take8(&c) : -1;
        if (c.bad)
            return false;
        if (i == index)
            return true;
    }
    return false;
}

bool mqtt_is_whole(const mqtt_message *m)
{
    mqtt_connect connect;
    mqtt_fields fields;
    reef_view topic;
    int qos;
    if (m->truncated || m->type == MQTT_UNASSIGNED)
        return true;
    if (m->type == MQTT_CONNECT)
        return mqtt_read_connect(m, &connect);
    return mqtt_read_fields(m, &fields) && (m->type != MQTT_SUBSCRIBE || mqtt_topic(m, &fields, 0, &topic, &qos));
}

/* --- EVE ------------------------------------------------------------------------------------------------------ */

static const char *const members[] = {
    NULL,        "connect", "connack",     "publish",  "puback",  "pubrec",   "pubrel",     "pubcomp",
    "subscribe", "suback",  "unsubscribe", "unsuback", "pingreq", "pingresp", "disconnect", "auth",
};

static void write_text(reef_json *json, const char *key, reef_view text)
{
    if (text.data != NULL)
        reef_json_bytes(json, key, text.data, text.length, REEF_MQTT_TEXT_MAX);
}

/* Passwords and messages are nobody's business here. */
static void write_connect(reef_json *json, const mqtt_message *m)
{
    mqtt_connect c;
    if (!mqtt_read_connect(m, &c))
        return;
    write_text(json, "protocol_string", c.protocol);
    reef_json_number(json, "protocol_version", c.version);
    write_text(json, "client_id", c.client_id);
    reef_json_open(json, "flags", '{');
    reef_json_bool(json, "username", c.flags & MQTT_USERNAME);
    reef_json_bool(json, "password", c.flags & MQTT_PASSWORD);
    reef_json_bool(json, "will_retain", c.flags & MQTT_WILL_RETAIN);
    reef_json_bool(json, "will", c.flags & MQTT_WILL);
    reef_json_bool(json, "clean_session", c.flags & MQTT_CLEAN);
    reef_json_close(json, '}');
    write_text(json, "username", c.username);
    if (c.flags & MQTT_WILL) {
        reef_json_open(json, "will", '{');
        write_text(json, "topic", c.will_topic);
        write_properties(json, c.will_properties);
        reef_json_close(json, '}');
    }
    write_properties(json, c.properties);
}

static void write_topics(reef_json *json, const mqtt_message *m, const mqtt_fields *fields)
{
    reef_view topic;
    int qos;
    reef_json_open(json, "topics", '[');
    for (unsigned i = 0; i < REEF_MQTT_TOPICS_MAX && mqtt_topic(m, fields, i, &topic, &qos); i++) {
        if (qos < 0) {
            write_text(json, NULL, topic);
            continue;
        }
        reef_json_open(json, NULL, '{');
        write_text(json, "topic", topic);
        reef_json_number(json, "qos", (unsigned)qos);
        reef_json_close(json, '}');
    }
    reef_json_close(json, ']');
}

static void write_codes(reef_json *json, const char *key, reef_view codes)
{
    if (codes.length == 0)
        return;
    reef_json_open(json, key, '[');
    for (uint32_t i = 0; i < codes.length && i < REEF_MQTT_TOPICS_MAX; i++)
        reef_json_number(json, NULL, codes.data[i]);
    reef_json_close(json, ']');
}

static void write_fields(reef_json *json, const mqtt_message *m)
{
    mqtt_fields f;
    if (!mqtt_read_fields(m, &f))
        return;
    write_text(json, "topic", f.topic);
    if (f.id >= 0)
        reef_json_number(json, "message_id", (unsigned)f.id);
    if (m->type == MQTT_CONNACK) {
        reef_json_bool(json, "session_present", f.session_present);
        reef_json_number(json, "return_code", (unsigned)f.code);
    } else if (f.code >= 0) {
        reef_json_number(json, "reason_code", (unsigned)f.code);
    }
    if (m->type == MQTT_SUBSCRIBE || m->type == MQTT_UNSUBSCRIBE)
        write_topics(json, m, &f);
    else if (m->type == MQTT_SUBACK || m->type == MQTT_UNSUBACK)
        write_codes(json, m->type == MQTT_SUBACK ? "qos_granted" : "reason_codes", f.rest);
    if (m->type != MQTT_SUBACK && m->type != MQTT_UNSUBACK && m->type != MQTT_UNSUBSCRIBE)
        write_properties(json, f.properties);
}

void mqtt_write_message(const mqtt_message *m, reef_json *json)
{
    if (m->type == MQTT_UNASSIGNED)
        return;
    reef_json_open(json, members[m->type], '{');
    reef_json_number(json, "qos", mqtt_qos(m));
    reef_json_bool(json, "retain", m->flags & MQTT_RETAIN);
    reef_json_bool(json, "dup", m->flags & MQTT_DUP);
    if (m->truncated) {
        reef_json_bool(json, "truncated", true);
        reef_json_number(json, "skipped_length", m->length);
    } else if (m->type == MQTT_CONNECT) {
        write_connect(json, m);
    } else {
        write_fields(json, m);
    }
    reef_json_close(json, '}');
}
