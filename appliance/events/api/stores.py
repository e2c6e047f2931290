"""What is read for an answer: the outbox and the objects, in threads: nobody waits for somebody else's disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import ParamSpec, TypeVar

import msgspec

from appliance.events.api.problems import Problem
from appliance.events.classes import Class
from appliance.events.objects import Objects
from appliance.events.outbox import Outbox, OutboxError, Page, Reader, Stored
from appliance.events.tlp import Tlp

_THREADS = 3
_POLL = 0.05
MAX_BYTES = 8 << 20  # of one answer, before it is packed

P = ParamSpec("P")
T = TypeVar("T")


class Chosen(msgspec.Struct, frozen=True):
    """Which events somebody asks for and may have. Times are microseconds since the epoch: since <= time < until."""

    after: int
    limit: int
    classes: frozenset[Class]
    highest: Tlp
    kinds: frozenset[str] | None = None
    since: int | None = None
    until: int | None = None


class Stores:
    """Readers of the outbox and of the objects. Made and closed in the loop's thread."""

    def __init__(self, outbox: Outbox, objects: Objects) -> None:
        self.outbox = outbox
        self.objects = objects
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="api")
        self._local = threading.local()
        self._readers: list[Reader] = []
        self._changed = asyncio.Event()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it in a thread. Raises `Problem` where the disk does not answer."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))
        except (sqlite3.Error, OutboxError) as error:
            words = "what is asked for cannot be read now; ask again later"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, words, {"Retry-After": "5"}) from error

    async def events(self, chosen: Chosen) -> Page:
        """The next events that are chosen, up to a bound in bytes; go on behind `through`."""
        return await self.run(self._events, chosen)

    def _events(self, chosen: Chosen) -> Page:
        found: list[Stored] = []
        size = 0
        page = Page([], chosen.after, chosen.after)
        # A reading looks at a bounded stretch; several until something is there, or all was looked at.
        while True:
            page = self._read(chosen, page.through, min(chosen.limit - len(found), 1000))
            for event in page.events:
                size += len(event.body)
                if size > MAX_BYTES and found:
                    return Page(found, found[-1].seq, page.last)
                found.append(event)
            if len(found) >= chosen.limit or page.through >= page.last:
                return Page(found, page.through, page.last)

    def _read(self, chosen: Chosen, after: int, limit: int) -> Page:
        return self.reader().read(
            after,
            limit=limit,
            kinds=chosen.kinds,
            classes=chosen.classes,
            highest=chosen.highest,
            since=chosen.since,
            until=chosen.until,
        )

    def reader(self) -> Reader:
        """This thread's reader of the outbox."""
        found: Reader | None = getattr(self._local, "reader", None)
        if found is None:
            found = self._local.reader = self.outbox.reader()
            self._readers.append(found)
        return found

    # --- what comes -------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Tell who waits that something came, until cancelled."""
        known = self.outbox.last()
        while True:
            await asyncio.sleep(_POLL)
            if self.outbox.last() != known:
                known = self.outbox.last()
                self.wake()

    def wake(self) -> None:
        """Have all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def came(self, known: int, seconds: float) -> bool:
        """Wait until something came behind that number; False when nothing did for so long."""
        if self.outbox.last() > known:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._pool.shutdown()
        for reader in self._readers:
            reader.close()


def only(kinds: Collection[str]) -> frozenset[str] | None:
    """No kinds are all kinds."""
    return frozenset(kinds) or None
