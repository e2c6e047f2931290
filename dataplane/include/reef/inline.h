/* inline: the worker's end of a lane: packets that wait are judged as they come, in a thread that does nothing else. What the
 * rest of the process wants of the worker is handed over between two packets. */
#ifndef REEF_INLINE_H
#define REEF_INLINE_H

#include "reef/bridge.h"
#include "reef/judge.h"

typedef struct reef_inline reef_inline;

/* The worker must outlive it; nobody else may use it meanwhile, but for the reader of its events. */
int reef_inline_new(reef_worker *worker, reef_inline **out);
void reef_inline_free(reef_inline *line);

/* Take the lane that comes over `peer` (a connected Unix socket, borrowed), and judge until the other side goes (REEF_END) or
 * reef_inline_stop (REEF_OK). REEF_FORMAT: what came is not a lane. */
int reef_inline_run(reef_inline *line, int peer);
/* The same over a bump in the wire, until one of its lines is gone or down (REEF_SYSTEM), its keeper gone (REEF_END) or
 * reef_inline_stop (REEF_OK). */
int reef_inline_bridge(reef_inline *line, reef_bridge *bridge);

/* These from any thread. */
void reef_inline_stop(reef_inline *line);
/* From the next packet on; waits until they are (while it runs), so that what was before may be freed. */
int reef_inline_rules(reef_inline *line, const reef_rules *rules, const reef_reactions *reactions);
int reef_inline_set_change(reef_inline *line, const char *name, bool out, const uint8_t *values, size_t length);
int reef_inline_keep(reef_inline *line, reef_filestore *store, bool all, struct reef_evidence *evidence);
void reef_inline_count(reef_inline *line, reef_counters *counters);
/* As reef_worker_rule_costs; the messages of the rules stay as long as the rules do. */
uint32_t reef_inline_rule_costs(reef_inline *line, uint32_t *from, reef_rule_cost *out, uint32_t max);
/* How much more there is to look into than time (reef/pressure.h): now, and the most since this was asked last. */
void reef_inline_pressure(reef_inline *line, unsigned *now, unsigned *most);

#endif
