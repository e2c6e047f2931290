/* decode: two bytes of link type, then a frame. */
#include "fuzz.h"
#include "reef/bytes.h"
#include "reef/decode.h"

/* What it says is there, is there. */
static void check(reef_packet *packet, const uint8_t *data, uint32_t n)
{
    uint32_t length;
    reef_packet_checksums(packet);
    MUST(packet->events <= REEF_DECODE_EVENTS_MAX && packet->layers <= REEF_LAYERS_MAX);
    for (unsigned i = 0; i < packet->events; i++)
        MUST(packet->event[i] < REEF_EV_COUNT);
    if (packet->version != 0) {
        MUST(packet->network >= data && packet->network + packet->network_length <= data + n);
        reef_packet_ip_option(packet, 0x94);
    }
    if (packet->flags & REEF_PACKET_TRANSPORT) {
        MUST(packet->payload >= data && packet->payload + packet->payload_length <= data + n);
        MUST(packet->transport >= packet->network && packet->version != 0);
        if (packet->protocol == REEF_PROTO_TCP)
            reef_packet_tcp_option(packet, 8, &length);
    }
    if (packet->inner.kind != REEF_INNER_NONE)
        MUST(packet->inner.data >= data && packet->inner.data + packet->inner.length <= data + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t *copy = malloc(size - 1);
    memcpy(copy, data + 2, size - 2);
    reef_frame frame = {.data = copy, .captured = (uint32_t)(size - 2), .length = (uint32_t)(size - 2),
                        .link = reef_be16(data)};
    reef_packet layer[REEF_LAYERS_MAX + 1];
    unsigned layers = 0;
    reef_decode(&frame, &layer[0]);
    check(&layer[0], copy, frame.captured);
    while (layer[layers].inner.kind != REEF_INNER_NONE && reef_decode_inner(&layer[layers], &layer[layers + 1])) {
        layers++;
        MUST(layers < REEF_LAYERS_MAX && layer[layers].outer == &layer[layers - 1] && layer[layers].depth == layers);
        check(&layer[layers], copy, frame.captured);
    }
    free(copy);
    return 0;
}
