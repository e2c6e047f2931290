"""STIX 2.1: an alert as indicator, sighting, observed data and what was observed, once, as the bytes that are served.

    alert ──▶ indicator (one a signature) ◀── sighting ──▶ observed-data ──▶ addresses, traffic, names, URL, files
                                                 └─ where: the identity of the site

Identifiers are UUIDs of version 5. Those of observables follow from their values as section 2.9 of the standard
says, so that an address is one object wherever it was seen. Those of the others follow from the site and the event:
made again, they are the same. Markings are the objects that OASIS published for TLP 2.0. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from typing import Annotated, Any
from uuid import UUID

import msgspec

from appliance.events.record import ALERTS
from appliance.events.sighted import SeenFile, Sighted, moment
from appliance.events.tlp import Tlp

SPEC_VERSION = "2.1"
# STIX 2.1, section 2.9: the namespace of the identifiers of observables.
OBSERVABLES = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7").bytes
_OURS = UUID("6a3f7a9c-9f0e-5b7e-8a53-2f0d6c1f4e21").bytes
_TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
# An identity has no time of its own: the same site is the same object whenever it is made.
_CREATED = 1_767_225_600_000_000  # 2026-01-01
_MOST_COUNTED = 999_999_999  # STIX 2.1, section 5.2

MARKING = {
    Tlp.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
# TLP 1.0, which STIX 2.1 itself has: what others send may still be marked with it.
MARKING_OF_TLP_1 = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
_MARKED = {identifier: tlp for tlp, identifier in MARKING.items()} | MARKING_OF_TLP_1

# The text of a signature by generator and number; "" where it is not known or not to be told.
RuleText = Callable[[int, int], str]


class Made(msgspec.Struct, frozen=True):
    """An object as it is stored and sent. `version` is its `modified`, else `created`, in microseconds since the
    epoch; None for observables, which have neither."""

    id: str
    type: str
    version: int | None
    tlp: Tlp
    body: bytes


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z\Z", re.ASCII)
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")  # RFC 8785, for objects of strings, whole numbers and lists


# --- identifiers and times ------------------------------------------------------------------------------------------


def uuid5(namespace: bytes, name: bytes) -> str:
    """RFC 9562, version 5, as text."""
    digest = bytearray(sha1(namespace + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def own_id(kind: str, *names: str) -> str:
    """The identifier of an object of ours: the same names give the same."""
    return f"{kind}--{uuid5(_OURS, _canonical.encode([kind, *names]))}"


def observable_id(kind: str, contributing: dict[str, Any]) -> str:
    return f"{kind}--{uuid5(OBSERVABLES, _canonical.encode(contributing))}"


def precise(time: int) -> str:
    """A time stamp to the microsecond, without zeros at its end: who makes an identifier of it gets ours."""
    seconds, fraction = divmod(time, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}".rstrip("0").rstrip(".") + "Z"


def to_milliseconds(time: int) -> str:
    """A time stamp with three digits, as `created` and `modified` have them."""
    seconds, fraction = divmod(time, 1_000_000)
    return f"{_second(seconds)}.{fraction // 1000:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return moment(seconds * 1_000_000).strftime("%Y-%m-%dT%H:%M:%S")


def marked(references: object) -> Tlp | None:
    """The strictest TLP among references to markings; None where there is none."""
    if not isinstance(references, list):
        return None
    found = [_MARKED[one] for one in references if isinstance(one, str) and one in _MARKED]
    return max(found, default=None)


# --- objects of others ----------------------------------------------------------------------------------------------


class StixError(Exception):
    """An object that cannot be kept. The text says what is wrong with it."""


class _Received(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9]([a-z0-9-]{1,248}[a-z0-9])\Z")]
    id: Annotated[str, msgspec.Meta(max_length=300)]
    spec_version: str = ""
    created: str | None = None
    modified: str | None = None
    object_marking_refs: list[str] = []


_received = msgspec.json.Decoder(_Received)


def of_object(body: bytes, *, unmarked: Tlp) -> Made:
    """An object that somebody sent, by what all objects have in common; its bytes stay as they are. `unmarked` is the
    TLP of what carries none. Raises StixError."""
    try:
        found = _received.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StixError(str(error)) from error
    kind, dashes, identifier = found.id.partition("--")
    if kind != found.type or not dashes or _UUID.match(identifier) is None:
        raise StixError(f"`{found.id}` is no identifier of a {found.type}")
    if found.spec_version != SPEC_VERSION:
        raise StixError(f"spec_version `{found.spec_version}`: only objects of STIX {SPEC_VERSION} are kept")
    stamp = found.modified or found.created
    tlp = marked(found.object_marking_refs)
    version = time_of(stamp) if stamp is not None else None
    return Made(found.id, found.type, version, unmarked if tlp is None else tlp, body)


def time_of(stamp: str) -> int:
    """Microseconds since the epoch of a time stamp of STIX or TAXII (RFC 3339, UTC). Raises StixError."""
    found = _STAMP.match(stamp)
    if found is None:
        raise StixError(f"`{stamp[:64]}` is no time stamp; one is 2026-01-31T12:00:00.123Z")
    try:
        seconds = _second_of(found[1])
    except ValueError as error:
        raise StixError(f"`{stamp[:64]}` is no time stamp: {error}") from error
    return seconds + int((found[2] or "").ljust(6, "0")[:6])


@lru_cache(maxsize=256)
def _second_of(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000_000


# --- what does not depend on events ---------------------------------------------------------------------------------


def marking(tlp: Tlp) -> Made:
    """The marking definition of OASIS' common objects. Anybody may read what a label means."""
    body = {
        "type": "marking-definition",
        "spec_version": SPEC_VERSION,
        "id": MARKING[tlp],
        "created": "2022-10-01T00:00:00.000Z",
        "name": tlp.label,
        "extensions": {_TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp.word}},
    }
    return Made(MARKING[tlp], "marking-definition", 1_664_582_400_000_000, Tlp.CLEAR, _encoder.encode(body))


def identity(name: str, identity_class: str = "organization", roles: tuple[str, ...] = ()) -> Made:
    """Who says something, or where it was seen. `identity_class` is a word of the standard's vocabulary."""
    identifier = own_id("identity", name)
    body = {
        "type": "identity",
        "spec_version": SPEC_VERSION,
        "id": identifier,
        "created": to_milliseconds(_CREATED),
        "modified": to_milliseconds(_CREATED),
        "name": name,
        **({"roles": roles} if roles else {}),
        "identity_class": identity_class,
    }
    return Made(identifier, "identity", _CREATED, Tlp.CLEAR, _encoder.encode(body))


@lru_cache(maxsize=16)
def _site_id(site: str) -> str:
    return own_id("identity", site)


def site_identity(site: str) -> Made:
    return identity(site, "system", ("security gateway",))


# --- signatures -----------------------------------------------------------------------------------------------------


def indicator_id(site: str, gid: int, sid: int) -> str:
    """Only who made an object may make its next version: signatures of two gateways are two objects."""
    return own_id("indicator", site, str(gid), str(sid))


def indicator(site: str, seen: Sighted, tlp: Tlp, *, created: int, modified: int, rule: str = "") -> Made:
    """What a signature looks for. Without the text of the rule the pattern is its number: never one that another
    engine could load and that would then match everything."""
    identifier = indicator_id(site, seen.gid, seen.sid)
    own = seen.gid == ALERTS
    references = [
        *({"source_name": "cve", "external_id": one} for one in seen.cves),
        *({"source_name": "mitre-attack", "external_id": one} for one in seen.techniques),
    ]
    body: dict[str, Any] = {
        **_object("indicator", identifier, site, created, modified, tlp),
        "name": seen.category if own and seen.sid < 100 and seen.category else seen.signature,
        "description": seen.category or "No category",
        "indicator_types": ["anomalous-activity" if own else "malicious-activity"],
        "pattern": rule or f"{seen.gid}:{seen.sid}",
        "pattern_type": "suricata" if rule else "reef-signature",
        "pattern_version": str(seen.rev),
        "valid_from": to_milliseconds(created),
    }
    if seen.confidence is not None:
        body["confidence"] = seen.confidence
    if references:
        body["external_references"] = references
    return Made(identifier, "indicator", _whole_milliseconds(modified), tlp, _encoder.encode(body))


# --- alerts ---------------------------------------------------------------------------------------------------------


def alert(site: str, seen: Sighted, tlp: Tlp, line: bytes, sequence: int, *, sighting_of: str) -> list[Made]:
    """An alert's objects, those that are referred to first. `sighting_of` is the indicator; `sequence` the number
    under which the event itself can be had from this gateway."""
    made = observables(seen, tlp)
    references = [
        {"source_name": "reef", "description": "sequence number of the event", "external_id": f"{site}/{sequence}"},
        *([{"source_name": "community-id", "external_id": seen.community_id}] if seen.community_id else []),
    ]
    observed = ""
    if made:
        observed = own_id("observed-data", site, uuid5(_OURS, line))
        body = {
            **_object("observed-data", observed, site, seen.time, seen.time, tlp),
            "first_observed": precise(seen.time),
            "last_observed": precise(seen.time),
            "number_observed": 1,
            "object_refs": [one.id for one in made],
        }
        made.append(_versioned(observed, "observed-data", seen.time, tlp, body))
    identifier = own_id("sighting", site, uuid5(_OURS, line))
    body = {
        **_object("sighting", identifier, site, seen.time, seen.time, tlp),
        "description": f"{seen.signature} ({seen.action})" if seen.action else seen.signature,
        "first_seen": precise(seen.time),
        "last_seen": precise(seen.time),
        "count": 1,
        "sighting_of_ref": sighting_of,
        **({"observed_data_refs": [observed]} if observed else {}),
        "where_sighted_refs": [_site_id(site)],
        "external_references": references,
    }
    made.append(_versioned(identifier, "sighting", seen.time, tlp, body))
    return made


def is_indicator(identifier: str) -> bool:
    kind, _, uuid = identifier.partition("--")
    return kind == "indicator" and _UUID.match(uuid) is not None


def sighting(
    site: str, reference: str, day: int, tlp: Tlp, *, first: int, last: int, count: int, modified: int
) -> Made:
    """That somebody's own indicator (`reference`) was seen here, with how often that day; microseconds."""
    identifier = own_id("sighting", site, reference, str(day))
    body = {
        **_object("sighting", identifier, site, first, max(modified, first), tlp),
        "first_seen": precise(first),
        "last_seen": precise(last),
        "count": min(count, _MOST_COUNTED),
        "sighting_of_ref": reference,
        "where_sighted_refs": [_site_id(site)],
    }
    return _versioned(identifier, "sighting", max(modified, first), tlp, body)


def observables(seen: Sighted, tlp: Tlp) -> list[Made]:
    """What was seen on the wire, those that are referred to first."""
    made: list[Made] = []

    def add(kind: str, contributing: dict[str, Any], more: dict[str, Any] | None = None) -> str:
        identifier = observable_id(kind, contributing)
        body = {
            "type": kind,
            "spec_version": SPEC_VERSION,
            "id": identifier,
            "object_marking_refs": [MARKING[tlp]],
            **contributing,
            **(more or {}),
        }
        if all(one.id != identifier for one in made):
            made.append(Made(identifier, kind, None, tlp, _encoder.encode(body)))
        return identifier

    ends = {}
    for role, address in (("src_ref", seen.source), ("dst_ref", seen.destination)):
        if address:
            ends[role] = add("ipv6-addr" if ":" in address else "ipv4-addr", {"value": address})
    for name in seen.names:
        add("domain-name", {"value": name})
    if seen.url:
        add("url", {"value": seen.url})
    for one in seen.files:
        _add_file(add, one)
    if ends:
        ports = {"src_port": seen.source_port, "dst_port": seen.destination_port}
        traffic = {
            "start": precise(seen.begun),
            **ends,
            **{role: port for role, port in ports.items() if port is not None},
            "protocols": _protocols(seen),
        }
        add("network-traffic", traffic)
    return made


def _add_file(add: Callable[[str, dict[str, Any], dict[str, Any] | None], str], one: SeenFile) -> None:
    hashes = {"MD5": one.md5, "SHA-1": one.sha1, "SHA-256": one.sha256}
    known = {kind: value for kind, value in hashes.items() if value}
    contributing: dict[str, Any] = {}
    if known:
        # Section 2.9: of several hashes one contributes, by this order.
        first = next(iter(known))
        contributing["hashes"] = {first: known[first]}
    if one.name:
        contributing["name"] = one.name
    more: dict[str, Any] = {"hashes": known} if known else {}
    if one.size is not None:
        more["size"] = one.size
    add("file", contributing, more)


def _protocols(seen: Sighted) -> list[str]:
    network = "ipv6" if ":" in (seen.source or seen.destination) else "ipv4"
    application = "http" if seen.application == "http2" else seen.application  # the names are IANA's
    return [network, *dict.fromkeys(one for one in (seen.protocol, application) if one)]


def _object(kind: str, identifier: str, site: str, created: int, modified: int, tlp: Tlp) -> dict[str, Any]:
    """What every object of ours begins with."""
    return {
        "type": kind,
        "spec_version": SPEC_VERSION,
        "id": identifier,
        "created_by_ref": _site_id(site),
        "created": to_milliseconds(created),
        "modified": to_milliseconds(modified),
        "object_marking_refs": [MARKING[tlp]],
    }


def _versioned(identifier: str, kind: str, modified: int, tlp: Tlp, body: dict[str, Any]) -> Made:
    return Made(identifier, kind, _whole_milliseconds(modified), tlp, _encoder.encode(body))


def _whole_milliseconds(time: int) -> int:
    return time - time % 1000
