"""Where addresses are: which of them a zone, or the gateway itself, can have."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.policy.addresses import address, complement, intersection, normal, without
from appliance.policy.boxes import ICMPV6, UDP
from appliance.policy.decide import LINK_LOCAL
from appliance.policy.model import GATEWAY, Range, ServiceEntry, Zone

Ranges = tuple[Range, ...]
ANY_SERVICE = (ServiceEntry(None),)
# What has no address yet, or only one of its line, reaches the gateway in spite of anti-spoofing
# (RFC 2131, RFC 4862). Linux forwards none of it (RFC 1812 5.3.7, RFC 4291 2.5.6).
_BOOTSTRAP: tuple[tuple[Ranges, tuple[ServiceEntry, ...]], ...] = (
    ((Range(4, 0, 0),), (ServiceEntry(UDP, (67, 67)),)),
    (
        (Range(6, 0, 0),),
        (
            ServiceEntry(ICMPV6, icmp=(133, 133)),
            ServiceEntry(ICMPV6, icmp=(135, 135)),
            ServiceEntry(ICMPV6, icmp=(143, 143)),
        ),
    ),
    ((LINK_LOCAL,), ANY_SERVICE),
)


def places(zones: Mapping[str, Zone]) -> dict[str, Ranges]:
    """For each zone its networks, or where it names none what no other zone names; for the gateway its own
    addresses and what no zone names."""
    found: dict[str, Ranges] = {}
    named = normal([part for zone in zones.values() for part in zone.networks])
    free = complement(named)
    for zone in zones.values():
        found[zone.name] = zone.networks or free
    own: list[Range] = []
    for zone in zones.values():
        for item in zone.addresses:
            version, number = address(item.address.partition("/")[0])
            own.append(Range(version, number, number))
    found[GATEWAY] = normal([*free, *own])
    return found


def honest(zone: Zone | None, wanted: Ranges) -> Ranges:
    """Those of the sources `wanted` that anti-spoofing lets in from a zone. None is the gateway itself."""
    if zone is None or not zone.antispoofing or not zone.networks:
        return wanted
    return intersection(wanted, zone.networks)


def beginners(zone: Zone | None, wanted: Ranges) -> list[tuple[Ranges, tuple[ServiceEntry, ...]]]:
    """Further sources (and by which services) that a zone's hosts may use towards the gateway."""
    if zone is None or not zone.antispoofing or not zone.networks:
        return []
    found = [(without(intersection(wanted, ranges), zone.networks), entries) for ranges, entries in _BOOTSTRAP]
    return [(ranges, entries) for ranges, entries in found if ranges]
