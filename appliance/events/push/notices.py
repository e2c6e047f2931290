"""What an officer is told of their line: alerts gathered into notices, held back in quiet hours. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from appliance.events.outbox import Stored
from appliance.policy.notices import NoticeSettings, Officer

MOST_KINDS = 50  # of alerts that one notice names; the rest is a number
_MOST_HOSTS = 5
_WORST = 1  # EVE's highest severity


class _Alert(msgspec.Struct):
    gid: int = 1
    signature_id: int = 0
    signature: str = ""
    severity: int = 3
    action: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    flowvars: tuple[dict[str, object], ...] = ()


class _Event(msgspec.Struct):
    timestamp: str = ""
    in_iface: str = ""
    src_ip: str = ""
    dest_ip: str = ""
    alert: _Alert | None = None
    metadata: _Metadata = _Metadata()


class Item(msgspec.Struct):
    """One kind of alert on a line: how often since when, and from whom to whom at first."""

    words: str
    severity: int
    blocked: int = 0
    count: int = 0
    first: str = ""
    last: str = ""
    hosts: dict[str, None] = {}


class Notice(msgspec.Struct, frozen=True):
    """`through` is the number of the newest event in it."""

    officer: Officer
    items: tuple[Item, ...]
    more: int  # kinds that are not named
    count: int
    severity: int
    through: int


class _Waiting(msgspec.Struct):
    since: float
    first: int  # the number of the oldest event
    through: int
    items: dict[tuple[int, int, str], Item] = {}
    count: int = 0
    more: int = 0


_events = msgspec.json.Decoder(_Event)


class Gathering:
    """For the officers of one generation. Times are seconds since the epoch."""

    def __init__(self, settings: NoticeSettings, officers: Iterable[Officer]) -> None:
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._officers = {one.line: one for one in officers}
        self._waiting: dict[str, _Waiting] = {}

    def add(self, events: Iterable[Stored], now: float) -> None:
        for event in events:
            try:
                said = _events.decode(event.body)
            except msgspec.DecodeError:
                continue
            if said.alert is not None:
                for line in self._lines(said):
                    self._gather(line, event.seq, said, said.alert, now)

    def oldest(self) -> int | None:
        """The number of the oldest event that was not told yet."""
        return min((one.first for one in self._waiting.values()), default=None)

    def due(self, now: float) -> list[Notice]:
        """Notices whose time has come; they wait no longer."""
        quiet = self.quiet(now)
        found = []
        for line, one in list(self._waiting.items()):
            severity = min(item.severity for item in one.items.values())
            ready = severity <= _WORST or (not quiet and now - one.since >= self._settings.every)
            if ready:
                del self._waiting[line]
                items = sorted(one.items.values(), key=lambda item: (item.severity, -item.count))
                found.append(Notice(self._officers[line], tuple(items), one.more, one.count, severity, one.through))
        return found

    def quiet(self, now: float) -> bool:
        if self._settings.quiet is None:
            return False
        begin, end = self._settings.quiet
        local = datetime.fromtimestamp(now, self._zone)
        minute = local.hour * 60 + local.minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end

    def _lines(self, said: _Event) -> list[str]:
        """The line that traffic came by, else those of its zones; what names neither is for everybody."""
        if said.in_iface in self._officers:
            return [said.in_iface]
        zones = {
            str(variable[key])
            for variable in said.metadata.flowvars
            if variable.get("gid") == "reef"
            for key in ("from", "to")
            if key in variable
        }
        touched = [line for line, officer in self._officers.items() if officer.zone in zones]
        return touched or ([] if zones or said.src_ip else list(self._officers))

    def _gather(self, line: str, seq: int, said: _Event, alert: _Alert, now: float) -> None:
        one = self._waiting.setdefault(line, _Waiting(now, seq, seq))
        one.through = max(one.through, seq)
        one.count += 1
        key = (alert.gid, alert.signature_id, alert.signature if alert.gid not in (1, 3) else "")
        item = one.items.get(key)
        if item is None:
            if len(one.items) >= MOST_KINDS:
                one.more += 1
                return
            item = one.items[key] = Item(alert.signature[:300], alert.severity, first=said.timestamp)
        item.count += 1
        item.blocked += alert.action == "blocked"
        item.last = said.timestamp
        if said.src_ip and len(item.hosts) < _MOST_HOSTS:
            item.hosts[f"{said.src_ip} -> {said.dest_ip}"] = None


# --- in words ------------------------------------------------------------------------------------------------


def subject(notice: Notice, site: str) -> str:
    events = "alert" if notice.count == 1 else "alerts"
    return f"[{site}] {notice.count} {events} on the line {notice.officer.line} ({notice.officer.provider})"


def text(notice: Notice, site: str) -> str:
    """The mail. What others wrote stands in it as plain text, on lines of its own."""
    lines = [
        f"The gateway of {site} saw this on the line {notice.officer.line} ({notice.officer.provider}), "
        f"for which you answer ({notice.officer.who}):",
        "",
    ]
    for item in notice.items:
        times = f"{item.count} times" if item.count > 1 else "once"
        stopped = (
            "" if not item.blocked else ", stopped" if item.blocked == item.count else f", {item.blocked} stopped"
        )
        lines.append(
            f"- {_plain(item.words)} (severity {item.severity}): {times}{stopped}, {item.first} to {item.last}"
        )
        lines += [f"    {hosts}" for hosts in item.hosts]
    if notice.more:
        lines.append(f"- and {notice.more} more of other kinds")
    lines += ["", "More on the gateway: reef log --type alert, reef findings, reef ips top.", ""]
    return "\n".join(lines)


def data(notice: Notice, site: str) -> bytes:
    """What a webhook gets."""
    return msgspec.json.encode(
        {
            "site": site,
            "line": notice.officer.line,
            "provider": notice.officer.provider,
            "officer": notice.officer.who,
            "alerts": notice.count,
            "severity": notice.severity,
            "items": [msgspec.to_builtins(item) | {"hosts": list(item.hosts)} for item in notice.items],
            "more": notice.more,
        }
    )


def _plain(words: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in words)
