/* What SYNs and their answers offer: of several, which is the one that counts is known only later. */
#include "tcp_internal.h"

/* What the options of a SYN offer (RFC 9293, 7323, 2018, 7413). */
tcp_offered tcp_offered_read(const tcp_step *s)
{
    uint32_t length;
    tcp_offered o = {0};
    if (reef_packet_tcp_header(s->packet) <= 20)
        return o;
    o.sack = reef_packet_tcp_option(s->packet, 4, &length) != NULL;
    const uint8_t *value = reef_packet_tcp_option(s->packet, 3, &length);
    if (value != NULL && length == 1) {
        o.scales = true;
        o.scale = value[0] > TCP_SCALE_MAX ? TCP_SCALE_MAX : value[0];
    }
    value = reef_packet_tcp_option(s->packet, 34, &length);
    if (value != NULL) {
        o.fast_open = true;
    } else {
        value = reef_packet_tcp_option(s->packet, 254, &length); /* RFC 6994: experimental, with this magic number */
        o.fast_open = value != NULL && length >= 2 && reef_be16(value) == 0xf989;
    }
    return o;
}

void tcp_offers_free(reef_memory *memory, reef_tcp *tcp)
{
    while (tcp->offers != NULL) {
        tcp_offer *offer = tcp->offers;
        tcp->offers = offer->next;
        reef_memory_give(memory, offer, sizeof *offer);
    }
    tcp->offers_count = 0;
}

tcp_offer tcp_offer_of(const tcp_step *s)
{
    tcp_offered o = tcp_offered_read(s);
    return (tcp_offer){.sequence = s->sequence, .acknowledgement = s->acknowledgement, .stamp = s->has_stamp ? s->stamp : 0,
                       .second = tcp_second(s), .window = (uint16_t)s->window, .scale = o.scale, .scales = o.scales,
                       .stamped = s->has_stamp, .sack = o.sack};
}

static bool same_answer(const tcp_offer *a, const tcp_offer *b)
{
    return a->scales == b->scales && a->stamped == b->stamped && a->sack == b->sack && a->scale == b->scale &&
           a->window == b->window && a->sequence == b->sequence && a->acknowledgement == b->acknowledgement && a->stamp == b->stamp;
}

bool tcp_offer_add(tcp_step *s, const tcp_offer *offer, reef_decode_event full)
{
    if (s->tcp->offers_count == REEF_TCP_OFFERS_MAX) {
        reef_packet_event(s->packet, full);
        return false;
    }
    tcp_offer *kept = reef_memory_get_raw(s->memory, sizeof *kept);
    if (kept == NULL)
        return false;
    *kept = *offer;
    kept->next = s->tcp->offers;
    s->tcp->offers = kept;
    s->tcp->offers_count++;
    return true;
}

bool tcp_answer_add(tcp_step *s)
{
    tcp_offer offer = tcp_offer_of(s);
    for (const tcp_offer *o = s->tcp->offers; o != NULL; o = o->next)
        if (same_answer(o, &offer))
            return true;
    return tcp_offer_add(s, &offer, REEF_EV_STREAM_3WHS_SYNACK_FLOOD);
}

const tcp_offer *tcp_answer_find(const tcp_step *s)
{
    for (const tcp_offer *o = s->tcp->offers; o != NULL; o = o->next)
        if (o->sequence == s->acknowledgement - 1 && o->acknowledgement == s->sequence)
            return o;
    return NULL;
}

const tcp_offer *tcp_syn_find(const tcp_step *s, bool stamped, uint32_t stamp)
{
    for (const tcp_offer *o = s->tcp->offers; o != NULL; o = o->next)
        if (o->stamped == stamped && o->stamp == stamp)
            return o;
    return NULL;
}
