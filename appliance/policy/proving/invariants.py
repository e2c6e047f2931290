"""What an invariant forbids, as regions that must not be allowed; and which answers break it.

`never: a -> b` speaks of the first packets of connections as the filter meets them: after destination NAT and
anti-spoofing. A side is a zone (every packet of it), or an object: its addresses, in the zones where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from appliance.policy.addresses import intersection
from appliance.policy.model import ANY, EVERYTHING, GATEWAY, Invariant, Object, Policy, ServiceEntry, Zone
from appliance.policy.proving.cuboids import Cuboid
from appliance.policy.proving.lexicon import ANY_SERVICE, cuboid_of
from appliance.policy.proving.places import Ranges, beginners, honest
from appliance.policy.proving.points import nearest, packet_at, point_of
from appliance.policy.proving.proof import Region, Witness
from appliance.policy.proving.traffic import natural
from appliance.policy.proving.translated import Translations


class Forbidden(msgspec.Struct, frozen=True):
    """Regions in which an invariant allows nothing.

    `sources` and `destinations` are DNS names (`Dynamic.name`) that must stand for the side: then the regions
    are all addresses that they can stand for.
    """

    regions: tuple[Region, ...]
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()


class _Side(msgspec.Struct, frozen=True):
    """The addresses of one zone that a side speaks of, if these DNS names stand for them."""

    zone: str
    ranges: Ranges
    names: tuple[str, ...] = ()


def forbidden(
    statement: Invariant, zones: Mapping[str, Zone], objects: Mapping[str, Object], where: Mapping[str, Ranges]
) -> tuple[Forbidden, ...]:
    """Everything that an invariant forbids; what depends on no DNS name first. `where` says where addresses are."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[Region, None]] = {((), ()): {}}
    # `any` is one word for the prover as a destination; as a source each zone has its own anti-spoofing.
    destinations = [_Side(ANY, EVERYTHING.ranges)] if ANY in statement.destinations else []
    others = [name for name in statement.destinations if name != ANY]
    destinations += _sides(others, zones, objects, where)
    # Where nobody looks at sources, any address may be claimed.
    claimed = {**where, **{zone.name: EVERYTHING.ranges for zone in zones.values() if not zone.antispoofing}}
    for left in _sides(statement.sources, zones, objects, claimed):
        home = zones.get(left.zone)
        for right in destinations:
            if left.zone == right.zone == GATEWAY:
                continue
            sources = [(honest(home, left.ranges), statement.services)]
            if right.zone == GATEWAY:
                sources += [
                    (ranges, common_services(entries, statement.services))
                    for ranges, entries in beginners(home, left.ranges)
                ]
            regions = found.setdefault((left.names, right.names), {})
            for source, services in sources:
                regions.update(dict.fromkeys(regions_of(left.zone, right.zone, source, right.ranges, services)))
    return tuple(Forbidden(tuple(regions), *names) for names, regions in found.items() if regions)


def regions_of(
    source_zone: str,
    destination_zone: str,
    source: Ranges,
    destination: Ranges,
    services: Sequence[ServiceEntry],
) -> Iterator[Region]:
    """The regions of one zone pair; ICMP is of IPv4 and ICMPv6 of IPv6 only."""
    boxes: list[Cuboid] = [box for entry in services for box in cuboid_of(entry)]
    if ANY_SERVICE in boxes:
        boxes = [ANY_SERVICE]
    for left in source:
        for right in destination:
            if left.version == right.version:
                for protocol, key, origin in boxes:
                    if protocol != ((58, 58) if left.version == 4 else (1, 1)):
                        yield Region(source_zone, destination_zone, left, right, protocol, key, origin)


def _sides(
    names: Sequence[str], zones: Mapping[str, Zone], objects: Mapping[str, Object], where: Mapping[str, Ranges]
) -> list[_Side]:
    """The zones that one side speaks of, and of which addresses in them."""
    found: dict[_Side, None] = {}
    for name in names:
        if name == ANY:
            found.update({_Side(zone, EVERYTHING.ranges): None for zone in zones})
        elif name in zones or name == GATEWAY:
            found[_Side(name, EVERYTHING.ranges)] = None
        elif name in objects:
            addresses = objects[name].addresses
            for zone, here in where.items():
                there = intersection(addresses.ranges, here)
                if there:
                    found[_Side(zone, there)] = None
                if addresses.dynamic and here:
                    found[_Side(zone, here, addresses.dynamic)] = None
    return list(found)


def met(policy: Policy, region: Region, witness: Witness, translations: Translations) -> Witness | None:
    """A packet of a region that the filter really meets; one that a published service leads there comes first.

    None when destination NAT takes every packet of the region elsewhere, and leads none there.
    """
    witness = natural(witness, region, policy)
    like = point_of(witness.packet)
    sent = translations.sent(region, like)
    if sent is not None:
        packet = packet_at(policy, region, tuple(first for first, _ in sent.seen))
        return msgspec.structs.replace(witness, packet=packet, published=(sent.address, sent.port), nat=sent.nat)
    boxes = translations.untouched(region)
    if not boxes:
        return None
    return msgspec.structs.replace(witness, packet=packet_at(policy, region, nearest(boxes[0], like)))


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
