#include "reef/pdu.h"

#include <string.h>

#include "reef/limits.h"

static void give(reef_memory *memory, reef_pdu *pdu)
{
    reef_memory_give(memory, pdu->data, pdu->capacity);
    reef_memory_give(memory, pdu, sizeof *pdu);
}

/* `from` NULL: zeros, for bytes that are missing. */
static bool keep(reef_memory *memory, reef_pdu *pdu, const uint8_t *from, uint64_t length)
{
    uint32_t room = REEF_PDU_BYTES_MAX - pdu->held, take = length < room ? (uint32_t)length : room;
    uint32_t wanted = pdu->held + take;
    if (take == 0)
        return wanted < REEF_PDU_BYTES_MAX;
    if (wanted > pdu->capacity) {
        uint32_t capacity = pdu->capacity != 0 ? pdu->capacity : 256;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *fresh = reef_memory_resize(memory, pdu->data, pdu->capacity, capacity);
        if (fresh == NULL)
            return false;
        pdu->data = fresh;
        pdu->capacity = capacity;
    }
    if (from != NULL)
        memcpy(pdu->data + pdu->held, from, take);
    else
        memset(pdu->data + pdu->held, 0, take);
    pdu->held = wanted;
    pdu->fresh = true;
    return wanted < REEF_PDU_BYTES_MAX;
}

void reef_pdu_note(reef_call *call, int direction, unsigned kind, uint64_t offset, uint64_t length)
{
    if (!call->pdus)
        return;
    unsigned count = 0;
    reef_pdu **at = &call->session->pdus;
    for (; *at != NULL; at = &(*at)->next)
        count++;
    reef_pdu *pdu = count < REEF_PDUS_MAX ? reef_memory_get(call->memory, sizeof *pdu) : NULL;
    if (pdu == NULL)
        return;
    *pdu = (reef_pdu){.number = call->session->pdus_seen++, .offset = offset, .length = length, .kind = (uint16_t)kind, .direction = (uint8_t)direction};
    *at = pdu;
}

void reef_pdu_note_late(reef_call *call, int direction, unsigned kind, uint64_t offset, uint64_t length, reef_view before)
{
    uint64_t seen = call->session->pdus_seen;
    reef_pdu_note(call, direction, kind, offset, length);
    if (!call->pdus || call->session->pdus_seen == seen)
        return;
    reef_pdu *pdu = call->session->pdus;
    while (pdu->next != NULL)
        pdu = pdu->next;
    (void)keep(call->memory, pdu, before.data, before.length);
}

void reef_pdu_close(reef_call *call, int direction, unsigned kind, uint64_t end)
{
    reef_pdu *newest = NULL;
    for (reef_pdu *pdu = call->session->pdus; pdu != NULL; pdu = pdu->next)
        if (pdu->kind == kind && pdu->direction == direction && pdu->length == REEF_PDU_OPEN_END)
            newest = pdu;
    if (newest != NULL && end >= newest->offset)
        newest->length = end - newest->offset;
}

/* The part of [begin, end) that comes next in the pdu. */
static bool take_part(reef_memory *memory, reef_pdu *pdu, uint64_t begin, uint64_t end, const uint8_t *data)
{
    uint64_t want = pdu->offset + pdu->held, stop = pdu->length > UINT64_MAX - pdu->offset ? UINT64_MAX : pdu->offset + pdu->length;
    if (want < begin)
        return end <= want; /* its beginning was not kept */
    if (want >= end || want >= stop)
        return true;
    uint64_t to = stop < end ? stop : end;
    return keep(memory, pdu, data != NULL ? data + (want - begin) : NULL, to - want);
}

void reef_pdus_gather(reef_call *call, int direction, const reef_chunk *chunk)
{
    uint64_t begin = chunk->offset, end = begin + chunk->bytes.length;
    for (reef_pdu *pdu = call->session->pdus; pdu != NULL; pdu = pdu->next) {
        if (pdu->direction != direction || pdu->ready)
            continue;
        bool goes_on = true;
        if (chunk->missing > 0)
            goes_on = take_part(call->memory, pdu, begin - chunk->missing, begin, NULL);
        goes_on = goes_on && take_part(call->memory, pdu, begin, end, chunk->bytes.data);
        pdu->ready = !goes_on || chunk->end || (pdu->length != REEF_PDU_OPEN_END && pdu->held >= pdu->length);
    }
}

void reef_pdus_reap(reef_memory *memory, reef_session *session)
{
    for (reef_pdu **at = &session->pdus; *at != NULL;) {
        reef_pdu *pdu = *at;
        if (!pdu->told) {
            at = &pdu->next;
            continue;
        }
        *at = pdu->next;
        give(memory, pdu);
    }
}

void reef_pdus_free(reef_memory *memory, reef_session *session)
{
    for (reef_pdu *next, *pdu = session->pdus; pdu != NULL; pdu = next) {
        next = pdu->next;
        give(memory, pdu);
    }
    session->pdus = NULL;
}

const char *reef_pdu_type(unsigned kind)
{
    const char *name = reef_buffer_name(kind), *slash = name != NULL ? strchr(name, '/') : NULL;
    return slash != NULL ? slash + 1 : name;
}
