"""A policy's own names for sets of addresses, services and people: `staff-net, 10.20.9.0/24`, `web`, `group:staff`.

A set is named by objects (services, groups) that lie in it whole, the largest first, and what they leave over
by its networks and ranges (protocols and ports, persons). What is nearly everything is said by what it leaves out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from appliance.policy.addresses import LAST, complement, words_of
from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.model import EVERYTHING, Object, Policy, Range, ServiceEntry
from appliance.policy.proving.cuboids import Cuboid, Interval, common, fused, minus_all
from appliance.policy.written.services import WELL_KNOWN, entries_of, words_of_entry

FULL_PROTOCOL: Interval = (0, 255)
FULL_KEY: Interval = (0, 65535)
ANY_SERVICE: Cuboid = (FULL_PROTOCOL, FULL_KEY, FULL_KEY)  # protocol, key, source port
_LISTED = 6  # words of one side that one line holds
_TRIED = 2_000  # objects that are looked at for one set of addresses


class _Named(msgspec.Struct, frozen=True):
    name: str
    ranges: tuple[Range, ...]
    size: int


class _Index(msgspec.Struct, frozen=True):
    objects: list[_Named]
    firsts: list[tuple[int, int]]


class Lexicon:
    """The names of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._objects: dict[int, _Index] = {}
        self._services = [(name, _cuboids(found.entries)) for name, found in policy.services.items()]
        own = {name for name, _ in self._services}
        for name, words in WELL_KNOWN.items():
            if name not in own:
                self._services.append((name, _cuboids(entry for word in words for entry in entries_of(word))))
        # Whoever is named by more comes first; of two names for the same the site's own.
        self._services.sort(key=lambda item: -len(item[1]))

    def serves(self, policy: Policy) -> bool:
        """Whether these are the names of another policy, too: the same but for its rules."""
        own = self.policy
        return policy is own or (
            policy.objects is own.objects
            and policy.services is own.services
            and policy.zones is own.zones
            and policy.people is own.people
            and policy.groups is own.groups
            and policy.settings == own.settings
        )

    # --- addresses ------------------------------------------------------------------------------------

    def addresses(self, ranges: tuple[Range, ...], version: int = 0) -> list[str]:
        """The words for a normal union of ranges; [] for every address.

        With `version` only addresses of that version are spoken of: an object counts as what it has of them.
        """
        if ranges == (EVERYTHING.ranges if not version else (Range(version, 0, LAST[version]),)):
            return []
        said = self._covered(ranges, version)
        if len(said) > 1:
            versions = {part.version for part in ranges}
            missing = tuple(part for part in complement(ranges) if part.version in versions)
            without = self._covered(missing, version)
            if len(without) < len(said) and sum(map(_size, missing)) < sum(map(_size, ranges)):
                what = "any address" if version or len(versions) == 2 else f"any IPv{versions.pop()} address"
                return [f"{what} but {', '.join(without)}" if without else what]
        return said

    def _covered(self, ranges: tuple[Range, ...], version: int) -> list[str]:
        """Names of objects in `ranges`, and the networks and ranges that they leave over."""
        if len(ranges) == 1 and ranges[0] == Range(ranges[0].version, 0, LAST[ranges[0].version]):
            return [f"any IPv{ranges[0].version} address"]
        candidates = self._inside(ranges, version)
        candidates.sort(key=lambda item: (-item.size, len(item.name)))
        left = ranges
        said: list[str] = []
        for item in candidates:
            if not left:
                break
            if all(_holds(left, part) for part in item.ranges):
                said.append(item.name)
                left = tuple(
                    Range(part.version, first, last)
                    for part in left
                    for ((first, last),) in minus_all(
                        [((part.first, part.last),)],
                        [((own.first, own.last),) for own in item.ranges if own.version == part.version],
                    )
                )
        said += [word for part in left for word in networks(part)]
        plain = [word for part in ranges for word in networks(part)]
        return plain if len(plain) < len(said) else said

    def _inside(self, ranges: tuple[Range, ...], version: int) -> list[_Named]:
        index = self._objects.get(version)
        if index is None:
            index = self._objects[version] = _index(self.policy.objects.values(), version)
        found: list[_Named] = []
        for part in ranges:
            first = bisect_left(index.firsts, (part.version, part.first))
            last = bisect_right(index.firsts, (part.version, part.last))
            found.extend(
                item
                for item in index.objects[first : min(last, first + _TRIED)]
                if all(_holds(ranges, own) for own in item.ranges)
            )
        return found

    def of_both(self, name: str) -> bool:
        """Whether a word is an object with addresses of both versions."""
        known = self.policy.objects.get(name)
        return known is not None and len({part.version for part in known.addresses.ranges}) == 2

    # --- services -------------------------------------------------------------------------------------

    def services(self, parts: Iterable[Cuboid]) -> list[str]:
        """The words for boxes of protocol, key and source port; [] for every service."""
        whole = fused(parts)
        if whole == (ANY_SERVICE,):
            return []
        missing = minus_all([ANY_SERVICE], whole)
        if len(missing) < len(whole) or any(first != last for (first, last), _, _ in whole):
            without = self._named(fused(missing))
            if all(first == last for (first, last), _, _ in missing) and len(without) <= _LISTED:
                return [f"any service but {', '.join(without)}"]
        return self._named(whole)

    def _named(self, parts: tuple[Cuboid, ...]) -> list[str]:
        left = list(parts)
        said: list[str] = []
        for name, boxes in self._services:
            if left and all(any(common(part, box) == box for part in left) for box in boxes):
                said.append(name)
                left = list(fused(minus_all(left, boxes)))
        said += [words_of_service(part) for part in sorted(left)]
        return said if len(said) <= len(parts) else [words_of_service(part) for part in parts]

    # --- people ---------------------------------------------------------------------------------------

    def people(self, ids: Iterable[str], nobody: bool) -> str:
        """`group:staff, h.officer`, `nobody known`; "" for anyone at all."""
        wanted = set(ids)
        if not wanted:
            return "" if nobody else "any known person"
        everyone = set(self.policy.people)
        if nobody:
            return "" if wanted >= everyone else f"anyone but {', '.join(self._persons(everyone - wanted))}"
        return ", ".join(self._persons(wanted))

    def _persons(self, wanted: set[str]) -> list[str]:
        left = set(wanted)
        said: list[str] = []
        for name, group in sorted(self.policy.groups.items(), key=lambda item: -len(item[1].members)):
            members = set(group.members)
            if members and members <= left:
                said.append(f"group:{name}")
                left -= members
        return said + sorted(left)


def _index(objects: Iterable[Object], version: int) -> _Index:
    """The objects by their first address; with `version` by what they have of it."""
    named: list[_Named] = []
    for item in objects:
        ranges = tuple(part for part in item.addresses.ranges if version in (0, part.version))
        if ranges and not item.addresses.dynamic and item.addresses.ranges != EVERYTHING.ranges:
            named.append(_Named(item.name, ranges, sum(map(_size, ranges))))
    named.sort(key=lambda item: (item.ranges[0].version, item.ranges[0].first))
    return _Index(named, [(item.ranges[0].version, item.ranges[0].first) for item in named])


def listed(words: list[str], most: int = _LISTED) -> str:
    """The words with commas; beyond `most` how many more there are."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"


def networks(part: Range) -> list[str]:
    """An interval as one network or range, or as a few networks where two say it in full."""
    whole = words_of(part)
    if "-" not in whole:
        return [whole]
    size = part.last - part.first + 1
    largest = 1 << (size.bit_length() - 1)
    for first in (part.first, part.last - largest + 1):
        if first & (largest - 1) == 0:
            rest = (first + largest, part.last) if first == part.first else (part.first, first - 1)
            pair = [Range(part.version, first, first + largest - 1), Range(part.version, *rest)]
            words = [words_of(item) for item in sorted(pair)]
            if not any("-" in word for word in words):
                return words
    return [whole]


def words_of_service(part: Cuboid) -> str:
    """One box of protocol, key and source port: `tcp/8000-8100`, `udp/68 from 67`, `icmp/3/4`, `proto/5-16`."""
    (first, last), key, origin = part
    if first != last:
        return f"proto/{first}-{last}"
    if first in (1, 58):
        if key == FULL_KEY:
            return words_of_entry(ServiceEntry(first))
        kinds, codes = (key[0] >> 8, key[1] >> 8), (key[0] & 255, key[1] & 255)
        if codes == (0, 255):
            return words_of_entry(ServiceEntry(first, icmp=kinds))
        if kinds[0] == kinds[1]:
            if codes[0] == codes[1]:
                return words_of_entry(ServiceEntry(first, icmp=kinds, code=codes[0]))
            return f"{words_of_entry(ServiceEntry(first, icmp=kinds))}/{codes[0]}-{codes[1]}"
        return f"{words_of_entry(ServiceEntry(first, icmp=kinds))} (codes from {codes[0]} to {codes[1]})"
    if first in PORT_PROTOCOLS:
        return words_of_entry(ServiceEntry(first, key, origin))
    return words_of_entry(ServiceEntry(first))


def cuboid_of(entry: ServiceEntry) -> list[Cuboid]:
    """The boxes of protocol, key and source port of an entry; one with a code and several types has one for each."""
    if entry.protocol is None:
        return [ANY_SERVICE]
    protocol = (entry.protocol, entry.protocol)
    if entry.protocol in (1, 58):
        if entry.code is not None:
            kinds = range(entry.icmp[0], entry.icmp[1] + 1)
            return [(protocol, (kind * 256 + entry.code, kind * 256 + entry.code), FULL_KEY) for kind in kinds]
        return [(protocol, (entry.icmp[0] * 256, entry.icmp[1] * 256 + 255), FULL_KEY)]
    if entry.protocol in PORT_PROTOCOLS:
        return [(protocol, entry.ports, entry.source_ports)]
    return [(protocol, FULL_KEY, FULL_KEY)]


def _cuboids(entries: Iterable[ServiceEntry]) -> tuple[Cuboid, ...]:
    return fused(box for entry in entries for box in cuboid_of(entry))


def _holds(ranges: Iterable[Range], part: Range) -> bool:
    return any(own.version == part.version and own.first <= part.first and part.last <= own.last for own in ranges)


def _size(part: Range) -> int:
    return part.last - part.first + 1
