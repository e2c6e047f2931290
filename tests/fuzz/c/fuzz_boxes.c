/* The box algebra over arbitrary lists, rows and edits: each answer is tried with packets against plain first match. */
#include "fuzz.h"
#include "reef/boxes.h"
#include "reef/status.h"

enum { ROWS = 24, EDITS = 4, PACKETS = 64, BUDGET = 200000 };

typedef struct bytes {
    const uint8_t *data;
    size_t left;
} bytes;

static uint32_t take(bytes *from)
{
    if (from->left == 0)
        return 0;
    from->left--;
    return *from->data++;
}

/* Few values, so that borders meet; now and then the ends of the axis. */
static uint32_t address(bytes *from)
{
    uint32_t value = take(from);
    return value < 8 ? 0 : value > 247 ? UINT32_MAX : value * 7;
}

/* One list of rows with lists of their own. */
typedef struct fuzzed {
    uint32_t four[4 * ROWS], four_end[2 * ROWS], six_end[2 * ROWS], service4_end[ROWS], service6_end[ROWS];
    uint8_t six[64 * ROWS];
    int32_t pair[4 * ROWS], service[4 * ROWS], people[2 * ROWS];
    uint32_t pair_end[ROWS], people_end[ROWS];
    reef_box_row row[ROWS];
    reef_box_rule rule[ROWS];
    reef_box_lists lists;
} fuzzed;

static void ordered(bytes *from, int32_t *low, int32_t *high)
{
    int32_t a = (int32_t)take(from) / 16, b = (int32_t)take(from) / 16;
    *low = a < b ? a : b;
    *high = a < b ? b : a;
}

static void fill(bytes *from, fuzzed *out, uint32_t count)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < count; i++) {
        for (int side = 0; side < 2; side++) {
            uint32_t a = address(from), b = address(from), *four = &out->four[4 * i + 2 * (uint32_t)side];
            four[0] = a < b ? a : b;
            four[1] = a < b ? b : a;
            out->six[64 * i + 32 * (uint32_t)side + 16] = (uint8_t)take(from); /* from 0 to some value */
            out->four_end[2 * i + (uint32_t)side] = out->six_end[2 * i + (uint32_t)side] = 2 * i + 1 + (uint32_t)side;
        }
        ordered(from, &out->pair[4 * i], &out->pair[4 * i + 1]);
        ordered(from, &out->service[4 * i], &out->service[4 * i + 1]);
        ordered(from, &out->people[2 * i], &out->people[2 * i + 1]);
        out->pair_end[i] = out->people_end[i] = i + 1;
        out->service4_end[i] = out->service6_end[i] = i + 1;
        uint32_t bits = take(from);
        out->row[i] = (reef_box_row){(int32_t)i, i, 2 * i, 2 * i + 1, i, i, (int32_t)take(from) - 8, bits >> 6 == 3,
                                     1 + take(from) % 3, bits & 3, bits >> 2 & 3};
        out->rule[i] = (reef_box_rule){(int32_t)(bits >> 4 & 3), (uint8_t)(bits >> 4 & 1), 1 + (uint8_t)(take(from) % 3), 0};
    }
    out->lists = (reef_box_lists){out->four, out->six, out->four_end, out->six_end, 2 * count, out->pair,
                                  out->pair_end, count, out->service, out->service4_end, out->service6_end, count,
                                  out->people, out->people_end, count};
}

static void look_at(reef_space *space)
{
    const reef_finding *finding;
    const reef_part *part;
    uint32_t count, rules = reef_space_rules(space);
    uint64_t used;
    MUST(reef_space_prove(space, BUDGET, BUDGET / 8, 4, &used, NULL, &finding, &count) == REEF_OK);
    for (uint32_t i = 0; i < count; i++) {
        MUST(finding[i].rule >= 0 && (uint32_t)finding[i].rule < rules);
        for (uint32_t other = 0; other < finding[i].others && other < REEF_OTHERS_MAX; other++)
            MUST(finding[i].other[other] < (int32_t)rules && finding[i].other[other] != finding[i].rule);
    }
    int status = reef_space_compare(space, BUDGET, &used, &part, &count);
    MUST(status == REEF_OK || status == REEF_END);
    for (uint32_t i = 0; status == REEF_OK && i < count; i++)
        MUST(part[i].old_rule != part[i].new_rule && part[i].box.low[0] <= part[i].box.high[0]);
    reef_box all = {.times = 3};
    for (int axis = 0; axis < REEF_AXES; axis++)
        all.high[axis] = 255;
    for (int version = 4; version <= 6; version += 2) {
        for (int axis = REEF_AXIS_SOURCE; axis <= REEF_AXIS_DESTINATION; axis++)
            reef_space_whole(space, version, &all.low[axis], &all.high[axis]);
        status = reef_space_decide(space, &all, 1, REEF_SIDE_BOTH, 256, 1, BUDGET, &used, &part, &count);
        MUST(status == REEF_OK || status == REEF_END);
        for (uint32_t i = 0; status == REEF_OK && i < count; i++) {
            int seen;
            uint8_t first[16], last[16];
            int32_t low, high, second;
            const reef_box *box = &part[i].box;
            MUST(reef_space_moment(space, box, &second));
            MUST(reef_space_addresses(space, box->low[REEF_AXIS_SOURCE], box->high[REEF_AXIS_SOURCE], &seen, first,
                                      last) == REEF_OK);
            MUST(seen == version);
            MUST(reef_space_ranks(space, seen, first, last, &low, &high) == REEF_OK);
            MUST(low == box->low[REEF_AXIS_SOURCE] && high == box->high[REEF_AXIS_SOURCE]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzzed given;
    bytes from = {data, size};
    const reef_box_stretch stretches[] = {{0, 0}, {40, 1}, {90, 0}};
    reef_space *space;
    MUST(reef_space_new(stretches, 3, 200, (reef_box_rule){1, 1, REEF_SIDE_BOTH, 0}, &space) == REEF_OK);
    for (int edit = 0; edit < EDITS && from.left > 0; edit++) {
        uint32_t before = reef_space_rules(space), count = take(&from) % ROWS, kept = 0;
        int32_t moved[ROWS];
        for (uint32_t i = 0; i < before; i++) /* those that stay come first, the new ones behind them */
            moved[i] = kept < count && take(&from) & 1 ? (int32_t)kept++ : REEF_NO_RULE;
        fill(&from, &given, count);
        for (uint32_t i = kept; i < count; i++)
            given.row[i - kept] = given.row[i];
        int status = reef_space_change(space, moved, given.rule, count, &given.lists, given.row, count - kept);
        MUST(status == REEF_OK);
        look_at(space);
    }
    reef_space_free(space);
    return 0;
}
