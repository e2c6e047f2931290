"""A finding explains itself: who did what, since when, by which threshold it is told, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from appliance.events import record

GID = "reef-finding"
Confidence = Literal["low", "medium", "high"]


class Kind(msgspec.Struct, frozen=True):
    """What all findings of one detection have in common. `number` is its `signature_id`, of generator
    `record.ALERTS`.

    `technique` is that of MITRE ATT&CK, "" where none says what was seen.
    """

    number: int
    name: str
    title: str
    category: str
    severity: int
    technique: str = ""
    technique_name: str = ""
    tactic: str = ""


KINDS: tuple[Kind, ...] = (
    Kind(101, "port-scan", "Port scan", "Attempted Information Leak", 2,
         "T1046", "Network Service Discovery", "Discovery"),
    Kind(102, "host-scan", "Host scan", "Attempted Information Leak", 2,
         "T1018", "Remote System Discovery", "Discovery"),
    Kind(103, "guessing", "Password guessing", "Attempted User Privilege Gain", 1,
         "T1110", "Brute Force", "Credential Access"),
    Kind(104, "shared-guessing", "Password guessing from many sources", "Attempted User Privilege Gain", 1,
         "T1110.003", "Password Spraying", "Credential Access"),
    Kind(105, "beacon", "Beaconing", "Malware Command and Control Activity Detected", 2,
         "T1071", "Application Layer Protocol", "Command and Control"),
    Kind(106, "dns-tunnel", "DNS tunnel", "Potential Corporate Privacy Violation", 1,
         "T1071.004", "Application Layer Protocol: DNS", "Command and Control"),
    Kind(107, "dga", "Names made by a machine", "A Network Trojan was detected", 1,
         "T1568.002", "Domain Generation Algorithms", "Command and Control"),
    Kind(108, "new-device", "New device", "Potentially Bad Traffic", 2,
         "T1200", "Hardware Additions", "Initial Access"),
    Kind(109, "new-service", "New service", "Potentially Bad Traffic", 3),
    Kind(110, "upload", "Unusual upload", "Potential Corporate Privacy Violation", 1,
         "T1048", "Exfiltration Over Alternative Protocol", "Exfiltration"),
    Kind(111, "moved-address", "Address taken by another device", "Potentially Bad Traffic", 1,
         "T1557.002", "ARP Cache Poisoning", "Credential Access"),
)  # fmt: skip

KIND = {kind.name: kind for kind in KINDS}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """`offender` and `victim` are addresses ("" where there is none), `device` a hardware address. `seen` is what was
    counted, `threshold` from how much on it is told; `words` say all of it, `remedy` what to do."""

    kind: str
    time: float
    since: float
    offender: str
    words: str
    remedy: str
    confidence: Confidence
    seen: float
    threshold: float
    victim: str = ""
    port: int = 0
    protocol: str = ""
    device: str = ""
    outside: bool = False  # the offender is not in one of our own networks
    evidence: tuple[str, ...] = ()
    again: int = 0  # how often it was found since it was told last


def spelled(address: bytes) -> str:
    """An address as people write it."""
    return str(ip_address(address)) if address else ""


def packed(address: str) -> bytes:
    return ip_address(address).packed if address else b""


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def lasting(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    if seconds < 7200:
        return f"{round(seconds / 60)} min"
    if seconds < 172_800:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} days"


def several(items: list[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")


def event(finding: Finding, host: str = "") -> record.Event:
    """As EVE: an alert of our own generator; the explanation stands in `metadata.flowvars`."""
    kind = KIND[finding.kind]
    said: dict[str, list[str]] = {"confidence": [finding.confidence.capitalize()]}
    if kind.technique:
        said |= {
            "mitre_technique_id": [kind.technique.replace(".", "_")],
            "mitre_technique_name": [kind.technique_name],
            "mitre_tactic_name": [kind.tactic],
        }
    alert: dict[str, Any] = {
        "action": "allowed",
        "gid": record.ALERTS,
        "signature_id": kind.number,
        "rev": 1,
        "signature": f"Reef: {kind.title}",
        "category": kind.category,
        "severity": kind.severity,
        "metadata": said,
    }
    return record.Event(
        timestamp=record.format_time(finding.time),
        event_type="alert",
        src_ip=_full(finding.offender),
        dest_ip=_full(finding.victim),
        dest_port=finding.port or None,
        proto=finding.protocol.upper(),
        host=host,
        alert=alert,
        metadata=record.Metadata(({"gid": GID, **msgspec.to_builtins(finding)},)),
    )


def of_event(found: record.Event) -> Finding | None:
    """The finding that an event carries."""
    for variable in found.metadata.flowvars if found.metadata else ():
        if variable.get("gid") == GID:
            return msgspec.convert(variable, Finding)
    return None


def _full(address: str) -> str:
    return ip_address(address).exploded if address else ""
