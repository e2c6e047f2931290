"""What the gate shall do at which line, and whom it spares: pure, from the running generation and the lines."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

import msgspec

from appliance.control.messages.gate import LIST_NAME
from appliance.policy.model import InterfaceAddress, Protection, Rate
from ctypes_ext.gate import SHORTEST, Limit, Network, Way

MOST_RATE = 1_000_000  # packets a second: what is beyond is no limit
ALLOW_MOST = 60_000  # entries of the allow-list, of each version
SINGLE = 1  # the list of single bans
INDICATED = 127  # and that of what indicators block: REEF_GATE_INDICATED of the program
_NAME = re.compile(LIST_NAME)


class ZoneLines(msgspec.Struct, frozen=True):
    """A zone of `running.json`, as far as it concerns the gate."""

    name: str
    interfaces: tuple[str, ...] = ()


class BridgeLines(msgspec.Struct, frozen=True):
    """A bridge of `running.json`, likewise."""

    name: str
    between: tuple[str, ...] = ()
    protect: Protection | None = None


class Wanted(msgspec.Struct, frozen=True):
    """The part of `running.json` that concerns the gate."""

    generation: int = 0
    zones: tuple[ZoneLines, ...] = ()
    protections: dict[str, Protection] = {}
    networks: dict[str, tuple[str, ...]] = {}
    addresses: tuple[InterfaceAddress, ...] = ()
    nameservers: tuple[str, ...] = ()
    bridges: tuple[BridgeLines, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """A line that the gate shall stand at. `index` 0: there is no such interface now."""

    interface: str
    zone: str
    index: int
    way: Way


def limit(rate: Rate | None) -> Limit:
    """A rate of the policy as packets a second: what is slower than one a second is one."""
    if rate is None:
        return Limit()
    return Limit(min(max(rate.amount // rate.seconds, 1), MOST_RATE), max(rate.burst, 1))


def way(protection: Protection) -> Way:
    return Way(
        malformed=protection.malformed,
        martians="martians" in protection.bogons,
        private_sources="private" in protection.bogons,
        examples="documentation" in protection.bogons,
        syn=limit(protection.syn),
        udp=limit(protection.udp),
        icmp=limit(protection.icmp),
        syn_total=limit(protection.strangers),
    )


def places(wanted: Wanted, present: Mapping[str, int]) -> tuple[Place, ...]:
    """The lines of protected zones and bridges. `present` says which interfaces there are, with their numbers."""
    lines = [
        (interface, zone.name, wanted.protections[zone.name])
        for zone in wanted.zones
        if zone.name in wanted.protections
        for interface in zone.interfaces
        if "*" not in interface
    ]
    lines += [
        (interface, bridge.name, bridge.protect)
        for bridge in wanted.bridges
        if bridge.protect is not None
        for interface in bridge.between
    ]
    return tuple(
        Place(interface, name, present.get(interface, 0), way(protection)) for interface, name, protection in lines
    )


def networks_of(words: str) -> tuple[Network, ...]:
    """An address, a CIDR or a range as networks. Raises ValueError."""
    first, dash, last = words.partition("-")
    if not dash:
        return (ipaddress.ip_network(first.strip()),)
    ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
    if ends[0].version != ends[1].version:
        raise ValueError(f"{words}: two versions of IP")
    return tuple(ipaddress.summarize_address_range(*ends))


def own_networks(wanted: Wanted) -> frozenset[Network]:
    """What is never banned, whatever a list says: the gateway's own addresses, its resolvers, its zones' networks.

    A zone that is everybody's (the Internet has no networks of its own) is not among them.
    """
    found: set[Network] = set()
    for address in wanted.addresses:
        found.add(ipaddress.ip_network(address.address.partition("/")[0]))
    found.update(map(ipaddress.ip_network, wanted.nameservers))
    for said in wanted.networks.values():
        for words in said:
            found.update(network for network in networks_of(words) if network.prefixlen >= SHORTEST[network.version])
    return frozenset(found)


def spared(wanted: Wanted, allowed: Iterable[Network]) -> dict[Network, bool]:
    """Who is spared bans, and whether flood limits too. The allow-list wins over what lies in it."""
    whole = set(allowed)
    found = dict.fromkeys(whole, True)
    for network in own_networks(wanted) - whole:
        found[network] = any(_inside(network, other) for other in whole)
    return found


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]


def is_list_name(name: str) -> bool:
    return name != "bans" and _NAME.fullmatch(name) is not None
