"""The database of who may come in (SQLite, WAL, `synchronous=FULL`): what was said to be revoked stays so after a
power cut.

It holds digests of what people keep, public keys of passkeys, digests of passphrases, and the secrets of
authenticator apps, which cannot be kept otherwise. Only the console's user can read it. One thread writes and reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

NAME = "who.db"
_FORMAT = 1
_SCHEMA = """
CREATE TABLE account (person TEXT PRIMARY KEY, handle BLOB NOT NULL UNIQUE, passphrase TEXT NOT NULL,
    app TEXT NOT NULL, step INTEGER NOT NULL, gone REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE passkey (id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, person TEXT NOT NULL, public BLOB NOT NULL,
    count INTEGER NOT NULL, eligible INTEGER NOT NULL, backed INTEGER NOT NULL, words TEXT NOT NULL,
    added REAL NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX passkey_of ON passkey (person);
CREATE TABLE code (digest TEXT PRIMARY KEY, person TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE invitation (digest TEXT PRIMARY KEY, person TEXT NOT NULL, by TEXT NOT NULL, until REAL NOT NULL)
    WITHOUT ROWID;
CREATE TABLE session (digest TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, how TEXT NOT NULL,
    began REAL NOT NULL, seen REAL NOT NULL, most REAL NOT NULL, address TEXT NOT NULL, device TEXT NOT NULL,
    certificate TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE token (digest TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, label TEXT NOT NULL,
    scopes TEXT NOT NULL, made REAL NOT NULL, until REAL NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
"""
# Came later; a database of before is as good with it.
_SINCE = """
CREATE TABLE IF NOT EXISTS wanted (person TEXT PRIMARY KEY, by TEXT NOT NULL, reset INTEGER NOT NULL,
    until REAL NOT NULL) WITHOUT ROWID;
"""

Step = tuple[str, Iterable[Sequence[object]]]


class StoreError(Exception):
    """The database cannot be used; the text says which, why, and what to do."""


class Store:
    """Raises `StoreError` where the disk or the file fails; then nothing of the call is kept."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self.clock = clock
        try:
            # Made with the right mode before SQLite writes into it.
            path.touch(mode=0o600)
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            (found,) = self._base.execute("PRAGMA user_version").fetchone()
            if found == 0:
                self._base.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_FORMAT}; COMMIT;")
            elif found != _FORMAT:
                raise StoreError(f"{path}: of format {found}; this Reef reads {_FORMAT}; move it away to begin anew")
            self._base.executescript(_SINCE)
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from error

    def close(self) -> None:
        self._base.close()

    def _fault(self, error: Exception) -> StoreError:
        return StoreError(f"{self._path}: {error}; is the disk full, or the file damaged?")

    def within(self, *steps: Step) -> int:
        """All of it in one transaction, durable on return; gives how many rows the last step changed."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            changed = 0
            for words, rows in steps:
                changed = self._base.executemany(words, rows).rowcount
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise self._fault(error) from error
        return changed

    def rows(self, words: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(words, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error
