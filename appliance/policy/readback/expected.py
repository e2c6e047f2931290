"""What the policy means at each place, as the same kind of program that is read from the kernel.

Made from the model alone, by its meaning (`decide.py`): rules in their order, first match. It shares no step with the
compiler, so that a mistake there is found here.
"""

from __future__ import annotations

import msgspec

from appliance.policy.boxes import FULL_ADDRESS, FULL_PORTS, PORT_PROTOCOLS, icmp_protocol
from appliance.policy.compiling import emit
from appliance.policy.compiling.onlink import onlink
from appliance.policy.compiling.rulechain import UNITS, Surroundings, effect
from appliance.policy.decide import DEFAULT, LINK_LOCAL, SPOOFED, zone_of
from appliance.policy.model import ANY, GATEWAY, AddressSet, Policy, Rate, Rule, ServiceEntry, Zone
from appliance.policy.readback import packets
from appliance.policy.readback.packets import EVERY, Interval, Place, Product, Values, beginnings, joined, narrowed
from appliance.policy.readback.registers import ROUTED_BACK, Condition, Literals
from appliance.policy.schedule import windows

PINHOLE = "pinhole"
LOOPBACK = "lo"
NOT_FIRST = "what begins no connection"


class Decided(msgspec.Struct, frozen=True):
    """How a first packet is decided. `action` allow, deny or reject; with `inspected`, by way of inspection;
    `revisited` where its connection must be asked again while it lasts."""

    action: str
    rule: str
    inspected: str = ""
    revisited: bool = False


class Case(msgspec.Struct, frozen=True, gc=False):
    """So many packets under such conditions are `decided`; with None, they go on `skip` cases further."""

    product: Product
    literals: Literals
    decided: Decided | None
    skip: int = 0


ALWAYS: Literals = frozenset()


class Expected:
    """A policy, at every place. `period` is the time that schedules are compiled for."""

    def __init__(self, policy: Policy, around: Surroundings, period: Interval) -> None:
        self._policy = policy
        self._around = around
        self._period = period
        self._pairs: dict[tuple[str, str, int], list[Case]] = {}
        self._windows: dict[str, Values] = {}
        for rule in policy.rules:
            if rule.enabled:
                self._add(rule)

    def interfaces(self) -> list[str]:
        return [name for zone in self._policy.zones.values() for name in zone.interfaces]

    def at(self, place: Place) -> list[Case]:
        """The program of a place, complete: its last case decides whatever is left."""
        cases = self.impossible(place)
        if LOOPBACK in (place.entering, place.leaving):
            return [*cases, Case(EVERY, ALWAYS, Decided("allow", LOOPBACK))]
        cases += self._sources(place)
        source, destination = zone_of(self._policy, place.entering), zone_of(self._policy, place.leaving)
        cases += self._pairs.get((source, destination, place.version), [])
        if place.hook == "forward":
            udp = narrowed(EVERY, packets.PROTOCOL, ((17, 17),))
            hole: Condition = ("in the set", emit.member_set(PINHOLE, place.version), "source", "destination", "port")
            if udp is not None:
                cases.append(Case(udp, frozenset({(hole, True)}), Decided("allow", PINHOLE)))
        cases.append(Case(EVERY, ALWAYS, Decided("deny", DEFAULT)))
        return cases

    def impossible(self, place: Place) -> list[Case]:
        """What no first packet is: it stands before whatever is compared, on both sides."""
        never = Decided("deny", NOT_FIRST)
        cases = [Case(product, ALWAYS, never) for product in beginnings(place.version)]
        zone = self._policy.zones.get(zone_of(self._policy, place.entering)) if place.entering else None
        if zone is not None and (behind := self._behind(zone, place)):
            # The networks of the interface's own addresses: the policy routes them through it and nowhere else.
            cases.append(Case(_on(packets.SOURCE, behind), frozenset({(ROUTED_BACK, False)}), never))
        return cases

    def _behind(self, zone: Zone, place: Place) -> Values:
        return joined(
            [
                (part.first, part.last)
                for interface, part in onlink(self._policy, zone)
                if interface == place.entering and part.version == place.version
            ]
        )

    # --- anti-spoofing ------------------------------------------------------------------------------

    def _sources(self, place: Place) -> list[Case]:
        """A source that cannot be behind the interface is denied."""
        zone = self._policy.zones.get(zone_of(self._policy, place.entering)) if place.entering else None
        if zone is None or not zone.antispoofing:
            return []
        spoofed = Decided("deny", SPOOFED)
        rest = [Case(product, ALWAYS, spoofed) for product in self._foreign(zone, place.version)]
        if behind := self._behind(zone, place):
            rest.append(Case(_on(packets.SOURCE, behind), ALWAYS, None, 2))
        rest.append(Case(EVERY, frozenset({(ROUTED_BACK, False)}), spoofed))
        without_address = _bootstrap(place.version)
        cases = []
        for place_of, product in enumerate(without_address):
            cases.append(Case(product, ALWAYS, None, len(without_address) - place_of + len(rest)))
        return cases + rest

    def _foreign(self, zone: Zone, version: int) -> list[Product]:
        if not zone.networks:
            return []
        inside = joined([(part.first, part.last) for part in zone.networks if part.version == version])
        outside = packets.without(inside, FULL_ADDRESS[version])
        return [_on(packets.SOURCE, outside)] if outside else []

    # --- rules --------------------------------------------------------------------------------------

    def _add(self, rule: Rule) -> None:
        times = self._times(rule)
        if not times:
            return
        decided = self._decided(rule)
        found = {version: _cases(rule, version, times[0], decided) for version in (4, 6)}
        named = [zone for zone in self._policy.zones if zone != GATEWAY]
        for source in named if ANY in rule.sources else rule.sources:
            for destination in named if ANY in rule.destinations else rule.destinations:
                for version, cases in found.items():
                    if cases:
                        self._pairs.setdefault((source, destination, version), []).extend(cases)

    def _decided(self, rule: Rule) -> Decided:
        action, flags = effect(rule, self._around)
        inspected = ""
        if flags:
            inspected = self._around.inspection.get(rule.inspect, "fail-closed")
        timed = bool(rule.people or rule.when or rule.expires_at)
        return Decided(action, rule.id, inspected, action == "allow" and timed)

    def _times(self, rule: Rule) -> tuple[Values | None] | tuple[()]:
        """When a rule holds; () for never."""
        held: Values | None = None
        if rule.when:
            held = self._windows.get(rule.when)
            if held is None:
                on = windows(self._policy.schedules[rule.when], self._period[0], self._period[1] + 1)
                held = self._windows[rule.when] = joined([(opens, closes - 1) for opens, closes in on])
            if not held:
                return ()
        if rule.expires_at:
            if rule.expires_at <= self._period[0]:
                return ()
            held = packets.common(held, ((self._period[0], rule.expires_at - 1),))
            if not held:
                return ()
        return (held,)


def _cases(rule: Rule, version: int, times: Values | None, decided: Decided) -> list[Case]:
    """Every product that a rule holds, with its conditions."""
    services = services_of(rule.services, version)
    if not services:
        return []
    people: list[Literals] = [ALWAYS]
    if rule.people:
        people = [frozenset({(_member(name, version, "source"), True)}) for name in rule.people]
    limits: Literals = ALWAYS
    if rule.rate is not None or rule.connections is not None:
        limits = frozenset((condition, False) for condition in _limits(rule))
    destinations = addresses_of(rule.destination, version, "destination")
    cases: list[Case] = []
    for person in people:
        for source, in_source in addresses_of(rule.source, version, "source"):
            for destination, in_destination in destinations:
                literals = ALWAYS
                if person or in_source or in_destination or limits:
                    literals = person | in_source | in_destination | limits
                for protocol, key, source_port in services:
                    product = (source, destination, protocol, key, source_port, times, None)
                    cases.append(Case(product, literals, decided))
    return cases


def _on(axis: int, values: Values) -> Product:
    return (*EVERY[:axis], values, *EVERY[axis + 1 :])


def _bootstrap(version: int) -> list[Product]:
    """What has no address yet asks for one; link-local does not leave its line."""
    none: Values = ((0, 0),)
    if version == 4:
        return [(none, None, ((17, 17),), ((67, 67),), None, None, None)]
    kinds = joined([(kind * 256, kind * 256 + 255) for kind in (133, 135, 143)])
    local: Values = ((LINK_LOCAL.first, LINK_LOCAL.last),)
    return [(none, None, ((58, 58),), kinds, None, None, None), (local, *EVERY[1:])]


def addresses_of(where: AddressSet, version: int, end: str) -> list[tuple[Values | None, Literals]]:
    """Alternatives for an address: its intervals, and each set that is filled meanwhile."""
    found: list[tuple[Values | None, Literals]] = []
    values = tuple([(part.first, part.last) for part in where.ranges if part.version == version])
    if values == (FULL_ADDRESS[version],):
        return [(None, ALWAYS)]
    if values:
        found.append((values, ALWAYS))
    found += [(None, frozenset({(_member(name, version, end), True)})) for name in where.dynamic]
    return found


def _member(name: str, version: int, end: str) -> Condition:
    return ("in the set", emit.member_set(name, version), end)


def services_of(
    entries: tuple[ServiceEntry, ...], version: int
) -> list[tuple[Values | None, Values | None, Values | None]]:
    """Products of protocol, key and source port; entries that differ in their ports only are one."""
    found: dict[tuple[Values | None, Values | None], list[Interval] | None] = {}
    for entry in entries:
        protocol = entry.protocol
        if protocol is None:
            return [(None, None, None)]
        held: Values = ((protocol, protocol),)
        keys: list[Interval] | None = None
        sources: Values | None = None
        if protocol in PORT_PROTOCOLS:
            keys = None if entry.ports == FULL_PORTS else [entry.ports]
            sources = None if entry.source_ports == FULL_PORTS else (entry.source_ports,)
        elif protocol in (icmp_protocol(4), icmp_protocol(6)):
            if protocol != icmp_protocol(version):
                continue
            first, last = entry.icmp
            codes = (0, 255) if entry.code is None else (entry.code, entry.code)
            keys = [(kind * 256 + codes[0], kind * 256 + codes[1]) for kind in range(first, last + 1)]
        before = found.get((held, sources), [])
        found[held, sources] = None if keys is None or before is None else before + keys
    return [
        (protocol, None if keys is None else joined(keys), sources) for (protocol, sources), keys in found.items()
    ]


def _limits(rule: Rule) -> list[Condition]:
    found: list[Condition] = []
    owner = f"r_{rule.id}"
    if rule.rate is not None:
        per = "" if rule.rate.per == "rule" else rule.rate.per
        found.append(("over the limit", owner, rate_words(rule.rate), per))
    if rule.connections is not None:
        per = "" if rule.connections.per == "rule" else rule.connections.per
        found.append(("over the limit", owner, f"{rule.connections.limit} connections", per))
    return found


def rate_words(rate: Rate) -> str:
    """A rate in the smallest of the kernel's units that says it exactly; rounded up to the week otherwise."""
    amount, unit = -(-rate.amount * 604800 // rate.seconds), 604800
    for _, seconds in UNITS:
        if rate.amount * seconds % rate.seconds == 0:
            amount, unit = rate.amount * seconds // rate.seconds, seconds
            break
    return f"{amount} packets in {unit} s, burst {rate.burst}"
