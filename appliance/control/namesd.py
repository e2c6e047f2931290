"""namesd: resolves the DNS names of the running generation and gives applyd what their sets shall hold.

It parses what strangers send, so it holds nothing: no capability, no key, no policy text; applyd takes from it
only addresses for sets that the generation declares, and no more than it allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.rdata
import dns.resolver
import msgspec

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.kernel.rtnetlink import Routing
from appliance.control.messages.live import SetUpdate, SetUpdated
from appliance.control.processes import Instance, process
from appliance.control.resolver import Answer, Book, Filling
from appliance.durable import replace
from appliance.policy.model import Dynamic

NAME = "namesd"
_POLL = 0.5  # seconds between looks at which generation runs
_AT_ONCE = 20  # names asked for at the same time
_LIFETIME = 6.0  # seconds for one name, all servers and TCP included


class Wanted(msgspec.Struct, frozen=True):
    """The part of `running.json` that concerns names."""

    generation: int
    dynamics: tuple[Dynamic, ...] = ()
    nameservers: tuple[str, ...] = ()


class Namesd:
    """The process: the book of names, and the loop that keeps it."""

    def __init__(self, instance: Instance, log: daemon.Log) -> None:
        self._instance = instance
        self._log = log
        self._running = instance.run_of("applyd") / "running.json"
        self._kept = instance.state_of(NAME) / "answers.json"
        self._book = Book(self._read_kept())
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._seen: tuple[int, int] = (0, 0)
        self._told: dict[str, str] = {}
        self._system = _system_servers()

    async def serve(self, stop: asyncio.Event) -> None:
        notify.ready()
        while not stop.is_set():
            changed = self._read_running()
            names = self._book.due(time.monotonic())
            if changed:
                # What is known goes into the sets of the new generation at once; the servers are asked meanwhile.
                for filling in self._book.fillings():
                    await self._fill(filling)
            if names:
                await self._ask(names)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL)

    # --- what is wanted -----------------------------------------------------------------------------

    def _read_running(self) -> bool:
        """Whether another generation runs than at the last look."""
        try:
            status = self._running.stat()
            seen = (status.st_ino, status.st_mtime_ns)
            if seen == self._seen:
                return False
            wanted = msgspec.json.decode(self._running.read_bytes(), type=Wanted)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:
            self._log(f"{self._running}: {error}")
            return False
        self._seen = seen
        self._book.want(wanted.dynamics)
        self._resolver.nameservers = list(wanted.nameservers) or self._system
        return True

    # --- asking -------------------------------------------------------------------------------------

    async def _ask(self, names: tuple[str, ...]) -> None:
        own = self._own_addresses()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> tuple[str, Answer]:
            async with gate:
                return name, await self._resolve(name)

        sets: set[str] = set()
        for task in asyncio.as_completed([one(name) for name in names]):
            name, answer = await task
            sets.update(self._book.learn(name, answer, time.monotonic(), own))
        self._keep()  # first: what stands in a set is known again after a kill
        for name in sorted(sets):
            await self._fill(self._book.filling(name))

    async def _resolve(self, name: str) -> Answer:
        if not self._resolver.nameservers:
            return Answer(error=f"{name}: no name server is set (`settings: nameservers`)")
        addresses: list[str] = []
        ttl = 1 << 31
        empty = 0
        for kind in ("A", "AAAA"):
            try:
                found = await self._resolver.resolve(
                    name, kind, lifetime=_LIFETIME, raise_on_no_answer=False, search=False
                )
            except dns.resolver.NXDOMAIN:
                return Answer(error=f"{name} does not exist (NXDOMAIN)")
            except dns.exception.DNSException as error:
                return Answer(error=f"{name} {kind}: {_words(error)}")
            except (OSError, ValueError) as error:
                return Answer(error=f"{name} {kind}: {error}")
            if found.rrset is None:
                empty += 1
                continue
            addresses += [str(record.address) for record in found.rrset]
            ttl = min(ttl, found.chaining_result.minimum_ttl)
        return Answer(tuple(addresses), 0 if empty == 2 else ttl)

    def _own_addresses(self) -> frozenset[str]:
        routing = Routing()
        try:
            return frozenset(address.address.partition("/")[0] for address in routing.addresses())
        finally:
            routing.close()

    # --- telling ------------------------------------------------------------------------------------

    async def _fill(self, filling: Filling) -> None:
        if filling.change:
            await self._send(SetUpdate(filling.name, add=filling.addresses, replace=filling.complete))
        if filling.error:
            await self._send(SetUpdate(filling.name, error=filling.error))
        if self._told.get(filling.name, "") != filling.error:
            self._told[filling.name] = filling.error
            self._log(f"{filling.name}: {filling.error or 'resolved again'}")

    async def _send(self, update: SetUpdate) -> None:
        try:
            await call_async(self._instance.socket("applyd"), update, SetUpdated, timeout=20)
        except (RefusedError, DaemonAway, ProtocolError) as error:
            self._log(f"{update.name}: {error}")
            self._seen = (0, 0)  # try it all again at the next look

    # --- kept answers -------------------------------------------------------------------------------

    def _read_kept(self) -> dict[str, tuple[str, ...]]:
        try:
            return msgspec.json.decode(self._kept.read_bytes(), type=dict[str, tuple[str, ...]])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self._log(f"{self._kept}: {error}; every name is asked for anew")
            return {}

    def _keep(self) -> None:
        """So that a start while the line is down still knows the last good answers."""
        try:
            replace(self._kept, msgspec.json.encode(self._book.kept()))
        except OSError as error:
            self._log(f"{self._kept}: {error.strerror}")


def _system_servers() -> list[str]:
    try:
        return [str(server) for server in dns.resolver.Resolver(str(Path("/etc/resolv.conf"))).nameservers]
    except dns.resolver.NoResolverConfiguration:
        return []


def _words(error: dns.exception.DNSException) -> str:
    if isinstance(error, dns.resolver.NoNameservers):
        return "no server gave an answer (SERVFAIL, REFUSED or worse)"
    if isinstance(error, dns.exception.Timeout):
        return "no server answered in time"
    return str(error) or type(error).__name__


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    # dnspython imports record types and its event loop when it first meets them; then files may be closed to us.
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]
    dns.asyncbackend.set_default_backend("asyncio")
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    daemon.run(Namesd(instance, log).serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
