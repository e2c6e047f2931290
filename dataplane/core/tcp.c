/* The way of one segment: what says nothing new is passed over, the rest goes to its state; rules ask here for what they
 * compare. */
#include "tcp_internal.h"

void reef_tcp_options_default(reef_tcp_options *options)
{
    *options = (reef_tcp_options){.depth = REEF_TCP_DEPTH_DEFAULT,
                                  .raw_chunk = REEF_TCP_RAW_CHUNK_DEFAULT,
                                  .policy = REEF_POLICY_WINDOWS,
                                  .policy_ipv6 = REEF_POLICY_BSD};
}

static tcp_verdict closed(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    if (s->tcp_flags & REEF_TCP_RST || s->from->flags & TCP_SIDE_RESET || !(s->to->flags & TCP_SIDE_RESET))
        return TCP_FINE;
    /* Its sender goes on behind a RST of which nobody knows whether it was believed: perhaps it was injected. */
    uint8_t before = tcp->before;
    tcp_verdict verdict = tcp_dispatch(s, before);
    if (verdict == TCP_FINE && tcp->state == REEF_TCP_CLOSED)
        tcp->state = before;
    return verdict;
}

tcp_verdict tcp_dispatch(tcp_step *s, unsigned state)
{
    switch ((reef_tcp_state)state) {
    case REEF_TCP_NONE:
        return tcp_none(s);
    case REEF_TCP_SYN_SENT:
        return tcp_syn_sent(s);
    case REEF_TCP_SYN_RECV:
        return tcp_syn_received(s);
    case REEF_TCP_ESTABLISHED:
        return tcp_established(s);
    case REEF_TCP_FIN_WAIT1:
        return tcp_fin_wait1(s);
    case REEF_TCP_FIN_WAIT2:
        return tcp_fin_wait2(s);
    case REEF_TCP_TIME_WAIT:
        return tcp_time_wait(s);
    case REEF_TCP_LAST_ACK:
        return tcp_last_ack(s);
    case REEF_TCP_CLOSE_WAIT:
        return tcp_close_wait(s);
    case REEF_TCP_CLOSING:
        return tcp_closing(s);
    case REEF_TCP_CLOSED:
        break;
    }
    return TCP_FINE;
}

/* Whoever sends data behind its own RST did not send that RST. */
static void check_after_rst(tcp_step *s)
{
    if (s->tcp_flags & REEF_TCP_RST || !(s->to->flags & TCP_SIDE_RESET))
        return;
    s->to->flags &= (uint16_t)~TCP_SIDE_RESET;
    s->tcp->flags &= (uint16_t)~TCP_CLOSED_BY_RST;
    reef_packet_event(s->packet, REEF_EV_STREAM_SUSPECTED_RST_INJECT);
}

static reef_flow_state flow_state(unsigned state)
{
    if (state == REEF_TCP_TIME_WAIT || state == REEF_TCP_LAST_ACK || state == REEF_TCP_CLOSED)
        return REEF_FLOW_CLOSED;
    return state >= REEF_TCP_ESTABLISHED ? REEF_FLOW_ESTABLISHED : REEF_FLOW_NEW;
}

/* Data that the other end acknowledges was sent, and is missing here. */
static void tell_gap(const tcp_step *s, const tcp_side *side)
{
    if (side->pieces != NULL && seq_gt(side->pieces->sequence, side->base) && tcp_gap_open(s->tcp, side) &&
        !(s->tcp->fresh > 0 && side == s->from))
        reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_SEQ_GAP);
}

/* A flow whose beginning was seen. */
static tcp_verdict follow(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    s->from->seen |= s->tcp_flags;
    if (tcp->flags & TCP_ASYNC && tcp->side[0].seen != 0 && tcp->side[1].seen != 0)
        tcp->flags &= (uint16_t)~TCP_ASYNC;
    tcp_verdict verdict = TCP_FINE;
    if (!tcp_skipped(s)) {
        verdict = tcp->state == REEF_TCP_ESTABLISHED ? tcp_established(s)
                  : tcp->state == REEF_TCP_CLOSED    ? closed(s)
                                                     : tcp_dispatch(s, tcp->state);
        if (verdict != TCP_FINE)
            return verdict;
    }
    check_after_rst(s);
    return verdict;
}

/* --- the common case ------------------------------------------------------------------------------------- */

/* The timestamp of a segment that is next in order: there as the connection wants it, and not older than the last. */
static inline bool is_stamp_next(const reef_tcp *tcp, const tcp_side *from, const reef_packet *packet, uint32_t *stamp)
{
    const uint8_t *p = packet->transport;
    if (p[12] >> 4 == 5) /* no options at all */
        return !(tcp->flags & TCP_STAMPS);
    if (p[12] >> 4 != 8 || reef_be32(p + 20) != 0x0101080a)
        return false;
    *stamp = reef_be32(p + 24);
    return !(tcp->flags & TCP_STAMPS) || (*stamp != 0 && seq_geq(*stamp, from->stamp) && from->stamp != 0 &&
                                          packet->time_ns / 1000000000u - from->stamp_second < 1000000u);
}

/* An open connection in which nothing is held: a segment that is next in order, within the window, and says nothing but bytes
 * and an acknowledgement. All that tcp_established would ask of it is asked here at once. False: it is not that simple. */
static inline bool take_next(const reef_tcp_options *options, reef_tcp *tcp, int direction, const reef_packet *packet)
{
    tcp_side *from = &tcp->side[direction], *to = &tcp->side[!direction];
    uint32_t sequence = packet->tcp_sequence, end = sequence + packet->payload_length, ack = packet->tcp_acknowledgement;
    uint32_t stamp = 0;
    if (tcp->state != REEF_TCP_ESTABLISHED ||
        (packet->tcp_flags & (REEF_TCP_SYN | REEF_TCP_FIN | REEF_TCP_RST | REEF_TCP_ACK)) != REEF_TCP_ACK ||
        sequence != from->next || sequence != from->base || tcp->flags & ~(TCP_STAMPS | TCP_SCALES | TCP_SACK_OFFERED | TCP_CONFIRMED) ||
        (from->flags | to->flags) & ~(TCP_SIDE_STAMPED | TCP_SIDE_NO_RAW) || from->pieces != NULL || to->pieces != NULL)
        return false;
    if (seq_lt(ack, to->acked) || seq_gt(ack, to->limit) || seq_gt(end, from->limit) || seq_gt(from->acked, sequence) ||
        from->window == 0 || (options->depth > 0 && from->offset + packet->payload_length > options->depth) ||
        !is_stamp_next(tcp, from, packet, &stamp))
        return false;
    if (tcp->flags & TCP_STAMPS) {
        from->stamp = stamp;
        from->stamp_second = (uint32_t)(packet->time_ns / 1000000000u);
    }
    if (direction == REEF_TO_CLIENT)
        tcp->flags |= TCP_CONFIRMED;
    from->next = end;
    from->seen |= packet->tcp_flags;
    to->acked = ack;
    to->window = (uint32_t)packet->tcp_window << to->scale;
    if (seq_gt(ack + to->window, to->limit))
        to->limit = ack + to->window;
    tcp->fresh = packet->payload_length;
    tcp->fresh_direction = (uint8_t)direction;
    tcp->established = true;
    return true;
}

bool reef_tcp_segment(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, reef_packet *packet)
{
    if (!(packet->flags & REEF_PACKET_TRANSPORT) || packet->flags & REEF_PACKET_BAD_CHECKSUM)
        return false;
    if (flow->tcp != NULL && take_next(options, flow->tcp, direction, packet))
        return true;
    tcp_step s = {.memory = memory, .options = options, .flow = flow, .tcp = flow->tcp, .packet = packet, .direction = direction,
                  .sequence = packet->tcp_sequence, .acknowledgement = packet->tcp_acknowledgement,
                  .length = packet->payload_length, .window = packet->tcp_window, .tcp_flags = packet->tcp_flags};
    tcp_read_options(&s);
    if (!(s.tcp_flags & REEF_TCP_ACK) && s.acknowledgement != 0)
        reef_packet_event(packet, REEF_EV_STREAM_PKT_BROKEN_ACK);

    tcp_verdict verdict;
    if (s.tcp == NULL) {
        verdict = tcp_none(&s);
        if (s.tcp == NULL)
            return false;
        s.from->seen |= s.tcp_flags;
    } else {
        s.from = &s.tcp->side[direction];
        s.to = &s.tcp->side[!direction];
        s.tcp->fresh = 0;
        s.tcp->established = s.tcp->state >= REEF_TCP_ESTABLISHED;
        verdict = follow(&s);
        s.from = &s.tcp->side[direction];
    }
    flow->tcp_state = s.tcp->state;
    flow->state = (uint8_t)flow_state(s.tcp->state);
    tell_gap(&s, &s.tcp->side[0]);
    tell_gap(&s, &s.tcp->side[1]);
    return s.added || (s.length == 0 && verdict == TCP_FINE);
}

bool reef_tcp_reused(const reef_flow *flow, int direction, const reef_packet *packet)
{
    if ((packet->tcp_flags & (REEF_TCP_SYN | REEF_TCP_ACK | REEF_TCP_RST | REEF_TCP_FIN)) != REEF_TCP_SYN)
        return false;
    const reef_tcp *tcp = flow->tcp;
    if (tcp == NULL)
        return true;
    if (direction == REEF_TO_SERVER) {
        if (tcp->flags & TCP_FAST_OPEN_IGNORED)
            return true;
        if (tcp->side[REEF_TO_SERVER].initial == packet->tcp_sequence)
            return false;
    }
    return tcp->state >= REEF_TCP_LAST_ACK || tcp->state == REEF_TCP_NONE;
}

bool reef_tcp_established(const reef_flow *flow)
{
    return flow->tcp != NULL && flow->tcp->established;
}

uint32_t reef_tcp_stream_size(const reef_flow *flow, int direction)
{
    const reef_tcp *tcp = flow->tcp;
    return tcp == NULL ? 0 : tcp->side[direction].next - tcp->side[direction].initial;
}

bool reef_tcp_is_deep(const reef_flow *flow, int direction, uint32_t depth)
{
    const reef_tcp *tcp = flow->tcp;
    return tcp != NULL && (tcp->side[direction].flags & TCP_SIDE_DEPTH || tcp->side[direction].offset >= depth);
}

bool reef_tcp_is_past(const reef_flow *flow, int direction, const reef_packet *packet)
{
    const reef_tcp *tcp = flow->tcp;
    /* Of a connection that was picked up midstream it is not known what was acknowledged before. */
    return tcp != NULL && tcp->established && !(tcp->flags & TCP_MIDSTREAM) && !(packet->tcp_flags & REEF_TCP_SYN) &&
           seq_geq(tcp->side[direction].acked, packet->tcp_sequence + packet->payload_length);
}

bool reef_tcp_midstream(const reef_flow *flow)
{
    return flow->tcp != NULL && flow->tcp->flags & TCP_MIDSTREAM;
}

void reef_tcp_free(reef_memory *memory, reef_flow *flow)
{
    reef_tcp *tcp = flow->tcp;
    if (tcp == NULL)
        return;
    tcp_hold_free(memory, tcp);
    tcp_raw_free(memory, tcp);
    tcp_offers_free(memory, tcp);
    reef_memory_give(memory, tcp, sizeof *tcp);
    flow->tcp = NULL;
}
