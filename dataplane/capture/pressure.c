/* How much more there is to do than time. */
#include "reef/pressure.h"

#define MILLISECOND 1000000ull
#define RISES_AFTER (20 * MILLISECOND)  /* what the step before left out must show first */
#define FALLS_AFTER (1000 * MILLISECOND)

unsigned reef_pressure_feel(reef_pressure *pressure, uint32_t waiting, uint32_t room, uint64_t now_ns)
{
    if (waiting >= room / 2) {
        pressure->calm_ns = 0;
        if (pressure->level < REEF_PRESSURE_MAX && now_ns - pressure->changed_ns >= RISES_AFTER) {
            pressure->level++;
            pressure->changed_ns = now_ns;
        }
    } else if (pressure->level > 0 && waiting < room / 8) {
        if (pressure->calm_ns == 0)
            pressure->calm_ns = now_ns;
        if (now_ns - pressure->calm_ns >= FALLS_AFTER) {
            pressure->level--;
            pressure->changed_ns = pressure->calm_ns = now_ns;
        }
    } else
        pressure->calm_ns = 0;
    return pressure->level;
}
