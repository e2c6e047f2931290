"""Disposes of records whose time is over, unless somebody holds them (ISO 15489-1, 9.9); certificates first.

Time is counted so that a clock that is set forward by years disposes of nothing: the moment that counts runs at most
twice as fast as the time in which the process runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.durable import replace
from appliance.policy.records import RecordRetention
from appliance.records import retention
from appliance.records.retention import DISPOSED, Hold
from appliance.records.trail import SEGMENT, Trail

_MODE = 0o600
_FASTEST = 2.0
MOST_HOLDS = 1000


class _Kept(msgspec.Struct):
    """`records.json`: the holds, and the moment that counts."""

    holds: list[Hold] = []
    moment: float = 0.0


class Disposal:
    """`said` makes an entry of recordd's own: action, object, detail. One thread at a time."""

    def __init__(self, trail: Trail, path: Path, said: Callable[[str, str, dict[str, str]], bytes]) -> None:
        self._trail = trail
        self._path = path
        self._said = said
        self._run = time.monotonic()
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            self._kept = _Kept(moment=time.time())

    # --- holds --------------------------------------------------------------------------------------

    def holds(self) -> tuple[Hold, ...]:
        return tuple(self._kept.holds)

    def hold(self, one: Hold) -> None:
        """Raises ValueError for a name that there is, OSError."""
        if any(one.name == other.name for other in self._kept.holds):
            raise ValueError(f"there is a hold {one.name!r} already; release it, or take another name")
        if len(self._kept.holds) >= MOST_HOLDS:
            raise ValueError(f"there are {MOST_HOLDS} holds already")
        self._keep([*self._kept.holds, one])

    def release(self, name: str) -> None:
        """Raises ValueError for a name that there is not, OSError."""
        rest = [one for one in self._kept.holds if one.name != name]
        if len(rest) == len(self._kept.holds):
            raise ValueError(f"there is no hold {name!r}; `reef audit hold list` shows them")
        self._keep(rest)

    def _keep(self, holds: list[Hold]) -> None:
        kept = _Kept(holds, self._kept.moment)
        replace(self._path, msgspec.json.encode(kept), mode=_MODE)
        self._kept = kept

    # --- disposal -----------------------------------------------------------------------------------

    def moment(self) -> float:
        """Now, as far as it may be believed; kept over restarts. Raises OSError."""
        passed, self._run = time.monotonic() - self._run, time.monotonic()
        believed = min(time.time(), self._kept.moment + _FASTEST * passed)
        self._kept = _Kept(self._kept.holds, believed)
        replace(self._path, msgspec.json.encode(self._kept), mode=_MODE)
        return believed

    def segments(self) -> int:
        """How many stretches there are to look through."""
        return (self._trail.size + SEGMENT - 1) // SEGMENT

    def dispose(self, segment: int, rules: RecordRetention, now: float) -> int:
        """Empty what is over of a stretch; how many entries. Raises OSError, `TrailError`."""
        seconds = msgspec.structs.asdict(rules)
        first = segment * SEGMENT
        stop = min(first + SEGMENT, self._trail.size)
        over: dict[str, list[int]] = {}
        for index, entry in enumerate(self._trail.entries(first, stop), first):
            record = retention.over(entry, seconds, now, self._kept.holds)
            if record:
                over.setdefault(record, []).append(index)
        if not over:
            return 0
        hashes = self._trail.read_hashes(0, first, stop)
        certificates = []
        for record, indices in over.items():
            for words, numbers in retention.spelled(indices):
                digest = sha256(b"".join(hashes[number - first] for number in numbers)).hexdigest()
                detail = {
                    "entries": words,
                    "count": f"{len(numbers)}",
                    "kept-seconds": f"{seconds[record]}",
                    "sha256-of-hashes": digest,
                }
                certificates.append(self._said(DISPOSED, record, detail))
        self._trail.append(certificates)
        return self._trail.empty(segment, frozenset(index for indices in over.values() for index in indices))
