"""From the outbox into the store of objects: every alert once, whatever breaks in between.

The place in the outbox is written in the transaction that adds the objects. What a signature is (its indicator) is
told when it is first seen and when its revision rises. Beside the objects a table counts, day by day, what alerts
saw: the MISP feed and the lists are made of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection
from typing import Protocol

import msgspec

from appliance.events import stix
from appliance.events.classes import Class
from appliance.events.objects import Objects
from appliance.events.outbox import Page, Stored
from appliance.events.record import ALERTS, BANNED
from appliance.events.sighted import Sighted, sighted
from appliance.events.stix import Made, RuleText
from appliance.events.tlp import Tlp

ALERTS_COLLECTION = "alerts"
SIGHTINGS_COLLECTION = "sightings"
_PLACE = "outbox"
_BATCH = 500
STEP = 2000  # objects of a type that go at once
_SECOND = 1_000_000
_DAY = 86_400_000_000
_RENEW = 30 * _DAY  # so long after it was added, an address that is seen again is told again
_RENEW_TIGHT = 3600 * _SECOND  # the same once there was no room: what is old can then go sooner
_TIGHT = "tight"  # since when that is so
_PART = 20  # of the sightings one in so many goes at a time
MOST_SEEN = 20_000  # rows for one day, so that a flood of strangers' names does not fill the disk
BANNED_KIND = "banned"
_SEEN_ONCE = ("sighting", "observed-data")
_SEEN_AGAIN = ("network-traffic", "ipv4-addr", "ipv6-addr", "domain-name", "url", "file")


class _Reads(Protocol):
    def read(self, after: int, *, limit: int, classes: frozenset[Class]) -> Page: ...


class Fed(msgspec.Struct, frozen=True):
    """What one feeding did: up to where in the outbox, how many alerts, how many objects were new."""

    through: int
    alerts: int
    objects: int
    more: bool


def no_rule(_: int, __: int) -> str:
    """For who has no texts of signatures to tell."""
    return ""


def feed(outbox: _Reads, objects: Objects, site: str, rule: RuleText = no_rule) -> Fed:
    """Take the next alerts of the outbox in: one transaction. Call it again while `more`. Raises `sqlite3.Error`."""
    place = int(objects.state(_PLACE) or 0)
    page = outbox.read(place, limit=_BATCH, classes=frozenset((Class.ALERT,)))
    if page.through == place:
        return Fed(place, 0, 0, False)
    alerts = added = 0
    window = _renew(objects, objects.next)
    with objects.writing() as db:
        counted = _Seen(db)
        for event in page.events:
            seen = sighted(event.body)
            if seen is None:
                continue
            alerts += 1
            added += _take(db, objects, site, event, seen, rule, window)
            counted.take(seen, event.tlp)
        counted.write()
        objects.put_state(_PLACE, page.through)
        _mark(db, objects.last, page)
    return Fed(page.through, alerts, added, page.through < page.last)


def _renew(objects: Objects, moment: int) -> int:
    """How long before that moment an address may have been added that is referred to from then on."""
    tight = objects.state(_TIGHT)
    return _RENEW if tight is None or moment <= int(tight) else _RENEW_TIGHT


def trim(objects: Objects, most: int) -> int:
    """Where the objects take more than `most` bytes the oldest of alerts go until there is some room; gives how many.
    Raises `sqlite3.Error`."""
    gone = 0
    if objects.used() <= most:
        return gone
    if objects.state(_TIGHT) is None:
        with objects.writing():
            objects.put_state(_TIGHT, objects.next)
    while objects.used() > most - most // 10:
        moment = objects.older(ALERTS_COLLECTION, "sighting", _PART)
        step = _forget(objects, moment, (ALERTS_COLLECTION,)) if moment is not None else 0
        if not step:
            break
        gone += step
    return gone


def place(objects: Objects) -> int:
    """Up to which number of the outbox everything is in the store."""
    return int(objects.state(_PLACE) or 0)


def taken(objects: Objects, moment: int) -> int:
    """Up to which number of the outbox somebody has all alerts who has all objects that were added up to a moment."""
    statement = (
        "SELECT (SELECT value FROM state WHERE name = 'last'), (SELECT value FROM state WHERE name = 'outbox'), "
        "(SELECT seq FROM fed WHERE added <= ? ORDER BY added DESC LIMIT 1)"
    )
    last, through, marked = objects.reader().execute(statement, (moment,)).fetchone()
    return int((through if last is not None and moment >= last else marked) or 0)


def _mark(db: sqlite3.Connection, added: int, page: Page) -> None:
    """Which objects there are when all alerts up to a number were taken in; once a second, and at the end."""
    (before,) = db.execute("SELECT max(added) FROM fed").fetchone()
    if before is None or page.through == page.last or added - before >= _SECOND:
        db.execute("INSERT OR REPLACE INTO fed VALUES (?, ?)", (added, page.through))


def forget(objects: Objects, before: int) -> int:
    """What alerts saw before that moment (microseconds); gives how many objects went. Raises `sqlite3.Error`.

    In steps, so that who feeds does not wait for long."""
    return _forget(objects, before, (ALERTS_COLLECTION, SIGHTINGS_COLLECTION))


def _forget(objects: Objects, before: int, collections: Collection[str]) -> int:
    with objects.writing() as db:
        db.execute("DELETE FROM seen WHERE day < ?", (before // _DAY,))
        db.execute("DELETE FROM fed WHERE added < (SELECT max(added) FROM fed WHERE added <= ?)", (before,))
    # An address may be referred to for as long after it was added as it is not told anew.
    gone = 0
    for collection, types, until in (
        (ALERTS_COLLECTION, _SEEN_ONCE, before),
        (ALERTS_COLLECTION, _SEEN_AGAIN, before - _renew(objects, before)),
        (SIGHTINGS_COLLECTION, _SEEN_ONCE, before),
    ):
        while collection in collections and collection in objects.collections:
            with objects.writing():
                step = objects.remove(collection, until, types, STEP)
            gone += step
            if not step:
                break
    return gone


def _take(
    db: sqlite3.Connection, objects: Objects, site: str, event: Stored, seen: Sighted, rule: RuleText, window: int
) -> int:
    made = [
        *_indicator(db, site, seen, event.tlp, rule),
        *stix.alert(
            site,
            seen,
            event.tlp,
            event.body,
            event.seq,
            sighting_of=stix.indicator_id(site, seen.gid, seen.sid),
        ),
    ]
    return objects.add(ALERTS_COLLECTION, made, renew_before=objects.next - window)


def _indicator(db: sqlite3.Connection, site: str, seen: Sighted, tlp: Tlp, rule: RuleText) -> list[Made]:
    """The signature's object, where it is new, newer, or may now be told to more people."""
    known = db.execute(
        "SELECT rev, tlp, created, modified FROM signature WHERE gid = ? AND sid = ?", (seen.gid, seen.sid)
    ).fetchone()
    if known is None:
        created = min(seen.created or seen.time, seen.time)
        modified = max(created, min(seen.updated or created, seen.time))
    else:
        rev, lowest, created, modified = known
        if seen.rev <= rev and tlp >= lowest:
            return []
        if seen.rev > rev:
            modified = max(modified + 1000, min(seen.updated or seen.time, seen.time))
        tlp = min(tlp, Tlp(lowest))
    db.execute(
        "INSERT OR REPLACE INTO signature VALUES (?, ?, ?, ?, ?, ?)",
        (seen.gid, seen.sid, max(seen.rev, known[0] if known else 0), int(tlp), created, modified),
    )
    text = rule(seen.gid, seen.sid)
    return [stix.indicator(site, seen, tlp, created=created, modified=modified, rule=text)]


class _Seen:
    """What alerts saw, added up before it is written."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._counts: Counter[tuple[int, int, str, str, str]] = Counter()
        self._times: dict[tuple[int, int, str, str, str], tuple[int, int]] = {}

    def take(self, seen: Sighted, tlp: Tlp) -> None:
        for kind, value in _values(seen):
            key = seen.time // _DAY, int(tlp), kind, value, seen.signature
            first, last = self._times.get(key, (seen.time, seen.time))
            self._counts[key] += 1
            self._times[key] = min(first, seen.time), max(last, seen.time)

    def write(self) -> None:
        days = {key[0] for key in self._counts}
        room = {
            day: MOST_SEEN - self._db.execute("SELECT count(*) FROM seen WHERE day = ?", (day,)).fetchone()[0]
            for day in days
        }
        for key, count in self._counts.items():
            first, last = self._times[key]
            changed = self._db.execute(
                "UPDATE seen SET first = min(first, ?), last = max(last, ?), count = count + ? "
                "WHERE day = ? AND tlp = ? AND kind = ? AND value = ? AND signature = ?",
                (first, last, count, *key),
            ).rowcount
            if not changed and room[key[0]] > 0:
                room[key[0]] -= 1
                self._db.execute("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*key, first, last, count))


def _values(seen: Sighted) -> list[tuple[str, str]]:
    """What an analyst may want to look for elsewhere, in MISP's words for it. Only the attacker's address: the other
    one is the victim's, and personal data (R30)."""
    if seen.gid == ALERTS and seen.sid == BANNED:
        return [(BANNED_KIND, seen.source)] if seen.source else []
    return [
        *([("ip-src", seen.attacker)] if seen.attacker else []),
        *(("domain", name) for name in seen.names),
        *([("url", seen.url)] if seen.url else []),
        *((kind, digest) for one in seen.files for kind, digest in
          (("md5", one.md5), ("sha1", one.sha1), ("sha256", one.sha256)) if digest),
    ]  # fmt: skip
