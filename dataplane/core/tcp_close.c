/* A connection closes: the states behind the first FIN. The server's FIN is counted in its `next`, the client's is not (as
 * in Suricata), which is why the two directions differ by one here and there. */
#include "tcp_internal.h"

/* Is the packet within what its sender may send now? */
static bool in_window(const tcp_step *s)
{
    return seq_leq(s->sequence + s->length, s->from->limit) || s->tcp->flags & (TCP_MIDSTREAM | TCP_ASYNC);
}

static bool beyond_window(const tcp_step *s)
{
    return seq_gt(s->sequence, s->from->acked + s->from->window);
}

/* Packets of the other end that were not seen, but acknowledged. */
static void catch_up(tcp_side *to, uint32_t acknowledgement, uint32_t slack)
{
    if (seq_lt(to->next - slack, acknowledgement))
        to->next = acknowledgement;
}

static void open_window(tcp_step *s)
{
    s->to->window = s->window << s->to->scale;
}

static void raise_limit(tcp_step *s)
{
    uint32_t limit = s->to->acked + s->to->window + tcp_sacked(s);
    if (seq_gt(limit, s->to->limit))
        s->to->limit = limit;
}

/* --- FIN_WAIT1: the server has closed -------------------------------------------------------------------- */

static tcp_verdict fin_in_fin_wait1(tcp_step *s)
{
    tcp_side *from = s->from, *to = s->to;
    bool to_server = s->direction == REEF_TO_SERVER, with_ack = s->tcp_flags & REEF_TCP_ACK;
    bool again = tcp_retransmission(s);
    if (!again && !to_server && with_ack && from->next - 1 == s->sequence && to->acked == s->acknowledgement)
        again = true;
    else if (!again && (seq_lt(s->sequence, from->next - 1) || beyond_window(s)))
        return tcp_wrong(s, REEF_EV_STREAM_FIN1_FIN_WRONG_SEQ);
    if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_FIN1_INVALID_ACK);
    if (!again) {
        tcp_set_state(s, with_ack ? REEF_TCP_TIME_WAIT : REEF_TCP_CLOSING);
        open_window(s);
    }
    tcp_stamp_keep(s);
    if (to_server || !again || !with_ack) {
        catch_up(to, s->acknowledgement, 1);
        uint32_t expected = to_server && with_ack ? from->next : from->next - 1;
        if (expected == s->sequence)
            tcp_expect(s, from, s->sequence + s->length);
        if (with_ack)
            tcp_ack(to, s->acknowledgement);
    }
    tcp_take(s);
    return TCP_FINE;
}

static tcp_verdict ack_in_fin_wait1(tcp_step *s)
{
    tcp_side *from = s->from, *to = s->to;
    bool to_server = s->direction == REEF_TO_SERVER;
    bool again = tcp_retransmission(s);
    if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_FIN1_INVALID_ACK);
    bool counts = !again && (!to_server || s->acknowledgement == to->next);
    if (counts) {
        if (!in_window(s))
            return tcp_wrong(s, REEF_EV_STREAM_FIN1_ACK_WRONG_SEQ);
        if (s->sequence == (to_server ? from->next : from->next - 1))
            tcp_set_state(s, REEF_TCP_FIN_WAIT2);
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(to, s->acknowledgement, 1);
    if (s->sequence == (to_server ? from->next : from->next - 1))
        tcp_expect(s, from, s->sequence + s->length);
    tcp_ack(to, s->acknowledgement);
    raise_limit(s);
    tcp_take(s);
    return TCP_FINE;
}

/* What all closing states do alike: true when the packet is dealt with. */
static bool common(tcp_step *s, tcp_verdict *verdict)
{
    if (s->tcp_flags & REEF_TCP_RST) {
        *verdict = tcp_reset(s);
        return true;
    }
    if (s->tcp_flags & REEF_TCP_SYN && !(s->tcp_flags & REEF_TCP_FIN)) {
        *verdict = tcp_wrong(s, REEF_EV_STREAM_SHUTDOWN_SYN_RESEND);
        return true;
    }
    if (!(s->tcp_flags & (REEF_TCP_FIN | REEF_TCP_ACK))) {
        *verdict = TCP_FINE;
        return true;
    }
    if (!tcp_stamp_valid(s)) {
        *verdict = TCP_WRONG;
        return true;
    }
    return false;
}

tcp_verdict tcp_fin_wait1(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    return s->tcp_flags & REEF_TCP_FIN ? fin_in_fin_wait1(s) : ack_in_fin_wait1(s);
}

/* --- FIN_WAIT2: and that was acknowledged ---------------------------------------------------------------- */

static tcp_verdict fin_in_fin_wait2(tcp_step *s)
{
    tcp_side *from = s->from, *to = s->to;
    bool again = (s->sequence == from->next - 1 && s->acknowledgement == to->acked) || tcp_retransmission(s);
    if (!again && (seq_lt(s->sequence, from->next) || beyond_window(s)))
        return tcp_wrong(s, REEF_EV_STREAM_FIN2_FIN_WRONG_SEQ);
    if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_FIN2_INVALID_ACK);
    if (!again) {
        tcp_set_state(s, REEF_TCP_TIME_WAIT);
        if (s->direction == REEF_TO_SERVER && from->next == s->sequence)
            tcp_expect(s, from, from->next + s->length);
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(to, s->acknowledgement, 0);
    if (s->tcp_flags & REEF_TCP_ACK)
        tcp_ack(to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}

tcp_verdict tcp_fin_wait2(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    if (s->tcp_flags & REEF_TCP_FIN)
        return fin_in_fin_wait2(s);
    bool again = tcp_retransmission(s);
    if (!tcp_ack_valid(s, s->to))
        return tcp_wrong(s, REEF_EV_STREAM_FIN2_INVALID_ACK);
    if (!again) {
        if (!in_window(s))
            return tcp_wrong(s, REEF_EV_STREAM_FIN2_ACK_WRONG_SEQ);
        open_window(s);
    }
    tcp_stamp_keep(s);
    if (s->from->next == s->sequence)
        tcp_expect(s, s->from, s->from->next + s->length);
    tcp_ack(s->to, s->acknowledgement);
    raise_limit(s);
    tcp_take(s);
    return TCP_FINE;
}

/* --- CLOSING: both have closed at the same time ---------------------------------------------------------- */

tcp_verdict tcp_closing(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    if (!(s->tcp_flags & REEF_TCP_ACK))
        return TCP_FINE;
    bool again = tcp_retransmission(s);
    if (s->sequence != s->from->next)
        return tcp_wrong(s, REEF_EV_STREAM_CLOSING_ACK_WRONG_SEQ);
    if (!tcp_ack_valid(s, s->to))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSING_INVALID_ACK);
    if (!again) {
        tcp_set_state(s, REEF_TCP_TIME_WAIT);
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(s->to, s->acknowledgement, 0);
    tcp_ack(s->to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}

/* --- CLOSE_WAIT: the client has closed ------------------------------------------------------------------- */

static tcp_verdict fin_in_close_wait(tcp_step *s)
{
    tcp_side *from = s->from, *to = s->to;
    bool again = tcp_retransmission(s);
    if (!again && (seq_lt(s->sequence, from->next) || beyond_window(s)))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW);
    if (!tcp_ack_valid(s, to))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSEWAIT_INVALID_ACK);
    if (!again) {
        if (s->direction == REEF_TO_CLIENT)
            tcp_set_state(s, REEF_TCP_LAST_ACK);
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(to, s->acknowledgement, 0);
    if (s->tcp_flags & REEF_TCP_ACK)
        tcp_ack(to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}

tcp_verdict tcp_close_wait(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    if (s->tcp_flags & REEF_TCP_FIN)
        return fin_in_close_wait(s);
    bool again = tcp_retransmission(s);
    if (s->length > 0 && seq_leq(s->sequence + s->length, s->from->acked))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK);
    if (beyond_window(s))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW);
    if (!tcp_ack_valid(s, s->to))
        return tcp_wrong(s, REEF_EV_STREAM_CLOSEWAIT_INVALID_ACK);
    if (!again)
        open_window(s);
    tcp_stamp_keep(s);
    catch_up(s->to, s->acknowledgement, 0);
    if (s->sequence == s->from->next)
        tcp_expect(s, s->from, s->from->next + s->length);
    tcp_ack(s->to, s->acknowledgement);
    raise_limit(s);
    tcp_take(s);
    return TCP_FINE;
}

/* --- LAST_ACK and TIME_WAIT: one acknowledgement is left -------------------------------------------------- */

tcp_verdict tcp_last_ack(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    if (s->tcp_flags & REEF_TCP_FIN || s->direction == REEF_TO_CLIENT)
        return TCP_FINE;
    bool again = tcp_retransmission(s);
    if (!tcp_ack_valid(s, s->to))
        return tcp_wrong(s, REEF_EV_STREAM_LASTACK_INVALID_ACK);
    if (!again) {
        if (!seq_lt(s->sequence, s->from->next)) {
            if (s->sequence != s->from->next && s->sequence != s->from->next + 1)
                return tcp_wrong(s, REEF_EV_STREAM_LASTACK_ACK_WRONG_SEQ);
            tcp_set_state(s, REEF_TCP_CLOSED);
        }
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(s->to, s->acknowledgement, 0);
    tcp_ack(s->to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}

tcp_verdict tcp_time_wait(tcp_step *s)
{
    tcp_verdict verdict;
    if (common(s, &verdict))
        return verdict;
    if (s->tcp_flags & REEF_TCP_FIN)
        return TCP_FINE;
    uint32_t next = s->from->next, other = s->direction == REEF_TO_SERVER ? next + 1 : next - 1;
    bool again = tcp_retransmission(s);
    if (!again && s->sequence != next && s->sequence != other) {
        if (s->direction == REEF_TO_CLIENT && s->length > 0 && s->sequence == s->from->acked)
            return TCP_FINE;
        return tcp_wrong(s, REEF_EV_STREAM_TIMEWAIT_ACK_WRONG_SEQ);
    }
    if (!tcp_ack_valid(s, s->to))
        return tcp_wrong(s, REEF_EV_STREAM_TIMEWAIT_INVALID_ACK);
    if (!again) {
        tcp_set_state(s, REEF_TCP_CLOSED);
        open_window(s);
    }
    tcp_stamp_keep(s);
    catch_up(s->to, s->acknowledgement, 0);
    tcp_ack(s->to, s->acknowledgement);
    tcp_take(s);
    return TCP_FINE;
}
