"""AF_PACKET, NFLOG and conntrack events with real packets: what was sent is what is reported, or counted as lost."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.lab.netns import inside
from ctypes_ext.engine import Conntrack, EngineError, Names, Nflog, Options, Ring, RuleName, Source, Worker
from dataplane.links import Links
from dataplane.naming import rule_of_prefix
from tests.netns.conftest import until

GROUP = 1
CLIENT, GATEWAY = "10.77.0.1", "10.77.0.2"
QUESTION = b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1"
RULES = """
table inet capture {
    chain input {
        type filter hook input priority 0
        udp dport 7 log prefix "R-7 deny lan - " group 1 drop
        udp dport 9 log prefix "R-9 allow lan - " group 1 accept
        udp dport 10 log prefix "another table: " group 1 accept
        ct state new ct mark set 0x01240005
    }
}
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Wire:
    """A host and a gateway with a wire between them."""

    def __init__(self) -> None:
        self.names = {role: f"cap{os.getpid()}-{role}" for role in ("client", "gateway")}

    def at(self, role: str) -> contextlib.AbstractContextManager[None]:
        return inside(Path("/run/netns") / self.names[role])

    def sh(self, role: str, *command: str) -> None:
        run("ip", "netns", "exec", self.names[role], *command)

    def socket(self, role: str, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        with self.at(role):
            return socket.socket(socket.AF_INET, kind)

    def send(self, port: int, count: int = 1, payload: bytes = b"hello") -> None:
        with self.socket("client") as sender:
            for _ in range(count):
                sender.sendto(payload, (GATEWAY, port))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    wire = Wire()
    client, gateway = wire.names.values()
    for name in (client, gateway):
        run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", "eth0", "netns", client, "type", "veth", "peer", "name", "lan0", "netns", gateway)
        for role, link, address in (("client", "eth0", CLIENT), ("gateway", "lan0", GATEWAY)):
            wire.sh(role, "ip", "link", "set", "lo", "up")
            wire.sh(role, "ip", "address", "add", f"{address}/24", "dev", link)
            wire.sh(role, "ip", "link", "set", link, "up")
        wire.sh("gateway", "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        subprocess.run(["ip", "netns", "exec", gateway, "nft", "-f", "-"], input=RULES, text=True, check=True)
        yield wire
    finally:
        for name in (client, gateway):
            run("ip", "netns", "del", name)


class Watch:
    """A worker fed by one source; `events` is all it reported."""

    def __init__(self, source: Source, options: Options, names: Names) -> None:
        self.source, self.worker, self.names = source, Worker(options), names
        self.events: list[dict[str, Any]] = []

    def pull(self) -> None:
        self.source.pull(self.worker)
        while (lines := self.worker.drain(self.names, rule_of_prefix)[0]) != b"":
            self.events += [json.loads(line) for line in lines.splitlines()]

    def until(self, holds: Callable[[list[dict[str, Any]]], object], what: str) -> list[dict[str, Any]]:
        def look() -> object:
            self.pull()
            return holds(self.events)

        until(look, f"{what}; seen: {self.events}")
        return self.events


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one type: a fresh link also carries neighbour discovery, whose padding is an anomaly of its own."""
    return [event for event in events if event["event_type"] == kind]


def links_of(wire: Wire) -> tuple[dict[int, str], Names]:
    with wire.at("gateway"):
        links = Links().names
    names = Names("here")
    for number, name in links.items():
        names.interface(number, name, "lan" if name == "lan0" else "")
    return links, names


def test_a_ring_sees_what_crosses_the_selected_interface(wire: Wire) -> None:
    links, names = links_of(wire)
    with wire.at("gateway"):
        ring = Ring(blocks=4)
    ring.select(number for number, name in links.items() if name == "lan0")
    watch = Watch(ring, Options(by_interface=True, only_entering=True, report_flows=False, checksums=False), names)
    with wire.socket("gateway") as local:  # an interface that was not selected
        local.sendto(QUESTION, ("127.0.0.1", 5300))
    wire.send(5300, payload=QUESTION)  # known by what it says, not by its port
    [event] = of_type(watch.until(lambda events: of_type(events, "dns"), "the question is reported"), "dns")
    assert (event["dns"]["rrname"], event["dns"]["rrtype"]) == ("www.example.org", "A")
    assert event["in_iface"] == "lan0"
    assert event["src_ip"] == CLIENT
    assert event["metadata"]["flowvars"] == [{"gid": "reef", "from": "lan"}]
    with wire.socket("gateway") as outward:  # leaves through the selected one: not a conversation that entered
        outward.sendto(QUESTION, (CLIENT, 5300))
    wire.send(53, payload=QUESTION)
    both = of_type(watch.until(lambda events: len(of_type(events, "dns")) > 1, "the next"), "dns")
    assert [event["dest_ip"] for event in both] == [GATEWAY] * 2


def test_a_stream_over_the_wire_is_put_together(wire: Wire) -> None:
    links, names = links_of(wire)
    with wire.at("gateway"):
        ring = Ring(next(number for number, name in links.items() if name == "lan0"), blocks=4)
    watch = Watch(ring, Options(only_entering=True, checksums=False), names)
    with wire.socket("gateway", socket.SOCK_STREAM) as server, wire.socket("client", socket.SOCK_STREAM) as client:
        server.bind((GATEWAY, 8080))
        server.listen()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect((GATEWAY, 8080))
        accepted, _ = server.accept()
        with accepted:
            for part in (b"POST /upload HT", b"TP/1.1\r\nHost: wire.exa", b"mple\r\n\r\n"):
                client.sendall(part)
                assert accepted.recv(100) == part  # each part is a segment of its own
    [event] = of_type(watch.until(lambda events: of_type(events, "http"), "the request is reported"), "http")
    assert event["http"]["hostname"] == "wire.example"
    assert event["http"]["http_method"] == "POST"


def test_what_the_ring_has_no_room_for_is_counted(wire: Wire) -> None:
    links, _ = links_of(wire)
    with wire.at("gateway"):
        ring = Ring(next(number for number, name in links.items() if name == "lan0"), block_bytes=1 << 16, blocks=2)
    wire.send(4000, 3000, b"x" * 1000)
    worker = Worker(Options(checksums=False))
    seen = 0
    while (taken := ring.pull(worker)) > 0:
        seen += taken
    assert seen > 0
    assert ring.lost() > 0
    assert 3000 <= seen + ring.lost() <= 6100  # the answers ("port unreachable") cross the wire too


def test_logged_packets_carry_their_rule(wire: Wire) -> None:
    _, names = links_of(wire)
    with wire.at("gateway"):
        nflog = Nflog(GROUP)
    watch = Watch(nflog, Options(), names)
    for port in (7, 9, 10, 7):
        wire.send(port)
    watch.until(lambda events: len(events) == 3, "three of four are ours")
    dropped, allowed, _ = watch.events
    assert dropped["event_type"] == "drop"
    assert dropped["verdict"] == {"action": "drop"}
    assert (dropped["src_ip"], dropped["dest_ip"], dropped["dest_port"]) == (CLIENT, GATEWAY, 7)
    assert dropped["drop"]["len"] == 33
    assert dropped["drop"]["udplen"] == 13
    assert dropped["in_iface"] == "lan0"
    assert dropped["metadata"]["flowvars"] == [
        {"gid": "reef", "rule": "R-7", "action": "deny", "from": "lan", "to": "gateway"}
    ]
    assert allowed["event_type"] == "flow"
    assert allowed["flow"]["state"] == "new"
    assert allowed["metadata"]["flowvars"][0]["rule"] == "R-9"
    with wire.at("gateway"), pytest.raises(EngineError, match="NFLOG group 1: "):
        Nflog(GROUP)  # one reader per group


def test_a_flood_is_logged_up_to_a_rate_and_the_rest_is_said(wire: Wire) -> None:
    _, names = links_of(wire)
    with wire.at("gateway"):
        nflog = Nflog(GROUP, rate=10)
    watch = Watch(nflog, Options(), names)
    wire.send(7, 500)

    def kinds(kind: str) -> list[dict[str, Any]]:
        return [event for event in watch.events if event["event_type"] == kind]

    def said() -> int:
        words = [event["engine"]["message"] for event in kinds("engine")]
        assert all("more than is written in a second" in one for one in words)
        return sum(int(one.removeprefix("events lost: ").partition(";")[0]) for one in words)

    watch.until(lambda _: len(kinds("drop")) + said() == 500, "what is not written is said, though nothing follows")
    assert 10 <= len(kinds("drop")) <= 50
    assert nflog.left_out() == said()


def test_log_records_that_found_no_room_are_counted_exactly(wire: Wire) -> None:
    _, names = links_of(wire)
    with wire.at("gateway"):
        nflog = Nflog(GROUP, rate=1_000_000)
    with socket.socket(fileno=os.dup(nflog.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # a flood for little
    watch = Watch(nflog, Options(), names)
    wire.send(7, 5000)
    watch.pull()
    wire.send(7)  # its sequence number says what was lost before it
    sent = 5001
    watch.until(lambda _: nflog.lost() > 0, "the socket overflowed")

    def drops() -> int:
        return sum(event["event_type"] == "drop" for event in watch.events)

    watch.until(lambda _: drops() + nflog.lost() == sent, "every record came or was counted")
    said = [event["engine"]["message"] for event in watch.events if event["event_type"] == "engine"]
    assert sum(int(words.removeprefix("events lost: ").partition(";")[0]) for words in said) == nflog.lost()


def test_ended_connections_carry_their_rule_and_counters(wire: Wire) -> None:
    _, names = links_of(wire)
    names.rule(5, RuleName("R-5", "allow", "lan", "gateway", log_end=True))
    with wire.at("gateway"):
        conntrack = Conntrack()
    watch = Watch(conntrack, Options(), names)
    with wire.socket("gateway") as server, wire.socket("client") as client:
        server.bind((GATEWAY, 6000))
        client.sendto(b"question", (GATEWAY, 6000))
        data, peer = server.recvfrom(100)
        server.sendto(data, peer)
        client.recv(100)
    wire.sh("gateway", "conntrack", "-D", "-p", "udp", "--dport", "6000")
    watch.until(lambda events: [one for one in events if one["dest_port"] == 6000], "the end is reported")
    event = watch.events[-1]
    assert event["event_type"] == "flow"
    assert event["flow"]["state"] == "established"
    assert event["flow"]["pkts_toserver"] == event["flow"]["pkts_toclient"] == 1
    assert event["flow"]["bytes_toserver"] == 36
    assert event["metadata"]["flowvars"][0] == {
        "gid": "reef",
        "rule": "R-5",
        "action": "allow",
        "from": "lan",
        "to": "gateway",
    }


def test_links_are_followed(wire: Wire) -> None:
    with wire.at("gateway"):
        links = Links()
    assert set(links.names.values()) == {"lo", "lan0"}
    assert not links.read()
    wire.sh("gateway", "ip", "link", "add", "lte0", "type", "veth", "peer", "name", "lte1")
    until(lambda: links.read() or "lte0" in links.names.values(), "the new interface is told of")
    wire.sh("gateway", "ip", "link", "del", "lte0")
    until(lambda: links.read() or "lte0" not in links.names.values(), "and that it is gone")
    assert set(links.names.values()) == {"lo", "lan0"}
