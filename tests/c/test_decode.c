/* decode: every header that is read, and every way in which one can be wrong. */
#include "check.h"
#include "packets.h"
#include "reef/decode.h"

static reef_packet decoded(const bytes *b, unsigned link)
{
    /* The exact size on the heap, so that the sanitizer sees a read past the end. */
    uint8_t *copy = malloc(b->length + 1u);
    memcpy(copy, b->data, b->length);
    reef_frame frame = frame_of(b, link, 1);
    frame.data = copy;
    reef_packet packet;
    reef_decode(&frame, &packet);
    free(copy);
    return packet;
}

static void check_event(const bytes *b, unsigned link, reef_decode_event event)
{
    reef_packet packet = decoded(b, link);
    for (unsigned i = 0; i < packet.events; i++)
        if (packet.event[i] == event)
            return;
    fprintf(stderr, "no event %s; got:", reef_decode_event_name(event));
    for (unsigned i = 0; i < packet.events; i++)
        fprintf(stderr, " %s", reef_decode_event_name(packet.event[i]));
    fprintf(stderr, "\n");
    exit(1);
}

static bytes tcp_in_ethernet(void)
{
    bytes b;
    tcp_frame(&b, 1, 40000, 2, 80, 1000, REEF_TCP_ACK | REEF_TCP_PSH, "hello", 5);
    return b;
}

static void test_whole_packets(void)
{
    bytes b = tcp_in_ethernet();
    reef_packet p = decoded(&b, REEF_LINK_ETHERNET);
    CHECK_EQUAL(p.version, 4);
    CHECK_EQUAL(p.protocol, REEF_PROTO_TCP);
    CHECK_EQUAL(p.source_port, 40000);
    CHECK_EQUAL(p.destination_port, 80);
    CHECK_EQUAL(p.tcp_flags, REEF_TCP_ACK | REEF_TCP_PSH);
    CHECK_EQUAL(p.tcp_sequence, 1000);
    CHECK_EQUAL(p.payload_length, 5);
    CHECK_EQUAL(p.flags, REEF_PACKET_TRANSPORT);
    CHECK_EQUAL(p.events, 0);
    CHECK_EQUAL(p.source[3], 1);
    CHECK_EQUAL(p.destination[3], 2);

    /* Padding of short Ethernet frames is no payload. */
    for (int i = 0; i < 20; i++)
        add8(&b, 0);
    CHECK_EQUAL(decoded(&b, REEF_LINK_ETHERNET).payload_length, 5);

    b.length = 0;
    add_ipv6(&b, REEF_PROTO_UDP, 1, 2, 8 + 4);
    add_udp(&b, 1234, 53, 4);
    add_text(&b, "abcd");
    p = decoded(&b, REEF_LINK_RAW);
    CHECK_EQUAL(p.version, 6);
    CHECK_EQUAL(p.destination_port, 53);
    CHECK_EQUAL(p.payload_length, 4);
    CHECK_EQUAL(p.source[15], 1);
}

static void test_link_types(void)
{
    bytes inner = {.length = 0};
    add_ipv4(&inner, REEF_PROTO_UDP, 1, 2, 8);
    add_udp(&inner, 1, 2, 0);

    bytes b = {.length = 0};
    add_ethernet(&b, 0x88a8);
    add_vlan(&b, 100, 0x8100);
    add_vlan(&b, 0xe000 | 200, 0x0800);
    add_bytes(&b, inner.data, inner.length);
    reef_packet p = decoded(&b, REEF_LINK_ETHERNET);
    CHECK_EQUAL(p.version, 4);
    CHECK_EQUAL(p.vlans, 2);
    CHECK_EQUAL(p.vlan[0], 100);
    CHECK_EQUAL(p.vlan[1], 200); /* without priority bits */

    b.length = 0;
    add_bytes(&b, "\0\0\0\1\0\6abcdef\0\0\x08\0", 16);
    add_bytes(&b, inner.data, inner.length);
    CHECK_EQUAL(decoded(&b, REEF_LINK_SLL).version, 4);

    b.length = 0;
    add_bytes(&b, "\x08\0\0\0\0\0\0\2\0\1\0\6abcdef\0\0", 20);
    add_bytes(&b, inner.data, inner.length);
    CHECK_EQUAL(decoded(&b, REEF_LINK_SLL2).version, 4);

    for (int swapped = 0; swapped < 2; swapped++) {
        b.length = 0;
        add32(&b, swapped ? 2 : 2u << 24);
        add_bytes(&b, inner.data, inner.length);
        CHECK_EQUAL(decoded(&b, REEF_LINK_NULL).version, 4);
    }
    CHECK_EQUAL(decoded(&inner, REEF_LINK_IPV4).version, 4);

    /* The tag that the kernel took off comes beside the frame. */
    reef_frame frame = frame_of(&inner, REEF_LINK_RAW, 0);
    frame.vlan = REEF_FRAME_HAS_VLAN | 7;
    reef_decode(&frame, &p);
    CHECK_EQUAL(p.vlans, 1);
    CHECK_EQUAL(p.vlan[0], 7);
}

static void test_malformed_links(void)
{
    bytes b = {.length = 0};
    add_bytes(&b, "too short", 9);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_ETHERNET_PKT_TOO_SMALL);
    check_event(&b, REEF_LINK_SLL, REEF_EV_SLL_PKT_TOO_SMALL);
    check_event(&b, REEF_LINK_SLL2, REEF_EV_SLL2_PKT_TOO_SMALL);
    check_event(&b, REEF_LINK_RAW, REEF_EV_IPRAW_INVALID_IPV);
    check_event(&b, REEF_LINK_NULL, REEF_EV_LTNULL_UNSUPPORTED_TYPE);
    check_event(&b, 147, REEF_EV_LINK_UNSUPPORTED);
    for (unsigned link = 0; link < 400; link++) { /* what is said to be known is what is read */
        reef_packet p = decoded(&b, link);
        CHECK_EQUAL(reef_decode_knows_link(link), !(p.events == 1 && p.event[0] == REEF_EV_LINK_UNSUPPORTED));
    }
    b.length = 3;
    check_event(&b, REEF_LINK_NULL, REEF_EV_LTNULL_PKT_TOO_SMALL);
    b.length = 0;
    check_event(&b, REEF_LINK_RAW, REEF_EV_IPRAW_INVALID_IPV);
    add_ethernet(&b, 0x8100);
    add16(&b, 5);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_VLAN_HEADER_TOO_SMALL);
    b.length = 0;
    add_ethernet(&b, 0x8100);
    for (int i = 0; i < REEF_VLAN_MAX; i++)
        add_vlan(&b, 5, 0x8100);
    add_vlan(&b, 5, 0x0800);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_VLAN_TOO_MANY_LAYERS);
    b.length = 0;
    add_ethernet(&b, 0xbeef);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_ETHERNET_UNKNOWN_ETHERTYPE);
    b.length = 0;
    add_ethernet(&b, 0x8100);
    add_vlan(&b, 5, 0xbeef);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_VLAN_UNKNOWN_TYPE);
    b.length = 0;
    add_ethernet(&b, 0x0806); /* ARP is not IP, and nothing is wrong with it */
    CHECK_EQUAL(decoded(&b, REEF_LINK_ETHERNET).events, 0);
}

static void test_malformed_ipv4(void)
{
    bytes whole = {.length = 0};
    add_ipv4(&whole, REEF_PROTO_UDP, 1, 2, 8);
    add_udp(&whole, 1, 2, 0);

    bytes b = whole;
    b.length = 19;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_PKT_TOO_SMALL);
    b = whole, b.data[0] = 0x65;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_WRONG_IP_VER);
    b = whole, b.data[0] = 0x44;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_HLEN_TOO_SMALL);
    b = whole, b.data[3] = 12;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_IPLEN_SMALLER_THAN_HLEN);
    b = whole, b.data[3] = 29;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_TRUNC_PKT);
    b = whole, b.data[9] = REEF_PROTO_ICMPV6;
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_WITH_ICMPV6);

    static const struct { uint8_t option[8]; reef_decode_event event; } options[] = {
        {{0x44, 1, 0, 0}, REEF_EV_IPV4_OPT_INVALID_LEN}, /* shorter than its own header */
        {{0x44, 9, 0, 0}, REEF_EV_IPV4_OPT_INVALID_LEN}, /* longer than the header has room for */
        {{0x94, 3, 0, 0}, REEF_EV_IPV4_OPT_INVALID_LEN}, /* router alert: four octets */
        {{0x9f, 4, 0, 0}, REEF_EV_IPV4_OPT_INVALID},
        {{0x83, 3, 1, 0}, REEF_EV_IPV4_OPT_MALFORMED},   /* the pointer of a source route counts from 4 */
        {{0x83, 7, 6, 0}, REEF_EV_IPV4_OPT_MALFORMED},   /* and steps over addresses */
        {{0x44, 8, 5, 1, 0, 0, 0, 0}, REEF_EV_COUNT},
        {{0x44, 8, 10, 1, 0, 0, 0, 0}, REEF_EV_IPV4_OPT_MALFORMED},
        {{1, 1, 1, 1, 1, 1, 1, 0x44}, REEF_EV_IPV4_OPT_EOL_REQUIRED},
        {{0x94, 4, 0, 0, 0x94, 4, 0, 0}, REEF_EV_IPV4_OPT_DUPLICATE},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        b.length = 0;
        add_ipv4(&b, REEF_PROTO_UDP, 1, 2, 16);
        b.data[0] = 0x47;
        add_bytes(&b, options[i].option, 8);
        add_udp(&b, 1, 2, 0);
        if (options[i].event != REEF_EV_COUNT)
            check_event(&b, REEF_LINK_IPV4, options[i].event);
        else
            CHECK_EQUAL(decoded(&b, REEF_LINK_IPV4).events, 0);
    }
    b.length = 0;
    add_ipv4(&b, REEF_PROTO_UDP, 1, 2, 12);
    b.data[0] = 0x46;
    add_bytes(&b, "\x94\4\0\0", 4);
    add_udp(&b, 1, 2, 0);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_IPV4_OPT_PAD_REQUIRED);
    reef_frame frame = frame_of(&b, REEF_LINK_IPV4, 0);
    reef_packet p;
    reef_decode(&frame, &p);
    CHECK(reef_packet_ip_option(&p, 0x94) && !reef_packet_ip_option(&p, 7));
}

static void test_fragments(void)
{
    bytes b = {.length = 0};
    add_ipv4(&b, REEF_PROTO_UDP, 1, 2, 8);
    add_udp(&b, 1, 2, 0);
    b.data[6] = 0x20; /* more fragments */
    reef_packet p = decoded(&b, REEF_LINK_IPV4);
    CHECK_EQUAL(p.flags, REEF_PACKET_FRAGMENT);
    CHECK_EQUAL(p.source_port, 0); /* of a fragment no ports are believed */
    b.data[6] = 0, b.data[7] = 3;
    p = decoded(&b, REEF_LINK_IPV4);
    CHECK_EQUAL(p.fragment_offset, 24);
    CHECK_EQUAL(p.fragment_id, 7);

    b.length = 0;
    add_ipv6(&b, 44, 1, 2, 8);
    add_bytes(&b, "\x11\0\0\x09\0\0\0\5", 8);
    p = decoded(&b, REEF_LINK_RAW);
    CHECK_EQUAL(p.flags, REEF_PACKET_FRAGMENT);
    CHECK_EQUAL(p.fragment_offset, 8);
    CHECK_EQUAL(p.protocol, REEF_PROTO_UDP);
}

static void ipv6_with(bytes *b, unsigned next, const void *extensions, size_t n)
{
    b->length = 0;
    add_ipv6(b, next, 1, 2, (unsigned)n);
    add_bytes(b, extensions, n);
}

static void test_malformed_ipv6(void)
{
    bytes b = {.length = 0};
    add_ipv6(&b, 59, 1, 2, 0);
    CHECK_EQUAL(decoded(&b, REEF_LINK_IPV6).events, 0);
    b.length = 39;
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV6_PKT_TOO_SMALL);
    b.length = 40, b.data[0] = 0x40;
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV6_WRONG_IP_VER);
    b.data[0] = 0x60, b.data[5] = 1;
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV6_TRUNC_PKT);

    static const struct { unsigned next; const char *bytes; size_t n; reef_decode_event event; } cases[] = {
        {0, "\x3b\1\1\4\0\0\0\0", 8, REEF_EV_IPV6_TRUNC_EXTHDR},
        {0, "\x3b\0\1\4\0\0\0\0", 8, REEF_EV_IPV6_HOPOPTS_ONLY_PADDING},
        {0, "\x3b\0\x1e\4\0\0\0\0", 8, REEF_EV_IPV6_HOPOPTS_UNKNOWN_OPT},
        {0, "\x3b\0\1\0\1\2\0\0", 8, REEF_EV_IPV6_EXTHDR_ZERO_LEN_PADN},
        {0, "\x3b\0\1\x09\0\0\0\0", 8, REEF_EV_IPV6_EXTHDR_INVALID_OPTLEN},
        {0, "\0\0\5\2\0\0\1\0\x3b\0\5\2\0\0\1\0", 16, REEF_EV_IPV6_EXTHDR_DUPL_HH},
        {60, "\x3b\0\x1e\4\0\0\0\0", 8, REEF_EV_IPV6_DSTOPTS_UNKNOWN_OPT},
        {60, "\x3b\0\1\4\0\0\0\0", 8, REEF_EV_IPV6_DSTOPTS_ONLY_PADDING},
        {43, "\x3b\0\0\0\0\0\0\0", 8, REEF_EV_IPV6_EXTHDR_RH_TYPE_0},
        {43, "\x2b\0\2\0\0\0\0\0\x3b\0\2\0\0\0\0\0", 16, REEF_EV_IPV6_EXTHDR_DUPL_RH},
        {44, "\x3b\0\0\0\0\0\0\5", 8, REEF_EV_IPV6_EXTHDR_USELESS_FH},
        {44, "\x2c\0\0\0\0\0\0\5\x3b\0\0\0\0\0\0\5", 16, REEF_EV_IPV6_EXTHDR_DUPL_FH},
        {44, "\x3b\1\0\0\0\0\0\5", 8, REEF_EV_IPV6_FH_NON_ZERO_RES_FIELD},
        {51, "\x3b\1\0\7\0\0\0\1\0\0\0\1", 12, REEF_EV_IPV6_EXTHDR_AH_RES_NOT_NULL},
        {51, "\x3b\1\0\0\0\0\0\1", 8, REEF_EV_IPV6_TRUNC_EXTHDR},
        {60, "\x06\0\x1e\4\0\0\0\0x", 9, REEF_EV_IPV6_TRUNC_EXTHDR}, /* TCP, of one byte */
        {59, "x", 1, REEF_EV_IPV6_DATA_AFTER_NONE_HEADER},
        {1, "\x08\0\0\0\0\0\0\0", 8, REEF_EV_IPV6_WITH_ICMPV4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ipv6_with(&b, cases[i].next, cases[i].bytes, cases[i].n);
        check_event(&b, REEF_LINK_IPV6, cases[i].event);
    }
    /* However often something is wrong, it is said once. */
    ipv6_with(&b, 60, "\x3b\0\x1e\1\0\x1e\0\0", 8);
    CHECK_EQUAL(decoded(&b, REEF_LINK_IPV6).events, 1);

    /* A chain of extension headers without end. */
    uint8_t chain[8 * (REEF_IPV6_EXTENSIONS_MAX + 1)];
    for (size_t i = 0; i < sizeof chain; i += 8)
        memcpy(chain + i, "\x3c\0\1\4\0\0\0\0", 8);
    ipv6_with(&b, 60, chain, sizeof chain);
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV6_UNKNOWN_NEXT_HEADER);
}

static void transport_with(bytes *b, unsigned protocol, const void *data, size_t n)
{
    b->length = 0;
    add_ipv4(b, protocol, 1, 2, (unsigned)n);
    add_bytes(b, data, n);
}

static void test_malformed_transport(void)
{
    bytes b, tcp = {.length = 0};
    add_tcp(&tcp, 1, 2, 3, REEF_TCP_SYN);
    transport_with(&b, REEF_PROTO_TCP, tcp.data, 19);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_TCP_PKT_TOO_SMALL);
    tcp.data[12] = 6 << 4;
    transport_with(&b, REEF_PROTO_TCP, tcp.data, 20);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_TCP_HLEN_TOO_SMALL);
    tcp.data[12] = 4 << 4;
    transport_with(&b, REEF_PROTO_TCP, tcp.data, 20);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_TCP_INVALID_OPTLEN);
    tcp.data[12] = 6 << 4;
    memcpy(tcp.data + 20, "\2\3\0\0", 4);
    transport_with(&b, REEF_PROTO_TCP, tcp.data, 24);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_TCP_OPT_INVALID_LEN);
    memcpy(tcp.data + 20, "\4\2\4\2", 4);
    transport_with(&b, REEF_PROTO_TCP, tcp.data, 24);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_TCP_OPT_DUPLICATE);

    transport_with(&b, REEF_PROTO_UDP, "\0\1\0\2\0\x08\0", 7);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_UDP_HLEN_TOO_SMALL);
    transport_with(&b, REEF_PROTO_UDP, "\0\1\0\2\0\x09\0\0", 8);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_UDP_PKT_TOO_SMALL);
    transport_with(&b, REEF_PROTO_UDP, "\0\1\0\2\0\7\0\0", 8);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_UDP_LEN_INVALID);

    transport_with(&b, REEF_PROTO_ICMP, "\x08\0\0\0", 4);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_ICMPV4_PKT_TOO_SMALL);
    transport_with(&b, REEF_PROTO_ICMP, "\x63\0\0\0\0\0\0\0", 8);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_ICMPV4_UNKNOWN_TYPE);
    transport_with(&b, REEF_PROTO_SCTP, "short", 5);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_SCTP_PKT_TOO_SMALL);
    transport_with(&b, REEF_PROTO_ESP, "short", 5);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_ESP_PKT_TOO_SMALL);
    transport_with(&b, REEF_PROTO_GRE, "\0\0", 2);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_GRE_PKT_TOO_SMALL);
    transport_with(&b, REEF_PROTO_GRE, "\0\2\x08\0", 4);
    check_event(&b, REEF_LINK_IPV4, REEF_EV_GRE_WRONG_VERSION);
    ipv6_with(&b, REEF_PROTO_ICMPV6, "\x80\0\0\0", 4);
    check_event(&b, REEF_LINK_IPV6, REEF_EV_ICMPV6_PKT_TOO_SMALL);
    ipv6_with(&b, REEF_PROTO_ICMPV6, "\x05\0\0\0\0\0\0\0", 8);
    check_event(&b, REEF_LINK_IPV6, REEF_EV_ICMPV6_UNASSIGNED_TYPE);
}

/* The inner packet of `b`, whose outer one is 10.0.0.1 to 10.0.0.2; its payload is "inner". */
static void check_tunnel(const bytes *b, unsigned link)
{
    static reef_packet outer, inner;
    reef_frame frame = frame_of(b, link, 5);
    reef_decode(&frame, &outer);
    CHECK(outer.inner.kind != REEF_INNER_NONE && outer.outer == NULL && outer.version != 0);
    CHECK(reef_decode_inner(&outer, &inner));
    CHECK(outer.flags & REEF_PACKET_NO_PAYLOAD && inner.flags & REEF_PACKET_TUNNEL);
    CHECK(inner.outer == &outer);
    CHECK_EQUAL(inner.depth, 1);
    CHECK_EQUAL(inner.time_ns, 5);
    CHECK_EQUAL(inner.protocol, REEF_PROTO_UDP);
    CHECK_EQUAL(inner.payload_length, 5);
    CHECK(memcmp(inner.payload, "inner", 5) == 0);
    CHECK_EQUAL(inner.inner.kind, REEF_INNER_NONE);
    CHECK_EQUAL(inner.events, 0);
}

static bytes inner_packet(unsigned version)
{
    bytes b = {.length = 0};
    if (version == 4)
        add_ipv4(&b, REEF_PROTO_UDP, 7, 8, 13);
    else
        add_ipv6(&b, REEF_PROTO_UDP, 7, 8, 13);
    add_udp(&b, 70, 80, 5);
    add_text(&b, "inner");
    return b;
}

static void test_tunnels_of_ip(void)
{
    for (unsigned version = 4; version <= 6; version += 2) {
        static const struct { const char *header; size_t n; bool frame; } gres[] = {
            {"\0\0", 2, false}, {"\xb0\0", 2, false}, {"\0\0\x65\x58", 4, true}, {"\0\0\x88\xbe", 4, true},
            {"\x10\0\x88\xbe\0\0\0\1\x10\5\0\0\0\0\0\0", 16, true}, {"\0\0\x81\0\0\7", 6, false},
        };
        unsigned type = version == 4 ? 0x0800 : 0x86dd;
        bytes inside = inner_packet(version), b = {.length = 0};
        add_ipv4(&b, version == 4 ? REEF_PROTO_IPIP : REEF_PROTO_IPV6, 1, 2, inside.length);
        add_bytes(&b, inside.data, inside.length);
        check_tunnel(&b, REEF_LINK_RAW);
        b.length = 0;
        add_ipv6(&b, version == 4 ? REEF_PROTO_IPIP : REEF_PROTO_IPV6, 1, 2, inside.length);
        add_bytes(&b, inside.data, inside.length);
        check_tunnel(&b, REEF_LINK_RAW);
        for (size_t i = 0; i < sizeof gres / sizeof gres[0]; i++) {
            bytes gre = {.length = 0};
            add_bytes(&gre, gres[i].header, gres[i].n);
            if (gres[i].frame)
                add_ethernet(&gre, type);
            else
                add16(&gre, type);
            if (gre.data[0] == 0xb0) /* checksum, key, sequence */
                add_bytes(&gre, "\0\0\0\0\0\0\0\1\0\0\0\2", 12);
            add_bytes(&gre, inside.data, inside.length);
            b.length = 0;
            add_ipv4(&b, REEF_PROTO_GRE, 1, 2, gre.length);
            add_bytes(&b, gre.data, gre.length);
            check_tunnel(&b, REEF_LINK_RAW);
        }
    }
}

static void udp_tunnel(bytes *b, unsigned port, const void *header, size_t n, const bytes *inside)
{
    b->length = 0;
    add_ipv4(b, REEF_PROTO_UDP, 1, 2, (unsigned)(8 + n + inside->length));
    add_udp(b, 1000, port, (unsigned)n + inside->length);
    add_bytes(b, header, n);
    add_bytes(b, inside->data, inside->length);
}

static void test_tunnels_of_udp(void)
{
    bytes b, framed = {.length = 0}, six = inner_packet(6), four = inner_packet(4);
    add_ethernet(&framed, 0x0800);
    add_bytes(&framed, four.data, four.length);
    udp_tunnel(&b, 4789, "\x08\0\0\0\0\0\5\0", 8, &framed);
    check_tunnel(&b, REEF_LINK_RAW);
    b.length = b.data[3] = 0, udp_tunnel(&b, 4790, "\x08\0\0\0\0\0\5\0", 8, &framed);
    CHECK_EQUAL(decoded(&b, REEF_LINK_RAW).inner.kind, REEF_INNER_NONE);
    udp_tunnel(&b, 6081, "\1\0\x65\x58\0\0\5\0\0\0\0\0", 12, &framed);
    check_tunnel(&b, REEF_LINK_RAW);
    udp_tunnel(&b, 6081, "\0\0\x86\xdd\0\0\5\0", 8, &six);
    check_tunnel(&b, REEF_LINK_RAW);
    udp_tunnel(&b, 3544, "\0\0\1\2\3\4\5\6", 8, &six);
    check_tunnel(&b, REEF_LINK_RAW);

    /* What only looks like Teredo is no packet, and nothing is said about it. */
    static reef_packet outer, inner;
    six.data[40 + 5] = 4; /* a UDP length that cannot be */
    udp_tunnel(&b, 3544, "", 0, &six);
    reef_frame frame = frame_of(&b, REEF_LINK_RAW, 0);
    reef_decode(&frame, &outer);
    CHECK_EQUAL(outer.inner.kind, REEF_INNER_TEREDO);
    CHECK(!reef_decode_inner(&outer, &inner));
    CHECK(outer.events == 0 && !(outer.flags & REEF_PACKET_NO_PAYLOAD));
}

static void test_layers_have_an_end(void)
{
    static reef_packet layer[REEF_LAYERS_MAX + 2];
    bytes b = {.length = 0};
    for (unsigned i = 0; i < 30; i++)
        add_ipv4(&b, REEF_PROTO_IPIP, 1, 2, (29 - i) * 20);
    reef_frame frame = frame_of(&b, REEF_LINK_RAW, 0);
    unsigned n = 0;
    reef_decode(&frame, &layer[0]);
    while (layer[n].inner.kind != REEF_INNER_NONE && reef_decode_inner(&layer[n], &layer[n + 1])) {
        n++;
        CHECK(n <= REEF_LAYERS_MAX);
    }
    CHECK_EQUAL(n, REEF_LAYERS_MAX);
    CHECK_EQUAL(layer[n].event[0], REEF_EV_TOO_MANY_LAYERS);
    b.length = 0;
    add_ethernet(&b, 0x8847);
    for (unsigned i = 0; i < 40; i++)
        add32(&b, 20 << 12);
    check_event(&b, REEF_LINK_ETHERNET, REEF_EV_TOO_MANY_LAYERS);
}

static void test_more_links(void)
{
    static const struct { unsigned link, type; const char *header; size_t n; } links[] = {
        {REEF_LINK_ETHERNET, 0x8847, "\0\1\0\xff\0\2\1\xff", 8},
        {REEF_LINK_ETHERNET, 0x8847, "\0\2\1\xff\0\0\0\0abcdefabcdef\x08\0", 22},
        {REEF_LINK_ETHERNET, 0x8864, "\x11\0\0\1\0\x30\0\x21", 8},
        {REEF_LINK_ETHERNET, 0x894f, "\0\2\2\1\0\0\1\1", 8},
        {REEF_LINK_ETHERNET, 0x8926, "\0\0\0\0\x08\0", 6},
        {REEF_LINK_ETHERNET, 0x88e7, "\0\0\0\0abcdefabcdef\x08\0", 18},
        {REEF_LINK_ETHERNET, 0x8903, "\0\1abcdefabcdef\x08\0", 16},
        {REEF_LINK_PPP, 0, "\xff\3\0\x21", 4},
        {REEF_LINK_PPP, 0, "\x21", 1},
        {REEF_LINK_CHDLC, 0, "\x0f\0\x08\0", 4},
    };
    bytes inside = inner_packet(4);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        bytes b = {.length = 0};
        if (links[i].type != 0)
            add_ethernet(&b, links[i].type);
        add_bytes(&b, links[i].header, links[i].n);
        add_bytes(&b, inside.data, inside.length);
        reef_packet p = decoded(&b, links[i].link);
        CHECK_EQUAL(p.events, 0);
        CHECK_EQUAL(p.payload_length, 5);
    }
}

static void test_malformed_tunnels(void)
{
    static const struct { unsigned type; const char *bytes; size_t n; reef_decode_event event; } links[] = {
        {0x8847, "\0\1\0", 3, REEF_EV_MPLS_HEADER_TOO_SMALL},
        {0x8847, "\0\2\1\xff\x45", 5, REEF_EV_MPLS_PKT_TOO_SMALL},
        {0x8847, "\0\0\x11\xff\x45\0\0\0", 8, REEF_EV_MPLS_BAD_LABEL_ROUTER_ALERT},
        {0x8847, "\0\0\x31\xff\x45\0\0\0", 8, REEF_EV_MPLS_BAD_LABEL_IMPLICIT_NULL},
        {0x8847, "\0\0\x51\xff\x45\0\0\0", 8, REEF_EV_MPLS_BAD_LABEL_RESERVED},
        {0x8847, "\0\2\1\xff\x75\0\0\0", 8, REEF_EV_MPLS_UNKNOWN_PAYLOAD_TYPE},
        {0x8864, "\x11\0\0\1\0", 5, REEF_EV_PPPOE_PKT_TOO_SMALL},
        {0x8863, "\x11\xbb\0\0\0\0", 6, REEF_EV_PPPOE_WRONG_CODE},
        {0x8863, "\x11\x09\0\0\0\5", 6, REEF_EV_PPPOE_MALFORMED_TAGS},
        {0x8864, "\x11\0\0\1\0\5\0\x21\x45", 9, REEF_EV_PPPIPV4_PKT_TOO_SMALL},
        {0x8864, "\x11\0\0\1\0\5\0\x57\x65", 9, REEF_EV_PPPIPV6_PKT_TOO_SMALL},
        {0x8864, "\x11\0\0\1\0\5\0\x2f\x45", 9, REEF_EV_PPPVJU_PKT_TOO_SMALL},
        {0x8864, "\x11\0\0\1\0\5\xc0\x21\1", 9, REEF_EV_PPP_UNSUP_PROTO},
        {0x8864, "\x11\0\0\1\0\5\xff\xff\1", 9, REEF_EV_PPP_WRONG_TYPE},
        {0x894f, "\0\2\2\1", 4, REEF_EV_NSH_HEADER_TOO_SMALL},
        {0x894f, "\x40\2\2\1\0\0\0\0a", 9, REEF_EV_NSH_UNSUPPORTED_VERSION},
        {0x894f, "\0\2\2\1\0\0\0\0", 8, REEF_EV_NSH_BAD_HEADER_LENGTH},
        {0x894f, "\0\2\0\1\0\0\0\0a", 9, REEF_EV_NSH_RESERVED_TYPE},
        {0x894f, "\0\2\3\1\0\0\0\0a", 9, REEF_EV_NSH_UNSUPPORTED_TYPE},
        {0x894f, "\0\2\2\x99\0\0\0\0a", 9, REEF_EV_NSH_UNKNOWN_PAYLOAD},
        {0x8926, "\0\0", 2, REEF_EV_VNTAG_HEADER_TOO_SMALL},
        {0x8926, "\0\0\0\0\xbe\xef", 6, REEF_EV_VNTAG_UNKNOWN_TYPE},
        {0x88e7, "\0\0", 2, REEF_EV_IEEE8021AH_HEADER_TOO_SMALL},
        {0x8903, "\0\0", 2, REEF_EV_DCE_PKT_TOO_SMALL},
    };
    static const struct { const char *bytes; size_t n; reef_decode_event event; } gres[] = {
        {"\7\0\x08\0", 4, REEF_EV_GRE_VERSION0_RECUR},        {"\0\x08\x08\0", 4, REEF_EV_GRE_VERSION0_FLAGS},
        {"\x20\0\x08\0", 4, REEF_EV_GRE_VERSION0_HDR_TOO_BIG},
        {"\x40\0\x08\0\0\0\0\0\0\1", 10, REEF_EV_GRE_VERSION0_MALFORMED_SRE_HDR},
        {"\x80\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_CHKSUM},   {"\x40\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_ROUTE},
        {"\x08\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_SSR},      {"\1\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_RECUR},
        {"\0\x09\x88\x0b", 4, REEF_EV_GRE_VERSION1_FLAGS},    {"\0\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_NO_KEY},
        {"\x20\1\x08\0", 4, REEF_EV_GRE_VERSION1_WRONG_PROTOCOL},
        {"\x20\1\x88\x0b", 4, REEF_EV_GRE_VERSION1_HDR_TOO_BIG},
    };
    bytes b;
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        b.length = 0;
        add_ethernet(&b, links[i].type);
        add_bytes(&b, links[i].bytes, links[i].n);
        check_event(&b, REEF_LINK_ETHERNET, links[i].event);
    }
    for (size_t i = 0; i < sizeof gres / sizeof gres[0]; i++) {
        transport_with(&b, REEF_PROTO_GRE, gres[i].bytes, gres[i].n);
        check_event(&b, REEF_LINK_IPV4, gres[i].event);
    }
    ipv6_with(&b, REEF_PROTO_IPIP, "\x45", 1);
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV4_IN_IPV6_PKT_TOO_SMALL);
    ipv6_with(&b, REEF_PROTO_IPV6, "\x65", 1);
    check_event(&b, REEF_LINK_IPV6, REEF_EV_IPV6_IN_IPV6_PKT_TOO_SMALL);
}

static void test_icmp(void)
{
    static const struct { unsigned version; const char *bytes; size_t n; int event; } cases[] = {
        {4, "\x08\0\0\0\0\1\0\2", 8, -1},
        {4, "\x08\1\0\0\0\1\0\2", 8, REEF_EV_ICMPV4_UNKNOWN_CODE},
        {4, "\3\x10\0\0\0\0\0\0", 8, REEF_EV_ICMPV4_UNKNOWN_CODE},
        {4, "\3\1\0\0\0\0\0\0\x45", 9, REEF_EV_ICMPV4_IPV4_TRUNC_PKT},
        {4, "\x0b\0\0\0\0\0\0\0\x65\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 28, REEF_EV_ICMPV4_IPV4_UNKNOWN_VER},
        {4, "\x0d\0\0\0\0\1\0\2", 8, REEF_EV_ICMPV4_IPV4_TRUNC_PKT},
        {6, "\x80\0\0\0\0\1\0\2", 8, -1},
        {6, "\x80\1\0\0\0\1\0\2", 8, REEF_EV_ICMPV6_UNKNOWN_CODE},
        {6, "\1\0\0\0\0\0\0\0\x60", 9, REEF_EV_ICMPV6_IPV6_TRUNC_PKT},
        {6, "\x82\0\0\0\0\0\0\0", 8, REEF_EV_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL},
        {6, "\x64\0\0\0\0\0\0\0", 8, REEF_EV_ICMPV6_EXPERIMENTATION_TYPE},
        {6, "\x7f\0\0\0\0\0\0\0", 8, REEF_EV_ICMPV6_UNKNOWN_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bytes b;
        if (cases[i].version == 4)
            transport_with(&b, REEF_PROTO_ICMP, cases[i].bytes, cases[i].n);
        else
            ipv6_with(&b, REEF_PROTO_ICMPV6, cases[i].bytes, cases[i].n);
        if (cases[i].event >= 0)
            check_event(&b, REEF_LINK_RAW, (reef_decode_event)cases[i].event);
        else
            CHECK_EQUAL(decoded(&b, REEF_LINK_RAW).events, 0);
    }
}

/* Checksums of packets as a kernel sent them; every single bit that is wrong is found. */
static void test_checksums(void)
{
    static const uint8_t packets[3][32] = {
        {0x45, 0, 0, 0x1d, 0, 1, 0, 0, 0x40, 0x11, 0x66, 0xcd, 0xa, 0, 0, 1, 0xa, 0, 0, 2, 0, 1, 0, 2, 0, 9, 0x84, 0xd6, 0x67},
        {0x45, 0, 0, 0x1d, 0, 1, 0, 0, 0x40, 1, 0x66, 0xdd, 0xa, 0, 0, 1, 0xa, 0, 0, 2, 8, 0, 0x90, 0xfb, 0, 1, 0, 3, 0x67},
        {0x45, 0, 0, 0x1c, 0, 1, 0, 0, 0x40, 0x11, 0x66, 0xce, 0xa, 0, 0, 1, 0xa, 0, 0, 2, 0, 1, 0, 2, 0, 8, 0, 0},
    };
    for (size_t i = 0; i < 3; i++)
        for (int bit = -1; bit < 8 * packets[i][3]; bit++) {
            uint8_t data[32];
            memcpy(data, packets[i], sizeof data);
            if (bit >= 0)
                data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            reef_frame frame = {.data = data, .captured = data[3], .length = data[3], .link = REEF_LINK_IPV4};
            reef_packet p;
            if (bit / 8 == 3 && bit >= 0)
                continue; /* another length is another packet */
            reef_decode(&frame, &p);
            reef_packet_checksums(&p);
            bool bad = p.flags & (REEF_PACKET_BAD_IP_CHECKSUM | REEF_PACKET_BAD_CHECKSUM);
            if (p.version != 0 && p.flags & REEF_PACKET_TRANSPORT)
                CHECK_EQUAL(bad, bit >= 0 && !(i == 2 && bit >= 20 * 8 && bit / 8 < 26));
        }
}

/* A capture that kept only the first bytes is cut, not malformed. */
static void test_cut_frame(void)
{
    bytes b = tcp_in_ethernet();
    reef_frame frame = frame_of(&b, REEF_LINK_ETHERNET, 0);
    frame.captured -= 3;
    reef_packet p;
    reef_decode(&frame, &p);
    CHECK_EQUAL(p.events, 0);
    CHECK_EQUAL(p.payload_length, 2);
    CHECK(p.flags & REEF_PACKET_CUT);
}

/* Any prefix of a packet, and any one byte of it changed, is decoded within its bytes (the sanitizer watches). */
static void test_every_prefix_and_byte(void)
{
    bytes b = tcp_in_ethernet();
    for (uint32_t n = 0; n <= b.length; n++) {
        bytes cut = b;
        cut.length = n;
        reef_packet p = decoded(&cut, REEF_LINK_ETHERNET);
        CHECK(n == b.length || p.events > 0 || p.version == 0);
    }
    for (uint32_t at = 12; at < b.length; at++)
        for (unsigned value = 0; value < 256; value++) {
            bytes changed = b;
            changed.data[at] = (uint8_t)value;
            reef_packet p = decoded(&changed, REEF_LINK_ETHERNET);
            CHECK(p.events <= REEF_DECODE_EVENTS_MAX);
        }
}

int main(void)
{
    test_whole_packets();
    test_link_types();
    test_malformed_links();
    test_malformed_ipv4();
    test_fragments();
    test_malformed_ipv6();
    test_malformed_transport();
    test_tunnels_of_ip();
    test_tunnels_of_udp();
    test_layers_have_an_end();
    test_more_links();
    test_malformed_tunnels();
    test_icmp();
    test_checksums();
    test_cut_frame();
    test_every_prefix_and_byte();
    return 0;
}
