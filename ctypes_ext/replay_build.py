"""The recipe of `ctypes_ext._replay`: columns of the flow log, and their flows decided under two policies."""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent

SOURCE = """
#include <stdbool.h>
#include "reef/replay.h"
#include "reef/status.h"
"""

ffibuilder = FFI()
ffibuilder.cdef((HERE / "replay_cdef.h").read_text(encoding="utf-8"))
ffibuilder.set_source("ctypes_ext._replay", SOURCE)
