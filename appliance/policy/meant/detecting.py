"""What a text says of the detections: counts in times, what is off, and hosts that are exempted."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.policy import limits
from appliance.policy.detections import Detections, Exemption, Hosts, Thresholds
from appliance.policy.meant.profiles import size
from appliance.policy.meant.rules import SECONDS, Resolver
from appliance.policy.written.prevention import DetectionsText, ExemptionText
from appliance.policy.written.text import Report, Word

_DAY = 86_400
# The key of the text, and which of the thresholds its count and its time are.
_COUNTS = (
    ("port_scan", "scan_ports", "scan_seconds"),
    ("host_scan", "scan_hosts", "sweep_seconds"),
    ("guessing", "guessing", "guessing_seconds"),
    ("shared_guessing", "guessing_sources", "shared_seconds"),
    ("dns_tunnel", "tunnel_names", "tunnel_seconds"),
    ("dga", "dga_domains", "dga_seconds"),
)


def detections(text: DetectionsText | None, resolver: Resolver, report: Report) -> Detections:
    """What the section means; without one everything is at its default."""
    if text is None:
        return Detections()
    said: dict[str, Any] = {}
    for key, count, seconds in _COUNTS:
        word: Word | None = getattr(text, key)
        if word is not None:
            said[count], said[seconds] = _count_in(word, report)
    if text.beacon is not None:
        said["beacon_times"] = int(text.beacon.value)
    if text.again is not None:
        said["again"] = int(text.again.value) * 60
    if text.upload is not None:
        said["upload_bytes"] = size(text.upload, report)
        if not said["upload_bytes"]:
            report.error(text.upload.at, "`all` is no bound of an upload", "write for example `1 GiB`")
    return Detections(
        on=text.watch is None or text.watch.value == "yes",
        off=tuple(dict.fromkeys(word.value for word in text.off)),
        learning=Detections().learning if text.learning is None else _learning(text.learning, report),
        thresholds=msgspec.structs.replace(Thresholds(), **said),
        exemptions=tuple(_exemption(one, resolver, report) for one in text.exempt),
    )


def _learning(word: Word, report: Report) -> int:
    """`14` or `12 hours`, in seconds; `kinds.LEARNING` has checked how it is written."""
    number, _, unit = word.value.partition(" ")
    seconds = int(number) * (SECONDS[unit.removesuffix("s")] if unit else _DAY)
    if seconds > limits.MAX_LEARNING_DAYS * _DAY:
        report.error(word.at, f"`{word.value}` is out of bounds", f"write at most {limits.MAX_LEARNING_DAYS} days")
    return seconds


def _count_in(word: Word, report: Report) -> tuple[int, int]:
    """`15/5 minutes`; `kinds.COUNT_IN` has checked how it is written."""
    count, _, span = word.value.partition("/")
    number, _, unit = span.rpartition(" ")
    seconds = int(number or 1) * SECONDS[unit.removesuffix("s")]
    if not 2 <= int(count) <= limits.MAX_DETECTION_COUNT or not 0 < seconds <= limits.MAX_DETECTION_SECONDS:
        at_most = f"write 2 to {limits.MAX_DETECTION_COUNT:,}, in at most a day"
        report.error(word.at, f"`{word.value}` is out of bounds", at_most)
    return int(count), seconds


def _exemption(text: ExemptionText, resolver: Resolver, report: Report) -> Exemption:
    found = resolver.addresses(text.host)[1] if text.host else None
    if found is not None and found.dynamic:
        report.error(
            text.host[0].at,
            "what a DNS name stands for cannot be exempted",
            "name addresses or networks",
        )
    expires, until = resolver.moment(text.expires) if text.expires.value else ("", 0)
    return Exemption(
        id=text.id.value,
        hosts=tuple(Hosts(one.version, one.first, one.last) for one in found.ranges) if found is not None else (),
        detections=tuple(dict.fromkeys(word.value for word in text.detections)),
        owner=text.owner.value,
        why=text.why.value,
        expires=expires,
        until=float(until),
    )
