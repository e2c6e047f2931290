"""What consumers gave, for the audit trail: the first at once, then sums, for givers decide how often they give."""

from __future__ import annotations

import time
from collections.abc import Callable

from appliance.control.auditing import Write
from appliance.control.messages.indicators import IndicatorsTaken

_PAUSE = 60.0  # seconds between two entries about the same consumer


class Given:
    """For one thread. `clock` counts seconds and never goes back."""

    def __init__(self, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._sums: dict[str, IndicatorsTaken] = {}
        self._written: dict[str, float] = {}

    def add(self, consumer: str, taken: IndicatorsTaken) -> None:
        """What changes nothing is no news."""
        if not (taken.new or taken.changed):
            return
        before = self._sums.get(consumer, IndicatorsTaken(0, 0, 0))
        self._sums[consumer] = IndicatorsTaken(before.new + taken.new, before.changed + taken.changed, 0)
        self.tick()

    def tick(self) -> None:
        """Call it now and then."""
        now = self._clock()
        for consumer in [one for one in self._sums if now - self._written.get(one, -_PAUSE) >= _PAUSE]:
            self._written[consumer] = now
            self._say(consumer, self._sums.pop(consumer))

    def flush(self) -> None:
        for consumer, sums in self._sums.items():
            self._say(consumer, sums)
        self._sums.clear()

    def _say(self, consumer: str, sums: IndicatorsTaken) -> None:
        detail = {"new": str(sums.new), "changed": str(sums.changed)}
        self._write(f"consumer {consumer}", "indicator.give", consumer, detail=detail, durable=False)
