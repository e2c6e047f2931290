"""Who has zones may change the rules between these, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Collection

from appliance.policy.answering.plan import plan
from appliance.policy.model import Policy

# New words that no rule of somebody else uses yet.
_NEW = ("object ", "service ", "schedule ", "names of ")


def beyond(old: Policy | None, new: Policy, zones: Collection[str]) -> tuple[str, ...]:
    """What of the change is not between these zones, in the words of the plan."""
    if old is None:
        return ("nothing runs yet: the first policy is of every zone",)
    free = set(zones)
    others = {rule.id for rule in (*old.rules, *new.rules) if not {*rule.sources, *rule.destinations} <= free}
    ids = {rule.id for rule in (*old.rules, *new.rules)}
    # When two rules change places it is one of them that moves, and the plan says which; what counts is whether the
    # rules of others stand as they stood to each other.
    stand = _order(old, others & {rule.id for rule in new.rules}) == _order(new, others)
    found: list[str] = []
    for change in plan(old, new):
        kind, _, name = change.what.partition(" ")
        if kind == "rule" and name in ids:
            inside = name not in others or (change.kind == "moved" and stand)
        else:
            inside = change.kind == "added" and change.what.startswith(_NEW)
        if not inside:
            found.append(change.words)
    return tuple(found)


def _order(policy: Policy, ids: Collection[str]) -> list[str]:
    return [rule.id for rule in policy.rules if rule.id in ids]
