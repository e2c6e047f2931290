"""What two readings of the counters say together. Pure: readings and intervals in, differences and intervals out.

The kernel counts whether or not anybody reads, so what lies between two readings of the same origin was watched. A
new origin (a boot) began to count from 0; what passed after the last reading of the old one is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

DAY = 86_400
# A clock that is being slewed moves by 1/2000 at most (adjtimex(2)); what is more was set.
_SLEW = 1 / 1000
_TOLERANCE = 2.0  # seconds

Interval = tuple[float, float]


class Reading(NamedTuple):
    """What was counted by a moment: `at` by the wall clock, `uptime` by the clock that nobody sets (both seconds).

    `meanings` are the digests of the rules as they are now; None where they are not known, and then as they were.
    """

    at: float
    uptime: float
    origin: str
    counters: Mapping[str, tuple[int, int]]  # (packets, bytes) by id
    meanings: Mapping[str, str] | None = None


class Moment(NamedTuple):
    """When and of what a reading was."""

    at: float
    uptime: float
    origin: str


def gained(before: tuple[int, int], now: tuple[int, int], *, again: bool) -> tuple[int, int]:
    """What was counted since `before`. With `again` the counter began from 0; one that fell did so, too."""
    if again or now[0] < before[0]:
        return now
    return now[0] - before[0], max(now[1] - before[1], 0)


def jump(before: Moment, now: Moment) -> float:
    """By how many seconds the wall clock was set between two readings of one origin; 0 when it was not."""
    elapsed = now.uptime - before.uptime
    moved = (now.at - before.at) - elapsed
    return moved if abs(moved) > _TOLERANCE + abs(elapsed) * _SLEW else 0.0


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same moments as disjoint intervals in order."""
    merged: list[Interval] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        elif end >= begin:
            merged.append((begin, end))
    return merged


def common(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """What two unions share."""
    found: list[Interval] = []
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if begin < end:
            found.append((begin, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def length(intervals: Iterable[Interval]) -> float:
    return sum(end - begin for begin, end in intervals)


def gaps(watched: Sequence[Interval], begin: float, end: float) -> list[Interval]:
    """What of the time from `begin` to `end` is in none of the disjoint intervals `watched`."""
    found: list[Interval] = []
    for first, last in common(watched, [(begin, end)]):
        if first > begin:
            found.append((begin, first))
        begin = last
    if begin < end:
        found.append((begin, end))
    return found
