"""The C core from Python: captures written by scapy become EVE lines; what is wrong is said with its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether, Loopback
from scapy.packet import Packet, Raw
from scapy.utils import PcapNgWriter, PcapWriter, wrpcap

from ctypes_ext.engine import CaptureFile, Counters, EngineError, Names, Options, RuleName, Worker

NOTHING = RuleName("", "")
DEFAULT = Options()
TIME = 1_700_000_000.25


def eve(path: Path, options: Options = DEFAULT, site: str = "") -> tuple[list[dict[str, Any]], Counters]:
    worker, names, file = Worker(options), Names(site), CaptureFile(path)
    lines: list[dict[str, Any]] = []

    def drain() -> None:
        while True:
            data, count = worker.drain(names, lambda _: NOTHING)
            if not data:
                return
            assert data.count(b"\n") == count
            lines.extend(json.loads(line) for line in data.splitlines())

    while file.pull(worker):
        drain()
    while not worker.finish():
        drain()
    drain()
    return lines, worker.counters()


def capture(path: Path, *packets: Packet) -> Path:
    for number, packet in enumerate(packets):
        packet.time = TIME + number
    wrpcap(str(path), list(packets))
    return path


ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
THERE = IP(src="10.0.0.1", dst="192.0.2.1")
QUESTION = UDP(sport=1024, dport=53) / DNS(id=7, qd=DNSQR(qname="www.example.org"))


def test_a_question_becomes_a_dns_event_and_a_flow(tmp_path: Path) -> None:
    lines, counters = eve(capture(tmp_path / "c.pcap", ETHER / Dot1Q(vlan=12) / THERE / QUESTION), site="health")
    dns, flow = lines
    assert dns["event_type"] == "dns"
    assert (dns["dns"]["type"], dns["dns"]["rrname"], dns["dns"]["rrtype"]) == ("query", "www.example.org", "A")
    assert dns["vlan"] == [12]
    assert dns["host"] == "health"
    assert dns["timestamp"] == "2023-11-14T22:13:20.250000+0000"
    assert dns["flow_id"] == flow["flow_id"]
    assert flow["app_proto"] == "dns"
    assert (flow["src_ip"], flow["src_port"]) == ("10.0.0.1", 1024)
    assert (flow["dest_ip"], flow["dest_port"]) == ("192.0.2.1", 53)
    assert counters.packets == 1
    assert counters.transactions == 1


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(ETHER / THERE, id="ethernet"),
        pytest.param(THERE, id="raw"),
        pytest.param(CookedLinux(proto=0x800) / THERE, id="cooked"),
        pytest.param(Loopback() / THERE, id="loopback"),
    ],
)
def test_link_types(link: Packet, tmp_path: Path) -> None:
    lines, _ = eve(capture(tmp_path / "c.pcap", link / QUESTION))
    assert [line["event_type"] for line in lines] == ["dns", "flow"]


def there(flags: str, seq: int, ack: int = 0, payload: bytes = b"") -> Packet:
    return ETHER / THERE / TCP(sport=1024, dport=80, flags=flags, seq=seq, ack=ack) / Raw(payload)


def back(flags: str, seq: int, ack: int) -> Packet:
    return ETHER / IP(src="192.0.2.1", dst="10.0.0.1") / TCP(sport=80, dport=1024, flags=flags, seq=seq, ack=ack)


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_a_handshake_and_its_end(writer: type, tmp_path: Path) -> None:
    packets = [
        there("S", 1),
        back("SA", 1, 2),
        there("A", 2, 2),
        there("PA", 2, 2, b"GET /x HTTP/1.1\r\nHo"),
        there("PA", 21, 2, b"st: a.example\r\n\r\n"),
        there("FA", 38, 2),
        back("FA", 2, 39),
        there("A", 39, 3),
    ]
    with writer(str(tmp_path / "c")) as out:
        for number, packet in enumerate(packets):
            packet.time = TIME + number
            out.write(packet)
    http, flow = eve(tmp_path / "c")[0]
    said = {"hostname": "a.example", "url": "/x", "http_method": "GET", "protocol": "HTTP/1.1", "length": 0}
    assert http["http"] == said
    assert flow["flow"]["state"] == "closed"
    assert (flow["flow"]["pkts_toserver"], flow["flow"]["pkts_toclient"]) == (6, 2)
    assert flow["tcp"]["state"] == "closed"


def test_icmp_of_both_families_is_one_flow_each(tmp_path: Path) -> None:
    echo6 = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IPv6(src="2001:db8::1", dst="2001:db8::2")
    lines, _ = eve(
        capture(
            tmp_path / "c.pcap",
            ETHER / THERE / ICMP(id=5, seq=1),
            ETHER / THERE / ICMP(id=5, seq=2),
            ETHER / IP(src="192.0.2.1", dst="10.0.0.1") / ICMP(type=0, id=5, seq=2),
            echo6 / ICMPv6EchoRequest(id=9),
        )
    )
    assert [(line["proto"], line["flow"]["pkts_toserver"], line["flow"]["pkts_toclient"]) for line in lines] == [
        ("ICMP", 2, 1),
        ("IPv6-ICMP", 1, 0),
    ]


def test_options_choose_what_is_reported(tmp_path: Path) -> None:
    path = capture(tmp_path / "c.pcap", ETHER / THERE / QUESTION)
    assert eve(path, Options(report_flows=False))[0][0]["event_type"] == "dns"
    assert [line["event_type"] for line in eve(path, Options(report_apps=False))[0]] == ["flow"]


def test_more_events_than_the_ring_holds_are_all_drained(tmp_path: Path) -> None:
    packets = [ETHER / THERE / UDP(sport=1024 + n, dport=9) for n in range(3000)]
    lines, counters = eve(capture(tmp_path / "c.pcap", *packets), Options(events=64, text_bytes=1 << 16))
    assert len(lines) == 3000
    assert counters.events_lost == 0
    assert counters.flows_active == 0


def test_equal_seeds_give_equal_lines(tmp_path: Path) -> None:
    path = capture(tmp_path / "c.pcap", ETHER / THERE / QUESTION)
    assert eve(path, Options(seed=(1, 2))) == eve(path, Options(seed=(1, 2)))
    assert eve(path, Options(seed=(1, 2)))[0][0]["flow_id"] != eve(path, Options(seed=(3, 4)))[0][0]["flow_id"]


def test_a_damaged_capture_gives_what_came_before(tmp_path: Path) -> None:
    path = capture(tmp_path / "c.pcap", ETHER / THERE / QUESTION, ETHER / THERE / QUESTION)
    path.write_bytes(path.read_bytes()[:-1])
    worker, names, file = Worker(Options()), Names(), CaptureFile(path)
    with pytest.raises(EngineError, match=r"c\.pcap: the file ends inside a record"):
        while file.pull(worker):
            pass
    assert b'"event_type":"dns"' in worker.drain(names, lambda _: NOTHING)[0]


def test_what_cannot_be_opened_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.pcap: No such file"):
        CaptureFile(tmp_path / "none.pcap")
    (tmp_path / "text").write_text("this is no capture file")
    with pytest.raises(EngineError, match="neither a pcap nor a pcapng file"):
        CaptureFile(tmp_path / "text")
    with pytest.raises(EngineError, match="outside its bounds"):
        Worker(Options(flows=0))
