/* A connection opens: the handshake with its variants (three-way, four-way and five-way of a split or simultaneous open,
 * Fast Open), and the picking up of those whose beginning was not seen. */
#include "tcp_internal.h"

/* --- nothing known yet ----------------------------------------------------------------------------------- */

bool tcp_begin(tcp_step *s)
{
    if (s->tcp != NULL)
        return true;
    s->tcp = reef_memory_get(s->memory, sizeof *s->tcp);
    if (s->tcp == NULL)
        return false;
    reef_tcp_policy policy = s->flow->key.version == 6 ? s->options->policy_ipv6 : s->options->policy;
    s->tcp->side[0].policy = s->tcp->side[1].policy = (uint8_t)policy;
    s->flow->tcp = s->tcp;
    s->from = &s->tcp->side[s->direction];
    s->to = &s->tcp->side[!s->direction];
    if (s->options->async_oneside)
        s->tcp->flags |= TCP_ASYNC;
    return true;
}

/* The timestamp of a connection that is picked up. */
static void begin_stamps(tcp_step *s)
{
    if (!s->has_stamp)
        return;
    s->from->stamp = s->stamp;
    s->to->stamp = s->stamp_echo;
    s->from->stamp_second = tcp_second(s);
    s->tcp->flags |= TCP_STAMPS;
    if (s->from->stamp == 0)
        s->from->flags |= TCP_SIDE_ZERO_STAMP;
    if (s->to->stamp == 0)
        s->to->flags |= TCP_SIDE_ZERO_STAMP;
}

/* In the midst of a connection: how far its windows are scaled cannot be known. */
static tcp_verdict pick_up(tcp_step *s, reef_tcp_state state)
{
    if (!tcp_begin(s))
        return TCP_WRONG;
    tcp_set_state(s, state);
    s->tcp->flags |= TCP_MIDSTREAM | TCP_MIDSTREAM_ESTABLISHED;
    s->from->scale = s->to->scale = TCP_SCALE_MAX;
    tcp_base(s->from, s->sequence - 1);
    s->from->next = s->sequence + s->length + (state == REEF_TCP_FIN_WAIT1);
    s->from->window = s->window << TCP_SCALE_MAX;
    s->from->acked = s->sequence;
    s->from->limit = s->from->acked + s->from->window;
    tcp_base(s->to, s->acknowledgement - 1);
    s->to->next = s->to->acked = s->to->limit = s->acknowledgement;
    begin_stamps(s);
    tcp_take(s);
    return TCP_FINE;
}

/* The first packet seen is the answer to a SYN: the flow has been turned round for it. */
static tcp_verdict pick_up_answer(tcp_step *s)
{
    if (!tcp_begin(s))
        return TCP_WRONG;
    tcp_side *client = &s->tcp->side[REEF_TO_SERVER], *server = &s->tcp->side[REEF_TO_CLIENT];
    s->from = server;
    s->to = client;
    tcp_set_state(s, REEF_TCP_SYN_RECV);
    s->tcp->flags |= TCP_MIDSTREAM | TCP_MIDSTREAM_SYNACK;
    tcp_base(server, s->sequence);
    server->next = s->sequence + 1;
    server->window = s->window;
    server->acked = s->sequence;
    server->limit = server->acked + server->window;
    tcp_base(client, s->acknowledgement - 1);
    client->next = client->acked = s->acknowledgement;
    tcp_offered o = tcp_offered_read(s);
    if (o.scales) {
        client->scale = o.scale;
        server->scale = TCP_SCALE_MAX;
    }
    begin_stamps(s);
    return TCP_FINE;
}

static void take_syn(tcp_step *s, tcp_side *from, tcp_side *to)
{
    tcp_offered o = tcp_offered_read(s);
    if (s->has_stamp) {
        from->stamp = s->stamp;
        from->stamp_second = tcp_second(s);
        from->flags |= TCP_SIDE_STAMPED;
        if (s->stamp == 0)
            from->flags |= TCP_SIDE_ZERO_STAMP;
    }
    to->window = s->window;
    to->scale = o.scale;
    s->tcp->flags &= (uint16_t)~(TCP_SCALES | TCP_SACK_OFFERED);
    s->tcp->flags |= (uint16_t)((o.scales ? TCP_SCALES : 0) | (o.sack ? TCP_SACK_OFFERED : 0));
}

static tcp_verdict first_syn(tcp_step *s)
{
    if (!tcp_begin(s))
        return TCP_WRONG;
    tcp_set_state(s, REEF_TCP_SYN_SENT);
    tcp_base(s->from, s->sequence);
    s->from->next = s->sequence + 1;
    take_syn(s, s->from, s->to);
    if (tcp_offered_read(s).fast_open) {
        s->tcp->flags |= TCP_FAST_OPEN;
        if (s->length > 0) {
            tcp_expect(s, s->from, s->from->next + s->length);
            tcp_take(s);
        }
    }
    return TCP_FINE;
}

tcp_verdict tcp_none(tcp_step *s)
{
    const reef_tcp_options *options = s->options;
    if (s->tcp_flags & REEF_TCP_RST)
        return tcp_wrong(s, REEF_EV_STREAM_RST_BUT_NO_SESSION);
    /* Where packets can be stopped, a connection whose beginning was missed is (Suricata's exception policy "auto"). */
    if (options->inline_ && !options->midstream &&
        (s->tcp_flags & (REEF_TCP_FIN | REEF_TCP_ACK)))
        s->flow->refused = 1;
    if (s->tcp_flags & REEF_TCP_FIN) {
        if (!options->midstream || s->length == 0)
            return tcp_wrong(s, REEF_EV_STREAM_FIN_BUT_NO_SESSION);
        return pick_up(s, REEF_TCP_FIN_WAIT1);
    }
    if (tcp_has(s, REEF_TCP_SYN | REEF_TCP_ACK))
        return options->midstream || options->async_oneside ? pick_up_answer(s) : TCP_FINE;
    if (s->tcp_flags & REEF_TCP_SYN)
        return first_syn(s);
    if (s->tcp_flags & REEF_TCP_ACK && options->midstream)
        return pick_up(s, REEF_TCP_ESTABLISHED);
    return TCP_FINE;
}

/* --- a SYN was sent -------------------------------------------------------------------------------------- */

/* The server's answer counts: that of the packet, or one that came before it. */
static void take_answer(tcp_step *s, const tcp_offer *answer)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = &tcp->side[REEF_TO_SERVER], *server = &tcp->side[REEF_TO_CLIENT];
    if (tcp->state != REEF_TCP_SYN_RECV)
        tcp_set_state(s, REEF_TCP_SYN_RECV);
    tcp_base(server, answer->sequence);
    server->next = answer->sequence + 1;
    client->window = answer->window;
    if (answer->stamped && client->flags & TCP_SIDE_STAMPED) {
        server->stamp = answer->stamp;
        server->stamp_second = answer->second;
        tcp->flags |= TCP_STAMPS;
        if (answer->stamp == 0)
            server->flags |= TCP_SIDE_ZERO_STAMP;
    } else {
        client->stamp = server->stamp = 0;
        client->flags &= (uint16_t)~TCP_SIDE_ZERO_STAMP;
    }
    client->acked = answer->acknowledgement;
    server->acked = server->initial + 1;
    client->scale = tcp->flags & TCP_SCALES && answer->scales ? answer->scale : 0;
    server->limit = server->acked + server->window;
    client->limit = client->acked + client->window;
    tcp->flags &= (uint16_t)~TCP_FOUR_WAY;
}

/* Does the answer echo the timestamp of the SYN? */
static bool echo_valid(const tcp_step *s)
{
    const tcp_side *client = &s->tcp->side[REEF_TO_SERVER];
    if (s->direction == REEF_TO_SERVER || !s->has_stamp || s->stamp_echo == 0)
        return true;
    if (client->flags & TCP_SIDE_STAMPED)
        return client->stamp == 0 || s->stamp_echo == client->stamp;
    return client->stamp != 0;
}

static void apply_syn(tcp_step *s, const tcp_offer *syn)
{
    tcp_side *client = &s->tcp->side[REEF_TO_SERVER], *server = &s->tcp->side[REEF_TO_CLIENT];
    if (syn->stamped) {
        client->stamp_second = syn->second;
        client->stamp = syn->stamp;
        client->flags |= TCP_SIDE_STAMPED;
    }
    s->tcp->flags &= (uint16_t)~(TCP_SCALES | TCP_SACK_OFFERED);
    s->tcp->flags |= (uint16_t)((syn->scales ? TCP_SCALES : 0) | (syn->sack ? TCP_SACK_OFFERED : 0));
    server->scale = syn->scale;
    server->window = syn->window;
}

static tcp_verdict answer_to_client(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = s->to;
    uint32_t ack = s->acknowledgement;
    bool fast_open = tcp->flags & TCP_FAST_OPEN || tcp_offered_read(s).fast_open;
    if (!fast_open && ack != client->initial + 1)
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYNACK_WITH_WRONG_ACK);
    if (fast_open) {
        if (ack != client->next) {
            if (ack != client->initial + 1)
                return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYNACK_WITH_WRONG_ACK);
            client->next = client->initial; /* the data of the SYN was not taken: it comes again */
            reef_packet_event(s->packet, REEF_EV_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED);
            tcp->flags |= TCP_FAST_OPEN_IGNORED;
        }
        tcp->flags |= TCP_FAST_OPEN;
        tcp_set_state(s, REEF_TCP_ESTABLISHED);
    }
    if (!echo_valid(s)) {
        const tcp_offer *syn = tcp_syn_find(s, s->has_stamp, s->stamp_echo);
        if (syn == NULL)
            return tcp_wrong(s, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP);
        apply_syn(s, syn);
    }
    tcp_offers_free(s->memory, tcp);
    tcp_offer answer = tcp_offer_of(s);
    take_answer(s, &answer);
    return TCP_FINE;
}

/* Four-way: both ends sent a SYN, and the client answers. */
static tcp_verdict answer_to_server(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = s->from, *server = s->to;
    if (!(tcp->flags & TCP_FOUR_WAY))
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION);
    if (s->acknowledgement != server->initial + 1)
        return tcp_wrong(s, REEF_EV_STREAM_4WHS_SYNACK_WITH_WRONG_ACK);
    if (s->sequence != client->initial)
        return tcp_wrong(s, REEF_EV_STREAM_4WHS_SYNACK_WITH_WRONG_SYN);
    tcp_set_state(s, REEF_TCP_SYN_RECV);
    tcp_base(client, s->sequence);
    client->next = s->sequence + 1;
    server->window = s->window;
    if (s->has_stamp && server->flags & TCP_SIDE_STAMPED) {
        client->stamp = s->stamp;
        client->stamp_second = tcp_second(s);
        tcp->flags |= TCP_STAMPS;
        if (s->stamp == 0)
            client->flags |= TCP_SIDE_ZERO_STAMP;
    } else {
        client->stamp = server->stamp = 0;
        server->flags &= (uint16_t)~TCP_SIDE_ZERO_STAMP;
    }
    server->acked = s->acknowledgement;
    client->acked = client->initial + 1;
    tcp_offered o = tcp_offered_read(s);
    server->scale = tcp->flags & TCP_SCALES && o.scales ? o.scale : 0;
    client->limit = client->acked + client->window;
    server->limit = server->acked + server->window;
    return TCP_FINE;
}

static tcp_verdict rst_in_syn_sent(tcp_step *s)
{
    if (!tcp_rst_valid(s))
        return TCP_WRONG;
    if (s->direction == REEF_TO_SERVER &&
        (s->sequence != s->from->initial || s->window != 0 || s->acknowledgement != s->from->initial + 1))
        return TCP_FINE;
    s->to->flags |= TCP_SIDE_RESET;
    s->tcp->flags |= TCP_CLOSED_BY_RST;
    tcp_set_state(s, REEF_TCP_CLOSED);
    tcp_offers_free(s->memory, s->tcp);
    return TCP_FINE;
}

/* Another SYN: of the server it makes this a split handshake, of the client it may be the one that is answered. */
static tcp_verdict syn_again(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    if (s->direction == REEF_TO_CLIENT) {
        tcp->flags |= TCP_FOUR_WAY;
        tcp_base(s->from, s->sequence);
        s->from->next = s->sequence + 1;
        take_syn(s, s->from, s->from);
        return TCP_FINE;
    }
    const tcp_side *client = s->from, *server = s->to;
    tcp_offer syn = tcp_offer_of(s);
    tcp_offer before = {.window = (uint16_t)server->window, .second = client->stamp_second, .scale = server->scale,
                        .scales = tcp->flags & TCP_SCALES, .sack = tcp->flags & TCP_SACK_OFFERED,
                        .stamped = client->flags & TCP_SIDE_STAMPED,
                        .stamp = client->flags & TCP_SIDE_STAMPED ? client->stamp : 0};
    bool same = syn.window == before.window && syn.scales == before.scales && syn.scale == before.scale &&
                syn.sack == before.sack && syn.stamped == before.stamped && syn.stamp == before.stamp;
    if (!same && tcp_syn_find(s, before.stamped, before.stamp) == NULL)
        (void)tcp_offer_add(s, &before, REEF_EV_STREAM_3WHS_SYN_FLOOD);
    apply_syn(s, &syn);
    return TCP_FINE;
}

/* Only this side will be seen: an acknowledgement of what was not. */
static tcp_verdict go_on_alone(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = &tcp->side[REEF_TO_SERVER], *server = &tcp->side[REEF_TO_CLIENT];
    if (!s->options->async_oneside)
        return TCP_FINE;
    if (s->sequence != client->next)
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_ASYNC_WRONG_SEQ);
    tcp->flags |= TCP_ASYNC;
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    tcp_offers_free(s->memory, tcp);
    client->window = s->window;
    client->acked = s->sequence;
    client->limit = client->acked + client->window;
    tcp_base(server, s->acknowledgement - 1);
    server->next = server->acked = server->limit = s->acknowledgement;
    if (tcp->flags & TCP_SCALES)
        client->scale = TCP_SCALE_MAX;
    if (s->has_stamp && client->flags & TCP_SIDE_STAMPED) {
        tcp->flags |= TCP_STAMPS;
        client->flags &= (uint16_t)~TCP_SIDE_STAMPED;
        client->stamp_second = tcp_second(s);
    } else {
        client->stamp = 0;
        client->flags &= (uint16_t)~TCP_SIDE_ZERO_STAMP;
    }
    tcp_take(s);
    return TCP_FINE;
}

tcp_verdict tcp_syn_sent(tcp_step *s)
{
    if (tcp_has(s, REEF_TCP_SYN | REEF_TCP_ACK))
        return s->direction == REEF_TO_CLIENT ? answer_to_client(s) : answer_to_server(s);
    if (!echo_valid(s))
        return tcp_wrong(s, REEF_EV_STREAM_PKT_INVALID_TIMESTAMP);
    if (s->tcp_flags & REEF_TCP_RST)
        return rst_in_syn_sent(s);
    if (s->tcp_flags & REEF_TCP_FIN)
        return TCP_FINE;
    if (s->tcp_flags & REEF_TCP_SYN)
        return syn_again(s);
    return s->tcp_flags & REEF_TCP_ACK ? go_on_alone(s) : TCP_FINE;
}

/* --- the SYN was answered -------------------------------------------------------------------------------- */

static tcp_verdict answer_again(tcp_step *s)
{
    if (s->direction == REEF_TO_SERVER)
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV);
    if (s->acknowledgement != s->to->acked)
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_ACK);
    if (s->sequence != s->from->initial && !tcp_answer_add(s))
        return TCP_WRONG;
    return TCP_FINE;
}

static tcp_verdict rst_in_syn_received(tcp_step *s)
{
    if (!tcp_rst_valid(s))
        return TCP_WRONG;
    /* These take what was sent with a wrong acknowledgement for a stray packet, and go on. */
    reef_tcp_policy policy = s->to->policy;
    if (s->tcp->flags & TCP_EVASION &&
        (policy == REEF_POLICY_LINUX || policy == REEF_POLICY_OLD_LINUX || policy == REEF_POLICY_SOLARIS))
        return TCP_FINE;
    s->tcp->flags |= TCP_CLOSED_BY_RST;
    tcp_set_state(s, REEF_TCP_CLOSED);
    tcp_stamp_keep(s);
    return TCP_FINE;
}

static tcp_verdict ack_four_way(tcp_step *s)
{
    tcp_side *server = s->from, *client = s->to;
    if (s->sequence != server->next)
        return tcp_wrong(s, REEF_EV_STREAM_4WHS_WRONG_SEQ);
    if (!tcp_ack_valid(s, client))
        return tcp_wrong(s, REEF_EV_STREAM_4WHS_INVALID_ACK);
    tcp_stamp_keep(s);
    tcp_ack(client, s->acknowledgement);
    tcp_expect(s, server, server->next + s->length);
    client->window = s->window << client->scale;
    client->limit = client->acked + client->window;
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    tcp_take(s);
    return TCP_FINE;
}

/* The scales of a connection that was picked up can only be guessed. */
static void guess_scales(tcp_step *s)
{
    s->tcp->side[0].scale = s->tcp->side[1].scale = TCP_SCALE_MAX;
}

static void complete_normal(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = &tcp->side[REEF_TO_SERVER], *server = &tcp->side[REEF_TO_CLIENT];
    tcp_stamp_keep(s);
    tcp_ack(server, s->acknowledgement);
    tcp_expect(s, client, client->next + s->length);
    server->window = s->window << server->scale;
    server->limit = server->acked + server->window;
    if (tcp->flags & TCP_MIDSTREAM) {
        client->window = s->window << client->scale;
        client->limit = client->acked + client->window;
        if (!(tcp->flags & TCP_MIDSTREAM_SYNACK))
            guess_scales(s);
    }
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    if (s->length > 0)
        tcp->established = true; /* the acknowledgement proper may have been lost */
    s->from = client;
    tcp_take(s);
}

static void complete_alone(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = &tcp->side[REEF_TO_SERVER], *server = &tcp->side[REEF_TO_CLIENT];
    tcp->flags |= TCP_ASYNC;
    server->next += s->length;
    server->acked = s->sequence;
    client->window = s->window << client->scale;
    client->acked = s->acknowledgement;
    tcp_stamp_keep(s);
    if (tcp->flags & TCP_MIDSTREAM) {
        server->window = s->window;
        server->limit = server->acked + server->window;
        guess_scales(s);
    }
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    s->from = server;
    tcp_take(s);
}

/* More from the server: packets between its answer and this one are missing. */
static void complete_with_loss_to_client(tcp_step *s)
{
    tcp_side *client = s->to, *server = s->from;
    tcp_stamp_keep(s);
    tcp_ack(client, s->acknowledgement);
    server->next = s->sequence + s->length;
    client->window = s->window << client->scale;
    client->limit = client->acked + client->window;
    server->limit = server->acked + server->window;
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    tcp_take(s);
}

static void complete_with_loss_to_server(tcp_step *s)
{
    tcp_side *client = &s->tcp->side[REEF_TO_SERVER], *server = &s->tcp->side[REEF_TO_CLIENT];
    tcp_stamp_keep(s);
    client->next = s->sequence + s->length;
    tcp_ack(server, s->acknowledgement);
    server->window = s->window << server->scale;
    server->limit = server->acked + server->window;
    if (s->tcp->flags & TCP_MIDSTREAM) {
        client->window = s->window;
        guess_scales(s);
    }
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    s->from = client;
    tcp_take(s);
}

/* The server goes on at once: after Fast Open, or because the client's acknowledgement was not seen. */
static void complete_by_server(tcp_step *s)
{
    tcp_side *server = &s->tcp->side[REEF_TO_CLIENT];
    tcp_expect(s, server, s->sequence + s->length);
    server->window = s->window << server->scale;
    server->limit = server->acked + server->window;
    tcp_set_state(s, REEF_TCP_ESTABLISHED);
    s->from = server;
    tcp_take(s);
}

static tcp_verdict ack_in_syn_received(tcp_step *s)
{
    reef_tcp *tcp = s->tcp;
    tcp_side *client = &tcp->side[REEF_TO_SERVER], *server = &tcp->side[REEF_TO_CLIENT];
    const tcp_offer *answer = tcp_answer_find(s);
    if (answer != NULL)
        take_answer(s, answer);
    if (!tcp_stamp_valid(s))
        return TCP_WRONG;
    bool to_client = s->direction == REEF_TO_CLIENT, missed = false;
    if (to_client && tcp->flags & TCP_FOUR_WAY)
        return ack_four_way(s);
    if (to_client && !(tcp->flags & (TCP_MIDSTREAM_SYNACK | TCP_FAST_OPEN))) {
        if (s->options->inline_) /* every packet passes here: nothing can be missing */
            return tcp_wrong(s, s->length > 0 && s->acknowledgement == client->acked && s->sequence == server->next
                                    ? REEF_EV_STREAM_3WHS_ACK_DATA_INJECT
                                    : REEF_EV_STREAM_3WHS_ACK_IN_WRONG_DIR);
        missed = true;
    }
    if (s->sequence == client->next && s->acknowledgement == server->next)
        complete_normal(s);
    else if (s->options->async_oneside && s->sequence == server->next)
        complete_alone(s);
    else if (s->sequence == client->next) {
        tcp->flags |= TCP_EVASION;
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION);
    } else if (to_client && !s->options->inline_ && seq_geq(s->sequence, server->next) && seq_gt(s->acknowledgement, client->acked))
        complete_with_loss_to_client(s);
    else if (seq_gt(s->sequence, client->next) && seq_leq(s->sequence, client->limit) && s->acknowledgement == server->next)
        complete_with_loss_to_server(s);
    else if ((missed || tcp->flags & TCP_FAST_OPEN) && s->acknowledgement == client->acked && s->sequence == server->next)
        complete_by_server(s);
    else
        return tcp_wrong(s, REEF_EV_STREAM_3WHS_WRONG_SEQ_WRONG_ACK);
    tcp_offers_free(s->memory, tcp);
    return TCP_FINE;
}

tcp_verdict tcp_syn_received(tcp_step *s)
{
    if (s->tcp_flags & REEF_TCP_RST)
        return rst_in_syn_received(s);
    if (s->tcp_flags & REEF_TCP_FIN)
        return tcp_stamp_valid(s) ? tcp_take_fin(s) : TCP_WRONG;
    if (tcp_has(s, REEF_TCP_SYN | REEF_TCP_ACK))
        return answer_again(s);
    if (s->tcp_flags & REEF_TCP_SYN) {
        if (s->direction == REEF_TO_CLIENT)
            return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV);
        if (s->sequence != s->from->initial)
            return tcp_wrong(s, REEF_EV_STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV);
        return TCP_FINE;
    }
    return s->tcp_flags & REEF_TCP_ACK ? ack_in_syn_received(s) : TCP_FINE;
}
