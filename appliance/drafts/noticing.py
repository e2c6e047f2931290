"""Looks what owners must be told of, and answers who asks for theirs. What is decided is `owed.py`'s."""

from __future__ import annotations

import asyncio
import sqlite3
import time

from appliance.control import daemon
from appliance.control.deciding.running import Present, Running
from appliance.control.ipc import DaemonAway, Peer, ProtocolError, RefusedError
from appliance.control.messages.gateway import GenerationSummary, History, HistoryList, Refused, Reply, Request
from appliance.control.messages.notices import MOST_NOTICES, NoticeList, OwnNotices, SeeNotices
from appliance.control.permits import People
from appliance.drafts import owed
from appliance.drafts.bench import Benches
from appliance.drafts.book import Book
from appliance.drafts.noticebook import NoticeBook
from appliance.drafts.owed import Owed
from appliance.drafts.store import StoreRefused
from appliance.policy.model import Policy

ANSWERED = (OwnNotices, SeeNotices)
_LOOK = 2.0
_DATES = 60.0  # seconds between looks at dates
_RECENT = 20  # generations that are looked at


class Noticing:
    def __init__(
        self, notices: NoticeBook, book: Book, benches: Benches, present: Present, people: People, log: daemon.Log
    ) -> None:
        self._notices = notices
        self._book = book
        self._benches = benches
        self._present = present
        self._people = people
        self._log = log
        self._told = ""
        self._stand: tuple[int, str, int] | None = None  # what ran, how it stood, and the mark of the proposals
        self._dates = 0.0

    async def answer(self, request: Request, peer: Peer) -> Reply:
        people = (await self._people.settings()).people
        names = owed.names_of(next((one for one in people if one.id == peer.name), None), peer.name)
        if isinstance(request, SeeNotices):
            self._notices.see(peer.name, request.through)
            request = OwnNotices()
        if not isinstance(request, OwnNotices):
            return Refused("bad-request", f"{type(request).__name__} is not about notices")
        found = self._notices.of(None if request.everybody else names, max(0, min(request.limit, MOST_NOTICES)))
        return NoticeList(found, *self._notices.unseen(names, peer.name))

    async def work(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._look()
                self._told = ""
            except (DaemonAway, ProtocolError, RefusedError, StoreRefused, ValueError, sqlite3.Error) as error:
                # A proposal may go between two looks, and what is stored may be damaged: the next look is another.
                if str(error) != self._told:  # once, until it goes again
                    self._told = str(error)
                    self._log(f"owners cannot be told: {error}")

    async def _look(self) -> None:
        running = await self._present.current()
        newest = (await self._present.ask(History(1), HistoryList)).generations
        stand = (newest[0].generation, newest[0].state, self._book.mark()) if newest else None
        if stand is None:
            return
        if stand != self._stand:
            if self._notices.fresh():  # nobody is told of what was before anybody looked
                done = [f"applied {one.generation}" for one in await self._history()]
                self._notices.add((), done or ["begun"])
            await self._generations(running)
            await self._proposals(running)
            self._stand, self._dates = stand, 0.0
        if time.monotonic() - self._dates >= _DATES and running.policy is not None:
            self._keep(list(owed.dated(running.policy, time.time())))
            self._dates = time.monotonic()

    async def _history(self) -> list[GenerationSummary]:
        return list((await self._present.ask(History(_RECENT), HistoryList)).generations)

    async def _generations(self, running: Running) -> None:
        """What ran since, and what of it was taken back; the oldest first."""
        for one in reversed(await self._history()):
            keys = [f"applied {one.generation}"] if one.state != "failed" else []
            keys += [f"rolled-back {one.generation}"] if one.state == "rolled-back" else []
            waiting = [key for key in keys if not self._notices.done(key)]
            if not waiting:
                continue
            new = await self._policy(one.generation, running)
            old = await self._policy(one.parent, running) if one.parent else None
            found: list[Owed] = []
            if new is not None and old is not None:
                if f"applied {one.generation}" in waiting:
                    found += owed.applied(one.generation, one.author, one.reason, old, new)
                if f"rolled-back {one.generation}" in waiting:
                    found += owed.rolled_back(one.generation, one.note, old, new)
            self._keep(found, waiting)

    async def _policy(self, generation: int, running: Running) -> Policy | None:
        if generation == running.generation:
            return running.policy
        try:
            return await self._present.read_policy(generation)
        except RefusedError:  # it is not kept any more
            return None

    async def _proposals(self, running: Running) -> None:
        for record in self._book.all():
            key = f"proposed {record.number} {record.digest}"
            if record.state != "open" or self._notices.done(key):
                continue
            body = self._book.body(record.number)
            old = running.policy
            if record.base != running.generation:
                old = (await self._benches.look(f"generation {record.base}", body.base, {})).policy
            new = (await self._benches.look(f"proposal {record.number}", body.text, body.files)).policy
            found: list[Owed] = []
            if new is not None and old is not None:
                found += owed.proposed(record.number, record.title, record.author, record.digest, old, new)
            self._keep(found, [key])

    def _keep(self, found: list[Owed], done: list[str] | None = None) -> None:
        for one in self._notices.add(found, done or ()):
            detail = {"owner": one.owner, "kind": one.kind}
            self._log.audit("policyd", "policy.notice", one.subject, why=one.words, detail=detail, durable=False)
