"""Who has zones may change the rules between these, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Collection

from appliance.policy.model import Policy, Rule
from appliance.policy.plan import plan

# New words that no rule of somebody else uses yet.
_NEW = ("object ", "service ", "schedule ", "names of ")


def beyond(old: Policy | None, new: Policy, zones: Collection[str]) -> tuple[str, ...]:
    """What of the change is not between these zones, in the words of the plan."""
    if old is None:
        return ("nothing runs yet: the first policy is of every zone",)
    rules: dict[str, list[Rule]] = {}
    for rule in (*old.rules, *new.rules):
        rules.setdefault(rule.id, []).append(rule)
    found: list[str] = []
    for change in plan(old, new):
        kind, _, name = change.what.partition(" ")
        if kind == "rule" and name in rules:
            inside = all(set(rule.sources) | set(rule.destinations) <= set(zones) for rule in rules[name])
        else:
            inside = change.kind == "added" and change.what.startswith(_NEW)
        if not inside:
            found.append(change.words)
    return tuple(found)
