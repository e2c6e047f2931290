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
from itertools import chain
from typing import NamedTuple

from appliance.policy.decide import DEFAULT, World
from appliance.policy.model import ANY, Policy, Rule, ServiceEntry
from appliance.policy.proving.lower import Lowering
from appliance.policy.proving.proof import Change, Difference
from appliance.policy.proving.prove import ACTIONS, BUDGET, align
from appliance.policy.proving.regions import MAX_REGIONS, View, own_conditions
from appliance.policy.proving.space import SERVICES, Entry, Vocabulary, conditional_at, merged, vocabulary, zone_pairs
from ctypes_ext import _rulewords as rulewords
from ctypes_ext import boxes
from ctypes_ext.boxes import BudgetEnded, Space

__all__ = ["Comparison", "difference"]

MAX_CHANGED = 256  # changed rules; with more all common rules take part


def difference(old: Policy, new: Policy, *, budget: int = BUDGET, now: int | None = None) -> Difference:
    """The semantic difference. `now` is the moment from which it counts; None is this moment."""
    return Comparison(old, new, now=now).difference(budget=budget)


class Run(NamedTuple):
    """Rules that follow each other and belong to the same side."""

    side: int
    rules: list[Rule]


class Comparison:
    """Two policies in one space: their changed rules, and of the common ones those that meet them."""

    def __init__(self, old: Policy, new: Policy, *, now: int | None = None) -> None:
        self.now = int(time.time()) if now is None else now
        self.old, self.new = old, new
        runs = joined(old, new)
        special = [
            Entry(run.rules[at], run.side, self._policy(run.side)) for run in runs for at in conditional_at(run.rules)
        ]
        self.vocabulary = vocabulary((old, new), special, self.now)
        runs = meeting(runs, self.vocabulary)
        line = self.vocabulary.timeline
        self.space = Space(line.stretches, line.last, 0, ACTIONS["deny"])
        lowering = Lowering(self.vocabulary)
        words = array("i")
        self.rules: list[Rule] = []
        for side, rules in runs:
            first = len(self.rules)
            self.rules.extend(rules)
            lowering.add(rules, range(first, len(self.rules)), side, self._policy(side))
            flags = {name: int.from_bytes(bytes((n, side, 0, 0)), sys.byteorder) for name, n in ACTIONS.items()}
            words.extend(chain.from_iterable((0, flags[rule.action]) for rule in rules))
        self.space.change(array("i"), words, lowering.lists(), lowering.rows)
        self.views = View(self.vocabulary, self.space, old), View(self.vocabulary, self.space, new)

    def _policy(self, side: int) -> Policy:
        return self.old if side == boxes.OLD else self.new

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
            if len(changes) == MAX_REGIONS:
                doubts.append(
                    f"`{changes[0].new_rule}`: only the first {MAX_REGIONS:,} zone pairs and services are told"
                )
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
        return None if number == boxes.NO_RULE else self.rules[number]

    def _name(self, number: int) -> str:
        return DEFAULT if number == boxes.NO_RULE else self.rules[number].id

    def _doubts(self) -> list[str]:
        found = [
            f"more than 64 schedules together: {schedule.name} is not told apart"
            for schedule in self.vocabulary.timeline.loose
        ]
        return found + [f"more than 64 conditions together: {item[1]!s}" for item in self.vocabulary.crowded]


def joined(old: Policy, new: Policy) -> list[Run]:
    """The rules of both policies in an order that is that of each; a common rule once."""
    before = [rule for rule in old.rules if rule.enabled]
    after = [rule for rule in new.rules if rule.enabled]
    moved = align(before, after)
    meaning = _Meaning(old, new)
    runs: list[Run] = []
    first = at = 0
    while first < len(before):
        end = first + 1
        if moved[first] == boxes.NO_RULE:
            while end < len(before) and moved[end] == boxes.NO_RULE:
                end += 1
            runs.append(Run(boxes.OLD, before[first:end]))
        else:
            while end < len(before) and moved[end] == moved[end - 1] + 1:
                end += 1
            runs.append(Run(boxes.NEW, after[at : moved[first]]))
            at = moved[end - 1] + 1
            runs.extend(meaning.common(before[first:end], after[moved[first] : at]))
        first = end
    runs.append(Run(boxes.NEW, after[at:]))
    return [run for run in runs if run.rules]


class _Meaning:
    """Whether a rule that two policies share means the same in both: its zones, people, names and times."""

    def __init__(self, old: Policy, new: Policy) -> None:
        self.old, self.new = old, new
        held = [{zone.name for zone in policy.zones.values() if zone.interfaces} for policy in (old, new)]
        self.zones = held[0] ^ held[1]

    def common(self, before: list[Rule], after: list[Rule]) -> list[Run]:
        """Equal rules, as runs: those that mean the same, and those that are one rule before and another now."""
        if self.zones:
            differ = [number for number, rule in enumerate(after) if not self.same(rule)]
        else:
            differ = [number for number in conditional_at(after) if not self.same(after[number])]
        runs: list[Run] = []
        first = 0
        for number in differ:
            runs += (
                Run(boxes.BOTH, after[first:number]),
                Run(boxes.OLD, [before[number]]),
                Run(boxes.NEW, [after[number]]),
            )
            first = number + 1
        return [*runs, Run(boxes.BOTH, after[first:])]

    def same(self, rule: Rule) -> bool:
        if self.zones:
            named = {*rule.sources, *rule.destinations}
            if ANY in named or named & self.zones:
                return False
        for stem in (*rule.people, *rule.source.dynamic, *rule.destination.dynamic):
            if self.old.dynamics.get(stem) != self.new.dynamics.get(stem):
                return False
        return not rule.when or self.old.schedules[rule.when] == self.new.schedules[rule.when]


def meeting(runs: list[Run], words: Vocabulary) -> list[Run]:
    """Without the common rules that share no zone pair or no service with any rule that changed."""
    changed = [(run.side, rule) for run in runs if run.side != boxes.BOTH for rule in run.rules]
    if len(changed) > MAX_CHANGED:
        return runs
    areas = [(zone_pairs(words, rule.sources, rule.destinations, side), rule.services) for side, rule in changed]

    def wanted(sources: tuple[str, ...], destinations: tuple[str, ...]) -> bytes:
        """The services of the changed rules that share a zone pair."""
        own = zone_pairs(words, sources, destinations, boxes.BOTH)
        entries = [entry for pairs, services in areas if _zones_meet(own, pairs) for entry in services]
        return array("i", chain.from_iterable(merged(map(_service_interval, entries)))).tobytes()

    known: dict[tuple[tuple[str, ...], tuple[str, ...]], bytes] = {}
    found: list[Run] = []
    for run in runs:
        rules = run.rules if run.side != boxes.BOTH else rulewords.meeting(run.rules, known, wanted)
        if rules:
            found.append(Run(run.side, rules))
    return found


def _zones_meet(a: list[int], b: list[int]) -> bool:
    """Whether two lists of boxes of zone pairs share a pair."""
    return any(
        a[i] <= b[j + 1] and b[j] <= a[i + 1] and a[i + 2] <= b[j + 3] and b[j + 2] <= a[i + 3]
        for i in range(0, len(a), 4)
        for j in range(0, len(b), 4)
    )


def _service_interval(entry: ServiceEntry) -> tuple[int, int]:
    """All that a service may have on its axis; ports of protocols without ports are all ports."""
    if entry.protocol is None:
        return SERVICES
    return (entry.protocol << 16) + entry.ports[0], (entry.protocol << 16) + entry.ports[1]
