"""A SQLite database that may be found damaged: it is kept aside, and begins anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


def opened(
    path: Path, connect: Callable[[], sqlite3.Connection], log: Callable[[str], None], lost: str
) -> sqlite3.Connection:
    """What `connect` gives of the file at `path`. `lost` says what begins again where it was damaged.

    Raises `sqlite3.OperationalError` (a full disk, no right to write: nothing is wrong with what is there).
    """
    try:
        return connect()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.rename(aside)
        log(f"{path}: {error}; it is kept as {aside.name}, {lost}")
        return connect()


class Form(NamedTuple):
    """What a database holds: its tables, their number, how many pages of 4 KiB it may fill, and what begins again
    where it was damaged."""

    schema: str
    number: int
    pages: int
    lost: str


class Database:
    """Opened when it is needed first, which recovers it: without it everything else goes on. A damaged one is put
    aside, and told. Everything raises `sqlite3.Error` while it cannot be used."""

    def __init__(self, path: Path, log: Callable[[str], None], form: Form) -> None:
        self._path = path
        self._log = log
        self._form = form
        self._opened: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = opened(self._path, self._connect, self._log, self._form.lost)
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _connect(self) -> sqlite3.Connection:
        schema, number, pages, _ = self._form
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA journal_size_limit=4194304")
            db.execute(f"PRAGMA max_page_count={pages}")
            (kept,) = db.execute("PRAGMA user_version").fetchone()
            if kept not in (0, number):
                raise sqlite3.DatabaseError(f"format {kept} is not known here")
            if kept == 0:
                db.executescript(f"BEGIN; {schema} PRAGMA user_version={number}; COMMIT;")
        except sqlite3.Error:
            db.close()
            raise
        return db
