"""All that policyd has for drafts and proposals, put together: the file, who answers, and what is done unasked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import msgspec

from appliance.control import daemon
from appliance.control.deciding.changes import Changes, Within
from appliance.control.deciding.gate import Gate
from appliance.control.deciding.running import Present
from appliance.control.ipc import Peer
from appliance.control.messages.changes import AmendProposal, ApplyProposal, RejectProposal, WithdrawProposal
from appliance.control.messages.gateway import Applied, Apply, HistoryList, Refused, Reply, Request, Shown
from appliance.control.messages.text import Plan, Planned
from appliance.control.permits import People
from appliance.control.processes import Instance
from appliance.drafts import desk, noticebook, noticing, proposing
from appliance.drafts.bench import Benches, Texts
from appliance.drafts.book import Book
from appliance.drafts.database import NAME, Database
from appliance.drafts.desk import Desk
from appliance.drafts.edits import EditsError
from appliance.drafts.noticebook import NoticeBook
from appliance.drafts.noticing import Noticing
from appliance.drafts.proposing import Proposing
from appliance.drafts.scheduling import Scheduler
from appliance.drafts.store import DraftStore, StoreRefused

ANSWERED = (*desk.ANSWERED, *proposing.ANSWERED, *noticing.ANSWERED)
_TIDY = 60.0
_DECIDING = (AmendProposal, RejectProposal, WithdrawProposal)


class Room:
    """`answer` and `plan` are policyd's own; `change` is held by whoever changes what runs."""

    def __init__(
        self,
        instance: Instance,
        present: Present,
        changes: Changes,
        gate: Gate,
        people: People,
        change: asyncio.Lock,
        log: daemon.Log,
        answer: Callable[[Request, Peer], Awaitable[Reply]],
        plan: Callable[[Plan], Awaitable[Planned]],
    ) -> None:
        self._changes = changes
        self._change = change
        self._database = Database(instance.state_of("policyd") / NAME, log)
        texts = Texts(instance.baselines, instance.required)
        self._benches = Benches(texts)
        drafts, book = DraftStore(self._database), Book(self._database)
        self._desk = Desk(drafts, self._benches, texts, present, gate, answer)
        self._proposing = Proposing(book, drafts, self._desk, self._benches, changes, present, people, plan, log)
        self._notices = NoticeBook(instance.state_of("policyd") / noticebook.NAME, log)
        self._noticing = Noticing(self._notices, book, self._benches, present, people, log)
        self._scheduler = Scheduler(book, self._proposing, change, log)

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """What people ask of drafts and proposals. Raises what asking the other processes does."""
        try:
            if isinstance(request, ApplyProposal):
                async with self._change:
                    return await self._proposing.apply(request, peer)
            if isinstance(request, _DECIDING):
                async with self._change:  # nothing is decided of what is just being applied
                    return await self._proposing.answer(request, peer)
            if isinstance(request, noticing.ANSWERED):
                return await self._noticing.answer(request, peer)
            answering = self._desk if isinstance(request, desk.ANSWERED) else self._proposing
            return await answering.answer(request, peer)
        except StoreRefused as error:
            return Refused(error.code, str(error))
        except EditsError as error:
            return Refused("bad-edit", str(error))
        except sqlite3.Error as error:
            return Refused("store", f"drafts and proposals cannot be kept: {error}; nothing was changed")

    async def apply(self, request: Apply, peer: Peer) -> Reply:
        """An apply of a text, which others must have approved where the policy says so. The caller holds the lock."""
        try:
            record = await self._proposing.gate(request, peer)
        except StoreRefused as error:
            return Refused(error.code, str(error))
        except sqlite3.Error as error:
            return Refused("store", f"proposals cannot be read: {error}; nothing was changed")
        done: Applied = await self._changes.apply(request, peer)
        if request.break_glass:
            self._proposing.glass_broken(request, done, peer)
        if record is not None:
            self._proposing.applied(record, peer.name, done)
        return done

    async def bound(self, peer: Peer) -> Within | None:
        """What holds who has zones to them, whatever they go back to. Raises what asking applyd does."""
        return await self._proposing.bound(peer)

    def history(self, listed: HistoryList) -> HistoryList:
        """With what is known of the proposals that generations were."""
        try:
            return HistoryList(tuple(map(self._proposing.told_of, listed.generations)))
        except sqlite3.Error:  # what applyd says of them is true without it
            return listed

    def shown(self, shown: Shown) -> Shown:
        return msgspec.structs.replace(shown, summary=self.history(HistoryList((shown.summary,))).generations[0])

    async def work(self) -> None:
        """What is done without anybody asking."""
        chores = [asyncio.create_task(work) for work in (self._scheduler.work(), self._noticing.work())]
        try:
            while True:
                await asyncio.sleep(_TIDY)
                self._benches.tidy()
        finally:
            for each in chores:
                each.cancel()

    def close(self) -> None:
        self._database.close()
        self._notices.close()
