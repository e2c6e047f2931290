"""How the lines are: asked for once for all who look at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from appliance.control.messages.lines import CrossingList, Crossings, LineList, Lines

if TYPE_CHECKING:
    from appliance.console.context import Ctx

_FRESH = 1.0  # seconds that an answer is good for


class LinesNow:
    """The last answer. For one event loop."""

    def __init__(self) -> None:
        self._listed: tuple[float, LineList] | None = None
        self._pairs: CrossingList | None = None
        self._asking = asyncio.Lock()

    def take(self, at: float, listed: LineList) -> None:
        """What somebody was answered at `at`, by the console's clock."""
        self._listed = at, listed

    async def lines(self, ctx: Ctx) -> LineList:
        """The lines. Raises `Problem`."""
        async with self._asking:
            now = ctx.console.clock()
            if self._listed is None or now - self._listed[0] > _FRESH:
                self.take(now, await ctx.ask(Lines(), LineList))
            assert self._listed is not None
            return self._listed[1]

    async def pairs(self, ctx: Ctx) -> CrossingList:
        """Which zones may reach which. Rules end by themselves, so it is asked for each time. Raises `Problem`."""
        return await ctx.ask(Crossings(), CrossingList)
