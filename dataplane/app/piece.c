#include "piece.h"

#include <string.h>

enum { FIRST = 512 };

bool reef_piece_add(reef_memory *memory, reef_piece *piece, reef_view bytes)
{
    if (bytes.length == 0)
        return true;
    if (bytes.length > piece->capacity - piece->length) {
        uint64_t wanted = piece->capacity == 0 ? FIRST : piece->capacity;
        while (wanted < (uint64_t)piece->length + bytes.length)
            wanted *= 2;
        if (wanted > UINT32_MAX)
            return false;
        uint8_t *grown = reef_memory_resize(memory, piece->data, piece->capacity, wanted);
        if (grown == NULL)
            return false;
        piece->data = grown;
        piece->capacity = (uint32_t)wanted;
    }
    memcpy(piece->data + piece->length, bytes.data, bytes.length);
    piece->length += bytes.length;
    return true;
}

void reef_piece_drop(reef_piece *piece, uint32_t n)
{
    piece->length -= n;
    if (n > 0 && piece->length > 0)
        memmove(piece->data, piece->data + n, piece->length);
}

void reef_piece_free(reef_memory *memory, reef_piece *piece)
{
    reef_memory_give(memory, piece->data, piece->capacity);
    *piece = (reef_piece){0};
}
