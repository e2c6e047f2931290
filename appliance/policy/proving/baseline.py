"""What a baseline demands of a site, as questions to the prover; and what weakens it (R9).

The rules that a baseline puts first are its demands. What such a rule denies, no rule of the site may allow; what
it allows, no rule of the site may deny, and no translation of the site may lead elsewhere. Its rules under `last` are
defaults, which a site may decide otherwise. A rule with a limit demands nothing: whether it holds depends on
the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

import msgspec

from appliance.policy.addresses import LAST, intersection
from appliance.policy.decide import World, first_match
from appliance.policy.model import ANY, EVERYTHING, GATEWAY, Policy, Range, Rule
from appliance.policy.proving.cuboids import Cuboid
from appliance.policy.proving.invariants import regions_of
from appliance.policy.proving.places import honest, places
from appliance.policy.proving.points import nearest, packet_at
from appliance.policy.proving.proof import Finding, Region, Witness
from appliance.policy.proving.translated import Translations
from appliance.policy.schedule import windows

_YEAR = 366 * 86400
_EVERYWHERE = frozenset({Range(4, 0, LAST[4]), Range(6, 0, LAST[6])})


def demands(policy: Policy) -> tuple[Rule, ...]:
    """The rules that baselines demand of a site, in their order: they stand before all others."""
    first = takewhile(lambda rule: rule.origin == "baseline-first", policy.rules)
    return tuple(rule for rule in first if rule.enabled and not (rule.rate or rule.connections))


def name_of(demand: Rule) -> str:
    """The baseline that a demand comes from."""
    return demand.span.file.rpartition("/")[2].removesuffix(".yaml") if demand.span is not None else ""


def area(demand: Rule, policy: Policy) -> tuple[Region, ...]:
    """Everything that a demand speaks of, at this site. What DNS names stand for may be any address."""
    source, destination = (
        EVERYTHING.ranges if where.dynamic else where.ranges for where in (demand.source, demand.destination)
    )
    return tuple(
        region
        for left in _zones(demand.sources, policy)
        for right in _zones(demand.destinations, policy)
        if not left == right == GATEWAY
        for region in regions_of(left, right, honest(policy.zones.get(left), source), destination, demand.services)
    )


def diverted(policy: Policy, required: Iterable[Rule], now: int) -> tuple[Finding, ...]:
    """Findings about translations that lead elsewhere what a demand allows."""
    found: list[Finding] = []
    where = places(policy.zones)
    for demand in required:
        if demand.action != "allow" or (demand.expires_at and demand.expires_at <= now):
            continue
        for nat in policy.destination_nat:
            translations = Translations([nat], where)
            packets = (
                _witness(policy, demand, region, box, now)
                for region in area(demand, policy)
                if region.source.version == nat.to.version
                for place in intersection((region.destination,), where[region.to_zone])
                for box in translations.taken(msgspec.structs.replace(region, destination=place))
            )
            witness = next((packet for packet in packets if packet is not None), None)
            if witness is not None:
                told = msgspec.structs.replace(
                    witness, nat=nat.id, published=(witness.packet.destination, witness.packet.destination_port)
                )
                found.append(Finding("baseline", nat.id, (demand.id,), name_of(demand), told, None))
    return tuple(found)


def _zones(names: tuple[str, ...], policy: Policy) -> list[str]:
    return list(policy.zones) if ANY in names else list(names)


def _witness(policy: Policy, demand: Rule, region: Region, box: Cuboid, now: int) -> Witness | None:
    """The packet at the low corner, if the demand would decide it without any translation."""
    packet = packet_at(policy, region, nearest(box, (0, 0, 6, 0, 50_000)))
    moment = now
    if demand.when:
        coming = windows(policy.schedules[demand.when], now, now + _YEAR)
        if not coming:
            return None
        moment = coming[0][0]
    members: Mapping[str, frozenset[Range]] = dict.fromkeys((*demand.people, *demand.source.dynamic), _EVERYWHERE)
    decides = first_match(policy, packet, World(moment, members))
    return (
        Witness(packet, region.from_zone, region.to_zone, moment)
        if decides is not None and decides.id == demand.id
        else None
    )
