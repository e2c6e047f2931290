"""What the rules of taps and lanes cost, told in a small file beside the spool each minute."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from appliance.durable import replace
from appliance.events.record import CostsState, RuleCostState
from ctypes_ext.engine import RuleCost

MOST = 1000  # rules, the dearest


def together(counted: Iterable[Iterable[RuleCost]]) -> list[RuleCost]:
    """What several workers spent on the same rules, the dearest first."""
    found: dict[tuple[int, int], RuleCost] = {}
    for one in itertools.chain.from_iterable(counted):
        other = found.get((one.gid, one.sid))
        found[one.gid, one.sid] = one if other is None else _sum(one, other)
    return sorted(found.values(), key=lambda cost: cost.ns, reverse=True)


def _sum(one: RuleCost, other: RuleCost) -> RuleCost:
    return msgspec.structs.replace(
        one,
        checks=one.checks + other.checks,
        matches=one.matches + other.matches,
        ns=one.ns + other.ns,
        worst_ns=max(one.worst_ns, other.worst_ns),
    )


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
