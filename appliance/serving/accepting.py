"""Takes connections in, each with a place of its own from the first packet on: a handshake that nobody ends holds one
too, and where all are held the oldest at which nobody is known makes room for who comes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

BACKLOG = 256
_AT_ONCE = 64  # connections taken in before others have their turn
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LATER = 0.5  # seconds until more are taken in where the system has no room
_AT_ONCE_GONE = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets, and nothing is kept of it


class Held(Protocol):
    """What holds a place."""

    @property
    def known(self) -> bool:
        """Somebody was recognised there."""

    @property
    def at_rest(self) -> bool:
        """Nothing is answered there just now."""

    def cut(self) -> None:
        """End it at once."""


class Place:
    """What one connection takes up. `by` is None while TLS has not begun."""

    __slots__ = ("address", "by")

    def __init__(self, address: str) -> None:
        self.address = address
        self.by: Held | None = None


class Room:
    """Places: so many in all, and so many for one address."""

    def __init__(self, most: int, of_address: int) -> None:
        self._most = most
        self._of_address = of_address
        self._places: dict[Place, None] = {}  # the oldest first
        self._addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def place(self, address: str) -> Place | None:
        """One for a connection from there; None where people whom one knows have them all."""
        if self._addresses[address] >= self._of_address and not self._made(address):
            return None
        if len(self._places) >= self._most and not self._made(""):
            return None
        made = Place(address)
        self._places[made] = None
        self._addresses[address] += 1
        return made

    def free(self, place: Place) -> None:
        if place in self._places:
            del self._places[place]
            self._addresses[place.address] -= 1
            if not self._addresses[place.address]:
                del self._addresses[place.address]

    def _made(self, address: str) -> bool:
        """Make room: of a stranger who waits, else of one who is answered."""
        strangers = [
            one
            for one in self._places
            if one.by is not None and not one.by.known and (not address or one.address == address)
        ]
        chosen = next((one for one in strangers if one.by is not None and one.by.at_rest), None)
        chosen = chosen or next(iter(strangers), None)
        if chosen is None or chosen.by is None:
            return False
        self.free(chosen)
        chosen.by.cut()
        return True


class _Shaking:
    """TLS begins, or does not."""

    known, at_rest = False, True

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def cut(self) -> None:
        self._task.cancel()


class Accepting:
    """A socket that is bound, and whoever comes to it. `make` makes a connection's protocol of its place."""

    def __init__(
        self,
        bound: socket.socket,
        make: Callable[[Place], asyncio.Protocol],
        room: Room,
        tls: Any,
        handshake: float,
    ) -> None:
        self._bound = bound
        self._make = make
        self._room = room
        self._tls = tls
        self._handshake = handshake
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._shaking: set[asyncio.Task[None]] = set()
        bound.listen(BACKLOG)
        self._loop.add_reader(bound, self._come)

    @property
    def port(self) -> int:
        return int(self._bound.getsockname()[1])

    def close(self) -> None:
        """Take nobody in any more; who is in stays."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._bound)
        self._bound.close()

    def _come(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                taken, peer = self._bound.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL:  # it stays readable: looked at again in a while
                    self._loop.remove_reader(self._bound)
                    self._later = self._loop.call_later(_LATER, self._loop.add_reader, self._bound, self._come)
                    return
                continue  # they went before they were taken in
            place = self._room.place(str(peer[0]) if isinstance(peer, tuple) else "")
            if place is None:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE_GONE)
                taken.close()
                continue
            task = self._loop.create_task(self._take(taken, place))
            place.by = _Shaking(task)
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _take(self, taken: socket.socket, place: Place) -> None:
        shaking = place.by
        taken.setblocking(False)
        try:
            with contextlib.suppress(OSError):  # TLS failed, or took too long
                await self._loop.connect_accepted_socket(
                    lambda: self._make(place),
                    taken,
                    ssl=self._tls,
                    ssl_handshake_timeout=self._handshake if self._tls is not None else None,
                )
        finally:
            if place.by is shaking:  # no connection was made of it
                self._room.free(place)
                taken.close()
