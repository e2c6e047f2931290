/* A frame as a capture hands it over, and a packet as decoding leaves it. Both only point into the
 * capture's memory: valid until the call that got them returns.
 *
 * Every IP layer of a tunnel is a packet of its own (decode.h). */
#ifndef REEF_PACKET_H
#define REEF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reef/limits.h"

/* Link types, numbered as in pcap files (https://www.tcpdump.org/linktypes.html). */
enum {
    REEF_LINK_NULL = 0,
    REEF_LINK_ETHERNET = 1,
    REEF_LINK_PPP = 9,
    REEF_LINK_RAW_BSD = 12,
    REEF_LINK_RAW_OPENBSD = 14,
    REEF_LINK_RAW = 101,
    REEF_LINK_CHDLC = 104,
    REEF_LINK_LOOP = 108,
    REEF_LINK_SLL = 113,
    REEF_LINK_IPV4 = 228,
    REEF_LINK_IPV6 = 229,
    REEF_LINK_SLL2 = 276,
};

/* Which way a frame crossed the interface. A file does not say. */
enum { REEF_WAY_UNKNOWN = 0, REEF_WAY_IN = 1, REEF_WAY_OUT = 2 };

typedef struct reef_frame {
    const uint8_t *data;
    uint32_t captured; /* bytes at data */
    uint32_t length;   /* bytes on the wire, >= captured */
    uint64_t time_ns;  /* since the epoch, UTC */
    uint32_t interface; /* number of the interface: kernel index, or index in the file */
    uint32_t mark;     /* of the connection, where the kernel said it (lane.h) */
    uint16_t link;     /* REEF_LINK_... */
    uint16_t vlan;     /* tag the kernel took off, | 0x1000 when there was one */
    uint8_t way;       /* REEF_WAY_... */
} reef_frame;

#define REEF_FRAME_HAS_VLAN 0x1000u

/* IP protocol numbers that are decoded. */
enum {
    REEF_PROTO_ICMP = 1,
    REEF_PROTO_IPIP = 4,
    REEF_PROTO_TCP = 6,
    REEF_PROTO_UDP = 17,
    REEF_PROTO_IPV6 = 41,
    REEF_PROTO_GRE = 47,
    REEF_PROTO_ESP = 50,
    REEF_PROTO_ICMPV6 = 58,
    REEF_PROTO_SCTP = 132,
};

enum {
    REEF_TCP_FIN = 0x01,
    REEF_TCP_SYN = 0x02,
    REEF_TCP_RST = 0x04,
    REEF_TCP_PSH = 0x08,
    REEF_TCP_ACK = 0x10,
    REEF_TCP_URG = 0x20,
    REEF_TCP_ECE = 0x40,
    REEF_TCP_CWR = 0x80,
};

/* Flags of a decoded packet. */
enum {
    REEF_PACKET_FRAGMENT = 0x01,      /* part of a fragmented datagram: no transport header was read */
    REEF_PACKET_TRANSPORT = 0x02,     /* the transport header is whole: ports, and payload */
    REEF_PACKET_BAD = 0x04,           /* a header could not be read to its end */
    REEF_PACKET_CUT = 0x08,           /* the capture kept less than the wire carried */
    REEF_PACKET_TUNNEL = 0x10,        /* it came inside another packet: `outer` */
    REEF_PACKET_DEFRAGMENTED = 0x20,  /* put together from fragments; `outer` is the last of them */
    REEF_PACKET_BAD_IP_CHECKSUM = 0x40, /* set by reef_packet_checksums only */
    REEF_PACKET_BAD_CHECKSUM = 0x80,    /* likewise: of TCP, UDP, ICMP, ICMPv6 */
    REEF_PACKET_NO_PAYLOAD = 0x100,   /* its payload is looked at as a packet of its own (tunnel, fragment) */
    REEF_PACKET_NO_FLOW = 0x200,      /* belongs to no conversation: a GRE packet that carries another */
    REEF_PACKET_IP_OPTIONS = 0x400,   /* IPv4 with options */
};

/* What a tunnel carries. */
typedef enum reef_inner_kind {
    REEF_INNER_NONE,
    REEF_INNER_IPV4,
    REEF_INNER_IPV6,
    REEF_INNER_TEREDO, /* IPv6, if it proves to be */
    REEF_INNER_ETHERNET,
    REEF_INNER_VLAN,
    REEF_INNER_PPP,
    REEF_INNER_ERSPAN1,
    REEF_INNER_ERSPAN2,
} reef_inner_kind;

typedef struct reef_inner {
    const uint8_t *data;
    uint32_t length;
    uint32_t kind; /* reef_inner_kind */
} reef_inner;

typedef struct reef_packet {
    const uint8_t *network;   /* the IP header, NULL when there is none */
    const uint8_t *transport; /* header after it */
    const uint8_t *payload;   /* bytes after the transport header */
    uint32_t payload_length;
    uint32_t network_length;  /* bytes from `network` to the end of the IP packet that were captured */
    uint64_t time_ns;
    uint64_t number;          /* counts from 1 within a worker */
    uint32_t interface;
    uint32_t wire_length;     /* of the frame */
    uint16_t flags;           /* REEF_PACKET_... */
    uint8_t version;          /* 4, 6, or 0 when it is not IP */
    uint8_t protocol;         /* IP protocol of the transport header */
    uint8_t way;
    uint8_t layers;           /* headers walked so far, those of the outer packets too */
    uint8_t depth;            /* tunnels around it */
    uint8_t tcp_flags;
    uint16_t source_port;     /* of TCP, UDP, SCTP; ICMP: echo identifier, or 0 */
    uint16_t destination_port;
    uint8_t icmp_type, icmp_code;
    uint8_t ttl;              /* or hop limit */
    uint8_t vlans;            /* how many of vlan[] are set */
    uint16_t link;
    uint16_t ether_type;      /* of the innermost link header */
    uint16_t vlan[REEF_VLAN_MAX];
    uint16_t tcp_window;
    uint32_t tcp_sequence, tcp_acknowledgement;
    uint32_t fragment_id;
    uint16_t fragment_offset; /* bytes */
    uint8_t events;           /* how many of event[] are set */
    uint8_t extensions;       /* IPv6: bytes / 8 of extension headers before a fragment header */
    uint8_t source[16];       /* IPv4: first four bytes, the rest 0 */
    uint8_t destination[16];
    reef_inner inner;         /* what it carries when it is a tunnel's: reef_decode_inner */
    const struct reef_packet *outer; /* of a tunnel's inner packet or a whole datagram: what it came in; else NULL */
    uint16_t event[REEF_DECODE_EVENTS_MAX]; /* REEF_EV_..., in the order found; only the first `events` are set */
} reef_packet;

/* --- fields of headers, for rules: ask only when the packet has that header ------------------------------ */

static inline uint32_t reef_packet_field16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

/* IPv4 header or fixed IPv6 header: bytes. */
static inline uint32_t reef_packet_network_header(const reef_packet *packet)
{
    return packet->version == 4 ? (packet->network[0] & 0x0fu) * 4u : 40u;
}
/* Type of service, or traffic class. */
static inline unsigned reef_packet_tos(const reef_packet *packet)
{
    return packet->version == 4 ? packet->network[1] : reef_packet_field16(packet->network) >> 4 & 0xffu;
}
/* IPv4 only: identification; reserved 4, DF 2, MF 1; offset in units of eight bytes. */
static inline unsigned reef_packet_ip_id(const reef_packet *packet) { return reef_packet_field16(packet->network + 4); }
static inline unsigned reef_packet_fragbits(const reef_packet *packet) { return packet->network[6] >> 5; }
static inline unsigned reef_packet_fragment_units(const reef_packet *packet)
{
    return reef_packet_field16(packet->network + 6) & 0x1fffu;
}
/* ICMP and ICMPv6: the second word of the header. */
static inline unsigned reef_packet_icmp_id(const reef_packet *packet) { return reef_packet_field16(packet->transport + 4); }
static inline unsigned reef_packet_icmp_sequence(const reef_packet *packet)
{
    return reef_packet_field16(packet->transport + 6);
}
static inline uint32_t reef_packet_icmp_word(const reef_packet *packet)
{
    return reef_packet_field16(packet->transport + 4) << 16 | reef_packet_field16(packet->transport + 6);
}
/* Bytes of the TCP header with its options. */
static inline uint32_t reef_packet_tcp_header(const reef_packet *packet) { return (packet->transport[12] >> 4) * 4u; }

/* The value of a TCP option (MSS 2, window scale 3, timestamp 8) and its length; NULL: it is not there. */
const uint8_t *reef_packet_tcp_option(const reef_packet *packet, unsigned kind, uint32_t *length);
/* Is there such an IPv4 option? */
bool reef_packet_ip_option(const reef_packet *packet, unsigned type);

#endif
