"""What the kernel's trace says, read: verdict, rule and addresses; and the table and the packet that ask for it."""

from __future__ import annotations

import random
import struct

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP

from appliance.control.kernel import trace
from appliance.control.kernel.netlink import attribute, nested, string, u32
from appliance.control.kernel.probe import build
from appliance.control.kernel.trace import Event, Header, TraceRefused, parse_event, read_trail
from appliance.control.messages.why import Trace
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.decide import Packet

DROP, ACCEPT, JUMP, GOTO = 0, 1, -3, -4
RULES = {7: RuleInfo("R-7", 7, "allow"), 9: RuleInfo("R-9", 9, "deny")}
LINKS = {2: "lan0", 3: "wan0"}
AS_SENT = Header(4, "10.1.5.7", "203.0.113.2", 6, 49152, 443)
INNER = Header(4, "10.1.5.7", "10.3.0.10", 6, 49152, 8443)
HIDDEN = Header(4, "10.3.0.1", "10.3.0.10", 6, 49152, 8443)


def event(
    chain: str, verdict: int = -1, header: Header | None = None, *, table: str = "reef", mark: int = 0
) -> Event:
    return Event(1, table, chain, verdict, header, 2, 3 if chain not in ("begins", "prerouting_nat") else 0, mark)


BEGUN = event("begins", header=AS_SENT, table=trace.TABLE)


def read(*events: Event) -> tuple[str, str]:
    found = read_trail([BEGUN, *events], RULES, LINKS)
    return found.verdict, found.rule


def test_a_rule_with_a_chain_of_its_own_is_named() -> None:
    assert read(event("forward", GOTO, INNER), event("r_R-9", DROP)) == ("deny", "R-9")
    assert read(event("forward", GOTO, INNER), event("r_R-9/1", GOTO), event("rejected", DROP)) == ("reject", "R-9")
    assert read(event("forward", GOTO, INNER), event("default_deny", DROP)) == ("deny", "default")
    assert read(event("forward", GOTO, INNER), event("spoof_lan", DROP)) == ("deny", "antispoofing")
    assert read(event("forward", GOTO, INNER), event("invalid", DROP)) == ("deny", "invalid")


def test_an_accepted_packet_is_told_by_its_mark() -> None:
    events = (
        event("forward", GOTO, INNER),
        event("r_R-9", -5),  # tried, and returned
        event("level", GOTO),
        event("accepted", ACCEPT),
        event("leaves", header=HIDDEN, table=trace.TABLE),
        event("leaves", DROP, table=trace.TABLE, mark=7),
    )
    found = read_trail([BEGUN, *events], RULES, LINKS)
    assert (found.verdict, found.rule, found.skipped) == ("allow", "R-7", ("R-9",))
    assert (found.source, found.destination, found.destination_port) == ("10.1.5.7", "203.0.113.2", 443)
    assert (found.leaves_from, found.leaves_to, found.leaves_to_port) == ("10.3.0.1", "10.3.0.10", 8443)
    assert (found.entering, found.leaving) == ("lan0", "wan0")


def test_a_rule_that_was_tried_in_vain_does_not_name_what_the_fast_path_accepts() -> None:
    assert read(event("r_R-9", -5), event("forward", ACCEPT, INNER)) == ("allow", "")


def test_the_verdicts_of_nat_are_none() -> None:
    assert read(event("prerouting_nat", ACCEPT, AS_SENT)) == ("", "")
    assert read(event("prerouting_nat", ACCEPT), event("forward", GOTO, INNER), event("default_deny", DROP)) == (
        "deny", "default",
    )  # fmt: skip


def test_another_tables_drop_is_said_to_be_that() -> None:
    assert read(event("early", DROP, AS_SENT, table="reef_ban")) == ("deny", "banned")
    accepted = event("forward", ACCEPT, INNER)
    assert read(accepted, event("f", DROP, INNER, table="docker")) == ("deny", "other docker f")


def message(kind: int, **fields: bytes) -> bytes:
    network = bytes(IP(src="10.1.5.7", dst="10.3.0.10", proto=6))
    parts = string(1, "reef") + string(2, "forward") + u32(4, kind) + u32(6, 77) + u32(10, 2) + u32(12, 3)
    parts += attribute(8, network) + attribute(9, struct.pack("!HHI", 1000, 443, 1)) + u32(14, 7)
    return parts + b"".join(fields.values())


def test_an_event_is_parsed() -> None:
    verdict = nested(5, attribute(1, struct.pack("!i", DROP)))
    parsed = parse_event(message(3, verdict=verdict))
    assert parsed == Event(77, "reef", "forward", DROP, Header(4, "10.1.5.7", "10.3.0.10", 6, 1000, 443), 2, 3, 7)
    queued = parse_event(message(3, verdict=nested(5, attribute(1, struct.pack("!i", 2 << 16 | 3)))))
    assert queued.verdict == 3, "queue 2"
    refused = parse_event(message(3, verdict=nested(5, attribute(1, struct.pack("!i", (-1 << 16) | DROP)))))
    assert refused.verdict == DROP, "with an errno for the sender"
    policy = parse_event(message(1, policy=u32(16, ACCEPT)))
    assert policy.verdict == ACCEPT
    assert parse_event(message(2)).verdict == -1


def test_no_event_of_the_kernel_breaks_the_reader() -> None:
    rng = random.Random(3)
    whole = message(3, verdict=nested(5, attribute(1, struct.pack("!i", DROP))))
    for _ in range(3000):
        torn = bytearray(whole[: rng.randrange(len(whole) + 1)])
        for _ in range(rng.randrange(4)):
            if torn:
                torn[rng.randrange(len(torn))] = rng.randrange(256)
        parse_event(bytes(torn))


ASKED = Trace(4, "10.1.5.7", "203.0.113.2", 6, 49152, 443, entering="lan0", probe=True)


def test_only_what_is_asked_for_is_marked_and_a_probe_goes_nowhere() -> None:
    text = trace.table(ASKED)
    assert 'iifname "lan0" ip saddr 10.1.5.7 ip daddr 203.0.113.2 meta l4proto 6 th sport 49152 th dport 443' in text
    assert "flags owner;" in text
    assert text.count(" drop\n") == 6
    followed = trace.table(Trace(6, "2001:db8::7", "2001:db8::9", 58, icmp_type=128, entering=""))
    assert "hook output" in followed
    assert "icmpv6 type 128 limit rate" in followed
    assert " drop" not in followed


@pytest.mark.parametrize(
    "asked",
    [
        Trace(4, "10.1.5.7; flush ruleset", "203.0.113.2", 6),
        Trace(6, "fe80::1%x accept; flush ruleset", "2001:db8::1", 6),
        Trace(4, "10.1.5.7", "2001:db8::1", 6),
        Trace(4, "10.1.5.7", "203.0.113.2", 600),
        Trace(4, "10.1.5.7", "203.0.113.2", 6, entering='lan0" drop'),
    ],
)
def test_what_would_be_more_than_a_description_is_refused(asked: Trace) -> None:
    with pytest.raises(TraceRefused):
        trace.table(asked)


def packet(version: int, protocol: int) -> Packet:
    source, destination = (0x0A010507, 0xCB007102) if version == 4 else (0x20010DB8 << 96 | 7, 0x20010DB8 << 96 | 9)
    ported = protocol in (6, 17, 132, 136)
    return Packet(
        version, "lan0", "", source, destination, protocol,
        40000 if ported else 0, 443 if ported else 0, {1: 8, 58: 128}.get(protocol, 0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "protocol"), [(4, 1), (4, 6), (4, 17), (4, 132), (4, 50), (6, 6), (6, 17), (6, 58)]
)
def test_a_probe_is_a_packet_as_others_make_them(version: int, protocol: int) -> None:
    """Scapy, left to work out the checksums itself, makes the same bytes."""
    built = build(packet(version, protocol))
    read = (IP if version == 4 else IPv6)(built)
    again = read.copy()
    for layer in (again, *again.iterpayloads()):
        for field in ("chksum", "cksum"):
            if field in layer.fields:
                del layer.fields[field]
    assert bytes(again) == built
    assert SCTP in read or protocol != 132
