/* Random rules against random payloads of random ends: with prefilters the same rules match as when every rule is tried. */
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

static void random_flowbits(image *made, bool set)
{
    reef_condition *bits = image_condition(made, REEF_OP_FLOWBITS, 0);
    bits->a = random_below(made->header.names);
    bits->base = set ? 2 : random_below(4) == 0; /* set, isset or isnotset */
}

/* Sets of addresses 10.0.0.0 to 10.0.0.15 and ports 1 to 16: a stretch of these, or two. */
static void random_sets(image *made)
{
    for (uint32_t n = 1; n < 4; n++) {
        reef_address_set *addresses = &made->address_set[made->header.address_sets++];
        reef_port_set *ports = &made->port_set[made->header.port_sets++];
        addresses->range4 = made->header.ranges4;
        ports->range = made->header.port_ranges;
        for (uint32_t first = random_below(8), two = 1 + random_below(2); two > 0; two--, first = 9 + random_below(4)) {
            uint32_t last = first + random_below(first < 8 ? 8 - first : 3);
            made->range4[made->header.ranges4++] = (reef_range4){.first = (10u << 24) + first, .last = (10u << 24) + last};
            made->port_range[made->header.port_ranges++] = (reef_port_range){.first = (uint16_t)(1 + first), .last = (uint16_t)(1 + last)};
            addresses->ranges4++;
            ports->ranges++;
        }
    }
}

static void random_header(image *made, reef_rule *rule)
{
    uint32_t *sets[] = {&rule->source, &rule->destination, &rule->source_port, &rule->destination_port};
    for (unsigned i = 0; i < 4; i++)
        *sets[i] = random_below(3) == 0 ? random_below(i < 2 ? made->header.address_sets : made->header.port_sets) : 0;
    rule->flags |= random_below(8) == 0 ? REEF_RULE_BIDIRECTIONAL : 0;
    if (random_below(6) == 0)
        rule->flags |= random_below(2) ? REEF_RULE_TO_SERVER : REEF_RULE_TO_CLIENT;
}

/* Contents are stretches of a common text, so that they do stand somewhere. */
static void random_rule(image *made, const uint8_t *text, uint32_t length)
{
    image_rule(made, REEF_RULE_PAYLOAD_PACKET | (random_below(3) ? 0 : REEF_RULE_PAYLOAD_STREAM));
    if (random_below(4) == 0)
        made->rule[made->header.rules - 1].flags &= ~(uint32_t)(random_below(2) ? REEF_RULE_PAYLOAD_PACKET : 0);
    if (!(made->rule[made->header.rules - 1].flags & REEF_RULE_PAYLOAD_PACKET))
        made->rule[made->header.rules - 1].flags |= REEF_RULE_PAYLOAD_STREAM;
    random_header(made, &made->rule[made->header.rules - 1]);
    if (random_below(4) == 0) {
        image_block(made, REEF_BUFFER_NONE);
        random_flowbits(made, false);
    }
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
    if (random_below(8) == 0) {
        image_block(made, REEF_BUFFER_NONE)->after = 1;
        random_flowbits(made, true);
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

/* Who speaks with whom: the last byte of addresses, and ports. */
typedef struct ends {
    uint8_t address[2];
    uint16_t port[2];
    int direction;
} ends;

static void random_ends(ends *of)
{
    for (unsigned i = 0; i < 2; i++) {
        of->address[i] = (uint8_t)random_below(16);
        of->port[i] = (uint16_t)(1 + random_below(16));
    }
}

static uint32_t matched(side *s, reef_flow *flow, const ends *of, const uint8_t *data, uint32_t length, uint32_t stretches, uint64_t offset, uint32_t *sid)
{
    const reef_alert *alert;
    uint32_t count;
    reef_packet packet = {.payload = data, .payload_length = stretches > 0 ? 0 : length, .version = 4, .protocol = 6, .flags = REEF_PACKET_TRANSPORT, .time_ns = 1,
                          .source = {10, 0, 0, of->address[of->direction]}, .destination = {10, 0, 0, of->address[!of->direction]},
                          .source_port = of->port[of->direction], .destination_port = of->port[!of->direction]};
    reef_scene scene = {.packet = &packet, .flow = flow, .direction = of->direction, .streamed = true};
    reef_match_begin(s->matcher, &scene);
    for (uint32_t n = 0, at = 0; n < stretches && at < length; n++) {
        uint32_t end = n + 1 == stretches ? length : at + length / stretches + 1;
        uint8_t gone[600]; /* a stretch is not to be read once the call is over */
        end = end < length ? end : length;
        memcpy(gone, data, end);
        reef_match_raw(s->matcher, of->direction, &(reef_raw){.bytes = {gone, end}, .offset = offset, .fresh = end - at});
        memset(gone, 0, sizeof gone);
        at = end;
    }
    reef_match_packet(s->matcher);
    reef_match_finish(s->matcher, &alert, &count);
    for (uint32_t i = 0; i < count; i++)
        sid[i] = alert[i].rule->sid;
    return count;
}

int main(void)
{
    uint8_t text[400], payload[600];
    uint32_t told = 0, sid[2][IMAGE_RULES];
    for (unsigned round = 0; round < 60; round++) {
        image *made = image_new();
        side fast, plain;
        reef_flow flow[2] = {{.id = 1}, {.id = 1}};
        image_name(made, REEF_NAME_FLOWBIT, "one");
        image_name(made, REEF_NAME_FLOWBIT, "two");
        image_name(made, REEF_NAME_FLOWBIT, "three");
        uint32_t length = random_bytes(text, 300, sizeof text);
        ends of = {.direction = REEF_TO_SERVER};
        random_sets(made);
        random_ends(&of);
        for (uint32_t n = 1 + random_below(IMAGE_RULES - 1); n > 0; n--)
            random_rule(made, text, length);
        reef_rules *rules = image_rules(made);
        side_open(&fast, rules, false);
        side_open(&plain, rules, true);
        for (unsigned i = 0; i < 60; i++) {
            uint32_t at = random_below(length), take = 1 + random_below(length - at), more = random_bytes(payload, 0, 150);
            memcpy(payload + more, text + at, take);
            of.direction = random_below(3) ? REEF_TO_SERVER : REEF_TO_CLIENT;
            uint32_t stretches = random_below(2) ? random_below(4) : 0;
            uint64_t offset = stretches > 0 && random_below(2) ? random_below(40) : 0;
            uint32_t n = matched(&fast, &flow[0], &of, payload, more + take, stretches, offset, sid[0]);
            CHECK_EQUAL(n, matched(&plain, &flow[1], &of, payload, more + take, stretches, offset, sid[1]));
            CHECK(memcmp(sid[0], sid[1], n * sizeof sid[0][0]) == 0);
            told += n;
            if (random_below(6) == 0) { /* another conversation */
                reef_match_free_flow(fast.matcher, &flow[0]);
                reef_match_free_flow(plain.matcher, &flow[1]);
                random_ends(&of);
            }
        }
        reef_match_free_flow(fast.matcher, &flow[0]);
        reef_match_free_flow(plain.matcher, &flow[1]);
        reef_matcher_free(fast.matcher);
        reef_matcher_free(plain.matcher);
        reef_memory_free(fast.memory);
        reef_memory_free(plain.memory);
        reef_rules_free(rules);
    }
    CHECK(told > 5000); /* it compared something */
    return 0;
}
