/* lines: what line-based protocols read, cut at LF. A line that lies whole in the chunk is pointed into; only a line that is
 * cut by the end of the chunk is copied. */
#ifndef REEF_LINES_H
#define REEF_LINES_H

#include <stdbool.h>

#include "reef/memory.h"
#include "reef/view.h"

typedef struct reef_lines {
    uint8_t *data;
    uint32_t length, capacity;
    bool inside; /* the next bytes are in the middle of a line */
    bool given;  /* what is held was handed out */
} reef_lines;

typedef struct reef_line {
    reef_view text; /* without CR LF; valid until the next call */
    uint8_t end;    /* bytes of the line's end: 2, 1, or 0 when this is only a piece of a long line */
    bool begins;    /* the first piece of its line */
} reef_line;

/* The next line of `rest`, which moves on. Lines longer than `limit` come in pieces of that size, however the stream was
 * cut. False: none is complete; the rest is held. */
bool reef_lines_next(reef_lines *lines, reef_memory *memory, reef_view *rest, uint32_t limit, reef_line *out);
/* What is held of an unfinished line; false: nothing. */
bool reef_lines_last(reef_lines *lines, reef_line *out);
void reef_lines_free(reef_lines *lines, reef_memory *memory);

#endif
