"""What a machine wrote to its disk, in order, and the disk as a power cut at any moment would leave it.

QEMU's `blklogwrites` keeps every write and every flush in the format of Linux' dm-log-writes
(Documentation/admin-guide/device-mapper/log-writes.rst). A write that was flushed is on the disk. Of those that were
not, each is there, or not, or half there: the cache of a disk is written in any order.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
_MAGIC, _VERSION = 0x6A736677736872, 1
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8


class Written(NamedTuple):
    """A write (`data` at byte `at`), or a flush (`data` empty)."""

    at: int
    data: bytes
    flush: bool


def read(path: Path) -> list[Written]:
    """All entries of a log. The machine may have been killed while it wrote: what is not whole at the end is left."""
    raw = path.read_bytes()
    magic, version, _, size = _SUPER.unpack_from(raw)
    assert (magic, version, size) == (_MAGIC, _VERSION, SECTOR), "no log of writes"
    found: list[Written] = []
    place = SECTOR
    while place + SECTOR <= len(raw):
        sector, sectors, flags, _ = _ENTRY.unpack_from(raw, place)
        length = 0 if flags & _DISCARD else sectors * SECTOR
        if (not sectors and not flags & _FLUSH) or place + SECTOR + length > len(raw):
            break
        place += SECTOR
        if not flags & (_DISCARD | _MARK):
            found.append(Written(sector * SECTOR, raw[place : place + length], bool(flags & (_FLUSH | _FUA))))
        place += length
    return found


class Cuts:
    """Disks after power cuts, at later and later moments of one log. `base` is the disk as it was at first."""

    def __init__(self, base: bytes, log: list[Written], chance: random.Random) -> None:
        self._log = log
        self._chance = chance
        self._durable = bytearray(base)
        self._flushed = 0  # entries that are in `_durable`
        self._looked = 0

    def at(self, moment: int) -> bytearray:
        """The disk when the power goes just before entry `moment`, which is not earlier than the one before."""
        for number in range(self._looked, moment):
            if self._log[number].flush:
                for one in self._log[self._flushed : number + 1]:
                    self._durable[one.at : one.at + len(one.data)] = one.data
                self._flushed = number + 1
        self._looked = moment
        disk = bytearray(self._durable)
        kept = self._chance.choice((0.0, 0.5, 0.9, 1.0))
        for one in self._log[self._flushed : moment]:
            if self._chance.random() < kept:
                self._put(disk, one)
        return disk

    def _put(self, disk: bytearray, one: Written) -> None:
        """A write that nobody waited for: mostly whole, sometimes only some of its sectors."""
        if self._chance.random() < 0.8:
            disk[one.at : one.at + len(one.data)] = one.data
            return
        for offset in range(0, len(one.data), SECTOR):
            if self._chance.random() < 0.5:
                disk[one.at + offset : one.at + offset + SECTOR] = one.data[offset : offset + SECTOR]
