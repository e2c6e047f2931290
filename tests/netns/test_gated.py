"""gated on a stand: real frames into a line, and what comes through it."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from appliance.commands.ban import in_parts
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError
from appliance.control.messages import gateway as messages
from appliance.control.messages.bans import Allow, Allowed, Disallow
from appliance.control.messages.gate import (
    Gate,
    GateAllow,
    GateDone,
    GateFind,
    GateForget,
    GateFound,
    GateFoundEntry,
    GateIndicate,
    GateLine,
    GateList,
    GateListed,
    GateReport,
    GateUnban,
)
from appliance.lab.netns import MOUNTS, inside
from ctypes_ext.gate import PrefixList
from tests.netns.stand import Stand, as_user, policy, rule, until

HEAD = """\
reef: 1
site: stand
zones:
  internet:
    role: internet
    interfaces: [wan0]
    protect: {protect}
  lan: {{role: internal, interfaces: [lan0], networks: [10.20.0.0/16]}}
connections:
  wan0: {{provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}}
"""
BEHIND = "198.51.100.1"
BEHIND6 = "2001:db8:51::1"
HEADER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
_numbers = itertools.count()


def text(protect: str = "{malformed: yes}") -> str:
    return policy(rule("R-1", origin="lan", to="internet"), head=HEAD.format(protect=protect))


class Line:
    """A line of the stand: `passes` sends a frame in at one end and looks whether the gateway's end hands it on."""

    def __init__(self, stand: Stand, name: str = "wan0") -> None:
        self._stand = stand
        with inside(MOUNTS / stand.namespace):
            self._in = _raw(f"{name}p")
            self._out = _raw(name)

    def close(self) -> None:
        self._in.close()
        self._out.close()

    def send(self, frame: Packet) -> bytes:
        mark = b"reef-%08d" % next(_numbers)
        self._in.send(bytes(frame / Raw(mark)))
        return mark

    def passes(self, frame: Packet) -> bool:
        """A frame of nobody in particular goes behind it: when that has come, the other one came before or never."""
        mark, end = self.send(frame), self.send(tcp("9.9.9.9"))
        seen = False
        while select.select([self._out], [], [], 30)[0]:
            data = self._out.recv(4096)
            seen = seen or mark in data
            if end in data:
                return seen
        raise AssertionError("the frame behind it did not come through")


def _raw(name: str) -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((name, 3))
    return raw


def tcp(source: str, flags: str = "A", port: int = 4000) -> Packet:
    if ":" in source:
        return HEADER / IPv6(src=source, dst=BEHIND6) / TCP(sport=port, dport=443, flags=flags)
    return HEADER / IP(src=source, dst=BEHIND) / TCP(sport=port, dport=443, flags=flags)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand(("keyd", "applyd", "gated", "policyd")) as stand:
        yield stand


@pytest.fixture
def line(stand: Stand) -> Iterator[Line]:
    stand.apply(text())
    until(lambda: at(stand).mode == "native", "the gate stands at the line")
    line = Line(stand)
    yield line
    line.close()


def report(stand: Stand) -> GateReport:
    return stand.ask(Gate(), GateReport)


def at(stand: Stand, interface: str = "wan0") -> GateLine:
    found = {line.interface: line for line in report(stand).lines}
    return found.get(interface, GateLine(interface, "", "", "not wanted"))


def ban(stand: Stand, *addresses: str, seconds: int = 0) -> None:
    stand.ask(messages.Ban(addresses, seconds, "a test"), messages.BanList)


def unban(stand: Stand, *addresses: str) -> None:
    stand.ask(messages.Unban(addresses), messages.BanList)


def dropped(stand: Stand, reason: str) -> int:
    count = at(stand).counts.get(reason)
    return count.packets if count else 0


def packed(*networks: str) -> tuple[bytes, bytes]:
    entries, read = PrefixList.read("\n".join(networks).encode())
    assert not read.bad
    return entries.packed(4), entries.packed(6)


def put(stand: Stand, name: str, *networks: str) -> GateListed:
    return stand.ask(GateList(name, *packed(*networks)), GateListed, to="gated")


def test_what_is_banned_is_dropped_at_the_line_and_passes_when_it_is_not(stand: Stand, line: Line) -> None:
    sources = ("203.0.113.5", "203.0.113.129", "100.70.3.9", "2001:db8:bad::5", "2001:db8:bad:1::5", "2001:db8:77::1")
    bans = (
        "203.0.113.5",
        "203.0.113.128/25",
        "100.64.0.0/10",
        "2001:db8:bad::/64",
        "2001:db8:bad:1::5",
        "2001:db8:77::/48",
    )
    assert all(line.passes(tcp(source)) for source in sources)
    ban(stand, *bans)
    assert not any(line.passes(tcp(source)) for source in sources)
    tagged = HEADER / Dot1Q(vlan=7) / Dot1Q(vlan=8) / IP(src=sources[0], dst=BEHIND) / UDP(dport=53)
    assert not line.passes(tagged)
    assert line.passes(tcp("203.0.113.6"))
    assert line.passes(tcp("2001:db8:bad:1::6"))
    assert dropped(stand, "banned") == len(sources) + 1
    unban(stand, *bans)
    assert all(line.passes(tcp(source)) for source in sources)


def test_a_ban_ends_by_itself(stand: Stand, line: Line) -> None:
    ban(stand, "203.0.113.5", seconds=3)
    ban(stand, "198.18.0.1-198.18.0.6")
    assert not line.passes(tcp("198.18.0.6")) and line.passes(tcp("198.18.0.7"))
    unban(stand, "198.18.0.1-198.18.0.6")
    assert line.passes(tcp("198.18.0.6"))
    until(lambda: line.passes(tcp("203.0.113.5")), "the ban has ended at the gate")


def test_the_gate_outlives_its_holder_and_is_exchanged_in_one_step(stand: Stand, line: Line) -> None:
    ban(stand, "203.0.113.5")
    put(stand, "bad-hosts", "192.0.2.0/25", "2001:db8:5::/48")
    assert not line.passes(tcp("203.0.113.5"))
    stand.kill("gated")
    assert not line.passes(tcp("203.0.113.5"))
    assert not line.passes(tcp("2001:db8:5::1"))
    through: list[bool] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            through.append(line.passes(tcp("203.0.113.5")))

    watching = threading.Thread(target=watch)
    watching.start()
    stand.start("gated")
    stand.wait_for("gated")
    until(lambda: at(stand).mode == "native", "the new holder stands at the line")
    over.set()
    watching.join()
    assert through and not any(through)
    assert not line.passes(tcp("192.0.2.5"))
    assert dropped(stand, "banned") >= len(through) + 4, "counters go on"
    lists = {kept.name: kept.entries for kept in report(stand).lists}
    assert lists == {"bans": 1, "bad-hosts": 2}


def test_what_was_banned_while_the_gate_was_away_is_banned_when_it_is_back(stand: Stand, line: Line) -> None:
    stand.kill("gated")
    ban(stand, "203.0.113.5")
    assert line.passes(tcp("203.0.113.5")), "nobody told the gate"
    assert "gated" in report(stand).words
    stand.start("gated")
    stand.wait_for("gated")
    until(lambda: not line.passes(tcp("203.0.113.5")), "the gate has asked applyd")


def test_a_list_is_replaced_without_a_gap_and_counts_apart(stand: Stand, line: Line) -> None:
    always = "203.0.113.9"
    put(stand, "one", always, "192.0.2.0/24")
    through: list[bool] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            through.append(line.passes(tcp(always)))

    watching = threading.Thread(target=watch)
    watching.start()
    for number in range(12):
        put(stand, "one", always, *(f"10.{number}.{other}.0/26" for other in range(200)))
    over.set()
    watching.join()
    assert through and not any(through)
    assert line.passes(tcp("192.0.2.5")), "it is not in the list any more"
    put(stand, "two", "192.0.2.0/24")
    assert not line.passes(tcp("192.0.2.5"))
    counts = {kept.name: kept.dropped.packets for kept in report(stand).lists}
    assert counts == {"bans": 0, "one": len(through), "two": 1}
    stand.ask(GateForget("two"), GateDone, to="gated")
    assert line.passes(tcp("192.0.2.5"))
    assert [kept.name for kept in report(stand).lists] == ["bans", "one"]


def test_the_allow_list_always_wins_and_own_networks_are_never_banned(stand: Stand, line: Line) -> None:
    put(stand, "wide", "192.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")
    allowed = ("192.0.2.10", "192.0.3.0/24", "2001:db8:1::/48")
    stand.ask(Allow(allowed, 0, "a test"), Allowed)
    assert line.passes(tcp("192.0.2.10"))
    assert line.passes(tcp("192.0.3.77"))
    assert line.passes(tcp("2001:db8:1::9"))
    assert line.passes(tcp("10.20.3.4")), "a network of the zone lan"
    assert not line.passes(tcp("10.21.3.4"))
    assert not line.passes(tcp("192.0.2.11"))
    assert dropped(stand, "allowed") == 4
    stand.kill("gated")
    stand.start("gated")
    stand.wait_for("gated")
    until(lambda: at(stand).mode == "native", "the new holder stands at the line")
    assert line.passes(tcp("192.0.2.10")), "it is kept"
    assert line.passes(tcp("10.20.3.4")), "and so are the networks of the running generation"
    stand.ask(Disallow(allowed), Allowed)
    assert not line.passes(tcp("192.0.2.10"))


def test_lists_that_are_none_change_nothing(stand: Stand, line: Line) -> None:
    put(stand, "good", "203.0.113.9")
    everybody = ipaddress.ip_address("0.0.0.0").packed + b"\0"
    for wrong in (
        GateList("good", everybody),
        GateList("good", b"\x0a\0\0\0\x07"),
        GateList("good", b"\x0a\0\0\1\x18"),
        GateList("good", b"\x0a\0\0"),
        GateList("good", b"", b"\x20" + bytes(15) + b"\x03"),
        GateList("../good", *packed("192.0.2.5")),
        GateList("bans", *packed("192.0.2.5")),
    ):
        assert stand.refusal(wrong, to="gated").code in {"bad-list", "bad-name"}
    assert stand.refusal(GateForget("nothing"), to="gated").code == "no-list"
    assert stand.refusal(GateAllow(("nobody",)), to="gated").code == "bad-address"
    assert stand.refusal(GateUnban(("10.0.0.1-2001:db8::",)), to="gated").code == "bad-address"
    assert not line.passes(tcp("203.0.113.9"))
    assert line.passes(tcp("192.0.2.5"))


def test_nobody_else_gives_the_gate_orders(stand: Stand) -> None:
    with as_user(stand.instance.identity("namesd").uid), pytest.raises((RefusedError, DaemonAway, ProtocolError)):
        stand.ask(GateAllow(("192.0.2.10",)), GateDone, to="gated")
    assert report(stand).allowed == 0


def test_bogons_malformed_and_floods_as_the_policy_says(stand: Stand, line: Line) -> None:
    private, martian, example = tcp("10.9.9.9"), tcp("127.0.0.9"), tcp("203.0.113.5")
    nonsense = tcp("192.0.2.1", flags="SF")
    assert line.passes(private) and line.passes(martian) and line.passes(example)
    assert not line.passes(nonsense)
    stand.apply(text("{malformed: no, bogons: [martians, private], syn: 1/second burst 3, udp: 1/second burst 2}"))
    until(lambda: not line.passes(private), "the gate has the new settings")
    assert not line.passes(martian)
    assert line.passes(example)
    assert line.passes(nonsense)
    syns = [line.passes(tcp("203.0.113.50", "S", port)) for port in range(2000, 2012)]
    assert 3 <= sum(syns) < 8
    assert line.passes(tcp("203.0.113.50")), "connections that exist go on"
    assert line.passes(tcp("203.0.113.51", "S")), "another source has a limit of its own"
    six = [line.passes(tcp(f"2001:db8:5::{number}", "S")) for number in range(1, 13)]
    assert 3 <= sum(six) < 8, "hosts of one /64 are one source"
    assert dropped(stand, "syn-flood") == len(syns) + len(six) - sum(syns) - sum(six)
    assert dropped(stand, "bogon") >= 2
    assert dropped(stand, "tcp-flags") == 1


def test_a_source_that_asks_twice_is_no_stranger(stand: Stand, line: Line) -> None:
    stand.apply(text("{strangers: 1/second burst 2}"))
    until(
        lambda: False in {line.passes(tcp(f"203.0.113.{number}", "S")) for number in range(1, 30)},
        "more strangers than the policy allows are held up",
    )
    until(lambda: line.passes(tcp("192.0.2.200", "S", 5000)), "asked again, as TCP does, it comes through")
    assert dropped(stand, "syn-total") > 0


def test_another_program_at_the_line_stays_and_is_told(stand: Stand, line: Line) -> None:
    _away(stand)
    ban(stand, "203.0.113.5")
    assert line.passes(tcp("203.0.113.5")), "here the ruleset alone drops it"
    with _foreign_program(stand) as foreign:
        stand.apply(text())
        until(lambda: "another XDP program" in at(stand).words, "the gate says what stands there")
        until(lambda: at(stand).mode == "nft", "nft stands in")
        assert _program(stand) == foreign
    until(lambda: at(stand).mode == "native", "the gate comes by itself when the other one has gone")
    assert not line.passes(tcp("203.0.113.5"))


def test_a_line_that_is_made_anew_has_the_gate_again(stand: Stand, line: Line) -> None:
    ban(stand, "203.0.113.5")
    stand.sh("ip link del wan0")
    until(lambda: "no such interface" in at(stand).words, "the gate says that the line has gone")
    stand.sh("ip link add wan0 type veth peer name wan0p && ip link set wan0 up && ip link set wan0p up")
    until(lambda: at(stand).mode == "native", "the gate stands there again")
    again = Line(stand)
    assert not again.passes(tcp("203.0.113.5"))
    again.close()
    assert len(list(Path(stand.instance.pins).glob("line-*"))) == 1


def test_without_a_place_to_pin_there_is_no_gate_and_bans_hold_all_the_same() -> None:
    with Stand(("keyd", "applyd", "policyd")) as stand:
        stand.start("gated")
        stand.wait_for("gated")
        stand.apply(text())
        until(lambda: bool(at(stand).words) and at(stand).words != "not wanted", "the line says why it has no gate")
        assert report(stand).words
        ban(stand, "203.0.113.5")
        assert "203.0.113.5" in stand.sh("nft list set inet reef_ban ban_v4")
        assert "stands in" in stand.words()


def test_a_stop_leaves_the_gate_and_its_mount_takes_it_away() -> None:
    with Stand(("keyd", "applyd", "gated", "policyd")) as stand:
        stand.apply(text())
        until(lambda: at(stand).mode == "native", "the gate stands at the line")
        assert stand.stop("gated", signal.SIGTERM) == 0
        assert _program(stand)
        pins = Path(stand.instance.pins)
    assert not pins.is_mount()


class Ports:
    """Which source ports came behind the stand-in, in a table that only looks."""

    TABLE = """table inet test_ports {
        set seen {
            type inet_service
            flags dynamic
            size 4096
        }
        chain watch {
            type filter hook prerouting priority -250;
            meta l4proto { tcp, udp } add @seen { th sport }
        }
    }"""

    def __init__(self, stand: Stand, line: Line) -> None:
        self._stand = stand
        self._line = line
        self._ports = itertools.count(10_000)
        stand.sh(f"ip link set wan0 address {HEADER.dst}")
        stand.sh(f"nft -f - <<'END'\n{self.TABLE}\nEND")

    def passes(self, source: str, flags: str = "A", layer: type[Packet] = TCP) -> bool:
        """Whether it comes through: the one behind it, of nobody in particular, shows when it has been decided."""
        return self.many([source], flags, layer) == 1

    def many(self, sources: list[str], flags: str = "A", layer: type[Packet] = TCP) -> int:
        """How many of as many packets come through."""
        sent = []
        for source in sources:
            sent.append(next(self._ports))
            frame = tcp(source, flags, sent[-1])
            if layer is UDP:
                frame = HEADER / IP(src=source, dst=BEHIND) / UDP(sport=sent[-1], dport=443)
            self._line.send(frame)
        end = next(self._ports)
        self._line.send(tcp("9.9.9.9", "A", end))
        until(lambda: end in self._seen(), "the frame behind them came through")
        return len(self._seen().intersection(sent))

    def _seen(self) -> set[int]:
        listed = self._stand.sh("nft -n list set inet test_ports seen").partition("elements = {")[2]
        return {int(word) for word in listed.replace(",", " ").replace("}", " ").split()}


def test_where_the_gate_cannot_stand_nft_holds_lists_bogons_and_floods(stand: Stand, line: Line) -> None:
    protect = "{bogons: [martians, private], syn: 1/second burst 3, udp: 1/second burst 2}"
    put(stand, "bad", "203.0.113.0/24", "203.0.112.0/22", "2001:db8:6::/48", "10.0.0.0/8")
    _away(stand)
    with _foreign_program(stand):
        stand.apply(text(protect))
        until(lambda: at(stand).mode == "nft", "nft stands in")
        ports = Ports(stand, line)
        assert not ports.passes("203.0.113.5") and not ports.passes("203.0.112.5")
        assert not ports.passes("2001:db8:6::1") and ports.passes("2001:db8:7::1")
        assert ports.passes("192.0.2.9")
        assert dropped(stand, "banned") == 3
        assert not ports.passes("127.0.0.9") and not ports.passes("192.168.3.4")
        assert dropped(stand, "bogon") == 2
        syns = ports.many(["192.0.2.50"] * 12, "S")
        six = ports.many([f"2001:db8:7::{number}" for number in range(1, 13)], "S")
        datagrams = ports.many(["192.0.2.50"] * 12, layer=UDP)
        assert 3 <= syns < 8 and 3 <= six < 8 and 2 <= datagrams < 8, "hosts of one /64 are one source"
        assert ports.passes("192.0.2.51", "S") and ports.passes("192.0.2.50")
        assert dropped(stand, "syn-flood") == 24 - syns - six and dropped(stand, "udp-flood") == 12 - datagrams
        stand.ask(Allow(("203.0.113.5",), 0, "a test"), Allowed)
        assert ports.passes("203.0.113.5") and not ports.passes("203.0.113.6")
        put(stand, "bad", "198.18.0.0/15")
        assert ports.passes("203.0.113.6") and not ports.passes("198.18.0.1")
        assert dropped(stand, "banned") == 5, "what was counted stays"
        stand.kill("applyd")
        assert not ports.passes("198.18.0.1"), "the kernel holds it"
        stand.start("applyd")
        stand.wait_for("applyd")
        words = stand.ask(messages.Doctor(), messages.DoctorReport).findings
        assert any("wan0" in finding and "nft" in finding for finding in words)
    until(lambda: at(stand).mode == "native", "the gate comes by itself when the other one has gone")
    until(lambda: "reef_gate" not in stand.sh("nft list tables"), "what stood in has gone")
    assert not line.passes(tcp("198.18.0.1"))


def test_beyond_all_strangers_nft_lets_in_who_asks_twice(stand: Stand, line: Line) -> None:
    _away(stand)
    with _foreign_program(stand):
        stand.apply(text("{bogons: [documentation], icmp: 5/second, strangers: 1/second burst 1}"))
        until(lambda: at(stand).mode == "nft", "nft stands in")
        ports = Ports(stand, line)
        assert ports.many([f"11.0.0.{number}" for number in range(1, 31)], "S") < 20
        held_up = dropped(stand, "syn-total")
        assert held_up > 10
        for _ in range(2):  # only the first of them may be held up
            line.send(tcp("11.0.0.99", "S", 9999))
        assert not ports.passes("192.0.2.1") and ports.passes("11.0.0.1")
        assert dropped(stand, "syn-total") <= held_up + 1
        assert dropped(stand, "bogon") == 1


def test_without_a_gate_at_all_lists_hold_in_nft_and_are_there_after_a_restart() -> None:
    with Stand(("keyd", "applyd", "policyd")) as stand:
        stand.start("gated")
        stand.wait_for("gated")
        stand.apply(text())
        until(lambda: at(stand).mode == "nft", "nft stands in")
        prefixes, _ = PrefixList.read("\n".join(f"10.{n >> 8}.{n & 255}.0/25" for n in range(20_000)).encode())
        request = GateList("many", prefixes.packed(4), prefixes.packed(6))
        assert stand.ask(request, GateListed).entries == 20_000
        line = Line(stand)
        ports = Ports(stand, line)
        assert not ports.passes("10.5.5.5") and ports.passes("10.5.5.200")
        stand.kill("gated")
        stand.start("gated")
        stand.wait_for("gated")
        until(lambda: at(stand).mode == "nft", "nft stands in")
        assert not ports.passes("10.5.5.5")
        assert [(kept.name, kept.entries) for kept in report(stand).lists] == [("many", 20_000)]
        line.close()


def _away(stand: Stand) -> None:
    """The gate goes from the line, because the policy does not want it there."""
    stand.apply(text().replace("    protect: {malformed: yes}\n", ""))
    until(lambda: at(stand).words == "not wanted" and not _program(stand), "the gate has gone from the line")


def _program(stand: Stand) -> str:
    """What `ip` says of the XDP program at the line."""
    words = stand.sh("ip -d link show wan0")
    return words.partition("prog/xdp id ")[2].partition(" ")[0]


@contextlib.contextmanager
def _foreign_program(stand: Stand) -> Iterator[str]:
    """A program of somebody else, put there by ip-link(8) as an administrator would."""
    folder = Path(stand.instance.run)
    source, made = folder / "foreign.bpf.c", folder / "foreign.bpf.o"
    source.write_text(
        '__attribute__((section("xdp"), used)) int foreign(void *context) { return 2; }\n'
        'char terms[] __attribute__((section("license"), used)) = "GPL";\n'
    )
    subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(made)], check=True)
    stand.sh(f"ip link set wan0 xdp obj {made} sec xdp")
    try:
        yield _program(stand)
    finally:
        stand.sh("ip link set wan0 xdp off")


def test_a_list_that_an_operator_gives_holds_and_is_taken_back(stand: Stand, line: Line) -> None:
    prefixes, _ = PrefixList.read(b"192.0.2.0/24 ; theirs\n2001:db8:6::/48\n")
    request = GateList("drop", prefixes.packed(4), prefixes.packed(6))
    assert stand.ask(request, GateListed).entries == 2
    assert not line.passes(tcp("192.0.2.5"))
    holding = GateFound((GateFoundEntry("192.0.2.0/24", "drop"),), 1)
    assert stand.ask(GateFind("192.0.2.5"), GateFound) == holding
    stand.ask(Allow(("192.0.2.5",), 0, "a test"), Allowed)
    assert line.passes(tcp("192.0.2.5"))
    assert stand.ask(GateForget("drop"), GateDone) == GateDone()
    assert line.passes(tcp("192.0.2.6"))
    assert stand.ask(GateFind("192.0.2.5"), GateFound) == GateFound((), 0)
    assert stand.refusal(GateForget("drop")).code == "no-list"


def test_a_list_too_long_for_one_message_comes_in_parts_and_counts_at_one_moment(stand: Stand, line: Line) -> None:
    put(stand, "long", "2001:db8:6::/48")
    prefixes, _ = PrefixList.read("\n".join(f"2001:db8:{number:x}::/48" for number in range(7, 107)).encode())
    *parts, last = in_parts("long", b"", prefixes.packed(6), most=30)
    assert len(parts) == 3
    assert stand.refusal(last).code == "bad-list", "no part is there"
    for part in parts:
        stand.ask(part, GateDone)
        assert not line.passes(tcp("2001:db8:6::1")) and line.passes(tcp("2001:db8:7::1"))
    assert stand.refusal(parts[1]).code == "bad-list", "a part that came twice makes it no list"
    for part in parts:
        stand.ask(part, GateDone)
    assert stand.ask(last, GateListed).entries == 100
    assert line.passes(tcp("2001:db8:6::1"))
    assert not line.passes(tcp("2001:db8:7::1")) and not line.passes(tcp("2001:db8:6a::1"))


@pytest.mark.parametrize("text", ["127.0.0.0/8", "198.51.100.0/24\n127.0.0.1", "10.0.0.0/8"])
def test_a_list_with_an_address_of_the_gateway_is_refused_with_the_prefix(
    stand: Stand, line: Line, text: str
) -> None:
    stand.sh("ip addr add 10.20.0.1/16 dev lan0")
    prefixes, _ = PrefixList.read(text.encode())
    refused = stand.refusal(GateList("drop", prefixes.packed(4), prefixes.packed(6)))
    assert refused.code == "own"
    assert text.rpartition("\n")[2] in refused.message
    assert report(stand).lists[1:] == ()


def test_a_list_that_would_hold_nowhere_is_refused(stand: Stand) -> None:
    stand.apply(policy(rule("R-1")))
    prefixes, _ = PrefixList.read(b"192.0.2.0/24")
    assert stand.refusal(GateList("drop", prefixes.packed(4), b"")).code == "no-gate"


def test_what_indicators_block_is_dropped_at_the_line(stand: Stand, line: Line) -> None:
    """As alertd tells it: everything first, then each change. A packet now and then is left to the ruleset, which
    drops and logs it, so that hits are counted."""

    def tell(*block: str, release: tuple[str, ...] = (), whole: bool = False) -> None:
        with as_user(stand.instance.identity("alertd").uid):
            stand.ask(GateIndicate(block, release, whole), GateDone, to="gated")

    assert stand.refusal(GateIndicate(("198.51.100.200",)), to="gated").code == "anew"
    host, other = "198.51.100.201", "198.51.100.210"
    tell(host, "198.51.100.208/29", whole=True)
    for source in (host, other):
        until(lambda source=source: not line.passes(tcp(source)), "it is dropped", patience=30)  # type: ignore[misc]
        until(lambda source=source: line.passes(tcp(source)), "one is left", patience=30)  # type: ignore[misc]
    assert all(line.passes(tcp("198.51.100.200")) for _ in range(10))
    tell("198.51.100.200", release=(host, "198.51.100.208/29"))
    assert all(line.passes(tcp(source)) for source in (host, other) for _ in range(10))
    until(lambda: not line.passes(tcp("198.51.100.200")), "it is dropped", patience=30)
    tell(whole=True)
    assert all(line.passes(tcp("198.51.100.200")) for _ in range(10))
