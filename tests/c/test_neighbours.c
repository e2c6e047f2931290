/* neighbours: ARP and neighbour discovery show devices; each is told once in a while, a flood is bounded, and what is cut
 * or forged shows nobody. */
#include "check.h"
#include "packets.h"
#include "reef/decode.h"
#include "reef/neighbours.h"
#include "reef/status.h"

#define SECOND 1000000000ull
static const uint64_t seed[2] = {1, 2};
static reef_neighbours *neighbours;
static reef_neighbour seen;
static char name[REEF_NEIGHBOUR_NAME_MAX + 1];

static bool take(bytes *b, uint64_t time_ns)
{
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, time_ns);
    reef_packet packet;
    frame.interface = 3;
    reef_decode(&frame, &packet);
    return reef_shows_neighbour(&packet) && reef_neighbours_take(neighbours, &frame, &packet, &seen, name);
}

static void arp(bytes *b, bool tagged, uint32_t mac, uint32_t address)
{
    b->length = 0;
    add_ethernet(b, tagged ? 0x8100 : 0x0806);
    if (tagged)
        add_vlan(b, 7, 0x0806);
    add16(b, 1), add16(b, 0x0800), add8(b, 6), add8(b, 4), add16(b, 1);
    add16(b, 0x0200), add32(b, mac), add32(b, address);
    add16(b, 0), add32(b, 0), add32(b, 0x0a000001);
}

/* A solicitation (135) of 2001:db8::<source>, or an advertisement (136) of ::<target>, with one option of 8 bytes. */
static void discovery(bytes *b, unsigned type, unsigned source, unsigned target, unsigned option, unsigned hops)
{
    b->length = 0;
    add_ethernet(b, 0x86dd);
    add_ipv6(b, REEF_PROTO_ICMPV6, source, 1, 32);
    b->data[14 + 7] = (uint8_t)hops;
    add8(b, type), add8(b, 0), add16(b, 0), add32(b, 0);
    add_bytes(b, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15), add8(b, target);
    add8(b, option), add8(b, 1), add_bytes(b, "\2\0\0\0\0\x55", 6);
}

static void start(void)
{
    CHECK_EQUAL(reef_neighbours_new(seed, &neighbours), REEF_OK);
}

static void stop(void)
{
    reef_neighbours_free(neighbours);
}

static void test_arp_shows_a_device_once_in_a_while(void)
{
    bytes b;
    start();
    for (int tagged = 0; tagged < 2; tagged++) {
        arp(&b, tagged, 0x10 + (uint32_t)tagged, 0x0a000005);
        CHECK(take(&b, SECOND));
        CHECK_EQUAL(seen.how, REEF_NEIGHBOUR_ARP);
        CHECK_EQUAL(seen.version, 4);
        CHECK_EQUAL(seen.interface, 3);
        CHECK(memcmp(seen.mac, tagged ? "\2\0\0\0\0\x11" : "\2\0\0\0\0\x10", 6) == 0);
        CHECK(memcmp(seen.address, "\x0a\0\0\5", 4) == 0);
        CHECK(!take(&b, 2 * SECOND));
        CHECK(!take(&b, (REEF_NEIGHBOUR_AGAIN_S - 1) * SECOND));
        CHECK(take(&b, (REEF_NEIGHBOUR_AGAIN_S + 2) * SECOND));
    }
    arp(&b, false, 0x10, 0x0a000006); /* another address of it */
    CHECK(take(&b, SECOND));
    arp(&b, false, 0x12, 0); /* a probe */
    CHECK(take(&b, SECOND));
    CHECK_EQUAL(seen.version, 0);
    stop();
}

static bool asks(bytes *b, uint64_t time_ns)
{
    reef_frame frame = frame_of(b, REEF_LINK_ETHERNET, time_ns);
    reef_packet packet;
    reef_decode(&frame, &packet);
    return reef_neighbours_asks(neighbours, &frame, &packet, &seen);
}

static void test_a_request_says_whom_it_looks_for(void)
{
    bytes b;
    start();
    for (int tagged = 0; tagged < 2; tagged++) {
        arp(&b, tagged, 0x20 + (uint32_t)tagged, 0x0a000005);
        CHECK(asks(&b, SECOND));
        CHECK_EQUAL(seen.how, REEF_NEIGHBOUR_ASKS);
        CHECK(memcmp(seen.asked, "\x0a\0\0\1", 4) == 0);
        CHECK(memcmp(seen.address, "\x0a\0\0\5", 4) == 0);
        CHECK(take(&b, SECOND)); /* and who sends it shows itself */
        CHECK(!asks(&b, 2 * SECOND));
    }
    b.data[b.length - 1] = 2; /* another one */
    CHECK(asks(&b, SECOND));
    for (uint32_t whole = b.length, cut = 0; cut < whole; cut++) {
        bytes part = b;
        part.length = cut;
        CHECK(!asks(&part, 1000 * SECOND));
    }
    arp(&b, false, 0x22, 0x0a000001); /* an announcement */
    CHECK(!asks(&b, SECOND));
    arp(&b, false, 0x22, 0); /* a probe */
    CHECK(!asks(&b, SECOND));
    arp(&b, false, 0x22, 0x0a000005);
    b.data[14 + 7] = 2; /* an answer */
    CHECK(!asks(&b, SECOND));
    discovery(&b, 135, 9, 1, 1, 255);
    CHECK(!asks(&b, SECOND));
    stop();
}

static void test_discovery_shows_who_asks_and_who_answers(void)
{
    bytes b;
    start();
    discovery(&b, 135, 9, 1, 1, 255);
    CHECK(take(&b, SECOND));
    CHECK_EQUAL(seen.address[15], 9);
    discovery(&b, 136, 9, 7, 2, 255);
    CHECK(take(&b, SECOND));
    CHECK_EQUAL(seen.address[15], 7);
    CHECK_EQUAL(seen.mac[5], 0x55);
    discovery(&b, 136, 9, 8, 1, 255); /* not the option that says it */
    CHECK(!take(&b, SECOND));
    discovery(&b, 136, 9, 8, 2, 64); /* it came over a router: forged */
    CHECK(!take(&b, SECOND));
    stop();
}

/* An announcement: 10.0.0.9 is <label>.<domain>, with an A record of `address`. */
static void announcement(bytes *b, const char *label, const char *domain, uint32_t address, unsigned flags)
{
    bytes dns = {.length = 0};
    add16(&dns, 0), add16(&dns, flags), add16(&dns, 0), add16(&dns, 1), add32(&dns, 0);
    add8(&dns, (unsigned)strlen(label)), add_text(&dns, label);
    add8(&dns, (unsigned)strlen(domain)), add_text(&dns, domain), add8(&dns, 0);
    add16(&dns, 1), add16(&dns, 0x8001), add32(&dns, 120), add16(&dns, 4), add32(&dns, address);
    udp_frame(b, 9, 5353, 251, 5353, dns.data, dns.length);
    b->data[14 + 16] = 224, b->data[14 + 17] = 0, b->data[14 + 18] = 0;
}

static void test_multicast_dns_says_what_a_device_is_called(void)
{
    bytes b;
    start();
    announcement(&b, "kitchen", "local", 0x0a000009, 0x8400);
    CHECK(take(&b, SECOND));
    CHECK_EQUAL(seen.how, REEF_NEIGHBOUR_MDNS);
    CHECK_EQUAL(seen.address[3], 9);
    CHECK(memcmp(seen.mac, "\2\0\0\0\0\2", 6) == 0);
    CHECK_TEXT(name, "kitchen");
    for (uint32_t whole = b.length, cut = 0; cut < whole; cut++) {
        bytes part = b;
        part.length = cut;
        CHECK(!take(&part, 1000 * SECOND));
    }
    announcement(&b, "kitchen", "local", 0x0a00000a, 0x8400); /* of another's address */
    CHECK(!take(&b, SECOND));
    announcement(&b, "kitchen", "world", 0x0a000009, 0x8400);
    CHECK(!take(&b, SECOND));
    announcement(&b, "kit chen", "local", 0x0a000009, 0x8400);
    CHECK(!take(&b, SECOND));
    announcement(&b, "kitchen", "local", 0x0a000009, 0x0000); /* a question */
    CHECK(!take(&b, SECOND));
    stop();
}

static void test_what_is_cut_or_is_no_device_shows_nobody(void)
{
    bytes b;
    start();
    arp(&b, true, 0x77, 0x0a000005);
    for (uint32_t whole = b.length, cut = 0; cut < whole; cut++) {
        bytes part = b;
        part.length = cut;
        CHECK(!take(&part, SECOND) || cut >= 18 + 28);
    }
    discovery(&b, 135, 9, 1, 1, 255);
    for (uint32_t whole = b.length, cut = 0; cut < whole; cut++) {
        bytes part = b;
        part.length = cut;
        CHECK(!take(&part, SECOND));
    }
    b.data[14 + 40 + 25] = 0; /* an option of no length */
    CHECK(!take(&b, SECOND));
    arp(&b, false, 0x78, 0x0a000005);
    b.data[14 + 8] = 0x03; /* a group's address */
    CHECK(!take(&b, SECOND));
    arp(&b, false, 0x79, 0x0a000005);
    b.data[14 + 4] = 8; /* not of Ethernet */
    CHECK(!take(&b, SECOND));
    stop();
}

static void test_a_flood_is_bounded_and_counted(void)
{
    bytes b;
    uint32_t told = 0;
    start();
    for (uint32_t i = 0; i < 3 * REEF_NEIGHBOURS_MAX; i++) {
        arp(&b, false, i + 1, 0x0a010000 + i);
        told += take(&b, SECOND);
    }
    CHECK_EQUAL(told, REEF_NEIGHBOURS_TOLD_MAX);
    CHECK_EQUAL(reef_neighbours_left_out(neighbours), 3 * REEF_NEIGHBOURS_MAX - told);
    arp(&b, false, 0xffffff, 0x0a000001);
    CHECK(take(&b, 2 * SECOND));
    stop();
}

static void test_a_clock_that_is_set_back_silences_nobody(void)
{
    bytes b;
    start();
    arp(&b, false, 5, 0x0a000005);
    CHECK(take(&b, 1000000 * SECOND));
    CHECK(take(&b, SECOND));
    CHECK(!take(&b, 2 * SECOND));
    stop();
}

int main(void)
{
    test_arp_shows_a_device_once_in_a_while();
    test_a_request_says_whom_it_looks_for();
    test_discovery_shows_who_asks_and_who_answers();
    test_multicast_dns_says_what_a_device_is_called();
    test_what_is_cut_or_is_no_device_shows_nobody();
    test_a_flood_is_bounded_and_counted();
    test_a_clock_that_is_set_back_silences_nobody();
    return 0;
}
