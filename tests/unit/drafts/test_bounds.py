"""Who has zones may change the rules between these, and nothing else."""

from __future__ import annotations

import pytest

from appliance.drafts.bounds import beyond
from appliance.policy.model import Policy
from appliance.policy.parse import parse

HEAD = """\
reef: 1
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.30.0.0/16]}
  guest: {interfaces: [guest0], networks: [10.40.0.0/16]}
objects:
  printer: {addresses: 10.20.0.9}
"""
RULE = "  - {{id: {0}, from: {1}, to: {2}, service: {3}, action: allow, owner: o@x.example, why: w}}\n"
RULES = [RULE.format("R-1", "lan", "dmz", "ssh"), RULE.format("R-2", "guest", "dmz", "https")]


def policy(*rules: str, head: str = HEAD) -> Policy:
    return parse(f"{head}rules:\n{''.join(rules)}", "s.yaml", inherited={})[0]


OLD = policy(*RULES)
FREE = ("lan", "dmz")


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        policy(RULES[1]),  # a rule of theirs goes
        policy(RULE.format("R-1", "lan", "dmz", "https"), RULES[1]),
        policy(RULES[1], RULES[0]),  # and moves
        policy(*RULES, RULE.format("R-3", "dmz", "lan", "dns")),
        policy(*RULES, head=HEAD + "  laptop: {addresses: 10.20.0.7}\n"),  # a word that nobody uses yet
    ],
)
def test_rules_between_these_zones_are_theirs(new: Policy) -> None:
    assert beyond(OLD, new, FREE) == ()


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (policy(RULES[0]), "R-2"),  # somebody else's rule goes
        (policy(RULES[0], RULE.format("R-2", "guest", "dmz", "ssh")), "R-2"),
        (policy(RULE.format("R-1", "guest", "dmz", "ssh"), RULES[1]), "R-1"),  # theirs leaves their zones
        (policy(RULES[0], RULE.format("R-2", "lan", "dmz", "https")), "R-2"),  # another one comes into them
        (policy(*RULES, RULE.format("R-3", "any", "dmz", "dns")), "R-3"),
        (policy(*RULES, RULE.format("R-3", "lan", "gateway", "ssh")), "R-3"),
        (policy(*RULES, head=HEAD.replace("10.20.0.9", "10.20.0.8")), "printer"),  # rules of others may use it
        (policy(*RULES, head=HEAD.replace("10.40.0.0/16", "10.41.0.0/16")), "guest"),
        (policy(*RULES, head=HEAD + "settings: {drift: report}\n"), "settings"),
        (policy(*RULES, head=HEAD + "console: {approvals: 0, idle: 1 hour}\n"), "console"),
    ],
)
def test_nothing_else_is(new: Policy, what: str) -> None:
    found = beyond(OLD, new, FREE)
    assert any(what in words for words in found), found


def test_the_first_policy_is_of_every_zone() -> None:
    assert beyond(None, OLD, FREE)
