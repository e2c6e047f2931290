"""Alerts in IntelMQ's data harmonisation, a line of JSON each. Pure.

Its JSON parser takes a report of such lines; `raw` is the event itself, so that nothing is lost by the translation.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable

import msgspec

from appliance.events.outbox import Stored
from appliance.events.record import ALERTS
from appliance.events.sighted import Sighted, moment, sighted
from appliance.events.tlp import Tlp

_FQDN = re.compile(r"[a-z0-9.-]+\Z")
_PLAIN = re.compile(r"[ -~]+\Z")
# Findings that the taxonomy has a better word for; what is a signature's is an alert of an IDS.
_SCANS, _GUESSES = frozenset((101, 102)), frozenset((103, 104))
_encoder = msgspec.json.Encoder()


def lines(events: Iterable[Stored], site: str, label: Callable[[Tlp], str]) -> bytes:
    """A line for each that is an alert; `label` says a TLP in the words of who asked."""
    found = []
    for event in events:
        seen = sighted(event.body)
        if seen is not None:
            found.append(_encoder.encode(_harmonised(event, seen, site, label(event.tlp))))
    return b"".join(line + b"\n" for line in found)


def _harmonised(event: Stored, seen: Sighted, site: str, label: str) -> dict[str, str | int | float]:
    kind, taxonomy = _classified(seen)
    first = seen.files[0] if seen.files else None
    fields: dict[str, str | int | float | None] = {
        "__type": "Event",
        "feed.name": f"Reef gateway {site}",
        "feed.provider": site,
        "time.source": moment(seen.time).isoformat(),
        "classification.taxonomy": taxonomy,
        "classification.type": kind,
        "classification.identifier": f"{seen.gid}:{seen.sid}",
        "event_description.text": seen.signature,
        "source.ip": seen.source,
        "source.port": seen.source_port if seen.source else None,
        "destination.ip": seen.destination,
        "destination.port": seen.destination_port if seen.destination else None,
        "destination.fqdn": next((name for name in seen.names if _FQDN.match(name)), ""),
        "destination.url": seen.url,
        "protocol.transport": seen.protocol if _PLAIN.match(seen.protocol) and len(seen.protocol) <= 11 else "",
        "protocol.application": seen.application.lower() if _PLAIN.match(seen.application) else "",
        "malware.hash.md5": first.md5 if first else "",
        "malware.hash.sha1": first.sha1 if first else "",
        "malware.hash.sha256": first.sha256 if first else "",
        "tlp": label,
        "extra.action": seen.action,
        "extra.category": seen.category,
        "extra.severity": seen.severity,
        "extra.attacker": seen.attacker,
        "extra.community_id": seen.community_id,
        "extra.sequence": event.seq,
        "raw": b64encode(event.body).decode("ascii"),
    }
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _classified(seen: Sighted) -> tuple[str, str]:
    """Type and taxonomy, of the reference incident classification."""
    if seen.gid == ALERTS and seen.sid in _SCANS:
        return "scanner", "information-gathering"
    if seen.gid == ALERTS and seen.sid in _GUESSES:
        return "brute-force", "intrusion-attempts"
    return "ids-alert", "intrusion-attempts"
