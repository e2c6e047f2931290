"""What a signature does under a profile: of what the profile says, the most particular holds.

One signature by its number stands over its category, that over its feed, that over its severity, and that over `any`;
what is said for a direction stands over what is said for any. Where nothing is said a signature does what it
says itself. So the order in which a profile says things does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.model import ANY, Profile, Reaction, Rule, SignatureAction, Signatures, Threshold, Zone

Direction = Literal["inbound", "outbound", "inside"]
_DIRECTIONS: tuple[Direction, ...] = ("inbound", "outbound", "inside")
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
# What stops more comes first: it holds for a rule whose connections go in several directions.
_STRICT_FIRST: tuple[SignatureAction, ...] = ("reject", "drop", "alert", "off", "pass")


class Signature(msgspec.Struct, frozen=True):
    """What a profile asks of a signature. `action` is what it says itself; `category` the name of its class."""

    sid: int
    gid: int = 1
    category: str = ""
    severity: int = 3
    feed: str = ""
    action: SignatureAction = "alert"


class Reactions:
    """The reactions of a profile, found by what they speak of. Made once, asked for every signature."""

    def __init__(self, profile: Profile) -> None:
        self._feeds = frozenset(profile.feeds)
        self._said: dict[tuple[Signatures, str], SignatureAction] = {
            (found.signatures, found.direction): found.action for found in profile.reactions
        }
        self._thresholds = {found.signatures: found for found in profile.thresholds}
        self._by_number = {(meant.gid, meant.sid) for meant, _ in self._said if meant.sid}

    def action(self, signature: Signature, directions: Iterable[Direction] = ()) -> SignatureAction:
        """What `signature` does in connections of `directions`: of several, what stops most; () is none known."""
        if self._feeds and signature.feed not in self._feeds:
            return "off"
        found = [self._in(signature, direction) for direction in directions] or [self._in(signature, "")]
        return min(found, key=_STRICT_FIRST.index)

    def names(self, signature: Signature) -> bool:
        """Is something said of this one by its number? Of all others those that are alike do alike."""
        return (signature.gid, signature.sid) in self._by_number

    @property
    def has_thresholds(self) -> bool:
        return bool(self._thresholds)

    def threshold(self, signature: Signature) -> Threshold | None:
        """How often `signature` is told of, where the profile says."""
        return next((found for meant in _from_particular(signature) if (found := self._thresholds.get(meant))), None)

    def _in(self, signature: Signature, direction: str) -> SignatureAction:
        for meant in _from_particular(signature):
            for said in dict.fromkeys((direction, "")):
                found = self._said.get((meant, said))
                if found is not None:
                    return found
        return signature.action


def _from_particular(signature: Signature) -> list[Signatures]:
    found = [Signatures(sid=signature.sid, gid=signature.gid)]
    if signature.category:
        found.append(Signatures(category=signature.category))
    if signature.feed:
        found.append(Signatures(feed=signature.feed))
    return [*found, Signatures(severity=signature.severity), Signatures()]


def directions(rule: Rule, zones: Mapping[str, Zone]) -> tuple[Direction, ...]:
    """Where connections of `rule` go: from an external zone inbound, to one outbound, between others inside.

    Between two external zones is both: what comes from outside, and what leaves for it.
    """
    found = set()
    for source in _external(rule.sources, zones):
        for destination in _external(rule.destinations, zones):
            if source:
                found.add("inbound")
            if destination:
                found.add("outbound")
            if not source and not destination:
                found.add("inside")
    return tuple(word for word in _DIRECTIONS if word in found)


def _external(names: tuple[str, ...], zones: Mapping[str, Zone]) -> set[bool]:
    if ANY in names:
        return {zone.external for zone in zones.values()}
    return {name in zones and zones[name].external for name in names}


class Variant(msgspec.Struct, frozen=True):
    """A profile as it is for connections of some directions: what signatures do under it is one column of actions."""

    profile: str
    directions: tuple[Direction, ...]


def variants(rules: Iterable[RuleInfo]) -> tuple[tuple[Variant, ...], dict[int, int]]:
    """The variants that rules need, and which of them is that of a rule, by its number. They count from 1: 0 is what
    is looked at and never acted upon."""
    found: dict[Variant, int] = {}
    of_rule: dict[int, int] = {}
    for rule in rules:
        if rule.inspect:
            variant = Variant(rule.inspect, rule.directions)
            of_rule[rule.number] = found.setdefault(variant, len(found) + 1)
    return tuple(found), of_rule


def words_of_reaction(found: Reaction) -> str:
    """What it speaks of: `severity 1 inbound`."""
    return f"{words_of_signatures(found.signatures)} {found.direction}".strip()


def words_of_threshold(found: Threshold) -> str:
    """`sid 2001219: at most 1/hour per source`."""
    unit, number = next((unit, found.seconds // size) for unit, size in _UNITS if found.seconds % size == 0)
    span = unit if number == 1 else f"{number} {unit}s"
    kind = found.kind.replace("-", " ")
    return f"{words_of_signatures(found.signatures)}: {kind} {found.count}/{span} per {found.per}"


def words_of_signatures(meant: Signatures) -> str:
    """As the policy text says it."""
    if meant.sid:
        return f"sid {meant.sid}" if meant.gid == 1 else f"sid {meant.gid}:{meant.sid}"
    if meant.category:
        return f"category {meant.category}"
    if meant.feed:
        return f"feed {meant.feed}"
    return f"severity {meant.severity}" if meant.severity else ANY
