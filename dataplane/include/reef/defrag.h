/* defrag: fragments of IPv4 and IPv6 datagrams become datagrams, overlaps resolved as the target would (Suricata's policies).
 *
 * What is held is bounded by the worker's memory and a number of datagrams. When there is no room the datagram that was
 * begun last goes first: a flood of fragments pushes out itself. Time is that of the packets. */
#ifndef REEF_DEFRAG_H
#define REEF_DEFRAG_H

#include "reef/memory.h"
#include "reef/packet.h"

typedef enum reef_defrag_policy {
    REEF_DEFRAG_BSD, /* the default */
    REEF_DEFRAG_FIRST,
    REEF_DEFRAG_LAST,
    REEF_DEFRAG_LINUX,
    REEF_DEFRAG_SOLARIS,
    REEF_DEFRAG_WINDOWS,
} reef_defrag_policy;

typedef struct reef_defrag_options {
    uint32_t datagrams;  /* being put together at a time */
    uint32_t fragments;  /* of all of them */
    uint32_t timeout;    /* seconds */
    reef_defrag_policy policy;
    uint64_t seed[2];    /* secret; of the hash */
} reef_defrag_options;

/* Sensible values for everything but the seed. */
void reef_defrag_options_default(reef_defrag_options *options);

typedef struct reef_defrag reef_defrag;

/* `memory` must outlive it. */
int reef_defrag_new(reef_memory *memory, const reef_defrag_options *options, reef_defrag **out);
void reef_defrag_free(reef_defrag *defrag);

/* A fragment (REEF_PACKET_FRAGMENT). True: with it the datagram is whole, decoded into `whole` (REEF_PACKET_DEFRAGMENTED; outer is
 * the fragment, which got REEF_PACKET_NO_PAYLOAD), valid until the call after the next. Events (overlaps, too large) go to the fragment. */
bool reef_defrag_take(reef_defrag *defrag, reef_packet *fragment, reef_packet *whole);

typedef struct reef_defrag_counters {
    uint64_t fragments, whole, timed_out, pushed_out, refused;
    uint32_t datagrams; /* now */
} reef_defrag_counters;

void reef_defrag_count(const reef_defrag *defrag, reef_defrag_counters *counters);

#endif
