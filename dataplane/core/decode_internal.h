/* Between the files of decode only: where in the frame the walk is, and the steps it can take. */
#ifndef REEF_DECODE_INTERNAL_H
#define REEF_DECODE_INTERNAL_H

#include <stdbool.h>

#include "reef/bytes.h"
#include "reef/decode.h"

enum { DECODE_IPV4_HEADER = 20, DECODE_IPV6_HEADER = 40 };

/* Something is wrong: said once of a packet, however often it is so. */
void decode_event(reef_packet *packet, reef_decode_event event) __attribute__((cold));

/* A header that cannot be read to its end: said, and the walk ends there. */
void decode_bad(reef_packet *packet, reef_decode_event event) __attribute__((cold));

/* One header more in a packet, which everything between the outermost link header and an IP header asks for, and every
 * tunnel for its inner IP header: so the plain ones need not count. False: there are too many, which has been said. */
static inline bool decode_layer(reef_packet *packet)
{
    if (packet->layers < REEF_LAYERS_MAX) {
        packet->layers++;
        return true;
    }
    decode_bad(packet, REEF_EV_TOO_MANY_LAYERS);
    return false;
}

/* A link header or what follows one. False: not a packet that can be read. */
bool decode_link(reef_packet *packet, unsigned link, const uint8_t *p, uint32_t n);
bool decode_ethernet(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_vlan(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_ppp(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_pppoe(reef_packet *packet, bool session, const uint8_t *p, uint32_t n);
bool decode_mpls(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_nsh(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_erspan(reef_packet *packet, const uint8_t *p, uint32_t n);

bool decode_ipv4(reef_packet *packet, const uint8_t *p, uint32_t n);
bool decode_ipv6(reef_packet *packet, const uint8_t *p, uint32_t n);
/* Bytes of the IPv6 extension header of type `next` at `p`; 0: it is none. More than `n` when it is cut short. */
uint32_t decode_extension_length(uint8_t next, const uint8_t *p, uint32_t n);
/* `n` bytes of the transport header and what follows; protocol is set in the packet. */
void decode_transport(reef_packet *packet, const uint8_t *p, uint32_t n);

/* Says that the packet is the outside of a tunnel. */
static inline void decode_carries(reef_packet *packet, reef_inner_kind kind, const uint8_t *p, uint32_t n)
{
    packet->inner = (reef_inner){.data = p, .length = n, .kind = kind};
}
void decode_gre(reef_packet *packet, const uint8_t *p, uint32_t n);
/* A UDP payload on one of the ports of tunnels. */
void decode_udp_tunnel(reef_packet *packet, const uint8_t *p, uint32_t n);
static inline bool decode_is_tunnel_port(unsigned port)
{
    return port == 3544 /* Teredo */ || port == 4789 /* VXLAN */ || port == 6081 /* Geneve */;
}

void decode_icmpv4(reef_packet *packet, const uint8_t *p, uint32_t n);
void decode_icmpv6(reef_packet *packet, const uint8_t *p, uint32_t n);

static inline void decode_transport_whole(reef_packet *packet, const uint8_t *p, uint32_t header, uint32_t n)
{
    packet->transport = p;
    packet->payload = p + header;
    packet->payload_length = n - header;
    packet->flags |= REEF_PACKET_TRANSPORT;
}

#endif
