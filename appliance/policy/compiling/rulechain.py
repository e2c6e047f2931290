"""The chain of one rule: what its boxes cannot hold, then its count, its log and its verdict.

Everything here speaks of the connection, not of the packet: `ct original` for who began it and `ct reply`
for whom it reached (after destination NAT), so one chain serves packets of both directions, and the
decision about a running connection is taken again in either direction with the same words.

A chain is a row of stages. A stage with alternatives ("in one of these sets") ends by itself when none
holds; in a chain that was jumped to, and left by `goto`, that returns to the next level.
"""

from __future__ import annotations

import msgspec

from appliance.policy.boxes import FULL_PORTS, PORT_PROTOCOLS, icmp_protocol, needs_entries
from appliance.policy.compiling import emit
from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAG_QUEUE_OPEN, FLAG_REVISIT, MARK_PAIR, MARK_RULE
from appliance.policy.compiling.ruleset import Chain, Set
from appliance.policy.logprefix import NFLOG_GROUP, build
from appliance.policy.model import ANY, AddressSet, Rate, Rule, ServiceEntry

# A packet of a connection that no generation has decided yet.
UNDECIDED = f"ct mark and {MARK_RULE:#010x} == 0"
DECIDED = f"ct mark and {MARK_RULE:#010x} != 0"
# A conjunction of nftables matches.
Match = str
METER_SIZE = 262144  # addresses a limit is kept for at a time
SUBNET = "ffff:ffff:ffff:ffff::"  # a site's hosts choose the rest themselves (RFC 4291)
UNITS = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400), ("week", 604800))


class Surroundings(msgspec.Struct, frozen=True):
    """What a rule's chain depends on besides the rule.

    `queue` is whether the kernel can queue packets; `not_before` (seconds since the epoch) is the earliest
    moment a clock may show; `inspection` maps profiles to their `unavailable`.
    """

    queue: bool
    not_before: int
    inspection: dict[str, str]


class RuleChains(msgspec.Struct, frozen=True):
    """What one rule adds to the table.

    `revisit` names the chain that a timed connection passes, or "". `certain` is whether the rule decides
    every packet of its boxes, with nothing that could make it return.
    """

    chains: dict[str, Chain]
    sets: dict[str, Set]
    revisit: str = ""
    certain: bool = True


def chain_name(rule: str) -> str:
    """The chain and the counter of a rule."""
    return f"r_{rule}"


def schedule_set(name: str, off: bool) -> str:
    return f"{'off' if off else 'on'}_{name}"


def build_chains(rule: Rule, number: int, around: Surroundings) -> RuleChains:
    name = chain_name(rule.id)
    sets: dict[str, Set] = {}
    lasting = _lasting(rule, around)
    revocable = [match for match in lasting if match]
    leave = "return"
    if rule.action != "allow" and (revocable or rule.people):
        # When this rule begins to hold, what a later rule allowed meanwhile must end: such flows are decided anew.
        leave = f"ct mark set ct mark or {FLAG_REVISIT:#010x} return"
    head = [f"{match} {leave}" for match in revocable]
    stages: list[list[Match]] = []
    people = _members(rule.people, "original")
    if rule.people:
        stages.append(people)
    if rule.source.dynamic:
        stages.append(_located(rule, rule.source, "original", "source", sets))
    if rule.destination.dynamic:
        stages.append(_located(rule, rule.destination, "reply", "destination", sets))
    if any(needs_entries(entry) for entry in rule.services):
        stages.append([match for entry in rule.services for match in _entry(entry)])
    limits, leaving = _limits(rule, sets)
    stages += limits
    tail = [*leaving, *_verdict(rule, number, around)]
    chains = _staged(name, head, stages, tail, leave if rule.people else "")
    revisit = ""
    if rule.action == "allow" and (revocable or rule.people):
        revisit = f"t_{rule.id}"
        accept = "goto accepted_again"
        body = [f"{match} return" for match in revocable]
        body += [f"{match} {accept}" for match in people] if rule.people else [accept]
        chains[revisit] = Chain(rules=tuple(body))
    return RuleChains(chains, sets, revisit, certain=not (head or stages or leaving))


def _lasting(rule: Rule, around: Surroundings) -> list[Match]:
    """When any of these holds, the rule does not: its end and its schedule.

    The clock fails safe: a rule that allows needs a clock inside its known times, a rule that denies is
    off only in a time that is known to be off.
    """
    matches: list[Match] = []
    if rule.action == "allow":
        if rule.expires_at:
            matches.append(f"meta time >= {rule.expires_at}")
            matches.append(f"meta time < {around.not_before}")
        if rule.when:
            matches.append(f"meta time != @{schedule_set(rule.when, off=False)}")
    else:
        if rule.expires_at:
            matches.append(f"meta time >= {rule.expires_at}")
        if rule.when:
            matches.append(f"meta time @{schedule_set(rule.when, off=True)}")
    return matches


def _members(names: tuple[str, ...], direction: str) -> list[Match]:
    return [
        f"ct {direction} {emit.IP[version]} saddr @{emit.member_set(name, version)}"
        for name in names
        for version in emit.VERSIONS
    ]


def _located(rule: Rule, where: AddressSet, direction: str, dimension: str, sets: dict[str, Set]) -> list[Match]:
    """Alternatives for an address that may lie in static ranges or in sets filled while the generation runs."""
    matches = []
    for version in emit.VERSIONS:
        if static := emit.spoken(where, version):
            name = f"{dimension}_{rule.id}_v{version}"
            sets[name] = address_set(static, version)
            matches.append(f"ct {direction} {emit.IP[version]} saddr @{name}")
    return matches + _members(where.dynamic, direction)


def address_set(elements: list[str], version: int) -> Set:
    return Set(key=f"type {emit.ADDRESS_TYPE[version]}", flags=("interval",), elements=dict.fromkeys(elements, ""))


def _entry(entry: ServiceEntry) -> list[Match]:
    """One entry of a service in full, as alternatives."""
    if entry.protocol is None:
        return [f"meta l4proto {emit.numbers((0, 255))}"]
    if entry.protocol in PORT_PROTOCOLS:
        match = f"meta l4proto {entry.protocol}"
        if entry.source_ports != FULL_PORTS:
            match += f" ct original proto-src {emit.numbers(entry.source_ports)}"
        if entry.ports != FULL_PORTS:
            match += f" ct reply proto-src {emit.numbers(entry.ports)}"
        return [match]
    for version in emit.VERSIONS:
        if entry.protocol == icmp_protocol(version):
            kind = {4: "icmp", 6: "icmpv6"}[version]
            match = f"{kind} type {emit.numbers(entry.icmp)}"
            return [match if entry.code is None else f"{match} {kind} code {entry.code}"]
    return [f"meta l4proto {entry.protocol}"]


def rate_words(rate: Rate) -> str:
    """`amount/unit` in the smallest unit of nftables that says it exactly; rounded up to the week otherwise."""
    unit, amount = "week", -(-rate.amount * 604800 // rate.seconds)
    for name, seconds in UNITS:
        if rate.amount * seconds % rate.seconds == 0:
            unit, amount = name, rate.amount * seconds // rate.seconds
            break
    return f"{amount}/{unit} burst {rate.burst} packets"


def _limits(rule: Rule, sets: dict[str, Set]) -> tuple[list[list[Match]], list[str]]:
    """Limits count new connections only; above a limit the rule does not hold. As stages, and as rules.

    A limit is kept for so many addresses at a time. When there is no room for one more, a rule that allows does not
    hold and one that denies does: who sends from many addresses does not get round a limit.
    """
    stages: list[list[Match]] = []
    leaving: list[str] = []
    wanted: list[tuple[str, str, str, str, tuple[str, ...]]] = []
    if rule.rate is not None:
        lasts = max(60, rule.rate.seconds * 2)
        wanted.append(("rate", rule.rate.per, "limit rate", rate_words(rule.rate), (f"timeout {lasts}s;",)))
    if rule.connections is not None:
        wanted.append(("count", rule.connections.per, "ct count", str(rule.connections.limit), ()))
    for kind, per, match, amount, options in wanted:
        if per == "rule":
            leaving.append(f"{UNDECIDED} {match} over {amount} return")
        elif rule.action == "allow":
            stages.append([DECIDED, *_metered(kind, rule.id, per, f"{match} {amount}", options, sets)])
        else:
            over = _metered(kind, rule.id, per, f"{match} over {amount}", options, sets)
            leaving += [f"{UNDECIDED} {words} return" for words in over]
    return stages, leaving


def _metered(
    kind: str, rule: str, per: str, match: str, options: tuple[str, ...], sets: dict[str, Set]
) -> list[Match]:
    """The limit of the packet's own address, by version."""
    found = []
    for version in emit.VERSIONS:
        name = f"{kind}_{rule}_v{version}"
        sets[name] = Set(
            key=f"type {emit.ADDRESS_TYPE[version]}",
            flags=("dynamic",),
            options=(f"size {METER_SIZE};", *options),
            live=True,
        )
        address = f"ct {'original' if per == 'source' else 'reply'} {emit.IP[version]} saddr"
        if version == 6 and per == "source":
            address += f" and {SUBNET}"
        found.append(f"add @{name} {{ {address} {match} }}")
    return found


def _verdict(rule: Rule, number: int, around: Surroundings) -> list[str]:
    """Count, log, mark and end: one nftables rule, but for a log that is written at the start of a connection."""
    action, flags = effect(rule, around)
    words = [f"counter name {chain_name(rule.id)}"]
    before: list[str] = []
    if rule.log in ("start", "both"):
        sources = () if ANY in rule.sources else rule.sources
        destinations = () if ANY in rule.destinations else rule.destinations
        log = f'log prefix "{build(rule.id, action, sources, destinations)}" group {NFLOG_GROUP}'
        if action == "allow":
            before.append(f"{UNDECIDED} {log}")
        else:
            words.append(log)
    if action == "allow":
        if rule.people or rule.expires_at or rule.when:
            flags |= FLAG_REVISIT
        words.append(f"ct mark set ct mark and {MARK_PAIR | FLAG_REVISIT:#010x} or {number | flags:#010x}")
        words.append("goto accepted")
    else:
        words.append("drop" if action == "deny" else "goto rejected")
    return [*before, " ".join(words)]


def effect(rule: Rule, around: Surroundings) -> tuple[str, int]:
    """The action on this kernel and the queue flag: what must be inspected and cannot be is denied (fail-closed)."""
    if rule.action != "allow" or not rule.inspect:
        return rule.action, 0
    closed = around.inspection.get(rule.inspect, "fail-closed") == "fail-closed"
    if around.queue:
        return "allow", FLAG_QUEUE_CLOSED if closed else FLAG_QUEUE_OPEN
    return ("deny" if closed else "allow"), 0


def _staged(
    name: str, head: list[str], stages: list[list[Match]], tail: list[str], leave_first: str
) -> dict[str, Chain]:
    """Lay stages out as chains that go to one another."""
    chains: dict[str, Chain] = {}
    current, rules = name, list(head)
    for serial, stage in enumerate(stages):
        following = f"{name}/{serial + 1}"
        rules += [f"{match} goto {following}" for match in stage]
        if serial == 0 and leave_first not in ("", "return"):
            rules.append(leave_first)
        chains[current] = Chain(rules=tuple(rules))
        current, rules = following, []
    chains[current] = Chain(rules=tuple(rules + tail))
    return chains
