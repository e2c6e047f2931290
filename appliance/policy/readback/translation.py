"""What the policy means by NAT, as programs to compare: destination NAT before routing, source NAT after it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.decide import zone_of
from appliance.policy.model import ANY, GATEWAY, DestinationNat, Policy, Range, ServiceEntry, SourceNat
from appliance.policy.readback.expected import ALWAYS, Case, Decided, addresses_of, services_of
from appliance.policy.readback.packets import EVERY, Place, Values, common
from appliance.policy.readback.registers import TRANSLATED

UNTOUCHED = Decided("no translation", "")
_TCP_UDP: Values = ((6, 6), (17, 17))


def before_routing(policy: Policy, place: Place) -> list[Case]:
    """Destination NAT for what enters at a place."""
    cases: list[Case] = []
    zone = zone_of(policy, place.entering)
    for rule in policy.destination_nat:
        zones = (*rule.sources, *(rule.hairpin_zones if rule.hairpin else ()))
        if not place.entering or not _among(zone, zones) or rule.to.version != place.version:
            continue
        for source, in_source in addresses_of(rule.source, place.version, "source"):
            for destination, in_destination in addresses_of(rule.destination, place.version, "destination"):
                for entry in rule.services:
                    decided = Decided(f"dnat to {target(rule.to, _ports(rule, entry))}", rule.id)
                    for protocol, key, source_port in services_of((entry,), place.version):
                        product = (source, destination, protocol, key, source_port, None, None)
                        cases.append(Case(product, in_source | in_destination, decided))
    return [*cases, Case(EVERY, ALWAYS, UNTOUCHED)]


def after_routing(policy: Policy, place: Place) -> list[Case]:
    """Source NAT for what leaves at a place: hairpin first, then the rules in order."""
    cases: list[Case] = []
    for published in policy.destination_nat:
        cases += _hairpin(policy, published, place)
    zone = zone_of(policy, place.leaving)
    for rule in policy.source_nat:
        if rule.out == zone and place.leaving and (rule.to is None or rule.to.version == place.version):
            cases += _source(rule, place)
    return [*cases, Case(EVERY, ALWAYS, UNTOUCHED)]


def _hairpin(policy: Policy, rule: DestinationNat, place: Place) -> Iterator[Case]:
    zone = zone_of(policy, place.entering)
    shared = place.entering and zone == zone_of(policy, place.leaving) and zone in rule.hairpin_zones
    if not rule.hairpin or not shared or rule.to.version != place.version:
        return
    inside: Values = ((rule.to.first, rule.to.last),)
    for original, literals in addresses_of(rule.destination, place.version, "original"):
        product = (None, inside, None, None, None, None, original)
        yield Case(product, literals | {(TRANSLATED, True)}, Decided("masquerade", rule.id))


def _source(rule: SourceNat, place: Place) -> Iterator[Case]:
    for entry in rule.services:
        for source, in_source in addresses_of(rule.source, place.version, "source"):
            for destination, in_destination in addresses_of(rule.destination, place.version, "destination"):
                for protocol, key, source_port in services_of((entry,), place.version):
                    product = (source, destination, protocol, key, source_port, None, None)
                    literals = in_source | in_destination
                    plain = "no translation" if rule.exempt else _words(rule, None)
                    if rule.exempt or rule.ports is None or entry.protocol not in (None, *PORT_PROTOCOLS):
                        yield Case(product, literals, Decided(plain, rule.id))
                    elif entry.protocol is None:
                        with_ports = common(protocol, _TCP_UDP)
                        yield Case(
                            (source, destination, with_ports, key, source_port, None, None),
                            literals,
                            Decided(_words(rule, rule.ports), rule.id),
                        )
                        yield Case(product, literals, Decided(plain, rule.id))
                    else:
                        yield Case(product, literals, Decided(_words(rule, rule.ports), rule.id))


def _words(rule: SourceNat, ports: tuple[int, int] | None) -> str:
    if rule.to is None:
        return f"masquerade{f' to ports {ports[0]}-{ports[1]}' if ports is not None else ''}"
    return f"snat to {target(rule.to, ports)}"


def _ports(rule: DestinationNat, entry: ServiceEntry) -> tuple[int, int] | None:
    return rule.to_ports if entry.protocol in PORT_PROTOCOLS else None


def target(to: Range, ports: tuple[int, int] | None) -> str:
    """An address range and a port range, as the kernel's registers hold them: hexadecimal."""
    size = 4 if to.version == 4 else 16
    words = f"{to.first.to_bytes(size, 'big').hex()}-{to.last.to_bytes(size, 'big').hex()}"
    return words if ports is None else f"{words}:{ports[0]:04x}-{ports[1]:04x}"


def _among(zone: str, zones: tuple[str, ...]) -> bool:
    return bool(zone) and (zone in zones or (ANY in zones and zone != GATEWAY))
