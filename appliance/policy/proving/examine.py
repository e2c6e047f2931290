"""Everything that is asked of a policy: rules without effect, its invariants, and what its baselines demand.

    Examiner().examine(policy, now) -> Examination
    Examiner().difference(old, new, now) -> Difference

An examiner keeps the prepared boxes of the last policy, so that of the next one only what changed is prepared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from appliance.policy.decide import World, holds
from appliance.policy.model import ANY, EVERYTHING, Invariant, Policy, Rule
from appliance.policy.proving.baseline import area, demands, diverted, name_of
from appliance.policy.proving.difference import difference
from appliance.policy.proving.invariants import Forbidden, forbidden, met
from appliance.policy.proving.narrowed import narrowed
from appliance.policy.proving.places import places
from appliance.policy.proving.proof import Difference, Finding, Kind, Proof, Region, Witness
from appliance.policy.proving.prove import BUDGET, Decided, Part, Prover
from appliance.policy.proving.traffic import homely, natural
from appliance.policy.proving.translated import Translations
from ctypes_ext.boxes import BoxError, BudgetEnded

_REGIONS = 256  # of one finding: more than words are made of
_RULES = 32  # of one question that are told with all their regions
_PART = 5_000  # steps that a part of an answer takes as long as, until it is in words
_OLD = 3600  # seconds for which a proof is of this moment, if nothing ends meanwhile


class Examination(msgspec.Struct, frozen=True):
    """`proof` holds all findings; `open` names, in words, the invariants and demands that could not be decided."""

    proof: Proof
    open: tuple[str, ...] = ()


class Examiner:
    """Examines policies, one after the other."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = self._left = budget
        self._prover: Prover | None = None
        self._regions: dict[str, tuple[Invariant, tuple[Forbidden, ...]]] = {}
        self._asked_of: Policy | None = None

    def examine(self, policy: Policy, now: int) -> Examination:
        """Everything about a policy from `now` on (seconds since the epoch)."""
        try:
            return self._examined(policy, now)
        except (BoxError, BudgetEnded) as error:
            # What is prepared may be in pieces; the next policy begins anew.
            self._prover = None
            said = (f"the whole policy is more than a proof can hold ({error}); say it in fewer or larger networks",)
            return Examination(Proof((), False, said), said if policy.invariants or demands(policy) else ())

    def _examined(self, policy: Policy, now: int) -> Examination:
        prover = self._prepared(policy, now)
        self._left = self._budget
        proof = prover.proof(budget=self._budget)
        undecided: list[str] = []
        assumed: list[str] = []
        found = [
            *self._invariants(policy, prover, undecided, assumed),
            *self._demands(policy, policy, prover, undecided),
        ]
        found += diverted(policy, demands(policy), prover.now)
        return Examination(
            msgspec.structs.replace(
                proof,
                findings=(*found, *(_shown(finding, policy) for finding in proof.findings)),
                decided=proof.decided and not undecided and not assumed,
                undecided=(*undecided, *assumed, *proof.undecided),
            ),
            tuple(undecided),
        )

    def against(self, policy: Policy, demanding: Policy, now: int) -> Proof:
        """What a policy does that the baselines of another one, of the same site, would not let it."""
        self._left = self._budget
        undecided: list[str] = []
        try:
            found = tuple(self._demands(policy, demanding, self._prepared(policy, now), undecided))
        except (BoxError, BudgetEnded) as error:
            self._prover = None
            return Proof((), False, (f"what else it allows is more than a proof can hold ({error})",))
        return Proof(found, not undecided, tuple(undecided))

    def difference(self, old: Policy, new: Policy, now: int) -> Difference:
        """The traffic that two policies decide otherwise, from `now` on."""
        try:
            return difference(*narrowed(old, new), budget=self._budget, now=now)
        except (BoxError, BudgetEnded) as error:
            return Difference((), (), (), False, (f"the whole difference is more than a proof can hold ({error})",))

    def _prepared(self, policy: Policy, now: int) -> Prover:
        # A change that fails half-way, for want of memory too, leaves nothing that could be asked again.
        prover, self._prover = self._prover, None
        if prover is None or not _still(prover, policy, now):
            prover = Prover(policy, now=now)
        elif prover.policy is not policy:
            prover.update(policy)
        self._prover = prover
        return prover

    def _ask(self, prover: Prover, regions: Sequence[Region], action: str) -> Decided:
        """One question of an examination: together they have the budget."""
        decided = prover.decided_within(regions, action=action, budget=max(self._left, 1))
        self._left -= decided.steps + len(decided.parts) * _PART
        return decided

    # --- invariants -----------------------------------------------------------------------------------

    def _invariants(
        self, policy: Policy, prover: Prover, undecided: list[str], assumed: list[str]
    ) -> Iterator[Finding]:
        if not policy.invariants:
            return
        translations = Translations(policy.destination_nat, places(policy.zones))
        for statement, asked in self._statements(policy):
            for part_of_it in asked:
                parts = self._allowed(statement, part_of_it.regions, prover, undecided)
                names = (*part_of_it.sources, *part_of_it.destinations)
                if names:
                    parts, others = _naming(parts, part_of_it, policy)
                    stand = f"that is what {_said(names, policy)} will stand for"
                    assumed += [f"whether `{rule}` breaks `{statement.id}`: {stand}" for rule in others]
                yield from self._gathered(
                    "invariant", statement.id, (), parts, part_of_it.regions, policy, translations
                )

    def _allowed(
        self, statement: Invariant, regions: Sequence[Region], prover: Prover, undecided: list[str]
    ) -> list[Part]:
        """What of these regions rules allow that the invariant does not except."""
        decided = self._ask(prover, regions, "allow")
        if not decided.decided:
            undecided.append(f"whether `{statement.id}` holds: {self._budget:,} steps for all questions are used up")
        parts = [part for part in decided.parts if part.rule not in statement.excepted]
        undecided += [
            f"whether `{rule}` breaks `{statement.id}`: it is too many pieces"
            for rule in dict.fromkeys(part.rule for part in parts if not part.sure)
        ]
        return parts

    def _gathered(
        self,
        kind: Kind,
        name: str,
        others: tuple[str, ...],
        parts: Iterable[Part],
        asked: Sequence[Region],
        policy: Policy,
        translations: Translations,
    ) -> Iterator[Finding]:
        """One finding for each rule that decides a part, with all its regions that packets come to."""
        shown: dict[str, tuple[tuple[bool, bool], Witness, Region]] = {}
        regions: dict[str, list[Region]] = {}
        for part in parts:
            if not part.sure:
                continue
            for region in _plain(part, asked, policy):
                if len(regions.get(part.rule, ())) >= (_REGIONS if len(shown) < _RULES else 1):
                    break
                witness = met(policy, region, part.witness, translations)
                if witness is not None:
                    regions.setdefault(part.rule, []).append(region)
                    # A packet that is sent to a published address says most, and one from where people are.
                    weight = bool(witness.nat), homely(region, policy)
                    if part.rule not in shown or weight > shown[part.rule][0]:
                        shown[part.rule] = weight, witness, region
        for rule, (_, witness, region) in shown.items():
            told = besides(policy, rule, witness)
            yield Finding(kind, rule, others, name, told, region, tuple(regions[rule]))

    def _statements(self, policy: Policy) -> Iterator[tuple[Invariant, tuple[Forbidden, ...]]]:
        """Each invariant with what it forbids; what was worked out before serves while the vocabulary is the same."""
        before = self._asked_of
        if before is None or before.zones is not policy.zones or before.objects is not policy.objects:
            self._regions = {}
        self._asked_of = policy
        where = places(policy.zones) if policy.invariants else {}
        for statement in policy.invariants:
            known = self._regions.get(statement.id)
            if known is None or known[0] != statement:
                known = statement, forbidden(statement, policy.zones, policy.objects, where)
                self._regions[statement.id] = known
            if known[1]:
                yield known

    # --- baselines ------------------------------------------------------------------------------------

    def _demands(self, policy: Policy, demanding: Policy, prover: Prover, undecided: list[str]) -> Iterator[Finding]:
        """Parts that are decided otherwise than `demanding`'s baselines want."""
        required = demands(demanding)
        if not required:
            return
        where = places(policy.zones)
        translations = Translations(policy.destination_nat, where)
        own = {rule.id for rule in required}
        for demand in required:
            asked = area(demand, policy)
            for action in ("allow",) if demand.action != "allow" else ("deny", "reject"):
                decided = self._ask(prover, asked, action)
                if not decided.decided:
                    used = f"{self._budget:,} steps for all questions are used up"
                    undecided.append(f"whether `{demand.id}` is weakened: {used}")
                parts = [part for part in decided.parts if part.rule not in own and _holds(demanding, demand, part)]
                yield from self._gathered(
                    "baseline", name_of(demand), (demand.id,), parts, asked, policy, translations
                )
                undecided += [
                    f"whether `{rule}` weakens `{demand.id}`: it is too many pieces"
                    for rule in dict.fromkeys(part.rule for part in parts if not part.sure)
                ]


def _naming(parts: Iterable[Part], asked: Forbidden, policy: Policy) -> tuple[list[Part], tuple[str, ...]]:
    """The parts whose rules speak of the DNS names themselves, or of every address; and the rules of the others."""
    found: list[Part] = []
    others: dict[str, None] = {}
    rules = {rule.id: rule for rule in policy.rules}
    for part in parts:
        rule = rules[part.rule]
        sides = ((asked.sources, rule.source), (asked.destinations, rule.destination))
        if all(not names or where == EVERYTHING or set(names) & set(where.dynamic) for names, where in sides):
            found.append(part)
        else:
            others[part.rule] = None
    return found, tuple(others)


def _said(names: Iterable[str], policy: Policy) -> str:
    return ", ".join(name for stem in names for name in policy.dynamics[stem].names)


def _shown(finding: Finding, policy: Policy) -> Finding:
    if finding.witness is None or finding.region is None:
        return finding
    return msgspec.structs.replace(finding, witness=natural(finding.witness, finding.region, policy))


def besides(policy: Policy, rule: str, witness: Witness) -> Witness:
    """The witness with what must hold so that the rules with a limit or DNS names above `rule` do not take it."""
    everywhere = dict.fromkeys(policy.dynamics, frozenset(EVERYTHING.ranges))
    people = {
        name: everywhere[name] if witness.person in dynamic.names else frozenset()
        for name, dynamic in policy.dynamics.items()
        if dynamic.kind != "dns"
    }
    world = World(witness.at, {**everywhere, **people})
    assumed = list(witness.assumed)
    for above in policy.rules:
        if above.id == rule:
            break
        loose = above.rate or above.connections
        names = (*above.source.dynamic, *above.destination.dynamic)
        if not above.enabled or not (loose or names):
            continue
        if holds(policy, above, witness.packet, witness.from_zone, witness.to_zone, world):
            if loose:
                assumed.append(f"{above.id} is over its limit")
            else:
                known = (name for stem in names for name in policy.dynamics[stem].names)
                assumed.append(f"{' or '.join(known)} does not stand for it")
    return msgspec.structs.replace(witness, assumed=tuple(dict.fromkeys(assumed)))


def _still(prover: Prover, policy: Policy, now: int) -> bool:
    """Whether a proof of then is one of now."""
    return 0 <= now - prover.now < _OLD and not any(
        prover.now < rule.expires_at <= now for rule in policy.rules if rule.expires_at
    )


def _holds(policy: Policy, demand: Rule, part: Part) -> bool:
    """Whether the demand speaks of a part's witness: its people and its time, too."""
    if not part.sure:
        return True  # who knows
    if not (demand.people or demand.when or demand.expires_at or demand.source.dynamic or demand.destination.dynamic):
        return True
    witness = part.witness
    return holds(policy, demand, witness.packet, witness.from_zone, witness.to_zone, part.world)


def _plain(part: Part, asked: Sequence[Region], policy: Policy) -> Iterator[Region]:
    """The regions of a part with every zone by its name, as far as they were asked for."""
    pairs = {(region.from_zone, region.to_zone) for region in asked}
    for region in part.regions:
        for source in _names(region.from_zone, policy):
            for target in _names(region.to_zone, policy):
                if (source, target) in pairs or (target in policy.zones and (source, ANY) in pairs):
                    yield msgspec.structs.replace(region, from_zone=source, to_zone=target)


def _names(zone: str, policy: Policy) -> Iterable[str]:
    return list(policy.zones) if zone == ANY else (zone,)
