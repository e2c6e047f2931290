"""The lines and the connections as they are now, for everybody who looks: one reader each, none while nobody does.

It asks in the name of somebody who looks on at that moment, and never uses more than a small part of applyd's time:
a table of connections that takes long to read is read less often.
"""

from __future__ import annotations

import asyncio
import time
from typing import TypeVar

import msgspec

from appliance.console.context import Console
from appliance.console.flowrows import FlowRow, row
from appliance.console.problems import Problem
from appliance.console.streams import Kind, Watcher
from appliance.control.messages.gateway import Request
from appliance.control.messages.lines import LineList, Lines
from appliance.control.messages.live import FlowList, Flows

_LOOK = 0.25  # seconds between looks whether somebody looks
_EVERY = 2.0  # seconds between two events
_SHARE = 20.0  # what takes a second is asked for again after so many
_PATIENCE = 20.0
_TOLD = 50  # connections of each kind in one event

T = TypeVar("T")


class FlowsLive(msgspec.Struct, frozen=True):
    """The connections that carried most and those that began last, of `total` at `at` (seconds since the epoch)."""

    generation: int
    at: float
    total: int
    biggest: tuple[FlowRow, ...]
    newest: tuple[FlowRow, ...]


class TrafficLine:
    """The readers. For one event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def follow(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self._following("lines"), self._following("flow"))

    async def _following(self, kind: Kind) -> None:
        clock = self._console.clock
        while True:
            watcher = self._console.live.watcher(kind)
            if watcher is None:
                await asyncio.sleep(_LOOK)
                continue
            begun = clock()
            try:
                await (self._tell_lines(watcher) if kind == "lines" else self._tell_flows(watcher))
            except Problem:
                # Whoever looks is told by the state of the gateway that it does not answer.
                begun = clock()
            await asyncio.sleep(max(_EVERY, (clock() - begun) * _SHARE))

    async def _tell_lines(self, watcher: Watcher) -> None:
        listed = await self._ask(watcher, Lines(), LineList)
        self._console.lines.take(self._console.clock(), listed)
        self._console.live.publish("lines", listed)

    async def _tell_flows(self, watcher: Watcher) -> None:
        names = self._console.flowbook.names(self._console.known.book)
        biggest = await self._ask(watcher, Flows(limit=_TOLD, order="biggest"), FlowList)
        newest = await self._ask(watcher, Flows(limit=_TOLD, order="newest"), FlowList)
        told = FlowsLive(
            newest.generation,
            time.time(),
            newest.total,
            tuple(row(flow, names) for flow in biggest.flows),
            tuple(row(flow, names) for flow in newest.flows),
        )
        self._console.live.publish("flow", told)

    async def _ask(self, watcher: Watcher, request: Request, reply: type[T]) -> T:
        asking = self._console.asking
        return await asking.ask(watcher.person, watcher.session, request, reply, "policyd", _PATIENCE)
