"""What happens, as it happens."""

from __future__ import annotations

import msgspec

from appliance.console.context import Ctx
from appliance.console.registry import EVENTS, endpoint
from appliance.console.streams import Kind


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which kinds of events; none is all of them, but for `flow` and `lines`."""

    kind: tuple[Kind, ...] = ()


@endpoint("GET", "/live", permission="look", answers=EVENTS)
async def live(ctx: Ctx, query: Chosen) -> object:
    """Events as they come. Go on with `Last-Event-ID`; after `reset` ask for everything anew."""
    person = ctx.person
    door = ctx.console.door
    kinds, session = frozenset(query.kind), ctx.session
    return await ctx.console.live.stream(ctx.request, person, kinds, lambda: door.still(person), session)
