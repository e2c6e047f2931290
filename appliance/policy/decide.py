"""What the policy says about one packet, as plainly as it can be said: first match over the rules.

This is the meaning that the compiled ruleset is held to. It knows nothing of chains, maps or marks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.model import (
    ANY,
    GATEWAY,
    Action,
    AddressSet,
    DestinationNat,
    Policy,
    Range,
    Rule,
    ServiceEntry,
    SourceNat,
)
from appliance.policy.schedule import is_on

DEFAULT = "default"
SPOOFED = "antispoofing"
LINK_LOCAL = Range(6, 0xFE80 << 112, (0xFE80 << 112) | (1 << 118) - 1)


class Packet(msgspec.Struct, frozen=True):
    """The first packet of a connection. An interface "" is the gateway itself."""

    version: int
    entering: str
    leaving: str  # where routing sends it after destination NAT; `World.route` overrides it
    source: int
    destination: int
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0


class World(msgspec.Struct, frozen=True):
    """What a decision depends on besides policy and packet.

    `members` holds the addresses of dynamic sets; `over` the rules whose rate or connection limit is exceeded;
    `route` gives the interface towards an address ("" is the gateway), None trusts the packet; with `route`,
    `interface_addresses` gives what masquerade uses: (interface, version) -> address.
    """

    now: int = 0
    members: Mapping[str, frozenset[Range]] = {}
    over: frozenset[str] = frozenset()
    route: Callable[[int, int], str] | None = None
    interface_addresses: Mapping[tuple[str, int], int] = {}


# How the rule that matches a packet is found.
Match = Callable[[Policy, Packet, World], Rule | None]


class Decision(msgspec.Struct, frozen=True):
    """`rule` is the deciding rule's id, "default" or "antispoofing". Addresses and ports are those that leave.

    `destination_nat` and `source_nat` are the ids of the NAT rules that held, or "". A source port that NAT
    chooses freely from a range is `source_ports`; (0, 0) means it stays.
    """

    action: Action
    rule: str
    source: int
    destination: int
    destination_port: int = 0
    destination_nat: str = ""
    source_nat: str = ""
    source_ports: tuple[int, int] = (0, 0)


def decide(policy: Policy, packet: Packet, world: World | None = None, match: Match | None = None) -> Decision:
    """The decision about a connection's first packet. `match` may find the rule that `first_match` finds faster."""
    world = World() if world is None else world
    if spoofed(policy, packet, world):
        return Decision("deny", SPOOFED, packet.source, packet.destination, packet.destination_port)
    published = _published(policy, packet, world)
    real = packet
    if published is not None:
        port = published.to_ports[0] if published.to_ports and packet.protocol in PORT_PROTOCOLS else 0
        real = msgspec.structs.replace(
            packet, destination=published.to.first, destination_port=port or packet.destination_port
        )
    if world.route is not None:
        real = msgspec.structs.replace(real, leaving=world.route(real.version, real.destination))
    rule = (match or first_match)(policy, real, world)
    action: Action = "deny" if rule is None else rule.action
    decided = Decision(
        action=action,
        rule=DEFAULT if rule is None else rule.id,
        source=real.source,
        destination=real.destination,
        destination_port=real.destination_port,
        destination_nat="" if published is None else published.id,
    )
    return _leaving(policy, packet, real, published, decided, world) if action == "allow" else decided


def first_match(policy: Policy, packet: Packet, world: World) -> Rule | None:
    source, destination = zone_of(policy, packet.entering), zone_of(policy, packet.leaving)
    if not source or not destination:
        return None
    for rule in policy.rules:
        if rule.enabled and holds(policy, rule, packet, source, destination, world):
            return rule
    return None


def holds(policy: Policy, rule: Rule, packet: Packet, source: str, destination: str, world: World) -> bool:
    """Whether a rule matches a packet from zone `source` to zone `destination`."""
    return (
        _zone_in(source, rule.sources)
        and _zone_in(destination, rule.destinations)
        and address_in(packet.version, packet.source, rule.source, world)
        and address_in(packet.version, packet.destination, rule.destination, world)
        and any(service_is(entry, packet) for entry in rule.services)
        and (not rule.people or address_in(packet.version, packet.source, AddressSet((), rule.people), world))
        and (not rule.when or is_on(policy.schedules[rule.when], world.now))
        and (not rule.expires_at or world.now < rule.expires_at)
        and rule.id not in world.over
    )


def zone_of(policy: Policy, interface: str) -> str:
    """The zone of an interface, "gateway" for "", "" for an interface of no zone."""
    if not interface:
        return GATEWAY
    return next((zone.name for zone in policy.zones.values() if interface in zone.interfaces), "")


def _zone_in(zone: str, zones: tuple[str, ...]) -> bool:
    return zone in zones or (ANY in zones and zone != GATEWAY)


def address_in(version: int, value: int, where: AddressSet, world: World) -> bool:
    ranges = [*where.ranges, *(part for name in where.dynamic for part in world.members.get(name, ()))]
    return any(part.version == version and part.first <= value <= part.last for part in ranges)


def service_is(entry: ServiceEntry, packet: Packet) -> bool:
    if entry.protocol is None:
        return True
    if entry.protocol != packet.protocol:
        return False
    if packet.protocol in PORT_PROTOCOLS:
        return (
            entry.ports[0] <= packet.destination_port <= entry.ports[1]
            and entry.source_ports[0] <= packet.source_port <= entry.source_ports[1]
        )
    if packet.protocol in (icmp_protocol(4), icmp_protocol(6)):
        return (
            packet.protocol == icmp_protocol(packet.version)
            and entry.icmp[0] <= packet.icmp_type <= entry.icmp[1]
            and entry.code in (None, packet.icmp_code)
        )
    return True


def spoofed(policy: Policy, packet: Packet, world: World) -> bool:
    """Whether a packet claims a source that cannot be behind the interface it came through."""
    zone = policy.zones.get(zone_of(policy, packet.entering))
    if not packet.entering or zone is None or not zone.antispoofing:
        return False
    if _bootstrap(packet):
        return False
    if zone.networks and not address_in(packet.version, packet.source, AddressSet(zone.networks), world):
        return True
    return world.route is not None and world.route(packet.version, packet.source) != packet.entering


def _bootstrap(packet: Packet) -> bool:
    """What has no address yet asks for one; link-local does not leave its line."""
    if packet.version == 4:
        return packet.source == 0 and packet.protocol == 17 and packet.destination_port == 67
    if packet.source == 0:
        return packet.protocol == icmp_protocol(6) and packet.icmp_type in (133, 135, 143)
    return LINK_LOCAL.first <= packet.source <= LINK_LOCAL.last


def _published(policy: Policy, packet: Packet, world: World) -> DestinationNat | None:
    zone = zone_of(policy, packet.entering)
    if not packet.entering or not zone:
        return None
    for rule in policy.destination_nat:
        entered = _zone_in(zone, rule.sources) or (rule.hairpin and _zone_in(zone, rule.hairpin_zones))
        if (
            entered
            and rule.to.version == packet.version
            and address_in(packet.version, packet.source, rule.source, world)
            and address_in(packet.version, packet.destination, rule.destination, world)
            and any(service_is(entry, packet) for entry in rule.services)
        ):
            return rule
    return None


def _leaving(
    policy: Policy, packet: Packet, real: Packet, published: DestinationNat | None, decided: Decision, world: World
) -> Decision:
    """Source NAT on the way out: hairpin first, then the rules in order."""
    zone = zone_of(policy, real.leaving)
    if not real.leaving:
        return decided
    own = world.interface_addresses.get((real.leaving, real.version), 0)
    if published is not None and zone == zone_of(policy, packet.entering) and zone in published.hairpin_zones:
        return msgspec.structs.replace(decided, source=own, source_nat=published.id)
    rule = next((rule for rule in policy.source_nat if _translates(rule, real, zone, world)), None)
    if rule is None:
        return decided
    if rule.exempt:
        return msgspec.structs.replace(decided, source_nat=rule.id)
    ported = rule.ports is not None and real.protocol in (6, 17)
    return msgspec.structs.replace(
        decided,
        source=own if rule.to is None else rule.to.first,
        source_nat=rule.id,
        source_ports=rule.ports if ported and rule.ports is not None else (0, 0),
    )


def _translates(rule: SourceNat, packet: Packet, zone: str, world: World) -> bool:
    return (
        rule.out == zone
        and (rule.to is None or rule.to.version == packet.version)
        and address_in(packet.version, packet.source, rule.source, world)
        and address_in(packet.version, packet.destination, rule.destination, world)
        and any(service_is(entry, packet) for entry in rule.services)
    )
