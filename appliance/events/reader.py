"""Reading a spool while it is written: every reader has its own place, and learns what it missed.

Two kinds of place: a named cursor, kept on disk over restarts (`Reader(..., cursor=...)` and `commit`), and
none, for a look from the beginning, from a time on, or at what comes.
"""

from __future__ import annotations

import contextlib
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.events import cursor as places
from appliance.events import record
from appliance.events.segments import HEADER_BYTES, Block, blocks, is_whole, segments, unpack_header

POLL_SECONDS = 0.1


class Batch(msgspec.Struct, frozen=True):
    """Lines in order. `lost` records before them were never written or are gone; `serial` is that of the first."""

    serial: int
    lines: tuple[bytes, ...]
    lost: int = 0


class Reader:
    """Reads the spool in `directory`.

    With `cursor` (a file, usually `directory/cursors/<name>`) it begins where that reader stood, else at
    `serial`. `next_serial` is the record it will read next.
    """

    def __init__(self, directory: Path, *, cursor: Path | None = None, serial: int = 0) -> None:
        self._directory = directory
        self._cursor = cursor
        kept = places.load(cursor) if cursor is not None else None
        self.next_serial = serial if kept is None else kept
        self._segment: Path | None = None
        self._offset = 0
        self._begun = kept is not None or serial > 0

    # --- places -------------------------------------------------------------------------------------

    @property
    def segment(self) -> Path | None:
        """The file that the next record is looked for in; None: it was not looked for yet."""
        return self._segment

    def commit(self) -> None:
        """Keep the place: after a restart reading goes on with the record after the last one read."""
        if self._cursor is None:
            raise ValueError("this reader has no cursor to keep its place in")
        places.store(self._cursor, self.next_serial)
        self._begun = True  # what goes from here on is missed

    def seek_end(self) -> None:
        """Go behind the last record: only what comes will be read."""
        known = segments(self._directory)
        if not known:
            return
        self.next_serial, self._segment = known[-1]
        for block in blocks(self._segment):
            self.next_serial, self._offset = block.serial + block.records, block.end
        self._begun = True

    def seek_time(self, seconds: float) -> None:
        """Go to the first segment that can hold events of then or later; earlier ones may still come before them."""
        known = segments(self._directory)
        stamp = record.format_time(seconds)
        starts = []
        for _, path in known:
            first = _first_stamp(path)
            starts.append(first if first is not None else "9")
        index = max(0, bisect_right(starts, stamp) - 1)
        if known:
            self.next_serial, self._segment, self._offset = known[index][0], known[index][1], 0
            self._begun = True

    def settle(self) -> None:
        """Have what was read on disk, so that a place kept elsewhere never runs ahead of a power cut. Raises OSError.

        What was read of earlier segments is there: a writer makes one durable before it begins the next.
        """
        if self._segment is None:
            return
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self._segment, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    # --- reading ------------------------------------------------------------------------------------

    def read(self) -> Batch | None:
        """What comes next, or None when everything was read."""
        batch = self._next_batch()
        if batch is not None:
            self.next_serial = batch.serial + len(batch.lines)
        return batch

    def follow(self, stopped: Callable[[], bool], *, poll: float = POLL_SECONDS) -> Iterator[Batch]:
        """Everything there is, then what comes, until `stopped` answers true."""
        while not stopped():
            batch = self.read()
            if batch is not None:
                yield batch
            else:
                time.sleep(poll)

    def _next_batch(self) -> Batch | None:
        while True:
            if self._segment is None and not self._find_segment():
                return None
            block = self._block()
            if block is None:
                if not self._next_segment():
                    return None
                continue
            self._offset = block.end
            if block.serial + block.records <= self.next_serial:
                continue  # read before
            skip = max(0, self.next_serial - block.serial)
            lost = max(0, block.serial - self.next_serial)
            return Batch(block.serial + skip, tuple(block.lines[skip:]), lost)

    def _find_segment(self) -> bool:
        """The segment that holds the next record, or the first one behind it."""
        known = segments(self._directory)
        if not known:
            return False
        if not self._begun:  # from wherever the spool begins
            self.next_serial, self._begun = max(self.next_serial, known[0][0]), True
        index = max(0, bisect_right([first for first, _ in known], self.next_serial) - 1)
        self._segment, self._offset = known[index][1], 0
        return True

    def _next_segment(self) -> bool:
        """Go on to a segment after the present one; False while there is none."""
        if self._segment is None:
            return False
        present = int(self._segment.stem)
        later = [path for first, path in segments(self._directory) if first > present]
        if not later:
            return False
        block = self._block()  # what was written between the look at the end and the look at the directory
        if block is not None:
            return True
        self._segment, self._offset = later[0], 0
        return True

    def _block(self) -> Block | None:
        """The whole block at the present place, or None: nothing there, not whole yet, or the segment is gone."""
        if self._segment is None:
            return None
        try:
            with self._segment.open("rb") as file:
                file.seek(self._offset)
                header = unpack_header(file.read(HEADER_BYTES))
                if header is None:
                    return None
                payload = file.read(header.payload)
        except FileNotFoundError:
            return None
        if not is_whole(header, payload):
            return None
        return Block(header.serial, header.records, payload, self._offset + HEADER_BYTES + header.payload)


def _first_stamp(path: Path) -> str | None:
    """The time stamp of a segment's first record."""
    try:
        with path.open("rb") as file:
            header = unpack_header(file.read(HEADER_BYTES))
            line = file.readline() if header is not None else b""
    except FileNotFoundError:
        return None
    try:
        return record.decode(line).timestamp
    except msgspec.DecodeError:
        return None
