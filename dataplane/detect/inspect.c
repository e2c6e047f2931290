/* inspect: the conditions of one block over one buffer, in their order. A content or expression that a later one is relative to is
 * tried at each of its places until all that follows holds: the order of trials, what ends them early and their greatest number
 * are those of Suricata's detect-engine-content-inspection, so that the same rules match. */
#include "content.h"
#include "match_internal.h"

static inspect_result inspect_from(inspection *at, uint32_t index);

static inline bool is_last(const inspection *at, uint32_t index)
{
    return at->matcher->rules->next[index] & COND_LAST;
}

static inspect_result go_on(inspection *at, uint32_t index)
{
    return is_last(at, index) ? INSPECT_YES : inspect_from(at, index + 1);
}

static inline int64_t operand(const inspection *at, const reef_condition *condition, int64_t value, uint32_t flag)
{
    return condition->flags & flag ? (int64_t)at->matcher->variable[value] : value;
}

/* The stretch a content may stand in: from `from` to `to`; false: nowhere. */
static bool content_window(const inspection *at, const reef_condition *content, uint32_t before, uint32_t *from, uint32_t *to)
{
    uint32_t length = at->bytes.length;
    int64_t offset = 0, depth = length;
    bool starts = content->flags & REEF_C_STARTSWITH;
    int64_t wanted_depth = content->flags & REEF_C_DEPTH ? operand(at, content, content->b, REEF_C_B_VARIABLE) : 0;
    int64_t wanted_offset = content->flags & REEF_C_OFFSET ? operand(at, content, content->a, REEF_C_A_VARIABLE) : 0;
    bool has_depth = wanted_depth != 0 || content->flags & REEF_C_B_VARIABLE;
    if (starts) {
        wanted_depth = content->text.length;
        wanted_offset = 0;
        has_depth = true;
    }
    if (content->flags & (REEF_C_DISTANCE | REEF_C_WITHIN)) {
        int64_t distance = content->flags & REEF_C_DISTANCE ? (int32_t)operand(at, content, content->c, REEF_C_C_VARIABLE) : 0;
        offset = before + distance;
        if (offset < 0)
            offset = 0;
        if (content->flags & REEF_C_WITHIN) {
            int64_t within = (int32_t)operand(at, content, content->e, REEF_C_E_VARIABLE);
            if (depth > before + within + distance)
                depth = before + within + distance;
            if (at->start != 0 && before == 0) {
                if (depth <= (int64_t)at->start)
                    return false;
                if (depth < (int64_t)(at->start + length))
                    depth -= (int64_t)at->start;
            }
        }
        if (has_depth && wanted_depth + before < depth)
            depth = wanted_depth + before;
        if (wanted_offset > offset)
            offset = wanted_offset;
    } else {
        if (has_depth)
            depth = wanted_depth;
        if (at->start != 0 && (starts || content->flags & REEF_C_DEPTH)) {
            if (depth <= (int64_t)at->start)
                return false;
            if (depth < (int64_t)(at->start + length))
                depth -= (int64_t)at->start;
        }
        offset = wanted_offset;
    }
    if (content->flags & (REEF_C_A_VARIABLE | REEF_C_B_VARIABLE))
        depth += offset;
    if (depth > length)
        depth = length;
    *from = offset < 0 ? 0 : offset > UINT32_MAX ? UINT32_MAX : (uint32_t)offset;
    *to = depth < 0 ? 0 : (uint32_t)depth;
    return true;
}

static inspect_result content_negated(inspection *at, uint32_t index, const reef_condition *content, const uint8_t *found, uint32_t searched)
{
    if (found == NULL)
        return go_on(at, index);
    if (content->flags & REEF_C_ENDSWITH && searched != (uint32_t)(found - at->bytes.data) + content->text.length)
        return go_on(at, index); /* it stands there, but not at the end */
    bool alone = !(content->flags & (REEF_C_DISTANCE | REEF_C_WITHIN | REEF_C_DEPTH | REEF_C_OFFSET | REEF_C_STARTSWITH)) &&
                 !(at->matcher->rules->next[index] & COND_RELATIVE_NEXT);
    return alone ? INSPECT_GIVE_UP : INSPECT_NO;
}

static inspect_result inspect_content(inspection *at, uint32_t index, const reef_condition *content)
{
    const reef_rules *rules = at->matcher->rules;
    reef_view pattern = rules_text(rules, content->text);
    bool relative = content->flags & (REEF_C_DISTANCE | REEF_C_WITHIN);
    bool negated = content->flags & REEF_C_NEGATED;
    uint32_t before = at->at, from, to, again = 0;
    for (;;) {
        if (!content_window(at, content, before, &from, &to))
            return INSPECT_NO;
        if (again != 0)
            from = again;
        if (from > to || to == 0)
            return negated ? go_on(at, index) : INSPECT_NO;
        const uint8_t *found = NULL;
        if (!(content->flags & REEF_C_ENDSWITH && to < at->bytes.length) && pattern.length <= to - from) {
            found = content_find(at->bytes.data + from, to - from, pattern, content->flags & REEF_C_NOCASE);
            at->searched += found != NULL ? (uint32_t)(found - at->bytes.data) - from : to - from;
        }
        if (negated)
            return content_negated(at, index, content, found, to - from);
        if (found == NULL)
            return relative ? INSPECT_NO : INSPECT_GIVE_UP;
        at->at = (uint32_t)(found - at->bytes.data) + pattern.length;
        again = at->at - (pattern.length - 1);
        if (!(content->flags & REEF_C_ENDSWITH) || at->at == at->bytes.length) {
            inspect_result result = go_on(at, index);
            if (result != INSPECT_NO)
                return result;
            if (!(rules->next[index] & COND_RELATIVE_NEXT))
                return INSPECT_GIVE_UP;
        }
        if (++at->steps >= REEF_INSPECT_STEPS_MAX)
            return INSPECT_GIVE_UP;
        if (!relative)
            before = 0;
    }
}

static inspect_result inspect_expression(inspection *at, uint32_t index, const reef_condition *condition)
{
    const struct expression *expression = rules_expression(at->matcher->rules, index);
    if (expression == NULL)
        return INSPECT_GIVE_UP;
    uint32_t before = at->at;
    at->search = 0;
    for (;;) {
        uint32_t skip = condition->flags & REEF_C_RELATIVE ? at->at : 0, span[2];
        if (skip > at->bytes.length)
            return INSPECT_NO;
        reef_view rest = {at->bytes.data + skip, at->bytes.length - skip};
        uint32_t start = at->search > skip ? at->search - skip : 0;
        int found = start > rest.length ? 0 : expression_search(expression, at->matcher->expression, rest, start, span);
        at->searched += rest.length;
        if (found < 0 && ++at->exceeded >= REEF_RULE_DEBT_MAX)
            return INSPECT_GIVE_UP;
        if (condition->flags & REEF_C_NEGATED)
            return found == 0 ? go_on(at, index) : INSPECT_NO;
        if (found <= 0)
            return INSPECT_NO;
        at->at = skip + span[1];
        uint32_t next = at->search = skip + span[0] + 1;
        if (!(at->matcher->rules->next[index] & COND_RELATIVE_NEXT))
            return go_on(at, index);
        inspect_result result = go_on(at, index);
        if (result != INSPECT_NO)
            return result;
        at->at = before;
        at->search = next;
        if (++at->steps >= REEF_INSPECT_STEPS_MAX)
            return INSPECT_GIVE_UP;
    }
}

static inspect_result inspect_isdataat(inspection *at, uint32_t index, const reef_condition *condition)
{
    bool negated = condition->flags & REEF_C_NEGATED, variable = condition->flags & REEF_C_A_VARIABLE;
    uint64_t bytes = (uint64_t)operand(at, condition, condition->a, REEF_C_A_VARIABLE);
    bool there;
    if (variable && bytes >= 100000000)
        there = false;
    else if (condition->flags & REEF_C_RELATIVE)
        there = at->at + bytes <= at->bytes.length;
    else
        there = bytes < at->bytes.length;
    if (there != negated)
        return go_on(at, index);
    if (variable || (condition->flags & REEF_C_RELATIVE && negated))
        return INSPECT_NO;
    return INSPECT_GIVE_UP;
}

static inspect_result inspect_size(inspection *at, uint32_t index, const reef_condition *condition)
{
    uint64_t size = at->bytes.length + at->start;
    bool known = at->end || condition->compare == REEF_GT || condition->compare == REEF_GE;
    if (known && number_compares(size, condition->compare, condition->a, condition->b) != !!(condition->flags & REEF_C_NEGATED))
        return go_on(at, index);
    return at->end ? INSPECT_GIVE_UP : INSPECT_NO;
}

/* What was decoded is a buffer of its own; the block behind says what to look for in it, and ends the matter. */
static inspect_result inspect_base64(inspection *at, uint32_t index, const reef_condition *condition)
{
    const reef_rules *rules = at->matcher->rules;
    const reef_rule *rule = at->rule->rule;
    reef_view bytes = at->bytes;
    uint32_t skip = condition->flags & REEF_C_RELATIVE ? at->at : 0;
    if (condition->c > 0)
        skip += (uint32_t)condition->c;
    if (skip >= bytes.length)
        return INSPECT_NO;
    bytes.data += skip;
    bytes.length -= skip;
    if (condition->a > 0 && condition->a < bytes.length)
        bytes.length = (uint32_t)condition->a;
    uint32_t decoded = base64_decode(bytes, at->matcher->decoded, REEF_DECODED_MAX, 0);
    if (decoded == 0)
        return INSPECT_NO;
    for (uint32_t i = 0; i + 1 < rule->blocks; i++) {
        const reef_block *block = &rules->block[rule->block + i], *data = block + 1;
        if (index < block->condition || index >= block->condition + block->conditions || data->buffer != REEF_BUFFER_BASE64_DATA)
            continue;
        if (data->conditions == 0)
            return INSPECT_YES;
        inspection inner = {.matcher = at->matcher, .rule = at->rule, .bytes = {at->matcher->decoded, decoded}, .end = true, .steps = at->steps};
        inspect_result result = inspect_from(&inner, data->condition);
        at->searched += inner.searched;
        at->exceeded += inner.exceeded + (inner.steps >= REEF_INSPECT_STEPS_MAX);
        return result == INSPECT_YES ? INSPECT_YES : INSPECT_NO;
    }
    return INSPECT_NO;
}

static bool entropy_holds(const inspection *at, const reef_condition *condition);

static inspect_result inspect_from(inspection *at, uint32_t index)
{
    const reef_condition *condition = &at->matcher->rules->condition[index];
    bool holds = false;
    if (++at->steps >= REEF_INSPECT_STEPS_MAX)
        return INSPECT_GIVE_UP;
    switch (condition->op) {
    case REEF_OP_CONTENT:
        return inspect_content(at, index, condition);
    case REEF_OP_PCRE:
        return inspect_expression(at, index, condition);
    case REEF_OP_ISDATAAT:
        return inspect_isdataat(at, index, condition);
    case REEF_OP_BSIZE:
        return inspect_size(at, index, condition);
    case REEF_OP_BASE64_DECODE:
        return inspect_base64(at, index, condition);
    case REEF_OP_BYTE_TEST:
        holds = bytes_test(at, condition);
        break;
    case REEF_OP_BYTE_JUMP:
        holds = bytes_jump(at, condition);
        break;
    case REEF_OP_BYTE_EXTRACT:
        holds = bytes_extract(at, condition);
        break;
    case REEF_OP_BYTE_MATH:
        holds = bytes_math(at, condition);
        break;
    case REEF_OP_ASN1:
        holds = asn1_holds(at->bytes, at->at, condition);
        break;
    case REEF_OP_ENTROPY:
        holds = entropy_holds(at, condition);
        break;
    case REEF_OP_DATASET:
    case REEF_OP_DATAREP:
    case REEF_OP_HASH_LIST:
        if (!dataset_condition(at->matcher->sets, at->matcher->rules, condition, at->bytes))
            return INSPECT_GIVE_UP;
        return go_on(at, index);
    case REEF_OP_REPLACE:
        holds = true; /* acts on live packets only */
        break;
    default:
        holds = packet_condition(at->matcher, at->rule, condition);
        break;
    }
    return holds ? go_on(at, index) : INSPECT_NO;
}

/* log2(n) in thousandths of thousandths, without floating point of the library: n > 0. */
static uint32_t log2_micro(uint32_t n)
{
    uint32_t whole = 31u - (uint32_t)__builtin_clz(n), result = whole * 1000000u;
    uint64_t x = ((uint64_t)n << 32) >> whole; /* 1.0 to 2.0 with 32 bits behind the point */
    for (uint32_t step = 500000; step > 0; step /= 2) {
        x = (uint64_t)(((__uint128_t)x * x) >> 32);
        if (x >= 2ull << 32) {
            x >>= 1;
            result += step;
        }
    }
    return result;
}

static bool entropy_holds(const inspection *at, const reef_condition *condition)
{
    uint32_t skip = condition->c > 0 ? (uint32_t)condition->c : 0;
    if (skip >= at->bytes.length)
        return false;
    uint32_t length = at->bytes.length - skip, count[256] = {0};
    if (condition->d > 0 && condition->d < length)
        length = (uint32_t)condition->d;
    for (uint32_t i = 0; i < length; i++)
        count[at->bytes.data[skip + i]]++;
    uint64_t bits = 0, whole = log2_micro(length);
    for (unsigned i = 0; i < 256; i++)
        if (count[i] > 0)
            bits += count[i] * (whole - log2_micro(count[i]));
    return number_compares(bits / length / 1000, condition->compare, condition->a, condition->b);
}

bool inspect_block(reef_matcher *matcher, const detect_rule *rule, const reef_block *block, const reef_buffer *buffer, bool packet_payload)
{
    static const uint8_t nothing[1];
    if (block->conditions == 0)
        return true;
    inspection at = {.matcher = matcher, .rule = rule, .bytes = buffer->bytes, .start = buffer->offset, .end = buffer->end, .packet_payload = packet_payload};
    if (at.bytes.data == NULL)
        at.bytes = (reef_view){nothing, 0};
    if (matcher->debts.resting > 0 && debts_rests(matcher, rule))
        return false;
    bool holds = inspect_from(&at, block->condition) == INSPECT_YES;
    at.exceeded += at.steps >= REEF_INSPECT_STEPS_MAX;
    if (at.exceeded > 0 || at.searched > REEF_INSPECT_BYTES_MAX)
        debts_owe(matcher, rule, at.exceeded, at.searched);
    return holds;
}
