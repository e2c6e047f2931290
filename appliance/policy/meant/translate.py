"""Address translation and published services, resolved."""

from __future__ import annotations

import msgspec

from appliance.policy import addresses
from appliance.policy.addresses import AddressError
from appliance.policy.meant.names import Names
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import (
    ANY,
    GATEWAY,
    AddressSet,
    DestinationNat,
    Range,
    Rule,
    ServiceEntry,
    SourceNat,
)
from appliance.policy.written import services
from appliance.policy.written.document import DestinationNatText, PublishText, RuleText, SourceNatText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.services import ServiceError
from appliance.policy.written.text import Report, Word

PORT_PROTOCOLS = frozenset(services.WITH_PORTS.values())


def _words(word: Word | None) -> str:
    return "" if word is None else word.value


def _single(word: Word, report: Report) -> Range | None:
    if not word.value:
        return None
    try:
        version, number = addresses.address(word.value)
        return Range(version, number, number)
    except AddressError as error:
        report.error(word.at, str(error), error.remedy)
        return None


def _ports(word: Word | None, report: Report) -> tuple[int, int] | None:
    if word is None:
        return None
    try:
        return services.ports(word.value, word.value)
    except ServiceError as error:
        report.error(word.at, str(error), error.remedy)
        return None


def _need_ports(word: Word | None, entries: tuple[ServiceEntry, ...], report: Report) -> None:
    """A port can be translated only for protocols that have ports."""
    if word is not None and any(entry.protocol not in PORT_PROTOCOLS for entry in entries):
        names = ", ".join(services.WITH_PORTS)
        report.error(
            word.at, "a new port, and a service without ports", f"name a service of {names}, or remove the port"
        )


def source_nat(text: SourceNatText, resolver: Resolver, report: Report) -> SourceNat | None:
    """Flows that leave with another source."""
    names = resolver.names
    zone = text.out.value
    if zone and zone not in names.zones:
        guess = did_you_mean(zone, list(names.zones))
        report.error(text.out.at, f"there is no zone `{zone}`", guess or f"the zones are {', '.join(names.zones)}")
    _, source = resolver.addresses(text.source)
    _, destination = resolver.addresses(text.destination)
    _, entries = resolver.services(text.service)
    word = text.to.value
    to: Range | None = None
    if word and word not in ("masquerade", "exempt"):
        try:
            to = addresses.literal(word)
        except AddressError as error:
            report.error(text.to.at, str(error), error.remedy)
    ports = _ports(text.ports, report)
    if text.ports is not None and word == "exempt":
        report.error(text.ports.at, "`exempt` keeps the source, also its port", "remove `ports`")
    else:
        _need_ports(text.ports, entries, report)
    if text.flawed:
        return None
    return SourceNat(
        text.id.value,
        zone,
        source,
        destination,
        entries,
        to,
        ports,
        word == "exempt",
        _words(text.owner),
        _words(text.why),
        0,
        report.span(text.at),
    )


def destination_nat(text: DestinationNatText, resolver: Resolver, report: Report) -> DestinationNat | None:
    """Flows that go to another destination."""
    sources = resolver.zones(text.sources, "from")
    _, source = resolver.addresses(text.source)
    _, destination = resolver.addresses(text.destination)
    _, entries = resolver.services(text.service)
    to = _single(text.to, report)
    if to is not None and destination.ranges and not any(item.version == to.version for item in destination.ranges):
        report.error(text.to.at, f"`{text.to.value}` is IPv{to.version}, the destination is not", "use one version")
    ports = _ports(text.port, report)
    _need_ports(text.port, entries, report)
    if text.flawed or to is None:
        return None
    return DestinationNat(
        text.id.value,
        sources,
        destination,
        entries,
        to,
        ports,
        source,
        owner=_words(text.owner),
        why=_words(text.why),
        span=report.span(text.at),
    )


def publish(text: PublishText, resolver: Resolver, report: Report) -> tuple[Rule | None, tuple[DestinationNat, ...]]:
    """A published service: the rule that allows it, and one translation for each IP version that needs one."""
    names = resolver.names
    outer = _by_version(text.address, "address", report)
    inner = _by_version(text.to, "to", report)
    for version, (_, word) in outer.items():
        if version not in inner:
            report.error(
                word.at,
                f"`{word.value}` has no IPv{version} address to go to",
                "add one to `to`, or remove it from `address`",
            )
    for version, (_, word) in inner.items():
        if version not in outer and outer:
            report.error(
                word.at,
                f"`{word.value}` has no IPv{version} outer address",
                "add one to `address`, or remove it from `to`",
            )
    _, entries = resolver.services(text.service)
    ports = _ports(text.port, report)
    _need_ports(text.port, entries, report)
    if (
        ports is not None
        and text.port is not None
        and any(
            item.protocol in PORT_PROTOCOLS and ports[1] - ports[0] not in (0, item.ports[1] - item.ports[0])
            for item in entries
        )
    ):
        report.error(
            text.port.at,
            "the inner range has another length than the outer",
            "use one port, or ranges of one length",
        )
    sources = resolver.zones(text.sources, "from")
    zone = _inner_zone(text, inner, names, report)
    hairpin = _hairpin(text, zone, names, report)
    rule = _rule(text, resolver, zone, sources, hairpin, inner, entries, ports)
    if text.flawed or rule is None:
        return rule, ()
    nats: list[DestinationNat] = []
    translated = [
        version for version in outer if version in inner and (outer[version][0] != inner[version][0] or ports)
    ]
    _, source = resolver.addresses(text.source)
    for version in translated:
        nats.append(
            DestinationNat(
                text.id.value if len(translated) == 1 else f"{text.id.value}.v{version}",
                sources,
                AddressSet((outer[version][0],)),
                entries,
                inner[version][0],
                ports,
                source,
                bool(hairpin),
                hairpin,
                text.owner.value,
                text.why.value,
                0,
                report.span(text.at),
            )
        )
    return rule, tuple(nats) if rule.enabled else ()


def _by_version(words: tuple[Word, ...], key: str, report: Report) -> dict[int, tuple[Range, Word]]:
    found: dict[int, tuple[Range, Word]] = {}
    for word in words:
        one = _single(word, report)
        if one is None:
            continue
        if one.version in found:
            report.error(
                word.at,
                f"a second IPv{one.version} address in `{key}`",
                "publish each pair of addresses under an id of its own",
            )
        else:
            found[one.version] = (one, word)
    return found


def _inner_zone(text: PublishText, inner: dict[int, tuple[Range, Word]], names: Names, report: Report) -> str:
    if text.zone is not None:
        if text.zone.value not in names.zones:
            guess = did_you_mean(text.zone.value, list(names.zones))
            report.error(
                text.zone.at,
                f"there is no zone `{text.zone.value}`",
                guess or f"the zones are {', '.join(names.zones)}",
            )
            return ""
        return text.zone.value
    found: dict[str, None] = {}
    for one, _ in inner.values():
        for zone in names.zones.values():
            if zone.networks and addresses.intersection((one,), zone.networks):
                found[zone.name] = None
    if len(found) == 1:
        return next(iter(found))
    if inner:
        word = next(iter(inner.values()))[1]
        problem = "its addresses are in different zones" if found else "no zone has a network that holds it"
        report.error(word.at, f"where `{word.value}` is cannot be said: {problem}", "add `zone: <name>`")
    return ""


def _hairpin(text: PublishText, zone: str, names: Names, report: Report) -> tuple[str, ...]:
    words = [word.value for word in text.hairpin]
    if not words or words == ["no"]:
        return ()
    if words == ["yes"]:
        return tuple(known.name for known in names.zones.values() if not known.external)
    for word in text.hairpin:
        if word.value not in names.zones:
            guess = did_you_mean(word.value, [*names.zones, "yes", "no"])
            report.error(word.at, f"there is no zone `{word.value}`", guess or "write `yes`, `no`, or inner zones")
    return tuple(word for word in words if word in names.zones)


def _rule(
    text: PublishText,
    resolver: Resolver,
    zone: str,
    sources: tuple[str, ...],
    hairpin: tuple[str, ...],
    inner: dict[int, tuple[Range, Word]],
    entries: tuple[ServiceEntry, ...],
    ports: tuple[int, int] | None,
) -> Rule | None:
    """The allow rule. It judges packets after translation: destination and port are the inner ones."""
    at = text.at
    written = RuleText(
        at=at,
        flawed=text.flawed,
        id=text.id,
        sources=(),
        destinations=(),
        source=text.source,
        action=Word("allow", at),
        when=text.when,
        inspect=text.inspect,
        log=text.log,
        limit=text.limit,
        connections=text.connections,
        expires=text.expires,
        review=text.review,
        owner=text.owner,
        why=text.why,
        ticket=text.ticket,
        enabled=text.enabled,
    )
    rule = resolver.rule(written)
    if text.flawed:
        return None
    if ANY not in sources:
        sources = tuple(dict.fromkeys((*sources, *hairpin)))
    if GATEWAY in sources:
        resolver.report.error(
            text.sources[0].at, "a service cannot be published to the gateway itself", "write a rule for it"
        )
    return rule_with(
        rule,
        sources,
        zone,
        AddressSet(addresses.normal([one for one, _ in inner.values()])),
        tuple(_inner(entry, ports) for entry in entries),
        tuple(word.value for word in text.to),
        tuple(word.value for word in text.service),
    )


def _inner(entry: ServiceEntry, ports: tuple[int, int] | None) -> ServiceEntry:
    if ports is None or entry.protocol not in PORT_PROTOCOLS:
        return entry
    return ServiceEntry(entry.protocol, ports, entry.source_ports)


def rule_with(
    rule: Rule,
    sources: tuple[str, ...],
    zone: str,
    destination: AddressSet,
    entries: tuple[ServiceEntry, ...],
    said_destination: tuple[str, ...],
    said_service: tuple[str, ...],
) -> Rule:
    """The rule with the directions of a published service."""
    return msgspec.structs.replace(
        rule,
        sources=sources,
        destinations=(zone,),
        destination=destination,
        services=entries,
        said_destination=said_destination,
        said_service=said_service,
    )
