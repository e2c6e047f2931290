"""`reef explain`: what the policy decides about one connection, which rule, and what nearly held."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from appliance.commands.failure import OK, Failure
from appliance.commands.files import Baselines, ListFiles, baselines, folder_of, read_text, shown_name
from appliance.commands.gateway import Gateway, own_baselines
from appliance.commands.terminal import Terminal, escape
from appliance.commands.text import parse_text
from appliance.control import messages
from appliance.policy import addresses, services
from appliance.policy.decide import DEFAULT, SPOOFED, Packet, World, address_in, decide, service_is, zone_of
from appliance.policy.model import ANY, GATEWAY, Policy, Range, Rule, ServiceEntry
from appliance.policy.schedule import is_on

# What a client's source port usually is: above the well-known ones, so that rules on source ports say no.
CLIENT_PORT = 49152


class Explanation(msgspec.Struct, frozen=True):
    """What `reef explain --json` prints. `near` are rules that one condition keeps from holding, and which."""

    source: str
    source_zone: str
    destination: str
    destination_zone: str
    service: str
    action: str
    rule: str
    why: str
    owner: str
    leaves_from: str
    leaves_to: str
    source_nat: str
    destination_nat: str
    near: dict[str, str]


def explain(options: argparse.Namespace, terminal: Terminal) -> int:
    asked = _asked(options)
    policy = asked.policy
    try:
        version, source = addresses.address(options.source)
        other, destination = addresses.address(options.destination)
    except addresses.AddressError as error:
        raise Failure(str(error), error.remedy, name="bad-address") from error
    if version != other:
        raise Failure(f"{options.source} and {options.destination} are of two IP versions", name="bad-address")
    entry = _service(policy, options.service, version)
    entering = options.interface if options.interface is not None else interface_of(policy, version, source)
    if entering and not zone_of(policy, entering):
        raise Failure(f"{entering} is no interface of a zone", "see reef show zones", name="bad-interface")
    packet = packet_of(version, entering, source, destination, entry)
    found = as_enforced(said(policy, packet, asked.members, int(time.time())), asked.enforced, asked.omitted)
    if terminal.json:
        terminal.data(found)
    else:
        _print(found, terminal)
    return OK


def as_enforced(found: Explanation, enforced: Mapping[str, str], omitted: Sequence[str]) -> Explanation:
    """What happens where that is not what the rule says: the inspection that it asks for may not be there. Pure."""
    prefix = f"rule {found.rule}: "
    why = "; ".join([found.why, *(words.removeprefix(prefix) for words in omitted if words.startswith(prefix))])
    return msgspec.structs.replace(found, action=enforced.get(found.rule, found.action), why=why)


class Asked(msgspec.Struct, frozen=True):
    """Whose decision is asked: the policy, what its sets hold, what each rule really does, what is left out."""

    policy: Policy
    members: Mapping[str, frozenset[Range]] = {}
    enforced: Mapping[str, str] = {}
    omitted: tuple[str, ...] = ()


def _asked(options: argparse.Namespace) -> Asked:
    """The policy of a file, or the running one."""
    if options.file:
        inherited = baselines(options.file, None, own_baselines(options))
        text, name, files = read_text(options.file), shown_name(options.file), ListFiles(folder_of(options.file))
        return Asked(parse_text(text, name, inherited, files)[0])
    gateway = Gateway(options)
    shown = gateway.ask(messages.Show(), messages.Shown)
    kept = Baselines([])
    kept.read.update(shown.inherited)
    policy, _ = parse_text(shown.text, f"generation {shown.summary.generation}", kept, shown.files)
    members: dict[str, frozenset[Range]] = {}
    for name in policy.dynamics:
        sets = gateway.ask(messages.Sets(name, 65536), messages.SetList).sets
        members[name] = frozenset(addresses.literal(element) for one in sets for element in one.elements)
    book = gateway.ask(messages.Names(), messages.NameBook)
    status = gateway.ask(messages.Status(), messages.StatusReport)
    return Asked(policy, members, {rule.id: rule.action for rule in book.rules}, status.omitted)


def _service(policy: Policy, word: str, version: int) -> ServiceEntry:
    """One protocol (and port) of a service's name or literal: the first that this IP version has."""
    if word in policy.services:
        entries = policy.services[word].entries
    elif word in services.WELL_KNOWN:
        entries = tuple(entry for known in services.WELL_KNOWN[word] for entry in services.entries_of(known))
    else:
        try:
            entries = services.entries_of(word)
        except services.ServiceError as error:
            raise Failure(str(error), error.remedy, name="bad-service") from error
    other = {4: 58, 6: 1}[version]
    return next((entry for entry in entries if entry.protocol != other), entries[0])


def packet_of(version: int, entering: str, source: int, destination: int, entry: ServiceEntry) -> Packet:
    ported = entry.protocol in services.WITH_PORTS.values()
    own = max(entry.source_ports[0], min(CLIENT_PORT, entry.source_ports[1])) if ported else 0
    return Packet(
        version,
        entering,
        "",
        source,
        destination,
        # Every protocol: take one that no rule names by chance.
        253 if entry.protocol is None else entry.protocol,
        own,
        entry.ports[0] if ported else 0,
        entry.icmp[0],
        entry.code or 0,
    )


def interface_of(policy: Policy, version: int, address: int) -> str:
    """Through which interface the gateway reaches an address; "" is the gateway itself. Longest prefix wins."""
    reached: list[tuple[int, int, str]] = []  # (width, order, interface)
    for zone in policy.zones.values():
        for own in zone.addresses:
            literal = own.address.partition("/")[0]
            if addresses.address(literal) == (version, address):
                return ""
            _add(reached, addresses.network(_network(own.address)), version, address, 0, own.interface)
    for route in policy.routes:
        via = addresses.address(route.via) if route.via else None
        interface = route.interface or (_direct(policy, *via) if via else "")
        if interface:
            _add(reached, addresses.network(route.destination), version, address, 1, interface)
    for zone in policy.zones.values():
        for network in zone.networks:
            if zone.interfaces:
                _add(reached, network, version, address, 2, zone.interfaces[0])
    if reached:
        return min(reached)[2]
    # Addresses may come from DHCP: then the zone that names no networks is the way out.
    return next((zone.interfaces[0] for zone in policy.zones.values() if not zone.networks and zone.interfaces), "")


def _add(reached: list[tuple[int, int, str]], span: Range, version: int, address: int, order: int, name: str) -> None:
    if span.version == version and span.first <= address <= span.last:
        reached.append((span.last - span.first, order, name))


def _network(own: str) -> str:
    """The network of an interface's address, e.g. `10.20.0.0/16` of `10.20.0.1/16`."""
    literal, _, prefix = own.partition("/")
    version, number = addresses.address(literal)
    free = addresses.BITS[version] - int(prefix or addresses.BITS[version])
    return f"{addresses.text_of(version, number >> free << free)}/{addresses.BITS[version] - free}"


def _direct(policy: Policy, version: int, address: int) -> str:
    """The interface whose own network holds an address."""
    for zone in policy.zones.values():
        for own in zone.addresses:
            span = addresses.network(_network(own.address))
            if span.version == version and span.first <= address <= span.last:
                return own.interface
    return ""


def said(policy: Policy, packet: Packet, members: Mapping[str, frozenset[Range]], now: int) -> Explanation:
    """The decision about a connection's first packet, in the policy's words. Pure."""
    world = World(
        now=now,
        members=members,
        route=lambda version, address: interface_of(policy, version, address),
        interface_addresses={
            (own.interface, addresses.address(own.address.partition("/")[0])[0]): addresses.address(
                own.address.partition("/")[0]
            )[1]
            for zone in policy.zones.values()
            for own in zone.addresses
        },
    )
    decision = decide(policy, packet, world)
    leaving = interface_of(policy, packet.version, decision.destination)
    real = msgspec.structs.replace(
        packet, leaving=leaving, destination=decision.destination, destination_port=decision.destination_port
    )
    rule = next((rule for rule in policy.rules if rule.id == decision.rule), None)
    denied = decision.action != "allow" and decision.rule == DEFAULT
    return Explanation(
        source=_end(packet.version, packet.source, 0),
        source_zone=zone_of(policy, packet.entering),
        destination=_end(packet.version, packet.destination, packet.destination_port),
        destination_zone=zone_of(policy, leaving),
        service=_service_words(packet),
        action=decision.action,
        rule=decision.rule,
        why=rule.why if rule else "",
        owner=rule.owner if rule else "",
        leaves_from=_end(packet.version, decision.source, 0),
        leaves_to=_end(packet.version, decision.destination, decision.destination_port),
        source_nat=decision.source_nat,
        destination_nat=decision.destination_nat,
        near=near(policy, real, world) if denied else {},
    )


def near(policy: Policy, packet: Packet, world: World) -> dict[str, str]:
    """Rules that would allow the packet but for one condition: rule id -> that condition."""
    source, destination = zone_of(policy, packet.entering), zone_of(policy, packet.leaving)
    found: dict[str, str] = {}
    for rule in policy.rules:
        if rule.action == "allow":
            failing = [
                name for name, holds in _conditions(policy, rule, packet, source, destination, world) if not holds()
            ]
            if len(failing) == 1:
                found[rule.id] = failing[0]
    return found


def _conditions(
    policy: Policy, rule: Rule, packet: Packet, source: str, destination: str, world: World
) -> list[tuple[str, Callable[[], bool]]]:
    def zone_in(zone: str, zones: tuple[str, ...]) -> bool:
        return zone in zones or (ANY in zones and zone != GATEWAY)

    return [
        ("from", lambda: zone_in(source, rule.sources)),
        ("to", lambda: zone_in(destination, rule.destinations)),
        ("source", lambda: address_in(packet.version, packet.source, rule.source, world)),
        ("destination", lambda: address_in(packet.version, packet.destination, rule.destination, world)),
        ("service", lambda: any(service_is(entry, packet) for entry in rule.services)),
        ("when", lambda: not rule.when or is_on(policy.schedules[rule.when], world.now)),
        ("expires", lambda: not rule.expires_at or world.now < rule.expires_at),
        ("enabled", lambda: rule.enabled),
        ("people", lambda: not rule.people),
    ]


def _end(version: int, address: int, port: int) -> str:
    words = addresses.text_of(version, address)
    if not port:
        return words
    return f"[{words}]:{port}" if version == 6 else f"{words}:{port}"


def _service_words(packet: Packet) -> str:
    port = (packet.destination_port, packet.destination_port)
    if packet.protocol in services.WITH_PORTS.values():
        return services.words_of_entry(ServiceEntry(packet.protocol, port))
    icmp = (packet.icmp_type, packet.icmp_type)
    return services.words_of_entry(ServiceEntry(packet.protocol, icmp=icmp))


def _print(found: Explanation, terminal: Terminal) -> None:
    zones = f"{found.source_zone or 'no zone'} → {found.destination_zone or 'no zone'}"
    terminal.line(f"{found.source} → {found.destination}  {found.service}  ({zones})", "bold")
    if found.action == "allow":
        terminal.line(f"allowed by {found.rule}: {escape(found.why)} ({escape(found.owner)})", "green")
    elif found.rule == SPOOFED:
        terminal.line("denied by anti-spoofing: this source cannot be behind that interface", "red")
    elif found.rule == DEFAULT:
        terminal.line("denied: no rule allows it", "red")
    else:
        words = {"deny": "denied", "reject": "rejected"}[found.action]
        terminal.line(f"{words} by {found.rule}: {escape(found.why)} ({escape(found.owner)})", "red")
    if found.leaves_to != found.destination:
        terminal.line(f"goes on to {found.leaves_to} ({found.destination_nat})")
    if found.leaves_from != found.source:
        terminal.line(f"leaves from {found.leaves_from} ({found.source_nat})")
    for rule, condition in found.near.items():
        terminal.line(f"{rule} would allow it, but for its `{condition}`", "yellow")
