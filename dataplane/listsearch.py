"""What an address finds in the lists of the gate, of a million prefixes too: by halving, for they are sorted on disk.

A packed prefix is its address in network order and a byte for the length, so what is sorted by bytes has a network
before its parts, and all its parts behind it, together.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

from appliance.control.messages.gate import GateFound, GateFoundEntry

MOST_SHOWN = 5_000  # prefixes in one answer
_LENGTH = struct.Struct("!I")
Network = IPv4Network | IPv6Network
_WIDTHS = {4: 4, 6: 16}  # bytes of an address


class _Part:
    """The prefixes of one version of one list, as the file has them."""

    def __init__(self, data: mmap.mmap, begin: int, end: int, version: int) -> None:
        self._data = data
        self._begin = begin
        self.version = version
        self._size = _WIDTHS[version] + 1
        self.count = (end - begin) // self._size
        self.looked = 0

    def entry(self, number: int) -> bytes:
        self.looked += 1
        at = self._begin + number * self._size
        return self._data[at : at + self._size]

    def words(self, number: int) -> str:
        packed = self.entry(number)
        address, length = ip_address(packed[:-1]), packed[-1]
        return str(address) if length == address.max_prefixlen else f"{address}/{length}"

    def place(self, wanted: bytes) -> int:
        """How many entries come before it."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.entry(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low


class _Run(NamedTuple):
    """Entries `first` to before `last` of one version of one list."""

    name: str
    part: _Part
    first: int
    last: int


def find(files: Mapping[str, Path], word: str, after: int, limit: int) -> tuple[GateFound, int]:
    """Over these files, by the names of their lists; and how many prefixes were looked at. A word that is no address
    means the lists that have it in their names. A file that is damaged or not there has none."""
    wanted = meant(word)
    if wanted is None:
        files = {name: path for name, path in files.items() if word in name}
    parts = [(name, part) for name, path in files.items() for part in _parts(path)]
    if wanted is None:
        runs = [_Run(name, part, 0, part.count) for name, part in parts]
    else:
        same = [(name, part) for name, part in parts if part.version == wanted.version]
        runs = [run for name, part in same for run in _around(name, part, wanted)]
        runs += [_inside(name, part, wanted) for name, part in same]
    total = sum(run.last - run.first for run in runs)
    after = max(after, 0)
    shown = tuple(_page(runs, after, min(limit, MOST_SHOWN)))
    behind = after + len(shown)
    found = GateFound(shown, total, behind if shown and behind < total else 0)
    return found, sum(part.looked for _, part in parts)


def meant(word: str) -> Network | None:
    """The network that somebody types: an address, a prefix, or the beginning of one like `203.0.113.`."""
    octets = word.rstrip(".").split(".")
    if word.endswith(".") and len(octets) < 4:
        word = f"{'.'.join(octets + ['0'] * (4 - len(octets)))}/{8 * len(octets)}"
    try:
        return ip_network(word, strict=False) if word else None
    except ValueError:
        return None


def _parts(path: Path) -> Iterator[_Part]:
    try:
        with path.open("rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        (length,) = _LENGTH.unpack_from(data)
    except (OSError, ValueError, struct.error):
        return
    middle = _LENGTH.size + length
    if middle <= len(data):
        yield _Part(data, _LENGTH.size, middle, 4)
        yield _Part(data, middle, len(data), 6)


def _around(name: str, part: _Part, wanted: Network) -> Iterator[_Run]:
    """The prefixes that hold all of it, the narrowest first."""
    for length in range(wanted.prefixlen, -1, -1):
        packed = wanted.supernet(new_prefix=length).network_address.packed + bytes([length])
        at = part.place(packed)
        if at < part.count and part.entry(at) == packed:
            yield _Run(name, part, at, at + 1)


def _inside(name: str, part: _Part, wanted: Network) -> _Run:
    first = part.place(wanted.network_address.packed + bytes([wanted.prefixlen + 1]))
    return _Run(name, part, first, part.place(wanted.broadcast_address.packed + b"\xff"))


def _page(runs: list[_Run], after: int, limit: int) -> Iterator[GateFoundEntry]:
    skipped = after
    for run in runs:
        count = run.last - run.first
        for number in range(run.first + min(skipped, count), run.last):
            if limit <= 0:
                return
            limit -= 1
            yield GateFoundEntry(run.part.words(number), run.name)
        skipped -= min(skipped, count)
