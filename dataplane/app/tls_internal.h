/* TLS (RFC 5246, RFC 8446) up to encryption: state of one connection, shared by tls.c (records), tls_handshake.c (messages) and
 * tls_answers.c (what rules and logs ask). */
#ifndef REEF_TLS_INTERNAL_H
#define REEF_TLS_INTERNAL_H

#include "piece.h"
#include "reef/protocol.h"
#include "tls_hello.h"
#include "x509.h"

/* Progress of a direction. */
enum { TLS_HELLO = 1, TLS_CERTIFICATE = 2, TLS_DONE = 3, TLS_FINISHED = 4 };

enum {
    TLS_CLIENT_HELLO = 1 << 0,
    TLS_SERVER_HELLO = 1 << 1,
    TLS_CHANGED_CIPHER = 1 << 2,  /* either side */
    TLS_CLIENT_CHANGED = 1 << 3,
    TLS_SERVER_CHANGED = 1 << 4,
    TLS_HANDSHAKE_DONE = 1 << 5,
    TLS_RESUMED = 1 << 6,         /* perhaps: unless a certificate comes */
    TLS_WITHOUT_CERTIFICATE = 1 << 7, /* it is encrypted (TLS 1.3) */
    TLS_CLIENT_VERSIONS = 1 << 8, /* the client named versions in the extension */
    TLS_EARLY_DATA = 1 << 9,
    TLS_WANTS_CLIENT = 1 << 10,   /* the server asked for a certificate */
    TLS_HEARTBEAT = 1 << 11,      /* one is under way */
    TLS_HEARTBEAT_CLIENT = 1 << 12,
    TLS_HEARTBEAT_SERVER = 1 << 13,
    TLS_CLIENT_KEYS = 1 << 14,
    TLS_SERVER_KEYS = 1 << 15,
    /* SSLv2: */
    TLS_OLD_CLIENT = 1 << 16,
    TLS_OLD_SERVER = 1 << 17,
    TLS_OLD_MASTER_KEY = 1 << 18,
    TLS_OLD_NO_SESSION = 1 << 19,
    TLS_OLD_CLIENT_ENCRYPTED = 1 << 20,
    TLS_OLD_SERVER_ENCRYPTED = 1 << 21,
};

/* Events, named as Suricata does. */
enum {
    TLS_EV_INVALID_SSLV2_HEADER, TLS_EV_INVALID_TLS_HEADER, TLS_EV_INVALID_RECORD_VERSION, TLS_EV_INVALID_RECORD_TYPE,
    TLS_EV_INVALID_RECORD_LENGTH, TLS_EV_INVALID_HANDSHAKE_MESSAGE, TLS_EV_HEARTBEAT, TLS_EV_INVALID_HEARTBEAT,
    TLS_EV_OVERFLOW_HEARTBEAT, TLS_EV_DATALEAK_HEARTBEAT, TLS_EV_HANDSHAKE_INVALID_LENGTH, TLS_EV_MULTIPLE_SNI,
    TLS_EV_INVALID_SNI_TYPE, TLS_EV_INVALID_SNI_LENGTH, TLS_EV_TOO_MANY_RECORDS, TLS_EV_INVALID_CERTIFICATE,
    TLS_EV_CERTIFICATE_LENGTH, TLS_EV_CERTIFICATE_VERSION, TLS_EV_CERTIFICATE_SERIAL, TLS_EV_CERTIFICATE_ALGORITHM,
    TLS_EV_CERTIFICATE_NAME, TLS_EV_CERTIFICATE_DATE, TLS_EV_CERTIFICATE_EXTENSIONS, TLS_EV_CERTIFICATE_DER,
    TLS_EV_CERTIFICATE_SUBJECT, TLS_EV_CERTIFICATE_ISSUER, TLS_EV_CERTIFICATE_VALIDITY, TLS_EV_ERROR_MESSAGE,
    TLS_EV_INVALID_SSL_RECORD, TLS_EV_COUNT
};

/* Where the next record begins, and what came of its header: for rules with `frame`. */
typedef struct tls_walk {
    uint64_t next;
    uint8_t header[5];
    uint8_t held;
    bool begun;
} tls_walk;

typedef struct tls_side {
    tls_walk walk;
    uint16_t version;
    bool has_random, has_certificate, has_certificates;
    uint8_t hellos;         /* read; further ones are not */
    uint8_t random[32];
    uint32_t skip;          /* bytes of an application record that still come */
    reef_piece record;      /* a record that is not whole */
    reef_piece message;     /* a handshake message of several records */
    uint32_t message_size;  /* > 0: what `message` will be */
    uint8_t message_type;
    reef_tls_hello hello;   /* the first one; its bytes lie in the arena */
    reef_view session_id;
    reef_view certificates; /* the chain, each behind its length */
    uint32_t chain;         /* how many of them */
    reef_x509 certificate;  /* the first */
    reef_view ja3_string, ja3_hash, ja4; /* once asked for */
} tls_side;

typedef struct tls_state {
    tls_side side[2];       /* 0: what the client says */
    uint32_t flags;
    uint32_t heartbeat;     /* length of the record of the one under way */
    reef_arena arena;
    reef_transaction *transaction;
} tls_state;

bool tls_is_version(unsigned version);
void tls_raise(reef_call *call, unsigned event);
/* The handshake part of a record. False: it is not what it should be. */
bool tls_handshake(reef_call *call, int direction, reef_view bytes);

/* tls_answers.c */
enum { TLS_BUFFERS = 25 };
extern const reef_protocol_buffer tls_buffers[TLS_BUFFERS];
bool tls_buffer(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
                reef_buffer *out);
bool tls_value(const reef_session *session, const reef_transaction *transaction, int direction, unsigned kind, unsigned index,
               uint64_t *out);
bool tls_write(const reef_session *session, const reef_transaction *transaction, reef_log which, reef_json *json);

/* Tell of the records of a chunk (tls_records.c). */
void tls_note_records(reef_call *call, int direction, const reef_chunk *chunk);

#endif
