"""What a text asks and a kernel or this release does not give is said, rule by rule, and never silently left out."""

from __future__ import annotations

import pytest

from appliance.policy.compile import compile_policy
from appliance.policy.parse import parse

TEXT = """\
reef: 1
site: omitted
zones:
  internet: {interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>"}
rules:
  - {id: R-1, from: lan, to: internet, service: https, action: allow, inspect: strict, owner: it, why: w}
  - {id: R-2, from: lan, to: internet, service: http, action: allow, inspect: standard, owner: it, why: w}
  - {id: R-3, from: lan, to: internet, service: ssh, action: allow, owner: it, why: w}
"""


@pytest.mark.parametrize(
    ("capabilities", "lacks", "beyond"),
    [
        (frozenset(), "needs nft queue, which this kernel lacks", ""),
        (frozenset({"queue"}), "no process of Reef reads them yet", " unless another program does"),
    ],
)
def test_an_inspection_that_is_not_there_is_said_with_what_happens(
    capabilities: frozenset[str], lacks: str, beyond: str
) -> None:
    policy, _ = parse(TEXT, "omitted.yaml", inherited={})
    strict, standard = compile_policy(policy, generation=1, capabilities=capabilities).omitted
    assert strict.startswith("rule R-1: inspection strict ") and lacks in strict
    assert strict.endswith(f"denied (fail-closed){beyond}")
    assert standard.startswith("rule R-2: inspection standard ") and lacks in standard
    assert standard.endswith(f"pass without it (fail-open){beyond}")
