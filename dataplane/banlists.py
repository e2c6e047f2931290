"""The lists of the gate on disk: which there are, under which number, and what stands in them.

lists.json   the names and numbers, and the allow-list
<n>.list     one list: 4 bytes length of the IPv4 part, the packed IPv4 entries, the packed IPv6 entries
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.durable import replace
from ctypes_ext.gate import PrefixList
from dataplane.gate import INDICATED

_LENGTH = struct.Struct("!I")
_ENTRY4, _ENTRY6 = 5, 17  # bytes of a packed prefix
_STAGED = 3  # lists that come in parts at once
_STAGED_BYTES = 64 << 20
FIRST = 2  # number 1 are the single bans


class Kept(msgspec.Struct, frozen=True):
    numbers: dict[str, int] = {}
    allowed: tuple[str, ...] = ()


class NoRoom(Exception):
    """There are as many lists as there can be."""


class TooMuch(Exception):
    """What was sent in parts is no list; it is forgotten."""


class Staged:
    """Lists that come in parts, by their tickets: nobody is banned by them yet. Bounded in number and in bytes."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[bytes, bytes]]] = {}

    def put(self, ticket: str, number: int, packed4: bytes, packed6: bytes) -> None:
        """The next part. Raises `TooMuch`. Of more than a few lists at once the oldest is forgotten."""
        if number == 0:
            self._parts.pop(ticket, None)
            while len(self._parts) >= _STAGED:
                del self._parts[next(iter(self._parts))]
            self._parts[ticket] = []
        parts = self._parts.get(ticket)
        if parts is None or len(parts) != number:
            self._parts.pop(ticket, None)
            raise TooMuch(f"part {number} of a list came without those before it; send it again")
        parts.append((packed4, packed6))
        if sum(len(four) + len(six) for four, six in parts) > _STAGED_BYTES:
            del self._parts[ticket]
            raise TooMuch(f"a list of more than {_STAGED_BYTES >> 20} MiB")

    def take(self, ticket: str, parts: int) -> tuple[bytes, bytes]:
        """All of a list that came. Raises `TooMuch` when that is not all there was."""
        found = self._parts.pop(ticket, [])
        if len(found) != parts:
            raise TooMuch(f"{len(found)} of {parts} parts of the list are here; send it again")
        return b"".join(four for four, _ in found), b"".join(six for _, six in found)


class Lists:
    """What the gate keeps. Raises OSError where the disk does not take it; then it is as it was."""

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self._folder = folder
        self._index = folder / "lists.json"
        self._log = log
        self.kept = self._read()
        self.changes = 0  # grows with each list that comes or goes

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._index.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, ValueError) as error:
            self._log(f"{self._index}: the lists cannot be read and are not in force: {error}")
            return Kept()

    def number(self, name: str) -> int:
        """The number of a list; that of a new one is free. Raises `NoRoom`."""
        if name in self.kept.numbers:
            return self.kept.numbers[name]
        taken = set(self.kept.numbers.values())
        for number in range(FIRST, INDICATED):
            if number not in taken:
                return number
        raise NoRoom(f"there are {len(taken)} lists, which is as many as there can be; take one back")

    def load(self) -> dict[int, PrefixList]:
        """Every list that can be read. Damaged ones are reported and left out."""
        return {self.kept.numbers[name]: entries for name, entries in self.by_name().items()}

    def by_name(self) -> dict[str, PrefixList]:
        found = {}
        for name, number in self.kept.numbers.items():
            try:
                found[name] = _unpack(self._file(number).read_bytes())
            except (OSError, ValueError, struct.error) as error:
                self._log(f"{self._file(number)}: list {name} cannot be read and is not in force: {error}")
        return found

    def count(self, name: str) -> int:
        """How many prefixes a list has on disk; 0 when it cannot be read."""
        try:
            with self._file(self.kept.numbers[name]).open("rb") as opened:
                (length,) = _LENGTH.unpack(opened.read(_LENGTH.size))
                rest = opened.seek(0, 2) - _LENGTH.size - length
        except (OSError, struct.error):
            return 0
        return int(length // _ENTRY4 + rest // _ENTRY6)

    def files(self, name: str = "") -> dict[str, Path]:
        """Where the lists stand, by name: one, or with "" all of them."""
        return {each: self._file(number) for each, number in self.kept.numbers.items() if name in ("", each)}

    def keep(self, name: str, number: int, packed4: bytes, packed6: bytes) -> None:
        replace(self._file(number), _LENGTH.pack(len(packed4)), packed4, packed6)
        self._write(Kept({**self.kept.numbers, name: number}, self.kept.allowed))
        self.changes += 1

    def forget(self, name: str) -> int | None:
        """The number it had; None when there is no such list."""
        number = self.kept.numbers.get(name)
        if number is None:
            return None
        self._write(Kept({other: n for other, n in self.kept.numbers.items() if other != name}, self.kept.allowed))
        self._file(number).unlink(missing_ok=True)
        self.changes += 1
        return number

    def allow(self, addresses: tuple[str, ...]) -> None:
        self._write(Kept(self.kept.numbers, addresses))

    def _write(self, kept: Kept) -> None:
        replace(self._index, msgspec.json.encode(kept))
        self.kept = kept

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.list"


def _unpack(data: bytes) -> PrefixList:
    (length,) = _LENGTH.unpack_from(data)
    if _LENGTH.size + length > len(data):
        raise ValueError("it ends too early")
    middle = _LENGTH.size + length
    return PrefixList.unpack(data[_LENGTH.size : middle], data[middle:])[0]
