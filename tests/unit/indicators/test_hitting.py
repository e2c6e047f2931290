"""Hits: what events say of indicators, counted once, told as sightings and alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stix2

from appliance.events import stix
from appliance.events.classes import class_of
from appliance.events.indicatorline import sid_of
from appliance.events.outbox import New, Outbox
from appliance.events.record import Event, decode, format_time
from appliance.events.tlp import Tlp
from appliance.indicators.deciding import Mode
from appliance.indicators.desk import Desk
from appliance.indicators.hitting import Alerting, Hitting, counted, hit_of
from appliance.indicators.indicator import Indicator, Read
from appliance.indicators.never import Never
from appliance.indicators.office import Office
from appliance.indicators.store import NAME, Hits, Store
from appliance.indicators.values import Value
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, Trust

NOW = 1_800_000_000.0
OWN = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
MD5, FINGERPRINT = "a" * 32, ":".join(["ab"] * 20)


def event(kind: str = "alert", seconds: float = NOW, **more: Any) -> bytes:
    return json.dumps(
        {"timestamp": format_time(seconds), "event_type": kind} | more, separators=(",", ":")
    ).encode()  # fmt: skip


def alert(kind: str, mode: str = "block", place: int = 0, **more: Any) -> bytes:
    return event(alert={"gid": 88, "signature_id": sid_of(kind, mode, place)}, **more)


def dropped(source: str, destination: str = "10.20.0.9", seconds: float = NOW) -> bytes:
    said = {"flowvars": [{"gid": "reef", "rule": "indicator", "action": "deny"}]}
    return event("drop", seconds, src_ip=source, dest_ip=destination, proto="TCP", metadata=said, drop={"len": 40})


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (alert("domain", dns={"query": [{"rrname": "C2.Evil.example"}]}), Value("domain", "c2.evil.example")),
        (alert("domain", dns={"queries": [{"rrname": "c2.evil.example"}]}), Value("domain", "c2.evil.example")),
        (alert("domain", tls={"sni": "c2.evil.example"}), Value("domain", "c2.evil.example")),
        (alert("domain", http={"hostname": "c2.evil.example:8080"}), Value("domain", "c2.evil.example")),
        (alert("url", http={"hostname": "e.example:81", "url": "/a?b"}), Value("url", "http://e.example:81/a?b")),
        (alert("url", http={"hostname": "e.example:81", "url": "/a?b"}), Value("url", "http://e.example/a?b")),
        (alert("md5", fileinfo={"md5": MD5.upper()}), Value("md5", MD5)),
        (alert("certificate", tls={"fingerprint": FINGERPRINT}), Value("certificate", "ab" * 20)),
        (alert("ja3", tls={"ja3": {"hash": MD5}}), Value("ja3", MD5)),
        (dropped("198.51.100.7"), Value("address", "198.51.100.7")),
        (dropped("10.20.0.9", "198.51.100.7"), Value("network", "198.51.100.0/24")),
        (dropped("2001:0db8::7"), Value("network", "2001:db8::/64")),
    ],
)
def test_what_an_event_may_be_a_hit_of(body: bytes, found: Value) -> None:
    hit = hit_of(body)
    assert hit is not None
    assert found in hit.values
    assert hit.time == NOW


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        event("flow", src_ip="198.51.100.7"),
        event(alert={"gid": 1, "signature_id": 100}),
        event(alert={"gid": 88, "signature_id": 1}),  # our own about an address: counted as what the ruleset logged
        event(alert={"gid": 88, "signature_id": "x"}),
        event("drop", src_ip="198.51.100.7", metadata={"flowvars": [{"gid": "reef", "rule": "R-1"}]}),
    ],
)
def test_what_says_nothing_of_indicators(body: bytes) -> None:
    assert hit_of(body) is None


def test_words_of_strangers_are_no_values() -> None:
    hit = hit_of(alert("domain", dns={"query": [{"rrname": "no name"}, {"rrname": 5}, 7]}, tls={"sni": ["x"]}))
    assert hit is not None
    assert hit.values == ()


def test_an_address_is_alerted_about_once_an_hour() -> None:
    now = [0.0]
    alerting = Alerting(lambda: now[0])
    value = Value("address", "198.51.100.7")
    hits = [hit for _ in range(3) if (hit := hit_of(dropped("198.51.100.7"))) is not None]
    (made,) = alerting.of(hits, {value: Mode.BLOCK})
    assert made.alert is not None
    assert (made.alert["gid"], made.alert["action"], made.src_ip) == (88, "blocked", "198.51.100.7")
    assert list(alerting.of(hits, {value: Mode.BLOCK})) == []
    now[0] = 3_601.0
    assert [one.alert["action"] for one in alerting.of(hits, {value: Mode.ALERT}) if one.alert] == ["allowed"]
    assert list(Alerting().of(hits, {value: Mode.WATCH})) == []


def test_hits_add_up() -> None:
    hits = [hit for at in (3.0, 1.0) if (hit := hit_of(dropped("198.51.100.7", seconds=NOW + at))) is not None]
    assert counted(hits)[Value("address", "198.51.100.7")] == Hits(NOW + 1, NOW + 3, 2)


class Box:
    """An outbox, a desk with its thread, and who counts, which is not a thread here."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.outbox = Outbox(folder / "outbox.db", lambda _: None)
        self.store = Store(folder / NAME)
        self.office = Office(Desk(self.store), folder / "applyd", lambda _: None, clock=lambda: self.now)
        self.office.start()
        settings = IndicatorSettings((IndicatorSource("csirt", Trust(alert=30, block=80)),))
        self.office.do(lambda desk, now: (None, desk.follow(settings, Never((), {}, {}), now))).result()
        self.published: list[dict[str, Any]] = []
        self.alerts: list[Event] = []
        self.hitting = self.counting()

    def counting(self) -> Hitting:
        return Hitting(
            self.outbox.reader(), self.office, "clinic", publish=self.publish, alert=self.alerts.append,
            log=lambda words: pytest.fail(words),
        )  # fmt: skip

    def publish(self, made: list[stix.Made]) -> None:
        for one in made:
            stix2.parse(one.body.decode())
        self.published += [json.loads(one.body) for one in made]

    def knows(self, *values: Value, id_: str = OWN) -> None:
        one = Indicator(id_, values=values, confidence=90, modified=NOW, tlp=Tlp.AMBER)
        self.office.do(lambda desk, now: desk.take("csirt", Read((one,)), now)).result()

    def saw(self, *bodies: bytes) -> None:
        kinds = [decode(body).event_type for body in bodies]
        events = [New(b, k, class_of(k), Tlp.GREEN, 1) for b, k in zip(bodies, kinds, strict=True)]
        self.outbox.append(events)
        while self.hitting.step():
            pass

    def hits(self, value: Value) -> Hits | None:
        return self.office.ask(lambda desk, _: desk.hits(value)).result()

    def close(self) -> None:
        self.office.stop()
        self.office.join()
        self.store.close()
        self.outbox.close()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.close()


ADDRESS, NETWORK = Value("address", "198.51.100.7"), Value("network", "198.51.100.0/24")


def test_a_hit_is_counted_once_and_becomes_a_sighting_of_the_sources_own_indicator(box: Box) -> None:
    box.knows(ADDRESS)
    box.saw(dropped("198.51.100.7", seconds=NOW + 1), dropped("198.51.100.8"), dropped("10.20.0.9", "198.51.100.7"))
    assert box.hits(ADDRESS) == Hits(NOW, NOW + 1, 2)
    assert box.hits(Value("address", "198.51.100.8")) is None
    (sighting,) = box.published
    assert (sighting["sighting_of_ref"], sighting["count"]) == (OWN, 2)
    assert sighting["object_marking_refs"] == [stix.MARKING[Tlp.AMBER]]
    assert [one.src_ip for one in box.alerts] == ["198.51.100.7"]
    box.hitting = box.counting()  # begins anew, as after a kill
    box.saw(event("flow"))
    assert box.hits(ADDRESS) == Hits(NOW, NOW + 1, 2)


def test_a_sighting_rises_version_by_version_and_not_with_each_hit(box: Box) -> None:
    box.knows(NETWORK)
    for later in range(5):
        box.saw(dropped("198.51.100.7", seconds=NOW + later))
    assert [one["count"] for one in box.published] == [1]
    box.now += 61
    box.hitting = box.counting()
    box.saw(event("flow"))
    first, second = box.published
    assert (second["id"], second["count"], second["created"]) == (first["id"], 5, first["created"])
    assert second["modified"] > first["modified"]
    assert second["first_seen"] == first["first_seen"] < second["last_seen"]


def test_what_is_no_identifier_of_stix_is_counted_and_not_sighted(box: Box) -> None:
    box.knows(ADDRESS, id_="line-7")
    box.saw(dropped("198.51.100.7"))
    assert box.hits(ADDRESS) == Hits(NOW, NOW, 1)
    assert box.published == []
    assert box.office.ask(lambda desk, now: desk.sightings(now, 0.0, 10)).result() == []
