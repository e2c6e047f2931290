"""Random policies in a real kernel, real packets on its lines: who gets through, what is counted, what NAT does."""

from __future__ import annotations

import random
from functools import partial

import msgspec

from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import delta
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Decision, Packet, World, decide
from appliance.policy.model import Policy, Range
from tests.netns.wire import Seen, Wire
from tests.policies import LINES, NOW, gateway_address, host, random_packet, random_policy, route

POLICIES = 9
PACKETS = 300

Sent = list[tuple[int, Packet, Decision]]


def distinct(packet: Packet, used: set[object]) -> bool:
    """Whether a packet begins a connection that no packet before it is part of, in either direction."""
    ends = frozenset((packet.source, packet.destination))
    ports = frozenset((packet.source_port, packet.destination_port)) if packet.source_port else frozenset()
    key = (packet.protocol, ends, ports)
    if key in used and packet.protocol not in (1, 58):
        return False
    used.add(key)
    return True


def world(rng: random.Random, policy: Policy) -> World:
    return World(
        now=NOW,
        members={
            name: frozenset(
                Range(version, address, address)
                for version in (4, 6)
                for address in {host(rng, version) for _ in range(6)}
            )
            for name in policy.dynamics
        },
        route=route,
        interface_addresses={
            (interface, version): gateway_address(interface, version) for interface in LINES for version in (4, 6)
        },
    )


def fill(known: World) -> str:
    """The dynamic sets of `known` as nft commands: what the resolver and the log-ins would do."""
    from tests.model.test_compiled_ruleset import members

    lines = []
    for name, elements in members(known).items():
        lines.append(f"flush set inet reef {name}")
        if elements:
            lines.append(f"add element inet reef {name} {{ {', '.join(elements)} }}")
    return "\n".join([*lines, ""])


def untimed(policy: Policy) -> Policy:
    """Time and limits have tests of their own."""
    return msgspec.structs.replace(
        policy,
        rules=tuple(
            msgspec.structs.replace(rule, when="", expires_at=0, rate=None, connections=None, inspect="")
            for rule in policy.rules
        ),
    )


def deciding(counters: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counters.items() if name.startswith(("r_", "spoof_")) and count}


def counter_of(policy: Policy, packet: Packet, said: Decision) -> str:
    if said.rule != "antispoofing":
        return f"r_{said.rule}"
    zone = next(zone.name for zone in policy.zones.values() if packet.entering in zone.interfaces)
    return f"spoof_{zone}"


def test_random_policies_decide_real_packets_as_the_model_does() -> None:
    rng = random.Random(1889)
    old: Ruleset | None = None
    forwarded = translated = 0
    with Wire() as wire:
        for serial in range(POLICIES):
            policy = untimed(random_policy(rng, rules=rng.choice((6, 15, 40))))
            known = world(rng, policy)
            ruleset = compile_policy(policy, generation=serial, capabilities=frozenset(), now=NOW).ruleset
            wire.load(delta(old, ruleset))
            old = ruleset
            wire.load(fill(known))
            wire.run("conntrack", "-F")
            sent, before = batch(wire, rng, policy, known), wire.counters()
            expected: dict[str, int] = {}
            for _, packet, said in sent:
                name = counter_of(policy, packet, said)
                expected[name] = expected.get(name, 0) + 1
            wire.drain()
            for number, packet, _ in sent:
                wire.send(packet.entering, wire.frame(packet, number))
            through = {number for number, packet, said in sent if said.action == "allow" and route_of(packet, said)}
            resets = sum(said.action == "reject" and packet.protocol == 6 for _, packet, said in sent)
            frames = wire.collect(partial(enough, through=through, resets=resets))
            seen = check(frames, sent, through)
            assert sum(Seen(frame).reset for _, frame in frames) >= resets
            after = wire.counters()
            rose = {name: after[name] - before[name] for name in deciding(after) if after[name] != before[name]}
            assert {name: rose.get(name, 0) for name in expected} == expected, (serial, rose, expected)
            forwarded += len(seen)
            translated += sum(bool(said.source_nat or said.destination_nat) for _, _, said in sent)
    assert forwarded > 150
    assert translated > 20


def batch(wire: Wire, rng: random.Random, policy: Policy, known: World) -> Sent:
    used: set[object] = set()
    sent: Sent = []
    while len(sent) < PACKETS:
        packet = random_packet(rng, policy)
        said = decide(policy, packet, known)
        # Most random packets meet a denial; more of them shall get through.
        if said.action != "allow" and rng.random() < 0.7:
            continue
        if not packet.entering or packet.protocol == 47 or not distinct(packet, used):
            continue
        # Two connections of a protocol without ports cannot hide behind one address towards one host.
        hidden = msgspec.structs.replace(packet, source=said.source, destination=said.destination)
        if packet.protocol == 50 and hidden != packet and not distinct(hidden, used):
            continue
        sent.append((len(sent), packet, said))
    return sent


def route_of(packet: Packet, said: Decision) -> str:
    return route(packet.version, said.destination)


def enough(frames: list[tuple[str, bytes]], through: set[int], resets: int) -> bool:
    seen = [Seen(frame) for _, frame in frames]
    arrived = {each.serial for each in seen if not each.answer}
    return through <= arrived and sum(each.reset for each in seen) >= resets


def check(frames: list[tuple[str, bytes]], sent: Sent, through: set[int]) -> set[int]:
    """Each packet that left was allowed to, on the right line, with the right addresses."""
    packets = {number: (packet, said) for number, packet, said in sent}
    arrived = set()
    for line, frame in frames:
        seen = Seen(frame)
        if seen.serial < 0 or seen.answer:
            continue
        packet, said = packets[seen.serial]
        assert seen.serial in through, (line, packet, said)
        assert line == route_of(packet, said), (line, packet, said)
        assert (seen.source, seen.destination) == (said.source, said.destination), (line, packet, said)
        if packet.protocol in (6, 17):
            assert seen.destination_port == said.destination_port, (packet, said)
            if said.source_ports != (0, 0):
                assert said.source_ports[0] <= seen.source_port <= said.source_ports[1]
        arrived.add(seen.serial)
    assert arrived == through, [packets[number] for number in through - arrived][:3]
    return arrived
