"""alertd: keeps events until those who may have them have them, and answers who asks for them.

It reads the spools of all processes and may change nothing but its own files. Consumers are strangers: what they send
is looked at here, in a process that holds no privilege, no key but that of its own certificate, and no policy but
what it is told of the one that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop

from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import (
    BUNDLE_LIMIT,
    DaemonAway,
    Peer,
    ProtocolError,
    RefusedError,
    Server,
    call_async,
    peer_of,
)
from appliance.control.messages.alerts import AlertCounts, Alerts, AlertsBehind, AlertTrend, AlertWith
from appliance.control.messages.events import ConsumerInfo, ConsumerList, Consumers
from appliance.control.messages.gateway import NameBook, Names, Refused, Reply, Request, Status, StatusReport
from appliance.control.messages.indicators import Indicators, OverrideIndicator, TakeIndicators
from appliance.control.messages.privacy import FindSubject, PrivacyStores, Unmask
from appliance.control.permits import people
from appliance.control.processes import Instance, process
from appliance.durable import replace
from appliance.events import outbox, pseudonyms, reporting, tlp, unmasking, witnessing
from appliance.events.alerts import AlertDesk, AlertRequest
from appliance.events.answering import Answering
from appliance.events.classes import OF_COLLECTION, classes_of
from appliance.events.collecting import Collector
from appliance.events.hiding import Hosts
from appliance.events.indicatorline import SOCKET
from appliance.events.marking import Generations, Marker
from appliance.events.outbox import Outbox, OutboxError, Reader
from appliance.events.pseudonyms import Hiding, Keys, PseudonymsError
from appliance.events.push.notifying import Notifying
from appliance.events.push.pushing import Pushing
from appliance.events.retaining import Need, Plan, Room
from appliance.events.stix import Made
from appliance.events.subject import Subjects
from appliance.indicators import store as indicators
from appliance.indicators.counter import Counter
from appliance.indicators.desk import Desk
from appliance.indicators.fetching import Fetcher
from appliance.indicators.hitting import Hitting
from appliance.indicators.office import Office
from appliance.indicators.store import Store, StoreError
from appliance.policy.consumers import AlertSettings, Consumer
from appliance.serving.places import addresses
from crypto.apitls import CLIENTS, CertificateError, Identity, TlsContext, identity, serving_context
from crypto.web import fetching_context

NAME = "alertd"
_SECOND = 1.0
_PATIENCE = 10.0  # seconds that applyd may take to start without a word about it
AUTHORITIES = "authorities.pem"  # whom to believe besides those of the machine
_BOOK = "policy.json"
_ROOM = {Room.ALL: "all", Room.NO_TELEMETRY: "no-telemetry", Room.NOTHING: "nothing"}


class Alertd:
    """The process: what it knows of the policy, the collector's thread, and the sockets."""

    def __init__(self, instance: Instance, log: daemon.Log) -> None:
        self._instance = instance
        self._log = log
        self._state = instance.state_of(NAME)
        self._outbox = Outbox(self._state / outbox.NAME, log)
        self._reader = self._outbox.reader()
        self._keys = Keys(self._state / pseudonyms.NAME, time.time)
        self._unmasking = unmasking.Unmasking(self._keys.find)
        self._generations = Generations()
        self._book: NameBook | None = None
        self._said = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._collector = Collector(
            instance.events,
            self._outbox,
            Marker(AlertSettings(), "", self._generations),
            log=self._say,
            kept=self._kept,
            failed=self._failed,
            keys=self._keys,
        )
        self._store = Store(self._state / indicators.NAME)
        self._office = Office(Desk(self._store), instance.socket("applyd"), self._say, gated=instance.socket("gated"))
        self._hitting: Hitting | None = None
        trusted = instance.credentials / AUTHORITIES
        self._fetcher = Fetcher(
            self._office, instance.credentials, lambda: fetching_context(trusted), log, self._give
        )
        self._counter = Counter(self._office, log.audit, self._fetcher.state, self._give)
        self._alerts = AlertDesk(self._outbox)
        self._subjects = Subjects(self._outbox, self._keys, self._counter)
        self.failure = ""
        self._identity: Identity | None = None
        self._answering: Answering | None = None
        self._pushing: Pushing | None = None
        self._notifying: Notifying | None = None
        self._status: StatusReport | None = None
        self._health = reporting.Regular()
        self._words = ""  # why it does not serve

    async def serve(self, stop: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        permits: dict[type, Callable[[Peer], bool]] = {
            Alerts: self._looks,
            AlertWith: self._looks,
            AlertsBehind: self._looks,
            AlertCounts: self._looks,
            AlertTrend: self._looks,
            Consumers: self._looks,
            Indicators: self._looks,
            TakeIndicators: self._person,
            OverrideIndicator: self._person,
            Unmask: self._person,
            FindSubject: self._person,
            PrivacyStores: self._looks,
        }
        server = Server(
            self._instance.socket(NAME),
            permits,
            self.answer,
            report=self._log,
            limit=BUNDLE_LIMIT,
            agency=people(self._instance),
        )
        await server.start()
        self._office.start()
        line = asyncio.create_task(self._line())
        await self._begin()
        notify.ready()
        chores = [line, *(asyncio.create_task(work) for work in (self._follow(), self._carry(), self._fetcher.run()))]
        await stop.wait()
        for each in chores:
            each.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        await server.stop()
        self._counter.flush()
        if self._hitting is not None:
            self._hitting.stop()
            await asyncio.to_thread(self._hitting.join)
        self._office.stop()
        await asyncio.to_thread(self._office.join)
        self._collector.stop()
        if self._collector.is_alive():
            await asyncio.to_thread(self._collector.join)
        if self._notifying is not None:
            await self._notifying.stop()
        if self._pushing is not None:
            await self._pushing.stop()
        if self._answering is not None:
            await self._answering.stop()
        self._store.close()
        self._reader.close()
        self._keys.close()
        self._outbox.close()

    async def _line(self) -> None:
        """inspectd, when it comes, is told what indicators to look for; nobody else is."""
        path = self._instance.run_of(NAME) / SOCKET
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
            listener.bind(str(path))
            path.chmod(0o666)  # who is told is decided by credentials
            listener.listen()
            listener.setblocking(False)
            while True:
                peer, _ = await asyncio.get_running_loop().sock_accept(listener)
                if peer_of(peer).uid == self._instance.identity("inspectd").uid:
                    self._office.connected(peer)
                else:
                    peer.close()

    def _looks(self, peer: Peer) -> bool:
        uid = self._instance.identity("policyd").uid
        return peer.uid in (0, uid) or self._instance.operates(peer.uid, (peer.gid, *peer.groups))

    def _person(self, peer: Peer) -> bool:
        return peer.uid == 0 or self._instance.operates(peer.uid, (peer.gid, *peer.groups))

    async def _carry(self) -> None:
        """Checkpoints of the audit trail out to its witnesses: recordd has no network."""
        await witnessing.carry(self._instance.socket("recordd"), fetching_context(), self._log)

    # --- from the collector's thread ----------------------------------------------------------------

    def _say(self, words: str) -> None:
        self._later(lambda: self._log(words))

    def _kept(self, last: int) -> None:
        """Events up to number `last` are in the outbox."""
        if self._answering is not None:
            self._answering.came()
        self._later(self._came)

    def _came(self) -> None:
        self._alerts.came()
        if self._pushing is not None:
            self._pushing.came()

    def _failed(self, words: str) -> None:
        def end() -> None:
            self.failure = words
            self._log(words)
            signal.raise_signal(signal.SIGTERM)

        self._later(end)

    def _give(self, made: list[Made]) -> None:
        """Have consumers read indicators that did not come by their API. From any thread."""
        try:
            if self._answering is not None:
                self._answering.give(made)
        except sqlite3.Error as error:
            self._say(f"{len(made):,} indicators are kept, and not in the collection of indicators: {error}")

    def _later(self, act: Callable[[], None]) -> None:
        """Do it in the loop's thread; nothing when that has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(act)

    # --- what is told by the policy -----------------------------------------------------------------

    async def _begin(self) -> None:
        """Labels come from the policy: nothing is taken in before one is known, or it is known that there is none."""
        book = self._read_book()
        if book is not None:
            await self._take(book)
        await self._ask()

    async def _follow(self) -> None:
        """Which generation runs, and what it says."""
        known = time.monotonic()
        while True:
            if self._answering is not None:
                await self._answering.serving.settle()
                self._answering.tick()
            self._counter.tick()
            words = await self._ask()
            if self._status is not None:
                health = self._health.due(self._status, _ROOM[self._collector.room], self._consumers)
                if health is not None:
                    self._log.event(health)
            if not words:
                known = time.monotonic()
            elif words != self._said and time.monotonic() - known >= _PATIENCE:
                self._log(f"the running generation is not known: {words}")
            self._said = words
            await asyncio.sleep(_SECOND)

    async def _ask(self) -> str:
        """Ask applyd; why it could not be asked, in words."""
        socket = self._instance.socket("applyd")
        try:
            self._status = await call_async(socket, Status(), StatusReport, timeout=10)
            running = self._status.running
            if running and (self._book is None or self._book.generation != running):
                book = await call_async(socket, Names(), NameBook, timeout=30)
                self._write_book(book)
                previous = self._book.generation if self._book else 0
                await self._take(book)
                for each in reporting.of_generation(book, previous):
                    self._log.event(each)
        except (DaemonAway, ProtocolError, RefusedError) as error:
            return str(error)
        self._collect()
        return ""

    async def _take(self, book: NameBook) -> None:
        """Another generation. What was made for another site is not for this one: then the process begins anew."""
        self._book = book
        if self._answering is None:
            self._answering = Answering(
                self._outbox,
                self._state,
                book.site,
                self._log,
                self._failed,
                self._counter.inbox,
                self._counter.listed,
            )
            await self._answering.start()
            self._subjects.objects = self._answering.objects
            self._hitting = Hitting(
                self._outbox.reader(),
                self._office,
                book.site,
                publish=self._answering.publish,
                alert=lambda event: self._later(lambda: self._log.event(event)),
                log=self._say,
            )
            self._hitting.start()
        elif self._answering.site != book.site:
            self._failed(f"the site is called {book.site} now, and was {self._answering.site}: beginning anew")
        self._generations.runs(book.generation, int(time.time() * 1e6))
        kept = msgspec.structs.asdict(book.alerts.retention)
        retention = {OF_COLLECTION[name]: seconds for name, seconds in kept.items()}
        plan = Plan(retention, book.alerts.size, tuple(need_of(each) for each in book.consumers))
        self._collector.follow(Marker(book.alerts, book.site, self._generations, self._hiding(book)), plan)
        places = addresses(book, book.alerts.listen, book.alerts.port)
        self._answering.follow(book.consumers, book.alerts.size)
        await self._push(book)
        self._fetcher.follow(book.indicators.sources)
        await self._counter.follow(book.indicators, own_networks(book), self._instance.never_block)
        self._answering.serving.want(places, self._context(book.site, places) if places else None)
        self._collect()

    def _hiding(self, book: NameBook) -> Hiding | None:
        asked = book.alerts.pseudonyms
        if asked is None:
            return None
        own = (one.address for one in book.addresses)
        return Hiding(Hosts(asked.zones, book.networks, own), asked.keys, self._keys)

    async def _push(self, book: NameBook) -> None:
        """What is sent without being asked for: events to consumers, notices to officers."""
        credentials = self._instance.credentials
        try:
            context = fetching_context(credentials / AUTHORITIES)
        except OSError as error:
            self._log(f"{credentials / AUTHORITIES}: {error}; nothing is sent to consumers and officers")
            return
        if self._pushing is None:
            self._pushing = Pushing(self._outbox, book.site, credentials, context, self._log)
        await self._pushing.follow(book.consumers)
        said = (book.notices, book.officers)
        if self._notifying is not None and self._notifying.said != said:
            await self._notifying.stop()
            self._notifying = None
        if self._notifying is None and (book.notices.relay or book.notices.webhook):
            self._notifying = Notifying(*said, self._outbox, book.site, credentials, context, self._log)

    def _context(self, site: str, places: tuple[tuple[str, int], ...]) -> TlsContext | None:
        """With the certificate that was given or, else, one of its own for the addresses where it first listens."""
        names = (site, *(address for address, _ in places))
        try:
            now = datetime.datetime.now(datetime.UTC)
            self._identity = identity(self._instance.api, self._state, names, now)
            context = serving_context(self._identity, self._instance.api / CLIENTS)
        except CertificateError as error:
            self._words = f"the API does not listen: {error}"
            self._log(self._words)
            return None
        self._words = ""
        return context

    def _collect(self) -> None:
        if not self._collector.is_alive() and not self.failure:
            self._collector.start()

    def _read_book(self) -> NameBook | None:
        """What was known of the policy when the process last ran: applyd may take longer to start than events."""
        try:
            return msgspec.json.decode((self._state / _BOOK).read_bytes(), type=NameBook)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            self._log(f"{self._state / _BOOK}: {error}; events wait until applyd says what runs")
            return None

    def _write_book(self, book: NameBook) -> None:
        try:
            replace(self._state / _BOOK, msgspec.json.encode(book))
        except OSError as error:
            self._log(f"{self._state / _BOOK}: {error.strerror}; after a restart events wait for applyd")

    # --- who asks -----------------------------------------------------------------------------------

    async def answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case Consumers():
                return self._consumers()
            case Alerts() | AlertWith() | AlertsBehind() | AlertCounts() | AlertTrend():
                return await self._told(request)
            case Indicators() | TakeIndicators() | OverrideIndicator():
                return await self._counter.answer(request, peer)
            case Unmask():
                return unmasking.answer(self._unmasking, request, peer, self._log.audit)
            case FindSubject():
                return await self._subjects.find(request, peer, self._log.audit)
            case PrivacyStores():
                return await self._subjects.stored()
            case _:
                return Refused("bad-request", f"{NAME} does not answer {type(request).__name__}")

    async def _told(self, request: AlertRequest) -> Reply:
        try:
            return await self._alerts.answer(request)
        except (sqlite3.Error, OutboxError) as error:
            return Refused("store", f"the alerts that are kept cannot be read: {error}")

    def _consumers(self) -> ConsumerList:
        book = self._book
        return ConsumerList(
            consumers=tuple(self._info(each, self._reader) for each in (book.consumers if book else ())),
            last=self._outbox.last(),
            used=self._collector.used(),
            size=book.alerts.size if book else AlertSettings().size,
            room=_ROOM[self._collector.room],
            listens=self._answering.serving.places if self._answering else (),
            fingerprint=self._identity.fingerprint if self._identity else "",
            words="; ".join(filter(None, (self._words, self._answering.serving.words if self._answering else ""))),
        )

    def _info(self, consumer: Consumer, reader: Reader) -> ConsumerInfo:
        position = self._outbox.position(consumer.name)
        need = need_of(consumer)
        return ConsumerInfo(
            name=consumer.name,
            collections=consumer.collections,
            tlp=need.highest.label,
            position=position.seq,
            waiting=reader.waiting(position.seq, need.classes, need.highest),
            seen=position.seen / 1e6,
            owner=consumer.owner,
            pushed=consumer.syslog or consumer.webhook,
            error=self._pushing.error(consumer.name) if self._pushing is not None else "",
        )


def own_networks(book: NameBook) -> tuple[tuple[str, str], ...]:
    """The networks of the site and the gateway's own addresses, each with whose it is: never to be blocked."""
    outer = {zone.name for zone in book.zones if zone.external}
    own = [
        (text, f"in the zone {zone}")
        for zone, networks in book.networks.items()
        if zone not in outer
        for text in networks
    ]
    own += [(one.address.partition("/")[0], "an address of the gateway") for one in book.addresses]
    return tuple((text, why) for text, why in own if text.partition("/")[2] != "0")


def need_of(consumer: Consumer) -> Need:
    """What a consumer of the policy waits for."""
    return Need(consumer.name, classes_of(consumer.collections), tlp.parse(consumer.tlp))


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    try:
        alertd = Alertd(instance, log)
    except (OutboxError, PseudonymsError, StoreError) as error:
        sys.exit(f"{NAME}: {error}")
    daemon.run(alertd.serve, log, uvloop.new_event_loop)
    if alertd.failure:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
