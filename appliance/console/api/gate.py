"""The gate and its lists: where it stands, what it dropped, which of a million prefixes hold an address."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console.api.bans import Page, Place, Word
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.gate import (
    LIST_NAME,
    Gate,
    GateDone,
    GateFind,
    GateForget,
    GateFound,
    GateFoundEntry,
    GateReport,
)

ListName = Annotated[str, msgspec.Meta(pattern=f"^{LIST_NAME}$")]


class Within(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds the address or network `word`, then what lies in it; another word means lists by their names."""

    word: Word = ""
    list: Word = ""
    after: Place = ""
    limit: Page = 100


class PrefixPage(msgspec.Struct, frozen=True):
    """The next page begins `after`, "" at the end."""

    entries: tuple[GateFoundEntry, ...]
    total: int
    after: str


@endpoint("GET", "/gate", permission="look", answers=GateReport)
async def gate(ctx: Ctx) -> GateReport:
    """Where the gate stands, what it dropped there, and its lists."""
    return await ctx.ask(Gate(), GateReport)


@endpoint("GET", "/gate/prefixes", permission="look", answers=PrefixPage, paged=True)
async def prefixes(ctx: Ctx, query: Within) -> Answer:
    """Prefixes of lists, a page."""
    request = GateFind(query.word.strip(), query.list, int(query.after or 0), query.limit)
    found = await ctx.ask(request, GateFound)
    after = str(found.after or "")
    return Answer(PrefixPage(found.entries, found.total, after), after=after)


@endpoint("DELETE", "/gate/lists/{name}", permission="respond")
async def forget(ctx: Ctx, name: ListName) -> None:
    """A list is no more, and bans nobody."""
    await ctx.ask(GateForget(name), GateDone)
