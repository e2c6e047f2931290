"""The trail as files that tools of transparency logs read (C2SP tlog-tiles): names, bundles, writing and reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from appliance.durable import replace
from appliance.records.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, Edge
from appliance.records.trail import LENGTH_BYTES

CHECKPOINT = "checkpoint"
KEY = "log.vkey"


class TileError(Exception):
    """A file of the log is missing or is not what it should be; the text names it."""


class Source(Protocol):
    """Where a log of `size` entries is read from. Raises `TileError`."""

    def bundle(self, number: int, width: int) -> bytes: ...

    def hashes(self, level: int, number: int, width: int) -> bytes: ...


def place(kind: str, number: int, width: int) -> str:
    """The path of a tile or bundle; `kind` is a level or "entries"."""
    digits = f"{number:03d}"
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    named = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{kind}/{named}" + ("" if width == TILE_WIDTH else f".p/{width}")


def widths(size: int, level: int = 0) -> Iterator[tuple[int, int]]:
    """(number, width) of each tile of a level in a tree of `size` entries."""
    hashes = size >> TILE_HEIGHT * level
    for number in range((hashes + TILE_WIDTH - 1) // TILE_WIDTH):
        yield number, min(TILE_WIDTH, hashes - number * TILE_WIDTH)


def entries_of(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `TileError` where it is torn."""
    found: list[bytes] = []
    at, end = 0, len(bundle)
    while at < end:
        stop = at + LENGTH_BYTES + int.from_bytes(bundle[at : at + LENGTH_BYTES], "big")
        if at + LENGTH_BYTES > end or stop > end:
            raise TileError(f"it ends within its entry {len(found)}")
        found.append(bundle[at + LENGTH_BYTES : stop])
        at = stop
    return found


class Folder:
    """A log in a directory, as `write` leaves it and as others do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def bundle(self, number: int, width: int) -> bytes:
        path = self._path("entries", number, width)
        data = _read(path)
        if width < TILE_WIDTH and path.parent.suffix != ".p":  # the whole one: it grew since
            found = entries_of(data)[:width]
            return b"".join([len(one).to_bytes(LENGTH_BYTES, "big") + one for one in found])
        return data

    def hashes(self, level: int, number: int, width: int) -> bytes:
        return _read(self._path(str(level), number, width))[: width * HASH_BYTES]

    def _path(self, kind: str, number: int, width: int) -> Path:
        path = self._directory / place(kind, number, width)
        whole = self._directory / place(kind, number, TILE_WIDTH)
        return whole if not path.exists() and whole.exists() else path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TileError(f"{path}: {error.strerror}") from error


def write(source: Source, size: int, note: bytes, key: str, directory: Path) -> None:
    """Write the whole log; the checkpoint comes last. Raises OSError, `TileError`."""
    edge, begun = Edge(), dict[int, bytearray]()
    for number, width in widths(size):
        bundle, hashes = source.bundle(number, width), source.hashes(0, number, width)
        _put(directory / place("entries", number, width), bundle)
        leaves = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        for level, new in enumerate(edge.add(leaves)):
            begun.setdefault(level, bytearray()).extend(b"".join(new))
            _flush(directory, level, begun[level], edge.size >> TILE_HEIGHT * level)
    for level, rest in begun.items():
        if rest:
            width = len(rest) // HASH_BYTES
            _put(directory / place(str(level), (size >> TILE_HEIGHT * level) // TILE_WIDTH, width), bytes(rest))
    _put(directory / KEY, f"{key}\n".encode())
    replace(directory / CHECKPOINT, note)


def _flush(directory: Path, level: int, row: bytearray, count: int) -> None:
    """A whole tile is written; there is at most one."""
    if len(row) == TILE_WIDTH * HASH_BYTES:
        _put(directory / place(str(level), count // TILE_WIDTH - 1, TILE_WIDTH), bytes(row))
        row.clear()


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, data, durable=False)
