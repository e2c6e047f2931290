/* What the files of the TCP tracker share. Names after RFC 9293 where it has one; the rules are those of Suricata 7. */
#ifndef REEF_TCP_INTERNAL_H
#define REEF_TCP_INTERNAL_H

#include "reef/bytes.h"
#include "reef/decode.h"
#include "reef/tcp.h"

/* A segment that cannot be handed over yet, with its own bytes. Where two overlap, both hold the same ones. */
typedef struct tcp_piece {
    struct tcp_piece *next; /* by sequence, then by length */
    uint32_t sequence;      /* of the segment, for the policies of overlapping */
    uint32_t length;
    uint32_t start;         /* bytes of it that were handed over already */
    uint32_t size;          /* of the allocation */
    uint8_t data[];
} tcp_piece;

/* What one end sends. */
typedef struct tcp_side {
    uint32_t next;       /* sequence number expected next */
    uint32_t acked;      /* highest acknowledgement of it by the other end */
    uint32_t window;     /* what the other end said it takes, scaled */
    uint32_t limit;      /* right edge of that window, which never falls */
    uint32_t base;       /* sequence number of the next byte to hand over */
    uint32_t initial;    /* the sequence number of its SYN */
    uint32_t stamp;      /* its last timestamp, and when that came (seconds) */
    uint32_t stamp_second;
    uint64_t offset;     /* bytes before base */
    tcp_piece *pieces, *last;
    uint32_t right;      /* highest end of the pieces */
    uint8_t *raw;        /* what stream rules have not seen yet, behind the tail of what they saw */
    uint64_t raw_at;     /* offset of raw[0] */
    uint32_t raw_length, raw_fresh, raw_capacity;
    uint32_t raw_split;  /* > 0: bytes in front of a gap of raw_gap bytes */
    uint32_t raw_gap;
    uint32_t fin;        /* sequence number of the byte after the last one, once known (TCP_SIDE_FIN) */
    uint16_t held;       /* pieces */
    uint16_t flags;      /* TCP_SIDE_... */
    uint8_t scale;       /* of windows that the other end says */
    uint8_t policy;
    uint8_t seen;        /* TCP flags that it sent */
} tcp_side;

enum {
    TCP_SIDE_STAMPED = 0x01,     /* its SYN carried a timestamp */
    TCP_SIDE_ZERO_STAMP = 0x02,  /* which was 0 */
    TCP_SIDE_RESET = 0x04,       /* got a RST of which it is open whether it believed it */
    TCP_SIDE_KEEPALIVE = 0x08,   /* sent one that is not answered yet */
    TCP_SIDE_FIN = 0x10,
    TCP_SIDE_ENDED = 0x20,       /* the end was handed over: nothing comes after it */
    TCP_SIDE_DEPTH = 0x40,       /* more than the depth: nothing more is kept */
    TCP_SIDE_NO_RAW = 0x80,      /* stream rules want no more of it */
    TCP_SIDE_FLUSH = 0x100,      /* the flow is over: jump over gaps */
};

enum {
    TCP_MIDSTREAM = 0x01,
    TCP_MIDSTREAM_SYNACK = 0x02,      /* picked up with the answer to a SYN */
    TCP_MIDSTREAM_ESTABLISHED = 0x04, /* picked up later, and the server's window is not known yet */
    TCP_ASYNC = 0x08,                 /* only one side is seen */
    TCP_FOUR_WAY = 0x10,
    TCP_STAMPS = 0x20,                /* both sides use timestamps */
    TCP_SCALES = 0x40,                /* the SYN offered window scaling */
    TCP_SACK_OFFERED = 0x80,
    TCP_FAST_OPEN = 0x100,
    TCP_FAST_OPEN_IGNORED = 0x200,
    TCP_EVASION = 0x400,              /* right sequence number with a wrong acknowledgement in the handshake */
    TCP_CONFIRMED = 0x800,            /* the server has answered after the handshake */
    TCP_PROBE_TO_SERVER = 0x1000,     /* a byte beyond a closed window was sent */
    TCP_PROBE_TO_CLIENT = 0x2000,
    TCP_CLOSED_BY_RST = 0x4000,
};

enum { TCP_SCALE_MAX = 14 }; /* RFC 7323 */

/* What the options of a SYN, or of an answer to one, say. */
typedef struct tcp_offered {
    bool sack, scales, fast_open;
    uint8_t scale;
} tcp_offered;

/* A SYN or an answer to one, as it might be the one that counts. */
typedef struct tcp_offer {
    struct tcp_offer *next;
    uint32_t sequence, acknowledgement, stamp, second;
    uint16_t window;
    uint8_t scale;
    bool scales, stamped, sack;
} tcp_offer;

struct reef_tcp {
    tcp_side side[2]; /* by direction: what the client sends, what the server sends */
    tcp_offer *offers;
    tcp_piece *lent;  /* handed over by the last call; goes with the next one */
    uint16_t flags;
    uint8_t state;    /* reef_tcp_state */
    uint8_t before;   /* the state before it */
    uint8_t offers_count;
    bool established; /* as rules see the packet at hand */
    uint8_t fresh_direction; /* the packet at hand is the next in order of this side */
    uint32_t fresh;          /* how many of its last bytes are new and can be handed over; 0: none */
};

/* Everything a step needs. */
typedef struct tcp_step {
    reef_memory *memory;
    const reef_tcp_options *options;
    reef_flow *flow;
    reef_tcp *tcp;
    reef_packet *packet;
    tcp_side *from, *to; /* the sender's bytes, the receiver's */
    int direction;
    uint32_t sequence, acknowledgement, length, window; /* of the packet; window not scaled */
    uint8_t tcp_flags;
    bool added;          /* the payload has become part of the stream */
    bool has_stamp;
    uint32_t stamp, stamp_echo;
} tcp_step;

/* Sequence numbers compare as on a circle. */
static inline bool seq_lt(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }
static inline bool seq_leq(uint32_t a, uint32_t b) { return (int32_t)(a - b) <= 0; }
static inline bool seq_gt(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }
static inline bool seq_geq(uint32_t a, uint32_t b) { return (int32_t)(a - b) >= 0; }

static inline uint32_t tcp_second(const tcp_step *s) { return (uint32_t)(s->packet->time_ns / 1000000000ull); }
static inline bool tcp_has(const tcp_step *s, unsigned flags) { return (s->tcp_flags & flags) == flags; }

/* The tracker's verdict on one packet. */
typedef enum tcp_verdict { TCP_FINE, TCP_WRONG } tcp_verdict;
static inline tcp_verdict tcp_wrong(const tcp_step *s, reef_decode_event event)
{
    reef_packet_event(s->packet, event);
    return TCP_WRONG;
}

static inline void tcp_set_state(tcp_step *s, reef_tcp_state state)
{
    s->tcp->before = s->tcp->state;
    s->tcp->state = (uint8_t)state;
}

/* tcp_check.c: is the packet what the other end would take? */
bool tcp_stamp_valid(const tcp_step *s);
void tcp_stamp_keep(tcp_step *s);
bool tcp_ack_valid(const tcp_step *s, const tcp_side *side);
bool tcp_rst_valid(const tcp_step *s);
bool tcp_retransmission(const tcp_step *s);
bool tcp_skipped(tcp_step *s); /* keep-alives, probes, outdated acknowledgements */
void tcp_read_options(tcp_step *s);
uint32_t tcp_sacked(const tcp_step *s);

static inline void tcp_ack(tcp_side *side, uint32_t acknowledgement)
{
    if (seq_gt(acknowledgement, side->acked))
        side->acked = acknowledgement;
}

/* Move what is expected next; where only one side is seen, that counts as acknowledged too. */
static inline void tcp_expect(const tcp_step *s, tcp_side *side, uint32_t next)
{
    side->next = next;
    if (s->tcp->flags & TCP_ASYNC && seq_gt(next, side->acked))
        side->acked = next;
}

/* tcp_open.c, tcp_run.c, tcp_close.c: one packet in each state. */
tcp_verdict tcp_none(tcp_step *s);
tcp_verdict tcp_syn_sent(tcp_step *s);
tcp_verdict tcp_syn_received(tcp_step *s);
tcp_verdict tcp_established(tcp_step *s);
tcp_verdict tcp_take_fin(tcp_step *s);
tcp_verdict tcp_reset(tcp_step *s);
tcp_verdict tcp_fin_wait1(tcp_step *s);
tcp_verdict tcp_fin_wait2(tcp_step *s);
tcp_verdict tcp_closing(tcp_step *s);
tcp_verdict tcp_close_wait(tcp_step *s);
tcp_verdict tcp_last_ack(tcp_step *s);
tcp_verdict tcp_time_wait(tcp_step *s);
tcp_verdict tcp_dispatch(tcp_step *s, unsigned state);
/* The tracker of a flow that has none. */
bool tcp_begin(tcp_step *s);

/* tcp_offer.c: SYNs and answers, of which one counts. The two that add return false when there are too many. */
tcp_offered tcp_offered_read(const tcp_step *s);
tcp_offer tcp_offer_of(const tcp_step *s);
bool tcp_offer_add(tcp_step *s, const tcp_offer *offer, reef_decode_event full);
bool tcp_answer_add(tcp_step *s);
const tcp_offer *tcp_answer_find(const tcp_step *s);
const tcp_offer *tcp_syn_find(const tcp_step *s, bool stamped, uint32_t stamp);
void tcp_offers_free(reef_memory *memory, reef_tcp *tcp);

/* tcp_hold.c: the payload of an accepted packet. */
void tcp_take(tcp_step *s);
static inline void tcp_base(tcp_side *side, uint32_t initial)
{
    side->initial = initial;
    side->base = initial + 1;
}
void tcp_hold_free(reef_memory *memory, reef_tcp *tcp);
void tcp_raw_free(reef_memory *memory, reef_tcp *tcp);
/* Does what stream rules still have of a side differ from `data` where both cover the same bytes? */
bool tcp_raw_differs(const tcp_side *side, uint32_t sequence, const uint8_t *data, uint32_t length);
/* May bytes that were never seen be jumped over? */
static inline bool tcp_gap_open(const reef_tcp *tcp, const tcp_side *side)
{
    return side->flags & TCP_SIDE_FLUSH || seq_gt(side->acked - (tcp->state >= REEF_TCP_FIN_WAIT1), side->base);
}

#endif
