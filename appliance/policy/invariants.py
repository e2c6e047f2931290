"""What an invariant forbids, as questions to the prover; and what the answers mean.

`never: a -> b` speaks of the first packets of connections as the filter meets them: after destination NAT and
anti-spoofing. A side is a zone (every packet of it), or an object: its addresses, in the zones where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.policy.addresses import intersection
from appliance.policy.decide import Packet
from appliance.policy.model import (
    ANY,
    EVERYTHING,
    GATEWAY,
    AddressSet,
    Invariant,
    Object,
    Policy,
    Rule,
    ServiceEntry,
    Zone,
)
from appliance.policy.places import Ranges, beginners, honest, places
from appliance.policy.proof import Change, Finding, Region, Witness
from appliance.policy.translated import Translations, cuboid_of_region


class Question(msgspec.Struct, frozen=True):
    """Is anything of this allowed? `rule` says of what: as if it were a rule. `statement` is whose question it is."""

    statement: Invariant
    rule: Rule


def questions(policy: Policy) -> tuple[Question, ...]:
    """Everything that the invariants of a policy forbid."""
    where = places(policy.zones)
    return tuple(
        Question(statement, rule)
        for statement in policy.invariants
        for rule in _forbidden(statement, policy.zones, policy.objects, where)
    )


def _forbidden(
    statement: Invariant, zones: Mapping[str, Zone], objects: Mapping[str, Object], where: Mapping[str, Ranges]
) -> list[Rule]:
    found: list[Rule] = []
    destinations = _grouped(_sides(statement.destinations, zones, objects, where))
    for zone, wanted in _sides(statement.sources, zones, objects, where):
        home = zones.get(zone)
        for to_zones, right in destinations.items():
            leaving = tuple(name for name in to_zones if name != GATEWAY or zone != GATEWAY)
            for target in _split(leaving):
                sources = [(honest(home, wanted), statement.services)]
                if target == (GATEWAY,):
                    sources += [
                        (ranges, services)
                        for ranges, entries in beginners(home, wanted)
                        if (services := common_services(entries, statement.services))
                    ]
                found += [
                    Rule(statement.id, (zone,), target, AddressSet(source), AddressSet(right), services, "deny")
                    for source, services in sources
                    if source and right
                ]
    return found


def _split(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The zones, and the gateway by itself."""
    others = tuple(name for name in names if name != GATEWAY)
    return [part for part in (others, (GATEWAY,) if GATEWAY in names else ()) if part]


def _sides(
    names: Sequence[str], zones: Mapping[str, Zone], objects: Mapping[str, Object], where: Mapping[str, Ranges]
) -> list[tuple[str, Ranges]]:
    """The zones that one side speaks of, and of which addresses in them."""
    found: dict[tuple[str, Ranges], None] = {}
    for name in names:
        if name == ANY:
            found.update({(zone, EVERYTHING.ranges): None for zone in zones})
        elif name in zones or name == GATEWAY:
            found[name, EVERYTHING.ranges] = None
        elif name in objects:
            addresses = objects[name].addresses
            for zone, here in where.items():
                # What DNS names stand for is known only later: any address that can be there.
                there = here if addresses.dynamic else intersection(addresses.ranges, here)
                if there:
                    found[zone, there] = None
    return list(found)


def _grouped(sides: Iterable[tuple[str, Ranges]]) -> dict[tuple[str, ...], Ranges]:
    """Zones with the same addresses together."""
    rows: dict[Ranges, list[str]] = {}
    for zone, ranges in sides:
        rows.setdefault(ranges, []).append(zone)
    return {tuple(names): ranges for ranges, names in rows.items()}


# --- what the answers mean ----------------------------------------------------------------------------


def breaches(policy: Policy, answers: Iterable[tuple[Question, Change]]) -> tuple[Finding, ...]:
    """The findings about the rules that let through what is asked: the first for each rule and invariant.

    An answer's `old_rule` is who lets the region through. Packets that cannot be because destination NAT takes them
    elsewhere are none.
    """
    translations = Translations(policy.destination_nat, places(policy.zones))
    found: dict[tuple[str, str], Finding] = {}
    for question, answer in answers:
        statement, rule = question.statement, answer.old_rule
        known = found.get((statement.id, rule))
        if rule in statement.excepted or (known is not None and known.witness is not None and known.witness.nat):
            continue
        witness = met(policy, answer.region, answer.witness, translations)
        if witness is not None and (known is None or witness.nat):
            found[statement.id, rule] = Finding("invariant", rule, (), statement.id, witness, answer.region)
    return tuple(found.values())


def met(policy: Policy, region: Region, witness: Witness, translations: Translations) -> Witness | None:
    """A packet of a region that the filter really meets; one that a published service leads there comes first."""
    sent = translations.sent(region)
    if sent is not None:
        packet = _packet(policy, region, tuple(first for first, _ in sent.seen), witness.packet)
        published = (sent.address, sent.port)
        return msgspec.structs.replace(witness, packet=packet, published=published, nat=sent.nat)
    boxes = translations.untouched(region)
    if boxes == [cuboid_of_region(region)]:
        return witness
    if not boxes:
        return None
    return msgspec.structs.replace(
        witness, packet=_packet(policy, region, tuple(first for first, _ in boxes[0]), witness.packet)
    )


def _packet(policy: Policy, region: Region, point: tuple[int, ...], like: Packet) -> Packet:
    """The packet at a point of a region, entering and leaving as `like`."""
    source, destination, protocol, key, origin = point
    version = region.source.version
    controls = protocol == (1 if version == 4 else 58)
    return msgspec.structs.replace(
        like,
        version=version,
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=0 if controls else origin,
        destination_port=0 if controls else key,
        icmp_type=key >> 8 if controls else 0,
        icmp_code=key & 255 if controls else 0,
    )


def common_services(left: tuple[ServiceEntry, ...], right: tuple[ServiceEntry, ...]) -> tuple[ServiceEntry, ...]:
    """What two lists of services have in common."""
    return tuple(found for a in left for b in right if (found := _common_entry(a, b)) is not None)


def _common_entry(a: ServiceEntry, b: ServiceEntry) -> ServiceEntry | None:
    if a.protocol is None:
        return b
    if b.protocol is None:
        return a
    ports = max(a.ports[0], b.ports[0]), min(a.ports[1], b.ports[1])
    sources = max(a.source_ports[0], b.source_ports[0]), min(a.source_ports[1], b.source_ports[1])
    icmp = max(a.icmp[0], b.icmp[0]), min(a.icmp[1], b.icmp[1])
    same_code = a.code is None or b.code is None or a.code == b.code
    if a.protocol != b.protocol or not same_code or any(x > y for x, y in (ports, sources, icmp)):
        return None
    return ServiceEntry(a.protocol, ports, sources, icmp, b.code if a.code is None else a.code)
