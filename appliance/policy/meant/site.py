"""The parts of a site that are not rules: zones, registered lines, routes, settings, invariants."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from appliance.policy import addresses, limits
from appliance.policy.addresses import AddressError
from appliance.policy.meant.inherit import Locks
from appliance.policy.meant.names import Names
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import (
    ANY,
    BOGONS,
    GATEWAY,
    Connection,
    InterfaceAddress,
    Invariant,
    Protection,
    Range,
    Rate,
    Route,
    Settings,
    Zone,
)
from appliance.policy.written.document import InvariantText, RouteText, SettingsText, SiteText
from appliance.policy.written.document_zones import ZoneText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.prevention import ProtectText
from appliance.policy.written.text import Report, Word

EXTERNAL_ROLES = ("internet", "partner")
QUARANTINED_MAY = ("dhcp", "dhcpv6", "dns")


def zones(document: SiteText, names: Names, report: Report, locks: Locks) -> None:
    """Fills `names.zones`; an interface or address that two zones claim is reported."""
    owners: dict[str, tuple[str, int]] = {}
    if len(document.zones) > limits.MAX_ZONES:
        report.error(
            0, f"{len(document.zones):,} zones", f"at most {limits.MAX_ZONES}; one zone may have many interfaces"
        )
        return
    for text in document.zones:
        assert text.name is not None
        name = text.name.value
        if name in (ANY, GATEWAY):
            report.error(text.name.at, f"`{name}` is not for you to define", "choose another name for this zone")
            continue
        for word in text.interfaces:
            earlier = owners.setdefault(word.value, (name, word.at))
            if earlier[0] != name or earlier[1] != word.at:
                where = report.span(earlier[1])
                report.error(
                    word.at,
                    f"the interface `{word.value}` is in the zone `{earlier[0]}` already (line {where.line})",
                    "an interface belongs to one zone",
                )
        names.zones[name] = _zone(text, text.name, report, locks)
    _overlaps(document, report)


def _zone(text: ZoneText, name: Word, report: Report, locks: Locks) -> Zone:
    role = text.role.value if text.role is not None else ("internet" if name.value == "internet" else "internal")
    external = text.external.value == "yes" if text.external is not None else role in EXTERNAL_ROLES
    networks = addresses.normal([found for word in text.networks if (found := _network(word, report)) is not None])
    spoofing = text.antispoofing is None or text.antispoofing.value == "yes"
    lock = locks.of_zone(name.value, role)
    if lock is not None:
        spoofing = lock.value == "yes"
    own: list[InterfaceAddress] = []
    interfaces = [word.value for word in text.interfaces]
    for interface, words in text.addresses:
        if interface.value not in interfaces:
            guess = did_you_mean(interface.value, interfaces)
            report.error(
                interface.at,
                f"the interface `{interface.value}` is not in the zone `{name.value}`",
                guess or "name it under `interfaces` of this zone",
            )
        for word in words:
            if _own_address(word, networks, name.value, report):
                own.append(InterfaceAddress(interface.value, word.value))
    return Zone(
        name.value,
        tuple(dict.fromkeys(interfaces)),
        networks,
        tuple(own),
        spoofing,
        "" if text.description is None else text.description.value,
        role,
        external,
        report.span(name.at),
        None if text.protect is None else protection(text.protect, report),
    )


def quarantines(document: SiteText, names: Names, resolver: Resolver, report: Report) -> None:
    """What devices that nobody accepted may do in which zone. Behind `zones`: services are known by then."""
    for text in document.zones:
        assert text.name is not None
        zone = names.zones.get(text.name.value)
        if zone is None:
            continue
        if text.unknown_devices is None or text.unknown_devices.value != "quarantine":
            if text.quarantined_may:
                report.error(
                    text.quarantined_may[0].at,
                    f"nothing is in quarantine in the zone `{zone.name}`",
                    "write `unknown-devices: quarantine` too",
                )
            continue
        words = text.quarantined_may or tuple(Word(word, text.unknown_devices.at) for word in QUARANTINED_MAY)
        entries = resolver.services(words)[1]
        if any(entry.protocol is None for entry in entries):
            report.error(words[0].at, "this is every service, so that there is no quarantine", "name services")
            continue
        names.zones[zone.name] = msgspec.structs.replace(zone, quarantined_may=entries)


def protection(text: ProtectText, report: Report) -> Protection:
    """What `protect` means."""
    return Protection(
        malformed=text.malformed is None or text.malformed.value == "yes",
        bogons=tuple(kind for kind in BOGONS if kind in {word.value for word in text.bogons}),
        syn=_flood(text.syn, report),
        udp=_flood(text.udp, report),
        icmp=_flood(text.icmp, report),
        strangers=_flood(text.strangers, report),
    )


def _flood(word: Word | None, report: Report) -> Rate | None:
    """`200/second burst 400`; `kinds.FLOOD` has checked how it is written. Without a burst, a second's worth."""
    if word is None:
        return None
    rate, _, burst = word.value.partition(" burst ")
    amount = int(rate.partition("/")[0])
    found = Rate(amount, 1, int(burst or amount), "source")
    if not 1 <= found.amount <= limits.MAX_RATE or not 1 <= found.burst <= limits.MAX_RATE:
        report.error(word.at, f"`{word.value}` is out of bounds", f"write 1 to {limits.MAX_RATE:,}")
        return None
    return found


def _network(word: Word, report: Report) -> Range | None:
    try:
        return addresses.network(word.value)
    except AddressError as error:
        report.error(word.at, str(error), error.remedy)
        return None


def _own_address(word: Word, networks: tuple[Range, ...], zone: str, report: Report) -> bool:
    head, _, tail = word.value.partition("/")
    try:
        version, number = addresses.address(head)
    except AddressError as error:
        report.error(word.at, str(error), error.remedy)
        return False
    bits = addresses.BITS[version]
    if int(tail) > bits:
        report.error(word.at, f"`/{tail}` is not a prefix length", f"write a number from 0 to {bits}")
        return False
    host_bits = bits - int(tail)
    if version == 4 and host_bits >= 2:
        host = number & ((1 << host_bits) - 1)
        if host in (0, (1 << host_bits) - 1):
            what = "network" if host == 0 else "broadcast"
            report.error(word.at, f"`{word.value}` is the {what} address", "give the gateway an address of a host")
            return False
    link_local = version == 6 and number >> 118 == 0xFE80 >> 6
    own = (Range(version, number, number),)
    if networks and not link_local and not addresses.intersection(own, networks):
        report.error(
            word.at,
            f"`{word.value}` is not in the networks of the zone `{zone}`",
            f"write an address in {addresses.words_of(networks[0])}, or add its network to the zone",
        )
        return False
    return True


def _overlaps(document: SiteText, report: Report) -> None:
    """Two zones that claim an address: which of them a packet belongs to could not be said."""
    claims: list[tuple[Range, str, Word]] = []
    seen_addresses: dict[str, Word] = {}
    for text in document.zones:
        assert text.name is not None
        for word in text.networks:
            try:
                claims.append((addresses.network(word.value), text.name.value, word))
            except AddressError:
                continue  # told where the zone was read
        for _, words in text.addresses:
            for word in words:
                first = seen_addresses.setdefault(word.value.partition("/")[0], word)
                if first is not word:
                    line = report.span(first.at).line
                    report.error(
                        word.at, f"the address `{word.value}` stands in line {line} already", "remove one of them"
                    )
    claims.sort(key=lambda claim: (claim[0], claim[2].at))
    widest: tuple[Range, str, Word] | None = None
    for claim in claims:
        mine, zone, word = claim
        if widest is not None and widest[0].version == mine.version and mine.first <= widest[0].last:
            if widest[1] != zone:
                later, other = (claim, widest) if word.at > widest[2].at else (widest, claim)
                line = report.span(other[2].at).line
                report.error(
                    later[2].at,
                    f"`{later[2].value}` overlaps `{other[2].value}` of the zone `{other[1]}` (line {line})",
                    "an address belongs to one zone",
                )
            if mine.last > widest[0].last:
                widest = claim
        else:
            widest = claim


def connections(document: SiteText, names: Names, report: Report) -> dict[str, Connection]:
    """The register of external lines; one that is missing is an error (R2)."""
    found: dict[str, Connection] = {}
    used = {interface for zone in names.zones.values() for interface in zone.interfaces}
    used |= {word.value for bridge in document.bridges for word in bridge.between}
    for text in document.connections:
        assert text.name is not None
        interface = text.name.value
        if interface not in used:
            guess = did_you_mean(interface, sorted(used))
            report.warn(
                text.name.at,
                f"the line `{interface}` is registered and in no zone and no bridge",
                guess or "put it into one",
            )
        found[interface] = Connection(
            interface,
            text.provider.value,
            text.officer.value,
            "" if text.phone is None else text.phone.value,
            report.span(text.name.at),
        )
    for zone_text in document.zones:
        assert zone_text.name is not None
        zone = names.zones.get(zone_text.name.value)
        if zone is None or not zone.external:
            continue
        for word in zone_text.interfaces:
            if word.value not in found:
                report.error(
                    word.at,
                    f"the external line `{word.value}` is not registered: nobody answers for it",
                    f'write under `connections`: `{word.value}: {{provider: ..., officer: "Name <mail@example>"}}`',
                )
    return found


def routes(texts: tuple[RouteText, ...], names: Names, report: Report) -> tuple[Route, ...]:
    interfaces = [interface for zone in names.zones.values() for interface in zone.interfaces]
    found: list[Route] = []
    for text in texts:
        blackhole = text.blackhole is not None and text.blackhole.value == "yes"
        destination = None if not text.to.value else _network(text.to, report)
        via = "" if text.via is None else text.via.value
        if destination is not None and "/" not in text.to.value:
            report.error(
                text.to.at,
                f"`{text.to.value}` has no prefix length",
                f"write `{text.to.value}/{addresses.BITS[destination.version]}`",
            )
        if text.via is not None:
            try:
                version, _ = addresses.address(via)
                if destination is not None and version != destination.version:
                    report.error(
                        text.via.at,
                        f"the next hop `{via}` is IPv{version}, the destination IPv{destination.version}",
                        "use one version",
                    )
            except AddressError as error:
                report.error(text.via.at, str(error), error.remedy)
        interface = "" if text.interface is None else text.interface.value
        if text.interface is not None and interface not in interfaces:
            guess = did_you_mean(interface, interfaces)
            report.error(
                text.interface.at, f"the interface `{interface}` is in no zone", guess or "put it into a zone"
            )
        if text.flawed:
            continue
        if blackhole and (via or interface):
            report.error(
                text.at, "a route that drops has no next hop", "remove `via` and `interface`, or `blackhole`"
            )
        if not blackhole and not via and not interface:
            report.error(
                text.at,
                f"the route to `{text.to.value}` leads nowhere",
                "give it `via`, `interface`, or `blackhole: yes`",
            )
        metric = 0 if text.metric is None else int(text.metric.value)
        found.append(Route(text.to.value, via, interface, metric, blackhole, report.span(text.at)))
    return tuple(found)


def nameservers(text: SettingsText | None, report: Report) -> None:
    """Reports nameservers that are no addresses."""
    for word in () if text is None else text.nameservers:
        try:
            addresses.address(word.value)
        except AddressError as error:
            report.error(word.at, str(error), error.remedy)


_KEEP_FILES: dict[str, Literal["none", "rules", "all"]] = {"none": "none", "rules": "rules", "all": "all"}


def settings(texts: list[SettingsText], timezone: str) -> Settings:
    """The settings of a site: its own words before those of its baselines (`texts` is in falling priority)."""

    def first(field: str) -> Word | None:
        for text in texts:
            word: Word | None = getattr(text, field)
            if word is not None:
                return word
        return None

    drift = first("drift")
    log_default = first("log_default")
    confirm_within = first("confirm_within")
    history = first("history")
    flow_log_days = first("flow_log_days")
    keep_files = first("keep_files")
    keep_evidence = first("keep_evidence")
    keep_days = first("keep_days")
    resolvers = next((text.nameservers for text in texts if text.nameservers), ())
    return Settings(
        drift="report" if drift is not None and drift.value == "report" else "repair",
        log_default=log_default is None or log_default.value == "yes",
        confirm_within=120 if confirm_within is None else int(confirm_within.value),
        timezone=timezone,
        history=500 if history is None else int(history.value),
        flow_log_days=30 if flow_log_days is None else int(flow_log_days.value),
        keep_files="none" if keep_files is None else _KEEP_FILES.get(keep_files.value, "none"),
        keep_evidence=keep_evidence is not None and keep_evidence.value == "yes",
        keep_days=30 if keep_days is None else int(keep_days.value),
        nameservers=tuple(word.value for word in resolvers),
    )


_ARROW = re.compile(r" *-> *")
_COMMA = re.compile(r" *, *")


def invariant(text: InvariantText, names: Names, resolver: Resolver, report: Report) -> Invariant:
    """`never: a, b -> c`: each side zones, roles or objects."""
    sides: list[tuple[str, ...]] = []
    for side in _ARROW.split(text.never.value) if text.never.value else ():
        found: dict[str, None] = {}
        for name in _COMMA.split(side):
            if name in (ANY, GATEWAY) or name in names.zones or name in names.objects:
                found[name] = None
            elif name.startswith("role:"):
                found.update(dict.fromkeys(resolver.zones((Word(name, text.never.at),), "from")))
            else:
                guess = did_you_mean(name, [*names.zones, *names.objects])
                report.error(
                    text.never.at, f"there is no zone or object `{name}`", guess or "name one that is defined"
                )
        sides.append((ANY,) if ANY in found else tuple(found))
    if len(sides) > 2:
        report.error(
            text.never.at, f"`{text.never.value}` has more than one `->`", "write one direction for each invariant"
        )
    return Invariant(
        text.id.value,
        sides[0] if sides else (),
        sides[1] if len(sides) > 1 else (),
        resolver.services(text.service)[1],
        tuple(word.value for word in text.excepted),
        "" if text.why is None else text.why.value,
        report.span(text.at),
    )
