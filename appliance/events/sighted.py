"""An alert as what it says of the world, read once from its line of EVE JSON: for every format that is not EVE.

Nothing in an event is believed to have a form: an address that is none (a pseudonym, say), a name with control
characters or a port out of range is left out here, so that no format has to ask again. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

import msgspec

from appliance.events.record import parse_time

_MAX_WORDS = 1024
_MAX_URL = 2048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}\Z")
_HASH = {"md5": re.compile(r"[0-9a-f]{32}\Z"), "sha1": re.compile(r"[0-9a-f]{40}\Z"),
         "sha256": re.compile(r"[0-9a-f]{64}\Z")}  # fmt: skip
_DAY = re.compile(r"(\d{4})[-_](\d{2})[-_](\d{2})\Z")
_CVE = re.compile(r"CVE[-_](\d{4})[-_](\d{4,19})\Z", re.IGNORECASE)
_TECHNIQUE = re.compile(r"T\d{4}([._]\d{3})?\Z")
_UNKNOWN_APPLICATIONS = frozenset({"", "failed", "unknown"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class _Peer(msgspec.Struct, frozen=True):
    ip: str = ""


class _Alert(msgspec.Struct, frozen=True):
    signature_id: int
    gid: int = 1
    rev: int = 0
    action: str = ""
    signature: str = ""
    category: str = ""
    severity: int = 3
    source: _Peer | None = None
    metadata: dict[str, Any] = {}


class _Http(msgspec.Struct, frozen=True):
    hostname: str = ""
    url: str = ""
    http_method: str = ""
    http_user_agent: str = ""


class _Tls(msgspec.Struct, frozen=True):
    sni: str = ""


class _Question(msgspec.Struct, frozen=True):
    rrname: str = ""


class _Dns(msgspec.Struct, frozen=True):
    query: tuple[_Question, ...] = ()
    queries: tuple[_Question, ...] = ()


class _File(msgspec.Struct, frozen=True):
    filename: str = ""
    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    size: int | None = None


class _Flow(msgspec.Struct, frozen=True):
    start: str = ""


class _Line(msgspec.Struct, frozen=True):
    timestamp: str
    event_type: str
    alert: _Alert
    flow_id: int | None = None
    src_ip: str = ""
    src_port: int | None = None
    dest_ip: str = ""
    dest_port: int | None = None
    proto: str = ""
    app_proto: str = ""
    community_id: str = ""
    http: _Http | None = None
    tls: _Tls | None = None
    dns: _Dns | None = None
    fileinfo: _File | None = None
    files: tuple[_File, ...] = ()
    flow: _Flow | None = None


class SeenFile(msgspec.Struct, frozen=True):
    """A file that crossed the line; digests are lower-case hexadecimal, "" where unknown."""

    name: str = ""
    md5: str = ""
    sha1: str = ""
    sha256: str = ""
    size: int | None = None


class Sighted(msgspec.Struct, frozen=True):
    """What an alert saw. Times are microseconds since the epoch, addresses are spelled as RFC 5952 says.

    `attacker` is the address that the signature says it was, else the source; names end without a dot.
    """

    time: int
    begun: int
    gid: int
    sid: int
    rev: int
    action: str
    signature: str
    category: str
    severity: int
    source: str = ""
    source_port: int | None = None
    destination: str = ""
    destination_port: int | None = None
    attacker: str = ""
    protocol: str = ""
    application: str = ""
    community_id: str = ""
    flow_id: int | None = None
    names: tuple[str, ...] = ()
    url: str = ""
    user_agent: str = ""
    files: tuple[SeenFile, ...] = ()
    confidence: int | None = None
    created: int | None = None  # what the signature says of itself
    updated: int | None = None
    cves: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_Line)
_CONFIDENCE = {"low": 15, "medium": 50, "high": 85}  # the scale None/Low/Med/High of STIX 2.1, appendix A


def sighted(line: bytes) -> Sighted | None:
    """What an alert's line says; None where it is no alert that can be read as one."""
    try:
        event = _decoder.decode(line)
        time = microseconds(event.timestamp)
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None
    if event.event_type != "alert":
        return None
    alert = event.alert
    source, destination = address(event.src_ip), address(event.dest_ip)
    said = alert.metadata
    return Sighted(
        time=time,
        begun=_begun(event.flow, time),
        gid=alert.gid,
        sid=alert.signature_id,
        rev=alert.rev,
        action=alert.action,
        signature=words(alert.signature) or f"{alert.gid}:{alert.signature_id}",
        category=words(alert.category),
        severity=alert.severity,
        source=source,
        source_port=_port(event.src_port),
        destination=destination,
        destination_port=_port(event.dest_port),
        attacker=(address(alert.source.ip) if alert.source else "") or source,
        protocol=event.proto.lower(),
        application="" if event.app_proto in _UNKNOWN_APPLICATIONS else event.app_proto,
        community_id=words(event.community_id),
        flow_id=event.flow_id,
        names=_names(event),
        url=_url(event.http),
        user_agent=words(event.http.http_user_agent) if event.http else "",
        files=_files(event),
        confidence=_CONFIDENCE.get(_first(said, "confidence").lower()),
        created=_day(_first(said, "created_at")),
        updated=_day(_first(said, "updated_at")),
        cves=tuple(f"CVE-{m[1]}-{m[2]}" for one in _all(said, "cve") if (m := _CVE.match(one))),
        techniques=tuple(
            one.replace("_", ".") for one in _all(said, "mitre_technique_id") if _TECHNIQUE.match(one)
        ),
    )  # fmt: skip


# --- times ----------------------------------------------------------------------------------------------------------


def microseconds(stamp: str) -> int:
    """An EVE time stamp as microseconds since the epoch. Raises ValueError."""
    if len(stamp) == 31 and stamp[19] == "." and stamp.endswith("+0000") and (fraction := stamp[20:26]).isdecimal():
        return _second(stamp[:19]) + int(fraction)  # as the gateway writes it
    return (parse_time(stamp) - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=256)
def _second(stamp: str) -> int:
    return (parse_time(f"{stamp}.0+0000") - _EPOCH) // _MICROSECOND


def moment(time: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time)


def _begun(flow: _Flow | None, time: int) -> int:
    """When the flow began, by a clock that may have been set since."""
    try:
        return min(microseconds(flow.start), time) if flow is not None and flow.start else time
    except (ValueError, OverflowError):
        return time


def _day(text: str) -> int | None:
    found = _DAY.match(text)
    if found is None:
        return None
    try:
        return (datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=UTC) - _EPOCH) // _MICROSECOND
    except ValueError:
        return None


# --- words ----------------------------------------------------------------------------------------------------------


def words(text: str) -> str:
    """Words of strangers on one line, not too many."""
    return _CONTROL.sub(" ", text[:_MAX_WORDS]).strip()


def address(text: str) -> str:
    """An address in its one spelling; "" for what is none."""
    if not text:
        return ""
    try:
        found: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return ""
    return "" if found.is_unspecified else found.compressed


def name(text: str) -> str:
    """A domain name in lower case, without the last dot; "" for what is none."""
    lowered = text.rstrip(".").lower()
    return lowered if _NAME.match(lowered) and not address(lowered) else ""


def _port(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= 65535 else None


def _names(event: _Line) -> tuple[str, ...]:
    asked = [one.rrname for one in (*event.dns.query, *event.dns.queries)] if event.dns else []
    told = [*asked, event.tls.sni if event.tls else "", event.http.hostname.partition(":")[0] if event.http else ""]
    return tuple(dict.fromkeys(found for one in told if (found := name(one))))


def _url(http: _Http | None) -> str:
    if http is None or not http.hostname or not http.url:
        return ""
    host, _, port = http.hostname.partition(":")
    if not (name(host) or address(host)) or (port and not port.isdecimal()):
        return ""
    if not http.url.startswith("/"):
        return ""
    # What a client sent may hold any byte; what is no part of a URL is escaped (RFC 3986), and nothing twice.
    path = quote(http.url[:_MAX_URL], safe="/?:@!$&'()*+,;=-._~%", errors="replace")
    return f"http://{http.hostname.lower()}{path}"


def _files(event: _Line) -> tuple[SeenFile, ...]:
    found = []
    for one in (*((event.fileinfo,) if event.fileinfo else ()), *event.files):
        digests = {kind: _digest(kind, getattr(one, kind)) for kind in _HASH}
        if any(digests.values()) or one.filename:
            size = one.size if one.size is not None and one.size >= 0 else None
            found.append(SeenFile(words(one.filename.rpartition("/")[2]), size=size, **digests))
    return tuple(one for one in dict.fromkeys(found) if one.name or one.md5 or one.sha1 or one.sha256)


def _digest(kind: str, text: str) -> str:
    lowered = text.lower()
    return lowered if _HASH[kind].match(lowered) else ""


def _all(said: dict[str, Any], member: str) -> list[str]:
    values = said.get(member)
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []


def _first(said: dict[str, Any], member: str) -> str:
    return next(iter(_all(said, member)), "")
