/* An open connection: data and acknowledgements within their windows, its first FIN, its reset. */
#include "tcp_internal.h"

/* --- data ------------------------------------------------------------------------------------------------ */

/* A byte that probes a closed window was taken nevertheless. */
static bool acks_probe(const tcp_step *s)
{
    unsigned probe = s->direction == REEF_TO_SERVER ? TCP_PROBE_TO_CLIENT : TCP_PROBE_TO_SERVER;
    return s->tcp->flags & probe && s->acknowledgement == s->to->next + 1;
}

/* All of it lies before what was acknowledged: only where an acknowledgement says less than it seems is it believed. */
static bool before_acked_allowed(tcp_step *s, uint32_t end)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *from = s->from;
    if (tcp->flags & TCP_ASYNC) {
        if (s->direction == REEF_TO_SERVER)
            tcp_ack(from, s->sequence);
        else
            from->acked = s->sequence;
        return true;
    }
    if (s->direction == REEF_TO_SERVER && s->options->async_oneside && tcp->flags & TCP_MIDSTREAM &&
        (from->next == s->sequence || from->acked == from->initial + 1)) {
        tcp_ack(from, s->sequence);
        tcp->flags |= TCP_ASYNC;
        return true;
    }
    return seq_gt(from->acked, from->next) && seq_gt(end, from->next);
}

/* The receiver's side after a packet of the sender that is to be believed. */
static void take_ack(tcp_step *s)
{
    tcp_side *to = s->to;
    to->window = s->window << to->scale;
    if (s->tcp_flags & REEF_TCP_ACK)
        tcp_ack(to, s->acknowledgement);
    tcp_stamp_keep(s);
    uint32_t limit = to->acked + to->window;
    if (reef_packet_tcp_header(s->packet) > 32)
        limit += tcp_sacked(s);
    if (seq_gt(limit, to->limit))
        to->limit = limit;
}

static tcp_verdict data_in_established(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *from = s->from, *to = s->to;
    uint32_t end = s->sequence + s->length;
    if (acks_probe(s))
        reef_packet_event(s->packet, REEF_EV_STREAM_EST_ACK_ZWP_DATA);
    else if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_EST_INVALID_ACK);
    if (s->direction == REEF_TO_CLIENT && (tcp->flags & (TCP_MIDSTREAM | TCP_MIDSTREAM_ESTABLISHED)) ==
                                              (TCP_MIDSTREAM | TCP_MIDSTREAM_ESTABLISHED)) {
        from->window = s->window << from->scale;
        from->limit = from->acked + from->window;
        tcp->flags &= (uint16_t)~TCP_MIDSTREAM_ESTABLISHED;
    }
    bool keep_alive = s->length <= 1 && s->sequence == from->next - 1;
    if (!keep_alive && seq_lt(end, from->acked) && !before_acked_allowed(s, end))
        return tcp_wrong(s, REEF_EV_STREAM_EST_PKT_BEFORE_LAST_ACK);

    if (s->length == 1 && s->sequence == from->next && from->window == 0) { /* probes a closed window */
        tcp->flags |= s->direction == REEF_TO_SERVER ? TCP_PROBE_TO_SERVER : TCP_PROBE_TO_CLIENT;
        tcp_take(s);
        return TCP_FINE;
    }
    if (seq_geq(end, from->next))
        tcp_expect(s, from, end);
    if (seq_gt(end, from->limit) && !(tcp->flags & (TCP_MIDSTREAM | TCP_ASYNC)))
        return tcp_wrong(s, REEF_EV_STREAM_EST_PACKET_OUT_OF_WINDOW);
    take_ack(s);
    tcp_take(s);
    return TCP_FINE;
}

/* --- a SYN in an open connection ------------------------------------------------------------------------- */

static tcp_verdict answer_in_established(const tcp_step *s)
{
    if (s->direction == REEF_TO_SERVER)
        return tcp_wrong(s, REEF_EV_STREAM_EST_SYNACK_TOSERVER);
    if (s->acknowledgement != s->to->acked)
        return tcp_wrong(s, REEF_EV_STREAM_EST_SYNACK_RESEND_WITH_DIFF_ACK);
    if (s->sequence != s->from->initial)
        return tcp_wrong(s, REEF_EV_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ);
    if (s->tcp->flags & TCP_CONFIRMED)
        return tcp_wrong(s, REEF_EV_STREAM_EST_SYNACK_RESEND);
    return TCP_FINE; /* the server did not get the last acknowledgement of the handshake */
}

static tcp_verdict syn_in_established(const tcp_step *s)
{
    if (s->direction == REEF_TO_CLIENT)
        return tcp_wrong(s, REEF_EV_STREAM_EST_SYN_TOCLIENT);
    return tcp_wrong(s, s->sequence != s->from->initial ? REEF_EV_STREAM_EST_SYN_RESEND_DIFF_SEQ : REEF_EV_STREAM_EST_SYN_RESEND);
}

/* --- the end begins -------------------------------------------------------------------------------------- */

/* A RST in any state behind the handshake. */
tcp_verdict tcp_reset(tcp_step *s)
{
    bool open = s->tcp->state == REEF_TCP_ESTABLISHED;
    if (!tcp_rst_valid(s))
        return TCP_WRONG;
    s->tcp->flags |= TCP_CLOSED_BY_RST;
    tcp_set_state(s, REEF_TCP_CLOSED);
    if (open) {
        s->from->next = s->sequence + s->length + (s->direction == REEF_TO_CLIENT);
        s->to->next = s->acknowledgement;
        s->from->window = s->window << s->from->scale;
    }
    if (s->tcp_flags & REEF_TCP_ACK && tcp_ack_valid(s, s->to))
        tcp_ack(s->to, s->acknowledgement);
    tcp_ack(s->from, s->sequence);
    tcp_stamp_keep(s);
    tcp_take(s);
    return TCP_FINE;
}

/* The first FIN: of the client it leads to CLOSE_WAIT, of the server to FIN_WAIT1. */
tcp_verdict tcp_take_fin(tcp_step *s)
{
    tcp_side *from = s->from, *to = s->to;
    uint32_t end = s->sequence + s->length;
    if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_FIN_INVALID_ACK);
    if (seq_lt(s->sequence, from->acked) || seq_gt(end, from->limit))
        return tcp_wrong(s, REEF_EV_STREAM_FIN_OUT_OF_WINDOW);
    bool client = s->direction == REEF_TO_SERVER;
    if (client && s->tcp_flags & REEF_TCP_SYN)
        return tcp_wrong(s, REEF_EV_STREAM_FIN_SYN);
    tcp_set_state(s, client ? REEF_TCP_CLOSE_WAIT : REEF_TCP_FIN_WAIT1);
    from->next = client ? end : end + 1;
    to->window = s->window << to->scale;
    tcp_stamp_keep(s);
    if (seq_lt(to->next, s->acknowledgement))
        to->next = s->acknowledgement;
    if (s->tcp_flags & REEF_TCP_ACK)
        tcp_ack(to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}

tcp_verdict tcp_established(tcp_step *s)
{
    unsigned flags = s->tcp_flags & (REEF_TCP_RST | REEF_TCP_FIN | REEF_TCP_SYN | REEF_TCP_ACK);
    if (flags == REEF_TCP_ACK) {
        if (!tcp_stamp_valid(s))
            return TCP_WRONG;
        if (s->direction == REEF_TO_CLIENT)
            s->tcp->flags |= TCP_CONFIRMED;
        return data_in_established(s);
    }
    if (flags & REEF_TCP_RST)
        return tcp_reset(s);
    if (flags & REEF_TCP_FIN)
        return tcp_stamp_valid(s) ? tcp_take_fin(s) : TCP_WRONG;
    if ((flags & (REEF_TCP_SYN | REEF_TCP_ACK)) == (REEF_TCP_SYN | REEF_TCP_ACK))
        return answer_in_established(s);
    return flags & REEF_TCP_SYN ? syn_in_established(s) : TCP_FINE;
}
