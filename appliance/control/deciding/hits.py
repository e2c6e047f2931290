"""policyd's collector: reads the counters of the rules now and then, around every change, and when it is asked.

applyd, which holds the privilege, only answers what the kernel counted; the history is kept here.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable

from appliance.control.daemon import Log
from appliance.control.deciding.hitstore import HitStore
from appliance.control.deciding.watching import Reading
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError
from appliance.control.messages.gateway import Refused, RuleCounterList
from appliance.control.messages.hits import HitList, Hits
from appliance.control.processes import Instance
from appliance.policy.answering.meaning import Meanings, meanings
from appliance.policy.model import Policy

_LAST = 2.0  # seconds that an end waits for the last reading
_PERIOD = 60.0  # seconds between readings; what a power cut may take from the history


class Collector:
    """The history of this gateway, and what adds to it.

    `ask` brings the counters; `learn` has policyd look at what runs now, when that is another generation than it
    knows (applyd takes back what nobody confirmed). Both raise as `call_async` does.
    """

    def __init__(
        self,
        instance: Instance,
        log: Log,
        ask: Callable[[], Awaitable[RuleCounterList]],
        learn: Callable[[], Awaitable[object]],
    ) -> None:
        self._log = log
        self._ask = ask
        self._learn = learn
        self._lock = asyncio.Lock()
        self._running: tuple[int, Policy | None] = (0, None)
        self._meanings: Meanings | None = None
        self._told = ""
        self._store: HitStore | None = None
        path = instance.state_of("policyd") / "hits.db"
        try:
            self._store = HitStore(path, log)
        except sqlite3.Error as error:
            self._tell(f"{path}: {error}; what rules match is not kept until policyd starts again")

    def means(self, generation: int, policy: Policy) -> None:
        """What the rules of a generation mean, for the next look: one of them may be worded otherwise."""
        self._running = (generation, policy)

    async def watch(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, and then once more: a restart shall take nothing from the history."""
        while not stop.is_set():
            generation = await self.look()
            if generation and generation != self._running[0]:
                with contextlib.suppress(RefusedError, DaemonAway, ProtocolError):
                    await self._learn()
            try:
                await asyncio.wait_for(stop.wait(), _PERIOD)
            except TimeoutError:
                continue
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.look(), _LAST)
        async with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    async def look(self) -> int:
        """Read once; returns the generation, 0 for none. What goes wrong is told once; the next reading mends it."""
        async with self._lock:
            try:
                found = await self._ask()
            except (RefusedError, DaemonAway, ProtocolError):
                return 0  # nothing runs, or applyd starts again: others say so
            generation, policy = self._running
            if policy is not None and (self._meanings is None or self._meanings.policy is not policy):
                self._meanings = await asyncio.to_thread(meanings, policy, self._meanings)
            reading = Reading(
                at=time.time(),
                uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
                origin=found.origin,
                counters={counter.id: (counter.packets, counter.bytes) for counter in found.counters},
                meanings=self._meanings.digests if self._meanings and generation == found.generation else None,
            )
            if self._store is not None:
                try:
                    await asyncio.to_thread(self._store.record, reading)
                    self._told = ""
                except sqlite3.Error as error:
                    self._tell(f"what rules matched cannot be kept: {error}")
            return found.generation

    async def answer(self, request: Hits) -> HitList | Refused:
        generation = await self.look()
        if not generation:
            return Refused("nothing-runs", "no generation runs yet; `reef apply` one")
        async with self._lock:
            if self._store is None:
                return Refused("store", f"there is no history: {self._told or 'policyd is ending'}")
            try:
                return await asyncio.to_thread(self._store.history, generation, max(request.window, 0))
            except sqlite3.Error as error:
                return Refused("store", f"the history cannot be read: {error}")

    def _tell(self, words: str) -> None:
        if words != self._told:
            self._told = words
            self._log(words)
