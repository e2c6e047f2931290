"""Where an address is: its zone, and whether that is inside. Kept for addresses seen of late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from dataplane.detections import bounds

Network = IPv4Network | IPv6Network

# Where nothing else is known these are inside: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291.
PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7",
                 "fe80::/10")
)  # fmt: skip


class Place(msgspec.Struct, frozen=True, gc=False):
    zone: str
    inside: bool
    host: bool  # of one machine: no multicast, no broadcast, no unspecified address


class Surroundings:
    """`networks` of each zone; those in `outside` are zones whose lines leave the house. `own` are our own addresses,
    `elsewhere` the zone of addresses that are in none of the networks, `lines` the zones of interfaces by number.
    """

    def __init__(
        self,
        networks: Mapping[str, Iterable[Network]] | None = None,
        outside: Iterable[str] = (),
        own: Iterable[bytes] = (),
        elsewhere: str = "",
        lines: Mapping[int, str] | None = None,
    ) -> None:
        zones: Mapping[str, Iterable[Network]] = networks if networks is not None else {"": PRIVATE}
        flat = [(network, zone) for zone, held in zones.items() for network in held]
        flat.sort(key=lambda item: -item[0].prefixlen)
        self._networks = flat
        self._outside = frozenset(outside)
        self._own = frozenset(own)
        self._elsewhere = elsewhere
        self._lines = lines if lines is not None else {}
        self._known: dict[bytes, Place] = {}

    def place(self, address: bytes) -> Place:
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= bounds.ADDRESSES:
                self._known.clear()
            found = self._known[address] = self._find(address)
        return found

    def inside(self, address: bytes) -> bool:
        return self.place(address).inside

    def line(self, interface: int) -> str:
        """The zone of an interface; "" where that is not known."""
        return self._lines.get(interface, "")

    def own(self, address: bytes) -> bool:
        """Is it the gateway itself?"""
        return address in self._own

    def words(self, address: bytes) -> str:
        """Where it is, as a person says it."""
        place = self.place(address)
        side = "inside" if place.inside else "outside"
        return f"{side}, zone {place.zone}" if place.zone else side

    def _find(self, address: bytes) -> Place:
        plain = ip_address(address)
        host = not (plain.is_multicast or plain.is_unspecified or plain == _BROADCAST)
        for network, zone in self._networks:
            if plain.version == network.version and plain in network:
                whole = plain.version == 4 and network.prefixlen < 31 and plain == network.broadcast_address
                everything = network.prefixlen == 0
                return Place(zone, zone not in self._outside and not everything, host and not whole)
        return Place(self._elsewhere, False, host)


_BROADCAST = ip_address("255.255.255.255")
