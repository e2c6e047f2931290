"""Traffic in few lines of words: many boxes of a proof become what a person would write.

    lan staff-net -> internet, tcp/8000-8100 (was denied by default, now allowed by R-9)

Boxes that differ in one respect only (a zone, an interval of addresses, a service, the IP version) are one
line. Nothing is left out by that: the lines together are exactly the boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from appliance.policy.addresses import network, normal, text_of
from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.model import ANY, EVERYTHING, GATEWAY, Policy, Range
from appliance.policy.proving.cuboids import Cuboid, fused
from appliance.policy.proving.lexicon import Lexicon, listed, words_of_service
from appliance.policy.proving.points import into
from appliance.policy.proving.proof import Change, Region, Witness

DEFAULT = "default"
_DONE = {"allow": "allowed", "deny": "denied", "reject": "rejected"}
_V4, _V6 = EVERYTHING.ranges
# Hosts of a zone without networks, as documentation names them (RFC 5737, RFC 3849).
_FAR = (Range(4, 0xC6336400, 0xC63364FF), Range(6, 0x20010DB8 << 96, (0x20010DB8 << 96) + 0xFFFF))
_PARTNERS = 8  # parts of the other IP version that are looked at for one part


class Traffic(msgspec.Struct, frozen=True):
    """Regions that read as one: every source to every destination of the same IP version by every service.

    ICMP is of IPv4 and ICMPv6 of IPv6 only, as in the services of a policy.
    """

    sources: tuple[str, ...]  # zones
    destinations: tuple[str, ...]
    source: tuple[Range, ...]
    destination: tuple[Range, ...]
    services: tuple[Cuboid, ...]  # boxes of protocol, key and source port
    people: tuple[str, ...] = ()
    nobody: bool = True
    schedules: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


class Line(msgspec.Struct, frozen=True):
    """Traffic that two policies decide differently, in one line, with one packet that shows it."""

    words: str
    example: str
    old_action: str
    new_action: str
    old_rule: str
    new_rule: str
    traffic: Traffic
    witness: Witness


def alike(changes: Iterable[Change]) -> list[list[Change]]:
    """The changes by the rules that decide before and now."""
    found: dict[tuple[str, str, str, str], list[Change]] = {}
    for change in changes:
        key = (change.old_action, change.new_action, change.old_rule, change.new_rule)
        found.setdefault(key, []).append(change)
    return list(found.values())


def lines_of(group: Sequence[Change], lexicon: Lexicon) -> list[Line]:
    """The lines of changes that the same rules decide."""
    one = group[0]
    said = f"was {_decided(one.old_action, one.old_rule)}, now {_decided(one.new_action, one.new_rule)}"
    found: list[Line] = []
    for traffic in together([change.region for change in group], lexicon):
        # The packet is one of this very line, not of another with the same rules.
        shown = next((change for change in group if _of(change.region, traffic)), one)
        witness = natural(shown.witness, shown.region, lexicon.policy)
        found.append(
            Line(
                f"{words(traffic, lexicon)} ({said})",
                packet_words(witness, lexicon, timed=bool(traffic.schedules)),
                one.old_action,
                one.new_action,
                one.old_rule,
                one.new_rule,
                traffic,
                witness,
            )
        )
    return found


def natural(witness: Witness, region: Region, policy: Policy) -> Witness:
    """A witness of a box in one of its regions, with hosts of the zones where the region has them."""
    witness = into(witness, region, policy)
    source = _host_of(region.source, witness.from_zone, policy, 10)
    destination = _host_of(region.destination, witness.to_zone, policy, 20)
    packet = msgspec.structs.replace(
        witness.packet,
        source=witness.packet.source if source is None else source,
        destination=witness.packet.destination if destination is None else destination,
    )
    return msgspec.structs.replace(witness, packet=packet)


def homely(region: Region, policy: Policy) -> bool:
    """Whether a region has a source that a person would think of."""
    return (
        region.source.first == region.source.last or _host_of(region.source, region.from_zone, policy, 0) is not None
    )


def _host_of(part: Range, zone: str, policy: Policy, offset: int) -> int | None:
    known = policy.zones.get(zone)
    if part.first == part.last:
        return None
    if known is not None:
        near = [*known.networks, *(() if known.networks else _FAR)]
    else:
        own = (address.address.partition("/")[0] for home in policy.zones.values() for address in home.addresses)
        near = [network(address) for address in own]
    for home in near:
        first, last = max(part.first, home.first), min(part.last, home.last)
        if home.version == part.version and first <= last:
            return int(min(first + offset, last))
    return None


def _decided(action: str, rule: str) -> str:
    return f"{_DONE[action]} by {rule}"


def _of(region: Region, traffic: Traffic) -> bool:
    return (
        region.from_zone in traffic.sources
        and region.to_zone in traffic.destinations
        and any(part.version == region.source.version and part.first <= region.source.first <= part.last
                for part in traffic.source)
        and any(part.version == region.source.version and part.first <= region.destination.first <= part.last
                for part in traffic.destination)
        and (region.people, region.nobody, region.schedules, region.assumed)
        == (traffic.people, traffic.nobody, traffic.schedules, traffic.assumed)
        and any(
            all(a <= low and high <= b for (a, b), (low, high) in zip(box, _service(region), strict=True))
            for box in traffic.services
        )
    )  # fmt: skip


def _service(region: Region) -> Cuboid:
    return (region.protocol, region.key, region.source_ports)


def traffic_of(region: Region) -> Traffic:
    """One region by itself."""
    return Traffic(
        (region.from_zone,), (region.to_zone,), (region.source,), (region.destination,), (_service(region),),
        region.people, region.nobody, region.schedules, region.assumed,
    )  # fmt: skip


# --- merging ------------------------------------------------------------------------------------------

Axis = tuple[str, Callable[[Traffic, Traffic], object]]
_WITHIN: tuple[Axis, ...] = (
    ("services", lambda a, b: fused([*a.services, *b.services])),
    ("destination", lambda a, b: normal([*a.destination, *b.destination])),
    ("source", lambda a, b: normal([*a.source, *b.source])),
)
_ZONES: tuple[Axis, ...] = (
    ("destinations", lambda a, b: tuple(dict.fromkeys([*a.destinations, *b.destinations]))),
    ("sources", lambda a, b: tuple(dict.fromkeys([*a.sources, *b.sources]))),
)


def together(regions: Iterable[Region], lexicon: Lexicon) -> list[Traffic]:
    """The same traffic in fewer parts."""
    parts = [traffic_of(region) for region in regions]
    old, new = (_joined([part for part in parts if part.source[0].version == version], _WITHIN) for version in (4, 6))
    return _joined(_both_versions(old, new, lexicon), _ZONES)


def _joined(parts: list[Traffic], axes: Sequence[Axis]) -> list[Traffic]:
    """One part for all that differ on one of `axes` only, until there are no such any more."""
    before = -1
    while before != len(parts):
        before = len(parts)
        for name, join in axes:
            rows: dict[Traffic, Traffic] = {}
            for part in parts:
                rest = msgspec.structs.replace(part, **{name: ()})
                known = rows.get(rest)
                rows[rest] = part if known is None else msgspec.structs.replace(known, **{name: join(known, part)})
            parts = list(rows.values())
    return parts


def _both_versions(old: list[Traffic], new: list[Traffic], lexicon: Lexicon) -> list[Traffic]:
    """IPv4 and IPv6 in one where they differ in nothing but addresses."""
    waiting: dict[Traffic, list[Traffic]] = {}
    for part in new:
        waiting.setdefault(_apart_from_addresses(part, 6), []).append(part)
    found: list[Traffic] = []
    for part in old:
        others = waiting.get(_apart_from_addresses(part, 4), [])
        fits = [(_shorter(part, other, lexicon), other) for other in others[:_PARTNERS] if _alike(part, other)]
        best, twin = max(fits, key=lambda item: item[0], default=(0, None))
        if twin is None or (best == 0 and len(others) > 1):
            found.append(part)
            continue
        others.remove(twin)
        found.append(_pair(part, twin))
    return found + [part for others in waiting.values() for part in others]


def _pair(old: Traffic, new: Traffic) -> Traffic:
    return msgspec.structs.replace(
        old,
        source=normal([*old.source, *new.source]),
        destination=normal([*old.destination, *new.destination]),
        services=fused([*old.services, *new.services]),
    )


def _apart_from_addresses(part: Traffic, version: int) -> Traffic:
    own = icmp_protocol(version)
    services = tuple(box for box in part.services if box[0] != (own, own))
    return msgspec.structs.replace(part, source=(), destination=(), services=services)


def _alike(old: Traffic, new: Traffic) -> bool:
    """Whether each side is every address in both versions, or in neither."""
    return (old.source == (_V4,)) == (new.source == (_V6,)) and (old.destination == (_V4,)) == (
        new.destination == (_V6,)
    )


def _shorter(old: Traffic, new: Traffic, lexicon: Lexicon) -> int:
    """How many words it spares to say two parts as one: an object with addresses of both versions is one word."""
    both = _pair(old, new)
    return sum(
        len(lexicon.addresses(getattr(old, side))) + len(lexicon.addresses(getattr(new, side)))
        - len(lexicon.addresses(getattr(both, side)))
        for side in ("source", "destination")
    )  # fmt: skip


# --- words --------------------------------------------------------------------------------------------


def words(traffic: Traffic, lexicon: Lexicon) -> str:
    """`lan staff-net -> internet 198.51.100.0/24, https, as group:staff, when office`."""
    versions = {part.version for part in traffic.source} & {part.version for part in traffic.destination}
    version = versions.pop() if len(versions) == 1 else 0
    left, right = (
        lexicon.addresses(tuple(part for part in ranges if version in (0, part.version)), version)
        for ranges in (traffic.source, traffic.destination)
    )
    if left and _all_there_is(traffic.sources, traffic.source, lexicon.policy):
        left, version = [], 0
    parts = [f"{_side(traffic.sources, left, lexicon)} -> {_side(traffic.destinations, right, lexicon)}"]
    parts.append(listed(lexicon.services(traffic.services)) or "any service")
    if version and not any(said and not any(map(lexicon.of_both, said)) for said in (left, right)):
        parts.append(f"IPv{version} only")
    people = lexicon.people(traffic.people, traffic.nobody)
    parts += [f"as {people}"] if people else []
    parts += [f"when {' and '.join(traffic.schedules)}"] if traffic.schedules else []
    parts += [f"if {' and '.join(traffic.assumed)}"] if traffic.assumed else []
    return ", ".join(parts)


def _all_there_is(names: tuple[str, ...], ranges: tuple[Range, ...], policy: Policy) -> bool:
    """Whether these are all sources that anti-spoofing lets in from a zone."""
    zone = policy.zones.get(names[0]) if len(names) == 1 else None
    return zone is not None and zone.antispoofing and normal(zone.networks) == ranges


def _side(names: tuple[str, ...], addresses: list[str], lexicon: Lexicon) -> str:
    zones = set(lexicon.policy.zones)
    inner = [name for name in names if name != GATEWAY]
    said = ["any zone"] if ANY in inner or (len(zones) > 2 and set(inner) == zones) else inner
    said = [*said, *(name for name in names if name == GATEWAY)]
    return f"{', '.join(said)} {listed(addresses)}".rstrip()


def packet_words(witness: Witness, lexicon: Lexicon, *, timed: bool = False) -> str:
    """`tcp 198.51.100.7:40000 -> 203.0.113.10:443 (P-1 leads it to 10.21.0.10:443)`; who, and with `timed` when."""
    packet = witness.packet
    port = f":{packet.destination_port}" if packet.protocol in PORT_PROTOCOLS else ""
    source = f":{packet.source_port}" if packet.protocol in PORT_PROTOCOLS and packet.source_port else ""
    service = _protocol_of(witness)
    target = _host(packet.version, packet.destination, port)
    told = f"{service} {_host(packet.version, packet.source, source)} -> {target}"
    if witness.published is not None:
        address, sent_port = witness.published
        sent = _host(packet.version, address, f":{sent_port}" if port else "")
        told = (
            f"{service} {_host(packet.version, packet.source, source)} -> {sent} ({witness.nat} leads it to {target})"
        )
    if witness.person:
        told += f", as {witness.person}"
    if timed and witness.at:
        moment = datetime.fromtimestamp(witness.at, ZoneInfo(lexicon.policy.settings.timezone))
        told += f", at {moment:%a %Y-%m-%d %H:%M}"
    return told + "".join(f", if {assumption}" for assumption in witness.assumed)


def _protocol_of(witness: Witness) -> str:
    packet = witness.packet
    if packet.protocol == icmp_protocol(packet.version):
        kind = packet.icmp_type * 256
        codes = (kind + packet.icmp_code,) * 2 if packet.icmp_code else (kind, kind + 255)
        return words_of_service(((packet.protocol, packet.protocol), codes, (0, 65535)))
    return words_of_service(((packet.protocol, packet.protocol), (0, 65535), (0, 65535)))


def _host(version: int, number: int, port: str) -> str:
    text = text_of(version, number)
    return f"[{text}]{port}" if version == 6 and port else f"{text}{port}"
