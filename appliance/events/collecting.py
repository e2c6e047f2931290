"""The collector: every spool's events into the outbox, each exactly once, alerts before anything else.

A thread of alertd. What was read is made durable in its spool before the outbox keeps it, and the place in the spool
is kept in the same transaction: after a kill or a power cut reading goes on with the first event that the outbox does
not have, and no serial number that the outbox knows is ever given to another event.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.events import record, view
from appliance.events.marking import Marker, NotAnEvent
from appliance.events.outbox import New, Outbox, OutboxFull, is_no_room
from appliance.events.pseudonyms import Keys
from appliance.events.reader import Reader
from appliance.events.retaining import Plan, Retainer, Room, Went, words_of
from appliance.events.segments import segments
from appliance.events.split import ALERTS

NAME = "alertd"
_MOST = 1000  # events that one commit waits for
_BACKLOG = 8000  # the same while there is more than that
_PAUSE = 0.01  # seconds between two looks: what comes meanwhile is committed together
_CHORES = 1.0  # seconds between looks at the retention
_KEEP_TIME = 60.0
_AGAIN = 0.2  # when the disk is full


@contextlib.contextmanager
def _on_a_disk() -> Iterator[None]:
    """Pseudonyms find no room: the same as where events find none."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_no_room(error):
            raise OutboxFull(f"the keys of pseudonyms: {error}") from error
        raise


class _Source:
    """A spool, and how far it was read."""

    def __init__(self, name: str, directory: Path, serial: int) -> None:
        self.name = name
        self.reader = Reader(directory, serial=serial)
        self.behind = False  # it may hold more than was read
        self._directory = directory
        self._seen = (0, 0)

    @property
    def bulk(self) -> bool:
        """Is it the one that telemetry comes by, beside the spool of its process's alerts?"""
        return (self._directory / ALERTS).is_dir()

    def grew(self) -> bool:
        """Something was written since the last look: cheap, so that it can be asked all the time."""
        try:
            segment = self.reader.segment
            size = segment.stat().st_size if segment is not None else 0
            now = (size, self._directory.stat().st_mtime_ns)
        except OSError:
            return True  # the segment went
        grown, self._seen = now != self._seen, now
        return grown


class Collector(threading.Thread):
    """Runs until `stop`. `kept` is called with the newest number after every commit, in this thread; `failed` with
    words when it cannot go on: then the process must end and begin again."""

    def __init__(
        self,
        events: Path,
        outbox: Outbox,
        marker: Marker,
        *,
        log: Callable[[str], None],
        kept: Callable[[int], None],
        failed: Callable[[str], None],
        keys: Keys | None = None,
    ) -> None:
        super().__init__(name="collector", daemon=True)
        self._events = events
        self._outbox = outbox
        self.marker = self._marker = marker
        self._log = log
        self._kept = kept
        self._failed = failed
        self._keys = keys
        self._retainer = Retainer(outbox, self._gap)
        self._sources: dict[str, _Source] = {}
        self._stopped = threading.Event()
        self._looked = 0.0  # at every spool, grown or not
        self._said = Room.ALL

    @property
    def room(self) -> Room:
        return self._retainer.room

    def used(self) -> int:
        """Bytes that the events take."""
        return self._retainer.used()

    def follow(self, marker: Marker, plan: Plan) -> None:
        """Another policy holds from here on."""
        self.marker = marker
        self._retainer.plan = plan

    def stop(self) -> None:
        self._stopped.set()

    # --- the thread ---------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._run()
        except sqlite3.Error as error:
            self._outbox.judge(error)
            self._failed(f"events cannot be kept: {error}")
        except OSError as error:
            self._failed(f"events cannot be kept: {error}")

    def _run(self) -> None:
        chores = kept = time.monotonic()
        while not self._stopped.is_set():
            full = False
            try:
                full = self.step() >= _MOST
                now = time.monotonic()
                if now - chores >= _CHORES and not self._retainer.step():
                    chores = now
                    self._outbox.flush()
                if now - kept >= _KEEP_TIME:
                    kept = now
                    self._retainer.keep_time()
                    if self._keys is not None:
                        self._keys.destroy(self._outbox.oldest())
                self._say(self._retainer.room)
            except OutboxFull as error:
                self._no_room(str(error))
            if not full:
                self._stopped.wait(_PAUSE)

    def step(self) -> int:
        """Take in what there is, about a thousand events at most; how many. Raises `OutboxFull`, `sqlite3.Error`,
        OSError; then the same is taken again."""
        self._marker = self.marker  # one for the whole batch: its key is known
        with _on_a_disk():
            self._marker.turn(self._outbox.last())
        room = self._retainer.room
        if room is Room.NOTHING:
            return 0
        most = _BACKLOG if any(source.behind for source in self._sources.values()) else _MOST
        self._look_for_spools()
        found: list[New] = []
        read: list[_Source] = []
        anyway = time.monotonic() - self._looked >= _CHORES
        if anyway:
            self._looked = time.monotonic()
        for source in sorted(self._sources.values(), key=lambda one: one.bulk):
            if (source.bulk and room is Room.NO_TELEMETRY) or not (source.grew() or source.behind or anyway):
                continue
            if self._take(source, found, most):
                read.append(source)
            source.behind = len(found) >= most
        if not read:
            return 0
        try:
            for source in read:
                source.reader.settle()
            if self._keys is not None:
                with _on_a_disk():
                    self._keys.settle()
            _, last = self._outbox.append(found, {source.name: source.reader.next_serial for source in read})
        except BaseException:
            self._sources.clear()  # read again from the places that are kept
            raise
        self._kept(last)
        return len(found)

    def _take(self, source: _Source, found: list[New], most: int) -> bool:
        """Read a spool until `found` has enough; whether its place moved."""
        before = source.reader.next_serial
        while len(found) < most and (batch := source.reader.read()) is not None:
            if batch.lost:
                words = f"{batch.lost} events of {source.name} before number {batch.serial} of its spool never came"
                found.append(self._notice(words, {"spool": source.name, "events": batch.lost}))
            for line in batch.lines:
                try:
                    found.append(self._marker.new(line))
                except NotAnEvent as error:
                    words = f"a line of {source.name} is no event: {error}"
                    found.append(self._notice(words, {"spool": source.name, "events": 1}))
        return source.reader.next_serial != before

    def _look_for_spools(self) -> None:
        found = view.spools(self._events)
        if found.keys() == self._sources.keys():
            return
        places = self._outbox.places()
        for name, directory in found.items():
            if name in self._sources:
                continue
            place = places.get(name, 0)
            end = Reader(directory)
            end.seek_end()
            if segments(directory) and end.next_serial < place:
                self._log(f"the spool of {name} began anew: it ends at {end.next_serial}, and was read to {place}")
                place = 0
            self._sources[name] = _Source(name, directory, place)

    # --- words --------------------------------------------------------------------------------------

    def _gap(self, went: Went) -> New:
        gap = {
            "class": int(went.class_), "first": went.first, "last": went.last, "events": went.events,
            "because": went.because, "untaken": dict(went.untaken),
        }  # fmt: skip
        return self._notice(words_of(went), gap)

    def _notice(self, words: str, gap: Mapping[str, object]) -> New:
        """An event that tells of events that are not there; `gap` says it to programs."""
        event = record.notice(NAME, words, seconds=time.time())
        said = record.Metadata(({"gid": record.GID, "gap": dict(gap)},))
        return self._marker.new(record.encode(msgspec.structs.replace(event, metadata=said)))

    def _no_room(self, words: str) -> None:
        """The disk is full: nothing is lost yet, for the spools hold it."""
        if self._said is not Room.NOTHING:
            self._said = Room.NOTHING
            self._log(f"{words}; events stay in the spools until there is room again")
        with contextlib.suppress(OutboxFull):
            self._retainer.relieve()
        self._stopped.wait(_AGAIN)

    def _say(self, room: Room) -> None:
        if room is self._said:
            return
        self._said = room
        self._log(
            {
                Room.ALL: "the outbox has room again",
                Room.NO_TELEMETRY: "the outbox is nearly full, and somebody waits for the rest: telemetry stays in "
                "its spool",
                Room.NOTHING: "the outbox is full of what somebody waits for: events stay in the spools, and go "
                "there when those are full; `reef consumers` shows who waits",
            }[room]
        )
