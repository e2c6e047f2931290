"""Why the gateway decides about a packet as it does: every step, the rule, and the rules that nearly decided. Pure.

    question ──where it enters──▶ source ──▶ destination NAT ──▶ route ──▶ rules ──▶ source NAT ──▶ answer

`decide` is the meaning of the policy, and what this says is what that says; here are the words, and what missed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from appliance.policy import addresses
from appliance.policy.answering import misses
from appliance.policy.answering.nearly import Found, Rulebook
from appliance.policy.answering.packetwords import end_words, service_words
from appliance.policy.answering.reach import NOWHERE, Hop, own_addresses, reach
from appliance.policy.decide import SPOOFED, Decision, Packet, World, address_in, decide, zone_of
from appliance.policy.logprefix import INDICATOR
from appliance.policy.model import AddressSet, Policy, Range, Rule

# Decisions that no rule of a text makes, besides those of `decide`.
BANNED = "banned"
LINK = "link"  # neighbour discovery and multicast listeners on the line itself
LOOPBACK = "loopback"
NO_ROUTE = "no-route"
# What every host of a line says to its neighbours; the ruleset accepts it by its hop limit.
_LINK_TYPES = frozenset({130, 131, 132, 133, 134, 135, 136, 143})

Kind = Literal[
    "enters", "quarantine", "source", "ban", "nat", "route", "decision", "limit", "inspection", "lasts", "leaves"
]


class Question(msgspec.Struct, frozen=True):
    """A connection's first packet as its sender sends it. With `translated` destination NAT has been done already,
    as in what the filter logs."""

    packet: Packet
    translated: bool = False


def nobody(_version: int, _address: int) -> str:
    return ""


class Situation(msgspec.Struct, frozen=True):
    """What an answer depends on besides the policy.

    `members` and `over` as in `World`; `hop` is the way to an address; `own` what masquerade uses; `bans` ranges
    with what to say of them; `enforced` what a rule does where that is not what it says, and `omitted` why. `blocked`
    says which indicator blocks an address, "" for none.
    """

    now: int
    hop: Callable[[int, int], Hop]
    own: Mapping[tuple[str, int], int] = {}
    members: Mapping[str, frozenset[Range]] = {}
    over: frozenset[str] = frozenset()
    bans: tuple[tuple[Range, str], ...] = ()
    enforced: Mapping[str, str] = {}
    omitted: Mapping[str, str] = {}
    blocked: Callable[[int, int], str] = nobody


def of_text(policy: Policy, now: int) -> Situation:
    """What a text alone knows: its own addresses, routes and networks, and nobody logged in."""
    return Situation(now, lambda version, address: reach(policy, version, address), own_addresses(policy))


class Step(msgspec.Struct, frozen=True):
    kind: Kind
    words: str


class NearMiss(msgspec.Struct, frozen=True):
    """A rule that would have decided otherwise: the conditions it `missed`, and in `words` by how much."""

    rule: str
    action: str
    missed: tuple[str, ...]
    words: str


class Answer(msgspec.Struct, frozen=True):
    """What `reef why --json` prints. Addresses with ports as a person writes them; times ISO 8601.

    `rule` is the id of the deciding rule, or "default", "antispoofing", "banned", "indicator", "link", "loopback",
    "no-route". `action` is what happens; `near_count` how many rules nearly decided otherwise, `near` the nearest
    of them.
    """

    at: str
    source: str
    source_zone: str
    enters: str
    destination: str
    destination_zone: str
    leaves: str
    via: str
    service: str
    action: str
    rule: str
    why: str
    owner: str
    expires: str
    schedule: str
    inspect: str
    leaves_from: str
    leaves_to: str
    source_nat: str
    destination_nat: str
    steps: tuple[Step, ...]
    near: tuple[NearMiss, ...] = ()
    near_count: int = 0


def why(book: Rulebook, question: Question, situation: Situation, most: int = 5) -> Answer:
    """The answer about one packet. `most` bounds the near misses that are told."""
    policy, packet = book.policy, question.packet
    hops: dict[tuple[int, int], Hop] = {}

    def hop(version: int, address: int) -> Hop:
        if (version, address) not in hops:
            hops[version, address] = situation.hop(version, address)
        return hops[version, address]

    world = World(
        now=situation.now,
        members=situation.members,
        over=situation.over,
        route=lambda version, address: hop(version, address).interface,
        interface_addresses=situation.own,
    )
    meant = msgspec.structs.replace(policy, destination_nat=()) if question.translated else policy
    decision = decide(meant, packet, world, book.match)
    way = hop(packet.version, decision.destination)
    real = msgspec.structs.replace(
        packet,
        leaving=way.interface,
        destination=decision.destination,
        destination_port=decision.destination_port or packet.destination_port,
    )
    special, words = _special(real, way, decision, situation)
    if special:
        action: Literal["allow", "deny"] = "allow" if special in (LINK, LOOPBACK) else "deny"
        decision = msgspec.structs.replace(decision, action=action, rule=special, source=packet.source)
    found = Found(None)
    if not special and decision.rule != SPOOFED:
        found = book.find(real, world, most)
    rule = found.rule
    action_done = situation.enforced.get(decision.rule, decision.action) if rule else decision.action
    steps = [
        *_arrival(policy, packet, hop, decision),
        *_translation(policy, packet, decision, question.translated),
        *([] if decision.rule == SPOOFED else [_route(policy, packet, real, way)]),
        Step("ban" if special == BANNED else "decision", words or _decided(decision, rule)),
        *(_lasting(policy, rule, situation) if rule else []),
        *(_inspected(rule, action_done, situation) if rule else []),
    ]
    if action_done == "allow" and way.interface and not special:
        steps.append(_leaving(policy, packet, decision, question, way))
    return Answer(
        at=_moment(situation.now, policy.settings.timezone),
        source=end_words(packet.version, packet.source, packet.source_port),
        source_zone=zone_of(policy, packet.entering),
        enters=packet.entering,
        destination=end_words(packet.version, packet.destination, packet.destination_port),
        destination_zone=zone_of(policy, way.interface),
        leaves=way.interface,
        via=way.via,
        service=service_words(packet),
        action=action_done,
        rule=decision.rule,
        why=rule.why if rule else "",
        owner=rule.owner if rule else "",
        expires=_moment(rule.expires_at, policy.settings.timezone) if rule and rule.expires_at else "",
        schedule=rule.when if rule else "",
        inspect=rule.inspect if rule else "",
        leaves_from=end_words(packet.version, decision.source, 0),
        leaves_to=end_words(packet.version, decision.destination, real.destination_port),
        source_nat=decision.source_nat,
        destination_nat=decision.destination_nat,
        steps=tuple(steps),
        near=tuple(
            NearMiss(one.rule.id, one.rule.action, one.missed, misses.words(policy, one, real, world, found.rule))
            for one in found.near
        ),
        near_count=found.count,
    )


def _special(real: Packet, way: Hop, decision: Decision, situation: Situation) -> tuple[str, str]:
    """What is decided before, beside or after the rules: (decision, words), or two ""."""
    if real.entering and (banned := _ban(real.version, real.source, situation)):
        return BANNED, banned
    if real.entering and (blocked := situation.blocked(real.version, real.source)):
        return INDICATOR, blocked
    if not real.entering and not real.leaving:
        return LOOPBACK, "allowed: the gateway speaks to itself"
    link = real.protocol == 58 and real.icmp_type in _LINK_TYPES
    if link and (not real.entering or not real.leaving):
        return LINK, "allowed: neighbour discovery and multicast listeners on a line need no rule"
    if way.interface == NOWHERE:
        return NO_ROUTE, "denied: there is no route to it"
    # Bans of destinations come last, when a packet leaves.
    if real.leaving and decision.action == "allow" and (banned := _ban(real.version, real.destination, situation)):
        return BANNED, banned
    if real.leaving and decision.action == "allow" and (blocked := situation.blocked(real.version, real.destination)):
        return INDICATOR, blocked
    return "", ""


def _ban(version: int, address: int, situation: Situation) -> str:
    for part, said in situation.bans:
        if part.version == version and part.first <= address <= part.last:
            return f"dropped whatever the rules say: {addresses.words_of(part)} is banned{said}"
    return ""


def _arrival(policy: Policy, packet: Packet, hop: Callable[[int, int], Hop], decision: Decision) -> list[Step]:
    source = addresses.text_of(packet.version, packet.source)
    if not packet.entering:
        return [Step("enters", "begins at the gateway itself")]
    zone = zone_of(policy, packet.entering)
    steps = [Step("enters", f"through {packet.entering}, " + (f"zone {zone}" if zone else "an interface of no zone"))]
    known = policy.zones.get(zone)
    if known is not None and known.quarantined_may is not None:
        steps.append(Step("quarantine", f"{zone} holds devices that nobody accepted; this one counts as accepted"))
    if known is None or not known.antispoofing:
        return steps
    if decision.rule != SPOOFED:
        return [*steps, Step("source", f"{source} may be behind {packet.entering}")]
    inside = not known.networks or address_in(packet.version, packet.source, AddressSet(known.networks), World())
    if not inside:
        listed = ", ".join(addresses.words_of(part) for part in known.networks if part.version == packet.version)
        said = f"{source} is not in the networks of {zone} ({listed or f'none of IPv{packet.version}'})"
    else:
        back = hop(packet.version, packet.source)
        through = {"": "it is the gateway's own address", NOWHERE: "there is no route back to it"}
        said = f"{source} cannot be behind {packet.entering}: "
        said += through.get(back.interface, f"the route back to it leaves through {back.interface}")
    return [*steps, Step("source", said)]


def _translation(policy: Policy, packet: Packet, decision: Decision, translated: bool) -> list[Step]:
    if translated:
        publishing = [
            rule.id
            for rule in policy.destination_nat
            if rule.to.version == packet.version and rule.to.first <= packet.destination <= rule.to.last
        ]
        said = f"the filter saw this destination, to which {' and '.join(publishing)} may have sent it on"
        return [Step("nat", said)] if publishing else []
    if not decision.destination_nat:
        return []
    inner = end_words(packet.version, decision.destination, decision.destination_port)
    return [Step("nat", f"{decision.destination_nat} sends it on to {inner}")]


def _route(policy: Policy, packet: Packet, real: Packet, way: Hop) -> Step:
    target = addresses.text_of(real.version, real.destination)
    if not way.interface:
        return Step("route", f"{target} is the gateway itself")
    if way.interface == NOWHERE:
        return Step("route", f"no route leads to {target}")
    zone = zone_of(policy, way.interface)
    via = f" via {way.via}" if way.via else ""
    back = ", back into the zone it came from" if zone == zone_of(policy, packet.entering) and packet.entering else ""
    where = f"zone {zone}" if zone else "an interface of no zone"
    return Step("route", f"{target} is behind {way.interface}{via}, {where}{back}")


_DONE = {"allow": "allowed", "deny": "denied", "reject": "rejected"}


def _decided(decision: Decision, rule: Rule | None) -> str:
    if decision.rule == SPOOFED:
        return "denied by anti-spoofing"
    if rule is None:
        return "denied: no rule allows it"
    reason = f": {rule.why}" if rule.why else ""
    owner = f" ({rule.owner})" if rule.owner else ""
    return f"{_DONE[rule.action]} by {rule.id}{reason}{owner}"


def _lasting(policy: Policy, rule: Rule, situation: Situation) -> list[Step]:
    """What ends or bounds the decision: schedule, expiry, limits, people."""
    steps = []
    if rule.expires_at:
        steps.append(
            Step("lasts", f"{rule.id} expires {rule.expires or _moment(rule.expires_at, policy.settings.timezone)}")
        )
    if rule.when:
        change = misses.next_change(policy.schedules[rule.when], situation.now)
        until = f" until {change}" if change else " for good"
        steps.append(Step("lasts", f"its schedule {rule.when} is on{until}"))
    if rule.rate is not None or rule.connections is not None:
        steps.append(Step("limit", f"{rule.id} has a limit; what is above it goes on to the rules below"))
    return steps


def _inspected(rule: Rule, action: str, situation: Situation) -> list[Step]:
    if rule.id in situation.omitted:
        return [Step("inspection", f"{situation.omitted[rule.id]}; so it is {_DONE[action]}")]
    return [Step("inspection", f"inspected with the profile {rule.inspect}")] if rule.inspect else []


def _leaving(policy: Policy, packet: Packet, decision: Decision, question: Question, way: Hop) -> Step:
    through = f"through {way.interface}"
    if not decision.source_nat:
        return Step("leaves", f"{through}, as it came")
    own = addresses.text_of(packet.version, decision.source)
    if decision.source == packet.source:
        exempt = any(rule.id == decision.source_nat and rule.exempt for rule in policy.source_nat)
        return Step("leaves", f"{through}, its source kept ({decision.source_nat})" if exempt else f"{through}")
    # An interface without a known address: the kernel takes what it has by then.
    said = f"from {own}" if decision.source else f"from the address of {way.interface}"
    hidden = ", hidden so that answers pass here" if decision.source_nat == decision.destination_nat else ""
    return Step("leaves", f"{through}, {said} ({decision.source_nat}{hidden})")


def _moment(seconds: int, timezone: str) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo(timezone)).isoformat(timespec="seconds")


def as_person(policy: Policy, situation: Situation, version: int, address: int, person: str) -> Situation:
    """The situation in which that person, and nobody else, is behind an address."""
    host = Range(version, address, address)
    members = dict(situation.members)
    for name, dynamic in policy.dynamics.items():
        if dynamic.kind in ("person", "group"):
            others = addresses.without(addresses.normal(members.get(name, frozenset())), (host,))
            members[name] = frozenset((*others, host) if person in dynamic.names else others)
    return msgspec.structs.replace(situation, members=members)
