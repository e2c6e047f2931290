"""The lab's map is consistent, and its hosts speak their protocols rightly."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import random
import signal
import struct
import subprocess
import threading
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from appliance.lab import traffic
from appliance.lab.demo import SIGNALS, Wish
from appliance.lab.services import UDP_LIMIT, Mail, Names, Web
from appliance.lab.site import POLICIES
from appliance.lab.topology import Topology, ministry
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy

BOTH = pytest.mark.parametrize("topology", [ministry(), ministry(two_gateways=True)], ids=["one", "two"])
BASELINE = {"national-baseline": (POLICIES["gw"].parent.parent / "baselines" / "national-baseline.yaml").read_text()}


def policy(host: str) -> Policy:
    return parse(POLICIES[host].read_text(), POLICIES[host].name, inherited=BASELINE)[0]


def addresses(topology: Topology) -> dict[tuple[str, str], list[str]]:
    """(host, interface) -> CIDRs, those of Reef gateways taken from their policies."""
    found: dict[tuple[str, str], list[str]] = {}
    for host in topology.hosts:
        for interface in (*host.bridges, *host.interfaces):
            found[host.name, interface.name] = list(interface.addresses)
        if host.reef:
            for zone in policy(host.name).zones.values():
                for one in zone.addresses:
                    found[host.name, one.interface].append(one.address)
    return found


@BOTH
def test_every_cable_joins_two_interfaces_and_every_interface_has_one(topology: Topology) -> None:
    ends = sorted(end for cable in topology.cables for end in (cable.a, cable.b))
    there = sorted((host.name, interface.name) for host in topology.hosts for interface in host.interfaces)
    assert ends == there


@BOTH
def test_every_port_is_of_a_bridge_of_its_host(topology: Topology) -> None:
    for host in topology.hosts:
        names = {bridge.name for bridge in host.bridges}
        assert {interface.bridge for interface in host.interfaces if interface.bridge} <= names


@BOTH
def test_no_address_is_given_twice_and_all_are_for_documentation_or_private(topology: Topology) -> None:
    given = [ipaddress.ip_interface(cidr).ip for cidrs in addresses(topology).values() for cidr in cidrs]
    assert len(given) == len(set(given))
    assert all(address.is_private for address in given)  # RFC 5737 and RFC 3849 count as private there


@BOTH
def test_every_router_named_in_a_route_is_a_neighbour(topology: Topology) -> None:
    every = {ipaddress.ip_interface(cidr).ip for cidrs in addresses(topology).values() for cidr in cidrs}
    for host in topology.hosts:
        links = [
            ipaddress.ip_interface(cidr).network
            for (name, _), cidrs in addresses(topology).items()
            if name == host.name
            for cidr in cidrs
        ]
        for _, via in host.routes:
            router = ipaddress.ip_address(via)
            assert router in every, (host.name, via)
            assert any(router in network for network in links), (host.name, via)


@BOTH
def test_every_name_leads_to_a_host_of_the_lab(topology: Topology) -> None:
    every = {str(ipaddress.ip_interface(cidr).ip) for cidrs in addresses(topology).values() for cidr in cidrs}
    for name, found in topology.names.items():
        assert set(found) <= every, name


@pytest.mark.parametrize("host", sorted(POLICIES))
def test_the_labs_policies_are_right_without_a_warning(host: str) -> None:
    read, warnings = parse(POLICIES[host].read_text(), POLICIES[host].name, inherited=BASELINE)
    assert not warnings
    interfaces = {one for zone in read.zones.values() for one in zone.interfaces}
    assert interfaces == {one.name for one in ministry(two_gateways=True).host(host).interfaces}


# --- names -----------------------------------------------------------------------------------------------


@pytest.fixture
def names(tmp_path: Path) -> Names:
    file = tmp_path / "names.json"
    many = [f"198.51.{n // 256}.{n % 256}" for n in range(2000)]
    file.write_text(json.dumps({"a.example": ["192.0.2.1", "2001:db8::1"], "many.example": many, "none.example": []}))
    return Names(file)


def ask(names: Names, name: str, kind: str, limit: int = UDP_LIMIT) -> dns.message.Message:
    return dns.message.from_wire(names.answer(dns.message.make_query(name, kind).to_wire(), limit))


def test_a_name_has_the_addresses_of_the_family_that_is_asked_for(names: Names) -> None:
    assert [item.to_text() for item in ask(names, "A.example", "A").answer[0]] == ["192.0.2.1"]
    assert [item.to_text() for item in ask(names, "a.example", "AAAA").answer[0]] == ["2001:db8::1"]
    assert ask(names, "a.example", "MX").answer == []


def test_a_name_without_addresses_is_not_a_name_that_does_not_exist(names: Names) -> None:
    assert ask(names, "none.example", "A").rcode() == dns.rcode.NOERROR
    assert ask(names, "other.example", "A").rcode() == dns.rcode.NXDOMAIN


def test_an_answer_too_long_for_a_datagram_is_cut_and_whole_over_tcp(names: Names) -> None:
    short = ask(names, "many.example", "A")
    assert short.flags & dns.flags.TC
    assert not short.answer
    assert len(ask(names, "many.example", "A", 65535).answer[0]) == 2000


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 11, b"not dns", dns.message.make_query("a.example", "A").to_wire()[:-3]],
    ids=["nothing", "less than a header", "words", "cut short"],
)
def test_what_is_no_query_gets_no_answer(names: Names, data: bytes) -> None:
    assert names.answer(data, UDP_LIMIT) == b""


def test_answers_change_when_the_file_does(names: Names, tmp_path: Path) -> None:
    assert ask(names, "a.example", "A").answer
    (tmp_path / "new").write_text("{}")
    (tmp_path / "new").rename(tmp_path / "names.json")
    assert ask(names, "a.example", "A").rcode() == dns.rcode.NXDOMAIN


# --- web and mail ------------------------------------------------------------------------------------------


async def converse(serve: asyncio.Server, said: bytes) -> bytes:
    host, port = serve.sockets[0].getsockname()[:2]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(said)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    serve.close()
    return answer


def test_the_web_server_serves_two_pages_over_one_connection() -> None:
    async def talk() -> bytes:
        serve = await asyncio.start_server(Web("web").serve, "127.0.0.1", 0)
        head = b"GET / HTTP/1.1\r\n\r\nGET /bytes/12 HTTP/1.1\r\nConnection: close\r\n\r\n"
        return await converse(serve, head)

    answer = asyncio.run(talk())
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"web serves / to 127.0.0.1\n" in answer
    assert answer.endswith(b"\r\n\r\ncoral reefco")


def test_the_mail_server_takes_a_message() -> None:
    async def talk() -> bytes:
        serve = await asyncio.start_server(Mail("mail.example").serve, "127.0.0.1", 0)
        said = b"EHLO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\nhello\r\n.\r\nVRFY x\r\nQUIT\r\n"
        return await converse(serve, said)

    codes = [line[:3] for line in asyncio.run(talk()).splitlines()]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"502", b"221"]


@pytest.mark.parametrize(("source", "destination"), [("10.20.0.99", "10.21.0.10"), ("2001:db8::1", "2001:db8::2")])
def test_a_forged_packet_has_a_right_checksum(source: str, destination: str) -> None:
    """Nothing but its lie is a reason to drop it."""
    segment = traffic._syn(source, destination, 80)
    pseudo = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    pseudo += struct.pack("!II", len(segment), 6)
    total = sum(struct.unpack(f"!{len(pseudo + segment) // 2}H", pseudo + segment))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


@pytest.mark.parametrize(("text", "seconds"), [("20s", 20.0), ("1.5m", 90.0), ("2h", 7200.0), ("7", 7.0)])
def test_a_duration_is_read(text: str, seconds: float) -> None:
    from appliance.lab.demo import parser

    assert parser().parse_args(["--for", text]).seconds == seconds


def test_a_wrong_duration_is_refused_with_words(capsys: pytest.CaptureFixture[str]) -> None:
    from appliance.lab.demo import parser

    with pytest.raises(SystemExit):
        parser().parse_args(["--for", "soon"])
    assert "write 20s, 5m or 1h" in capsys.readouterr().err


def test_a_signal_in_the_middle_of_looking_after_a_child_leaves_nothing_locked() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    child = subprocess.Popen(["sleep", "60"])
    try:
        for _ in range(100):
            wish = Wish()
            wish.hear()
            timer = threading.Timer(random.uniform(0.0, 0.005), os.kill, (os.getpid(), signal.SIGTERM))
            timer.start()
            while not wish.uttered:
                child.poll()
            timer.join()
        child.terminate()
        assert child.wait(10) == -signal.SIGTERM
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        child.kill()
