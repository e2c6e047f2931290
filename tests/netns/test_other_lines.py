"""Packets put into a running connection from another line, in a real kernel."""

from __future__ import annotations

import socket

import msgspec
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet as Layers

from appliance.policy.compiling import emit
from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.decide import Packet
from appliance.policy.model import GATEWAY, Policy, Rule, ServiceEntry
from tests.netns.test_connections import Connection, allow, policy
from tests.netns.wire import Seen, Wire
from tests.policies import gateway_address, line_network

MARKER = 77_777  # the serial of what is put in
DNS = ServiceEntry(17, ports=(53, 53))


def load(wire: Wire, text: Policy) -> None:
    wire.load(delta(None, compile_policy(text, generation=1, capabilities=frozenset()).ruleset))


def put_in(wire: Wire, line: str, frame: bytes) -> tuple[list[str], dict[str, int]]:
    """Send a frame with the serial `MARKER` by a line: the lines it left by, and the counters that rose."""
    before = wire.counters()
    wire.drain()
    wire.send(line, frame)

    def rose() -> dict[str, int]:
        return {name: count - before[name] for name, count in wire.counters().items() if count != before[name]}

    def left(frames: list[tuple[str, bytes]]) -> list[str]:
        return [name for name, each in frames if Seen(each).serial == MARKER]

    frames = wire.collect(lambda found: bool(left(found)) or bool(rose()), 5.0)
    frames += wire.collect(lambda found: bool(left(found)), 0.1)
    return left(frames), rose()


def segment(connection: Connection, packet: Packet) -> Layers:
    """The segment that this end of the connection would send next, so that its window is kept."""
    here, other = ("lan0", "dmz0") if packet.source == connection.there.source else ("dmz0", "lan0")
    return TCP(
        sport=packet.source_port, dport=packet.destination_port, flags="PA",
        seq=connection.sequence[here], ack=connection.sequence[other], window=60000,
    )  # fmt: skip


@pytest.mark.parametrize("version", [4, 6])
def test_a_packet_put_into_a_running_connection_from_another_line_is_dropped_as_spoofed(version: int) -> None:
    with Wire() as wire:
        load(wire, policy(allow()))
        connection = Connection(wire, version, 2001)
        assert connection.open()
        for line, zone in (("gst0", "guest"), ("wan0", "internet"), ("dmz0", "dmz"), ("lan0", "lan")):
            for packet in (connection.there, connection.back):
                if packet.entering == line:
                    continue
                forged = msgspec.structs.replace(packet, entering=line)
                frame = wire.frame(forged, MARKER, segment(connection, packet))
                assert put_in(wire, line, frame) == ([], {f"spoof_{zone}": 1}), (line, packet)
        decisions = wire.counters()["r_R-1"]
        assert connection.forth()
        assert connection.answer()
        assert wire.counters()["r_R-1"] == decisions  # it was not even decided anew


def test_another_line_of_the_same_zone_may_carry_it_on() -> None:
    """Zones are what rules speak of: a route that moves from one line of a zone to another one breaks nothing, and a
    host of the zone's other line is as good as one of this line."""
    with Wire() as wire:
        load(wire, policy(allow()))
        connection = Connection(wire, 4, 2001)
        assert connection.open()
        moved = msgspec.structs.replace(connection.there, entering="lan1")
        assert put_in(wire, "lan1", wire.frame(moved, MARKER, segment(connection, moved))) == (["dmz0"], {})


def test_an_icmp_error_comes_from_the_zones_of_its_connection_or_not_at_all() -> None:
    with Wire() as wire:
        load(wire, policy(allow()))
        connection = Connection(wire, 4, 2001)
        assert connection.open()
        there = connection.there
        client, server = emit.address(there.source, 4), emit.address(there.destination, 4)
        guest = emit.address(line_network("gst0", 4).first + 10, 4)
        quoted = IP(src=client, dst=server) / TCP(sport=2001, dport=443, seq=connection.sequence["lan0"])

        def error(line: str, source: str) -> tuple[list[str], dict[str, int]]:
            carrier = Packet(4, line, "lan0", 0, there.source, 1)
            frame = wire.frame(carrier, MARKER, ICMP(type=3, code=4, nexthopmtu=900) / quoted)
            number = wire.addresses[line]
            return put_in(wire, line, rewritten(frame, source, number))

        assert error("gst0", guest) == ([], {"r_invalid": 1})
        assert error("gst0", server) == ([], {"spoof_guest": 1})
        assert error("dmz0", server) == (["lan0"], {})


def rewritten(frame: bytes, source: str, mac: str) -> bytes:
    """The IPv4 frame with another source, and right checksums."""
    from scapy.layers.l2 import Ether

    packet = Ether(frame)
    packet.dst = mac
    packet[IP].src = source
    del packet[IP].chksum
    return bytes(packet)


@pytest.mark.parametrize("version", [4, 6])
def test_nor_does_it_reach_the_gateway_itself(version: int) -> None:
    rule = Rule("R-1", ("lan",), (GATEWAY,), services=(DNS,), action="allow", number=1)
    with Wire() as wire:
        load(wire, policy(rule))
        own = gateway_address("lan0", version)
        packet = Packet(version, "lan0", "", line_network("lan0", version).first + 10, own, 17, 2001, 53)
        with wire.inside():
            server = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        server.settimeout(5)
        server.bind((emit.address(own, version), 53))
        with server:
            wire.send("lan0", wire.frame(packet, 1))
            first, where = server.recvfrom(2000)
            server.sendto(first, where)
            for line, zone in (("gst0", "guest"), ("wan0", "internet"), ("dmz0", "dmz")):
                forged = msgspec.structs.replace(packet, entering=line)
                frame = wire.frame(forged, MARKER, UDP(sport=2001, dport=53))
                assert put_in(wire, line, frame) == ([], {f"spoof_{zone}": 1})
            wire.send("lan0", wire.frame(packet, 2))
            assert server.recv(2000)[-4:] == (2).to_bytes(4, "big")  # and nothing else came before it
            assert wire.counters()["r_R-1"] == 1
