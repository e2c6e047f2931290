/* evidence: the packets of conversations in which a rule alerted, as pcap files that are called by their digest. What came shortly
 * before the alert is taken from a ring of the last frames, what comes afterwards up to a limit. Off unless a policy or an analyst
 * asks for it: packets carry what people say (R30). */
#ifndef REEF_EVIDENCE_H
#define REEF_EVIDENCE_H

#include <stdbool.h>

#include "reef/filestore.h"
#include "reef/packet.h"

typedef struct reef_evidence reef_evidence;

typedef struct reef_evidence_counters {
    uint64_t kept, packets; /* conversations and packets that were written */
    uint64_t refused;       /* conversations that were not: too many at once, or no room in the store */
} reef_evidence_counters;

/* `store` is borrowed. `ring` bytes of frames are remembered; of one conversation at most `most` bytes are written. */
int reef_evidence_new(reef_filestore *store, uint32_t ring, uint32_t most, reef_evidence **out);
void reef_evidence_free(reef_evidence *evidence);

/* A frame of conversation `flow` (0: of none). */
void reef_evidence_frame(reef_evidence *evidence, uint64_t flow, const reef_frame *frame);
/* A rule alerted in it, with the frame that is handed over next. */
void reef_evidence_alert(reef_evidence *evidence, uint64_t flow);
/* It ended. True: what was written is complete, and lies in the store by this name. */
bool reef_evidence_end(reef_evidence *evidence, uint64_t flow, uint8_t sha256[32]);

/* Bytes of one conversation that are written. */
uint32_t reef_evidence_most(const reef_evidence *evidence);
void reef_evidence_count(const reef_evidence *evidence, reef_evidence_counters *counters);

#endif
