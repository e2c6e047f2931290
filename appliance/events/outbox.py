"""The outbox: every event that somebody may have, durable, numbered, until all who need it have it.

One database (SQLite, WAL, `synchronous=FULL`): what `append` returns for survives a power cut. One writer, which the
collector's thread is; any number of readers, each with a connection of its own. A table for each class of events, so
that the oldest of a class can go without a hole in another.

`seq` numbers an event for ever: it rises by one and is never used again, whatever became of the event. `added`
(microseconds since the epoch) rises strictly too: where the clock is set back it stands nearly still. `time` is what
the event itself says. What went, and why, is `retaining.py`; the place of the collector in the spools is kept in the
transaction that takes their events in, so that none is lost or doubled.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.durable import replace
from appliance.events.classes import Class
from appliance.events.tlp import Tlp

NAME = "outbox.db"
_FORMAT = 1
_BEYOND = (1 << 63) - 1  # no number is greater
_WINDOW = 50_000  # numbers that one reading looks through at most
_AHEAD = 1_000_000  # numbers that the floor file runs ahead of the database
_FLOOR = "outbox.floor"
_RESERVE = "outbox.reserve"
_RESERVED = 16 << 20  # bytes that are given back when the disk is full: to let something go takes room too

_SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE spool (name TEXT PRIMARY KEY, serial INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE consumer (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mark (lived INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
""" + "".join(
    f"CREATE TABLE event_{each} (seq INTEGER PRIMARY KEY, added INTEGER NOT NULL, time INTEGER NOT NULL, "
    "kind TEXT NOT NULL, tlp INTEGER NOT NULL, body BLOB NOT NULL);\n"
    for each in Class
)


class OutboxError(Exception):
    """The outbox cannot be used; the text says which file and why."""


class OutboxFull(Exception):
    """There is no room on the disk: nothing of what was given was kept."""


class New(msgspec.Struct, frozen=True):
    """An event on its way in. `body` is the line that is sent, without a newline; `time` in microseconds."""

    body: bytes
    kind: str  # EVE's event_type
    class_: Class
    tlp: Tlp
    time: int


class Stored(msgspec.Struct, frozen=True):
    """An event of the outbox. `added` and `time` are microseconds since the epoch."""

    seq: int
    added: int
    time: int
    kind: str
    class_: Class
    tlp: Tlp
    body: bytes


class Page(msgspec.Struct, frozen=True):
    """What a reading found, in the order of `seq`. It looked at everything up to `through`: go on behind that, also
    when `events` is empty. `last` is the newest number there is; at `through == last` all is read."""

    events: list[Stored]
    through: int
    last: int


class Position(msgspec.Struct, frozen=True):
    """How far a consumer has everything, and when it last asked (microseconds since the epoch; 0: never)."""

    seq: int
    seen: int


class Outbox:
    """The writer. Opening it recovers. Raises `OutboxError`. Safe to call from any thread."""

    def __init__(
        self,
        path: Path,
        log: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._log = log
        self._clock = clock
        self.lock = threading.RLock()  # of the writer's connection
        self._ears = threading.Lock()  # never held for long: who acknowledges must not wait for a disk
        self._heard: dict[str, Position] = {}  # acknowledged, and not written yet
        self.db = self._open()
        self._last = self._state("last")
        self._kept = self._last  # what readers are told of: never a number that is not durable yet
        self._added = self._state("added")
        self._floor = _read_floor(path)
        self._positions = {
            name: Position(seq, seen) for name, seq, seen in self.db.execute("SELECT name, seq, seen FROM consumer")
        }

    def close(self) -> None:
        with contextlib.suppress(OutboxFull):  # what was acknowledged is asked for again
            self.flush()
        with self.lock:
            self.db.close()

    # --- opening ------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                if self._condemned.exists():
                    raise sqlite3.DatabaseError("it was found to be damaged")
                return _connect(self._path)
            except sqlite3.OperationalError:
                raise  # a full disk, no right to write: nothing is wrong with what is there
            except sqlite3.DatabaseError as error:
                self._put_aside(error)
                return _connect(self._path, first=_read_floor(self._path))
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"{self._path}: {error}; the outbox cannot be used") from error

    def _put_aside(self, error: sqlite3.Error) -> None:
        """Keep what is damaged and begin anew, behind every number that was ever given."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._path.rename(aside)
        self._condemned.unlink(missing_ok=True)
        self._log(f"{self._path}: {error}; it is kept as {aside.name}, and the outbox begins again")

    @property
    def _condemned(self) -> Path:
        return self._path.with_name(f"{self._path.name}.condemned")

    def judge(self, error: sqlite3.Error) -> None:
        """The database failed: where that is because it is damaged, the next opening puts it aside."""
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._condemned.touch()

    def _state(self, name: str) -> int:
        found = self.db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return 0 if found is None else int(found[0])

    # --- writing ------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection for one transaction that is durable at the end. Raises `OutboxFull`,
        `sqlite3.Error`; then nothing of it happened."""
        with self.lock:
            before = self._last, self._added
            try:
                self.db.execute("BEGIN IMMEDIATE")
                yield self.db
                self.db.execute("COMMIT")
                self._kept = self._last
            except BaseException as error:
                self._last, self._added = before
                with contextlib.suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError) and is_no_room(error):
                    raise OutboxFull(f"{self._path}: {error}") from error
                raise

    def append(self, events: Sequence[New], places: Mapping[str, int] | None = None) -> tuple[int, int]:
        """Keep events and, in the same transaction, the next serial number to read of each spool in `places`.

        Returns the first and the last number given (last < first: there were none). They are durable when this
        returns. Raises `OutboxFull`, `sqlite3.Error`; then nothing was kept.
        """
        heard = self._take_heard()
        try:
            with self.transaction() as db:
                first = self._last + 1
                self.insert(db, events)
                last = self._last
                db.executemany("INSERT OR REPLACE INTO spool VALUES (?, ?)", (places or {}).items())
                _write_positions(db, heard)
        except BaseException:
            self._give_back(heard)
            raise
        return first, last

    def insert(self, db: sqlite3.Connection, events: Sequence[New]) -> None:
        """Add events within a `transaction`."""
        rows: dict[Class, list[tuple[int, int, int, str, int, bytes]]] = {}
        first, added, now = self._last + 1, self._added, int(self._clock() * 1e6)
        last = self._last + len(events)
        self._keep_floor(last)
        for number, event in enumerate(events, first):
            added = now if now > added else added + 1
            row = (number, added, event.time, event.kind, int(event.tlp), event.body)
            rows.setdefault(event.class_, []).append(row)
        for kind, found in rows.items():
            db.executemany(f"INSERT INTO event_{int(kind)} VALUES (?, ?, ?, ?, ?, ?)", found)
        db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", (("last", last), ("added", added)))
        self._last, self._added = last, added

    def last(self) -> int:
        """The newest number that was ever given to what is durable; 0: none. A reading finds all up to it."""
        return self._kept

    def oldest(self) -> dict[Class, int]:
        """The oldest number of each class that there is an event of."""
        with self.lock:
            rows = {each: self.db.execute(f"SELECT min(seq) FROM event_{int(each)}").fetchone() for each in Class}
        return {each: row[0] for each, row in rows.items() if row[0] is not None}

    def places(self) -> dict[str, int]:
        """The next serial number to read of each spool."""
        with self.lock:
            return dict(self.db.execute("SELECT name, serial FROM spool").fetchall())

    def _keep_floor(self, last: int) -> None:
        """A number that none was given beyond, beside the database: what is left when that is destroyed."""
        if last >= self._floor:
            self._floor = last + _AHEAD
            with contextlib.suppress(OSError):  # no room: the transaction will say so
                replace(self._path.with_name(_FLOOR), f"{self._floor}\n".encode())

    def reserve(self) -> None:
        """Keep some of the disk for the day when it is full. Does nothing when there is none to keep."""
        path = self._path.with_name(_RESERVE)
        if path.exists():
            return
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, _RESERVED)
            except OSError:
                path.unlink()
            finally:
                os.close(descriptor)

    def give_back_reserve(self) -> None:
        self._path.with_name(_RESERVE).unlink(missing_ok=True)

    # --- who has what -------------------------------------------------------------------------------

    def acknowledge(self, consumer: str, seq: int) -> None:
        """`consumer` durably has everything up to `seq`. Written with what comes in next, or by `flush`: a power cut
        may take it back, and then some events wait longer than they had to."""
        with self._ears:
            before = self.position(consumer)
            known = min(max(before.seq, seq), self._kept)
            self._heard[consumer] = self._positions[consumer] = Position(known, int(self._clock() * 1e6))

    def saw(self, consumer: str) -> None:
        """`consumer` asks for something."""
        self.acknowledge(consumer, 0)

    def position(self, consumer: str) -> Position:
        return self._positions.get(consumer, Position(0, 0))

    def positions(self) -> dict[str, Position]:
        """Of all that were ever heard of."""
        with self._ears:
            return dict(self._positions)

    def forget(self, consumer: str) -> None:
        """Somebody who is no consumer any more."""
        with self.transaction() as db:
            db.execute("DELETE FROM consumer WHERE name = ?", (consumer,))
        with self._ears:
            self._heard.pop(consumer, None)
            self._positions.pop(consumer, None)

    def flush(self) -> None:
        """Write what was acknowledged. Raises `OutboxFull`, `sqlite3.Error`."""
        heard = self._take_heard()
        if not heard:
            return
        try:
            with self.transaction() as db:
                _write_positions(db, heard)
        except BaseException:
            self._give_back(heard)
            raise

    def _take_heard(self) -> dict[str, Position]:
        with self._ears:
            heard, self._heard = self._heard, {}
        return heard

    def _give_back(self, heard: dict[str, Position]) -> None:
        with self._ears:
            self._heard = heard | self._heard

    # --- reading ------------------------------------------------------------------------------------

    def reader(self) -> Reader:
        """A reader for one thread. Raises `OutboxError`."""
        return Reader(self._path)


class Reader:
    """Reads beside the writer. For one thread at a time. Raises `OutboxError` where there is no outbox."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            self._db.execute("SELECT value FROM state").fetchone()
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}; is there an outbox?") from error

    def close(self) -> None:
        self._db.close()

    def last(self) -> int:
        found = self._db.execute("SELECT value FROM state WHERE name = 'last'").fetchone()
        return 0 if found is None else int(found[0])

    def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        kinds: Collection[str] | None = None,
        classes: Collection[Class] = tuple(Class),
        highest: Tlp = Tlp.RED,
        since: int | None = None,
        until: int | None = None,
        holding: Collection[bytes] = (),
    ) -> Page:
        """At most `limit` events behind number `after`, oldest first.

        `kinds` are EVE event types (None: all), `highest` the strictest label that is given out, `since` and `until`
        (microseconds) bound the time of the event: since <= time < until; with `holding` only events in whose bytes
        one of these stands. A call looks at a bounded stretch of the
        outbox; see `Page.through`. Raises `sqlite3.Error`.
        """
        self._db.execute("BEGIN")  # one state of the database for all that is asked
        try:
            last = self.last()
            begin = self._next(after, classes)
            if begin is None:
                return Page([], max(after, last), last)
            bound = min(begin + _WINDOW, last)
            conditions, values = _conditions(kinds, highest, since, until, holding)
            parts = [
                f"SELECT seq, added, time, kind, {int(each)}, tlp, body FROM event_{int(each)} "
                f"WHERE seq > ? AND seq <= ?{conditions}"
                for each in sorted(classes)
            ]
            query = f"{' UNION ALL '.join(parts)} ORDER BY seq LIMIT ?"
            arguments = [value for _ in parts for value in (after, bound, *values)]
            rows = self._db.execute(query, (*arguments, limit)).fetchall()
        finally:
            self._db.execute("COMMIT")
        events = [
            Stored(seq, added, moment, kind, Class(number), Tlp(tlp), body)
            for seq, added, moment, kind, number, tlp, body in rows
        ]
        return Page(events, events[-1].seq if len(events) == limit else bound, last)

    def _next(self, after: int, classes: Collection[Class]) -> int | None:
        """The first number behind `after` that is there: nobody looks through what went."""
        found = [
            self._db.execute(f"SELECT min(seq) FROM event_{int(each)} WHERE seq > ?", (after,)).fetchone()[0]
            for each in classes
        ]
        return min((number for number in found if number is not None), default=None)

    def newest(self, class_: Class, *, before: int = 0, after: int = 0, limit: int = 1000) -> list[Stored]:
        """At most `limit` events of a class before number `before` (0: the end) and behind `after`, newest first."""
        rows = self._db.execute(
            f"SELECT seq, added, time, kind, tlp, body FROM event_{int(class_)} WHERE seq < ? AND seq > ? "
            "ORDER BY seq DESC LIMIT ?",
            (before or _BEYOND, after, limit),
        ).fetchall()
        return [
            Stored(seq, added, moment, kind, class_, Tlp(tlp), body) for seq, added, moment, kind, tlp, body in rows
        ]

    def between(self, class_: Class, after: int, before: int) -> int:
        """How many events of a class are behind one number and before another."""
        query = f"SELECT count(*) FROM event_{int(class_)} WHERE seq > ? AND seq < ?"
        return int(self._db.execute(query, (after, before)).fetchone()[0])

    def place(self, class_: Class, added: int) -> int:
        """The number behind which the events of a class are that came in at `added` (microseconds) or later.

        `added` rises with the number, so few are looked at.
        """
        table = f"event_{int(class_)}"
        self._db.execute("BEGIN")  # what is found stays there until the end
        try:
            first, last = self._db.execute(f"SELECT min(seq), max(seq) FROM {table}").fetchone()
            if first is None:
                return self.last()
            low, high = first - 1, last  # what is wanted lies behind `low`, at `high` or before it
            while low < high:
                middle = (low + high + 1) // 2
                query = f"SELECT seq, added FROM {table} WHERE seq >= ? ORDER BY seq LIMIT 1"
                seq, when = self._db.execute(query, (middle,)).fetchone()
                low, high = (seq, high) if when < added else (low, middle - 1)
        finally:
            self._db.execute("COMMIT")
        return int(low)

    def waiting(self, after: int, classes: Collection[Class], highest: Tlp) -> int:
        """How many events behind `after` somebody may have who may have `classes` up to `highest`."""
        return sum(
            self._db.execute(
                f"SELECT count(*) FROM event_{int(each)} WHERE seq > ? AND tlp <= ?", (after, int(highest))
            ).fetchone()[0]
            for each in classes
        )

    def count(self, class_: Class) -> int:
        """How many events of a class there are."""
        return int(self._db.execute(f"SELECT count(*) FROM event_{int(class_)}").fetchone()[0])

    def oldest(self, class_: Class) -> int | None:
        """When the oldest event of a class was added; None: there is none."""
        query = f"SELECT added FROM event_{int(class_)} ORDER BY seq LIMIT 1"
        found = self._db.execute(query).fetchone()
        return None if found is None else int(found[0])

    def get(self, seq: int) -> Stored | None:
        """One event; None when it is not there any more, or never was."""
        for each in Class:
            found = self._db.execute(
                f"SELECT seq, added, time, kind, {int(each)}, tlp, body FROM event_{int(each)} WHERE seq = ?", (seq,)
            ).fetchone()
            if found is not None:
                number, added, moment, kind, of, tlp, body = found
                return Stored(number, added, moment, kind, Class(of), Tlp(tlp), body)
        return None


def _conditions(
    kinds: Collection[str] | None, highest: Tlp, since: int | None, until: int | None, holding: Collection[bytes]
) -> tuple[str, list[str | int | bytes]]:
    said, values = "", list[str | int | bytes]()
    if kinds is not None:
        said += f" AND kind IN ({', '.join('?' * len(kinds))})"
        values += sorted(kinds)
    if highest < Tlp.RED:
        said += " AND tlp <= ?"
        values.append(int(highest))
    if since is not None:
        said += " AND time >= ?"
        values.append(since)
    if until is not None:
        said += " AND time < ?"
        values.append(until)
    if holding:
        said += f" AND ({' OR '.join(['instr(body, ?)'] * len(holding))})"
        values += holding
    return said, values


def _connect(path: Path, first: int = 0) -> sqlite3.Connection:
    """`first` is the number behind which a new database begins."""
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA page_size=8192")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=4000")
        db.execute("PRAGMA journal_size_limit=67108864")
        (kept,) = db.execute("PRAGMA user_version").fetchone()
        if kept not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"format {kept} is not known here")
        if kept == 0:
            begin = f"INSERT INTO state VALUES ('last', {first});"
            db.executescript(f"BEGIN; {_SCHEMA} {begin} PRAGMA user_version={_FORMAT}; COMMIT;")
        db.execute("SELECT value FROM state WHERE name = 'last'").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def _write_positions(db: sqlite3.Connection, heard: Mapping[str, Position]) -> None:
    rows = [(name, position.seq, position.seen) for name, position in heard.items()]
    db.executemany("INSERT OR REPLACE INTO consumer VALUES (?, ?, ?)", rows)


def _read_floor(path: Path) -> int:
    try:
        return int(path.with_name(_FLOOR).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def is_no_room(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
