/* match: chains of conditions, drawn from the first bytes, over the payload that follows; with prefilters and without. */
#include "../../c/image.h"
#include "fuzz.h"
#include "reef/match.h"

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static uint32_t take(input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static void draw_content(image *made, input *in, const uint8_t *text, uint32_t length)
{
    uint32_t size = 1 + take(in) % 12, at = take(in) % (length - 12), how = take(in);
    reef_condition *content = image_content(made, (const char *)text + at, size, 0);
    content->flags = (how & 1 ? REEF_C_NOCASE : 0) | (how & 2 ? REEF_C_NEGATED : 0) | (how & 4 ? REEF_C_ENDSWITH : 0);
    if (how & 8) {
        content->flags |= REEF_C_DISTANCE;
        content->c = (int64_t)take(in) - 64;
    }
    if (how & 16) {
        content->flags |= REEF_C_WITHIN;
        content->e = (int64_t)take(in) + size;
    }
    if (!(how & 24) && how & 32) {
        content->flags |= REEF_C_OFFSET | REEF_C_DEPTH;
        content->a = take(in) % 32;
        content->b = content->a + size + take(in) % 32;
    }
}

static void draw_number(image *made, input *in, unsigned op)
{
    reef_condition *condition = image_condition(made, op, 0);
    uint32_t how = take(in);
    condition->flags = (how & 1 ? REEF_C_RELATIVE : 0) | (how & 2 ? REEF_C_LITTLE : 0) | (how & 4 ? REEF_C_STRING : 0) |
                       (how & 8 ? REEF_C_ALIGN : 0) | (how & 16 ? REEF_C_FROM_BEGINNING : 0) | (how & 32 ? REEF_C_FROM_END : 0) |
                       (how & 64 ? REEF_C_NEGATED : 0) | (how & 128 && op == REEF_OP_BYTE_TEST ? REEF_C_B_VARIABLE : 0);
    condition->a = take(in) % 10;
    condition->c = (int64_t)(int8_t)take(in);
    condition->b = op == REEF_OP_BYTE_TEST && how & 128 ? take(in) % 4 : take(in);
    condition->d = op == REEF_OP_BYTE_EXTRACT || op == REEF_OP_BYTE_MATH ? take(in) % 4 : 0;
    condition->e = op == REEF_OP_BYTE_JUMP ? (int64_t)(int8_t)take(in) : 0;
    condition->base = op == REEF_OP_BYTE_MATH ? (uint8_t)"+-*/<>"[take(in) % 6] : 10;
    condition->compare = op == REEF_OP_BYTE_MATH ? 16 : (uint8_t)(take(in) % 7);
}

static void draw_condition(image *made, input *in, const uint8_t *text, uint32_t length)
{
    static const char *const expressions[] = {"a", "^.b", "[0-9]+", "(x+x+)+y", "\\x00.", "a|b"};
    static const unsigned numbers[] = {REEF_OP_BYTE_TEST, REEF_OP_BYTE_JUMP, REEF_OP_BYTE_EXTRACT, REEF_OP_BYTE_MATH};
    uint32_t kind = take(in);
    if (kind % 8 < 4) {
        draw_content(made, in, text, length);
    } else if (kind % 8 < 6) {
        draw_number(made, in, numbers[take(in) % 4]);
    } else if (kind % 8 == 6) {
        const char *expression = expressions[take(in) % 6];
        image_condition(made, REEF_OP_PCRE, take(in) & 1 ? REEF_C_RELATIVE : 0)->text = image_text(made, expression, strlen(expression));
    } else {
        image_condition(made, REEF_OP_ISDATAAT, (take(in) & 1 ? REEF_C_RELATIVE : 0) | (take(in) & 1 ? REEF_C_NEGATED : 0))->a = take(in);
    }
}

static uint32_t run(const reef_rules *rules, bool plain, const uint8_t *data, uint32_t size, uint32_t *sid)
{
    reef_memory *memory;
    reef_matcher *matcher;
    const reef_alert *alert;
    uint32_t count;
    reef_match_options options = {.plain = plain};
    reef_packet packet = {.payload = data, .payload_length = size, .version = 4, .protocol = 17, .flags = REEF_PACKET_TRANSPORT, .time_ns = 1};
    reef_flow flow = {.id = 1};
    reef_scene scene = {.packet = &packet, .flow = &flow};
    MUST(reef_memory_new(1 << 22, &memory) == 0 && reef_matcher_new(memory, rules, &options, &matcher) == 0);
    reef_match_begin(matcher, &scene);
    reef_match_packet(matcher);
    reef_match_finish(matcher, &alert, &count);
    for (uint32_t i = 0; i < count; i++)
        sid[i] = alert[i].rule->sid;
    reef_match_free_flow(matcher, &flow);
    reef_matcher_free(matcher);
    reef_memory_free(memory);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { DRAWN = 96, TEXT_MIN = 16, RULES = 4 };
    if (size < DRAWN + TEXT_MIN || size > 4096)
        return 0;
    input in = {data, DRAWN};
    const uint8_t *text = data + DRAWN;
    uint32_t length = (uint32_t)size - DRAWN, sid[2][2 * REEF_ALERTS_MAX];
    image *made = image_new();
    for (unsigned r = 0; r < RULES; r++) {
        image_rule(made, REEF_RULE_PAYLOAD_PACKET)->variables = 4;
        image_block(made, REEF_BUFFER_PAYLOAD);
        for (uint32_t n = 1 + take(&in) % 4; n > 0; n--)
            draw_condition(made, &in, text, length);
    }
    reef_rules *rules = image_rules(made);
    uint32_t count = run(rules, false, text, length, sid[0]);
    MUST(count == run(rules, true, text, length, sid[1]));
    MUST(memcmp(sid[0], sid[1], count * sizeof sid[0][0]) == 0);
    reef_rules_free(rules);
    return 0;
}
