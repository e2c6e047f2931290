/* decode: two bytes of link type, then a frame. */
#include "fuzz.h"
#include "reef/bytes.h"
#include "reef/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t *copy = malloc(size - 1);
    memcpy(copy, data + 2, size - 2);
    reef_frame frame = {.data = copy, .captured = (uint32_t)(size - 2), .length = (uint32_t)(size - 2),
                        .link = reef_be16(data)};
    reef_packet packet;
    reef_decode(&frame, &packet);
    MUST(packet.events <= REEF_DECODE_EVENTS_MAX);
    for (unsigned i = 0; i < packet.events; i++)
        MUST(packet.event[i] < REEF_EV_COUNT);
    if (packet.flags & REEF_PACKET_TRANSPORT) { /* what it says is there, is there */
        MUST(packet.payload >= copy && packet.payload + packet.payload_length <= copy + frame.captured);
        MUST(packet.transport >= packet.network && packet.version != 0);
    }
    free(copy);
    return 0;
}
