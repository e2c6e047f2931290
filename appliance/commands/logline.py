"""One event of the log as one line for people. Pure: an event and names in, words out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from appliance.commands.names import Names
from appliance.commands.terminal import escape
from appliance.commands.words import duration, size
from appliance.events import own
from appliance.events.record import Event

STYLES = {"allow": "green", "deny": "red", "reject": "red"}
_ANSWERS = 4  # addresses of a DNS answer that one line names

_ICMP = {
    ("icmp", 0): "echo-reply",
    ("icmp", 3): "unreachable",
    ("icmp", 5): "redirect",
    ("icmp", 8): "echo-request",
    ("icmp", 11): "time-exceeded",
    ("icmpv6", 1): "unreachable",
    ("icmpv6", 2): "packet-too-big",
    ("icmpv6", 3): "time-exceeded",
    ("icmpv6", 128): "echo-request",
    ("icmpv6", 129): "echo-reply",
    ("icmpv6", 133): "router-solicitation",
    ("icmpv6", 134): "router-advertisement",
    ("icmpv6", 135): "neighbour-solicitation",
    ("icmpv6", 136): "neighbour-advertisement",
    ("icmpv6", 143): "multicast-listener-report",
}


def networks_of(words: Sequence[str], names: Names) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of addresses, networks, ranges and names of objects. Raises ValueError for none of these."""
    found: list[IPv4Network | IPv6Network] = []
    for word in words:
        for one in names.ranges(word) or (word,):
            first, dash, last = one.partition("-")
            try:
                if dash:
                    ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
                    found += ipaddress.summarize_address_range(*ends)
                else:
                    found.append(ipaddress.ip_network(one, strict=False))
            except (ValueError, TypeError):
                raise ValueError(f"{word!r} is no address, no network and no object of the running policy") from None
    return tuple(found)


def verdict(event: Event) -> str:
    """allow, deny or reject; "" for an event that is no decision."""
    return event.decision.action if event.event_type in {"flow", "drop"} else ""


def line_of(event: Event, names: Names, today: str) -> str:
    """The event in one line: time, verdict, rule, zones, who → whom, service, and what else is known.

    `today` (ISO date, local) leaves the date out of the events of that day.
    """
    decision = event.decision
    source = decision.source or names.zone_of_address(event.src_ip)
    destination = decision.destination or names.zone_of_address(event.dest_ip)
    zones = f"{source or '?'} → {destination or '?'}" if event.src_ip else ""
    parts = [
        _moment(event, today),
        f"{_kind(event):<7}",
        f"{_rule(event):<12}",
        f"{zones:<18}",
        *_ends(event, names),
        _detail(event),
    ]
    return escape("  ".join(part for part in parts if part).rstrip())


def _rule(event: Event) -> str:
    """The policy's rule that decided; of an alert the inspection's rule that raised it, as generator:sid."""
    if event.alert is not None:
        return f"{event.alert.get('gid', '')}:{event.alert.get('signature_id', '')}"
    return event.decision.rule or "-"


def _kind(event: Event) -> str:
    if event.flow is not None and "end" in event.flow:
        return "end"
    return "ALERT" if event.alert is not None else verdict(event).upper() or event.event_type


def _moment(event: Event, today: str) -> str:
    try:
        local = event.time.astimezone()
    except ValueError:
        return event.timestamp
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    return clock if f"{local:%Y-%m-%d}" == today else f"{local:%Y-%m-%d} {clock}"


def today() -> str:
    return f"{datetime.now():%Y-%m-%d}"


def _ends(event: Event, names: Names) -> list[str]:
    """`who → whom`, then the service; [] for an event without addresses."""
    if not event.src_ip:
        return []
    protocol = "icmpv6" if event.proto == "IPv6-ICMP" else event.proto.lower()
    service = names.service(protocol, event.dest_port or 0)
    if event.icmp_type is not None:
        service = f"{protocol}/{_ICMP.get((protocol, event.icmp_type), event.icmp_type)}"
    return [f"{names.host(event.src_ip)} → {names.host(event.dest_ip)}", service]


def _detail(event: Event) -> str:
    """What the event itself says: the name that was asked for, the page, the bytes of a flow that ended."""
    if event.alert is not None:
        said = event.alert
        return f"{said.get('signature', '')} (severity {said.get('severity', '?')}, {said.get('action', '')})"
    if event.flow is not None and "end" in event.flow:
        sent, received = (size(int(event.flow.get(f"bytes_to{side}", 0))) for side in ("server", "client"))
        return f"after {duration(float(event.flow.get('age', 0)))}, sent {sent}, received {received}"
    if event.dns is not None:
        return _dns(event.dns)
    if event.tls is not None:
        return str(event.tls.get("sni", ""))
    if event.http is not None:
        host, method, url = (str(event.http.get(key, "")) for key in ("hostname", "http_method", "url"))
        return f"{method} {url if url.startswith('http:') else host + url}"
    if event.anomaly is not None:
        return str(event.anomaly.get("event", ""))
    if event.stats is not None:
        return ", ".join(f"{name} {value}" for name, value in _flat(event.stats))
    if event.engine is not None:
        words = f"{event.engine.get('module', '')}: {event.engine.get('message', '')}"
        return f"{words}: {event.engine['error']}" if event.engine.get("error") else words
    return own.words_of(event)


def _flat(counters: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every counter by its whole name, `flow.active`; those that stand at nothing are left out."""
    for name, value in counters.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        elif value:
            yield path + name, value


def _dns(dns: dict[str, Any]) -> str:
    asked = ", ".join(f"{one.get('rrname', '')} {one.get('rrtype', '')}" for one in dns.get("queries", [dns]))
    if dns.get("type") not in ("answer", "response"):
        return f"asks {asked}"
    answers = dns.get("answers", [])
    given = ", ".join(str(one.get("rdata", one.get("rrtype", ""))) for one in answers[:_ANSWERS])
    more = f" and {len(answers) - _ANSWERS} more" if len(answers) > _ANSWERS else ""
    return f"answers {asked}: {given or dns.get('rcode', 'nothing')}{more}"
