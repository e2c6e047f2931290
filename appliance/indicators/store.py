"""Indicators on disk: what came, from whom, when first; what hit; and what two people overrode.

One SQLite database (WAL, `synchronous=FULL`): what was said to be taken in is there after a power cut. A body is the
indicator as msgspec packs it. One thread writes and reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path

import msgspec

from appliance.indicators.indicator import Indicator
from appliance.indicators.inforce import Key
from appliance.indicators.values import Value

NAME = "indicators.sqlite"
_PLACE = "outbox"
_DAY = 86_400
_KEPT = 30  # days
_LOG = 16_384  # pages of the log; then who writes waits until they are in their place
_CACHE = 32_768  # KiB of pages: a long list is written without a page being written twice
_FORMAT = 2
_SCHEMA = """
CREATE TABLE indicator (source TEXT, id TEXT, seen REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY (source, id))
    WITHOUT ROWID;
CREATE TABLE hit (kind TEXT, text TEXT, first REAL NOT NULL, last REAL NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (kind, text)) WITHOUT ROWID;
CREATE TABLE sighting (source TEXT, id TEXT, day INTEGER, first REAL NOT NULL, last REAL NOT NULL,
    count INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0, told_at REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (source, id, day)) WITHOUT ROWID;
CREATE TABLE override (kind TEXT, text TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, text)) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""

_HIT = (
    "INSERT INTO hit VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first = min(first, excluded.first), "
    "last = max(last, excluded.last), count = count + excluded.count"
)
_SIGHTED = (
    "INSERT INTO sighting (source, id, day, first, last, count) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
    "SET first = min(first, excluded.first), last = max(last, excluded.last), count = count + excluded.count"
)


class StoreError(Exception):
    """The database cannot be used; the text says which, why, and what to do."""


class Came(msgspec.Struct, frozen=True, gc=False):
    """An indicator, and when it was first seen here (seconds since the epoch)."""

    indicator: Indicator
    seen: float


class Hits(msgspec.Struct, frozen=True):
    first: float
    last: float
    count: int


class Seen(msgspec.Struct, frozen=True):
    """How often an indicator hit on a day (since the epoch, UTC), and when that was told last (0: never)."""

    key: Key
    day: int
    hits: Hits
    told: float


class Override(msgspec.Struct, frozen=True):
    """Somebody wants a value blocked though it is never blocked; it holds when another person agrees (`second`)."""

    value: Value
    first: str
    why: str
    asked: float
    until: float
    second: str = ""
    agreed: float = 0.0

    def holds(self, now: float) -> bool:
        return bool(self.second) and now < self.until


_key = itemgetter(0)
_encoder = msgspec.msgpack.Encoder()
_indicators = msgspec.msgpack.Decoder(Indicator)
_overrides = msgspec.msgpack.Decoder(Override)


class Store:
    """Raises `StoreError` where the disk or the file fails; then nothing of the call is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rested = 0  # changes that are in their place
        try:
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.execute(f"PRAGMA cache_size=-{_CACHE}")
            self._base.execute(f"PRAGMA wal_autocheckpoint={_LOG}")
            (found,) = self._base.execute("PRAGMA user_version").fetchone()
            if found == 0:
                self._base.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
            elif found != _FORMAT:
                raise StoreError(f"{path}: of format {found}; this Reef reads {_FORMAT}; move it away to begin anew")
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def close(self) -> None:
        self._base.close()

    def _fault(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self._path}: {error}; is the disk full, or the file damaged?")

    def _within(self, *steps: tuple[str, Iterable[tuple[object, ...]]]) -> None:
        """All of it in one transaction."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            for words, rows in steps:
                self._base.executemany(words, rows)
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise self._fault(error) from error

    def rest(self) -> None:
        """Nobody waits: what the log holds is put into its place, so that no writer has to."""
        if self._base.total_changes == self._rested:
            return
        try:
            self._base.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise self._fault(error) from error
        self._rested = self._base.total_changes

    # --- indicators -----------------------------------------------------------------------------------

    def keep(self, changed: Iterable[tuple[Key, Came]], gone: Iterable[Key] = ()) -> None:
        """Durable on return. In the order of the keys: each page of the database is then looked at once."""
        listed = sorted(changed, key=_key)
        rows = ((source, id_, came.seen, _encoder.encode(came.indicator)) for (source, id_), came in listed)
        self._within(
            ("INSERT OR REPLACE INTO indicator VALUES (?, ?, ?, ?)", rows),
            ("DELETE FROM indicator WHERE source = ? AND id = ?", gone),
        )

    def all(self) -> Iterator[tuple[Key, Came]]:
        try:
            with closing(self._base.execute("SELECT source, id, seen, body FROM indicator")) as rows:
                for source, id_, seen, body in rows:
                    yield (source, id_), Came(_indicators.decode(body), seen)
        except sqlite3.Error as error:
            raise self._fault(error) from error

    # --- hits -----------------------------------------------------------------------------------------

    def hit(
        self, counted: Iterable[tuple[Value, Hits]], seen: Iterable[tuple[Key, Hits]] = (), place: int | None = None
    ) -> None:
        """Counts on top of those that are there, of values and of the indicators that name them; `place` is how far
        the outbox was read for it."""
        values = [(v.kind, v.text, h.first, h.last, h.count) for v, h in counted]
        keys = [(source, id_, int(h.last // _DAY), h.first, h.last, h.count) for (source, id_), h in seen]
        self._within(
            (_HIT, values),
            (_SIGHTED, keys),
            ("INSERT OR REPLACE INTO state VALUES (?, ?)", [] if place is None else [(_PLACE, str(place))]),
        )

    def place(self) -> int:
        """How far the outbox was read for hits."""
        return int(self.remembered(_PLACE) or 0)

    def untold(self, before: float, limit: int) -> list[Seen]:
        """Counts of indicators that rose since they were told, and were told last before that moment."""
        words = (
            "SELECT source, id, day, first, last, count, told_at FROM sighting WHERE told < count AND told_at <= ? "
            "ORDER BY told_at LIMIT ?"
        )
        try:
            rows = self._base.execute(words, (before, limit)).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return [
            Seen((source, id_), day, Hits(first, last, n), told) for source, id_, day, first, last, n, told in rows
        ]

    def told(self, seen: Iterable[Seen], now: float) -> None:
        """They were told, and what is older than `_KEPT` days is forgotten."""
        rows = [(one.hits.count, now, *one.key, one.day) for one in seen]
        self._within(
            ("UPDATE sighting SET told = ?, told_at = ? WHERE source = ? AND id = ? AND day = ?", rows),
            ("DELETE FROM sighting WHERE day < ?", [(int(now // _DAY) - _KEPT,)]),
        )

    def hits(self, value: Value) -> Hits | None:
        words = "SELECT first, last, count FROM hit WHERE kind = ? AND text = ?"
        try:
            row = self._base.execute(words, (value.kind, value.text)).fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return None if row is None else Hits(*row)

    # --- overrides ------------------------------------------------------------------------------------

    def override(self, kept: Iterable[Override], gone: Iterable[Value] = ()) -> None:
        rows = ((one.value.kind, one.value.text, _encoder.encode(one)) for one in kept)
        self._within(
            ("INSERT OR REPLACE INTO override VALUES (?, ?, ?)", rows),
            ("DELETE FROM override WHERE kind = ? AND text = ?", ((one.kind, one.text) for one in gone)),
        )

    def overrides(self) -> dict[Value, Override]:
        found: dict[Value, Override] = {}
        try:
            for kind, text, body in self._base.execute("SELECT kind, text, body FROM override"):
                found[Value(kind, text)] = _overrides.decode(body)
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return found

    # --- what else is remembered ----------------------------------------------------------------------

    def remember(self, name: str, text: str) -> None:
        """For example where the reading of a source stands."""
        self._within(("INSERT OR REPLACE INTO state VALUES (?, ?)", [(name, text)]))

    def remembered(self, name: str) -> str:
        try:
            row = self._base.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return "" if row is None else str(row[0])
