"""What all answers are made from, and what is told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from aiohttp import web

from appliance.events.api.access import Access, Guest, Tell, Told
from appliance.events.api.stores import Stores
from appliance.events.tlp import Tlp


class Outcome(msgspec.Struct, frozen=True):
    """What became of an object that a consumer gave: taken, or why not. `version` is its `modified`."""

    id: str
    version: str
    taken: bool
    words: str = ""


# Objects of STIX that a consumer gave, each as its bytes; one outcome for each, in their order.
Inbox = Callable[[str, list[bytes]], Awaitable[list[Outcome]]]
# The values of a list of indicators in force ("addresses", "domains", "urls", "hashes") up to a label.
Listed = Callable[[str, Tlp], Iterable[str]]


class Exports:
    """What was given to whom, added up, so that the trail has a line a minute and not one for each page."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, consumer: str, what: str, count: int) -> None:
        if count:
            self._counts[consumer, what] += count

    def flush(self) -> None:
        counts, self._counts = self._counts, Counter()
        for (consumer, what), count in counts.items():
            self._tell(Told("export", consumer, what, count=count))


class Context(msgspec.Struct, frozen=True):
    """`site` is this gateway's; `clock` gives microseconds since the epoch. `inbox` takes what consumers give,
    `listed` knows the indicators in force: without them nothing is taken, and there are no such lists."""

    site: str
    stores: Stores
    access: Access
    exports: Exports
    clock: Callable[[], int]
    inbox: Inbox | None = None
    listed: Listed | None = None
    contact: str = ""


GUEST: web.RequestKey[Guest] = web.RequestKey("guest", Guest)


def guest_of(request: web.Request) -> Guest:
    """Who asks."""
    return request[GUEST]
