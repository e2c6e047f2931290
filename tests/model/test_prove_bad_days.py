"""The prover on its bad days: spaces that explode, rules of everything and of nothing, clocks, empty groups."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from appliance.policy.decide import DEFAULT, World, first_match
from appliance.policy.model import (
    EVERYTHING,
    Action,
    AddressSet,
    Dynamic,
    Invariant,
    Policy,
    Range,
    Rate,
    Rule,
    Schedule,
    ServiceEntry,
    Zone,
)
from appliance.policy.proving.difference import difference
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.proof import Finding, Region
from appliance.policy.proving.prove import Prover, prove
from tests.policies import NOW, zones

ALL4, ALL6 = EVERYTHING.ranges
EMPTY = {"group_empty": Dynamic("group_empty", "group", ())}


def site(rules: Iterable[Rule], **parts: Any) -> Policy:
    return Policy(site="bad-day", zones=zones(), rules=tuple(rules), **parts)


def rule(name: str, action: Action = "allow", **parts: Any) -> Rule:
    given = {"sources": ("lan",), "destinations": ("internet",), **parts}
    return Rule(name, action=action, **given)


def told(findings: Iterable[Finding]) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(finding.kind, finding.rule, finding.others) for finding in findings}


def span(first: int, last: int) -> AddressSet:
    return AddressSet((Range(4, first, last),))


# --- too much ----------------------------------------------------------------------------------------


def crossing(count: int) -> list[Rule]:
    """Slabs over source, destination, port and source port: what no slab has falls into count**4 pieces."""
    rules = []
    for number in range(count):
        at = 2 * number + 1
        rules += [
            rule(f"S-{number}", "deny", source=span(at << 20, (at + 1 << 20) - 1)),
            rule(f"D-{number}", "deny", destination=span(at << 20, (at + 1 << 20) - 1)),
            rule(f"P-{number}", "deny", services=tuple(ServiceEntry(p, ports=(at, at)) for p in (6, 17))),
            rule(f"Q-{number}", "deny", services=tuple(ServiceEntry(p, source_ports=(at, at)) for p in (6, 17))),
        ]
    return rules


def test_a_policy_that_explodes_is_answered_in_bounded_time_and_honestly() -> None:
    inside = rule("R-1", source=span(0, 1 << 27), destination=span(0, 1 << 27), services=(ServiceEntry(6),))
    policy = site([*crossing(60), inside, rule("R-2", services=(ServiceEntry(6),))])
    prover = Prover(policy, now=NOW)
    begun = time.process_time()
    answer = prover.allowed_within([Region("lan", "internet", ALL4, ALL4)], budget=2_000_000)
    assert not answer.decided and not answer.parts
    proof = prover.proof(budget=2_000_000)
    assert time.process_time() - begun < 30
    assert proof.steps < 3_000_000
    assert proof.decided == (not proof.undecided)
    for finding in proof.findings:
        assert finding.kind not in ("dead", "no-effect") or finding.rule not in ("R-1", "R-2")


def test_a_difference_that_explodes_says_that_it_is_not_decided() -> None:
    old, new = site([*crossing(40), rule("R-1")]), site([*crossing(40), rule("R-1", "reject")])
    answer = difference(old, new, now=NOW, budget=100_000)
    assert not answer.decided and answer.undecided
    assert not (answer.opened or answer.closed or answer.other)


def test_a_rule_of_too_many_boxes_is_never_held_to_keep_an_invariant() -> None:
    def many(base: int) -> AddressSet:
        return AddressSet(tuple(Range(4, base + 4 * at, base + 4 * at + 1) for at in range(300)))

    wide = rule("R-1", sources=("internet",), destinations=("lan",), source=many(1 << 24), destination=many(10 << 24))
    second = msgspec.structs.replace(wide, id="R-2")
    below = rule("R-3", "deny", sources=("internet",), destinations=("lan",))
    never = Invariant("I-1", ("internet",), ("lan",))
    for rules, excepted, asked in (
        ((wide,), (), ["R-1"]),
        ((wide, below), (), ["R-1"]),
        ((wide, second, below), ("R-1",), ["R-2"]),
        ((below, wide), (), []),
        ((msgspec.structs.replace(wide, action="deny"),), (), []),
    ):
        policy = site(rules, invariants=(msgspec.structs.replace(never, excepted=excepted),))
        told = Examiner().examine(policy, NOW).open
        assert told == tuple(f"whether `{name}` breaks `I-1`: it is too many pieces" for name in asked)
    for old, new in ((site([below]), site([wide, below])), (site([wide]), site([]))):
        answer = difference(old, new, now=NOW)
        assert not answer.decided and any("`R-1`" in words for words in answer.undecided)


def test_more_names_than_can_be_told_apart_break_no_invariant_unseen() -> None:
    names = [f"dns_{number}" for number in range(70)]
    rules = [
        rule(f"{letter}-{name}", sources=("internet",), destinations=("lan",), source=AddressSet((), (name,)))
        for name in names
        for letter in "RS"
    ]
    policy = site(
        rules,
        dynamics={name: Dynamic(name, "dns", (f"{name}.example",)) for name in names},
        invariants=(Invariant("I-1", ("internet",), ("lan",)),),
    )
    found = Examiner().examine(policy, NOW)
    broken = {finding.rule for finding in found.proof.findings if finding.kind == "invariant"}
    open_ones = {words.split("`")[1] for words in found.open}
    assert not broken & open_ones
    assert {name.partition("-")[2] for name in broken | open_ones} == set(names)


def test_a_budget_of_nothing_claims_nothing() -> None:
    proof = prove(site([rule("R-1"), rule("R-2")]), now=NOW, budget=1)
    assert not proof.decided
    assert any("R-2" in words for words in proof.undecided)


def test_what_the_budget_left_is_proven_later() -> None:
    prover = Prover(site([rule("R-1"), rule("R-2"), rule("R-3")]), now=NOW)
    assert not prover.proof(budget=1).decided
    proof = prover.proof()
    assert proof.decided
    assert {finding.rule for finding in proof.findings if finding.kind == "dead"} == {"R-2", "R-3"}


def test_a_rule_of_too_many_boxes_hides_nothing_and_is_said() -> None:
    hosts = AddressSet(tuple(Range(4, 2 * number, 2 * number) for number in range(400)))
    wide = rule("W-1", source=hosts, destination=hosts)
    proof = prove(site([wide, rule("R-1", source=span(0, 0), destination=span(0, 0))]), now=NOW)
    assert not proof.decided
    assert any("W-1" in words for words in proof.undecided)
    assert not any(finding.rule == "R-1" and finding.kind == "dead" for finding in proof.findings)


def test_a_block_list_of_many_networks_is_no_explosion() -> None:
    rng = random.Random(1)
    listed = AddressSet(tuple(Range(4, n << 12, (n << 12) + 255) for n in sorted(rng.sample(range(1 << 20), 40_000))))
    policy = site([rule("B-1", "deny", source=listed), *(rule(f"R-{n}", destination=span(n, n)) for n in range(60))])
    proof = prove(policy, now=NOW)
    assert proof.decided
    assert not any(finding.kind == "dead" for finding in proof.findings)


def test_hundreds_of_zones_do_not_multiply() -> None:
    many = {f"z{number}": Zone(f"z{number}", (f"eth{number}",)) for number in range(256)}
    anywhere: dict[str, Any] = {"sources": ("any",), "destinations": ("any",)}
    rules = [
        rule("R-1", sources=("any",), destinations=("z7",)),
        rule("R-2", **anywhere),
        rule("R-3", sources=("z3",), destinations=("z250",)),
    ]
    policy = Policy(site="zones", zones=many, rules=tuple(rules))
    prover = Prover(policy, now=NOW)
    assert prover.space.boxes == 6
    assert ("dead", "R-3", ("R-2",)) in told(prover.proof().findings)
    answer = difference(policy, Policy(site="zones", zones=many, rules=tuple(rules[:1])), now=NOW)
    assert len(answer.closed) == 2 * 255  # of both IP versions, to every zone but one
    assert {change.region.from_zone for change in answer.closed} == {"any"}


def test_more_than_sixty_four_shared_conditions_are_not_decided() -> None:
    names = {f"dns_{n}": Dynamic(f"dns_{n}", "dns", (f"n{n}.example",)) for n in range(70)}
    rules = [rule(f"{side}-{n}", destination=AddressSet((), (f"dns_{n}",))) for side in "AB" for n in range(70)]
    proof = prove(site(rules, dynamics=names), now=NOW)
    assert not proof.decided
    dead = {finding.rule for finding in proof.findings if finding.kind == "dead"}
    assert dead == {f"B-{n}" for n in range(64)}


# --- everything and nothing --------------------------------------------------------------------------


def test_the_whole_space_hides_all_that_follows() -> None:
    everywhere: dict[str, Any] = {"sources": ("any", "gateway"), "destinations": ("any", "gateway")}
    policy = site([rule("R-1", **everywhere), *(rule(f"R-{n}", source=span(n, n + 9)) for n in range(2, 40))])
    dead = [finding for finding in prove(policy, now=NOW).findings if finding.kind == "dead"]
    assert [finding.rule for finding in dead] == [f"R-{n}" for n in range(2, 40)]
    assert all(finding.others == ("R-1",) and finding.witness is not None for finding in dead)


def test_two_halves_hide_together() -> None:
    low, high = span(0, 2**31 - 1), span(2**31, 2**32 - 1)
    policy = site([rule("R-1", source=low), rule("R-2", source=high), rule("R-3", source=span(0, 2**32 - 1))])
    assert ("dead", "R-3", ("R-1", "R-2")) in told(prove(policy, now=NOW).findings)


@pytest.mark.parametrize(
    "nothing",
    [
        {"source": AddressSet()},
        {"services": (ServiceEntry(58),), "source": span(0, 9)},
        {"sources": ("gateway",), "destinations": ("gateway",)},
        {"people": ("group_empty",)},
        {"expires_at": NOW},
        {"source": AddressSet((ALL6,)), "destination": AddressSet((ALL4,))},
    ],
)
def test_a_rule_of_nothing_is_dead_by_itself(nothing: dict[str, Any]) -> None:
    policy = site([rule("R-1", **nothing), rule("R-2")], dynamics=EMPTY)
    findings = prove(policy, now=NOW).findings
    assert ("dead", "R-1", ()) in told(findings)
    assert not any(finding.rule == "R-2" for finding in findings)


def test_no_rules_and_one_rule() -> None:
    assert prove(site([]), now=NOW).findings == ()
    answer = difference(site([]), site([rule("R-1", destination=span(5, 5))]), now=NOW)
    assert len(answer.opened) == 1 and not answer.closed
    assert (answer.opened[0].old_rule, answer.opened[0].new_rule) == (DEFAULT, "R-1")


def test_a_denial_that_only_repeats_the_default_has_no_effect() -> None:
    policy = site([rule("R-1", destination=span(5, 5)), rule("R-2", "deny", log="start")])
    assert ("no-effect", "R-2", (DEFAULT,)) in told(prove(policy, now=NOW).findings)
    silent = site([rule("R-1", destination=span(5, 5)), rule("R-2", "deny", log="none")])
    assert not prove(silent, now=NOW).findings  # it keeps lines out of the log


# --- people, names, limits ---------------------------------------------------------------------------

PEOPLE = {
    "group_a": Dynamic("group_a", "group", ("ann", "ben")),
    "group_b": Dynamic("group_b", "group", ("cid",)),
    "group_all": Dynamic("group_all", "group", ("ann", "ben", "cid")),
    "person_ann": Dynamic("person_ann", "person", ("ann",)),
}


def test_groups_together_hide_a_group_but_never_nobody() -> None:
    rules = [
        rule("R-1", people=("group_a",)),
        rule("R-2", people=("group_b",)),
        rule("R-3", people=("group_all",)),
        rule("R-4", people=("person_ann",)),
        rule("R-5"),
    ]
    findings = told(prove(site(rules, dynamics=PEOPLE), now=NOW).findings)
    assert {("dead", "R-3", ("R-1", "R-2")), ("dead", "R-4", ("R-1",))} <= findings
    assert not any(name == "R-5" for _, name, _ in findings)


def test_a_person_who_joins_a_group_opens_what_the_group_may() -> None:
    old = site([rule("R-1", people=("group_b",), destination=span(5, 5))], dynamics=PEOPLE)
    joined = {**PEOPLE, "group_b": Dynamic("group_b", "group", ("cid", "ann"))}
    answer = difference(old, site(old.rules, dynamics=joined), now=NOW)
    assert [change.region.people for change in answer.opened] == [("ann",)]
    assert not answer.closed


def test_what_a_name_stands_for_never_hides_what_it_may_not_stand_for() -> None:
    named = AddressSet((), ("dns_n",))
    parts: dict[str, Any] = {"dynamics": {"dns_n": Dynamic("dns_n", "dns", ("n.example",))}}
    rules = [rule("R-1", destination=named), rule("R-2", destination=named), rule("R-3", destination=span(5, 5))]
    findings = told(prove(site(rules, **parts), now=NOW).findings)
    assert ("dead", "R-2", ("R-1",)) in findings
    assert not any(name == "R-3" and kind == "dead" for kind, name, _ in findings)


def test_a_limit_never_hides() -> None:
    limited = rule("R-1", rate=Rate(10, 1))
    assert not any(finding.kind == "dead" for finding in prove(site([limited, rule("R-2")]), now=NOW).findings)
    answer = difference(site([limited]), site([rule("R-1", rate=Rate(99, 1))]), now=NOW)
    assert answer.opened and answer.closed  # over the one limit, and not over the other
    assert all(change.region.assumed for change in (*answer.opened, *answer.closed))


# --- time --------------------------------------------------------------------------------------------

OFFICE = Schedule("office", "Europe/Berlin", tuple((day * 1440 + 480, day * 1440 + 1020) for day in range(5)))
EARLY = Schedule("early", "Europe/Berlin", tuple((day * 1440 + 480, day * 1440 + 720) for day in range(5)))
LATE = Schedule("late", "Europe/Berlin", tuple((day * 1440 + 720, day * 1440 + 1020) for day in range(5)))
SKIPPED = Schedule("skipped", "Europe/Berlin", ((6 * 1440 + 120, 6 * 1440 + 180),), "2026-03-29", "2026-03-29")
SAME = Schedule("same", "UTC", tuple((day * 1440 + 420, day * 1440 + 960) for day in range(5)))


def timed(*names: Schedule) -> Policy:
    rules = [rule(f"R-{number}", when=schedule.name) for number, schedule in enumerate(names)]
    return site(rules, schedules={schedule.name: schedule for schedule in names})


def test_two_halves_of_a_day_hide_the_day() -> None:
    assert ("dead", "R-2", ("R-0", "R-1")) in told(prove(timed(EARLY, LATE, OFFICE), now=NOW).findings)


def test_an_hour_that_summer_time_skips_never_comes() -> None:
    """Sunday 2026-03-29 has no 02:30 in Berlin."""
    assert ("dead", "R-0", ()) in told(prove(timed(SKIPPED), now=NOW).findings)


def test_equal_hours_of_two_time_zones_part_in_summer() -> None:
    """07:00-16:00 UTC is 08:00-17:00 in Berlin in winter only: each shows a moment at which the other is off."""
    policy = timed(OFFICE, SAME)
    prover = Prover(policy, now=NOW)
    assert not any(finding.kind == "dead" for finding in prover.proof().findings)
    parts = prover.allowed_within([Region("lan", "internet", ALL4, ALL4)]).parts
    late = next(part for part in parts if part.rule == "R-1")
    assert late.regions[0].schedules == ("not office", "same")
    found = first_match(policy, late.witness.packet, World(now=late.witness.at))
    assert found is not None and found.id == "R-1"
    assert datetime.fromtimestamp(late.witness.at, UTC).month in range(3, 11)


def test_an_expiry_hides_only_while_it_lasts() -> None:
    policy = site([rule("R-1", expires_at=NOW + 3600), rule("R-2")])
    prover = Prover(policy, now=NOW)
    assert not any(finding.kind == "dead" for finding in prover.proof().findings)
    parts = {part.rule: part for part in prover.allowed_within([Region("lan", "internet", ALL4, ALL4)]).parts}
    assert parts["R-2"].witness.at >= NOW + 3600 > parts["R-1"].witness.at
    sooner = site([rule("R-1", expires_at=NOW + 7200), rule("R-2", expires_at=NOW + 3600)])
    assert ("dead", "R-2", ("R-1",)) in told(prove(sooner, now=NOW).findings)


def test_many_expiries_are_exact() -> None:
    rules = [rule(f"R-{n}", expires_at=NOW + 86400 * n, destination=span(5, 5)) for n in range(1, 600)]
    proof = prove(site([*rules, rule("R-600", destination=span(5, 5), expires_at=NOW + 60)]), now=NOW)
    assert proof.decided
    assert ("dead", "R-600", ("R-1",)) in told(proof.findings)
    assert not any(finding.kind == "dead" and finding.rule != "R-600" for finding in proof.findings)


def test_more_kinds_of_time_than_can_be_told_apart_are_said() -> None:
    many = [Schedule(f"s{n}", "UTC", ((n * 7, n * 7 + 60 * (n + 1)),)) for n in range(100)]
    proof = prove(timed(*many), now=NOW)
    assert not proof.decided
    assert any("s99" in words for words in proof.undecided)
