"""What readers of the log see: the events of every process, chosen, in the order of their time.

Pure choosing (`Selection`) apart from reading (`past`, `follow`). An event whose line cannot be read is
counted as lost; nothing is dropped without a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import msgspec

from appliance.events import record
from appliance.events.reader import POLL_SECONDS, Batch, Reader
from appliance.events.record import Event
from appliance.events.segments import blocks, segments
from appliance.events.split import ALERTS

# Processes write on their own: lines of one moment reach two spools within this many seconds.
_SKEW_SECONDS = 1.0
REGULAR = frozenset({"stats", "health", "inventory"})


class Lost(msgspec.Struct, frozen=True):
    """`records` events of this process are not in its spool any more, or never were."""

    process: str
    records: int


class Selection(msgspec.Struct, frozen=True):
    """Which events to show. An empty tuple chooses all; times are seconds since the epoch.

    What comes again and again (`REGULAR`) is shown only to who asks for it.
    """

    since: float | None = None
    until: float | None = None
    types: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    flow: int = 0  # the number of a flow

    def chooses(self, event: Event) -> bool:
        decision = event.decision
        return (
            (event.event_type in self.types if self.types else event.event_type not in REGULAR)
            and (not self.rules or decision.rule in self.rules)
            and (not self.actions or decision.action in self.actions)
            and (not self.zones or decision.source in self.zones or decision.destination in self.zones)
            and (not self.flow or event.flow_id == self.flow)
            and (not self.networks or self._touches(event))
            and self._in_time(event)
        )

    def _touches(self, event: Event) -> bool:
        addresses = [ip_address(words) for words in (event.src_ip, event.dest_ip) if words]
        return any(address in network for address in addresses for network in self.networks)

    def _in_time(self, event: Event) -> bool:
        if self.since is None and self.until is None:
            return True
        moment = event.time.timestamp()
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


def spools(events: Path) -> dict[str, Path]:
    """The spools below `events`, by the process's name, and `<process>/alerts` where its alerts lie apart."""
    found: dict[str, Path] = {}
    for path in sorted(events.iterdir()) if events.is_dir() else ():
        if path.is_dir():
            found[path.name] = path
            if (path / ALERTS).is_dir():
                found[f"{path.name}/{ALERTS}"] = path / ALERTS
    return found


def _events(process: str, batch: Batch) -> Iterator[Event | Lost]:
    if batch.lost:
        yield Lost(process, batch.lost)
    for line in batch.lines:
        try:
            yield record.decode(line)
        except msgspec.DecodeError:
            yield Lost(process, 1)


def _last_of(process: str, directory: Path, selection: Selection, limit: int) -> list[Event]:
    """The last chosen events of a spool: from its newest segment backwards, no further than needed."""
    found: list[Event] = []
    for _, path in reversed(segments(directory)):
        batches = (Batch(block.serial, tuple(block.lines)) for block in blocks(path))
        events = (event for batch in batches for event in _events(process, batch))
        found = [event for event in events if isinstance(event, Event) and selection.chooses(event)] + found
        if len(found) >= limit:
            break
    return found[-limit:]


def _past_of(process: str, directory: Path, selection: Selection) -> Iterator[Event]:
    reader = Reader(directory)
    if selection.since is not None:
        reader.seek_time(selection.since - _SKEW_SECONDS)
    while (batch := reader.read()) is not None:
        for event in _events(process, batch):
            if isinstance(event, Event) and selection.chooses(event):
                yield event


def past(events: Path, selection: Selection, *, limit: int | None = None) -> list[Event]:
    """The chosen events that are there, oldest first; with `limit` the last so many."""
    found: list[Event] = []
    for name, directory in spools(events).items():
        if limit is None:
            found += _past_of(name, directory, selection)
        else:
            found += _last_of(name, directory, selection, limit)
    # A spool is in the order of writing, several are in none: time decides what a person reads.
    found.sort(key=lambda event: event.timestamp)
    return found if limit is None else found[-limit:]


class Feed:
    """What comes from now on: `new` gives every event since the last call, and never waits.

    Spools that appear later are read from their beginning.
    """

    def __init__(self, events: Path) -> None:
        self._events = events
        self._readers: dict[str, Reader] = {}
        for name, directory in spools(events).items():
            self._readers[name] = Reader(directory)
            self._readers[name].seek_end()

    def new(self) -> list[Event | Lost]:
        came: list[Event | Lost] = []
        for name, directory in spools(self._events).items():
            reader = self._readers.setdefault(name, Reader(directory))
            while (batch := reader.read()) is not None:
                came += _events(name, batch)
        return came


def follow(
    events: Path, selection: Selection, stopped: Callable[[], bool], *, poll: float = POLL_SECONDS
) -> Iterator[Event | Lost]:
    """What comes from this call on, until `stopped` answers true; losses are never left out."""
    return _coming(Feed(events), selection, stopped, poll)


def _coming(feed: Feed, selection: Selection, stopped: Callable[[], bool], poll: float) -> Iterator[Event | Lost]:
    while not stopped():
        came = feed.new()
        yield from (item for item in came if isinstance(item, Lost) or selection.chooses(item))
        if not came:
            time.sleep(poll)
