"""The prover: what is true of all packets under a policy, exactly.

    prove(policy) -> Proof                      rules that never match, that change nothing, that cross others
    Prover(policy)                              the same for a policy that is edited: what changed is proven again
        .proof() .update(policy)
        .allowed_within(regions) -> Decided     which parts of some regions are allowed, by which rule, with a witness
        .decided_within(regions, ...)           the same for any action, or for all, the default included

A proof speaks of first packets as `decide.first_match` does, of every moment from `now` to the horizon of
`timeline.py`, of every person, and of every value of what only the running gateway knows. Every part that comes back
names a witness, and `World` says what holds there, so that `decide.py` can be asked the same. Work is counted in
steps; where the budget ends the answer says so and claims nothing. `BudgetEnded` is raised by questions whose whole
answer is needed.

Regions of questions name zones ("any" is every zone but the gateway), ranges, services and people; time and
conditions are not part of a question but of its answer.
"""

from __future__ import annotations

import sys
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain, compress
from operator import attrgetter, is_, not_

import msgspec

from appliance.policy.decide import DEFAULT, World
from appliance.policy.model import Action, Policy, Range, Rule
from appliance.policy.proving.lower import Lowering
from appliance.policy.proving.proof import Finding, Kind, Proof, Region, Witness
from appliance.policy.proving.regions import View, own_conditions
from appliance.policy.proving.space import Entry, Vocabulary, conditional_at, merged, vocabulary, zone_pairs
from ctypes_ext import boxes
from ctypes_ext.boxes import Box, BudgetEnded, Space

__all__ = ["BUDGET", "BudgetEnded", "Decided", "Part", "Prover", "prove"]

BUDGET = 400_000_000  # steps; some nanoseconds each
SHARE = 32  # one rule gets at most this part of a budget
CONFLICTS = 8  # that are told of one rule
ACTIONS = {"allow": 0, "deny": 1, "reject": 2}
_DOES = attrgetter("action", "inspect", "log")
_KINDS: dict[int, Kind] = {
    boxes.EMPTY: "dead",
    boxes.DEAD: "dead",
    boxes.NO_EFFECT: "no-effect",
    boxes.CONFLICT: "conflict",
}


class Part(msgspec.Struct, frozen=True):
    """A part of a question that one rule decides. `rule` is its id or "default".

    `world` is what holds besides the witness, for `decide.first_match`. `sure` is False where a rule of which nothing
    can be claimed might decide it instead.
    """

    regions: tuple[Region, ...]
    action: str
    rule: str
    witness: Witness
    world: World
    sure: bool = True


class Decided(msgspec.Struct, frozen=True):
    """The answer to a question; without `decided` it is not complete and `parts` are empty."""

    parts: tuple[Part, ...]
    decided: bool = True
    steps: int = 0


def prove(policy: Policy, *, budget: int = BUDGET, now: int | None = None) -> Proof:
    """All findings of a policy. `now` is the moment from which it is proven; None is this moment."""
    return Prover(policy, now=now).proof(budget=budget)


class Prover:
    """The space of one policy, kept between edits."""

    def __init__(self, policy: Policy, *, now: int | None = None) -> None:
        self.now = int(time.time()) if now is None else now
        self.policy = policy
        self._effects: dict[tuple[str, str, str], int] = {}
        self._load(policy)

    # --- rules in ------------------------------------------------------------------------------------

    def _load(self, policy: Policy, known: Vocabulary | None = None) -> None:
        self.policy = policy
        self.rules = [rule for rule in policy.rules if rule.enabled]
        self.vocabulary = vocabulary((policy,), _entries(self.rules, policy), self.now, known)
        line = self.vocabulary.timeline
        self.space = Space(line.stretches, line.last, self._default(policy), ACTIONS["deny"])
        self.view = View(self.vocabulary, self.space, policy)
        self._findings: dict[int, list[Finding]] = {}
        self._undecided: dict[int, str] = {}
        self._words = self._rule_words(self.rules)
        lowering = Lowering(self.vocabulary)
        lowering.add(self.rules, range(len(self.rules)), boxes.BOTH, policy)
        self.space.change(array("i"), self._words, lowering.lists(), lowering.rows)

    def _default(self, policy: Policy) -> int:
        return self._effect("deny", "", "start" if policy.settings.log_default else "none")

    def _effect(self, action: str, inspect: str, log: str) -> int:
        """Decided alike: the same action, the same inspection, the same lines in the log."""
        return self._effects.setdefault((action, inspect, log), len(self._effects))

    def _rule_words(self, rules: Sequence[Rule]) -> array[int]:
        """Effect, and action and side, of each rule."""
        known: dict[tuple[Action, str, str], tuple[int, int]] = {}
        for action, inspect, log in dict.fromkeys(map(_DOES, rules)):
            flags = int.from_bytes(bytes((ACTIONS[action], boxes.BOTH, 0, 0)), sys.byteorder)
            known[action, inspect, log] = self._effect(action, inspect, log), flags
        return array("i", chain.from_iterable(map(known.__getitem__, map(_DOES, rules))))

    def update(self, policy: Policy) -> None:
        """The policy after an edit."""
        rules = [rule for rule in policy.rules if rule.enabled]
        moved = align(self.rules, rules)
        fresh = sorted(set(range(len(rules))).difference(moved))
        changed = [rules[number] for number in fresh]
        changed += [rule for rule, place in zip(self.rules, moved, strict=True) if place == boxes.NO_RULE]
        if not self._same_words(policy, rules, changed):
            self._load(policy, self.vocabulary)
            return
        lowering = Lowering(self.vocabulary)
        lowering.add([rules[number] for number in fresh], fresh, boxes.BOTH, policy)
        self.space.change(array("i", moved), self._rule_words(rules), lowering.lists(), lowering.rows)
        self._findings = {moved[at]: found for at, found in self._findings.items() if moved[at] != boxes.NO_RULE}
        self._undecided = {moved[at]: text for at, text in self._undecided.items() if moved[at] != boxes.NO_RULE}
        self.policy, self.rules = policy, rules
        self.view = View(self.vocabulary, self.space, policy)

    def _same_words(self, policy: Policy, rules: Sequence[Rule], changed: Sequence[Rule]) -> bool:
        """Whether the axes still count the same; `changed` rules came or went."""
        old = self.policy
        same = (
            policy.dynamics == old.dynamics
            and policy.schedules == old.schedules
            and policy.zones == old.zones
            and policy.settings.log_default == old.settings.log_default
        )
        if not same or not conditional_at(changed):
            return same
        return vocabulary((policy,), _entries(rules, policy), self.now, self.vocabulary) == self.vocabulary

    # --- findings out --------------------------------------------------------------------------------

    def proof(self, *, budget: int = BUDGET) -> Proof:
        """Everything that is known of the policy as it is now."""
        found, proven, steps = self.space.prove(budget, max(budget // SHARE, 1), CONFLICTS)
        for number in [number for number in self._findings if proven[number]]:
            del self._findings[number]
        for number in [number for number in self._undecided if proven[number]]:
            del self._undecided[number]
        for item in found:
            if item.kind == boxes.UNDECIDED:
                self._undecided[item.rule] = self._why_undecided(self.rules[item.rule], steps >= budget)
            else:
                self._findings.setdefault(item.rule, []).append(self._finding(item))
        general = [
            f"more than 64 schedules or expiries together: {schedule.name} is not told apart"
            for schedule in self.vocabulary.timeline.loose
        ]
        general += [
            f"more than 64 conditions together: rules with {condition[1]!s} are left out"
            for condition in self.vocabulary.crowded
        ]
        undecided = (*general, *(text for _, text in sorted(self._undecided.items())))
        return Proof(
            tuple(finding for _, findings in sorted(self._findings.items()) for finding in findings),
            decided=not undecided,
            undecided=undecided,
            steps=steps,
            conflicts=self.space.crossings,
        )

    def _why_undecided(self, rule: Rule, ended: bool) -> str:
        if ended:
            return f"`{rule.id}`: the budget ended before it was looked at; give more steps"
        return (
            f"`{rule.id}`: it, or what it meets, falls into too many pieces to be decided; "
            "say it in fewer or larger networks"
        )

    def _finding(self, item: boxes.Finding) -> Finding:
        rule = self.rules[item.rule]
        others = tuple(self._name(number) for number in item.named)
        if item.witness is None:
            return Finding(_KINDS[item.kind], rule.id, others)
        own = own_conditions(rule, item.row, self.policy, self.vocabulary)
        return Finding(
            _KINDS[item.kind],
            rule.id,
            others,
            witness=self.view.witness(item.witness, own),
            region=next(self.view.regions(item.witness, own), None),
        )

    def _name(self, number: int) -> str:
        return DEFAULT if number == boxes.NO_RULE else self.rules[number].id

    # --- questions -----------------------------------------------------------------------------------

    def allowed_within(self, regions: Sequence[Region], *, budget: int = BUDGET) -> Decided:
        """The parts of regions that rules allow."""
        return self.decided_within(regions, action="allow", budget=budget)

    def decided_within(self, regions: Sequence[Region], *, action: str = "", budget: int = BUDGET) -> Decided:
        """The parts of regions by the rule that decides them; with `action` only those of that action."""
        return self.decided_boxes(self.boxes(regions), action=action, budget=budget)

    def decided_boxes(self, asked: Sequence[Box], *, action: str = "", budget: int = BUDGET) -> Decided:
        """The same for boxes of this space."""
        wanted = ACTIONS[action] if action else boxes.ANY_ACTION
        try:
            parts, steps = self.space.decide(asked, action=wanted, budget=budget)
        except BudgetEnded:
            return Decided((), decided=False, steps=budget)
        return Decided(tuple(self._part(part) for part in parts), steps=steps)

    def _part(self, part: boxes.Part) -> Part:
        rule = None if part.old_rule == boxes.NO_RULE else self.rules[part.old_rule]
        own = [] if rule is None else own_conditions(rule, part.old_row, self.policy, self.vocabulary)
        witness = self.view.witness(part.box, own)
        return Part(
            tuple(self.view.regions(part.box, own)),
            "deny" if rule is None else rule.action,
            DEFAULT if rule is None else rule.id,
            witness,
            self.view.world(part.box, witness, rule, part.old_row),
            sure=not part.unsure,
        )

    def boxes(self, regions: Iterable[Region]) -> list[Box]:
        """Regions as boxes of this space. Raises `ValueError` for one that names what the policy does not have."""
        regions = list(regions)
        self.space.cut(
            (part.version, part.first, part.last)
            for region in regions
            for part in (region.source, region.destination)
        )
        return [box for region in regions for box in self._boxes_of_region(region)]

    def _boxes_of_region(self, region: Region) -> list[Box]:
        if region.schedules or region.assumed:
            raise ValueError("a question names no schedules and no assumptions: they are part of its answer")
        if region.source.version != region.destination.version:
            raise ValueError("source and destination of a region are of one IP version")
        source, destination = self._ranks(region.source), self._ranks(region.destination)
        last = self.vocabulary.timeline.last
        found: list[Box] = []
        pairs = _pairs(self.vocabulary, region)
        for at in range(0, len(pairs), 4):
            for service in _service_intervals(region):
                for people in self._people(region):
                    found.append(
                        Box(
                            (
                                (pairs[at], pairs[at + 1]),
                                (pairs[at + 2], pairs[at + 3]),
                                source,
                                destination,
                                service,
                                region.source_ports,
                                people,
                                (0, last),
                            )
                        )
                    )
        return found

    def _ranks(self, part: Range) -> tuple[int, int]:
        return self.space.ranks(part.version, part.first, part.last)

    def _people(self, region: Region) -> list[tuple[int, int]]:
        names = self.vocabulary.people
        if not region.people:
            return [(0, len(names) - 1)] if region.nobody else [(1, len(names) - 1)][: len(names) - 1]
        found = [names.index(name) for name in region.people if name in names]
        return merged((number, number) for number in ([0] if region.nobody else []) + found)


def _entries(rules: Sequence[Rule], policy: Policy) -> list[Entry]:
    """The rules of which a vocabulary has to know."""
    return [Entry(rules[at], boxes.BOTH, policy) for at in conditional_at(rules)]


def _pairs(words: Vocabulary, region: Region) -> list[int]:
    return zone_pairs(words, (region.from_zone,), (region.to_zone,), boxes.BOTH)


def _service_intervals(region: Region) -> list[tuple[int, int]]:
    low, high = region.protocol
    if low == high:
        return [(low << 16 | region.key[0], low << 16 | region.key[1])]
    return [(low << 16, high << 16 | 65535)]


def align(old: Sequence[Rule], new: Sequence[Rule]) -> list[int]:
    """Where each old rule stands in the new list, in the same order; `boxes.NO_RULE` for one that changed or went."""
    if len(old) == len(new):
        # Most edits leave every rule in its place.
        places = range(len(old))
        alike = bytearray(map(is_, old, new))
        differ = [place for place in compress(places, map(not_, alike)) if old[place] != new[place]]
        if 8 * len(differ) <= len(old):
            moved = list(places)
            for changed in differ:
                moved[changed] = boxes.NO_RULE
            return moved
    first = 0
    most = min(len(old), len(new))
    while first < most and (old[first] is new[first] or old[first] == new[first]):
        first += 1
    last = 0
    while last < most - first and (old[-1 - last] is new[-1 - last] or old[-1 - last] == new[-1 - last]):
        last += 1
    moved = [*range(first), *[boxes.NO_RULE] * (len(old) - first - last), *range(len(new) - last, len(new))]
    at = {rule.id: number for number, rule in enumerate(new[first : len(new) - last], first)}
    pairs = []
    for number in range(first, len(old) - last):
        place = at.get(old[number].id)
        if place is not None and (old[number] is new[place] or old[number] == new[place]):
            pairs.append((number, place))
    for number, place in _rising(pairs):
        moved[number] = place
    return moved


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of pairs (sorted by the first) in which the second rises, too."""
    tails: list[int] = []  # index of the pair that ends the best run of each length
    before: list[int] = []
    ends: list[int] = []
    for index, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        before.append(tails[at - 1] if at else -1)
        if at == len(tails):
            tails.append(index)
            ends.append(place)
        else:
            tails[at], ends[at] = index, place
    found: list[tuple[int, int]] = []
    index = tails[-1] if tails else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]
