/* neighbours: a frame of Ethernet, and what it shows. */
#include "fuzz.h"
#include "reef/decode.h"
#include "reef/neighbours.h"
#include "reef/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    static reef_neighbours *neighbours;
    if (neighbours == NULL)
        MUST(reef_neighbours_new(seed, &neighbours) == REEF_OK);
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    reef_frame frame = {.data = copy, .captured = (uint32_t)size, .length = (uint32_t)size, .link = REEF_LINK_ETHERNET};
    reef_packet packet;
    reef_neighbour seen;
    char name[REEF_NEIGHBOUR_NAME_MAX + 1];
    reef_decode(&frame, &packet);
    static uint64_t time_ns;
    packet.time_ns = time_ns += 1000000000u;
    if (reef_shows_neighbour(&packet) && reef_neighbours_take(neighbours, &frame, &packet, &seen, name)) {
        MUST(strlen(name) <= REEF_NEIGHBOUR_NAME_MAX);
        MUST(!(seen.mac[0] & 1) && (seen.version == 0 || seen.version == 4 || seen.version == 6));
        MUST(seen.how >= REEF_NEIGHBOUR_ARP && seen.how <= REEF_NEIGHBOUR_MDNS);
        MUST((*name != '\0') <= (seen.how == REEF_NEIGHBOUR_MDNS));
    }
    free(copy);
    return 0;
}
