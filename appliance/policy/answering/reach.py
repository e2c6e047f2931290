"""Which way an address lies: by the text alone, where no running gateway can be asked for its routes. Pure."""

from __future__ import annotations

import msgspec

from appliance.policy import addresses
from appliance.policy.model import Policy, Range

# What stands for an interface where there is no way: the name of none, so that it lies in no zone.
NOWHERE = "?"


class Hop(msgspec.Struct, frozen=True):
    """The way to an address: `interface` is "" for the gateway's own and NOWHERE where there is none; `via` the next
    hop, "" on the line itself; `source` what the gateway calls itself on that way, where that is known."""

    interface: str
    via: str = ""
    source: str = ""


def reach(policy: Policy, version: int, address: int) -> Hop:
    """The way that the text gives: own addresses, their networks, routes, then networks of zones. Longest wins."""
    reached: list[tuple[int, int, str, str]] = []  # (width, order, interface, next hop)

    def add(span: Range, order: int, interface: str, via: str = "") -> None:
        if span.version == version and span.first <= address <= span.last:
            reached.append((span.last - span.first, order, interface, via))

    for zone in policy.zones.values():
        for own in zone.addresses:
            if addresses.address(own.address.partition("/")[0]) == (version, address):
                return Hop("")
            add(own_network(own.address), 0, own.interface)
    for route in policy.routes:
        if route.blackhole:
            add(addresses.network(route.destination), 1, NOWHERE)
        elif interface := route.interface or _direct(policy, route.via):
            add(addresses.network(route.destination), 1, interface, route.via)
    for zone in policy.zones.values():
        for network in zone.networks:
            if zone.interfaces:
                add(network, 2, zone.interfaces[0])
    if reached:
        _, _, interface, via = min(reached)
        return Hop(interface, via)
    # Addresses may come from DHCP: then the zone that names no networks is the way out.
    return Hop(
        next((zone.interfaces[0] for zone in policy.zones.values() if not zone.networks and zone.interfaces), NOWHERE)
    )


def own_network(own: str) -> Range:
    """The network of an interface's address: `10.20.0.0/16` of `10.20.0.1/16`."""
    literal, _, prefix = own.partition("/")
    version, number = addresses.address(literal)
    free = addresses.BITS[version] - int(prefix or addresses.BITS[version])
    first = number >> free << free
    return Range(version, first, first | (1 << free) - 1)


def _direct(policy: Policy, via: str) -> str:
    """The interface whose own network holds a next hop."""
    if not via:
        return ""
    version, address = addresses.address(via)
    for zone in policy.zones.values():
        for own in zone.addresses:
            span = own_network(own.address)
            if span.version == version and span.first <= address <= span.last:
                return own.interface
    return ""


def own_addresses(policy: Policy) -> dict[tuple[str, int], int]:
    """What masquerade uses by the text: (interface, version) -> the first address that the text gives it."""
    found: dict[tuple[str, int], int] = {}
    for zone in policy.zones.values():
        for own in zone.addresses:
            version, number = addresses.address(own.address.partition("/")[0])
            found.setdefault((own.interface, version), number)
    return found
