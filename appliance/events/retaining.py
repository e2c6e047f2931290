"""What goes out of the outbox, and the record that stays of what went before everybody had it.

Two reasons: the retention of its class ended, or there is no room. For want of room telemetry goes first, whoever
waits for it; of the other classes only what nobody waits for, and of notices, last, that too. An alert that somebody
waits for never goes for want of room: then nothing more is taken in.

Age is not told by the clock, which may be wrong by years: the outbox counts the time that it *lived*, from the boot
clock while the process runs and from the difference of two readings of the clock while it does not, and marks each
hour of it with the number that events had then.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from enum import IntEnum

import msgspec

from appliance.events.classes import COLLECTION_OF, Class
from appliance.events.outbox import New, Outbox
from appliance.events.tlp import Tlp

HOUR = 3600
_TIGHT = 10.0
_STEP = 10_000  # events that go in one transaction
_ABSENCE = 366 * 24 * HOUR  # a longer time without the process is a clock that was set
_LOW, _HIGH = 0.90, 0.95  # parts of the size: room is made above the one, down to the other
_FOR_ROOM = (Class.TELEMETRY, Class.NOTICE, Class.AUDIT, Class.ALERT)


class Room(IntEnum):
    """What there is room for."""

    ALL = 0
    NO_TELEMETRY = 1
    NOTHING = 2


class Need(msgspec.Struct, frozen=True):
    """Somebody who waits for the events of `classes` up to a label."""

    consumer: str
    classes: frozenset[Class]
    highest: Tlp


class Plan(msgspec.Struct, frozen=True):
    """What the policy says: seconds by class, bytes of all, who waits for what."""

    retention: Mapping[Class, int]
    size: int
    needs: tuple[Need, ...] = ()


class Went(msgspec.Struct, frozen=True):
    """Events `first` to `last` of a class are gone; `untaken`: how many of them each consumer did not have."""

    class_: Class
    first: int
    last: int
    events: int
    because: str  # retention, room
    untaken: Mapping[str, int]


Gap = Callable[[Went], New]  # the event that tells of a gap


def boot_seconds() -> float:
    """Seconds since the boot, those asleep too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lived:
    """Seconds that the outbox lived: rises, whatever the clock is set to."""

    def __init__(self, outbox: Outbox, steady: Callable[[], float], clock: Callable[[], float]) -> None:
        self._steady = steady
        self._clock = clock
        rows = outbox.db.execute("SELECT name, value FROM state WHERE name IN ('lived', 'wall')").fetchall()
        state: dict[str, int] = dict(rows)
        away = int(clock()) - state.get("wall", int(clock()))
        self._before = state.get("lived", 0) + (away if 0 < away <= _ABSENCE else 0)
        self._since = steady()

    def now(self) -> int:
        return self._before + int(self._steady() - self._since)

    def keep(self, db: sqlite3.Connection, last: int) -> None:
        """Write it down, and mark the hour with the newest number."""
        now = self.now()
        rows = (("lived", now), ("wall", int(self._clock())))
        db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", rows)
        db.execute("INSERT OR IGNORE INTO mark VALUES (?, ?)", (now // HOUR, last))


class Retainer:
    """Lets go of what may go. For the collector's thread."""

    def __init__(
        self,
        outbox: Outbox,
        gap: Gap,
        *,
        steady: Callable[[], float] = boot_seconds,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._gap = gap
        self._lived = Lived(outbox, steady, clock)
        self._steady = steady
        self._tight = 0.0  # until when the disk counts as full, seconds since the boot
        self._crowd = Room.ALL
        self.plan = Plan({}, 1 << 62)

    @property
    def room(self) -> Room:
        return max(self._crowd, Room.NO_TELEMETRY if self._steady() < self._tight else Room.ALL)

    def used(self) -> int:
        """Bytes that events take: what was given back is there for new ones."""
        with self._outbox.lock:
            db = self._outbox.db
            pages, free, size = (
                int(db.execute(f"PRAGMA {each}").fetchone()[0])
                for each in ("page_count", "freelist_count", "page_size")
            )
        taken: int = (pages - free) * size
        return taken

    def keep_time(self) -> None:
        """Call it now and then: what was not written down of the time is not counted. Raises `OutboxFull`."""
        with self._outbox.transaction() as db:
            self._lived.keep(db, self._outbox.last())

    def step(self) -> bool:
        """Let some go; True: there is more to do. Raises `OutboxFull`, `sqlite3.Error`."""
        if self._aged() or self._crowded():
            return True
        if self._steady() >= self._tight:
            self._outbox.reserve()
        return False

    def relieve(self) -> None:
        """The disk is full: let some telemetry go, so that there is room within the file for what matters more, and
        take no more of it for a while. Raises `OutboxFull`, `sqlite3.Error`."""
        self._tight = self._steady() + _TIGHT
        self._outbox.give_back_reserve()
        self._go(Class.TELEMETRY, self._outbox.last(), "room")

    def _aged(self) -> bool:
        found = False
        for each, seconds in self.plan.retention.items():
            end = self._number_before(seconds)
            if end:
                found |= self._go(each, end, "retention")
        return found

    def _number_before(self, seconds: int) -> int:
        """The newest number that is at least so old; 0: none."""
        with self._outbox.lock:
            hour = (self._lived.now() - seconds) // HOUR  # its mark may be made late in it: the one before holds
            row = self._outbox.db.execute("SELECT max(seq) FROM mark WHERE lived < ?", (hour,)).fetchone()
        return row[0] or 0

    def _crowded(self) -> bool:
        used = self.used()
        if used <= self.plan.size * (_LOW if self._crowd else _HIGH):
            self._crowd = Room.ALL
            return False
        for each in _FOR_ROOM:
            end = self._outbox.last() if each is Class.TELEMETRY else self._waited_for(each)
            if self._go(each, end, "room"):
                return True
        if self._go(Class.NOTICE, self._outbox.last(), "room"):
            return True
        self._crowd = Room.NOTHING if used >= self.plan.size else Room.NO_TELEMETRY
        return False

    def _waited_for(self, class_: Class) -> int:
        """The number up to which nobody waits for this class any more."""
        waiting = [self._outbox.position(need.consumer).seq for need in self.plan.needs if class_ in need.classes]
        return min(waiting, default=self._outbox.last())

    def _go(self, class_: Class, end: int, because: str) -> bool:
        """The oldest of a class up to number `end`, some thousand at most, and the record of it. False: there is
        none."""
        with self._outbox.lock:
            first, last, events = self._outbox.db.execute(
                f"SELECT min(seq), max(seq), count(*) FROM (SELECT seq FROM event_{int(class_)} WHERE seq <= ? "
                "ORDER BY seq LIMIT ?)",
                (end, _STEP),
            ).fetchone()
            if not events:
                return False
            untaken = self._untaken(class_, first, last)
        went = Went(class_, first, last, events, because, untaken)
        with self._outbox.transaction() as db:
            db.execute(f"DELETE FROM event_{int(class_)} WHERE seq <= ?", (last,))
            if untaken:
                self._outbox.insert(db, [self._gap(went)])
            oldest = [db.execute(f"SELECT min(seq) FROM event_{int(each)}").fetchone()[0] for each in Class]
            db.execute(
                "DELETE FROM mark WHERE lived < (SELECT max(lived) FROM mark WHERE seq < ?)",
                (min((one for one in oldest if one is not None), default=self._outbox.last()),),
            )
        return True

    def _untaken(self, class_: Class, first: int, last: int) -> dict[str, int]:
        found = {}
        for need in self.plan.needs:
            position = self._outbox.position(need.consumer).seq
            if class_ not in need.classes or position >= last:
                continue
            (count,) = self._outbox.db.execute(
                f"SELECT count(*) FROM event_{int(class_)} WHERE seq >= ? AND seq <= ? AND tlp <= ?",
                (max(first, position + 1), last, int(need.highest)),
            ).fetchone()
            if count:
                found[need.consumer] = count
        return found


def words_of(went: Went) -> str:
    """`12 events of telemetry, 1 to 40, went for want of room before csirt (12) took them`."""
    why = "their retention ended" if went.because == "retention" else "there was no room"
    who = ", ".join(f"{name} ({count})" for name, count in sorted(went.untaken.items()))
    return (
        f"{went.events} events of {COLLECTION_OF[went.class_]}, numbers {went.first} to {went.last}, went because "
        f"{why}; not taken: {who}"
    )
