#include "decode_internal.h"

void reef_decode(const reef_frame *frame, reef_packet *packet)
{
    reef_zero(packet, offsetof(reef_packet, event));
    packet->time_ns = frame->time_ns;
    packet->interface = frame->interface;
    packet->wire_length = frame->length;
    packet->way = frame->way;
    packet->link = frame->link;
    if (frame->captured < frame->length)
        packet->flags |= REEF_PACKET_CUT;
    if (frame->vlan & REEF_FRAME_HAS_VLAN)
        packet->vlan[packet->vlans++] = frame->vlan & 0x0fffu;
    if (__builtin_expect(frame->link == REEF_LINK_ETHERNET, 1))
        decode_ethernet(packet, frame->data, frame->captured);
    else
        decode_link(packet, frame->link, frame->data, frame->captured);
}

/* What an inner packet has from the one around it. */
static void begin_inner(const reef_packet *outer, reef_packet *inner)
{
    reef_zero(inner, offsetof(reef_packet, event));
    inner->time_ns = outer->time_ns;
    inner->number = outer->number;
    inner->interface = outer->interface;
    inner->way = outer->way;
    inner->link = outer->link;
    inner->ether_type = outer->ether_type;
    inner->wire_length = outer->wire_length;
    inner->flags = outer->flags & REEF_PACKET_CUT;
    inner->layers = outer->layers;
    inner->outer = outer;
}

bool reef_decode_inner(reef_packet *outer, reef_packet *inner)
{
    const uint8_t *p = outer->inner.data;
    uint32_t n = outer->inner.length;
    bool read = false;
    if (outer->inner.kind == REEF_INNER_NONE || !decode_layer(outer))
        return false;
    begin_inner(outer, inner);
    inner->depth = outer->depth + 1;
    inner->wire_length = n;
    inner->flags |= REEF_PACKET_TUNNEL;
    switch ((reef_inner_kind)outer->inner.kind) {
    case REEF_INNER_NONE:
        break;
    case REEF_INNER_IPV4:
        read = decode_ipv4(inner, p, n);
        break;
    case REEF_INNER_IPV6:
        read = decode_ipv6(inner, p, n);
        break;
    case REEF_INNER_TEREDO: /* a guess: anything wrong with it says that it is something else */
        read = decode_ipv6(inner, p, n) && !(inner->flags & REEF_PACKET_BAD);
        break;
    case REEF_INNER_ETHERNET:
    case REEF_INNER_ERSPAN1:
        read = decode_ethernet(inner, p, n);
        break;
    case REEF_INNER_VLAN:
        read = decode_vlan(inner, p, n);
        break;
    case REEF_INNER_PPP:
        read = decode_ppp(inner, p, n);
        break;
    case REEF_INNER_ERSPAN2:
        read = decode_erspan(inner, p, n);
        break;
    }
    if (read)
        outer->flags |= REEF_PACKET_NO_PAYLOAD;
    return read;
}

bool reef_decode_datagram(const uint8_t *data, uint32_t length, const reef_packet *last, reef_packet *packet)
{
    begin_inner(last, packet);
    packet->depth = last->depth;
    packet->vlans = last->vlans;
    memcpy(packet->vlan, last->vlan, sizeof packet->vlan);
    packet->flags = REEF_PACKET_DEFRAGMENTED | (last->flags & REEF_PACKET_TUNNEL);
    return last->version == 4 ? decode_ipv4(packet, data, length) : decode_ipv6(packet, data, length);
}
