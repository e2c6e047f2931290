"""Which rule decides about a packet, and which nearly did.

`decide.first_match` is the meaning. Here every condition is one set of rules, a bit for each rule in their order:
those whose source holds the packet's, those whose service does, and so on. The lowest bit of their intersection
decides. A rule in all of them but one nearly did, and the one it is not in is why it did not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator

import msgspec

from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.decide import Packet, World, address_in, service_is, zone_of
from appliance.policy.model import ANY, GATEWAY, AddressSet, Policy, Rule, ServiceEntry
from appliance.policy.schedule import is_on

# The conditions of a rule by how near it is when this one alone fails: what ends by itself first, the zones last.
FIELDS = (
    "order",
    "limit",
    "when",
    "expires",
    "enabled",
    "people",
    "source port",
    "port",
    "source",
    "destination",
    "service",
    "from",
    "to",
)
_RANK = {field: rank for rank, field in enumerate(FIELDS)}
_LARGE = 256  # members of a group whose bits are made at once
Bits = int  # a set of rules: bit n is the rule at place n


class Near(msgspec.Struct, frozen=True):
    """A rule that would have decided otherwise, but for `missed` (of FIELDS). `place` counts rules from 0."""

    rule: Rule
    missed: tuple[str, ...]
    place: int


class Found(msgspec.Struct, frozen=True):
    """`rule` decides, None for the default; `near` are the nearest of those `count` that nearly did otherwise."""

    rule: Rule | None
    near: tuple[Near, ...] = ()
    count: int = 0


class _Groups:
    """Places by what they have in common; a large group is turned into bits once, when it is asked for."""

    def __init__(self) -> None:
        self.places: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._bits: dict[Hashable, Bits] = {}

    def settle(self) -> None:
        """Turn the large groups into bits now, so that no question waits for it."""
        for key, places in self.places.items():
            if len(places) > _LARGE:
                self.bits(key)

    def bits(self, key: Hashable) -> Bits:
        known = self._bits.get(key)
        if known is None:
            known = self._bits[key] = _bits(self.places.get(key, ()))
        return known


def _bits(places: Iterable[int]) -> Bits:
    listed = list(places)
    if len(listed) < 16:
        few = 0
        for place in listed:
            few |= 1 << place
        return few
    octets = bytearray(max(listed) // 8 + 1)
    for place in listed:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def _places(bits: Bits) -> Iterator[int]:
    """The members of a set, lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


class _Addresses:
    """Rules by one of their address conditions: hosts and prefixes are looked up, other ranges are gone through."""

    def __init__(self) -> None:
        self._aligned: dict[int, dict[int, _Groups]] = {4: {}, 6: {}}  # version -> size -> by first address
        self._ranges: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        self._dynamic = _Groups()

    def add(self, where: AddressSet, place: int) -> None:
        for part in where.ranges:
            version, first = part.version, part.first
            size = part.last - first + 1
            if size & (size - 1) == 0 and first & (size - 1) == 0:
                sized = self._aligned[version].get(size)
                if sized is None:
                    sized = self._aligned[version][size] = _Groups()
                sized.places[first].append(place)
            else:
                self._ranges[version].append((first, part.last, place))
        for name in where.dynamic:
            self._dynamic.places[name].append(place)

    def groups(self) -> list[_Groups]:
        return [self._dynamic, *(sized for sizes in self._aligned.values() for sized in sizes.values())]

    def holding(self, version: int, address: int, world: World) -> Bits:
        found = _bits(place for first, last, place in self._ranges[version] if first <= address <= last)
        for size, sized in self._aligned[version].items():
            if (first := address & -size) in sized.places:
                found |= sized.bits(first)
        for name in self._dynamic.places:
            if address_in(version, address, AddressSet((), (str(name),)), world):
                found |= self._dynamic.bits(name)
        return found


class Rulebook:
    """A policy's rules, by each of their conditions. Made once for a policy, asked often."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._all = (1 << len(policy.rules)) - 1
        self._from, self._to, self._services, self._when = _Groups(), _Groups(), _Groups(), _Groups()
        self._source, self._destination, self._expires, self._people = (
            _Addresses(),
            _Addresses(),
            _Groups(),
            _Groups(),
        )
        permits: list[int] = []
        disabled: list[int] = []
        # Rules of one text share what is written alike, and a small number is looked up faster than many fields.
        known: dict[int, tuple[ServiceEntry, ...]] = {}
        same: dict[tuple[ServiceEntry, ...], tuple[ServiceEntry, ...]] = {}
        for place, rule in enumerate(policy.rules):
            self._from.places[rule.sources].append(place)
            self._to.places[rule.destinations].append(place)
            self._source.add(rule.source, place)
            self._destination.add(rule.destination, place)
            services = known.get(id(rule.services))
            if services is None:
                services = known[id(rule.services)] = same.setdefault(rule.services, rule.services)
            self._services.places[id(services)].append(place)
            if rule.people:
                self._people.places[rule.people].append(place)
            if rule.when:
                self._when.places[rule.when].append(place)
            if rule.expires_at:
                self._expires.places[rule.expires_at].append(place)
            if not rule.enabled:
                disabled.append(place)
            if rule.action == "allow":
                permits.append(place)
        self._entries = {id(services): services for services in same.values()}
        self._permits, self._disabled = _bits(permits), _bits(disabled)
        for groups in (self._from, self._to, self._services, *self._source.groups(), *self._destination.groups()):
            groups.settle()

    def match(self, policy: Policy, packet: Packet, world: World) -> Rule | None:
        """As `decide.first_match`, which it may stand in for. `policy` has the rules of this one."""
        fields = self._fields(packet, world)
        place = _first(_all_of(fields, self._all)) if fields else -1
        return policy.rules[place] if place >= 0 else None

    def find(self, packet: Packet, world: World, most: int = 5) -> Found:
        """The deciding rule of a packet as the filter sees it (after destination NAT, `leaving` known), and the
        nearest of the others, at most `most`."""
        fields = self._fields(packet, world)
        if not fields:
            return Found(None)
        rules = self.policy.rules
        holds = _all_of(fields, self._all)
        place = _first(holds)
        denied = place < 0 or rules[place].action != "allow"
        before = self._all if place < 0 else (1 << place) - 1
        wanted = self._permits if denied else ~self._permits & self._all & before
        near: dict[tuple[str, ...], Bits] = {}
        if place >= 0 and denied:
            near["order",] = holds & wanted & ~before
        # A later rule that misses something besides coming later is not near.
        for field in fields:
            near[(field,)] = _all_of(fields, wanted & before, field)
        if denied and not any(near.values()):
            inside = [field for field in fields if field not in ("from", "to")]
            for index, field in enumerate(inside):
                for other in inside[index + 1 :]:
                    near[(field, other)] = _all_of(fields, wanted & before, field, other)
        ranked = sorted((_rank(missed), missed, bits) for missed, bits in near.items() if bits)
        # What a service misses is told apart only where it is shown: ports nearer than protocols.
        shown = [
            Near(rules[place], tuple(_precise(field, rules[place], packet) for field in missed), place)
            for _, missed, bits in ranked
            for place, _ in zip(_places(bits), range(4 * most), strict=False)
        ]
        shown.sort(key=lambda one: (_rank(one.missed), one.place))
        count = sum(bits.bit_count() for bits in near.values())
        return Found(rules[place] if place >= 0 else None, tuple(shown[:most]), count)

    def _fields(self, packet: Packet, world: World) -> dict[str, Bits]:
        """For each condition the rules that meet it; {} for a packet that comes from or goes to no zone."""
        source, destination = zone_of(self.policy, packet.entering), zone_of(self.policy, packet.leaving)
        if not source or not destination:
            return {}
        fields = {
            "from": _zoned(self._from, source),
            "to": _zoned(self._to, destination),
            "source": self._source.holding(packet.version, packet.source, world),
            "destination": self._destination.holding(packet.version, packet.destination, world),
            "service": 0,
        }
        for number, services in self._entries.items():
            if any(service_is(entry, packet) for entry in services):
                fields["service"] |= self._services.bits(number)
        for name, groups, met in self._conditions(packet, world):
            failing = 0
            for key in groups.places:
                if not met(key):
                    failing |= groups.bits(key)
            if failing:
                fields[name] = self._all & ~failing
        if self._disabled:
            fields["enabled"] = self._all & ~self._disabled
        if (
            over := [place for place, rule in enumerate(self.policy.rules) if rule.id in world.over]
            if world.over
            else []
        ):
            fields["limit"] = self._all & ~_bits(over)
        return fields

    def _conditions(self, packet: Packet, world: World) -> list[tuple[str, _Groups, Callable[[Hashable], bool]]]:
        def somebody(people: Hashable) -> bool:
            assert isinstance(people, tuple)
            return address_in(packet.version, packet.source, AddressSet((), people), world)

        def on(schedule: Hashable) -> bool:
            return is_on(self.policy.schedules[str(schedule)], world.now)

        def lasts(end: Hashable) -> bool:
            assert isinstance(end, int)
            return world.now < end

        return [("people", self._people, somebody), ("when", self._when, on), ("expires", self._expires, lasts)]


def _zoned(groups: _Groups, zone: str) -> Bits:
    found = 0
    for zones in groups.places:
        assert isinstance(zones, tuple)
        if zone in zones or (ANY in zones and zone != GATEWAY):
            found |= groups.bits(zones)
    return found


def _all_of(fields: dict[str, Bits], among: Bits, *but: str) -> Bits:
    """Those of `among` that meet every condition, and none of `but`."""
    for name, bits in fields.items():
        among &= ~bits if name in but else bits
    return among


def _first(bits: Bits) -> int:
    return (bits & -bits).bit_length() - 1


def _rank(missed: tuple[str, ...]) -> tuple[int, ...]:
    return (len(missed), *(_RANK[field] for field in missed))


def _precise(field: str, rule: Rule, packet: Packet) -> str:
    """For a service that does not hold: whether the protocol does and only a port misses."""
    if field != "service" or packet.protocol not in PORT_PROTOCOLS:
        return field
    entries = [entry for entry in rule.services if entry.protocol == packet.protocol]
    if any(entry.ports[0] <= packet.destination_port <= entry.ports[1] for entry in entries):
        return "source port"
    return "port" if entries else "service"
