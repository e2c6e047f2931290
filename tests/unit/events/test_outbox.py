"""The outbox keeps what it was given, in order, once, and gives it to whoever may have it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from appliance.events.classes import Class, class_of, classes_of
from appliance.events.outbox import NAME, New, Outbox, OutboxError, Reader, Stored
from appliance.events.tlp import Tlp, parse


def quiet(words: str) -> None:
    raise AssertionError(words)


def events(count: int, kind: str = "alert", tlp: Tlp = Tlp.AMBER, begin: int = 0) -> list[New]:
    return [
        New(b'{"n":%d}' % number, kind, class_of(kind), tlp, number * 1_000_000)
        for number in range(begin, begin + count)
    ]


def everything(reader: Reader, after: int = 0) -> list[Stored]:
    found: list[Stored] = []
    while True:
        page = reader.read(after, limit=7)
        found += page.events
        after = page.through
        if after == page.last:
            return found


def test_numbers_and_times_of_adding_rise_over_restarts_and_clocks_that_are_set_back(tmp_path: Path) -> None:
    clocks = iter([4_000_000_000.0, 1_000_000_000.0, 10.0])  # 2096, 2001, 1970
    found: list[Stored] = []
    for round_ in range(3):
        outbox = Outbox(tmp_path / NAME, quiet, clock=clocks.__next__)
        assert outbox.append(events(5, begin=5 * round_)) == (5 * round_ + 1, 5 * round_ + 5)
        found = everything(outbox.reader())
        outbox.close()
    assert [event.seq for event in found] == list(range(1, 16))
    assert all(one.added < other.added for one, other in itertools.pairwise(found))
    assert [event.body for event in found] == [b'{"n":%d}' % number for number in range(15)]


def test_a_reader_gets_only_what_it_asks_for_and_learns_how_far_it_looked(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet)
    mixed = events(4, "flow", Tlp.GREEN) + events(2, "alert", Tlp.RED, 4) + events(3, "dns", Tlp.AMBER, 6)
    outbox.append(mixed)
    reader = outbox.reader()
    assert [event.kind for event in reader.read(0, classes=[Class.ALERT]).events] == ["alert"] * 2
    assert [event.kind for event in reader.read(0, kinds={"dns"}).events] == ["dns"] * 3
    assert [event.seq for event in reader.read(0, highest=Tlp.GREEN).events] == [1, 2, 3, 4]
    assert [event.seq for event in reader.read(0, since=2_000_000, until=5_000_000).events] == [3, 4, 5]
    some = reader.read(1, limit=2)
    assert ([event.seq for event in some.events], some.through, some.last) == ([2, 3], 3, 9)
    none = reader.read(0, kinds={"http"})
    assert (none.events, none.through, none.last) == ([], 9, 9)
    assert reader.read(9).through == 9
    assert reader.get(5) == reader.read(4, limit=1).events[0]
    assert reader.get(10) is None


def test_a_place_is_found_while_everything_goes(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet, clock=itertools.count(1_000).__next__)
    for begin in range(9):
        outbox.append(events(1, begin=begin))
    reader = outbox.reader()

    def forget(statement: str) -> None:
        """Retention ends for all of them between two looks of the reader."""
        if "ORDER BY" in statement:
            with outbox.transaction() as db:
                db.execute(f"DELETE FROM event_{int(Class.ALERT)}")  # noqa: S608 - a number

    wanted = reader.read(0).events[5]
    reader._db.set_trace_callback(forget)
    assert reader.place(Class.ALERT, wanted.added) == wanted.seq - 1
    assert reader.place(Class.ALERT, wanted.added) == 9  # none is left
    outbox.close()


def test_what_a_transaction_did_not_end_leaves_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet)
    outbox.append(events(3), {"inspectd": 3})
    with pytest.raises(OverflowError):
        outbox.append([*events(2), New(b"", "alert", Class.ALERT, Tlp.RED, 2**70)], {"inspectd": 6})
    assert outbox.places() == {"inspectd": 3}
    assert outbox.append(events(1), {"inspectd": 4}) == (4, 4)
    assert [event.seq for event in everything(outbox.reader())] == [1, 2, 3, 4]


def test_the_newest_number_is_one_that_a_reading_finds(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet)
    outbox.append(events(2))
    with outbox.transaction() as db:
        outbox.insert(db, events(3))
        assert outbox.last() == 2 == outbox.reader().read(0).last
    assert outbox.last() == 5 == outbox.reader().read(0).last


def test_places_of_consumers_never_go_back_and_are_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet)
    outbox.append(events(5))
    outbox.acknowledge("csirt", 4)
    outbox.acknowledge("csirt", 2)
    outbox.acknowledge("greedy", 1_000)
    assert outbox.position("csirt").seq == 4
    assert outbox.position("greedy").seq == 5, "nobody has what was never given"
    outbox.close()
    again = Outbox(tmp_path / NAME, quiet)
    assert {name: position.seq for name, position in again.positions().items()} == {"csirt": 4, "greedy": 5}
    assert abs(again.position("csirt").seen - time.time() * 1e6) < 3600e6
    again.forget("greedy")
    again.close()
    assert set(Outbox(tmp_path / NAME, quiet).positions()) == {"csirt"}


def test_a_destroyed_database_is_kept_aside_and_no_number_is_given_twice(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, quiet)
    _, last = outbox.append(events(500))
    outbox.close()
    (tmp_path / NAME).write_bytes(b"nothing of a database" * 500)
    said: list[str] = []
    again = Outbox(tmp_path / NAME, said.append)
    first, _ = again.append(events(1))
    assert first > last
    assert (tmp_path / f"{NAME}.damaged").exists()
    assert "begins again" in said[0]


def test_where_there_is_no_outbox_a_reader_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="is there an outbox"):
        Reader(tmp_path / NAME)


def test_labels_are_those_of_the_standard() -> None:
    assert [each.label for each in Tlp] == ["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"]
    assert [parse(each.label) for each in Tlp] == [parse(each.word) for each in Tlp] == list(Tlp)
    assert parse("tlp:white") is Tlp.CLEAR
    with pytest.raises(ValueError, match="no label"):
        parse("TLP:BLUE")


def test_collections_are_classes_of_events() -> None:
    assert classes_of(["alerts", "indicators", "telemetry"]) == {Class.ALERT, Class.TELEMETRY}
    assert class_of("alert") is Class.ALERT
    assert class_of("something-new") is Class.TELEMETRY
