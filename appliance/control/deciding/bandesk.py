"""policyd's side of bans: applyd bans first, for it keeps them and its sets drop both ways; then the gate is told.

One ban at a time, so that the gate hears them in the order in which they took. A gate that is away asks applyd itself
when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Protocol, TypeVar

from appliance.control.ipc import BUNDLE_LIMIT, DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages.bans import Allow, Allowed, AllowList, Disallow
from appliance.control.messages.gate import (
    Gate,
    GateAllow,
    GateBan,
    GateBanned,
    GateDone,
    GateFind,
    GateForget,
    GateFound,
    GateList,
    GateListed,
    GatePart,
    GateReport,
    GateUnban,
)
from appliance.control.messages.gateway import Ban, BanList, Refused, Request, Unban
from appliance.control.processes import Instance

T = TypeVar("T")
_LONG = 60.0  # seconds that a list of a million may take
_PATIENCE = 5.0  # seconds that a ban waits for the gate at most; it holds at applyd already


class Ask(Protocol):
    """Asks applyd."""

    async def __call__(self, request: Request, reply: type[T]) -> T: ...


class BanDesk:
    def __init__(self, instance: Instance, ask: Ask, log: Callable[[str], None]) -> None:
        self._gate = instance.socket("gated")
        self._ask = ask
        self._log = log
        self._told = ""
        self._turn = asyncio.Lock()

    async def change(self, request: Ban | Unban | Allow | Disallow) -> BanList | Allowed:
        async with self._turn:
            if isinstance(request, Allow | Disallow):
                changed = await self._ask(request, Allowed)
                listed = await self._ask(AllowList(), Allowed)
                await self._tell(GateAllow(_by_choice(listed)))
                return changed
            bans = await self._ask(request, BanList)
            entries = tuple(GateBanned(entry.address, entry.until) for entry in bans.bans)
            gone = GateUnban(tuple(entry.address for entry in entries))
            await self._tell(GateBan(entries) if isinstance(request, Ban) else gone)
            return bans

    async def put(self, request: GateList, by: str) -> GateListed | Refused:
        """A list in the place of what had its name. Refused where it bans the gateway, or holds nowhere."""
        async with self._turn:
            if refused := await self._held(request):
                return refused
            report = await self.report()
            if not any(line.mode for line in report.lines):
                words = report.words or "it stands at no line; give a zone `protect` in the policy"
                return Refused("no-gate", f"lists are held by the XDP gate: {words}")
            listed = await call_async(self._gate, request, GateListed, timeout=_LONG, limit=BUNDLE_LIMIT)
            self._log(f"the ban list {listed.name} of {listed.entries:,} prefixes is in force, by {by}")
            return listed

    async def part(self, request: GatePart) -> GateDone | Refused:
        """Of a list that comes in several messages; the gate keeps it until the last one is there."""
        if refused := await self._held(request):
            return refused
        return await call_async(self._gate, request, GateDone, timeout=_LONG, limit=BUNDLE_LIMIT)

    async def _held(self, request: GateList | GatePart) -> Refused | None:
        """Why it must not be banned: what the gateway cannot do without lies in it."""
        for entry in (await self._ask(AllowList(), Allowed)).entries:
            if entry.origin != "gateway":
                continue
            if prefix := await asyncio.to_thread(holding, request, entry.address):
                return Refused("own", f"the list holds {prefix}, and with it {entry.address}: {entry.reason}")
        return None

    async def forget(self, request: GateForget, by: str) -> GateDone:
        async with self._turn:
            done = await call_async(self._gate, request, GateDone, timeout=_LONG)
            self._log(f"the ban list {request.name} is no more, by {by}")
            return done

    async def find(self, request: GateFind) -> GateFound:
        return await call_async(self._gate, request, GateFound, timeout=_PATIENCE)

    async def report(self) -> GateReport:
        """What the gate says of itself; its absence is said the same way."""
        try:
            return await call_async(self._gate, Gate(), GateReport, timeout=_PATIENCE)
        except (RefusedError, DaemonAway, ProtocolError) as error:
            return GateReport(str(error))

    async def complaints(self) -> tuple[str, ...]:
        """Which lines the policy wants the gate at and it does not stand at, and why, in words."""
        held = {
            "nft": "nft holds bans, lists and floods there, at a higher price, and leaves what is malformed",
            "": "there bans are held by the ruleset alone, lists and floods by nobody",
        }
        return tuple(
            f"the XDP gate does not stand at {line.interface}: {line.words or 'it was just told to'}; "
            f"{held[line.mode]}"
            for line in (await self.report()).lines
            if line.mode in held
        )

    async def _tell(self, request: Request) -> None:
        words = ""
        try:
            words = (await call_async(self._gate, request, GateDone, timeout=_PATIENCE)).words
        except (RefusedError, DaemonAway, ProtocolError) as error:
            words = str(error)
        if words and words != self._told:
            self._log(f"bans hold in the ruleset, not at the gate: {words}")
        self._told = words


def _by_choice(listed: Allowed) -> tuple[str, ...]:
    """The gate knows by itself what the gateway cannot do without, and does not spare it the limits of floods."""
    return tuple(entry.address for entry in listed.entries if entry.origin != "gateway")


def holding(request: GateList | GatePart, address: str) -> str:
    """The shortest prefix of the list that holds an address; "" when none does."""
    wanted = ip_address(address)
    packed = request.packed4 if wanted.version == 4 else request.packed6
    size = wanted.max_prefixlen // 8 + 1
    for length in range(wanted.max_prefixlen + 1):
        prefix = ip_network((address, length), strict=False)
        entry = prefix.network_address.packed + bytes([length])
        at = packed.find(entry)
        while at >= 0:
            if at % size == 0:
                return str(prefix)
            at = packed.find(entry, at + 1)
    return ""
