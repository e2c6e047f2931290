"""What applyd read of the kernel for policyd to understand: now, after each load, and what a drift had made of it."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable

import msgspec

from appliance.control.kernel.bantable import BANS
from appliance.control.kernel.indicatedtable import INDICATED
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.readback import snapshot
from appliance.control.messages.readback import LONGEST_WAIT, ReadBack, ReadBackOf, Why
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.readback.kernel import Snapshot

# A snapshot of 100,000 rules is some 60 MB; packed it is a tenth and less.
UNPACKED_LIMIT = 1 << 29


class Unreadable(Exception):
    """The bytes are no packed snapshot, or one beyond all bounds."""


# Smaller ones are carried as they are: packing takes longer than carrying.
_PACKED_FROM = 16 << 20
_PLAIN, _DEFLATED = b"p", b"z"


def pack(found: Snapshot) -> bytes:
    data = msgspec.msgpack.encode(found)
    return _PLAIN + data if len(data) < _PACKED_FROM else _DEFLATED + zlib.compress(data, 1)


def unpack(packed: bytes) -> Snapshot:
    """Raises `Unreadable`."""
    kind, data = packed[:1], packed[1:]
    try:
        if kind == _DEFLATED:
            inflater = zlib.decompressobj()
            data = inflater.decompress(data, UNPACKED_LIMIT)
            if inflater.unconsumed_tail or not inflater.eof:
                raise Unreadable(f"a snapshot of more than {UNPACKED_LIMIT} bytes, or one cut short")
        elif kind != _PLAIN:
            raise Unreadable("neither a plain snapshot nor a deflated one")
        return msgspec.msgpack.decode(data, type=Snapshot)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not a snapshot: {error}") from error


class Readings:
    """The readings of one gateway. `running` gives the bundle that runs."""

    def __init__(self, running: Callable[[], Bundle | None], log: Callable[[str], None]) -> None:
        self._running = running
        self._log = log
        self._serial = 0
        self._drift: ReadBackOf | None = None
        self._news = asyncio.Event()

    def loaded(self) -> None:
        """The kernel holds something new of ours."""
        self._new()

    async def drifted(self) -> None:
        """Keep what somebody made of the table, before it is repaired."""
        serial = self._serial + 1
        reading = await self._read(serial, "drift")
        if reading.packed:
            self._drift = reading
            self._new()

    def _new(self) -> None:
        self._serial += 1
        self._news.set()
        self._news = asyncio.Event()

    async def answer(self, request: ReadBack) -> ReadBackOf:
        if request.after < 0:
            return await self._read(self._serial, "asked")
        if request.after >= self._serial:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(request.wait, LONGEST_WAIT))
        if self._drift is not None:
            # Kept until somebody asks for what is newer: an answer may be lost with its connection.
            if self._drift.serial > request.after:
                return self._drift
            self._drift = None
        bundle = self._running()
        return ReadBackOf(self._serial, bundle.generation if bundle is not None else 0, "loaded")

    async def _read(self, serial: int, why: Why) -> ReadBackOf:
        bundle = self._running()
        if bundle is None:
            return ReadBackOf(serial, 0, why)
        live = frozenset(name for name, declared in bundle.ruleset.sets.items() if declared.live)
        sysctls = tuple(bundle.sysctls)

        def work() -> bytes:
            return pack(snapshot(sysctls, live | BANS.sets.keys() | INDICATED.sets.keys()))

        try:
            packed = await asyncio.to_thread(work)
        except NetlinkError as error:
            self._log(f"the ruleset cannot be read back: {error}")
            packed = b""
        return ReadBackOf(serial, bundle.generation, why, packed)
