/* The pieces of a datagram, and who wins where two of them overlap. Each policy is what a family of systems does (Shankar and
 * Paxson, "Active Mapping", 2003; Novak, "Target-Based Fragmentation Reassembly", 2005), in the order of Suricata's, so that
 * the same datagram comes out. */
#include <string.h>

#include "defrag_internal.h"

static size_t size_of(const defrag_piece *piece)
{
    return sizeof *piece + piece->length;
}

static uint32_t end_of(const defrag_piece *piece)
{
    return piece->offset + piece->length;
}

static void take_out(defrag_pieces *pieces, reef_memory *memory, uint32_t i)
{
    defrag_piece *piece = pieces->piece[i];
    reef_memory_give(memory, piece, size_of(piece));
    memmove(&pieces->piece[i], &pieces->piece[i + 1], (pieces->count - i - 1) * sizeof(defrag_piece *));
    pieces->count--;
}

/* The first piece at or behind `offset`. */
static uint32_t first_at(const defrag_pieces *pieces, uint32_t offset)
{
    uint32_t low = 0, high = pieces->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (pieces->piece[middle]->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A fragment that comes in: from `offset` to `end`, `trimmed` of its first bytes lost. */
typedef struct newcomer {
    uint32_t offset, end, trimmed;
} newcomer;

static void trim(defrag_piece *piece, uint32_t to)
{
    if (piece != NULL && to > piece->offset)
        piece->trimmed = to - piece->offset;
}

/* What is there keeps its place against a later start; an earlier start takes over. */
static defrag_fit fit_bsd(newcomer *new, defrag_piece *old, defrag_piece *after)
{
    if (new->offset >= end_of(old))
        return DEFRAG_GO_ON;
    if (old->offset <= new->offset) {
        if (end_of(old) > new->end)
            return DEFRAG_DROP;
        new->trimmed = end_of(old) - new->offset;
    } else if (new->end > old->offset + old->trimmed) {
        trim(old, new->end);
    }
    trim(after, new->end);
    return DEFRAG_INSERT;
}

static defrag_fit fit_linux(newcomer *new, defrag_piece *old)
{
    uint32_t start = old->offset + old->trimmed;
    if (start < new->offset + new->trimmed && end_of(old) > new->offset + new->trimmed)
        new->trimmed += end_of(old) - new->offset;
    if (new->offset + new->trimmed < start && new->end > start) {
        trim(old, new->end);
        return DEFRAG_INSERT;
    }
    if (new->offset + new->trimmed <= start && new->end >= end_of(old)) {
        old->gone = true;
        return DEFRAG_INSERT;
    }
    return DEFRAG_GO_ON;
}

static defrag_fit fit_windows(newcomer *new, defrag_piece *old)
{
    uint32_t start = new->offset + new->trimmed;
    if (new->offset >= old->offset && new->end <= end_of(old))
        return DEFRAG_DROP;
    if (new->offset < old->offset && new->end > end_of(old)) {
        old->gone = true;
        return DEFRAG_INSERT;
    }
    if ((start > old->offset + old->trimmed && start < end_of(old)) ||
        (new->offset == old->offset && new->end > end_of(old))) {
        new->trimmed += end_of(old) - new->offset;
        return DEFRAG_INSERT;
    }
    return DEFRAG_GO_ON;
}

static defrag_fit fit_solaris(newcomer *new, defrag_piece *old)
{
    if (new->offset >= end_of(old))
        return DEFRAG_GO_ON;
    if (new->offset >= old->offset)
        new->trimmed = end_of(old) - new->offset;
    else if (new->end >= end_of(old))
        old->gone = true;
    return DEFRAG_INSERT;
}

static defrag_fit fit_first(newcomer *new, const defrag_piece *old)
{
    if (new->offset >= old->offset && new->end <= end_of(old))
        return DEFRAG_DROP;
    if (new->offset < old->offset)
        return DEFRAG_INSERT;
    if (new->offset >= end_of(old))
        return DEFRAG_GO_ON;
    new->trimmed = end_of(old) - new->offset;
    return DEFRAG_INSERT;
}

static defrag_fit fit_last(newcomer *new, defrag_piece *old)
{
    if (new->offset > old->offset)
        return DEFRAG_GO_ON;
    trim(old, new->end);
    return DEFRAG_INSERT;
}

static defrag_fit fit_one(reef_defrag_policy policy, newcomer *new, defrag_piece *old, defrag_piece *after)
{
    switch (policy) {
    case REEF_DEFRAG_BSD:
        return fit_bsd(new, old, after);
    case REEF_DEFRAG_LINUX:
        return fit_linux(new, old);
    case REEF_DEFRAG_WINDOWS:
        return fit_windows(new, old);
    case REEF_DEFRAG_SOLARIS:
        return fit_solaris(new, old);
    case REEF_DEFRAG_FIRST:
        return fit_first(new, old);
    case REEF_DEFRAG_LAST:
        return fit_last(new, old);
    }
    return DEFRAG_GO_ON;
}

defrag_fit defrag_pieces_fit(defrag_pieces *pieces, reef_memory *memory, reef_defrag_policy policy, uint32_t offset,
                             uint32_t length, uint32_t *trimmed, bool *overlaps)
{
    newcomer new = {.offset = offset, .end = offset + length};
    if (pieces->count == 0 || offset >= pieces->end) /* nothing reaches it */
        return DEFRAG_INSERT;
    uint32_t i = first_at(pieces, offset);
    i = i == pieces->count || i == 0 ? 0 : i - 1;
    defrag_fit fit = DEFRAG_GO_ON;
    for (; i < pieces->count && fit == DEFRAG_GO_ON; i++) {
        defrag_piece *old = pieces->piece[i];
        if (old->gone)
            continue;
        *overlaps |= new.offset < end_of(old) && old->offset < new.end;
        fit = fit_one(policy, &new, old, i + 1 < pieces->count ? pieces->piece[i + 1] : NULL);
        if (fit == DEFRAG_INSERT && (old->gone || old->trimmed >= old->length))
            take_out(pieces, memory, i--);
    }
    *trimmed = new.trimmed;
    return fit;
}

bool defrag_pieces_add(defrag_pieces *pieces, reef_memory *memory, uint32_t offset, const uint8_t *data, uint32_t length)
{
    if (pieces->count == pieces->capacity) {
        uint32_t capacity = pieces->capacity == 0 ? 4 : pieces->capacity * 2;
        defrag_piece **more = reef_memory_resize(memory, pieces->piece, pieces->capacity * sizeof *more,
                                                 capacity * sizeof *more);
        if (more == NULL)
            return false;
        pieces->piece = more;
        pieces->capacity = capacity;
    }
    defrag_piece *piece = reef_memory_get_raw(memory, sizeof *piece + length);
    if (piece == NULL)
        return false;
    *piece = (defrag_piece){.offset = offset, .length = length};
    memcpy(piece->data, data, length);
    uint32_t i = first_at(pieces, offset + 1);
    memmove(&pieces->piece[i + 1], &pieces->piece[i], (pieces->count - i) * sizeof(defrag_piece *));
    pieces->piece[i] = piece;
    pieces->count++;
    if (end_of(piece) > pieces->end)
        pieces->end = end_of(piece);
    return true;
}

bool defrag_pieces_whole(const defrag_pieces *pieces)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < pieces->count; i++) {
        const defrag_piece *piece = pieces->piece[i];
        if (piece->offset > end)
            return false;
        if (end_of(piece) > end)
            end = end_of(piece);
    }
    return end == pieces->end;
}

void defrag_pieces_copy(const defrag_pieces *pieces, uint8_t *out)
{
    for (uint32_t i = 0; i < pieces->count; i++) {
        const defrag_piece *piece = pieces->piece[i];
        if (!piece->gone && piece->trimmed < piece->length)
            memcpy(out + piece->offset + piece->trimmed, piece->data + piece->trimmed, piece->length - piece->trimmed);
    }
}

void defrag_pieces_free(defrag_pieces *pieces, reef_memory *memory)
{
    for (uint32_t i = 0; i < pieces->count; i++)
        reef_memory_give(memory, pieces->piece[i], size_of(pieces->piece[i]));
    reef_memory_give(memory, pieces->piece, pieces->capacity * sizeof(defrag_piece *));
    *pieces = (defrag_pieces){0};
}
