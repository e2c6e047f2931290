/* decode: every header that is read, and every way in which one can be wrong. */
#include "decoded.h"

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
    test_icmp();
    test_checksums();
    test_cut_frame();
    test_every_prefix_and_byte();
    return 0;
}
