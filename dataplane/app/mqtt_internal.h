/* Between the files of MQTT only (OASIS MQTT 3.1.1 and 5.0): messages, and what stands in them. */
#ifndef REEF_APP_MQTT_INTERNAL_H
#define REEF_APP_MQTT_INTERNAL_H

#include <stdbool.h>

#include "reef/json.h"
#include "reef/view.h"

typedef enum mqtt_type {
    MQTT_UNASSIGNED, MQTT_CONNECT, MQTT_CONNACK, MQTT_PUBLISH, MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP,
    MQTT_SUBSCRIBE, MQTT_SUBACK, MQTT_UNSUBSCRIBE, MQTT_UNSUBACK, MQTT_PINGREQ, MQTT_PINGRESP, MQTT_DISCONNECT, MQTT_AUTH,
} mqtt_type;

enum { MQTT_RETAIN = 1, MQTT_DUP = 8 };
enum { MQTT_CLEAN = 0x02, MQTT_WILL = 0x04, MQTT_WILL_RETAIN = 0x20, MQTT_PASSWORD = 0x40, MQTT_USERNAME = 0x80 };

typedef struct mqtt_message {
    struct mqtt_message *next;
    reef_view body;   /* behind the fixed header */
    uint32_t length;  /* as the fixed header says: more than there is of a message that was too long to be kept */
    uint8_t type;     /* mqtt_type */
    uint8_t flags;    /* the low nibble of the first octet */
    uint8_t version;  /* of the connection: 3, 4, 5; 0 while it is not known */
    bool truncated;
} mqtt_message;

static inline unsigned mqtt_qos(const mqtt_message *m) { return m->flags >> 1 & 3u; }

typedef struct mqtt_connect {
    reef_view protocol, client_id, will_topic, will_message, username, password; /* data NULL: it is not there */
    reef_view properties, will_properties;
    uint8_t version, flags;
} mqtt_connect;

/* Everything else that has one of these: a message number, one code or several, topics. */
typedef struct mqtt_fields {
    reef_view properties;
    reef_view topic;     /* of PUBLISH */
    reef_view rest;      /* payload, topics of (UN)SUBSCRIBE, codes of (UN)SUBACK */
    int32_t id;          /* -1: none */
    int16_t code;        /* -1: none */
    uint8_t session_present;
} mqtt_fields;

bool mqtt_read_connect(const mqtt_message *m, mqtt_connect *out);
bool mqtt_read_fields(const mqtt_message *m, mqtt_fields *out);
/* The `index`th topic of a (UN)SUBSCRIBE; `qos` -1 where it has none. */
bool mqtt_topic(const mqtt_message *m, const mqtt_fields *fields, unsigned index, reef_view *topic, int *qos);
/* Is it as the standard says? */
bool mqtt_is_whole(const mqtt_message *m);

/* The member of EVE's object for one message. */
void mqtt_write_message(const mqtt_message *m, reef_json *json);

#endif
