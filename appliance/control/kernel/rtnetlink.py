"""rtnetlink: the box's links, addresses and routes, read and changed with raw messages (linux/rtnetlink.h)."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterable
from ipaddress import ip_address, ip_interface, ip_network

import msgspec

from appliance.control.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    DumpInterrupted,
    Netlink,
    NetlinkError,
    attribute,
    attribute_map,
    text,
)
from appliance.control.messages.why import Way
from appliance.policy.model import Route

RTM_GETLINK, RTM_SETLINK = 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

IFLA_IFNAME, IFLA_LINK, IFLA_MASTER, IFLA_STATS64, IFLA_CARRIER, IFLA_LINK_NETNSID = 3, 5, 10, 23, 33, 37
IFF_UP, IFF_LOOPBACK, IFF_PROMISC = 0x1, 0x8, 0x100
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 6, 7, 15
RT_TABLE_MAIN = 254
RTPROT_REEF = 87  # marks the routes that this gateway set (values from 5 on are free for daemons)
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_BLACKHOLE = 1, 2, 3, 5, 6
RTN_HERE = frozenset({RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST})
IPV6_DEFAULT_METRIC = 1024

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_STATS = struct.Struct("=8Q")  # the head of rtnl_link_stats64: packets, bytes, errors, dropped, received and sent


class Link(msgspec.Struct, frozen=True):
    index: int
    name: str
    up: bool
    promiscuous: bool = False


class Counted(msgspec.Struct, frozen=True):
    """What passed an interface since it is there."""

    received_packets: int = 0
    sent_packets: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    received_errors: int = 0
    sent_errors: int = 0
    received_dropped: int = 0
    sent_dropped: int = 0


class Line(msgspec.Struct, frozen=True):
    """An interface as a line: what it received so far, and by number what it is a port of (`master`) and stands on
    (`below`, as a VLAN does); 0 for none. `carrier` says whether there is somebody at its other end."""

    index: int
    name: str
    up: bool
    loopback: bool = False
    received: int = 0  # packets
    master: int = 0
    below: int = 0
    carrier: bool = True
    counted: Counted = Counted()


class Address(msgspec.Struct, frozen=True, order=True):
    """An address on an interface, e.g. index 4, "10.20.0.1/16"."""

    index: int
    address: str


class RouteEntry(msgspec.Struct, frozen=True, order=True):
    """A route of the main table as the kernel holds it. `index` 0: no interface named."""

    destination: str
    via: str = ""
    index: int = 0
    metric: int = 0
    blackhole: bool = False


class Routing:
    """The routing tables of the network namespace of the moment. Writing needs CAP_NET_ADMIN."""

    def __init__(self, groups: Iterable[int] = ()) -> None:
        # Each message type has its own fixed header, so the socket strips none.
        self._netlink = Netlink(socket.NETLINK_ROUTE, 0, groups)

    def close(self) -> None:
        self._netlink.close()

    def links(self) -> dict[str, Link]:
        """Every interface by name."""
        found: dict[str, Link] = {}
        for data in self._dump(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0)):
            _, _, index, flags, _ = _IFINFO.unpack_from(data)
            name = text(attribute_map(data, _IFINFO.size)[IFLA_IFNAME])
            found[name] = Link(index, name, bool(flags & IFF_UP), bool(flags & IFF_PROMISC))
        return found

    def listen(self, index: int, *, promiscuous: bool) -> None:
        """Have an interface up, and take frames that are for others, or not. Raises `NetlinkError`."""
        flags = IFF_UP | (IFF_PROMISC if promiscuous else 0)
        self._netlink.execute(RTM_SETLINK, _IFINFO.pack(0, 0, index, flags, IFF_UP | IFF_PROMISC))

    def lines(self) -> tuple[Line, ...]:
        """Every interface with what it received."""
        found: list[Line] = []
        for data in self._dump(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0)):
            _, _, index, flags, _ = _IFINFO.unpack_from(data)
            fields = attribute_map(data, _IFINFO.size)
            stats = fields.get(IFLA_STATS64, b"")
            counted = Counted(*_STATS.unpack_from(stats)) if len(stats) >= _STATS.size else Counted()
            # A number of another namespace says nothing here.
            below = 0 if IFLA_LINK_NETNSID in fields else _native(fields.get(IFLA_LINK))
            found.append(
                Line(
                    index,
                    text(fields[IFLA_IFNAME]),
                    bool(flags & IFF_UP),
                    bool(flags & IFF_LOOPBACK),
                    counted.received_packets,
                    _native(fields.get(IFLA_MASTER)),
                    below,
                    fields.get(IFLA_CARRIER) != b"\0",
                    counted,
                )
            )
        return tuple(found)

    def addresses(self) -> set[Address]:
        found: set[Address] = set()
        for data in self._dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            _, length, _, _, index = _IFADDR.unpack_from(data)
            fields = attribute_map(data, _IFADDR.size)
            raw = fields.get(IFA_LOCAL) or fields.get(IFA_ADDRESS)
            if raw:
                found.add(Address(index, f"{ip_address(raw)}/{length}"))
        return found

    def add_address(self, address: Address) -> None:
        """Raises `NetlinkError` (EEXIST when it is there)."""
        self._netlink.execute(RTM_NEWADDR, _address(address), NLM_F_CREATE | NLM_F_EXCL)

    def remove_address(self, address: Address) -> None:
        self._netlink.execute(RTM_DELADDR, _address(address))

    def routes(self) -> set[RouteEntry]:
        """The routes that this gateway set."""
        found: set[RouteEntry] = set()
        for data in self._dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, length, _, _, table, protocol, _, kind, _ = _RTMSG.unpack_from(data)
            if protocol != RTPROT_REEF or table != RT_TABLE_MAIN:
                continue
            fields = attribute_map(data, _RTMSG.size)
            zero = b"\0" * (4 if family == socket.AF_INET else 16)
            via = fields.get(RTA_GATEWAY)
            blackhole = kind == RTN_BLACKHOLE
            metric = _native(fields.get(RTA_PRIORITY))
            found.add(
                RouteEntry(
                    f"{ip_address(fields.get(RTA_DST, zero))}/{length}",
                    str(ip_address(via)) if via else "",
                    0 if blackhole else _native(fields.get(RTA_OIF)),
                    0 if family == socket.AF_INET6 and metric == IPV6_DEFAULT_METRIC else metric,
                    blackhole,
                )
            )
        return found

    def way(self, address: str, links: dict[int, str]) -> Way:
        """Which way the kernel would send to an address now; `links` are names by index."""
        target = ip_address(address)
        family = socket.AF_INET if target.version == 4 else socket.AF_INET6
        body = _RTMSG.pack(family, target.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, target.packed)
        try:
            _, data = self._netlink.get(RTM_GETROUTE, body)
        except NetlinkError as error:
            # What a blackhole, a prohibition and no route at all answer.
            if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES):
                return Way(address, "", reachable=False)
            raise
        kind = _RTMSG.unpack_from(data)[7]
        fields = attribute_map(data, _RTMSG.size)
        source = str(ip_address(fields[RTA_PREFSRC])) if RTA_PREFSRC in fields else ""
        if kind in RTN_HERE:
            return Way(address, "", source=source)
        if kind != RTN_UNICAST:
            return Way(address, "", reachable=False)
        via = str(ip_address(fields[RTA_GATEWAY])) if RTA_GATEWAY in fields else ""
        return Way(address, links.get(_native(fields.get(RTA_OIF)), ""), via, source)

    def add_route(self, route: RouteEntry) -> None:
        """Raises `NetlinkError` (ENETUNREACH when the next hop is on no network of ours)."""
        self._netlink.execute(RTM_NEWROUTE, _route(route), NLM_F_CREATE | NLM_F_EXCL)

    def remove_route(self, route: RouteEntry) -> None:
        self._netlink.execute(RTM_DELROUTE, _route(route))

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        for _ in range(8):
            try:
                return [payload for _, payload in self._netlink.dump_whole(kind, body)]
            except DumpInterrupted:
                continue
        raise OSError("the links change faster than they can be read")


def wanted_route(route: Route, links: dict[str, Link]) -> RouteEntry:
    """A route of the policy as the kernel is told it. Raises KeyError for an interface that is not there."""
    index = links[route.interface].index if route.interface else 0
    via = str(ip_address(route.via)) if route.via else ""
    return RouteEntry(str(ip_network(route.destination)), via, index, route.metric, route.blackhole)


def _address(address: Address) -> bytes:
    interface = ip_interface(address.address)
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    packed = interface.ip.packed
    # IPv6: no duplicate address detection for an address that the policy gives (it would be unusable for a second).
    flags = 0x02 if interface.version == 6 else 0
    body = _IFADDR.pack(family, interface.network.prefixlen, flags, 0, address.index)
    return body + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def _route(route: RouteEntry) -> bytes:
    network = ip_network(route.destination)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    kind = RTN_BLACKHOLE if route.blackhole else RTN_UNICAST
    scope = RT_SCOPE_UNIVERSE if route.via or route.blackhole or network.version == 6 else RT_SCOPE_LINK
    body = _RTMSG.pack(family, network.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_REEF, scope, kind, 0)
    body += attribute(RTA_DST, network.network_address.packed)
    if route.via:
        body += attribute(RTA_GATEWAY, ip_address(route.via).packed)
    if route.index:
        body += attribute(RTA_OIF, struct.pack("=I", route.index))
    if route.metric:
        body += attribute(RTA_PRIORITY, struct.pack("=I", route.metric))
    return body


def _native(payload: bytes | None) -> int:
    return int.from_bytes(payload, sys.byteorder) if payload else 0
