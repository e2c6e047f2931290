"""The space of first packets, and rules as unions of boxes in it.

The axes are those of `ctypes_ext.boxes`: zone pair, source, destination, service, source port, person, second. A
*side* is one policy: a proof has one, a comparison an old one and a new one in the same space. Zones are told apart
by their names; a zone without an interface has no packets. What only the running gateway knows is a *condition*:

    ("source", names)        the source is an address of these DNS names    ("destination", names) likewise
    ("over", id, limits)     the limit of this rule is exceeded

A condition that several rules share is a bit of the boxes, so that it means the same in all of them. One of a single
rule needs none: it may hold or not whatever else is true, and the row is marked `optional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from appliance.policy.model import ANY, GATEWAY, Connections, Policy, Rate, Rule, Schedule
from appliance.policy.proving.timeline import Timeline, timeline
from ctypes_ext import _rulewords as rulewords

SERVICES = (0, (256 << 16) - 1)
PORTS = (0, 65535)
MAX_BITS = 64
Interval = tuple[int, int]
Condition = tuple[str, str | tuple[str, ...], Rate | None, Connections | None]


class Entry(NamedTuple):
    """A rule of one side or of both (`boxes.OLD`, `NEW`, `BOTH`); `policy` is the one whose words it uses."""

    rule: Rule
    side: int
    policy: Policy


class Vocabulary(msgspec.Struct, frozen=True):
    """What the axes count, and which conditions have bits."""

    zones: tuple[str, ...]  # zones[0] is the gateway
    any_zone: tuple[Interval, ...]  # by side - 1: the zones of that policy; () of BOTH: those of either
    people: tuple[str, ...]  # people[0] is nobody
    timeline: Timeline
    bits: dict[Condition, int]  # the number of the bit
    crowded: tuple[Condition, ...]  # shared conditions for which there was no bit


def conditional(rule: Rule) -> bool:
    """Whether a rule says anything but zones, addresses and services."""
    return bool(
        rule.people
        or rule.when
        or rule.expires_at
        or rule.rate
        or rule.connections
        or rule.source.dynamic
        or rule.destination.dynamic
    )


def conditional_at(rules: Sequence[Rule]) -> list[int]:
    """The places of the rules that are `conditional`."""
    return rulewords.conditional(rules)


def conditions(rule: Rule, policy: Policy) -> list[Condition]:
    """The conditions that a rule may depend on."""
    found: list[Condition] = []
    if not (rule.source.dynamic or rule.destination.dynamic or rule.rate or rule.connections):
        return found
    for side, where in (("source", rule.source), ("destination", rule.destination)):
        found.extend(dns_condition(side, name, policy) for name in where.dynamic)
    if rule.rate or rule.connections:
        found.append(over_condition(rule))
    return found


def dns_condition(side: str, name: str, policy: Policy) -> Condition:
    dynamic = policy.dynamics.get(name)
    return (side, (name, *(dynamic.names if dynamic is not None else ())), None, None)


def over_condition(rule: Rule) -> Condition:
    return ("over", rule.id, rule.rate, rule.connections)


def vocabulary(
    policies: Sequence[Policy], entries: Iterable[Entry], now: int, known: Vocabulary | None = None
) -> Vocabulary:
    """The words of one policy, or of an old and a new one; `entries` are the rules that are `conditional`.

    What `known` has bits for keeps them where it can.
    """
    entries = list(entries)
    zones, spans = _zones(policies)
    schedules = tuple(dict.fromkeys(entry.policy.schedules[entry.rule.when] for entry in entries if entry.rule.when))
    ends = {entry.rule.expires_at for entry in entries}
    time = timeline(schedules, ends, now) if known is None or not _same_time(known, schedules, ends, now) else None
    line = known.timeline if time is None and known is not None else time
    assert line is not None
    uses: dict[Condition, int] = {}
    for entry in entries:
        for condition in set(conditions(entry.rule, entry.policy)):
            uses[condition] = uses.get(condition, 0) + 1
    shared = [condition for condition, count in uses.items() if count > 1]
    bits: dict[Condition, int] = {}
    if known is not None:
        bits = {condition: bit for condition, bit in known.bits.items() if uses.get(condition, 0) > 1}
    free = [bit for bit in range(MAX_BITS) if bit not in set(bits.values())]
    for condition, bit in zip((item for item in shared if item not in bits), free, strict=False):
        bits[condition] = bit
    crowded = tuple(condition for condition in shared if condition not in bits)
    return Vocabulary(zones, spans, _people(policies, entries), line, bits, crowded)


def _same_time(known: Vocabulary, schedules: tuple[Schedule, ...], ends: set[int], now: int) -> bool:
    """Whether a timeline serves again: the same schedules, and nothing ends behind it that would make it longer."""
    line = known.timeline
    old = line.schedules + line.loose
    return now == line.now and schedules == old and all(end <= now + line.last for end in ends)


def _zones(policies: Sequence[Policy]) -> tuple[tuple[str, ...], tuple[Interval, ...]]:
    old = [zone.name for zone in policies[0].zones.values() if zone.interfaces]
    new = [zone.name for zone in policies[-1].zones.values() if zone.interfaces]
    common = [name for name in old if name in set(new)]
    gone = [name for name in old if name not in set(new)]
    come = [name for name in new if name not in set(old)]
    names = (GATEWAY, *gone, *common, *come)
    spans = ((1, len(old)), (len(gone) + 1, len(names) - 1), (1, len(names) - 1))
    return names, spans


def _people(policies: Sequence[Policy], entries: Sequence[Entry]) -> tuple[str, ...]:
    """Everybody that a rule may mean, ordered so that the members of a group stand together where that can be."""
    groups: dict[str, list[int]] = {}
    named = dict.fromkeys((stem, id(entry.policy)) for entry in entries for stem in entry.rule.people)
    for number, (stem, policy) in enumerate(named):
        owner = next(item for item in policies if id(item) == policy)
        dynamic = owner.dynamics.get(stem)
        for name in dynamic.names if dynamic is not None else ():
            groups.setdefault(name, []).append(number)
    return ("", *sorted(groups, key=lambda name: (groups[name], name)))


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Disjoint, sorted, not adjacent intervals of the same union."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            if last > found[-1][1]:
                found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def zone_pairs(vocabulary: Vocabulary, sources: Sequence[str], destinations: Sequence[str], side: int) -> list[int]:
    """Boxes (from low, from high, to low, to high) of a rule's zones; the gateway never speaks to itself."""
    left = _zone_intervals(vocabulary, sources, side)
    right = _zone_intervals(vocabulary, destinations, side)
    found: list[int] = []
    for a in left:
        for b in right:
            if a[0] == b[0] == 0:
                if b[1] > 0:
                    found += (0, 0, 1, b[1])
                if a[1] > 0:
                    found += (1, a[1], 0, b[1])
            else:
                found += (*a, *b)
    return found


def _zone_intervals(vocabulary: Vocabulary, names: Sequence[str], side: int) -> list[Interval]:
    found: list[Interval] = []
    for name in names:
        if name == ANY:
            span = vocabulary.any_zone[side - 1]
            if span[0] <= span[1]:
                found.append(span)
        elif name in vocabulary.zones:
            number = vocabulary.zones.index(name)
            found.append((number, number))
    return merged(found)


def people_intervals(vocabulary: Vocabulary, stems: Sequence[str], policy: Policy) -> list[Interval]:
    """Who a rule's people are; everyone and nobody when it names none."""
    if not stems:
        return [(0, len(vocabulary.people) - 1)]
    number = {name: index for index, name in enumerate(vocabulary.people)}
    found = {number[name] for stem in stems if stem in policy.dynamics for name in policy.dynamics[stem].names}
    return merged((index, index) for index in found)
