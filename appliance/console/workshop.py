"""Texts that people work at, in parts: kept while they are asked for, so that a keystroke costs what changed.

A board is one version of one text: a draft's, or that of what runs. Reading a text for the first time takes a
thread, one text at a time; nothing of it is done on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from appliance.console.boards import Board, Past, Shelf, after
from appliance.console.problems import Problem
from appliance.control.messages.changes import (
    CheckDraft,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
)
from appliance.control.messages.gateway import Show, Shown, Status, StatusReport
from appliance.control.messages.hits import HitList, Hits
from appliance.control.messages.text import Finding
from appliance.drafts.edits import Edit, EditsError
from appliance.drafts.grid import RowCache, RowHits, grid
from appliance.policy.answering.nearly import Rulebook
from appliance.policy.meant.parse import parse

P = ParamSpec("P")
R = TypeVar("R")
if TYPE_CHECKING:
    from appliance.console.context import Ctx

RUNNING = ""  # the board of what runs, where drafts have their id
_SHELVES = 6  # texts that are kept
_MOST_RULES = 50_000  # different ones of all of them; one text is kept however many it has
_IDLE = 900.0  # seconds after which a text is not kept that nobody looked at
_RESTS = 5.0  # seconds after which its text is kept packed
_ASKED_AGAIN = 120.0  # seconds that the policy is kept for another question
_HITS = 30.0  # seconds that a history of hits is good for
_SHARE = 60  # at most such a part of the time they are counted
_STALE = 600.0  # … and for which it is better than to wait for another


class Workshop:
    """The boards. For one event loop; `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows = RowCache()
        self._shelves: OrderedDict[str, Shelf] = OrderedDict()
        self._swept = 0  # rules that were known after the last sweep
        self._reading = asyncio.Lock()
        self._book: tuple[int, Rulebook] | None = None
        self._asked = 0.0  # when a question was put to the book last
        self._hits: tuple[float, int, dict[str, RowHits]] | None = None
        self._took = 0.0  # seconds that counting them took
        self._counting: asyncio.Task[None] | None = None

    async def draft(self, ctx: Ctx, ident: str) -> tuple[Draft, Board]:
        """A draft as it is now. Raises `Problem`."""
        for one in (await ctx.ask(Drafts(), DraftList)).drafts:
            if one.id == ident:
                known = await self.kept(ident, one.version)
                if known is not None:
                    return one, known
                break
        answer = await ctx.ask(DraftText(ident), DraftTextIs)
        board = await self.read(ident, answer.draft.version, answer.text, answer.inherited, answer.files)
        return answer.draft, board

    async def checked(self, ctx: Ctx, ident: str) -> tuple[Draft, Board]:
        """As `draft`, with what is found in it."""
        draft, board = await self.draft(ctx, ident)
        if board.checked is None:
            checked = await ctx.ask(CheckDraft(ident), DraftChecked)
            if checked.draft.version == draft.version:
                board.checked = checked
        return draft, board

    async def running(self, ctx: Ctx) -> tuple[int, Board]:
        """The text that runs, and its generation. Raises `Problem`."""
        # What the console was told last may be a second old: who just applied something asks for that.
        running = (await ctx.ask(Status(), StatusReport)).running
        known = await self.kept(RUNNING, running)
        if known is not None:
            return running, known
        shown = await ctx.ask(Show(), Shown)
        generation = shown.summary.generation
        return generation, await self.read(RUNNING, generation, shown.text, shown.inherited, shown.files)

    async def kept(self, ident: str, version: int) -> Board | None:
        """A text whose version is the newest that was read, with what was typed since."""
        shelf = self._shelf(ident)
        if shelf is None or shelf.newest != version:
            return None
        async with self._reading:
            typed = tuple(shelf.typed)
            if typed:
                before, last = shelf.board, typed[-1].checked
                try:
                    text = await asyncio.to_thread(after, before.text, typed)
                except EditsError:  # they were taken, so they fit the text that is there: that is another than ours
                    self.drop(ident)
                    return None
                board = await self._made(text, before.inherited, before.files)
                board.checked = last
                shelf.put(last.draft.version, board)
        return shelf.board if shelf.version == version else None

    def past(self, ident: str, version: int | None) -> Past | None:
        """What is left of a version that somebody has on the screen."""
        shelf = self._shelves.get(ident)
        return shelf.past(version) if shelf is not None and version is not None else None

    def _shelf(self, ident: str) -> Shelf | None:
        found = self._shelves.get(ident)
        if found is not None:
            self._shelves.move_to_end(ident)
            found.used = self._clock()
        return found

    async def read(
        self, ident: str, version: int, text: str, inherited: Mapping[str, str], files: Mapping[str, str]
    ) -> Board:
        async with self._reading:
            board = await self._made(text, inherited, files)
            shelf = self._shelf(ident)
            if shelf is None:
                self._shelves[ident] = Shelf(version, board, self._clock())
                await self._make_room()
            elif version > shelf.newest or (ident == RUNNING and version != shelf.version):
                shelf.put(version, board)
            return board

    async def _made(self, text: str, inherited: Mapping[str, str], files: Mapping[str, str]) -> Board:
        return Board(text, inherited, files, await asyncio.to_thread(grid, text, inherited, self._rows))

    def typed(self, ident: str, version: int, edits: tuple[Edit, ...], checked: DraftChecked) -> None:
        """What was taken of the text at `version`, so that nobody has to ask for all of it."""
        shelf = self._shelves.get(ident)
        if shelf is not None and (shelf.newest != version or not shelf.add(edits, checked)):
            self.drop(ident)

    async def changed(self, ident: str, before: Board, text: str, checked: DraftChecked) -> Board:
        """The board of a text that was just set."""
        board = await self.read(ident, checked.draft.version, text, before.inherited, before.files)
        board.checked = checked
        return board

    async def rulebook(self, ctx: Ctx) -> Rulebook:
        """The policy that runs, for questions about single packets."""
        generation, board = await self.running(ctx)
        self._asked = self._clock()
        if self._book is None or self._book[0] != generation:
            policy, _ = await self.aside(
                parse, board.text, f"generation {generation}", inherited=board.inherited, files=board.files
            )
            self._book = generation, Rulebook(policy)
        return self._book[1]

    async def aside(self, work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """What takes long over a text, in a thread, one at a time."""
        async with self._reading:
            return await asyncio.to_thread(work, *given, **named)

    def drop(self, ident: str) -> None:
        self._shelves.pop(ident, None)

    @property
    def cache(self) -> RowCache:
        return self._rows

    # --- room -----------------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """Let go of what nobody looks at any more. Call it now and then."""
        now = self._clock()
        if self._book is not None and now - self._asked > _ASKED_AGAIN:
            self._book = None
        idle = [ident for ident, shelf in self._shelves.items() if now - shelf.used > _IDLE]
        for ident in idle:
            self.drop(ident)
        for shelf in list(self._shelves.values()):
            if now - shelf.used > _RESTS and not shelf.board.rests:
                await asyncio.to_thread(shelf.board.rest)
                self._rows.pieces.cut.clear()  # these have texts too; cutting one again takes milliseconds
        if (idle or self._full) and not self._reading.locked():  # nobody waits for this
            async with self._reading:
                await self._sweep()

    @property
    def _full(self) -> bool:
        """Whether there are many rules, and many of them new since the last sweep."""
        return len(self._rows) > max(_MOST_RULES, self._swept * 5 // 4)

    async def _make_room(self) -> None:
        """The texts that were looked at last stay, as many as have room. Drafts of one text share its rules."""
        while len(self._shelves) > _SHELVES:
            self._shelves.popitem(last=False)
        if self._full:
            await self._sweep()
        while len(self._shelves) > 1 and len(self._rows) > _MOST_RULES:
            self._shelves.popitem(last=False)
            await self._sweep()

    async def _sweep(self) -> None:
        grids = [known for shelf in self._shelves.values() for known in shelf.grids]
        await asyncio.to_thread(self._rows.sweep, grids)
        self._swept = len(self._rows)

    # --- hits -----------------------------------------------------------------------------------------

    async def hits(self, ctx: Ctx, days: int = 90) -> Mapping[str, RowHits]:
        """What rules matched; nothing where no history can be kept. A hundred thousand rules are counted in seconds:
        who looks at them again gets what was known a moment ago, and it is asked anew beside."""
        known, now = self._hits, ctx.console.clock()
        if known is None or known[1] != days or now - known[0] > _STALE:
            return await self._count(ctx, days)
        if now - known[0] > max(_HITS, self._took * _SHARE) and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._recount(ctx, days))
        return known[2]

    async def _count(self, ctx: Ctx, days: int) -> Mapping[str, RowHits]:
        begun = ctx.console.clock()
        try:
            found = await ctx.ask(Hits(days * 86_400), HitList)
        except Problem as problem:
            if problem.code not in ("store", "nothing-runs"):
                raise
            return {}
        rules = {one.id: RowHits(one.hits, one.recent, one.last) for one in found.rules}
        now = ctx.console.clock()
        self._hits, self._took = (now, days, rules), now - begun
        return rules

    async def _recount(self, ctx: Ctx, days: int) -> None:
        with contextlib.suppress(Problem):  # who asks next tries again, and is told
            await self._count(ctx, days)


def refused(words: str, code: str, findings: Sequence[Finding] = ()) -> Problem:
    """What cannot be made of a text as it was asked for."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, code=code, findings=tuple(findings))
