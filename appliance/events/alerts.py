"""Answers who asks for the alerts that the outbox keeps, in the bytes that consumers get too.

Whoever asks learns no host that the policy hides behind a pseudonym: `unmasking.py` tells, to two persons. Every
answer is bounded, and says where to go on; reading is done in threads, a few at once.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeVar

import msgspec

from appliance.control.messages.alerts import (
    MOST_ALERTS,
    MOST_AROUND,
    MOST_COMING,
    AlertCounts,
    AlertIs,
    Alerts,
    AlertsAre,
    AlertsBehind,
    AlertsCame,
    AlertTrend,
    AlertTrendIs,
    AlertWith,
    DayOfAlerts,
    KeptEvent,
)
from appliance.control.messages.gateway import Refused, Reply
from appliance.events import record
from appliance.events.classes import Class
from appliance.events.outbox import Outbox, Reader, Stored
from appliance.events.record import Event
from appliance.events.tallying import DAY, Tally, kind_of, number, severity_of

AlertRequest = Alerts | AlertWith | AlertsBehind | AlertCounts | AlertTrend
T = TypeVar("T")

_LOOKED = 20_000  # alerts that one answer looks at
_STEP = 1_000
_MOST_TREND = 1_000_000  # alerts that one answer counts
_AROUND = 100_000  # numbers of the outbox, before and after an alert, in which what belongs to it is looked for
_BYTES = 8 << 20  # of the events of one answer
_MOST_SECONDS = 3_600.0
_LATEST = 1e11  # seconds since the epoch, beyond which nobody asks
_GREATEST = (1 << 63) - 1  # of the numbers that a database takes
_MOST_WAIT = 25.0  # seconds: less than who asks waits for an answer
_PAUSE = 0.1  # seconds between two looks of who waits: telemetry may come in a hundred times a second
_AT_ONCE = 4
_SIGNATURE = re.compile(r"(?:(\d{1,10}):)?(\d{1,10})")


class Choice:
    """Which alerts are asked for. Raises ValueError for words that are none."""

    def __init__(self, asked: Alerts) -> None:
        self._asked = asked
        self._network: IPv4Network | IPv6Network | None = None
        if asked.address:
            try:
                self._network = ip_network(asked.address.strip(), strict=False)
            except ValueError:
                raise ValueError(f"{asked.address!r} is no address and no network") from None
        found = _SIGNATURE.fullmatch(asked.signature.strip())
        self._signature = (int(found[1]) if found[1] else None, int(found[2])) if found else None
        self._words = "" if found else asked.signature.strip().casefold()

    def chooses(self, event: Event) -> bool:
        alert, asked = event.alert or {}, self._asked
        severity = number(alert, "severity")
        moment = event.time.timestamp() if asked.since or asked.until else 0.0
        return (
            (not asked.severity or 0 < severity <= asked.severity)
            and (not asked.kind or kind_of(number(alert, "gid"), number(alert, "signature_id")) == asked.kind)
            and (not asked.rule or event.decision.rule == asked.rule)
            and self._is_signature(alert)
            and (self._network is None or any(_within(words, self._network) for words in _ends(event)))
            and (not asked.since or moment >= asked.since)
            and (not asked.until or moment < asked.until)
        )

    def _is_signature(self, alert: dict[str, object]) -> bool:
        if self._signature is not None:
            gid, sid = self._signature
            return number(alert, "signature_id") == sid and gid in (None, number(alert, "gid"))
        return self._words in str(alert.get("signature", "")).casefold()


def _ends(event: Event) -> tuple[str, ...]:
    return tuple(words for words in (event.src_ip, event.dest_ip) if words)


def _within(words: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(words) in network
    except ValueError:
        return False


class AlertDesk:
    """Answers. For one event loop; `came` is told when the outbox has more."""

    def __init__(self, outbox: Outbox, clock: Callable[[], float] = time.time) -> None:
        self._outbox = outbox
        self._clock = clock
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._counting = asyncio.Lock()
        self._summing = asyncio.Lock()  # one trend at a time: it may look at a million alerts
        self._tally: Tally | None = None
        self._counted = 0  # the number up to which alerts are in the tally

    def came(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def answer(self, request: AlertRequest) -> Reply:
        """Raises `sqlite3.Error`, `OutboxError`."""
        match request:
            case Alerts():
                try:
                    choice = Choice(request)
                except ValueError as error:
                    return Refused("bad-request", str(error))
                return await self._read(lambda reader: page(reader, request, choice))
            case AlertWith():
                return await self._read(lambda reader: with_events(reader, request))
            case AlertsBehind():
                return await self._behind(request)
            case AlertCounts():
                async with self._counting:
                    return await self._read(partial(self._count, limit=max(0, min(request.limit, 1_000))))
            case AlertTrend():
                async with self._summing:
                    return await self._read(partial(trend, asked=request))

    async def _read(self, work: Callable[[Reader], T]) -> T:
        async with self._places:
            return await asyncio.to_thread(self._with_reader, work)

    def _with_reader(self, work: Callable[[Reader], T]) -> T:
        reader = self._outbox.reader()
        try:
            return work(reader)
        finally:
            reader.close()

    async def _behind(self, request: AlertsBehind) -> AlertsCame:
        if request.after < 0:
            return AlertsCame((), 0, self._outbox.last())
        deadline = time.monotonic() + max(0.0, min(request.seconds, _MOST_WAIT))
        after = min(request.after, _GREATEST)
        while True:
            changed, last = self._changed, self._outbox.last()
            if last > after:
                found = await self._read(partial(coming, after=after, last=last))
                if found.alerts:
                    return found
                after = found.through  # other events came: nobody looks through them twice
                await asyncio.sleep(_PAUSE)
            left = deadline - time.monotonic()
            if left <= 0:
                return AlertsCame((), 0, after)
            try:
                async with asyncio.timeout(left):
                    await changed.wait()
            except TimeoutError:
                continue

    def _count(self, reader: Reader, limit: int) -> Reply:
        """What came since it was counted last is counted; the first time, that of a day."""
        now = self._clock()
        if self._tally is None:
            self._counted = reader.place(Class.ALERT, int((now - DAY) * 1e6))
            first = reader.oldest(Class.ALERT)
            self._tally = Tally(first / 1e6 if first is not None else now)
        while True:
            found = reader.read(self._counted, limit=5_000, classes=(Class.ALERT,))
            for one in found.events:
                self._tally.add(one.body, one.added / 1e6)
            self._counted = found.through
            if found.through >= found.last:
                return self._tally.counts(now, limit)


def page(reader: Reader, asked: Alerts, choice: Choice) -> AlertsAre:
    """The newest that are chosen. Raises `sqlite3.Error`."""
    limit = max(1, min(asked.limit, MOST_ALERTS))
    found: list[KeptEvent] = []
    last, before, looked = reader.last(), min(max(0, asked.before), _GREATEST), 0
    while looked < _LOOKED:
        rows = reader.newest(Class.ALERT, before=before, limit=_STEP)
        for row in rows:
            event = _event(row.body)
            if event is not None and choice.chooses(event):
                found.append(_kept(row))
                if len(found) == limit:
                    return AlertsAre(tuple(found), row.seq, last)
        if len(rows) < _STEP:
            return AlertsAre(tuple(found), 0, last)
        looked, before = looked + len(rows), rows[-1].seq
    return AlertsAre(tuple(found), before, last)


def trend(reader: Reader, asked: AlertTrend) -> AlertTrendIs:
    """How many there were each day, by severity. Raises `sqlite3.Error`."""
    after, counted = reader.place(Class.ALERT, int(min(max(0.0, asked.since), _LATEST) * 1e6)), 0
    days: Counter[tuple[int, int]] = Counter()
    while counted < _MOST_TREND:
        read = reader.read(after, limit=5_000, classes=(Class.ALERT,))
        for one in read.events:
            seconds = one.added / 1e6
            if asked.until and seconds >= asked.until:
                return _trend(days, True)
            days[int(seconds) // DAY * DAY, severity_of(one.body)] += 1
        after, counted = read.through, counted + len(read.events)
        if after >= read.last:
            return _trend(days, True)
    return _trend(days, False)


def _trend(days: Counter[tuple[int, int]], whole: bool) -> AlertTrendIs:
    found = tuple(DayOfAlerts(day, severity, count) for (day, severity), count in sorted(days.items()))
    return AlertTrendIs(found, whole)


def coming(reader: Reader, *, after: int, last: int) -> AlertsCame:
    """The newest alerts up to `last`, and how many came before them. Raises `sqlite3.Error`."""
    rows = reader.newest(Class.ALERT, before=last + 1, after=after, limit=MOST_COMING)[::-1]
    skipped = reader.between(Class.ALERT, after, rows[0].seq) if len(rows) == MOST_COMING else 0
    return AlertsCame(tuple(_kept(row) for row in rows), skipped, last)


def with_events(reader: Reader, asked: AlertWith) -> AlertIs | Refused:
    """One alert and what belongs to it. Raises `sqlite3.Error`."""
    stored = reader.get(asked.number) if 0 < asked.number <= _GREATEST else None
    event = _event(stored.body) if stored is not None and stored.class_ is Class.ALERT else None
    if stored is None or event is None:
        return Refused("unknown", f"there is no alert {asked.number}; its retention may have ended")
    marks = _marks(event)
    if not marks:
        return AlertIs(_kept(stored), (), 0, True)
    around = int(max(0.0, min(asked.seconds, _MOST_SECONDS)) * 1e6)
    limit = max(0, min(asked.limit, MOST_AROUND))
    found: list[KeptEvent] = []
    left_out = size = 0
    begin, end = max(0, stored.seq - _AROUND), stored.seq + _AROUND
    after = begin
    while after < end:
        read = reader.read(
            after, limit=_STEP, since=stored.time - around, until=stored.time + around + 1, holding=marks
        )
        for one in read.events:
            other = _event(one.body) if after < one.seq <= end and one.seq != stored.seq else None
            if other is None or not _belongs(other, event):
                continue
            size += len(one.body)
            if len(found) < limit and size <= _BYTES:
                found.append(_kept(one))
            else:
                left_out += 1
        after = read.through
        if after >= read.last:
            break
    whole = _inside(reader, begin, end, stored.time, around)
    return AlertIs(_kept(stored), tuple(found), left_out, whole)


def _inside(reader: Reader, begin: int, end: int, moment: int, around: int) -> bool:
    """Whether everything of that time lies between these numbers, as far as when it came in tells."""
    first = reader.read(begin, limit=1).events
    behind = reader.read(end, limit=1).events
    early = begin == 0 or not first or first[0].added <= moment - around
    return early and (not behind or behind[0].added >= moment + around)


def _marks(event: Event) -> tuple[bytes, ...]:
    """What stands in the lines of what belongs to it."""
    marks = [b'"flow_id":%d' % event.flow_id] if event.flow_id else []
    # The kernel's own events of the connection have another number, and say which rule decided it.
    if event.community_id:
        marks.append(b'"community_id":' + msgspec.json.encode(event.community_id))
    return tuple(marks) or tuple(f'"{words}"'.encode() for words in _ends(event)[:1])


def _belongs(other: Event, event: Event) -> bool:
    if event.flow_id or event.community_id:
        same = bool(event.community_id) and other.community_id == event.community_id
        return same or (bool(event.flow_id) and other.flow_id == event.flow_id)
    return set(_ends(event)) <= set(_ends(other))


def _event(body: bytes) -> Event | None:
    """What stands there, with a time and a decision that can be read."""
    try:
        event = record.decode(body)
        return event if event.time and event.decision.gid else None
    except (msgspec.DecodeError, ValueError):
        return None


def _kept(one: Stored) -> KeptEvent:
    return KeptEvent(one.seq, one.tlp.word, one.body)
