"""A SQLite database that may be found damaged: it is kept aside, and begins anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path


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
