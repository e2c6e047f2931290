"""Schedules as moments: the UTC windows in which a weekly schedule is on.

The kernel knows moments (`meta time`), not time zones: `meta hour` uses one offset that nobody moves at a
change of summer time. So the windows of the coming year are compiled into interval sets and need no daemon
at all until the horizon; compiling the same text again moves it on.

Outside what was compiled nothing is known. A rule that allows is then off and a rule that denies is on:
there is one set of windows that are on and one of windows that are off, and neither reaches past the horizon.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from appliance.policy.model import Schedule

WEEK_MINUTES = 7 * 24 * 60
HORIZON_DAYS = 400
Window = tuple[int, int]  # seconds since the epoch, half open


def period(now: int) -> Window:
    """What is compiled at `now`: from the first of the month before, so that compiling again soon changes nothing."""
    today = datetime.fromtimestamp(now, UTC)
    before = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    first = before.replace(day=1)
    return int(first.timestamp()), int((first + timedelta(days=HORIZON_DAYS)).timestamp())


def windows(schedule: Schedule, start: int, end: int) -> tuple[Window, ...]:
    """When `schedule` is on in [start, end): disjoint, sorted, exactly by the wall clock of its time zone.

    A wall-clock time that summer time skips does not come; one that happens twice counts both times.
    """
    zone = ZoneInfo(schedule.timezone)
    first = date.fromisoformat(schedule.first) if schedule.first else date.min
    last = date.fromisoformat(schedule.last) if schedule.last else date.max
    found: list[Window] = []
    for opens, closes, offset in _offsets(zone, start, end):
        # Inside such a stretch, wall-clock time is UTC and a constant.
        day = datetime.fromtimestamp(opens + offset, UTC).date()
        day -= timedelta(days=day.weekday())
        until = datetime.fromtimestamp(closes + offset, UTC).date()
        while day <= until:
            for on, minute, end_minute in (part for span in schedule.spans for part in _days(day, *span)):
                if first <= on <= last:
                    midnight = int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp()) - offset
                    window = max(midnight + minute * 60, opens), min(midnight + end_minute * 60, closes)
                    if window[0] < window[1]:
                        found.append(window)
            day += timedelta(days=7)
    return _joined(found)


def gaps(on: tuple[Window, ...], start: int, end: int) -> tuple[Window, ...]:
    """What [start, end) holds besides `on`."""
    rest: list[Window] = []
    at = start
    for opens, closes in on:
        if opens > at:
            rest.append((at, opens))
        at = max(at, closes)
    if at < end:
        rest.append((at, end))
    return tuple(rest)


def is_on(schedule: Schedule, moment: int) -> bool:
    """Whether the schedule is on at a moment: by the wall clock there, without windows."""
    local = datetime.fromtimestamp(moment, ZoneInfo(schedule.timezone))
    if schedule.first and local.date() < date.fromisoformat(schedule.first):
        return False
    if schedule.last and local.date() > date.fromisoformat(schedule.last):
        return False
    minute = local.weekday() * 1440 + local.hour * 60 + local.minute
    return any(first <= minute < last for first, last in schedule.spans)


def _days(monday: date, opens: int, closes: int) -> list[tuple[date, int, int]]:
    """A span of the week, cut at midnights: (day, first minute, end minute up to 1440)."""
    parts = []
    while opens < closes:
        number, minute = divmod(opens, 1440)
        end = min(closes - number * 1440, 1440)
        parts.append((monday + timedelta(days=number), minute, end))
        opens = number * 1440 + end
    return parts


def _offsets(zone: ZoneInfo, start: int, end: int) -> list[tuple[int, int, int]]:
    """[start, end) cut where the zone's offset from UTC changes: (first, end, offset in seconds)."""

    def offset(moment: int) -> int:
        delta = datetime.fromtimestamp(moment, zone).utcoffset()
        return 0 if delta is None else int(delta.total_seconds())

    pieces: list[tuple[int, int, int]] = []
    begun, at, current = start, start, offset(start)
    while at < end:
        step = min(at + 86400, end)
        if offset(step) != current:
            low, high = at, step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == current else (low, middle)
            pieces.append((begun, high, current))
            begun, current = high, offset(high)
            at = high
        else:
            at = step
    if begun < end:
        pieces.append((begun, end, current))
    return pieces


def _joined(found: list[Window]) -> tuple[Window, ...]:
    joined: list[Window] = []
    for opens, closes in sorted(found):
        if joined and opens <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], closes))
        else:
            joined.append((opens, closes))
    return tuple(joined)
