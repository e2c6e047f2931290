"""One text file = a policy, what it inherits, and what parser and prover say of it.

`=== name` begins a part: the first is the policy, `<name>.yaml` a baseline, `lists/<name>` a list file. The last
part is `problems`, every line of what is reported, or `means`, the policy in words. `python -m
tests.golden.test_policy_text` writes the last parts again: read the difference before you keep it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.policy.answering.plan import plan
from appliance.policy.meant.parse import parse
from appliance.policy.problem import PolicyError
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.verdict import problems

CASES = sorted((Path(__file__).parent / "policy").glob("*.txt"))
NOW = 1_800_000_000  # 2027-01-15


def parts_of(golden: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in golden.read_text().split("=== ")[1:]:
        name, _, content = part.partition("\n")
        found.append((name, content))
    return found


def said(parts: list[tuple[str, str]]) -> tuple[str, str]:
    """The last part as it should be: its name and content."""
    inherited = {name.removesuffix(".yaml"): content for name, content in parts[1:] if name.endswith(".yaml")}
    files = {name: content for name, content in parts[1:] if name.startswith("lists/")}
    name, text = parts[0]
    try:
        policy, warnings = parse(text, name, inherited=inherited, files=files, now=NOW)
    except PolicyError as error:
        return "problems", "".join(f"{problem}\n" for problem in error.problems)
    proven = problems(policy, Examiner().examine(policy, NOW).proof, name)
    if any(problem.severity == "error" for problem in proven):
        return "problems", "".join(f"{problem}\n" for problem in proven)
    lines = [str(problem) for problem in (*warnings, *proven)] + [change.words for change in plan(None, policy)]
    return "means", "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("golden", CASES, ids=[case.stem for case in CASES])
def test_the_parser_says_this(golden: Path) -> None:
    parts = parts_of(golden)
    assert said(parts) == parts[-1]


def test_there_are_cases() -> None:
    assert len(CASES) > 10


if __name__ == "__main__":
    for case in CASES:
        inputs = [(name, content) for name, content in parts_of(case) if name not in ("problems", "means")]
        case.write_text("".join(f"=== {name}\n{content}" for name, content in [*inputs, said(inputs)]))
