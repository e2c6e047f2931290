"""applyd's side of the gate's stand-in: two tables by turns, so that there is never a moment without lists.

gated says at which lines and with which lists; what is limited there is the running policy's. A list is filled in
slices into the table that does not count yet, so that nothing else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import msgspec

from appliance.control.kernel.netlink import NetlinkError, attribute_map, string, text
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter, body
from appliance.control.kernel.nfsets import Element, Sets, counters
from appliance.control.kernel.nft import CHAIN_NAME, CHAIN_TABLE, MSG_GETCHAIN
from appliance.control.kernel.standintable import COUNTS, FILLED, REASONS, TABLES, counter, line_of, standin
from appliance.control.messages.gate import GateCount, StandIn, StandInCounted, StoodIn
from appliance.control.messages.gateway import Refused
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.delta import repair
from appliance.policy.compiling.ruleset import Chain
from appliance.policy.model import Protection
from ctypes_ext.nftables import Nftables, NftablesError

MOST = 300_000  # ranges of all sets together: some 60 MB of the kernel's memory
_SLICE = 500  # elements at once: some 10 ms
_SIZE = {4: 4, 6: 16}


class StandInTables:
    """Which lines nft stands in for."""

    def __init__(self, netfilter: Netfilter, log: Callable[[str], None]) -> None:
        self._netfilter = netfilter
        self._log = log
        self._turn = asyncio.Lock()

    async def put(self, request: StandIn, bundle: Bundle | None) -> StoodIn | Refused:
        """All of it from one moment on, or nothing changed."""
        async with self._turn:
            try:
                filled = await asyncio.to_thread(_filled, request)
            except ValueError as error:
                return Refused("bad-ranges", str(error))
            if sum(map(len, filled.values())) > MOST:
                return Refused("too-many", f"nft stands in for lists of {MOST:,} ranges at most")
            lines = _protected(bundle, request.lines)
            try:
                await self._put(lines, filled)
            except (NetlinkError, NftablesError) as error:
                return Refused("kernel", f"nft cannot stand in for the gate: {error}")
            return StoodIn(tuple(lines))

    def counted(self) -> StandInCounted:
        """What was dropped, for each line that it holds at."""
        table, lines = self._present()
        if not table:
            return StandInCounted({})
        found = counters(self._netfilter, table)
        return StandInCounted(
            {
                name: {
                    reason: GateCount(*found[key])
                    for reason in REASONS
                    if (key := counter(number, reason)) in found and found[key][0]
                }
                for number, name in enumerate(lines)
            }
        )

    async def _put(self, lines: dict[str, Protection], filled: dict[str, list[Element]]) -> None:
        old, before = self._present()
        if before != tuple(lines):
            self._log(
                f"nft stands in for the gate at {', '.join(lines)}" if lines else "nft stands in for no gate now"
            )
        if not lines:
            for table in TABLES:
                self._remove(table)
            return
        new = TABLES[1 - TABLES.index(old)] if old else TABLES[0]
        kept = counters(self._netfilter, old) if old and tuple(lines) == before else {}
        ruleset = standin(new, lines)
        early = ruleset.chains["early"]
        idle = msgspec.structs.replace(ruleset, chains={**ruleset.chains, "early": Chain((), early.base)})
        try:
            Nftables().run(repair(idle, counters=kept))
            sets = Sets(self._netfilter, new)
            for name, elements in filled.items():
                info = sets.info(name)
                for at in range(0, len(elements), _SLICE):
                    sets.add(info, elements[at : at + _SLICE])
                    await asyncio.sleep(0)
            begin = f"add chain inet {new} {COUNTS}\n" + "".join(
                f"add rule inet {new} early {rule}\n" for rule in early.rules
            )
            Nftables().run(begin + (f"delete table inet {old}\n" if old else ""))
        except (NetlinkError, NftablesError):
            self._remove(new)
            raise

    def _present(self) -> tuple[str, tuple[str, ...]]:
        """The table that counts, and its lines; one that an earlier process did not get filled counts not.

        By raw netlink: libnftables reads every element of a table to list one of its chains.
        """
        for table in TABLES:
            found: dict[int, str] = {}
            counts = False
            with contextlib.suppress(NetlinkError):  # there is none
                for _, data in self._netfilter.dump(NFTABLES | MSG_GETCHAIN, body(string(CHAIN_TABLE, table))):
                    fields = attribute_map(data)
                    if text(fields.get(CHAIN_TABLE, b"")) == table:
                        name = text(fields[CHAIN_NAME])
                        counts = counts or name == COUNTS
                        found |= line_of(name)
            if counts:
                return table, tuple(found[number] for number in sorted(found))
        return "", ()

    def _remove(self, table: str) -> None:
        Nftables().run(f"table inet {table}\ndelete table inet {table}\n")


def _protected(bundle: Bundle | None, lines: tuple[str, ...]) -> dict[str, Protection]:
    """What the policy wants at those of these lines that it knows."""
    if bundle is None:
        return {}
    wanted = {
        interface: bundle.protections[zone.name]
        for zone in bundle.zones
        if zone.name in bundle.protections
        for interface in zone.interfaces
    }
    return {name: wanted[name] for name in dict.fromkeys(lines) if name in wanted}


def _filled(request: StandIn) -> dict[str, list[Element]]:
    """What stands in which set. Raises ValueError."""
    return {
        f"{name}_v{version}": list(_ranges(getattr(request, f"{name}{version}"), version))
        for name in FILLED
        for version in _SIZE
    }


def _ranges(packed: bytes, version: int) -> Iterator[Element]:
    """Raises ValueError for what is not ascending, disjoint ranges."""
    size = _SIZE[version]
    if len(packed) % (2 * size):
        raise ValueError(f"IPv{version}: not a number of whole ranges")
    before = -1
    for at in range(0, len(packed), 2 * size):
        first = int.from_bytes(packed[at : at + size], "big")
        last = int.from_bytes(packed[at + size : at + 2 * size], "big")
        if not before < first <= last:
            raise ValueError(f"IPv{version}: range {at // (2 * size)} is not behind the one before it")
        before = last
        yield Element(first, last)
