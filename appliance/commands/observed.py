"""What rules really matched: from the flow log, which has every connection, else from events of rules that log."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from appliance.commands.failure import FORBIDDEN, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.names import Names
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages.hits import Matched, MatchedFlows, MatchedList
from appliance.events import view
from appliance.events.record import Event
from appliance.policy.answering.tighten import Seen

_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132, "DCCP": 33, "UDPLITE": 136,
              "ESP": 50, "GRE": 47, "AH": 51, "IGMP": 2, "OSPF": 89}  # fmt: skip
_NUMBERS = {
    name.removeprefix("IPPROTO_").lower(): number
    for name, number in vars(socket).items()
    if name.startswith("IPPROTO_") and number < 256
}
_ICMP = (1, 58)
MOST_RUNNING = 50_000
HOUR = 3600  # the flow log knows of a row only its hour


class Observation(msgspec.Struct, frozen=True):
    """What was seen of each rule, by its id, between `begin` and `end` (seconds since the epoch).

    `running` are connections that have not ended; some may have begun under other words of their rule. `every` says
    that every connection is in it, not only those of rules that log. `missing` says in words what could not be
    looked at.
    """

    rules: dict[str, tuple[Seen, ...]]
    begin: float
    end: float
    every: bool
    missing: tuple[str, ...] = ()
    running: dict[str, tuple[Seen, ...]] = {}


def observed(gateway: Gateway, rules: Sequence[str], since: float, now: float) -> Observation:
    """What this gateway has logged of these rules since then, and what runs now, alike connections as one.

    What runs is in no log before it ends, and may have run for years. Raises `Failure`.
    """
    names = Names(gateway.ask(messages.Names(), messages.NameBook))
    logged, whole = _logged(gateway, names, rules, since, now)
    one = rules[0] if len(rules) == 1 else ""
    listed = gateway.ask(messages_live.Flows(limit=MOST_RUNNING, rule=one), messages_live.FlowList)
    running: dict[str, list[Seen]] = {}
    for flow in listed.flows:
        seen = seen_running(flow, names, now)
        if seen is not None and flow.rule and flow.rule not in whole:
            running.setdefault(flow.rule, []).append(seen)
    left = listed.total - len(listed.flows)
    return msgspec.structs.replace(
        logged,
        running={rule: tuple(found) for rule, found in running.items()},
        missing=logged.missing + ((f"{left} of the connections that run now",) if left > 0 else ()),
    )


def seen_running(flow: messages_live.Flow, names: Names, now: float) -> Seen | None:
    """A connection that runs, as its rule judged it; None for a protocol that is not known."""
    protocol = int(flow.protocol) if flow.protocol.isdigit() else _NUMBERS.get(flow.protocol, -1)
    source, destination = ip_address(flow.source), ip_address(flow.reply_source)
    if protocol < 0 or source.version != destination.version:
        return None
    port = flow.reply_source_port if protocol not in _ICMP else flow.destination_port >> 8
    origin, target = names.zone_of_address(flow.source), names.zone_of_address(flow.reply_source)
    return Seen(source.version, int(source), int(destination), protocol, port, origin, target, 1, now)


def _logged(
    gateway: Gateway, names: Names, rules: Sequence[str], since: float, now: float
) -> tuple[Observation, frozenset[str]]:
    listed = gateway.ask(Matched(tuple(rules), int(now - since)), MatchedList)
    if listed.logged:
        found: dict[str, list[Seen]] = {}
        for flows in listed.flows:
            found.setdefault(flows.rule, []).append(seen_in_log(flows, names))
        by_rule = {rule: tuple(seen) for rule, seen in found.items()}
        return Observation(by_rule, max(since, listed.since), now, True, listed.missing), frozenset()
    return _in_events(gateway, since, now)


def seen_in_log(flows: MatchedFlows, names: Names) -> Seen:
    """What was logged. Where the log has no zone, the address being in no zone's networks, `names` may know it."""
    source, destination = ip_address(flows.source), ip_address(flows.destination)
    port = flows.port >> 8 if flows.protocol in _ICMP else flows.port
    origin = flows.from_zone or names.zone_of_address(flows.source)
    target = flows.to_zone or names.zone_of_address(flows.destination)
    return Seen(
        source.version, int(source), int(destination), flows.protocol, port, origin, target, flows.flows,
        float(flows.last),
    )  # fmt: skip


def _in_events(gateway: Gateway, since: float, now: float) -> tuple[Observation, frozenset[str]]:
    """Also the rules of which connections that run are in it already."""
    try:
        events = view.past(gateway.instance.events, view.Selection(since=since, types=("flow", "drop")))
    except PermissionError as error:
        raise Failure(
            f"{error.filename}: {error.strerror}",
            "be root or in the operators' group to read the log",
            code=FORBIDDEN,
            name="not-allowed",
        ) from error
    ended: dict[str, Counter[Seen]] = {}
    begun: dict[str, Counter[Seen]] = {}
    last: dict[tuple[str, Seen], float] = {}
    for event in events:
        one, rule = seen_in_event(event), event.decision.rule
        if one is not None and rule:
            opens = event.flow is not None and "end" not in event.flow
            (begun if opens else ended).setdefault(rule, Counter())[one] += 1
            last[rule, one] = event.time.timestamp()
    # A rule that logs both ends shall not be counted twice; what has only begun may run, and is counted there.
    begun = {rule: seen for rule, seen in begun.items() if rule not in ended}
    rules = {
        rule: tuple(one._replace(times=times, last=last[rule, one]) for one, times in seen.items())
        for rule, seen in (ended | begun).items()
    }
    begin = max(since, events[0].time.timestamp()) if events else now
    return Observation(rules, begin, now, False), frozenset(begun)


def seen_in_event(event: Event) -> Seen | None:
    """What a rule judged; None for an event that does not say it."""
    try:
        source, destination = ip_address(event.src_ip), ip_address(event.dest_ip)
        protocol = _PROTOCOLS.get(event.proto, -1) if not event.proto.isdigit() else int(event.proto)
    except ValueError:
        return None
    if protocol < 0 or source.version != destination.version:
        return None
    port = event.icmp_type if event.icmp_type is not None else event.dest_port or 0
    decision = event.decision
    return Seen(source.version, int(source), int(destination), protocol, port, decision.source, decision.destination)
