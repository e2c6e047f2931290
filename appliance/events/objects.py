"""The STIX objects of the gateway on disk, by collection: what TAXII pages through, as the bytes that are sent.

Every object of a collection has a moment at which it was added, in microseconds: strictly increasing and given once
in the whole database, whatever the clock does. A page is what comes behind such a moment, so that no two pages
share one. Where the feeding stands in the outbox is written in the same transaction as the objects made of it.

A collection is a table of its own, in the order of adding. `place` says whether a row is the last (1) or first (2)
version of its object, so that the usual question (the last version of everything) needs no comparison. One index by
type, TLP and place answers filters: each combination that exists is a list in the order of adding, and they are
merged.

One writer at a time; readers have connections of their own and never wait for it (WAL).
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import msgspec

from appliance.events.stix import Made
from appliance.events.tlp import Tlp

_FORMAT = 2
LAST, FIRST = 1, 2
ALL = "all"
MAX_PAGE_BYTES = 8 << 20  # a page ends early rather than be larger, but for a single object
MOST_LISTS = 200  # that are merged
_MOST_IDS = 500
_MOST_RECENT = 20_000

# An object without a version is told with the moment it was added.
_VERSION = "(CASE version WHEN 0 THEN added ELSE version END)"

_SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE collection (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE type (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE signature (gid INTEGER, sid INTEGER, rev INTEGER NOT NULL, tlp INTEGER NOT NULL,
    created INTEGER NOT NULL, modified INTEGER NOT NULL, PRIMARY KEY (gid, sid)) WITHOUT ROWID;
CREATE TABLE fed (added INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE seen (day INTEGER, tlp INTEGER, kind TEXT, value TEXT, signature TEXT, first INTEGER NOT NULL,
    last INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (day, tlp, kind, value, signature)) WITHOUT ROWID;
"""
_TABLE = """
CREATE TABLE objects_{0} (added INTEGER PRIMARY KEY, key BLOB NOT NULL, type INTEGER NOT NULL,
    version INTEGER NOT NULL, tlp INTEGER NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX versions_{0} ON objects_{0} (key, type, version);
CREATE INDEX kinds_{0} ON objects_{0} (type, tlp, place, added);
"""


class Query(msgspec.Struct, frozen=True):
    """Which objects. `after` is the moment of adding behind which to look; None chooses all.

    `versions` are "last", "first", "all" and moments in microseconds: what any of them names.
    """

    after: int = -1
    limit: int = 1000
    highest: Tlp = Tlp.RED
    ids: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    versions: tuple[str | int, ...] = ("last",)


class Entry(msgspec.Struct, frozen=True):
    """What is told of an object beside its content; `version` is the moment it was added where it has none."""

    added: int
    id: str
    version: int


class Page(msgspec.Struct, frozen=True):
    """Objects in the order of adding; `more` come behind the last."""

    rows: tuple[tuple[int, bytes, int, int, bytes], ...]
    names: dict[int, str]
    more: bool

    @property
    def bodies(self) -> list[bytes]:
        return [row[4] for row in self.rows]

    @property
    def entries(self) -> list[Entry]:
        return [
            Entry(added, f"{self.names[kind]}--{_uuid(key)}", version or added)
            for added, key, kind, version, _ in self.rows
        ]

    @property
    def added(self) -> tuple[int, int] | None:
        """The moments at which the first and the last was added."""
        return (self.rows[0][0], self.rows[-1][0]) if self.rows else None


class Objects:
    """Opening it creates what is missing. `common` are the objects every collection begins with: identities and
    markings that others refer to. `clock` gives microseconds since the epoch. Raises `sqlite3.Error`."""

    def __init__(
        self, path: Path, collections: Iterable[str], common: Iterable[Made], clock: Callable[[], int]
    ) -> None:
        self._path = path
        self._clock = clock
        self._common = tuple(common)
        self._local = threading.local()
        self._lock = threading.Lock()  # one writer
        self._connections: list[sqlite3.Connection] = []
        self._db = self._connect()
        self._prepare()
        self._numbers: dict[str, int] = dict(self._db.execute("SELECT name, number FROM collection"))
        self._types: dict[str, int] = dict(self._db.execute("SELECT name, number FROM type"))
        self._names = {number: name for name, number in self._types.items()}
        # Which lists the index has; one that became empty stays, and costs a look.
        self._lists = {number: self._lists_of(number) for number in self._numbers.values()}
        # Observables that were added or met lately: TLP and moment of adding. The same addresses come all the time.
        self._recent: dict[tuple[int, str], tuple[int, int]] = {}
        self._last = int(self.state("last") or 0)
        for name in collections:
            if name not in self._numbers:
                self._begin(name)

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA page_size=16384")  # a page of TAXII is a row of these
        db.execute("PRAGMA journal_mode=WAL")
        # What a consumer was given must be there after a power cut: its place in the collection depends on it.
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=16777216")
        db.execute("PRAGMA cache_size=-16384")
        self._connections.append(db)
        return db

    def _prepare(self) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
        elif found != _FORMAT:
            raise sqlite3.DatabaseError(f"{self._path}: written by another version of Reef (format {found})")

    def _begin(self, name: str) -> None:
        with self.writing():
            number = self._db.execute("INSERT INTO collection (name) VALUES (?)", (name,)).lastrowid
            for statement in _TABLE.format(number).split(";"):
                self._db.execute(statement)
            self._numbers[name] = int(number or 0)
            self._lists[self._numbers[name]] = set()
            self.add(name, self._common)

    # --- writing --------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: what is added and stated inside is there as a whole, or not at all."""
        with self._lock:
            before, types = self._last, dict(self._types)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self.put_state("last", self._last)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                self._last, self._types = before, types
                self._names = {number: name for name, number in types.items()}
                self._recent.clear()
                raise

    def add(self, collection: str, made: Iterable[Made], *, renew_before: int = 0) -> int:
        """Add objects, inside `writing`; gives how many were new. One that is there already in this version stays,
        unless it may now go to more people than before, or was added before `renew_before` and has no version: then
        it is added anew, so that who comes later finds what newer objects refer to."""
        number = self._numbers[collection]
        return sum(self._add(number, one, renew_before) for one in made)

    def _add(self, number: int, made: Made, renew_before: int) -> bool:
        if made.version is None:
            tlp, added = self._recent.get((number, made.id), (-1, -1))
            if 0 <= tlp <= made.tlp and added >= renew_before:
                return False
        kind, key = self._type(made.type), _key(made.id)
        version = 0 if made.version is None else made.version
        place = LAST | FIRST
        known = self._db.execute(
            f"SELECT version, added, tlp, place FROM objects_{number} WHERE key = ? AND type = ?",  # noqa: S608
            (key, kind),
        ).fetchall()
        lists = self._lists[number]
        for known_version, added, tlp, known_place in known:
            if known_version == version:
                if made.tlp >= tlp and (made.version is not None or added >= renew_before):
                    self._remember(number, made, tlp, added)
                    return False
                self._db.execute(f"DELETE FROM objects_{number} WHERE added = ?", (added,))  # noqa: S608
                place = known_place
                break
            lost = LAST if known_version < version else FIRST
            place &= ~(FIRST if known_version < version else LAST)
            if known_place & lost:
                self._db.execute(
                    f"UPDATE objects_{number} SET place = place & ~? WHERE added = ?",  # noqa: S608
                    (lost, added),
                )
                lists.add((kind, tlp, known_place & ~lost))
        self._last = self.next
        self._db.execute(
            f"INSERT INTO objects_{number} (added, key, type, version, tlp, place, body) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._last, key, kind, version, int(made.tlp), place, made.body),
        )
        lists.add((kind, int(made.tlp), place))
        self._remember(number, made, int(made.tlp), self._last)
        return True

    def _remember(self, number: int, made: Made, tlp: int, added: int) -> None:
        if made.version is None:
            if len(self._recent) >= _MOST_RECENT:
                self._recent.clear()
            self._recent[number, made.id] = tlp, added

    def remove(self, collection: str, before: int, types: Iterable[str], most: int) -> int:
        """Forget what was added before that moment, of these types, at most so much of each; gives how many. Inside
        `writing`."""
        number = self._numbers[collection]
        self._recent.clear()
        gone = 0
        for kind in types:
            if kind in self._types:
                gone += self._db.execute(
                    f"DELETE FROM objects_{number} WHERE added IN "  # noqa: S608
                    f"(SELECT added FROM objects_{number} WHERE type = ? AND added < ? LIMIT ?)",
                    (self._types[kind], before, most),
                ).rowcount
        return gone

    def _type(self, name: str) -> int:
        known = self._types.get(name)
        if known is None:
            known = int(self._db.execute("INSERT INTO type (name) VALUES (?)", (name,)).lastrowid or 0)
            self._types = {**self._types, name: known}
            self._names = {**self._names, known: name}
        return known

    def state(self, name: str) -> int | str | None:
        found = self._reader().execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        value: int | str | None = found[0] if found else None
        return value

    def put_state(self, name: str, value: int | str) -> None:
        """Inside `writing`."""
        self._db.execute("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", (name, value))

    # --- reading --------------------------------------------------------------------------------------------------

    @property
    def collections(self) -> tuple[str, ...]:
        return tuple(self._numbers)

    @property
    def last(self) -> int:
        """The moment at which the newest object was added."""
        return self._last

    @property
    def next(self) -> int:
        """The moment that an object added now would get, or an earlier one."""
        return max(self._last + 1, self._clock())

    def reader(self) -> sqlite3.Connection:
        """This thread's connection, for reading."""
        return self._reader()

    def _reader(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = self._local.db = self._connect()
        return found

    def count(self, collection: str) -> int:
        """How many objects there are."""
        number = self._numbers[collection]
        return int(self._reader().execute(f"SELECT count(*) FROM objects_{number}").fetchone()[0])  # noqa: S608

    def used(self) -> int:
        """Bytes that the objects take; what was let go is not among them."""
        db = self._reader()
        pages, free, size = (
            db.execute(f"PRAGMA {word}").fetchone()[0] for word in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def older(self, collection: str, kind: str, part: int) -> int | None:
        """The moment before which one in `part` objects of a type was added, at least one; None: there is none."""
        number, type_ = self._numbers[collection], self._types.get(kind)
        db = self._reader()
        table = f"FROM objects_{number} WHERE type = ?"
        (count,) = db.execute(f"SELECT count(*) {table}", (type_,)).fetchone()
        query = f"SELECT added {table} ORDER BY added LIMIT 1 OFFSET ?"
        found = db.execute(query, (type_, count // part)).fetchone()
        return None if found is None else int(found[0]) + 1

    def holding(self, collection: str, words: Iterable[bytes]) -> int:
        """How many objects have one of these as a value of theirs, or within their pattern."""
        said = [quoted for word in words for quoted in (b'"%s"' % word, b"'%s'" % word)]
        if not said:
            return 0
        number = self._numbers[collection]
        holds = " OR ".join(["instr(body, ?)"] * len(said))
        query = f"SELECT count(*) FROM objects_{number} WHERE {holds}"  # noqa: S608
        return int(self._reader().execute(query, said).fetchone()[0])

    def page(self, collection: str, query: Query) -> Page:
        """What a query chooses, the oldest first. Safe to call from any thread."""
        if query.ids is not None:
            return self._by_id(collection, query)
        number = self._numbers[collection]
        every = self._lists[number]
        chosen = [one for one in tuple(every) if self._chooses(query, *one)]
        if not chosen:
            return Page((), {}, False)
        columns = f"SELECT added, key, type, version, body FROM objects_{number}"  # noqa: S608
        moments = tuple(one for one in query.versions if isinstance(one, int))
        also = (
            f" AND (place IN ({_joined(_wanted(query.versions))}) OR {_VERSION} IN ({_marks(moments)}))"
            if moments else ""
        )  # fmt: skip
        values: list[int | str]
        if len(chosen) == len(every):
            statement, values = f"{columns} WHERE added > ?{also}", [query.after, *moments]
        elif len(chosen) > MOST_LISTS:
            # So many kinds that merging them is no help: one after the other, in the order of adding.
            only = f"type || '.' || tlp || '.' || place IN ({_marks(chosen)})"
            names = [".".join(map(str, one)) for one in chosen]
            statement = f"{columns} WHERE added > ? AND {only}{also}"
            values = [query.after, *names, *moments]
        else:
            # Each term comes in order from the index, and SQLite merges them row by row: no more is read than is
            # given.
            one = f"{columns} WHERE type = ? AND tlp = ? AND place = ? AND added > ?{also}"
            statement = " UNION ALL ".join([one] * len(chosen))
            values = [value for kind in chosen for value in (*kind, query.after, *moments)]
        rows = self._reader().execute(f"{statement} ORDER BY added LIMIT ?", [*values, query.limit + 1])
        return self._cut(rows.fetchall(), query.limit)

    def _chooses(self, query: Query, kind: int, tlp: int, place: int) -> bool:
        return (
            tlp <= query.highest
            and (query.types is None or self._names[kind] in query.types)
            and (place in _wanted(query.versions) or any(isinstance(one, int) for one in query.versions))
        )

    def _lists_of(self, number: int) -> set[tuple[int, int, int]]:
        """The combinations of type, TLP and place that exist, by a step through the index for each."""
        table = f"FROM objects_{number} WHERE"

        def next_of(column: str, where: str, *values: int | None) -> int | None:
            statement = f"SELECT min({column}) {table} {where}{column} > ?"
            found: int | None = self._db.execute(statement, values).fetchone()[0]
            return found

        found = set()
        kind: int | None = -1
        while (kind := next_of("type", "", kind)) is not None:
            tlp: int | None = -1
            while (tlp := next_of("tlp", "type = ? AND ", kind, tlp)) is not None:
                place: int | None = -1
                while (place := next_of("place", "type = ? AND tlp = ? AND ", kind, tlp, place)) is not None:
                    found.add((kind, tlp, place))
        return found

    def _by_id(self, collection: str, query: Query) -> Page:
        number = self._numbers[collection]
        found: list[tuple[int, bytes, int, int, bytes]] = []
        wanted = _wanted(query.versions)
        for identifier in dict.fromkeys((query.ids or ())[:_MOST_IDS]):
            kind = self._types.get(identifier.partition("--")[0])
            if kind is None or (query.types is not None and self._names[kind] not in query.types):
                continue
            rows = self._reader().execute(
                f"SELECT added, key, type, version, body, place FROM objects_{number} "  # noqa: S608
                "WHERE key = ? AND type = ? AND tlp <= ?",
                (_key(identifier), kind, int(query.highest)),
            )
            found += [
                row[:5] for row in rows
                if row[0] > query.after and (row[5] in wanted or (row[3] or row[0]) in query.versions)
            ]  # fmt: skip
        return self._cut(sorted(found), query.limit)

    def _cut(self, rows: list[tuple[int, bytes, int, int, bytes]], limit: int) -> Page:
        more = len(rows) > limit
        del rows[limit:]
        sizes = list(accumulate(len(row[4]) for row in rows))
        if sizes and sizes[-1] > MAX_PAGE_BYTES:
            del rows[max(1, bisect_right(sizes, MAX_PAGE_BYTES)) :]
            more = more or len(rows) < len(sizes)
        return Page(tuple(rows), self._names, more)

    def above(self, collection: str, identifier: str, highest: Tlp) -> bool:
        """Whether there is such an object, and all of it is stricter than `highest`."""
        kind = self._types.get(identifier.partition("--")[0])
        rows = self._reader().execute(
            f"SELECT min(tlp) FROM objects_{self._numbers[collection]} WHERE key = ? AND type = ?",  # noqa: S608
            (_key(identifier), kind),
        )
        (lowest,) = rows.fetchone()
        return lowest is not None and lowest > highest


@lru_cache(maxsize=64)
def _wanted(versions: tuple[str | int, ...]) -> frozenset[int]:
    if ALL in versions:
        return frozenset(range(4))
    bits = (LAST if "last" in versions else 0) | (FIRST if "first" in versions else 0)
    return frozenset(place for place in range(4) if place & bits)


def _joined(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "-1"


def _key(identifier: str) -> bytes:
    """The UUID of an identifier; of what is none, bytes that no object has."""
    try:
        return bytes.fromhex(identifier.partition("--")[2].replace("-", ""))
    except ValueError:
        return b""


def _uuid(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _marks(values: Sized) -> str:
    return ", ".join("?" * len(values))
