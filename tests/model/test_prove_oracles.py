"""The prover against oracles that share nothing with it: Z3 and CUDD (tests/model/oracles.py)."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import z3

from appliance.policy.model import AddressSet, Rule
from appliance.policy.proving.difference import difference
from appliance.policy.proving.proof import Region
from appliance.policy.proving.prove import Prover, prove
from tests.model.oracles import Diagrams, Smt
from tests.model.test_prove import edited, everywhere
from tests.policies import NOW, random_policy


def test_z3_finds_the_same_dead_rules() -> None:
    rng = random.Random(21)
    for _ in range(12):
        policy = random_policy(rng, rules=14)
        dead = {finding.rule for finding in prove(policy, now=NOW).findings if finding.kind == "dead"}
        reached = Smt([policy], NOW).reached(policy)
        assert dead == {rule.id for rule in policy.rules if rule.enabled} - set(reached)


def test_z3_agrees_which_rules_have_no_effect() -> None:
    """Only actions count here, so nothing in these policies logs or is inspected."""
    rng = random.Random(22)
    seen = 0
    for _ in range(10):
        policy = random_policy(rng, rules=10)
        rules = tuple(msgspec.structs.replace(rule, log="none", inspect="") for rule in policy.rules)
        quiet = msgspec.structs.replace(policy.settings, log_default=False)
        policy = msgspec.structs.replace(policy, rules=rules, settings=quiet)
        proof = prove(policy, now=NOW)
        told = {finding.rule for finding in proof.findings if finding.kind in ("dead", "no-effect")}
        smt = Smt([policy], NOW)
        for rule in policy.rules:
            if not rule.enabled:
                continue
            others = [
                smt.possible(smt.decides(policy, rule.id), smt.action_is(policy, action, without=rule.id))
                for action in {"allow", "deny", "reject"} - {rule.action}
            ]
            assert (rule.id in told) == (not any(others))
            seen += rule.id in told
    assert seen > 10


def test_z3_finds_a_difference_exactly_where_there_is_one() -> None:
    rng = random.Random(23)
    same = 0
    for serial in range(14):
        old = random_policy(rng, rules=8)
        new = edited(rng, old, serial)
        told = difference(old, new, now=NOW)
        smt = Smt([old, new], NOW)
        for changes, formula in (
            (told.opened, [smt.action_is(new, "allow"), z3.Not(smt.action_is(old, "allow"))]),
            (told.closed, [smt.action_is(old, "allow"), z3.Not(smt.action_is(new, "allow"))]),
        ):
            assert bool(changes) == smt.possible(*formula)
            same += not changes
    assert same > 3


def test_cudd_finds_the_same_dead_rules() -> None:
    rng = random.Random(24)
    for _ in range(12):
        policy = random_policy(rng, rules=14, timed_share=0)
        dead = {finding.rule for finding in prove(policy, now=NOW).findings if finding.kind == "dead"}
        reached = Diagrams([policy]).reached(policy)
        assert dead == {rule.id for rule in policy.rules if rule.enabled} - set(reached)


def test_the_changes_are_exactly_what_cudd_says_two_policies_differ_in() -> None:
    """Not one packet more or less: the regions of a difference, joined, are the difference of the diagrams."""
    rng = random.Random(25)
    for serial in range(12):
        old = random_policy(rng, rules=8, conditions=False)
        new = edited(rng, old, serial)
        new = msgspec.structs.replace(new, rules=tuple(_plain(rule) for rule in new.rules))
        diagrams = Diagrams([old, new])
        before, after = diagrams.allowed(old), diagrams.allowed(new)
        told = difference(old, new, now=NOW)
        assert _joined(diagrams, [change.region for change in told.opened]) == after & ~before
        assert _joined(diagrams, [change.region for change in told.closed]) == before & ~after


def test_the_allowed_parts_are_exactly_what_cudd_says_a_policy_allows() -> None:
    rng = random.Random(26)
    for _ in range(12):
        policy = random_policy(rng, rules=10, conditions=False)
        diagrams = Diagrams([policy])
        parts = Prover(policy, now=NOW).allowed_within(everywhere()).parts
        regions = [region for part in parts for region in part.regions]
        assert _joined(diagrams, regions) == diagrams.allowed(policy)


def _plain(rule: Rule) -> Rule:
    """A rule without anything that depends on more than the packet."""
    return msgspec.structs.replace(
        rule, people=(), when="", expires_at=0, rate=None, connections=None,
        source=_fixed(rule.source), destination=_fixed(rule.destination),
    )  # fmt: skip


def _fixed(where: AddressSet) -> AddressSet:
    return AddressSet(where.ranges)


def _joined(diagrams: Diagrams, regions: list[Region]) -> Any:
    """The packets of regions, as a diagram."""
    return diagrams.any_of(_region(diagrams, region) for region in regions) & diagrams.packet


def _region(diagrams: Diagrams, region: Region) -> Any:
    low, high = region.protocol
    found = diagrams.between("protocol", low, high)
    if low == high:
        found &= diagrams.between("port", *region.key)
    found &= diagrams.between("source port", *region.source_ports)
    for name, zone in (("from", region.from_zone), ("to", region.to_zone)):
        numbers = diagrams.words.zone_numbers([zone])
        found &= diagrams.any_of(diagrams.between(name, number, number) for number in numbers)
    for name, part in (("source", region.source), ("destination", region.destination)):
        six = int(part.version == 6)
        found &= diagrams.between("six", six, six) & diagrams.between(name, part.first, part.last)
    return found
