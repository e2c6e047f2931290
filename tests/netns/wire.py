"""A gateway namespace whose lines end in raw sockets: frames go in on one line and are looked for on the others.

The far ends of the lines carry no addresses. What the gateway sends to a line goes to a next hop whose MAC
address nobody has, so only the raw socket takes it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from types import TracebackType

from pyroute2 import netns
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet as Layers
from scapy.packet import Raw

from appliance.policy.compiling import emit
from appliance.policy.decide import Packet
from tests.policies import LINES, gateway_address

NOBODY = "02:00:00:00:99:99"
MAGIC = b"reef-wire"
SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv6.icmp.ratelimit": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv6.conf.default.dad_transmits": "0",
    "net.ipv6.conf.all.dad_transmits": "0",
}


class Wire:
    """Use as a context: makes the namespace, and takes it away. Without `raw` nobody listens at the far ends."""

    def __init__(self, *, raw: bool = True) -> None:
        self.raw = raw
        self.name = f"reef-wire-{os.getpid()}-{time.monotonic_ns() % 10**6}"
        self.sockets: dict[str, socket.socket] = {}
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Wire:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for each in self.sockets.values():
            each.close()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread in the namespace: for opening sockets there."""
        netns.pushns(self.name)
        try:
            yield
        finally:
            netns.popns()

    def _make(self) -> None:
        commands = ["link set lo up"]
        for interface in LINES:
            commands += [f"link add {interface} type veth peer name far-{interface}"]
        self.run("ip", "-batch", "-", text="\n".join(commands))
        for interface in LINES:
            self.sysctl(f"net.ipv6.conf.far-{interface}.disable_ipv6", "1")
        for key, value in SYSCTLS.items():
            self.sysctl(key, value)
        commands = []
        for interface in LINES:
            commands += [f"link set {interface} up", f"link set far-{interface} up"]
            for version in (4, 6):
                cidr = LINES[interface][1 if version == 4 else 2]
                own = emit.address(gateway_address(interface, version), version)
                hop = emit.address(gateway_address(interface, version) + 1, version)
                quick = " nodad" if version == 6 else ""
                commands += [
                    f"addr add {own}/{cidr.split('/')[1]} dev {interface}{quick}",
                    f"neigh add {hop} lladdr {NOBODY} dev {interface} nud permanent",
                    # Every host of the line is behind the next hop, so nobody needs to answer for it.
                    f"route replace {_lower(cidr)} via {hop} dev {interface} onlink",
                    f"route replace {_upper(cidr)} via {hop} dev {interface} onlink",
                ]
                if interface == "wan0":
                    everything = "0.0.0.0/0" if version == 4 else "::/0"
                    commands.append(f"route add {everything} via {hop} dev {interface} onlink")
        self.run("ip", "-batch", "-", text="\n".join(commands))
        for interface in LINES:
            shown = json.loads(self.run("ip", "-j", "link", "show", interface))
            self.addresses[interface] = shown[0]["address"]
            if not self.raw:
                continue
            with self.inside():
                raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            raw.bind((f"far-{interface}", 0x0003))
            raw.setblocking(False)
            self.sockets[interface] = raw

    def run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command], input=text, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[:2000]}")
        return done.stdout

    def sysctl(self, key: str, value: str) -> None:
        self.run("tee", "/proc/sys/" + key.replace(".", "/"), text=value)

    def load(self, batch: str) -> None:
        self.run("nft", "-f", "-", text=batch)

    def counters(self) -> dict[str, int]:
        """Packets of every counter of the table."""
        listed = json.loads(self.run("nft", "-j", "list", "counters", "table", "inet", "reef"))
        return {
            each["counter"]["name"]: each["counter"]["packets"] for each in listed["nftables"] if "counter" in each
        }

    def drain(self) -> None:
        for each in self.sockets.values():
            while _received(each) is not None:
                pass

    def send(self, interface: str, frame: bytes) -> None:
        self.sockets[interface].send(frame)

    def collect(
        self, until: Callable[[list[tuple[str, bytes]]], bool], seconds: float = 5.0
    ) -> list[tuple[str, bytes]]:
        """Frames that left the gateway, by line, until `until` says it is enough or the time is over."""
        found: list[tuple[str, bytes]] = []
        deadline = time.monotonic() + seconds
        names = {each.fileno(): name for name, each in self.sockets.items()}
        while time.monotonic() < deadline and not until(found):
            for number in select.select(list(names), [], [], 0.02)[0]:
                name = names[number]
                while (frame := _received(self.sockets[name])) is not None:
                    found.append((name, frame))
        return found

    def frame(self, packet: Packet, serial: int, layers: Layers | None = None) -> bytes:
        """A frame for `packet`, with `serial` in its payload."""
        body = MAGIC + struct.pack("!I", serial)
        outer = Ether(src="02:00:00:00:11:11", dst=self.addresses[packet.entering])
        source = emit.address(packet.source, packet.version)
        destination = emit.address(packet.destination, packet.version)
        head = IP(src=source, dst=destination) if packet.version == 4 else IPv6(src=source, dst=destination)
        if packet.version == 4:
            head.proto = packet.protocol
        else:
            head.nh = packet.protocol
        if packet.protocol == 132:
            return bytes(outer / head / SCTP(sport=packet.source_port, dport=packet.destination_port) / init(body))
        return bytes(outer / head / (layers or transport(packet, serial)) / Raw(body))


def transport(packet: Packet, serial: int) -> Layers:
    if packet.protocol == 6:
        return TCP(sport=packet.source_port, dport=packet.destination_port, flags="S", seq=1000)
    if packet.protocol == 17:
        return UDP(sport=packet.source_port, dport=packet.destination_port)
    if packet.protocol == 1:
        return ICMP(type=packet.icmp_type, code=packet.icmp_code, id=serial & 0xFFFF, seq=1)
    if packet.protocol == 58:
        return ICMPv6EchoRequest(type=packet.icmp_type, code=packet.icmp_code, id=serial & 0xFFFF, seq=1)
    return Raw(b"\0" * 8)


def init(body: bytes) -> Layers:
    """An SCTP INIT chunk, alone as connection tracking wants it, with `body` as a parameter to be skipped."""
    parameter = struct.pack("!HH", 0xC000, 4 + len(body)) + body
    return Raw(struct.pack("!BBHIIHHI", 1, 0, 20 + len(parameter), 7, 65535, 1, 1, 1) + parameter + b"\0" * 3)


class Seen:
    """A frame that left the gateway, as far as the tests look at it."""

    def __init__(self, frame: bytes) -> None:
        self.version = {0x0800: 4, 0x86DD: 6}.get(int.from_bytes(frame[12:14], "big"), 0)
        where = frame.find(MAGIC)
        self.serial = -1 if where < 0 else int.from_bytes(frame[where + len(MAGIC) : where + len(MAGIC) + 4], "big")
        if self.version == 4:
            self.protocol, size = frame[23], (frame[14] & 15) * 4
            self.source = int.from_bytes(frame[26:30], "big")
            self.destination = int.from_bytes(frame[30:34], "big")
        elif self.version == 6:
            self.protocol, size = frame[20], 40
            self.source = int.from_bytes(frame[22:38], "big")
            self.destination = int.from_bytes(frame[38:54], "big")
        else:
            self.protocol, size, self.source, self.destination = 0, 0, 0, 0
        self.head = frame[14 + size : 14 + size + 20]
        self.source_port = int.from_bytes(self.head[0:2], "big")
        self.destination_port = int.from_bytes(self.head[2:4], "big")

    @property
    def reset(self) -> bool:
        return self.protocol == 6 and len(self.head) > 13 and bool(self.head[13] & 4)

    @property
    def answer(self) -> bool:
        """An ICMP error or an echo reply: it may quote a packet, but is not it."""
        if self.protocol == 1:
            return self.head[0] in (0, 3, 5, 11, 12)
        return self.protocol == 58 and (self.head[0] < 128 or self.head[0] == 129)


def _received(raw: socket.socket) -> bytes | None:
    try:
        data, where = raw.recvfrom(65535)
    except BlockingIOError:
        return None
    # What we sent ourselves comes back as outgoing.
    return data if where[2] != socket.PACKET_OUTGOING else _received(raw)


def _lower(cidr: str) -> str:
    return str(next(iter(ip_network(cidr).subnets())))


def _upper(cidr: str) -> str:
    return str(list(ip_network(cidr).subnets())[1])
