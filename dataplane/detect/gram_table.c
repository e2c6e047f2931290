/* gram_table: building it. */
#include <stdlib.h>

#include "reef/status.h"
#include "scanner_internal.h"

static int compare_grams(const void *a, const void *b)
{
    const gram_entry *x = a, *y = b;
    uint32_t p = entry_gram(x) * SPREAD, q = entry_gram(y) * SPREAD;
    if (p != q)
        return p < q ? -1 : 1;
    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

/* The bytes round a gram tell most places apart before the pattern itself is fetched. */
static gram_entry entry_of(const scanner *of, uint32_t number, uint32_t at)
{
    const kept_pattern *pattern = &of->pattern[number];
    uint32_t last = pattern->length > WINDOW ? pattern->length - WINDOW : 0, front = at > 2 ? at - 2 : 0;
    uint32_t from = front < last ? front : last;
    uint8_t value[WINDOW] = {0}, mask[WINDOW] = {0};
    for (uint32_t k = 0; k < WINDOW && from + k < pattern->length; k++) {
        value[k] = (uint8_t)(of->text[pattern->text + from + k] | (FOLD & 0xff));
        mask[k] = UINT8_MAX;
    }
    gram_entry entry = {.pattern = number & 0xffffff, .at = at & 0xff, .aside = at - from};
    memcpy(&entry.value, value, sizeof value);
    memcpy(&entry.mask, mask, sizeof mask);
    return entry;
}

static int map_new(uint32_t grams, gram_map *map)
{
    unsigned bits = BITS_MIN;
    while (bits < BITS_MAX && 1u << bits < SPARSE * grams)
        bits++;
    map->shift = 32 - (bits - 3);
    map->seen = calloc(1u << (bits - 3), sizeof *map->seen);
    return map->seen != NULL ? REEF_OK : REEF_NOMEM;
}

static void map_add(gram_map *map, uint32_t gram, uint8_t nearby)
{
    map->seen[gram * SPREAD >> map->shift] |= nearby;
}

/* Maps, tags and buckets over entries that stand in their order. */
static int index_grams(const scanner *of, gram_table *made)
{
    uint32_t middle = 0, at = 0;
    unsigned bits = 4;
    for (uint32_t i = 0; i < made->grams; i++)
        middle += of->pattern[made->gram[i].pattern].length < FAR_MIN;
    while (1u << bits < made->grams && bits < BITS_MAX)
        bits++;
    made->bucket_shift = 32 - bits;
    made->buckets = 1u << bits;
    made->bucket = calloc(made->buckets + 1u, sizeof *made->bucket);
    made->tag = calloc(made->buckets, sizeof *made->tag);
    if (made->bucket == NULL || made->tag == NULL || map_new(made->grams, &made->all) != REEF_OK ||
        (middle > 0 && map_new(middle, &made->between) != REEF_OK))
        return REEF_NOMEM;
    for (uint32_t b = 0; b < made->buckets; b++) {
        made->bucket[b] = at;
        for (; at < made->grams && entry_gram(&made->gram[at]) * SPREAD >> made->bucket_shift == b; at++) {
            const gram_entry *entry = &made->gram[at];
            const kept_pattern *pattern = &of->pattern[entry->pattern];
            bool known = entry->at + (uint32_t)(GRAM + TAGGED) <= pattern->length;
            const uint8_t *gram = of->text + pattern->text + entry->at;
            uint8_t nearby = known ? nearby_of(gram + GRAM) : UINT8_MAX;
            map_add(&made->all, entry_gram(entry), nearby);
            if (pattern->length < FAR_MIN)
                map_add(&made->between, entry_gram(entry), nearby);
            made->tag[b] |= known ? tag_behind(gram) : UINT32_MAX;
            made->tag[b] |= entry->at >= TAGGED ? tag_in_front(gram) : (uint64_t)UINT32_MAX << 32;
        }
    }
    made->bucket[made->buckets] = at;
    return REEF_OK;
}

int gram_table_build(const scanner *of, const uint64_t *taken, const gram_table *whole, gram_table *made)
{
    uint32_t count = 0, own = 0, worth;
    for (uint32_t i = 0; i < of->patterns; i++)
        count += !bit_of(taken, i) ? 0 : of->pattern[i].length < FAR_MIN ? 2 : 4;
    if (count == 0)
        return REEF_OK;
    made->gram = calloc(count, sizeof *made->gram);
    if (made->gram == NULL)
        return REEF_NOMEM;
    for (uint32_t i = 0; whole != NULL && i < whole->grams; i++)
        if (bit_of(taken, whole->gram[i].pattern))
            made->gram[made->grams++] = whole->gram[i];
    own = made->grams;
    for (uint32_t i = 0; own < count && i < of->patterns; i++) {
        const kept_pattern *pattern = &of->pattern[i];
        if (!bit_of(taken, i) || (whole != NULL && (pattern->length >= FAR_MIN || whole->between.seen != NULL)))
            continue;
        uint32_t width = pattern->length < FAR_MIN ? 2 : 4, length = pattern->length;
        if (length >= FAR_MIN + TAGGED) /* with room for the bytes behind the last gram */
            length -= TAGGED;
        uint32_t place = scanner_best_place((reef_view){of->text + pattern->text, length}, width, &worth);
        for (uint32_t k = 0; k < width; k++)
            made->gram[made->grams++] = entry_of(of, i, place + k);
    }
    if (made->grams > own)
        qsort(made->gram, made->grams, sizeof *made->gram, compare_grams);
    return index_grams(of, made);
}

void gram_table_free(gram_table *gone)
{
    free(gone->all.seen);
    free(gone->between.seen);
    free(gone->bucket);
    free(gone->tag);
    free(gone->gram);
    *gone = (gram_table){0};
}

static size_t map_memory(const gram_map *map)
{
    return map->seen != NULL ? (size_t)1 << (32 - map->shift) : 0;
}

size_t gram_table_memory(const gram_table *of)
{
    return map_memory(&of->all) + map_memory(&of->between) + of->buckets * (sizeof *of->bucket + sizeof *of->tag) + of->grams * sizeof *of->gram;
}
