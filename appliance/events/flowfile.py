"""How the flow log lies on disk: a file for each hour, a row of blocks of columns. docs/flowlog.md has the reasons.

A block is a header and three parts:

    heads      deflated: the names of zones and rules, and the runs of rows that agree in them, protocol and port
    body       deflated: the other columns
    addresses  deflated, then closed under the key of the day: what the columns number

Header and parts have checksums of their own. A block that was not written to its end, or that the disk damaged, is
passed over and told; the next one is found by its header. Nothing here knows a key: `Seal` and `Open` do.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

MAGIC = b"RFL1"
_FIELDS = struct.Struct("<4sIIIIQQ6I")  # see Block and its sizes
_SUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _SUM.size
OPEN, CLOSED = ".open", ".flows"
MAX_PART = 64 << 20  # deflated
MAX_COLUMNS = 128 << 20  # inflated
MAX_FILE = 256 << 20  # the writer begins another long before
_LEVEL = 6

# (day, addresses, what stands beside them) to closed bytes, and back.
Seal = Callable[[int, bytes, bytes], bytes]
Open = Callable[[int, bytes, bytes], bytes]


class FlowFileError(Exception):
    """A block's parts are not what its header says."""


class Block(msgspec.Struct, frozen=True):
    """A block as it lies on disk. `day` names the key; `first` and `last` are minutes since the epoch.

    `lost` flows before it found no room in memory or on disk. `inflated` are the sizes of heads, body and addresses.
    """

    day: int
    first: int
    last: int
    rows: int
    flows: int
    lost: int
    heads: bytes
    body: bytes
    closed: bytes
    inflated: tuple[int, int, int]

    @property
    def size(self) -> int:
        return HEADER_BYTES + len(self.heads) + len(self.body) + len(self.closed)


class Damage(msgspec.Struct, frozen=True):
    """Bytes of a file that are no whole block. At the end of the open file a power cut leaves them."""

    path: str
    offset: int
    bytes: int


def deflate(
    heads: bytes, body: bytes, addresses: bytes, *, day: int, first: int, last: int, rows: int, flows: int, lost: int,
    seal: Seal,
) -> Block:  # fmt: skip
    """Columns as a block; `seal` closes the addresses."""
    closed = seal(day, zlib.compress(addresses, _LEVEL), _beside(day))
    inflated = len(heads), len(body), len(addresses)
    packed = zlib.compress(heads, _LEVEL), zlib.compress(body, _LEVEL)
    return Block(day, first, last, rows, flows, lost, *packed, closed, inflated)


def pack(block: Block) -> bytes:
    """The bytes of a block."""
    parts = block.heads + block.body + block.closed
    fields = _FIELDS.pack(
        MAGIC, block.day, block.first, block.last, block.rows, block.flows, block.lost,
        len(block.heads), len(block.body), len(block.closed), *block.inflated,
    )  # fmt: skip
    checksum = zlib.crc32(fields)
    return fields + _SUM.pack(zlib.crc32(parts, checksum)) + parts


def heads_of(block: Block) -> bytes:
    """Raises `FlowFileError`."""
    return _inflate(block.heads, block.inflated[0])


def body_of(block: Block) -> bytes:
    """Raises `FlowFileError`."""
    return _inflate(block.body, block.inflated[1])


def addresses_of(block: Block, opened: Open) -> bytes:
    """Raises `FlowFileError`, and what `opened` raises."""
    return _inflate(opened(block.day, block.closed, _beside(block.day)), block.inflated[2])


def _beside(day: int) -> bytes:
    return MAGIC + day.to_bytes(4, "little")


def _inflate(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise FlowFileError(f"columns cannot be inflated: {error}") from error
    if len(found) != size or not inflater.eof:
        raise FlowFileError(f"columns of {len(found)} bytes, {size} were written")
    return found


# --- reading ---------------------------------------------------------------------------------------------


def _unpack(data: bytes, offset: int) -> Block | None:
    """The whole block at `offset`, or None."""
    if len(data) - offset < HEADER_BYTES:
        return None
    magic, day, first, last, rows, flows, lost, *sizes = _FIELDS.unpack_from(data, offset)
    heads, body, closed, *inflated = sizes
    if magic != MAGIC or max(heads, body, closed) > MAX_PART or max(inflated) > MAX_COLUMNS or first > last:
        return None
    at = offset + HEADER_BYTES
    end = at + heads + body + closed
    if end > len(data):
        return None
    (checksum,) = _SUM.unpack_from(data, offset + _FIELDS.size)
    if zlib.crc32(data[at:end], zlib.crc32(data[offset : offset + _FIELDS.size])) != checksum:
        return None
    parts = data[at : at + heads], data[at + heads : at + heads + body], data[at + heads + body : end]
    return Block(day, first, last, rows, flows, lost, *parts, (inflated[0], inflated[1], inflated[2]))


def _claimed(data: bytes, offset: int) -> int:
    """The bytes that looking for a block at `offset` takes."""
    if len(data) - offset < HEADER_BYTES:
        return HEADER_BYTES
    end = offset + HEADER_BYTES + sum(_FIELDS.unpack_from(data, offset)[7:10])
    return max(end - offset if end <= len(data) else 0, HEADER_BYTES)


def blocks(data: bytes, name: str) -> Iterator[Block | Damage]:
    """The blocks of a file's bytes in order, and what between them is none."""
    at = 0
    left = 4 * len(data)  # bytes that are summed up in vain: headers that lie make no more work than that
    while at < len(data):
        block = _unpack(data, at)
        if block is not None:
            yield block
            at += block.size
            continue
        begun = at
        left -= _claimed(data, at)
        at = data.find(MAGIC, at + 1)
        while at >= 0 and left > 0 and _unpack(data, at) is None:
            left -= _claimed(data, at)
            at = data.find(MAGIC, at + 1)
        at = len(data) if at < 0 or left <= 0 else at
        yield Damage(name, begun, at - begun)


def read(path: Path) -> Iterator[Block | Damage]:
    """The blocks of a file. Raises OSError."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE:
            return iter((Damage(str(path), 0, size),))
        return blocks(file.read(MAX_FILE), str(path))


def _opened(path: Path) -> BinaryIO:
    """For reading. Another process writes the directory: a link leads nowhere, a pipe keeps nobody waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"{path} is no file")
    return os.fdopen(descriptor, "rb")


def headers(path: Path) -> Iterator[Block | Damage]:
    """The blocks of a file without their parts, up to the first that is none: quick, and nothing is checked but
    headers. Raises OSError."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE:
            yield Damage(str(path), 0, size)
            return
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(HEADER_BYTES)
            if len(head) < HEADER_BYTES or head[: len(MAGIC)] != MAGIC:
                yield Damage(str(path), at, size - at)
                return
            _, day, first, last, rows, flows, lost, *sizes = _FIELDS.unpack_from(head)
            yield Block(day, first, last, rows, flows, lost, b"", b"", b"", (sizes[3], sizes[4], sizes[5]))
            at += HEADER_BYTES + sum(sizes[:3])


def hour_of(path: Path) -> int:
    """The hour in which a file was begun, since the epoch: `000494123-00.flows`."""
    return int(path.name.partition("-")[0])


def path_of(directory: Path, hour: int, number: int, suffix: str) -> Path:
    return directory / f"{hour:09d}-{number:02d}{suffix}"


def files(directory: Path) -> list[Path]:
    """The files of a flow log, oldest first. An open file beside its closed form is what closing left behind."""
    found = {path.stem: path for path in sorted(directory.glob(f"*{OPEN}")) if _named(path)}
    found.update({path.stem: path for path in directory.glob(f"*{CLOSED}") if _named(path)})
    return [found[stem] for stem in sorted(found, key=_order)]


def _order(stem: str) -> tuple[int, int]:
    hour, _, number = stem.partition("-")
    return int(hour), int(number)


def _named(path: Path) -> bool:
    hour, dash, number = path.stem.partition("-")
    return bool(dash) and hour.isdecimal() and number.isdecimal()


def cut_end(path: Path) -> Damage | None:
    """Cut off what is no whole block at the end of a file, so that writing can go on behind it. Raises OSError."""
    last = None
    for item in read(path):
        last = item
    if not isinstance(last, Damage):
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, last.offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return last
