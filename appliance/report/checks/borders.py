"""What crosses the borders between zones."""

from __future__ import annotations

from appliance.policy.model import ANY, EVERYTHING, GATEWAY, Policy, Rule, ServiceEntry
from appliance.report import traffic
from appliance.report.evidence import Evidence, NothingToJudge, Result, judged
from appliance.report.facts import Facts
from appliance.report.traffic import TCP, UDP, port

# Protocols that carry passwords or data in the clear, or that have no place between networks.
CLEARTEXT = (port(23), port(21), port(69, UDP), ServiceEntry(TCP, (512, 514)), port(161, UDP))
SHARES = (port(139), port(445), port(2049), port(3389), port(5900), port(389), port(1433), port(3306), port(5432))
NAMES = (port(53, UDP), port(53), port(853))
MAIL = (port(25),)
SSH = (port(22),)
ANY_TCP = (ServiceEntry(TCP),)
ICMP = (1, 58)
PINGS = tuple(ServiceEntry(protocol) for protocol in ICMP)
GUARDED_ROLES = ("dmz", "backbone", "partner")  # where what the outside uses may stand


def _policy(facts: Facts) -> Policy:
    return traffic.in_force(facts.policy.known(), facts.taken)


def _shows(facts: Facts, **values: object) -> Evidence:
    return facts.policy.shows(values)


def _outside(facts: Facts, policy: Policy) -> tuple[str, ...]:
    """The external zones. Raises `CannotTell` where there is none."""
    found = traffic.external(policy)
    if not found:
        raise NothingToJudge("no zone of this policy is external", (_shows(facts, external=found),))
    return found


def no_way_in(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside, inside = _outside(facts, policy), traffic.inner(policy)
    if not inside:
        raise NothingToJudge("no inner zone is behind this gateway", (_shows(facts, inner=inside),))
    wrong = [crossing.words for crossing in traffic.crossings(policy, facts.taken, outside, inside)]
    shown = _shows(
        facts,
        asked=traffic.question(outside, inside),
        external=outside,
        inner=inside,
        permits=len(traffic.permits(policy)),
        crossing=wrong,
    )
    return judged(
        wrong,
        "No permit lets the outside open a connection to an inner zone.",
        "These permits let the outside straight into an inner zone:",
        shown,
    )


def published_apart(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    found = traffic.published(policy)
    where = {rule.id: [zone for zone in traffic.to_zones(policy, rule) if zone in policy.zones] for rule in found}
    shown = _shows(facts, external=outside, published=where)
    if not found:
        raise NothingToJudge("nothing inside is offered to the outside here", (shown,))
    wrong = [
        f"{rule}: leads into {zone} (role {policy.zones[zone].role})"
        for rule, zones in where.items()
        for zone in zones
        if zone not in outside and policy.zones[zone].role not in GUARDED_ROLES
    ]
    return judged(
        wrong,
        "What the outside may use stands in a zone of its own.",
        "These lead the outside into a zone that is not set apart:",
        shown,
    )


def dmz_contained(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    dmz, inside = traffic.with_role(policy, "dmz"), traffic.inner(policy)
    if not dmz:
        raise NothingToJudge("no zone has the role dmz", (_shows(facts, dmz=dmz),))
    found = traffic.crossings(policy, facts.taken, dmz, inside, which=traffic.unbounded)
    wrong = [crossing.words for crossing in found]
    shown = _shows(facts, asked=traffic.question(dmz, inside), unbounded=wrong)
    return judged(
        wrong,
        "A host of the screened zone that falls cannot open arbitrary connections inwards.",
        "These permits open the inner zones to the screened zone on every port:",
        shown,
    )


def segmented(facts: Facts, limit: float) -> Result:
    policy = _policy(facts)
    zones = {zone.name: zone.role for zone in policy.zones.values() if not zone.external}
    wrong = [] if len(zones) >= limit else [f"{len(zones)} inner zones; at least {limit:g} keep uses apart"]
    return judged(
        wrong,
        f"The inside is divided into {len(zones)} zones.",
        "The inside is one network, where whatever falls reaches everything:",
        _shows(facts, inner=zones),
    )


def antispoofing(facts: Facts, _: float) -> Result:
    zones = {zone.name: zone.antispoofing for zone in _policy(facts).zones.values()}
    wrong = [f"zone {name} takes packets with any source" for name, on in zones.items() if not on]
    return judged(
        wrong,
        "Every zone drops packets whose source does not belong to it.",
        "Anti-spoofing is off here:",
        _shows(facts, antispoofing=zones),
    )


def networks_named(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    zones = {zone.name: len(zone.networks) for zone in policy.zones.values() if not zone.external and zone.interfaces}
    if not zones:
        raise NothingToJudge("no inner zone has an interface", (_shows(facts, networks=zones),))
    wrong = [f"zone {name} does not say which networks live there" for name, count in zones.items() if not count]
    return judged(
        wrong,
        "Every inner zone says which networks live there.",
        "Sources cannot be held to a zone that names no networks:",
        _shows(facts, networks=zones),
    )


def guests_apart(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    guests = traffic.with_role(policy, "guest")
    if not guests:
        raise NothingToJudge("no zone has the role guest", (_shows(facts, guest=guests),))
    others = traffic.with_role(policy, "internal", "management", "voice", "safety", "backbone")
    wrong = [crossing.words for crossing in traffic.crossings(policy, facts.taken, guests, others)]
    return judged(
        wrong,
        "Guests reach no inner zone.",
        "These permits let guests into an inner zone:",
        _shows(facts, asked=traffic.question(guests, others), crossing=wrong),
    )


def cleartext(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [*(zone.name for zone in policy.zones.values() if not zone.external), GATEWAY]
    found = [
        *traffic.crossings(policy, facts.taken, outside, inside, CLEARTEXT),
        *traffic.crossings(policy, facts.taken, inside, outside, CLEARTEXT),
    ]
    wrong = [crossing.words for crossing in found]
    return judged(
        wrong,
        "Telnet, FTP, TFTP, the r-commands and SNMP do not cross the external border.",
        "Protocols that carry passwords in the clear may cross the external border:",
        _shows(
            facts,
            asked=[traffic.question(outside, inside, CLEARTEXT), traffic.question(inside, outside, CLEARTEXT)],
            crossing=wrong,
        ),
    )


def shares(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [*(zone.name for zone in policy.zones.values() if not zone.external), GATEWAY]
    wrong = [crossing.words for crossing in traffic.crossings(policy, facts.taken, outside, inside, SHARES)]
    return judged(
        wrong,
        "File shares, remote desktops, directories and databases cannot be reached from outside.",
        "The outside reaches file shares, remote desktops, directories or databases:",
        _shows(facts, asked=traffic.question(outside, inside, SHARES), crossing=wrong),
    )


def gateway_shut(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    wrong = [crossing.words for crossing in traffic.crossings(policy, facts.taken, outside, (GATEWAY,), ANY_TCP)]
    return judged(
        wrong,
        "From outside no TCP connection to the gateway itself is allowed.",
        "The outside may open TCP connections to the gateway itself:",
        _shows(facts, asked=traffic.question(outside, (GATEWAY,), ANY_TCP), crossing=wrong),
    )


def management_narrow(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    found = traffic.crossings(policy, facts.taken, tuple(policy.zones), (GATEWAY,), SSH)
    ways = {crossing.rule.id: list(crossing.rule.said_source) for crossing in found}
    if not ways:
        raise NothingToJudge(
            "no permit leads to the gateway's ssh: it is managed at its console", (_shows(facts, ssh=ways),)
        )
    wrong = [
        f"{crossing.rule.id}: from every host of its zones"
        for crossing in found
        if crossing.rule.source == EVERYTHING
    ]
    return judged(
        wrong,
        "The gateway is managed from named hosts only.",
        "The gateway can be managed from every host of a zone:",
        _shows(facts, ssh=ways),
    )


def outbound_bounded(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [zone.name for zone in policy.zones.values() if not zone.external]
    found = traffic.crossings(policy, facts.taken, inside, outside, which=traffic.unbounded)
    wrong = [f"{crossing.words}, and every other port" for crossing in found]
    return judged(
        wrong,
        "What leaves is limited to named services.",
        "These permits let everything out:",
        _shows(facts, asked=traffic.question(inside, outside), permits=len(traffic.permits(policy)), unbounded=wrong),
    )


def permits_bounded(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    found = traffic.permits(policy)
    wrong = [
        f"{rule.id}: any address, any service"
        for rule in found
        if traffic.unbounded(rule) and traffic.anywhere(rule) and ANY in (*rule.sources, *rule.destinations)
    ]
    return judged(
        wrong,
        "No permit is for any zone, any address and any service.",
        "These permits are for everything:",
        _shows(facts, permits=len(found), unbounded=wrong),
    )


def mail_by_relay(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [zone.name for zone in policy.zones.values() if not zone.external]
    found = traffic.crossings(
        policy, facts.taken, inside, outside, MAIL, which=lambda rule: rule.source == EVERYTHING
    )
    wrong = [f"{crossing.words}, from every host" for crossing in found]
    return judged(
        wrong,
        "Mail leaves from named hosts only, if at all.",
        "Every host of a zone may send mail straight to the outside:",
        _shows(
            facts, asked=traffic.question(inside, outside, MAIL), permits=len(traffic.permits(policy)), unnamed=wrong
        ),
    )


def names_by_resolver(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [zone.name for zone in policy.zones.values() if not zone.external]
    found = traffic.crossings(
        policy, facts.taken, inside, outside, NAMES, which=lambda rule: rule.destination == EVERYTHING
    )
    wrong = [f"{crossing.words}, to every resolver" for crossing in found]
    return judged(
        wrong,
        "Names are asked of named resolvers only.",
        "Every resolver of the world may be asked, which also carries data out:",
        _shows(
            facts, asked=traffic.question(inside, outside, NAMES), permits=len(traffic.permits(policy)), unnamed=wrong
        ),
    )


def icmp_narrow(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = _outside(facts, policy)
    inside = [*(zone.name for zone in policy.zones.values() if not zone.external), GATEWAY]
    found = traffic.crossings(policy, facts.taken, outside, inside, PINGS, which=_every_type)
    wrong = [f"{crossing.words}, every type" for crossing in found]
    return judged(
        wrong,
        "ICMP from outside is limited to named types.",
        "Every ICMP type may come in from outside:",
        _shows(
            facts,
            asked=traffic.question(outside, inside, PINGS),
            permits=len(traffic.permits(policy)),
            every_type=wrong,
        ),
    )


def _every_type(rule: Rule) -> bool:
    return any(
        entry.protocol is None or (entry.protocol in ICMP and entry.icmp == (0, 255)) for entry in rule.services
    )
