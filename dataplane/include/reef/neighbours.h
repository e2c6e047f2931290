/* neighbours: which devices of our own networks show themselves, by ARP (RFC 826, RFC 5227), neighbour discovery
 * (RFC 4861) and multicast DNS (RFC 6762), which says what they are called. A table of fixed size remembers who was told of, so that each is told once in a while and not by every
 * packet. It costs nothing for packets that are neither. */
#ifndef REEF_NEIGHBOURS_H
#define REEF_NEIGHBOURS_H

#include <stdbool.h>

#include "reef/packet.h"

enum { REEF_NEIGHBOUR_ARP = 1, REEF_NEIGHBOUR_ND = 2, REEF_NEIGHBOUR_MDNS = 3, REEF_NEIGHBOUR_ASKS = 4 };

typedef struct reef_neighbour {
    uint8_t mac[6];
    uint8_t version; /* 4, 6, or 0: it has no address yet */
    uint8_t how;     /* REEF_NEIGHBOUR_... */
    uint8_t address[16];
    uint8_t asked[4]; /* of REEF_NEIGHBOUR_ASKS: the address it looks for */
    uint32_t interface;
} reef_neighbour;

typedef struct reef_neighbours reef_neighbours;

/* `seed` is secret and random, so that nobody can aim at one place of the table. */
int reef_neighbours_new(const uint64_t seed[2], reef_neighbours **out);
void reef_neighbours_free(reef_neighbours *neighbours);

/* Can this packet show a neighbour at all? One compare for most. */
static inline bool reef_shows_neighbour(const reef_packet *packet)
{
    if (packet->version == 0)
        return packet->ether_type == 0x0806;
    return (packet->protocol == REEF_PROTO_ICMPV6 && packet->icmp_type >= 133 && packet->icmp_type <= 136) ||
           (packet->protocol == REEF_PROTO_UDP && packet->source_port == 5353 && packet->destination_port == 5353);
}

/* What a packet shows, when it is to be told: it was not for REEF_NEIGHBOUR_AGAIN_S, and no flood is on. `name` is what the
 * device says it is called, or "". */
bool reef_neighbours_take(reef_neighbours *neighbours, const reef_frame *frame, const reef_packet *packet, reef_neighbour *out,
                          char name[REEF_NEIGHBOUR_NAME_MAX + 1]);

/* Whom an ARP request looks for, likewise: who asks for many that are not there sweeps a network. Probes and announcements of
 * one's own address look for nobody. */
bool reef_neighbours_asks(reef_neighbours *neighbours, const reef_frame *frame, const reef_packet *packet, reef_neighbour *out);

/* How many were not told because too many came at once. */
uint64_t reef_neighbours_left_out(const reef_neighbours *neighbours);

#endif
