/* Pieces come from free lists by size class, cut from slabs that are kept until the end: a flow that comes and goes costs no
 * call of the system's allocator. Under a sanitizer every piece is the system's own, so that it can watch them. */
#include "reef/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "reef/status.h"

#if defined(__SANITIZE_ADDRESS__)
#define SYSTEM_ONLY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SYSTEM_ONLY 1
#endif
#endif
#ifndef SYSTEM_ONLY
#define SYSTEM_ONLY 0
#endif

enum { SMALLEST_SHIFT = 5, LARGEST_SHIFT = 14, CLASSES = 2 * (LARGEST_SHIFT - SMALLEST_SHIFT) + 1 };
#define SLAB_BYTES ((size_t)256 << 10)
/* A worker that keeps much gets it in large pages, if the system has them: fewer faults, and addresses that cost little. */
#define LARGE_SLAB_BYTES ((size_t)2 << 20)
enum { SMALL_SLABS = 8 };

typedef struct piece { struct piece *next; } piece;
typedef struct slab { struct slab *next; } slab;

struct reef_memory {
    piece *free[CLASSES];
    slab *slabs;
    unsigned slabs_count;
    uint8_t *at, *end; /* what is left of the newest slab */
    reef_memory_counters counters;
};

int reef_memory_new(size_t limit, reef_memory **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return REEF_NOMEM;
    (*out)->counters.limit = limit;
    return REEF_OK;
}

void reef_memory_free(reef_memory *memory)
{
    if (memory == NULL)
        return;
    for (slab *next, *s = memory->slabs; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    free(memory);
}

void reef_memory_count(const reef_memory *memory, reef_memory_counters *counters)
{
    *counters = memory->counters;
}

/* Classes are 32, 48, 64, 96, 128, … bytes: each power of two and the middle to the next one. -1: too large for one. */
static int class_of(size_t size)
{
    if (size > (size_t)1 << LARGEST_SHIFT)
        return -1;
    if (size <= (size_t)1 << SMALLEST_SHIFT)
        return 0;
    int shift = 63 - __builtin_clzll(size - 1); /* 2^shift < size <= 2^(shift+1) */
    int middle = size <= ((size_t)3 << (shift - 1));
    return 2 * (shift - SMALLEST_SHIFT) + (middle ? 1 : 2);
}

static size_t size_of_class(int number)
{
    size_t power = (size_t)1 << (SMALLEST_SHIFT + number / 2);
    return number % 2 ? power + power / 2 : power;
}

static slab *slab_new(size_t size)
{
    if (size < LARGE_SLAB_BYTES)
        return malloc(size);
    slab *large = aligned_alloc(LARGE_SLAB_BYTES, size);
    if (large != NULL)
        (void)madvise(large, size, MADV_HUGEPAGE);
    return large;
}

static void *cut(reef_memory *memory, size_t size)
{
    if ((size_t)(memory->end - memory->at) < size) {
        size_t bytes = memory->slabs_count < SMALL_SLABS ? SLAB_BYTES : LARGE_SLAB_BYTES;
        slab *fresh = slab_new(bytes);
        if (fresh == NULL)
            return NULL;
        memory->slabs_count++;
        fresh->next = memory->slabs;
        memory->slabs = fresh;
        memory->at = (uint8_t *)fresh + 16;
        memory->end = (uint8_t *)fresh + bytes;
    }
    void *data = memory->at;
    memory->at += size;
    return data;
}

void *reef_memory_get_raw(reef_memory *memory, size_t size)
{
    if (size > memory->counters.limit - memory->counters.used) {
        memory->counters.refused++;
        return NULL;
    }
    int number = SYSTEM_ONLY ? -1 : class_of(size);
    void *data;
    if (number < 0) {
        data = malloc(size > 0 ? size : 1);
    } else if (memory->free[number] != NULL) {
        data = memory->free[number];
        memory->free[number] = memory->free[number]->next;
    } else {
        data = cut(memory, size_of_class(number));
    }
    if (data == NULL) {
        memory->counters.refused++;
        return NULL;
    }
    memory->counters.used += size;
    if (memory->counters.used > memory->counters.peak)
        memory->counters.peak = memory->counters.used;
    return data;
}

void *reef_memory_get(reef_memory *memory, size_t size)
{
    void *data = reef_memory_get_raw(memory, size);
    if (data != NULL)
        memset(data, 0, size);
    return data;
}

void reef_memory_give(reef_memory *memory, void *data, size_t size)
{
    if (data == NULL)
        return;
    memory->counters.used -= size;
    int number = SYSTEM_ONLY ? -1 : class_of(size);
    if (number < 0) {
        free(data);
        return;
    }
    piece *freed = data;
    freed->next = memory->free[number];
    memory->free[number] = freed;
}

void *reef_memory_resize(reef_memory *memory, void *data, size_t old_size, size_t size)
{
    if (data != NULL && !SYSTEM_ONLY && class_of(size) >= 0 && class_of(size) == class_of(old_size)) {
        if (size > old_size && size - old_size > memory->counters.limit - memory->counters.used) {
            memory->counters.refused++;
            return NULL;
        }
        memory->counters.used = memory->counters.used + size - old_size;
        if (memory->counters.used > memory->counters.peak)
            memory->counters.peak = memory->counters.used;
        return data;
    }
    void *fresh = reef_memory_get_raw(memory, size);
    if (fresh == NULL)
        return NULL;
    if (data != NULL)
        memcpy(fresh, data, old_size < size ? old_size : size);
    reef_memory_give(memory, data, old_size);
    return fresh;
}

/* --- arena ------------------------------------------------------------------------------------------- */

struct reef_arena_block {
    reef_arena_block *next;
    uint32_t size, used; /* of the whole block, with this head */
};

enum { ARENA_FIRST = 512, ARENA_LARGEST = 16384 };

void *reef_arena_get(reef_arena *arena, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    reef_arena_block *block = arena->block;
    if (block == NULL || block->size - block->used < size) {
        size_t wanted = block == NULL ? ARENA_FIRST : 2 * (size_t)block->size;
        if (wanted > ARENA_LARGEST)
            wanted = ARENA_LARGEST;
        if (wanted < size + sizeof *block)
            wanted = size + sizeof *block;
        if (wanted > UINT32_MAX)
            return NULL;
        block = reef_memory_get_raw(arena->memory, wanted);
        if (block == NULL)
            return NULL;
        *block = (reef_arena_block){.next = arena->block, .size = (uint32_t)wanted, .used = sizeof *block};
        arena->block = block;
    }
    void *data = (uint8_t *)block + block->used;
    block->used += (uint32_t)size;
    return data;
}

uint8_t *reef_arena_copy(reef_arena *arena, const uint8_t *data, size_t length)
{
    uint8_t *copy = reef_arena_get(arena, length);
    if (copy != NULL && length > 0)
        memcpy(copy, data, length);
    return copy;
}

void reef_arena_free(reef_arena *arena)
{
    for (reef_arena_block *next, *block = arena->block; block != NULL; block = next) {
        next = block->next;
        reef_memory_give(arena->memory, block, block->size);
    }
    arena->block = NULL;
}
