"""The spool of a process that writes by the thousand: its alerts lie apart, so that nothing else drives them out.

A flood of refusals fills a spool to its bound in minutes, and the oldest goes first. `<spool>/alerts` is a spool of
its own, with serial numbers and a bound of its own; only alerts are in it.
"""

from __future__ import annotations

from pathlib import Path

from appliance.events.spool import DEFAULT_LIMITS, Spool, SpoolLimits

ALERTS = "alerts"
# How both the engine and msgspec write it. Within a string of JSON the quotation marks would be escaped.
_MARK = b'"event_type":"alert"'


class SplitSpool:
    """Opens both. Raises `SpoolError`."""

    def __init__(self, directory: Path, limits: SpoolLimits = DEFAULT_LIMITS, *, source: str = "spool") -> None:
        self._rest = Spool(directory, limits, source=source)
        self._alerts = Spool(directory / ALERTS, limits, source=source)

    def append(self, lines: bytes, records: int) -> None:
        """As `Spool.append`; `records` must be how many lines there are."""
        if _MARK not in lines:
            self._rest.append(lines, records)
            return
        alerts: list[bytes] = []
        rest: list[bytes] = []
        for line in lines.splitlines(keepends=True):
            (alerts if _MARK in line else rest).append(line)
        self._alerts.append(b"".join(alerts), len(alerts))
        self._rest.append(b"".join(rest), len(rest))

    def tick(self) -> None:
        """Make durable what has waited long enough. Call it in the loop."""
        self._alerts.tick()
        self._rest.tick()

    def close(self) -> None:
        self._alerts.close()
        self._rest.close()
