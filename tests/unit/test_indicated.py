"""Rules that ask sets of indicators: what is put in is found in traffic, what is taken out is not."""

from __future__ import annotations

import hashlib
import select
import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from appliance.events.indicatorline import KINDS, MODES, Batch, Told, frame, kind_of
from appliance.events.record import INDICATORS
from appliance.indicators import values
from appliance.indicators.deciding import LOOKED_FOR
from ctypes_ext.engine import CaptureFile, Names, Options, RuleName, Rules, Worker, rules_engine_digest
from dataplane import indicated
from dataplane.indicatedline import IndicatorLine
from dataplane.ruleset import VARIABLES, Source, compile_rules

CLIENT, SERVER = "10.20.0.11", "203.0.113.80"
BODY = b"an evil program " * 20
FILE = {"sha256": hashlib.sha256(BODY), "sha1": hashlib.sha1(BODY), "md5": hashlib.md5(BODY)}  # noqa: S324


def talk(*said: tuple[bool, bytes], port: int) -> list[Packet]:
    """A TCP connection: (does the client speak, what)."""
    places = {True: (CLIENT, SERVER, 40_000, port), False: (SERVER, CLIENT, port, 40_000)}
    numbers = {True: 1_000, False: 5_000}

    def segment(client: bool, flags: str, data: bytes = b"") -> Packet:
        source, destination, sport, dport = places[client]
        ack = 0 if flags == "S" else numbers[not client]
        head = Ether() / IP(src=source, dst=destination)
        made = head / TCP(sport=sport, dport=dport, flags=flags, seq=numbers[client], ack=ack, window=64_000)
        numbers[client] += len(data) + (1 if set(flags) & {"S", "F"} else 0)
        return made / Raw(data) if data else made

    packets = [segment(True, "S"), segment(False, "SA"), segment(True, "A")]
    packets += [segment(client, "PA", data) for client, data in said]
    return [*packets, segment(True, "FA"), segment(False, "FA"), segment(True, "A")]


def ask(name: str) -> Packet:
    return (
        Ether() / IP(src=CLIENT, dst="198.51.100.53") / UDP(sport=50_000, dport=53) / DNS(rd=1, qd=DNSQR(qname=name))
    )


REQUEST = b"GET /a%20b/load.exe?x=1 HTTP/1.1\r\nHost: Evil.Example:8080\r\nUser-Agent: u\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "traffic.pcap"
    wrpcap(
        str(path), [ask("C2.Evil.example"), *talk((True, REQUEST), (False, ANSWER), port=8080), ask("good.example")]
    )
    return path


def alerts(worker: Worker, capture: Path) -> list[dict[str, Any]]:
    file, names, found = CaptureFile(capture), Names("site"), []
    while file.pull(worker):
        pass
    while (batch := worker.drain(names, lambda _: RuleName("", "")))[0]:
        events = [msgspec.json.decode(line) for line in batch[0].splitlines()]
        found += [event["alert"] for event in events if event["event_type"] == "alert"]
    return found


def worker_for(*wanted: str) -> Worker:
    made = compile_rules(
        [Source("indicators.rules", indicated.rules(wanted))], VARIABLES, engine=rules_engine_digest()
    )
    assert made.refused == []
    assert made.loaded == len(indicated.rules(wanted).splitlines())
    options = Options(report_flows=False, report_apps=False, checksums=False, act=True, seed=(1, 2))
    return Worker(options, Rules(made.image))


@pytest.mark.parametrize(
    ("kind", "text", "times"),
    [
        ("domain", "c2.evil.example", 1),
        ("domain", "evil.example", 1),  # who is asked over HTTP
        ("url", "http://evil.example:8080/a%20b/load.exe?x=1", 1),
        ("url", "http://evil.example/a%20b/load.exe", 0),
        *((kind, digest.hexdigest(), 1) for kind, digest in FILE.items()),
        ("sha256", "0" * 64, 0),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_in_a_set_is_found(capture: Path, kind: str, text: str, times: int, mode: str) -> None:
    canonical = values.value(kind, text).text  # type: ignore[arg-type]
    worker = worker_for(kind)
    assert worker.change_set(indicated.change(kind, mode, [canonical]))
    found = alerts(worker, capture)
    assert len(found) == times
    for alert in found:
        assert alert["gid"] == INDICATORS
        assert kind_of(alert["signature_id"]) == (kind, mode)
        assert alert["action"] == ("blocked" if mode == "block" else "allowed")


def test_sets_change_while_rules_run(tmp_path: Path) -> None:
    worker = worker_for("domain")

    def asked(number: int) -> int:
        packet = ask("new.example")
        packet[UDP].sport += number
        packet.time = 1_700_000_000 + number
        wrpcap(str(tmp_path / "one.pcap"), [packet])
        return len(alerts(worker, tmp_path / "one.pcap"))

    assert asked(0) == 0
    assert worker.change_set(indicated.change("domain", "alert", ["new.example", "other.example"]))
    assert asked(1) == 1
    assert worker.change_set(indicated.change("domain", "alert", ["new.example", "gone.example"], out=True))
    assert asked(2) == 0
    assert not worker.change_set(indicated.change("md5", "alert", []))


def test_every_kind_that_is_looked_for_by_inspection_has_rules() -> None:
    looked_for = {kind for kind, where in LOOKED_FOR.items() if where.startswith("inspection")}
    assert looked_for == set(KINDS)
    worker_for(*KINDS)
    sids = [int(line.partition("sid:")[2].partition(";")[0]) for line in indicated.rules(KINDS).splitlines()]
    assert len(set(sids)) == len(sids)
    everything = {(kind, mode) for kind in KINDS for mode in MODES}
    assert {kind_of(sid) for sid in sids} == everything
    assert kind_of(99) is None
    assert kind_of(5_000) is None


def test_the_line_keeps_what_is_told_and_says_what_changes(tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen()
    line = IndicatorLine(tmp_path / "s", tmp_path / "rules", lambda words: pytest.fail(words))
    line.start()
    peer, _ = server.accept()

    def told(*said: Told) -> dict[tuple[str, bool], int]:
        for one in said:
            peer.sendall(frame(one))
        assert select.select([line.fileno()], [], [], 30)[0]
        deadline = time.monotonic() + 30
        found: dict[tuple[str, bool], int] = {}
        while len(found) < len(said) and time.monotonic() < deadline:
            found |= {(change.name, change.c[1]): change.c[3] for change in line.take()}
        return found

    assert told(Told(add=(Batch("domain", "alert", ("a.example", "b.example")),), whole=True)) == {
        ("reef-indicators-domain-alert", False): 22
    }
    assert "dns.query" in (tmp_path / "rules" / "indicators.rules").read_text()
    assert told(Told(out=(Batch("domain", "alert", ("a.example",)),))) == {("reef-indicators-domain-alert", True): 11}
    assert [change.c[3] for change in line.everything()] == [11]
    assert told(Told(add=(Batch("md5", "block", ("0" * 32,)),), whole=True)).keys() == {
        ("reef-indicators-md5-block", False), ("reef-indicators-domain-alert", True),
    }  # fmt: skip
    assert "file.md5" in (tmp_path / "rules" / "indicators.rules").read_text()
    peer.close()
    again, _ = server.accept()  # it comes back, and knows what it knew
    assert [change.name for change in line.everything()] == ["reef-indicators-md5-block"]
    line.stop()
    again.close()
    server.close()


def test_nonsense_on_the_line_changes_nothing(tmp_path: Path) -> None:
    line = IndicatorLine(tmp_path / "s", tmp_path / "rules", lambda words: None)
    with pytest.raises(ValueError, match="nonsense"):
        line.follow(Told(add=(Batch("nonsense", "alert", ("x",)),)))
    with pytest.raises(ValueError, match="hexadecimal"):
        line.follow(Told(add=(Batch("md5", "alert", ("x",)),)))
    assert line.everything() == []
    assert line.take() == []
