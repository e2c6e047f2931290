"""The console's application with a door for tests: who shows a name as token is that person. Run as

    python -m tests.consoledoor INSTANCE NAME=ROLE…

It says `ready PORT` on 127.0.0.1, and becomes the user of the console, so that the processes of the instance take it
for that.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import cast

from appliance.console.api.report import reported
from appliance.console.callers import Caller
from appliance.console.context import Console
from appliance.console.idempotency import Answers
from appliance.console.press import Press, started
from appliance.console.serving import application
from appliance.console.trafficline import TrafficLine
from appliance.control.daemon import Log
from appliance.control.processes import Instance, load_instance
from appliance.policy.roles import Role, permissions_of
from appliance.serving.listening import listen


class Names:
    """A door for people who show their name."""

    def __init__(self, people: dict[str, list[Role]]) -> None:
        self._people = people

    async def recognise(
        self, cookie: str, authorization: str, certificate: bytes, address: str, *, attended: bool = True
    ) -> Caller | None:
        name = authorization.removeprefix("Bearer ")
        if name not in self._people:
            return None
        return Caller(name, name.title(), permissions_of(self._people[name]), how="token")

    def still(self, caller: Caller) -> bool:
        return True


async def serve(instance: Instance, bound: socket.socket, people: dict[str, list[Role]], press: Press) -> None:
    answers = Answers(instance.state_of("console") / "answers.db", time.time)
    console = Console(instance, Log("console"), Names(people), answers, time.monotonic, press)
    await listen(application(console, ()), [bound])
    print(f"ready {bound.getsockname()[1]}", flush=True)
    traffic = asyncio.create_task(TrafficLine(console).follow())
    known = console.known
    while not traffic.done():
        known.status = await console.asking.status()
        if known.status.running and (known.book is None or known.book.generation != known.status.running):
            known.book = await console.asking.book()
        console.health.know(known.status, time.time(), "", time.time(), console.live)
        await asyncio.sleep(0.2)
    await traffic


def main(argv: list[str]) -> None:
    instance = load_instance(Path(argv[0]))
    press = started(instance, reported)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.setblocking(False)
    identity = instance.identity("console")
    os.setgroups([])
    os.setgid(identity.gid)
    os.setuid(identity.uid)
    people = {name: [cast(Role, role)] for name, _, role in (one.partition("=") for one in argv[1:])}
    asyncio.run(serve(instance, bound, people, press))


if __name__ == "__main__":
    main(sys.argv[1:])
