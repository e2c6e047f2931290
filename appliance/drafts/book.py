"""Proposals as they are kept: what is asked for, what was said of it, and every step. Synchronous."""

from __future__ import annotations

import sqlite3
import time
from contextlib import AbstractContextManager
from typing import TypeVar

import msgspec

from appliance.control.messages.changes import Comment, Happened
from appliance.drafts.database import Database
from appliance.drafts.states import Given, Record, State
from appliance.drafts.store import StoreRefused, packed, packed_files, unpacked, unpacked_files

S = TypeVar("S", bound=msgspec.Struct)

MOST_OPEN = 200
MOST_KEPT = 1_000
_MOST_SAID = 200  # comments, and approvals, of one
_FIELDS = Record.__struct_fields__
_SELECT = (
    "SELECT number, title, why, ticket, author, base, digest, state, created, changed, at, confirm, planner, "
    "generation, note FROM proposal "
)


class Body(msgspec.Struct, frozen=True):
    """`base` is the text that it was made from."""

    text: str
    base: str
    files: dict[str, str]


class Book:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- reading --------------------------------------------------------------------------------------

    def mark(self) -> int:
        (value,) = self._database.read("SELECT value FROM mark WHERE name = 'proposals'")[0]
        assert isinstance(value, int)
        return value

    def all(self) -> tuple[Record, ...]:
        """The newest first."""
        return tuple(map(_record, self._database.read(_SELECT + "ORDER BY number DESC")))

    def record(self, number: int) -> Record:
        """Raises `StoreRefused` for one that is not there."""
        found = self.find(number)
        if found is None:
            raise StoreRefused("unknown", f"there is no proposal {number}")
        return found

    def find(self, number: int) -> Record | None:
        rows = self._database.read(_SELECT + "WHERE number = ?", (number,))
        return _record(rows[0]) if rows else None

    def of_generation(self, generation: int) -> Record | None:
        """The proposal that became it."""
        rows = self._database.read(_SELECT + "WHERE generation = ? ORDER BY number DESC LIMIT 1", (generation,))
        return _record(rows[0]) if rows else None

    def with_digest(self, digest: str) -> tuple[Record, ...]:
        return tuple(map(_record, self._database.read(_SELECT + "WHERE digest = ? ORDER BY number DESC", (digest,))))

    def pending(self, now: float) -> tuple[Record, ...]:
        """What runs and nobody confirmed, and what is due."""
        sql = _SELECT + "WHERE state = 'applied' OR (state = 'open' AND at > 0 AND at <= ?) ORDER BY at, number"
        return tuple(map(_record, self._database.read(sql, (now,))))

    def body(self, number: int) -> Body:
        ((text, base, files),) = self._database.read(
            "SELECT text, base, files FROM body WHERE proposal = ?", (number,)
        )
        return Body(unpacked(text), unpacked(base), unpacked_files(files))

    def given(self, number: int) -> tuple[Given, ...]:
        sql = "SELECT at, person, words, digest FROM approval WHERE proposal = ? ORDER BY rowid"
        return tuple(_made(Given, row) for row in self._database.read(sql, (number,)))

    def comments(self, number: int) -> tuple[Comment, ...]:
        sql = "SELECT person, at, words, rule FROM comment WHERE proposal = ? ORDER BY rowid"
        return tuple(_made(Comment, row) for row in self._database.read(sql, (number,)))

    def history(self, number: int) -> tuple[Happened, ...]:
        sql = "SELECT at, person, action, words FROM history WHERE proposal = ? ORDER BY rowid"
        return tuple(_made(Happened, row) for row in self._database.read(sql, (number,)))

    def writers(self, record: Record) -> frozenset[str]:
        """Who wrote any of it: the author and who amended it."""
        sql = "SELECT person FROM history WHERE proposal = ? AND action = 'amend'"
        return frozenset((record.author, *(str(row[0]) for row in self._database.read(sql, (record.number,)))))

    def last_writer(self, record: Record) -> str:
        """Whose text it is as it stands: who amended it last, or its author."""
        sql = "SELECT person FROM history WHERE proposal = ? AND action = 'amend' ORDER BY rowid DESC LIMIT 1"
        rows = self._database.read(sql, (record.number,))
        return str(rows[0][0]) if rows else record.author

    # --- changing -------------------------------------------------------------------------------------

    def propose(self, record: Record, body: Body) -> Record:
        """`record` without its number. Raises `StoreRefused` when too many are open."""
        ((count,),) = self._database.read("SELECT count(*) FROM proposal WHERE state = 'open'")
        if isinstance(count, int) and count >= MOST_OPEN:
            raise StoreRefused("full", f"{count} proposals are open; decide some of them first")
        with self._changed() as db:
            values = [getattr(record, name) for name in _FIELDS[1:]]
            cursor = db.execute(
                "INSERT INTO proposal (title, why, ticket, author, base, digest, state, created, changed, at, "
                "confirm, planner, generation, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = cursor.lastrowid or 0
            db.execute(
                "INSERT INTO body VALUES (?, ?, ?, ?)",
                (number, packed(body.text), packed(body.base), packed_files(body.files)),
            )
            _happened(db, number, record.author, "propose", record.why)
            _forget(db)
        return self.record(number)

    def comment(self, number: int, person: str, words: str, rule: str) -> None:
        with self._changed() as db:
            _room(db.execute("SELECT count(*) FROM comment WHERE proposal = ?", (number,)).fetchone()[0])
            db.execute("INSERT INTO comment VALUES (?, ?, ?, ?, ?)", (number, time.time(), person, words, rule))

    def approve(self, record: Record, person: str, words: str) -> None:
        with self._changed() as db:
            number = record.number
            _room(db.execute("SELECT count(*) FROM approval WHERE proposal = ?", (number,)).fetchone()[0])
            db.execute(
                "INSERT INTO approval VALUES (?, ?, ?, ?, ?)", (number, time.time(), person, words, record.digest)
            )
            _happened(db, number, person, "approve", words)

    def amend(self, record: Record, body: Body, digest: str, base: int, person: str, words: str) -> None:
        """Another text. Approvals of the one before stay written down, and hold no more."""
        with self._changed() as db:
            db.execute(
                "UPDATE body SET text = ?, base = ?, files = ? WHERE proposal = ?",
                (packed(body.text), packed(body.base), packed_files(body.files), record.number),
            )
            db.execute(
                "UPDATE proposal SET digest = ?, base = ?, state = 'open', at = 0, note = '', changed = ? "
                "WHERE number = ?",
                (digest, base, time.time(), record.number),
            )
            _happened(db, record.number, person, "amend", words)

    def schedule(self, number: int, at: float, confirm: int | None, person: str, words: str) -> None:
        with self._changed() as db:
            db.execute(
                "UPDATE proposal SET at = ?, confirm = ?, planner = ?, note = '', changed = ? WHERE number = ?",
                (at, confirm, person, time.time(), number),
            )
            _happened(db, number, person, "schedule", words)

    def turned(
        self, number: int, state: State, person: str, action: str, words: str = "", *, generation: int | None = None
    ) -> None:
        """It is in another state now; it is not due any more, and `words` say why."""
        with self._changed() as db:
            db.execute(
                "UPDATE proposal SET state = ?, at = 0, note = ?, generation = coalesce(?, generation), changed = ? "
                "WHERE number = ?",
                (state, words, generation, time.time(), number),
            )
            _happened(db, number, person, action, words)

    def _changed(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.transaction("proposals", durable=True)


def _happened(db: sqlite3.Connection, number: int, person: str, action: str, words: str) -> None:
    db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", (number, time.time(), person, action, words))


def _room(count: int) -> None:
    if count >= _MOST_SAID:
        raise StoreRefused("full", f"{count} were written of this proposal; that is enough")


def _forget(db: sqlite3.Connection) -> None:
    """The oldest that are decided, beyond what is kept."""
    rows = db.execute(
        "SELECT number FROM proposal WHERE state NOT IN ('open', 'applied') ORDER BY number DESC LIMIT -1 OFFSET ?",
        (MOST_KEPT,),
    ).fetchall()
    for (number,) in rows:
        db.execute("DELETE FROM proposal WHERE number = ?", (number,))
        db.execute("DELETE FROM body WHERE proposal = ?", (number,))
        db.execute("DELETE FROM comment WHERE proposal = ?", (number,))
        db.execute("DELETE FROM approval WHERE proposal = ?", (number,))
        db.execute("DELETE FROM history WHERE proposal = ?", (number,))


def _record(row: tuple[object, ...]) -> Record:
    return _made(Record, row)


def _made(kind: type[S], row: tuple[object, ...]) -> S:
    return msgspec.convert(dict(zip(kind.__struct_fields__, row, strict=True)), kind)
