"""Captures as no honest host writes them: frames cut, swapped, lost, bent. The engine stays within bounds."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import RawPcapReader, RawPcapWriter

from ctypes_ext.engine import CaptureFile, Counters, Names, Options, RuleName, Rules, Worker
from dataplane import rulefiles

CLIENT, SERVER = "10.20.0.11", "198.51.100.80"
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MEMORY = 1 << 18
PACKED = gzip.compress(b"<p>seven dwarfs</p>" * 40, mtime=0)
MAIL = (
    b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\n"
    b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=x.exe\r\n\r\n"
    + b"TVqQAAMAAAAEAAAA\r\n" * 20
    + b"--zz--\r\n.\r\n"
)
Talk = list[tuple[bool, bytes]]
TALKS: dict[str, tuple[int, Talk]] = {
    "http": (
        80,
        [
            (
                True,
                b"POST /a.exe?b=%41 HTTP/1.1\r\nHost: x.example\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                False,
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
            ),
            (True, b"GET /next HTTP/1.1\r\nHost: x.example\r\n\r\n"),
            (False, b"HTTP/1.0 200 OK\r\n\r\n" + b"until the end " * 30),
        ],
    ),
    "upgrade": (
        80,
        [
            (True, b"GET / HTTP/1.1\r\nHost: x.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
            (False, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 4),
            (True, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\3\1\5\0\0\0\1\x82\x84\x86"),
        ],
    ),
    "mail": (
        25,
        [
            (False, b"220 mx.example ESMTP\r\n"),
            (True, b"EHLO me\r\n"),
            (False, b"250-mx.example\r\n250 STARTTLS\r\n"),
            (True, b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"),
            (False, b"250 ok\r\n250 ok\r\n354 go on\r\n"),
            (True, MAIL),
            (False, b"250 taken\r\n"),
            (True, b"STARTTLS\r\n"),
            (False, b"HTTP/1.1 101 Upgrade: h2c\r\n\r\n"),
        ],
    ),
    "tls": (
        443,
        [
            (True, bytes.fromhex("16030100310100002d0303") + bytes(32) + bytes.fromhex("000002c02f01000002000a")),
            (False, bytes.fromhex("160303002c020000280303") + bytes(32) + bytes.fromhex("00c02f00") + bytes(2)),
            (False, bytes.fromhex("16030300100b00000c000009000006308201000203")),
            (True, bytes.fromhex("15030300020228")),
        ],
    ),
}
RULES = """\
alert http any any -> any any (msg:"program"; http.uri; content:".exe"; sid:1;)
alert http any any -> any any (msg:"body"; file.data; content:"seven"; pcre:"/dw[a-z]+fs/"; sid:2;)
alert tcp any any -> any any (msg:"stream"; content:"hello"; content:"next"; distance:0; sid:3;)
alert smtp any any -> any any (msg:"attached"; file.data; content:"MZ"; sid:4;)
alert http any any -> any any (msg:"protocol"; app-layer-event:http.failed_protocol_change; sid:5;)
"""


def frames(port: int, talk: Talk, size: int) -> list[bytes]:
    """The talk as TCP segments of at most `size` bytes, some of them in fragments."""
    at = {True: 1000, False: 5000}

    def segment(to_server: bool, flags: str, data: bytes = b"") -> list[bytes]:
        ends = (CLIENT, SERVER, 40000, port) if to_server else (SERVER, CLIENT, port, 40000)
        tcp = TCP(sport=ends[2], dport=ends[3], flags=flags, seq=at[to_server], ack=at[not to_server], chksum=0)
        number = at[to_server] & 0xFFFF
        body = bytes(tcp / Raw(data))
        step = 24 if len(data) == size else 1480
        parts = []
        for first in range(0, len(body), step):
            more = "MF" if first + step < len(body) else 0
            ip = IP(src=ends[0], dst=ends[1], id=number, proto=6, flags=more, frag=first // 8)
            parts.append(bytes(ETHER / ip / Raw(body[first : first + step])))
        at[to_server] = at[to_server] + len(data) + ("S" in flags or "F" in flags)
        return parts

    made = segment(True, "S") + segment(False, "SA") + segment(True, "A")
    for to_server, data in talk:
        for first in range(0, len(data), size):
            made += segment(to_server, "PA", data[first : first + size])
        made += segment(not to_server, "A")
    return made + segment(True, "FA") + segment(False, "FA") + segment(True, "A")


def spoil(honest: list[bytes], chance: random.Random) -> list[bytes]:
    """Frames cut, swapped, doubled, left out and bent, some of each."""
    made: list[bytes] = []
    for frame in honest:
        fate = chance.randrange(12)
        if fate == 0:
            continue
        if fate == 1:
            made.append(frame)
        if fate == 2:
            frame = frame[: chance.randrange(len(frame) + 1)]
        if fate == 3:
            bent = bytearray(frame)
            for _ in range(chance.randrange(1, 4)):
                bent[chance.randrange(len(bent))] = chance.randrange(256)
            frame = bytes(bent)
        made.insert(max(0, len(made) - (chance.randrange(5) if fate < 6 else 0)), frame)
    return made


def write(path: Path, content: list[bytes]) -> Path:
    with RawPcapWriter(str(path), linktype=1) as out:
        out.write_header(None)
        for number, frame in enumerate(content):
            out.write_packet(frame, sec=1_700_000_000 + number // 100, usec=number % 100)
    return path


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    file = tmp_path_factory.mktemp("rules") / "hostile.rules"
    file.write_text(RULES)
    loaded = rulefiles.load([file])
    assert not loaded.refused
    return loaded.rules


def through(path: Path, rules: Rules, memory: int = MEMORY) -> tuple[Counters, int]:
    worker = Worker(Options(flows=64, memory=memory, checksums=False, report_anomalies=True), rules)
    names, file = Names(""), CaptureFile(path)
    lines = 0

    def drain() -> None:
        nonlocal lines
        while (given := worker.drain(names, lambda _: RuleName("", "")))[0]:
            lines += given[1]

    while file.pull(worker):
        drain()
    while not worker.finish():
        drain()
    drain()
    return worker.counters(), lines


@pytest.mark.parametrize("name", TALKS)
@pytest.mark.parametrize("size", [5, 48, 1400])
def test_spoilt_frames_neither_stop_the_engine_nor_cost_more_memory_than_it_has(
    tmp_path: Path, rules: Rules, name: str, size: int
) -> None:
    honest = frames(*TALKS[name], size)
    for seed in range(12):
        spoilt = spoil(honest, random.Random(seed))
        counters, _ = through(write(tmp_path / "c.pcap", spoilt), rules)
        assert counters.packets == len(spoilt)
        assert counters.memory_peak <= MEMORY
        assert counters.flows_active == 0
        assert counters.memory_used == 0 or counters.fragments > 0  # those wait for the rest of their packet


@pytest.mark.parametrize("name", TALKS)
def test_hardly_any_memory_is_enough_to_go_on(tmp_path: Path, rules: Rules, name: str) -> None:
    path = write(tmp_path / "c.pcap", frames(*TALKS[name], 1400))
    refused = 0
    for memory in range(256, 1 << 14, 512):
        counters, _ = through(path, rules, memory)
        refused += counters.memory_refused
        assert counters.memory_peak <= memory
        assert counters.memory_used == 0
    assert refused > 0


def test_the_honest_talk_is_found_before_it_is_spoilt(tmp_path: Path, rules: Rules) -> None:
    counters, lines = through(write(tmp_path / "c.pcap", frames(*TALKS["http"], 1400)), rules)
    assert counters.alerts >= 2
    assert lines > counters.alerts


def test_a_capture_that_is_cut_off_anywhere_is_read_as_far_as_it_goes(tmp_path: Path, rules: Rules) -> None:
    whole = write(tmp_path / "whole.pcap", frames(*TALKS["http"], 1400)).read_bytes()
    ends = [24]
    for data, _ in RawPcapReader(str(tmp_path / "whole.pcap")):
        ends.append(ends[-1] + 16 + len(data))
    for end in ends:
        (tmp_path / "cut.pcap").write_bytes(whole[:end])
        assert through(tmp_path / "cut.pcap", rules)[0].packets == ends.index(end)
