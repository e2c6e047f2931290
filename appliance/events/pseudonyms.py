"""The keys of pseudonyms, and whom each stands for: alertd's alone, until the events made under them are gone.

One database beside the outbox, readable by nobody else. Beside each key stand the pseudonyms that were given under
it: with the key every IPv4 address can be tried anyway, and an IPv6 one could not be found again. Both go together,
and what goes is overwritten (SQLite's `secure_delete`). A key is known to be on the disk, and so is each pseudonym,
before an event with it is: `settle` comes before the outbox's commit.

For the collector's thread; `find` and `all` may be asked by others.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.events.classes import Class
from appliance.events.hiding import Hider, Hosts
from crypto.pseudonyms import KEY_BYTES

NAME = "pseudonyms.db"
MOST = 500_000  # that are remembered under one key: who forges addresses must not fill the disk

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key (
    number INTEGER PRIMARY KEY AUTOINCREMENT, secret BLOB NOT NULL, made INTEGER NOT NULL, last INTEGER,
    classes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS host (
    pseudonym TEXT NOT NULL, key INTEGER NOT NULL, address TEXT NOT NULL, PRIMARY KEY (pseudonym, key)
) WITHOUT ROWID;
"""


class PseudonymsError(Exception):
    """The keys cannot be used; the text says which file and why."""


class LiveKey(msgspec.Struct, frozen=True):
    """`made` in seconds since the epoch; `last`: the newest event that can have been made under it, None for the key
    in use."""

    number: int
    secret: bytes
    made: int
    last: int | None


class Keys:
    """Raises `PseudonymsError` where they cannot be opened."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        try:
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=TRUNCATE")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise PseudonymsError(f"{path}: {error}; without the keys nothing may leave the gateway") from error
        self._fresh: dict[str, str] = {}
        self._classes = self._known_classes = 0
        self._current: LiveKey | None = None
        self._count = 0

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    # --- giving them --------------------------------------------------------------------------------

    def current(self, life: int, last: int) -> LiveKey:
        """The key in use, another one when it was for `life` seconds; `last` is the newest number of the outbox.

        A clock that was set back by as much makes a new key too: hosts are then known for less long, never longer.
        Raises `sqlite3.Error`.
        """
        now = int(self._clock())
        if self._current is None:
            self._current = next((one for one in self.all() if one.last is None), None)
            self._begin(self._current)
        if self._current is None or abs(now - self._current.made) >= life:
            with self._transaction() as db:
                db.execute("UPDATE key SET last = ? WHERE last IS NULL", (last,))
                db.execute("INSERT INTO key (secret, made) VALUES (?, ?)", (secrets.token_bytes(KEY_BYTES), now))
            self._current = next(one for one in self.all() if one.last is None)
            self._begin(self._current)
        return self._current

    def _begin(self, key: LiveKey | None) -> None:
        self._fresh.clear()
        self._classes = self._known_classes = self._count = 0
        if key is not None:
            with self._lock:
                row = self._db.execute("SELECT classes FROM key WHERE number = ?", (key.number,)).fetchone()
                count = self._db.execute("SELECT count(*) FROM host WHERE key = ?", (key.number,)).fetchone()
            self._classes = self._known_classes = row[0]
            self._count = count[0]

    def remember(self, pseudonym: str, address: str) -> None:
        if self._count + len(self._fresh) < MOST:
            self._fresh[pseudonym] = address

    def used_in(self, class_: Class) -> None:
        """An event of this class is made under the key in use."""
        self._classes |= 1 << class_

    def settle(self) -> None:
        """What was given since the last time is on the disk when this returns. Raises `sqlite3.Error`."""
        if self._current is None or (not self._fresh and self._classes == self._known_classes):
            return
        number = self._current.number
        with self._transaction() as db:
            rows = [(pseudonym, number, address) for pseudonym, address in self._fresh.items()]
            db.executemany("INSERT OR IGNORE INTO host VALUES (?, ?, ?)", rows)
            db.execute("UPDATE key SET classes = ? WHERE number = ?", (self._classes, number))
        self._count += len(self._fresh)
        self._fresh.clear()
        self._known_classes = self._classes

    def destroy(self, oldest: Mapping[Class, int]) -> int:
        """The keys whose events are all gone, where `oldest` is the oldest event of each class there is; how many.
        Raises `sqlite3.Error`."""
        with self._transaction() as db:
            rows = db.execute("SELECT number, last, classes FROM key WHERE last IS NOT NULL").fetchall()
            gone = [
                (number,)
                for number, last, classes in rows
                if not any(classes >> each & 1 and oldest.get(each, last + 1) <= last for each in Class)
            ]
            db.executemany("DELETE FROM host WHERE key = ?", gone)
            db.executemany("DELETE FROM key WHERE number = ?", gone)
        return len(gone)

    # --- asking -------------------------------------------------------------------------------------

    def all(self) -> tuple[LiveKey, ...]:
        """Those that are not destroyed, the oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT number, secret, made, last FROM key ORDER BY number").fetchall()
        return tuple(LiveKey(*row) for row in rows)

    def find(self, pseudonym: str) -> tuple[str, int]:
        """Whom it stands for, and under which key; ("", 0): it is not known, or not any more."""
        with self._lock:
            query = "SELECT address, key FROM host WHERE pseudonym = ? ORDER BY key DESC"
            row = self._db.execute(query, (pseudonym,)).fetchone()
        return (row[0], row[1]) if row else ("", 0)


class Hiding:
    """Hides the hosts of one policy under the key in use."""

    def __init__(self, hosts: Hosts, life: int, keys: Keys) -> None:
        self._hosts = hosts
        self._life = life
        self._keys = keys
        self._hider: Hider | None = None
        self.key = 0  # the number of the key in use

    def turn(self, last: int) -> None:
        """Before events are made. Raises `sqlite3.Error`."""
        key = self._keys.current(self._life, last)
        if key.number != self.key:
            self.key = key.number
            self._hider = Hider(self._hosts, key.secret, self._keys.remember)

    def hide(self, line: bytes, ends: tuple[str, str], class_: Class) -> bytes:
        """The line without the hosts; the same where it names none."""
        if self._hider is None:
            raise ValueError("no key is in use: `turn` comes first")
        found = self._hider.hide(line, ends)
        if found is not line and found != line:
            self._keys.used_in(class_)
        return found
