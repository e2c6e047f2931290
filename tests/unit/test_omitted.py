"""What a text asks and a kernel or this release does not give is said, rule by rule, and never silently left out."""

from __future__ import annotations

import pytest

from appliance.policy.compiling.compile import compile_policy
from appliance.policy.meant.parse import parse

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


def test_an_inspection_that_is_not_there_is_said_with_what_happens() -> None:
    policy, _ = parse(TEXT, "omitted.yaml", inherited={})
    strict, standard = compile_policy(policy, generation=1, capabilities=frozenset()).omitted
    assert strict.startswith("rule R-1: inspection strict needs a kernel that queues packets")
    assert strict.endswith("denied (fail-closed)")
    assert standard.startswith("rule R-2: inspection standard needs a kernel that queues packets")
    assert standard.endswith("pass without it (fail-open)")


@pytest.mark.parametrize("way", ["queue", "xt-queue"])
def test_where_packets_can_be_queued_nothing_is_left_out(way: str) -> None:
    policy, _ = parse(TEXT, "omitted.yaml", inherited={})
    compiled = compile_policy(policy, generation=1, capabilities=frozenset({way}))
    assert compiled.omitted == ()
    assert compiled.requires == (way,)
