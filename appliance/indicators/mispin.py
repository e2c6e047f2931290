"""MISP in: the attributes of events that are marked for detection (`to_ids`), as a feed or an export has them.

Composite types (`filename|sha256`, `ip-dst|port`) are looked for by the part that a gateway sees; `domain|ip` by the
domain. Confidence is what the event's tags say (`misp:confidence-level` or the admiralty scale), else none.
"""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.events import tlp
from appliance.events.tlp import Tlp
from appliance.indicators.csvin import guessed
from appliance.indicators.indicator import Indicator, Read, Refused, Unreadable, plain
from appliance.indicators.values import Value, ValueRefused

MAX_DOCUMENT = 128 << 20


class _Tag(msgspec.Struct):
    name: str = ""


class _Attribute(msgspec.Struct):
    type: str
    value: str
    uuid: str = ""
    to_ids: bool = False
    deleted: bool = False
    timestamp: str | int = 0
    comment: str | None = None
    tags: tuple[_Tag, ...] = msgspec.field(name="Tag", default=())


class _Object(msgspec.Struct):
    attributes: tuple[msgspec.Raw, ...] = msgspec.field(name="Attribute", default=())


class _Event(msgspec.Struct):
    uuid: str = ""
    info: str = ""
    attributes: tuple[msgspec.Raw, ...] = msgspec.field(name="Attribute", default=())
    objects: tuple[_Object, ...] = msgspec.field(name="Object", default=())
    tags: tuple[_Tag, ...] = msgspec.field(name="Tag", default=())


class _Document(msgspec.Struct):
    event: _Event | None = msgspec.field(name="Event", default=None)
    response: tuple[_Document, ...] = ()


# The part of a composite that a gateway can see.
_PART = {
    "domain|ip": 0, "ip-src|port": 0, "ip-dst|port": 0, "hostname|port": 0,
    "filename|md5": 1, "filename|sha1": 1, "filename|sha256": 1, "malware-sample": 1,
}  # fmt: skip
_ALIAS = {"malware-sample": "md5"}
# Words of MISP's taxonomies for how sure a source is; the numbers are those of STIX 2.1, appendix A.
_CONFIDENCE = {
    "misp:confidence-level=completely-confident": 95, "misp:confidence-level=usually-confident": 70,
    "misp:confidence-level=fairly-confident": 50, "misp:confidence-level=rarely-confident": 30,
    "misp:confidence-level=unconfident": 5,
    "admiralty-scale:information-credibility=1": 90, "admiralty-scale:information-credibility=2": 70,
    "admiralty-scale:information-credibility=3": 50, "admiralty-scale:information-credibility=4": 30,
    "admiralty-scale:information-credibility=5": 10,
}  # fmt: skip

_documents = msgspec.json.Decoder(_Document)
_attributes = msgspec.json.Decoder(_Attribute)


def read(document: bytes) -> Read:
    """Raises `Unreadable`."""
    if len(document) > MAX_DOCUMENT:
        raise Unreadable(f"{len(document):,} bytes; a document of {MAX_DOCUMENT:,} is read at most")
    try:
        whole = _documents.decode(document)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unreadable(f'not a MISP event ({{"Event": {{...}}}}): {error}') from error
    events = [one.event for one in (whole, *whole.response) if one.event is not None]
    if not events:
        raise Unreadable('no MISP event: there is neither "Event" nor "response" in it')
    found: list[Indicator] = []
    refused: list[Refused] = []
    for event in events:
        raws = [*event.attributes, *(raw for one in event.objects for raw in one.attributes)]
        for number, raw in enumerate(raws, 1):
            outcome = _attribute(bytes(raw), event, f"attribute {number} of event {plain(event.uuid) or '?'}")
            if isinstance(outcome, Indicator):
                found.append(outcome)
            elif outcome is not None:
                refused.append(outcome)
    return Read(tuple(found), tuple(refused))


def _attribute(raw: bytes, event: _Event, which: str) -> Indicator | Refused | None:
    """None for what is not meant for detection."""
    try:
        said = _attributes.decode(raw)
        stamp = float(said.timestamp)
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        return Refused(which, f"not an attribute: {error}")
    if not said.to_ids and not said.deleted:
        return None
    if not said.uuid:
        return Refused(which, "it has no uuid")
    values: tuple[Value, ...] = ()
    why = ""
    try:
        values = (_value(said.type, said.value),)
    except ValueRefused as error:
        why = str(error)
    tags = [tag.name for tag in (*event.tags, *said.tags)]
    return Indicator(
        id=plain(said.uuid),
        name=plain(said.comment or event.info),
        values=values,
        unenforced=why,
        confidence=_confidence(tags),
        tlp=_tlp(tags),
        labels=tuple(plain(tag) for tag in tags[:20]),
        created=stamp,
        modified=stamp,
        since=stamp,
        revoked=said.deleted,
    )


def _value(kind: str, text: str) -> Value:
    """Raises `ValueRefused`."""
    if kind in _PART:
        parts = text.split("|")
        if len(parts) != 2:
            raise ValueRefused(f"{text[:80]!r} is not two parts, as {kind} has")
        return guessed(parts[_PART[kind]], _ALIAS.get(kind, kind.split("|")[_PART[kind] if "|" in kind else 0]))
    return guessed(text, kind)


def _confidence(tags: list[str]) -> int | None:
    """The lowest that is said."""
    said = [_CONFIDENCE[plain] for tag in tags if (plain := tag.lower().replace('"', "")) in _CONFIDENCE]
    return min(said) if said else None


def _tlp(tags: list[str]) -> Tlp:
    """The highest that is said; amber where none is: MISP's own default is not to pass on."""
    said = []
    for tag in tags:
        if tag.lower().startswith("tlp:"):
            try:
                said.append(tlp.parse(tag))
            except ValueError:
                said.append(Tlp.RED)  # an unknown colour is none that may leave
    return max(said, default=Tlp.AMBER)


def manifest(document: bytes) -> dict[str, Any]:
    """A feed's manifest.json: event uuid to what is said of it. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Unreadable(f"not the manifest of a MISP feed: {error}") from error
