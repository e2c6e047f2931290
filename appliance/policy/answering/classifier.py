"""A policy as 64-bit words, for the classifier in C (`dataplane/core/classify.c`).

    format, filter rules, destination translations
    zones:      count, each: present, anti-spoofing, ranges
    schedules:  count, each: count, windows (first second, end second)
    live sets:  count, each: ranges
    routes:     count, each: a range and a zone; later ones are narrower and win
    destination translations, then filter rules; each:
        flags (1: from any zone, 2: to any zone, action << 8), schedule + 1, expiry, identity,
        target version, target address (high, low), target port,
        zones from, zones to, source ranges, destination ranges,
        keys (class of traffic, first, last), entries (protocol or 256, ports, source ports), live sets of
        source, people, destination

A list is its count and its items; a range is version, first (high, low), last (high, low). Zones, schedules, live
sets and rule ids have the same numbers in both policies of a replay (`Encoder`). Words of a rule depend on the rule
and those numbers alone, so they are kept: one edited rule costs one rule.

Limits of rate and connections are taken as not reached: what other connections there were at the moment is not known.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

from appliance.policy import addresses
from appliance.policy.answering.reach import NOWHERE, own_network
from appliance.policy.boxes import FULL_PORTS, ICMP, ICMPV6, PORT_PROTOCOLS, TCP, UDP, icmp_protocol, needs_entries
from appliance.policy.model import (
    ANY,
    GATEWAY,
    AddressSet,
    DestinationNat,
    Policy,
    Range,
    Rule,
    Schedule,
    ServiceEntry,
)
from appliance.policy.schedule import windows
from ctypes_ext.replay import ACTIONS

FORMAT = 1
_LOW = (1 << 64) - 1
_EVERY = 256
_FAMILIES = ("tcp", "udp", "icmp", "other")
_DAY = 86400
# Names that are kept between candidates. The classifier takes 1,024 zones, two policies bring 512 at most.
_ZONES, _NAMES, _RULES = 500, 4_096, 400_000

Members = Mapping[str, Iterable[Range]]


class Numbers:
    """Numbers for names, given as they come."""

    def __init__(self, *first: object) -> None:
        self._numbers: dict[object, int] = {name: number for number, name in enumerate(first)}

    def __getitem__(self, name: object) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def get(self, name: object) -> int:
        """The number of a name, -1 when it has none."""
        return self._numbers.get(name, -1)

    def __len__(self) -> int:
        return len(self._numbers)

    def names(self) -> list[object]:
        return list(self._numbers)


class Encoder:
    """The words of policies that are compared with each other; what was encoded before is kept."""

    def __init__(self) -> None:
        self.zones = Numbers(GATEWAY)
        self.rules = Numbers()
        self._schedules = Numbers()
        self._lives = Numbers()  # of (name, kind, what fills it)
        self._kept: dict[int, tuple[Rule, tuple[object, ...], bytes]] = {}

    def encode(self, *policies: Policy, members: Members, first: int, last: int) -> list[array[int]]:
        """The words of each policy. `members` of the live sets; the flows were between `first` and `last` (epoch).

        A policy's words hold for it and those encoded beside it.
        """
        bodies = [self._body(policy) for policy in policies]
        return [
            self._whole(policy, body, members, first, last) for policy, body in zip(policies, bodies, strict=True)
        ]

    def forget(self, *policies: Policy) -> None:
        """Keep only the rules of these policies."""
        alive = {id(rule) for policy in policies for rule in policy.rules}
        self._kept = {key: kept for key, kept in self._kept.items() if key in alive}

    @property
    def crowded(self) -> bool:
        """Whether the names of candidates that came and went fill what the classifier has numbers for."""
        names = len(self._schedules) + len(self._lives)
        return len(self.zones) > _ZONES or names > _NAMES or len(self.rules) > _RULES

    # --- one policy -----------------------------------------------------------------------------------

    def _body(self, policy: Policy) -> tuple[list[bytes], list[bytes]]:
        """The words of the translations and of the rules; everything has its number afterwards."""
        for zone in policy.zones:
            self.zones[zone]
        translations = [self._translation(rule).tobytes() for rule in policy.destination_nat]
        return translations, [self._rule(policy, rule) for rule in policy.rules if rule.enabled]

    def _whole(
        self, policy: Policy, body: tuple[list[bytes], list[bytes]], members: Members, first: int, last: int
    ) -> array[int]:
        translations, rules = body
        words = array("Q", (FORMAT, len(rules), len(translations), len(self.zones)))
        for name in self.zones.names():
            zone = policy.zones.get(str(name))
            words.extend((int(zone is not None or name == GATEWAY), int(zone is not None and zone.antispoofing)))
            _ranges(words, zone.networks if zone is not None else ())
        schedules = self._schedules.names()
        words.append(len(schedules))
        for key in schedules:
            assert isinstance(key, Schedule)
            found = windows(key, first - _DAY, last + _DAY)
            words.append(len(found))
            words.extend(second for window in found for second in window)
        lives = self._lives.names()
        words.append(len(lives))
        for live in lives:
            name = live[0] if isinstance(live, tuple) else ""
            _ranges(words, members.get(name, ()))
        ways = list(_ways(policy))
        words.append(len(ways))
        for part, zone_name in ways:
            words.extend((*_range(part), self.zones[zone_name]))
        words.frombytes(b"".join(translations))
        words.frombytes(b"".join(rules))
        return words

    def _rule(self, policy: Policy, rule: Rule) -> bytes:
        # What the words depend on besides the rule: other rules' words stay when it does not change.
        beside: tuple[object, ...] = ()
        if rule.when or rule.people or rule.source.dynamic or rule.destination.dynamic:
            names = (*rule.source.dynamic, *rule.people, *rule.destination.dynamic)
            beside = (policy.schedules.get(rule.when), *(policy.dynamics.get(name) for name in names))
        kept = self._kept.get(id(rule))
        if kept is not None and kept[0] is rule and kept[1] == beside:
            return kept[2]
        words = array("Q", (_flags(rule.sources, rule.destinations) | ACTIONS.index(rule.action) << 8,))
        words.append(self._schedules[policy.schedules[rule.when]] + 1 if rule.when else 0)
        words.extend((rule.expires_at, self.rules[rule.id], 0, 0, 0, 0))
        self._sides(words, rule.sources, rule.destinations)
        _ranges(words, rule.source.ranges)
        _ranges(words, rule.destination.ranges)
        _services(words, rule.services)
        for lives in (rule.source.dynamic, rule.people, rule.destination.dynamic):
            words.append(len(lives))
            words.extend(self._live(policy, name) for name in lives)
        encoded = words.tobytes()
        self._kept[id(rule)] = (rule, beside, encoded)
        return encoded

    def _translation(self, rule: DestinationNat) -> array[int]:
        sources = (*rule.sources, *(rule.hairpin_zones if rule.hairpin else ()))
        words = array("Q", (_flags(sources, (ANY,)), 0, 0, self.rules[rule.id], rule.to.version))
        words.extend((rule.to.first >> 64, rule.to.first & _LOW, rule.to_ports[0] if rule.to_ports else 0))
        self._sides(words, sources, (ANY,))
        _ranges(words, _of_version(rule.source, rule.to.version))
        _ranges(words, _of_version(rule.destination, rule.to.version))
        _services(words, rule.services)
        words.extend((0, 0, 0))  # nothing in it changes between generations
        return words

    def _sides(self, words: array[int], sources: tuple[str, ...], destinations: tuple[str, ...]) -> None:
        for zones in (sources, destinations):
            named = sorted({self.zones[zone] for zone in zones if zone != ANY})
            words.append(len(named))
            words.extend(named)

    def _live(self, policy: Policy, name: str) -> int:
        """Sets of one name that are filled with other things are two."""
        dynamic = policy.dynamics.get(name)
        return self._lives[(name, dynamic.kind if dynamic else "", dynamic.names if dynamic else ())]


# --- parts ---------------------------------------------------------------------------------------------


def _flags(sources: tuple[str, ...], destinations: tuple[str, ...]) -> int:
    return (ANY in sources) | (ANY in destinations) << 1


def _range(part: Range) -> tuple[int, int, int, int, int]:
    return (part.version, part.first >> 64, part.first & _LOW, part.last >> 64, part.last & _LOW)


def _ranges(words: array[int], ranges: Iterable[Range]) -> None:
    listed = list(ranges)
    words.append(len(listed))
    for part in listed:
        words.extend(_range(part))


def _of_version(where: AddressSet, version: int) -> tuple[Range, ...]:
    return tuple(part for part in where.ranges if part.version == version)


def _services(words: array[int], entries: tuple[ServiceEntry, ...]) -> None:
    keys = [key for entry in entries for key in _keys(entry)]
    words.append(len(keys))
    for key in keys:
        words.extend(key)
    # Where one entry says more than a key holds, all have to be looked at.
    said = entries if any(map(needs_entries, entries)) else ()
    words.append(len(said))
    for entry in said:
        ports = entry.ports if entry.protocol in PORT_PROTOCOLS else FULL_PORTS
        sources = entry.source_ports if entry.protocol in PORT_PROTOCOLS else FULL_PORTS
        words.extend((_EVERY if entry.protocol is None else entry.protocol, *ports, *sources))


def _keys(entry: ServiceEntry) -> Iterable[tuple[int, int, int]]:
    """(class of traffic, first, last) of what an entry matches, as `decide.service_is` says it."""
    for base, version in ((0, 4), (4, 6)):
        if entry.protocol is None:
            yield from ((base + family, 0, 65535) for family in range(3))
            yield base + 3, 0, 255
        elif entry.protocol == TCP:
            yield base, *entry.ports
        elif entry.protocol == UDP:
            yield base + 1, *entry.ports
        elif entry.protocol == icmp_protocol(version):
            first, last = entry.icmp
            if entry.code is None:
                yield base + 2, first << 8, last << 8 | 255
            else:
                yield from (
                    (base + 2, kind << 8 | entry.code, kind << 8 | entry.code) for kind in range(first, last + 1)
                )
        elif entry.protocol not in (ICMP, ICMPV6):
            yield base + 3, entry.protocol, entry.protocol


def _ways(policy: Policy) -> Iterable[tuple[Range, str]]:
    """Behind which zone addresses lie, as `reach` has it: narrower ones after wider ones, the gateway's own last."""
    zone_of = {interface: zone.name for zone in policy.zones.values() for interface in zone.interfaces}
    found: list[tuple[int, int, Range, str]] = []
    own: list[Range] = []
    direct: list[tuple[Range, str]] = []
    for zone in policy.zones.values():
        for item in zone.addresses:
            version, number = addresses.address(item.address.partition("/")[0])
            own.append(Range(version, number, number))
            direct.append((own_network(item.address), item.interface))
        found.extend((_width(part), 2, part, zone.name) for part in zone.networks)
    found.extend((_width(part), 0, part, zone_of.get(interface, "")) for part, interface in direct)
    for route in policy.routes:
        interface = NOWHERE if route.blackhole else route.interface or _by(direct, route.via)
        if interface:
            part = addresses.network(route.destination)
            found.append((_width(part), 1, part, zone_of.get(interface, "")))
    out = next((zone.name for zone in policy.zones.values() if not zone.networks and zone.interfaces), "")
    if out:
        yield from ((Range(version, 0, addresses.LAST[version]), out) for version in (4, 6))
    for _, _, part, name in sorted(found, key=lambda item: (-item[0], -item[1])):
        if name:
            yield part, name
    yield from ((part, GATEWAY) for part in own)


def _width(part: Range) -> int:
    return part.last - part.first


def _by(direct: list[tuple[Range, str]], via: str) -> str:
    if not via:
        return ""
    version, number = addresses.address(via)
    return next((name for part, name in direct if part.version == version and part.first <= number <= part.last), "")
