"""From packets to what the detections see: the engine's records, read back; and records that nobody believes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from ctypes_ext import engine
from dataplane.detections.seen import Conversation, Login, Neighbour, Question, Seen
from dataplane.watchfeed import RECORD, Feed
from tests.unit.detections.scenes import address

TIME = 1_700_000_000.0
A = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
B = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")


def seen(path: Path, *packets: Packet) -> list[Seen]:
    for number, packet in enumerate(packets):
        packet.time = TIME + number / 10
    wrpcap(str(path), list(packets))
    worker, names, file = engine.Worker(engine.Options(feeds=True)), engine.Names(), engine.CaptureFile(path)
    gathered, feed = engine.Feed(), Feed(engine.protocols())
    found: list[Seen] = []

    def drain() -> None:
        while True:
            lines, _ = worker.drain(names, lambda _: engine.RuleName("", ""), None, gathered)
            data = gathered.take()
            found.extend(feed.read(data))
            if not lines and not data:
                return

    while file.pull(worker):
        drain()
    while not worker.finish():
        drain()
    drain()
    assert (feed.lost, feed.damaged, gathered.lost()) == (0, 0, 0)
    return found


def exchange(port: int, *talk: tuple[bool, bytes]) -> list[Packet]:
    """A whole TCP conversation of 10.0.0.1 with 10.0.0.2: who speaks (True: the client), and what."""
    there, back = A / IP(src="10.0.0.1", dst="10.0.0.2"), B / IP(src="10.0.0.2", dst="10.0.0.1")
    mine, its = 1000, 5000
    packets: list[Packet] = [
        there / TCP(sport=40000, dport=port, flags="S", seq=mine - 1),
        back / TCP(sport=port, dport=40000, flags="SA", seq=its - 1, ack=mine),
        there / TCP(sport=40000, dport=port, flags="A", seq=mine, ack=its),
    ]
    for client, data in talk:
        if client:
            packets.append(there / TCP(sport=40000, dport=port, flags="PA", seq=mine, ack=its) / Raw(data))
            mine += len(data)
        else:
            packets.append(back / TCP(sport=port, dport=40000, flags="PA", seq=its, ack=mine) / Raw(data))
            its += len(data)
    packets.append(there / TCP(sport=40000, dport=port, flags="FA", seq=mine, ack=its))
    packets.append(back / TCP(sport=port, dport=40000, flags="FA", seq=its, ack=mine + 1))
    packets.append(there / TCP(sport=40000, dport=port, flags="A", seq=mine + 1, ack=its + 1))
    return packets


def test_a_conversation_is_seen_when_it_is_answered_and_when_it_is_over(tmp_path: Path) -> None:
    found = seen(tmp_path / "c.pcap", *exchange(8080, (True, b"hello"), (False, b"welcome")))
    assert [one.phase for one in found if isinstance(one, Conversation)] == ["answered", "ended"]
    answered, ended = found[0], found[-1]
    assert isinstance(answered, Conversation)
    assert isinstance(ended, Conversation)
    assert answered.answered
    assert not answered.failed
    assert (ended.client, ended.server, ended.port) == (address("10.0.0.1"), address("10.0.0.2"), 8080)
    assert (ended.packets_sent, ended.packets_received) == (5, 3)
    assert ended.start == TIME


def test_a_reset_and_silence_are_failures(tmp_path: Path) -> None:
    there, back = A / IP(src="10.0.0.1", dst="10.0.0.2"), B / IP(src="10.0.0.2", dst="10.0.0.1")
    found = seen(
        tmp_path / "c.pcap",
        there / TCP(sport=1, dport=81, flags="S", seq=1),
        back / TCP(sport=81, dport=1, flags="RA", ack=2),
        there / TCP(sport=2, dport=82, flags="S", seq=1),
    )
    failed = {one.port for one in found if isinstance(one, Conversation) and one.failed}
    assert failed == {81, 82}


def test_names_that_are_asked_for_and_that_do_not_exist(tmp_path: Path) -> None:
    ask = A / IP(src="10.0.0.1", dst="10.0.0.53") / UDP(sport=1024, dport=53)
    answer = B / IP(src="10.0.0.53", dst="10.0.0.1") / UDP(sport=53, dport=1024)
    question = DNSQR(qname="nowhere.example.org", qtype="TXT")
    found = [
        one
        for one in seen(
            tmp_path / "c.pcap",
            ask / DNS(id=7, rd=1, qd=question),
            answer / DNS(id=7, qr=1, rcode=3, qd=question),
        )
        if isinstance(one, Question)
    ]
    assert [(one.name, one.kind, one.rcode) for one in found] == [
        ("nowhere.example.org", "TXT", ""),
        ("nowhere.example.org", "TXT", "NXDOMAIN"),
    ]
    assert {one.client for one in found} == {address("10.0.0.1")}


def test_devices_show_themselves_by_arp_dhcp_and_multicast_dns(tmp_path: Path) -> None:
    everybody = "ff:ff:ff:ff:ff:ff"
    given = BOOTP(op=2, yiaddr="10.0.0.77", chaddr=bytes.fromhex("b827eb010203"), xid=5)
    options = [("message-type", "ack"), ("hostname", b"printer"), ("server_id", "10.0.0.1"), "end"]
    said = DNS(qr=1, aa=1, qd=[], an=DNSRR(rrname="kitchen.local", type="A", ttl=120, rdata="10.0.0.78"))
    found = [
        one
        for one in seen(
            tmp_path / "c.pcap",
            Ether(src="b8:27:eb:01:02:03", dst=everybody)
            / ARP(hwsrc="b8:27:eb:01:02:03", psrc="10.0.0.76", pdst="10.0.0.9"),
            B / IP(src="10.0.0.1", dst="10.0.0.77") / UDP(sport=67, dport=68) / given / DHCP(options=options),
            A / IP(src="10.0.0.78", dst="224.0.0.251", ttl=255) / UDP(sport=5353, dport=5353) / said,
        )
        if isinstance(one, Neighbour)
    ]
    assert found[1].asked == address("10.0.0.9")
    assert [(one.how, one.mac, one.address, one.name) for one in found] == [
        ("arp", "b8:27:eb:01:02:03", address("10.0.0.76"), ""),
        ("asks", "b8:27:eb:01:02:03", address("10.0.0.76"), ""),
        ("dhcp", "b8:27:eb:01:02:03", address("10.0.0.77"), "printer"),
        ("mdns", "02:00:00:00:00:01", address("10.0.0.78"), "kitchen"),
    ]


def test_logins_whose_outcome_can_be_read(tmp_path: Path) -> None:
    request = b"GET / HTTP/1.1\r\nHost: intra\r\n\r\n"
    form = b"POST /wp-login.php HTTP/1.1\r\nHost: intra\r\nContent-Length: 3\r\n\r\na=b"
    denied = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    web = seen(
        tmp_path / "w.pcap",
        *exchange(80, (True, request), (False, denied), (True, request), (False, fine), (True, form), (False, fine)),
    )
    logins = [(one.protocol, one.failed) for one in web if isinstance(one, Login)]
    assert logins == [("http", True), ("http", False), ("http", False), ("web login", True)]
    ftp = seen(
        tmp_path / "f.pcap",
        *exchange(
            21, (False, b"220 ready\r\n"), (True, b"USER root\r\n"), (False, b"331 password?\r\n"),
            (True, b"PASS one\r\n"), (False, b"530 wrong\r\n"), (True, b"PASS two\r\n"), (False, b"230 welcome\r\n"),
        ),
    )  # fmt: skip
    assert [(one.protocol, one.failed) for one in ftp if isinstance(one, Login)] == [("ftp", True), ("ftp", False)]


@given(st.binary(max_size=600))
def test_bytes_that_are_no_records_are_left_out(data: bytes) -> None:
    feed = Feed(["", "ssh"])
    for one in feed.read(data):
        assert isinstance(one, Seen)


@given(st.integers(0, 255), st.binary(min_size=RECORD.size, max_size=RECORD.size + 200))
def test_records_of_any_content_are_read_or_left_out(kind: int, data: bytes) -> None:
    whole = len(data) // 8 * 8
    forged = whole.to_bytes(2, "little") + bytes([kind]) + data[3:whole]
    feed = Feed(["", "ssh"])
    list(feed.read(forged))
    assert list(feed.read(forged[:-1])) == []
    assert feed.damaged > 0
