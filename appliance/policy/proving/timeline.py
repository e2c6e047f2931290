"""Time as a few kinds: which schedules are on together, and when.

From `now` to a horizon the schedules of a policy are on in few combinations; each is a *kind* of time, with the
stretches in which it is. A rule that has a schedule holds in a set of kinds, and one that expires until a second. So
time is exact, daylight saving and all, and every claim about it has a moment to show.

The horizon is 400 days away, or behind the last day that a rule or a schedule names; what lies more than
`MAX_DAYS` ahead counts as never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from appliance.policy.model import Schedule
from appliance.policy.schedule import HORIZON_DAYS, windows

DAY = 86_400
MAX_DAYS = 20 * 366
MAX_KINDS = 64
ALL_KINDS = (1 << 64) - 1


class Timeline(msgspec.Struct, frozen=True):
    """`stretches` are (seconds since `now`, kind); `kinds[k]` has bit i set when schedule i is on in kind k.

    `schedules` are those that are told apart exactly; `loose` the others, of which there are too many.
    """

    now: int
    last: int
    schedules: tuple[Schedule, ...]
    loose: tuple[Schedule, ...]
    kinds: tuple[int, ...]
    stretches: tuple[tuple[int, int], ...]

    def when(self, schedule: Schedule) -> int:
        """The kinds of time in which a schedule of `schedules` is on, as a mask."""
        bit = 1 << self.schedules.index(schedule)
        return sum(1 << number for number, on in enumerate(self.kinds) if on & bit)

    @property
    def every(self) -> int:
        """All kinds that occur, as a mask."""
        return (1 << len(self.kinds)) - 1


def horizon(schedules: Iterable[Schedule], ends: Iterable[int], now: int) -> int:
    """The last second that a proof looks at, counted from `now`."""
    latest = max(ends, default=0)
    for schedule in schedules:
        for day in (schedule.first, schedule.last):
            if day:
                latest = max(latest, int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) + 2 * DAY)
    ahead = latest - now
    if ahead <= HORIZON_DAYS * DAY:
        return HORIZON_DAYS * DAY
    return min(ahead + 8 * DAY, MAX_DAYS * DAY)  # a whole week behind the last change


def timeline(schedules: Sequence[Schedule], ends: Iterable[int], now: int) -> Timeline:
    """The kinds of time of distinct `schedules`; `ends` are the moments at which rules expire."""
    last = horizon(schedules, ends, now)
    events: dict[int, int] = {0: 0}
    for number, schedule in enumerate(schedules):
        bit = 1 << number
        for opens, closes in windows(schedule, now, now + last + 1):
            events[opens - now] = events.get(opens - now, 0) ^ bit
            events[closes - now] = events.get(closes - now, 0) ^ bit
    on = 0
    states: list[tuple[int, int]] = []
    for second in sorted(events):
        on ^= events[second]
        if second <= last:
            states.append((second, on))
    exact = len(schedules)
    while len({on & ((1 << exact) - 1) for _, on in states}) > MAX_KINDS:
        exact -= 1
    mask = (1 << exact) - 1
    kinds: dict[int, int] = {}
    stretches: list[tuple[int, int]] = []
    for second, on in states:
        kind = kinds.setdefault(on & mask, len(kinds))
        if not stretches or stretches[-1][1] != kind:
            stretches.append((second, kind))
    return Timeline(now, last, tuple(schedules[:exact]), tuple(schedules[exact:]), tuple(kinds), tuple(stretches))
