"""What passes the lines, and since when each is as it is: from looks at the kernel's counters. Pure.

Looks come from the clock of applyd and from whoever asks; how often that is makes no difference to what is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from appliance.control.kernel.register import unregistered
from appliance.control.kernel.rtnetlink import Counted, Line
from appliance.control.messages.lines import (
    MOST_ADDRESSES,
    MOST_LINES,
    LineIs,
    LineList,
    LineState,
    Past,
    Side,
)

_EVERY = 4.5  # seconds between what is kept of the past, at least
_KEPT = 121  # looks: ten minutes
_LEAST = 1.0  # seconds that a rate is measured over, at least
MISSING = Line(0, "", up=False, carrier=False)


class Place(NamedTuple):
    """What a line belongs to."""

    zone: str = ""
    bridge: str = ""


class _Watched:
    """One line."""

    def __init__(self, line: Line, at: float, now: float, *, since: float) -> None:
        self.since = since
        self._begin(line, at, now)

    def _begin(self, line: Line, at: float, now: float) -> None:
        self.line = line
        self._base = now, line.counted
        self.rates: tuple[float, float, float, float] | None = None
        self._past = deque([(now, at, line.counted)], maxlen=_KEPT)

    def look(self, line: Line, at: float, now: float) -> None:
        if state_of(line) != state_of(self.line):
            self.since = at
        if line.index != self.line.index or _less(line.counted, self.line.counted):
            self._begin(line, at, now)  # another interface of that name: it counts from 0
            return
        self.line = line
        then, counted = self._base
        if now - then >= _LEAST:
            self.rates = _rates(counted, line.counted, now - then)
            self._base = now, line.counted
        if now - self._past[-1][0] >= _EVERY:
            self._past.append((now, at, line.counted))

    def past(self) -> Past:
        times, received, sent = [], [], []
        for (then, _, before), (now, at, after) in pairwise(self._past):
            times.append(at)
            received.append((after.received_bytes - before.received_bytes) / (now - then))
            sent.append((after.sent_bytes - before.sent_bytes) / (now - then))
        return Past(tuple(times), tuple(received), tuple(sent))


def state_of(line: Line) -> LineIs:
    if not line.index:
        return "missing"
    if not line.up:
        return "off"
    return "up" if line.carrier else "no carrier"


class LineWatch:
    """The lines that the policy names and those that carry traffic all the same."""

    def __init__(self, at: float) -> None:
        self._watched_since = at
        self._at = at
        self._lines: dict[str, _Watched] = {}
        self._looked = False

    def look(self, lines: Iterable[Line], wanted: frozenset[str], at: float, now: float) -> None:
        """Take in how the lines are at `at` (seconds since the epoch); `now` is the same by a clock that nobody sets.

        `wanted` are those that the policy names."""
        here = {line.name: line for line in lines if not line.loopback}
        found = {line.name for line in unregistered(here.values(), wanted)}
        for name in sorted(wanted | found):
            line = here.get(name, MISSING)
            known = self._lines.get(name)
            if known is not None:
                known.look(line, at, now)
            else:
                # What was there before anybody looked is so for as long as anybody knows.
                self._lines[name] = _Watched(line, at, now, since=at if self._looked else 0.0)
        for name in self._lines.keys() - wanted - found:
            del self._lines[name]
        self._at = at
        self._looked = True

    def listed(
        self, generation: int, places: Mapping[str, Place], addresses: Mapping[int, list[str]], name: str
    ) -> LineList:
        """Those of the policy in its order, then the others; with the past of `name` where that is one of them."""
        names = [one for one in places if one in self._lines]
        names += [one for one in self._lines if one not in places]
        asked = self._lines.get(name)
        return LineList(
            generation,
            self._at,
            self._watched_since,
            len(names),
            tuple(self._shown(one, places.get(one, Place()), addresses) for one in names[:MOST_LINES]),
            asked.past() if asked is not None else None,
        )

    def _shown(self, name: str, place: Place, addresses: Mapping[int, list[str]]) -> LineState:
        watched = self._lines[name]
        line, counted = watched.line, watched.line.counted
        rates = watched.rates or (-1.0, -1.0, -1.0, -1.0)
        return LineState(
            name,
            state_of(line),
            watched.since,
            *place,
            tuple(addresses.get(line.index, ())[:MOST_ADDRESSES]),
            Side(
                counted.received_bytes, counted.received_packets, counted.received_errors, counted.received_dropped,
                *rates[:2],
            ),
            Side(counted.sent_bytes, counted.sent_packets, counted.sent_errors, counted.sent_dropped, *rates[2:]),
        )  # fmt: skip


def _less(after: Counted, before: Counted) -> bool:
    return after.received_bytes < before.received_bytes or after.sent_bytes < before.sent_bytes


def _rates(before: Counted, after: Counted, seconds: float) -> tuple[float, float, float, float]:
    return (
        (after.received_bytes - before.received_bytes) / seconds,
        (after.received_packets - before.received_packets) / seconds,
        (after.sent_bytes - before.sent_bytes) / seconds,
        (after.sent_packets - before.sent_packets) / seconds,
    )
