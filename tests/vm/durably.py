"""Inside the test machine: alerts go from a spool into the outbox, and entries into the trail, for so many seconds.

usage: durably.py OFFSET SECONDS FOLDER DEVICE FOLDER DEVICE

What is durable is said at once, past every cache, in the sector of the device at OFFSET: who reads the log of the
device's writes sees when it was said. In the second folder nothing is flushed, as if every fsync had been left out.
"""

from __future__ import annotations

import functools
import json
import mmap
import os
import random
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from appliance.events import record
from appliance.events.collecting import Collector
from appliance.events.marking import Generations, Marker
from appliance.events.outbox import NAME, Outbox
from appliance.events.spool import Spool
from appliance.policy.consumers import AlertSettings
from appliance.records.trail import Trail
from tests.vm.writelog import SECTOR

SOURCE = "watchd"
START = 1_800_000_000  # the time of the first alert


def alert(number: int) -> bytes:
    return record.encode(record.alert(1, "a test", f"alert {number}", seconds=START + number))


def entry(number: int) -> bytes:
    return b"entry %d " % number + b"x" * (number * 37 % 200)


def collector(folder: Path, outbox: Outbox, kept: Any = lambda last: None) -> Collector:
    generations = Generations()
    generations.runs(1, 0)

    def failed(words: str) -> None:
        raise AssertionError(words)

    return Collector(
        folder / "events", outbox, Marker(AlertSettings(), "vm", generations), log=failed, kept=kept, failed=failed
    )


class Forgetful(sqlite3.Connection):
    """A database whose author forgot to have anything flushed."""

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", "synchronous=OFF"), *more)


def forget() -> None:
    os.fsync = os.fdatasync = lambda fd: None
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Forgetful)  # type: ignore[assignment]


class Said:
    """The sector in which it is said what is durable."""

    def __init__(self, device: str, offset: int) -> None:
        self._device = os.open(device, os.O_WRONLY | os.O_DIRECT)
        self._offset = offset
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # O_DIRECT wants an address that is a multiple
        self.state = {"alerts": 0, "seq": 0, "entries": 0}

    def say(self, **known: int) -> None:
        self.state |= known
        text = json.dumps(self.state).encode()
        self._page[:SECTOR] = text.ljust(SECTOR)
        os.pwrite(self._device, memoryview(self._page)[:SECTOR], self._offset)


def write(folder: Path, said: Said, seconds: float) -> None:
    chance = random.Random(4)
    (folder / "events").mkdir()
    spool = Spool(folder / "events" / SOURCE, source=SOURCE)
    outbox, trail = Outbox(folder / NAME, print), Trail(folder / "trail")
    given = entries = 0
    collecting = collector(folder, outbox, lambda last: said.say(alerts=given, seq=last))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(chance.randint(1, 40)):
            spool.append(alert(given), 1)
            given += 1
        collecting.step()
        count = chance.randint(1, 20)
        trail.append([entry(number) for number in range(entries, entries + count)], {SOURCE: given})
        entries += count
        said.say(entries=entries)


def main(arguments: list[str]) -> None:
    offset, seconds = int(arguments[0]), float(arguments[1])
    write(Path(arguments[2]), Said(arguments[3], offset), seconds)
    forget()
    write(Path(arguments[4]), Said(arguments[5], offset), seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
