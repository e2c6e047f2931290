/* The sorted arrays of a list of prefixes. What reads text stands in banlist_text.c. */
#include "reef/banlist.h"

#include <stdlib.h>
#include <string.h>

#include "banlist.h"
#include "reef/status.h"

enum { FIRST_ROOM = 64 };

int reef_banlist_new(reef_banlist **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? REEF_OK : REEF_NOMEM;
}

void reef_banlist_free(reef_banlist *list)
{
    if (list == NULL)
        return;
    free(list->four);
    free(list->six);
    free(list);
}

/* Room for one more of `size` bytes. */
static int grow(void **entries, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return REEF_OK;
    size_t wanted = *room > 0 ? *room * 2 : FIRST_ROOM;
    void *grown = realloc(*entries, wanted * size);
    if (grown == NULL)
        return REEF_NOMEM;
    *entries = grown;
    *room = wanted;
    return REEF_OK;
}

static int room4(reef_banlist *list)
{
    void *entries = list->four;
    int status = grow(&entries, &list->room4, list->count4, sizeof *list->four);
    list->four = entries;
    return status;
}

static int room6(reef_banlist *list)
{
    void *entries = list->six;
    int status = grow(&entries, &list->room6, list->count6, sizeof *list->six);
    list->six = entries;
    return status;
}

int reef_banlist_add4(reef_banlist *list, uint32_t address, uint32_t length)
{
    if (room4(list) != REEF_OK)
        return REEF_NOMEM;
    list->four[list->count4++] = (struct reef_prefix4){address, length};
    return REEF_OK;
}

int reef_banlist_add6(reef_banlist *list, uint64_t high, uint64_t low, uint32_t length)
{
    if (room6(list) != REEF_OK)
        return REEF_NOMEM;
    list->six[list->count6++] = (struct reef_prefix6){high, low, length};
    return REEF_OK;
}

static uint64_t eight(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

int reef_prefix_as4(const struct reef_prefix *prefix, struct reef_prefix4 *out)
{
    const uint8_t *at = prefix->address;
    *out = (struct reef_prefix4){(uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3], prefix->length};
    if (prefix->version != 4 || prefix->length > 32 || prefix->length < REEF_BAN4_SHORTEST)
        return REEF_INVALID;
    return out->address & ~reef_mask4(prefix->length) ? REEF_INVALID : REEF_OK;
}

int reef_prefix_as6(const struct reef_prefix *prefix, struct reef_prefix6 *out)
{
    *out = (struct reef_prefix6){eight(prefix->address), eight(prefix->address + 8), prefix->length};
    if (prefix->version != 6 || prefix->length > 128 || prefix->length < REEF_BAN6_SHORTEST)
        return REEF_INVALID;
    uint64_t high = prefix->length < 64 ? reef_mask64(prefix->length) : ~0ull;
    uint64_t low = prefix->length > 64 ? reef_mask64(prefix->length - 64u) : 0;
    return (out->high & ~high) || (out->low & ~low) ? REEF_INVALID : REEF_OK;
}

int reef_banlist_add(reef_banlist *list, const struct reef_prefix *prefix)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    if (reef_prefix_as4(prefix, &four) == REEF_OK)
        return reef_banlist_add4(list, four.address, four.length);
    if (reef_prefix_as6(prefix, &six) == REEF_OK)
        return reef_banlist_add6(list, six.high, six.low, six.length);
    return REEF_INVALID;
}

static int compare4(const void *one, const void *other)
{
    const struct reef_prefix4 *a = one, *b = other;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return (a->length > b->length) - (a->length < b->length);
}

static int compare6(const void *one, const void *other)
{
    const struct reef_prefix6 *a = one, *b = other;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    if (a->low != b->low)
        return a->low < b->low ? -1 : 1;
    return (a->length > b->length) - (a->length < b->length);
}

void reef_banlist_finish(reef_banlist *list, struct reef_banlist_report *report)
{
    size_t before = list->count4 + list->count6, kept = 0;
    if (list->count4 > 0)
        qsort(list->four, list->count4, sizeof *list->four, compare4);
    for (size_t i = 0; i < list->count4; i++)
        if (i == 0 || compare4(&list->four[i], &list->four[kept - 1]) != 0)
            list->four[kept++] = list->four[i];
    list->count4 = kept;
    kept = 0;
    if (list->count6 > 0)
        qsort(list->six, list->count6, sizeof *list->six, compare6);
    for (size_t i = 0; i < list->count6; i++)
        if (i == 0 || compare6(&list->six[i], &list->six[kept - 1]) != 0)
            list->six[kept++] = list->six[i];
    list->count6 = kept;
    report->duplicates += before - list->count4 - list->count6;
}

size_t reef_banlist_entries4(const reef_banlist *list, const struct reef_prefix4 **out)
{
    *out = list->four;
    return list->count4;
}

size_t reef_banlist_entries6(const reef_banlist *list, const struct reef_prefix6 **out)
{
    *out = list->six;
    return list->count6;
}

/* The first place whose entry is not less. */
static size_t place(const void *entries, size_t count, size_t size, const void *entry, int (*compare)(const void *, const void *))
{
    size_t first = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (compare((const char *)entries + (first + half) * size, entry) < 0) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

static int there(const void *entries, size_t count, size_t size, const void *entry, size_t at,
                 int (*compare)(const void *, const void *))
{
    return at < count && compare((const char *)entries + at * size, entry) == 0;
}

int reef_banlist_has4(const reef_banlist *list, const struct reef_prefix4 *entry)
{
    size_t at = place(list->four, list->count4, sizeof *entry, entry, compare4);
    return there(list->four, list->count4, sizeof *entry, entry, at, compare4);
}

int reef_banlist_has6(const reef_banlist *list, const struct reef_prefix6 *entry)
{
    size_t at = place(list->six, list->count6, sizeof *entry, entry, compare6);
    return there(list->six, list->count6, sizeof *entry, entry, at, compare6);
}

static int insert4(reef_banlist *list, const struct reef_prefix4 *entry)
{
    size_t at = place(list->four, list->count4, sizeof *entry, entry, compare4);
    if (there(list->four, list->count4, sizeof *entry, entry, at, compare4))
        return REEF_END;
    if (room4(list) != REEF_OK)
        return REEF_NOMEM;
    memmove(&list->four[at + 1], &list->four[at], (list->count4 - at) * sizeof *entry);
    list->four[at] = *entry;
    list->count4++;
    return REEF_OK;
}

static int insert6(reef_banlist *list, const struct reef_prefix6 *entry)
{
    size_t at = place(list->six, list->count6, sizeof *entry, entry, compare6);
    if (there(list->six, list->count6, sizeof *entry, entry, at, compare6))
        return REEF_END;
    if (room6(list) != REEF_OK)
        return REEF_NOMEM;
    memmove(&list->six[at + 1], &list->six[at], (list->count6 - at) * sizeof *entry);
    list->six[at] = *entry;
    list->count6++;
    return REEF_OK;
}

int reef_banlist_insert(reef_banlist *list, const struct reef_prefix *prefix)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    if (reef_prefix_as4(prefix, &four) == REEF_OK)
        return insert4(list, &four);
    return reef_prefix_as6(prefix, &six) == REEF_OK ? insert6(list, &six) : REEF_INVALID;
}

int reef_banlist_remove(reef_banlist *list, const struct reef_prefix *prefix)
{
    struct reef_prefix4 four;
    struct reef_prefix6 six;
    if (reef_prefix_as4(prefix, &four) == REEF_OK) {
        size_t at = place(list->four, list->count4, sizeof four, &four, compare4);
        if (!there(list->four, list->count4, sizeof four, &four, at, compare4))
            return REEF_END;
        memmove(&list->four[at], &list->four[at + 1], (--list->count4 - at) * sizeof four);
        return REEF_OK;
    }
    if (reef_prefix_as6(prefix, &six) != REEF_OK)
        return REEF_INVALID;
    size_t at = place(list->six, list->count6, sizeof six, &six, compare6);
    if (!there(list->six, list->count6, sizeof six, &six, at, compare6))
        return REEF_END;
    memmove(&list->six[at], &list->six[at + 1], (--list->count6 - at) * sizeof six);
    return REEF_OK;
}
