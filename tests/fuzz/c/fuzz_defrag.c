/* defrag: a policy, then IP packets behind their lengths, one after the other. Only fragments are taken. */
#include "fuzz.h"
#include "reef/bytes.h"
#include "reef/decode.h"
#include "reef/defrag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    reef_defrag_options options;
    reef_memory *memory;
    reef_defrag *defrag;
    reef_defrag_options_default(&options);
    options.policy = data[0] % (REEF_DEFRAG_WINDOWS + 1);
    options.datagrams = 1 + data[0] / 16;
    MUST(reef_memory_new(data[0] & 8 ? 65536 : 1 << 20, &memory) == 0);
    MUST(reef_defrag_new(memory, &options, &defrag) == 0);
    uint64_t now_ns = 1;
    for (size_t at = 1; size - at >= 2;) {
        uint32_t n = data[at];
        at += 1;
        if (n > size - at)
            n = (uint32_t)(size - at);
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, data + at, n);
        at += n;
        reef_frame frame = {.data = copy, .captured = n, .length = n, .link = REEF_LINK_RAW, .time_ns = now_ns};
        reef_packet packet, whole;
        reef_decode(&frame, &packet);
        if (packet.flags & REEF_PACKET_FRAGMENT && reef_defrag_take(defrag, &packet, &whole)) {
            uint8_t sum = 0;
            MUST(whole.version == packet.version && whole.network_length <= 40 + 65535);
            for (uint32_t i = 0; i < whole.network_length; i++)
                sum ^= whole.network[i];
            reef_packet_checksums(&whole);
            now_ns += sum;
        }
        now_ns += 1000000000ull * (n % 4);
        free(copy);
    }
    reef_memory_counters counters;
    reef_defrag_free(defrag);
    reef_memory_count(memory, &counters);
    MUST(counters.used == 0);
    reef_memory_free(memory);
    return 0;
}
