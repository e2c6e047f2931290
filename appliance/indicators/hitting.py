"""Hits: what alerts and the ruleset's log saw of indicators, counted and given back as sightings.

A thread of alertd reads the outbox from a place of its own, kept with the counts: a hit is counted once, whoever is
killed. The rules of inspection alert by themselves; what the ruleset tells of becomes an alert here, at most one an
hour for each address.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from appliance.events import record, stix
from appliance.events.classes import Class
from appliance.events.indicatorline import ADDRESS, kind_of
from appliance.events.outbox import Reader
from appliance.events.record import INDICATORS, Event
from appliance.indicators.deciding import Mode
from appliance.indicators.desk import Desk
from appliance.indicators.giving import stix_id
from appliance.indicators.indicator import Indicator
from appliance.indicators.never import WIDEST
from appliance.indicators.office import Office
from appliance.indicators.store import Hits, Seen, StoreError
from appliance.indicators.values import Kind, Value, ValueRefused, value
from appliance.policy.logprefix import INDICATOR

_HOLDING = (b'"gid":88,', b'"rule":"indicator"')
_KINDS = ("alert", "drop", "flow")
_CLASSES = (Class.ALERT, Class.TELEMETRY)
_MOST = 1_000  # events of one reading
_TOLD_EVERY = 60.0  # seconds between two versions of a sighting
_MOST_TOLD = 500
_ALERT_EVERY = 3_600.0
_MOST_ALERTED = 10_000  # addresses that are remembered
_LOOK = 0.5  # seconds after which it is looked anyway

Publish = Callable[[list[stix.Made]], None]


class Hit(msgspec.Struct, frozen=True):
    """An event that may be a hit of any of `values`. `event` is what the ruleset logged; None for an alert."""

    time: float
    values: tuple[Value, ...]
    event: Event | None = None


def hit_of(body: bytes) -> Hit | None:
    """What an event of the outbox says about indicators; None when it says nothing."""
    try:
        event = record.decode(body)
        seconds = event.time.timestamp()
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None
    if event.event_type == "alert":
        if event.alert is None or event.alert.get("gid") != INDICATORS:
            return None
        sid = event.alert.get("signature_id")
        looked_for = kind_of(sid) if isinstance(sid, int) else None
        if looked_for is None:
            return None
        return Hit(seconds, tuple(dict.fromkeys(_named(event, looked_for[0]))))
    if event.decision.rule != INDICATOR:
        return None
    placed = dict.fromkeys(found for text in (event.src_ip, event.dest_ip) for found in around(text))
    return Hit(seconds, tuple(placed), event)


def _named(event: Event, kind: str) -> Iterator[Value]:
    """The values of a kind that an alert shows."""
    for one, text in _texts(event, kind):
        try:
            yield value(one, text)
        except ValueRefused:
            continue


def _texts(event: Event, kind: str) -> Iterator[tuple[Kind, str]]:
    tls, http = event.tls or {}, event.http or {}
    if kind == "domain":
        dns = event.dns or {}
        asked = [one for part in ("query", "queries") for one in _list(dns.get(part))]
        names = [*(one.get("rrname") for one in asked), dns.get("rrname"), tls.get("sni")]
        names.append(str(http.get("hostname", "")).partition(":")[0])
        yield from (("domain", name) for name in names if isinstance(name, str) and name)
    elif kind == "url":
        host, path = str(http.get("hostname", "")), str(http.get("url", ""))
        for where in dict.fromkeys((host, host.partition(":")[0])):
            yield from (("url", f"{scheme}://{where}{path}") for scheme in ("http", "https") if where)
    elif kind in ("sha256", "sha1", "md5"):
        for file in (event.fileinfo or {}, *_list(http.get("files"))):
            if isinstance(file.get(kind), str):
                yield kind, file[kind]  # type: ignore[misc]
    elif kind == "certificate":
        yield "certificate", str(tls.get("fingerprint", ""))
    else:
        found = tls.get(kind)
        yield kind, str(found.get("hash", "") if isinstance(found, dict) else found)  # type: ignore[misc]


def _list(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def around(text: str) -> Iterator[Value]:
    """An address and every network that an indicator of it could name."""
    try:
        found = ip_address(text)
    except ValueError:
        return
    yield Value("address", str(found))
    for length in range(found.max_prefixlen - 1, WIDEST[found.version] - 1, -1):
        yield Value("network", str(ip_network((found, length), strict=False)))


def counted(hits: Iterable[Hit]) -> dict[Value, Hits]:
    """Added up by value."""
    found: dict[Value, Hits] = {}
    for hit in hits:
        for one in hit.values:
            before = found.get(one, Hits(hit.time, hit.time, 0))
            found[one] = Hits(min(before.first, hit.time), max(before.last, hit.time), before.count + 1)
    return found


class Alerting:
    """Which hits of the ruleset are told as alerts: one an hour for each value. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[Value, float] = {}

    def of(self, hits: Iterable[Hit], modes: dict[Value, Mode]) -> Iterator[Event]:
        now = self._clock()
        for hit in hits:
            if hit.event is None:
                continue
            for one in hit.values:
                mode = modes.get(one, Mode.NONE)
                if mode >= Mode.ALERT and now - self._told.get(one, -_ALERT_EVERY) >= _ALERT_EVERY:
                    self._told.pop(one, None)
                    self._told[one] = now
                    if len(self._told) > _MOST_ALERTED:
                        del self._told[next(iter(self._told))]
                    yield alert_of(hit.event, one, mode)


def alert_of(event: Event, found: Value, mode: Mode) -> Event:
    """The alert about what the ruleset logged."""
    blocked = mode is Mode.BLOCK
    body = {
        "action": "blocked" if blocked else "allowed",
        "gid": INDICATORS,
        "signature_id": ADDRESS,
        "rev": 1,
        "signature": f"Indicator: {'blocked' if blocked else 'warned of'} is {found.kind} {found.text}",
        "category": "Indicator of compromise",
        "severity": 1 if blocked else 2,
    }
    return msgspec.structs.replace(event, event_type="alert", alert=body, drop=None, flow=None, verdict=None, host="")


def sighting_of(site: str, seen: Seen, named: Indicator, now: float) -> stix.Made | None:
    """None where the source's name for it is none of STIX. A version is later than the one before, whatever the clock
    does."""
    reference = stix_id(named.id)
    if not reference:
        return None
    modified = max(now, seen.told + 0.001)
    return stix.sighting(
        site, reference, seen.day, named.tlp, first=int(seen.hits.first * 1e6), last=int(seen.hits.last * 1e6),
        count=seen.hits.count, modified=int(modified * 1e6),
    )  # fmt: skip


class Hitting(threading.Thread):
    """Runs until `stop`. `publish` keeps sightings, `alert` writes an event."""

    def __init__(
        self,
        reader: Reader,
        office: Office,
        site: str,
        *,
        publish: Publish,
        alert: Callable[[Event], None],
        log: Callable[[str], None],
    ) -> None:
        super().__init__(name="hits", daemon=True)
        self._reader = reader
        self._office = office
        self._site = site
        self._publish = publish
        self._alert = alert
        self._log = log
        self._alerting = Alerting()
        self._came = threading.Event()
        self._stopped = False
        self._said = ""
        self._place: int | None = None  # what was looked at; what is kept stays behind while nothing hits
        self._next_look = 0.0  # at what is to be told

    def came(self) -> None:
        """Something is in the outbox. From any thread."""
        self._came.set()

    def stop(self) -> None:
        self._stopped = True
        self._came.set()

    def run(self) -> None:
        try:
            while not self._stopped:
                self._came.clear()
                if not self._turn():
                    self._came.wait(_LOOK)
        finally:
            self._reader.close()

    def _turn(self) -> bool:
        """Whether there is more to read."""
        try:
            more = self.step()
        except (StoreError, sqlite3.Error) as error:
            if str(error) != self._said:
                self._said = str(error)
                self._log(f"hits of indicators are not counted: {error}")
            self._place = None
            time.sleep(_LOOK)
            return False
        self._said = ""
        return more

    def step(self) -> bool:
        """Count what came, tell what is to be told; whether there is more. Raises `StoreError`, `sqlite3.Error`."""
        if self._place is None:
            self._place = self._office.ask(lambda desk, _: desk.place()).result()
        page = self._reader.read(self._place, limit=_MOST, kinds=_KINDS, classes=_CLASSES, holding=_HOLDING)
        hits = [hit for event in page.events if (hit := hit_of(event.body)) is not None]
        if hits:
            found = counted(hits)
            modes = self._office.ask(lambda desk, _: desk.hit(found.items(), page.through)).result()
            for event in self._alerting.of(hits, dict(modes)):
                self._alert(event)
        self._place = page.through
        if hits or time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK
            self._tell()
        return page.through < page.last

    def _tell(self) -> None:
        def due(desk: Desk, now: float) -> list[tuple[Seen, stix.Made | None]]:
            found = desk.sightings(now, _TOLD_EVERY, _MOST_TOLD)
            return [(seen, sighting_of(self._site, seen, named, now)) for seen, named in found]

        found = self._office.ask(due).result()
        if not found:
            return
        self._publish([made for _, made in found if made is not None])
        told = [seen for seen, _ in found]
        self._office.ask(lambda desk, now: desk.told(told, now)).result()
