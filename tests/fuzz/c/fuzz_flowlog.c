/* The columns of the flow log: three lengths, then heads, body and addresses. What decodes is merged into a table, and
 * decided under an empty policy. */
#include "fuzz.h"
#include "reef/flowlog.h"
#include "reef/replay.h"
#include "reef/status.h"

static void merge(const reef_flow_heads *heads, const reef_flow_body *body)
{
    static const uint64_t seed[2] = {1, 2};
    reef_flowlog *log;
    reef_flow_sum sum;
    MUST(reef_flowlog_new(512, seed, &log) == REEF_OK);
    reef_flowlog_merge(log, heads, body);
    reef_flowlog_sum(log, &sum);
    MUST(sum.rows <= heads->rows);
    if (sum.rows > 0) {
        size_t size[3];
        reef_flowlog_bound(log, &size[0], &size[1], &size[2]);
        uint8_t *part[3] = {malloc(size[0]), malloc(size[1]), malloc(size[2])};
        MUST(reef_flowlog_encode(log, part[0], &size[0], part[1], &size[1], part[2], &size[2]) == REEF_OK);
        reef_flow_heads *again;
        reef_flow_body *rows;
        MUST(reef_flow_heads_decode(part[0], size[0], &again) == REEF_OK);
        MUST(again->rows == sum.rows);
        MUST(reef_flow_body_decode(again, part[1], size[1], part[2], size[2], &rows) == REEF_OK);
        reef_flow_body_free(rows);
        reef_flow_heads_free(again);
        for (int i = 0; i < 3; i++)
            free(part[i]);
    }
    reef_flowlog_free(log);
}

static void decide(const reef_flow_heads *heads, const reef_flow_body *body)
{
    /* One zone, the gateway; no schedules, sets, routes, translations or rules. */
    static const uint64_t words[] = {1, 0, 0, 1, 1, 0, 0, 0, 0, 0};
    static const uint64_t seed[2] = {1, 2};
    reef_policy *policy[2];
    reef_replay *replay;
    for (int i = 0; i < 2; i++)
        MUST(reef_policy_new(words, sizeof words / sizeof *words, &policy[i]) == REEF_OK);
    MUST(reef_replay_new(policy[0], policy[1], seed, &replay) == REEF_OK);
    int32_t *zones = calloc(heads->names, sizeof *zones), *rules = calloc(heads->names, sizeof *rules);
    for (uint32_t i = 0; i < heads->names; i++) {
        zones[i] = (int32_t)(i % 2) - 1;
        rules[i] = REEF_BY_DEFAULT - (int32_t)(i % 4);
    }
    MUST(reef_replay_rows(replay, heads, body, zones, rules, true) == REEF_OK);
    reef_replay_sum sum;
    reef_replay_sum_up(replay, &sum);
    MUST(sum.changes == 0 && sum.rows == heads->rows);
    free(zones);
    free(rules);
    reef_replay_free(replay);
    for (int i = 0; i < 2; i++)
        reef_policy_free(policy[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    size_t heads_size = (size_t)(data[0] | data[1] << 8), body_size = (size_t)(data[2] | data[3] << 8);
    data += 4;
    size -= 4;
    if (heads_size > size || body_size > size - heads_size)
        return 0;
    reef_flow_heads *heads;
    reef_flow_body *body;
    if (reef_flow_heads_decode(data, heads_size, &heads) != REEF_OK)
        return 0;
    int status = reef_flow_body_decode(heads, data + heads_size, body_size, data + heads_size + body_size,
                                       size - heads_size - body_size, &body);
    if (status == REEF_OK) {
        MUST(body->rows == heads->rows);
        merge(heads, body);
        decide(heads, body);
        reef_flow_body_free(body);
    }
    reef_flow_heads_free(heads);
    return 0;
}
