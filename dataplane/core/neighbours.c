#include "reef/neighbours.h"

#include <stdlib.h>
#include <string.h>

#include "../app/dns_internal.h"
#include "reef/bytes.h"
#include "reef/flow.h"
#include "reef/status.h"

enum { WAYS = 4, ARP_BYTES = 28, ARP_REQUEST = 1, ND_SOLICITATION = 135, ND_ADVERTISEMENT = 136 };
enum { OPTION_SOURCE = 1, OPTION_TARGET = 2 };

typedef struct place {
    reef_neighbour neighbour;
    uint64_t told_ns; /* 0: free */
} place;

struct reef_neighbours {
    uint64_t seed[2];
    uint64_t second; /* that `told` counts of */
    uint32_t told;
    uint64_t left_out;
    place places[REEF_NEIGHBOURS_MAX];
};

int reef_neighbours_new(const uint64_t seed[2], reef_neighbours **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return REEF_NOMEM;
    memcpy((*out)->seed, seed, sizeof (*out)->seed);
    return REEF_OK;
}

void reef_neighbours_free(reef_neighbours *neighbours)
{
    free(neighbours);
}

uint64_t reef_neighbours_left_out(const reef_neighbours *neighbours)
{
    return neighbours->left_out;
}

/* --- what a packet shows --------------------------------------------------------------------------- */

/* Behind the Ethernet header and its tags. */
static const uint8_t *behind_ethernet(const reef_frame *frame, uint32_t *left)
{
    uint32_t at = 12;
    for (unsigned tags = 0; tags <= REEF_VLAN_MAX; tags++, at += 4) {
        if (frame->captured < at + 4)
            return NULL;
        uint16_t type = reef_be16(frame->data + at);
        if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
            break;
    }
    *left = frame->captured - at - 2;
    return frame->data + at + 2;
}

static bool is_device(const uint8_t mac[6])
{
    static const uint8_t none[6];
    return !(mac[0] & 1) && memcmp(mac, none, sizeof none) != 0;
}

/* A request or an answer says who sent it; a probe has no address yet. */
static const uint8_t *arp_message(const reef_frame *frame)
{
    uint32_t left;
    const uint8_t *p = behind_ethernet(frame, &left);
    if (p == NULL || left < ARP_BYTES || reef_be16(p) != 1 || reef_be16(p + 2) != 0x0800 || p[4] != 6 || p[5] != 4)
        return NULL;
    return p;
}

static bool arp(const reef_frame *frame, reef_neighbour *out)
{
    static const uint8_t none[4];
    const uint8_t *p = arp_message(frame);
    if (p == NULL)
        return false;
    out->how = REEF_NEIGHBOUR_ARP;
    memcpy(out->mac, p + 8, 6);
    if (memcmp(p + 14, none, 4) != 0) {
        out->version = 4;
        memcpy(out->address, p + 14, 4);
    }
    return true;
}

static bool arp_asks(const reef_frame *frame, reef_neighbour *out)
{
    const uint8_t *p = arp_message(frame);
    if (p == NULL || reef_be16(p + 6) != ARP_REQUEST || !arp(frame, out) || out->version == 0 || memcmp(p + 14, p + 24, 4) == 0)
        return false;
    out->how = REEF_NEIGHBOUR_ASKS;
    memcpy(out->asked, p + 24, 4);
    return true;
}

/* The link-layer address that a message names, in its options. */
static const uint8_t *link_address(const uint8_t *options, uint32_t left, uint8_t wanted)
{
    while (left >= 8) {
        uint32_t size = options[1] * 8u;
        if (size == 0 || size > left)
            return NULL;
        if (options[0] == wanted)
            return options + 2;
        options += size;
        left -= size;
    }
    return NULL;
}

static bool discovery(const reef_packet *packet, reef_neighbour *out)
{
    static const uint8_t none[16];
    bool target = packet->icmp_type == ND_SOLICITATION || packet->icmp_type == ND_ADVERTISEMENT;
    uint32_t fixed = target ? 24 : packet->icmp_type == 134 ? 16 : 8;
    if (packet->transport == NULL || packet->ttl != 255) /* who is not on the link cannot send it so (RFC 4861 3.1) */
        return false;
    uint32_t before = (uint32_t)(packet->transport - packet->network);
    if (before > packet->network_length || packet->network_length - before < fixed)
        return false;
    bool advertises = packet->icmp_type == ND_ADVERTISEMENT;
    const uint8_t *mac = link_address(packet->transport + fixed, packet->network_length - before - fixed,
                                      advertises ? OPTION_TARGET : OPTION_SOURCE);
    if (mac == NULL)
        return false;
    out->how = REEF_NEIGHBOUR_ND;
    memcpy(out->mac, mac, 6);
    const uint8_t *address = advertises ? packet->transport + 8 : packet->source;
    if (memcmp(address, none, sizeof none) != 0) {
        out->version = 6;
        memcpy(out->address, address, 16);
    }
    return true;
}

/* The host name of a record, without ".local": one label, of what people may read. */
static bool host_name(reef_view message, const reef_dns_record *record, char name[REEF_NEIGHBOUR_NAME_MAX + 1])
{
    static const char domain[] = ".local";
    uint8_t text[REEF_DNS_NAME_ROOM];
    uint32_t length;
    unsigned odd = 0;
    if (reef_dns_name(message, record->name, message.length, text, &length, &odd) == 0 || odd != 0)
        return false;
    uint32_t tail = sizeof domain - 1;
    if (length <= tail || length - tail > REEF_NEIGHBOUR_NAME_MAX || memcmp(text + length - tail, domain, tail) != 0)
        return false;
    for (uint32_t i = 0; i < length - tail; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '.' || text[i] == '"' || text[i] == '\\')
            return false;
        name[i] = (char)text[i];
    }
    name[length - tail] = '\0';
    return true;
}

/* An announcement of the sender's own address under its name. */
static bool multicast_dns(const reef_frame *frame, const reef_packet *packet, reef_neighbour *out,
                          char name[REEF_NEIGHBOUR_NAME_MAX + 1])
{
    reef_dns_message message;
    unsigned odd = 0;
    uint16_t size = packet->version == 4 ? 4 : 16, wanted = packet->version == 4 ? REEF_DNS_A : REEF_DNS_AAAA;
    reef_view bytes = {packet->payload, packet->payload_length};
    if (!(packet->flags & REEF_PACKET_TRANSPORT) || frame->link != REEF_LINK_ETHERNET || frame->captured < 12 ||
        packet->destination[0] < 224 || bytes.length < REEF_DNS_HEADER || !(bytes.data[2] & 0x80) ||
        !reef_dns_read(bytes, true, &message, &odd))
        return false;
    uint32_t at = message.at[REEF_DNS_ANSWERS];
    for (unsigned i = 0; at != 0 && i < message.count[REEF_DNS_ANSWERS]; i++) {
        reef_dns_record record;
        at = reef_dns_record_at(&message, REEF_DNS_ANSWERS, at, &record);
        if (at == 0 || record.type != wanted || record.length != size || memcmp(bytes.data + record.data, packet->source, size) != 0)
            continue;
        out->how = REEF_NEIGHBOUR_MDNS;
        out->version = packet->version;
        memcpy(out->mac, frame->data + 6, 6);
        memcpy(out->address, packet->source, size);
        return host_name(bytes, &record, name);
    }
    return false;
}

/* --- what is told ---------------------------------------------------------------------------------- */

static uint32_t hash_of(const reef_neighbours *neighbours, const reef_neighbour *neighbour)
{
    reef_flow_key key = {.interface = neighbour->interface, .version = neighbour->version, .protocol = neighbour->how};
    memcpy(key.low, neighbour->mac, 6);
    memcpy(key.high, neighbour->address, 16);
    return reef_flow_key_hash(&key, neighbours->seed);
}

/* Its place, or the one of those it may have that was told of longest ago. */
static place *place_of(reef_neighbours *neighbours, const reef_neighbour *neighbour, bool *known)
{
    place *set = &neighbours->places[hash_of(neighbours, neighbour) % (REEF_NEIGHBOURS_MAX / WAYS) * WAYS];
    place *oldest = set;
    *known = true;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].told_ns != 0 && memcmp(&set[i].neighbour, neighbour, sizeof *neighbour) == 0)
            return &set[i];
        if (set[i].told_ns < oldest->told_ns)
            oldest = &set[i];
    }
    *known = false;
    return oldest;
}

static bool may_tell(reef_neighbours *neighbours, uint64_t now_ns)
{
    uint64_t second = now_ns / 1000000000u;
    if (second != neighbours->second) {
        neighbours->second = second;
        neighbours->told = 0;
    }
    if (neighbours->told >= REEF_NEIGHBOURS_TOLD_MAX) {
        neighbours->left_out++;
        return false;
    }
    neighbours->told++;
    return true;
}

static bool shown(const reef_frame *frame, const reef_packet *packet, reef_neighbour *out, char name[REEF_NEIGHBOUR_NAME_MAX + 1])
{
    if (packet->version == 0)
        return frame->link == REEF_LINK_ETHERNET && arp(frame, out);
    return packet->protocol == REEF_PROTO_UDP ? multicast_dns(frame, packet, out, name) : discovery(packet, out);
}

/* Whether it is to be told now; then that is remembered. */
static bool is_due(reef_neighbours *neighbours, const reef_packet *packet, const reef_neighbour *out)
{
    bool known;
    place *its = place_of(neighbours, out, &known);
    uint64_t now = packet->time_ns != 0 ? packet->time_ns : 1;
    uint64_t age = now > its->told_ns ? now - its->told_ns : its->told_ns - now; /* a clock that is set tells once more */
    if ((known && age < REEF_NEIGHBOUR_AGAIN_S * 1000000000ull) || !may_tell(neighbours, now))
        return false;
    its->neighbour = *out;
    its->told_ns = now;
    return true;
}

bool reef_neighbours_take(reef_neighbours *neighbours, const reef_frame *frame, const reef_packet *packet, reef_neighbour *out,
                          char name[REEF_NEIGHBOUR_NAME_MAX + 1])
{
    *name = '\0';
    memset(out, 0, sizeof *out);
    out->interface = packet->interface;
    return shown(frame, packet, out, name) && is_device(out->mac) && is_due(neighbours, packet, out);
}

bool reef_neighbours_asks(reef_neighbours *neighbours, const reef_frame *frame, const reef_packet *packet, reef_neighbour *out)
{
    memset(out, 0, sizeof *out);
    out->interface = packet->interface;
    return packet->version == 0 && frame->link == REEF_LINK_ETHERNET && arp_asks(frame, out) && is_device(out->mac) &&
           is_due(neighbours, packet, out);
}
