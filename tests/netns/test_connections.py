"""Running connections under a new generation, and everything that ends by itself, in a real kernel."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from scapy.layers.inet import TCP
from scapy.packet import Packet as Layers

from appliance.policy.compiling import emit, rulechain
from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Packet
from appliance.policy.model import Connections, Dynamic, Policy, Rate, Rule, Schedule, ServiceEntry
from tests.netns.wire import Seen, Wire
from tests.policies import line_network, zones

CLIENT, SERVER = 10, 20
WEB = ServiceEntry(6, ports=(443, 443))


def policy(*rules: Rule, **more: object) -> Policy:
    return msgspec.structs.replace(Policy(site="connections", zones=zones(), rules=rules), **more)


def allow(name: str = "R-1", **more: object) -> Rule:
    rule = Rule(name, ("lan",), ("dmz",), services=(WEB,), action="allow", number=int(name[2:]))
    return msgspec.structs.replace(rule, **more)


def ruleset(text: Policy, generation: int) -> Ruleset:
    return compile_policy(text, generation=generation, capabilities=frozenset(), now=int(time.time())).ruleset


class Connection:
    """A TCP connection from lan0 to dmz0 of which both ends are played here."""

    def __init__(self, wire: Wire, version: int, port: int, client: int = CLIENT) -> None:
        self.wire = wire
        self.there = Packet(
            version, "lan0", "dmz0",
            line_network("lan0", version).first + client, line_network("dmz0", version).first + SERVER,
            6, source_port=port, destination_port=443,
        )  # fmt: skip
        self.back = Packet(
            version, "dmz0", "lan0", self.there.destination, self.there.source, 6,
            source_port=443, destination_port=port,
        )  # fmt: skip
        self.serial = port * 100
        self.sequence = {"lan0": 1000, "dmz0": 5000}

    def pass_on(self, packet: Packet, flags: str) -> bool:
        """Sends one segment; whether it came out on the other side."""
        self.serial += 1
        here, other = packet.entering, packet.leaving
        layers: Layers = TCP(
            sport=packet.source_port, dport=packet.destination_port, flags=flags,
            seq=self.sequence[here], ack=self.sequence[other] if "A" in flags else 0, window=60000,
        )  # fmt: skip
        before = sum(self.wire.counters().values())
        self.wire.drain()
        self.wire.send(here, self.wire.frame(packet, self.serial, layers))

        def passed(frames: list[tuple[str, bytes]]) -> bool:
            return any(line == other and Seen(frame).serial == self.serial for line, frame in frames)

        def counted(frames: list[tuple[str, bytes]]) -> bool:
            return passed(frames) or sum(self.wire.counters().values()) > before

        frames = self.wire.collect(counted, 3.0)
        frames += self.wire.collect(passed, 0.1)
        if passed(frames):
            # SYN and the payload each count.
            self.sequence[here] += 13 + ("S" in flags)
            return True
        return False

    def open(self) -> bool:
        return self.pass_on(self.there, "S") and self.pass_on(self.back, "SA") and self.pass_on(self.there, "A")

    def forth(self) -> bool:
        return self.pass_on(self.there, "PA")

    def answer(self) -> bool:
        return self.pass_on(self.back, "PA")


@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_lives_through_an_apply_that_allows_it_and_is_cut_by_one_that_does_not(version: int) -> None:
    first = ruleset(policy(allow()), 1)
    same = ruleset(policy(Rule("R-9", ("guest",), ("dmz",), number=9), allow("R-5")), 2)
    none = ruleset(policy(Rule("R-9", ("guest",), ("dmz",), number=9)), 3)
    with Wire() as wire:
        wire.load(delta(None, first))
        one, other = Connection(wire, version, 2001), Connection(wire, version, 2002)
        assert one.open()
        assert other.open()
        wire.load(delta(first, same))
        # One is decided again by its client's next segment, the other by its server's.
        assert one.forth()
        assert one.answer()
        assert other.answer()
        assert other.forth()
        assert wire.counters()["r_R-5"] == 2
        wire.load(delta(same, none))
        assert not one.forth()
        assert not one.answer()
        assert not other.answer()
        assert not other.forth()


def holds_until(check: Callable[[], bool], seconds: float) -> bool:
    """Whether `check` becomes false before the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not check():
            return True
    return False


def test_a_rule_that_expires_ends_its_connections_with_no_daemon_at_all() -> None:
    ends = int(time.time()) + 4
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(allow(expires_at=ends)), 1)))
        connection = Connection(wire, 4, 2001)
        assert connection.open()
        assert connection.answer()
        assert holds_until(connection.forth, 10)
        assert time.time() >= ends
        assert not connection.answer()
        assert not Connection(wire, 4, 2002).open()


def test_a_schedule_is_kept_by_the_kernel() -> None:
    local = time.gmtime()
    minute = local.tm_wday * 1440 + local.tm_hour * 60 + local.tm_min
    on = tuple(sorted({(minute, minute + 1), ((minute + 1) % 10080, (minute + 1) % 10080 + 1)}))
    off = (((minute + 5000) % 10000, (minute + 5000) % 10000 + 1),)
    for spans, expected in ((on, True), (off, False)):
        text = policy(allow(when="s"), schedules={"s": Schedule("s", "UTC", spans)})
        with Wire() as wire:
            wire.load(delta(None, ruleset(text, 1)))
            assert Connection(wire, 6, 2001).open() is expected


def test_people_who_leave_take_their_connections_with_them() -> None:
    text = policy(allow(people=("group_staff",)), dynamics={"group_staff": Dynamic("group_staff", "group", ("a",))})
    with Wire() as wire:
        wire.load(delta(None, ruleset(text, 1)))
        connection = Connection(wire, 4, 2001)
        assert not connection.open()
        who = emit.address(connection.there.source, 4)
        wire.run("nft", f"add element inet reef group_staff_v4 {{ {who} }}")
        assert connection.open()
        assert connection.answer()
        wire.run("nft", f"delete element inet reef group_staff_v4 {{ {who} }}")
        assert not connection.answer()
        assert not connection.forth()


@pytest.mark.parametrize("per", ["rule", "source"])
def test_a_rate_limits_new_connections_only(per: str) -> None:
    rule = allow(rate=Rate(1, 3600, burst=3, per="rule" if per == "rule" else "source"))
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(rule), 1)))
        connections = [Connection(wire, 4, 2000 + number) for number in range(6)]
        opened = [connection.open() for connection in connections]
        assert opened == [True, True, True, False, False, False]
        assert all(connection.forth() for connection in connections[:3])


@pytest.mark.parametrize(
    "rule",
    [allow(rate=Rate(1, 3600, burst=1, per="source")), allow(connections=Connections(1))],
    ids=["rate", "connections"],
)
def test_who_sends_from_many_addresses_does_not_get_round_a_limit(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rulechain, "METER_SIZE", 2)
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(rule), 1)))
        opened = [Connection(wire, 4, 2001, client=CLIENT + number).open() for number in range(4)]
        assert opened == [True, True, False, False]


def test_a_rule_that_denies_up_to_a_rate_holds_where_no_more_can_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulechain, "METER_SIZE", 2)
    rules = [allow(action="deny", rate=Rate(1, 3600, burst=1, per="source")), allow("R-2")]
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(*rules), 1)))
        tried = [(CLIENT, 2001), (CLIENT, 2002), (CLIENT + 1, 2001), (CLIENT + 2, 2001), (CLIENT + 2, 2002)]
        opened = [Connection(wire, 4, port, client=client).open() for client, port in tried]
        assert opened == [False, True, False, False, False]


def test_hosts_of_one_ipv6_network_share_a_limit_per_source() -> None:
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(allow(rate=Rate(1, 3600, burst=2, per="source"))), 1)))
        opened = [Connection(wire, 6, 2001, client=CLIENT + number).open() for number in range(4)]
        assert opened == [True, True, False, False]


def test_connections_at_a_time_are_counted_per_source() -> None:
    with Wire() as wire:
        wire.load(delta(None, ruleset(policy(allow(connections=Connections(2))), 1)))
        opened = [Connection(wire, 6, 2000 + number).open() for number in range(4)]
        assert opened == [True, True, False, False]
