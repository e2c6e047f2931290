/* What the bench of the gate and its programs agree on. */
#ifndef REEF_BENCH_GATE_H
#define REEF_BENCH_GATE_H

#include <linux/types.h>

#define BENCH_ADDRESSES (1u << 18)
#define BENCH_PREFIXES (1u << 20)

struct bench_address {
    __u32 words[4]; /* in network order; IPv4: the first */
};

struct bench_state {
    __u64 frames, dropped;
    __u32 cursor;
    __u32 link;
};

#endif
