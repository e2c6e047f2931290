"""What consumers are answered from, put together: the objects made of alerts, the application, where it listens.

The feeder, a thread, makes objects of what the collector kept; the application reads outbox and objects in threads of
its own; the event loop only speaks.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.control import daemon
from appliance.events import stix
from appliance.events.api.access import Access
from appliance.events.api.app import application
from appliance.events.api.context import Context, Exports, Inbox, Listed
from appliance.events.api.stores import Stores
from appliance.events.api.taxii import COLLECTIONS
from appliance.events.classes import Class
from appliance.events.feeding import SIGHTINGS_COLLECTION, feed, forget, trim
from appliance.events.objects import Objects
from appliance.events.outbox import Outbox, Reader
from appliance.events.telling import Telling
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings, Consumer
from appliance.serving.places import Serving

OBJECTS = "objects.db"
_TRIM = 10.0  # seconds between looks at how much there is
_FORGET = 3600.0  # seconds between looks at what the outbox has let go
_ANYWAY = 5.0
_AT_ONCE = 2_000  # objects of one transaction
INDICATORS_COLLECTION = "indicators"


def microseconds() -> int:
    return time.time_ns() // 1000


class Feeder(threading.Thread):
    """Makes objects of alerts until `stop`. `failed` is called with words when it cannot go on."""

    def __init__(
        self,
        reader: Reader,
        objects: Objects,
        site: str,
        failed: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        super().__init__(name="feeder", daemon=True)
        self._reader = reader
        self._objects = objects
        self._site = site
        self._failed = failed
        self._log = log
        self.size = AlertSettings().size  # bytes that the objects may take
        self._came = threading.Event()
        self._stopped = False

    def came(self) -> None:
        """Something is in the outbox."""
        self._came.set()

    def stop(self) -> None:
        self._stopped = True
        self._came.set()

    def run(self) -> None:
        try:
            self._run()
        except sqlite3.Error as error:
            self._failed(f"objects cannot be made of alerts: {error}")
        finally:
            self._reader.close()

    def _run(self) -> None:
        forgot = trimmed = 0.0
        while not self._stopped:
            self._came.clear()
            more = feed(self._reader, self._objects, self._site).more
            if time.monotonic() - trimmed >= _TRIM:
                trimmed = time.monotonic()
                gone = trim(self._objects, self.size)
                if gone:
                    self._log(f"{gone:,} objects of alerts went for want of room (alerts.size)")
            if time.monotonic() - forgot >= _FORGET:
                forgot = time.monotonic()
                # What the outbox keeps is the measure, and not the clock, which may be wrong.
                oldest = self._reader.oldest(Class.ALERT)
                if oldest is not None:
                    forget(self._objects, oldest)
            if not more:
                self._came.wait(_ANYWAY)


def _objects(path: Path, site: str, log: Callable[[str], None]) -> Objects:
    """The store. One that is destroyed is kept aside and made anew of what the outbox has. Raises `sqlite3.Error`."""
    common = (*map(stix.marking, Tlp), stix.site_identity(site))
    try:
        return Objects(path, COLLECTIONS, common, microseconds)
    except sqlite3.OperationalError:
        raise  # a full disk, no right to write: nothing is wrong with what is there
    except sqlite3.DatabaseError as error:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.rename(path.with_name(f"{path.name}.damaged"))
        log(f"{path}: {error}; it is kept as {path.name}.damaged, and objects are made anew")
        return Objects(path, COLLECTIONS, common, microseconds)


class Answering:
    """For one site. Made and ended in the loop's thread; `came` may be called from any."""

    def __init__(
        self,
        outbox: Outbox,
        state: Path,
        site: str,
        log: daemon.Log,
        failed: Callable[[str], None],
        inbox: Inbox | None = None,
        listed: Listed | None = None,
    ) -> None:
        self.site = site
        self._objects = _objects(state / OBJECTS, site, log)
        self._feeder = Feeder(outbox.reader(), self._objects, site, failed, log)
        self._stores = Stores(outbox, self._objects)
        self._telling = Telling(log)
        self._access = Access((), time.monotonic, self._telling.tell)
        self._exports = Exports(self._telling.tell)
        context = Context(site, self._stores, self._access, self._exports, microseconds, inbox, listed)
        self.serving = Serving(application(context), log, "the API")

    async def start(self) -> None:
        await self.serving.start()
        self._feeder.start()

    def follow(self, consumers: Iterable[Consumer], size: int) -> None:
        """The consumers of another generation, and the bytes that their objects may take."""
        self._feeder.size = size
        self._access.renew(consumers)

    def came(self) -> None:
        self._feeder.came()

    @property
    def objects(self) -> Objects:
        """What alerts and indicators became; its own connections make it safe to read from any thread."""
        return self._objects

    def publish(self, sightings: list[stix.Made]) -> None:
        """Keep sightings of indicators. From any thread; raises `sqlite3.Error`."""
        with self._objects.writing():
            self._objects.add(SIGHTINGS_COLLECTION, sightings)

    def give(self, indicators: list[stix.Made]) -> None:
        """Have indicators in their collection. From any thread; raises `sqlite3.Error`."""
        for at in range(0, len(indicators), _AT_ONCE):
            with self._objects.writing():
                self._objects.add(INDICATORS_COLLECTION, indicators[at : at + _AT_ONCE])

    def tick(self) -> None:
        """Call it about each second: what was told too often is summed up."""
        self._telling.tick()

    async def stop(self) -> None:
        await self.serving.stop()
        self._feeder.stop()
        self._feeder.join()
        self._stores.close()
        self._objects.close()
        self._telling.flush()
