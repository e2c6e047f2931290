/* Records of TLS as stretches for rules with `frame`: their headers are walked through, whatever is in them. */
#include <string.h>

#include "reef/bytes.h"
#include "reef/pdu.h"
#include "tls_internal.h"

enum { RECORD_HEADER = 5 };

void tls_note_records(reef_call *call, int direction, const reef_chunk *chunk)
{
    tls_side *side = &((tls_state *)call->session->state)->side[direction];
    tls_walk *walk = &side->walk;
    uint64_t end = chunk->offset + chunk->bytes.length;
    if (!walk->begun)
        walk->next = chunk->offset;
    walk->begun = true;
    while (walk->next + walk->held < end && walk->next + walk->held >= chunk->offset) {
        uint64_t at = walk->next + walk->held - chunk->offset;
        uint32_t left = chunk->bytes.length - (uint32_t)at, missing = (uint32_t)RECORD_HEADER - walk->held;
        uint32_t take = missing < left ? missing : left;
        uint8_t before = walk->held;
        memcpy(walk->header + walk->held, chunk->bytes.data + at, take);
        walk->held = (uint8_t)(walk->held + take);
        if (walk->held < RECORD_HEADER)
            return;
        uint64_t length = RECORD_HEADER + (uint64_t)reef_be16(walk->header + 3);
        reef_pdu_note_late(call, direction, REEF_BUFFER_PDU_TLS_PDU, walk->next, length, (reef_view){walk->header, before});
        walk->next += length;
        walk->held = 0;
    }
}
