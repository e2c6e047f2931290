"""The recipe of `ctypes_ext._verdicts`: queues of the kernel and lanes to workers, and nothing that reads packets."""

from __future__ import annotations

from cffi import FFI

CDEF = """
#define REEF_OK ...
#define REEF_SYSTEM ...
#define REEF_FULL ...
const char *reef_status_text(int status);

typedef struct reef_verdicts reef_verdicts;
typedef struct reef_verdicts_counters {
    uint64_t packets, accepted, dropped, rejected, handed_back, unseen;
    uint64_t alone_accepted, alone_dropped, silences, workers, broken, verdicts_failed;
    bool attached, silent;
    ...;
} reef_verdicts_counters;

int reef_verdicts_new(const uint16_t *closed, size_t closed_count, const uint16_t *open, size_t open_count,
                      reef_verdicts **out);
void reef_verdicts_free(reef_verdicts *verdicts);
int reef_verdicts_run(reef_verdicts *verdicts);
void reef_verdicts_stop(reef_verdicts *verdicts);
int reef_verdicts_attach(reef_verdicts *verdicts, int peer);
void reef_verdicts_count(const reef_verdicts *verdicts, reef_verdicts_counters *counters);
"""

ffibuilder = FFI()
ffibuilder.cdef(CDEF)
ffibuilder.set_source(
    "ctypes_ext._verdicts",
    """
    #include <stdbool.h>
    #include "reef/status.h"
    #include "reef/verdicts.h"
    """,
)
