"""What goes out of the outbox goes for its age or for want of room, never an alert that somebody waits for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.events import record
from appliance.events.classes import Class, class_of
from appliance.events.marking import Generations, Marker
from appliance.events.outbox import NAME, New, Outbox, Stored
from appliance.events.retaining import HOUR, Need, Plan, Retainer, Room, Went, words_of
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings

DAY = 24 * HOUR
WEEK = 7 * DAY
YEAR = 365 * DAY
RETENTION = {Class.ALERT: 90 * DAY, Class.AUDIT: 365 * DAY, Class.NOTICE: 90 * DAY, Class.TELEMETRY: 7 * DAY}
CSIRT = Need("csirt", frozenset({Class.ALERT, Class.TELEMETRY}), Tlp.AMBER)


def quiet(words: str) -> None:
    raise AssertionError(words)


def events(count: int, kind: str, tlp: Tlp = Tlp.AMBER, size: int = 600) -> list[New]:
    return [New(b"x" * size, kind, class_of(kind), tlp, number) for number in range(count)]


class Box:
    """An outbox with clocks of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wall = 1_800_000_000.0
        self.boot = 1000.0
        self.open()

    def open(self) -> None:
        self.outbox = Outbox(self.path / NAME, quiet, clock=lambda: self.wall)
        self.retainer = Retainer(self.outbox, self._gap, steady=lambda: self.boot, clock=lambda: self.wall)
        self.reader = self.outbox.reader()

    def _gap(self, went: Went) -> New:
        event = record.notice("alertd", words_of(went), seconds=0)
        return Marker(AlertSettings(), "box", Generations()).new(record.encode(event))

    def passes(self, seconds: float) -> None:
        """The collector writes the time down each minute; here it is now and then."""
        while seconds > 0:
            step = min(seconds, 8 * HOUR)
            self.boot += step
            self.wall += step
            seconds -= step
            self.retainer.keep_time()

    def off(self, seconds: float) -> None:
        """The process is away; afterwards the boot clock may have begun anew."""
        self.reader.close()
        self.outbox.close()
        self.wall += seconds
        self.boot = 5.0
        self.open()

    def settle(self, plan: Plan) -> None:
        self.retainer.plan = plan
        while self.retainer.step():
            pass

    def full(self) -> Room:
        return self.retainer.room

    def held(self) -> list[Stored]:
        found: list[Stored] = []
        after = 0
        while True:
            page = self.reader.read(after)
            found += page.events
            after = page.through
            if after == page.last:
                return found

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for event in self.held():
            found[event.kind] = found.get(event.kind, 0) + 1
        return found

    def gaps(self) -> list[str]:
        return [json.loads(event.body)["engine"]["message"] for event in self.held() if event.kind == "engine"]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_consumer_that_was_away_for_a_week_misses_no_alert_and_is_told_what_telemetry_it_missed(box: Box) -> None:
    plan = Plan(RETENTION, 1 << 40, (CSIRT,))
    first = 0
    for day in range(9):
        box.outbox.append(events(100, "alert") + events(1000, "flow"))
        box.passes(DAY)
        box.settle(plan)
        if day == 0:
            first = box.outbox.last()
            box.outbox.acknowledge("csirt", first)
    found = box.held()
    assert len([event for event in found if event.kind == "alert" and event.seq > first]) == 800
    missed = 8000 - len([event for event in found if event.kind == "flow" and event.seq > first])
    assert 0 < missed < 8000
    told = sum(int(gap.rsplit("(", 1)[1].rstrip(")")) for gap in box.gaps())
    assert told == missed


@pytest.mark.parametrize("jump", [30 * YEAR, -30 * YEAR])
def test_a_clock_that_is_wrong_by_years_ends_no_retention(box: Box, jump: float) -> None:
    plan = Plan(RETENTION, 1 << 40, (CSIRT,))
    box.outbox.append(events(50, "alert") + events(50, "flow"))
    box.passes(HOUR)
    box.wall += jump
    box.passes(HOUR)
    box.settle(plan)
    assert box.counts() == {"alert": 50, "flow": 50}
    box.off(jump)  # and it is wrong again after a boot
    box.passes(HOUR)
    box.settle(plan)
    assert box.counts() == {"alert": 50, "flow": 50}
    box.passes(8 * DAY)  # but time does pass
    box.settle(plan)
    assert box.counts()["alert"] == 50
    assert "flow" not in box.counts()


def test_time_without_the_process_counts(box: Box) -> None:
    box.outbox.append(events(5, "flow"))
    box.passes(HOUR)
    box.off(8 * DAY)
    box.settle(Plan(RETENTION, 1 << 40))
    assert box.counts() == {}


def test_nothing_goes_early(box: Box) -> None:
    box.outbox.append(events(5, "flow"))
    box.passes(WEEK - HOUR)
    box.settle(Plan(RETENTION, 1 << 40))
    assert box.counts() == {"flow": 5}
    box.passes(DAY)
    box.settle(Plan(RETENTION, 1 << 40))
    assert box.counts() == {}


def test_for_want_of_room_telemetry_goes_first_and_what_was_missed_is_said(box: Box) -> None:
    box.outbox.append(events(2000, "flow", size=500) + events(500, "alert") + events(500, "audit"))
    box.outbox.acknowledge("csirt", 100)
    box.settle(Plan({}, 1_000_000, (CSIRT,)))
    counts = box.counts()
    assert counts["alert"] == 500
    assert counts["audit"] == 500
    assert counts.get("flow", 0) < 2000
    assert box.retainer.room is Room.ALL
    assert "telemetry, numbers 1 to " in box.gaps()[0]
    assert "there was no room" in box.gaps()[0]


def test_an_alert_that_somebody_waits_for_never_goes_for_want_of_room(box: Box) -> None:
    box.outbox.append(events(3000, "alert") + events(100, "flow"))
    plan = Plan({}, 500_000, (CSIRT,))
    box.settle(plan)
    assert box.counts()["alert"] == 3000
    assert box.full() is Room.NOTHING
    box.outbox.acknowledge("csirt", 3000)
    box.settle(plan)
    assert box.counts().get("alert", 0) < 3000
    assert box.full() is Room.ALL
    assert not [gap for gap in box.gaps() if "alerts" in gap], "everybody who needs them has them"


def test_what_is_labelled_too_high_for_a_consumer_is_none_that_it_misses(box: Box) -> None:
    box.outbox.append(events(10, "flow", Tlp.RED))
    box.passes(8 * DAY)
    box.settle(Plan(RETENTION, 1 << 40, (CSIRT,)))
    assert box.counts() == {}


def test_room_that_was_given_back_is_used_again(box: Box) -> None:
    """The file stays within its size however much goes through it."""
    plan = Plan({}, 4_000_000)
    sizes = []
    for _ in range(20):
        box.outbox.append(events(1500, "flow"))
        box.settle(plan)
        sizes.append((box.path / NAME).stat().st_size)
    assert max(sizes) < 6_000_000
    assert box.retainer.used() <= 4_000_000
