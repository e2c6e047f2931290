"""Questions about what a policy lets through, as the checks ask them. Pure.

The prover answers them, exactly: a question is put as an invariant that the policy then keeps or breaks. What the
text cannot know (the addresses behind a DNS name, whether a limit is exceeded) is taken as if it let the packet pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from appliance.policy.addresses import intersection, text_of
from appliance.policy.model import ANY, EVERYTHING, GATEWAY, Invariant, Object, Policy, Rule, ServiceEntry
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.proof import Finding
from appliance.policy.written.services import words_of_entry
from appliance.report.evidence import CannotTell

TCP, UDP = 6, 17
PROTOCOLS = {1: "icmp", TCP: "tcp", UDP: "udp", 58: "icmpv6"}
_QUESTION = "asked by the report"
EVERY_SERVICE = (ServiceEntry(None),)
SENSITIVE = ("confidential", "secret")


def in_force(policy: Policy, now: float) -> Policy:
    """The policy without the rules that are switched off or have expired."""
    rules = tuple(rule for rule in policy.rules if rule.enabled and not 0 < rule.expires_at <= now)
    return policy if len(rules) == len(policy.rules) else msgspec.structs.replace(policy, rules=rules)


def permits(policy: Policy) -> tuple[Rule, ...]:
    return tuple(rule for rule in policy.rules if rule.action == "allow" and rule.enabled)


def external(policy: Policy) -> tuple[str, ...]:
    """The zones whose lines leave the house."""
    return tuple(zone.name for zone in policy.zones.values() if zone.external)


def with_role(policy: Policy, *roles: str) -> tuple[str, ...]:
    return tuple(zone.name for zone in policy.zones.values() if zone.role in roles and not zone.external)


def inner(policy: Policy) -> tuple[str, ...]:
    """The zones that nobody outside should reach straight."""
    return with_role(policy, "internal", "management", "voice", "safety", "guest")


class Crossing(msgspec.Struct, frozen=True):
    """A permit that lets through what was asked about, and a packet that shows it."""

    rule: Rule
    finding: Finding

    @property
    def words(self) -> str:
        """`R-3: lan -> internet, for example 10.20.0.1 -> 192.0.2.1 tcp/80`."""
        witness = self.finding.witness
        if witness is None:
            return self.rule.id
        packet = witness.packet
        left, right = text_of(packet.version, packet.source), text_of(packet.version, packet.destination)
        name = PROTOCOLS.get(packet.protocol, f"protocol {packet.protocol}")
        service = f"{name}/{packet.destination_port}" if packet.protocol in (TCP, UDP) else name
        example = f"{left} -> {right} {service}"
        return f"{self.rule.id}: {witness.from_zone} -> {witness.to_zone}, for example {example}"


def crossings(
    policy: Policy,
    now: float,
    sources: Iterable[str],
    destinations: Iterable[str],
    services: tuple[ServiceEntry, ...] = EVERY_SERVICE,
    which: Callable[[Rule], bool] | None = None,
) -> list[Crossing]:
    """The permits that let something of `services` through, from `now` on, from `sources` to `destinations`.

    Both are names of zones or objects. Every permit is named once. With `which` only those permits are asked about,
    as if there were no others: what they let through is let through. Raises `CannotTell` when the prover gives up.
    """
    left, right = tuple(sources), tuple(destinations)
    rules = [rule for rule in policy.rules if rule.action != "allow" or which is None or which(rule)]
    if not left or not right or not any(rule.action == "allow" for rule in rules):
        return []
    never = Invariant(_QUESTION, left, right, services)
    asked = msgspec.structs.replace(policy, invariants=(never,), rules=tuple(rules))
    proof = Examiner().examine(asked, int(now)).proof
    if not proof.decided:
        raise CannotTell(f"what crosses could not be proven: {'; '.join(proof.undecided)}")
    found = {item.rule: item for item in proof.findings if item.kind == "invariant" and item.name == _QUESTION}
    return [Crossing(rule, found[rule.id]) for rule in rules if rule.id in found]


def question(
    sources: Iterable[str], destinations: Iterable[str], services: tuple[ServiceEntry, ...] = EVERY_SERVICE
) -> str:
    """What `crossings` asks, as a person may put it into a policy for `reef check` to prove."""
    direction = f"never: '{', '.join(sources)} -> {', '.join(destinations)}'"
    if services == EVERY_SERVICE:
        return f"{{{direction}}}"
    return f"{{{direction}, service: [{', '.join(words_of_entry(entry) for entry in services)}]}}"


def port(number: int, protocol: int = TCP) -> ServiceEntry:
    return ServiceEntry(protocol, (number, number))


def unbounded(rule: Rule) -> bool:
    """Whether a rule allows every service, or every port of TCP or UDP."""
    return any(
        entry.protocol is None or (entry.protocol in (TCP, UDP) and entry.ports == (0, 65535))
        for entry in rule.services
    )


def anywhere(rule: Rule) -> bool:
    """Whether a rule names neither sources nor destinations."""
    return rule.source == EVERYTHING and rule.destination == EVERYTHING


def from_zones(policy: Policy, rule: Rule) -> tuple[str, ...]:
    """The zones a rule speaks of as its source; `any` is every zone but the gateway."""
    return tuple(policy.zones) if ANY in rule.sources else rule.sources


def to_zones(policy: Policy, rule: Rule) -> tuple[str, ...]:
    return tuple(policy.zones) if ANY in rule.destinations else rule.destinations


def published(policy: Policy) -> tuple[Rule, ...]:
    """The permits by which somebody outside reaches a host inside."""
    outside = set(external(policy))
    return tuple(
        rule
        for rule in permits(policy)
        if outside & set(from_zones(policy, rule)) and set(to_zones(policy, rule)) - outside - {GATEWAY}
    )


def home(policy: Policy, thing: Object) -> tuple[str, ...]:
    """The zones whose networks hold an object."""
    return tuple(
        zone.name
        for zone in policy.zones.values()
        if zone.networks and intersection(thing.addresses.ranges, zone.networks)
    )


def sensitive(policy: Policy) -> tuple[Object, ...]:
    """The objects of this site that are classified as confidential or secret."""
    return tuple(
        thing for thing in policy.objects.values() if thing.classification in SENSITIVE and home(policy, thing)
    )
