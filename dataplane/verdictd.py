"""verdictd: holds the kernel's queues of packets that wait for a verdict, and lends each to a worker of inspectd.

A verdict needs CAP_NET_ADMIN for as long as packets come; reading packets needs a parser. No process has both: this
one looks into no packet, and inspectd, which does, can do nothing but judge. While no worker judges, or one lets
packets wait for over 100 ms, what the rule says happens at once: fail-open traffic goes on, the other is dropped.
Of bridges it holds what tells the kernel that inspection carries their frames (`carried.py`).
"""

from __future__ import annotations

import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.control import daemon, notify
from appliance.control.ipc import peer_of
from appliance.control.processes import Instance, process
from appliance.control.sandbox import SandboxError, enter
from ctypes_ext.verdicts import Counters, Verdicts, VerdictsError
from dataplane.carried import SOCKET as BRIDGES_SOCKET
from dataplane.carried import Carriers
from dataplane.queues import lanes

NAME = "verdictd"
_SECOND = 1.0
_TICK = 0.1
_SOON = 0.02  # while silence must be noticed


_NOTHING = Counters()


class Holder(threading.Thread):
    """One lane: its queues are held by this thread, which runs in C."""

    def __init__(self, verdicts: Verdicts, number: int) -> None:
        super().__init__(name=f"lane-{number}", daemon=True)
        self.verdicts = verdicts
        self.failed = ""

    def run(self) -> None:
        try:
            self.verdicts.run()
        except VerdictsError as error:
            self.failed = str(error)


class Watched:
    """What became of a lane's packets, in words, when it is something that a person should know."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._before = _NOTHING

    def words(self, now: Counters) -> list[str]:
        before, self._before = self._before, now
        said = []
        if before.attached and (not now.attached or now.workers > before.workers):
            said.append("inspectd went away")
        said += _alone(before, now)
        if now.workers > before.workers and now.attached:
            said.append("inspected from now on")
        return [f"lane {self._number}: {words}" for words in said]


def _alone(before: Counters, now: Counters) -> list[str]:
    said = []
    if now.silences > before.silences:
        said.append("inspectd kept packets waiting for too long; they were decided without it")
    if now.broken > before.broken:
        said.append("inspectd answered what nobody asked; it was sent away")
    if passed := now.alone_accepted - before.alone_accepted:
        said.append(f"packets that passed uninspected, as their rules say (fail-open): {passed}")
    if dropped := now.alone_dropped - before.alone_dropped:
        said.append(f"packets dropped because nobody inspected them (fail-closed): {dropped}")
    if unseen := now.unseen - before.unseen:
        said.append(f"packets that could not be looked at (no room, or not as their connection is): {unseen}")
    if failed := now.verdicts_failed - before.verdicts_failed:
        said.append(f"verdicts that the kernel did not take: {failed}")
    return said


class Verdictd:
    """The process after it gave up what it can: lends lanes to workers and tells what became of packets."""

    def __init__(self, instance: Instance, holders: Sequence[Holder], log: daemon.Log) -> None:
        self._instance = instance
        self._holders = holders
        self._log = log
        self._watched = [Watched(number) for number in range(len(holders))]
        self._selector = selectors.DefaultSelector()
        self._listener = _listen(instance.socket(NAME))
        self._selector.register(self._listener, selectors.EVENT_READ)
        running = instance.run_of("applyd") / "running.json"
        self._carriers = Carriers(instance.run_of(NAME) / BRIDGES_SOCKET, running, self._selector, log)
        self._next = time.monotonic() + _SECOND
        self._attached = -1

    def step(self) -> None:
        for key, _ in self._selector.select(_SOON if self._carriers.busy else _TICK):
            if key.fileobj is self._listener:
                self._lend()
            elif key.fileobj is self._carriers.listener:
                if (carrier := self._meet(self._carriers.listener)) is not None:
                    self._carriers.meet(carrier)
            elif isinstance(key.fileobj, socket.socket):
                self._carriers.read(key.fileobj)
        self._carriers.look()
        self._log.tick()
        self._say_attached()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECOND
            self.tell()

    def tell(self) -> None:
        for watched, holder in zip(self._watched, self._holders, strict=True):
            for words in watched.words(holder.verdicts.counters()):
                self._log(words)
            if holder.failed:
                raise VerdictsError(holder.failed)  # the supervisor starts us anew; meanwhile the kernel decides

    def _say_attached(self) -> None:
        attached = sum(holder.verdicts.counters().attached for holder in self._holders)
        if attached != self._attached:
            lanes_held = len(self._holders)
            words = notify.INSPECTED if attached == lanes_held else f"inspected lanes: {attached} of {lanes_held}"
            if notify.status(words):
                self._attached = attached

    def _lend(self) -> None:
        """A worker asks for a lane: it gets one that has none."""
        connection = self._meet(self._listener)
        if connection is None:
            return
        connection.setblocking(False)
        if not any(holder.verdicts.attach(connection) for holder in self._holders):
            connection.close()  # every lane has a worker

    def _meet(self, listener: socket.socket) -> socket.socket | None:
        """Who connects, when it may."""
        try:
            connection, _ = listener.accept()
        except OSError:  # it went again
            return None
        peer = peer_of(connection)
        if not self._instance.allows(NAME, peer.uid, (peer.gid, *peer.groups)):
            # Root asks who listens here (`reef doctor`), and policyd whether somebody does.
            if peer.uid != 0 and not self._instance.watches(peer.uid):
                self._log(f"refused uid {peer.uid} (pid {peer.pid}): not allowed")
            connection.close()
            return None
        return connection


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(str(path))
    path.chmod(0o666)  # who may is decided by credentials
    listener.listen(16)
    listener.setblocking(False)
    return listener


def main(argv: Sequence[str] | None = None) -> None:
    instance = daemon.instance_argument(NAME, list(sys.argv[1:] if argv is None else argv))
    log = daemon.Log(NAME)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        holders = [Holder(Verdicts(lane.closed, lane.open), number) for number, lane in enumerate(lanes())]
        enter(process(NAME), instance)
    except (VerdictsError, SandboxError, OSError) as error:
        sys.exit(f"{NAME}: {error}")
    log.open(instance.events_of(NAME))
    for holder in holders:
        holder.start()
    try:
        verdictd = Verdictd(instance, holders, log)
        notify.ready()
        while not stopped.is_set():
            verdictd.step()
        verdictd.tell()
    except (VerdictsError, OSError) as error:
        sys.exit(f"{NAME}: {error}")
    finally:
        notify.stopping()
        for holder in holders:
            holder.verdicts.stop()
        for holder in holders:
            holder.join()
        log.close()


if __name__ == "__main__":
    main()
