"""The collector takes every event of every spool once, alerts first, and says what it could not get."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.events import record
from appliance.events.classes import Class
from appliance.events.collecting import Collector
from appliance.events.marking import Generations, Marker, NotAnEvent
from appliance.events.outbox import NAME, Outbox, Reader, Stored
from appliance.events.record import Decision, Event
from appliance.events.retaining import Need, Plan, Room
from appliance.events.split import ALERTS, SplitSpool
from appliance.events.spool import Spool, SpoolLimits
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings, Mark

SETTINGS = AlertSettings(marks=(Mark("red", zone="hr"), Mark("green", kept="telemetry"), Mark("clear", zone="guest")))


def fail(words: str) -> None:
    raise AssertionError(words)


def marker() -> Marker:
    generations = Generations()
    generations.runs(7, 0)
    return Marker(SETTINGS, "clinic", generations)


def collector(folder: Path, outbox: Outbox, said: Callable[[str], None] = fail) -> Collector:
    return Collector(folder / "events", outbox, marker(), log=said, kept=lambda last: None, failed=fail)


def alert(number: int) -> bytes:
    return record.encode(record.alert(1, "a test", f"alert {number}", seconds=1_800_000_000 + number))


def flow(number: int) -> bytes:
    event = Event("2027-01-15T08:00:00.000000+0000", "flow", flow_id=number, src_ip="10.0.0.1", dest_ip="10.0.0.2")
    return record.encode(event)


def everything(reader: Reader) -> list[Stored]:
    found: list[Stored] = []
    after = 0
    while True:
        page = reader.read(after)
        found += page.events
        after = page.through
        if after == page.last:
            return found


def drain(collector: Collector) -> None:
    while collector.step():
        pass


# --- what becomes of a line ---------------------------------------------------------------------------


def decided(source: str, destination: str = "internet") -> bytes:
    said = record.metadata(Decision("reef", rule="R-3", action="allow", source=source, destination=destination))
    return record.encode(msgspec.structs.replace(record.decode(flow(1)), metadata=said))


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (flow(1), Tlp.GREEN),
        (alert(1), Tlp.AMBER),
        (decided("lan"), Tlp.GREEN),
        (decided("hr"), Tlp.RED),
        (decided("guest"), Tlp.CLEAR),
        (decided("guest", "hr"), Tlp.RED),
    ],
)
def test_the_label_is_that_of_the_strictest_zone_else_of_the_kind(line: bytes, label: Tlp) -> None:
    new = marker().new(line)
    assert new.tlp is label
    assert record.decode(new.body).decision == record.decode(line).decision
    assert json.loads(new.body)["metadata"]["flowvars"][0]["tlp"] == label.word


@pytest.mark.parametrize("line", [flow(5), alert(5), decided("lan")])
def test_nothing_of_the_line_is_lost_and_nothing_else_is_added(line: bytes) -> None:
    before, after = json.loads(line), json.loads(marker().new(line).body)
    ours = after["metadata"]["flowvars"].pop(0)
    said = before.get("metadata", {}).get("flowvars", [{"gid": "reef"}])[0]
    assert ours == said | {"generation": 7, "tlp": ours["tlp"]}
    assert after.pop("host") == "clinic"
    after.pop("metadata")
    before.pop("metadata", None)
    assert after == before


def test_the_quick_way_and_the_long_way_say_the_same() -> None:
    """The engine's spelling is spliced; with a blank in it the line is read and written whole."""
    quick = decided("lan")
    long = quick.replace(b'"metadata":{"flowvars"', b'"metadata": {"flowvars"')
    assert quick != long
    assert json.loads(marker().new(quick).body) == json.loads(marker().new(long).body)


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"{", b'{"event_type":"flow"}', b'{"timestamp":"yesterday","event_type":"flow"}',
     b'{"timestamp":"2027-01-15T08:00:00.000000","event_type":"flow"}', b"\xff\xfe", flow(1) + b"x",
     b'{"timestamp":"2027-01-15T08:00:00.000000+0000","event_type":"flow","metadata":7}'],
)  # fmt: skip
def test_what_is_no_event_is_told(line: bytes) -> None:
    with pytest.raises(NotAnEvent):
        marker().new(line)


def test_an_event_carries_the_generation_of_its_time() -> None:
    generations = Generations()
    assert generations.at(5) == 0
    generations.runs(3, 1_000)
    generations.runs(3, 1_500)
    generations.runs(4, 2_000)
    assert [generations.at(moment) for moment in (0, 1_000, 1_999, 2_000, 9_000)] == [3, 3, 3, 4, 4]


# --- from spools to the outbox ------------------------------------------------------------------------


def test_a_flood_of_refusals_drives_no_alert_out_of_the_spool(tmp_path: Path) -> None:
    limits = SpoolLimits(segment=20_000, total=60_000)
    spool = SplitSpool(tmp_path / "events" / "inspectd", limits)
    spool.append(flow(0) + alert(0) + flow(1), 3)
    for number in range(2, 2_000):
        spool.append(flow(number), 1)
    spool.append(alert(1), 1)
    outbox = Outbox(tmp_path / NAME, fail)
    drain(collector(tmp_path, outbox))
    found = everything(outbox.reader())
    alerts = [json.loads(event.body)["alert"]["signature"] for event in found if event.class_ is Class.ALERT]
    assert alerts == ["alert 0", "alert 1"]
    assert [event.class_ for event in found[:2]] == [Class.ALERT] * 2, "alerts come before what came before them"
    assert len([event for event in found if event.kind == "flow"]) < 2_000


def test_what_a_spool_lost_is_said_in_its_place(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, fail)
    spool = Spool(tmp_path / "events" / "watchd", SpoolLimits(segment=20_000, total=60_000))
    spool.append(alert(0), 1)
    spool.sync()
    drain(collector(tmp_path, outbox))
    for number in range(1, 1_000):
        spool.append(alert(number), 1)
    drain(collector(tmp_path, outbox))
    found = everything(outbox.reader())
    gap = json.loads(found[1].body)
    assert gap["event_type"] == "engine"
    lost = gap["metadata"]["flowvars"][0]["gap"]["events"]
    assert lost + len(found) - 1 == 1_000
    assert json.loads(found[2].body)["alert"]["signature"] == f"alert {lost + 1}"


def test_a_line_that_is_no_event_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, fail)
    spool = Spool(tmp_path / "events" / "watchd")
    spool.append(alert(0) + b"{broken\n" + alert(1), 3)
    drain(collector(tmp_path, outbox))
    assert [event.kind for event in everything(outbox.reader())] == ["alert", "engine", "alert"]


def test_a_spool_that_began_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, fail)
    directory = tmp_path / "events" / "watchd"
    Spool(directory).append(alert(0) * 9, 9)
    drain(collector(tmp_path, outbox))
    for path in directory.glob("*.log"):
        path.unlink()
    Spool(directory).append(alert(1), 1)
    said: list[str] = []
    drain(collector(tmp_path, outbox, said.append))
    assert len(everything(outbox.reader())) == 10
    assert "began anew" in said[0]


def test_when_there_is_no_room_alerts_stay_in_their_spool_until_there_is(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, fail)
    waiting = Plan({}, 200_000, (Need("csirt", frozenset({Class.ALERT}), Tlp.RED),))
    words: list[str] = []
    one = collector(tmp_path, outbox, words.append)
    one.follow(marker(), waiting)
    spool = SplitSpool(tmp_path / "events" / "inspectd")
    spool.append(b"".join(map(alert, range(2_000))), 2_000)
    one.start()
    until(lambda: one.room is Room.NOTHING)
    spool.append(alert(2_000), 1)
    assert len(everything(outbox.reader())) == 2_000
    outbox.acknowledge("csirt", 2_000)
    until(lambda: outbox.last() == 2_001)
    until(lambda: one.room is Room.ALL)
    one.stop()
    one.join()
    assert any("full" in each for each in words)
    assert "room again" in words[-1]


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_database_that_turns_out_to_be_damaged_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "events" / "watchd")
    outbox = Outbox(tmp_path / NAME, fail)
    spool.append(b"".join(map(alert, range(3_000))), 3_000)
    drain(collector(tmp_path, outbox))
    last = outbox.last()
    outbox.close()
    with (tmp_path / NAME).open("r+b") as file:  # all but the first pages
        size = file.seek(0, os.SEEK_END)
        file.seek(16 * 8192)
        file.write(b"\xa5" * (size - 16 * 8192))
    words: list[str] = []
    damaged = Outbox(tmp_path / NAME, fail)
    one = Collector(tmp_path / "events", damaged, marker(), log=fail, kept=lambda last: None, failed=words.append)
    one.follow(marker(), Plan({Class.ALERT: 1}, 1))
    spool.append(b"".join(map(alert, range(3_000, 6_000))), 3_000)
    one.start()
    until(lambda: words)
    one.join()
    assert "events cannot be kept" in words[0]
    again = Outbox(tmp_path / NAME, words.append)
    drain(collector(tmp_path, again))
    assert everything(again.reader())[0].seq > last
    assert len(everything(again.reader())) == 6_000, "what the spools have is there"
    assert (tmp_path / f"{NAME}.damaged").exists()


# --- killed -------------------------------------------------------------------------------------------


def collecting(folder: Path) -> None:
    one = collector(folder, Outbox(folder / NAME, fail))
    one.start()
    one.join()


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """A consumer that keeps its own place pulls all the time; writer and puller live on while the collector dies."""
    context = multiprocessing.get_context("fork")
    dice = random.Random(6)
    spool = SplitSpool(tmp_path / "events" / "inspectd")
    Outbox(tmp_path / NAME, fail).close()
    reader = Reader(tmp_path / NAME)
    pulled: list[Stored] = []
    written, place = 0, 0
    for _ in range(25):
        child = context.Process(target=collecting, args=(tmp_path,))
        child.start()
        end = time.monotonic() + dice.uniform(0.0, 0.06)
        while time.monotonic() < end:
            lines = b"".join(alert(number) for number in range(written, written + 40))
            spool.append(lines, 40)
            written += 40
            spool.tick()
        page = reader.read(place, limit=dice.randrange(1, 5_000))
        pulled += page.events
        place = page.through
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    outbox = Outbox(tmp_path / NAME, fail)
    drain(collector(tmp_path, outbox))
    while (page := reader.read(place)).events:
        pulled += page.events
        place = page.through
    words = [json.loads(event.body)["alert"]["signature"] for event in pulled]
    assert words == [f"alert {number}" for number in range(written)]
    assert written > 500
    assert [event.seq for event in pulled] == list(range(1, written + 1))


def test_the_split_spool_has_the_alerts_apart(tmp_path: Path) -> None:
    spool = SplitSpool(tmp_path)
    hidden = b'{"timestamp":"x","event_type":"http","http":{"url":"\\"event_type\\":\\"alert\\""}}\n'
    spool.append(flow(1) + alert(1) + hidden, 3)
    spool.close()
    assert b'"event_type":"alert"' not in (tmp_path / "0000000000000000.log").read_bytes()
    assert (tmp_path / ALERTS / "0000000000000000.log").read_bytes().count(b"\n") == 1
