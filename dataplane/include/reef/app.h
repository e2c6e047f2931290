/* The application layer. One file per protocol (core/app_NAME.c) and one line in the registry (core/app.c).
 *
 * A parser is a pure function of the bytes it is given: it keeps nothing, and what it finds points into them. */
#ifndef REEF_APP_H
#define REEF_APP_H

#include "reef/flow.h"
#include "reef/json.h"
#include "reef/view.h"

/* One DNS message (RFC 1035). Names stay compressed in `message`; the counts are what could be read. */
typedef struct reef_dns {
    reef_view message;
    uint16_t id, flags;
    uint16_t questions, answers;
    uint16_t questions_at, answers_at; /* offsets in the message */
} reef_dns;

/* A ClientHello (RFC 8446 4.1.2). */
typedef struct reef_tls {
    uint16_t version; /* the highest offered */
    reef_view server_name;
    reef_view alpn[REEF_TLS_ALPN_MAX];
    uint8_t alpns;
} reef_tls;

/* The head of a request (RFC 9112 3). */
typedef struct reef_http {
    reef_view method, target, protocol;
    reef_view host, user_agent, referer;
} reef_http;

typedef union reef_app_transaction {
    reef_dns dns;
    reef_tls tls;
    reef_http http;
} reef_app_transaction;

typedef struct reef_app_input {
    reef_view bytes; /* a datagram; of a stream, the first bytes in order that were not parsed yet */
    int direction;   /* REEF_TO_SERVER, REEF_TO_CLIENT */
    uint16_t source_port, destination_port;
    bool known;      /* the flow was already told to be of this protocol */
} reef_app_input;

typedef enum reef_app_answer {
    REEF_APP_NOT_THIS,    /* these bytes are of another protocol */
    REEF_APP_MORE,        /* it may be this one: not enough bytes yet */
    REEF_APP_TRANSACTION, /* the transaction is filled; more may follow */
    REEF_APP_NOTHING,     /* of this protocol, nothing to report */
    REEF_APP_ENDED,       /* the transaction is filled, and the rest of this flow says nothing */
} reef_app_answer;

typedef struct reef_app_protocol {
    const char *name;    /* as in EVE's app_proto and event_type */
    uint8_t ip_protocol; /* REEF_PROTO_TCP or REEF_PROTO_UDP */
    reef_app_answer (*parse)(const reef_app_input *input, reef_app_transaction *transaction);
    void (*write)(const reef_app_transaction *transaction, reef_json *text); /* the members of its EVE object */
} reef_app_protocol;

/* The registry: numbers 1 to `reef_app_count()`; NULL outside. */
const reef_app_protocol *reef_app_by_number(unsigned number);
unsigned reef_app_count(void);

extern const reef_app_protocol reef_app_dns, reef_app_tls, reef_app_http;

#endif
