/* Random rules against random payloads: with prefilters the same rules match as when every rule is tried. */
#include "image.h"
#include "reef/match.h"

static uint64_t state = 88172645463325252ull;

static uint32_t random_below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % n;
}

static const char alphabet[] = "abcAB \r\n/\x01\xff";

static uint32_t random_bytes(uint8_t *out, uint32_t least, uint32_t most)
{
    uint32_t length = least + random_below(most - least + 1);
    for (uint32_t i = 0; i < length; i++)
        out[i] = (uint8_t)alphabet[random_below(random_below(3) ? 3 : sizeof alphabet - 1)];
    return length;
}

/* Contents are stretches of a common text, so that they do stand somewhere. */
static void random_rule(image *made, const uint8_t *text, uint32_t length)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | (random_below(3) ? 0 : REEF_RULE_PAYLOAD_STREAM));
    image_block(made, REEF_BUFFER_PAYLOAD);
    for (uint32_t n = 1 + random_below(3); n > 0; n--) {
        uint32_t size = 1 + random_below(random_below(2) ? 4 : 14), at = random_below(length - size);
        uint32_t flags = random_below(3) ? 0 : REEF_C_NOCASE;
        flags |= random_below(6) ? 0 : REEF_C_NEGATED;
        flags |= random_below(8) ? 0 : REEF_C_ENDSWITH;
        reef_condition *content = image_content(made, (const char *)text + at, size, flags);
        switch (random_below(6)) {
        case 0:
            content->flags |= REEF_C_OFFSET | REEF_C_DEPTH;
            content->a = random_below(20);
            content->b = content->a + size + random_below(3) * random_below(40);
            break;
        case 1:
            content->flags |= REEF_C_STARTSWITH | REEF_C_DEPTH;
            content->b = size;
            break;
        case 2:
            content->flags |= REEF_C_DISTANCE | REEF_C_WITHIN;
            content->c = (int64_t)random_below(12) - 4;
            content->e = size + random_below(30);
            break;
        default:
            break;
        }
    }
}

typedef struct side {
    reef_memory *memory;
    reef_matcher *matcher;
} side;

static void side_open(side *s, const reef_rules *rules, bool plain)
{
    reef_match_options options = {.plain = plain, .alerts_max = IMAGE_RULES};
    CHECK_EQUAL(reef_memory_new(1 << 24, &s->memory), 0);
    CHECK_EQUAL(reef_matcher_new(s->memory, rules, &options, &s->matcher), 0);
}

static uint32_t matched(side *s, const uint8_t *data, uint32_t length, bool stream, uint64_t offset, uint32_t *sid)
{
    const reef_alert *alert;
    uint32_t count;
    reef_packet packet = {.payload = data, .payload_length = stream ? 0 : length, .version = 4, .protocol = 6, .flags = REEF_PACKET_TRANSPORT, .time_ns = 1};
    reef_flow flow = {.id = 1};
    reef_scene scene = {.packet = &packet, .flow = &flow, .streamed = true};
    reef_match_begin(s->matcher, &scene);
    if (stream)
        reef_match_raw(s->matcher, REEF_TO_SERVER, &(reef_raw){.bytes = {data, length}, .offset = offset, .fresh = length});
    reef_match_packet(s->matcher);
    reef_match_finish(s->matcher, &alert, &count);
    for (uint32_t i = 0; i < count; i++)
        sid[i] = alert[i].rule->sid;
    reef_match_free_flow(s->matcher, &flow);
    return count;
}

int main(void)
{
    uint8_t text[400], payload[600];
    uint32_t told = 0, sid[2][IMAGE_RULES];
    for (unsigned round = 0; round < 60; round++) {
        image *made = image_new();
        side fast, plain;
        uint32_t length = random_bytes(text, 300, sizeof text);
        for (uint32_t n = 1 + random_below(IMAGE_RULES - 1); n > 0; n--)
            random_rule(made, text, length);
        reef_rules *rules = image_rules(made);
        side_open(&fast, rules, false);
        side_open(&plain, rules, true);
        for (unsigned i = 0; i < 60; i++) {
            uint32_t at = random_below(length), take = 1 + random_below(length - at), more = random_bytes(payload, 0, 150);
            memcpy(payload + more, text + at, take);
            bool stream = random_below(2);
            uint64_t offset = stream && random_below(2) ? random_below(40) : 0;
            uint32_t n = matched(&fast, payload, more + take, stream, offset, sid[0]);
            CHECK_EQUAL(n, matched(&plain, payload, more + take, stream, offset, sid[1]));
            CHECK(memcmp(sid[0], sid[1], n * sizeof sid[0][0]) == 0);
            told += n;
        }
        reef_matcher_free(fast.matcher);
        reef_matcher_free(plain.matcher);
        reef_memory_free(fast.memory);
        reef_memory_free(plain.memory);
        reef_rules_free(rules);
    }
    CHECK(told > 10000); /* it compared something */
    return 0;
}
