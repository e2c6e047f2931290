/* rules: a rule image from anywhere. What is taken is matched with at once. */
#include "fuzz.h"
#include "reef/match.h"

static void match(const reef_rules *rules, const uint8_t *data, uint32_t size)
{
    reef_memory *memory;
    reef_matcher *matcher;
    reef_match_options options = {.act = true, .seed = {1, 2}};
    const reef_alert *alerts;
    uint32_t count;
    MUST(reef_memory_new(1 << 22, &memory) == 0);
    if (reef_matcher_new(memory, rules, &options, &matcher) == 0) {
        reef_packet packet = {.payload = data, .payload_length = size, .version = 4, .protocol = 17, .flags = REEF_PACKET_TRANSPORT, .time_ns = 1, .events = 1};
        reef_flow flow = {.id = 1, .state = REEF_FLOW_ESTABLISHED};
        reef_scene scene = {.packet = &packet, .flow = &flow};
        for (int i = 0; i < 2; i++) {
            reef_match_begin(matcher, &scene);
            reef_match_raw(matcher, REEF_TO_SERVER, &(reef_raw){.bytes = {data, size}, .fresh = size});
            reef_match_packet(matcher);
            reef_match_transactions(matcher);
            reef_match_finish(matcher, &alerts, &count);
            MUST(count <= 2 * REEF_ALERTS_MAX);
        }
        reef_match_free_flow(matcher, &flow);
        reef_matcher_free(matcher);
    }
    reef_memory_counters counters;
    reef_memory_count(memory, &counters);
    MUST(counters.used == 0);
    reef_memory_free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reef_rules *rules;
    reef_image_header header;
    if (size < sizeof header)
        return 0;
    uint8_t *copy = malloc(size);
    MUST(copy != NULL);
    memcpy(copy, data, size);
    memcpy(&header, copy, sizeof header); /* what every image has is not to be guessed */
    header.magic = REEF_IMAGE_MAGIC;
    header.version = REEF_IMAGE_VERSION;
    header.size = (uint32_t)size;
    reef_rules_engine_digest(header.engine);
    memcpy(copy, &header, sizeof header);
    if (reef_rules_new(copy, size, NULL, 0, &rules) == 0) {
        match(rules, data, size < 1500 ? (uint32_t)size : 1500);
        reef_rules_free(rules);
    }
    free(copy);
    return 0;
}
