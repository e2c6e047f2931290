"""How events are said to those they are sent to: RFC 5424 messages in RFC 5425 frames, and signed webhooks. Pure.

A webhook is signed as Standard Webhooks 1.0 has it: HMAC-SHA256 over `id.timestamp.body`, so that who has the secret
knows that it is ours, whole, and not an old one played again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from appliance.events.classes import Class
from appliance.events.outbox import Stored

APP = "reef"
ENTERPRISE = "reef@32473"  # RFC 5612: the number for examples; Reef has none of its own
_FACILITY = {Class.ALERT: 13, Class.AUDIT: 13, Class.NOTICE: 16, Class.TELEMETRY: 16}  # log audit; local0
_SEVERITY = {1: 1, 2: 4, 3: 5}  # of EVE's alerts: alert, warning, notice
_LEAST_SECRET = 24  # bytes, as Standard Webhooks demands


class SecretError(ValueError):
    """Not a secret of a webhook; the text says what would be."""


class _Alert(msgspec.Struct):
    severity: int = 3


class _Event(msgspec.Struct):
    alert: _Alert | None = None


_events = msgspec.json.Decoder(_Event)


def priority(event: Stored) -> int:
    """PRI: facility and severity (RFC 5424, 6.2.1)."""
    severity = 6
    if event.class_ is Class.ALERT:
        try:
            found = _events.decode(event.body).alert
        except msgspec.DecodeError:
            found = None
        severity = _SEVERITY.get(found.severity if found is not None else 3, 5)
    elif event.class_ in (Class.AUDIT, Class.NOTICE):
        severity = 5
    return 8 * _FACILITY[event.class_] + severity


def message(event: Stored, site: str) -> bytes:
    """One message: EVE JSON as its text, number, kind and label as structured data."""
    stamp = datetime.fromtimestamp(event.time / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = _printable(site, 255)
    data = f'[{ENTERPRISE} seq="{event.seq}" tlp="{event.tlp.label}" kind="{_value(event.kind)}"]'
    head = f"<{priority(event)}>1 {stamp} {host} {APP} - {_printable(event.kind, 32)} {data} "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + event.body


def framed(events: Iterable[Stored], site: str) -> bytes:
    """Messages with their lengths before them (RFC 5425, 4.3)."""
    return b"".join(b"%d %s" % (len(said), said) for said in (message(event, site) for event in events))


def _printable(text: str, most: int) -> str:
    """PRINTUSASCII without spaces, or the nil value."""
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in text[:most]) or "-"


def _value(text: str) -> str:
    """Of structured data (RFC 5424, 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


# --- webhooks ------------------------------------------------------------------------------------------------


def secret_of(text: str) -> bytes:
    """The key that `whsec_<base64>` stands for. Raises `SecretError`."""
    try:
        key = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise SecretError("a secret is `whsec_` and base64") from None
    if len(key) < _LEAST_SECRET:
        raise SecretError(f"a secret of {len(key)} bytes; {_LEAST_SECRET} are the least")
    return key


def body_of(events: Iterable[Stored]) -> bytes:
    """NDJSON: a line for each event."""
    return b"".join(event.body + b"\n" for event in events)


def signed(key: bytes, id_: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery."""
    content = f"{id_}.{seconds}.".encode() + body
    made = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": id_, "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{made}"}
