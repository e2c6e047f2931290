"""console: answers the browsers and programs of the people who look after the gateway.

It holds no privilege and decides nothing about the policy: what somebody wants it asks the other processes in their
name, and these give what that person may have by the roles of the running policy. Strangers speak to it before they
are known, so nothing is done for them but to find out who they are.
"""

from __future__ import annotations

import asyncio
import datetime
import sqlite3
import sys
import time

import msgspec
import uvloop

from appliance.console import bundle, evidence, idempotency
from appliance.console.alertline import AlertLine
from appliance.console.api.report import reported
from appliance.console.api.status import view
from appliance.console.bundle import Bundle
from appliance.console.context import Console
from appliance.console.press import Press, started
from appliance.console.serving import application
from appliance.console.trafficline import TrafficLine
from appliance.console.who.desk import Desk
from appliance.console.who.enrolling import Enrolling
from appliance.console.who.entering import Entering
from appliance.console.who.office import Office
from appliance.console.who.pages.routes import routes
from appliance.console.who.provider import Provider
from appliance.console.who.store import StoreError
from appliance.control import daemon, notify, sandbox
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError
from appliance.control.messages.changes import MarksAre
from appliance.control.messages.gateway import NameBook
from appliance.control.processes import Instance, process
from appliance.serving.listening import CONNECTIONS
from appliance.serving.places import Serving, addresses
from crypto.apitls import CLIENTS, CertificateError, TlsContext, identity, serving_context
from crypto.web import fetching_context

NAME = "console"
_ANSWERS = "answers.db"
AUTHORITIES = "authorities.pem"  # whom the provider of log-ins is believed by, beside those of the machine
_SECOND = 1.0
_TELLING = 0.05
_PATIENCE = 10.0  # seconds that policyd may take to start without a word about it


class Changed(msgspec.Struct, frozen=True):
    """Some of these are not as they were. `mark` grows with each change."""

    mark: int


class ConsoleProcess:
    """The process: what it knows of the policy, and where it listens."""

    def __init__(self, instance: Instance, log: daemon.Log, desk: Desk, press: Press) -> None:
        self._instance = instance
        self._log = log
        self._answers = idempotency.opened(instance.state_of(NAME) / _ANSWERS, time.time, log)
        self._desk = desk
        self._office = Office(instance, desk, log)
        self._console = Console(instance, log, desk, self._answers, time.monotonic, press)
        provider = Provider(desk, instance.console, lambda: fetching_context(instance.console / AUTHORITIES))
        pages = routes(desk, Entering(desk), Enrolling(desk), provider)
        self._app = application(self._console, [*pages, *Bundle(bundle.read(bundle.STATIC)).routes()])
        self._serving = Serving(self._app, log, "the console")
        self._said = ""
        self._fingerprint = ""
        self._marks: MarksAre | None = None

    async def serve(self, stop: asyncio.Event) -> None:
        await self._serving.start()
        office = asyncio.create_task(self._office.serve(stop))
        notify.ready()
        following = asyncio.create_task(self._follow())
        alerts = asyncio.create_task(AlertLine(self._console).follow())
        traffic = asyncio.create_task(TrafficLine(self._console).follow())
        await stop.wait()
        following.cancel()
        alerts.cancel()
        traffic.cancel()
        await asyncio.gather(following, alerts, traffic, office, return_exceptions=True)
        await self._serving.stop()
        self._answers.close()
        self._desk.close()

    async def _follow(self) -> None:
        """What runs, and what it says, again and again."""
        known = time.monotonic()
        while True:
            words = await self._ask()
            now = time.monotonic()
            if not words:
                known = now
            elif words != self._said and now - known >= _PATIENCE:
                self._log(f"the running generation is not known: {words}")
                self._said = words
            await asyncio.sleep(_TELLING)  # who looks is told before a disk is waited for
            await self._serving.settle()
            self._settle()
            await self._console.workshop.tidy()
            await asyncio.sleep(_SECOND)

    def _settle(self) -> None:
        """What is due at the desk. A full disk must not end the following of the policy."""
        try:
            self._desk.settle()
        except StoreError as error:
            self._log(str(error))

    async def _ask(self) -> str:
        """Why policyd could not be asked, in words."""
        console, known = self._console, self._console.known
        before = view(known)
        try:
            known.status = await console.asking.status()
            running = known.status.running
            if running and (known.book is None or known.book.generation != running):
                self._take(await console.asking.book())
            self._mark(await console.asking.marks())
            known.as_of, known.away = time.time(), ""
        except (DaemonAway, ProtocolError, RefusedError) as error:
            known.away = str(error)
        console.health.know(known.status, known.as_of, known.away, time.time(), console.live)
        after = view(known)
        if after is not None and (before is None or msgspec.structs.replace(before, as_of=after.as_of) != after):
            console.live.publish("status", after, state=True)
        return known.away

    def _mark(self, marks: MarksAre) -> None:
        """Drafts or proposals changed: whoever looks at them asks again."""
        live, before = self._console.live, self._marks
        if before is not None and marks.drafts != before.drafts:
            live.publish("draft", Changed(marks.drafts))
        if before is not None and marks.proposals != before.proposals:
            live.publish("proposal", Changed(marks.proposals))
        self._marks = marks

    def _take(self, book: NameBook) -> None:
        """Another generation runs. Who confirms it must have come through its rules: connections begin anew."""
        known = self._console.known
        if known.book is not None:
            self._app[CONNECTIONS].renew()
        known.book = book
        self._desk.renew(book.console)
        places = addresses(book, book.console.listen, book.console.port)
        self._serving.want(places, self._context(book, places) if places else None)

    def _context(self, book: NameBook, places: tuple[tuple[str, int], ...]) -> TlsContext | None:
        """With the certificate that was given or, else, one of its own for the name and addresses of the console."""
        names = tuple(filter(None, (book.console.name or book.site, *(address for address, _ in places))))
        given = self._instance.console
        try:
            now = datetime.datetime.now(datetime.UTC)
            own = identity(given, self._instance.state_of(NAME), names, now, covers=True)
            context = serving_context(own, given / CLIENTS)
        except CertificateError as error:
            self._log(f"the console does not listen: {error}")
            return None
        if own.fingerprint != self._fingerprint:
            self._serving.leave()  # what listens shows another
            self._fingerprint = own.fingerprint
        return context


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    press = started(instance, reported)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    try:
        evidence.tidy(instance.state_of(NAME))
        console = ConsoleProcess(instance, log, Desk.open(instance.state_of(NAME), log), press)
    except (OSError, sqlite3.Error, StoreError) as error:
        sys.exit(f"{NAME}: {error}")
    daemon.run(console.serve, log, uvloop.new_event_loop)


if __name__ == "__main__":
    main(sys.argv[1:])
