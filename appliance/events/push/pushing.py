"""Sends each consumer that wants it what is new for them, from their place in the outbox, again until they have it.

A task for each: one that is slow or away holds up nobody else, and costs a batch of memory. Their place moves when
they have a batch, so that nothing is left out, and what was under way when the line broke may come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.events import tlp
from appliance.events.classes import classes_of
from appliance.events.outbox import Outbox, Page, Reader
from appliance.events.push.sinks import PushError, Sink, sink_of
from appliance.policy.consumers import Consumer
from crypto.apitls import TlsContext

BATCH = 500
_ANYWAY = 2.0  # seconds after which it is looked, though nobody said that something came
_FIRST, _LONGEST = 1.0, 300.0  # seconds until it is tried again


class Push:
    """One consumer. `error` is why the last batch was not taken, "" when it was."""

    def __init__(self, consumer: Consumer, sink: Sink, outbox: Outbox, log: Callable[[str], None]) -> None:
        self.consumer = consumer
        self.error = ""
        self._sink = sink
        self._outbox = outbox
        self._log = log
        self._came = asyncio.Event()
        self._classes = classes_of(consumer.collections)
        self._highest = tlp.parse(consumer.tlp)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="push")
        self._reader: Reader | None = None
        self._task = asyncio.create_task(self._run())

    def came(self) -> None:
        self._came.set()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._sink.close()
        await asyncio.get_running_loop().run_in_executor(self._pool, self._close)
        self._pool.shutdown()

    def _read(self, after: int) -> Page:
        if self._reader is None:
            self._reader = self._outbox.reader()
        return self._reader.read(after, limit=BATCH, classes=self._classes, highest=self._highest)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    async def _run(self) -> None:
        pause = _FIRST
        name = self.consumer.name
        while True:
            self._came.clear()
            after = self._outbox.position(name).seq
            page = await asyncio.get_running_loop().run_in_executor(self._pool, self._read, after)
            if page.events:
                try:
                    await self._sink.send(page.events)
                except PushError as error:
                    self._tell(str(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST)
                    continue
                pause = _FIRST
                self._tell("")
            if page.through > after:
                self._outbox.acknowledge(name, page.through)
            if page.through == page.last:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ANYWAY):
                        await self._came.wait()

    def _tell(self, error: str) -> None:
        """Once each time that it is something else."""
        if error != self.error:
            self.error = error
            where = self.consumer.syslog or self.consumer.webhook
            self._log(
                f"events for {self.consumer.name} wait: {where}: {error}"
                if error
                else f"{self.consumer.name} takes events again"
            )


class Pushing:
    """All of them. Made and ended in the loop's thread; `came` too."""

    def __init__(
        self, outbox: Outbox, site: str, credentials: Path, context: TlsContext, log: Callable[[str], None]
    ) -> None:
        self._outbox = outbox
        self._site = site
        self._credentials = credentials
        self._context = context
        self._log = log
        self._pushes: dict[str, Push] = {}

    async def follow(self, consumers: Iterable[Consumer]) -> None:
        """The consumers of another generation; who is as before goes on undisturbed."""
        wanted = {one.name: one for one in consumers if one.syslog or one.webhook}
        for name, push in list(self._pushes.items()):
            if wanted.get(name) != push.consumer:
                await self._pushes.pop(name).stop()
        for name, consumer in wanted.items():
            sink = sink_of(consumer, self._site, self._credentials, self._context)
            if name not in self._pushes and sink is not None:
                self._pushes[name] = Push(consumer, sink, self._outbox, self._log)

    def came(self) -> None:
        for push in self._pushes.values():
            push.came()

    def error(self, name: str) -> str:
        push = self._pushes.get(name)
        return push.error if push is not None else ""

    async def stop(self) -> None:
        for push in self._pushes.values():
            await push.stop()
        self._pushes.clear()
