/* bridge: a bump in the wire between two interfaces: what comes in by one goes out by the other when it is judged to. For sites that
 * cannot give the gateway addresses of its own. Opening needs CAP_NET_RAW; nothing after it needs any privilege.
 *
 * While nobody calls reef_bridge_turn nothing passes here. Whether the kernel carries frames meanwhile is its keeper's business
 * (`keeper`): who hears nothing from a bridge for REEF_BRIDGE_PATIENCE_MS takes it that it carries none. */
#ifndef REEF_BRIDGE_H
#define REEF_BRIDGE_H

#include "reef/judge.h"

enum { REEF_BRIDGE_PATIENCE_MS = 100 };

typedef struct reef_bridge reef_bridge;

typedef struct reef_bridge_counters {
    uint64_t passed, stopped; /* as judged; stopped: rejected ones too, since a bump has no address to answer from */
    uint64_t unseen;          /* that could not be looked at */
    uint64_t lost;            /* that the kernel had no room for, on the way in or out, or that are too long for the other line */
} reef_bridge_counters;

/* Sockets that hear nothing yet. */
int reef_bridge_open(reef_bridge **out);
void reef_bridge_free(reef_bridge *bridge);

/* From now on between these two, of which no other socket of the kernel should make use; frames from before are thrown away. `mark`
 * stands for the policy's rule; `open`: what could not be looked at passes. `keeper` is a stream socket that gets a byte every few
 * milliseconds while frames are carried, -1 for none; the caller's, open as long as the bridge is used. May be said again. */
int reef_bridge_bind(reef_bridge *bridge, uint32_t one, uint32_t other, uint32_t mark, bool open, int keeper);

/* The same lines, but another rule, or other words for what could not be looked at; from any thread. */
void reef_bridge_mean(reef_bridge *bridge, uint32_t mark, bool open);

/* Between none. */
void reef_bridge_rest(reef_bridge *bridge);

/* Wait until frames are there, at most so long; judge and pass on what is there. REEF_SYSTEM: an interface is gone, or down.
 * REEF_END: the keeper is gone, or gave us up because we were held up for too long. */
int reef_bridge_turn(reef_bridge *bridge, reef_worker *worker, int milliseconds);

void reef_bridge_count(const reef_bridge *bridge, reef_bridge_counters *counters);

#endif
