/* Is a source banned, and by which list? And is it on the allow-list? */
#ifndef REEF_BANS_BPF_H
#define REEF_BANS_BPF_H

#include <stdbool.h>

#include "maps.bpf.h"

/* The list of the entry with this key, 0 when there is none. */
__noinline __u32 find4(__u64 key, __u32 side)
{
    __u32 number = reef_gate_line_of(reef_gate_hash4(key, fixed.seed4), fixed.lines4);

    for (__u32 step = 0; step < REEF_GATE_CHAIN; step++) {
        __u32 at = number + (side ? fixed.lines4 : 0);
        const struct reef_gate_line4 *line = bpf_map_lookup_elem(&lines4, &at);

        if (!line)
            return 0;
        for (__u32 i = 0; i < REEF_GATE_SLOTS4; i++)
            if ((line->slots[i] & REEF_GATE_KEY4) == key)
                return (line->slots[i] >> 40) & REEF_GATE_LISTS;
        if (!(line->slots[REEF_GATE_SLOTS4 - 1] & REEF_GATE_MORE))
            return 0;
        number = number + 1 < fixed.lines4 ? number + 1 : 0;
    }
    return 0;
}

static __always_inline __u32 banned4(__u32 address, __u32 side)
{
    __u32 at = (address >> 17) | (side ? REEF_GATE_ANY4_LINES : 0), cell, list;
    const struct reef_gate_bytes *line = bpf_map_lookup_elem(&any4, &at);

    if (!line || !(line->at[(address >> 11) & 63] >> ((address >> 8) & 7) & 1))
        return 0;
    at = (address >> 14) | (side ? REEF_GATE_INDEX4_LINES : 0);
    line = bpf_map_lookup_elem(&index4, &at);
    if (!line)
        return 0;
    /* Hosts are most of what is banned. They are looked for without waiting for the index, so that both lines come from
     * memory at the same time. */
    cell = *(const volatile __u8 *)&line->at[(address >> 8) & 63];
    list = find4(address | 1ull << 32, side);
    if (list || !(cell & REEF_GATE_DEEPER))
        return list ? list : cell;
    cell &= (REEF_GATE_DEEPER - 1) & ~1u;
    for (__u32 i = 1; i < REEF_GATE_LENGTHS4 && cell; i++) {
        __u32 bit = cell & -cell;

        cell ^= bit;
        list = find4((address & -bit) | (__u64)bit << 32, side);
        if (list)
            return list;
    }
    return 0;
}

/* Is there anything with this hash at all? */
static __always_inline bool any_of(__u32 hash, __u32 side)
{
    __u32 at = (hash >> 17) | (side ? REEF_GATE_ANY6_LINES : 0);
    const struct reef_gate_bytes *line = bpf_map_lookup_elem(&any6, &at);

    return line && line->at[(hash >> 11) & 63] >> ((hash >> 8) & 7) & 1;
}

__noinline __u32 find6(__u64 high, __u64 low, __u32 kind, __u32 side)
{
    __u64 seed[2] = {fixed.seed6[0], fixed.seed6[1]};
    __u32 hash = reef_gate_hash6(high, low, seed), number = reef_gate_line_of(hash, fixed.lines6);

    if (!any_of(hash, side))
        return 0;
    for (__u32 step = 0; step < REEF_GATE_CHAIN; step++) {
        __u32 at = number + (side ? fixed.lines6 : 0);
        const struct reef_gate_line6 *line = bpf_map_lookup_elem(&lines6, &at);

        if (!line)
            return 0;
        for (__u32 i = 0; i < REEF_GATE_SLOTS6; i++)
            if (line->high[i] == high && line->low[i] == low && line->kind[i] == kind)
                return line->list[i] & REEF_GATE_LISTS;
        if (!line->more)
            return 0;
        number = number + 1 < fixed.lines6 ? number + 1 : 0;
    }
    return 0;
}

/* Prefixes longer than 64 bits. */
__noinline __u32 deep_banned6(__u64 high, __u64 low, __u32 side)
{
    __u64 seed[2] = {fixed.seed6[0], fixed.seed6[1]};
    __u32 hash = reef_gate_hash6(high, 0, seed), at = (hash & (fixed.cells6 - 1)) + (side ? fixed.cells6 : 0);
    const __u64 *cell = bpf_map_lookup_elem(&deep6, &at);
    __u64 lengths;

    if (!cell || !any_of(hash, side))
        return 0;
    lengths = *cell;
    for (__u32 i = 0; i < 64 && lengths; i++) {
        __u64 bit = lengths & -lengths;
        __u32 list;

        lengths ^= bit;
        list = bit == 1 ? find6(high, low, REEF_GATE_WHOLE6, side)
                        : find6(high, (low & -bit) | bit >> 1, REEF_GATE_LONG6, side);
        if (list)
            return list;
    }
    return 0;
}

static __always_inline __u32 banned6(__u64 high, __u64 low, __u32 side)
{
    __u64 seed[2] = {fixed.seed6[0], fixed.seed6[1]};
    __u32 at = (reef_gate_hash6(high >> 32, 0, seed) & (fixed.cells6 - 1)) + (side ? fixed.cells6 : 0);
    const __u64 *cell = bpf_map_lookup_elem(&index6, &at);
    __u64 lengths;

    if (!cell)
        return 0;
    lengths = (*cell & ~REEF_GATE_DEEP) | live.wide[side];
    for (__u32 i = 0; i < 64 && lengths; i++) {
        __u64 bit = lengths & -lengths;
        __u32 list;

        lengths ^= bit;
        list = find6(high & -bit, bit, REEF_GATE_SHORT6, side);
        if (list)
            return list;
    }
    return *cell & REEF_GATE_DEEP ? deep_banned6(high, low, side) : 0;
}

#endif
