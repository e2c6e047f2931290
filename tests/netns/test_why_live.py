"""The kernel's answer and the policy's: real packets, followed by nftables' trace, are decided as `why` says.

Every packet is put into the receive path of its interface (or sent by the gateway itself) and dropped behind the last
decision, so nothing of it may come out at the far ends of the lines, and no connection may be left.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from appliance.commands.followed import Kernel, identifier
from appliance.control.kernel import trace
from appliance.control.kernel.conntrack import Conntrack
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.probe import send_here
from appliance.control.kernel.rtnetlink import Routing
from appliance.control.messages.why import Trace, Traced
from appliance.policy import addresses
from appliance.policy.answering.nearly import Rulebook
from appliance.policy.answering.reach import NOWHERE, Hop
from appliance.policy.answering.why import Question, Situation, why
from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Packet, World, decide
from appliance.policy.model import AddressSet, Policy, Rate, Rule
from tests.netns.test_real_packets import fill, untimed, world
from tests.netns.wire import Seen, Wire
from tests.policies import NOW, random_packet, random_policy, zones

ROOT = Path(__file__).parents[2]
POLICIES = 9
PACKETS = 60


class Stand:
    """The gateway of a `Wire`: a tracer and the kernel's routes, both inside of its namespace."""

    def __init__(self) -> None:
        self.routing = Routing()
        self.names = {link.index: link.name for link in self.routing.links().values()}
        self.tracer = trace.Tracer(Conntrack(Netfilter()), lambda: self.names)

    def hop(self, version: int, address: int) -> Hop:
        way = self.routing.way(addresses.text_of(version, address), self.names)
        return Hop(way.interface, way.via, way.source) if way.reachable else Hop(NOWHERE)

    def situation(self, known: World) -> Situation:
        return Situation(known.now, self.hop, known.interface_addresses, known.members)

    async def probe(self, packet: Packet, rules: list[RuleInfo], *, deliver: bool = False) -> Traced:
        ported = packet.protocol in PORT_PROTOCOLS
        number = self.tracer.begin(
            Trace(
                version=packet.version,
                source=addresses.text_of(packet.version, packet.source),
                destination=addresses.text_of(packet.version, packet.destination),
                protocol=packet.protocol,
                source_port=identifier(packet),
                destination_port=packet.destination_port if ported else -1,
                icmp_type=packet.icmp_type if packet.protocol in (1, 58) else -1,
                entering=packet.entering,
                seconds=5,
                probe=True,
                deliver=deliver,
            ),
            rules,
        ).number
        send_here(packet)
        return await self.tracer.trail(number)


def published(policy: Policy) -> Policy:
    """The policy with a rule that allows what destination NAT sends on, as a published service has one."""
    permits = tuple(
        Rule(
            f"P-{nat.number}",
            ("any",),
            ("any",),
            destination=AddressSet((nat.to,)),
            action="allow",
            number=nat.number,
        )
        for nat in policy.destination_nat
    )
    moved = tuple(msgspec.structs.replace(rule, number=rule.number + 100) for rule in policy.rules)
    return msgspec.structs.replace(policy, rules=(*permits, *moved))


def load(
    wire: Wire, old: Ruleset | None, policy: Policy, known: World, serial: int
) -> tuple[Ruleset, list[RuleInfo]]:
    compiled = compile_policy(policy, generation=serial, capabilities=frozenset(), now=NOW)
    wire.load(delta(old, compiled.ruleset))
    wire.load(fill(known))
    rules = [RuleInfo(rule.id, rule.number, rule.action) for rule in policy.rules]
    return compiled.ruleset, rules


def tables(wire: Wire) -> str:
    return wire.run("nft", "list", "tables")


def kind_of(packet: Packet, said: str) -> str:
    if not packet.entering:
        return "output"
    return "input" if not said else "forward"


def test_random_packets_are_decided_by_the_kernel_as_why_says() -> None:
    rng = random.Random(1383)
    seen: dict[str, int] = {}
    old: Ruleset | None = None
    with Wire() as wire, wire.inside():
        stand = Stand()

        async def ask(policy: Policy, rules: list[RuleInfo], known: World) -> None:
            book, done = Rulebook(policy), 0
            while done < PACKETS:
                packet = random_packet(rng, policy)
                # Most random packets meet a denial; more of them shall get through.
                said = decide(policy, packet, known)
                if said.action == "deny" and rng.random() < 0.85:
                    continue
                if packet.protocol == 47:
                    continue  # connection tracking wants a whole GRE header
                done += 1
                answer = why(book, Question(packet), stand.situation(known))
                traced = await stand.probe(packet, rules)
                assert traced.seen, packet
                differences = Kernel("", traced).differences(answer)
                assert not differences, (packet, answer, traced)
                for word in (
                    kind_of(packet, answer.leaves), f"v{packet.version}", answer.action, answer.rule[:2],
                    *(["dnat"] if answer.destination_nat and answer.action == "allow" else []),
                    *(["snat"] if answer.source_nat and answer.action == "allow" else []),
                    *(["hairpin"] if answer.source_nat.startswith("D-") else []),
                ):  # fmt: skip
                    seen[word] = seen.get(word, 0) + 1

        for serial in range(POLICIES):
            policy = published(untimed(random_policy(rng, rules=rng.choice((10, 30)))))
            known = world(rng, policy)
            old, rules = load(wire, old, policy, known, serial)
            wire.drain()
            asyncio.run(ask(policy, rules, known))
            assert "reef_trace" not in tables(wire)
            assert wire.run("conntrack", "-L") == "", "a probe leaves no connection"
        frames = wire.collect(lambda found: bool(found), seconds=0.3)
        assert not [frame for _, frame in frames if Seen(frame).protocol in (6, 17, 132, 50)], "a probe went on"
    for word in ("output", "input", "forward", "v4", "v6", "allow", "deny", "reject", "R-", "de", "dnat", "snat"):
        assert seen.get(word, 0) >= 5, (word, seen)
    assert seen.get("hairpin"), seen


def test_a_limit_that_is_exceeded_is_found_out() -> None:
    """What the policy cannot know: how many came before. The kernel tried the rule and went on below it."""
    with Wire() as wire, wire.inside():
        rule = Rule("R-1", ("lan",), ("dmz",), action="allow", rate=Rate(1, 60, burst=1), number=1)
        policy = Policy(site="limits", zones=zones(antispoofing=False), rules=(rule,))
        _, rules = load(wire, None, policy, World(NOW), 1)
        stand = Stand()
        packet = Packet(4, "lan0", "", 0x0A01000A, 0x0A03000A, 17, 40000, 53)
        book, situation = Rulebook(policy), stand.situation(World(NOW))
        answer = why(book, Question(packet), situation)
        assert answer.rule == "R-1"
        kernels = [Kernel("", asyncio.run(stand.probe(packet, rules))) for _ in range(4)]
        assert kernels[0].differences(answer) == ()
        assert kernels[0].exceeded(policy) == frozenset()
        over = kernels[-1]
        assert (over.traced.verdict, over.traced.rule) == ("deny", "default")
        assert over.exceeded(policy) == {"R-1"}
        situation = msgspec.structs.replace(situation, over=over.exceeded(policy))
        assert over.differences(why(book, Question(packet), situation)) == ()


def test_another_policy_than_the_one_that_runs_is_noticed() -> None:
    rng = random.Random(9568)
    with Wire() as wire, wire.inside():
        policy = untimed(random_policy(rng, rules=30, nat=False, antispoofing=False))
        known = world(rng, policy)
        _, rules = load(wire, None, policy, known, 1)
        swapped = {"allow": "deny", "deny": "allow", "reject": "allow"}
        other = msgspec.structs.replace(
            policy, rules=tuple(msgspec.structs.replace(rule, action=swapped[rule.action]) for rule in policy.rules)
        )
        stand = Stand()
        packet = next(
            packet
            for packet in (random_packet(rng, policy, gateway=False) for _ in range(1000))
            if decide(policy, packet, known).action == "allow" and packet.protocol in (6, 17)
        )
        traced = asyncio.run(stand.probe(packet, rules))
        assert not Kernel("", traced).differences(why(Rulebook(policy), Question(packet), stand.situation(known)))
        answer = why(Rulebook(other), Question(packet), stand.situation(known))
        assert f"the policy says {answer.action}, the kernel allow" in Kernel("", traced).differences(answer)


def test_a_probe_goes_on_when_it_is_told_to_deliver() -> None:
    rng = random.Random(19814)
    with Wire() as wire, wire.inside():
        policy = untimed(random_policy(rng, rules=30, nat=False))
        known = world(rng, policy)
        _, rules = load(wire, None, policy, known, 1)
        stand = Stand()
        packet = next(
            packet
            for packet in (random_packet(rng, policy, gateway=False) for _ in range(1000))
            if decide(policy, packet, known).action == "allow" and packet.protocol == 17
        )
        wire.drain()
        traced = asyncio.run(stand.probe(packet, rules, deliver=True))
        assert traced.verdict == "allow"
        came = wire.collect(lambda found: any(Seen(frame).protocol == 17 for _, frame in found))
        assert packet.leaving in {line for line, frame in came if Seen(frame).destination == packet.destination}


TRACING = """
import asyncio, sys
from appliance.control.kernel import trace
from appliance.control.kernel.conntrack import Conntrack
from appliance.control.messages.why import Trace
from appliance.control.kernel.nfnetlink import Netfilter

async def main():
    tracer = trace.Tracer(Conntrack(Netfilter()), dict)
    tracer.begin(Trace(4, "10.1.0.10", "10.3.0.10", 6, entering="lan0", seconds=300), [])
    print("begun", flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


def test_a_killed_process_leaves_no_trace_table() -> None:
    with Wire(raw=False) as wire:
        process = subprocess.Popen(
            ["ip", "netns", "exec", wire.name, sys.executable, "-c", TRACING],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == b"begun\n"
            assert "reef_trace" in tables(wire)
            process.send_signal(signal.SIGKILL)
            process.wait()
        deadline = time.monotonic() + 30
        while "reef_trace" in tables(wire):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_what_no_process_owns_any_more_is_cleared_at_the_next_start() -> None:
    with Wire(raw=False) as wire, wire.inside():
        wire.load(f"table inet {trace.TABLE} {{\n chain begins {{\n }}\n}}\n")
        trace.clear()
        assert trace.TABLE not in tables(wire)
        trace.clear()  # nothing there is no mistake


def test_one_trace_at_a_time_and_none_for_ever() -> None:
    async def run() -> None:
        tracer = trace.Tracer(Conntrack(Netfilter()), dict)
        asked = Trace(4, "10.1.0.10", "10.3.0.10", 6, entering="lan0", seconds=1)
        first = tracer.begin(asked, [])
        with pytest.raises(trace.TraceRefused, match="another trace runs"):
            tracer.begin(asked, [])
        assert await tracer.trail(first.number) == Traced(seen=False)
        second = tracer.begin(asked, [])
        with pytest.raises(trace.TraceRefused, match="is over"):
            await tracer.trail(first.number)
        waiting = [asyncio.create_task(tracer.trail(second.number)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(trace.TraceRefused, match="4 wait for that trace"):
            await tracer.trail(second.number)
        tracer.end()
        assert not any([(await each).seen for each in waiting])
        assert not (await tracer.trail(second.number)).seen

    with Wire(raw=False) as wire, wire.inside():
        asyncio.run(run())
        assert trace.TABLE not in tables(wire)


def test_a_stream_that_is_like_a_probe_does_not_keep_its_table() -> None:
    async def run() -> None:
        tracer = trace.Tracer(Conntrack(Netfilter()), dict)
        (_, source), (_, destination) = addresses.address("10.1.0.10"), addresses.address("10.3.0.10")
        packet = Packet(4, "lan0", "", source, destination, 17, 5000, 53)
        asked = Trace(4, "10.1.0.10", "10.3.0.10", 17, 5000, 53, entering="lan0", seconds=5, probe=True, deliver=True)
        waiting = asyncio.create_task(tracer.trail(tracer.begin(asked, []).number))
        deadline = time.monotonic() + 60
        while not waiting.done():  # faster than a packet is known to have come to its end
            assert time.monotonic() < deadline
            send_here(packet)
            await asyncio.sleep(0.02)
        assert (await waiting).seen

    with Wire(raw=False) as wire, wire.inside():
        asyncio.run(run())
        assert trace.TABLE not in tables(wire)
