"""Texts that are too big, too deep, or wrong in a thousand places: refused quickly, wholly, in plain words."""

from __future__ import annotations

import time

import pytest

from appliance.policy import limits
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.proving.examine import Examiner

HEAD = "reef: 1\nsite: s\nzones: {lan: {interfaces: [lan0]}}\n"


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as refused:
        parse(text, "p.yaml", inherited={})
    return refused.value.problems


def test_a_text_of_50_mb_is_refused_at_once() -> None:
    rule = "  - {id: R-1, from: lan, to: lan, action: deny}\n"
    text = HEAD + "rules:\n" + rule * (50_000_000 // len(rule))
    started = time.process_time()
    (only,) = problems(text)
    spent = time.process_time() - started
    assert str(only).startswith("p.yaml:1:1: the text has 50,000,0")
    assert "the limit is 8,388,608" in str(only)
    # It is judged by its size alone: reading a hundredth of it whole takes longer.
    small = HEAD + "rules:\n" + "".join(rule.replace("R-1", f"R-{number}") for number in range(10_000))
    started = time.process_time()
    parse(small, "p.yaml", inherited={})
    assert spent < time.process_time() - started


def test_a_size_is_counted_in_bytes() -> None:
    text = HEAD + "# " + "ü" * (limits.MAX_TEXT_BYTES // 2)
    assert len(text) < limits.MAX_TEXT_BYTES
    assert problems(text)[0].message.startswith(f"the text has {len(text.encode()):,} bytes")


def test_a_thousand_errors_are_a_thousand_problems_in_order() -> None:
    rules = "".join(f"  - {{id: R-{n}, from: lan, to: nowhere{n}, action: deny}}\n" for n in range(1000))
    found = problems(HEAD + "rules:\n" + rules)
    assert len(found) == 1000
    assert [problem.span.line for problem in found] == list(range(5, 1005))
    assert all("there is no zone" in problem.message for problem in found)


def test_a_thousand_slips_among_ten_thousand_names_are_told_in_good_time() -> None:
    objects = "".join(f"  host-{n}: {{addresses: 10.0.{n // 256}.{n % 256}}}\n" for n in range(10_000))
    started = time.process_time()
    parse(HEAD + "objects:\n" + objects, "p.yaml", inherited={})
    whole = time.process_time() - started
    rules = "".join(f"  - {{id: R-{n}, from: lan, to: lan, source: hots-{n}, action: deny}}\n" for n in range(1000))
    started = time.process_time()
    found = problems(HEAD + "objects:\n" + objects + "rules:\n" + rules)
    assert time.process_time() - started < 20 * whole
    assert [problem.remedy for problem in found] == [f"did you mean `host-{n}`?" for n in range(1000)]


def test_invariants_of_many_rules_are_judged_in_good_time() -> None:
    denials = "".join(
        f"  - {{id: D-{n}, from: lan, to: lan, source: 10.0.0.{n % 250}, action: deny}}\n" for n in range(2000)
    )
    allowed = "".join(
        f"  - {{id: R-{n}, from: lan, to: lan, action: allow, owner: o, why: w}}\n" for n in range(2000)
    )
    started = time.process_time()
    parse(HEAD + "rules:\n" + denials + allowed, "p.yaml", inherited={})
    whole = time.process_time() - started
    started = time.process_time()
    text = HEAD + "rules:\n" + denials + allowed + "invariants: [{id: I-1, never: lan -> lan}]\n"
    policy, _ = parse(text, "p.yaml", inherited={})
    examination = Examiner().examine(policy, 1_800_000_000)
    found = [finding.rule for finding in examination.proof.findings if finding.kind == "invariant"]
    assert (found, examination.open) == (["R-0"], ())  # it hides the others
    assert time.process_time() - started < 20 * whole


def test_more_problems_than_anybody_reads_end_the_reading() -> None:
    rules = "".join(f"  - {{id: R-{n}, from: x, to: y, action: z}}\n" for n in range(12_000))
    found = problems(HEAD + "rules:\n" + rules)
    assert len(found) == limits.MAX_PROBLEMS


@pytest.mark.parametrize("mark", ["[\n", "{a:\n", "[{a:\n"])
def test_depth_is_bounded(mark: str) -> None:
    (found,) = problems(HEAD + "objects:\n" + f" {mark}" * 100_000)
    assert "nested more than 16 deep" in found.message


def test_a_deep_text_that_is_whole_is_too_deep() -> None:
    found = problems(HEAD + "objects: " + "[" * 100 + "]" * 100 + "\n")
    assert "nested more than 16 deep" in found[0].message


def test_nesting_of_objects_is_bounded() -> None:
    chain = "".join(f"  o{n}: {{members: [o{n + 1}]}}\n" for n in range(2_000))
    found = problems(HEAD + "objects:\n" + chain + "  o2000: {addresses: 10.0.0.1}\n")
    assert found[0].message == "objects nested more than 16 deep"


def test_nesting_of_services_and_groups_is_bounded() -> None:
    services = "".join(f"  o{n}: [o{n + 1}]\n" for n in range(2_000))
    assert (
        problems(HEAD + "services:\n" + services + "  o2000: ssh\n")[0].message == "services nested more than 16 deep"
    )
    groups = "".join(f"  o{n}: [group:o{n + 1}]\n" for n in range(2_000))
    found = problems(HEAD + "people: {a: }\ngroups:\n" + groups + "  o2000: a\n")
    assert found[0].message == "groups nested more than 16 deep"


def test_too_many_values_are_refused() -> None:
    text = "".join(f"a{n}: [" + "a," * 8_000 + "a]\n" for n in range(251))
    assert any("more than 2,000,000 values" in problem.message for problem in problems(text))


def test_a_line_too_long_is_refused() -> None:
    assert problems(HEAD + "# " + "x" * 20_000)[0].message == "a line longer than 16384 characters"


def test_too_many_baselines() -> None:
    inherited = {f"b{n}": f"reef: 1\nbaseline: b{n}\ninherits: [b{n + 1}]\n" for n in range(40)}
    with pytest.raises(PolicyError, match="more than 16 baselines"):
        parse(HEAD + "inherits: [b0]\n", "p.yaml", inherited=inherited)


def test_a_refused_text_leaves_the_cache_as_it_was() -> None:
    cache = ParseCache()
    good = HEAD + "rules:\n  - {id: R-1, from: lan, to: lan, action: deny}\n"
    before, _ = parse(good, "p.yaml", inherited={}, cache=cache)
    with pytest.raises(PolicyError):
        parse(good.replace("deny", "denied"), "p.yaml", inherited={}, cache=cache)
    again, _ = parse(good, "p.yaml", inherited={}, cache=cache)
    assert again.rules[0] is before.rules[0]


def test_line_ends_of_windows_are_read() -> None:
    text = HEAD + "rules:\n  - {id: R-1, from: lan, to: lan, action: deny}\n"
    assert parse(text.replace("\n", "\r\n"), "p.yaml", inherited={}) == parse(text, "p.yaml", inherited={})
    assert "U+000D" in problems(text.replace("\n", "\r"))[0].message


def test_more_zones_than_a_site_has_are_refused_before_they_cost_time() -> None:
    def text(count: int) -> str:
        zones = "".join(f"  z{number}: {{interfaces: [i{number}]}}\n" for number in range(count))
        return f"reef: 1\nsite: s\nzones:\n{zones}"

    parse(text(limits.MAX_ZONES), "p.yaml", inherited={})
    found = problems(text(limits.MAX_ZONES + 1))
    assert (found[0].message, "at most 256" in found[0].remedy) == ("257 zones", True)


def test_rules_between_all_zones_count_for_every_pair() -> None:
    zones = "".join(f"  z{n}: {{interfaces: [e{n}]}}\n" for n in range(limits.MAX_ZONES))
    enough = limits.MAX_PAIR_RULES // limits.MAX_ZONES**2
    rules = [f"  - {{id: R-{n}, from: any, to: any, action: deny}}\n" for n in range(enough + 2)]
    head = f"reef: 1\nsite: s\nzones:\n{zones}rules:\n"
    parse(head + "".join(rules[:enough]), "p.yaml", inherited={})
    (only,) = problems(head + "".join(rules))
    assert only.message == f"with `R-{enough}` the rules are too many"
    assert "once for every pair of zones" in only.remedy
    assert only.span.line == head.count("\n") + enough + 1


def test_a_schedule_has_a_bounded_number_of_times() -> None:
    times = ", ".join(["mon 07:30-17:00"] * (limits.MAX_TIMES + 1))
    (only,) = problems(HEAD + f"schedules: {{s: {{times: [{times}]}}}}\n")
    assert only.message == "257 times in one schedule"
