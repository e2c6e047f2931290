"""watchd: finds what no single packet shows, from what inspectd saw; writes findings into its spool.

It holds no privilege and sees no packet: conversations, refusals, neighbours and a few transactions come over a
socket that only inspectd may write to. What it decides is in `dataplane/detections`, which is pure.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import DaemonAway, Peer, ProtocolError, RefusedError, Server, call_async, peer_of
from appliance.control.messages.gateway import NameBook, Names, Refused, Reply, Request, Status, StatusReport
from appliance.control.messages.watch import (
    AcceptDevice,
    DeviceInfo,
    DeviceList,
    Devices,
    ForgetDevice,
    KnownServices,
    ServiceInfo,
    ServiceList,
)
from appliance.control.permits import people
from appliance.control.processes import Instance, process
from appliance.durable import replace
from appliance.policy.detections import Detections
from dataplane import watchline
from dataplane.banning import Banning
from dataplane.detections import finding, makers
from dataplane.detections.devices import Device
from dataplane.detections.seen import TCP
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.watch import Kept, Watch
from dataplane.places import around, zones_of
from dataplane.watchfeed import Feed

NAME = "watchd"
IEEE = Path("/usr/share/ieee-data")
_SECOND = 1.0
_SOON = 0.1
_PATIENCE = 10.0  # seconds that applyd may take to start: without a word about it, and with what was seen unjudged
_KEEP_EVERY = 30.0  # seconds: what a power cut costs of the registers
_SAY_EVERY = 60.0


class Watchd:
    """The process: the watch, its line from inspectd, and who may ask about the registers."""

    def __init__(
        self, instance: Instance, log: daemon.Log, register: makers.Makers, *, patience: float = _PATIENCE
    ) -> None:
        self._instance = instance
        self._log = log
        self._makers = register
        self._path = instance.state_of(NAME) / "watch.state"
        self._book: NameBook | None = None
        self._patience = patience
        self._may_judge = asyncio.Event()
        self._said = ""
        self._feed = Feed(())
        self._links: dict[int, str] = {}
        self._lines: dict[int, str] = {}  # the zones of interfaces; what looks keeps looking into it
        self._lost = 0
        self._said_lost = 0
        self._dirty = False
        self._banning = Banning(instance.socket("applyd"), log)
        self._watch = Watch(Detections(), Surroundings(), register, self._read_kept())

    async def serve(self, stop: asyncio.Event) -> None:
        permits: dict[type, Callable[[Peer], bool]] = {
            AcceptDevice: self._operates,
            ForgetDevice: self._operates,
            Devices: self._looks,
            KnownServices: self._looks,
        }
        server = Server(
            self._instance.socket(NAME), permits, self.answer, report=self._log, agency=people(self._instance)
        )
        await server.start()
        path = self._instance.run_of(NAME) / watchline.NAME
        path.unlink(missing_ok=True)
        line = await asyncio.start_unix_server(self._line, str(path), limit=1 << 20)
        path.chmod(0o666)  # who may write is decided by credentials
        notify.ready()
        chores = [asyncio.create_task(work) for work in (self._follow(), self._keeping())]
        self._banning.start()
        await stop.wait()
        self._banning.stop()
        for each in chores:
            each.cancel()
        line.close()
        await server.stop()
        self._keep()

    def _operates(self, peer: Peer) -> bool:
        return peer.uid == 0 or self._instance.operates(peer.uid, (peer.gid, *peer.groups))

    def _looks(self, peer: Peer) -> bool:
        """policyd too: it looks whether every process answers."""
        return peer.uid == self._instance.identity("policyd").uid or self._operates(peer)

    # --- what is seen -------------------------------------------------------------------------------

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """inspectd's end of the line; anybody else is turned away before a byte of theirs is read."""
        try:
            if peer_of(writer.get_extra_info("socket")).uid != self._instance.identity("inspectd").uid:
                return
            while True:
                size, kind = watchline.HEAD.unpack(await reader.readexactly(watchline.HEAD.size))
                if size > watchline.MAX_FRAME:
                    self._log(f"inspectd announces {size} bytes at once; the line is closed")
                    return
                await self._frame(kind, await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # it restarts
        finally:
            writer.close()

    async def _frame(self, kind: int, payload: bytes) -> None:
        if kind == watchline.HELLO:
            with contextlib.suppress(msgspec.DecodeError):
                self._greeted(msgspec.json.decode(payload, type=watchline.Hello))
        elif kind == watchline.LOST and len(payload) == watchline.COUNT.size:
            self._lost += watchline.COUNT.unpack(payload)[0]
        elif kind == watchline.RECORDS:
            await self._wait_for_the_book()
            for number, seen in enumerate(self._feed.read(payload)):
                for found in self._watch.look(seen):
                    self._tell(found)
                if number % 512 == 511:
                    await asyncio.sleep(0)  # others ask meanwhile
            self._dirty = True

    def _greeted(self, hello: watchline.Hello) -> None:
        if self._feed.apps != hello.apps:
            self._feed = Feed(hello.apps)
        self._links = hello.links
        self._lines.clear()
        self._lines.update(zones_of(self._book, self._links))

    async def _wait_for_the_book(self) -> None:
        """Nothing is judged before it is known where addresses are; meanwhile what is seen waits in the line,
        which is bounded. Not for ever: a gateway that has no policy yet is watched too."""
        if not self._may_judge.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._may_judge.wait(), self._patience)
            self._may_judge.set()

    def _tell(self, found: finding.Finding) -> None:
        self._log.event(finding.event(found, self._book.site if self._book else ""))
        self._banning.look_at(found)

    # --- what is told by the policy -----------------------------------------------------------------

    async def _follow(self) -> None:
        """Which generation runs, and what it says."""
        known = time.monotonic()
        while True:
            try:
                socket = self._instance.socket("applyd")
                running = (await call_async(socket, Status(), StatusReport, timeout=10)).running
                if running and (self._book is None or self._book.generation != running):
                    self._take(await call_async(socket, Names(), NameBook, timeout=30))
                self._said, known = "", time.monotonic()
            except (DaemonAway, ProtocolError, RefusedError) as error:
                if str(error) != self._said and time.monotonic() - known >= self._patience:
                    self._said = str(error)
                    self._log(f"the running generation is not known: {error}")
            await asyncio.sleep(_SECOND if self._book else _SOON)

    def _take(self, book: NameBook) -> None:
        """Another generation: its thresholds and zones, the same registers."""
        self._book = book
        self._banning.follow(book)
        self._lines.clear()
        self._lines.update(zones_of(book, self._links))
        kept = self._watch.kept()
        self._watch = Watch(book.detections, around(book, self._lines), self._makers, kept)
        self._may_judge.set()

    # --- what is kept -------------------------------------------------------------------------------

    async def _keeping(self) -> None:
        due = said = time.monotonic()
        while True:
            await asyncio.sleep(_SECOND)
            now = time.monotonic()
            if now - due >= _KEEP_EVERY and self._dirty:
                due = now
                self._keep()
            if now - said >= _SAY_EVERY:
                said = now
                self._say_lost()

    def _say_lost(self) -> None:
        lost = self._lost + self._feed.lost
        if lost > self._said_lost:
            self._log(f"not looked at by the detections: {lost - self._said_lost} times what came was too much")
            self._said_lost = lost

    def _read_kept(self) -> Kept | None:
        try:
            return msgspec.msgpack.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._log(f"{self._path}: {error}; devices and services are learned anew")
            return None

    def _keep(self) -> None:
        try:
            replace(self._path, msgspec.msgpack.encode(self._watch.kept()))
            self._dirty = False
        except OSError as error:
            self._log(f"{self._path}: {error.strerror}; the registers of devices and services are not kept")

    # --- who asks -----------------------------------------------------------------------------------

    async def answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case Devices():
                return self._devices(self._watch.devices.all())
            case AcceptDevice():
                return self._change(request.macs, peer, accepts=True)
            case ForgetDevice():
                return self._change(request.macs, peer, accepts=False)
            case KnownServices():
                return self._services()
            case _:
                return Refused("bad-request", f"watchd does not answer {type(request).__name__}")

    def _change(self, macs: tuple[str, ...], peer: Peer, *, accepts: bool) -> Reply:
        """All of them or none."""
        devices = self._watch.devices
        known = {device.mac for device in devices.all()}
        wanted = tuple(dict.fromkeys(mac.lower() for mac in macs))
        unknown = [mac for mac in wanted if mac not in known]
        if unknown:
            return Refused("unknown", f"never seen here: {', '.join(unknown)}; `reef devices` lists what was")
        changed: list[Device] = []
        for mac in wanted:
            device = devices.accept(mac, peer.name) if accepts else devices.forget(mac)
            if device is not None:
                changed.append(device)
        verb = "accepted" if accepts else "forgotten"
        self._log(f"devices {verb} by {peer.name}: {', '.join(wanted)}")
        action = "device.accept" if accepts else "device.forget"
        self._log.audit(peer.name, action, ", ".join(wanted))
        self._keep()
        return self._devices(changed)

    def _devices(self, devices: list[Device]) -> DeviceList:
        shown = tuple(
            DeviceInfo(
                device.mac, device.state, device.first, device.last, device.zone, device.maker, tuple(device.names),
                tuple(sorted(device.addresses, key=lambda text: -device.addresses[text])), device.by, device.how,
            )
            for device in devices
        )  # fmt: skip
        return DeviceList(shown, self._watch.learning_until, self._watch.devices.forgotten)

    def _services(self) -> ServiceList:
        places = around(self._book)
        shown = tuple(
            ServiceInfo(
                finding.spelled(one.address), "tcp" if one.protocol == TCP else "udp", one.port, one.first, one.last,
                one.app, places.place(one.address).zone,
            )
            for one in self._watch.services.all()
        )  # fmt: skip
        return ServiceList(shown, self._watch.learning_until)


def read_makers(folder: Path = IEEE) -> makers.Makers:
    """The IEEE's registers, where Debian's ieee-data is installed."""
    with contextlib.ExitStack() as stack:
        texts = []
        for name in makers.REGISTERS:
            with contextlib.suppress(OSError):
                texts.append(
                    stack.enter_context((folder / name).open(encoding="utf-8", errors="replace", newline=""))
                )
        return makers.read(texts)


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    daemon.run(Watchd(instance, log, read_makers()).serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
