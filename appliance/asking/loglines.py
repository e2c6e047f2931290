"""A line of a log back into the packet that it tells of: EVE JSON, `reef log`'s own lines, the kernel's. Pure."""

from __future__ import annotations

import re
import socket
from datetime import datetime

import msgspec

from appliance.events import record
from appliance.policy import addresses
from appliance.policy.logprefix import parse as parse_prefix
from appliance.policy.model import GATEWAY
from appliance.policy.written.services import ICMP_TYPES, ICMPV6_TYPES, WITH_PORTS, WITHOUT_PORTS

_KINDS = {"ALLOW": "allow", "DENY": "deny", "REJECT": "reject", "end": "allow"}
_PROTOCOLS = {**WITH_PORTS, **WITHOUT_PORTS, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
# What `reef log` calls some types, besides the names of the policy's own language.
_ICMP_WORDS = {"unreachable": (3, 1), "time-exceeded": (11, 3), "redirect": (5, 137)}
_HOST = re.compile(r"(?:[^()\s]*\()?(?P<address>[0-9A-Fa-f:.]+)\)?")
_SERVICE = re.compile(r"(?:[^()\s]*\()?(?P<protocol>[a-z0-9-]+)(?:/(?P<what>[a-z0-9-]+))?\)?")
_KERNEL = re.compile(r"\b(IN|OUT|SRC|DST|PROTO|SPT|DPT|TYPE|CODE)=(\S*)")
_TIME = re.compile(r"(?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d:\d\d\.\d+)")


class LineError(ValueError):
    """A line that tells of no packet; the words say what is missing."""


class Logged(msgspec.Struct, frozen=True):
    """What a line says. `at` is seconds since the epoch, 0 where it has no time; `entering` an interface, "" where
    the line names none; `translated` where the destination is the one behind address translation."""

    version: int
    source: int
    destination: int
    protocol: int
    source_port: int = -1
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    at: float = 0.0
    rule: str = ""
    action: str = ""
    source_zone: str = ""
    destination_zone: str = ""
    entering: str = ""
    translated: bool = False

    @property
    def local(self) -> bool:
        return self.source_zone == GATEWAY


def parse_line(line: str, now: float) -> Logged:
    """Raises `LineError`."""
    line = line.strip()
    try:
        if line.startswith("{"):
            logged = _eve(line)
        elif "SRC=" in line and "DST=" in line:
            logged = _kernel(line)
        else:
            logged = _text(line, now)
    except LineError:
        raise
    except ValueError as error:  # a time that is none, members of another type, a protocol's name with a NUL
        raise LineError(f"this line cannot be read: {error}") from error
    return _checked(logged)


def _checked(logged: Logged) -> Logged:
    numbers = (logged.protocol, logged.icmp_type, logged.icmp_code)
    ports = (max(logged.source_port, 0), logged.destination_port)
    if not all(0 <= value <= 255 for value in numbers) or not all(0 <= value <= 65535 for value in ports):
        raise LineError("a number of this line is out of its range")
    return logged


def _eve(line: str) -> Logged:
    try:
        event = record.decode(line.encode())
    except msgspec.DecodeError as error:
        raise LineError(f"this is no event: {error}") from error
    if not event.src_ip or not event.dest_ip or not event.proto:
        raise LineError(f"an event of type {event.event_type} tells of no packet")
    decision = event.decision
    ended = event.flow is not None and "end" in event.flow
    try:
        at = event.time.timestamp()
    except ValueError:
        at = 0.0
    version, source, destination = _ends(event.src_ip, event.dest_ip)
    return Logged(
        version=version,
        source=source,
        destination=destination,
        protocol=_protocol(event.proto.lower()),
        source_port=-1 if event.src_port is None else event.src_port,
        destination_port=event.dest_port or 0,
        icmp_type=event.icmp_type or 0,
        icmp_code=event.icmp_code or 0,
        at=at,
        rule=decision.rule,
        action=decision.action,
        source_zone=decision.source,
        destination_zone=decision.destination,
        entering=event.in_iface,
        # The ruleset logs what it decides about, which is behind destination NAT; what ended is told as it began.
        translated=event.event_type in ("drop", "flow") and not ended and bool(decision.rule),
    )


def _kernel(line: str) -> Logged:
    """As the kernel's log target and ulogd write: a prefix, then IN= OUT= … SRC= DST= … PROTO= SPT= DPT=."""
    fields: dict[str, str] = {}
    for key, value in _KERNEL.findall(line):
        # An ICMP error quotes a packet in brackets: what comes first is the packet itself.
        fields.setdefault(key, value)
    begins = line.find("IN=")
    words = line[: max(begins, 0)].rstrip().split(" ")[-4:]
    prefix = parse_prefix(" ".join(words) + " ")
    version, source, destination = _ends(fields.get("SRC", ""), fields.get("DST", ""))
    return Logged(
        version=version,
        source=source,
        destination=destination,
        protocol=_protocol(fields.get("PROTO", "").lower()),
        source_port=_decimal(fields, "SPT", -1),
        destination_port=_decimal(fields, "DPT", 0),
        icmp_type=_decimal(fields, "TYPE", 0),
        icmp_code=_decimal(fields, "CODE", 0),
        rule=prefix.rule if prefix else "",
        action=prefix.action if prefix else "",
        source_zone=prefix.source if prefix else ("" if fields.get("IN") else GATEWAY),
        destination_zone=prefix.destination if prefix else "",
        entering=fields.get("IN", ""),
        translated=True,
    )


def _text(line: str, now: float) -> Logged:
    """`22:24:46.282  DENY     R-9           internet → dmz  neighbour(203.0.113.66) → 10.21.0.10  ssh(tcp/22)`."""
    parts = re.split(r"\s{2,}", line)
    at = _TIME.fullmatch(parts[0])
    arrows = [part for part in parts if " → " in part]
    if at is None or len(parts) < 6 or len(arrows) < 2:
        raise LineError("this is neither an event nor a line of `reef log` with zones, addresses and service")
    kind, rule = parts[1], parts[2]
    zones, ends = arrows[0].split(" → "), arrows[1].split(" → ")
    after = parts[parts.index(arrows[1]) + 1 :]
    service = _SERVICE.fullmatch(after[0]) if after else None
    if service is None:
        raise LineError("this line names no service")
    version, source, destination = _ends(_host(ends[0]), _host(ends[1]))
    protocol = _protocol(service["protocol"])
    icmp = 0
    port = 0
    if protocol in (1, 58):
        icmp = _icmp_type(service["what"] or "0", version)
    elif service["what"]:
        port = int(service["what"])
    day = at[1] or f"{datetime.fromtimestamp(now):%Y-%m-%d}"
    return Logged(
        version=version,
        source=source,
        destination=destination,
        protocol=protocol,
        destination_port=port,
        icmp_type=icmp,
        at=datetime.fromisoformat(f"{day} {at[2]}").timestamp(),
        rule="" if rule == "-" else rule,
        action=_KINDS.get(kind, ""),
        source_zone=zones[0].strip("? "),
        destination_zone=zones[1].strip("? "),
        translated=kind in ("ALLOW", "DENY", "REJECT"),
    )


def _host(words: str) -> str:
    found = _HOST.fullmatch(words)
    if found is None:
        raise LineError(f"{words!r} names no address")
    return found["address"]


def _address(words: str) -> tuple[int, int]:
    try:
        return addresses.address(words)
    except addresses.AddressError as error:
        raise LineError(str(error)) from error


def _ends(source: str, destination: str) -> tuple[int, int, int]:
    """(version, source, destination)."""
    (version, first), (other, second) = _address(source), _address(destination)
    if version != other:
        raise LineError(f"{source} and {destination} are of two IP versions")
    return version, first, second


def _protocol(word: str) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    try:
        return _PROTOCOLS[word] if word in _PROTOCOLS else socket.getprotobyname(word)
    except OSError:
        raise LineError(f"{word!r} is no protocol") from None


def _icmp_type(word: str, version: int) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    known = ICMP_TYPES if version == 4 else ICMPV6_TYPES
    british = word.replace("neighbour", "neighbor")
    for name in (word, british):
        if name in known:
            return known[name][0]
    if word in _ICMP_WORDS:
        return _ICMP_WORDS[word][version == 6]
    raise LineError(f"{word!r} is no type of ICMP")


def _decimal(fields: dict[str, str], key: str, default: int) -> int:
    value = fields.get(key, "")
    return int(value) if value.isascii() and value.isdigit() else default
