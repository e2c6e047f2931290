"""What rules really matched, from the log of connections that ended and packets that were refused."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec

from appliance.commands.failure import FORBIDDEN, Failure
from appliance.commands.gateway import Gateway
from appliance.events import view
from appliance.events.record import Event
from appliance.policy.tighten import Seen

_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132, "DCCP": 33, "UDPLITE": 136,
              "ESP": 50, "GRE": 47, "AH": 51, "IGMP": 2, "OSPF": 89}  # fmt: skip


class Observation(msgspec.Struct, frozen=True):
    """What was seen of each rule, by its id; the log reaches from `begin` to `end` (seconds since the epoch)."""

    rules: dict[str, tuple[Seen, ...]]
    begin: float
    end: float


def observed(gateway: Gateway, since: float, now: float) -> Observation:
    """What the log of this gateway has since then, alike connections as one. Raises `Failure`."""
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
        one = seen_of(event)
        if one is not None and event.decision.rule:
            alike = counted.setdefault(event.decision.rule, {})
            times, last = alike.get(one, (0, 0.0))
            alike[one] = (times + 1, max(last, event.time.timestamp()))
    rules = {
        rule: tuple(one._replace(times=times, last=last) for one, (times, last) in alike.items())
        for rule, alike in counted.items()
    }
    begin = max(since, events[0].time.timestamp()) if events else now
    return Observation(rules, begin, now)


def seen_of(event: Event) -> Seen | None:
    """What a rule judged; None for an event that does not say it."""
    try:
        source, destination = ip_address(event.src_ip), ip_address(event.dest_ip)
        protocol = _PROTOCOLS.get(event.proto, -1) if not event.proto.isdigit() else int(event.proto)
    except ValueError:
        return None
    if protocol < 0 or source.version != destination.version:
        return None
    port = event.dest_port or 0
    if event.icmp_type is not None:
        port = event.icmp_type
    decision = event.decision
    return Seen(source.version, int(source), int(destination), protocol, port, decision.source, decision.destination)
