"""What alertd itself reports for all of the gateway: another generation, what is there, how it is. Pure but for the
machine's name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from appliance import __version__
from appliance.control.messages.events import ConsumerList
from appliance.control.messages.gateway import NameBook, StatusReport
from appliance.events import own
from appliance.events.record import Event

EVERY = 300.0  # seconds between two reports of health, when it does not change


def of_generation(book: NameBook, previous: int) -> tuple[Event, Event]:
    """That it is in force, and what is there by it."""
    now = time.time()
    policy = own.Policy(book.generation, previous, len(book.rules), len(book.consumers))
    machine = os.uname()
    inventory = own.Inventory(__version__, f"{machine.sysname} {machine.release} {machine.machine}", places(book))
    return own.event(policy, seconds=now, host=book.site), own.event(inventory, seconds=now, host=book.site)


def places(book: NameBook) -> tuple[own.Place, ...]:
    return tuple(
        own.Place(
            zone=zone.name,
            interfaces=zone.interfaces,
            external=zone.external,
            networks=book.networks.get(zone.name, ()),
            addresses=tuple(one.address for one in book.addresses if one.interface in zone.interfaces),
        )
        for zone in book.zones
    )


def health(status: StatusReport, consumers: ConsumerList, now: float) -> own.Health:
    waiting = tuple(
        own.Waiting(one.name, one.waiting, max(0, int(now - one.seen)) if one.seen else -1)
        for one in consumers.consumers
    )
    return own.Health(
        well=not status.drift and consumers.room == "all" and not consumers.words,
        generation=status.running,
        confirmed=status.confirmed,
        drift=status.drift,
        room=consumers.room,
        used=consumers.used,
        size=consumers.size,
        consumers=waiting,
    )


class Regular:
    """When health is to be reported: each five minutes, and at once when it changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -EVERY
        self._state: tuple[str, str, int] | None = None

    def due(self, status: StatusReport, room: str, consumers: Callable[[], ConsumerList]) -> Event | None:
        """The event, or None. `consumers` is asked only when there is something to say of them."""
        state = (status.drift, room, status.running)
        if state == self._state and self._clock() - self._last < EVERY:
            return None
        self._last, self._state = self._clock(), state
        now = time.time()
        return own.event(health(status, consumers(), now), seconds=now, host=status.site)
