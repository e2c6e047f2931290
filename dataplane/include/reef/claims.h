/* claims: which conversations lanes judge, so that taps, which see the same packets before or after them, leave those out. Shared by
 * all workers of a process; a claim may be forgotten for another one, and then a conversation is looked at twice. */
#ifndef REEF_CLAIMS_H
#define REEF_CLAIMS_H

#include "reef/flow.h"

typedef struct reef_claims reef_claims;

int reef_claims_new(const uint64_t seed[2], reef_claims **out);
void reef_claims_free(reef_claims *claims);

/* By addresses, ports and protocol, whatever the interface or VLAN. From any thread. */
void reef_claims_add(reef_claims *claims, const reef_flow_key *key);
bool reef_claims_has(const reef_claims *claims, const reef_flow_key *key);

#endif
