#include "reef/buffer.h"

#include <stddef.h>

static const char *const buffer_names[] = {
#define REEF_BUFFER(id, name, way, flags) name,
#include "reef/buffers.def"
#undef REEF_BUFFER
};

static const struct { uint8_t way, flags; } buffer_kinds[] = {
#define REEF_BUFFER(id, name, way, flags) {way, flags},
#include "reef/buffers.def"
#undef REEF_BUFFER
};

static const char *const value_names[] = {
#define REEF_VALUE(id, name, way) name,
#include "reef/values.def"
#undef REEF_VALUE
};

static const uint8_t value_ways[] = {
#define REEF_VALUE(id, name, way) way,
#include "reef/values.def"
#undef REEF_VALUE
};

const char *reef_buffer_name(unsigned kind)
{
    return kind < REEF_BUFFER_COUNT ? buffer_names[kind] : NULL;
}

unsigned reef_buffer_way(unsigned kind)
{
    return kind < REEF_BUFFER_COUNT ? buffer_kinds[kind].way : 0;
}

unsigned reef_buffer_flags(unsigned kind)
{
    return kind < REEF_BUFFER_COUNT ? buffer_kinds[kind].flags : 0;
}

const char *reef_value_name(unsigned kind)
{
    return kind < REEF_VALUE_COUNT ? value_names[kind] : NULL;
}

unsigned reef_value_way(unsigned kind)
{
    return kind < REEF_VALUE_COUNT ? value_ways[kind] : 0;
}
