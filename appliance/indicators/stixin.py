"""STIX 2.1 in: the indicators of a bundle or a TAXII envelope, and revocations of them.

Objects of other types are passed over: they say about indicators, not what to look for. An indicator in a pattern
language other than STIX is kept, and said not to be enforced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from appliance.events.tlp import Tlp
from appliance.indicators.indicator import Indicator, Read, Refused, Unreadable, looked_for, moment, plain

MAX_DOCUMENT = 128 << 20
MAX_OBJECT = 256 << 10
_ID = re.compile(r"indicator--[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
MOST_LABELS = 20
# The marking definitions that OASIS published: of TLP 2.0, and of TLP 1.0 where feeds still use them.
_MARKINGS = {
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": Tlp.CLEAR,
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": Tlp.GREEN,
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": Tlp.AMBER,
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": Tlp.AMBER_STRICT,
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": Tlp.RED,
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}


class _Envelope(msgspec.Struct):
    type: str = ""
    objects: tuple[msgspec.Raw, ...] = ()


class _Type(msgspec.Struct):
    type: str
    id: str = ""


class _Indicator(msgspec.Struct):
    id: str
    created: str
    modified: str
    pattern: str
    valid_from: str
    pattern_type: str = "stix"
    spec_version: str = "2.0"
    valid_until: str = ""
    name: str = ""
    confidence: int | None = None
    revoked: bool = False
    indicator_types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    object_marking_refs: tuple[str, ...] = ()


_envelopes = msgspec.json.Decoder(_Envelope)
_types = msgspec.json.Decoder(_Type)
_indicators = msgspec.json.Decoder(_Indicator)


def read(document: bytes) -> Read:
    """Raises `Unreadable`."""
    if len(document) > MAX_DOCUMENT:
        raise Unreadable(f"{len(document):,} bytes; a document of {MAX_DOCUMENT:,} is read at most")
    try:
        objects = _envelopes.decode(document).objects
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(f'not a STIX bundle or a TAXII envelope ({{"objects": [...]}}): {error}') from error
    found: list[Indicator] = []
    refused: list[Refused] = []
    came: dict[str, bytes] = {}
    for number, raw in enumerate(objects, 1):
        outcome = _object(bytes(raw), f"object {number}")
        if isinstance(outcome, Indicator):
            found.append(outcome)
            came[outcome.id] = bytes(raw)
        elif outcome is not None:
            refused.append(outcome)
    return Read(tuple(found), tuple(refused), came)


def given(objects: Iterable[bytes]) -> list[Indicator | Refused]:
    """Objects that somebody gave one by one: each is an indicator, or refused with the reason."""
    found = []
    for number, raw in enumerate(objects, 1):
        outcome = _object(raw, f"object {number}")
        found.append(outcome or Refused(f"object {number}", "not an indicator; nothing else is taken here"))
    return found


def _object(raw: bytes, which: str) -> Indicator | Refused | None:
    """None for what is no indicator."""
    if len(raw) > MAX_OBJECT:
        return Refused(which, f"{len(raw):,} bytes; an object of {MAX_OBJECT:,} is read at most")
    try:
        head = _types.decode(raw)
        if head.type != "indicator":
            return None
        which = plain(head.id) or which
        return _indicator(_indicators.decode(raw), which)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        return Refused(which, f"not an indicator of STIX 2.1: {error}")


def _indicator(said: _Indicator, which: str) -> Indicator | Refused:
    if _ID.fullmatch(said.id) is None:
        return Refused(which, "its id is not indicator--UUID")
    if said.confidence is not None and not 0 <= said.confidence <= 100:
        return Refused(which, f"a confidence of {said.confidence}; 0 to 100 is one")
    since, until = moment(said.valid_from), moment(said.valid_until) if said.valid_until else 0.0
    if until and until <= since:
        return Refused(which, "it ends before it begins")
    values, why = looked_for(said.pattern) if said.pattern_type == "stix" else ((), _foreign(said.pattern_type))
    return Indicator(
        id=said.id,
        name=plain(said.name),
        values=values,
        unenforced=why,
        confidence=said.confidence,
        tlp=_tlp(said.object_marking_refs),
        labels=tuple(plain(word) for word in (*said.indicator_types, *said.labels)[:MOST_LABELS]),
        created=moment(said.created),
        modified=moment(said.modified),
        since=since,
        until=until,
        revoked=said.revoked,
    )


def _foreign(language: str) -> str:
    return f"its pattern is of the language {plain(language)}; STIX patterns are enforced"


def _tlp(markings: tuple[str, ...]) -> Tlp:
    """The strictest that is marked; clear without a marking, as the standard has it."""
    return max((_MARKINGS[one] for one in markings if one in _MARKINGS), default=Tlp.CLEAR)
