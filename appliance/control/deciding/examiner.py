"""Does the kernel run what the policy means? Asked after each load, on drift, and by `reef doctor`.

applyd reads, for it may; policyd understands, for it knows the policy. The work is done in a thread and some time
after the load, so that an apply does not wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from appliance.control.applying.readings import Unreadable, unpack
from appliance.control.daemon import Log
from appliance.control.deciding.numbering import OutOfNumbers
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages.gateway import NameBook, Names, Show, Shown
from appliance.control.messages.readback import LONGEST_WAIT, ReadBack, ReadBackOf, Runs
from appliance.events.record import RULESET_DIFFERS
from appliance.policy.model import Policy
from appliance.policy.readback.equivalence import Equivalence, Intent, equivalence, intent_of

_QUIET = 2.0  # seconds after a load in which the next one may come
_PATIENCE = 30.0  # seconds of one load after another, after which it is compared all the same
_TRIES = 3  # readings, while generations change
_AWAY = 2.0  # seconds until applyd is asked again
_TOLD = 20  # differences that are told; more are counted
_ALERTED = 3  # of them in the words of an alert

Meant = Callable[[], Awaitable[Policy | None]]
Capabilities = Callable[[], Awaitable[frozenset[str]]]


class Examiner:
    """`policy` gives the running policy, None where nothing runs or its text no longer parses; `applyd` is the socket
    of that process."""

    def __init__(self, applyd: Path, policy: Meant, capabilities: Capabilities, log: Log) -> None:
        self._applyd = applyd
        self._policy = policy
        self._capabilities = capabilities
        self._log = log
        self._one = asyncio.Lock()
        self._begun = 0.0  # when the latest comparison began that was asked for, and what came of it
        self._shared: Runs | None = None
        self._drifted: tuple[str, ...] = ()
        self._drifted_at = 0.0
        self.latest: Runs | None = None

    async def _read(self, after: int = -1, wait: float = LONGEST_WAIT) -> ReadBackOf:
        return await call_async(self._applyd, ReadBack(after, wait), ReadBackOf, timeout=LONGEST_WAIT + 60)

    async def _meant(self) -> Intent | None:
        """What is to run, as far as it can be known."""
        policy = await self._policy()
        if policy is None:
            return None
        book = await call_async(self._applyd, Names(), NameBook)
        shown = await call_async(self._applyd, Show(book.generation), Shown)
        numbers = {rule.id: rule.number for rule in book.rules}
        return intent_of(policy, book.generation, numbers, int(shown.summary.created), await self._capabilities())

    async def watch(self) -> None:
        """Compare whenever something new is in the kernel, for as long as this process lives."""
        serial = 0
        while True:
            try:
                news = await self._read(serial)
                if news.serial != serial:
                    serial = await self._settled(news)
                    await self._look()
            except (DaemonAway, ProtocolError, RefusedError, OutOfNumbers, OSError):
                await asyncio.sleep(_AWAY)  # a full disk is no reason never to look again

    async def _settled(self, news: ReadBackOf) -> int:
        """Wait until nothing newer comes for a while; the newest serial."""
        begun = time.monotonic()
        while True:
            if news.why == "drift":
                await self._drift(news)
            newer = await self._read(news.serial, _QUIET)
            patient = time.monotonic() - begun < _PATIENCE or newer.why == "drift"
            if newer.serial == news.serial or not patient:
                return newer.serial
            news = newer

    async def _look(self) -> None:
        found = await self.now()
        if found is None or found.equal:
            return
        if found.differences:
            words = "; ".join(found.differences[:_ALERTED])
            self._log.alert(
                RULESET_DIFFERS,
                "Ruleset differs from policy",
                f"the kernel does not run what generation {found.generation} means: {words}",
            )
        else:
            self._log(f"whether the kernel runs generation {found.generation} cannot be told: {found.unknown[0]}")

    async def now(self) -> Runs | None:
        """Read the kernel and compare; None where nothing is to run. Who waited meanwhile shares the answer."""
        asked = time.monotonic()
        async with self._one:
            if self._begun > asked:
                return self._shared
            begun = time.monotonic()
            self._shared = await self._now()
            self._begun = begun
            return self._shared

    async def _now(self) -> Runs | None:
        reading, intent = await self._read(), await self._meant()
        for _ in range(_TRIES):
            if intent is None or intent.generation == reading.generation:
                break
            reading, intent = await self._read(), await self._meant()
        if intent is None or not reading.generation:
            return None
        self.latest = await self._compare(reading, intent)
        return self.latest

    async def _drift(self, reading: ReadBackOf) -> None:
        intent = await self._meant()
        if intent is None or not reading.generation:
            return
        found = await self._compare(reading, intent)
        self._drifted = found.differences or found.unknown or ("no first packet was decided otherwise",)
        self._drifted_at = found.at
        words = "; ".join(self._drifted[:_ALERTED])
        self._log.alert(
            RULESET_DIFFERS, "Ruleset changed by hand", f"somebody changed the ruleset, and meanwhile: {words}"
        )

    async def _compare(self, reading: ReadBackOf, intent: Intent) -> Runs:
        words = ""
        if not reading.packed:
            words = "the ruleset cannot be read back"
        elif intent.generation != reading.generation:
            words = f"generation {reading.generation} was read while {intent.generation} was looked at"
        if not words:
            try:
                return self._told(await asyncio.to_thread(_examine, reading.packed, intent))
            except Unreadable as error:
                words = str(error)
            except (ValueError, LookupError, RecursionError, MemoryError) as error:
                # Bytes that no kernel writes, or more of them than can be held: that is told, too.
                words = f"what was read cannot be understood: {type(error).__name__} {error}"
        return self._told(Equivalence(intent.generation, equal=False, unknown=(words,), taken=time.time()))

    def _told(self, found: Equivalence) -> Runs:
        return Runs(
            generation=found.generation,
            at=found.taken,
            equal=found.equal,
            differences=tuple(each.words for each in found.differences[:_TOLD]),
            more=found.more + max(0, len(found.differences) - _TOLD),
            unknown=found.unknown[:_TOLD],
            unread=found.unread,
            assumed=found.assumed,
            places=found.places,
            cases=found.cases,
            seconds=found.seconds,
            drifted=self._drifted[:_TOLD],
            drifted_at=self._drifted_at,
        )


def _examine(packed: bytes, intent: Intent) -> Equivalence:
    begun = time.perf_counter()
    found = equivalence(unpack(packed), intent)
    return msgspec.structs.replace(found, seconds=time.perf_counter() - begun)
