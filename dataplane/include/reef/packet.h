/* A frame as a capture hands it over, and a packet as decoding leaves it. Both only point into the
 * capture's memory: valid until the call that got them returns. */
#ifndef REEF_PACKET_H
#define REEF_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "reef/limits.h"

/* Link types, numbered as in pcap files (https://www.tcpdump.org/linktypes.html). */
enum {
    REEF_LINK_NULL = 0,
    REEF_LINK_ETHERNET = 1,
    REEF_LINK_RAW_BSD = 12,
    REEF_LINK_RAW_OPENBSD = 14,
    REEF_LINK_RAW = 101,
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
    uint16_t link;     /* REEF_LINK_... */
    uint16_t vlan;     /* tag the kernel took off, | 0x1000 when there was one */
    uint8_t way;       /* REEF_WAY_... */
} reef_frame;

#define REEF_FRAME_HAS_VLAN 0x1000u

/* IP protocol numbers that are decoded. */
enum {
    REEF_PROTO_ICMP = 1,
    REEF_PROTO_TCP = 6,
    REEF_PROTO_UDP = 17,
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
    REEF_PACKET_FRAGMENT = 0x01,  /* part of a fragmented datagram: no transport header was read */
    REEF_PACKET_TRANSPORT = 0x02, /* the transport header is whole: ports, and payload */
    REEF_PACKET_BAD = 0x04,       /* a header could not be read to its end */
    REEF_PACKET_CUT = 0x08,       /* the capture kept less than the wire carried */
};

typedef struct reef_packet {
    const uint8_t *network;   /* the innermost IP header read, NULL when there is none */
    const uint8_t *transport; /* header after it */
    const uint8_t *payload;   /* bytes after the transport header */
    uint32_t payload_length;
    uint32_t network_length;  /* bytes from `network` to the end of the IP packet that were captured */
    uint64_t time_ns;
    uint64_t number;          /* counts from 1 within a worker */
    uint32_t interface;
    uint32_t wire_length;     /* of the frame */
    uint8_t version;          /* 4, 6, or 0 when it is not IP */
    uint8_t protocol;         /* IP protocol of the transport header */
    uint8_t flags;            /* REEF_PACKET_... */
    uint8_t way;
    uint16_t source_port;     /* of TCP, UDP, SCTP; ICMP: echo identifier, or 0 */
    uint16_t destination_port;
    uint8_t tcp_flags;
    uint8_t icmp_type, icmp_code;
    uint8_t ttl;              /* or hop limit */
    uint8_t vlans;            /* how many of vlan[] are set */
    uint8_t events;           /* how many of event[] are set */
    uint16_t link;
    uint16_t vlan[REEF_VLAN_MAX];
    uint16_t ether_type;      /* of the innermost link header */
    uint32_t tcp_sequence, tcp_acknowledgement;
    uint32_t fragment_id;
    uint16_t fragment_offset; /* bytes */
    uint16_t tcp_window;
    uint8_t source[16];       /* IPv4: first four bytes, the rest 0 */
    uint8_t destination[16];
    uint16_t event[REEF_DECODE_EVENTS_MAX]; /* REEF_EV_..., in the order found */
} reef_packet;

#endif
