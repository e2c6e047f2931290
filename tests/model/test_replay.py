"""The replay in C decides every flow as `decide` does: random policies, random flows, all that is kept of a flow."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import msgspec

from appliance.policy.answering.classifier import Encoder
from appliance.policy.answering.comparison import Comparison
from appliance.policy.decide import Decision, Packet, World, decide, zone_of
from appliance.policy.model import Policy, Range
from ctypes_ext.flowtable import FlowTable, Seen
from ctypes_ext.replay import Heads
from tests.policies import NOW, host, random_packet, random_policy, random_rule, route

FULL = (0, 65535)
POLICIES = 25
FLOWS = 120
_MINUTE = 60


def address(version: int, number: int) -> IPv4Address | IPv6Address:
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def key(packet: Packet, port: int) -> int:
    return packet.icmp_type << 8 | packet.icmp_code if packet.protocol in (1, 58) else port


def flow(policy: Policy, packet: Packet, decision: Decision, now: int) -> Seen:
    """What the flow log keeps of a packet that the running policy decided so."""
    leaving = route(packet.version, decision.destination)
    # Source NAT comes after the decision; the log has the first packet's source.
    return Seen(
        source=address(packet.version, packet.source),
        destination=address(packet.version, decision.destination),
        protocol=packet.protocol,
        port=key(packet, decision.destination_port),
        rule=decision.rule,
        action=decision.action,
        from_zone=zone_of(policy, packet.entering),
        to_zone=zone_of(policy, leaving),
        minute=now // _MINUTE,
        asked=address(packet.version, packet.destination),
        asked_port=key(packet, packet.destination_port),
    )


def without_source_ports(policy: Policy) -> Policy:
    """Source ports are not kept: rules that ask for them are another test's."""

    def plain(entries: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(msgspec.structs.replace(entry, source_ports=FULL) for entry in entries)  # type: ignore[type-var]

    return msgspec.structs.replace(
        policy, rules=tuple(msgspec.structs.replace(rule, services=plain(rule.services)) for rule in policy.rules)
    )


def edited(rng: random.Random, policy: Policy) -> Policy:
    """A candidate: rules changed, added, removed or moved; sometimes other translations or other networks."""
    rules = list(policy.rules)
    for _ in range(rng.choice((1, 2, len(rules) // 2))):
        kind = rng.random()
        place = rng.randrange(len(rules))
        if kind < 0.4:
            rules[place] = msgspec.structs.replace(random_rule(rng, 900 + place), id=rules[place].id)
        elif kind < 0.6:
            rules.insert(place, random_rule(rng, 1000 + rng.randrange(1000)))
        elif kind < 0.8 and len(rules) > 1:
            del rules[place]
        else:
            rules.insert(rng.randrange(len(rules)), rules.pop(place))
    candidate = msgspec.structs.replace(policy, rules=tuple(rules))
    if rng.random() < 0.3:
        candidate = msgspec.structs.replace(candidate, destination_nat=random_policy(rng).destination_nat)
    if rng.random() < 0.2:
        zones = dict(candidate.zones)
        name = rng.choice(("lan", "dmz", "guest"))
        part = zones[name].networks[0]
        half = Range(part.version, part.first, part.first + (part.last - part.first) // 2)
        zones[name] = msgspec.structs.replace(zones[name], networks=(half, *zones[name].networks[1:]))
        candidate = msgspec.structs.replace(candidate, zones=zones)
    return without_source_ports(candidate)


def expected_kind(was: Decision, now: Decision) -> str | None:
    if (was.action == "allow") != (now.action == "allow"):
        return "denied" if was.action == "allow" else "allowed"
    ends = (was.destination, was.destination_port) != (now.destination, now.destination_port)
    if was.action == "allow" and ends:
        return "elsewhere"
    if was.action != now.action:
        return "refused"
    return None if was.rule == now.rule else "another-rule"


def cases(seed: int) -> Iterator[tuple[Policy, Policy, World, list[tuple[Seen, Packet, int]]]]:
    rng = random.Random(seed)
    members = {
        "dns_mirror": frozenset(Range(v, n, n) for v in (4, 6) for n in [host(rng, v) for _ in range(3)]),
        "group_staff": frozenset(Range(v, n, n) for v in (4, 6) for n in [host(rng, v) for _ in range(4)]),
    }
    for _ in range(POLICIES):
        running = without_source_ports(random_policy(rng, rules=rng.choice((4, 12, 70))))
        candidate = edited(rng, running)
        flows = []
        for _ in range(FLOWS):
            packet = random_packet(rng, running, spoofed=0.02)
            now = NOW + rng.randrange(-5 * 86400, 5 * 86400) // _MINUTE * _MINUTE
            world = World(now=now, members=members, route=route)
            flows.append((flow(running, packet, decide(running, packet, world), now), packet, now))
        yield running, candidate, World(members=members, route=route), flows


def test_every_flow_is_decided_as_the_model_decides_it() -> None:
    met: Counter[str] = Counter()
    for seed in range(3):
        met += replayed(seed)
    assert min(met[kind] for kind in ("denied", "allowed", "elsewhere", "refused", "another-rule")) > 5, met


def replayed(seed: int) -> Counter[str]:
    met: Counter[str] = Counter()
    encoder = Encoder()
    for running, candidate, world, flows in cases(seed):
        wanted: Counter[tuple[str, str, str, str]] = Counter()
        table = FlowTable(1024)
        for seen, packet, now in flows:
            then = msgspec.structs.replace(world, now=now)
            was, would = decide(running, packet, then), decide(candidate, packet, then)
            assert table.add(seen)
            kind = expected_kind(was, would)
            if kind is not None:
                wanted[kind, seen.from_zone, was.rule, would.rule] += 1
                met[kind] += 1
        comparison = Comparison(
            running, candidate, encoder, members=world.members, first=NOW - 6 * 86400, last=NOW + 6 * 86400
        )
        columns = table.take()
        heads = Heads(columns.heads)
        everything = random.Random(seed).random() < 0.5
        comparison.feed(heads, columns.body, columns.addresses, everything=everything)
        found: Counter[tuple[str, str, str, str]] = Counter()
        for group in comparison.groups(most=10_000):
            found[group.kind, group.from_zone, group.rule, group.rule_now] += group.flows
        assert found == wanted
        assert comparison.sum().flows == FLOWS
        assert bool(found) <= comparison.wants(heads)
        if everything:
            assert comparison.sum().unlike_log == 0, "the running policy decides its own log otherwise"
    return met
