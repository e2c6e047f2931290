/* Rules as a site has them, the same ones everywhere: hosts and networks, a few ports, some rules for everyone.
 * tests/bench/test_prove_instructions.py counts what proving them costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reef/boxes.h"
#include "reef/status.h"

enum { RULES = 2000 };

static uint32_t state = 7;

static uint32_t random_below(uint32_t limit)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * limit >> 28);
}

static void address(uint32_t *first, uint32_t *last)
{
    uint32_t kind = random_below(100), host = (10u << 24) + random_below(1 << 18), size = kind < 12 ? 255 : 0;
    *first = kind < 4 ? 0 : host & ~size;
    *last = kind < 4 ? UINT32_MAX : host | size;
}

int main(void)
{
    static uint32_t four[4 * RULES], four_end[2 * RULES], six_end[2 * RULES], service_end[RULES], service6_end[RULES];
    static int32_t service[4 * RULES], pair[4 * 4];
    static reef_box_row row[RULES];
    static reef_box_rule rule[RULES];
    static const uint8_t six[1];
    const int32_t people[] = {0, 9};
    const uint32_t people_end[] = {1}, pair_end[] = {1, 2, 3, 4};
    const reef_box_stretch always = {0, 0};
    for (int i = 0; i < 4; i++)
        pair[4 * i] = pair[4 * i + 1] = i, pair[4 * i + 2] = pair[4 * i + 3] = (i + 1) % 4;
    for (uint32_t i = 0; i < RULES; i++) {
        address(&four[4 * i], &four[4 * i + 1]);
        address(&four[4 * i + 2], &four[4 * i + 3]);
        four_end[2 * i] = 2 * i + 1, four_end[2 * i + 1] = 2 * i + 2;
        int32_t port = (6 << 16) + 20 + (int32_t)random_below(200);
        service[4 * i] = service[4 * i + 1] = port;
        service[4 * i + 3] = 65535;
        service_end[i] = service6_end[i] = i + 1;
        row[i] = (reef_box_row){(int32_t)i, random_below(4), 2 * i, 2 * i + 1, i, 0, INT32_MAX, 0, 1, 0, 0};
        uint8_t action = random_below(50) == 0;
        rule[i] = (reef_box_rule){action, action, REEF_SIDE_BOTH, 0};
    }
    const reef_box_lists lists = {four, six, four_end, six_end, 2 * RULES, pair, pair_end, 4, service, service_end,
                                  service6_end, RULES, people, people_end, 1};
    reef_space *space;
    const reef_finding *finding;
    uint32_t findings;
    uint64_t used;
    if (reef_space_new(&always, 1, 1000, (reef_box_rule){1, 1, REEF_SIDE_BOTH, 0}, &space) != REEF_OK ||
        reef_space_change(space, NULL, rule, RULES, &lists, row, RULES) != REEF_OK ||
        reef_space_prove(space, UINT64_MAX, UINT64_MAX, 8, &used, NULL, &finding, &findings) != REEF_OK)
        return 1;
    printf("%u findings, %llu steps\n", findings, (unsigned long long)used);
    reef_space_free(space);
    return 0;
}
