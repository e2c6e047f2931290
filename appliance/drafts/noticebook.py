"""Notices to owners as they are kept: SQLite, bounded, each once. Synchronous; everything raises `sqlite3.Error`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec

from appliance.control.messages.notices import Notice
from appliance.database import Database, Form
from appliance.drafts.owed import Owed

NAME = "notices.db"
MOST_KEPT = 5_000
_FORMAT = 1
_PAGES = 16_384  # of 4 KiB: the file never exceeds 64 MiB
_SCHEMA = """
CREATE TABLE notice (number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, owner TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, words TEXT NOT NULL, told REAL NOT NULL, due REAL NOT NULL,
    proposal INTEGER NOT NULL, generation INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (key, owner));
CREATE INDEX notice_name ON notice (name);
CREATE TABLE seen (person TEXT PRIMARY KEY, through INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE done (key TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""
_SELECT = "SELECT number, owner, kind, subject, words, told, due, proposal, generation FROM notice "


_FORM = Form(_SCHEMA, _FORMAT, _PAGES, "notices to owners begin anew")


class NoticeBook(Database):
    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        super().__init__(path, log, _FORM)

    def fresh(self) -> bool:
        """Nothing was ever looked at."""
        return self._db.execute("SELECT 1 FROM done LIMIT 1").fetchone() is None

    def done(self, key: str) -> bool:
        """Whether that was looked at already, whoever had to be told."""
        return self._db.execute("SELECT 1 FROM done WHERE key = ?", (key,)).fetchone() is not None

    def add(self, owed: Iterable[Owed], done: Iterable[str] = ()) -> tuple[Owed, ...]:
        """Keep what is new of these, and that `done` was looked at. What was new."""
        now, new = time.time(), []
        with self._db as db:
            db.execute("BEGIN IMMEDIATE")
            for one in owed:
                kept = db.execute(
                    "INSERT OR IGNORE INTO notice (key, owner, kind, subject, words, told, due, proposal, "
                    "generation, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        one.key, one.owner, one.kind, one.subject, one.words, now, one.due, one.proposal,
                        one.generation, one.owner.casefold(),
                    ),
                )  # fmt: skip
                if kept.rowcount:
                    new.append(one)
            db.executemany("INSERT OR IGNORE INTO done VALUES (?, ?)", ((key, now) for key in done))
            for table, order in (("notice", "number"), ("done", "at")):
                db.execute(
                    f"DELETE FROM {table} WHERE {order} < (SELECT {order} FROM {table} ORDER BY {order} DESC "  # noqa: S608 - names of ours
                    "LIMIT 1 OFFSET ?)",
                    (MOST_KEPT,),
                )
        return tuple(new)

    def of(self, names: Collection[str] | None, limit: int) -> tuple[Notice, ...]:
        """Those of whoever has one of these names (None: everybody), the newest first."""
        where, values = self._where(names)
        rows = self._db.execute(f"{_SELECT}{where} ORDER BY number DESC LIMIT ?", (*values, limit)).fetchall()
        fields = Notice.__struct_fields__
        return tuple(msgspec.convert(dict(zip(fields, row, strict=True)), Notice) for row in rows)

    def unseen(self, names: Collection[str], person: str) -> tuple[int, int]:
        """Up to which number somebody has seen theirs, and how many came since."""
        row = self._db.execute("SELECT through FROM seen WHERE person = ?", (person,)).fetchone()
        seen = int(row[0]) if row else 0
        where, values = self._where(names)
        sql = f"SELECT count(*) FROM notice {where} AND number > ?"  # noqa: S608 - names of ours
        return seen, int(self._db.execute(sql, (*values, seen)).fetchone()[0])

    def see(self, person: str, through: int) -> None:
        """Nobody has seen what is not written yet: the number of the last one is the highest."""
        with self._db as db:
            ((last,),) = db.execute("SELECT coalesce(max(number), 0) FROM notice").fetchall()
            seen = max(0, min(through, last))
            db.execute(
                "INSERT INTO seen VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET through = max(through, ?)",
                (person, seen, seen),
            )

    def _where(self, names: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
        if names is None:
            return "WHERE 1", ()
        return f"WHERE name IN ({', '.join('?' * len(names))})", tuple(names)
