"""Where the API listens: the gateway's own addresses that the policy names, each tried again until it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address

from aiohttp import web

from appliance.control.messages import NameBook
from crypto.apitls import TlsContext

_BACKLOG = 256


def addresses(book: NameBook) -> tuple[tuple[str, int], ...]:
    """(address, port) of every place at which `alerts.listen` says that the gateway answers."""
    interfaces = {zone.name: set(zone.interfaces) for zone in book.zones}
    found: list[str] = []
    for place in book.alerts.listen:
        if place in interfaces:
            own = [one.address.partition("/")[0] for one in book.addresses if one.interface in interfaces[place]]
            found += [str(ip_address(one)) for one in own]
        else:
            found.append(place)
    return tuple((address, book.alerts.port) for address in dict.fromkeys(found))


class Serving:
    """Listens where it is told to. For one event loop."""

    def __init__(self, application: web.Application, log: Callable[[str], None]) -> None:
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        self._context: TlsContext | None = None
        self._log = log
        self._wanted: tuple[tuple[str, int], ...] = ()
        self._sites: dict[tuple[str, int], web.TCPSite] = {}
        self._said: dict[tuple[str, int], str] = {}

    async def start(self) -> None:
        await self._runner.setup()

    async def stop(self) -> None:
        await self._runner.cleanup()

    def want(self, places: Iterable[tuple[str, int]], context: TlsContext | None) -> None:
        """Listen there from the next `settle` on; nowhere without a context."""
        self._wanted = tuple(places) if context is not None else ()
        self._context = context

    async def settle(self) -> None:
        """Begin to listen where it does not yet, and end it where nobody wants it any more. Call it now and then."""
        for place in [place for place in self._sites if place not in self._wanted]:
            await self._sites.pop(place).stop()
        self._said = {place: words for place, words in self._said.items() if place in self._wanted}
        for place in self._wanted:
            if place not in self._sites:
                await self._listen(place)

    async def _listen(self, place: tuple[str, int]) -> None:
        address, port = place
        site = web.TCPSite(self._runner, address, port, ssl_context=self._context, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:  # the interface is not up yet, or somebody else listens there
            words = f"the API cannot listen at {address} port {port}: {error.strerror or error}"
            if self._said.get(place) != words:
                self._said[place] = words
                self._log(words)
            return
        self._said.pop(place, None)
        self._sites[place] = site

    @property
    def places(self) -> tuple[str, ...]:
        """Where it listens, as people write it: `10.20.0.1:8443`, `[2001:db8::1]:8443`."""
        return tuple(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in self._sites
        )

    @property
    def words(self) -> str:
        """Why it does not listen where it should."""
        return "; ".join(self._said.values())
