/* The borders of a space's addresses: where anything begins or ends, in order. An axis counts borders, not addresses. */
#include "boxes_internal.h"

#include <stdlib.h>
#include <string.h>

/* Least significant byte first; a byte that is the same everywhere costs one pass of counting. */
static int sort_wide(reef_wide *value, uint32_t count)
{
    reef_wide *other = malloc(((size_t)count + 1) * sizeof *other);
    if (other == NULL)
        return REEF_NOMEM;
    reef_wide every = ~(reef_wide)0, any = 0;
    for (uint32_t i = 0; i < count; i++) {
        every &= value[i];
        any |= value[i];
    }
    reef_wide *from = value, *to = other;
    for (unsigned shift = 0; shift < 128; shift += 8) {
        if (((every ^ any) >> shift & 0xff) == 0)
            continue;
        uint32_t place[257] = {0};
        for (uint32_t i = 0; i < count; i++)
            place[(unsigned)(from[i] >> shift & 0xff) + 1]++;
        for (int i = 0; i < 256; i++)
            place[i + 1] += place[i];
        for (uint32_t i = 0; i < count; i++)
            to[place[from[i] >> shift & 0xff]++] = from[i];
        reef_wide *held = from;
        from = to;
        to = held;
    }
    if (from != value)
        memcpy(value, from, count * sizeof *value);
    free(other);
    return REEF_OK;
}

static uint32_t rank_of(const reef_wide *border, uint32_t count, reef_wide value)
{
    uint32_t low = 0;
    while (count > 1) { /* the last border that is not above the value */
        uint32_t half = count / 2;
        low = border[low + half] <= value ? low + half : low;
        count -= half;
    }
    return low;
}

/* Joins sorted new values (with repetitions) into the borders. `map[i]` is the rank that border i now has. */
static int join(reef_wide **border, uint32_t *count, const reef_wide *value, uint32_t values, uint32_t **map)
{
    reef_wide *joined = malloc(((size_t)*count + values) * sizeof *joined);
    *map = malloc(((size_t)*count + 1) * sizeof **map);
    if (joined == NULL || *map == NULL) {
        free(joined);
        return REEF_NOMEM;
    }
    uint32_t a = 0, b = 0, made = 0;
    while (a < *count || b < values) {
        bool old = a < *count && (b == values || (*border)[a] <= value[b]);
        reef_wide next = old ? (*border)[a] : value[b];
        if (made == 0 || joined[made - 1] != next)
            joined[made++] = next;
        if (old)
            (*map)[a++] = made - 1;
        else
            b++;
    }
    (*map)[*count] = made;
    free(*border);
    *border = joined;
    *count = made;
    return REEF_OK;
}

static void move_ranks(int32_t *low, int32_t *high, uint32_t old_fours, uint32_t fours, const uint32_t *four_map,
                       const uint32_t *six_map)
{
    if ((uint32_t)*low < old_fours) {
        *low = (int32_t)four_map[*low];
    } else {
        *low = (int32_t)(fours + six_map[(uint32_t)*low - old_fours]);
    }
    if ((uint32_t)*high < old_fours) {
        *high = (int32_t)four_map[*high + 1] - 1;
    } else {
        *high = (int32_t)(fours + six_map[(uint32_t)*high - old_fours + 1]) - 1;
    }
}

static int add_borders(reef_space *space, reef_wide *four, uint32_t fours, reef_wide *six, uint32_t sixes)
{
    const uint32_t old_fours = space->fours, old_sixes = space->sixes;
    uint32_t *four_map = NULL, *six_map = NULL;
    int status = sort_wide(four, fours);
    if (status == REEF_OK)
        status = sort_wide(six, sixes);
    if (status == REEF_OK)
        status = join(&space->four, &space->fours, four, fours, &four_map);
    if (status == REEF_OK)
        status = join(&space->six, &space->sixes, six, sixes, &six_map);
    if (status == REEF_OK && (old_fours != space->fours || old_sixes != space->sixes)) {
        for (uint32_t i = 0; i < space->entries; i++)
            for (int axis = REEF_AXIS_SOURCE; axis <= REEF_AXIS_DESTINATION; axis++)
                move_ranks(&space->entry[i].box.low[axis], &space->entry[i].box.high[axis], old_fours, space->fours,
                           four_map, six_map);
        for (uint32_t i = 0; i < space->nodes; i++)
            for (int axis = REEF_AXIS_SOURCE; axis <= REEF_AXIS_DESTINATION; axis++)
                move_ranks(&space->node[i].low[axis], &space->node[i].high[axis], old_fours, space->fours, four_map,
                           six_map);
    }
    free(four_map);
    free(six_map);
    return status;
}

int reef_space_cut(reef_space *space, const uint32_t *four, uint32_t fours, const uint8_t *six, uint32_t sixes)
{
    if (fours > REEF_SPACE_BOXES_MAX || sixes > REEF_SPACE_BOXES_MAX)
        return REEF_INVALID;
    reef_wide *value = malloc(((size_t)fours * 2 + (size_t)sixes * 2 + 2) * sizeof *value);
    if (value == NULL)
        return REEF_NOMEM;
    uint32_t four_values = 0, six_values = 0;
    for (uint32_t i = 0; i < fours; i++) {
        value[four_values++] = four[2 * i];
        if (four[2 * i + 1] != UINT32_MAX)
            value[four_values++] = (reef_wide)four[2 * i + 1] + 1;
    }
    reef_wide *wide = value + four_values;
    for (uint32_t i = 0; i < sixes; i++) {
        wide[six_values++] = reef_wide_at(six + 32 * (size_t)i);
        reef_wide last = reef_wide_at(six + 32 * (size_t)i + 16);
        if (last != ~(reef_wide)0)
            wide[six_values++] = last + 1;
    }
    int status = add_borders(space, value, four_values, wide, six_values);
    free(value);
    return status;
}

void reef_ranks4(const reef_space *space, reef_wide first, reef_wide last, int32_t *low, int32_t *high)
{
    *low = (int32_t)rank_of(space->four, space->fours, first);
    *high = (int32_t)rank_of(space->four, space->fours, last);
}

void reef_ranks6(const reef_space *space, reef_wide first, reef_wide last, int32_t *low, int32_t *high)
{
    *low = (int32_t)(space->fours + rank_of(space->six, space->sixes, first));
    *high = (int32_t)(space->fours + rank_of(space->six, space->sixes, last));
}

int reef_space_ranks(const reef_space *space, int version, const uint8_t first[16], const uint8_t last[16],
                     int32_t *low, int32_t *high)
{
    reef_wide from = reef_wide_at(first), to = reef_wide_at(last);
    if ((version != 4 && version != 6) || from > to || (version == 4 && to > UINT32_MAX))
        return REEF_INVALID;
    (version == 4 ? reef_ranks4 : reef_ranks6)(space, from, to, low, high);
    int known_version;
    uint8_t known_first[16], known_last[16];
    int status = reef_space_addresses(space, *low, *high, &known_version, known_first, known_last);
    if (status != REEF_OK)
        return status;
    return memcmp(known_first, first, 16) == 0 && memcmp(known_last, last, 16) == 0 ? REEF_OK : REEF_INVALID;
}

int reef_space_addresses(const reef_space *space, int32_t low, int32_t high, int *version, uint8_t first[16],
                         uint8_t last[16])
{
    if (low < 0 || low > high || (uint32_t)high >= space->fours + space->sixes ||
        ((uint32_t)low < space->fours) != ((uint32_t)high < space->fours))
        return REEF_INVALID;
    reef_wide from, to;
    if ((uint32_t)high < space->fours) {
        *version = 4;
        from = space->four[low];
        to = (uint32_t)high + 1 < space->fours ? space->four[high + 1] - 1 : UINT32_MAX;
    } else {
        *version = 6;
        from = space->six[(uint32_t)low - space->fours];
        uint32_t next = (uint32_t)high + 1 - space->fours;
        to = next < space->sixes ? space->six[next] - 1 : ~(reef_wide)0;
    }
    memcpy(first, &from, 16);
    memcpy(last, &to, 16);
    return REEF_OK;
}

void reef_space_whole(const reef_space *space, int version, int32_t *low, int32_t *high)
{
    *low = version == 4 ? 0 : (int32_t)space->fours;
    *high = version == 4 ? (int32_t)space->fours - 1 : (int32_t)(space->fours + space->sixes) - 1;
}
