"""The file in which drafts and proposals are kept: SQLite, one writer, whole transactions, bounded.

A kill loses nothing that was answered. What people agreed on is on disk before they are told (`durable`); the last
keystrokes of a draft a power cut may take.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.database import opened

NAME = "drafts.db"
_FORMAT = 1
_PAGES = 262_144  # of 4 KiB: the file never exceeds 1 GiB

_SCHEMA = """
CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO mark VALUES ('drafts', 1), ('proposals', 1);
CREATE TABLE draft (id TEXT PRIMARY KEY, person TEXT NOT NULL, title TEXT NOT NULL, ticket TEXT NOT NULL,
    base INTEGER NOT NULL, version INTEGER NOT NULL, place INTEGER NOT NULL, created REAL NOT NULL,
    changed REAL NOT NULL, ok INTEGER NOT NULL, findings INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE text (draft TEXT PRIMARY KEY, place INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE origin (draft TEXT PRIMARY KEY, body BLOB NOT NULL, files BLOB NOT NULL);
CREATE TABLE step (draft TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (draft, number)) WITHOUT ROWID;
CREATE TABLE proposal (number INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, why TEXT NOT NULL,
    ticket TEXT NOT NULL, author TEXT NOT NULL, base INTEGER NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, changed REAL NOT NULL, at REAL NOT NULL, confirm INTEGER, planner TEXT NOT NULL,
    generation INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE body (proposal INTEGER PRIMARY KEY, text BLOB NOT NULL, base BLOB NOT NULL, files BLOB NOT NULL);
CREATE TABLE comment (proposal INTEGER NOT NULL, at REAL NOT NULL, person TEXT NOT NULL, words TEXT NOT NULL,
    rule TEXT NOT NULL);
CREATE INDEX comment_of ON comment (proposal);
CREATE TABLE approval (proposal INTEGER NOT NULL, at REAL NOT NULL, person TEXT NOT NULL, words TEXT NOT NULL,
    digest TEXT NOT NULL);
CREATE INDEX approval_of ON approval (proposal);
CREATE TABLE history (proposal INTEGER NOT NULL, at REAL NOT NULL, person TEXT NOT NULL, action TEXT NOT NULL,
    words TEXT NOT NULL);
CREATE INDEX history_of ON history (proposal);
"""


class Database:
    """It is opened when it is needed first, which recovers it: without it everything else goes on. A damaged one is
    put aside, and told. Everything raises `sqlite3.Error` while it cannot be used."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._opened: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = opened(self._path, self._connect, self._log, "drafts and proposals begin anew")
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        return self._db.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self, mark: str, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing. `mark` names what changes: "drafts" or "proposals". Raises `sqlite3.Error`."""
        self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("UPDATE mark SET value = value + 1 WHERE name = ?", (mark,))
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA journal_size_limit=4194304")
            db.execute(f"PRAGMA max_page_count={_PAGES}")
            (kept,) = db.execute("PRAGMA user_version").fetchone()
            if kept not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"format {kept} is not known here")
            if kept == 0:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
        except sqlite3.Error:
            db.close()
            raise
        return db
