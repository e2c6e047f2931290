"""Connections, and how long somebody may keep one without asking or taking: what stands before the application.

aiohttp waits for ever for the head of a first request, and for a client that does not read. Each connection here has
a deadline for the next head, and while bytes wait to be taken some must go all the time; who is beyond is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from appliance.serving.accepting import Accepting, Place, Room

# Told of somebody who took nothing: their name ("" where nobody was known), words, the address.
Tell = Callable[[str, str, str], None]

# tcpi_unacked, tcpi_bytes_acked and tcpi_notsent_bytes of struct tcp_info (linux/tcp.h).
_TCP_INFO = struct.Struct("=24xI92xQ16xI4x")


class Limits(msgspec.Struct, frozen=True):
    """Seconds and numbers of connections. `slowest` are the bytes a second that a client must take."""

    connections: int = 512
    of_address: int = 64
    handshake: float = 10.0
    head: float = 10.0  # from the connection, or the end of what was kept alive, to a whole head
    idle: float = 75.0
    stalled: float = 20.0  # between two looks at what waits to be taken
    slowest: int = 256


class Connections:
    """Those that are open, by transport."""

    def __init__(self, tell: Tell, limits: Limits) -> None:
        self.tell = tell
        self.limits = limits
        self.room = Room(limits.connections, limits.of_address)
        self._open: dict[int, _Guarded] = {}

    def __len__(self) -> int:
        return len(self.room)

    def begin(self, transport: asyncio.BaseTransport | None) -> None:
        """A request's head is there."""
        guarded = self._open.get(id(transport))
        if guarded is not None:
            guarded.begin()

    def known(self, transport: asyncio.BaseTransport | None, name: str) -> None:
        """Who asks."""
        guarded = self._open.get(id(transport))
        if guarded is not None:
            guarded.name = name

    def end(self, transport: asyncio.BaseTransport | None) -> None:
        """It is answered."""
        guarded = self._open.get(id(transport))
        if guarded is not None:
            guarded.end()

    def renew(self) -> None:
        """Whoever asks from now on comes by a connection of their own: those at rest are closed, and one that is
        answered just now is `old`."""
        for guarded in list(self._open.values()):
            guarded.grow_old()

    def old(self, transport: asyncio.BaseTransport | None) -> bool:
        """Whether the connection was there before the last `renew`."""
        guarded = self._open.get(id(transport))
        return guarded is not None and guarded.old

    def enter(self, transport: asyncio.BaseTransport, guarded: _Guarded) -> None:
        self._open[id(transport)] = guarded

    def leave(self, transport: asyncio.BaseTransport) -> None:
        self._open.pop(id(transport), None)


CONNECTIONS: web.AppKey[Connections] = web.AppKey("connections", Connections)


class _Guarded(asyncio.Protocol):
    """A connection: all it hears goes on to `inner`, and clocks run beside. It has the place from here on."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections, place: Place) -> None:
        self._inner = inner
        self._connections = connections
        self._place = place
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._waited, self._taken = False, 0  # at the last look
        self._answering = False
        self.old = False
        self.name = ""  # of who asked last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._place.by = self
        self._connections.enter(transport, self)
        self._inner.connection_made(transport)
        self._arm(self._connections.limits.head)
        self._look_later()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return
        self._connections.leave(self._transport)
        self._connections.room.free(self._place)
        self._transport = None
        for clock in (self._deadline, self._looking):
            if clock is not None:
                clock.cancel()
        self._inner.connection_lost(error)

    @property
    def known(self) -> bool:
        return bool(self.name)

    @property
    def at_rest(self) -> bool:
        return not self._answering

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    # --- the next head ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._answering = True
        if self._deadline is not None:
            self._deadline.cancel()

    def grow_old(self) -> None:
        self.old = True
        if not self._answering and self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        self._answering = False
        limits = self._connections.limits
        self._arm(limits.idle + limits.head)

    def _arm(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._transport is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self._cut)

    def _cut(self) -> None:
        if self._transport is None:
            return
        waits, _ = _taken(self._transport)
        if waits:
            self._arm(self._connections.limits.head)  # a long answer on a thin line; whether it goes on is looked at
        else:
            self._transport.abort()

    # --- what is not taken ------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(self._connections.limits.stalled, self._look)

    def _look(self) -> None:
        if self._transport is None:
            return
        limits, before = self._connections.limits, self._taken
        waits, self._taken = _taken(self._transport)
        if self._waited and waits and self._taken - before < limits.slowest * limits.stalled:
            words = f"took less than {limits.slowest} bytes a second of an answer and was cut off"
            self._connections.tell(self.name, words, _address(self._transport))
            self._transport.abort()
            return
        self._waited = waits
        self._look_later()


def _taken(transport: asyncio.Transport) -> tuple[bool, int]:
    """Whether bytes wait for the other side, and how many it took so far. TCP knows that, whatever is between."""
    info = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    unacknowledged, taken, unsent = _TCP_INFO.unpack(info.ljust(_TCP_INFO.size, b"\0"))
    return unacknowledged + unsent > 0, taken


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def _quiet() -> logging.Logger:
    """aiohttp's own log without what anybody can fill it with: requests that are no HTTP."""
    found = logging.getLogger("aiohttp.server").getChild("quiet")
    found.filters[:] = [_is_ours]
    return found


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


class Listening:
    """An application that answers wherever it is told to; `close` ends it."""

    def __init__(self, app: web.Application) -> None:
        self._connections = app[CONNECTIONS]
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=self._connections.limits.idle,
            shutdown_timeout=5.0, auto_decompress=False, logger=_quiet(),
        )  # fmt: skip
        self._taking: list[Accepting] = []

    async def start(self) -> None:
        await self._runner.setup()

    def at(self, bound: socket.socket, tls: Any = None) -> Accepting:
        """Answer at this socket too; `tls` is the context of a server (`ssl.SSLContext`). `leave` ends it. Raises
        OSError."""
        make = cast(Callable[[], asyncio.Protocol], self._runner.server)
        connections = self._connections
        taking = Accepting(
            bound,
            lambda place: _Guarded(make(), connections, place),
            connections.room,
            tls,
            connections.limits.handshake,
        )
        self._taking.append(taking)
        return taking

    def leave(self, taking: Accepting) -> None:
        """Take nobody in any more there; who is in stays."""
        self._taking.remove(taking)
        taking.close()

    @property
    def connections(self) -> Connections:
        return self._connections

    @property
    def ports(self) -> list[int]:
        return [one.port for one in self._taking]

    async def close(self) -> None:
        for one in self._taking:
            one.close()
        await self._runner.cleanup()


async def listen(app: web.Application, sockets: list[socket.socket], tls: Any = None) -> Listening:
    """Answer at these sockets, which are bound; `tls` is the context of a server (`ssl.SSLContext`).

    Every answer carries personal data: without `tls` is for tests, and behind what ends TLS on the same box.
    """
    listening = Listening(app)
    await listening.start()
    for one in sockets:
        listening.at(one, tls)
    return listening
