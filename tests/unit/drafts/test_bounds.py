"""Who has zones may change the rules between these, and nothing else."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import pytest

from appliance.drafts.bounds import beyond
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy

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


EXAMPLES = Path(__file__).parents[3] / "examples"
# What no example has.
REST = """\
connections:
  ens1: {provider: P, officer: "O <o@x.example>"}
  ens2: {provider: P, officer: "O <o@x.example>"}
bridges:
  edge: {between: [ens1, ens2], inspect: strict, owner: noc@health.example, why: the addresses are the provider's}
feeds:
  own: {file: own.rules}
suppressions:
  - {id: S-1, signatures: [sid 2019401], host: 10.20.3.9, owner: o@x.example, why: a scanner, expires: 2099-12-31}
audit: {retention: {access: 365 days}}
notices: {relay: "mail.health.example:587", from: gateway@health.example}
"""
WORDLESS = {"description"}  # it says something to people, and nothing to packets
NEW_WORDS = {"objects", "services", "schedules", "dynamics"}  # these may come, as long as no rule of others uses them


@pytest.mark.parametrize("field", [one for one in Policy.__struct_fields__ if one not in {"rules", *WORDLESS}])
def test_every_other_part_of_a_policy_is_beyond_all_zones(field: str) -> None:
    """Whoever adds a part to the policy hears here whether the bounds of people hold it."""
    nothing = getattr(Policy(site=""), field)
    said = next(one for one in samples() if getattr(one, field) != nothing)
    without = msgspec.structs.replace(said, **{field: nothing})
    zones = list(said.zones)
    assert beyond(said, without, zones)
    assert field in NEW_WORDS or beyond(without, said, zones)


@functools.cache
def samples() -> tuple[Policy, ...]:
    inherited = {file.stem: file.read_text() for file in EXAMPLES.glob("baselines/*.yaml")}
    lists = {f"lists/{file.name}": file.read_text() for file in EXAMPLES.glob("lists/*")}
    texts = sorted([*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("lab/*.yaml")])
    examples = [parse(text.read_text(), text.name, inherited=inherited, files=lists)[0] for text in texts]
    return (*examples, parse(HEAD + REST, "s.yaml", inherited={})[0])
