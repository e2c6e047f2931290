"""Alerts as the console tells them: a row of a list, and one with what belongs to it. Pure.

What stands in an alert came off the wire or out of a rule of somebody else: it is text, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

from appliance.control.messages.alerts import AlertIs, AlertKind, KeptEvent
from appliance.events import record
from appliance.events.record import GID, Event
from appliance.events.tallying import kind_of, number
from dataplane.detections.finding import KIND, Finding, of_event

_MOST_WORDS = 2_000  # letters of one field
_MOST_LINE = 16_384
_KEPT = "packets kept: "


class AlertRow(msgspec.Struct, frozen=True):
    """Alert `id` of `at` (seconds since the epoch). `kind` is what raised it, `signature` its number (1:2019401).

    `action` is `blocked` where what it was found in was stopped. `rule`, `from_zone`, `to_zone` and `generation` are
    of the policy that decided the connection, "" and 0 where that is not known. `pseudonyms`: hosts of the policy's
    zones go by other addresses here. `flow` is the number of the connection where the event was seen, in digits.
    """

    id: int
    at: float
    severity: int
    kind: AlertKind
    signature: str
    title: str
    category: str
    action: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str
    application: str
    interface: str
    rule: str
    from_zone: str
    to_zone: str
    generation: int
    tlp: str
    pseudonyms: bool
    flow: str


class EventRow(msgspec.Struct, frozen=True):
    """What else was seen: `type` is EVE's, `words` what it says itself."""

    id: int
    at: float
    type: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    protocol: str
    rule: str
    action: str
    words: str


class Explained(msgspec.Struct, frozen=True):
    """What a detection says of what it found: `seen` was counted, from `threshold` on it is told, `again` so often
    since it was told last. `technique` is that of MITRE ATT&CK."""

    name: str
    words: str
    remedy: str
    confidence: str
    since: float
    seen: float
    threshold: float
    again: int
    evidence: tuple[str, ...]
    technique: str
    technique_name: str


class AlertView(msgspec.Struct, frozen=True):
    """One alert with `events` of its connection; `rule` is the one of the policy that decided it, where that is known
    of any of them. `line` is the event itself, EVE JSON; `why` asks why the gateway
    decided so, "" where nothing can be asked; the source of a `bannable` one can be banned. `packets`: how many
    captures were kept of it. `left_out` events found no place; `whole`: everything of that time was looked at."""

    alert: AlertRow
    explained: Explained | None
    events: tuple[EventRow, ...]
    rule: str
    left_out: int
    whole: bool
    line: str
    why: str
    bannable: bool
    packets: int


def row(kept: KeptEvent) -> AlertRow | None:
    """None for what cannot be read."""
    event = _event(kept)
    return _row(kept, event) if event is not None else None


def _event(kept: KeptEvent) -> Event | None:
    try:
        event = record.decode(kept.body)
        return event if event.alert is not None and event.time and event.decision.gid else None
    except (msgspec.DecodeError, ValueError):
        return None


def _row(kept: KeptEvent, event: Event) -> AlertRow:
    alert, decision, ours = event.alert or {}, event.decision, _ours(event)
    gid, sid = number(alert, "gid"), number(alert, "signature_id")
    return AlertRow(
        id=kept.number,
        at=event.time.timestamp(),
        severity=number(alert, "severity"),
        kind=kind_of(gid, sid),
        signature=f"{gid}:{sid}",
        title=_words(alert, "signature"),
        category=_words(alert, "category"),
        action=_words(alert, "action"),
        source=_short(event.src_ip),
        source_port=event.src_port or 0,
        destination=_short(event.dest_ip),
        destination_port=event.dest_port or 0,
        protocol=event.proto.lower(),
        application=event.app_proto,
        interface=event.in_iface,
        rule=decision.rule,
        from_zone=decision.source,
        to_zone=decision.destination,
        generation=number(ours, "generation"),
        tlp=kept.tlp,
        pseudonyms=ours.get("pseudonyms") is True,
        flow=str(event.flow_id or ""),
    )


def view(found: AlertIs) -> AlertView | None:
    """None for what cannot be read."""
    event = _event(found.alert)
    if event is None:
        return None
    said = _row(found.alert, event)
    finding = _finding(event)
    events = tuple(one for kept in found.events if (one := event_row(kept)) is not None)
    return AlertView(
        alert=said,
        explained=_explained(finding) if finding is not None else None,
        events=events,
        rule=said.rule or next((one.rule for one in events if one.rule), ""),
        left_out=found.left_out + len(found.events) - len(events),
        whole=found.whole,
        line=found.alert.body[:_MOST_LINE].decode(errors="replace"),
        why=_question(said),
        bannable=bool(said.source) and not said.pseudonyms,
        packets=sum(one.words.startswith(_KEPT) for one in events),
    )


def event_row(kept: KeptEvent) -> EventRow | None:
    """None for what cannot be read."""
    try:
        event = record.decode(kept.body)
        at, decision = event.time.timestamp(), event.decision
    except (msgspec.DecodeError, ValueError):
        return None
    return EventRow(
        kept.number, at, event.event_type, _short(event.src_ip), event.src_port or 0, _short(event.dest_ip),
        event.dest_port or 0, event.proto.lower(), decision.rule, decision.action, _said(event)[:_MOST_WORDS],
    )  # fmt: skip


def _said(event: Event) -> str:
    """What an event itself says: the name that was asked for, the page, the file, the other alert."""
    if event.alert is not None:
        return _words(event.alert, "signature")
    if event.http is not None:
        host, method, url = (_words(event.http, key) for key in ("hostname", "http_method", "url"))
        return f"{method} {url if url.startswith('http:') else host + url}".strip()
    if event.dns is not None:
        queries = event.dns.get("queries")
        asked = [one for one in queries if isinstance(one, dict)] if isinstance(queries, list) else [event.dns]
        return ", ".join(f"{_words(one, 'rrname')} {_words(one, 'rrtype')}".strip() for one in asked)
    if event.tls is not None:
        return _words(event.tls, "sni")
    if event.fileinfo is not None:
        return f"{_words(event.fileinfo, 'filename')} {_words(event.fileinfo, 'sha256')}".strip()
    if event.anomaly is not None:
        return _words(event.anomaly, "event")
    if event.flow is not None and "end" in event.flow:
        sent, got = (number(event.flow, f"bytes_to{side}") for side in ("server", "client"))
        return f"{sent} B → {got} B ←"
    return _words(event.engine or {}, "message")


def _finding(event: Event) -> Finding | None:
    try:
        return of_event(event)
    except msgspec.ValidationError:
        return None


def _explained(finding: Finding) -> Explained:
    kind = KIND.get(finding.kind)
    return Explained(
        finding.kind, finding.words, finding.remedy, finding.confidence, finding.since, finding.seen,
        finding.threshold, finding.again, finding.evidence,
        kind.technique if kind is not None else "", kind.technique_name if kind is not None else "",
    )  # fmt: skip


def _question(said: AlertRow) -> str:
    """What `why` is asked: two ends and a service. Whom a pseudonym stands for nobody knows there."""
    if said.pseudonyms or not said.source or not said.destination:
        return ""
    service = f"{said.protocol}/{said.destination_port}" if said.destination_port else said.protocol
    return f"{said.source} {said.destination} {service}" if said.protocol else ""


def _ours(event: Event) -> Mapping[str, Any]:
    variables = event.metadata.flowvars if event.metadata else ()
    return next((one for one in variables if one.get("gid") == GID), {})


def _words(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value[:_MOST_WORDS] if isinstance(value, str) else ""


def _short(address: str) -> str:
    """As people write it: EVE has IPv6 in full."""
    try:
        return str(ip_address(address)) if address else ""
    except ValueError:
        return address
