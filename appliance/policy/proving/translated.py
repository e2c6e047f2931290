"""Which packets meet the filter at all: destination NAT comes first, and takes some packets elsewhere.

A packet that a translation takes never meets the rules with the address it was sent to; what it becomes does. The
first translation that matches holds, as in `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from appliance.policy.boxes import FULL_ADDRESS, PORT_PROTOCOLS
from appliance.policy.model import ANY, GATEWAY, AddressSet, DestinationNat, Range
from appliance.policy.proving.cuboids import Cuboid, Interval, common, minus_all
from appliance.policy.proving.lexicon import cuboid_of
from appliance.policy.proving.points import cuboid_of_region, nearest
from appliance.policy.proving.proof import Region


class Sent(msgspec.Struct, frozen=True):
    """A packet as it was sent, and the translation that takes it to where the filter sees it."""

    nat: str
    address: int
    port: int
    seen: Cuboid  # the point as the filter sees it


class Translations:
    """The destination translations of a policy, by the zone that packets enter from."""

    def __init__(self, nats: Sequence[DestinationNat], places: Mapping[str, tuple[Range, ...]]) -> None:
        self._places = places
        self._nats = nats
        self._entering: dict[tuple[int, str], list[tuple[DestinationNat, list[Cuboid]]]] = {}

    def _of(self, region: Region) -> list[tuple[DestinationNat, list[Cuboid]]]:
        """The translations for a region's packets, each with what it certainly takes."""
        version, zone = region.source.version, region.from_zone
        found = self._entering.get((version, zone))
        if found is None:
            # What the gateway sends itself is not translated.
            found = self._entering[version, zone] = [
                (nat, _surely(nat, version))
                for nat in self._nats
                if nat.to.version == version
                and zone != GATEWAY
                and (zone in nat.sources or ANY in nat.sources or (nat.hairpin and zone in nat.hairpin_zones))
            ]
        return found

    def untouched(self, region: Region) -> list[Cuboid]:
        """The packets of a region that no translation takes, as disjoint boxes."""
        return minus_all([cuboid_of_region(region)], self.taken(region))

    def taken(self, region: Region) -> list[Cuboid]:
        """What of a region's packets a translation certainly takes."""
        whole = cuboid_of_region(region)
        (first, last) = whole[1]
        return [
            both
            for _, boxes in self._of(region)
            for box in boxes
            if box[1][0] <= last and first <= box[1][1] and (both := common(whole, box)) is not None
        ]

    def sent(self, region: Region, like: Sequence[int]) -> Sent | None:
        """A packet that comes into a region by a translation, as near to the point `like` as can be; None when there
        is none."""
        whole = cuboid_of_region(region)
        entering = self._of(region)
        for number, (nat, _) in enumerate(entering):
            if nat.to.first <= whole[1][1] and whole[1][0] <= nat.to.last and self._leads(nat, region.to_zone):
                earlier = [box for _, boxes in entering[:number] for box in boxes]
                found = self._through(nat, earlier, whole, region, like)
                if found is not None:
                    return found
        return None

    def _through(
        self, nat: DestinationNat, earlier: list[Cuboid], whole: Cuboid, region: Region, like: Sequence[int]
    ) -> Sent | None:
        inner = (nat.to.first, nat.to.last)
        for box, port in _pieces(nat, region.source.version):
            seen = common(whole, (box[0], inner, box[2], port or box[3], box[4]))
            if seen is None:
                continue
            sent = (seen[0], box[1], seen[2], box[3] if port else seen[3], seen[4])
            for free in minus_all([sent], [taken for taken in earlier if common(sent, taken) is not None]):
                source, address, protocol, key, origin = nearest(free, like)
                point = (source, seen[1][0], protocol, seen[3][0] if port else key, origin)
                return Sent(nat.id, address, key, tuple((value, value) for value in point))
        return None

    def _leads(self, nat: DestinationNat, zone: str) -> bool:
        """Whether a translated packet can leave into a zone: the one whose networks hold the inner address."""
        holders = [
            name
            for name, ranges in self._places.items()
            if any(
                part.version == nat.to.version and part.first <= nat.to.first and nat.to.last <= part.last
                for part in ranges
            )
        ]
        return zone in holders or not holders


def _surely(nat: DestinationNat, version: int) -> list[Cuboid]:
    """What a translation takes, whatever the DNS names in it stand for."""
    return [
        (source, destination, *service)
        for source in _intervals(nat.source, version)
        for destination in _intervals(nat.destination, version)
        for entry in nat.services
        for service in cuboid_of(entry)
    ]


def _pieces(nat: DestinationNat, version: int) -> list[tuple[Cuboid, Interval | None]]:
    """What a translation may take, and the port that it then has; None where it stays."""
    source = [FULL_ADDRESS[version]] if nat.source.dynamic else _intervals(nat.source, version)
    destination = [FULL_ADDRESS[version]] if nat.destination.dynamic else _intervals(nat.destination, version)
    found: list[tuple[Cuboid, Interval | None]] = []
    for entry in nat.services:
        for protocol, key, origin in cuboid_of(entry):
            for part, port in _by_protocol(protocol, nat.to_ports):
                found += [((left, right, part, key, origin), port) for left in source for right in destination]
    return found


def _by_protocol(protocol: Interval, ports: Interval | None) -> list[tuple[Interval, Interval | None]]:
    if ports is None:
        return [(protocol, None)]
    if protocol[0] == protocol[1]:
        return [(protocol, ports if protocol[0] in PORT_PROTOCOLS else None)]
    ported = [(number, number) for number in sorted(PORT_PROTOCOLS)]
    plain = minus_all([(protocol,)], [(one,) for one in ported])
    return [(one, ports) for one in ported] + [(part, None) for (part,) in plain]


def _intervals(where: AddressSet, version: int) -> list[Interval]:
    return [(part.first, part.last) for part in where.ranges if part.version == version]
