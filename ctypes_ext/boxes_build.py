"""The recipe of `ctypes_ext._boxes`: the box algebra of the C core behind cffi (API mode)."""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

INCLUDE = Path(__file__).resolve().parents[1] / "dataplane" / "include" / "reef"


def declarations() -> str:
    """The header itself: one place says what the functions take."""
    limits = dict(re.findall(r"^#define (REEF_\w+) (\d+)\b", (INCLUDE / "limits.h").read_text("utf-8"), re.MULTILINE))
    text = (INCLUDE / "boxes.h").read_text("utf-8")
    limits |= dict(re.findall(r"^#define (REEF_\w+) (\d+)\b", text, re.MULTILINE))
    text = re.sub(
        r"^#define REEF_NO_RULE.*$|^#(?!define).*$|^#define REEF_\w+(?: \d+)?$", "", text, flags=re.MULTILINE
    )
    return re.sub(r"\[(REEF_\w+)\]", lambda found: f"[{limits[found[1]]}]", text)


ffibuilder = FFI()
ffibuilder.cdef(declarations() + "const char *reef_status_text(int status);")
ffibuilder.set_source("ctypes_ext._boxes", '#include "reef/boxes.h"\n#include "reef/status.h"\n')
