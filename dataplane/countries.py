"""The file that says which country an address is of, for rules with `geoip`: geoip.mmdb beside the rule files.

The engine maps it, and who writes over a mapped file pulls the ground from under who reads it. So what is read is a
copy of one's own, called by its digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from appliance.durable import replace
from ctypes_ext.engine import EngineError, Rules

NAME = "geoip.mmdb"
MOST_BYTES = 256 << 20
_SUFFIX = ".countries"


def know(rules: Rules, folder: Path, kept: Path) -> str:
    """Have the rules know the countries of the file in `folder`, by a copy in `kept`. What is wrong, in words; "" too
    where there is no such file.
    """
    try:
        with (folder / NAME).open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            return f"{folder / NAME}: larger than {MOST_BYTES >> 20} MiB; no rule with geoip matches"
        copy = kept / f"{hashlib.sha256(data).hexdigest()}{_SUFFIX}"
        if not copy.exists():
            kept.mkdir(parents=True, exist_ok=True)
            replace(copy, data)
        rules.know_places(str(copy))
        for old in kept.glob(f"*{_SUFFIX}"):
            if old != copy:
                old.unlink(missing_ok=True)  # rules that still have it mapped keep it
    except FileNotFoundError:
        return ""
    except (OSError, EngineError) as error:
        return f"no rule with geoip matches: {error}"
    return ""


def changed(folder: Path) -> tuple[int, int]:
    """Another value whenever the file in `folder` is another one."""
    try:
        status = (folder / NAME).stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
