"""Drafts as they are kept: a text, the steps behind and before it, and whose it is.

A step is written, not the text it makes: a keystroke costs bytes, however long the text. Every so often the text is
written whole. Synchronous; used by one thread at a time.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
import zlib
from contextlib import AbstractContextManager

import msgspec

from appliance.control.messages.changes import Draft
from appliance.drafts.database import Database
from appliance.drafts.undoing import Step, after, joined

MOST_DRAFTS = 20  # of one person
MOST_TEXT = 16 << 20  # bytes
MOST_STEPS = 200
_MOST_KEPT = 16 << 20  # characters of all steps of a draft
_WHOLE = 64  # steps after which the text is written whole
_LARGE = 64 << 10  # characters of a step after which it is, too

_SELECT = "SELECT id, person, title, base, version, created, changed, ok, findings, ticket, place FROM draft "
_FIELDS = ("id", "person", "title", "base", "version", "created", "changed", "ok", "findings", "ticket")


class StoreRefused(Exception):
    """What is kept does not allow it; `code` is one of those of `Refused`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Kept(msgspec.Struct):
    """A draft with its text as it is now. `place` is the number of the last step that is done."""

    draft: Draft
    place: int
    text: str
    files: dict[str, str]


class DraftStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- reading --------------------------------------------------------------------------------------

    def mark(self) -> int:
        return _mark(self._database, "drafts")

    def all(self) -> tuple[Draft, ...]:
        """The one that changed last first."""
        rows = self._database.read(_SELECT + "ORDER BY changed DESC")
        return tuple(self._draft(row) for row in rows)

    def draft(self, ident: str) -> Draft:
        """Raises `StoreRefused` for one that is not there."""
        return self._draft(self._row(ident))

    def load(self, ident: str) -> Kept:
        """Raises `StoreRefused` for one that is not there."""
        row = self._row(ident)
        ((place, text),) = self._database.read("SELECT place, body FROM text WHERE draft = ?", (ident,))
        assert isinstance(place, int) and isinstance(text, str)
        wanted = _int(row[-1])
        if place < wanted:
            for step in self._steps(ident, place + 1, wanted):
                text = after(text, step.forward)
        elif place > wanted:
            for step in reversed(self._steps(ident, wanted + 1, place)):
                text = after(text, step.backward)
        ((files,),) = self._database.read("SELECT files FROM origin WHERE draft = ?", (ident,))
        return Kept(self._draft(row), wanted, text, unpacked_files(files))

    def origin(self, ident: str) -> str:
        """The text that it began as."""
        ((body,),) = self._database.read("SELECT body FROM origin WHERE draft = ?", (ident,))
        return unpacked(body)

    def step(self, ident: str, number: int) -> Step | None:
        found = self._steps(ident, number, number)
        return found[0] if found else None

    def _row(self, ident: str) -> tuple[object, ...]:
        rows = self._database.read(_SELECT + "WHERE id = ?", (ident,))
        if not rows:
            raise StoreRefused("unknown", f"there is no draft {ident[:40]}")
        return rows[0]

    def _draft(self, row: tuple[object, ...]) -> Draft:
        ident, place = str(row[0]), _int(row[-1])
        ((least, most),) = self._database.read("SELECT min(number), max(number) FROM step WHERE draft = ?", (ident,))
        undo = 0 if least is None else max(0, place - _int(least) + 1)
        redo = 0 if most is None else max(0, _int(most) - place)
        found = dict(zip(_FIELDS, row, strict=False))
        return msgspec.convert({**found, "ok": bool(found["ok"]), "undo": undo, "redo": redo}, Draft)

    def _steps(self, ident: str, first: int, last: int) -> list[Step]:
        sql = "SELECT body FROM step WHERE draft = ? AND number BETWEEN ? AND ? ORDER BY number"
        rows = self._database.read(sql, (ident, first, last))
        return [msgspec.json.decode(_bytes(body), type=Step) for (body,) in rows]

    # --- changing -------------------------------------------------------------------------------------

    def open(self, person: str, title: str, base: int, text: str, origin: str, files: dict[str, str]) -> Kept:
        """A new draft. Raises `StoreRefused`."""
        _fits(text)
        own = self._database.read("SELECT count(*) FROM draft WHERE person = ?", (person,))[0][0]
        if _int(own) >= MOST_DRAFTS:
            raise StoreRefused("full", f"{person} has {own} drafts; drop one first")
        ident, now = secrets.token_hex(6), time.time()
        with self._changed() as db:
            db.execute(
                "INSERT INTO draft VALUES (?, ?, ?, '', ?, 1, 0, ?, ?, 0, 0)", (ident, person, title, base, now, now)
            )
            db.execute("INSERT INTO text VALUES (?, 0, ?)", (ident, text))
            db.execute("INSERT INTO origin VALUES (?, ?, ?)", (ident, packed(origin), packed_files(files)))
        return self.load(ident)

    def changed(self, kept: Kept, step: Step, text: str) -> Kept:
        """`text` is what `step` makes of a draft. What could have been done again is gone. Raises `StoreRefused`."""
        _fits(text)
        ident, place = kept.draft.id, kept.place
        ((whole,),) = self._database.read("SELECT place FROM text WHERE draft = ?", (ident,))
        whole = _int(whole)
        last = self.step(ident, place)
        # A step whose text is written whole is not made longer, or the whole text would be written with each letter.
        together = None if last is None or kept.draft.redo or whole >= place else joined(last, step)
        with self._changed() as db:
            db.execute("DELETE FROM step WHERE draft = ? AND number > ?", (ident, place))
            number = place if together is not None else place + 1
            step = together or step
            db.execute(
                "INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?)",
                (ident, number, step.size, msgspec.json.encode(step)),
            )
            self._forget(db, ident, number)
            # Where the text was written whole a step further on, that step is another one now.
            if whole >= number or number - whole >= _WHOLE or step.size > _LARGE:
                db.execute("UPDATE text SET place = ?, body = ? WHERE draft = ?", (number, text, ident))
            self._moved(db, ident, number)
        return self._after(ident, text, kept.files)

    def moved(self, kept: Kept, place: int, text: str) -> Kept:
        """Steps were taken back or done again."""
        with self._changed() as db:
            self._moved(db, kept.draft.id, place)
        return self._after(kept.draft.id, text, kept.files)

    def named(self, ident: str, title: str | None, ticket: str | None) -> Draft:
        with self._changed() as db:
            db.execute(
                "UPDATE draft SET title = coalesce(?, title), ticket = coalesce(?, ticket) WHERE id = ?",
                (title, ticket, ident),
            )
        return self.draft(ident)

    def refiled(self, kept: Kept, files: dict[str, str]) -> Kept:
        """Other list files."""
        _fits("".join(files.values()))
        with self._changed() as db:
            db.execute("UPDATE origin SET files = ? WHERE draft = ?", (packed_files(files), kept.draft.id))
        return Kept(kept.draft, kept.place, kept.text, files)

    def rebased(self, kept: Kept, base: int, origin: str) -> Kept:
        """It has everything of generation `base` now."""
        with self._changed() as db:
            db.execute("UPDATE draft SET base = ? WHERE id = ?", (base, kept.draft.id))
            db.execute("UPDATE origin SET body = ? WHERE draft = ?", (packed(origin), kept.draft.id))
        return self._after(kept.draft.id, kept.text, kept.files)

    def judged(self, ident: str, *, ok: bool, findings: int) -> Draft:
        """What was found in it."""
        before = self.draft(ident)
        if (before.ok, before.findings) != (ok, findings):
            with self._changed() as db:
                db.execute("UPDATE draft SET ok = ?, findings = ? WHERE id = ?", (ok, findings, ident))
        return msgspec.structs.replace(before, ok=ok, findings=findings)

    def drop(self, ident: str) -> None:
        with self._changed() as db:
            db.execute("DELETE FROM draft WHERE id = ?", (ident,))
            db.execute("DELETE FROM text WHERE draft = ?", (ident,))
            db.execute("DELETE FROM origin WHERE draft = ?", (ident,))
            db.execute("DELETE FROM step WHERE draft = ?", (ident,))

    def _after(self, ident: str, text: str, files: dict[str, str]) -> Kept:
        row = self._row(ident)
        return Kept(self._draft(row), _int(row[-1]), text, files)

    def _moved(self, db: sqlite3.Connection, ident: str, place: int) -> None:
        db.execute(
            "UPDATE draft SET place = ?, version = version + 1, changed = ? WHERE id = ?", (place, time.time(), ident)
        )

    def _forget(self, db: sqlite3.Connection, ident: str, newest: int) -> None:
        """The oldest steps, beyond what is kept; never the newest one."""
        db.execute("DELETE FROM step WHERE draft = ? AND number <= ?", (ident, newest - MOST_STEPS))
        rows = db.execute("SELECT number, size FROM step WHERE draft = ? ORDER BY number DESC", (ident,)).fetchall()
        kept = 0
        for number, size in rows:
            kept += size
            if kept > _MOST_KEPT and number != newest:
                db.execute("DELETE FROM step WHERE draft = ? AND number <= ?", (ident, number))
                return

    def _changed(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._database.transaction("drafts")


def packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 1)


def unpacked(body: object) -> str:
    return zlib.decompress(_bytes(body)).decode()


def packed_files(files: dict[str, str]) -> bytes:
    return zlib.compress(msgspec.json.encode(files), 1)


def unpacked_files(body: object) -> dict[str, str]:
    return msgspec.json.decode(zlib.decompress(_bytes(body)), type=dict[str, str])


def _mark(database: Database, name: str) -> int:
    return _int(database.read("SELECT value FROM mark WHERE name = ?", (name,))[0][0])


def _fits(text: str) -> None:
    if len(text) > MOST_TEXT or len(text.encode()) > MOST_TEXT:
        raise StoreRefused("too-large", f"a draft has at most {MOST_TEXT >> 20} MiB")


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
