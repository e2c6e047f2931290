"""The flow log as inspectd writes it: a table in memory, a block each minute, a small file for each hour.

Nothing here may stop the traffic's events: a disk that is full, a key that cannot be had and a table that is full
cost flows, which are counted and said.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.durable import replace, sync, write_all
from appliance.events.flowfile import (
    CLOSED,
    OPEN,
    Block,
    Damage,
    FlowFileError,
    addresses_of,
    body_of,
    cut_end,
    deflate,
    files,
    heads_of,
    hour_of,
    pack,
    path_of,
    read,
)
from crypto.flowkeys import SealBroken, seal, unseal
from ctypes_ext.flowtable import Columns, FlowTable, FlowTableError

WRITE_EVERY = 60.0  # seconds: what a power cut costs at most
ROWS = 1 << 17
MERGED_ROWS = 1 << 18
WAITING_BYTES = 64 << 20  # blocks that wait for room on the disk
FILE_BYTES = 64 << 20  # then another file of the same hour begins: a flood makes many that can be read
TOTAL_BYTES = 2 << 30
_HOUR = 3600
_DAY = 86400
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# The key of a day, or None while it cannot be had. It must not wait.
Key = Callable[[int], bytes | None]


class NoKey(Exception):
    """The key of a block cannot be had."""


class FlowLog:
    """Opens the log in `directory` and repairs its end. `words` says what was lost and why. Raises OSError."""

    def __init__(self, directory: Path, key: Key, *, rows: int = ROWS) -> None:
        self._directory = directory
        self._key = key
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._said = self._words.put
        self._rows = rows
        self.table = FlowTable(rows)
        self.days: int | None = None  # how long files are kept; 0: none are; None: not known yet
        self._due = time.monotonic() + WRITE_EVERY
        self._waiting: list[Block] = []
        self._lost = 0  # flows that found no room, since a block last said so
        self._full = False
        self._path: Path | None = None
        self._closing: threading.Thread | None = None
        for path in directory.glob(f"*{OPEN}"):
            damage = cut_end(path)
            if damage is not None:
                self._said(_cut(damage))

    def words(self) -> Iterator[str]:
        """What there is to say since it was asked last."""
        while not self._words.empty():
            yield self._words.get()

    # --- the loop -----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Write what is due. Call it every second or so; `now` is the wall clock."""
        self._key(int(now) // _DAY)  # fetched before it is needed
        rows = self.table.sum().rows
        if time.monotonic() < self._due and rows < self._rows * 3 // 4:
            return
        self._due = time.monotonic() + WRITE_EVERY
        self.write(now)
        self.keep(now)

    def write(self, now: float) -> None:
        """Everything counted so far goes to disk, if there is a key and room."""
        if self.days == 0:
            self.table.take()
            self._waiting.clear()
            return
        self._take(now)
        while self._waiting and self._append(self._waiting[0], int(now)):
            del self._waiting[0]

    def finish(self, now: float) -> None:
        self.write(now)
        if self._closing is not None:
            self._closing.join()

    def _take(self, now: float) -> None:
        """The table becomes a block that waits to be written."""
        held = self.table.sum()
        if not held.rows:
            self._lost += held.lost
            return
        day = int(now) // _DAY
        key = self._key(day)
        if key is None:
            return  # the table goes on filling, and counts what finds no room
        columns = self.table.take()
        lost = held.lost + self._lost
        self._lost = 0
        block = deflate(
            columns.heads, columns.body, columns.addresses,
            day=day, first=held.first, last=held.last, rows=held.rows, flows=held.flows, lost=lost,
            seal=lambda _, data, beside: seal(key, data, beside),
        )  # fmt: skip
        self._waiting.append(block)
        if lost:
            self._said(f"flows not logged: {lost}; there was no room for them")
        while sum(one.size for one in self._waiting) > WAITING_BYTES:
            self._lost += self._waiting[0].flows + self._waiting[0].lost
            del self._waiting[0]

    # --- files --------------------------------------------------------------------------------------

    def _append(self, block: Block, now: int) -> bool:
        """One block behind the others, durably; False when the disk has no room."""
        try:
            path = self._file(now // _HOUR)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                size = os.fstat(descriptor).st_size
                try:
                    write_all(descriptor, pack(block))
                    os.fdatasync(descriptor)
                except OSError:
                    os.ftruncate(descriptor, size)
                    raise
            finally:
                os.close(descriptor)
        except OSError as error:
            if not self._full:
                full = error.errno in _NO_ROOM
                why = "there is no room on the disk" if full else f"the disk says: {error.strerror}"
                self._said(f"the flow log waits: {why}")
            self._full = True
            return False
        if self._full:
            self._said("the flow log goes on: there is room on the disk again")
        self._full = False
        return True

    def _file(self, hour: int) -> Path:
        """The open file of this hour; that of another hour is closed."""
        if self._path is not None and hour_of(self._path) == hour and _has_room(self._path):
            return self._path
        taken = [path for path in files(self._directory) if hour_of(path) == hour]
        path = next((path for path in taken if path.suffix == OPEN and _has_room(path)), None)
        if path is None:
            number = max((int(one.stem.partition("-")[2]) for one in taken), default=-1) + 1
            path = path_of(self._directory, hour, number, OPEN)
            path.touch(0o640)
            sync(self._directory)
        self._path = path
        self._close_others(path)
        return path

    def _close_others(self, current: Path) -> None:
        others = [path for path in self._directory.glob(f"*{OPEN}") if path != current]
        if others and (self._closing is None or not self._closing.is_alive()):
            self._closing = threading.Thread(target=self._close, args=(others,), name="flowlog", daemon=True)
            self._closing.start()

    def _close(self, paths: list[Path]) -> None:
        """In a thread of its own: files of hours that are over become small ones."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                try:
                    compact(path, self._key, self._said)
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        self._said(f"{path.name}: {error.strerror}; it stays as it is")
                except (FlowTableError, FlowFileError, SealBroken, NoKey):
                    path.rename(path.with_suffix(CLOSED))  # whole, only larger
                    sync(path.parent)

    def keep(self, now: float) -> None:
        """Delete files older than `days`, and the oldest while all together are too large."""
        if self.days is None:
            return
        oldest = int(now) // _HOUR - self.days * 24
        kept = []
        for path in files(self._directory):
            if path == self._path and self.days:
                continue
            if hour_of(path) < oldest or self.days == 0:
                _remove(path)
            else:
                with contextlib.suppress(FileNotFoundError):  # it was closed just now
                    kept.append((path, path.stat().st_size))
        total = sum(size for _, size in kept)
        for path, size in kept:
            if total <= TOTAL_BYTES:
                break
            _remove(path)
            total -= size
            self._said(f"flow log: {path.name} went to keep the bound of {TOTAL_BYTES >> 20} MiB")


def _has_room(path: Path) -> bool:
    try:
        return path.stat().st_size < FILE_BYTES
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    for suffix in (OPEN, CLOSED):
        path.with_suffix(suffix).unlink(missing_ok=True)


def _cut(damage: Damage) -> str:
    name = Path(damage.path).name
    return (
        f"flow log: {damage.bytes} bytes at the end of {name} were not written whole and are gone; "
        f"that is at most what was seen in {WRITE_EVERY:.0f} seconds"
    )


def compact(path: Path, key: Key, said: Callable[[str], None]) -> None:
    """An open file becomes a closed one: the blocks of its minutes become few, and flows of the hour one row.

    Raises OSError, `NoKey`, and what says that a block is damaged; then the file is as it was.
    """
    packed = b"".join(pack(block) for block in _merged(path, key, said))
    replace(path.with_suffix(CLOSED), packed, mode=0o640)
    path.unlink()


def _merged(path: Path, key: Key, said: Callable[[str], None]) -> Iterator[Block]:
    table = FlowTable(MERGED_ROWS)
    day = lost = 0
    for item in read(path):
        if isinstance(item, Damage):
            said(f"flow log: {item.bytes} bytes of {path.name} at {item.offset} are damaged and left out")
            continue
        held = table.sum()
        if held.rows and (item.day != day or held.rows + item.rows > MERGED_ROWS):
            yield _block(table, day, lost, key)
            lost = 0
        day = item.day
        lost += item.lost
        columns = Columns(heads_of(item), body_of(item), addresses_of(item, lambda d, c, b: _unseal(key, d, c, b)))
        table.merge(columns)
    if table.sum().rows or lost:
        yield _block(table, day, lost, key)


def _block(table: FlowTable, day: int, lost: int, key: Key) -> Block:
    held = table.sum()
    columns = table.take()
    return deflate(
        columns.heads, columns.body, columns.addresses,
        day=day, first=held.first, last=held.last, rows=held.rows, flows=held.flows, lost=lost + held.lost,
        seal=lambda d, data, beside: seal(_have(key, d), data, beside),
    )  # fmt: skip


def _have(key: Key, day: int) -> bytes:
    found = key(day)
    if found is None:
        raise NoKey(f"the key of day {day}")
    return found


def _unseal(key: Key, day: int, closed: bytes, beside: bytes) -> bytes:
    return unseal(_have(key, day), closed, beside)
