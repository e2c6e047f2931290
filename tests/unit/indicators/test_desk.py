"""What is done with indicators: taken in once, in force while they hold, overridden by two, there after a restart."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from appliance.indicators import csvin
from appliance.indicators.deciding import Mode, ruling
from appliance.indicators.desk import Desk, OverrideRefused
from appliance.indicators.indicator import Indicator, Read
from appliance.indicators.inforce import Changed
from appliance.indicators.never import Never
from appliance.indicators.store import NAME, Hits, Store, StoreError
from appliance.indicators.values import Value
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, Trust

NOW = 1_800_000_000.0
TRUST = Trust(alert=30, block=80, lasting=1_000)
SETTINGS = IndicatorSettings((IndicatorSource("csirt", TRUST), IndicatorSource("other", Trust(alert=0, lasting=0))))
NEVER = Never([(ip_network("8.8.8.0/24"), "resolvers")], {"good.example": "a top site"}, {})
RESOLVER = Value("address", "8.8.8.8")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / NAME)
    yield store
    store.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    made = Desk(store)
    assert made.follow(SETTINGS, NEVER, NOW) == []
    return made


def one(text: str, confidence: int | None = 90, **more: object) -> Indicator:
    said: dict[str, object] = {
        "id": f"indicator--{text}",
        "modified": NOW,
        "since": NOW - 5,
        "confidence": confidence,
    }
    return Indicator(values=(csvin.guessed(text),), **(said | more))  # type: ignore[arg-type]


def said(changes: Iterable[Changed]) -> dict[str, tuple[str, str]]:
    return {change.value.text: (change.before.word, change.now.word) for change in changes}


def test_at_rest_what_the_log_holds_is_put_into_its_place(desk: Desk, tmp_path: Path) -> None:
    def in_place() -> list[str]:
        alone = tmp_path / "alone.sqlite"  # the file as it is without its log
        shutil.copy(tmp_path / NAME, alone)
        copy = Store(alone)
        found = [id_ for (_, id_), _ in copy.all()]
        copy.close()
        return found

    for count, text in enumerate(("192.0.2.1", "192.0.2.2"), 1):
        desk.take("csirt", Read((one(text),)), NOW)
        assert len(in_place()) == count - 1, "who writes does not wait for it"
        desk.rest()
        assert len(in_place()) == count


def test_what_comes_is_in_force_and_what_is_known_changes_nothing(desk: Desk) -> None:
    taken, changes = desk.take("csirt", Read((one("192.0.2.1"), one("evil.example", 40), one("8.8.8.8"))), NOW)
    assert (taken.new, taken.changed, taken.known) == (3, 0, 0)
    assert said(changes) == {
        "192.0.2.1": ("none", "block"), "evil.example": ("none", "alert"), "8.8.8.8": ("none", "alert"),
    }  # fmt: skip
    taken, changes = desk.take("csirt", Read((one("192.0.2.1"), one("evil.example", 95))), NOW + 1)
    assert (taken.new, taken.changed, taken.known) == (0, 0, 2)  # the same version again
    assert changes == []
    taken, changes = desk.take("csirt", Read((one("evil.example", 95, modified=NOW + 2),)), NOW + 2)
    assert taken.changed == 1
    assert said(changes) == {"evil.example": ("alert", "block")}
    taken, changes = desk.take("csirt", Read((one("evil.example", 5, modified=NOW + 1),)), NOW + 3)
    assert taken.known == 1  # an older version comes late


def test_two_sources_hold_a_value_until_both_let_go(desk: Desk) -> None:
    desk.take("csirt", Read((one("192.0.2.1"),)), NOW)
    assert desk.take("other", Read((one("192.0.2.1", 10),)), NOW)[1] == []
    back = one("192.0.2.1", revoked=True, modified=NOW + 1)
    assert said(desk.take("csirt", Read((back,)), NOW + 1)[1]) == {"192.0.2.1": ("block", "alert")}
    assert [shown.source for shown in desk.naming(Value("address", "192.0.2.1"), NOW + 1)] == ["other"]
    assert said(desk.take("other", Read((back,)), NOW + 1)[1]) == {"192.0.2.1": ("alert", "none")}


def test_time_begins_and_ends_them(desk: Desk) -> None:
    later = one("192.0.2.1", since=NOW + 10, until=NOW + 20)
    desk.take("csirt", Read((later, one("192.0.2.2"))), NOW)
    assert desk.tick(NOW + 9) == []
    assert said(desk.tick(NOW + 10)) == {"192.0.2.1": ("none", "block")}
    assert said(desk.tick(NOW + 20)) == {"192.0.2.1": ("block", "none")}
    assert said(desk.tick(NOW + 1_000)) == {"192.0.2.2": ("block", "none")}  # the text lets it last so long
    assert desk.tidy(NOW + 2_000) == 0
    assert desk.tidy(NOW + 40 * 86_400) == 2
    assert len(desk) == 0


def test_a_list_takes_back_what_it_has_no_more_and_renews_what_it_has(desk: Desk) -> None:
    first = csvin.read(b"192.0.2.1\n192.0.2.2\n", now=NOW)
    settings = IndicatorSettings((IndicatorSource("csirt", msgspec.structs.replace(TRUST, block=50)),))
    desk.follow(settings, NEVER, NOW)
    desk.take("csirt", first, NOW, whole=True)
    second = csvin.read(b"192.0.2.2\n", now=NOW + 500)
    taken, changes = desk.take("csirt", second, NOW + 500, whole=True)
    assert said(changes) == {"192.0.2.1": ("block", "none")}
    assert taken.changed == 1  # it lasts anew
    assert desk.tick(NOW + 1_100) == []
    assert said(desk.tick(NOW + 1_500)) == {"192.0.2.2": ("block", "none")}
    again = csvin.read(b"192.0.2.1\n", now=NOW + 1_600)
    assert said(desk.take("csirt", again, NOW + 1_600, whole=True)[1])["192.0.2.1"] == ("none", "block")


def test_another_text_rules_on_everything_anew(desk: Desk) -> None:
    desk.take("csirt", Read((one("192.0.2.1"), one("evil.example"))), NOW)
    never = Never([(ip_network("192.0.2.0/24"), "ours")], {}, {})
    assert said(desk.follow(SETTINGS, never, NOW + 1)) == {"192.0.2.1": ("block", "alert")}
    assert said(desk.follow(IndicatorSettings(), never, NOW + 2)) == {
        "192.0.2.1": ("alert", "none"), "evil.example": ("block", "none"),
    }  # fmt: skip
    assert "knows its source no more" in desk.find(NOW, limit=1)[0][0].ruling.why[0][1]


def test_two_persons_override_and_one_does_not(desk: Desk) -> None:
    desk.take("csirt", Read((one("8.8.8.8"),)), NOW)
    _, changes = desk.override(RESOLVER, "ann", "it is spoofed", NOW + 100, NOW)
    assert changes == []
    with pytest.raises(OverrideRefused, match="another person"):
        desk.override(RESOLVER, "ann", "again", NOW + 100, NOW)
    made, changes = desk.override(RESOLVER, "bob", "", NOW + 9_999, NOW + 1)
    assert (made.first, made.second, made.until) == ("ann", "bob", NOW + 100)
    assert said(changes) == {"8.8.8.8": ("alert", "block")}
    with pytest.raises(OverrideRefused, match="already"):
        desk.override(RESOLVER, "eve", "", NOW + 100, NOW)
    with pytest.raises(OverrideRefused, match="no list"):
        desk.override(Value("address", "192.0.2.1"), "ann", "", NOW + 100, NOW)
    assert said(desk.tick(NOW + 100)) == {"8.8.8.8": ("block", "alert")}
    assert desk.overrides() == ()


def test_all_of_it_is_there_after_a_restart(desk: Desk, store: Store, tmp_path: Path) -> None:
    desk.take("csirt", Read((one("192.0.2.1"), one("8.8.8.8"))), NOW)
    desk.override(RESOLVER, "ann", "why", NOW + 100, NOW)
    desk.override(RESOLVER, "bob", "", NOW + 100, NOW)
    desk.hit([(RESOLVER, Hits(NOW, NOW + 1, 2)), (Value("address", "192.0.2.99"), Hits(NOW, NOW, 1))])
    desk.hit([(RESOLVER, Hits(NOW + 5, NOW + 6, 3))])
    store.close()
    again = Store(tmp_path / NAME)
    other = Desk(again)
    assert said(other.follow(SETTINGS, NEVER, NOW + 1)) == {
        "192.0.2.1": ("none", "block"),
        "8.8.8.8": ("none", "block"),
    }
    assert other.hits(RESOLVER) == Hits(NOW, NOW + 6, 5)
    assert other.hits(Value("address", "192.0.2.99")) is None  # nobody asked about it
    again.close()


def test_what_cannot_be_kept_is_not_in_force(desk: Desk, store: Store) -> None:
    store._base.execute("PRAGMA max_page_count = 10")  # the disk is full
    many = Read(tuple(one(f"192.0.2.{number}", name="x" * 250) for number in range(256)))
    with pytest.raises(StoreError, match="full"):
        desk.take("csirt", many, NOW)
    assert desk.mode(Value("address", "192.0.2.1")) is Mode.NONE
    assert len(desk) == 0
    assert said(desk.take("csirt", Read((one("192.0.2.1"),)), NOW)[1]) == {"192.0.2.1": ("none", "block")}


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x") as other:
        other.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="99"):
        Store(tmp_path / "x")
    (tmp_path / "y").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="y"):
        Store(tmp_path / "y")


def test_what_is_in_force_is_what_ruling_on_everything_says(desk: Desk) -> None:
    random_ = random.Random(11)
    now, followed = NOW, {}  # type: ignore[var-annotated]
    kept: dict[tuple[str, str], tuple[Indicator, float]] = {}
    for _ in range(300):
        now += random_.randrange(0, 60)
        source, text = random_.choice(("csirt", "other")), f"192.0.2.{random_.randrange(6)}"
        made = one(text, random_.choice((5, 50, 95)), modified=now, revoked=random_.random() < 0.2,
                   until=random_.choice((0.0, now + 100)), since=now + random_.choice((-5, 30)))  # fmt: skip
        changes = desk.take(source, Read((made,)), now)[1] if random_.random() < 0.7 else desk.tick(now)
        for shown in desk.find(now, limit=len(desk))[0]:
            kept[shown.source, shown.indicator.id] = shown.indicator, shown.seen
        for change in [*changes, *desk.tick(now)]:
            assert followed.get(change.value, Mode.NONE) is change.before
            followed[change.value] = change.now
        wanted: dict[Value, Mode] = {}
        for (source_, _), (indicator, seen) in kept.items():
            trust = TRUST if source_ == "csirt" else SETTINGS.sources[1].trust
            for value, mode in ruling(indicator, trust, NEVER, frozenset(), now, seen).modes:
                wanted[value] = max(wanted.get(value, Mode.NONE), mode)
        assert {value: mode for value, mode in followed.items() if mode} == wanted


def test_a_word_a_source_and_a_mode_find_indicators_without_looking_at_the_others(desk: Desk) -> None:
    many = [one(f"10.{number >> 8}.{number & 255}.9", 40, id=f"indicator--{number}") for number in range(10_000)]
    desk.take("csirt", Read(tuple(many)), NOW)
    desk.take("other", Read((one("evil.example", name="A phish"), one("8.8.8.8"))), NOW + 1)
    for _ in range(10):
        desk.rest()

    def found(word: str = "", source: str = "", mode: str = "") -> list[str]:
        page, _ = desk.find(NOW + 1, word=word, source=source, mode=mode, limit=3)
        return [shown.indicator.values[0].text for shown in page]

    before = desk.looked
    assert found(word="PHISH") == ["evil.example"]
    assert found(source="other") == ["8.8.8.8", "evil.example"]
    assert found(word="10.39.15.9") == ["10.39.15.9"]
    assert found(mode="block") == []
    assert desk.looked - before < 20
    assert found(word="10.", mode="alert", source="csirt") == ["10.39.15.9", "10.39.14.9", "10.39.13.9"]
    assert (desk.modes, desk.sources["csirt"], desk.sources["other"]) == ({"alert": 10_002}, 10_000, 2)
    desk.follow(msgspec.structs.replace(SETTINGS, sources=SETTINGS.sources[1:]), NEVER, NOW + 2)
    assert found(word="10.39.15.9", mode="none") == ["10.39.15.9"]
    assert desk.modes == {"alert": 2}
