"""What a baseline demands of a site, as questions to the prover; and what weakens it (R9).

The rules that a baseline puts first are its demands. What such a rule denies, no rule of the site may allow; what
it allows, no rule of the site may deny, and no translation of the site may lead elsewhere. Its rules under `last` are
defaults, which a site may decide otherwise. A rule with a limit demands nothing: whether it holds depends on
the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

import msgspec

from appliance.policy.addresses import LAST, intersection
from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.cuboids import Cuboid
from appliance.policy.decide import Packet, World, first_match
from appliance.policy.lexicon import cuboid_of
from appliance.policy.model import ANY, GATEWAY, Policy, Range, Rule
from appliance.policy.places import places
from appliance.policy.proof import Change, Finding, Witness
from appliance.policy.schedule import windows
from appliance.policy.translated import Translations

_YEAR = 366 * 86400
_EVERYWHERE = frozenset({Range(4, 0, LAST[4]), Range(6, 0, LAST[6])})


def demands(policy: Policy) -> tuple[Rule, ...]:
    """The rules that baselines demand of a site, in their order."""
    return tuple(
        rule
        for rule in policy.rules
        if rule.origin == "baseline-first" and rule.enabled and not (rule.rate or rule.connections)
    )


def name_of(demand: Rule) -> str:
    """The baseline that a demand comes from."""
    return PurePath(demand.span.file).stem if demand.span is not None else ""


def weakened(policy: Policy, answers: Iterable[tuple[Rule, Change]]) -> tuple[Finding, ...]:
    """Findings about rules that decide a demand's packets otherwise: one for each rule and demand.

    An answer's `old_rule` and `old_action` are who decides the region, and how.
    """
    own = {rule.id for rule in policy.rules if rule.origin == "baseline-first"}
    translations = Translations(policy.destination_nat, places(policy.zones))
    found: dict[tuple[str, str], Finding] = {}
    for demand, answer in answers:
        against = (answer.old_action == "allow") != (demand.action == "allow")
        if not against or answer.old_rule in own or (answer.old_rule, demand.id) in found:
            continue
        if demand.action == "allow" and not translations.untouched(answer.region):
            continue
        found[answer.old_rule, demand.id] = Finding(
            "baseline", answer.old_rule, (demand.id,), name_of(demand), answer.witness, answer.region
        )
    return tuple(found.values())


def diverted(policy: Policy, required: Iterable[Rule], now: int) -> tuple[Finding, ...]:
    """Findings about translations that lead elsewhere what a demand allows."""
    found: list[Finding] = []
    where = places(policy.zones)
    for demand in required:
        if demand.action != "allow" or (demand.expires_at and demand.expires_at <= now):
            continue
        for nat in policy.destination_nat:
            entering = [name for name in _zones(demand.sources, policy) if name != GATEWAY]
            boxes = (
                (source, target, part, box)
                for source in entering
                if source in nat.sources or ANY in nat.sources or source in nat.hairpin_zones
                for target in _zones(demand.destinations, policy)
                for part in intersection(demand.destination.ranges, where[target])
                if part.version == nat.to.version
                for box in Translations([nat], where).taken(source, part.version, _area(demand, part))
            )
            witness = next(
                (
                    packet
                    for source, target, part, box in boxes
                    if (packet := _witness(policy, demand, source, target, part.version, box, now)) is not None
                ),
                None,
            )
            if witness is not None:
                told = msgspec.structs.replace(
                    witness, nat=nat.id, published=(witness.packet.destination, witness.packet.destination_port)
                )
                found.append(Finding("baseline", nat.id, (demand.id,), name_of(demand), told, None))
    return tuple(found)


def _zones(names: tuple[str, ...], policy: Policy) -> list[str]:
    return list(policy.zones) if ANY in names else list(names)


def _area(demand: Rule, destination: Range) -> list[Cuboid]:
    sources = [Range(destination.version, 0, LAST[destination.version])] if demand.source.dynamic else [
        part for part in demand.source.ranges if part.version == destination.version
    ]  # fmt: skip
    return [
        ((source.first, source.last), (destination.first, destination.last), *service)
        for source in sources
        for entry in demand.services
        for service in cuboid_of(entry)
    ]


def _witness(
    policy: Policy, demand: Rule, source: str, target: str, version: int, box: Cuboid, now: int
) -> Witness | None:
    """The packet at the low corner, if the demand would decide it without any translation."""
    values = [first for first, _ in box]
    protocol, key = values[2], values[3]
    controls = protocol == icmp_protocol(version)
    packet = Packet(
        version, _interface(policy, source), _interface(policy, target), values[0], values[1], protocol,
        values[4] if protocol in PORT_PROTOCOLS else 0, 0 if controls else key,
        key >> 8 if controls else 0, key & 255 if controls else 0,
    )  # fmt: skip
    moment = now
    if demand.when:
        coming = windows(policy.schedules[demand.when], now, now + _YEAR)
        if not coming:
            return None
        moment = coming[0][0]
    members: Mapping[str, frozenset[Range]] = dict.fromkeys((*demand.people, *demand.source.dynamic), _EVERYWHERE)
    decides = first_match(policy, packet, World(moment, members))
    return Witness(packet, source, target, moment) if decides is not None and decides.id == demand.id else None


def _interface(policy: Policy, zone: str) -> str:
    known = policy.zones.get(zone)
    return known.interfaces[0] if known is not None and known.interfaces else ""
