"""Addresses, ports and interfaces in the policy's own words. Pure: a `NameBook` in, words out."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Mapping

from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.model import GATEWAY
from appliance.policy.written.services import names_of_entries

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "33": "dccp", "58": "icmpv6", "132": "sctp", "136": "udplite"}


def interval(words: str) -> tuple[int, int, int]:
    """(version, first, last) of an address, a CIDR or a range `a-b`. Raises ValueError."""
    first, dash, last = words.partition("-")
    if dash:
        low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        if low.version != high.version or int(high) < int(low):
            raise ValueError(f"{words!r} is not a range of addresses")
        return low.version, int(low), int(high)
    network = ipaddress.ip_network(words, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address)


class _Intervals:
    """Which name holds an address: of several, the one with the narrowest interval."""

    def __init__(self, book: Mapping[str, tuple[str, ...]]) -> None:
        entries = [(*interval(words), name) for name, ranges in book.items() for words in ranges]
        # Cutting the line at every border makes each piece belong to one narrowest interval: one bisection answers.
        self._cuts: dict[int, list[int]] = {4: [], 6: []}
        self._names: dict[int, list[str]] = {4: [], 6: []}
        for version in (4, 6):
            mine = sorted((item[1:] for item in entries if item[0] == version), key=lambda item: (item[0], -item[1]))
            self._sweep(version, mine)

    def _sweep(self, version: int, mine: list[tuple[int, int, str]]) -> None:
        borders = sorted({first for first, _, _ in mine} | {last + 1 for _, last, _ in mine})
        open_: list[tuple[int, int, str]] = []  # (width, last, name) of those that may reach the next border
        index = 0
        for border in borders:
            while index < len(mine) and mine[index][0] <= border:
                first, last, name = mine[index]
                open_.append((last - first, last, name))
                index += 1
            open_ = [item for item in open_ if item[1] >= border]
            self._cuts[version].append(border)
            self._names[version].append(min(open_)[2] if open_ else "")

    def find(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
        at = bisect_right(self._cuts[address.version], int(address)) - 1
        return self._names[address.version][at] if at >= 0 else ""


def plain(address: str) -> str:
    """An address as people write it: EVE spells IPv6 out in full. Anything else stays as it is."""
    try:
        return str(ipaddress.ip_address(address)) if ":" in address else address
    except ValueError:
        return address


class Names:
    """Looks up what the running generation calls things; without a book everything stays as it is."""

    def __init__(self, book: NameBook | None = None) -> None:
        self.rules: dict[str, RuleInfo] = {rule.id: rule for rule in book.rules} if book else {}
        self.generation = book.generation if book else 0
        self._objects = _Intervals(book.objects if book else {})
        self._networks = _Intervals(book.networks if book else {})
        self._own = {address.address.partition("/")[0] for address in (book.addresses if book else ())}
        # What lies in no zone's networks is behind the zone that names none, where there is one such.
        open_zones = [zone.name for zone in book.zones if not book.networks.get(zone.name)] if book else []
        self._elsewhere = open_zones[0] if len(open_zones) == 1 else ""
        self._zone_of = {name: zone.name for zone in (book.zones if book else ()) for name in zone.interfaces}
        self._members = dict(book.objects) if book else {}
        self._services = names_of_entries(book.services if book else {})

    def host(self, address: str) -> str:
        """`records(10.21.0.10)` for an address of an object or of the gateway itself, else the address."""
        address = plain(address)
        name = GATEWAY if address in self._own else self._find(self._objects, address)
        return f"{name}({address})" if name else address

    def object_of(self, address: str) -> str:
        return self._find(self._objects, address)

    def zone_of_interface(self, interface: str) -> str:
        return self._zone_of.get(interface, "")

    def zone_of_address(self, address: str) -> str:
        """The zone that the address belongs to, "gateway" for the gateway's own; "" where the policy does not say."""
        address = plain(address)
        if address in self._own:
            return GATEWAY
        return self._find(self._networks, address) or self._elsewhere

    def ranges(self, name: str) -> tuple[str, ...]:
        """The CIDRs and ranges of an object; () for a name that is none."""
        return self._members.get(name, ())

    def service(self, protocol: str, port: int) -> str:
        """`web` or `tcp/8080`; protocols without ports are their name."""
        protocol = _PROTOCOLS.get(protocol, protocol).lower()
        if not port:
            return protocol
        entry = f"{protocol}/{port}"
        name = self._services.get(entry, "")
        return f"{name}({entry})" if name else entry

    @staticmethod
    def _find(where: _Intervals, address: str) -> str:
        try:
            return where.find(ipaddress.ip_address(address))
        except ValueError:
            return ""
