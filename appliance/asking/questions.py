"""A question, from the words of a person or from what was logged: one packet and its situation. Pure."""

from __future__ import annotations

import msgspec

from appliance.asking.ends import End, end_of
from appliance.asking.loglines import Logged
from appliance.asking.refusal import CannotAsk
from appliance.control.messages.live import Flow
from appliance.policy import addresses
from appliance.policy.answering.why import Question, Situation, as_person
from appliance.policy.decide import Packet, zone_of
from appliance.policy.model import GATEWAY, Policy, ServiceEntry
from appliance.policy.written import services
from appliance.policy.written.kinds import did_you_mean

# What a client's source port usually is: above the well-known ones, so that rules on source ports say no.
CLIENT_PORT = 49152
Own = tuple[tuple[int, int], ...]  # the gateway's own addresses: (version, number)


class Named(msgspec.Struct, frozen=True):
    """What a person names: two ends and a service; `entering` an interface or zone, `person` who it is."""

    source: str
    destination: str
    service: str
    entering: str = ""
    person: str = ""


def named(asked: Named, policy: Policy, situation: Situation, own: Own) -> tuple[Packet, Situation, str]:
    """The packet, the situation it comes in, and what was chosen for words that mean more. Raises `CannotAsk`."""
    source = end_of(asked.source, policy, situation.members, own)
    target = end_of(asked.destination, policy, situation.members, own)
    entry, version = _service(policy, asked.service, source, target)
    number = target.numbers[version]
    if source.gateway:
        way = situation.hop(version, number)
        entering, origin = "", source.numbers[version]
        if way.source:
            origin = addresses.address(way.source)[1]
        else:
            origin = situation.own.get((way.interface, version), origin)
    else:
        origin = source.numbers[version]
        back = situation.hop(version, origin).interface
        entering = entering_of(asked.entering, policy, back) if asked.entering else back
        if target.gateway:
            number = situation.own.get((entering, version), number)
    packet = packet_of(version, entering, origin, number, entry)
    person = asked.person or source.person
    if person:
        situation = as_known_person(person, policy, situation, packet)
    return packet, situation, "; ".join(end.note for end in (source, target) if end.note)


def of_logged(
    logged: Logged, policy: Policy, situation: Situation, *, entering: str = "", person: str = ""
) -> tuple[Question, Situation]:
    """What a line tells of, in a situation of its own moment. Raises `CannotAsk`."""
    back = situation.hop(logged.version, logged.source).interface
    if entering:
        interface = entering_of(entering, policy, back)
    elif logged.local:
        interface = ""
    else:
        zone = policy.zones.get(logged.source_zone)
        expected = entering_of(zone.name, policy, back) if zone is not None and zone.interfaces else back
        interface = logged.entering or expected
    packet = Packet(
        version=logged.version,
        entering=interface,
        leaving="",
        source=logged.source,
        destination=logged.destination,
        protocol=logged.protocol,
        source_port=CLIENT_PORT if logged.source_port < 0 and logged.destination_port else max(logged.source_port, 0),
        destination_port=logged.destination_port,
        icmp_type=logged.icmp_type,
        icmp_code=logged.icmp_code,
    )
    if person:
        situation = as_known_person(person, policy, situation, packet)
    return Question(packet, logged.translated), situation


def at_moment_of(logged: Logged, situation: Situation) -> Situation:
    """The situation at the moment that a line names."""
    return msgspec.structs.replace(situation, now=int(logged.at)) if logged.at else situation


def of_flow(flow: Flow, own: Own) -> Logged:
    """A flow that passes now, as a line would tell of it."""
    version, source = addresses.address(flow.source)
    protocol = services.entries_of(flow.protocol)[0].protocol if not flow.protocol.isdigit() else None
    icmp = flow.protocol in ("icmp", "icmpv6")
    return Logged(
        version=version,
        source=source,
        destination=addresses.address(flow.destination)[1],
        protocol=int(flow.protocol) if protocol is None else protocol,
        source_port=0 if icmp else flow.source_port,
        destination_port=0 if icmp else flow.destination_port,
        icmp_type=flow.destination_port >> 8 if icmp else 0,
        icmp_code=flow.destination_port & 0xFF if icmp else 0,
        rule=flow.rule,
        action="allow" if flow.rule else "",
        source_zone=GATEWAY if (version, source) in own else "",
    )


def as_known_person(person: str, policy: Policy, situation: Situation, packet: Packet) -> Situation:
    """The situation in which that person is at the source. Raises `CannotAsk`."""
    if person not in policy.people:
        known = f"known are {', '.join(sorted(policy.people)[:10])}" if policy.people else "it names nobody"
        raise CannotAsk(f"there is no person {person!r} in this policy", known, code="unknown-person")
    return as_person(policy, situation, packet.version, packet.source, person)


def _service(policy: Policy, word: str, source: End, target: End) -> tuple[ServiceEntry, int]:
    """One protocol (and port) of a service's name or literal, and the IP version that both ends have."""
    if word in policy.services:
        entries = policy.services[word].entries
    elif word in services.WELL_KNOWN:
        entries = tuple(entry for known in services.WELL_KNOWN[word] for entry in services.entries_of(known))
    else:
        try:
            entries = services.entries_of(word)
        except services.ServiceError as error:
            guess = did_you_mean(word, [*policy.services, *services.WELL_KNOWN])
            raise CannotAsk(str(error), guess or error.remedy, code="bad-service") from error
    versions = [version for version in (4, 6) if version in source.numbers and version in target.numbers]
    if not versions:
        raise CannotAsk(f"{source.word} and {target.word} are of two IP versions", code="bad-address")
    foreign = {4: 58, 6: 1}
    for version in versions:
        for entry in entries:
            if entry.protocol != foreign[version]:
                return entry, version
    raise CannotAsk(f"{word} is not spoken over IPv{versions[0]}", code="bad-service")


def packet_of(version: int, entering: str, source: int, destination: int, entry: ServiceEntry) -> Packet:
    """The first packet that a client of this service sends."""
    ported = entry.protocol in services.WITH_PORTS.values()
    own = max(entry.source_ports[0], min(CLIENT_PORT, entry.source_ports[1])) if ported else 0
    return Packet(
        version=version,
        entering=entering,
        leaving="",
        source=source,
        destination=destination,
        # Every protocol: take one that no rule names by chance.
        protocol=253 if entry.protocol is None else entry.protocol,
        source_port=own,
        destination_port=entry.ports[0] if ported else 0,
        icmp_type=entry.icmp[0],
        icmp_code=entry.code or 0,
    )


def entering_of(word: str, policy: Policy, back: str) -> str:
    """An interface by its own name, or of a zone the one that routing expects, else the zone's first."""
    if word in policy.zones:
        interfaces = policy.zones[word].interfaces
        if not interfaces:
            raise CannotAsk(f"the zone {word} has no interface", code="bad-interface")
        return back if back in interfaces else interfaces[0]
    if zone_of(policy, word):
        return word
    for bridge in policy.bridges.values():
        if word in bridge.between:
            raise CannotAsk(
                f"{word} is a line of the bridge {bridge.name}: no rule decides there, and what passes is inspected "
                f"under `{bridge.inspect}`",
                "see reef show bridges",
                code="bad-interface",
            )
    raise CannotAsk(f"{word} is no zone, and no interface of one", "see reef show zones", code="bad-interface")
