"""Lines of logs become the packets that they tell of: EVE JSON, what `reef log` prints, what the kernel writes."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from appliance.asking.loglines import LineError, Logged, parse_line
from appliance.commands.logline import line_of
from appliance.commands.names import Names
from appliance.control.messages.gateway import NameBook
from appliance.events import record
from appliance.events.record import Decision, Event
from appliance.policy import addresses
from appliance.policy.compiling.bundle import ZoneInfo

NOW = datetime(2026, 11, 21, 23, 0).timestamp()
BOOK = NameBook(
    1, "site", (ZoneInfo("lan", ("lan0",)), ZoneInfo("internet", ("wan0",))), (),
    objects={"neighbour": ("203.0.113.66/32",), "records": ("2001:db8::10/128",)},
    services={"web": ("tcp/443", "tcp/80")},
    networks={"lan": ("10.20.0.0/16", "2001:db8::/64")},
)  # fmt: skip


def number(words: str) -> int:
    return addresses.address(words)[1]


def dropped(**fields: object) -> Event:
    known: dict[str, object] = {
        "timestamp": "2026-11-21T22:24:46.282000+0000",
        "event_type": "drop",
        "in_iface": "wan0",
        "src_ip": "203.0.113.66",
        "src_port": 40000,
        "dest_ip": "10.21.0.10",
        "dest_port": 22,
        "proto": "TCP",
        "ip_v": 4,
        "metadata": record.metadata(Decision("reef", "default", "deny", "internet", "dmz")),
    }
    return Event(**(known | fields))  # type: ignore[arg-type]


def test_an_event_is_read_whole() -> None:
    logged = parse_line(record.encode(dropped()).decode(), NOW)
    assert logged == Logged(
        4, number("203.0.113.66"), number("10.21.0.10"), 6, 40000, 22,
        at=datetime.fromisoformat("2026-11-21T22:24:46.282+00:00").timestamp(),
        rule="default", action="deny", source_zone="internet", destination_zone="dmz", entering="wan0",
        translated=True,
    )  # fmt: skip


def test_what_ended_is_told_as_it_began() -> None:
    ended = dropped(event_type="flow", flow={"end": "2026-11-21T22:24:50.000000+0000"})
    assert not parse_line(record.encode(ended).decode(), NOW).translated


@pytest.mark.parametrize(
    ("fields", "protocol", "port", "icmp"),
    [
        ({}, 6, 22, 0),
        ({"proto": "UDP", "dest_port": 53}, 17, 53, 0),
        ({"dest_port": 443}, 6, 443, 0),
        ({"proto": "ICMP", "icmp_type": 8, "icmp_code": 0, "src_port": None, "dest_port": None}, 1, 0, 8),
        ({"proto": "ICMP", "icmp_type": 13, "icmp_code": 0, "src_port": None, "dest_port": None}, 1, 0, 13),
        ({"proto": "IPv6-ICMP", "icmp_type": 128, "src_ip": "2001:db8::5", "dest_ip": "2001:db8::10",
          "src_port": None, "dest_port": None}, 58, 0, 128),
        ({"proto": "IPv6-ICMP", "icmp_type": 135, "src_ip": "2001:db8::5", "dest_ip": "2001:db8::10",
          "src_port": None, "dest_port": None}, 58, 0, 135),
        ({"proto": "SCTP", "dest_port": 5060}, 132, 5060, 0),
        ({"proto": "ESP", "src_port": None, "dest_port": None}, 50, 0, 0),
    ],
)  # fmt: skip
def test_what_reef_log_prints_is_understood_again(
    fields: dict[str, object], protocol: int, port: int, icmp: int
) -> None:
    event = dropped(**fields)
    for today in ("2026-11-21", "2000-01-01"):
        line = line_of(event, Names(BOOK), today)
        logged = parse_line(line, NOW)
        assert (logged.source, logged.destination) == (number(event.src_ip), number(event.dest_ip)), line
        assert (logged.protocol, logged.destination_port, logged.icmp_type) == (protocol, port, icmp), line
        assert (logged.rule, logged.action, logged.source_zone) == ("default", "deny", "internet"), line
        assert logged.at == pytest.approx(event.time.timestamp(), abs=0.001)
        assert logged.translated


def test_the_kernels_own_line_is_understood() -> None:
    line = (
        "Nov 21 22:24:46 gw kernel: R-5 deny lan internet IN=lan0 OUT=wan0 SRC=10.20.0.12 DST=198.51.100.25 "
        "LEN=60 TOS=0x00 TTL=63 ID=7 DF PROTO=TCP SPT=40000 DPT=25 WINDOW=64240 SYN"
    )
    logged = parse_line(line, NOW)
    assert (logged.rule, logged.action, logged.source_zone, logged.entering) == ("R-5", "deny", "lan", "lan0")
    assert (logged.protocol, logged.source_port, logged.destination_port) == (6, 40000, 25)
    quoted = "IN=wan0 OUT= SRC=192.0.2.1 DST=203.0.113.2 PROTO=ICMP TYPE=3 CODE=1 [SRC=203.0.113.2 DST=192.0.2.9]"
    logged = parse_line(quoted, NOW)
    assert (logged.protocol, logged.icmp_type, logged.icmp_code, logged.rule) == (1, 3, 1, "")
    assert logged.source == number("192.0.2.1")
    assert parse_line("IN= OUT=wan0 SRC=203.0.113.2 DST=192.0.2.1 PROTO=UDP SPT=5 DPT=53", NOW).local


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "{}",
        '{"timestamp": "x", "event_type": "engine", "engine": {}}',
        '{"timestamp": "x", "event_type": "drop", "src_ip": "10.0.0.300", "dest_ip": "10.0.0.1", "proto": "TCP"}',
        '{"timestamp": "x", "event_type": "drop", "src_ip": "10.0.0.3", "dest_ip": "10.0.0.1", "proto": "NONESUCH"}',
        "SRC=1.2.3.4 DST=nowhere PROTO=TCP",
        "22:24:46.282  DENY     default       internet → gateway  neighbour(x.y) → 203.0.113.2  ssh(tcp/22)",
        "22:24:46.282  DENY     default       internet → gateway  10.0.0.1 → 203.0.113.2  icmp/nonsense",
        "22:24:46.282  alert    -",
    ],
)
def test_a_line_of_something_else_is_refused_with_words(line: str) -> None:
    with pytest.raises(LineError, match=r"\w+ \w+"):
        parse_line(line, NOW)


def test_no_line_breaks_the_reader() -> None:
    rng = random.Random(7)
    whole = [
        record.encode(dropped()).decode(),
        line_of(dropped(), Names(BOOK), "2026-11-21"),
        "R-5 deny lan internet IN=lan0 OUT=wan0 SRC=10.20.0.12 DST=198.51.100.25 PROTO=TCP SPT=4 DPT=25",
    ]
    for _ in range(3000):
        letters = list(rng.choice(whole))
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(letters))
            letters[place : place + rng.randrange(3)] = rng.choice(("", " ", "→", "=", "9" * 30, "٣", '"', "(", ")"))
        try:
            parse_line("".join(letters), NOW)
        except LineError:
            continue
