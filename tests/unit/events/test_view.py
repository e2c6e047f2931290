"""What `reef log` is given: chosen events of all processes, in the order of time, and a word for each loss."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from appliance.events import record
from appliance.events.record import GID, Decision, Event
from appliance.events.spool import Spool, SpoolLimits
from appliance.events.view import Lost, Selection, follow, past

START = 1_800_000_000.0


def event(
    second: float, rule: str = "R-1", kind: str = "drop", src_ip: str = "", drop: dict[str, int] | None = None
) -> Event:
    return Event(
        timestamp=record.format_time(START + second),
        event_type=kind,
        metadata=record.metadata(Decision(GID, rule, "deny", "lan", "internet")),
        src_ip=src_ip,
        drop=drop,
    )


def write(events: Path, process: str, *which: Event) -> None:
    spool = Spool(events / process, SpoolLimits(segment=600))
    for one in which:
        spool.append(record.encode(one), 1)
    spool.close()


@pytest.fixture
def events(tmp_path: Path) -> Path:
    write(tmp_path, "inspectd", *(event(n, f"R-{n}", src_ip=f"10.0.0.{n}") for n in range(0, 20, 2)))
    write(tmp_path, "applyd", *(event(n, kind="engine") for n in range(1, 20, 2)))
    return tmp_path


def seconds(found: list[Event]) -> list[float]:
    return [one.time.timestamp() - START for one in found]


def test_spools_are_merged_by_time(events: Path) -> None:
    assert seconds(past(events, Selection())) == list(range(20))


def test_the_last_ones(events: Path) -> None:
    assert seconds(past(events, Selection(), limit=3)) == [17, 18, 19]
    assert seconds(past(events, Selection(types=("drop",)), limit=3)) == [14, 16, 18]


def test_counters_are_for_who_asks(events: Path) -> None:
    write(events, "counting", event(30, kind="stats"))
    assert seconds(past(events, Selection(), limit=1)) == [19]
    assert seconds(past(events, Selection(types=("stats",)))) == [30]


def test_times_bound_the_selection(events: Path) -> None:
    assert seconds(past(events, Selection(since=START + 5, until=START + 9))) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(rules=("R-4", "R-6")), [4, 6]),
        (Selection(types=("engine",)), list(range(1, 20, 2))),
        (Selection(networks=(ip_network("10.0.0.8/31"),)), [8]),
        (Selection(zones=("dmz",)), []),
        (Selection(zones=("internet",), rules=("R-2",)), [2]),
        (Selection(actions=("allow",)), []),
    ],
)
def test_choices(events: Path, selection: Selection, expected: list[float]) -> None:
    assert seconds(past(events, selection)) == expected


def test_following_shows_what_comes_and_what_is_lost(events: Path) -> None:
    """The generator is asked as the command line asks it; between its answers others write."""
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            write(events, "inspectd", event(30, "R-30"), event(31, "R-31", kind="tls"))
            write(events, "namesd", event(32, "R-32", kind="tls"))  # a spool that was not there before
        if asked == 3:
            spool = Spool(events / "inspectd")
            spool.append(b"this is no event\n", 1)
            spool.close()
        return asked > 4

    came = list(follow(events, Selection(types=("tls",)), stopped, poll=0.001))
    assert [one if isinstance(one, Lost) else one.decision.rule for one in came] == [
        "R-31",
        "R-32",
        Lost("inspectd", 1),
    ]


def test_following_begins_with_the_call(tmp_path: Path) -> None:
    events = tmp_path / "events"
    write(events, "inspectd", event(1, "R-1"))
    coming = follow(events, Selection(), lambda: False, poll=0.001)
    write(events, "inspectd", event(2, "R-2"))  # before anybody looked
    first = next(coming)
    assert isinstance(first, Event) and first.decision.rule == "R-2"


def test_an_event_survives_its_line() -> None:
    one = event(3, src_ip="2001:db8::1", drop={"len": 60})
    line = record.encode(one)
    assert line.endswith(b"\n")
    assert record.decode(line) == one
    assert record.decode(line).decision == Decision(GID, "R-1", "deny", "lan", "internet")
    assert record.notice("spool", "words", seconds=0).timestamp == "1970-01-01T00:00:00.000000+0000"


def test_nothing_there_is_nothing_to_see(tmp_path: Path) -> None:
    assert past(tmp_path / "none", Selection()) == []
