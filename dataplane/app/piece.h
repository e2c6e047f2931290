/* Bytes of a stream that wait for the rest of theirs. */
#ifndef REEF_PIECE_H
#define REEF_PIECE_H

#include <stdbool.h>

#include "reef/memory.h"
#include "reef/view.h"

typedef struct reef_piece {
    uint8_t *data;
    uint32_t length, capacity;
} reef_piece;

/* False: no memory; the piece is as it was. */
bool reef_piece_add(reef_memory *memory, reef_piece *piece, reef_view bytes);
/* The first `n` bytes go. */
void reef_piece_drop(reef_piece *piece, uint32_t n);
void reef_piece_free(reef_memory *memory, reef_piece *piece);

#endif
