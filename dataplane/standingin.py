"""gated's side of the stand-in: has applyd hold in nft what the gate cannot hold at a line; asks what that did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages.gate import GateCount, StandIn, StandInCounted, StandInCounts, StoodIn
from ctypes_ext.gate import Network, PrefixList
from dataplane import standin

T = TypeVar("T")
_PATIENCE = 120.0  # seconds that filling the kernel's sets may take


class Wish(msgspec.Struct, frozen=True):
    """What shall hold. `lists` and `generation` are numbers that change when the lists and the policy do."""

    lines: tuple[str, ...] = ()
    lists: int = 0
    generation: int = 0
    spared: frozenset[tuple[Network, bool]] = frozenset()


class StandingIn:
    def __init__(self, applyd: Path, log: Callable[[str], None]) -> None:
        self._applyd = applyd
        self._log = log
        self._held: Wish | None = None
        self._said = ""
        self._turn = asyncio.Lock()
        self.lines: frozenset[str] = frozenset()  # that nft holds

    async def hold(self, wish: Wish, load: Callable[[], Mapping[str, PrefixList]]) -> None:
        """Have it so if it is not; `load` reads the lists. What applyd refuses is said, and tried again."""
        async with self._turn:
            # At the start it is not known what an earlier process asked for.
            if wish == self._held or (self._held is None and not wish.lines and not await self._asked_before()):
                return
            lists = await asyncio.to_thread(load) if wish.lines else {}
            request, too_long = await asyncio.to_thread(standin.request, wish.lines, lists, dict(wish.spared))
            said = (
                f"lists too long for nft, not in force where it stands in: {', '.join(too_long)}" if too_long else ""
            )
            try:
                self.lines = frozenset((await self._ask(request, StoodIn)).lines)
                self._held = wish
            except (RefusedError, DaemonAway, ProtocolError) as error:
                said = f"nft does not stand in for the gate as it should: {error}"
            if said and said != self._said:
                self._log(said)
            self._said = said

    async def counted(self) -> dict[str, dict[str, GateCount]]:
        """What was dropped at the lines that nft holds now."""
        if not self.lines:
            return {}
        try:
            return (await self._ask(StandInCounts(), StandInCounted)).lines
        except (RefusedError, DaemonAway, ProtocolError):
            return {}

    async def compare(self) -> None:
        """applyd may be another one than the one that was asked."""
        if self._held is not None and self._held.lines and self.lines != (await self.counted()).keys():
            self._held = None

    async def _asked_before(self) -> bool:
        try:
            return bool((await self._ask(StandInCounts(), StandInCounted)).lines)
        except (RefusedError, DaemonAway, ProtocolError):
            return False

    async def _ask(self, request: StandIn | StandInCounts, reply: type[T]) -> T:
        return await call_async(self._applyd, request, reply, timeout=_PATIENCE)
