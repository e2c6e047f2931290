/* gather: bytes of a message that came in pieces, joined only when they did. */
#ifndef REEF_APP_GATHER_H
#define REEF_APP_GATHER_H

#include <stdbool.h>

#include "reef/memory.h"
#include "reef/view.h"

typedef struct app_gather {
    uint8_t *data;
    uint32_t length, capacity;
} app_gather;

/* What was kept, and these bytes behind it: borrowed until the next call. data NULL: no memory. */
reef_view app_gather_join(app_gather *gather, reef_memory *memory, reef_view bytes);
/* The end of what was joined, to be kept for later. False: no memory; nothing is kept. */
bool app_gather_keep(app_gather *gather, reef_memory *memory, reef_view rest);
void app_gather_free(app_gather *gather, reef_memory *memory);

#endif
