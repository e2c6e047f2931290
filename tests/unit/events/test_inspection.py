"""`reef inspect`: captures through the engine with rules; what is told of them, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import validator_for
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap, wrpcap

from appliance.cli import main

TIME = 1_700_000_000.5
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
CLIENT, SERVER = "10.20.0.11", "198.51.100.80"
REQUEST = b"GET /setup.exe HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-msdos-program\r\nContent-Length: 4\r\n\r\nMZ\x90\x00"
RULES = """\
alert http $HOME_NET any -> any any (msg:"a program is fetched"; flow:established,to_server; http.uri; \
content:".exe"; endswith; classtype:policy-violation; target:src_ip; metadata:created_at 2026_11_22; sid:1; rev:2;)
alert tcp any any -> any any (msg:"bits"; flow:established,to_server; content:"GET"; flowbits:set,got; \
flowbits:set,traffic/label/web; sid:2;)
alert icmp any any -> any any (msg:"ping"; itype:8; sid:3;)
drop udp any any -> any 53 (msg:"dropped"; content:"blocked"; sid:4;)
alert dns any any -> any any (msg:"asked"; dns.query; content:"example"; sid:5;)
alert ip any any -> any any (msg:"inside a tunnel"; content:"in the tunnel"; sid:6;)
"""


def connection(request: bytes, answer: bytes, port: int = 40000) -> list[Packet]:
    """A whole HTTP conversation, every byte acknowledged."""

    def segment(to_server: bool, flags: str, sequence: int, acknowledged: int, data: bytes = b"") -> Packet:
        ends = (CLIENT, SERVER, port, 80) if to_server else (SERVER, CLIENT, 80, port)
        ip = ETHER / IP(src=ends[0], dst=ends[1])
        tcp = TCP(sport=ends[2], dport=ends[3], flags=flags, seq=sequence, ack=acknowledged)
        return ip / tcp / Raw(data) if data else ip / tcp

    a, b = 1000 + len(request), 5000 + len(answer)
    return [
        segment(True, "S", 999, 0),
        segment(False, "SA", 4999, 1000),
        segment(True, "A", 1000, 5000),
        segment(True, "PA", 1000, 5000, request),
        segment(False, "A", 5000, a),
        segment(False, "PA", 5000, a, answer),
        segment(True, "A", a, b),
        segment(True, "FA", a, b),
        segment(False, "FA", b, a + 1),
        segment(True, "A", a + 1, b + 1),
    ]


def others() -> list[Packet]:
    question = DNSQR(qname="www.example.org", qtype="AAAA")
    answer = DNSRR(rrname="www.example.org", type="AAAA", rdata="2001:db8::80")
    ask, say = IP(src=CLIENT, dst="198.51.100.53"), IP(src="198.51.100.53", dst=CLIENT)
    return [
        ETHER / ask / UDP(sport=5353, dport=53) / DNS(id=7, qd=question),
        ETHER / say / UDP(sport=53, dport=5353) / DNS(id=7, qr=1, qd=question, an=answer),
        ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(id=1),
        ETHER / IP(src=CLIENT, dst=SERVER) / ICMP(type=8, id=3),
        ETHER / IP(src=CLIENT, dst="198.51.100.53") / UDP(sport=6000, dport=53) / Raw(b"blocked"),
        ETHER / IP(src="10.0.0.1", dst="10.0.0.2") / GRE() / IP(src="10.1.0.1", dst="10.1.0.2")
        / UDP(sport=1, dport=2) / Raw(b"in the tunnel"),
        ETHER / IP(src=CLIENT, dst=SERVER, len=2000) / UDP(sport=1, dport=2) / Raw(b"cut"),
    ]  # fmt: skip


def capture(path: Path, packets: list[Packet]) -> Path:
    for number, packet in enumerate(packets):
        packet.time = TIME + number / 10
    wrpcap(str(path), packets)
    return path


@pytest.fixture
def found(tmp_path: Path) -> tuple[Path, Path]:
    """A capture, and rules for it."""
    rules = tmp_path / "test.rules"
    rules.write_text(RULES)
    return capture(tmp_path / "night.pcap", connection(REQUEST, ANSWER) + others()), rules


def events(tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    eve = tmp_path / "eve.json"
    assert main(["inspect", *words, "--eve", str(eve), "--quiet"]) == 0
    return [json.loads(line) for line in eve.read_text().splitlines()]


def alerts(lines: list[dict[str, Any]], sid: int) -> list[dict[str, Any]]:
    return [line for line in lines if line["event_type"] == "alert" and line["alert"]["signature_id"] == sid]


def test_rules_know_the_country_of_an_address(tmp_path: Path, found: tuple[Path, Path]) -> None:
    countries = MMDBWriter(6, ipv4_compatible=True, database_type="Test-Country")
    countries.insert_network(IPSet(["198.51.100.0/24"]), {"country": {"iso_code": "BZ"}})
    countries.insert_network(IPSet(["2001:db8::2/128"]), {"country": {"iso_code": "MX"}})
    countries.to_db_file(str(tmp_path / "country.mmdb"))
    rules = tmp_path / "geo.rules"
    rules.write_text(
        "".join(
            f'alert {header} (msg:"{where}"; geoip:{where}; sid:{sid};)\n'
            for sid, header, where in (
                (1, "icmp any any -> any any", "dst,BZ"),
                (2, "icmp any any -> any any", "src,BZ"),
                (3, "udp any any -> any 53", "any,MX,BZ"),
                (4, "udp any any -> any 53", "any,MX"),
                (5, "udp any any -> any 53", "dst,!MX"),
                (6, "ip6 any any -> any any", "dst,MX"),
            )
        )
    )
    geoip = ["--geoip", str(tmp_path / "country.mmdb")]
    told = events(tmp_path, str(found[0]), "--rules", str(rules), *geoip)
    assert {sid for sid in range(1, 7) if alerts(told, sid)} == {1, 3, 5, 6}
    assert not any(line["event_type"] == "alert" for line in events(tmp_path, str(found[0]), "--rules", str(rules)))
    (tmp_path / "country.mmdb").write_bytes(b"no such format")
    assert main(["inspect", str(found[0]), "--rules", str(rules), *geoip]) == 1


def test_an_alert_says_what_suricata_says(tmp_path: Path, found: tuple[Path, Path]) -> None:
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]))
    [alert] = alerts(lines, 1)
    assert alert["alert"] == {
        "action": "allowed",
        "gid": 1,
        "signature_id": 1,
        "rev": 2,
        "signature": "a program is fetched",
        "category": "Potential Corporate Privacy Violation",
        "severity": 1,
        "source": {"ip": SERVER, "port": 80},
        "target": {"ip": CLIENT, "port": 40000},
        "metadata": {"created_at": ["2026_11_22"]},
    }
    assert (alert["src_ip"], alert["dest_ip"], alert["direction"]) == (CLIENT, SERVER, "to_server")
    assert (alert["app_proto"], alert["tx_id"], alert["pkt_src"]) == ("http", 0, "wire/pcap")
    assert alert["http"]["hostname"] == "www.example.org"
    assert alert["http"]["url"] == "/setup.exe"
    assert (alert["flow"]["src_ip"], alert["flow"]["dest_port"]) == (CLIENT, 80)
    assert "payload" not in alert


def test_flowbits_are_told_and_those_of_traffic_apart(tmp_path: Path, found: tuple[Path, Path]) -> None:
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]))
    alert = alerts(lines, 2)[0]
    assert alert["metadata"]["flowbits"] == ["got"]
    assert alert["traffic"] == {"label": ["web"]}
    [flow] = [line for line in lines if line["event_type"] == "flow" and line.get("app_proto") == "http"]
    assert flow["flow"]["alerted"] is True
    assert flow["metadata"]["flowbits"] == ["got"]


def test_a_drop_is_blocked_only_as_if_inline(tmp_path: Path, found: tuple[Path, Path]) -> None:
    words = (str(found[0]), "--rules", str(found[1]))
    assert [one["alert"]["action"] for one in alerts(events(tmp_path, *words), 4)] == ["allowed"]
    assert [one["alert"]["action"] for one in alerts(events(tmp_path, *words, "--simulate-ips"), 4)] == ["blocked"]


def test_what_comes_out_of_a_tunnel_says_so(tmp_path: Path, found: tuple[Path, Path]) -> None:
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]))
    [inner] = [one for one in alerts(lines, 6) if one["src_ip"] == "10.1.0.1"]
    assert inner["pkt_src"] == "gre tunnel"
    assert "pcap_cnt" not in inner
    assert inner["tunnel"]["src_ip"] == "10.0.0.1"
    assert inner["tunnel"]["pcap_cnt"] == 16
    assert inner["tunnel"]["depth"] == 1


def test_payload_comes_only_when_it_is_asked_for(tmp_path: Path, found: tuple[Path, Path]) -> None:
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]), "--payload")
    [alert] = alerts(lines, 4)
    assert (alert["payload"], alert["payload_printable"]) == ("YmxvY2tlZA==", "blocked")


def test_every_line_is_valid_eve(tmp_path: Path, found: tuple[Path, Path], peer_data: Path) -> None:
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]), "--payload")
    assert {"alert", "anomaly", "dns", "fileinfo", "flow", "http", "stats"} <= {line["event_type"] for line in lines}
    for line in lines:
        assert [error.message for error in validator.iter_errors(line)] == [], line


def test_the_last_line_says_what_was_counted(tmp_path: Path, found: tuple[Path, Path]) -> None:
    *lines, last = events(tmp_path, str(found[0]), "--rules", str(found[1]))
    assert last["event_type"] == "stats"
    assert last["stats"]["decoder"]["pkts"] == 17
    assert last["stats"]["capture"] == {"kernel_packets": 17, "kernel_drops": 0}
    assert last["stats"]["detect"]["alert"] == sum(line["event_type"] == "alert" for line in lines) > 0
    assert last["stats"]["flow"]["total"] >= sum(line["event_type"] == "flow" for line in lines) > 0


def test_files_are_kept_by_their_digest(tmp_path: Path, found: tuple[Path, Path]) -> None:
    lines = events(tmp_path, str(found[0]), "--files", str(tmp_path / "files"))
    [told] = [line["fileinfo"] for line in lines if line["event_type"] == "fileinfo"]
    digest = told["sha256"]
    assert told["stored"] is True
    assert (tmp_path / "files" / digest[:2] / digest).read_bytes() == b"MZ\x90\x00"


def test_the_summary_counts_what_is_in_the_capture(
    found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "--json", str(found[0]), "--rules", str(found[1]), "--set", "HOME_NET=10.20.0.0/16"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["packets"] == 17
    told = summary["found"]
    assert {rule["sid"]: rule["count"] for rule in told["rules"]} == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1}
    assert {one["name"]: one["how"] for one in told["names"] if one["how"] == "http"} == {"www.example.org": "http"}
    assert next(one for one in told["hosts"] if one["address"] == "2001:db8::1")["opened"] == 1
    http = next(one for one in told["protocols"] if one["name"] == "http")
    assert (http["flows"], http["packets"]) == (1, 10)


def test_the_summary_for_people(found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(found[0]), "--rules", str(found[1])]) == 0
    out = capsys.readouterr().out
    assert "night.pcap: 17 packets" in out
    assert "1:1  a program is fetched" in " ".join(out.split(" ")).replace("   ", "  ")
    for head in ("alerts", "protocols", "hosts", "conversations", "names", "files", "anomalies", "timeline"):
        assert f"\n{head}\n" in out, head


def test_what_rules_cost_is_told_where_it_is_asked_for(
    tmp_path: Path, found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    half = 'alert tcp any any -> any any (msg:"half of it"; content:"setup.exe"; content:"not there"; sid:7;)\n'
    rules = tmp_path / "more.rules"
    rules.write_text(half + 'alert tcp any any -> any any (msg:"nothing of it"; content:"nowhere"; sid:8;)\n')
    words = ["inspect", str(found[0]), "--rules", str(found[1]), "--rules", str(rules)]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rule_costs"] is None

    assert main([*words, "--json", "--rule-costs"]) == 0
    costs = json.loads(capsys.readouterr().out)["rule_costs"]
    of = {cost["sid"]: cost for cost in costs}
    assert [cost["ns"] for cost in costs] == sorted((cost["ns"] for cost in costs), reverse=True)
    assert (of[1]["message"], of[1]["gid"], of[1]["rev"]) == ("a program is fetched", 1, 2)
    assert of[1]["checks"] >= of[1]["matches"] == 1
    assert of[7]["checks"] >= 1
    assert of[7]["matches"] == 0
    assert 8 not in of, "a rule whose pattern is nowhere is not asked"
    assert all(0 < cost["worst_ns"] <= cost["ns"] for cost in costs)

    assert main([*words, "--rule-costs"]) == 0
    out = capsys.readouterr().out
    assert "\ncost of rules: " in out
    row = next(line for line in out.partition("\ncost of rules: ")[2].splitlines() if "1:7" in line)
    assert row.endswith("half of it")


def test_a_folder_stands_for_its_captures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packets = connection(REQUEST, ANSWER)
    for number, part in enumerate((packets[:5], packets[5:])):
        folder = tmp_path / "captures"
        folder.mkdir(exist_ok=True)
        capture(folder / f"{number}.pcap", part)
    assert main(["inspect", "--json", str(tmp_path / "captures")]) == 0
    found = json.loads(capsys.readouterr().out)["found"]
    assert found["flows"] == 1, "the conversation goes on from one file into the next"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"not a capture", "not a capture"), (b"", "not a capture")],
)
def test_what_is_no_capture_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    file = tmp_path / "x.pcap"
    if content is not None:
        file.write_bytes(content)
    assert main(["inspect", str(file)]) == 1
    assert words in capsys.readouterr().err


def test_a_capture_that_breaks_off_gives_what_came_before(
    found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = found[0].read_bytes()
    found[0].write_bytes(whole[:-3])
    assert main(["inspect", "--json", str(found[0])]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["packets"] == 16
    assert "not read to its end" in said.err


def test_a_rule_that_is_built_to_be_slow_is_named_and_rests(tmp_path: Path, peer_data: Path) -> None:
    rules = tmp_path / "slow.rules"
    rules.write_text(
        "alert udp any any -> any any "
        '(msg:"slow"; content:"a"; content:"a"; distance:0; pcre:"/(a+)+[0-9]/R"; sid:1;)\n'
        'alert udp any any -> any any (msg:"quick"; content:"aab"; sid:2;)\n'
    )
    packet = ETHER / IP(src=CLIENT, dst=SERVER) / UDP(sport=1000, dport=2000) / Raw(b"a" * 1000 + b"b")
    packets = [packet.copy() for _ in range(1200)]
    for number, each in enumerate(packets):
        each.time = TIME + number / 1000
    wrpcap(str(tmp_path / "slow.pcap"), packets)
    lines = events(tmp_path, str(tmp_path / "slow.pcap"), "--rules", str(rules))
    told = [line for line in lines if line["event_type"] == "engine"]
    assert [line["engine"]["module"] for line in told] == ["detect"]
    assert told[0]["engine"]["message"].startswith("rule 1:1 is disabled for 60 s: ")
    assert len(alerts(lines, 2)) == 1200
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    validator_for(schema)(schema).validate(told[0])


def test_packets_that_a_rule_tags_are_told_and_their_bytes_where_asked_for(tmp_path: Path, peer_data: Path) -> None:
    rules = tmp_path / "tag.rules"
    rules.write_text('alert udp any any -> any any (msg:"begin"; content:"begin"; tag:session,3,packets; sid:1;)\n')
    words = [b"before", b"begin", b"one", b"two", b"three"]
    packets: list[Packet] = [
        ETHER / IP(src=CLIENT, dst=SERVER) / UDP(sport=1000, dport=2000) / Raw(word) for word in words
    ]
    found = capture(tmp_path / "tag.pcap", packets)
    lines = events(tmp_path, str(found), "--rules", str(rules), "--payload")
    told = [line for line in lines if line["event_type"] == "packet"]
    assert [line["pcap_cnt"] for line in told] == [3, 4]
    assert base64.b64decode(told[0]["packet"]) == bytes(packets[2])
    assert told[0]["packet_info"] == {"linktype": 1}
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    validator_for(schema)(schema).validate(told[0])
    lines = events(tmp_path, str(found), "--rules", str(rules))
    assert ["packet" in line for line in lines if line["event_type"] == "packet"] == [False, False]


def test_a_refused_rule_is_said_and_the_others_run(
    tmp_path: Path, found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found[1].write_text('alert ip any any -> any any (msg:"x"; no_such_thing:1; sid:9;)\n' + RULES)
    assert len(alerts(events(tmp_path, str(found[0]), "--rules", str(found[1])), 3)) == 1
    assert f"{found[1]}:1 (sid 9): no_such_thing" in capsys.readouterr().err


def test_a_variable_must_be_set_to_something(found: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(found[0]), "--rules", str(found[1]), "--set", "HOME_NET"]) == 1
    assert "HOME_NET=10.20.0.0/16" in capsys.readouterr().err


def test_the_packets_of_a_conversation_with_an_alert_are_kept(tmp_path: Path, found: tuple[Path, Path]) -> None:
    """Those before the alert too, and none of others."""
    found[1].write_text('alert tcp any any -> any any (msg:"x"; flow:established,to_client; content:"MZ"; sid:1;)\n')
    lines = events(tmp_path, str(found[0]), "--rules", str(found[1]), "--evidence", str(tmp_path / "kept"))
    [said] = [line for line in lines if line["event_type"] == "engine"]
    [alert] = alerts(lines, 1)
    assert said["flow_id"] == alert["flow_id"]
    digest = said["engine"]["message"].removeprefix("packets kept: ")
    kept = (tmp_path / "kept" / digest[:2] / digest).read_bytes()
    assert hashlib.sha256(kept).hexdigest() == digest
    (tmp_path / "kept.pcap").write_bytes(kept)
    packets = rdpcap(str(tmp_path / "kept.pcap"))
    assert len(packets) == 10
    assert bytes(packets[3][Raw]) == REQUEST
    assert round(float(packets[0].time), 1) == TIME


def test_nothing_is_kept_of_conversations_without_alerts(tmp_path: Path, found: tuple[Path, Path]) -> None:
    found[1].write_text('alert tcp any any -> any any (msg:"x"; content:"nowhere"; sid:1;)\n')
    events(tmp_path, str(found[0]), "--rules", str(found[1]), "--evidence", str(tmp_path / "kept"))
    assert [file for file in (tmp_path / "kept").rglob("*") if file.is_file()] == []
