"""Where a process listens: the gateway's own addresses that the policy names, each tried again until it is there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from aiohttp import web

from appliance.control.messages.gateway import NameBook
from appliance.serving.accepting import Accepting
from appliance.serving.listening import Listening
from crypto.apitls import TlsContext


def addresses(book: NameBook, listen: Iterable[str], port: int) -> tuple[tuple[str, int], ...]:
    """(address, port) of every place that `listen` names: addresses, and zones in which the gateway has some."""
    interfaces = {zone.name: set(zone.interfaces) for zone in book.zones}
    found: list[str] = []
    for place in listen:
        if place in interfaces:
            own = [one.address.partition("/")[0] for one in book.addresses if one.interface in interfaces[place]]
            found += [str(ip_address(one)) for one in own]
        else:
            found.append(place)
    return tuple((address, port) for address in dict.fromkeys(found))


class Serving:
    """Listens where it is told to; `what` does, as people call it. For one event loop."""

    def __init__(self, application: web.Application, log: Callable[[str], None], what: str) -> None:
        self._listening = Listening(application)
        self._what = what
        self._context: TlsContext | None = None
        self._log = log
        self._wanted: tuple[tuple[str, int], ...] = ()
        self._servers: dict[tuple[str, int], Accepting] = {}
        self._said: dict[tuple[str, int], str] = {}

    async def start(self) -> None:
        await self._listening.start()

    async def stop(self) -> None:
        await self._listening.close()

    def want(self, places: Iterable[tuple[str, int]], context: TlsContext | None) -> None:
        """Listen there from the next `settle` on; nowhere without a context."""
        self._wanted = tuple(places) if context is not None else ()
        self._context = context

    def leave(self) -> None:
        """Listen nowhere until the next `settle`."""
        for place in list(self._servers):
            self._listening.leave(self._servers.pop(place))

    async def settle(self) -> None:
        """Begin to listen where it does not yet, and end it where nobody wants it any more. Call it now and then."""
        for place in [place for place in self._servers if place not in self._wanted]:
            self._listening.leave(self._servers.pop(place))
        self._said = {place: words for place, words in self._said.items() if place in self._wanted}
        for place in self._wanted:
            if place not in self._servers:
                await self._listen(place)

    async def _listen(self, place: tuple[str, int]) -> None:
        address, port = place
        try:
            server = self._listening.at(_bound(address, port), self._context)
        except OSError as error:  # the interface is not up yet, or somebody else listens there
            words = f"{self._what} cannot listen at {address} port {port}: {error.strerror or error}"
            if self._said.get(place) != words:
                self._said[place] = words
                self._log(words)
            return
        self._said.pop(place, None)
        self._servers[place] = server

    @property
    def places(self) -> tuple[str, ...]:
        """Where it listens, as people write it: `10.20.0.1:8443`, `[2001:db8::1]:8443`."""
        return tuple(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in self._servers
        )

    @property
    def words(self) -> str:
        """Why it does not listen where it should."""
        return "; ".join(self._said.values())


def _bound(address: str, port: int) -> socket.socket:
    """Raises OSError."""
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.setblocking(False)
        found.bind((address, port))
    except OSError:
        found.close()
        raise
    return found
