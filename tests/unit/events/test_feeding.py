"""The feeding of objects from the outbox: every alert once, whatever breaks, and what it counts beside."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.events import feeding, stix
from appliance.events.classes import Class
from appliance.events.feeding import feed, forget, place, taken, trim
from appliance.events.objects import Objects, Query
from appliance.events.outbox import New, Outbox
from appliance.events.record import banned, encode
from appliance.events.tlp import Tlp
from tests.alertapi import alert, new

SITE = "site"
SECOND = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1_767_225_600 * SECOND

    def __call__(self) -> int:
        return self.now


class Stores:
    """An outbox and objects in a directory."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.outbox = Outbox(path / "outbox.db", lambda _: None)
        self.reader = self.outbox.reader()
        self.objects = Objects(path / "objects.db", ("alerts",), (), self.clock)

    def append(self, *events: New) -> None:
        self.outbox.append(events)

    def feed(self, rule: stix.RuleText = feeding.no_rule) -> int:
        count = 0
        while True:
            fed = feed(self.reader, self.objects, SITE, rule)
            count += fed.alerts
            if not fed.more:
                return count

    def bodies(
        self, kind: str, versions: tuple[str, ...] = ("last",), highest: Tlp = Tlp.RED
    ) -> list[dict[str, Any]]:
        query = Query(limit=10_000, types=(kind,), versions=versions, highest=highest)
        return [json.loads(body) for body in self.objects.page("alerts", query).bodies]

    def seen(self) -> list[tuple[Any, ...]]:
        return self.objects.reader().execute("SELECT kind, value, signature, tlp, count FROM seen").fetchall()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    found = Stores(tmp_path)
    yield found
    found.reader.close()
    found.objects.close()
    found.outbox.close()


def signature(number: int, **members: Any) -> bytes:
    said = {
        "action": "blocked", "gid": 1, "signature_id": 7, "rev": 1, "signature": "S", "category": "C", "severity": 1,
    }  # fmt: skip
    return alert(number, alert={**said, **members})


def test_alerts_become_objects_once_and_other_events_none(stores: Stores) -> None:
    flow = New(b'{"event_type":"flow"}', "flow", Class.TELEMETRY, Tlp.AMBER, 1)
    for number in range(1300):
        stores.append(new(alert(number)), flow)
    assert stores.feed() == 1300
    assert stores.feed() == 0
    assert place(stores.objects) == stores.outbox.last()
    assert len(stores.bodies("sighting")) == 1300
    assert len(stores.bodies("indicator")) == 7


def test_what_breaks_in_the_middle_is_taken_up_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.append(*(new(alert(number)) for number in range(2000)))
    failing = itertools.count()
    add = Objects.add

    def breaking(self: Objects, *arguments: Any, **more: Any) -> int:
        if next(failing) % 700 == 699:
            raise OSError("the power went")
        return add(self, *arguments, **more)

    monkeypatch.setattr(Objects, "add", breaking)
    broke = 0
    while place(stores.objects) < stores.outbox.last():
        try:
            feed(stores.reader, stores.objects, SITE)
        except OSError:
            broke += 1
            left = len(stores.bodies("sighting"))
            assert left == place(stores.objects), "what was half done left nothing"
    assert broke >= 2
    numbers = Counter(
        reference["external_id"] for one in stores.bodies("sighting") for reference in one["external_references"]
        if reference["source_name"] == "reef"
    )  # fmt: skip
    assert numbers == Counter(f"{SITE}/{number}" for number in range(1, 2001))


def test_a_line_that_is_no_alert_is_passed_over(stores: Stores) -> None:
    good = new(alert(1))
    stores.append(*(New(body, "alert", Class.ALERT, Tlp.AMBER, 1) for body in (b"", b"{", b"[]", b"\xff")), good)
    assert stores.feed() == 1
    assert place(stores.objects) == 5


def test_a_signature_is_told_again_when_its_revision_rises(stores: Stores) -> None:
    stores.append(new(signature(1)), new(signature(2)), new(signature(3, rev=2, signature="S2")), new(signature(4)))
    assert stores.feed(lambda gid, sid: f"alert ip any any -> any any (gid:{gid}; sid:{sid};)") == 4
    first, second = stores.bodies("indicator", ("all",))
    assert (first["id"], first["created"]) == (second["id"], second["created"])
    assert (first["name"], second["name"]) == ("S", "S2")
    assert first["modified"] < second["modified"]
    assert [one["name"] for one in stores.bodies("indicator")] == ["S2"]
    assert second["pattern"] == "alert ip any any -> any any (gid:1; sid:7;)"
    assert {one["sighting_of_ref"] for one in stores.bodies("sighting")} == {first["id"]}


def test_what_is_referred_to_may_be_read_by_whoever_may_read_what_refers(stores: Stores) -> None:
    same = {"src_ip": "198.51.100.1", "dest_ip": "198.51.100.2"}
    stores.append(new(alert(0, **same), Tlp.RED), new(alert(7, **same), Tlp.GREEN), new(alert(14, **same), Tlp.RED))
    stores.feed()
    for highest, sightings in ((Tlp.CLEAR, 0), (Tlp.GREEN, 1), (Tlp.RED, 3)):
        query = Query(limit=10_000, highest=highest)
        found = [json.loads(body) for body in stores.objects.page("alerts", query).bodies]
        known = {one["id"] for one in found}
        assert sum(one["type"] == "sighting" for one in found) == sightings
        for one in found:
            refers = [one.get("sighting_of_ref"), *one.get("observed_data_refs", []), *one.get("object_refs", [])]
            assert all(reference in known for reference in refers if reference)
            assert stix.marked(one["object_marking_refs"]) in range(highest + 1)


def test_what_alerts_saw_is_counted_by_day_without_the_victim(stores: Stores) -> None:
    web = {"http": {"hostname": "evil.example", "url": "/x"}, "fileinfo": {"sha256": "ab" * 32}, "tls": {}}
    same = {"src_ip": "198.51.100.1", "dest_ip": "192.0.2.99"}
    stores.append(
        *(new(signature(number)[:-1] + b"," + json.dumps({**web, **same})[1:].encode()) for number in range(3))
    )
    stores.append(new(encode(banned("words", "203.0.113.9", seconds=1_767_225_600)).strip()))
    stores.feed()
    assert sorted(stores.seen()) == sorted(
        [
            (feeding.BANNED_KIND, "203.0.113.9", "words", int(Tlp.AMBER), 1),
            ("ip-src", "198.51.100.1", "S", int(Tlp.AMBER), 3),
            ("domain", "evil.example", "S", int(Tlp.AMBER), 3),
            ("url", "http://evil.example/x", "S", int(Tlp.AMBER), 3),
            ("sha256", "ab" * 32, "S", int(Tlp.AMBER), 3),
        ]
    )


def test_who_has_objects_up_to_a_moment_has_alerts_up_to_a_number(stores: Stores) -> None:
    assert taken(stores.objects, stores.clock.now) == 0
    for number in range(40):
        stores.clock.now += 300_000
        stores.append(*(new(alert(number * 10 + one)) for one in range(10)))
        if number % 3 == 0:
            stores.feed()
    stores.feed()
    numbers = {}  # of the alert, by the moment at which its sighting was added
    page = stores.objects.page("alerts", Query(limit=10_000, types=("sighting",)))
    for entry, body in zip(page.entries, page.bodies, strict=True):
        (reference, *_) = json.loads(body)["external_references"]
        numbers[entry.added] = int(reference["external_id"].partition("/")[2])
    for moment in numbers:
        missing = min((number for added, number in numbers.items() if added > moment), default=401)
        assert taken(stores.objects, moment) < missing
        assert missing - taken(stores.objects, moment) <= 60, "and not much less"
    assert taken(stores.objects, stores.objects.last) == 400
    assert taken(stores.objects, max(numbers)) == 400


def test_a_flood_of_names_fills_no_disk(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "MOST_SEEN", 50)
    stores.append(*(new(alert(number, tls={"sni": f"n{number}.example"})) for number in range(400)))
    stores.feed()
    assert len(stores.seen()) == 50
    assert len(stores.bodies("sighting")) == 400, "sightings are all there"


def test_what_is_older_than_its_retention_goes_and_nothing_that_is_still_referred_to(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, begun = 86_400 * SECOND, stores.clock.now
    for number, days in ((1, 0), (2, 20), (3, 60)):
        stores.clock.now = begun + days * day
        stores.append(new(alert(number)))
        stores.feed()
    observables = ("ipv4-addr", "domain-name", "network-traffic")

    def left() -> tuple[set[str], set[str]]:
        """Sightings' times, and observables that are missing."""
        known = {one["id"] for kind in observables for one in stores.bodies(kind)}
        asked = {reference for one in stores.bodies("observed-data") for reference in one["object_refs"]}
        return {one["first_seen"][-4:-1] for one in stores.bodies("sighting")}, asked - known

    assert left() == ({"001", "002", "003"}, set())
    monkeypatch.setattr(feeding, "STEP", 1)
    for days, expected in ((10, {"002", "003"}), (50, {"003"}), (100, set[str]())):
        assert forget(stores.objects, begun + days * day) > 0
        assert left() == (expected, set())
    assert stores.seen() == []
    assert len(stores.bodies("indicator")) == 3, "what signatures are stays"


def test_objects_are_bounded_in_bytes_and_what_is_left_is_whole(stores: Stores) -> None:
    """A flood for days: the oldest go, and what newer ones refer to stays."""
    most = 1 << 20
    newest = 0
    for _ in range(40):
        stores.append(*(new(alert(number)) for number in range(newest, newest + 50)))
        newest += 50
        stores.clock.now += 600 * SECOND
        stores.feed()
        trim(stores.objects, most)
    assert stores.objects.used() <= most
    sightings, observed = stores.bodies("sighting"), stores.bodies("observed-data")
    assert 100 < len(sightings) < newest, "some went, and not all"
    kinds = ("ipv4-addr", "domain-name", "network-traffic")
    known = {one["id"] for kind in kinds for one in stores.bodies(kind)}
    asked = {reference for one in observed for reference in one["object_refs"]}
    assert asked <= known
    numbers = {int(one["external_references"][0]["external_id"].rpartition("/")[2]) for one in sightings}
    assert numbers == set(range(newest - len(sightings) + 1, newest + 1)), "it is the newest that are there"
