"""Texts that people work at, in parts: kept while they are asked for, so that a keystroke costs what changed.

A board is one version of one text: a draft's, or that of what runs. Reading a text for the first time takes a
thread, one text at a time; nothing of it is done on the event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from appliance.console.problems import Problem
from appliance.control.messages import Show, Shown, Status, StatusReport
from appliance.control.messages_changes import (
    CheckDraft,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
)
from appliance.control.messages_hits import HitList, Hits
from appliance.control.messages_text import Finding
from appliance.drafts.completion import Vocabulary
from appliance.drafts.grid import Grid, RowCache, RowFinding, RowHits, grid, pairs
from appliance.drafts.search import Beside, Contents
from appliance.policy import inherit
from appliance.policy.document import DocumentText
from appliance.policy.nearly import Rulebook
from appliance.policy.parse import parse
from appliance.policy.text import Report

P = ParamSpec("P")
R = TypeVar("R")
if TYPE_CHECKING:
    from appliance.console.context import Ctx

FILE = "policy.yaml"  # what the text of a draft is called in what is found in it
RUNNING = ""  # the board of what runs, where drafts have their id
SOON = timedelta(days=30)
_BOARDS = 6  # texts that are kept; of each the versions that somebody may have on the screen
_VERSIONS = 3
_HITS = 30.0  # seconds that a history of hits is good for


class Board:
    """One version of a text, and what is known of it."""

    def __init__(self, text: str, inherited: Mapping[str, str], files: Mapping[str, str], known: Grid) -> None:
        self.text = text
        self.inherited = inherited
        self.files = files
        self.grid = known
        self.checked: DraftChecked | None = None
        self.documents: tuple[DocumentText, ...] = ()
        if known.site is not None:
            read = inherit.read(known.site, inherited, Report(FILE))
            self.documents = (known.site, *[one.document for one in read if one.document is not None])
        self._findings: dict[str, list[RowFinding]] | None = None

    @cached_property
    def contents(self) -> Contents:
        return Contents(self.documents[::-1])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.documents, [rule.id for rule in self.grid.rules])

    @property
    def findings(self) -> Mapping[str, Sequence[RowFinding]]:
        """What was found, by rule."""
        if self._findings is None:
            self._findings = _by_rule(self.checked, self.grid) if self.checked is not None else {}
        return self._findings

    @property
    def timezone(self) -> ZoneInfo:
        """The site's. A draft may say anything; then it is UTC."""
        name = self.grid.site.timezone if self.grid.site is not None else None
        try:
            return ZoneInfo(name.value if name is not None else "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    def beside(self, hits: Mapping[str, RowHits]) -> Beside:
        now = datetime.now(self.timezone)
        return Beside(self.findings, hits, now.date().isoformat(), (now + SOON).date().isoformat())

    @cached_property
    def pairs(self) -> Mapping[tuple[tuple[str, ...], tuple[str, ...]], int]:
        return pairs(self.grid.rules)

    @property
    def named(self) -> Counter[str]:
        """How many rules name what."""
        return Counter(name for rule in self.grid.rules for name in rule.names)


def _by_rule(checked: DraftChecked, known: Grid) -> dict[str, list[RowFinding]]:
    found: dict[str, list[RowFinding]] = {}
    for one in checked.findings:
        rule = known.at_line(one.line) if one.file == FILE else ""
        if rule:
            words = f"{one.message}; {one.remedy}" if one.remedy else one.message
            found.setdefault(rule, []).append(RowFinding("error" if one.severity == "error" else "warning", words))
    for proven in checked.proof.shown if checked.proof is not None else ():
        words = proven.name or ", ".join(proven.others)
        found.setdefault(proven.rule, []).append(RowFinding(proven.kind, words, proven.others, proven.example))
    return found


class Workshop:
    """The boards. For one event loop."""

    def __init__(self) -> None:
        self._rows = RowCache()
        self._boards: OrderedDict[str, OrderedDict[int, Board]] = OrderedDict()
        self._reading = asyncio.Lock()
        self._book: tuple[int, Rulebook] | None = None
        self._hits: tuple[float, int, dict[str, RowHits]] | None = None

    async def draft(self, ctx: Ctx, ident: str) -> tuple[Draft, Board]:
        """A draft as it is now. Raises `Problem`."""
        for one in (await ctx.ask(Drafts(), DraftList)).drafts:
            if one.id == ident:
                known = self.kept(ident, one.version)
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
        known = self.kept(RUNNING, running)
        if known is not None:
            return running, known
        shown = await ctx.ask(Show(), Shown)
        generation = shown.summary.generation
        return generation, await self.read(RUNNING, generation, shown.text, shown.inherited, shown.files)

    def kept(self, ident: str, version: int) -> Board | None:
        """A version that was read already, for who may see it."""
        versions = self._boards.get(ident)
        if versions is None:
            return None
        self._boards.move_to_end(ident)
        return versions.get(version)

    async def read(
        self, ident: str, version: int, text: str, inherited: Mapping[str, str], files: Mapping[str, str]
    ) -> Board:
        async with self._reading:
            known = self.kept(ident, version)
            if known is not None and known.text == text:
                return known
            board = Board(text, inherited, files, await asyncio.to_thread(grid, text, inherited, self._rows))
            versions = self._boards.setdefault(ident, OrderedDict())
            versions[version] = board
            self._boards.move_to_end(ident)
            while len(versions) > _VERSIONS:
                versions.popitem(last=False)
            while len(self._boards) > _BOARDS:
                self._boards.popitem(last=False)
            return board

    async def changed(self, ident: str, before: Board, text: str, checked: DraftChecked) -> Board:
        """The board of a text that was just set."""
        board = await self.read(ident, checked.draft.version, text, before.inherited, before.files)
        board.checked = checked
        return board

    async def rulebook(self, ctx: Ctx) -> Rulebook:
        """The policy that runs, for questions about single packets."""
        generation, board = await self.running(ctx)
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
        self._boards.pop(ident, None)

    @property
    def cache(self) -> RowCache:
        return self._rows

    async def hits(self, ctx: Ctx, days: int = 90) -> Mapping[str, RowHits]:
        """What rules matched; nothing where no history can be kept."""
        now = ctx.console.clock()
        if self._hits is None or self._hits[1] != days or now - self._hits[0] > _HITS:
            try:
                found = await ctx.ask(Hits(days * 86_400), HitList)
            except Problem as problem:
                if problem.code not in ("store", "nothing-runs"):
                    raise
                return {}
            rules = {one.id: RowHits(one.hits, one.recent, one.last) for one in found.rules}
            self._hits = now, days, rules
        return self._hits[2]


def refused(words: str, code: str, findings: Sequence[Finding] = ()) -> Problem:
    """What cannot be made of a text as it was asked for."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, code=code, findings=tuple(findings))
