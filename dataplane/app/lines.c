#include "lines.h"

#include <string.h>

enum { FIRST_CAPACITY = 512 };

static bool hold(reef_lines *lines, reef_memory *memory, const uint8_t *data, uint32_t length)
{
    uint32_t wanted = lines->length + length;
    if (wanted > lines->capacity) {
        uint32_t capacity = lines->capacity != 0 ? lines->capacity : FIRST_CAPACITY;
        while (capacity < wanted)
            capacity *= 2;
        uint8_t *fresh = reef_memory_resize(memory, lines->data, lines->capacity, capacity);
        if (fresh == NULL)
            return false;
        lines->data = fresh;
        lines->capacity = capacity;
    }
    memcpy(lines->data + lines->length, data, length);
    lines->length = wanted;
    return true;
}

static bool give(reef_lines *lines, reef_view text, bool ends, reef_line *out)
{
    unsigned end = 0;
    if (ends)
        end = text.length >= 2 && text.data[text.length - 2] == '\r' ? 2 : 1;
    *out = (reef_line){{text.data, text.length - end}, (uint8_t)end, !lines->inside};
    lines->inside = !ends;
    return true;
}

bool reef_lines_next(reef_lines *lines, reef_memory *memory, reef_view *rest, uint32_t limit, reef_line *out)
{
    if (lines->given) {
        lines->length = 0;
        lines->given = false;
    }
    if (rest->length == 0)
        return false;
    uint32_t room = limit - lines->length, look = rest->length < room ? rest->length : room;
    const uint8_t *end = memchr(rest->data, '\n', look);
    uint32_t take = end != NULL ? (uint32_t)(end - rest->data) + 1 : look;
    reef_view piece = {rest->data, take};
    bool whole = end != NULL || take == room;
    if (lines->length > 0 || !whole) {
        if (!hold(lines, memory, piece.data, take)) { /* no memory: what was held is lost */
            lines->length = 0;
            *rest = (reef_view){rest->data + take, rest->length - take};
            return whole && give(lines, piece, end != NULL, out);
        }
        piece = (reef_view){lines->data, lines->length};
        lines->given = whole;
    }
    *rest = (reef_view){rest->data + take, rest->length - take};
    return whole && give(lines, piece, end != NULL, out);
}

bool reef_lines_last(reef_lines *lines, reef_line *out)
{
    if (lines->given || lines->length == 0)
        return false;
    lines->given = true;
    return give(lines, (reef_view){lines->data, lines->length}, false, out);
}

void reef_lines_free(reef_lines *lines, reef_memory *memory)
{
    reef_memory_give(memory, lines->data, lines->capacity);
    *lines = (reef_lines){0};
}
