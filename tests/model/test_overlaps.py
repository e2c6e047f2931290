"""Rules of one zone pair that overlap in every way: what is covered, what crosses, and what that decides."""

from __future__ import annotations

import random

import msgspec

from appliance.policy.boxes import is_point
from appliance.policy.compiling.compile import CompileCache, compile_policy
from appliance.policy.decide import Packet, decide
from appliance.policy.meant.parse import parse
from appliance.policy.model import EVERYTHING, AddressSet, Policy, Range, Rule, ServiceEntry
from tests.model.gateway import pass_first
from tests.model.nft_interpreter import interval, within
from tests.model.test_compiled_ruleset import machine, world
from tests.policies import large_policy_text, line_network, random_policy

NONE: frozenset[str] = frozenset()
OUTSIDE = 100 << 24


def inside() -> int:
    return line_network("lan0", 4).first + 256


def side(rng: random.Random, first: int) -> AddressSet:
    """A host, a network of four or of sixteen, or everything."""
    kind = rng.random()
    if kind < 0.15:
        return EVERYTHING
    bits = 0 if kind < 0.4 else 2 if kind < 0.75 else 4
    at = first + (rng.randrange(32) >> bits << bits)
    return AddressSet((Range(4, at, at + (1 << bits) - 1),))


def rule(rng: random.Random, number: int) -> Rule:
    port = rng.choice((53, 53, 123))
    ports = (port, port) if rng.random() < 0.85 else (0, 200)
    return Rule(
        id=f"R-{number}",
        number=number,
        sources=("lan",),
        destinations=("internet",),
        source=side(rng, inside()),
        destination=side(rng, OUTSIDE),
        services=(ServiceEntry(17, ports=ports),),
        action=rng.choice(("allow", "deny")),
        people=("group_staff",) if rng.random() < 0.15 else (),
    )


def dense(rng: random.Random, count: int) -> Policy:
    frame = random_policy(rng, rules=0, nat=False, antispoofing=False)
    # Narrow rules stand after wide ones as often as before: sorted, nothing would be covered.
    return msgspec.structs.replace(frame, rules=tuple(rule(rng, number) for number in range(1, count + 1)))


def packet(rng: random.Random) -> Packet:
    ends = (inside() + rng.randrange(32), OUTSIDE + rng.randrange(32))
    return Packet(4, "lan0", "wan0", *ends, 17, 1025, rng.choice((53, 123, 80)))


def test_covered_and_crossing_boxes_decide_as_the_model_does() -> None:
    rng = random.Random(20261121)
    covered = crossings = 0
    for serial in range(40):
        policy = dense(rng, rng.choice((8, 25, 60)))
        cache = CompileCache()
        ruleset = compile_policy(policy, generation=serial, capabilities=NONE, cache=cache).ruleset
        section = next(found for (pair, traffic), found in cache.sections.items() if traffic.version == 4)
        crossings += sum(not is_point(box) for box in section.ladder.crossings)
        covered += len(policy.rules) - len({item.rule for item in section.ladder.items()})
        known = world(rng, policy)
        loaded = machine(ruleset, known)
        for _ in range(60):
            sent = packet(rng)
            passage = pass_first(loaded, sent)
            assert passage.rule == f"r_{decide(policy, sent, known).rule}", (serial, sent)
            assert len(passage.counters) == 1
        for name, declared in ruleset.sets.items():
            keys = [tuple(interval(word) for word in key.split(" . ")) for key in declared.elements]
            for index, one in enumerate(keys):
                for other in keys[:index]:
                    apart = any(not (within(a[0], b) or within(b[0], a)) for a, b in zip(one, other, strict=True))
                    assert apart, (name, one, other)
    assert covered > 100
    assert crossings > 100


def test_edits_give_what_a_cold_compilation_gives() -> None:
    rng = random.Random(7)
    for _ in range(4):
        cache = CompileCache()
        policy = dense(rng, 60)
        for serial in range(30):
            warm = compile_policy(policy, generation=serial, capabilities=NONE, cache=cache)
            assert warm == compile_policy(policy, generation=serial, capabilities=NONE)
            rules = list(policy.rules)
            for _ in range(rng.choice((1, 1, 3))):
                at = rng.randrange(len(rules))
                kind = rng.random()
                if kind < 0.5:
                    rules[at] = msgspec.structs.replace(rule(rng, 1), id=rules[at].id, number=rules[at].number)
                elif kind < 0.75:
                    del rules[at]
                else:
                    rules.insert(at, rule(rng, 100 + serial * 10 + len(rules)))
            if len({each.id for each in rules}) == len(rules):
                policy = msgspec.structs.replace(policy, rules=tuple(rules))


def test_a_large_mixed_policy_needs_few_levels() -> None:
    """Each level is up to three look-ups for a new flow."""
    policy, _ = parse(large_policy_text(4000), "policy.yaml", inherited={})
    cache = CompileCache()
    compile_policy(policy, generation=1, capabilities=NONE, cache=cache)
    for slot, section in cache.sections.items():
        assert max((item.level for item in section.ladder.items()), default=0) <= 4, slot
