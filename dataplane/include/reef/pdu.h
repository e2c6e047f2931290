/* pdu: stretches of a conversation that a protocol tells of while it reads them (a record, a header, a body), for rules with
 * `frame`. Only kept while such rules are there; bounded in number and bytes. */
#ifndef REEF_PDU_H
#define REEF_PDU_H

#include "reef/buffer.h"
#include "reef/limits.h"
#include "reef/session.h"

#define REEF_PDU_OPEN_END UINT64_MAX /* how long it is shows later */

typedef struct reef_pdu {
    struct reef_pdu *next; /* oldest first */
    uint64_t number;       /* within the session */
    uint64_t offset;       /* of its first byte in its direction */
    uint64_t length;
    uint8_t *data;         /* what was kept of it, from its first byte on */
    uint32_t held, capacity;
    uint16_t kind;         /* REEF_BUFFER_PDU_... */
    uint8_t direction;
    uint8_t looks;         /* of detection, while it grows */
    uint8_t matches;       /* rules that matched it, each once */
    bool fresh;            /* it grew since detection looked */
    bool ready;            /* no more of it will be kept */
    bool told;             /* detection has seen all of it */
    uint32_t match[REEF_PDU_MATCHES_MAX]; /* of detection: their ranks */
} reef_pdu;

/* A stretch begins at `offset` of its direction, not before the chunk at hand. Nothing unless rules ask (call->pdus). */
void reef_pdu_note(reef_call *call, int direction, unsigned kind, uint64_t offset, uint64_t length);
/* The same where its first bytes, `before`, came with earlier chunks: the rest begins with the chunk at hand. */
void reef_pdu_note_late(reef_call *call, int direction, unsigned kind, uint64_t offset, uint64_t length, reef_view before);
/* The newest stretch of this kind whose end was open ends in front of `end`. */
void reef_pdu_close(reef_call *call, int direction, unsigned kind, uint64_t end);
/* The bytes of the chunk that was read go to the stretches they belong to. */
void reef_pdus_gather(reef_call *call, int direction, const reef_chunk *chunk);
/* Those that rules have seen go. */
void reef_pdus_reap(reef_memory *memory, reef_session *session);
void reef_pdus_free(reef_memory *memory, reef_session *session);

/* "response" of "frame:http/response". */
const char *reef_pdu_type(unsigned kind);

#endif
