/* Inside of the gate: shared by what loads it, what puts it at lines and what reads its counters. */
#ifndef REEF_XDP_GATE_H
#define REEF_XDP_GATE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <limits.h>
#include <stdio.h>

#include "reef/gate.h"
#include "shared.h"

struct reef_gate_mapping {
    void *at;
    size_t length;
};

enum { REEF_GATE_TABLES = 8 };

struct reef_gate {
    struct bpf_object *object;
    reef_bans *bans;
    struct reef_gate_fixed fixed;
    struct reef_gate_live *live;
    struct reef_gate_mapping tables[REEF_GATE_TABLES];
    int program, ways_in, lists, reasons, allow4, allow6;
    int processors;
    struct reef_gate_count *counts; /* one for each processor */
    char pins[PATH_MAX];
};

/* Says why in `words`; is REEF_SYSTEM. */
#define REEF_GATE_SAY(words, ...) (snprintf(words, REEF_GATE_WORDS, __VA_ARGS__), REEF_SYSTEM)

/* What is set for the line, and whether anything is. */
bool reef_gate_line_known(const reef_gate *gate, uint32_t interface, struct reef_gate_line *line);

#endif
