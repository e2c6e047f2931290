"""Events as they come: server-sent events (the HTML standard), resumed with `Last-Event-ID`.

Nothing is held for a client: each has a place in the outbox and reads on when its line takes more. One that takes
nothing for too long is let go, and that is told (`listening.py`); it comes back with its place and misses nothing.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.events.api.asked import MAX_NUMBER, Asked
from appliance.events.api.context import Context, guest_of
from appliance.events.api.problems import bad, wait
from appliance.events.api.stores import Chosen, only

HEARTBEAT = 15.0
_MOST_STREAMS = 4  # of one consumer
_BATCH = 200
_RETRY = b"retry: 2000\n\n"


class Live:
    """The endpoint of live events."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._streams: dict[str, int] = {}
        self._ends = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.get(path, self.live, allow_head=False) for path in ("/live", "/live/")]

    def end(self) -> None:
        """Let everybody go: the gateway stops."""
        self._ends.set()
        self._context.stores.wake()

    async def live(self, request: web.Request) -> web.StreamResponse:
        guest = guest_of(request)
        asked = Asked(request.query, ("kinds", "after"))
        chosen = Chosen(self._begin(request, asked), _BATCH, guest.classes, guest.highest, only(asked.kinds("kinds")))
        if self._streams.get(guest.name, 0) >= _MOST_STREAMS:
            raise wait(f"more than {_MOST_STREAMS} streams at once", 10)
        self._streams[guest.name] = self._streams.get(guest.name, 0) + 1
        try:
            return await self._stream(request, chosen)
        finally:
            self._streams[guest.name] -= 1

    def _begin(self, request: web.Request, asked: Asked) -> int:
        """The number to go on behind: that of the header, of the query, or the newest."""
        last = self._context.stores.outbox.last()
        header = request.headers.get("Last-Event-ID", "").strip()
        if header:
            if not (header.isascii() and header.isdecimal() and len(header) <= 19 and int(header) <= MAX_NUMBER):
                raise bad("`Last-Event-ID` is the number of an event")
            return int(header)
        return asked.number("after", last)

    async def _stream(self, request: web.Request, chosen: Chosen) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        stream = web.StreamResponse(headers=headers)
        await stream.prepare(request)
        guest = guest_of(request)
        try:
            await stream.write(_RETRY)
            # No longer than their consumer is one, with the same rights.
            while self._context.access.guest(guest.name) is guest and not self._ends.is_set():
                page = await self._context.stores.events(chosen)
                if self._context.access.guest(guest.name) is not guest:
                    break  # that took a while, and what came meanwhile is not theirs
                lines = [_event(one.seq, one.kind, one.body) for one in page.events]
                if lines:
                    self._context.exports.add(guest.name, "live events", len(lines))
                    await stream.write(b"".join(lines))
                chosen = msgspec.structs.replace(chosen, after=page.through)
                if page.through >= page.last and not await self._context.stores.came(page.last, HEARTBEAT):
                    await stream.write(b": still here\n\n")
        except ConnectionResetError:
            pass  # they went, or were let go
        return stream


def _event(number: int, kind: str, body: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind.encode(), body)
