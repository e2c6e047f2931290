"""What the lab's gateway decides and finds, as it happens: new events of its spools, in the words of `reef log`."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

import msgspec

from appliance.commands.logline import line_of, today, verdict
from appliance.commands.names import Names
from appliance.commands.terminal import escape
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages import gateway as messages
from appliance.control.messages.gate import Gate, GateReport
from appliance.control.processes import Instance
from appliance.events import record
from appliance.events.reader import Reader
from appliance.events.view import spools
from dataplane.detections.finding import KIND, of_event

RENEW = 10.0  # seconds after which the names are asked for again: another generation may run

Kind = Literal["allow", "deny", "reject", "found", "stopped", "banned", "alert"]


class Told(NamedTuple):
    """One line of the log, and what explains it: a decision (`rule` decided), or what was found, stopped or banned.

    `source` is whose packet it was.
    """

    kind: Kind
    rule: str
    source: str
    words: str
    more: tuple[str, ...] = ()


class Watch:
    """Reads what is new each time it is asked; starts with what comes after it was made."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._readers: dict[str, Reader] = {}
        self._names = Names()
        self._asked = 0.0
        for name, directory in spools(instance.events).items():
            self._readers[name] = Reader(directory)
            self._readers[name].seek_end()

    def read(self) -> list[Told]:
        """What happened since the last call, in the order of its time."""
        for name, directory in spools(self._instance.events).items():
            self._readers.setdefault(name, Reader(directory))
        events = [event for reader in self._readers.values() for event in _events(reader)]
        chosen = [event for event in events if event.alert is not None or _decides(event)]
        if not chosen:
            return []
        names, day = self._current(), today()
        return [_told(event, names, day) for event in sorted(chosen, key=lambda event: event.timestamp)]

    def dropped(self) -> dict[str, int]:
        """What the gate has dropped so far, by reason. Raises DaemonAway, ProtocolError, RefusedError."""
        report = call(self._instance.socket("gated"), Gate(), GateReport, timeout=2)
        found: dict[str, int] = {}
        for line in report.lines:
            for reason, count in line.counts.items():
                found[reason] = found.get(reason, 0) + count.packets
        found.pop("allowed", None)  # these passed
        return found

    def _current(self) -> Names:
        if time.monotonic() - self._asked > RENEW:
            self._asked = time.monotonic()
            try:
                book = call(self._instance.socket("policyd"), messages.Names(), messages.NameBook, timeout=2)
            except (DaemonAway, ProtocolError, RefusedError):
                return self._names  # the last ones known are better than none
            self._names = Names(book)
        return self._names


def _decides(event: record.Event) -> bool:
    return bool(verdict(event)) and not (event.flow is not None and "end" in event.flow)


def _told(event: record.Event, names: Names, day: str) -> Told:
    """In words. A finding says itself why it is one and what to do; a ban how it is taken back."""
    source = names.host(event.src_ip) if event.src_ip else ""
    said = event.alert
    if said is None:
        kind: Kind = "allow" if (word := verdict(event)) == "allow" else "reject" if word == "reject" else "deny"
        return Told(kind, event.decision.rule, source, line_of(event, names, day))
    found = of_event(event)
    moment = line_of(event, names, day).partition(" ")[0]
    if found is not None:
        title = KIND[found.kind].title
        return Told("found", found.kind, source, f"{moment}  FOUND    {title}", _lines(found.words, found.remedy))
    if (said.get("gid"), said.get("signature_id")) == (record.ALERTS, record.BANNED):
        words = _short(str(said.get("signature", "")))
        return Told("banned", "", source, f"{moment}  BANNED   {source}", _lines(words))
    stopped = said.get("action") == "blocked" and event.src_ip
    return Told("stopped" if stopped else "alert", "", source, line_of(event, names, day))


def _short(words: str) -> str:
    """A ban's words without those of the finding, which stand there already."""
    banned, _, why = words.partition(": ")
    back = why.find(" Take it back: ")
    return f"{banned}.{why[back:]}" if " by detection " in banned and back >= 0 else words


def _lines(*texts: str) -> tuple[str, ...]:
    return tuple(escape(f"{text.rstrip('.')}.") for text in texts if text)


def _events(reader: Reader) -> list[record.Event]:
    """What is new in one spool; a line that cannot be read is `reef log`'s to report, not the demo's."""
    found = []
    while (batch := reader.read()) is not None:
        for line in batch.lines:
            try:
                found.append(record.decode(line))
            except msgspec.DecodeError:
                continue
    return found
