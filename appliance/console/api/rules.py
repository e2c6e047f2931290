"""The rules and names of what runs."""

from __future__ import annotations

from appliance.console.api.workshop import (
    CSV,
    Chosen,
    RulesPage,
    UsedAt,
    Window,
    object_rows,
    page,
    table,
    used,
)
from appliance.console.context import Ctx
from appliance.console.registry import Raw, endpoint
from appliance.console.workshop import RUNNING
from appliance.drafts.objects import ObjectRow


@endpoint("GET", "/rules", permission="look", answers=RulesPage)
async def rows(ctx: Ctx, query: Window) -> object:
    """The rules that run as rows; `version` is the generation."""
    workshop = ctx.console.workshop
    generation, board = await workshop.running(ctx)
    hits = await workshop.hits(ctx, query.days)
    return await workshop.aside(page, board, generation, query, hits, workshop.past(RUNNING, query.since))


@endpoint("GET", "/rules.csv", permission="look", answers=CSV)
async def out(ctx: Ctx, query: Chosen) -> object:
    """The rules that run for a spreadsheet (RFC 4180)."""
    generation, board = await ctx.console.workshop.running(ctx)
    hits = await ctx.console.workshop.hits(ctx)
    written = await ctx.console.workshop.aside(table, board, query.search, hits)
    return Raw(written, f"{CSV}; charset=utf-8", f"rules-generation-{generation}.csv")


@endpoint("GET", "/objects", permission="look", answers=tuple[ObjectRow, ...])
async def named(ctx: Ctx) -> object:
    """What the text that runs and its baselines define."""
    _, board = await ctx.console.workshop.running(ctx)
    return await object_rows(ctx, board)


@endpoint("GET", "/uses/{name}", permission="look", answers=tuple[UsedAt, ...])
async def uses(ctx: Ctx, name: str) -> object:
    """Every place that names something in what runs."""
    _, board = await ctx.console.workshop.running(ctx)
    return await ctx.console.workshop.aside(used, board, name)
