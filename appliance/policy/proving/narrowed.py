"""Two policies without the rules that cannot matter where they differ.

Only packets of a rule that changed can be decided otherwise. A rule that shares no source or no destination with any
of those decides none of them, so the comparison need not look at it. After an edit of one rule of ten thousand
little is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.policy.addresses import LAST
from appliance.policy.model import AddressSet, Policy, Range, Rule

_MANY = 64  # rules that changed: with more, most of the others would matter anyway
_WHOLE = (0, LAST[6])
Hull = tuple[int, int]  # of addresses: those of IPv4 are numbers among those of IPv6, which only keeps more


def narrowed(old: Policy, new: Policy) -> tuple[Policy, Policy]:
    """The two policies with the rules that can matter to their difference."""
    if old.zones != new.zones or old.dynamics != new.dynamics or old.schedules != new.schedules:
        return old, new
    first, last = _alike(old.rules, new.rules)
    before, after = old.rules[first : len(old.rules) - last], new.rules[first : len(new.rules) - last]
    changed = _changed(before, after)
    if len(changed) > _MANY or old.settings.log_default != new.settings.log_default:
        return old, new
    near = _Near(changed)
    above, below = near.of(new.rules[:first]), near.of(new.rules[len(new.rules) - last :])
    return (
        msgspec.structs.replace(old, rules=(*above, *near.of(before), *below)),
        msgspec.structs.replace(new, rules=(*above, *near.of(after), *below)),
    )


def _alike(old: Sequence[Rule], new: Sequence[Rule]) -> tuple[int, int]:
    """How many rules are the same at the beginning, and at the end."""
    first = last = 0
    shorter = min(len(old), len(new))
    while first < shorter and (old[first] is new[first] or old[first] == new[first]):
        first += 1
    while last < shorter - first and (old[-1 - last] is new[-1 - last] or old[-1 - last] == new[-1 - last]):
        last += 1
    return first, last


def _changed(old: Sequence[Rule], new: Sequence[Rule]) -> list[Rule]:
    """The rules that only one side has, or that stand elsewhere among the others."""
    before, after = {rule.id: rule for rule in old}, {rule.id: rule for rule in new}
    common = {ident for ident, rule in before.items() if ident in after and after[ident] == rule}
    if [ident for ident in before if ident in common] != [ident for ident in after if ident in common]:
        common = set()
    return [rule for side in (before, after) for ident, rule in side.items() if ident not in common]


class _Near:
    """Knows which rules share addresses on both sides with one of a few."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._hulls = [(_hull(rule.source), _hull(rule.destination)) for rule in rules]
        self._low = min((left[0] for left, _ in self._hulls), default=1)
        self._high = max((left[1] for left, _ in self._hulls), default=0)

    def of(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        low, high = self._low, self._high
        found = []
        for rule in rules:
            where = rule.source
            ranges = where.ranges
            # Most rules name one network or address, and most of those are elsewhere.
            if len(ranges) == 1 and not where.dynamic and (ranges[0].last < low or ranges[0].first > high):
                continue
            source, destination = _hull(where), _hull(rule.destination)
            for left, right in self._hulls:
                if (
                    source[0] <= left[1]
                    and left[0] <= source[1]
                    and destination[0] <= right[1]
                    and right[0] <= destination[1]
                ):
                    found.append(rule)
                    break
        return tuple(found)


def _hull(where: AddressSet) -> Hull:
    """An interval around all addresses; everything where DNS names may add some."""
    ranges: tuple[Range, ...] = where.ranges
    if where.dynamic or not ranges:
        return _WHOLE
    if len(ranges) == 1:
        return ranges[0].first, ranges[0].last
    return min(part.first for part in ranges), max(part.last for part in ranges)
