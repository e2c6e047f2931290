"""The thread of alertd that keeps indicators and has them enforced: addresses by applyd, everything else by inspectd.

What others want done is put in line as a job and answered by a future; jobs that wait together are done together, and
what they change is enforced at once. Whoever enforces may be away: then they are told everything when they are back.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, TypeVar

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.gate import GateDone, GateIndicate
from appliance.control.messages.indicators import Enforce, Enforced, Held
from appliance.events.indicatorline import Batch, Told, frame
from appliance.indicators.deciding import Mode
from appliance.indicators.desk import Desk, OverrideRefused
from appliance.indicators.inforce import Changed
from appliance.indicators.store import StoreError
from appliance.indicators.values import Value

T = TypeVar("T")
Job = Callable[[Desk, float], tuple[T, list[Changed]]]
ANEW = "anew"  # applyd's word for: say everything
_AT_ONCE = 200  # jobs that are done before what they changed is enforced
_CHUNK = 5_000  # values in one message
_IDLE = 0.5  # seconds between looks at what time changes
_GATE_AGAIN = 5.0  # and the gate
_AGAIN = 1.0  # seconds until applyd is asked again
_SLOW = 5.0  # seconds for which inspectd may not read
_TIDY_EVERY = 3_600.0
_PLACED = ("address", "network")


class Log(Protocol):
    def __call__(self, words: str) -> None: ...


class Office(threading.Thread):
    """`applyd` is its socket, `gated` that of the gate, where there is one."""

    def __init__(
        self,
        desk: Desk,
        applyd: Path,
        log: Log,
        *,
        gated: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name="indicators", daemon=True)
        self._desk = desk
        self._applyd = applyd
        self._log = log
        self._clock = clock
        self._jobs: queue.Queue[Callable[[], list[Changed]] | None] = queue.Queue()
        self._inspectd: socket.socket | None = None
        self._told = False  # applyd knows what is in force
        self._next_try = 0.0
        self._gated = gated
        self._gate_told = False
        self._next_gate = 0.0
        self._gate_said = ""
        self._next_tidy = 0.0
        self._said = ""
        self.refused: dict[str, str] = {}  # addresses that applyd does not block, and why

    # --- from other threads ---------------------------------------------------------------------------

    def do(self, job: Job[T]) -> Future[T]:
        """Have something done at the desk; the future is done when it is kept. It may raise what the desk raises."""
        future: Future[T] = Future()

        def act() -> list[Changed]:
            if not future.set_running_or_notify_cancel():
                return []
            try:
                answer, changes = job(self._desk, self._clock())
            except (StoreError, OverrideRefused) as error:
                future.set_exception(error)
                return []
            future.set_result(answer)
            return changes

        self._jobs.put(act)
        return future

    def ask(self, question: Callable[[Desk, float], T]) -> Future[T]:
        """Look something up."""
        return self.do(lambda desk, now: (question(desk, now), []))

    def connected(self, peer: socket.socket) -> None:
        """inspectd is there, and wants to know everything."""

        def act() -> list[Changed]:
            self._hang_up()
            peer.settimeout(_SLOW)
            self._inspectd = peer
            self._send([_whole(self._desk.in_force())])
            return []

        self._jobs.put(act)

    def stop(self) -> None:
        self._jobs.put(None)

    # --- the thread -----------------------------------------------------------------------------------

    def run(self) -> None:
        running = True
        while running:
            changes: list[Changed] = []
            idle = True
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=_IDLE)
                idle = False
                for _ in range(_AT_ONCE):
                    if job is None:
                        running = False
                        break
                    changes += job()
                    job = self._jobs.get_nowait()
            changes += self._tick(idle=idle)
            self._enforce(changes)
        self._hang_up()

    def _tick(self, *, idle: bool) -> list[Changed]:
        now, changes = self._clock(), list[Changed]()
        try:
            changes = self._desk.tick(now)
            if time.monotonic() >= self._next_tidy:
                self._next_tidy = time.monotonic() + _TIDY_EVERY
                self._desk.tidy(now)
            if idle:
                self._desk.rest()
        except StoreError as error:
            self._tell(str(error))
        return changes

    def _tell(self, words: str) -> None:
        if words != self._said:
            self._said = words
            self._log(words)

    # --- enforcing ------------------------------------------------------------------------------------

    def _enforce(self, changes: list[Changed]) -> None:
        for told in _changed(changes):
            self._send([told])
        placed = [one for one in changes if one.value.kind in _PLACED]
        if self._told and placed:
            self._told = all(self._apply(request) for request in _requests(placed))
        if not self._told and time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + _AGAIN
            self._say_everything()
        if self._gated is not None and self._told:
            self._tell_gate(self._gated, placed)

    def _tell_gate(self, gated: Path, changes: list[Changed]) -> None:
        """The gate drops before the ruleset would, and cheaper; what holds there holds in the ruleset too."""
        if self._gate_told and changes:
            self._gate_told = all(self._at_gate(gated, request) for request in _at_gate(changes, self.refused))
        if not self._gate_told and time.monotonic() >= self._next_gate:
            self._next_gate = time.monotonic() + _GATE_AGAIN
            blocked = [
                Changed(value, Mode.NONE, mode)
                for value, mode in self._desk.in_force()
                if value.kind in _PLACED and mode is Mode.BLOCK
            ]
            first, *others = list(_at_gate(blocked, self.refused)) or [GateIndicate()]
            requests = (GateIndicate(first.block, whole=True), *others)
            self._gate_told = all(self._at_gate(gated, request) for request in requests)

    def _at_gate(self, gated: Path, request: GateIndicate) -> bool:
        try:
            words = call(gated, request, GateDone, timeout=10).words
        except RefusedError as error:
            words = "" if error.reply.code == ANEW else str(error)
            return self._of_gate(words, done=False)
        except DaemonAway:
            return False  # the supervisor says so
        except ProtocolError as error:
            return self._of_gate(str(error), done=False)
        return self._of_gate(words, done=True)

    def _of_gate(self, words: str, *, done: bool) -> bool:
        if words and words != self._gate_said:
            self._log(f"indicators hold in the ruleset, not at the gate: {words}")
        self._gate_said = words
        return done

    def _say_everything(self) -> None:
        everything = [Changed(value, Mode.NONE, mode) for value, mode in self._desk.in_force()]
        placed = [one for one in everything if one.value.kind in _PLACED]
        self.refused.clear()
        requests = list(_requests(placed)) or [Enforce()]
        first = Enforce(block=requests[0].block, tell=requests[0].tell, whole=True)
        self._told = all(self._apply(request) for request in (first, *requests[1:]))

    def _apply(self, request: Enforce) -> bool:
        """False when everything must be said again."""
        try:
            answer = call(self._applyd, request, Enforced, timeout=60)
        except RefusedError as error:
            if error.reply.code != ANEW:
                self._tell(f"indicators are not enforced: {error}")
            return False
        except (DaemonAway, ProtocolError) as error:
            self._tell(f"addresses of indicators stay as they were: {error}")
            return False
        self._said = ""
        self.refused.update(answer.refused)
        return True

    def _send(self, told: Iterable[Told]) -> None:
        if self._inspectd is None:
            return
        try:
            for one in told:
                self._inspectd.sendall(frame(one))
        except OSError:
            self._hang_up()  # it comes again

    def _hang_up(self) -> None:
        if self._inspectd is not None:
            self._inspectd.close()
            self._inspectd = None


def _requests(changes: Iterable[Changed]) -> Iterable[Enforce]:
    """For addresses and networks."""
    listed = list(changes)
    for at in range(0, len(listed), _CHUNK):
        part = listed[at : at + _CHUNK]
        yield Enforce(
            block=tuple(Held(one.value.text) for one in part if one.now is Mode.BLOCK),
            tell=tuple(Held(one.value.text) for one in part if one.now in (Mode.WATCH, Mode.ALERT)),
            release=tuple(one.value.text for one in part if one.now is Mode.NONE),
        )


def _at_gate(changes: Iterable[Changed], refused: Container[str]) -> Iterator[GateIndicate]:
    """For the gate, which only blocks."""
    listed = [one for one in changes if Mode.BLOCK in (one.before, one.now) and one.value.text not in refused]
    for at in range(0, len(listed), _CHUNK):
        part = listed[at : at + _CHUNK]
        yield GateIndicate(
            tuple(one.value.text for one in part if one.now is Mode.BLOCK),
            tuple(one.value.text for one in part if one.now is not Mode.BLOCK),
        )


def _batches(values: Iterable[tuple[Value, Mode]]) -> tuple[Batch, ...]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for value, mode in values:
        if value.kind not in _PLACED and mode is not Mode.NONE:
            grouped.setdefault((value.kind, mode.word), []).append(value.text)
    return tuple(Batch(kind, mode, tuple(texts)) for (kind, mode), texts in grouped.items())


def _changed(changes: Iterable[Changed]) -> Iterable[Told]:
    listed = [one for one in changes if one.value.kind not in _PLACED]
    for at in range(0, len(listed), _CHUNK):
        part = listed[at : at + _CHUNK]
        yield Told(_batches((one.value, one.now) for one in part), _batches((one.value, one.before) for one in part))


def _whole(values: Iterable[tuple[Value, Mode]]) -> Told:
    """In one message, so that nothing is looked for less meanwhile."""
    return Told(_batches(values), whole=True)
