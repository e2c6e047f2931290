"""The alert API as a server of its own, for tests that ask it with clients of others: real stores, real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from appliance.events import stix
from appliance.events.api.access import Access, Told
from appliance.events.api.app import application
from appliance.events.api.context import Context, Exports, Inbox, Listed
from appliance.events.api.stores import Stores
from appliance.events.classes import class_of
from appliance.events.feeding import feed
from appliance.events.objects import Objects
from appliance.events.outbox import New, Outbox
from appliance.events.sighted import microseconds
from appliance.events.tlp import Tlp
from appliance.policy.consumers import Consumer
from appliance.serving.listening import Limits, Listening, listen
from crypto.apitls import TlsContext

SITE = "ministry-health"
TOKEN = "the-token-of-the-csirt"
STAMP = "2026-01-01T00:00:00.%06d+0000"


def microseconds_now() -> int:
    return time.time_ns() // 1000


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def consumer(name: str = "csirt", token: str = TOKEN, **members: Any) -> Consumer:
    """Somebody who may have everything, but for what `members` say."""
    known: dict[str, Any] = {
        "collections": ("alerts", "audit", "notices", "telemetry", "indicators", "sightings"),
        "tlp": "red", "rate": 10_000, "burst": 10_000, "may": ("indicators",),
    }  # fmt: skip
    return Consumer(name=name, token=digest(token) if token else "", **{**known, **members})


def alert(number: int, **members: Any) -> bytes:
    """An alert from an address and a flow of its own."""
    body = {
        "timestamp": STAMP % (number % 1_000_000), "event_type": "alert", "flow_id": number,
        "src_ip": f"198.51.{number >> 8 & 255}.{number & 255}", "src_port": 1024 + number % 60_000,
        "dest_ip": "192.0.2.1", "dest_port": 443, "proto": "TCP", "app_proto": "tls", "host": SITE,
        "alert": {
            "action": "allowed", "gid": 1, "signature_id": 2_000_000 + number % 7, "rev": 1,
            "signature": f"ET TEST signature {number % 7}", "category": "Misc activity", "severity": 2,
        },
        "tls": {"sni": f"host{number % 11}.example.org"},
    }  # fmt: skip
    return msgspec.json.encode({**body, **members})


def new(body: bytes, tlp: Tlp = Tlp.AMBER) -> New:
    event = json.loads(body)
    kind = event["event_type"]
    return New(body, kind, class_of(kind), tlp, microseconds(event["timestamp"]))


class Server:
    """Stores in a directory, and the API over them at `url`."""

    def __init__(
        self,
        directory: Path,
        *consumers: Consumer,
        limits: Limits,
        inbox: Inbox | None,
        listed: Listed | None,
        clock: Callable[[], int],
        tls: TlsContext | None,
    ) -> None:
        self.told: list[Told] = []
        self.outbox = Outbox(directory / "outbox.db", self.log)
        common = (*map(stix.marking, Tlp), stix.site_identity(SITE))
        names = ("alerts", "indicators", "sightings")
        self.objects = Objects(directory / "objects.db", names, common, microseconds_now)
        self._clock = clock
        self._tls = tls
        self._reader = self.outbox.reader()
        self._consumers = consumers or (consumer(),)
        self._limits, self._inbox, self._listed = limits, inbox, listed
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run)
        self.url = ""
        self.port = 0
        self.logged: list[str] = []

    def log(self, words: str) -> None:
        self.logged.append(words)

    def append(self, *events: New) -> int:
        """Into the outbox and from there into the objects; gives the last number."""
        _, last = self.outbox.append(events)
        while feed(self._reader, self.objects, SITE).more:
            pass
        return last

    def renew(self, *consumers: Consumer) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.access.renew, consumers)

    # --- the server's thread ----------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(30)

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._reader.close()
        self.objects.close()
        self.outbox.close()

    def _run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        stores = Stores(self.outbox, self.objects)
        self.access = Access(self._consumers, time.monotonic, self.told.append)
        exports = Exports(self.told.append)
        context = Context(SITE, stores, self.access, exports, self._clock, self._inbox, self._listed)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        listening: Listening = await listen(application(context, self._limits), [bound], self._tls)
        self.port = listening.ports[0]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        self._started.set()
        await self._ended.wait()
        await listening.close()
        stores.close()


@contextmanager
def serving(
    directory: Path,
    *consumers: Consumer,
    limits: Limits | None = None,
    inbox: Inbox | None = None,
    listed: Listed | None = None,
    clock: Callable[[], int] = microseconds_now,
    tls: TlsContext | None = None,
) -> Iterator[Server]:
    """The API while the block runs."""
    server = Server(
        directory, *consumers, limits=limits or Limits(), inbox=inbox, listed=listed, clock=clock, tls=tls
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()
