/* Traffic for benches: made in memory, the same for the same arguments, or read from capture files. */
#ifndef REEF_BENCH_TRAFFIC_H
#define REEF_BENCH_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#include "reef/packet.h"

typedef struct traffic {
    reef_frame *frame;
    size_t frames;
    uint64_t bytes;  /* of all frames */
    uint8_t *memory; /* where they lie, one after the other as in a capture file */
} traffic;

/* A mix of an edge: TCP data and acknowledgements of `flows` connections both ways, DNS, other UDP, ICMP; a
 * fifth IPv6, a tenth with a VLAN tag; about `bytes` in all. Connections open, carry a request or a
 * ClientHello, close, and are followed by others. */
traffic traffic_made(uint64_t bytes, unsigned flows);
/* The frames of capture files, again and again until about `bytes`; a file that cannot be read to its end
 * gives what it has. */
traffic traffic_read(char *const *paths, size_t count, uint64_t bytes);
void traffic_free(traffic *t);

#endif
