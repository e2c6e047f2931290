"""Asks applyd to ban whom the policy bans for what was seen, apart from the loop of who saw it.

What is asked for is decided by `appliance.policy.banning`; applyd decides again. Nothing waits for the answer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import msgspec

from appliance.control import daemon
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.bans import BanFound
from appliance.control.messages.gateway import BanList, NameBook
from appliance.policy import banning
from appliance.policy.banning import Offence
from appliance.policy.model import Banning as Bans
from dataplane.detections.finding import Finding
from dataplane.detections.surroundings import Surroundings
from dataplane.places import around
from dataplane.rules.classes import CLASSES

_BLOCKED = b'"action":"blocked"'
_MOST_WAITING = 256  # bans that are asked for; more are not
_ONCE_IN = 5.0  # seconds: of one address no more than one is asked for
_MOST_ASKED = 4096
_MOST_LATELY = 1000  # offenders for whom the text said no ban when they were told of
_LATELY = 3600.0  # seconds for which one that does finds them
_TRIES = 20
_AGAIN = 0.25
# What applyd says by itself, or what the running policy means: nothing that this process must tell.
_OTHER_TEXT = "not-automatic"
_EXPECTED = frozenset({"spared", "too-many", "not-automatic"})
_CLASS = {words: name for name, (words, _) in CLASSES.items()}


class _Alert(msgspec.Struct):
    action: str = ""
    gid: int = 1
    signature_id: int = 0
    signature: str = ""
    category: str = ""
    severity: int = 0


class _Line(msgspec.Struct):
    """What is read of an event."""

    event_type: str
    src_ip: str = ""
    alert: _Alert | None = None


_lines = msgspec.json.Decoder(_Line)


def blocked(lines: bytes) -> Iterator[tuple[Offence, str]]:
    """Who sent what signatures stopped, without their zones, and words for it, from lines of EVE."""
    at = lines.find(_BLOCKED)
    while at >= 0:
        begin = lines.rfind(b"\n", 0, at) + 1
        end = lines.find(b"\n", at)
        end = len(lines) if end < 0 else end
        try:
            line = _lines.decode(lines[begin:end])
        except ValueError:  # msgspec.DecodeError is one
            line = _Line("")
        alert = line.alert
        if line.event_type == "alert" and alert is not None and alert.action == "blocked" and line.src_ip:
            category = _CLASS.get(alert.category, "")
            offence = Offence(
                line.src_ip, gid=alert.gid, sid=alert.signature_id, category=category, severity=alert.severity
            )
            yield offence, f"it stopped “{alert.signature}”."
        at = lines.find(_BLOCKED, end)


class _Told(msgspec.Struct, frozen=True):
    """What a detection found at the moment `at` (monotonic), and words for it."""

    offence: Offence
    words: str
    at: float


class Banning(threading.Thread):
    """`look_at` and `look_through` never wait. Until a generation is known nobody is banned.

    What a detection found it does not tell again soon. So whoever the text had no ban for is looked at once more when
    another text is in force; whoever was asked for is not, because a person may have taken the ban back.
    """

    def __init__(self, socket: Path, log: daemon.Log) -> None:
        super().__init__(name="banning", daemon=True)
        self._socket = socket
        self._log = log
        self._bans = Bans()
        self._signatures = False
        self._around = Surroundings()
        self._wanted: queue.Queue[tuple[BanFound, _Told] | None] = queue.Queue(_MOST_WAITING)
        self._asked: dict[str, float] = {}
        self._remembering = threading.Lock()
        self._lately: dict[tuple[str, str], _Told] = {}  # by offender and detection, the oldest first
        self._stopped = threading.Event()
        self._said = ""

    def follow(self, book: NameBook) -> None:
        """What the running generation bans for, and where addresses are."""
        self._bans = book.bans
        self._signatures = any(one.signatures for one in book.bans.automatic)
        self._around = around(book)
        earliest = time.monotonic() - _LATELY
        with self._remembering:
            lately, self._lately = self._lately, {}
        for told in lately.values():
            if told.at >= earliest:
                self._look_at(told)

    def look_at(self, found: Finding) -> None:
        if found.offender:
            offence = Offence(found.offender, finding=found.kind, confidence=found.confidence)
            self._look_at(_Told(offence, f"{found.words.rstrip('.')}.", time.monotonic()))

    def _look_at(self, told: _Told) -> None:
        if not self._want(told):
            self._remember(told)

    def _remember(self, told: _Told) -> None:
        with self._remembering:
            key = (told.offence.address, told.offence.finding)
            self._lately.pop(key, None)
            self._lately[key] = told
            if len(self._lately) > _MOST_LATELY:
                del self._lately[next(iter(self._lately))]

    def look_through(self, lines: bytes) -> None:
        """Events that go into the spool."""
        if self._signatures:
            for offence, words in blocked(lines):
                self._want(_Told(offence, words, time.monotonic()))

    def stop(self) -> None:
        self._stopped.set()
        try:
            self._wanted.put_nowait(None)
        except queue.Full:
            return  # it sees `_stopped` behind the one it asks for

    def _want(self, told: _Told) -> bool:
        """Whether the text has a ban for it, be it asked for now or just before."""
        offence = told.offence
        try:
            address = str(ip_address(offence.address))
        except ValueError:
            return False
        place = self._around.place(ip_address(address).packed)
        chosen = banning.chosen(self._bans, msgspec.structs.replace(offence, zone=place.zone))
        if chosen is None or place.inside:
            return False
        now = time.monotonic()
        if now - self._asked.get(address, -_ONCE_IN) < _ONCE_IN:
            return True
        if len(self._asked) >= _MOST_ASKED:
            self._asked.clear()
        self._asked[address] = now
        try:
            self._wanted.put_nowait((BanFound(address, chosen.id, offence.author, told.words), told))
        except queue.Full:
            self._tell("more is found than can be banned at a time; some are not")
        return True

    def run(self) -> None:
        while (wanted := self._wanted.get()) is not None and not self._stopped.is_set():
            self._ask(*wanted)

    def _ask(self, wanted: BanFound, told: _Told) -> None:
        for _ in range(_TRIES):
            try:
                call(self._socket, wanted, BanList, timeout=10)
            except RefusedError as error:
                if error.reply.code == _OTHER_TEXT:  # another one runs, that was not heard of here yet
                    self._asked.pop(wanted.address, None)
                    if told.offence.finding:
                        self._remember(told)
                if error.reply.code not in _EXPECTED:
                    self._tell(f"{wanted.address} is not banned: {error}")
                return
            except (DaemonAway, ProtocolError, TimeoutError) as error:
                words = str(error)
                if self._stopped.wait(_AGAIN):
                    return
            else:
                self._said = ""
                return
        self._tell(f"{wanted.address} is not banned: {words}")

    def _tell(self, words: str) -> None:
        if words != self._said:
            self._said = words
            self._log(words)
