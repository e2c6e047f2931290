"""The compiled table as text: each `<name>.yaml` beside the `<name>.nft` it compiles to.

After a wanted change: `python -m tests.golden.test_ruleset` writes the expectations again; read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.delta import render
from appliance.policy.meant.parse import parse

FOLDER = Path(__file__).parent / "ruleset"
POLICIES = sorted(FOLDER.glob("*.yaml"))
# What the kernel can that these are compiled for; the others need nothing.
CAPABILITIES = {
    "inspected": frozenset({"queue", "flowtable"}),
    "inspected-by-old-target": frozenset({"xt-queue"}),
}


def compiled(path: Path) -> str:
    policy, _ = parse(path.read_text(encoding="utf-8"), path.name, inherited={})
    capabilities = CAPABILITIES.get(path.stem, frozenset())
    return render(compile_policy(policy, generation=1, capabilities=capabilities, now=1_774_000_000).ruleset)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_a_policy_compiles_to_the_table_that_is_written_down(path: Path) -> None:
    assert compiled(path) == path.with_suffix(".nft").read_text(encoding="utf-8")


if __name__ == "__main__":
    for each in POLICIES:
        each.with_suffix(".nft").write_text(compiled(each), encoding="utf-8")
