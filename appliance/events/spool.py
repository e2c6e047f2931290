"""The durable spool of one process: append lines of events, keep them over a power cut, never grow beyond a bound.

One writer, any number of readers (`reader.py`). Lines become durable in groups: `append` writes, `tick` makes
what was written durable when its time has come. A full disk never stops the writer: what cannot be written is
counted, its serial numbers are skipped, and the first line that finds room again says how many were lost.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from pathlib import Path

import msgspec

from appliance.events import record
from appliance.events.cursor import cursors
from appliance.events.segments import blocks, pack, segment_path, segments

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SpoolLimits(msgspec.Struct, frozen=True):
    """`segment` bytes before the next file begins; `total` bytes of all files, at least two segments;
    `sync_after` seconds until what was appended is durable; `sync_bytes` at once, when so much waits."""

    segment: int = 8 << 20
    total: int = 512 << 20
    sync_after: float = 0.2
    sync_bytes: int = 4 << 20


DEFAULT_LIMITS = SpoolLimits()


class SpoolError(Exception):
    """The spool cannot be used at all: the text says which file, why, and what to do."""


class Spool:
    """Opens the spool in `directory` and repairs its end. Raises `SpoolError`."""

    def __init__(self, directory: Path, limits: SpoolLimits = DEFAULT_LIMITS, *, source: str = "spool") -> None:
        self._directory = directory
        self._limits = limits
        self._source = source
        self._dirty = 0
        self._dirty_since = 0.0
        self._unsaid = 0  # records lost since the last line that said so
        self.lost = 0  # records that found no room, since the spool was opened
        self.dropped_unread = 0  # records that went to keep the bound, before every reader had them
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._open_end()
        except OSError as error:
            where = error.filename or directory
            raise SpoolError(f"{where}: {error.strerror}; the spool must be writable") from error

    # --- opening ------------------------------------------------------------------------------------

    def _open_end(self) -> None:
        """Find the end, cut off a block that was not written whole, and go on behind it."""
        existing = segments(self._directory)
        # A reader may have kept its place behind records that a power cut took: never give it their numbers again.
        read = max(cursors(self._directory).values(), default=0)
        if not existing:
            self._serial = read
            self._begin(read)
            return
        first, path = existing[-1]
        self._serial, size = first, 0
        for block in blocks(path):
            self._serial, size = block.serial + block.records, block.end
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(self._fd).st_size != size:
            os.ftruncate(self._fd, size)
            os.fsync(self._fd)
        self._size = size
        self._serial = max(self._serial, read)

    def _begin(self, serial: int) -> None:
        """A new segment; its name is durable before a record of it can be. Changes nothing when it raises."""
        path = segment_path(self._directory, serial)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            self._sync_directory()
        except OSError:
            os.close(fd)
            path.unlink()  # an empty newer segment would end the reading of this one
            raise
        self._fd, self._size = fd, 0

    def _sync_directory(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- writing ------------------------------------------------------------------------------------

    @property
    def next_serial(self) -> int:
        return self._serial

    def append(self, lines: bytes, records: int) -> None:
        """Append whole lines, `records` of them. Never raises for want of room: what finds none is counted."""
        if records == 0:
            return
        if self._unsaid:
            said = record.encode(record.notice(self._source, self._words(), seconds=time.time()))
            if not self._write(said, 1):
                self._lose(records)
                return
            self._unsaid = 0
        if not self._write(lines, records):
            self._lose(records)

    def _words(self) -> str:
        return f"events lost: {self._unsaid}; there was no room on the disk"

    def _lose(self, records: int) -> None:
        """Skip their serial numbers, so that every reader sees the loss too."""
        self._serial += records
        self.lost += records
        self._unsaid += records

    def _write(self, payload: bytes, records: int) -> bool:
        if self._size >= self._limits.segment:
            self._rotate()
        try:
            block = pack(self._serial, records, payload)
            written = 0
            while written < len(block):
                written += os.pwrite(self._fd, block[written:], self._size + written)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            os.ftruncate(self._fd, self._size)  # gives room back, never takes any
            return False
        self._size += len(block)
        self._serial += records
        if not self._dirty:
            self._dirty_since = time.monotonic()
        self._dirty += len(block)
        if self._dirty >= self._limits.sync_bytes:
            self.sync()
        return True

    def _rotate(self) -> None:
        self.sync()
        old = self._fd
        try:
            self._begin(self._serial)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            return  # the old segment grows on
        os.close(old)
        self._keep_bound()

    def _keep_bound(self) -> None:
        """Drop the oldest segments while all together are larger than the bound."""
        existing = segments(self._directory)
        sizes = {path: path.stat().st_size for _, path in existing}
        total = sum(sizes.values()) + self._limits.segment  # the new one will grow to that
        read = min(cursors(self._directory).values(), default=None)
        for (first, path), (end, _) in itertools.pairwise(existing):
            if total <= self._limits.total:
                return
            path.unlink()
            total -= sizes[path]
            if read is not None and read < end:
                lost = end - max(first, read)
                self.dropped_unread += lost
                words = f"events dropped unread: {lost}; the spool reached its bound"
                self._write(record.encode(record.notice(self._source, words, seconds=time.time())), 1)

    # --- durability ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Make durable what has waited long enough. Call it in the loop."""
        if self._dirty and time.monotonic() - self._dirty_since >= self._limits.sync_after:
            self.sync()

    def sync(self) -> None:
        """Make everything appended durable now."""
        if self._dirty:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                return  # the disk is full: tried again at the next tick
            self._dirty = 0

    def close(self) -> None:
        self.sync()
        os.close(self._fd)
