"""What two policies decide differently, as traffic and not as text.

    difference(old, new) -> Difference
    Comparison(old, new)     the same with what stands behind it: for every change the worlds in which both decide so

Rules that both have, in the same order, are common; only what the others say can be decided differently. So the
work follows the size of the edit: the boxes of the rules that changed are cut along the first rules that have them on
either side, and pieces that both sides decide alike fall away. What is left is joined to as few boxes as it takes.

Zones are compared by name. A zone that only one policy has is denied by the other.
"""

from __future__ import annotations

import sys
import time
from array import array
from itertools import chain, groupby
from operator import itemgetter

from appliance.policy.decide import DEFAULT, World
from appliance.policy.lower import Lowering
from appliance.policy.model import Policy, Rule
from appliance.policy.proof import Change, Difference
from appliance.policy.prove import ACTIONS, BUDGET, align
from appliance.policy.regions import View, own_conditions
from appliance.policy.space import Entry, conditional, vocabulary
from ctypes_ext import boxes
from ctypes_ext.boxes import BudgetEnded, Space

__all__ = ["Comparison", "difference"]


def difference(old: Policy, new: Policy, *, budget: int = BUDGET, now: int | None = None) -> Difference:
    """The semantic difference. `now` is the moment from which it counts; None is this moment."""
    return Comparison(old, new, now=now).difference(budget=budget)


class Comparison:
    """Two policies in one space."""

    def __init__(self, old: Policy, new: Policy, *, now: int | None = None) -> None:
        self.now = int(time.time()) if now is None else now
        self.old, self.new = old, new
        self.entries = joined(old, new)
        special = [entry for entry in self.entries if conditional(entry.rule)]
        self.vocabulary = vocabulary((old, new), special, self.now)
        line = self.vocabulary.timeline
        self.space = Space(line.stretches, line.last, 0, ACTIONS["deny"])
        lowering = Lowering(self.vocabulary)
        words = array("i")
        first = 0
        for side, run in groupby(self.entries, key=itemgetter(1)):
            rules = [entry.rule for entry in run]
            lowering.add(rules, range(first, first + len(rules)), side, old if side == boxes.OLD else new)
            first += len(rules)
            flags = {name: int.from_bytes(bytes((n, side, 0, 0)), sys.byteorder) for name, n in ACTIONS.items()}
            words.extend(chain.from_iterable((0, flags[rule.action]) for rule in rules))
        self.space.change(array("i"), words, lowering.lists(), lowering.rows)
        self.views = View(self.vocabulary, self.space, old), View(self.vocabulary, self.space, new)

    def difference(self, *, budget: int = BUDGET) -> Difference:
        """All changes; empty and not `decided` when the budget ended."""
        doubts = self._doubts()
        try:
            parts, steps = self.space.compare(budget)
        except BudgetEnded:
            words = (f"{budget:,} steps are not enough: the changes fall into too many pieces",)
            return Difference((), (), (), False, (*doubts, *words), budget)
        found: dict[str, list[Change]] = {"opened": [], "closed": [], "other": []}
        for part in parts:
            if part.unsure:
                names = f"`{self._name(part.old_rule)}`, `{self._name(part.new_rule)}`"
                doubts.append(f"{names}: a rule above falls into too many pieces")
                continue
            changes = self.changes(part)
            kind = "opened" if changes[0].new_action == "allow" else "closed"
            if "allow" not in (changes[0].old_action, changes[0].new_action):
                kind = "other"
            found[kind].extend(changes)
        return Difference(
            tuple(found["opened"]),
            tuple(found["closed"]),
            tuple(found["other"]),
            not doubts,
            tuple(dict.fromkeys(doubts)),
            steps,
        )

    def changes(self, part: boxes.Part) -> list[Change]:
        """A part in the words of the policies."""
        old, new = self._rule(part.old_rule), self._rule(part.new_rule)
        own = []
        if old is not None:
            own += own_conditions(old, part.old_row, self.old, self.vocabulary)
        if new is not None:
            own += own_conditions(new, part.new_row, self.new, self.vocabulary)
        view = self._view(part)
        witness = view.witness(part.box, own)
        return [
            Change(
                region,
                "deny" if old is None else old.action,
                "deny" if new is None else new.action,
                DEFAULT if old is None else old.id,
                DEFAULT if new is None else new.id,
                witness,
            )
            for region in view.regions(part.box, own)
        ]

    def worlds(self, part: boxes.Part) -> tuple[World, World]:
        """What holds besides the witness, for the old policy and for the new one."""
        witness = self._view(part).witness(part.box)
        return (
            self.views[0].world(part.box, witness, self._rule(part.old_rule), part.old_row),
            self.views[1].world(part.box, witness, self._rule(part.new_rule), part.new_row),
        )

    def _view(self, part: boxes.Part) -> View:
        """The side whose words are used: the new one, unless only the old one has the zones."""
        low, high = part.box.axes[boxes.FROM][0], part.box.axes[boxes.TO][0]
        names = {self.vocabulary.zones[low], self.vocabulary.zones[high]} - {self.vocabulary.zones[0]}
        return self.views[1] if names <= set(self.new.zones) else self.views[0]

    def _rule(self, number: int) -> Rule | None:
        return None if number == boxes.NO_RULE else self.entries[number].rule

    def _name(self, number: int) -> str:
        return DEFAULT if number == boxes.NO_RULE else self.entries[number].rule.id

    def _doubts(self) -> list[str]:
        found = [
            f"more than 64 schedules together: {schedule.name} is not told apart"
            for schedule in self.vocabulary.timeline.loose
        ]
        return found + [f"more than 64 conditions together: {item[1]!s}" for item in self.vocabulary.crowded]


def joined(old: Policy, new: Policy) -> list[Entry]:
    """The rules of both policies in an order that is that of each; a common rule once."""
    before = [rule for rule in old.rules if rule.enabled]
    after = [rule for rule in new.rules if rule.enabled]
    moved = align(before, after)
    same = _Meaning(old, new)
    found: list[Entry] = []
    at = 0
    for rule, place in zip(before, moved, strict=True):
        if place == boxes.NO_RULE:
            found.append(Entry(rule, boxes.OLD, old))
            continue
        found.extend(Entry(other, boxes.NEW, new) for other in after[at:place])
        if same(rule):
            found.append(Entry(rule, boxes.BOTH, new))
        else:
            found += (Entry(rule, boxes.OLD, old), Entry(after[place], boxes.NEW, new))
        at = place + 1
    found.extend(Entry(other, boxes.NEW, new) for other in after[at:])
    return found


class _Meaning:
    """Whether a rule that two policies share means the same in both: its zones, people, names and times."""

    def __init__(self, old: Policy, new: Policy) -> None:
        self.old, self.new = old, new
        held = [{zone.name for zone in policy.zones.values() if zone.interfaces} for policy in (old, new)]
        self.same_zones = held[0] == held[1]
        self.zones = held[0] ^ held[1]

    def __call__(self, rule: Rule) -> bool:
        if not self.same_zones:
            named = {*rule.sources, *rule.destinations}
            if "any" in named or named & self.zones:
                return False
        for stem in (*rule.people, *rule.source.dynamic, *rule.destination.dynamic):
            if self.old.dynamics.get(stem) != self.new.dynamics.get(stem):
                return False
        return not rule.when or self.old.schedules[rule.when] == self.new.schedules[rule.when]
