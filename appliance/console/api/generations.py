"""What runs, what ran, and the way back."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console import problems
from appliance.console.api.drafts import LONG
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.changes import Between
from appliance.control.messages.gateway import (
    Applied,
    Confirm,
    Confirmed,
    GenerationSummary,
    History,
    HistoryList,
    Rollback,
    Show,
    Shown,
)
from appliance.control.messages.seals import MOST_SEALS, SealList, Seals
from appliance.control.messages.text import Planned


class Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many, the newest first, behind the generation `after`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: str = ""


class Against(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The generation that it is compared with; the one that runs, when it is left out."""

    first: int | None = msgspec.field(default=None, name="from")


class Back(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Back to `generation`; null is the one before the one that runs."""

    generation: int | None = None
    reason: str = ""


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Generations by their numbers."""

    generation: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(min_length=1, max_length=MOST_SEALS)
    ]


class GenerationText(msgspec.Struct, frozen=True):
    """The text of a generation, the baselines and list files that it was read with, and until when its schedules and
    expiries are compiled (seconds since the epoch; 0: nothing depends on time)."""

    generation: int
    text: str
    inherited: dict[str, str]
    files: dict[str, str]
    horizon: int


@endpoint("GET", "/generations", permission="look", answers=tuple[GenerationSummary, ...], paged=True)
async def listed(ctx: Ctx, query: Last) -> object:
    """What was applied, the newest first."""
    if query.after and not query.after.isdecimal():
        raise problems.bad("`after` is the number of a generation")
    below = int(query.after) if query.after else 0
    most = query.limit + 1
    if below:
        newest = (await ctx.ask(History(1), HistoryList)).generations
        most += max(newest[0].generation - below + 1, 0) if newest else 0
    found = (await ctx.ask(History(most), HistoryList)).generations
    rest = [one for one in found if not below or one.generation < below]
    part = rest[: query.limit]
    return Answer(tuple(part), after=str(part[-1].generation) if len(rest) > len(part) else "")


@endpoint("GET", "/generations/{number}", permission="look", answers=GenerationSummary)
async def one(ctx: Ctx, number: int) -> object:
    """Who applied a generation, when and why."""
    return (await ctx.ask(Show(number), Shown)).summary


@endpoint("GET", "/generations/{number}/text", permission="look", answers=GenerationText)
async def text(ctx: Ctx, number: int) -> object:
    """The text of a generation."""
    shown = await ctx.ask(Show(number), Shown)
    return GenerationText(number, shown.text, shown.inherited, shown.files, shown.horizon)


@endpoint("GET", "/seals", permission="look", answers=SealList)
async def sealed(ctx: Ctx, query: Chosen) -> object:
    """Check again whether what is kept of generations is what this gateway signed."""
    return await ctx.ask(Seals(query.generation), SealList)


@endpoint("GET", "/generations/{number}/difference", permission="look", answers=Planned)
async def difference(ctx: Ctx, number: int, query: Against) -> object:
    """What going to this generation changes."""
    return await ctx.ask(Between(query.first, number), Planned)


@endpoint("POST", "/running/confirm", permission="apply", answers=Confirmed)
async def confirmed(ctx: Ctx) -> object:
    """Confirm what runs, by a connection that passed its rules."""
    return await ctx.ask(Confirm(ctx.session), Confirmed)


@endpoint("POST", "/running/rollback", permission="apply", answers=Applied)
async def rolled_back(ctx: Ctx, body: Back) -> object:
    """Go back to a generation."""
    message = Rollback(body.generation, body.reason, ctx.session)
    return await ctx.ask(message, Applied, timeout=LONG)
