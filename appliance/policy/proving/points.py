"""Packets as points: of a region, or as near to one as can be.

The axes are source, destination, protocol, key (port, or type and code) and source port, all of one IP version.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.policy.boxes import icmp_protocol
from appliance.policy.decide import Packet
from appliance.policy.model import ANY, GATEWAY, Policy
from appliance.policy.proving.cuboids import Cuboid
from appliance.policy.proving.proof import Region, Witness

Point = tuple[int, ...]


def cuboid_of_region(region: Region) -> Cuboid:
    return (
        (region.source.first, region.source.last),
        (region.destination.first, region.destination.last),
        region.protocol,
        region.key,
        region.source_ports,
    )


def nearest(box: Cuboid, like: Sequence[int]) -> Point:
    """The point of a box that is as near to another point as can be."""
    return tuple(min(max(value, first), last) for (first, last), value in zip(box, like, strict=True))


def point_of(packet: Packet) -> Point:
    controls = packet.protocol == icmp_protocol(packet.version)
    key = packet.icmp_type * 256 + packet.icmp_code if controls else packet.destination_port
    return packet.source, packet.destination, packet.protocol, key, packet.source_port


def packet_at(policy: Policy, region: Region, point: Sequence[int]) -> Packet:
    """The packet at a point of a region."""
    source, destination, protocol, key, origin = point
    version = region.source.version
    controls = protocol == icmp_protocol(version)
    return Packet(
        version,
        interface(policy, region.from_zone),
        interface(policy, region.to_zone),
        source,
        destination,
        protocol,
        source_port=0 if controls else origin,
        destination_port=0 if controls else key,
        icmp_type=key >> 8 if controls else 0,
        icmp_code=key & 255 if controls else 0,
    )


def into(witness: Witness, region: Region, policy: Policy) -> Witness:
    """A witness of a box, as near as can be, in one of its regions: in its zones, with one of its services."""
    from_zone = witness.from_zone if region.from_zone == ANY else region.from_zone
    to_zone = witness.to_zone if region.to_zone == ANY else region.to_zone
    if any(name != GATEWAY and name not in policy.zones for name in (from_zone, to_zone)):
        return witness
    there = msgspec.structs.replace(region, from_zone=from_zone, to_zone=to_zone)
    packet = packet_at(policy, there, nearest(cuboid_of_region(region), point_of(witness.packet)))
    return msgspec.structs.replace(witness, packet=packet, from_zone=from_zone, to_zone=to_zone)


def interface(policy: Policy, zone: str) -> str:
    """An interface of a zone; "" for the gateway itself."""
    known = policy.zones.get(zone)
    return known.interfaces[0] if known is not None and known.interfaces else ""
