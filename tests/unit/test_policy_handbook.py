"""The policy handbook says what the parser does: its tables, its examples, its bounds, its links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.policy import limits
from appliance.policy.meant.parse import parse
from appliance.policy.written.reference import RECORDS, renew

ROOT = Path(__file__).parent.parent.parent
HANDBOOK = ROOT / "docs" / "policy.md"
EXAMPLES = re.findall(r"<!-- parsed -->\n```yaml\n(.*?)```", HANDBOOK.read_text(), re.DOTALL)


def test_the_key_tables_are_those_of_the_parser() -> None:
    """`python -m tests.unit.test_policy_handbook` writes them again."""
    assert renew(HANDBOOK.read_text()) == HANDBOOK.read_text()


@pytest.mark.parametrize("record", sorted(set(RECORDS) - {"Document"}))
def test_every_record_has_its_table(record: str) -> None:
    assert f"<!-- keys: {record} -->" in HANDBOOK.read_text()


@pytest.mark.parametrize("text", EXAMPLES, ids=[re.findall("site: (.*)", text)[0] for text in EXAMPLES])
def test_an_example_is_a_policy_without_warnings(text: str) -> None:
    _, warnings = parse(
        text, "handbook.yaml", inherited={}, files={"lists/blocked.txt": "192.0.2.0/24\n"}, now=1_800_000_000
    )
    assert warnings == ()


def test_the_baseline_of_the_handbook_is_one() -> None:
    baseline = re.findall(r"```yaml\n(reef: 1\nbaseline:.*?)```", HANDBOOK.read_text(), re.DOTALL)[0]
    site = "reef: 1\nsite: s\ninherits: [national-baseline]\nzones: {lan: {interfaces: [lan0]}, x: {role: guest}}\n"
    policy, _ = parse(site, "s.yaml", inherited={"national-baseline": baseline})
    assert [rule.id for rule in policy.rules] == ["B-90"]
    assert [item.id for item in policy.invariants] == ["B-I1"]
    assert policy.settings.history == 1000
    assert policy.profiles["standard"].unavailable == "fail-closed"


def test_links_of_the_handbook_lead_somewhere() -> None:
    text = HANDBOOK.read_text()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall("^#+ (.*)", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (HANDBOOK.parent / target.partition("#")[0]).exists(), target


def test_the_bounds_are_those_of_the_parser() -> None:
    bounds = HANDBOOK.read_text().partition("## Bounds")[2]
    for bound in (
        f"{limits.MAX_TEXT_BYTES // 2**20} MiB",
        f"{limits.MAX_LINE:,} characters",
        f"{limits.MAX_DEPTH} levels deep",
        f"| {limits.MAX_RULES:,} each",
        f"| {limits.MAX_BASELINES} |",
        f"| {limits.MAX_NESTING} levels",
        f"{limits.MAX_RANGES:,} ranges",
        f"{limits.MAX_LIST_FILE_BYTES // 2**20} MiB |",
        f"| {limits.MAX_DNS_CAP:,} |",
    ):
        assert bound in bounds, bound
    assert limits.MAX_OBJECTS == limits.MAX_RULES


if __name__ == "__main__":
    HANDBOOK.write_text(renew(HANDBOOK.read_text()))
