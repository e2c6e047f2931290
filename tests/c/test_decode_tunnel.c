/* decode: packets inside packets, and links with headers between frame and packet. */
#include "decoded.h"

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

int main(void)
{
    test_tunnels_of_ip();
    test_tunnels_of_udp();
    test_layers_have_an_end();
    test_more_links();
    test_malformed_tunnels();
    return 0;
}
