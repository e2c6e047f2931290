/* pressure: rises step by step while the queue is half full, falls when it was nearly empty for a while. */
#include "check.h"
#include "reef/pressure.h"

#define MILLISECOND 1000000ull
enum { ROOM = 1024 };

static void test_a_full_queue_raises_it_step_by_step(void)
{
    reef_pressure pressure = {0};
    uint64_t now = 1000 * MILLISECOND;
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM / 2, ROOM, now), 1);
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM, ROOM, now), 1); /* the first step shows its effect first */
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM, ROOM, now += 19 * MILLISECOND), 1);
    for (unsigned level = 2; level <= REEF_PRESSURE_MAX; level++)
        CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM, ROOM, now += 20 * MILLISECOND), level);
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM, ROOM, now += 1000 * MILLISECOND), REEF_PRESSURE_MAX);
}

static void test_only_a_long_calm_lowers_it(void)
{
    reef_pressure pressure = {0};
    uint64_t now = 1000 * MILLISECOND;
    reef_pressure_feel(&pressure, ROOM, ROOM, now);
    reef_pressure_feel(&pressure, ROOM, ROOM, now += 20 * MILLISECOND);
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now += MILLISECOND), 2);
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now += 999 * MILLISECOND), 2);
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM / 4, ROOM, now += MILLISECOND), 2); /* a lull that was none */
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now += MILLISECOND), 2);
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now += 1000 * MILLISECOND), 1);
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now += 1000 * MILLISECOND), 0);
    CHECK_EQUAL(reef_pressure_feel(&pressure, 0, ROOM, now + 5000 * MILLISECOND), 0);
}

static void test_between_the_marks_it_stays(void)
{
    reef_pressure pressure = {0};
    uint64_t now = 1000 * MILLISECOND;
    CHECK_EQUAL(reef_pressure_feel(&pressure, ROOM / 2 - 1, ROOM, now), 0);
    reef_pressure_feel(&pressure, ROOM / 2, ROOM, now);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQUAL(reef_pressure_feel(&pressure, i % 2 ? ROOM / 8 : ROOM / 2 - 1, ROOM, now += 100 * MILLISECOND), 1);
}

int main(void)
{
    test_a_full_queue_raises_it_step_by_step();
    test_only_a_long_calm_lowers_it();
    test_between_the_marks_it_stays();
    return 0;
}
