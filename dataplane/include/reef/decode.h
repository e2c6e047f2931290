/* decode: a frame becomes a packet. Looks at nothing but the frame; keeps nothing. */
#ifndef REEF_DECODE_H
#define REEF_DECODE_H

#include <stdbool.h>

#include "reef/packet.h"

typedef enum reef_decode_event {
#define REEF_EVENT(id, name) REEF_EV_##id,
#include "reef/decode_events.def"
#undef REEF_EVENT
    REEF_EV_COUNT
} reef_decode_event;

/* Fill `packet` from `frame`. Malformed input is no failure: the packet then says how far it could be
 * read (flags) and what was wrong (event[]). */
void reef_decode(const reef_frame *frame, reef_packet *packet);

/* Is this a link type that decoding reads? */
bool reef_decode_knows_link(unsigned link);

/* Suricata's name of a finding without the "decoder." in front; static, never NULL. */
const char *reef_decode_event_name(unsigned event);

#endif
