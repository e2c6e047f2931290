/* Between the files of decode only: where in the frame the walk is, and the steps it can take. */
#ifndef REEF_DECODE_INTERNAL_H
#define REEF_DECODE_INTERNAL_H

#include <stdbool.h>

#include "reef/bytes.h"
#include "reef/decode.h"

/* Something is wrong: said once of a packet, however often it is so. */
void decode_event(reef_packet *packet, reef_decode_event event) __attribute__((cold));

/* A header that cannot be read to its end: said, and the walk ends there. */
void decode_bad(reef_packet *packet, reef_decode_event event) __attribute__((cold));

void decode_link(reef_packet *packet, unsigned link, const uint8_t *p, uint32_t n);
void decode_ipv4(reef_packet *packet, const uint8_t *p, uint32_t n);
void decode_ipv6(reef_packet *packet, const uint8_t *p, uint32_t n);
/* `n` bytes of the transport header and what follows; protocol is set in the packet. */
void decode_transport(reef_packet *packet, const uint8_t *p, uint32_t n);

#endif
