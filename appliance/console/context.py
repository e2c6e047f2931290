"""What a request is answered with: who asks, what the gateway is known to be, and how its processes are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, TypeVar

from aiohttp import web

from appliance.console import conditional, problems
from appliance.console.asking import Asking, Daemon
from appliance.console.callers import Caller
from appliance.console.flowrows import Book
from appliance.console.healthnow import HealthNow
from appliance.console.idempotency import Answers
from appliance.console.linesnow import LinesNow
from appliance.console.press import Press
from appliance.console.problems import Problem
from appliance.console.streams import Live
from appliance.console.workshop import Workshop
from appliance.control.daemon import Log
from appliance.control.messages.gateway import NameBook, Request, StatusReport
from appliance.control.permits import may
from appliance.control.processes import Instance

T = TypeVar("T")


class Door(Protocol):
    """Recognises people."""

    async def recognise(
        self, cookie: str, authorization: str, certificate: bytes, address: str, *, attended: bool = True
    ) -> Caller | None:
        """Who shows these: the session's cookie, the header's value, a certificate as DER; None for strangers.
        `attended`: somebody is at the screen; what a page asks by itself does not count as use. Raises `Problem` for
        who guesses too much."""

    def still(self, caller: Caller) -> bool:
        """Whether what they came by is good yet, and they may what they might."""


class Known:
    """What the console knows of the gateway, as it was told last.

    `as_of` is when (seconds since the epoch), `away` why it is not told now: "" while all is well.
    """

    def __init__(self) -> None:
        self.status: StatusReport | None = None
        self.book: NameBook | None = None
        self.as_of = 0.0
        self.away = ""


class Console:
    """What all requests share. `clock` counts seconds and never goes back. Without a `press` no report is made."""

    def __init__(
        self,
        instance: Instance,
        log: Log,
        door: Door,
        answers: Answers,
        clock: Callable[[], float],
        press: Press | None = None,
    ) -> None:
        self.answers = answers
        self.instance = instance
        self.log = log
        self.door = door
        self.clock = clock
        self.asking = Asking(instance)
        self.known = Known()
        self.live = Live()
        self.packing = asyncio.Lock()  # packages of evidence are made one at a time
        self.lines = LinesNow()
        self.health = HealthNow()
        self.flowbook = Book()
        self.workshop = Workshop(clock)
        self.press = press


class Ctx:
    """One request."""

    def __init__(self, console: Console, request: web.Request, caller: Caller | None) -> None:
        self.console = console
        self.request = request
        self._caller = caller

    @property
    def person(self) -> Caller:
        """Who asks. Raises `Problem` for strangers."""
        if self._caller is None:
            raise problems.unauthorized()
        return self._caller

    @property
    def caller(self) -> Caller | None:
        """Who asks, where strangers may."""
        return self._caller

    @property
    def address(self) -> str:
        """Where they are."""
        return self.request.remote or ""

    @property
    def session(self) -> str:
        """The connection, in the form of SSH_CONNECTION."""
        transport = self.request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        own = transport.get_extra_info("sockname") if transport is not None else None
        if not peer or not own:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the connection is gone", code="away")
        return f"{peer[0]} {peer[1]} {own[0]} {own[1]}"

    async def ask(self, message: Request, reply: type[T], *, of: Daemon = "policyd", timeout: float = 60.0) -> T:
        """Ask a process in the name of who asks. Raises `Problem`.

        That process asks what the person may; what a token may is less, and only known here.
        """
        if not may(self.person.permissions, type(message)):
            raise problems.forbidden(f"{type(message).__name__} is beyond what you may do, or beyond your token")
        return await self.console.asking.ask(self.person.person, self.session, message, reply, of, timeout)

    def match(self, tag: str) -> None:
        """The resource is in the state `tag`: raises `Problem` (412) unless who asks saw it so."""
        conditional.demand(self.request.headers.get("If-Match", ""), tag)

    def seen(self) -> str:
        """The state that who asks saw, for a process that compares it; "" for any (`*`)."""
        return conditional.one(self.request.headers.get("If-Match", ""))

    def audit(self, action: str, object_: str, *, why: str = "", detail: dict[str, str] | None = None) -> None:
        """Write into the audit trail what they did; it is on disk when this returns."""
        self.console.log.audit(self.person.person, action, object_, why=why, origin=self.address, detail=detail or {})
