#include "decode_internal.h"

void reef_decode(const reef_frame *frame, reef_packet *packet)
{
    memset(packet, 0, sizeof *packet);
    packet->time_ns = frame->time_ns;
    packet->interface = frame->interface;
    packet->wire_length = frame->length;
    packet->way = frame->way;
    packet->link = frame->link;
    if (frame->captured < frame->length)
        packet->flags |= REEF_PACKET_CUT;
    if (frame->vlan & REEF_FRAME_HAS_VLAN)
        packet->vlan[packet->vlans++] = frame->vlan & 0x0fffu;
    decode_link(packet, frame->link, frame->data, frame->captured);
}
