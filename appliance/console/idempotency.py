"""A change that is asked for twice with one key is made once: what was answered is kept for a day, on disk.

A key belongs to the person and to one request. Before the change is made its key is written down; where the console
dies in between, nobody knows whether it was made, and that is what is answered then. What was refused changed
nothing: its key is free again.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec

from appliance.console.problems import Problem

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,128}\Z")
_KEPT = 86_400.0  # seconds
_MOST = 10_000  # keys
_OF_PERSON = 1_000
_LARGEST = 1 << 20  # bytes of an answer that is kept
_TABLES = """
create table if not exists answers (
    person text not null, key text not null, digest blob not null, at real not null, answer blob,
    primary key (person, key)
) without rowid;
create index if not exists answers_at on answers (at);
"""


class Kept(msgspec.Struct, frozen=True):
    """An answer as it was given."""

    status: int
    headers: dict[str, str]
    data: bytes


class Claimed:
    """A key that is taken for a change that begins now: `done` or `free` says how it ended. Where the disk is full
    the change is made all the same, since it may be the one that sets things right."""

    def __init__(self, answers: Answers, person: str, key: str) -> None:
        self._answers = answers
        self._who = (person, key)

    def done(self, kept: Kept) -> None:
        with self._answers.bearing():
            self._answers.done(*self._who, kept)

    def unsaid(self) -> None:
        """It was done, and what was answered is kept nowhere: whoever asks again hears that it was asked before."""
        self._answers.unsaid(*self._who)

    def free(self) -> None:
        with self._answers.bearing():
            self._answers.free(*self._who)


class Answers:
    """The store. For one thread; `clock` gives seconds since the epoch. Raises `sqlite3.Error` when it cannot be
    opened."""

    def __init__(self, path: Path, clock: Callable[[], float], log: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._log = log
        self._said = ""
        self._busy: set[tuple[str, str]] = set()
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")  # a kill loses nothing
        self._base.executescript(_TABLES)

    def close(self) -> None:
        self._base.close()

    def claim(self, person: str, key: str, digest: bytes) -> Kept | Claimed:
        """What was answered before to the same request, or the key. Raises `Problem`."""
        if not _KEY.match(key):
            words = f"`{HEADER}` is 1 to 128 characters of ASCII without spaces"
            raise Problem(HTTPStatus.BAD_REQUEST, words, code="bad-request")
        with self.bearing():
            return self._claimed(person, key, digest)
        return Claimed(self, person, key)

    @contextlib.contextmanager
    def bearing(self) -> Iterator[None]:
        """Go on where the disk does not: then a change that is asked for twice may be made twice. Said once."""
        try:
            yield
        except sqlite3.Error as error:
            if str(error) != self._said:
                self._log(f"keys of changes are not kept ({error}): who asks twice may be answered twice")
            self._said = str(error)

    def _claimed(self, person: str, key: str, digest: bytes) -> Kept | Claimed:
        self._forget()
        found = self._base.execute(
            "select digest, answer from answers where person = ? and key = ?", (person, key)
        ).fetchone()
        if found is None:
            self._room(person)
            self._base.execute("insert into answers values (?, ?, ?, ?, null)", (person, key, digest, self._clock()))
            self._busy.add((person, key))
            return Claimed(self, person, key)
        if found[0] != digest:
            words = f"this `{HEADER}` was used for another request; take a new one"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, code="key-used")
        if found[1] is not None:
            return msgspec.json.decode(found[1], type=Kept)
        if (person, key) in self._busy:
            words = "the same request is being answered just now"
            raise Problem(HTTPStatus.CONFLICT, words, code="in-progress", headers={"Retry-After": "1"})
        words = "this was asked before, and whether it was done is not known; look, and ask with another key if not"
        raise Problem(HTTPStatus.CONFLICT, words, code="outcome-unknown")

    def done(self, person: str, key: str, kept: Kept) -> None:
        self._busy.discard((person, key))
        if len(kept.data) > _LARGEST:
            return  # that it was done is known, and asked again it is said that this was asked before
        packed = msgspec.json.encode(kept)
        self._base.execute("update answers set answer = ? where person = ? and key = ?", (packed, person, key))

    def unsaid(self, person: str, key: str) -> None:
        self._busy.discard((person, key))

    def free(self, person: str, key: str) -> None:
        self._busy.discard((person, key))
        self._base.execute("delete from answers where person = ? and key = ?", (person, key))

    def _forget(self) -> None:
        self._base.execute("delete from answers where at < ?", (self._clock() - _KEPT,))

    def _room(self, person: str) -> None:
        """The oldest goes where there are too many: of this person, and of all."""
        for most, where, arguments in ((_OF_PERSON, " where person = ?", (person,)), (_MOST, "", ())):
            (count,) = self._base.execute(f"select count(*) from answers{where}", arguments).fetchone()  # noqa: S608
            if count >= most:
                oldest = f"select person, key from answers{where} order by at limit 1"  # noqa: S608
                self._base.execute(f"delete from answers where (person, key) in ({oldest})", arguments)  # noqa: S608


def digest_of(method: str, path: str, match: str, body: bytes) -> bytes:
    """What makes two requests the same one."""
    found = hashlib.sha256()
    for part in (method.encode(), path.encode(), match.encode("utf-8", "replace"), body):
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()


def opened(path: Path, clock: Callable[[], float], log: Callable[[str], None]) -> Answers:
    """The store; one that is destroyed is made anew: keys are a help, and nobody is kept out for want of them.
    Raises `sqlite3.Error`."""
    try:
        return Answers(path, clock, log)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        log(f"{path}: {error}; it is made anew")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).unlink()
        return Answers(path, clock, log)
