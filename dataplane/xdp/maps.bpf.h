/* The maps of the gate. Sizes that depend on how much is to be banned are set when it is loaded. */
#ifndef REEF_MAPS_BPF_H
#define REEF_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "shared.h"

/* One side of each table lies behind the other. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2 * REEF_GATE_ANY4_LINES);
    __type(key, __u32);
    __type(value, struct reef_gate_bytes);
} any4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2 * REEF_GATE_INDEX4_LINES);
    __type(key, __u32);
    __type(value, struct reef_gate_bytes);
} index4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct reef_gate_line4);
} lines4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2 * REEF_GATE_ANY6_LINES);
    __type(key, __u32);
    __type(value, struct reef_gate_bytes);
} any6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} index6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} deep6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct reef_gate_line6);
} lines6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, REEF_GATE_ALLOW_MAX);
    __type(key, struct reef_gate_allow4);
    __type(value, __u8);
} allow4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, REEF_GATE_ALLOW_MAX);
    __type(key, struct reef_gate_allow6);
    __type(value, __u8);
} allow6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, REEF_GATE_LINES);
    __type(key, __u32);
    __type(value, struct reef_gate_line);
} ways_in SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REEF_GATE_LISTS + 1);
    __type(key, __u32);
    __type(value, struct reef_gate_count);
} lists SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REEF_GATE_LINE_COUNTERS * REEF_GATE_REASONS);
    __type(key, __u32);
    __type(value, struct reef_gate_count);
} reasons SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, REEF_GATE_FLOOD_SETS);
    __type(key, __u32);
    __type(value, struct reef_gate_ways);
} floods SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, REEF_GATE_SEEN_LINES);
    __type(key, __u32);
    __type(value, struct reef_gate_bytes);
} seen SEC(".maps");

struct total {
    __u32 ahead;
    __u32 unused[15]; /* lines do not share a cache line */
};

/* How far the SYNs of a line, all sources together, are ahead of the clock. */
static struct total totals[REEF_GATE_LINE_COUNTERS];

/* From when on a packet that an indicator blocks is left to the ruleset again. */
static __u64 left_from;

struct reef_gate_live live SEC(".data.live");

const volatile struct reef_gate_fixed fixed SEC(".rodata") = {
    .seed4 = 1, .seed6 = {1, 1}, .lines4 = 1, .lines6 = 1, .cells6 = 1};

#endif
