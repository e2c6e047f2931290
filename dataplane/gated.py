"""gated: holds the XDP gate. It parses no packet and no policy: it fills tables and puts one program at lines.

load the program (the only time that it may) → give up every capability → bans of applyd, lists of the disk → answer,
and follow the running generation and the interfaces. When it ends the program stays at its lines, with all bans.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path

import msgspec

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import BUNDLE_LIMIT, DaemonAway, Peer, ProtocolError, RefusedError, Server, call_async
from appliance.control.messages.bans import Allowed, AllowList
from appliance.control.messages.gate import (
    Gate,
    GateAllow,
    GateBan,
    GateBanned,
    GateCount,
    GateDone,
    GateFind,
    GateForget,
    GateIndicate,
    GateKept,
    GateLine,
    GateList,
    GateListed,
    GatePart,
    GateReport,
    GateUnban,
)
from appliance.control.messages.gateway import BanEntry, BanList, Bans, Refused, Reply, Request
from appliance.control.processes import Instance, process
from ctypes_ext import gate as kernel
from dataplane import listsearch
from dataplane.banlists import Lists, NoRoom, Staged, TooMuch
from dataplane.gate import ALLOW_MOST, INDICATED, SINGLE, Place, Wanted, is_list_name, networks_of, places, spared
from dataplane.standingin import StandingIn, Wish

NAME = "gated"
HOSTS = 1_048_576  # prefixes of each version that there is room for: some 200 MB
_LOOK = 0.5  # seconds between looks at the running generation, the interfaces and the ends of bans
ANEW = "anew"
_AGAIN = 60.0  # seconds between two comparisons with applyd's bans


async def _banned(applyd: Path) -> list[BanEntry]:
    """Every single ban. Raises what a call raises."""
    page = await call_async(applyd, Bans(), BanList, timeout=10)
    found = list(page.bans)
    while page.after:
        page = await call_async(applyd, Bans(after=page.after), BanList, timeout=10)
        found += page.bans
    return found


class Gated:
    """The process. `gate` is None where this kernel has none; `lacks` says why."""

    def __init__(self, instance: Instance, gate: kernel.Gate | None, lacks: str, log: daemon.Log) -> None:
        self._instance = instance
        self._gate = gate
        self._lacks = lacks
        self._log = log
        self._running = instance.run_of("applyd") / "running.json"
        self._seen: tuple[int, int] = (0, 0)
        self._wanted = Wanted()
        self._lists = Lists(instance.state_of(NAME), log)
        self._staged = Staged()
        self._indicated: set[kernel.Network] | None = None  # what indicators block; None before alertd says so
        self._ends: dict[kernel.Network, float] = {}  # of single bans; 0 for no end
        self._spared: dict[kernel.Network, bool] = {}
        self._places: dict[int, Place] = {}  # where the gate stands, by the number of the interface
        self._troubles: dict[str, str] = {}  # interface -> why it is not there
        self._all: tuple[Place, ...] = ()
        self._building = asyncio.Lock()
        self._compared = 0.0
        self._told = 0  # how often it was said who is banned and allowed
        self._standin = StandingIn(instance.socket("applyd"), log)

    async def serve(self, stop: asyncio.Event) -> None:
        policyd = self._instance.identity("policyd").uid

        def trusted(peer: Peer) -> bool:
            return peer.uid in (policyd, 0)

        alertd = self._instance.identity("alertd").uid
        self._look_at_running()
        await self._restore()
        self._look_at_lines()
        server = Server(
            self._instance.socket(NAME),
            dict.fromkeys((Gate, GateBan, GateUnban, GateAllow, GatePart, GateList, GateForget, GateFind), trusted)
            | {GateIndicate: lambda peer: peer.uid in (alertd, 0)},
            self.answer,
            large=(policyd, BUNDLE_LIMIT),
            report=self._log,
        )
        await server.start()
        notify.ready()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK)
            await self._look()
        await server.stop()

    async def _look(self) -> None:
        changed = self._look_at_running()
        if changed:
            self._spare()
            self._compared = time.monotonic() - _AGAIN  # its text may allow others
        self._look_at_lines()
        now = time.time()
        self._lift([network for network, end in self._ends.items() if end and end <= now])
        if time.monotonic() >= self._compared + _AGAIN:
            await self._compare()
            await self._standin.compare()
        await self._settle()
        await self._stand_in()

    # --- what was banned before -----------------------------------------------------------------------

    async def _restore(self) -> None:
        if self._gate is None:
            await self._compare()
            self._spare()
            return
        for number, entries in self._lists.load().items():
            try:
                await asyncio.to_thread(self._gate.replace, number, entries)
            except kernel.GateError as error:
                self._log(f"list {number}: {error}")
        await self._compare()
        self._spare()

    async def _compare(self) -> None:
        """applyd knows what is banned: be of its opinion."""
        self._compared = time.monotonic()
        told = self._told
        try:
            applyd = self._instance.socket("applyd")
            bans = await _banned(applyd)
            allowed = (await call_async(applyd, AllowList(), Allowed, timeout=10)).entries
        except (RefusedError, DaemonAway, ProtocolError) as error:
            self._log(f"what is banned is not known: {error}")
            self._compared -= _AGAIN - 1.0
            return
        if self._told != told:  # the answer may be older than what was told meanwhile
            self._compared -= _AGAIN
            return
        self._ban(GateBan(tuple(GateBanned(ban.address, ban.until) for ban in bans), whole=True))
        by_choice = tuple(entry.address for entry in allowed if entry.origin != "gateway")
        if by_choice != self._lists.kept.allowed and isinstance(failed := self._allow(GateAllow(by_choice)), Refused):
            self._log(f"the allow-list is not as it should be: {failed.message}")

    # --- what shall be --------------------------------------------------------------------------------

    def _look_at_running(self) -> bool:
        """Whether another generation runs than at the last look."""
        try:
            status = self._running.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen == self._seen:
                return False
            self._wanted = msgspec.json.decode(self._running.read_bytes(), type=Wanted)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            self._log(f"{self._running}: {error}")
            return False
        self._seen = seen
        return True

    def _look_at_lines(self) -> None:
        present = {name: index for index, name in socket.if_nameindex()}
        wanted = places(self._wanted, present)
        self._all = wanted
        if self._gate is None:
            return
        there = {place.index: place for place in wanted if place.index}
        gone = [index for index in self._places if index not in there]
        if gone or not self._places:
            kernel.detach_others(self._instance.pins, list(there))
        for index in gone:
            self._gate.detach(index)
            self._log(f"the gate is taken away from {self._places.pop(index).interface}")
        for index, place in there.items():
            if self._places.get(index) != place or not self._gate.mode(index):
                self._attach(place)

    def _attach(self, place: Place) -> None:
        if self._gate is None:
            return
        try:
            mode = self._gate.attach(place.index, place.way)
        except kernel.GateError as error:
            self._places.pop(place.index, None)
            if self._troubles.get(place.interface) != str(error):
                self._troubles[place.interface] = str(error)
                self._log(f"the gate cannot stand at {place.interface}: {error}")
            return
        self._troubles.pop(place.interface, None)
        self._places[place.index] = place
        self._log(f"the gate stands at {place.interface} ({mode})")

    async def _stand_in(self) -> None:
        """Where the gate cannot stand, nft holds what it can hold."""
        lines = tuple(
            place.interface for place in self._all if place.index and self._places.get(place.index) != place
        )
        wish = Wish(lines, self._lists.changes, self._wanted.generation, frozenset(self._spared.items()))
        await self._standin.hold(wish, self._lists.by_name)

    def _spare(self) -> None:
        """The allow-list and the own networks: what is new comes first, what is no longer there goes then."""
        allowed: list[kernel.Network] = []
        for words in self._lists.kept.allowed:
            allowed += networks_of(words)
        wanted = spared(self._wanted, allowed)
        if self._gate is not None:
            self._spare_at(self._gate, wanted)
        self._spared = wanted

    def _spare_at(self, gate: kernel.Gate, wanted: dict[kernel.Network, bool]) -> None:
        try:
            for network, unlimited in wanted.items():
                if self._spared.get(network) is not unlimited:
                    gate.allow(network, unlimited=unlimited)
            for network in self._spared.keys() - wanted.keys():
                gate.disallow(network)
        except kernel.GateError as error:
            self._log(f"the allow-list is not as it should be: {error}")

    # --- requests -------------------------------------------------------------------------------------

    async def answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case GateBan():
                self._told += 1
                return GateDone(self._ban(request))
            case GateUnban():
                self._told += 1
                return await self._unban(request)
            case GateIndicate():
                return await self._indicate(request)
            case GateAllow():
                self._told += 1
                reply = self._allow(request)
                await self._stand_in()
                return reply
            case GatePart():
                return self._stage(request)
            case GateList():
                return await self._take(request)
            case GateForget():
                return await self._forget(request)
            case GateFind():
                files = self._lists.files(request.name)
                found, _ = await asyncio.to_thread(listsearch.find, files, request.word, request.after, request.limit)
                return found
            case _:
                return await self._report()

    def _ban(self, request: GateBan) -> str:
        """Words for what was not done."""
        gate, failed = self._gate, ""
        if gate is None:
            return self._lacks
        entries: dict[kernel.Network, float] = {}
        for entry in request.entries:
            try:
                entries.update(dict.fromkeys(networks_of(entry.address), entry.until))
            except ValueError as error:
                failed = f"{entry.address}: {error}"
        if request.whole:
            self._lift([network for network in self._ends if network not in entries])
        for network, until in entries.items():
            try:
                gate.ban(SINGLE, network)
            except kernel.GateError as error:
                failed = str(error)
                continue
            self._ends[network] = until
        if failed:
            self._log(f"not everything is banned at the gate: {failed}")
        return failed

    async def _indicate(self, request: GateIndicate) -> Reply:
        """A network is told as alertd has it: who is allowed and the own networks are spared by the gate itself."""
        gate = self._gate
        if gate is None:
            return GateDone(self._lacks)
        if self._indicated is None and not request.whole:
            return Refused(ANEW, "what indicators block is not known here; say everything again")
        try:
            block = {network for words in request.block for network in networks_of(words)}
            release = {network for words in request.release for network in networks_of(words)}
        except ValueError as error:
            return Refused("bad-address", str(error))
        if request.whole:
            release = (self._indicated or set()) - block
            if self._indicated is None:  # an earlier process of this gate may have left some
                await asyncio.to_thread(gate.replace, INDICATED, kernel.PrefixList())
        known = self._indicated = self._indicated or set()
        failed = ""
        for network in (release - block) & known:
            gate.unban(INDICATED, network)
            known.discard(network)
        for network in block - known:
            try:
                gate.ban(INDICATED, network)
            except kernel.GateError as error:
                failed = str(error)
                break
            known.add(network)
        await self._settle()
        return GateDone(failed)

    async def _unban(self, request: GateUnban) -> Reply:
        networks: list[kernel.Network] = []
        try:
            for words in request.addresses:
                networks += networks_of(words)
        except ValueError as error:
            return Refused("bad-address", str(error))
        self._lift(networks)
        await self._settle()
        return GateDone()

    def _lift(self, networks: list[kernel.Network]) -> None:
        for network in networks:
            if self._ends.pop(network, None) is not None and self._gate is not None:
                self._gate.unban(SINGLE, network)

    async def _settle(self) -> None:
        """What can only be taken back by a new table."""
        if self._gate is None:
            return
        async with self._building:
            while self._gate.unsettled:
                await asyncio.to_thread(self._gate.settle)

    def _allow(self, request: GateAllow) -> Reply:
        if len(request.addresses) > ALLOW_MOST:
            return Refused("too-many", f"the allow-list has room for {ALLOW_MOST:,} entries")
        try:
            for words in request.addresses:
                networks_of(words)
            self._lists.allow(request.addresses)
        except ValueError as error:
            return Refused("bad-address", str(error))
        except OSError as error:
            return Refused("store", f"the allow-list cannot be kept: {error.strerror}")
        self._spare()
        return GateDone(self._lacks)

    def _stage(self, request: GatePart) -> Reply:
        try:
            self._staged.put(request.ticket, request.number, request.packed4, request.packed6)
        except TooMuch as error:
            return Refused("bad-list", str(error))
        return GateDone()

    async def _take(self, request: GateList) -> Reply:
        if not is_list_name(request.name):
            return Refused(
                "bad-name", f"{request.name!r} is no name for a list: small letters, digits, `-`, `_` and `.`"
            )
        begun = time.perf_counter()
        try:
            before4, before6 = self._staged.take(request.ticket, request.parts)
            packed4, packed6 = before4 + request.packed4, before6 + request.packed6
            async with self._building:
                number = self._lists.number(request.name)
                entries, duplicates = await asyncio.to_thread(kernel.PrefixList.unpack, packed4, packed6)
                count = len(entries)
                packed4, packed6 = entries.packed(4), entries.packed(6)  # sorted: what is kept is searched
                if self._gate is not None:
                    await asyncio.to_thread(self._gate.replace, number, entries)
                self._lists.keep(request.name, number, packed4, packed6)
        except (kernel.GateError, NoRoom) as error:
            return Refused("full", str(error))
        except (ValueError, TooMuch) as error:
            return Refused("bad-list", str(error))
        except OSError as error:
            return Refused("store", f"the list is in force but cannot be kept: {error.strerror}")
        await self._stand_in()
        return GateListed(request.name, number, count, duplicates, time.perf_counter() - begun)

    async def _forget(self, request: GateForget) -> Reply:
        try:
            number = self._lists.forget(request.name)
        except OSError as error:
            return Refused("store", f"the list stays: {error.strerror}")
        if number is None:
            return Refused("no-list", f"there is no list {request.name}")
        if self._gate is not None:
            async with self._building:
                await asyncio.to_thread(self._gate.replace, number, kernel.PrefixList())
            self._gate.forget(number)
        await self._stand_in()
        return GateDone()

    async def _report(self) -> GateReport:
        gate, instead = self._gate, await self._standin.counted()
        lines = tuple(self._line(gate, place, instead) for place in self._all)
        if gate is None:
            nothing = GateCount(0, 0)  # nft counts lists together, at the lines
            kept = self._lists.kept.numbers
            lists = (GateKept(name, number, self._lists.count(name), nothing) for name, number in kept.items())
            return GateReport(self._lacks, lines, tuple(lists), len(self._spared))
        numbers = {"bans": SINGLE, "indicators": INDICATED, **self._lists.kept.numbers}
        if not self._indicated:
            del numbers["indicators"]
        return GateReport(
            lines=lines,
            lists=tuple(
                GateKept(name, number, gate.count(number), _count(gate.counted(number)))
                for name, number in numbers.items()
            ),
            allowed=len(self._spared),
            memory=gate.memory,
        )

    def _line(self, gate: kernel.Gate | None, place: Place, instead: dict[str, dict[str, GateCount]]) -> GateLine:
        if not place.index:
            return GateLine(place.interface, place.zone, "", "there is no such interface now")
        words = self._lacks or self._troubles.get(place.interface, "")
        if place.interface in instead:
            return GateLine(place.interface, place.zone, "nft", words, instead[place.interface])
        if gate is None:
            return GateLine(place.interface, place.zone, "", words)
        counts = {reason: _count(tally) for reason, tally in gate.counted_at(place.index).items()}
        return GateLine(place.interface, place.zone, gate.mode(place.index), words, counts)


def _count(tally: kernel.Tally) -> GateCount:
    return GateCount(tally.packets, tally.bytes)


def _open(pins: Path) -> tuple[kernel.Gate | None, str]:
    """The gate, or why there is none."""
    try:
        return kernel.Gate(str(pins), HOSTS, HOSTS), ""
    except kernel.GateError as error:
        return None, str(error)


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    gate, lacks = _open(Path(instance.pins))
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    if lacks:
        log(f"{lacks}; nft stands in at the lines that are protected")
    daemon.run(Gated(instance, gate, lacks, log).serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
