"""Connections as the kernel tracks them, over ctnetlink: read, look up, decide anew, delete, and watch them end.

Layouts: linux/netfilter/nfnetlink_conntrack.h. Accounting and time stamps are there when the sysctls
net.netfilter.nf_conntrack_acct and nf_conntrack_timestamp were on when the connection began.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from appliance.control.kernel.netlink import (
    DumpInterrupted,
    NetlinkError,
    attribute,
    attribute_map,
    nested,
    u32,
)
from appliance.control.kernel.nfnetlink import CTNETLINK, Netfilter, body
from appliance.policy.compiling.bundle import MARK_GENERATION, MARK_RULE

CT_NEW, CT_GET, CT_DELETE = 0, 1, 2
GROUP_NEW, GROUP_UPDATE, GROUP_DESTROY = 1, 2, 3

CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO = 1, 2, 3, 4
CTA_TIMEOUT, CTA_MARK, CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY, CTA_ID = 7, 8, 9, 10, 12
CTA_ZONE, CTA_TIMESTAMP, CTA_MARK_MASK = 18, 20, 21
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST = 1, 2, 3, 4
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE = 4, 5, 6
CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE = 7, 8, 9
CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE = 1, 1
CTA_COUNTERS_PACKETS, CTA_COUNTERS_BYTES = 1, 2
CTA_TIMESTAMP_START, CTA_TIMESTAMP_STOP = 1, 2

IPS_SEEN_REPLY, IPS_ASSURED = 1 << 1, 1 << 2
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
WITH_PORTS = (TCP, UDP, 132, 33, 136)  # and SCTP, DCCP, UDP-Lite
TCP_STATES = (
    "none",
    "syn-sent",
    "syn-recv",
    "established",
    "fin-wait",
    "close-wait",
    "last-ack",
    "time-wait",
    "close",
    "syn-sent2",
)

Address = IPv4Address | IPv6Address


class Tuple(msgspec.Struct, frozen=True):
    """One direction of a connection. For ICMP the ports are (id, type << 8 | code)."""

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0


class Flow(msgspec.Struct, frozen=True):
    """One connection. Counters are (original, reply), -1 where the kernel does not count.

    `started` and `stopped` in nanoseconds since the epoch, 0 where unknown; `timeout` seconds until it is forgotten.
    """

    original: Tuple
    reply: Tuple
    mark: int = 0
    status: int = 0
    packets: tuple[int, int] = (-1, -1)
    bytes: tuple[int, int] = (-1, -1)
    timeout: int = 0
    tcp_state: int = 0
    started: int = 0
    stopped: int = 0
    id: int = 0

    @property
    def rule(self) -> int:
        """The number of the rule that decided it; 0 while none did."""
        return self.mark & MARK_RULE

    @property
    def generation(self) -> int:
        """The generation bits of the mark, as `generation_mark` makes them."""
        return self.mark & MARK_GENERATION

    @property
    def state(self) -> str:
        if self.original.protocol == TCP:
            return TCP_STATES[self.tcp_state] if self.tcp_state < len(TCP_STATES) else str(self.tcp_state)
        if self.status & IPS_ASSURED:
            return "assured"
        return "answered" if self.status & IPS_SEEN_REPLY else "unanswered"


class Conntrack:
    """The connections of the network namespace of the moment. Needs CAP_NET_ADMIN."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._netfilter = netfilter

    def flows(self, rule: int = 0) -> list[Flow]:
        """Every connection; with `rule`, those whose mark carries that number (the kernel filters).

        Connections that begin or end meanwhile may be missing: the table is not held still for us.
        """
        return self._read(rule, MARK_RULE)[0]

    def _read(self, mark: int, mask: int) -> tuple[list[Flow], bool]:
        """The connections with this mark, and whether the kernel told all of them."""
        payload = u32(CTA_MARK, mark) + u32(CTA_MARK_MASK, mask) if mark else b""
        found: list[Flow] = []
        try:
            found.extend(
                parse_flow(data)
                for _, data in self._netfilter.dump(CTNETLINK | CT_GET, body(payload, family=socket.AF_UNSPEC))
            )
        except DumpInterrupted:
            return found, False
        return found, True

    def lookup(self, wanted: Tuple) -> Flow | None:
        """The connection with this tuple in either direction; None when the kernel knows none."""
        family = _family(wanted.source)
        try:
            _, data = self._netfilter.get(
                CTNETLINK | CT_GET, body(encode_tuple(CTA_TUPLE_ORIG, wanted), family=family)
            )
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return parse_flow(data)

    def decide_anew(self, flow: Flow) -> bool:
        """Forget what was decided about a connection: the ruleset decides at its next packet, and its NAT binding
        stays. False when it ended meanwhile."""
        return self._change(CT_NEW, flow, u32(CTA_MARK, 0))

    def delete(self, flow: Flow) -> bool:
        """Forget the connection. False when it ended meanwhile."""
        return self._change(CT_DELETE, flow, u32(CTA_ID, flow.id) if flow.id else b"")

    def decide_rule_anew(self, rule: int) -> int:
        """`decide_anew` for every connection that the rule with this number decided; how many there were."""
        return sum(self.decide_anew(flow) for flow in self.flows(rule))

    def forget_generation(self, stamp: int) -> int:
        """`decide_anew` for every connection whose mark carries these generation bits; how many there were.

        The bits come round after 15 generations: what has been idle for so long must not pass for decided.
        """
        count = 0
        while True:
            found, whole = self._read(stamp, MARK_GENERATION)
            changed = sum(self.decide_anew(flow) for flow in found)
            count += changed
            if whole and not changed:
                return count

    def _change(self, kind: int, flow: Flow, what: bytes) -> bool:
        payload = encode_tuple(CTA_TUPLE_ORIG, flow.original) + what
        try:
            self._netfilter.execute(CTNETLINK | kind, body(payload, family=_family(flow.original.source)))
        except NetlinkError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True


def flows() -> list[Flow]:
    """Every connection, read over a socket of its own."""
    with Netfilter() as netfilter:
        return Conntrack(netfilter).flows()


class Events:
    """Connections as they begin (GROUP_NEW) or end (GROUP_DESTROY); `read` when `fileno` is readable.

    The socket needs CAP_NET_ADMIN to open, not to read. When the kernel outruns the reader, `lost` counts up.
    """

    def __init__(self, *groups: int, receive_buffer: int = 8 << 20) -> None:
        self._netfilter = Netfilter(groups, receive_buffer=receive_buffer)
        self.lost = 0

    def fileno(self) -> int:
        return self._netfilter.fileno()

    def close(self) -> None:
        self._netfilter.close()

    def read(self) -> Iterator[tuple[bool, Flow]]:
        """(ended, flow) of everything that is waiting; does not block."""
        try:
            waiting = self._netfilter.receive()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self.lost += 1
            return
        for kind, _, data in waiting:
            if kind & 0xFF00 == CTNETLINK:
                yield kind & 0xFF == CT_DELETE, parse_flow(data)


def events(*groups: int) -> Events:
    """Watch connections: `events(GROUP_DESTROY)` for those that end."""
    return Events(*groups)


def parse_flow(data: bytes) -> Flow:
    """A connection from ctnetlink's attributes."""
    fields = attribute_map(data)
    packets, octets = zip(
        _counters(fields.get(CTA_COUNTERS_ORIG)), _counters(fields.get(CTA_COUNTERS_REPLY)), strict=True
    )
    times = attribute_map(fields.get(CTA_TIMESTAMP, b""))
    tcp = attribute_map(attribute_map(fields.get(CTA_PROTOINFO, b"")).get(CTA_PROTOINFO_TCP, b""))
    return Flow(
        original=_parse_tuple(fields[CTA_TUPLE_ORIG]),
        reply=_parse_tuple(fields[CTA_TUPLE_REPLY]),
        mark=_number(fields.get(CTA_MARK)),
        status=_number(fields.get(CTA_STATUS)),
        packets=packets,
        bytes=octets,
        timeout=_number(fields.get(CTA_TIMEOUT)),
        tcp_state=_number(tcp.get(CTA_PROTOINFO_TCP_STATE)),
        started=_number(times.get(CTA_TIMESTAMP_START)),
        stopped=_number(times.get(CTA_TIMESTAMP_STOP)),
        id=_number(fields.get(CTA_ID)),
    )


def session_tuple(words: str) -> Tuple | None:
    """The TCP connection that SSH_CONNECTION names: "client port server port"; None for words that are not that."""
    parts = words.split()
    try:
        client, client_port, server, server_port = parts
        return Tuple(_plain(client), _plain(server), TCP, int(client_port), int(server_port))
    except ValueError:
        return None


def _plain(words: str) -> Address:
    """The address without its scope, and IPv4 where it was mapped into IPv6."""
    address = ip_address(words.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _parse_tuple(data: bytes) -> Tuple:
    parts = attribute_map(data)
    address = attribute_map(parts[CTA_TUPLE_IP])
    proto = attribute_map(parts[CTA_TUPLE_PROTO])
    source = address.get(CTA_IP_V4_SRC) or address[CTA_IP_V6_SRC]
    destination = address.get(CTA_IP_V4_DST) or address[CTA_IP_V6_DST]
    protocol = _number(proto[CTA_PROTO_NUM])
    if CTA_PROTO_ICMP_ID in proto or CTA_PROTO_ICMPV6_ID in proto:
        number = _number(proto.get(CTA_PROTO_ICMP_ID) or proto.get(CTA_PROTO_ICMPV6_ID))
        kind = _number(proto.get(CTA_PROTO_ICMP_TYPE) or proto.get(CTA_PROTO_ICMPV6_TYPE))
        code = _number(proto.get(CTA_PROTO_ICMP_CODE) or proto.get(CTA_PROTO_ICMPV6_CODE))
        return Tuple(ip_address(source), ip_address(destination), protocol, number, kind << 8 | code)
    return Tuple(
        ip_address(source),
        ip_address(destination),
        protocol,
        _number(proto.get(CTA_PROTO_SRC_PORT)),
        _number(proto.get(CTA_PROTO_DST_PORT)),
    )


def encode_tuple(kind: int, flow: Tuple) -> bytes:
    """One direction as an attribute of `kind`."""
    v4 = flow.source.version == 4
    address = nested(
        CTA_TUPLE_IP,
        attribute(CTA_IP_V4_SRC if v4 else CTA_IP_V6_SRC, flow.source.packed),
        attribute(CTA_IP_V4_DST if v4 else CTA_IP_V6_DST, flow.destination.packed),
    )
    parts = [attribute(CTA_PROTO_NUM, bytes([flow.protocol]))]
    if flow.protocol in WITH_PORTS:
        parts.append(attribute(CTA_PROTO_SRC_PORT, flow.source_port.to_bytes(2, "big")))
        parts.append(attribute(CTA_PROTO_DST_PORT, flow.destination_port.to_bytes(2, "big")))
    elif flow.protocol in (ICMP, ICMPV6):
        shift = 0 if flow.protocol == ICMP else CTA_PROTO_ICMPV6_ID - CTA_PROTO_ICMP_ID
        parts.append(attribute(CTA_PROTO_ICMP_ID + shift, flow.source_port.to_bytes(2, "big")))
        parts.append(attribute(CTA_PROTO_ICMP_TYPE + shift, bytes([flow.destination_port >> 8])))
        parts.append(attribute(CTA_PROTO_ICMP_CODE + shift, bytes([flow.destination_port & 0xFF])))
    return nested(kind, address, nested(CTA_TUPLE_PROTO, *parts))


def _counters(data: bytes | None) -> tuple[int, int]:
    if data is None:
        return -1, -1
    fields = attribute_map(data)
    return _number(fields.get(CTA_COUNTERS_PACKETS)), _number(fields.get(CTA_COUNTERS_BYTES))


def _number(payload: bytes | None) -> int:
    return int.from_bytes(payload, "big") if payload else 0


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
