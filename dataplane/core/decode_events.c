#include "decode_internal.h"

static const char *const names[] = {
#define REEF_EVENT(id, name) [REEF_EV_##id] = name,
#include "reef/decode_events.def"
#undef REEF_EVENT
};

const char *reef_decode_event_name(unsigned event)
{
    return event < REEF_EV_COUNT ? names[event] : "unknown";
}

void decode_event(reef_packet *packet, reef_decode_event event)
{
    for (unsigned i = 0; i < packet->events; i++)
        if (packet->event[i] == event)
            return;
    if (packet->events < REEF_DECODE_EVENTS_MAX)
        packet->event[packet->events++] = (uint16_t)event;
}

void decode_bad(reef_packet *packet, reef_decode_event event)
{
    decode_event(packet, event);
    packet->flags |= REEF_PACKET_BAD;
}

void reef_packet_event(reef_packet *packet, reef_decode_event event)
{
    decode_event(packet, event);
}
