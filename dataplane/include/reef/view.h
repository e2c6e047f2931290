/* A stretch of bytes that somebody else owns. */
#ifndef REEF_VIEW_H
#define REEF_VIEW_H

#include <stdint.h>

typedef struct reef_view {
    const uint8_t *data;
    uint32_t length;
} reef_view;

#endif
