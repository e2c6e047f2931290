"""The recipe of `ctypes_ext._engine`: the C core behind cffi (API mode). CMake builds it and links the core."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent

SOURCE = """
#include <stdbool.h>
#include <string.h>
#include "reef/capture.h"
#include "reef/engine.h"
#include "reef/eve.h"
#include "reef/eve_alert.h"
#include "reef/evidence.h"
#include "reef/filestore.h"
#include "reef/flowlog.h"
#include "reef/inline.h"
#include "reef/names.h"
#include "reef/reactions.h"
#include "reef/status.h"

/* The log prefix of the first event in the ring, which the names do not know. */
static size_t reef_engine_first_prefix(reef_events *events, char *out, size_t size)
{
    const char *text;
    const reef_event *event = reef_events_peek(events, &text);
    if (event == NULL || event->kind != REEF_EVENT_LOG || event->prefix_length > size)
        return 0;
    memcpy(out, text, event->prefix_length);
    return event->prefix_length;
}
"""

ffibuilder = FFI()
ffibuilder.cdef((HERE / "engine_cdef.h").read_text(encoding="utf-8"))
ffibuilder.set_source("ctypes_ext._engine", SOURCE)
