"""What happens to proposals without anybody asking: those that are due are applied, those that run are followed.

What cannot be applied because something else waits for its confirm, or because a process is away, is tried again for
an hour; then its time is over, and that is told. A gateway that was off at the time does the same.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time

from appliance.control import daemon
from appliance.control.deciding.changes import ApplyRefused
from appliance.control.deciding.numbering import OutOfNumbers
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError
from appliance.drafts.book import Book
from appliance.drafts.proposing import Proposing
from appliance.drafts.states import Record
from appliance.drafts.store import StoreRefused
from appliance.policy.problem import PolicyError

_LOOK = 1.0
_LATE = 3600.0  # seconds after its time in which it is still applied
_AGAIN = ("busy", "away", "store")  # what passes by itself


class Scheduler:
    def __init__(self, book: Book, proposing: Proposing, change: asyncio.Lock, log: daemon.Log) -> None:
        self._book = book
        self._proposing = proposing
        self._change = change
        self._log = log
        self._told = ""

    async def work(self) -> None:
        recovered = False
        while True:
            await asyncio.sleep(_LOOK)
            try:
                if not recovered:
                    await self._proposing.recover()
                    recovered = True
                await self._proposing.follow()
                for record in self._book.pending(time.time()):
                    if record.state == "open":
                        await self._due(record)
                self._told = ""
            except (DaemonAway, ProtocolError, RefusedError, sqlite3.Error) as error:
                if str(error) != self._told:  # once, until it goes again
                    self._told = str(error)
                    self._log(f"proposals cannot be followed: {error}")

    async def _due(self, record: Record) -> None:
        """Apply it, in the name of whoever planned it. Raises `DaemonAway` and the like while others are away."""
        late = time.time() - record.at > _LATE
        try:
            if late:
                self._missed(record, "its time passed while it could not be applied")
                return
            async with self._change:
                await self._proposing.run(record, record.planner, record.confirm, "as planned")
        except (StoreRefused, ApplyRefused) as error:
            code = error.reply.code if isinstance(error, ApplyRefused) else error.code
            if code == "approval":
                self._missed(record, f"its time came, but {error}")
            elif code != "conflict":  # that is told already
                self._proposing.stale(record, record.planner, str(error))
        except RefusedError as error:
            if error.reply.code not in _AGAIN:
                self._proposing.stale(record, record.planner, str(error))
        except PolicyError as error:
            first = next((one.message for one in error.problems if one.severity == "error"), str(error))
            self._proposing.stale(record, record.planner, f"it is refused now: {first}")
        except OutOfNumbers as error:
            self._proposing.stale(record, record.planner, str(error))

    def _missed(self, record: Record, words: str) -> None:
        self._book.turned(record.number, "open", record.planner, "missed", words)
        self._log(f"proposal {record.number} was not applied: {words}")
        self._log.audit(record.planner, "policy.missed", f"proposal {record.number}", why=words)
