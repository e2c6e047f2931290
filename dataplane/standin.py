"""What nft shall hold where the gate cannot stand: lists of prefixes as few ranges. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from appliance.control.messages.gate import StandIn
from appliance.policy.model import Range
from ctypes_ext.gate import Network, PrefixList

MOST = 250_000  # prefixes of all lists: applyd takes no more than 300,000 ranges
_BITS = {4: 32, 6: 128}


def request(
    lines: Iterable[str], lists: Mapping[str, PrefixList], spared: Mapping[Network, bool]
) -> tuple[StandIn, tuple[str, ...]]:
    """What to ask of applyd, and the names of the lists that are too long for it. Lists go whole, in their order."""
    room, listed, too_long = MOST, [], []
    for name, entries in lists.items():
        if len(entries) > room:
            too_long.append(name)
            continue
        room -= len(entries)
        listed += [*_prefixes(entries, 4), *_prefixes(entries, 6)]
    own = [_range(network) for network, unlimited in spared.items() if not unlimited]
    allowed = [_range(network) for network, unlimited in spared.items() if unlimited]
    parts = {
        f"{name}{version}": _packed(ranges, version)
        for name, found in (("listed", listed), ("allowed", allowed), ("own", own))
        for ranges in (_union(found),)
        for version in _BITS
    }
    return StandIn(tuple(lines), **parts), tuple(too_long)


def _prefixes(entries: PrefixList, version: int) -> Iterable[Range]:
    bits = _BITS[version]
    for address, length in struct.iter_unpack(f"!{bits // 8}sB", entries.packed(4 if version == 4 else 6)):
        first = int.from_bytes(address, "big")
        yield Range(version, first, first | ((1 << bits - length) - 1))


def _union(ranges: Iterable[Range]) -> list[Range]:
    """Disjoint, sorted, not adjacent."""
    merged: list[Range] = []
    for part in sorted(ranges):
        before = merged[-1] if merged else None
        if before is None or before.version != part.version or part.first > before.last + 1:
            merged.append(part)
        elif part.last > before.last:
            merged[-1] = Range(part.version, before.first, part.last)
    return merged


def _range(network: Network) -> Range:
    return Range(network.version, int(network.network_address), int(network.broadcast_address))


def _packed(ranges: Iterable[Range], version: int) -> bytes:
    size = _BITS[version] // 8
    return b"".join(
        part.first.to_bytes(size, "big") + part.last.to_bytes(size, "big")
        for part in ranges
        if part.version == version
    )
