"""What the console asks of the other processes: in somebody's name, and little for itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Literal, TypeVar

import msgspec

from appliance.console import problems
from appliance.control.ipc import (
    LIMIT,
    USER_CONNECTIONS,
    DaemonAway,
    ProtocolError,
    RefusedError,
    Unanswered,
    call_async,
)
from appliance.control.messages.changes import Acting, Marks, MarksAre
from appliance.control.messages.gateway import NameBook, Names, Request, Status, StatusReport
from appliance.control.processes import Instance

Daemon = Literal["policyd", "alertd", "watchd", "recordd"]
DAEMONS: tuple[Daemon, ...] = ("policyd", "alertd", "watchd", "recordd")

# A process answers so many connections of one user at once. Some are left for what the console asks for itself.
_AT_ONCE = USER_CONNECTIONS - 4
# Seconds for what the console asks for itself; and for everybody, of a process that let the last one wait in vain.
_PATIENCE = 10.0

T = TypeVar("T")


class Asking:
    """The sockets of the daemons, and how much of each may be used. For one event loop."""

    def __init__(self, instance: Instance, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._sockets = {name: instance.socket(name) for name in DAEMONS}
        self._places = {name: asyncio.Semaphore(_AT_ONCE) for name in DAEMONS}
        self._silent: set[Daemon] = set()
        self._waiting: dict[asyncio.Timeout, float] = {}  # for policyd, and since when

    async def ask(self, person: str, session: str, message: Request, reply: type[T], of: Daemon, timeout: float) -> T:
        """Ask in the name of `person`, who came by the connection `session`. Raises `Problem`."""
        acting = Acting(person, session, msgspec.json.encode(message))
        patience = min(timeout, self._patience) if of in self._silent else timeout
        sent = False
        try:
            async with asyncio.timeout(patience) as clock:
                with self._watched(of, clock):
                    async with self._places[of]:
                        sent = True
                        return await self._answered(acting, reply, of, 2 * LIMIT, timeout)
        except RefusedError as error:
            raise problems.of_refusal(error.reply) from error
        except (TimeoutError, Unanswered, ProtocolError) as error:
            if sent:
                if not isinstance(error, ProtocolError):
                    self._silent.add(of)
                raise problems.unanswered(of) from error
            raise problems.away(f"{of} does not answer all who ask; ask again in a while") from error
        except DaemonAway as error:
            raise problems.away(f"{of} does not answer; this can be asked for again when it does") from error

    @contextlib.contextmanager
    def _watched(self, of: Daemon, clock: asyncio.Timeout) -> Iterator[None]:
        """Who has waited long enough for policyd is let go when it does not answer the console itself either."""
        if of == "policyd":
            self._waiting[clock] = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._waiting.pop(clock, None)

    async def _answered(self, message: Request, reply: type[T], of: Daemon, limit: int, timeout: float) -> T:
        try:
            found = await call_async(self._sockets[of], message, reply, timeout=timeout, limit=limit)
        except RefusedError:
            self._silent.discard(of)
            raise
        except Unanswered:
            self._silent.add(of)
            raise
        self._silent.discard(of)
        return found

    async def _own(self, message: Request, reply: type[T]) -> T:
        try:
            return await self._answered(message, reply, "policyd", LIMIT, self._patience)
        except Unanswered:
            for clock, since in self._waiting.items():
                if not clock.expired():
                    clock.reschedule(since + self._patience)
            raise

    async def status(self) -> StatusReport:
        """What runs. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await self._own(Status(), StatusReport)

    async def marks(self) -> MarksAre:
        """Whether drafts or proposals changed. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await self._own(Marks(), MarksAre)

    async def book(self) -> NameBook:
        """What it is called there. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await self._own(Names(), NameBook)
