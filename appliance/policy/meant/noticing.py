"""What the section `notices` of a text means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from appliance.policy.meant.lengths import seconds
from appliance.policy.model import Connection, Zone
from appliance.policy.notices import NoticeSettings, Officer
from appliance.policy.written.noticetext import NoticesText
from appliance.policy.written.text import Report, Word, value_of

_DEFAULT = NoticeSettings()
_LEAST, _MOST = 60, 86_400


def notices(
    text: NoticesText | None, timezone: str, connections: Mapping[str, Connection], report: Report
) -> NoticeSettings:
    if text is None:
        return _DEFAULT
    if text.relay is None and text.webhook is None and not text.flawed:
        report.error(text.at, "nobody is told", "write `relay` and `from`, or `webhook`")
    if text.relay is not None and text.sender is None and not text.flawed:
        report.error(text.relay.at, "mail needs a sender", "write `from: gateway@health.example`")
    if not connections and not text.flawed:
        report.error(text.at, "nobody answers for a line here", "write `connections` with their officers")
    return NoticeSettings(
        relay=value_of(text.relay),
        sender=value_of(text.sender),
        webhook=value_of(text.webhook),
        tls=_DEFAULT.tls if text.tls is None else cast(Any, text.tls.value),
        credential=value_of(text.credential),
        every=_DEFAULT.every if text.every is None else _seconds(text.every, report),
        quiet=None if text.quiet is None else _hours(text.quiet, report),
        timezone=timezone,
    )


def officers(connections: Iterable[Connection], zones: Mapping[str, Zone]) -> tuple[Officer, ...]:
    """Who answers for which line, and in which zone that is."""
    zone_of = {interface: zone.name for zone in zones.values() for interface in zone.interfaces}
    return tuple(
        Officer(one.interface, zone_of.get(one.interface, ""), one.officer, one.provider, one.phone)
        for one in connections
    )


def _seconds(word: Word, report: Report) -> int:
    return seconds(word, _LEAST, _MOST, "write 1 minute to 1 day", report)


def _hours(word: Word, report: Report) -> tuple[int, int]:
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in word.value.split("-"))
    if first == last:
        report.error(word.at, f"`{word.value}` is no time of the day", "write for example `22:00-06:00`")
    return first, last
