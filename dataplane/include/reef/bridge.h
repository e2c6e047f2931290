/* bridge: a bump in the wire between two interfaces: what comes in by one goes out by the other when it is judged to. For sites that
 * cannot give the gateway addresses of its own. Opening needs CAP_NET_RAW; nothing after it needs any privilege.
 *
 * The kernel does nothing with these frames: while nobody calls reef_bridge_turn nothing passes. */
#ifndef REEF_BRIDGE_H
#define REEF_BRIDGE_H

#include "reef/judge.h"

typedef struct reef_bridge reef_bridge;

typedef struct reef_bridge_counters {
    uint64_t passed, stopped; /* as judged; stopped: rejected ones too, since a bump has no address to answer from */
    uint64_t unseen;          /* that could not be looked at */
    uint64_t lost;            /* that the kernel had no room for, on the way in or out, or that are too long for the other line */
} reef_bridge_counters;

/* Sockets that hear nothing yet. */
int reef_bridge_open(reef_bridge **out);
void reef_bridge_free(reef_bridge *bridge);

/* From now on between these two, of which no other socket of the kernel should make use. `mark` stands for the policy's rule;
 * `open`: what could not be looked at passes. May be said again. */
int reef_bridge_bind(reef_bridge *bridge, uint32_t one, uint32_t other, uint32_t mark, bool open);

/* Wait until frames are there, at most so long; judge and pass on what is there. REEF_SYSTEM: an interface is gone, or down. */
int reef_bridge_turn(reef_bridge *bridge, reef_worker *worker, int milliseconds);

void reef_bridge_count(const reef_bridge *bridge, reef_bridge_counters *counters);

#endif
