"""How a spool lies on disk: segments of blocks of lines.

A segment is a file named by the serial number of its first record, `<serial, 16 digits>.log`. It is a row of
blocks; a block is what was appended at once:

    magic 4 | payload bytes u32 | records u32 | first serial u64 | CRC-32 u32 | payload     (little-endian)

The payload is whole lines. The checksum covers serial, counts and payload, so that a block that was not
written to its end, or that the disk damaged, is never taken for one. Serial numbers go on over restarts; where
they jump, records were lost, and the jump says how many.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

MAGIC = b"REV1"
_HEADER = struct.Struct("<4sIIQI")
_SUMMED = struct.Struct("<IIQ")
HEADER_BYTES = _HEADER.size
SUFFIX = ".log"
MAX_PAYLOAD = 64 << 20


class Block(msgspec.Struct, frozen=True):
    """A whole block: `end` is the offset behind it."""

    serial: int
    records: int
    payload: bytes
    end: int

    @property
    def lines(self) -> list[bytes]:
        return self.payload.splitlines()


def pack(serial: int, records: int, payload: bytes) -> bytes:
    """The bytes of a block."""
    summed = _SUMMED.pack(len(payload), records, serial)
    return _HEADER.pack(MAGIC, len(payload), records, serial, zlib.crc32(payload, zlib.crc32(summed))) + payload


class Header(msgspec.Struct, frozen=True):
    payload: int
    records: int
    serial: int
    checksum: int


def unpack_header(data: bytes) -> Header | None:
    """The header at the start of `data`, or None when that is no header."""
    if len(data) < HEADER_BYTES:
        return None
    magic, payload, records, serial, checksum = _HEADER.unpack_from(data)
    if magic != MAGIC or payload > MAX_PAYLOAD or records == 0 or records > payload:
        return None
    return Header(payload, records, serial, checksum)


def is_whole(header: Header, payload: bytes) -> bool:
    summed = _SUMMED.pack(header.payload, header.records, header.serial)
    return len(payload) == header.payload and zlib.crc32(payload, zlib.crc32(summed)) == header.checksum


def segment_path(directory: Path, serial: int) -> Path:
    return directory / f"{serial:016d}{SUFFIX}"


def segments(directory: Path) -> list[tuple[int, Path]]:
    """(first serial, path) of every segment, oldest first."""
    found = [(int(path.stem), path) for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit()]
    return sorted(found)


def blocks(path: Path, offset: int = 0) -> Iterator[Block]:
    """The whole blocks of a segment from `offset` on, up to the first that is not whole."""
    with path.open("rb") as file:
        file.seek(offset)
        while True:
            header = unpack_header(file.read(HEADER_BYTES))
            if header is None:
                return
            payload = file.read(header.payload)
            if not is_whole(header, payload):
                return
            offset += HEADER_BYTES + header.payload
            yield Block(header.serial, header.records, payload, offset)
