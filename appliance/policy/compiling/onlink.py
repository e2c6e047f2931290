"""Which sources are behind an interface as far as the policy itself says.

The kernel routes to the networks of an interface's own addresses through that interface, unless a more specific
route leads elsewhere. Where the policy knows of none, such a source needs no look-up of its route back.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.policy import addresses
from appliance.policy.model import Policy, Range, Zone


def onlink(policy: Policy, zone: Zone) -> list[tuple[str, Range]]:
    """Interfaces of `zone` and the hosts of their own networks, as far as `networks` has them.

    Without the gateway's own addresses, the first of a network (every router's) and the last (IPv4: everybody's): no
    other host has these.
    """
    held = [(each.interface, each.address) for other in policy.zones.values() for each in other.addresses]
    special = [addresses.network(route.destination) for route in policy.routes]
    own = tuple(Range(version, number, number) for version, number in (_own(word) for _, word in held))
    found: list[tuple[str, Range]] = []
    for interface, word in held:
        if interface not in zone.interfaces:
            continue
        network = _network(word)
        if network.first >> 118 == 0xFE80 >> 6 and network.version == 6:
            continue
        rivals = [*special, *(_network(other) for name, other in held if name != interface)]
        if any(_inside(rival, network) for rival in rivals):
            continue
        hosts = addresses.without(tuple(_hosts(network)), addresses.normal(own))
        found += [(interface, part) for part in addresses.intersection(hosts, zone.networks)]
    return sorted(set(found))


def _own(word: str) -> tuple[int, int]:
    return addresses.address(word.partition("/")[0])


def _network(word: str) -> Range:
    version, number = _own(word)
    bits = addresses.BITS[version] - int(word.partition("/")[2])
    first = number >> bits << bits
    return Range(version, first, first + (1 << bits) - 1)


def _hosts(network: Range) -> Iterator[Range]:
    first, last = network.first + 1, network.last - (network.version == 4)
    if first <= last:
        yield Range(network.version, first, last)


def _inside(inner: Range, outer: Range) -> bool:
    return inner.version == outer.version and outer.first <= inner.first and inner.last <= outer.last
