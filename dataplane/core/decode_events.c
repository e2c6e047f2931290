#include "reef/decode.h"

static const char *const names[] = {
#define REEF_EVENT(id, name) [REEF_EV_##id] = name,
#include "reef/decode_events.def"
#undef REEF_EVENT
};

const char *reef_decode_event_name(unsigned event)
{
    return event < REEF_EV_COUNT ? names[event] : "unknown";
}
