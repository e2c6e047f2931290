"""Schedules as moments: across changes of summer time, and at the ends of what is known."""

from __future__ import annotations

import itertools
from bisect import bisect_right

import pytest

from appliance.policy.model import Schedule
from appliance.policy.schedule import gaps, is_on, period, windows

NOW = 1_763_700_000  # 2025-11-21
ZONES = ("Europe/Berlin", "America/Belize", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca", "UTC")
SPANS = (
    ((450, 1020),),
    ((90, 150), (8700, 8820)),
    ((8761, 8789),),  # inside the hour that a change of summer time skips or repeats
    ((8670, 8780), (8790, 8940)),
    ((0, 10080),),
    ((1300, 1500),),  # over midnight
)


@pytest.mark.parametrize("zone", ZONES)
def test_windows_are_the_wall_clock_all_year(zone: str) -> None:
    begin, end = period(NOW)
    for spans in SPANS:
        schedule = Schedule("s", zone, spans)
        found = windows(schedule, begin, end)
        starts = [first for first, _ in found]
        for moment in range(begin, end, 7 * 60 * 13):
            at = bisect_right(starts, moment) - 1
            assert (at >= 0 and moment < found[at][1]) == is_on(schedule, moment), (zone, spans, moment)


def test_every_minute_of_the_night_when_the_clock_changes() -> None:
    for change in (1_774_746_000, 1_792_890_000):  # 2026-03-29 and 2026-10-25, 01:00 UTC, in Berlin
        for spans in SPANS:
            schedule = Schedule("s", "Europe/Berlin", spans)
            found = windows(schedule, change - 86_400, change + 86_400)
            for moment in range(change - 4 * 3600, change + 4 * 3600, 60):
                inside = any(first <= moment < last for first, last in found)
                assert inside == is_on(schedule, moment)


def test_office_hours_keep_their_wall_clock_over_the_change() -> None:
    schedule = Schedule("office", "Europe/Berlin", ((4 * 1440 + 480, 4 * 1440 + 1020), (480, 1020)))
    friday, monday = windows(schedule, 1_774_569_600, 1_775_000_000)[:2]  # from 2026-03-27 00:00 UTC
    assert friday[0] % 86_400 == 7 * 3600  # 08:00 is 07:00 UTC in winter
    assert monday[0] % 86_400 == 6 * 3600  # and 06:00 UTC in summer


def test_dates_bound_a_schedule() -> None:
    schedule = Schedule("s", "America/Belize", ((0, 10080),), first="2026-01-10", last="2026-01-11")
    begin, end = period(NOW)
    found = windows(schedule, begin, end)
    assert found == ((1_768_024_800, 1_768_024_800 + 2 * 86_400),)  # midnight is 06:00 UTC


def test_gaps_and_windows_fill_the_period() -> None:
    begin, end = period(NOW)
    for spans in SPANS:
        on = windows(Schedule("s", "Europe/Berlin", spans), begin, end)
        off = gaps(on, begin, end)
        pieces = sorted(on + off)
        assert pieces[0][0] == begin
        assert pieces[-1][1] == end
        assert all(one[1] == other[0] for one, other in itertools.pairwise(pieces))


def test_compiling_again_in_the_same_month_gives_the_same_period() -> None:
    assert period(NOW) == period(NOW + 5 * 86_400)
    begin, end = period(NOW)
    assert begin <= NOW - 20 * 86_400
    assert end >= NOW + 300 * 86_400
