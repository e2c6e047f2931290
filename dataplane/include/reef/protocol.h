/* A protocol of the application layer: one file in dataplane/app/ and one line in its registry (app/registry.c). */
#ifndef REEF_PROTOCOL_H
#define REEF_PROTOCOL_H

#include "reef/buffer.h"
#include "reef/json.h"
#include "reef/session.h"

typedef enum reef_guess { REEF_GUESS_NO, REEF_GUESS_MORE, REEF_GUESS_YES } reef_guess;

/* What is asked to tell a protocol: the first bytes of one direction (a datagram, or what a stream has so far). */
typedef struct reef_probe {
    reef_view bytes;
    int direction; /* of the bytes, as the flow has it; picked up midstream it may be the wrong way round */
    uint16_t server_port, client_port;
    bool stream;   /* of a stream: more may come */
    bool end;      /* no more will come */
    bool *turned;  /* set: these bytes tell that the flow's client is really the server */
} reef_probe;

/* Which text is wanted of a transaction. */
typedef enum reef_log {
    REEF_LOG_TO_SERVER, /* protocols that log each way (dns) */
    REEF_LOG_TO_CLIENT,
    REEF_LOG_WHOLE,     /* the others, when the transaction is complete or the flow ends */
    REEF_LOG_ALERT,     /* within an alert: what is known so far */
} reef_log;

/* When a buffer can be asked for: once progress[direction] has reached `progress`. */
typedef struct reef_protocol_buffer {
    uint16_t kind;     /* reef_buffer_kind */
    uint8_t direction; /* REEF_TO_SERVER or REEF_TO_CLIENT */
    uint8_t progress;
} reef_protocol_buffer;

struct reef_protocol {
    const char *name;       /* EVE's app_proto and the name in rules */
    const char *event_type; /* EVE's event_type; NULL: not logged on its own */
    const char *member;     /* the key of its object in EVE; NULL: as event_type */
    uint8_t transport;      /* REEF_PROTO_TCP, REEF_PROTO_UDP or 0: both */
    bool logs_each_way;
    bool takes_gaps;        /* goes on after missing bytes; the others stop there */
    uint8_t first;          /* ways (buffer.h) in which the conversation begins; 0: either */
    uint8_t complete[2];    /* progress at which a direction is complete */
    uint8_t logged[2];      /* progress at which it is written down; 0: when it is complete */
    uint32_t state_size, transaction_size;

    /* NULL: never found by its bytes (ftp-data). Pure. Cheap: it is asked of every flow. */
    reef_guess (*probe)(const reef_probe *probe);

    /* Bytes in order, each once; the parser keeps what it still needs. missing > 0: a gap comes first. Returns false
     * when the rest of the flow is of no use to it (then it is called no more). */
    bool (*bytes)(reef_call *call, int direction, const reef_chunk *chunk);
    /* The state and each transaction, before their memory is given back (their arenas are freed by the session). */
    void (*free_state)(reef_memory *memory, reef_session *session);
    void (*free_transaction)(reef_memory *memory, reef_session *session, reef_transaction *transaction);
    /* The flow was expected with this cookie; may be NULL. */
    void (*expected)(reef_call *call, const uint8_t *cookie, size_t length);

    /* What rules look at. In the order of progress. */
    const reef_protocol_buffer *buffers;
    uint32_t buffers_count;
    /* The `index`th instance (0 unless the buffer is REEF_BUFFER_MULTI); false: there is none. Valid until the next call of `bytes`. */
    bool (*buffer)(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                   unsigned index, reef_buffer *out);
    /* Numbers of values.def; `index` as above. NULL where it has none. */
    bool (*value)(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind,
                  unsigned index, uint64_t *out);
    /* Detection has looked at this direction's windows: bodies may let go of what is behind. May be NULL. */
    void (*inspected)(reef_session *session, reef_transaction *transaction, int direction);

    /* Files of a transaction (tx_file.h), oldest first; NULL where there is none, and as a whole where it never has any.
     * "files" of alerts, "fileinfo" and the store take them from here. */
    struct reef_tx_file *(*files)(const reef_session *session, const reef_transaction *transaction, int direction);

    /* app-layer-event names without "PROTO."; their index is the number. */
    const char *const *events;
    uint32_t events_count;

    /* The members of its EVE object; false: nothing to say. */
    bool (*write)(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);
    /* Members beside it, at the top of the event ("email"); may be NULL. */
    void (*write_beside)(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);
};

/* Numbers 1 to reef_protocols_count(); NULL outside. A flow's `app` is such a number. */
const reef_protocol *reef_protocol_by_number(unsigned number);
unsigned reef_protocol_number(const reef_protocol *protocol);
unsigned reef_protocols_count(void);
/* Aliases of the rule language too ("http1", "ftp-data"); NULL: not known. */
const reef_protocol *reef_protocol_by_name(const char *name);
/* Number of an event by its name; -1: not known. */
int reef_protocol_event(const reef_protocol *protocol, const char *name);

#endif
