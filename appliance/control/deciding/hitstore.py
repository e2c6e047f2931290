"""The history of what rules matched: one small database that outlives applies, restarts, boots and image updates.

A reading of the counters becomes differences, and these are added in one transaction with the values they were made
from: killed at any moment, nothing is counted twice or lost. A power cut may take back the last transactions, each as
a whole; when the counters were watched is kept in the same way, and told. One row for each

    rule      what it counted in all, and the counter's last value
    spell     time in which a rule was in the kernel with one meaning, and what it counted then
    day       rule and day with hits; days older than `_DAYS` are folded into their month, so that the size is bounded
    watch     time in which the counters were observed without a break

One writer: policyd. Synchronous, and safe to call from one thread at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.control.deciding import watching
from appliance.control.deciding.watching import DAY, Interval, Moment, Reading
from appliance.control.messages.hits import Gap, HitList, RuleHits
from appliance.database import opened

_FORMAT = 1
_DAYS = 100  # kept day by day
_RETENTION = 1830 * DAY  # what ended before is forgotten
_PAGES = 65_536  # of 4 KiB: the file never exceeds 256 MiB
_GAPS = 50  # told at most

RESTART = "the gateway restarted"
CLOCK = "the clock was set"

_SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE rule (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL, hits INTEGER NOT NULL, octets INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL);
CREATE TABLE spell (number INTEGER PRIMARY KEY, rule INTEGER NOT NULL, meaning TEXT NOT NULL, begin REAL NOT NULL,
    end REAL, hits INTEGER NOT NULL);
CREATE INDEX spell_of ON spell (rule);
CREATE TABLE day (day INTEGER, rule INTEGER, hits INTEGER NOT NULL, PRIMARY KEY (day, rule)) WITHOUT ROWID;
CREATE TABLE watch (number INTEGER PRIMARY KEY, begin REAL NOT NULL, end REAL NOT NULL, why TEXT NOT NULL);
"""


# What changes in the moments that are written, when the clock does.
_MOVE = (
    "UPDATE watch SET begin = begin + :moved, end = end + :moved WHERE begin >= :begin",
    "UPDATE rule SET first = first + :moved WHERE first >= :begin",
    "UPDATE rule SET last = last + :moved WHERE last >= :begin",
    "UPDATE spell SET begin = begin + :moved WHERE begin >= :begin",
    "UPDATE spell SET end = end + :moved WHERE end >= :begin",
)
_CUT = (
    "DELETE FROM watch WHERE begin > :now",
    "UPDATE watch SET end = :now WHERE end > :now",
    "UPDATE rule SET first = :now WHERE first > :now",
    "UPDATE rule SET last = :now WHERE last > :now",
    "UPDATE spell SET begin = :now WHERE begin > :now",
    "UPDATE spell SET end = :now WHERE end > :now",
)


class _Known(msgspec.Struct):
    """A rule's row, with the spell that lasts (0: it is not in the kernel)."""

    number: int
    counted: tuple[int, int] = (0, 0)
    hits: int = 0
    octets: int = 0
    first: float = 0.0
    last: float = 0.0
    spell: int = 0
    meaning: str = ""
    spell_hits: int = 0


class HitStore:
    """Opening it recovers. Raises `sqlite3.Error` where the database cannot be used.

    `patience` in seconds is how long a transaction waits for a reader that looks at the file by hand.
    """

    def __init__(self, path: Path, log: Callable[[str], None], patience: float = 5.0) -> None:
        self._path = path
        self._patience = patience
        self._log = log
        self._rules: dict[str, _Known] = {}
        self._last: Moment | None = None
        # (first day, hits since then by rule) of the window asked last: adding a million rows up takes its time.
        self._recent: tuple[int, dict[int, int]] | None = None
        self._db = opened(self._path, self._connect, self._log, "and the history begins again")

    def close(self) -> None:
        self._db.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA journal_size_limit=4194304")
            db.execute("PRAGMA cache_size=-32768")  # KiB: all of it, for ten thousand rules
            db.execute(f"PRAGMA max_page_count={_PAGES}")
            (kept,) = db.execute("PRAGMA user_version").fetchone()
            if kept not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"format {kept} is not known here")
            if kept == 0:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
            self._load(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _load(self, db: sqlite3.Connection) -> None:
        self._recent = None
        self._rules = {
            name: _Known(number, (packets, octets), hits, total, first, last)
            for number, name, packets, octets, hits, total, first, last in db.execute("SELECT * FROM rule")
        }
        by_number = {known.number: known for known in self._rules.values()}
        lasting = "SELECT number, rule, meaning, hits FROM spell WHERE end IS NULL"
        for number, rule, meaning, hits in db.execute(lasting):
            known = by_number.get(rule)
            if known is None:
                raise sqlite3.DatabaseError(f"a spell of rule {rule}, which is not there")
            known.spell, known.meaning, known.spell_hits = number, meaning, hits
        state = dict(db.execute("SELECT name, value FROM state"))
        whole = {"at", "uptime", "origin"} <= state.keys()
        self._last = Moment(state["at"], state["uptime"], state["origin"]) if whole else None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, in the database and in what is remembered of it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._load(self._db)
            raise

    # --- a reading ------------------------------------------------------------------------------------

    def record(self, reading: Reading) -> None:
        """Add what was counted since the last reading. Raises `sqlite3.Error`, and then nothing was added."""
        now = Moment(reading.at, reading.uptime, reading.origin)
        try:
            self._record(reading, now)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            # Room is made in a transaction of its own: in the one that found none it would be taken back.
            with self._transaction() as db:
                self._prune(db, now.at)
            self._record(reading, now)

    def _record(self, reading: Reading, now: Moment) -> None:
        with self._transaction() as db:
            again = self._watch(db, now)
            self._count(db, reading, again=again)
            self._turn_spells(db, reading)
            db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", now._asdict().items())
            today = int(now.at // DAY)
            if self._last is None or int(self._last.at // DAY) != today:
                self._prune(db, now.at)
            self._last = now

    def _watch(self, db: sqlite3.Connection, now: Moment) -> bool:
        """Carry on the time that is watched, or begin another. Returns whether the counters began again from 0."""
        before = self._last
        if before is None or before.origin != now.origin:
            if before is not None:
                self._no_future(db, now.at)
            db.execute("INSERT INTO watch (begin, end, why) VALUES (?, ?, ?)", (now.at, now.at, RESTART))
            return True
        moved = watching.jump(before, now)
        if moved:
            self._move(db, moved)
            self._no_future(db, now.at)
        db.execute("UPDATE watch SET end = ? WHERE number = (SELECT max(number) FROM watch)", (now.at,))
        return False

    def _move(self, db: sqlite3.Connection, moved: float) -> None:
        """The clock was wrong, and so is what was written by it: all since the watching began moves along.

        By how much it was wrong in between nobody knows; a clock that is set twice comes back to where it was.
        """
        (begin,) = db.execute("SELECT begin FROM watch ORDER BY number DESC LIMIT 1").fetchone()
        for statement in _MOVE:
            db.execute(statement, {"moved": moved, "begin": begin})
        days = round(moved / DAY)
        if days:
            counted = db.execute("SELECT day, rule, hits FROM day WHERE day >= ?", (begin // DAY,)).fetchall()
            db.execute("DELETE FROM day WHERE day >= ?", (begin // DAY,))
            _add_days(db, [(max(day + days, 0), rule, hits) for day, rule, hits in counted])
        self._remember(db)

    def _no_future(self, db: sqlite3.Connection, now: float) -> None:
        """What was written while the clock was ahead cannot have been later than now; that it was watched then is
        not claimed."""
        for statement in _CUT:
            db.execute(statement, {"now": now})
        today = int(now // DAY)
        counted = db.execute("SELECT ?1, rule, hits FROM day WHERE day > ?1", (today,)).fetchall()
        db.execute("DELETE FROM day WHERE day > ?", (today,))
        _add_days(db, counted)
        self._remember(db)

    def _remember(self, db: sqlite3.Connection) -> None:
        """Take over the moments that the database has now."""
        self._recent = None
        for name, first, last in db.execute("SELECT id, first, last FROM rule"):
            self._rules[name].first, self._rules[name].last = first, last

    def _count(self, db: sqlite3.Connection, reading: Reading, *, again: bool) -> None:
        at, day = reading.at, int(reading.at // DAY)
        changed: list[_Known] = []
        days: list[tuple[int, int, int]] = []
        for name, value in reading.counters.items():
            known = self._rules.get(name)
            if known is None:
                number = db.execute(
                    "INSERT INTO rule (id, packets, bytes, hits, octets, first, last) VALUES (?, 0, 0, 0, 0, 0, 0)",
                    (name,),
                ).lastrowid
                assert number is not None
                known = self._rules[name] = _Known(number)
            if value == known.counted and known.spell and not again:
                continue
            # A rule that was away came back with a counter of its own.
            packets, octets = watching.gained(known.counted, value, again=again or not known.spell)
            known.counted = value
            known.hits += packets
            known.octets += octets
            known.spell_hits += packets
            if packets:
                known.first = known.first or at
                known.last = max(known.last, at)
                days.append((day, known.number, packets))
                if self._recent is not None:  # today is in every window
                    self._recent[1][known.number] = self._recent[1].get(known.number, 0) + packets
            changed.append(known)
        db.executemany(
            "UPDATE rule SET packets = ?, bytes = ?, hits = ?, octets = ?, first = ?, last = ? WHERE number = ?",
            [(*known.counted, known.hits, known.octets, known.first, known.last, known.number) for known in changed],
        )
        db.executemany(
            "UPDATE spell SET hits = ? WHERE number = ?",
            [(known.spell_hits, known.spell) for known in changed if known.spell],
        )
        _add_days(db, days)

    def _turn_spells(self, db: sqlite3.Connection, reading: Reading) -> None:
        """Rules that came, went, or mean something else now.

        Since when between two readings is not known, so that time counts for neither.
        """
        meanings = reading.meanings
        before = self._last.at if self._last is not None else reading.at
        for name, known in self._rules.items():
            here = name in reading.counters
            meaning = known.meaning if meanings is None else meanings.get(name, "")
            if known.spell and (not here or meaning != known.meaning):
                if here and not known.meaning:
                    # The meaning was not known when the spell began; nothing says that it was another.
                    db.execute("UPDATE spell SET meaning = ? WHERE number = ?", (meaning, known.spell))
                    known.meaning = meaning
                    continue
                db.execute("UPDATE spell SET end = ? WHERE number = ?", (min(before, reading.at), known.spell))
                known.spell = known.spell_hits = 0
            if here and not known.spell:
                self._begin_spell(db, known, meaning, reading.at)

    @staticmethod
    def _begin_spell(db: sqlite3.Connection, known: _Known, meaning: str, at: float) -> None:
        number = db.execute(
            "INSERT INTO spell (rule, meaning, begin, hits) VALUES (?, ?, ?, ?)",
            (known.number, meaning, at, known.spell_hits),
        ).lastrowid
        assert number is not None
        known.spell, known.meaning = number, meaning

    def _prune(self, db: sqlite3.Connection, now: float) -> None:
        """Fold old days into their month, and forget what is older than the retention."""
        self._recent = None
        recent = int(now // DAY) - _DAYS
        old = db.execute("SELECT day, rule, hits FROM day WHERE day < ? AND day % 30 != 0", (recent,)).fetchall()
        db.execute("DELETE FROM day WHERE day < ? AND day % 30 != 0", (recent,))
        _add_days(db, [(day - day % 30, rule, hits) for day, rule, hits in old])
        begin = now - _RETENTION
        db.execute("DELETE FROM day WHERE day < ?", (begin // DAY,))
        db.execute("DELETE FROM watch WHERE end < ?", (begin,))
        db.execute("DELETE FROM spell WHERE end < ?", (begin,))
        gone = "SELECT id FROM rule WHERE number NOT IN (SELECT rule FROM spell)"
        for (name,) in db.execute(gone).fetchall():
            db.execute("DELETE FROM day WHERE rule = ?", (self._rules.pop(name).number,))
            db.execute("DELETE FROM rule WHERE id = ?", (name,))

    # --- what is known --------------------------------------------------------------------------------

    def history(self, generation: int, window: int) -> HitList:
        """What every rule of the last reading matched, and how much of the last `window` seconds was watched."""
        now = self._last.at if self._last is not None else 0.0
        begin = now - window
        rows = self._db.execute("SELECT begin, end, why FROM watch ORDER BY number").fetchall()
        watched = watching.common(watching.union((first, last) for first, last, _ in rows), [(begin, now)])
        recent = self._recent_hits(int(begin // DAY))
        spells: dict[int, list[tuple[str, float, float, int]]] = {}
        for rule, meaning, first, last, hits in self._db.execute(
            "SELECT rule, meaning, begin, coalesce(end, ?), hits FROM spell ORDER BY number", (now,)
        ):
            spells.setdefault(rule, []).append((meaning, first, last, hits))
        measured: dict[tuple[Interval, ...], float] = {}
        found = []
        for name, known in self._rules.items():
            if not known.spell:
                continue
            own = [spell for spell in spells.get(known.number, ()) if spell[0] == known.meaning]
            times = tuple((first, last) for _, first, last, _ in own)
            if times not in measured:
                measured[times] = watching.length(watching.common(watching.union(times), watched))
            found.append(
                RuleHits(
                    id=name,
                    hits=known.hits,
                    bytes=known.octets,
                    first=known.first,
                    last=known.last,
                    recent=recent.get(known.number, 0),
                    watched=measured[times],
                    worded=own[0][1] if own else now,
                    worded_hits=sum(hits for _, _, _, hits in own),
                )
            )
        return HitList(
            generation=generation,
            at=now,
            window=window,
            begin=rows[0][0] if rows else 0.0,
            watched=watching.length(watched),
            gaps=_gaps(rows, watched, begin, now),
            rules=tuple(found),
        )

    def _recent_hits(self, first: int) -> dict[int, int]:
        """Hits since a day, by rule."""
        if self._recent is None or self._recent[0] != first:
            counted = self._db.execute("SELECT rule, sum(hits) FROM day WHERE day >= ? GROUP BY rule", (first,))
            self._recent = first, dict(counted)
        return self._recent[1]


def _add_days(db: sqlite3.Connection, counted: list[tuple[int, int, int]]) -> None:
    db.executemany(
        "INSERT INTO day VALUES (?, ?, ?) ON CONFLICT (day, rule) DO UPDATE SET hits = hits + excluded.hits", counted
    )


def _gaps(rows: list[tuple[float, float, str]], watched: list[Interval], begin: float, now: float) -> tuple[Gap, ...]:
    """The newest gaps. Before the first row nobody had begun to watch; each later one says why it is another."""
    if not rows:
        return (Gap(begin, now, "nobody has read the counters yet"),)
    why = {first: words for first, _, words in rows[1:]} | {rows[0][0]: "the history begins there"}
    found = [Gap(first, last, why.get(last, CLOCK)) for first, last in watching.gaps(watched, begin, now)]
    return tuple(found[-_GAPS:])
