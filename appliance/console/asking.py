"""What the console asks of the other processes: in somebody's name, and little for itself."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeVar

import msgspec

from appliance.console import problems
from appliance.control.ipc import LIMIT, USER_CONNECTIONS, DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages import NameBook, Names, Request, Status, StatusReport
from appliance.control.messages_changes import Acting, Marks, MarksAre
from appliance.control.processes import Instance

Daemon = Literal["policyd", "alertd", "watchd", "recordd"]
DAEMONS: tuple[Daemon, ...] = ("policyd", "alertd", "watchd", "recordd")

# A process answers so many connections of one user at once. Some are left for what the console asks for itself.
_AT_ONCE = USER_CONNECTIONS - 4
_OWN_PATIENCE = 10.0  # seconds

T = TypeVar("T")


class Asking:
    """The sockets of the daemons, and how much of each may be used. For one event loop."""

    def __init__(self, instance: Instance) -> None:
        self._sockets = {name: instance.socket(name) for name in DAEMONS}
        self._places = {name: asyncio.Semaphore(_AT_ONCE) for name in DAEMONS}

    async def ask(self, person: str, session: str, message: Request, reply: type[T], of: Daemon, timeout: float) -> T:
        """Ask in the name of `person`, who came by the connection `session`. Raises `Problem`."""
        acting = Acting(person, session, msgspec.json.encode(message))
        try:
            async with self._places[of]:
                return await call_async(self._sockets[of], acting, reply, timeout=timeout, limit=2 * LIMIT)
        except RefusedError as error:
            raise problems.of_refusal(error.reply) from error
        except (DaemonAway, ProtocolError) as error:
            raise problems.away(f"{of} does not answer; this can be asked for again when it does") from error

    async def status(self) -> StatusReport:
        """What runs. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await call_async(self._sockets["policyd"], Status(), StatusReport, timeout=_OWN_PATIENCE)

    async def marks(self) -> MarksAre:
        """Whether drafts or proposals changed. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await call_async(self._sockets["policyd"], Marks(), MarksAre, timeout=_OWN_PATIENCE)

    async def book(self) -> NameBook:
        """What it is called there. Raises `DaemonAway`, `ProtocolError`, `RefusedError`."""
        return await call_async(self._sockets["policyd"], Names(), NameBook, timeout=_OWN_PATIENCE)
