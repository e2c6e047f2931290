"""What ends, what waits for somebody's look, and what is to be applied."""

from __future__ import annotations

import time

import msgspec

from appliance.console.context import Ctx
from appliance.console.registry import endpoint
from appliance.control.messages.changes import ProposalList, Proposals
from appliance.control.messages.gateway import Show, Shown
from appliance.drafts.calendar import Entry, entries


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds since the epoch; without them everything."""

    begin: float | None = msgspec.field(default=None, name="from")
    until: float | None = None


@endpoint("GET", "/calendar", permission="look", answers=tuple[Entry, ...])
async def listed(ctx: Ctx, query: Span) -> object:
    """Expiries and reviews of what runs, scheduled proposals, and until when schedules are compiled."""
    now = time.time()
    _, board = await ctx.console.workshop.running(ctx)
    found = entries(board.grid.rules, board.grid.site, board.timezone, now)
    for one in (await ctx.ask(Proposals("scheduled"), ProposalList)).proposals:
        found.append(Entry(one.at, "scheduled", str(one.number), one.title, one.author, one.why))
    horizon = (await ctx.ask(Show(), Shown)).horizon
    if horizon:
        found.append(Entry(horizon, "horizon", "", "schedules and expiries are compiled until then"))
    status = ctx.console.known.status
    if status is not None and status.confirm_by:
        words = "without a confirm it is rolled back then"
        found.append(
            Entry(status.confirm_by, "confirm", str(status.running), f"generation {status.running}", "", words)
        )
    first = float("-inf") if query.begin is None else query.begin
    last = float("inf") if query.until is None else query.until
    return tuple(sorted((one for one in found if first <= one.at <= last), key=lambda one: (one.at, one.id)))
