"""What a plan says of a change, and what it does not say."""

from __future__ import annotations

import random
import time

import pytest

from appliance.policy.answering.plan import Change, plan
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.model import Policy

TEXT = """reef: 1
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.0.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.1.0.0/16]}
objects:
  records: {addresses: [10.1.0.10]}
services:
  web: [tcp/443, tcp/80]
schedules:
  office: mon-fri 07:30-17:00
people: {h.officer: {name: Hazel}}
groups: {staff: [h.officer]}
rules:
  - {id: R-1, from: lan, to: dmz, service: web, action: allow, owner: it, why: w, expires: 2027-03-31}
  - {id: R-2, from: lan, to: dmz, destination: records, service: ssh, action: allow, owner: it, why: w}
  - {id: R-3, from: dmz, to: lan, people: [group:staff], when: office, action: deny}
nat:
  source:
    - {id: N-1, out: dmz, to: masquerade}
settings: {drift: repair}
"""


def policy(text: str) -> Policy:
    return parse(text, "p.yaml", inherited={}, now=None)[0]


def said(old: str, new: str) -> list[tuple[str, str, str]]:
    """The changes of TEXT when `old` is replaced by `new` in it."""
    assert old in TEXT
    return [(change.kind, change.what, change.words) for change in plan(policy(TEXT), policy(TEXT.replace(old, new)))]


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (
            "service: web, action: allow, owner: it, why: w, expires: 2027-03-31",
            "service: [web, ssh], action: allow, owner: it, why: w",
            [("changed", "rule R-1", "rule R-1: service web -> web, ssh; expires 2027-03-31 -> never")],
        ),
        (
            "[group:staff], when: office",
            "[h.officer]",
            [("changed", "rule R-3", "rule R-3: people group:staff -> h.officer; when office -> always")],
        ),
        (
            "[tcp/443, tcp/80]",
            "[tcp/443]",
            [("changed", "service web", "service web: entries tcp/443, tcp/80 -> tcp/443")],
        ),
        (
            "10.1.0.10",
            "10.1.0.11",
            [("changed", "object records", "object records: addresses 10.1.0.10 -> 10.1.0.11")],
        ),
        (
            "07:30",
            "08:00",
            [("changed", "schedule office", "schedule office: times mon-fri 07:30-17:00 -> mon-fri 08:00-17:00")],
        ),
        ("drift: repair", "drift: report", [("changed", "settings", "settings: drift repair -> report")]),
        (
            "to: masquerade",
            "to: 10.1.0.1",
            [("changed", "source translation N-1", "source translation N-1: to none -> 10.1.0.1")],
        ),
        (
            "site: s",
            "site: t",
            [("changed", "site", "site: s -> t")],
        ),
        (
            "[lan0], networks",
            "[lan0, lan1], networks",
            [("changed", "zone lan", "zone lan: interfaces lan0 -> lan0, lan1")],
        ),
    ],
)
def test_a_change_is_said(old: str, new: str, changes: list[tuple[str, str, str]]) -> None:
    assert said(old, new) == changes


def test_rules_come_go_and_move() -> None:
    lines = TEXT.split("\n")
    first = next(number for number, line in enumerate(lines) if "R-1," in line)
    swapped = [*lines[:first], lines[first + 1], lines[first], *lines[first + 2 :]]
    assert plan(policy(TEXT), policy("\n".join(swapped))) == (
        Change("moved", "rule R-2", "rule R-2 moves at the top"),
    )
    gone = [*lines[:first], *lines[first + 1 :]]
    (removed,) = plan(policy(TEXT), policy("\n".join(gone)))
    assert removed.words == "rule R-1 is removed (allow lan -> dmz, service web, expires 2027-03-31)"
    (added,) = plan(policy("\n".join(gone)), policy(TEXT))
    assert added.words == "rule R-1 is new, at the top: allow lan -> dmz, service web, expires 2027-03-31"


def test_lines_and_comments_are_no_change() -> None:
    assert plan(policy(TEXT), policy("# a comment\n\n" + TEXT.replace("rules:", "\n# more\nrules:"))) == ()


def test_the_first_plan_says_everything() -> None:
    words = [change.words for change in plan(None, policy(TEXT))]
    assert len(words) == 2 + 1 + 1 + 1 + 1 + 1 + 3 + 1
    assert "object records is new: 10.1.0.10" in words


def test_a_random_order_is_reached_by_the_moves_it_names() -> None:
    dice = random.Random(7)
    rules = [f"  - {{id: R-{n}, from: lan, to: dmz, action: deny}}\n" for n in range(30)]
    head = TEXT.partition("rules:")[0] + "rules:\n"
    for _ in range(40):
        before, after = rules[:], rules[:]
        for _ in range(dice.randrange(4)):
            after.insert(dice.randrange(30), after.pop(dice.randrange(30)))
        old, new = policy(head + "".join(before)), policy(head + "".join(after))
        changes = plan(old, new)
        moved = {change.what.removeprefix("rule ") for change in changes}
        assert all(change.kind == "moved" for change in changes)
        assert [rule.id for rule in old.rules if rule.id not in moved] == [
            rule.id for rule in new.rules if rule.id not in moved
        ]
        assert len(moved) <= 3


def test_one_changed_rule_costs_little_to_read_and_to_plan() -> None:
    """Ratios of processor time, each the best of three: the parts that are equal are passed over."""
    head = TEXT.partition("rules:")[0] + "rules:\n"
    rules = [
        f"  - id: R-{n}\n    from: lan\n    to: dmz\n    source: 10.0.{n // 250}.{n % 250}\n    action: deny\n"
        for n in range(3000)
    ]
    text, changed = head + "".join(rules), head + "".join(rules[:1500]) + rules[1500].replace("deny", "reject")
    changed += "".join(rules[1501:])
    whole = again = planned = 1e9
    for _ in range(3):
        cache = ParseCache()
        started = time.process_time()
        old, _ = parse(text, "p.yaml", inherited={}, cache=cache)
        whole = min(whole, time.process_time() - started)
        started = time.process_time()
        new, _ = parse(changed, "p.yaml", inherited={}, cache=cache)
        again = min(again, time.process_time() - started)
        started = time.process_time()
        changes = plan(old, new)
        planned = min(planned, time.process_time() - started)
    assert [change.words for change in changes] == ["rule R-1500: action deny -> reject"]
    assert again * 4 < whole
    assert planned * 20 < whole
