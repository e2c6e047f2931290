"""What became of consumers' requests, for the audit trail and the log: the first of a kind at once, then sums.

Whoever asks decides how often something happens; a trail must not grow by that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from appliance.events.api.access import Told

_PAUSE = 60.0  # seconds between two lines on the same thing
_MOST = 1000  # things that are told apart; what is beyond is one thing


class Writes(Protocol):
    """Where it is written: `daemon.Log`."""

    def __call__(self, words: str) -> None: ...

    def audit(
        self, actor: str, action: str, object_: str, *, origin: str, detail: dict[str, str], durable: bool
    ) -> None: ...


class Telling:
    """For one thread. `clock` counts seconds and never goes back."""

    def __init__(self, log: Writes, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._known: dict[tuple[str, str, str], tuple[float, int, Told]] = {}  # since, times not written, the last

    def tell(self, told: Told) -> None:
        if told.what == "export":  # comes as a sum already
            self._write(told, 1)
            return
        key = (told.what, told.consumer, told.words if told.consumer else "")
        if key not in self._known and len(self._known) >= _MOST:
            key = (told.what, "", "")
        since, times, _ = self._known.get(key, (0.0, 0, told))
        if key in self._known:
            self._known[key] = (since, times + 1, told)
            return
        self._known[key] = (self._clock(), 0, told)
        self._write(told, 1)

    def tick(self) -> None:
        now = self._clock()
        for key, (since, times, told) in list(self._known.items()):
            if now - since < _PAUSE:
                continue
            if times:
                self._known[key] = (now, 0, told)
                self._write(told, times)
            else:
                del self._known[key]

    def flush(self) -> None:
        for _, times, told in self._known.values():
            if times:
                self._write(told, times)
        self._known.clear()

    def _write(self, told: Told, times: int) -> None:
        often = f", {times} times" if times > 1 else ""
        if told.what == "export":
            detail = {"events": str(told.count)}
            self._audit(told, "export.give", told.words, detail)
        elif told.what == "refused":
            self._audit(told, "export.refuse", told.words, {"times": str(times)})
        elif told.what == "guessing":
            self._audit(told, "export.guess", told.words, {"times": str(times)})
        else:
            who = told.consumer or told.address or "somebody"
            self._log(f"{who} {told.words}{often}")

    def _audit(self, told: Told, action: str, object_: str, detail: dict[str, str]) -> None:
        actor = f"consumer {told.consumer}" if told.consumer else "a stranger"
        self._log.audit(actor, action, object_, origin=told.address, detail=detail, durable=False)
