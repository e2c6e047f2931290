"""What the rules of the taps cost, told in a small file beside the spool each minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from appliance.durable import replace
from appliance.events.record import CostsState, RuleCostState
from ctypes_ext.engine import RuleCost

MOST = 1000  # rules, the dearest


class Costs:
    """The writer. What cannot be written is told once, and done without."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._since = time.time()
        self._said = ""

    def begin(self, now: float) -> None:
        """Other rules: nothing is counted of them yet."""
        self._since = now

    def tell(self, costs: Sequence[RuleCost], now: float) -> None:
        told = tuple(
            RuleCostState(one.gid, one.sid, one.checks, one.matches, one.ns, one.worst_ns) for one in costs[:MOST]
        )
        try:
            data = msgspec.json.encode(CostsState(self._since, now, told))
            replace(self._path, data, mode=0o640, durable=False)
        except OSError as error:
            if str(error) != self._said:
                self._said = str(error)
                self._log(f"what rules cost cannot be told: {error}")
