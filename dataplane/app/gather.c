#include "gather.h"

#include <string.h>

static bool make_room(app_gather *gather, reef_memory *memory, uint32_t length)
{
    if (length <= gather->capacity)
        return true;
    uint32_t capacity = gather->capacity < 256 ? 256 : gather->capacity;
    while (capacity < length)
        capacity = capacity > UINT32_MAX / 2 ? length : capacity * 2;
    uint8_t *data = reef_memory_resize(memory, gather->data, gather->capacity, capacity);
    if (data == NULL)
        return false;
    gather->data = data;
    gather->capacity = capacity;
    return true;
}

reef_view app_gather_join(app_gather *gather, reef_memory *memory, reef_view bytes)
{
    if (gather->length == 0)
        return bytes;
    if (bytes.length > UINT32_MAX - gather->length || !make_room(gather, memory, gather->length + bytes.length))
        return (reef_view){NULL, 0};
    memcpy(gather->data + gather->length, bytes.data, bytes.length);
    gather->length += bytes.length;
    return (reef_view){gather->data, gather->length};
}

bool app_gather_keep(app_gather *gather, reef_memory *memory, reef_view rest)
{
    bool inside = gather->data != NULL && rest.data >= gather->data && rest.data <= gather->data + gather->length;
    if (rest.length == 0) {
        app_gather_free(gather, memory);
        return true;
    }
    if (!inside && !make_room(gather, memory, rest.length)) {
        app_gather_free(gather, memory);
        return false;
    }
    if (gather->data != NULL)
        memmove(gather->data, rest.data, rest.length);
    gather->length = rest.length;
    return true;
}

void app_gather_free(app_gather *gather, reef_memory *memory)
{
    reef_memory_give(memory, gather->data, gather->capacity);
    *gather = (app_gather){0};
}
