"""What rules really matched: from the flow log, which has every connection, else from events of rules that log."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from appliance.commands.failure import FORBIDDEN, Failure
from appliance.commands.gateway import Gateway
from appliance.control.messages_hits import Matched, MatchedFlows, MatchedList
from appliance.events import view
from appliance.events.record import Event
from appliance.policy.tighten import Seen

_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132, "DCCP": 33, "UDPLITE": 136,
              "ESP": 50, "GRE": 47, "AH": 51, "IGMP": 2, "OSPF": 89}  # fmt: skip
_ICMP = (1, 58)
HOUR = 3600  # the flow log knows of a row only its hour


class Observation(msgspec.Struct, frozen=True):
    """What was seen of each rule, by its id, between `begin` and `end` (seconds since the epoch).

    `every` says that every connection is in it, not only those of rules that log. `missing` says in words what could
    not be looked at.
    """

    rules: dict[str, tuple[Seen, ...]]
    begin: float
    end: float
    every: bool
    missing: tuple[str, ...] = ()


def observed(gateway: Gateway, rules: Sequence[str], since: float, now: float) -> Observation:
    """What this gateway has logged of these rules since then, alike connections as one. Raises `Failure`."""
    listed = gateway.ask(Matched(tuple(rules), int(now - since)), MatchedList)
    if listed.logged:
        found: dict[str, list[Seen]] = {}
        for flows in listed.flows:
            found.setdefault(flows.rule, []).append(seen_in_log(flows))
        by_rule = {rule: tuple(seen) for rule, seen in found.items()}
        return Observation(by_rule, max(since, listed.since), now, True, listed.missing)
    return _in_events(gateway, since, now)


def seen_in_log(flows: MatchedFlows) -> Seen:
    source, destination = ip_address(flows.source), ip_address(flows.destination)
    port = flows.port >> 8 if flows.protocol in _ICMP else flows.port
    return Seen(
        source.version, int(source), int(destination), flows.protocol, port, flows.from_zone, flows.to_zone,
        flows.flows, float(flows.last),
    )  # fmt: skip


def _in_events(gateway: Gateway, since: float, now: float) -> Observation:
    try:
        events = view.past(gateway.instance.events, view.Selection(since=since, types=("flow", "drop")))
    except PermissionError as error:
        raise Failure(
            f"{error.filename}: {error.strerror}",
            "be root or in the operators' group to read the log",
            code=FORBIDDEN,
            name="not-allowed",
        ) from error
    counted: dict[str, dict[Seen, tuple[int, float]]] = {}
    for event in events:
        one = seen_in_event(event)
        if one is not None and event.decision.rule:
            alike = counted.setdefault(event.decision.rule, {})
            times, last = alike.get(one, (0, 0.0))
            alike[one] = (times + 1, max(last, event.time.timestamp()))
    rules = {
        rule: tuple(one._replace(times=times, last=last) for one, (times, last) in alike.items())
        for rule, alike in counted.items()
    }
    return Observation(rules, max(since, events[0].time.timestamp()) if events else now, now, False)


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
