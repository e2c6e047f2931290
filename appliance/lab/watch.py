"""What the lab's gateway decides, as it happens: new events of all its spools, in the words of `reef log`."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from appliance.commands.logline import line_of, today, verdict
from appliance.commands.names import Names
from appliance.control import messages
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.processes import Instance
from appliance.events import record
from appliance.events.reader import Reader
from appliance.events.view import spools

RENEW = 10.0  # seconds after which the names are asked for again: another generation may run


class Decision(NamedTuple):
    """One decision: `verdict` allow, deny or reject; `rule` its id; `words` the line of `reef log`."""

    verdict: str
    rule: str
    words: str


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

    def read(self) -> list[Decision]:
        """The decisions since the last call, in the order of their time."""
        for name, directory in spools(self._instance.events).items():
            self._readers.setdefault(name, Reader(directory))
        events = [event for reader in self._readers.values() for event in _events(reader)]
        decided = [(event, verdict(event)) for event in events if event.flow is None or "end" not in event.flow]
        if not any(word for _, word in decided):
            return []
        names, day = self._current(), today()
        return [
            Decision(word, event.decision.rule, line_of(event, names, day))
            for event, word in sorted(decided, key=lambda pair: pair[0].timestamp)
            if word
        ]

    def _current(self) -> Names:
        if time.monotonic() - self._asked > RENEW:
            self._asked = time.monotonic()
            try:
                book = call(self._instance.socket("policyd"), messages.Names(), messages.NameBook, timeout=2)
            except (DaemonAway, ProtocolError, RefusedError):
                return self._names  # the last ones known are better than none
            self._names = Names(book)
        return self._names


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
