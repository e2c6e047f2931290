"""The store of objects against a plain list: the same pages for every question, and nothing lost or told twice."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.events import objects as store
from appliance.events.objects import Entry, Objects, Query
from appliance.events.stix import Made, marking, site_identity
from appliance.events.tlp import Tlp

TYPES = ("indicator", "sighting", "ipv4-addr")
ADDRESS = "ipv4-addr"


class Twin:
    """A collection as a plain list of [added, made]."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, Made]] = []

    def add(self, added: int, made: Made) -> None:
        for row in self.rows:
            if (row[1].id, row[1].version) == (made.id, made.version):
                if made.tlp >= row[1].tlp:
                    return
                self.rows.remove(row)
                break
        self.rows.append((added, made))

    def page(self, query: Query) -> list[Entry]:
        versions: dict[str, list[int]] = {}
        for added, made in self.rows:
            versions.setdefault(made.id, []).append(made.version or added)
        found = []
        for added, made in sorted(self.rows, key=lambda row: row[0]):
            version = made.version or added
            asked = (
                "all" in query.versions
                or version in query.versions
                or ("last" in query.versions and version == max(versions[made.id]))
                or ("first" in query.versions and version == min(versions[made.id]))
            )
            chosen = (
                added > query.after
                and made.tlp <= query.highest
                and (query.ids is None or made.id in query.ids)
                and (query.types is None or made.type in query.types)
            )
            if asked and chosen:
                found.append(Entry(added, made.id, version))
        return found[: query.limit]


class Clock:
    """Microseconds that only go on when they are told to, and may go back."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def an_object(kind: str, number: int, version: int, tlp: Tlp = Tlp.GREEN) -> Made:
    identifier = f"{kind}--{UUID(int=number)}"
    body = f'{{"id":"{identifier}","v":{version},"tlp":"{tlp.word}"}}'.encode()
    return Made(identifier, kind, None if kind == ADDRESS else version, tlp, body)


MADE = st.builds(
    an_object, st.sampled_from(TYPES), st.integers(1, 4), st.integers(1, 4), st.sampled_from([Tlp.CLEAR, Tlp.RED])
)
QUERIES = st.builds(
    Query,
    after=st.integers(-1, 30).map(lambda number: -1 if number < 0 else 1_000_000 + number),
    limit=st.integers(1, 8),
    highest=st.sampled_from([Tlp.CLEAR, Tlp.GREEN, Tlp.RED]),
    ids=st.none() | st.lists(MADE.map(lambda made: made.id), max_size=3).map(tuple),
    types=st.none() | st.lists(st.sampled_from((*TYPES, "malware")), max_size=3).map(tuple),
    versions=st.lists(st.sampled_from(["last", "first", "all", 1, 2, 1_000_003]), min_size=1, max_size=3).map(tuple),
)


def opened(path: Path, clock: Clock, common: tuple[Made, ...] = ()) -> Objects:
    return Objects(path / "objects.db", ("alerts", "indicators"), common, clock)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(MADE, st.integers(-3, 3)), max_size=25), st.lists(QUERIES, min_size=1, max_size=6))
def test_pages_are_those_of_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Made, int]], queries: list[Query]
) -> None:
    clock, twin = Clock(), Twin()
    objects = opened(tmp_path_factory.mktemp("objects"), clock)
    with objects.writing():
        for made, passed in steps:
            clock.now += passed
            before = objects.last
            objects.add("alerts", [made])
            twin.add(max(before + 1, clock.now), made)
    for query, merged in itertools.product(queries, (200, 0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "MOST_LISTS", merged)
            page = objects.page("alerts", query)
        assert page.entries == twin.page(query), query
        rest = Query(query.after, 1000, query.highest, query.ids, query.types, query.versions)
        assert page.more == (len(twin.page(rest)) > query.limit)
    again = Objects(objects_path(objects), (), (), clock)
    for query in queries:
        assert again.page("alerts", query).entries == twin.page(query), "after opening it again"
    again.close()
    objects.close()


def objects_path(objects: Objects) -> Path:
    (row,) = objects.reader().execute("PRAGMA database_list").fetchall()
    return Path(row[2])


def test_moments_rise_whatever_the_clock_does(tmp_path: Path) -> None:
    clock = Clock()
    objects = opened(tmp_path, clock)
    with objects.writing():
        for number, now in enumerate((5_000_000, 5_000_000, 9_000_000_000, 1, 6_000_000)):
            clock.now = now
            objects.add("alerts" if number % 2 else "indicators", [an_object("sighting", number, 1)])
    objects.close()
    clock.now = 2
    objects = opened(tmp_path, clock)
    with objects.writing():
        objects.add("alerts", [an_object("sighting", 77, 1)])
    found = [entry.added for name in ("alerts", "indicators") for entry in objects.page(name, Query()).entries]
    assert sorted(found) == [5_000_000, 5_000_001, 9_000_000_000, 9_000_000_001, 9_000_000_002, 9_000_000_003]
    objects.close()


def test_every_collection_begins_with_the_markings_and_who_speaks(tmp_path: Path) -> None:
    common = (*map(marking, Tlp), site_identity("site"))
    objects = opened(tmp_path, Clock(), common)
    for name in ("alerts", "indicators"):
        page = objects.page(name, Query(highest=Tlp.CLEAR))
        assert page.bodies == [made.body for made in common]
    objects.close()
    objects = opened(tmp_path, Clock(), common)
    assert len(objects.page("alerts", Query()).bodies) == len(common), "and only once"
    objects.close()


def test_what_failed_left_nothing(tmp_path: Path) -> None:
    objects = opened(tmp_path, Clock())
    with pytest.raises(ZeroDivisionError), objects.writing():
        objects.add("alerts", [an_object("malware", 1, 1)])
        objects.put_state("outbox", 7)
        raise ZeroDivisionError
    assert objects.page("alerts", Query()).entries == []
    assert objects.state("outbox") is None
    with objects.writing():
        objects.add("alerts", [an_object("tool", 1, 1)])
    assert [entry.id for entry in objects.page("alerts", Query()).entries] == [f"tool--{UUID(int=1)}"]
    objects.close()


def test_an_address_seen_again_after_long_is_told_again(tmp_path: Path) -> None:
    clock = Clock()
    objects = opened(tmp_path, clock)
    with objects.writing():
        assert objects.add("alerts", [an_object(ADDRESS, 1, 0), an_object("sighting", 1, 1)]) == 2
    clock.now += 10
    with objects.writing():
        assert objects.add("alerts", [an_object(ADDRESS, 1, 0)], renew_before=clock.now - 20) == 0
        assert objects.add("alerts", [an_object(ADDRESS, 1, 0)], renew_before=clock.now) == 1
        assert objects.add("alerts", [an_object("sighting", 1, 1)], renew_before=clock.now) == 0
    kinds = [entry.id.partition("--")[0] for entry in objects.page("alerts", Query()).entries]
    assert kinds == ["sighting", ADDRESS]
    objects.close()


def test_a_page_is_bounded_in_bytes_and_never_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = opened(tmp_path, Clock())
    with objects.writing():
        objects.add("alerts", [an_object("sighting", number, 1) for number in range(20)])
    size = len(an_object("sighting", 1, 1).body)
    for bound, sizes in ((3 * size, 3), (1, 1)):
        monkeypatch.setattr(store, "MAX_PAGE_BYTES", bound)
        found, after = [], -1
        while True:
            page = objects.page("alerts", Query(after=after))
            assert len(page.rows) in (sizes, 20 % sizes)
            found += page.entries
            assert page.added is not None
            after = page.added[1]
            if not page.more:
                break
        assert len({entry.id for entry in found}) == len(found) == 20
    objects.close()


def test_removing_keeps_what_is_newer_and_of_other_types(tmp_path: Path) -> None:
    clock = Clock()
    objects = opened(tmp_path, clock)
    with objects.writing():
        objects.add("alerts", [an_object("sighting", 1, 1), an_object("indicator", 1, 1)])
        cut = clock.now = clock.now + 1000
        objects.add("alerts", [an_object("sighting", 2, 1)])
        assert objects.remove("alerts", cut, ["sighting", "never-seen"], 10) == 1
    left = {entry.id for entry in objects.page("alerts", Query()).entries}
    assert left == {f"indicator--{UUID(int=1)}", f"sighting--{UUID(int=2)}"}
    objects.close()


def test_what_may_not_be_told_is_known_to_be_there(tmp_path: Path) -> None:
    objects = opened(tmp_path, Clock())
    with objects.writing():
        objects.add("alerts", [an_object("sighting", 1, 1, Tlp.RED), an_object("sighting", 2, 1, Tlp.CLEAR)])
    asked = [f"sighting--{UUID(int=number)}" for number in (1, 2, 3)]
    assert [objects.above("alerts", one, Tlp.AMBER) for one in asked] == [True, False, False]
    objects.close()


def test_readers_see_whole_transactions_while_others_are_written(tmp_path: Path) -> None:
    objects = opened(tmp_path, Clock())
    stopped = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not stopped.is_set():
            seen.append(len(objects.page("alerts", Query(limit=10_000)).rows))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for batch in range(40):
            with objects.writing():
                objects.add("alerts", [an_object("sighting", batch * 10 + one, 1) for one in range(10)])
    finally:
        stopped.set()
        thread.join()
    assert seen == sorted(seen)
    assert all(count % 10 == 0 for count in seen)
    objects.close()


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, Clock()).close()
    database = sqlite3.connect(tmp_path / "objects.db")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(sqlite3.DatabaseError, match="format 99"):
        opened(tmp_path, Clock())
