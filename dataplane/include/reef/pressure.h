/* pressure: how much more there is to do than time, from how full a queue is. It rises while the queue is half full, step by step,
 * and falls when it was nearly empty for a while: what was left out is not taken up at the first lull. */
#ifndef REEF_PRESSURE_H
#define REEF_PRESSURE_H

#include <stdint.h>

enum { REEF_PRESSURE_MAX = 5 };

/* Zeros begin it. */
typedef struct reef_pressure {
    unsigned level;
    uint64_t changed_ns, calm_ns; /* since when; 0: not */
} reef_pressure;

/* `waiting` of `room` places are taken. `now_ns` never goes back. Returns the level, 0 to REEF_PRESSURE_MAX. */
unsigned reef_pressure_feel(reef_pressure *pressure, uint32_t waiting, uint32_t room, uint64_t now_ns);

#endif
