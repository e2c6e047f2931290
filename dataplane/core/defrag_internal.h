/* Between the files of defrag only: the pieces of one datagram. */
#ifndef REEF_DEFRAG_INTERNAL_H
#define REEF_DEFRAG_INTERNAL_H

#include "reef/defrag.h"

typedef struct defrag_piece {
    uint32_t offset, length; /* in the datagram */
    uint32_t trimmed;        /* first bytes that a later fragment took over */
    bool gone;               /* a later fragment took it over whole */
    uint8_t data[];
} defrag_piece;

/* Sorted by offset; of the same offset the later one comes later. */
typedef struct defrag_pieces {
    defrag_piece **piece;
    uint32_t count, capacity;
    uint32_t end; /* where the furthest one ends */
} defrag_pieces;

typedef enum defrag_fit { DEFRAG_GO_ON, DEFRAG_INSERT, DEFRAG_DROP } defrag_fit;

/* Makes room for a fragment among those that are there: `*trimmed` of its first bytes belong to others. DEFRAG_DROP: all do. */
defrag_fit defrag_pieces_fit(defrag_pieces *pieces, reef_memory *memory, reef_defrag_policy policy, uint32_t offset,
                             uint32_t length, uint32_t *trimmed, bool *overlaps);
bool defrag_pieces_add(defrag_pieces *pieces, reef_memory *memory, uint32_t offset, const uint8_t *data, uint32_t length);
/* Is there no hole from 0 to the end? */
bool defrag_pieces_whole(const defrag_pieces *pieces);
void defrag_pieces_copy(const defrag_pieces *pieces, uint8_t *out);
void defrag_pieces_free(defrag_pieces *pieces, reef_memory *memory);

#endif
