/* choose: the longer and rarer a pattern, the fewer candidates it brings. What stands in many rules ("text/html", "GET ") stands in much
 * traffic too; what a rule's writer asked for (fast_pattern) he knows to be rare. */
#include "choose.h"

#include <stdlib.h>

#include "content.h"
#include "reef/status.h"

/* --- popularity ---------------------------------------------------------------------------------------- */

/* Counts by hash alone: two patterns that share one are both taken for a little more popular than they are. */
struct popularity {
    uint32_t mask;
    uint32_t count[];
};

static uint32_t place_of(const popularity *popular, unsigned buffer, reef_view bytes)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ buffer;
    for (uint32_t i = 0; i < bytes.length; i++)
        hash = (hash ^ ascii_lower(bytes.data[i])) * 0x100000001b3ull;
    return (uint32_t)(hash ^ hash >> 32) & popular->mask;
}

int popularity_new(const reef_rules *rules, popularity **out)
{
    uint32_t places = 1024;
    while (places < 4 * (uint64_t)rules->header->conditions && places < 1u << 24)
        places *= 2;
    popularity *popular = calloc(1, sizeof *popular + places * sizeof *popular->count);
    *out = popular;
    if (popular == NULL)
        return REEF_NOMEM;
    popular->mask = places - 1;
    for (uint32_t b = 0; b < rules->header->blocks; b++) {
        const reef_block *block = &rules->block[b];
        for (uint32_t i = 0; i < block->conditions; i++) {
            const reef_condition *condition = &rules->condition[block->condition + i];
            if (condition->op == REEF_OP_CONTENT && !(condition->flags & REEF_C_NEGATED))
                popular->count[place_of(popular, block->buffer, rules_text(rules, condition->text))]++;
        }
    }
    return REEF_OK;
}

void popularity_free(popularity *popular)
{
    free(popular);
}

/* --- the pattern of a rule ------------------------------------------------------------------------------ */

enum { LONG_ENOUGH = 5, ASKED_FOR = 400, IN_ONE_PLACE = 200, PER_DOUBLING = 40 };

/* Bytes of a content that stand there whatever else holds: those it is looked for by. */
static bool pattern_of(const reef_rules *rules, const reef_condition *content, scanner_pattern *out)
{
    reef_view bytes = rules_text(rules, content->text);
    if (content->op != REEF_OP_CONTENT || content->flags & REEF_C_NEGATED)
        return false;
    *out = (scanner_pattern){.bytes = bytes, .nocase = content->flags & REEF_C_NOCASE, .to = UINT32_MAX};
    bool relative = content->flags & (REEF_C_DISTANCE | REEF_C_WITHIN);
    bool variable = content->flags & (REEF_C_A_VARIABLE | REEF_C_B_VARIABLE);
    if (!relative && !variable) {
        if (content->flags & REEF_C_OFFSET && content->a > 0)
            out->from = content->a < UINT32_MAX ? (uint32_t)content->a : UINT32_MAX - 1;
        if (content->flags & REEF_C_DEPTH && content->b > 0 && content->b < UINT32_MAX)
            out->to = (uint32_t)content->b;
        if (content->flags & REEF_C_STARTSWITH) {
            out->from = 0;
            out->to = bytes.length;
        }
    }
    if (content->flags & REEF_C_FAST_PATTERN_CHOP) {
        uint32_t at = (uint32_t)content->d;
        out->bytes.data += at;
        out->bytes.length = (uint32_t)((uint64_t)content->d >> 32);
        out->from += at;
        if (out->to != UINT32_MAX)
            out->to -= bytes.length - at - out->bytes.length;
    }
    return true;
}

/* How much a buffer is to be preferred: short ones, that few conversations have, before long ones. */
static uint32_t buffer_worth(unsigned kind)
{
    switch (kind) {
    case REEF_BUFFER_PAYLOAD: return 0;
    case REEF_BUFFER_FILE_DATA:
    case REEF_BUFFER_HTTP_RESPONSE_BODY:
    case REEF_BUFFER_HTTP_REQUEST_BODY: return 40;
    case REEF_BUFFER_HTTP_HEADER:
    case REEF_BUFFER_HTTP_HEADER_RAW: return 180;
    default: return 220;
    }
}

static uint32_t worth_of(const popularity *popular, const reef_block *block, const reef_condition *condition, const scanner_pattern *pattern)
{
    uint32_t worth = 1 + scanner_worth(pattern->bytes, pattern->nocase) + buffer_worth(block->buffer);
    if (condition->flags & REEF_C_FAST_PATTERN && pattern->bytes.length >= LONG_ENOUGH)
        worth += ASKED_FOR;
    if (block->buffer == REEF_BUFFER_PAYLOAD && pattern->to != UINT32_MAX && pattern->to - pattern->from == pattern->bytes.length)
        worth += IN_ONE_PLACE;
    uint32_t rules = popular->count[place_of(popular, block->buffer, pattern->bytes)];
    uint32_t common = rules > 1 ? PER_DOUBLING * (uint32_t)(31 - __builtin_clz(rules)) : 0;
    return worth > common ? worth - common : 1;
}

choice choose(const reef_rules *rules, const popularity *popular, const detect_rule *rule, bool payload)
{
    choice best = {0};
    for (uint32_t b = 0; b < rule->rule->blocks; b++) {
        const reef_block *block = &rules->block[rule->rule->block + b];
        bool fits = payload ? block->buffer == REEF_BUFFER_PAYLOAD : rules_is_transaction_buffer(block->buffer);
        if (block->after || !fits || (payload && block->transforms > 0))
            continue;
        for (uint32_t i = 0; i < block->conditions; i++) {
            const reef_condition *condition = &rules->condition[block->condition + i];
            scanner_pattern pattern;
            if (!pattern_of(rules, condition, &pattern))
                continue;
            uint32_t worth = worth_of(popular, block, condition, &pattern);
            if (worth > best.worth)
                best = (choice){.block = block, .pattern = pattern, .worth = worth};
        }
    }
    return best;
}
