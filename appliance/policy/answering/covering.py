"""Few words for what was seen: addresses as objects and prefixes, services by name or as ranges of ports.

What comes out holds everything that went in, and nothing that the bound does not hold.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from appliance.policy import addresses
from appliance.policy.boxes import ICMP, ICMPV6, PORT_PROTOCOLS
from appliance.policy.model import AddressSet, Range, ServiceEntry
from appliance.policy.written.services import words_of_entry

Address = tuple[int, int]  # version, number
# A protocol with the destination port or, of ICMP, the type; 0 where there is neither.
Key = tuple[int, int]

# A name is said instead of numbers when at least so much of what it stands for was seen.
_SEEN = 0.5


class Cover(NamedTuple):
    """The words of an address key and what they stand for."""

    words: tuple[str, ...]
    meant: AddressSet


class Services(NamedTuple):
    """The words of a service key and what they stand for."""

    words: tuple[str, ...]
    meant: tuple[ServiceEntry, ...]


def size(ranges: Iterable[Range]) -> int:
    return sum(part.last - part.first + 1 for part in ranges)


# --- addresses --------------------------------------------------------------------------------------


def cover_addresses(
    seen: Collection[Address], within: tuple[Range, ...], objects: Mapping[str, AddressSet], most: int
) -> Cover:
    """`seen` in at most `most` words where the shape of `within` (normal) allows it: objects, then prefixes."""
    names = _objects(set(seen), within, objects)[:most]
    taken: list[Range] = [part for name in names for part in objects[name].ranges]
    held = addresses.normal(taken)
    left = {address for address in seen if not _holds(held, address)}
    prefixes = _prefixes(left, max(most - len(names), 1)) if left else []
    ranges = addresses.intersection(addresses.normal(prefixes), within)
    words = (*names, *(addresses.words_of(part) for part in _in_words(ranges, prefixes)))
    return Cover(words, AddressSet(addresses.normal([*taken, *ranges])))


def _in_words(ranges: tuple[Range, ...], prefixes: Sequence[Range]) -> tuple[Range, ...]:
    """The prefixes as they were found where nothing of them was cut away, else the ranges that are left."""
    return tuple(sorted(prefixes)) if size(ranges) == size(prefixes) else ranges


def _holds(ranges: tuple[Range, ...], address: Address) -> bool:
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        part = ranges[middle]
        if (part.version, part.last) < address:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low].version == address[0] and ranges[low].first <= address[1]


def _objects(seen: set[Address], within: tuple[Range, ...], objects: Mapping[str, AddressSet]) -> list[str]:
    """Names of objects that stand for little more than what was seen, the one that holds most first."""
    candidates: dict[str, set[Address]] = {}
    for name, meant in objects.items():
        if meant.dynamic or not meant.ranges or addresses.without(meant.ranges, within):
            continue
        wide = size(meant.ranges)
        if wide * _SEEN > len(seen) or wide >= size(within):
            continue
        held = {address for address in seen if _holds(meant.ranges, address)}
        if held and len(held) >= wide * _SEEN:
            candidates[name] = held
    names: list[str] = []
    left = set(seen)
    while candidates:
        name = max(candidates, key=lambda one: (len(candidates[one] & left), -size(objects[one].ranges), one))
        found = candidates.pop(name) & left
        if len(found) < max(1, size(objects[name].ranges) * _SEEN):
            break
        names.append(name)
        left -= found
    return names


def _prefixes(seen: set[Address], most: int) -> list[Range]:
    """At most `most` prefixes (at least one for each IP version) around all of `seen`, adding little.

    Neighbours whose common prefix adds least become one, again and again. As long as there are few enough, only
    those are joined that add nothing.
    """
    parts: list[Range | None] = [Range(version, number, number) for version, number in sorted(seen)]
    before = list(range(-1, len(parts) - 1))
    behind = [*range(1, len(parts)), -1]
    waiting: list[tuple[int, int, int, Range]] = []

    def offer(left: int, right: int) -> None:
        one, other = parts[left], parts[right]
        if one is not None and other is not None and one.version == other.version:
            whole = _common(one, other)
            heapq.heappush(waiting, (size((whole,)) - size((one, other)), left, right, whole))

    for left in range(len(parts) - 1):
        offer(left, left + 1)
    count = len(parts)
    while waiting:
        added, left, right, whole = heapq.heappop(waiting)
        one, other = parts[left], parts[right]
        if one is None or other is None or behind[left] != right or whole != _common(one, other):
            continue  # one of them is part of something wider by now
        if added > 0 and count <= most:
            break
        parts[left], parts[right] = whole, None
        count -= 1
        behind[left] = behind[right]
        if behind[right] >= 0:
            before[behind[right]] = left
        # What else the wider prefix holds.
        while behind[left] >= 0 and _inside(parts[behind[left]], whole):
            gone = behind[left]
            parts[gone] = None
            count -= 1
            behind[left] = behind[gone]
            if behind[gone] >= 0:
                before[behind[gone]] = left
        while before[left] >= 0 and _inside(parts[before[left]], whole):
            gone = before[left]
            parts[gone] = None
            count -= 1
            before[left] = before[gone]
            if before[gone] >= 0:
                behind[before[gone]] = left
        if before[left] >= 0:
            offer(before[left], left)
        if behind[left] >= 0:
            offer(left, behind[left])
    return [part for part in parts if part is not None]


def _inside(part: Range | None, whole: Range) -> bool:
    return part is not None and part.version == whole.version and whole.first <= part.first <= whole.last


def _common(one: Range, other: Range) -> Range:
    """The longest prefix that holds both."""
    bits = one.first ^ other.last | one.last ^ other.first | one.first ^ one.last | other.first ^ other.last
    mask = (1 << bits.bit_length()) - 1
    first = one.first & ~mask
    return Range(one.version, first, first | mask)


# --- services ---------------------------------------------------------------------------------------


def cover_services(
    seen: Collection[Key], within: tuple[ServiceEntry, ...], named: Mapping[str, tuple[ServiceEntry, ...]], most: int
) -> Services:
    """`seen` in about `most` words; every entry is part of one of `within`."""
    names: list[str] = []
    meant: list[ServiceEntry] = []
    left = set(seen)
    for name, entries in sorted(named.items(), key=lambda item: (-_keys(item[1]), item[0])):
        held = {key for key in left if any(_matches(entry, key) for entry in entries)}
        inside = all(any(_part_of(entry, bound) for bound in within) for entry in entries)
        every = all(any(_matches(entry, key) for key in held) for entry in entries)
        if held and inside and every and len(held) >= _keys(entries) * _SEEN:
            names.append(name)
            meant.extend(entries)
            left -= held
    parts = _joined(left, max(most - len(names), 1))
    literals = [
        entry for protocol, interval in parts for bound in within if (entry := _cut(bound, protocol, interval))
    ]
    literals = list(dict.fromkeys(literals))
    return Services((*names, *map(words_of_entry, literals)), tuple(dict.fromkeys([*meant, *literals])))


def _joined(seen: set[Key], most: int) -> list[tuple[int, tuple[int, int]]]:
    """Intervals of ports (or types) by protocol: first only neighbours, then over the narrowest gaps."""
    ordered = sorted(seen)
    gaps = []
    for index, ((one, last), (other, first)) in enumerate(pairwise(ordered)):
        if one == other and one in (*PORT_PROTOCOLS, ICMP, ICMPV6):
            gaps.append((first - last - 1, index))
    gaps.sort()
    count = len(ordered)
    closed: set[int] = set()
    for distance, index in gaps:
        if distance > 0 and count <= most:
            break
        closed.add(index)
        count -= 1
    parts: list[tuple[int, tuple[int, int]]] = []
    for index, (protocol, number) in enumerate(ordered):
        if index - 1 in closed:
            parts[-1] = (protocol, (parts[-1][1][0], number))
        else:
            parts.append((protocol, (number, number)))
    return parts


def _cut(bound: ServiceEntry, protocol: int, interval: tuple[int, int]) -> ServiceEntry | None:
    """What of an entry lies in an interval; None for nothing."""
    if bound.protocol not in (None, protocol):
        return None
    if protocol in PORT_PROTOCOLS:
        ports = _meet(bound.ports, interval)
        return ServiceEntry(protocol, ports, bound.source_ports) if ports else None
    if protocol in (ICMP, ICMPV6):
        kinds = _meet(bound.icmp, interval)
        return ServiceEntry(protocol, icmp=kinds, code=bound.code) if kinds else None
    return ServiceEntry(protocol)


def _meet(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int] | None:
    first, last = max(one[0], other[0]), min(one[1], other[1])
    return (first, last) if first <= last else None


def _matches(entry: ServiceEntry, key: Key) -> bool:
    return _cut(entry, key[0], (key[1], key[1])) is not None


def _part_of(entry: ServiceEntry, bound: ServiceEntry) -> bool:
    """Whether `bound` matches whatever `entry` does."""
    if bound.protocol is None:
        return True
    if entry.protocol != bound.protocol:
        return False
    return (
        _meet(entry.ports, bound.ports) == entry.ports
        and _meet(entry.source_ports, bound.source_ports) == entry.source_ports
        and _meet(entry.icmp, bound.icmp) == entry.icmp
        and bound.code in (None, entry.code)
    )


def _keys(entries: tuple[ServiceEntry, ...]) -> int:
    """How many keys the entries stand for; a protocol without ports is one."""
    total = 0
    for entry in entries:
        if entry.protocol is None:
            total += 1 << 20
        elif entry.protocol in PORT_PROTOCOLS:
            total += entry.ports[1] - entry.ports[0] + 1
        elif entry.protocol in (ICMP, ICMPV6):
            total += entry.icmp[1] - entry.icmp[0] + 1
        else:
            total += 1
    return total
