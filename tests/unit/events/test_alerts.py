"""Alerts as alertd tells of them: chosen, in pages, counted, as they come; over a real outbox."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.messages.alerts import (
    MOST_COMING,
    AlertCounts,
    AlertCountsAre,
    AlertIs,
    Alerts,
    AlertsBehind,
    AlertsCame,
    AlertTrend,
    AlertTrendIs,
    AlertWith,
)
from appliance.control.messages.gateway import Refused
from appliance.events import record
from appliance.events.alerts import trend
from appliance.events.classes import Class
from appliance.events.outbox import Reader
from appliance.events.tallying import DAY, HOUR, Tally
from tests.unit.events.keptalerts import NOW, Kept


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path)
    yield found
    found.outbox.close()


def test_the_newest_come_first_and_pages_go_on(kept: Kept) -> None:
    numbers = []
    for sid in range(7):
        kept.other("flow")
        numbers.append(kept.alert(sid))
    first = kept.asked(Alerts(limit=3))
    assert [one.number for one in first.alerts] == numbers[:3:-1]
    assert first.last == numbers[-1]
    assert first.alerts[0].tlp == "amber"
    second = kept.asked(Alerts(limit=4, before=first.next))
    assert [one.number for one in second.alerts] == numbers[3::-1]
    assert kept.asked(Alerts(limit=4, before=second.next)).alerts == ()
    assert kept.asked(Alerts(limit=100)).next == 0


def test_what_is_asked_for_is_chosen(kept: Kept) -> None:
    bad = kept.alert(2000, severity=1, rule="R-2", title="ET SCAN of the night")
    six = kept.alert(2001, severity=3, source="2001:db8::7")
    finding = kept.alert(101, gid=record.ALERTS, severity=2)
    line = kept.alert(record.UNREGISTERED_LINE, gid=record.ALERTS, severity=1)
    warned = kept.alert(5, gid=record.INDICATORS, severity=3)
    assert kept.numbers(Alerts(severity=1)) == [line, bad]
    assert kept.numbers(Alerts(kind="signature")) == [six, bad]
    assert kept.numbers(Alerts(kind="finding")) == [finding]
    assert kept.numbers(Alerts(kind="gateway")) == [line]
    assert kept.numbers(Alerts(kind="indicator")) == [warned]
    assert kept.numbers(Alerts(rule="R-2")) == [bad]
    assert kept.numbers(Alerts(signature="2001")) == [six]
    assert kept.numbers(Alerts(signature="87:101")) == [finding]
    assert kept.numbers(Alerts(signature="3:2001")) == []
    assert kept.numbers(Alerts(signature="scan of")) == [bad]
    assert kept.numbers(Alerts(address="2001:db8::/32")) == [six]
    assert kept.numbers(Alerts(address="203.0.113.66", severity=1)) == [line, bad]
    kept.clock.now += 60
    later = kept.alert()
    assert kept.numbers(Alerts(since=NOW + 1)) == [later]
    assert later not in kept.numbers(Alerts(until=NOW + 1))


def test_words_that_are_no_address_are_refused(kept: Kept) -> None:
    found = asyncio.run(kept.desk.answer(Alerts(address="lan0")))
    assert isinstance(found, Refused)
    assert "lan0" in found.message


def test_one_comes_with_what_was_seen_of_its_connection(kept: Kept) -> None:
    kept.clock.now = NOW - 4_000
    kept.other("http", flow=7)  # too long ago
    kept.clock.now = NOW - 1
    mine = [kept.other("http", flow=7)]
    kept.other("http", flow=70)
    kept.clock.now = NOW
    number = kept.alert(flow=7)
    kept.clock.now = NOW + 2
    mine.append(kept.other("flow", flow=7))
    found = asyncio.run(kept.desk.answer(AlertWith(number)))
    assert isinstance(found, AlertIs)
    assert (found.alert.number, [one.number for one in found.events]) == (number, mine)
    assert (found.left_out, found.whole) == (0, True)
    few = asyncio.run(kept.desk.answer(AlertWith(number, limit=1)))
    assert isinstance(few, AlertIs)
    assert (len(few.events), few.left_out) == (1, 1)


def test_what_is_no_alert_or_gone_is_refused(kept: Kept) -> None:
    flow = kept.other("flow")
    for number in (flow, 4711):
        found = asyncio.run(kept.desk.answer(AlertWith(number)))
        assert isinstance(found, Refused)
        assert found.code == "unknown"


def test_who_waits_gets_each_once_and_is_told_what_was_skipped(kept: Kept) -> None:
    async def story() -> None:
        begun = await kept.desk.answer(AlertsBehind(-1))
        assert isinstance(begun, AlertsCame)
        waiting = asyncio.create_task(kept.desk.answer(AlertsBehind(begun.through, seconds=20)))
        await asyncio.sleep(0)
        kept.other("flow")
        kept.desk.came()
        number = kept.alert()
        kept.desk.came()
        found = await waiting
        assert isinstance(found, AlertsCame)
        assert ([one.number for one in found.alerts], found.skipped) == ([number], 0)
        nothing = await kept.desk.answer(AlertsBehind(found.through))
        assert nothing == AlertsCame((), 0, found.through)
        numbers = [kept.alert() for _ in range(MOST_COMING + 5)]
        many = await kept.desk.answer(AlertsBehind(found.through))
        assert isinstance(many, AlertsCame)
        assert [one.number for one in many.alerts] == numbers[5:]
        assert (many.skipped, many.through) == (5, numbers[-1])

    asyncio.run(asyncio.wait_for(story(), 50))


def test_the_counts_are_of_the_last_hour_and_day(kept: Kept) -> None:
    kept.clock.now = NOW - 2 * DAY
    kept.alert(1)
    kept.clock.now = NOW - 2 * HOUR
    kept.alert(1, action="blocked")
    kept.alert(2)
    kept.clock.now = NOW
    assert (kept.counts().hour, kept.counts().day) == (0, 2)
    kept.alert(1)
    kept.other("flow")
    found = kept.counts()
    assert (found.hour, found.day, found.others) == (1, 3, 0)
    noisy = found.signatures[0]
    assert (noisy.gid, noisy.sid, noisy.title, noisy.kind) == (1, 1, "Title 1", "signature")
    assert (noisy.count, noisy.hour, noisy.blocked, noisy.last) == (2, 1, 1, NOW)
    assert (noisy.source, noisy.destination) == ("203.0.113.66", "10.20.0.12")
    assert [one.sid for one in found.signatures] == [1, 2]
    assert found.since == NOW - DAY
    kept.clock.now = NOW + 2 * DAY
    assert (kept.counts().day, kept.counts().signatures) == (0, ())


def test_the_trend_is_by_day_and_severity(kept: Kept) -> None:
    begun = int(NOW) // DAY * DAY
    for day, severity in ((-3, 1), (-1, 1), (-1, 2), (-1, 2), (0, 3)):
        kept.clock.now = begun + day * DAY + 5
        kept.alert(severity=severity)
    found = asyncio.run(kept.desk.answer(AlertTrend(begun - 2 * DAY, begun)))
    assert isinstance(found, AlertTrendIs)
    assert [(one.day - begun, one.severity, one.count) for one in found.days] == [(-DAY, 1, 1), (-DAY, 2, 2)]
    assert found.whole


def test_a_place_is_found_by_when_events_came_in(kept: Kept) -> None:
    numbers = []
    for minute in range(50):
        kept.clock.now = NOW + 60 * minute
        for _ in range(minute % 3):
            kept.other("flow")
        numbers.append(kept.alert())
    reader = kept.outbox.reader()
    for minute in range(50):
        behind = reader.place(Class.ALERT, int((NOW + 60 * minute) * 1e6))
        assert reader.newest(Class.ALERT, after=behind)[-1].seq == numbers[minute]
    assert reader.newest(Class.ALERT, after=reader.place(Class.ALERT, int((NOW + 9_999) * 1e6))) == []
    reader.close()


def test_numbers_beyond_all_bounds_are_answered(kept: Kept) -> None:
    number = kept.alert()
    assert kept.numbers(Alerts(before=1 << 80, limit=1 << 80)) == [number]
    assert kept.numbers(Alerts(since=1e308)) == []
    trend = asyncio.run(kept.desk.answer(AlertTrend(1e308, 1e308)))
    assert trend == AlertTrendIs((), True)
    for one in (1 << 80, -(1 << 80), 0):
        assert isinstance(asyncio.run(kept.desk.answer(AlertWith(one, 1e308, 1 << 80))), Refused)
    assert isinstance(asyncio.run(kept.desk.answer(AlertWith(number, 1e308, 1 << 80))), AlertIs)
    assert asyncio.run(kept.desk.answer(AlertsBehind(1 << 80))) == AlertsCame((), 0, (1 << 63) - 1)


def test_a_flood_is_counted_in_no_more_room() -> None:
    tally = Tally(NOW)
    body = record.encode(record.alert(1, "a", "b", seconds=NOW))
    begun = time.monotonic()
    for number in range(20_000):
        tally.add(body, NOW + number / 100)
    print(f"{(time.monotonic() - begun) / 20_000 * 1e6:.1f} µs an alert")
    found = tally.counts(NOW + 200, 10)
    assert (found.hour, found.day, found.signatures[0].count) == (20_000, 20_000, 20_000)


def test_a_long_trend_keeps_nobody_from_counts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.alert()
    begun, go_on = threading.Event(), threading.Event()

    def long(reader: Reader, asked: AlertTrend) -> AlertTrendIs:
        begun.set()
        assert go_on.wait(30)
        return trend(reader, asked)

    monkeypatch.setattr("appliance.events.alerts.trend", long)

    async def both() -> tuple[object, object]:
        summed = asyncio.create_task(kept.desk.answer(AlertTrend(NOW - DAY)))
        assert await asyncio.to_thread(begun.wait, 30)
        try:
            counted = await asyncio.wait_for(kept.desk.answer(AlertCounts()), 30)
        finally:
            go_on.set()
        return counted, await summed

    counted, summed = asyncio.run(both())
    assert isinstance(counted, AlertCountsAre) and counted.day == 1
    assert isinstance(summed, AlertTrendIs) and summed.days[0].count == 1
