/* body: the bytes of an entity (a message's body, a file) as detection looks at them: in windows, of which the first waits
 * until there is enough to tell something, and only up to a limit (Suricata's request-body-* and response-body-*). Later
 * windows come when there are `window` new bytes, or at the end: one for each packet would look at the same bytes ten times. */
#ifndef REEF_BODY_H
#define REEF_BODY_H

#include "reef/buffer.h"
#include "reef/memory.h"

typedef struct reef_body_limits {
    uint32_t limit;   /* bytes of the entity that are looked at at all; 0: no limit */
    uint32_t minimal; /* first window: this many bytes, or the end of the entity */
    uint32_t window;  /* new bytes of a later window; a quarter of it in front is looked at once more */
} reef_body_limits;

typedef struct reef_body {
    uint8_t *data;
    uint32_t length, capacity;
    uint64_t at;        /* offset in the entity of data[0] */
    uint64_t size;      /* of the entity so far, looked at or not */
    uint64_t inspected; /* offset up to which detection has looked */
    bool ended;
    bool lost;          /* no memory for some of it: what follows is not looked at */
} reef_body;

/* Bytes of the entity. True when there is a new window now. */
bool reef_body_add(reef_body *body, reef_memory *memory, const reef_body_limits *limits, reef_view bytes);
/* A hole of `missing` bytes: detection sees zeros in its place. True as above. */
bool reef_body_gap(reef_body *body, reef_memory *memory, const reef_body_limits *limits, uint32_t missing);
/* The entity ends. True when that makes a new window. */
bool reef_body_end(reef_body *body, const reef_body_limits *limits);
/* What there is to look at: the new window, or what is still held of the last one. False: there is none yet. */
bool reef_body_window(const reef_body *body, const reef_body_limits *limits, reef_buffer *out);
/* Detection has looked: what lies more than a window behind goes. */
void reef_body_inspected(reef_body *body, reef_memory *memory, const reef_body_limits *limits);
void reef_body_free(reef_body *body, reef_memory *memory);

#endif
