/* Is a segment what the other end would take? Timestamps (RFC 7323 with the habits of the receivers' stacks), acknowledgements,
 * resets, and the packets that say nothing new. */
#include "tcp_internal.h"

#define PAWS_SECONDS (24u * 24u * 3600u) /* a timestamp is stale after so long: RFC 7323 5.5 */

/* --- options --------------------------------------------------------------------------------------------- */

static void read_stamp(tcp_step *s, const uint8_t *p)
{
    s->has_stamp = true;
    s->stamp = reef_be32(p);
    s->stamp_echo = reef_be32(p + 4);
}

/* Of every packet only the timestamp is wanted; the rest is asked for where it matters. */
void tcp_read_options(tcp_step *s)
{
    const uint8_t *p = s->packet->transport;
    uint32_t header = (uint32_t)(p[12] >> 4) * 4;
    if (header == 32 && reef_be32(p + 20) == 0x0101080a) { /* two pads and a timestamp: nearly every segment */
        read_stamp(s, p + 24);
        return;
    }
    if (header <= 20)
        return;
    uint32_t length;
    const uint8_t *value = reef_packet_tcp_option(s->packet, 8, &length);
    if (value != NULL && length == 8)
        read_stamp(s, value);
}

/* Bytes beyond the acknowledgement that the receiver has got nevertheless. */
uint32_t tcp_sacked(const tcp_step *s)
{
    uint32_t length, sum = 0;
    if (reef_packet_tcp_header(s->packet) <= 20)
        return 0;
    const uint8_t *p = reef_packet_tcp_option(s->packet, 5, &length);
    for (; p != NULL && length >= 8; p += 8, length -= 8) {
        uint32_t left = reef_be32(p), right = reef_be32(p + 4);
        if (seq_lt(left, s->to->acked))
            left = s->to->acked;
        if (seq_gt(right, left) && right - left <= s->to->window)
            sum += right - left;
    }
    return sum;
}

/* --- timestamps ------------------------------------------------------------------------------------------ */

static bool allows_zero_stamp(reef_tcp_policy policy)
{
    return policy == REEF_POLICY_OLD_LINUX || policy == REEF_POLICY_WINDOWS || policy == REEF_POLICY_WINDOWS2K3 ||
           policy == REEF_POLICY_VISTA || policy == REEF_POLICY_SOLARIS;
}

typedef enum stamp_verdict { STAMP_BAD, STAMP_GOOD, STAMP_UNCHECKED } stamp_verdict;

static stamp_verdict judge_stamp(const tcp_step *s)
{
    const tcp_side *from = s->from;
    reef_tcp_policy policy = s->to->policy;
    bool next = from->next == s->sequence, check = true;
    if (from->flags & TCP_SIDE_ZERO_STAMP) {
        if (policy == REEF_POLICY_LINUX || policy == REEF_POLICY_WINDOWS2K3)
            check = false;
        else if (next && (policy == REEF_POLICY_OLD_LINUX || policy == REEF_POLICY_WINDOWS || policy == REEF_POLICY_VISTA))
            check = false;
    }
    if (policy == REEF_POLICY_HPUX11 && !next)
        check = false;
    if (s->stamp == 0 && !allows_zero_stamp(policy))
        return STAMP_BAD;
    if (!check)
        return STAMP_UNCHECKED;
    int32_t ahead = (int32_t)(s->stamp - from->stamp + (policy == REEF_POLICY_LINUX ? 1 : 0));
    uint32_t now = tcp_second(s), last = from->stamp_second;
    if (last == 0 && s->tcp->flags & TCP_MIDSTREAM)
        last = now;
    bool stale = now > last + PAWS_SECONDS;
    if (ahead >= 0 && !(from->stamp != 0 && stale))
        return STAMP_GOOD;
    return next && stale ? STAMP_GOOD : STAMP_BAD;
}

bool tcp_stamp_valid(const tcp_step *s)
{
    if (!(s->tcp->flags & TCP_STAMPS) || !s->has_stamp || judge_stamp(s) != STAMP_BAD)
        return true;
    reef_packet_event(s->packet, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP);
    return false;
}

void tcp_stamp_keep(tcp_step *s)
{
    tcp_side *from = s->from;
    reef_tcp_policy policy = s->to->policy;
    if (!(s->tcp->flags & TCP_STAMPS))
        return;
    if (!s->has_stamp) {
        if (policy == REEF_POLICY_SOLARIS)
            s->tcp->flags &= (uint16_t)~TCP_STAMPS;
        return;
    }
    stamp_verdict verdict = judge_stamp(s);
    bool next = from->next == s->sequence;
    if (from->flags & TCP_SIDE_ZERO_STAMP) {
        if (policy == REEF_POLICY_LINUX || policy == REEF_POLICY_WINDOWS2K3) {
            s->tcp->flags &= (uint16_t)~TCP_STAMPS;
        } else if (policy == REEF_POLICY_OLD_LINUX || policy == REEF_POLICY_WINDOWS || policy == REEF_POLICY_VISTA) {
            from->flags &= (uint16_t)~TCP_SIDE_ZERO_STAMP;
            if (next)
                from->stamp = s->stamp;
        }
    }
    if (verdict == STAMP_BAD) {
        reef_packet_event(s->packet, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP);
    } else if (verdict == STAMP_GOOD) {
        if (next)
            from->stamp = s->stamp;
        from->stamp_second = tcp_second(s);
    }
}

/* --- acknowledgements ------------------------------------------------------------------------------------ */

/* Of bytes that `side` sent. */
bool tcp_ack_valid(const tcp_step *s, const tcp_side *side)
{
    uint32_t ack = s->acknowledgement;
    if (!(s->tcp_flags & REEF_TCP_ACK) || ack == side->acked || (seq_gt(ack, side->acked) && seq_leq(ack, side->limit)))
        return true;
    if (seq_lt(ack, side->acked)) {
        if (side->window == 0 || !seq_lt(ack, side->acked - side->window))
            return true;
    } else {
        if (s->tcp->flags & TCP_ASYNC)
            return true;
        if (s->tcp->state == REEF_TCP_SYN_SENT && s->direction == REEF_TO_CLIENT && s->tcp_flags & REEF_TCP_RST &&
            ack == side->initial + 1)
            return true;
    }
    reef_packet_event(s->packet, REEF_EV_STREAM_PKT_INVALID_ACK);
    return false;
}

bool tcp_retransmission(const tcp_step *s)
{
    uint32_t end = s->sequence + s->length;
    if (s->length == 0)
        return false;
    if ((seq_lt(s->sequence, s->from->acked) && seq_gt(end, s->from->acked)) || seq_leq(end, s->from->acked) ||
        seq_leq(end, s->from->next)) {
        reef_packet_event(s->packet, REEF_EV_STREAM_PKT_RETRANSMISSION);
        return true;
    }
    return false;
}

/* --- resets ---------------------------------------------------------------------------------------------- */

static bool has_signature(const tcp_step *s)
{
    uint32_t length;
    return reef_packet_tcp_header(s->packet) > 20 && (reef_packet_tcp_option(s->packet, 19, &length) != NULL ||
                                                      reef_packet_tcp_option(s->packet, 29, &length) != NULL);
}

bool tcp_rst_valid(const tcp_step *s)
{
    const tcp_side *from = s->from;
    if (!tcp_stamp_valid(s))
        return false;
    if (s->length > 0)
        reef_packet_event(s->packet, REEF_EV_STREAM_RST_WITH_DATA);
    if (s->tcp_flags & REEF_TCP_ACK && s->acknowledgement != 0 && !tcp_ack_valid(s, s->to)) {
        reef_packet_event(s->packet, REEF_EV_STREAM_RST_INVALID_ACK);
        return false;
    }
    /* A signature (RFC 2385, 5925) cannot be proven here: believed, unless the receiver goes on as if nothing had been. */
    if (has_signature(s))
        s->to->flags |= TCP_SIDE_RESET;
    if (s->tcp->flags & TCP_ASYNC)
        return seq_geq(s->sequence, from->next);
    switch ((reef_tcp_policy)s->to->policy) {
    case REEF_POLICY_HPUX11:
        return seq_geq(s->sequence, from->next);
    case REEF_POLICY_OLD_LINUX:
    case REEF_POLICY_LINUX:
    case REEF_POLICY_SOLARIS:
        return seq_geq(s->sequence + s->length, from->acked) && seq_lt(s->sequence, from->next + from->window);
    default:
        return s->sequence == from->next;
    }
}

/* --- packets that say nothing new ------------------------------------------------------------------------ */

static bool is_plain(const tcp_step *s)
{
    return !(s->tcp_flags & (REEF_TCP_SYN | REEF_TCP_FIN | REEF_TCP_RST));
}

static bool is_keep_alive(const tcp_step *s)
{
    return s->length <= 1 && s->sequence == s->from->next - 1 && s->acknowledgement == s->to->acked && is_plain(s);
}

static bool answers_keep_alive(const tcp_step *s)
{
    return s->to->flags & TCP_SIDE_KEEPALIVE && s->length == 0 && is_plain(s) && s->window != 0 &&
           s->window << s->to->scale == s->to->window && s->acknowledgement == s->to->acked && s->sequence == s->from->next;
}

static bool answers_probe(const tcp_step *s)
{
    unsigned probed = s->direction == REEF_TO_CLIENT ? TCP_PROBE_TO_SERVER : TCP_PROBE_TO_CLIENT;
    return s->tcp->flags & probed && s->tcp->state >= REEF_TCP_ESTABLISHED && s->length == 0 && is_plain(s) &&
           s->tcp_flags & REEF_TCP_ACK && s->window == 0 && s->to->window == 0 && s->sequence == s->from->next &&
           s->acknowledgement == s->to->acked;
}

static bool ends_shutdown(const tcp_step *s)
{
    unsigned state = s->tcp->state;
    return (state == REEF_TCP_TIME_WAIT || state == REEF_TCP_CLOSE_WAIT || state == REEF_TCP_LAST_ACK) &&
           s->tcp_flags == REEF_TCP_ACK && s->length == 0 && s->sequence == s->from->next + 1 &&
           s->acknowledgement == s->to->next + 1;
}

static bool updates_window(const tcp_step *s)
{
    return s->tcp->state >= REEF_TCP_ESTABLISHED && s->length == 0 && is_plain(s) && s->window != 0 &&
           s->window << s->to->scale != s->to->window && s->acknowledgement == s->to->acked && s->sequence == s->from->next;
}

/* A packet that nobody waits for shrinks the window so that those that are waited for fall outside it. */
static bool shrinks_window(const tcp_step *s)
{
    uint32_t window = s->window << s->to->scale;
    if (window >= s->to->window || s->tcp->state < REEF_TCP_ESTABLISHED || s->tcp->state == REEF_TCP_CLOSED || !is_plain(s))
        return false;
    uint32_t shrunk = s->to->window - window, ahead = s->acknowledgement - s->to->acked;
    if (shrunk <= s->length || !seq_gt(s->acknowledgement, s->to->next) || !seq_gt(s->sequence, s->from->next) ||
        shrunk <= ahead + (window > 1024 ? 32 : 0))
        return false;
    reef_packet_event(s->packet, REEF_EV_STREAM_PKT_BAD_WINDOW_UPDATE);
    return true;
}

static bool is_outdated(const tcp_step *s)
{
    return s->tcp->state >= REEF_TCP_ESTABLISHED && s->length == 0 && s->tcp_flags & REEF_TCP_ACK && is_plain(s) &&
           s->sequence == s->from->next && seq_lt(s->acknowledgement, s->to->acked) && tcp_sacked(s) == 0;
}

static bool is_spurious(const tcp_step *s)
{
    uint32_t end = s->sequence + s->length;
    if (s->length == 0 || !seq_leq(end, s->from->acked))
        return false;
    reef_packet_event(s->packet, REEF_EV_STREAM_PKT_SPURIOUS_RETRANSMISSION);
    return seq_leq(end, s->from->base);
}

bool tcp_skipped(tcp_step *s)
{
    if (is_keep_alive(s)) {
        s->from->flags |= TCP_SIDE_KEEPALIVE;
        return true;
    }
    if (answers_keep_alive(s)) {
        s->to->flags &= (uint16_t)~TCP_SIDE_KEEPALIVE;
        s->from->flags &= (uint16_t)~TCP_SIDE_KEEPALIVE;
        return true;
    }
    s->from->flags &= (uint16_t)~TCP_SIDE_KEEPALIVE;
    bool probe = answers_probe(s);
    s->tcp->flags &= (uint16_t)~(s->direction == REEF_TO_CLIENT ? TCP_PROBE_TO_SERVER : TCP_PROBE_TO_CLIENT);
    if (probe)
        return true;
    if (!ends_shutdown(s) && !updates_window(s) && (shrinks_window(s) || is_outdated(s)))
        return true;
    return is_spurious(s);
}
