"""Policies for the tests: random ones that reach every corner of the model, and large ones as a ministry has them."""

from __future__ import annotations

import random
from ipaddress import ip_network

from appliance.policy.decide import Packet
from appliance.policy.model import (
    EVERYTHING,
    GATEWAY,
    AddressSet,
    Connections,
    DestinationNat,
    Dynamic,
    InterfaceAddress,
    Policy,
    Profile,
    Range,
    Rate,
    Rule,
    Schedule,
    ServiceEntry,
    SourceNat,
    Zone,
)

# The lines of the gateway in these tests: interface -> (zone, IPv4 network, IPv6 network).
LINES = {
    "wan0": ("internet", "203.0.113.0/24", "2001:db8:99::/64"),
    "lan0": ("lan", "10.1.0.0/16", "2001:db8:1::/64"),
    "lan1": ("lan", "10.2.0.0/16", "2001:db8:2::/64"),
    "dmz0": ("dmz", "10.3.0.0/16", "2001:db8:3::/64"),
    "gst0": ("guest", "10.4.0.0/16", "2001:db8:4::/64"),
}
ZONES = ("internet", "lan", "dmz", "guest")
NOW = 1_774_000_000  # a Friday, 2026-03-20 09:46:40 UTC
PORTS = (22, 25, 53, 80, 443, 8080, 50000)


def network(cidr: str) -> Range:
    parsed = ip_network(cidr)
    return Range(parsed.version, int(parsed[0]), int(parsed[-1]))


def line_network(interface: str, version: int) -> Range:
    return network(LINES[interface][1 if version == 4 else 2])


def gateway_address(interface: str, version: int) -> int:
    return line_network(interface, version).first + 1


def route(version: int, address: int) -> str:
    """The interface towards an address; "" for the gateway's own; the internet for everything else."""
    for interface in LINES:
        if address == gateway_address(interface, version):
            return ""
    for interface in LINES:
        part = line_network(interface, version)
        if part.first <= address <= part.last:
            return interface
    return "wan0"


def zones(antispoofing: bool = True) -> dict[str, Zone]:
    found: dict[str, Zone] = {}
    for name in ZONES:
        interfaces = tuple(interface for interface, line in LINES.items() if line[0] == name)
        networks = tuple(sorted(line_network(interface, version) for interface in interfaces for version in (4, 6)))
        found[name] = Zone(
            name,
            interfaces,
            networks=() if name == "internet" else networks,
            addresses=tuple(
                InterfaceAddress(interface, cidr.replace("0/", "1/").replace("::/", "::1/"))
                for interface in interfaces
                for cidr in LINES[interface][1:]
            ),
            antispoofing=antispoofing,
        )
    return found


def host(rng: random.Random, version: int, interface: str | None = None) -> int:
    """One of a few hosts of a line, so that rules and packets meet."""
    interface = interface or rng.choice(tuple(LINES))
    return line_network(interface, version).first + rng.choice((10, 11, 12, 20, 21, 200))


def joined(ranges: list[Range]) -> tuple[Range, ...]:
    """Disjoint, sorted, not adjacent."""
    merged: list[Range] = []
    for part in sorted(ranges):
        if merged and merged[-1].version == part.version and part.first <= merged[-1].last + 1:
            merged[-1] = Range(part.version, merged[-1].first, max(merged[-1].last, part.last))
        else:
            merged.append(part)
    return tuple(merged)


def random_range(rng: random.Random) -> Range:
    version = rng.choice((4, 6))
    first = host(rng, version)
    kind = rng.random()
    if kind < 0.5:
        return Range(version, first, first)
    if kind < 0.7:
        return Range(version, first, first + rng.randrange(1, 30))
    if kind < 0.9:
        return line_network(rng.choice(tuple(LINES)), version)
    return next(part for part in EVERYTHING.ranges if part.version == version)


def random_addresses(rng: random.Random, *, dynamic: tuple[str, ...] = ()) -> AddressSet:
    if rng.random() < 0.35:
        return EVERYTHING
    ranges = joined([random_range(rng) for _ in range(rng.randrange(1, 6))])
    if dynamic and rng.random() < 0.15:
        return AddressSet(ranges if rng.random() < 0.5 else (), (rng.choice(dynamic),))
    return AddressSet(ranges)


def random_interval(rng: random.Random) -> tuple[int, int]:
    first = rng.choice(PORTS)
    kind = rng.random()
    if kind < 0.7:
        return first, first
    return (first, first + rng.randrange(1, 500)) if kind < 0.9 else (0, 65535)


def random_entry(rng: random.Random) -> ServiceEntry:
    kind = rng.random()
    if kind < 0.15:
        return ServiceEntry(None)
    if kind < 0.7:
        sources = (0, 65535) if rng.random() < 0.85 else (1024, 40000)
        return ServiceEntry(rng.choice((6, 17)), ports=random_interval(rng), source_ports=sources)
    if kind < 0.85:
        echo = rng.random() < 0.7
        code = rng.choice((None, 0))
        if rng.random() < 0.5:
            return ServiceEntry(1, icmp=(8, 8) if echo else (0, 255), code=code if echo else None)
        return ServiceEntry(58, icmp=(128, 128) if echo else (100, 255), code=code)
    if kind < 0.93:
        return ServiceEntry(132, ports=random_interval(rng))
    return ServiceEntry(rng.choice((47, 50, 89, 112)))


def random_rule(rng: random.Random, number: int, *, conditions: bool = True, timed_share: float = 0.25) -> Rule:
    sides = (*ZONES, "any", GATEWAY)
    sources = tuple(sorted(set(rng.choices(sides, k=rng.choice((1, 1, 2))))))
    destinations = tuple(sorted(set(rng.choices(sides, k=rng.choice((1, 1, 2))))))
    dynamic = ("dns_mirror",) if conditions else ()
    timed = conditions and rng.random() < timed_share
    return Rule(
        id=f"R-{number}",
        number=number,
        sources=("any",) if "any" in sources else sources,
        destinations=("any",) if "any" in destinations else destinations,
        source=random_addresses(rng, dynamic=dynamic),
        destination=random_addresses(rng, dynamic=dynamic),
        services=tuple(random_entry(rng) for _ in range(rng.choice((1, 1, 2, 4)))),
        action=rng.choice(("allow", "allow", "deny", "reject")),
        log=rng.choice(("none", "none", "start", "both")),
        people=("group_staff",) if conditions and rng.random() < 0.15 else (),
        when=rng.choice(("office", "night")) if timed and rng.random() < 0.6 else "",
        expires_at=rng.choice((NOW - 60, NOW + 3600)) if timed and rng.random() < 0.6 else 0,
        rate=Rate(10, 60, per=rng.choice(("rule", "source", "destination")))
        if conditions and rng.random() < 0.08
        else None,
        connections=Connections(20, per=rng.choice(("rule", "source", "destination")))
        if conditions and rng.random() < 0.08
        else None,
        inspect=rng.choice(("open", "open", "closed")) if conditions and rng.random() < 0.1 else "",
        enabled=rng.random() > 0.05,
    )


def random_source_nat(rng: random.Random, number: int) -> SourceNat:
    version = rng.choice((4, 6))
    kind = rng.random()
    to = None
    if kind < 0.5:
        address = line_network("wan0", version).first + rng.choice((1, 80, 81))
        to = Range(version, address, address)
    return SourceNat(
        id=f"S-{number}",
        out=rng.choice(("internet", "internet", "dmz")),
        source=random_addresses(rng) if rng.random() < 0.5 else EVERYTHING,
        destination=random_addresses(rng) if rng.random() < 0.5 else EVERYTHING,
        services=(random_entry(rng),) if rng.random() < 0.3 else (ServiceEntry(None),),
        to=to,
        ports=(20000, 30000) if rng.random() < 0.2 else None,
        exempt=kind > 0.85,
        number=number,
    )


def random_destination_nat(rng: random.Random, number: int) -> DestinationNat:
    version = rng.choice((4, 6))
    outer = line_network("wan0", version).first + rng.choice((1, 80, 81))
    inner = host(rng, version, rng.choice(("dmz0", "lan0")))
    port = rng.choice(PORTS)
    hairpin = rng.random() < 0.5
    return DestinationNat(
        id=f"D-{number}",
        sources=("internet",),
        destination=AddressSet((Range(version, outer, outer),)),
        services=(ServiceEntry(rng.choice((6, 17)), ports=(port, port)),),
        to=Range(version, inner, inner),
        to_ports=(8443, 8443) if rng.random() < 0.4 else None,
        hairpin=hairpin,
        hairpin_zones=("lan", "dmz") if hairpin else (),
        number=number,
    )


def random_policy(
    rng: random.Random,
    *,
    rules: int = 12,
    nat: bool = True,
    conditions: bool = True,
    antispoofing: bool = True,
    timed_share: float = 0.25,
) -> Policy:
    """A policy over `LINES`. Without `conditions` nothing in it depends on time, people, names or limits."""
    return Policy(
        site="random",
        zones=zones(antispoofing),
        dynamics={
            "dns_mirror": Dynamic("dns_mirror", "dns", ("mirror.example",)),
            "group_staff": Dynamic("group_staff", "group", ("h.officer",)),
        },
        schedules={
            "office": Schedule("office", "Europe/Berlin", ((4 * 1440 + 450, 4 * 1440 + 1020),)),
            "night": Schedule("night", "America/Belize", ((0, 300), (5 * 1440, 5 * 1440 + 300))),
        },
        profiles={"open": Profile("open", "fail-open"), "closed": Profile("closed", "fail-closed")},
        rules=tuple(
            random_rule(rng, number, conditions=conditions, timed_share=timed_share) for number in range(1, rules + 1)
        ),
        source_nat=tuple(random_source_nat(rng, number) for number in range(1, rng.randrange(4))) if nat else (),
        destination_nat=tuple(random_destination_nat(rng, number) for number in range(1, rng.randrange(4)))
        if nat
        else (),
    )


def random_packet(rng: random.Random, policy: Policy, *, gateway: bool = True, spoofed: float = 0.05) -> Packet:
    """A first packet that has a fair chance to meet a rule."""
    version = rng.choice((4, 6))
    entering = rng.choice((*LINES, "")) if gateway else rng.choice(tuple(LINES))
    if not entering:
        source = gateway_address(rng.choice(tuple(LINES)), version)
    elif rng.random() < spoofed:
        source = host(rng, version)
    else:
        source = host(rng, version, entering)
    outer = line_network("wan0", version).first + rng.choice((80, 81))
    own = gateway_address(entering or "wan0", version)
    destination = rng.choice((host(rng, version), host(rng, version), host(rng, version), outer, own))
    leaving = route(version, destination)
    if not gateway and not leaving:
        destination = host(rng, version, rng.choice([name for name in LINES if name != entering]))
        leaving = route(version, destination)
    if not entering and not leaving:
        destination = host(rng, version, "dmz0")
        leaving = "dmz0"
    protocol = rng.choice((6, 6, 6, 17, 17, 17, 1 if version == 4 else 58, 132, 47, 50))
    ported = protocol in (6, 17, 132)
    port = rng.choice(PORTS) + rng.choice((0, 0, 0, 1, 7))
    published = [rule for rule in policy.destination_nat if rule.to.version == version]
    if published and entering in ("wan0", "lan0", "lan1", "dmz0") and rng.random() < 0.25:
        rule = rng.choice(published)
        destination, leaving = rule.destination.ranges[0].first, "wan0"
        entry = rule.services[0]
        protocol, ported, port = entry.protocol or 6, True, entry.ports[0]
    return Packet(
        version=version,
        entering=entering,
        leaving=leaving,
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=rng.choice((1000, 1024, 30000, 40000, 50001)) if ported else 0,
        destination_port=port if ported else 0,
        icmp_type=(8 if version == 4 else 128) if protocol in (1, 58) else 0,
    )


# --- large policies -----------------------------------------------------------------------------------

PAIRS = (
    ("lan", "internet", 0.40),
    ("lan", "dmz", 0.30),
    ("internet", "dmz", 0.12),
    ("dmz", "internet", 0.10),
    ("guest", "internet", 0.05),
    ("dmz", "lan", 0.03),
)
SERVICES = (
    "tcp/443", "udp/443", "tcp/22", "tcp/25", "udp/53", "tcp/5432", "tcp/3306", "udp/514", "udp/123", "tcp/8443",
)  # fmt: skip
INNER = {"lan": (1, 1), "dmz": (3, 3), "guest": (4, 4)}


def large_policy_text(count: int, *, seed: int = 1, edit: int | None = None) -> str:
    """The text of a site with `count` rules over `LINES`: hosts and networks, IPv6 beside IPv4, a few wide rules.

    With `edit`, the rule of that position has another port: the text after one edit.
    """
    rng = random.Random(seed)
    lines = ["reef: 1", "site: large", "timezone: UTC", "zones:"]
    for zone in ZONES:
        held = [interface for interface, line in LINES.items() if line[0] == zone]
        networks = [cidr for interface in held for cidr in LINES[interface][1:]]
        words = f"interfaces: [{', '.join(held)}]"
        if zone != "internet":
            own = (
                f"{name}: [{', '.join(cidr.replace('0/', '1/').replace('::/', '::1/') for cidr in LINES[name][1:])}]"
                for name in held
            )
            words += f", networks: [{', '.join(networks)}], addresses: {{{', '.join(own)}}}"
        lines.append(f"  {zone}: {{{words}}}")
    lines += ["connections:", "  wan0: {provider: Fibre, officer: Officer <noc@large.example>}", "rules:"]
    lines += _rule_lines("W-1", "any", "any", "", "", "ping", "reachability is tested from everywhere")
    written = 1
    for source, destination, share in PAIRS:
        for _ in range(max(1, round(share * (count - 2)))):
            if written >= count - 1:
                break
            service = rng.choice(SERVICES)
            if written == edit:
                service = "tcp/4443"
            sources, destinations = _side(rng, source, wide=0.02), _side(rng, destination, wide=0.1)
            if written % 1999 == 7:
                sources, service = "", "tcp/443"
            name, why = f"R-{written}", f"need {written}"
            lines += _rule_lines(name, source, destination, sources, destinations, service, why)
            written += 1
    lines += _rule_lines("W-2", "lan", "internet", "", "", "tcp/80", "plain web for everybody")
    return "\n".join([*lines, ""])


def _side(rng: random.Random, zone: str, *, wide: float) -> str:
    """Addresses of a zone, IPv4 and IPv6: hosts mostly, some networks, now and then the whole zone ("")."""
    kind = rng.random()
    if zone == "internet":
        if kind < wide:
            return ""
        site = rng.randrange(1 << 14)
        first, second = 100 + site // 4096, site % 4096
        four = f"{first}.{64 + second // 64}.{second % 64 * 4}.{rng.randrange(1, 255)}"
        six = f"2001:db8:{0x4000 + site:x}::{rng.randrange(1, 255):x}"
        if kind < wide + 0.12:
            return f"{four.rsplit('.', 1)[0]}.0/24, {six.rsplit('::', 1)[0]}::/48"
        return f"{four}, {six}"
    line, group = INNER[zone]
    if kind < wide:
        return ""
    host_number = rng.randrange(2, 8000)
    if kind < wide + 0.12:
        net = host_number // 256
        return f"10.{line}.{net}.0/24, 2001:db8:{group}::{net:x}00/120"
    return f"10.{line}.{host_number // 256}.{host_number % 256}, 2001:db8:{group}::{host_number:x}"


def _rule_lines(
    name: str, source: str, destination: str, sources: str, destinations: str, service: str, why: str
) -> list[str]:
    lines = [f"  - id: {name}", f"    from: {source}", f"    to: {destination}"]
    if sources:
        lines.append(f"    source: [{sources}]")
    if destinations:
        lines.append(f"    destination: [{destinations}]")
    if service:
        lines.append(f"    service: {service}")
    return [*lines, "    action: allow", f"    why: {why}", "    owner: it@large.example"]
