/* session: the application layer of one flow. Protocols are parsers of bytes in order (protocol.h); what they find lies
 * in transactions, which detection asks for buffers and output writes down. */
#ifndef REEF_SESSION_H
#define REEF_SESSION_H

#include "reef/flow.h"
#include "reef/memory.h"
#include "reef/packet.h"
#include "reef/view.h"

typedef struct reef_protocol reef_protocol;
typedef struct reef_session reef_session;
typedef struct reef_transaction reef_transaction;

enum { REEF_TX_EVENTS_MAX = 8 };

/* The common head of every transaction; a protocol's own struct begins with it. */
struct reef_transaction {
    reef_transaction *next;       /* oldest first */
    uint64_t number;              /* counts from 0 within the session: EVE's tx_id */
    uint32_t size;                /* bytes of the whole struct */
    uint8_t progress[2];          /* by direction; the protocol's own scale, never falls */
    uint8_t window[2];            /* by direction: counted up whenever a body has a new window to look at */
    uint8_t events;               /* how many of event[] are set */
    uint8_t events_told;          /* how many of them were written down as anomalies */
    uint8_t logged;               /* bits 1 << which (reef_log) that were written */
    bool told[2];                 /* detection of this direction is complete */
    bool updated[2];              /* something changed since detection looked */
    uint8_t files_begun[2];       /* files so far, by direction */
    bool files_ended;             /* a file ended: its "fileinfo" is due (tx_file.h) */
    uint16_t event[REEF_TX_EVENTS_MAX]; /* numbers in the protocol's own list */
    void *detect[2];              /* of detection alone */
    reef_arena arena;             /* what buffers point into */
};

enum {
    REEF_SESSION_DETECTED = 0x01,   /* the protocol is known (or known to be none of ours: `failed`) */
    REEF_SESSION_NO_INSPECT = 0x02, /* what comes now is encrypted: neither payload nor stream is looked at */
    REEF_SESSION_NO_PARSE = 0x04,   /* nothing further is handed to the parser */
    REEF_SESSION_FAILED = 0x08,     /* detection gave up */
    REEF_SESSION_CHANGED = 0x10,    /* the protocol was replaced by another (STARTTLS, CONNECT, Upgrade) */
    REEF_SESSION_CHANGING = 0x20,   /* it will be with the next bytes: what transactions there are have their last say now */
};

/* Events of detection rather than of a protocol (app-layer-event:applayer_...). In session->event they carry REEF_SESSION_EVENT. */
enum {
    REEF_SESSION_EVENT_MISMATCH,
    REEF_SESSION_EVENT_WRONG_DIRECTION,
    REEF_SESSION_EVENT_ONE_DIRECTION,
    REEF_SESSION_EVENT_SKIPPED,
    REEF_SESSION_EVENT_NO_TLS,
    REEF_SESSION_EVENT_UNEXPECTED,
    REEF_SESSION_EVENT_COUNT,
    REEF_SESSION_EVENT = 0x8000,
};

struct reef_session {
    const reef_protocol *protocol; /* NULL while unknown */
    const reef_protocol *before;   /* the one it replaced, or NULL */
    const reef_protocol *seen[2];  /* what each direction looked like, NULL while unknown */
    void *state;                   /* protocol->state_size bytes, zeroed when the protocol becomes known */
    reef_transaction *first, *last;
    uint64_t transactions;         /* ever */
    uint32_t open;                 /* now in the list */
    uint8_t flags;
    uint8_t events;                /* events of the session itself, without a transaction */
    uint8_t first_side;            /* 1 + the direction that spoke first; 0: none did */
    bool fed;                      /* the parser was called */
    bool settling;                 /* a change was asked for, and the new protocol sees its first bytes just now */
    uint8_t boundary;              /* bits 1 << direction: a message ended; the engine clears them */
    uint16_t event[REEF_TX_EVENTS_MAX];
    uint64_t event_packet;         /* number of the packet that event[] belongs to: they are told with that one alone */
    const reef_protocol *wanted;   /* what a change should lead to, or NULL */
    uint32_t left;                 /* bytes of the chunk at hand that are the next protocol's */
    struct {
        uint8_t *data; /* first bytes held while the protocol is not known */
        uint32_t length, capacity;
        uint64_t bytes;    /* ever taken of this direction */
        uint32_t lost;     /* bytes behind `data` that were not held */
        bool gone;         /* no more probing of this direction */
        bool ended;
    } side[2];
    void *detect;                  /* of detection alone */
    struct reef_pdu *pdus;         /* pdu.h: for rules with `frame` */
    uint64_t pdus_seen;
};

/* What a parser is called with. */
typedef struct reef_call {
    reef_memory *memory;
    reef_session *session;
    reef_flow *flow;
    const reef_packet *packet; /* the packet that made these bytes available; NULL when the flow ends */
    struct reef_expectations *expectations;
    struct reef_files *files;  /* of the worker: what is wanted of files (tx_file.h) */
    uint64_t time_ns;
    bool pdus;                 /* rules with `frame` are there (pdu.h) */
    bool logs, detects;        /* transactions are written down; rules look at them: both must be done before one goes */
    struct reef_matcher *matcher; /* for `forget` alone */
    void (*forget)(struct reef_matcher *matcher, reef_transaction *transaction); /* before one goes; may be NULL */
    bool midstream; /* the handshake of this flow was not seen */
    bool may_turn;  /* the flow may be the wrong way round (picked up midstream, or a first datagram) */
    bool sheds_files; /* there is no time for bodies that begin (reactions.h) */
    bool turned;    /* answer: it was. The session has turned itself; flow and tcp are the engine's to turn */
} reef_call;

/* --- for the engine ---------------------------------------------------------------------------------- */

reef_session *reef_session_new(reef_memory *memory);
void reef_session_free(reef_memory *memory, reef_session *session);

/* Bytes in order (of a stream) or one datagram. `offset` is that of the first byte in its direction. A gap is said
 * by `missing` bytes in front of them. `end`: nothing comes after them. */
typedef struct reef_chunk {
    reef_view bytes;
    uint64_t offset;
    uint32_t missing;
    bool end;
} reef_chunk;

void reef_session_bytes(reef_call *call, int direction, const reef_chunk *chunk);
/* Names of the session's own events; NULL, -1: not known. */
const char *reef_session_event_name(unsigned event);
int reef_session_event(const char *name);
/* Is it time to write this transaction down as `which` (reef_log of protocol.h: TO_SERVER, TO_CLIENT or WHOLE)? Once done, or
 * when the protocol had nothing to say, the caller sets its bit in `logged`. `ends`: the flow does. */
bool reef_transaction_due(const reef_session *session, const reef_transaction *transaction, unsigned which, bool ends);
/* Transactions that are complete, inspected (told[] in both directions) and logged leave; `all` when the flow ends. */
void reef_session_reap(reef_call *call, bool all);

/* --- for parsers ------------------------------------------------------------------------------------- */

/* A new transaction of protocol->transaction_size bytes at the end of the list, zeroed; NULL at the limits. */
reef_transaction *reef_transaction_new(reef_call *call);
/* An app-layer-event of the protocol; once each. `transaction` NULL: of the session. */
void reef_transaction_event(reef_call *call, reef_transaction *transaction, unsigned event);
/* Progress of a direction: at least this. */
static inline void reef_transaction_progress(reef_transaction *transaction, int direction, unsigned progress)
{
    if (transaction->progress[direction] < progress) {
        transaction->progress[direction] = (uint8_t)progress;
        transaction->updated[direction] = true;
    }
}
/* A body has a new window. */
static inline void reef_transaction_window(reef_transaction *transaction, int direction)
{
    transaction->window[direction]++;
    transaction->updated[direction] = true;
}
/* The flow will speak another protocol: it is found out anew from the bytes that come; `wanted` (or NULL) is what it should
 * be. `left` bytes at the end of the chunk that is being parsed are the new protocol's already. Make the transactions complete
 * before. False: one change is under way already, this one is not followed. */
bool reef_session_change(reef_call *call, const reef_protocol *wanted, uint32_t left);
/* A message ends here: stream rules look at what was gathered of this direction, too. */
static inline void reef_session_boundary(reef_session *session, int direction)
{
    session->boundary |= (uint8_t)(1u << direction);
}
/* Encryption begins: neither payload nor stream of this flow is worth a look any more. */
static inline void reef_session_stop_inspection(reef_session *session)
{
    session->flags |= REEF_SESSION_NO_INSPECT;
}
/* A flow that will come (FTP data): to this address and port; `cookie` (bytes, copied,
 * at most REEF_EXPECT_COOKIE_MAX) is given to `protocol`'s `expected`. */
void reef_session_expect(reef_call *call, const reef_protocol *protocol, unsigned version, const uint8_t *address,
                         uint16_t port, const uint8_t *cookie, size_t length);

/* The same, only from `source` (NULL: from anywhere). */
void reef_session_expect_from(reef_call *call, const reef_protocol *protocol, unsigned version, const uint8_t *address,
                              uint16_t port, const uint8_t *source, const uint8_t *cookie, size_t length);

/* --- expectations: one table per worker ------------------------------------------------------------------- */

typedef struct reef_expectations reef_expectations;
int reef_expectations_new(uint32_t limit, reef_expectations **out);
void reef_expectations_free(reef_expectations *expectations);
/* A new flow (call->session is made): was it expected? Then its session gets its protocol at once. */
void reef_expectations_meet(reef_call *call);
uint32_t reef_expectations_count(const reef_expectations *expectations);

/* --- between session.c and expect.c ------------------------------------------------------------------------ */

/* The protocol is known for both directions: its state is made. False: no memory. */
bool reef_session_adopt(reef_call *call, const reef_protocol *protocol);

#endif
