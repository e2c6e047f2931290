"""Events as they come, for everybody who looks (server-sent events): made once, kept for a while, sent to all.

Nothing is queued for a viewer: each has a place in one ring and reads on when its line takes more. Who falls off the
end, or was away for too long, is told `reset` and asks for everything anew.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, get_args

import msgspec
from aiohttp import web

from appliance.console import problems
from appliance.console.callers import Caller
from appliance.policy.roles import Permission

Kind = Literal["status", "alert", "flow", "lines", "proposal", "draft", "health", "link"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAMED: frozenset[Kind] = frozenset({"flow", "lines"})  # what costs the gateway work: for who names it

HEARTBEAT = 15.0  # seconds
_RING = 4096  # events
_MOST_STREAMS = 8  # of one person
_RETRY = b"retry: 2000\n\n"
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class _Event(msgspec.Struct, frozen=True):
    kind: Kind
    permission: Permission
    person: str
    frame: bytes

    def is_for(self, caller: Caller, kinds: frozenset[str]) -> bool:
        return (
            _wants(kinds, self.kind)
            and caller.may(self.permission)
            and (not self.person or self.person == caller.person)
        )


class Watcher(msgspec.Struct, frozen=True):
    """Somebody who looks on, and by which connection (in the form of SSH_CONNECTION)."""

    person: str
    session: str
    kinds: frozenset[str]


def _wants(kinds: frozenset[str], kind: Kind) -> bool:
    return kind in kinds or (not kinds and kind not in NAMED)


class Live:
    """The ring. For one event loop. Events have the name `<life>-<number>`: another life has other numbers."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)
        self._ring: deque[_Event] = deque(maxlen=_RING)
        self._last = 0  # number of the newest
        self._states: dict[Kind, _Event] = {}
        self._came = asyncio.Event()
        self._ended = False
        self._streams: Counter[str] = Counter()
        self._watchers: dict[int, Watcher] = {}  # by number, the oldest first
        self._watched = 0

    def publish(
        self, kind: Kind, value: object, *, permission: Permission = "look", person: str = "", state: bool = False
    ) -> None:
        """Send it to who may see it, or to `person` alone. What is a `state` is what who comes later gets first."""
        self._last += 1
        name = f"{self._life}-{self._last}".encode()
        frame = b"id: %s\nevent: %s\ndata: %s\n\n" % (name, kind.encode(), msgspec.json.encode(value))
        event = _Event(kind, permission, person, frame)
        self._ring.append(event)
        if state:
            self._states[kind] = event
        self._wake()

    def _wake(self) -> None:
        self._came.set()
        self._came = asyncio.Event()

    def end(self) -> None:
        """Let everybody go."""
        self._ended = True
        self._wake()

    @property
    def viewers(self) -> int:
        return self._streams.total()

    def watcher(self, kind: Kind) -> Watcher | None:
        """Somebody who looks at what is of that kind now; None: nobody does.

        The console has no rights of its own: what it follows for all who look it asks for in the name of one of them.
        """
        return next((one for one in self._watchers.values() if _wants(one.kinds, kind)), None)

    async def stream(
        self,
        request: web.Request,
        caller: Caller,
        kinds: frozenset[str],
        still: Callable[[], bool],
        session: str = "",
    ) -> web.StreamResponse:
        """Answer with what comes, for as long as `still` says that they may have it. Raises `Problem`."""
        if self._streams[caller.person] >= _MOST_STREAMS:
            raise problems.wait(f"more than {_MOST_STREAMS} streams at once", 10)
        response = web.StreamResponse(headers=_HEADERS)
        self._streams[caller.person] += 1
        self._watched += 1
        number = self._watched
        self._watchers[number] = Watcher(caller.person, session, kinds)
        try:
            await response.prepare(request)
            await self._send(response, caller, kinds, still, request.headers.get("Last-Event-ID", ""))
        except ConnectionResetError:
            pass  # they went, or were let go
        finally:
            del self._watchers[number]
            self._streams[caller.person] -= 1
            if not self._streams[caller.person]:
                del self._streams[caller.person]
        return response

    async def _send(
        self,
        response: web.StreamResponse,
        caller: Caller,
        kinds: frozenset[str],
        still: Callable[[], bool],
        seen: str,
    ) -> None:
        place = self._place(seen)
        first = [_RETRY]
        if place is None:
            place = self._last
            first += [b"event: reset\ndata: {}\n\n"] if seen else []
            first += [one.frame for one in self._states.values() if one.is_for(caller, kinds)]
        await response.write(b"".join(first))
        while not self._ended and still():
            came = self._came  # before the look: what comes between is not missed
            if place < self._last - len(self._ring):
                return  # too slow: what they missed is gone; they come back and are told
            frames = [one.frame for one in self._behind(place) if one.is_for(caller, kinds)]
            place = self._last
            if frames:
                await response.write(b"".join(frames))
                continue
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await came.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")

    def _behind(self, place: int) -> list[_Event]:
        count = self._last - place
        return [self._ring[index] for index in range(len(self._ring) - count, len(self._ring))]

    def _place(self, seen: str) -> int | None:
        """The number to go on behind; None where that is not known any more."""
        life, _, number = seen.partition("-")
        if life != self._life or not (number.isascii() and number.isdecimal() and len(number) < 19):
            return None
        place = int(number)
        return place if self._last - len(self._ring) <= place <= self._last else None
