"""The file in which drafts and proposals are kept: SQLite, one writer, whole transactions, bounded.

A kill loses nothing that was answered. What people agreed on is on disk before they are told (`durable`); the last
keystrokes of a draft a power cut may take.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import database

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


_FORM = database.Form(_SCHEMA, _FORMAT, _PAGES, "drafts and proposals begin anew")


class Database(database.Database):
    """Each change in it moves a mark, so that others see that something is new."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        super().__init__(path, log, _FORM)

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
