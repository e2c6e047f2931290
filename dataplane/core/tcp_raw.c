/* What stream rules look at: bytes in order, gathered so that a rule is not asked for every small segment, with the tail of
 * what was looked at before, so that nothing hides across the border. */
#include <string.h>

#include "tcp_internal.h"

static void raw_give(reef_memory *memory, tcp_side *side)
{
    reef_memory_give(memory, side->raw, side->raw_capacity);
    side->raw = NULL;
    side->raw_capacity = side->raw_length = side->raw_fresh = side->raw_split = 0;
}

void tcp_raw_free(reef_memory *memory, reef_tcp *tcp)
{
    raw_give(memory, &tcp->side[0]);
    raw_give(memory, &tcp->side[1]);
}

static bool raw_room(reef_memory *memory, const reef_tcp_options *options, tcp_side *side, uint32_t more)
{
    uint32_t need = side->raw_length + more;
    if (need <= side->raw_capacity)
        return true;
    /* Small segments shall not make it grow time and again; one that is a chunk by itself takes what it needs. */
    uint32_t capacity = need;
    if (need < options->raw_chunk)
        capacity = need < options->raw_chunk / 2 ? 2 * need : options->raw_chunk + REEF_TCP_RAW_TAIL;
    uint8_t *grown = reef_memory_resize(memory, side->raw, side->raw_capacity, capacity);
    if (grown == NULL)
        return false;
    side->raw = grown;
    side->raw_capacity = capacity;
    return true;
}

void reef_tcp_raw_add(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, const reef_chunk *chunk)
{
    tcp_side *side = &flow->tcp->side[direction];
    if (side->flags & TCP_SIDE_NO_RAW || chunk->bytes.length == 0)
        return;
    if (chunk->missing > 0) {
        if (side->raw_fresh == 0) {
            side->raw_length = 0;
        } else if (side->raw_split == 0) {
            side->raw_split = side->raw_length;
            side->raw_gap = chunk->missing;
        }
    }
    if (!raw_room(memory, options, side, chunk->bytes.length)) {
        raw_give(memory, side); /* nothing can be looked at together with bytes that are lost */
        return;
    }
    if (side->raw_length == 0)
        side->raw_at = chunk->offset;
    memcpy(side->raw + side->raw_length, chunk->bytes.data, chunk->bytes.length);
    side->raw_length += chunk->bytes.length;
    side->raw_fresh += chunk->bytes.length;
}

bool reef_tcp_raw(reef_memory *memory, const reef_tcp_options *options, reef_flow *flow, int direction, bool flush, reef_raw *raw)
{
    (void)memory;
    reef_tcp *tcp = flow->tcp;
    tcp_side *side = &tcp->side[direction];
    if (side->raw_fresh == 0)
        return false;
    if (side->raw_split > 0) {
        uint32_t behind = side->raw_length - side->raw_split;
        *raw = (reef_raw){{side->raw, side->raw_split}, side->raw_at, side->raw_fresh - behind};
        return true;
    }
    if (!flush && side->raw_fresh < options->raw_chunk && tcp->state <= REEF_TCP_TIME_WAIT &&
        !(side->flags & (TCP_SIDE_ENDED | TCP_SIDE_DEPTH)))
        return false;
    *raw = (reef_raw){{side->raw, side->raw_length}, side->raw_at, side->raw_fresh};
    return true;
}

void reef_tcp_raw_done(reef_memory *memory, reef_flow *flow, int direction)
{
    tcp_side *side = &flow->tcp->side[direction];
    if (side->raw_split > 0) {
        side->raw_length -= side->raw_split;
        memmove(side->raw, side->raw + side->raw_split, side->raw_length);
        side->raw_at += side->raw_split + side->raw_gap;
        side->raw_fresh = side->raw_length;
        side->raw_split = 0;
        return;
    }
    side->raw_fresh = 0;
    if (side->flags & (TCP_SIDE_ENDED | TCP_SIDE_DEPTH)) {
        raw_give(memory, side);
        return;
    }
    uint32_t tail = side->raw_length < REEF_TCP_RAW_TAIL ? side->raw_length : REEF_TCP_RAW_TAIL;
    side->raw_at += side->raw_length - tail;
    const uint8_t *from = side->raw + side->raw_length - tail;
    side->raw_length = tail;
    if (side->raw_capacity > REEF_TCP_RAW_TAIL) { /* only the tail is kept between two chunks */
        uint8_t *kept = reef_memory_get_raw(memory, REEF_TCP_RAW_TAIL);
        if (kept == NULL) {
            raw_give(memory, side);
            return;
        }
        memcpy(kept, from, tail);
        reef_memory_give(memory, side->raw, side->raw_capacity);
        side->raw = kept;
        side->raw_capacity = REEF_TCP_RAW_TAIL;
    } else if (from != side->raw) {
        memmove(side->raw, from, tail);
    }
}

void reef_tcp_raw_stop(reef_memory *memory, reef_flow *flow, int direction)
{
    tcp_side *side = &flow->tcp->side[direction];
    side->flags |= TCP_SIDE_NO_RAW;
    raw_give(memory, side);
}

bool tcp_raw_differs(const tcp_side *side, uint32_t sequence, const uint8_t *data, uint32_t length)
{
    uint32_t have = side->raw_length - side->raw_split; /* bytes in front of base that are still here */
    uint32_t end = side->base - sequence;               /* of `data` in front of base */
    if (have == 0 || end == 0)
        return false;
    const uint8_t *kept = side->raw + side->raw_length; /* its end is base */
    uint32_t skip = end > have ? end - have : 0;
    if (skip >= length)
        return false;
    return memcmp(data + skip, kept - (end - skip), length - skip) != 0;
}
