"""The console's application as a server of its own, for tests: real sockets, people who are known by a token."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import ModuleType

import aiohttp
from aiohttp import web

from appliance.console.api import NOUNS
from appliance.console.callers import Caller
from appliance.console.context import Console, Door
from appliance.console.idempotency import Answers
from appliance.console.serving import LIMITS, application
from appliance.console.who.cookies import SESSION as COOKIE
from appliance.control.daemon import Log
from appliance.control.processes import PROCESSES, Identity, Instance
from appliance.policy.roles import permissions_of
from appliance.serving.listening import Connections, Limits, Listening, listen
from crypto.apitls import TlsContext

MINE = {"Authorization": "Bearer amara"}
OURS = {"X-Reef": "1", "Sec-Fetch-Site": "same-origin"}


class Names:
    """A door for people who show their name: as a token, or as the cookie of a session."""

    def __init__(self) -> None:
        self.people = {
            "amara": Caller("amara", "Amara Diaz", permissions_of(["editor"])),
            "ben": Caller("ben", "Ben Cho", permissions_of(["reader"])),
            "olu": Caller("olu", "Olu Ade", permissions_of(["auditor"])),
        }
        self.attended: bool | None = None  # what was said of the last request

    async def recognise(
        self, cookie: str, authorization: str, certificate: bytes, address: str, *, attended: bool = True
    ) -> Caller | None:
        self.attended = attended
        token = self.people.get(authorization.removeprefix("Bearer "))
        if token is not None:
            return Caller(token.person, token.name, token.permissions, token.zones, "token")
        return self.people.get(cookie)

    def still(self, caller: Caller) -> bool:
        return caller.person in self.people


class Served:
    """Where it answers, and what it is made of."""

    def __init__(self, url: str, console: Console, session: aiohttp.ClientSession, listening: Listening) -> None:
        self.url = url
        self.console = console
        self.session = session
        self.listening = listening

    @property
    def connections(self) -> Connections:
        return self.listening.connections

    @property
    def port(self) -> int:
        return self.listening.ports[0]


def cookie_of(person: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={person}"}


@contextlib.asynccontextmanager
async def serving(
    nouns: Iterable[ModuleType] = NOUNS,
    routes: Iterable[web.RouteDef] = (),
    limits: Limits = LIMITS,
    door: Door | None = None,
    tls: TlsContext | None = None,
) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        identities = {row.name: Identity(1, 1) for row in PROCESSES}
        instance = Instance("a test", f"{folder}/run", f"{folder}/state", f"{folder}/config", identities, 1)
        answers = Answers(Path(folder, "answers.db"), time.time)
        console = Console(instance, Log("console"), door or Names(), answers, time.monotonic)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        listening = await listen(application(console, routes, nouns, limits), [bound], tls)
        connector = aiohttp.TCPConnector(limit=0)
        try:
            async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as session:
                yield Served(f"http://127.0.0.1:{listening.ports[0]}", console, session, listening)
        finally:
            await asyncio.wait_for(listening.close(), 30)
            answers.close()
