"""The prover against the plain words of `decide.py`: on random policies every claim is tried with packets."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

from appliance.policy.decide import DEFAULT, Packet, World, first_match, zone_of
from appliance.policy.model import Policy, Range, Rule
from appliance.policy.proving.difference import Comparison, difference
from appliance.policy.proving.proof import Finding, Region
from appliance.policy.proving.prove import Prover, prove
from appliance.policy.proving.regions import own_conditions
from tests.policies import NOW, random_packet, random_policy

POLICIES = 60
FULL = {4: Range(4, 0, 2**32 - 1), 6: Range(6, 0, 2**128 - 1)}


def everywhere() -> list[Region]:
    return [
        Region(source, destination, FULL[version], FULL[version])
        for version in (4, 6)
        for source, destination in (("any", "any"), ("gateway", "any"), ("any", "gateway"))
    ]


def decider(policy: Policy, packet: Packet, world: World) -> str:
    rule = first_match(policy, packet, world)
    return DEFAULT if rule is None else rule.id


def random_world(rng: random.Random, policy: Policy, packet: Packet) -> World:
    """A world as a running gateway has them: someone behind the source or nobody, names, limits, a moment."""
    person = rng.choice(["", "h.officer"])
    source = Range(packet.version, packet.source, packet.source)
    target = Range(packet.version, packet.destination, packet.destination)
    members: dict[str, frozenset[Range]] = {}
    for name, dynamic in policy.dynamics.items():
        if dynamic.kind == "dns":
            members[name] = frozenset(part for part in (source, target) if rng.random() < 0.5)
        elif person in dynamic.names:
            members[name] = frozenset((source,))
    limited = [rule.id for rule in policy.rules if rule.rate or rule.connections]
    over = frozenset(name for name in limited if rng.random() < 0.5)
    return World(now=NOW + rng.randrange(0, 30 * 86400), members=members, over=over)


def samples(rng: random.Random, policy: Policy, count: int) -> Iterator[tuple[Packet, World]]:
    for _ in range(count):
        packet = random_packet(rng, policy)
        if packet.entering or packet.leaving:
            yield packet, random_world(rng, policy, packet)


def test_every_part_is_decided_by_the_rule_that_it_names() -> None:
    rng = random.Random(1)
    for _ in range(POLICIES):
        policy = random_policy(rng)
        answer = Prover(policy, now=NOW).decided_within(everywhere())
        assert answer.decided
        for part in answer.parts:
            assert part.sure
            assert decider(policy, part.witness.packet, part.world) == part.rule


def test_a_packet_lies_in_a_part_of_the_rule_that_decides_it() -> None:
    rng = random.Random(2)
    for _ in range(POLICIES):
        policy = random_policy(rng)
        answer = Prover(policy, now=NOW).decided_within(everywhere())
        for packet, world in samples(rng, policy, 20):
            rule = decider(policy, packet, world)
            holding = {
                part.rule for part in answer.parts for region in part.regions if inside(policy, packet, world, region)
            }
            assert rule in holding


def inside(policy: Policy, packet: Packet, world: World, region: Region) -> bool:
    """Whether a packet lies in a region, leaving time and conditions aside."""
    source, target = zone_of(policy, packet.entering), zone_of(policy, packet.leaving)
    zones = all(
        word == name or (word == "any" and name != "gateway")
        for word, name in ((region.from_zone, source), (region.to_zone, target))
    )
    key = packet.destination_port
    if packet.protocol in (1, 58):
        key = packet.icmp_type * 256 + packet.icmp_code
    ported = packet.protocol in (6, 17, 33, 132, 136)
    return (
        zones
        and packet.version == region.source.version
        and region.source.first <= packet.source <= region.source.last
        and region.destination.first <= packet.destination <= region.destination.last
        and region.protocol[0] <= packet.protocol <= region.protocol[1]
        and (region.protocol[0] != region.protocol[1] or region.key[0] <= key <= region.key[1] or not ported)
        and (not ported or region.source_ports[0] <= packet.source_port <= region.source_ports[1])
    )


def test_findings_hold_for_packets() -> None:
    rng = random.Random(3)
    kinds: dict[str, int] = {}
    for _ in range(POLICIES):
        policy = random_policy(rng)
        proof = prove(policy, now=NOW)
        assert proof.decided
        known = {finding.rule: finding for finding in proof.findings if finding.kind in ("dead", "no-effect")}
        for finding in proof.findings:
            kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
        for packet, world in samples(rng, policy, 40):
            rule = first_match(policy, packet, world)
            if rule is None or rule.id not in known:
                continue
            finding = known[rule.id]
            assert finding.kind == "no-effect"
            rest = tuple(other for other in policy.rules if other.id != rule.id)
            other = first_match(msgspec.structs.replace(policy, rules=rest), packet, world)
            assert (other.action if other else "deny") == rule.action
            assert (other.id if other else DEFAULT) in finding.others
    assert min(kinds.get(kind, 0) for kind in ("dead", "no-effect", "conflict")) > POLICIES / 25, kinds


def test_dead_rules_decide_no_part_and_all_others_do() -> None:
    rng = random.Random(4)
    for _ in range(POLICIES):
        policy = random_policy(rng)
        prover = Prover(policy, now=NOW)
        dead = {finding.rule for finding in prover.proof().findings if finding.kind == "dead"}
        deciding = {part.rule for part in prover.decided_within(everywhere()).parts}
        assert dead == {rule.id for rule in policy.rules if rule.enabled} - deciding


def test_hiders_hide_and_every_one_of_them_is_needed() -> None:
    rng = random.Random(5)
    seen = 0
    for _ in range(POLICIES):
        policy = random_policy(rng, rules=20)
        for finding in prove(policy, now=NOW).findings:
            if finding.kind != "dead" or not finding.others:
                continue
            seen += 1
            kept = [rule for rule in policy.rules if rule.id in (*finding.others, finding.rule)]
            assert _dead(policy, kept, finding.rule)
            for other in finding.others:
                assert not _dead(policy, [rule for rule in kept if rule.id != other], finding.rule)
    assert seen > POLICIES / 10


def _dead(policy: Policy, rules: list[Rule], rule: str) -> bool:
    proof = prove(msgspec.structs.replace(policy, rules=tuple(rules)), now=NOW)
    return any(finding.kind == "dead" and finding.rule == rule for finding in proof.findings)


# --- edits -------------------------------------------------------------------------------------------


def edited(rng: random.Random, policy: Policy, serial: int) -> Policy:
    """One to three rules changed, taken out, put in or moved."""
    other = random_policy(rng, rules=len(policy.rules) or 1)
    rules = list(policy.rules)
    for step in range(rng.choice((1, 1, 2, 3))):
        kind = rng.random()
        at = rng.randrange(len(rules)) if rules else 0
        fresh = other.rules[at % len(other.rules)]
        if not rules or kind < 0.25:
            rules.insert(at, msgspec.structs.replace(fresh, id=f"N-{serial}-{step}"))
        elif kind < 0.6:
            rules[at] = msgspec.structs.replace(fresh, id=rules[at].id)
        elif kind < 0.8:
            del rules[at]
        else:
            rules.insert(rng.randrange(len(rules)), rules.pop(at))
    return msgspec.structs.replace(policy, rules=tuple(rules))


def test_an_edit_proves_what_a_cold_proof_proves() -> None:
    rng = random.Random(6)
    for _ in range(12):
        policy = random_policy(rng, rules=25)
        prover = Prover(policy, now=NOW)
        prover.proof()
        for serial in range(25):
            policy = edited(rng, policy, serial)
            prover.update(policy)
            warm, cold = prover.proof(), prove(policy, now=NOW)
            assert _told(warm.findings) == _told(cold.findings)
            assert warm.conflicts == cold.conflicts


def _told(findings: tuple[Finding, ...]) -> set[tuple[object, ...]]:
    """What is claimed; witnesses and equally good hiders may differ."""
    return {
        (item.kind, item.rule, item.others if item.kind == "conflict" else bool(item.others)) for item in findings
    }


def test_changes_are_decided_as_they_say() -> None:
    rng = random.Random(7)
    for serial in range(POLICIES):
        old = random_policy(rng)
        new = edited(rng, old, serial)
        comparison = Comparison(old, new, now=NOW)
        parts, _ = comparison.space.compare(10**9)
        for part in parts:
            assert not part.unsure
            worlds = comparison.worlds(part)
            for change in comparison.changes(part)[:1]:
                packet = change.witness.packet
                assert decider(old, packet, worlds[0]) == change.old_rule
                assert decider(new, packet, worlds[1]) == change.new_rule
                assert change.old_action != change.new_action


def test_a_packet_that_is_decided_otherwise_lies_in_a_change() -> None:
    rng = random.Random(8)
    found = 0
    for serial in range(POLICIES):
        old = random_policy(rng)
        new = edited(rng, old, serial)
        told = difference(old, new, now=NOW)
        assert told.decided
        for packet, world in samples(rng, old, 40):
            before, after = first_match(old, packet, world), first_match(new, packet, world)
            actions = before.action if before else "deny", after.action if after else "deny"
            if actions[0] == actions[1]:
                continue
            found += 1
            changes = (*told.opened, *told.closed, *told.other)
            assert any(
                (change.old_action, change.new_action) == actions and inside(new, packet, world, change.region)
                for change in changes
            )
    assert found > POLICIES / 5


def test_a_policy_does_not_differ_from_itself() -> None:
    rng = random.Random(9)
    for _ in range(50):
        policy = random_policy(rng)
        told = difference(policy, msgspec.structs.replace(policy), now=NOW)
        assert not (told.opened or told.closed or told.other) and told.decided


def test_own_conditions_name_what_a_row_needs() -> None:
    rng = random.Random(10)
    for _ in range(50):
        policy = random_policy(rng)
        prover = Prover(policy, now=NOW)
        for rule in prover.rules:
            if not (rule.rate or rule.connections or rule.source.dynamic or rule.destination.dynamic):
                assert own_conditions(rule, 0, policy, prover.vocabulary) == []
