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

/* Fill `packet` from `frame`: the outermost IP packet. Malformed input is no failure: the packet then says how far it could
 * be read (flags) and what was wrong (event[]). */
void reef_decode(const reef_frame *frame, reef_packet *packet);

/* The packet that `outer` carries (outer->inner.kind != REEF_INNER_NONE). False: what is there is no packet; `outer` is all
 * there is. True: `outer` got the flag REEF_PACKET_NO_PAYLOAD, and `inner` may carry a further one. Bounded: REEF_LAYERS_MAX
 * headers in all. `inner` points to `outer`. */
bool reef_decode_inner(reef_packet *outer, reef_packet *inner);

/* The datagram that was put together from fragments: an IP packet of `length` bytes; `last` is the fragment that made it
 * whole. False: it is none. */
bool reef_decode_datagram(const uint8_t *data, uint32_t length, const reef_packet *last, reef_packet *packet);

/* Are the checksums right? Sets REEF_PACKET_BAD_IP_CHECKSUM and REEF_PACKET_BAD_CHECKSUM where one is there, all of its
 * bytes were captured, and it is wrong. */
void reef_packet_checksums(reef_packet *packet);

/* Is this a link type that decoding reads? */
bool reef_decode_knows_link(unsigned link);

/* Suricata's name of a finding without the "decoder." in front; static, never NULL. Those of streams begin with "stream.". */
const char *reef_decode_event_name(unsigned event);
/* A finding of a later stage (defrag, tcp): said once of a packet. */
void reef_packet_event(reef_packet *packet, reef_decode_event event);

#endif
