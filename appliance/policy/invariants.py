"""Whether the rules of a policy keep its invariants: no allow rule may let through what is never to pass.

The judgement is safe, not subtle. A rule that can match a forbidden packet is reported, unless the invariant
excepts it or one rule above, without conditions, denies everything that the two have in common. What depends
on the moment (people, schedules, rates, DNS names) is taken as if it held.
"""

from __future__ import annotations

import msgspec

from appliance.policy.addresses import address, intersection, normal, without, words_of
from appliance.policy.model import (
    ANY,
    EVERYTHING,
    GATEWAY,
    AddressSet,
    Invariant,
    Object,
    Range,
    Rule,
    ServiceEntry,
    Zone,
)

MAX_COMPARISONS = 250_000  # of rules with rules above; beyond it the judgement is on the safe side
VERSIONS = {1: (4,), 58: (6,)}  # ICMP is of IPv4 only, ICMPv6 of IPv6 only


class Overlap(msgspec.Struct, frozen=True):
    """What a rule and an invariant have in common, in one zone pair."""

    source_zone: str
    destination_zone: str
    source: tuple[Range, ...]
    destination: tuple[Range, ...]
    services: tuple[ServiceEntry, ...]


class Breach(msgspec.Struct, frozen=True):
    """A rule that lets through what an invariant never allows."""

    rule: Rule
    invariant: Invariant
    overlap: Overlap

    @property
    def words(self) -> str:
        """An example of what passes: `lan 10.20.0.0/16 -> dmz 10.21.0.10`."""
        left, right = self.overlap.source[0], self.overlap.destination[0]
        for source in self.overlap.source:
            for destination in self.overlap.destination:
                if source.version == destination.version:
                    left, right = source, destination
        return f"{_place(self.overlap.source_zone, left)} -> {_place(self.overlap.destination_zone, right)}"


def _place(zone: str, item: Range) -> str:
    return zone if item in EVERYTHING.ranges else f"{zone} {words_of(item)}"


class Judge:
    """Judges rules against invariants; what it found clean it knows again while the vocabulary is the same."""

    def __init__(self, invariants: list[Invariant], zones: dict[str, Zone], objects: dict[str, Object]) -> None:
        self.invariants = invariants
        self.zones = zones
        self.objects = objects
        self.places = {zone.name: self._living_in(zone) for zone in zones.values()}
        self.places[GATEWAY] = self._gateway()
        self._comparisons = 0
        self._clean: dict[str, Rule] = {}
        self._pairs: dict[tuple[int, tuple[str, ...], tuple[str, ...]], bool] = {}

    def _living_in(self, zone: Zone) -> tuple[Range, ...]:
        """The addresses that can be in a zone: its networks, or where it names none, what no other zone names."""
        if zone.networks:
            return zone.networks
        free = EVERYTHING.ranges
        for other in self.zones.values():
            free = without(free, other.networks)
        return free

    def _gateway(self) -> tuple[Range, ...]:
        """The addresses the gateway can have: those the text gives it, and what no zone names."""
        found: tuple[Range, ...] = EVERYTHING.ranges
        own: list[Range] = []
        for zone in self.zones.values():
            found = without(found, zone.networks)
            for item in zone.addresses:
                version, number = address(item.address.partition("/")[0])
                own.append(Range(version, number, number))
        return normal([*found, *own])

    def breaches(self, rules: tuple[Rule, ...]) -> list[Breach]:
        """Every rule that breaks an invariant, in the order of the rules."""
        if not self.invariants:
            return []
        found: list[Breach] = []
        clean: dict[str, Rule] = {}
        denials: list[Rule] = []  # above the rule that is judged, and without conditions
        self._comparisons = 0
        for rule in rules:
            if rule.action != "allow" or not rule.enabled:
                if rule.action != "allow" and _always(rule):
                    denials.append(rule)
                continue
            known = self._clean.get(rule.id)
            if known is None or not (
                known.source is rule.source
                and known.destination is rule.destination
                and known.services is rule.services
                and known.sources == rule.sources
                and known.destinations == rule.destinations
            ):
                overlaps = [(item, overlap) for item in self.invariants for overlap in self._overlaps(rule, item)]
                for item, overlap in overlaps:
                    if rule.id not in item.excepted and not self._denied(overlap, denials):
                        found.append(Breach(rule, item, overlap))
                        break
                if overlaps:
                    continue  # what overlaps may be clean only because of the rules above it
            clean[rule.id] = rule
        self._clean = clean
        return found

    def _overlaps(self, rule: Rule, item: Invariant) -> list[Overlap]:
        key = (id(item), rule.sources, rule.destinations)
        if self._pairs.get(key) is False:
            return []
        found: list[Overlap] = []
        meets = False
        for source_zone, source in self._sides(item.sources, rule.sources):
            for destination_zone, destination in self._sides(item.destinations, rule.destinations):
                if source_zone == destination_zone == GATEWAY:
                    continue
                meets = True
                services = common_services(rule.services, item.services)
                if not services:
                    continue
                left = self._common(rule.source, source, source_zone)
                right = self._common(rule.destination, destination, destination_zone)
                versions = {one.version for one in left} & {one.version for one in right}
                services = tuple(
                    entry for entry in services if versions & set(VERSIONS.get(entry.protocol or 0, (4, 6)))
                )
                if versions and services:
                    found.append(Overlap(source_zone, destination_zone, left, right, services))
        self._pairs[key] = meets
        return found

    def _sides(self, names: tuple[str, ...], zones: tuple[str, ...]) -> list[tuple[str, AddressSet]]:
        """The zones of a rule's side that an invariant's side speaks of, and of which addresses in them."""
        own = list(self.zones) if ANY in zones else list(zones)
        found: list[tuple[str, AddressSet]] = []
        for name in names:
            if name == ANY:
                found.extend((zone, EVERYTHING) for zone in own if zone != GATEWAY)
            elif name in self.places:
                found.extend((zone, EVERYTHING) for zone in own if zone == name)
            elif name in self.objects:
                found.extend((zone, self.objects[name].addresses) for zone in own)
        return found

    def _common(self, mine: AddressSet, item: AddressSet, zone: str) -> tuple[Range, ...]:
        """The addresses that both speak of. A DNS name may stand for any address.

        Where the invariant names an object, only those addresses count that can be in the zone at all.
        """
        here = EVERYTHING.ranges if item is EVERYTHING else self.places[zone]
        left = here if mine.dynamic else intersection(mine.ranges, here)
        if item.dynamic and (mine == EVERYTHING or set(item.dynamic) & set(mine.dynamic)):
            return left
        return intersection(left, item.ranges)

    def _denied(self, overlap: Overlap, denials: list[Rule]) -> bool:
        """Whether one of the rules above denies every packet of an overlap. Too many to look at: no."""
        self._comparisons += len(denials)
        return self._comparisons <= MAX_COMPARISONS and any(self._takes(above, overlap) for above in denials)

    def _takes(self, above: Rule, overlap: Overlap) -> bool:
        return (
            _in(overlap.source_zone, above.sources)
            and _in(overlap.destination_zone, above.destinations)
            and not without(overlap.source, above.source.ranges)
            and not without(overlap.destination, above.destination.ranges)
            and all(any(_covers(mine, entry) for mine in above.services) for entry in overlap.services)
        )


def _always(rule: Rule) -> bool:
    """Whether a rule holds at any moment."""
    return rule.enabled and not (rule.people or rule.when or rule.rate or rule.connections or rule.expires_at)


def _in(zone: str, zones: tuple[str, ...]) -> bool:
    return zone in zones or (ANY in zones and zone != GATEWAY)


def common_services(left: tuple[ServiceEntry, ...], right: tuple[ServiceEntry, ...]) -> tuple[ServiceEntry, ...]:
    """What two lists of services have in common."""
    return tuple(found for a in left for b in right if (found := _common_entry(a, b)) is not None)


def _common_entry(a: ServiceEntry, b: ServiceEntry) -> ServiceEntry | None:
    if a.protocol is None:
        return b
    if b.protocol is None:
        return a
    ports = max(a.ports[0], b.ports[0]), min(a.ports[1], b.ports[1])
    sources = max(a.source_ports[0], b.source_ports[0]), min(a.source_ports[1], b.source_ports[1])
    icmp = max(a.icmp[0], b.icmp[0]), min(a.icmp[1], b.icmp[1])
    same_code = a.code is None or b.code is None or a.code == b.code
    if a.protocol != b.protocol or not same_code or any(x > y for x, y in (ports, sources, icmp)):
        return None
    return ServiceEntry(a.protocol, ports, sources, icmp, b.code if a.code is None else a.code)


def _covers(a: ServiceEntry, b: ServiceEntry) -> bool:
    return a.protocol is None or _common_entry(a, b) == b
