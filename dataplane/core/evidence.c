#include "reef/evidence.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "reef/limits.h"
#include "reef/status.h"

/* In the ring, each frame behind one of these; frames begin at multiples of 8. */
typedef struct ring_entry {
    uint64_t flow; /* 0: nothing here up to the end of the ring */
    uint64_t time_ns;
    uint32_t captured, length;
    uint16_t link, vlan;
    uint32_t size; /* of the entry with its frame */
} ring_entry;

typedef struct record {
    uint64_t flow;       /* 0: the place is free */
    reef_stored *file;   /* NULL: it is over, `digest` says how */
    struct sha256_ctx digest_so_far;
    uint8_t digest[32];
    uint64_t bytes;
    uint16_t link;
    bool kept;
} record;

struct reef_evidence {
    reef_filestore *store;
    uint8_t *ring;
    uint32_t size, most;
    uint32_t head, tail; /* where the next entry goes; the oldest one */
    bool empty;
    reef_evidence_counters counters;
    record record[REEF_EVIDENCE_FLOWS_MAX];
};

int reef_evidence_new(reef_filestore *store, uint32_t ring, uint32_t most, reef_evidence **out)
{
    *out = NULL;
    if (ring < REEF_EVIDENCE_RING_MIN || ring > 1u << 30)
        return REEF_INVALID;
    reef_evidence *evidence = calloc(1, sizeof *evidence);
    if (evidence == NULL)
        return REEF_NOMEM;
    *evidence = (reef_evidence){.store = store, .size = ring & ~7u, .most = most, .empty = true};
    evidence->ring = malloc(evidence->size);
    if (evidence->ring == NULL) {
        free(evidence);
        return REEF_NOMEM;
    }
    *out = evidence;
    return REEF_OK;
}

void reef_evidence_free(reef_evidence *evidence)
{
    if (evidence == NULL)
        return;
    for (unsigned i = 0; i < REEF_EVIDENCE_FLOWS_MAX; i++)
        if (evidence->record[i].file != NULL)
            reef_filestore_drop(evidence->record[i].file);
    free(evidence->ring);
    free(evidence);
}

/* --- files ------------------------------------------------------------------------------------------- */

static record *record_of(reef_evidence *evidence, uint64_t flow)
{
    for (unsigned i = 0; i < REEF_EVIDENCE_FLOWS_MAX; i++)
        if (evidence->record[i].flow == flow)
            return &evidence->record[i];
    return NULL;
}

static void finish(reef_evidence *evidence, record *one)
{
    if (one->file == NULL)
        return;
    if (one->bytes == 0) { /* the alert was about what lies around another conversation's packets */
        reef_filestore_drop(one->file);
        one->file = NULL;
        return;
    }
    sha256_digest(&one->digest_so_far, sizeof one->digest, one->digest);
    one->kept = reef_filestore_keep(one->file, one->digest);
    one->file = NULL;
    evidence->counters.kept += one->kept;
    evidence->counters.refused += !one->kept;
}

static bool write_bytes(record *one, const void *data, uint32_t length)
{
    if (one->file == NULL)
        return false;
    if (!reef_filestore_add(one->file, (reef_view){data, length})) {
        one->file = NULL; /* the store gave it up */
        return false;
    }
    sha256_update(&one->digest_so_far, length, data);
    one->bytes += length;
    return true;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* As pcap with times in nanoseconds has it, in little-endian order on every machine: the same packets, the same digest. */
static void write_head(record *one, uint16_t link)
{
    uint8_t head[24] = {0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0};
    put32(head + 16, REEF_FRAME_MAX);
    put32(head + 20, link);
    one->link = link;
    write_bytes(one, head, sizeof head);
}

/* The tag that the kernel took off goes back to its place behind the addresses. */
static void write_frame(reef_evidence *evidence, record *one, const reef_frame *frame)
{
    enum { TAG_AT = 12, TAG = 4 };
    bool tagged = frame->vlan & REEF_FRAME_HAS_VLAN && frame->link == REEF_LINK_ETHERNET && frame->captured >= TAG_AT;
    uint32_t more = tagged ? TAG : 0;
    if (one->file == NULL || frame->link != one->link)
        return;
    if (one->bytes + frame->captured > evidence->most) {
        finish(evidence, one);
        return;
    }
    uint8_t head[16];
    put32(head, (uint32_t)(frame->time_ns / 1000000000u));
    put32(head + 4, (uint32_t)(frame->time_ns % 1000000000u));
    put32(head + 8, frame->captured + more);
    put32(head + 12, frame->length + more);
    evidence->counters.packets += write_bytes(one, head, sizeof head);
    if (tagged) {
        const uint8_t tag[TAG] = {0x81, 0x00, (uint8_t)(frame->vlan >> 8 & 0x0f), (uint8_t)frame->vlan};
        write_bytes(one, frame->data, TAG_AT);
        write_bytes(one, tag, TAG);
        write_bytes(one, frame->data + TAG_AT, frame->captured - TAG_AT);
    } else {
        write_bytes(one, frame->data, frame->captured);
    }
}

/* --- ring -------------------------------------------------------------------------------------------- */

static ring_entry entry_at(const reef_evidence *evidence, uint32_t at)
{
    ring_entry entry;
    memcpy(&entry, evidence->ring + at, sizeof entry);
    return entry;
}

/* The place behind an entry; what does not fit before the end of the ring begins anew. */
static uint32_t behind(const reef_evidence *evidence, uint32_t at, const ring_entry *entry)
{
    uint32_t next = at + entry->size;
    return entry->flow == 0 || next + sizeof *entry > evidence->size ? 0 : next;
}

static void drop_oldest(reef_evidence *evidence)
{
    ring_entry oldest = entry_at(evidence, evidence->tail);
    evidence->tail = behind(evidence, evidence->tail, &oldest);
    evidence->empty = evidence->tail == evidence->head;
}

/* Bytes from `head` on that hold no entry: to the end of the ring, or to the oldest one. */
static uint32_t room(const reef_evidence *evidence)
{
    if (evidence->empty)
        return evidence->size - evidence->head;
    return evidence->tail > evidence->head    ? evidence->tail - evidence->head
           : evidence->tail == evidence->head ? 0
                                              : evidence->size - evidence->head;
}

static void remember(reef_evidence *evidence, uint64_t flow, const reef_frame *frame)
{
    uint32_t size = (uint32_t)((sizeof(ring_entry) + frame->captured + 7) & ~7ull);
    if (size > evidence->size)
        return;
    if (evidence->size - evidence->head < size) { /* does not fit before the end: the rest stays empty */
        while (!evidence->empty && evidence->tail >= evidence->head)
            drop_oldest(evidence);
        if (evidence->size - evidence->head >= sizeof(ring_entry)) {
            const ring_entry nothing = {.size = evidence->size - evidence->head};
            memcpy(evidence->ring + evidence->head, &nothing, sizeof nothing);
        }
        evidence->head = 0;
        if (evidence->empty)
            evidence->tail = 0;
    }
    while (room(evidence) < size)
        drop_oldest(evidence);
    if (evidence->empty)
        evidence->tail = evidence->head;
    const ring_entry entry = {.flow = flow,
                              .time_ns = frame->time_ns,
                              .captured = frame->captured,
                              .length = frame->length,
                              .link = frame->link,
                              .vlan = frame->vlan,
                              .size = size};
    memcpy(evidence->ring + evidence->head, &entry, sizeof entry);
    memcpy(evidence->ring + evidence->head + sizeof entry, frame->data, frame->captured);
    evidence->head = behind(evidence, evidence->head, &entry);
    evidence->empty = false;
}

/* What the ring still has of a flow, oldest first. */
static void recall(reef_evidence *evidence, record *one)
{
    uint32_t at = evidence->tail;
    if (evidence->empty)
        return;
    do {
        ring_entry entry = entry_at(evidence, at);
        if (entry.flow == one->flow) {
            const reef_frame frame = {.data = evidence->ring + at + sizeof entry,
                                      .captured = entry.captured,
                                      .length = entry.length,
                                      .time_ns = entry.time_ns,
                                      .link = entry.link,
                                      .vlan = entry.vlan};
            if (one->bytes == 0)
                write_head(one, entry.link);
            write_frame(evidence, one, &frame);
        }
        at = behind(evidence, at, &entry);
    } while (at != evidence->head);
}

/* --- what the engine calls --------------------------------------------------------------------------- */

void reef_evidence_frame(reef_evidence *evidence, uint64_t flow, const reef_frame *frame)
{
    if (flow == 0)
        return;
    record *one = record_of(evidence, flow);
    if (one == NULL) {
        remember(evidence, flow, frame);
        return;
    }
    if (one->bytes == 0)
        write_head(one, frame->link);
    write_frame(evidence, one, frame);
}

void reef_evidence_alert(reef_evidence *evidence, uint64_t flow)
{
    if (flow == 0 || record_of(evidence, flow) != NULL)
        return;
    record *one = record_of(evidence, 0);
    reef_stored *file = one != NULL ? reef_filestore_begin(evidence->store) : NULL;
    if (file == NULL) {
        evidence->counters.refused++;
        return;
    }
    *one = (record){.flow = flow, .file = file};
    sha256_init(&one->digest_so_far);
    recall(evidence, one);
}

bool reef_evidence_end(reef_evidence *evidence, uint64_t flow, uint8_t sha256[32])
{
    record *one = flow != 0 ? record_of(evidence, flow) : NULL;
    if (one == NULL)
        return false;
    finish(evidence, one);
    bool kept = one->kept;
    memcpy(sha256, one->digest, sizeof one->digest);
    *one = (record){.flow = 0};
    return kept;
}

uint32_t reef_evidence_most(const reef_evidence *evidence)
{
    return evidence->most;
}

void reef_evidence_count(const reef_evidence *evidence, reef_evidence_counters *counters)
{
    *counters = evidence->counters;
}
