"""The audit trail on disk: entries and the hashes of their tree. One writer, recordd.

    head                the size and the root, and how far the spools are read: what of the files below counts
    entries/<number>    4,096 entries each; an entry is its length in two bytes (big-endian) and its bytes
    hashes/<level>      the tree's hashes of a tile level (`merkle.py`), 32 bytes each

A batch is appended to the files, made durable, and then takes effect with the new head, which is replaced whole:
after a kill or a power cut the trail is as some head says, and what lies behind it is cut off. The files are those of
C2SP's tlog-tiles put one behind the other, so a tile or a bundle is a stretch of one of them.

An entry whose retention ended is empty; its hash stays, so that every proof holds (`retention.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.durable import replace, sync, write_all
from appliance.records.merkle import HASH_BYTES, TILE_HEIGHT, Edge, leaf_hashes

SEGMENT = 4096  # entries
LENGTH_BYTES = 2
MOST_ENTRY = (1 << 16) - 1  # bytes
_PIECE = 1 << 20
_MODE = 0o600


class TrailError(Exception):
    """The trail on disk is not what was kept; the text says what is wrong and where."""


class Head(msgspec.Struct, frozen=True):
    """What counts. `read` is how far each spool is read: the serial number of the next record."""

    size: int = 0
    root: bytes = b""
    read: dict[str, int] = {}
    format: int = 1


class Trail:
    """Opening it recovers: what was written after the last head goes. Raises `TrailError`, OSError."""

    def __init__(self, directory: Path) -> None:
        self._entries, self._hashes, self._path = directory / "entries", directory / "hashes", directory / "head"
        for folder in (directory, self._entries, self._hashes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.head = self._load()
        self._files: dict[int, int] = {}  # tile level -> descriptor
        self._torn = False
        self._recover()
        self._edge = Edge(self.head.size, self.read_hashes)
        if self.head.size and self._edge.root() != self.head.root:
            raise TrailError(
                f"{self._hashes}: the hashes of {self.head.size} entries do not lead to the root that was kept; "
                "bring back the trail's directory from a copy"
            )

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    @property
    def size(self) -> int:
        return self.head.size

    def root(self) -> bytes:
        return self._edge.root()

    # --- writing ------------------------------------------------------------------------------------

    def append(self, entries: Sequence[bytes], read: Mapping[str, int] = {}) -> None:
        """Append entries, none empty and none longer than `MOST_ENTRY`, and keep how far the spools are read.

        Durable on return. Raises OSError, and then the trail is as before.
        """
        before = self.size
        hashed = leaf_hashes(entries)
        if self._torn:
            self._cut()
        self._torn = True
        try:
            if entries:
                self._write_entries(entries)
            for level, new in enumerate(self._edge.add(hashed)):
                self._write_hashes(level, new)
            head = Head(before + len(entries), self._edge.root(), {**self.head.read, **read})
            replace(self._path, msgspec.json.encode(head), b"\n", mode=_MODE)
        except OSError:
            self._edge = Edge(before, self.read_hashes)
            raise
        self._torn = False
        self.head = head

    def _write_entries(self, entries: Sequence[bytes]) -> None:
        position, at = self.size, 0
        while at < len(entries):
            room = SEGMENT - position % SEGMENT
            part = entries[at : at + room]
            path = self._segment(position)
            new = position % SEGMENT == 0
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if new else 0)
            descriptor = os.open(path, flags, _MODE)
            try:
                write_all(descriptor, b"".join([len(one).to_bytes(LENGTH_BYTES, "big") + one for one in part]))
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                sync(self._entries)
            position, at = position + len(part), at + len(part)

    def _write_hashes(self, level: int, new: Sequence[bytes]) -> None:
        if level not in self._files:
            self._files[level] = os.open(self._hashes / str(level), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            sync(self._hashes)
        place = (self.size >> TILE_HEIGHT * level) * HASH_BYTES
        os.lseek(self._files[level], place, os.SEEK_SET)
        write_all(self._files[level], b"".join(new))
        os.fdatasync(self._files[level])

    def empty(self, segment: int, indices: frozenset[int]) -> int:
        """Empty these entries of a segment; how many of them were not empty before. Raises OSError, `TrailError`."""
        kept, gone = [], 0
        first = segment * SEGMENT
        for index, entry in enumerate(self.entries(first, min(first + SEGMENT, self.size)), first):
            if index in indices and entry:
                gone += 1
                entry = b""
            kept.append(len(entry).to_bytes(LENGTH_BYTES, "big") + entry)
        if gone:
            replace(self._segment(first), *kept, mode=_MODE)
        return gone

    # --- reading ------------------------------------------------------------------------------------

    def read_hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        """`merkle.Hashes` of this trail. Raises `TrailError`."""
        if stop <= start:
            return []
        descriptor = self._files.get(level)
        wanted = (stop - start) * HASH_BYTES
        data = b"" if descriptor is None else os.pread(descriptor, wanted, start * HASH_BYTES)
        if len(data) != wanted:
            raise TrailError(f"{self._hashes / str(level)} ends before hash {stop}; {_REMEDY}")
        return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The entries from `start` to `stop` (exclusive); an empty one was disposed of. Raises `TrailError`."""
        position, stop = start, min(stop, self.size)
        while position < stop:
            end = min(stop, position - position % SEGMENT + SEGMENT)
            yield from self._of_segment(position, end)
            position = end

    def _of_segment(self, start: int, stop: int) -> Iterator[bytes]:
        path = self._segment(start)
        number = start - start % SEGMENT
        try:
            with path.open("rb", buffering=_PIECE) as file:
                while number < stop:
                    entry = _next_entry(file.read)
                    if entry is None:
                        raise TrailError(f"{path} ends before entry {number}; {_REMEDY}")
                    if number >= start:
                        yield entry
                    number += 1
        except FileNotFoundError as error:
            raise TrailError(f"{path} is missing; {_REMEDY}") from error

    def _segment(self, index: int) -> Path:
        return self._entries / f"{index // SEGMENT:010d}"

    # --- recovery -----------------------------------------------------------------------------------

    def _load(self) -> Head:
        try:
            head = msgspec.json.decode(self._path.read_bytes(), type=Head)
        except FileNotFoundError as error:
            if any(self._entries.iterdir()):
                raise TrailError(f"{self._path} is missing, but entries are there; {_REMEDY}") from error
            replace(self._path, msgspec.json.encode(Head()), b"\n", mode=_MODE)
            return Head()
        except msgspec.DecodeError as error:
            raise TrailError(f"{self._path} is damaged: {error}; {_REMEDY}") from error
        if head.format != 1:
            raise TrailError(f"{self._path}: format {head.format} is not known here")
        return head

    def _recover(self) -> None:
        for path in (*self._entries.glob("*.tmp"), *self._path.parent.glob("head.tmp")):
            path.unlink()
        for path in self._hashes.iterdir():
            self._files[int(path.name)] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._cut()

    def _cut(self) -> None:
        """Cut off what the head does not count."""
        for level, descriptor in self._files.items():
            whole = (self.head.size >> TILE_HEIGHT * level) * HASH_BYTES
            if os.fstat(descriptor).st_size < whole:
                raise TrailError(f"{self._hashes / str(level)} is shorter than {self.head.size} entries; {_REMEDY}")
            os.ftruncate(descriptor, whole)
        last = self._segment(max(self.head.size - 1, 0))
        for path in self._entries.iterdir():
            if path.name > last.name or not self.head.size:
                path.unlink()
        if self.head.size:
            self._cut_entries(last)

    def _cut_entries(self, path: Path) -> None:
        end = 0
        try:
            with path.open("r+b", buffering=_PIECE) as file:
                for number in range((self.head.size - 1) % SEGMENT + 1):
                    entry = _next_entry(file.read)
                    if entry is None:
                        first = (self.head.size - 1) // SEGMENT * SEGMENT
                        raise TrailError(f"{path} ends before entry {first + number}; {_REMEDY}")
                    end += LENGTH_BYTES + len(entry)
                file.truncate(end)
        except FileNotFoundError as error:
            raise TrailError(f"{path} is missing; {_REMEDY}") from error


_REMEDY = "somebody changed or lost it: keep it for whoever looks into that, and bring the directory back from a copy"


def _next_entry(read: Callable[[int], bytes]) -> bytes | None:
    """The next entry of a file; None where it ends."""
    length = read(LENGTH_BYTES)
    if len(length) != LENGTH_BYTES:
        return None
    wanted = int.from_bytes(length, "big")
    entry = read(wanted)
    return entry if len(entry) == wanted else None
