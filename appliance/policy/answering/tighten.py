"""What a rule could be narrowed to without losing anything that it was seen to match. A proposal: nothing applies it.

rule and what it matched → fewer zones, addresses, services → the edit of the text that would say so
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from appliance.policy.answering.covering import Address, Key, cover_addresses, cover_services, size
from appliance.policy.boxes import ICMP, ICMPV6, PORT_PROTOCOLS
from appliance.policy.model import ANY, AddressSet, Object, Policy, Range, Rule, Service, ServiceEntry
from appliance.policy.written import edit
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.services import WELL_KNOWN, entries_of

MOST = 16  # words of one key; more than that nobody reads
# A proposal must take away at least this part of what the key stands for.
_WORTH = 0.5

Field = Literal["from", "to", "source", "destination", "service"]
FIELDS: tuple[Field, ...] = ("from", "to", "source", "destination", "service")
PUBLISHED: tuple[Field, ...] = ("source",)


class Seen(NamedTuple):
    """Connections that a rule decided: `times` of them between the same two, the last at `last` (epoch seconds).

    Addresses and port as the rule judges them: the destination after translation. `port` is the destination port or,
    of ICMP, the type; 0 where there is neither. A zone that is not known is "".
    """

    version: int
    source: int
    destination: int
    protocol: int
    port: int
    origin: str = ""
    target: str = ""
    times: int = 1
    last: float = 0.0


class Narrowing(msgspec.Struct, frozen=True):
    """One key: the words that stand there, and those that would do. `values` is how many different ones were seen."""

    field: Field
    before: tuple[str, ...]
    after: tuple[str, ...]
    values: int


class Suggestion(msgspec.Struct, frozen=True):
    """How a rule could be narrowed. `flows` connections were seen, between `first` and `last` of what was given."""

    rule: str
    flows: int
    changes: tuple[Narrowing, ...]
    narrowed: Rule


def tighten(
    rule: Rule, seen: Iterable[Seen], policy: Policy, most: int = MOST, fields: Collection[Field] = FIELDS
) -> Suggestion:
    """The narrowest readable rule that matches all of `seen` which `rule` matches. With nothing seen, no changes.

    Only `fields` are narrowed: of a published service, whose other keys say what is published, the `source`.
    """
    matched = [one for one in seen if matches(rule, one)]
    changes: list[Narrowing] = []
    smaller = rule
    if matched:
        for zones in (_zones("from", rule, matched), _zones("to", rule, matched)):
            if zones is not None and zones.field in fields:
                changes.append(zones)
                key = "sources" if zones.field == "from" else "destinations"
                smaller = msgspec.structs.replace(smaller, **{key: zones.after})
        # People are matched by their source, which is another tomorrow.
        if "source" in fields and not rule.people and (found := _addresses("source", rule, matched, policy, most)):
            changes.append(found[0])
            smaller = msgspec.structs.replace(smaller, source=found[1], said_source=found[0].after)
        if "destination" in fields and (found := _addresses("destination", rule, matched, policy, most)):
            changes.append(found[0])
            smaller = msgspec.structs.replace(smaller, destination=found[1], said_destination=found[0].after)
        if "service" in fields and (services := _services(rule, matched, policy, most)):
            changes.append(services[0])
            smaller = msgspec.structs.replace(smaller, services=services[1], said_service=services[0].after)
    return Suggestion(rule.id, sum(one.times for one in matched), tuple(changes), smaller)


def matches(rule: Rule, one: Seen) -> bool:
    """Whether a rule's zones, addresses and services hold what was seen; a zone that is not known is in any."""
    return (
        (not one.origin or ANY in rule.sources or one.origin in rule.sources)
        and (not one.target or ANY in rule.destinations or one.target in rule.destinations)
        and _in(rule.source, one.version, one.source)
        and _in(rule.destination, one.version, one.destination)
        and any(_entry_matches(entry, one) for entry in rule.services)
    )


def _in(where: AddressSet, version: int, number: int) -> bool:
    return bool(where.dynamic) or any(
        part.version == version and part.first <= number <= part.last for part in where.ranges
    )


def _entry_matches(entry: ServiceEntry, one: Seen) -> bool:
    if entry.protocol is None:
        return True
    if entry.protocol != one.protocol:
        return False
    if one.protocol in PORT_PROTOCOLS:
        return entry.ports[0] <= one.port <= entry.ports[1]
    return one.protocol not in (ICMP, ICMPV6) or entry.icmp[0] <= one.port <= entry.icmp[1]


# --- one key ----------------------------------------------------------------------------------------


def _zones(field: Literal["from", "to"], rule: Rule, seen: list[Seen]) -> Narrowing | None:
    before = rule.sources if field == "from" else rule.destinations
    found = {one.origin if field == "from" else one.target for one in seen}
    if "" in found or (ANY not in before and len(found) >= len(before)):
        return None
    after = tuple(sorted(found)) if ANY in before else tuple(zone for zone in before if zone in found)
    return Narrowing(field, before, after, len(found))


def _addresses(
    field: Literal["source", "destination"], rule: Rule, seen: list[Seen], policy: Policy, most: int
) -> tuple[Narrowing, AddressSet] | None:
    bound: AddressSet = getattr(rule, field)
    if bound.dynamic:  # names resolve to other addresses tomorrow
        return None
    found: set[Address] = {(one.version, getattr(one, field)) for one in seen}
    cover = cover_addresses(found, bound.ranges, _objects(policy.objects), most)
    if not _worth(cover.meant.ranges, bound.ranges):
        return None
    before = rule.said_source if field == "source" else rule.said_destination
    return Narrowing(field, before or (ANY,), cover.words, len(found)), cover.meant


def _objects(objects: Mapping[str, Object]) -> dict[str, AddressSet]:
    return {name: found.addresses for name, found in objects.items()}


def _worth(after: tuple[Range, ...], before: tuple[Range, ...]) -> bool:
    """Whether enough goes, of each IP version that stays: IPv6 all gone must not hide that IPv4 stayed as it was."""
    if size(after) >= size(before):
        return False
    for version in {part.version for part in after}:
        kept = size(part for part in after if part.version == version)
        had = size(part for part in before if part.version == version)
        if kept > had * _WORTH:
            return False
    return True


def _services(
    rule: Rule, seen: list[Seen], policy: Policy, most: int
) -> tuple[Narrowing, tuple[ServiceEntry, ...]] | None:
    found: set[Key] = {(one.protocol, one.port) for one in seen}
    own = {name: service.entries for name, service in policy.services.items()}
    cover = cover_services(found, rule.services, own | _well_known(policy.services), most)
    if _ports(cover.meant) > _ports(rule.services) * _WORTH:
        return None
    return Narrowing("service", rule.said_service or (ANY,), cover.words, len(found)), cover.meant


def _well_known(own: Mapping[str, Service]) -> dict[str, tuple[ServiceEntry, ...]]:
    """The names that everybody knows, of one thing each; what the policy calls otherwise keeps its own name."""
    taken = {service.entries for service in own.values()}
    known = {name: tuple(entry for word in words for entry in entries_of(word)) for name, words in WELL_KNOWN.items()}
    return {name: entries for name, entries in known.items() if entries not in taken}


def _ports(entries: tuple[ServiceEntry, ...]) -> int:
    total = 0
    for entry in entries:
        if entry.protocol is None:
            total += 256 << 16
        elif entry.protocol in PORT_PROTOCOLS:
            total += entry.ports[1] - entry.ports[0] + 1
        else:
            total += (entry.icmp[1] - entry.icmp[0] + 1) << 8
    return total


# --- the text ---------------------------------------------------------------------------------------


def narrowed(text: str, ident: str, changes: Iterable[Narrowing]) -> str:
    """The policy text with a rule narrowed, every other line as it is. Raises `EditError`."""
    words: dict[str, tuple[str, ...]] = {change.field: change.after for change in changes}
    return edit.replace(text, ident, edit.with_keys(edit.rule(text, ident), words))


def known_rule(policy: Policy, ident: str) -> Rule:
    """The rule of an id. Raises KeyError with words that say what may be meant."""
    for rule in policy.rules:
        if rule.id == ident:
            return rule
    guess = did_you_mean(ident, [rule.id for rule in policy.rules])
    raise KeyError(guess or "`reef show rules` lists the ids")
