"""The lines of the gateway, read from the kernel: how they are, where they lead, and who is not registered."""

from __future__ import annotations

import time
from collections.abc import Callable

from appliance.control.applying.linewatch import LineWatch, Place
from appliance.control.daemon import Log
from appliance.control.kernel.register import Register
from appliance.control.kernel.register import words as words_of_line
from appliance.control.kernel.rtnetlink import Routing
from appliance.control.messages.lines import LineList, Lines
from appliance.events.record import UNREGISTERED_LINE
from appliance.policy.compiling.bundle import Bundle

_EVERY = 5.0  # seconds between looks at the lines


class LineDesk:
    """What applyd knows of the lines. `bundle` is what runs."""

    def __init__(self, routing: Routing, bundle: Callable[[], Bundle | None], log: Log) -> None:
        self._routing = routing
        self._bundle = bundle
        self._log = log
        self._register = Register()
        self._watch = LineWatch(time.time())
        self._next = time.monotonic()

    def tick(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self.look()

    def look(self) -> None:
        """A line that carries traffic and is not registered is itself an alert (R2)."""
        bundle = self._bundle()
        if bundle is None:  # everything is closed, and nothing says yet what belongs where
            return
        lines, now = self._routing.lines(), time.monotonic()
        wanted = frozenset(_places(bundle))
        self._watch.look(lines, wanted, time.time(), now)
        for line in self._register.look(lines, wanted, now):
            self._log.alert(UNREGISTERED_LINE, "Unregistered line", words_of_line(line), line.name)

    def complaints(self) -> list[str]:
        """The lines that nobody registered, in words."""
        self.look()
        return [words_of_line(line) for line in self._register.unregistered]

    def names(self) -> dict[int, str]:
        return {link.index: link.name for link in self._routing.links().values()}

    def lines(self, request: Lines, bundle: Bundle) -> LineList:
        self.look()
        addresses: dict[int, list[str]] = {}
        for one in sorted(self._routing.addresses()):
            addresses.setdefault(one.index, []).append(one.address)
        return self._watch.listed(bundle.generation, _places(bundle), addresses, request.name)


def _places(bundle: Bundle) -> dict[str, Place]:
    places = {name: Place(zone=zone.name) for zone in bundle.zones for name in zone.interfaces}
    for bridge in bundle.bridges:
        for name in bridge.between:
            places.setdefault(name, Place(bridge=bridge.name))
    return places
