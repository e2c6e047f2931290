/* Bytes in order: what comes next is handed over where it lies, in the packet; what is ahead of its time is kept, sorted,
 * and where segments overlap the receiver's policy says whose bytes hold. */
#include <string.h>

#include "tcp_internal.h"

static uint32_t piece_end(const tcp_piece *piece)
{
    return piece->sequence + piece->length;
}

static void piece_free(reef_memory *memory, tcp_piece *piece)
{
    reef_memory_give(memory, piece, piece->size);
}

static void drop_first(reef_memory *memory, tcp_side *side)
{
    tcp_piece *piece = side->pieces;
    side->pieces = piece->next;
    if (side->pieces == NULL)
        side->last = NULL;
    side->held--;
    piece_free(memory, piece);
}

static void drop_all(reef_memory *memory, tcp_side *side)
{
    while (side->pieces != NULL)
        drop_first(memory, side);
}

/* --- overlaps -------------------------------------------------------------------------------------------- */

/* A segment of the same bytes came before: does the newer one win? The comparisons are those of the receivers' stacks
 * (Novak, Sturges: Target-based TCP Stream Reassembly). */
static bool newer_wins(reef_tcp_policy policy, const tcp_piece *newer, const tcp_piece *older)
{
    uint32_t end = piece_end(newer), older_end = piece_end(older);
    if (newer->sequence == older->sequence) {
        switch (policy) {
        case REEF_POLICY_LAST:
            return true;
        case REEF_POLICY_LINUX:
            return seq_gt(end, older_end);
        case REEF_POLICY_OLD_LINUX:
        case REEF_POLICY_SOLARIS:
        case REEF_POLICY_HPUX11:
            return seq_geq(end, older_end);
        default:
            return false;
        }
    }
    bool earlier = seq_lt(newer->sequence, older->sequence);
    switch (policy) {
    case REEF_POLICY_LAST:
        return true;
    case REEF_POLICY_SOLARIS:
    case REEF_POLICY_HPUX11:
        return earlier ? seq_geq(end, older_end) : seq_gt(end, older_end);
    case REEF_POLICY_BSD:
    case REEF_POLICY_HPUX10:
    case REEF_POLICY_IRIX:
    case REEF_POLICY_WINDOWS:
    case REEF_POLICY_WINDOWS2K3:
    case REEF_POLICY_OLD_LINUX:
    case REEF_POLICY_LINUX:
    case REEF_POLICY_MACOS:
        return earlier;
    default: /* FIRST, VISTA */
        return false;
    }
}

/* The stretch that both cover; 0: none. */
static uint32_t common(const tcp_piece *a, const tcp_piece *b, uint32_t *in_a, uint32_t *in_b)
{
    uint32_t from = seq_gt(a->sequence, b->sequence) ? a->sequence : b->sequence;
    uint32_t to = seq_lt(piece_end(a), piece_end(b)) ? piece_end(a) : piece_end(b);
    if (seq_geq(from, to))
        return 0;
    *in_a = from - a->sequence;
    *in_b = from - b->sequence;
    return to - from;
}

/* Make `fresh` and all it overlaps say the same. */
static void settle_overlaps(const tcp_step *s, tcp_piece *fresh)
{
    uint32_t in_fresh, in_older, n;
    bool differs = false;
    for (tcp_piece *p = s->from->pieces; p != NULL && seq_lt(p->sequence, piece_end(fresh)); p = p->next) {
        n = common(fresh, p, &in_fresh, &in_older);
        if (n == 0 || memcmp(fresh->data + in_fresh, p->data + in_older, n) == 0)
            continue;
        differs = true;
        if (s->options->inline_ || !newer_wins(s->from->policy, fresh, p))
            memcpy(fresh->data + in_fresh, p->data + in_older, n);
    }
    if (!differs)
        return;
    reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
    for (tcp_piece *p = s->from->pieces; p != NULL && seq_lt(p->sequence, piece_end(fresh)); p = p->next) {
        n = common(fresh, p, &in_fresh, &in_older);
        if (n > 0)
            memcpy(p->data + in_older, fresh->data + in_fresh, n);
    }
}

/* --- keeping --------------------------------------------------------------------------------------------- */

/* The less a flow has shown of itself, the earlier it goes without: while memory is short only flows that both ends take part
 * in may keep segments. */
static bool may_keep(const tcp_step *s)
{
    reef_memory_counters counters;
    reef_memory_count(s->memory, &counters);
    if (counters.used < counters.limit / 4 * 3)
        return true;
    return s->flow->packets[0] > 1 && s->flow->packets[1] > 1 && s->tcp->state >= REEF_TCP_ESTABLISHED &&
           !(s->tcp->flags & TCP_MIDSTREAM);
}

static void link_piece(tcp_side *side, tcp_piece *fresh)
{
    tcp_piece **link = &side->pieces;
    if (side->last != NULL && seq_lt(side->last->sequence, fresh->sequence))
        link = &side->last->next;
    while (*link != NULL && (seq_lt((*link)->sequence, fresh->sequence) ||
                             ((*link)->sequence == fresh->sequence && (*link)->length < fresh->length)))
        link = &(*link)->next;
    fresh->next = *link;
    *link = fresh;
    if (fresh->next == NULL)
        side->last = fresh;
    side->held++;
}

static bool keep(tcp_step *s, uint32_t sequence)
{
    tcp_side *side = s->from;
    if (side->held >= REEF_TCP_PIECES_MAX) {
        reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_INSERT_LIMIT);
        return false;
    }
    uint32_t size = (uint32_t)sizeof(tcp_piece) + s->length;
    tcp_piece *piece = may_keep(s) ? reef_memory_get_raw(s->memory, size) : NULL;
    if (piece == NULL) {
        reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_NO_SEGMENT);
        return false;
    }
    *piece = (tcp_piece){.sequence = sequence, .length = s->length, .size = size};
    memcpy(piece->data, s->packet->payload, s->length);
    if (side->pieces != NULL && seq_lt(sequence, side->right))
        settle_overlaps(s, piece);
    if (side->pieces == NULL || seq_gt(piece_end(piece), side->right))
        side->right = piece_end(piece);
    link_piece(side, piece);
    return true;
}

void tcp_take(tcp_step *s)
{
    tcp_side *side = s->from;
    uint32_t sequence = s->sequence + (s->tcp_flags & REEF_TCP_SYN ? 1 : 0); /* data on a SYN */
    uint32_t end = sequence + s->length;
    if (s->tcp_flags & REEF_TCP_FIN && !(side->flags & TCP_SIDE_FIN)) {
        side->fin = end;
        side->flags |= TCP_SIDE_FIN;
    }
    if (s->length == 0 || side->flags & (TCP_SIDE_DEPTH | TCP_SIDE_ENDED))
        return;
    if (s->tcp_flags & REEF_TCP_RST) /* says why it ends (RFC 9293 3.5.2): nobody's program reads it */
        return;
    if (seq_lt(sequence, side->base)) {
        uint32_t before = side->base - sequence;
        if (tcp_raw_differs(side, sequence, s->packet->payload, before < s->length ? before : s->length))
            reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
        if (seq_leq(end, side->base)) { /* nothing new in it */
            s->added = true;
            return;
        }
    }
    bool due = seq_leq(sequence, side->base);
    if (s->options->depth > 0 && side->offset + (end - side->base) > s->options->depth) {
        if (due) { /* one that is far ahead of its time does not end the looking */
            side->flags |= TCP_SIDE_DEPTH;
            reef_packet_event(s->packet, REEF_EV_STREAM_REASSEMBLY_DEPTH_REACHED);
        }
        return;
    }
    if (due && (side->pieces == NULL || seq_leq(end, side->pieces->sequence))) {
        s->tcp->fresh = end - side->base;
        s->tcp->fresh_direction = (uint8_t)s->direction;
        s->added = true;
        return;
    }
    s->added = keep(s, sequence);
}

/* --- handing over ---------------------------------------------------------------------------------------- */

/* Will nothing come of this side behind what was handed over? */
static bool is_over(const reef_tcp *tcp, const tcp_side *side)
{
    if (side->flags & TCP_SIDE_DEPTH || (side->flags & TCP_SIDE_FIN && seq_geq(side->base, side->fin)))
        return true;
    return side->pieces == NULL && (side->flags & TCP_SIDE_FLUSH || tcp->state == REEF_TCP_CLOSED);
}

static bool hand_over(reef_tcp *tcp, tcp_side *side, reef_chunk *chunk, const uint8_t *data, uint32_t length,
                      uint32_t missing)
{
    side->offset += missing;
    *chunk = (reef_chunk){.bytes = {data, length}, .offset = side->offset, .missing = missing};
    side->offset += length;
    side->base += missing + length;
    if (is_over(tcp, side)) {
        chunk->end = true;
        side->flags |= TCP_SIDE_ENDED;
    }
    return true;
}

static bool next_piece(reef_memory *memory, reef_tcp *tcp, tcp_side *side, reef_chunk *chunk)
{
    while (side->pieces != NULL && seq_leq(piece_end(side->pieces), side->base))
        drop_first(memory, side);
    tcp_piece *piece = side->pieces;
    if (piece == NULL)
        return false;
    uint32_t missing = 0, start = 0;
    if (seq_gt(piece->sequence, side->base)) {
        if (!tcp_gap_open(tcp, side))
            return false;
        missing = piece->sequence - side->base;
    } else {
        start = side->base - piece->sequence;
    }
    side->pieces = piece->next;
    if (side->pieces == NULL)
        side->last = NULL;
    side->held--;
    tcp->lent = piece;
    return hand_over(tcp, side, chunk, piece->data + start, piece->length - start, missing);
}

static bool has_said_anything(const reef_tcp *tcp)
{
    return tcp->side[0].offset + tcp->side[1].offset > 0 || tcp->side[0].pieces != NULL || tcp->side[1].pieces != NULL;
}

static bool next_slow(reef_memory *memory, reef_tcp *tcp, tcp_side *side, reef_chunk *chunk)
{
    if (tcp->lent != NULL) {
        piece_free(memory, tcp->lent);
        tcp->lent = NULL;
    }
    if (side->flags & TCP_SIDE_ENDED) {
        drop_all(memory, side);
        return false;
    }
    if (next_piece(memory, tcp, side, chunk))
        return true;
    if (!is_over(tcp, side) || !has_said_anything(tcp))
        return false;
    return hand_over(tcp, side, chunk, NULL, 0, 0);
}

bool reef_tcp_next(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction,
                   const reef_packet *packet, reef_chunk *chunk)
{
    (void)options;
    reef_tcp *tcp = flow->tcp;
    if (tcp == NULL)
        return false;
    tcp_side *side = &tcp->side[direction];
    if (tcp->fresh > 0 && tcp->fresh_direction == direction && packet != NULL) {
        uint32_t length = tcp->fresh;
        tcp->fresh = 0;
        return hand_over(tcp, side, chunk, packet->payload + packet->payload_length - length, length, 0);
    }
    if (side->pieces == NULL && tcp->lent == NULL && tcp->state < REEF_TCP_CLOSED &&
        !(side->flags & (TCP_SIDE_FIN | TCP_SIDE_DEPTH | TCP_SIDE_FLUSH)))
        return false;
    return next_slow(memory, tcp, side, chunk);
}

void reef_tcp_flush(reef_flow *flow)
{
    if (flow->tcp == NULL)
        return;
    flow->tcp->side[0].flags |= TCP_SIDE_FLUSH;
    flow->tcp->side[1].flags |= TCP_SIDE_FLUSH;
}

void tcp_hold_free(reef_memory *memory, reef_tcp *tcp)
{
    if (tcp->lent != NULL)
        piece_free(memory, tcp->lent);
    drop_all(memory, &tcp->side[0]);
    drop_all(memory, &tcp->side[1]);
}
