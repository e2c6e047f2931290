"""Indicators as objects of STIX for those who may read them: as they came, or made of what came otherwise."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from appliance.events import stix
from appliance.events.stix import Made, StixError
from appliance.events.tlp import Tlp
from appliance.indicators.indicator import Indicator
from appliance.indicators.values import Kind, Value

Give = Callable[[list[Made]], None]  # from any thread
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PLACES: dict[Kind, str] = {
    "domain": "domain-name:value", "url": "url:value", "sender": "email-addr:value",
    "sha256": "file:hashes.'SHA-256'", "sha1": "file:hashes.'SHA-1'", "md5": "file:hashes.MD5",
    "ja3": "network-traffic:extensions.'tls-ext'.ja3", "ja3s": "network-traffic:extensions.'tls-ext'.ja3s",
    "ja4": "network-traffic:extensions.'tls-ext'.ja4",
}  # fmt: skip
_DIGESTS = {40: "SHA-1", 64: "SHA-256"}  # of certificates, by their length


def stix_id(identifier: str) -> str:
    """What STIX calls it: MISP's UUID of an attribute is its indicator's too. "" for what is no name in STIX."""
    if stix.is_indicator(identifier):
        return identifier
    return f"indicator--{identifier.lower()}" if _UUID.fullmatch(identifier) else ""


def pattern_of(values: Iterable[Value]) -> str:
    """A pattern of STIX that any one of them is enough for."""
    return f"[{' OR '.join(map(_compared, values))}]"


def _compared(value: Value) -> str:
    text = value.text.replace("\\", "\\\\").replace("'", "\\'")
    if value.kind in ("address", "network"):
        place = f"ipv{6 if ':' in text else 4}-addr:value"
        return f"{place} {'ISSUBSET' if value.kind == 'network' else '='} '{text}'"
    if value.kind == "certificate":
        return f"x509-certificate:hashes.'{_DIGESTS[len(text)]}' = '{text}'"
    return f"{_PLACES[value.kind]} = '{text}'"


def told(indicators: Iterable[Indicator], raw: Mapping[str, bytes]) -> list[Made]:
    """What consumers read of these. `raw` are those that came as STIX, by their identifiers."""
    found: list[Made] = []
    for one in indicators:
        as_it_came = raw.get(one.id)
        if as_it_came is not None and not (one.revoked and b'"revoked"' not in as_it_came):
            with contextlib.suppress(StixError):  # of another version of STIX
                found.append(stix.of_object(as_it_came, unmarked=Tlp.CLEAR))
        elif one.values and stix_id(one.id):
            found.append(_made(one, stix_id(one.id)))
    return found


def _made(one: Indicator, identifier: str) -> Made:
    created, modified, since = (
        int(moment * 1000) * 1000 for moment in (min(one.created, one.modified), one.modified, one.since)
    )
    body: dict[str, Any] = {
        "type": "indicator",
        "spec_version": stix.SPEC_VERSION,
        "id": identifier,
        "created": stix.to_milliseconds(created),
        "modified": stix.to_milliseconds(modified),
        "name": one.name or one.values[0].text,
        "pattern": pattern_of(one.values),
        "pattern_type": "stix",
        "valid_from": stix.to_milliseconds(since),
        "object_marking_refs": [stix.MARKING[one.tlp]],
    }
    if one.until > one.since:
        body["valid_until"] = stix.to_milliseconds(int(one.until * 1000) * 1000)
    if one.confidence is not None:
        body["confidence"] = one.confidence
    if one.labels:
        body["labels"] = one.labels
    if one.revoked:
        body["revoked"] = True
    return Made(identifier, "indicator", modified, one.tlp, msgspec.json.encode(body))
