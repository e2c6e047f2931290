/* memory: what one worker may take for conversations, and who has it. Every variable piece of inspection state (held
 * bytes, sessions, transactions, bodies) comes from here, so that one limit bounds them all. */
#ifndef REEF_MEMORY_H
#define REEF_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct reef_memory reef_memory;

int reef_memory_new(size_t limit, reef_memory **out);
void reef_memory_free(reef_memory *memory);

/* Zeroed bytes, or NULL at the limit (counted): the asker goes without, and says so in an event. */
void *reef_memory_get(reef_memory *memory, size_t size);
/* The same, not zeroed. */
void *reef_memory_get_raw(reef_memory *memory, size_t size);
/* `data` NULL is nothing. `size` is what was asked for. */
void reef_memory_give(reef_memory *memory, void *data, size_t size);
/* Like realloc; on NULL the old piece stays as it was. */
void *reef_memory_resize(reef_memory *memory, void *data, size_t old_size, size_t size);

typedef struct reef_memory_counters {
    size_t used, peak, limit;
    uint64_t refused;
} reef_memory_counters;

void reef_memory_count(const reef_memory *memory, reef_memory_counters *counters);

/* --- arena: pieces of one owner that go together ---------------------------------------------------- */

typedef struct reef_arena_block reef_arena_block;

typedef struct reef_arena {
    reef_memory *memory;
    reef_arena_block *block; /* newest first */
} reef_arena;

static inline void reef_arena_init(reef_arena *arena, reef_memory *memory)
{
    arena->memory = memory;
    arena->block = NULL;
}
void reef_arena_free(reef_arena *arena);
/* Not zeroed, aligned to 8; NULL at the limit. */
void *reef_arena_get(reef_arena *arena, size_t size);
/* A copy of `length` bytes; NULL at the limit. */
uint8_t *reef_arena_copy(reef_arena *arena, const uint8_t *data, size_t length);

#endif
