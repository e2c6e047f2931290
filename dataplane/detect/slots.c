#include <stdlib.h>
#include <string.h>

#include "match_internal.h"
#include "reef/status.h"

typedef struct slot_name {
    uint32_t kind, length;
    uint32_t next; /* in its bucket */
    char *text;
} slot_name;

enum { BUCKETS = 1024 };

struct name_slots {
    slot_name *name;
    uint32_t count, room;
    uint32_t bucket[BUCKETS]; /* 1 + index, 0: none */
};

int slots_new(name_slots **out)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? REEF_NOMEM : REEF_OK;
}

void slots_free(name_slots *slots)
{
    if (slots == NULL)
        return;
    for (uint32_t i = 0; i < slots->count; i++)
        free(slots->name[i].text);
    free(slots->name);
    free(slots);
}

uint32_t slots_count(const name_slots *slots)
{
    return slots->count;
}

uint32_t slots_of(name_slots *slots, uint32_t kind, reef_view name)
{
    uint32_t hash = kind;
    for (uint32_t i = 0; i < name.length; i++)
        hash = hash * 16777619u ^ name.data[i];
    uint32_t *bucket = &slots->bucket[(hash ^ hash >> 15) % BUCKETS];
    for (uint32_t i = *bucket; i != 0; i = slots->name[i - 1].next) {
        const slot_name *known = &slots->name[i - 1];
        if (known->kind == kind && known->length == name.length && memcmp(known->text, name.data, name.length) == 0)
            return i - 1;
    }
    if (slots->count == slots->room) {
        uint32_t room = slots->room > 0 ? 2 * slots->room : 64;
        slot_name *grown = realloc(slots->name, room * sizeof *grown);
        if (grown == NULL)
            return UINT32_MAX;
        slots->name = grown;
        slots->room = room;
    }
    char *text = malloc(name.length + 1u);
    if (text == NULL)
        return UINT32_MAX;
    memcpy(text, name.data, name.length);
    slots->name[slots->count] = (slot_name){.kind = kind, .length = name.length, .text = text, .next = *bucket};
    *bucket = ++slots->count;
    return slots->count - 1;
}

reef_view slots_name(const name_slots *slots, uint32_t slot, uint32_t *kind)
{
    const slot_name *known = &slots->name[slot];
    *kind = known->kind;
    return (reef_view){(const uint8_t *)known->text, known->length};
}
