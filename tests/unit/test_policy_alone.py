"""A baseline checked by itself: right ones pass, and every problem is at its own line, under the name of its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.policy.meant.alone import check_baseline, name_of_baseline, renamed
from appliance.policy.meant.parse import parse
from appliance.policy.problem import PolicyError
from appliance.policy.proving import verdict
from appliance.policy.proving.examine import Examiner
from appliance.policy.written.document_zones import ROLES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def problems(text: str, **inherited: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        check_baseline(text, "dir/b.yaml", inherited=inherited)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("path", sorted((EXAMPLES / "baselines").glob("*.yaml")))
def test_the_examples_are_right_by_themselves(path: Path) -> None:
    policy, warnings = check_baseline(path.read_text(), str(path), inherited={})
    assert warnings == ()
    assert {zone.role for zone in policy.zones.values()} == set(ROLES)
    assert {rule.origin for rule in policy.rules} == {"baseline-first", "baseline-last"}
    assert verdict.problems(policy, Examiner().examine(policy, 1_800_000_000).proof, str(path), baseline=True) == ()


def test_a_name_is_found_and_a_site_is_no_baseline() -> None:
    assert name_of_baseline("reef: 1\r\nbaseline: b # ours\r\n") == "b"
    assert name_of_baseline("reef: 1\nsite: s\ninherits: [b]\n") == ""
    assert name_of_baseline("reef: 1\ndescription: |\n  baseline: b\nsite: s\n") == ""


def test_every_problem_is_told_at_its_line() -> None:
    text = (
        "reef: 1\nbaseline: b\nfirst:\n"
        "  - {id: B-1, from: role:internet, to: role:internol, action: deny}\n"
        "  - {id: B-2, from: lan, to: any, service: tellnet, action: deny}\n"
        "locked: {settings.drift: perhaps}\n"
    )
    found = problems(text)
    assert [line.split(": ")[0] for line in found] == [
        "dir/b.yaml:4:40", "dir/b.yaml:5:21", "dir/b.yaml:5:44", "dir/b.yaml:6:26",
    ]  # fmt: skip
    assert "`role:internal`" in found[0] or "did you mean `internal`" in found[0]


def test_text_that_is_no_yaml_and_circles_are_told() -> None:
    assert problems("reef: 1\nbaseline: b\nfirst: [\n")[0].startswith("dir/b.yaml:")
    assert "inherit each other" in problems("reef: 1\nbaseline: b\ninherits: [b]\n")[0]


def test_an_allow_that_breaks_its_own_invariant_is_found() -> None:
    text = (
        "reef: 1\nbaseline: b\nlast:\n"
        "  - {id: B-1, from: role:internet, to: role:internal, action: allow, owner: o, why: w}\n"
        "invariants:\n  - {id: I-1, never: role:internet -> role:internal}\n"
    )
    policy, _ = check_baseline(text, "dir/b.yaml", inherited={})
    proof = Examiner().examine(policy, 1_800_000_000).proof
    found = renamed(verdict.problems(policy, proof, "dir/b.yaml", baseline=True), "b", "dir/b.yaml")
    assert any(str(line).startswith("dir/b.yaml:4:") and "I-1" in line.message for line in found)


def test_a_baseline_on_top_of_another_is_checked_with_it() -> None:
    outer = "reef: 1\nbaseline: outer\nlocked: {settings.drift: repair}\n"
    found = problems("reef: 1\nbaseline: b\ninherits: [outer]\nsettings: {drift: report}\n", outer=outer)
    assert len(found) == 1
    assert found[0].startswith("dir/b.yaml:4:") and "locked" in found[0]


def test_the_parser_still_wants_a_site() -> None:
    with pytest.raises(PolicyError, match="this is a baseline"):
        parse("reef: 1\nbaseline: b\n", "b.yaml", inherited={})
