"""What others warned of: where it is enforced, how often it hit, and what two people want blocked all the same."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console.api.bans import Place, Reason, Word
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.indicators import IndicatorList, Indicators, Overridden, OverrideIndicator

_DAY = 86_400
Value = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a source, in a mode (`block`, `alert`, `watch`, `none`), with a word in name or values; with `holds` what
    blocks that address."""

    source: Word = ""
    mode: Word = ""
    word: Word = ""
    holds: Word = ""
    after: Place = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class NewOverride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Block a value that is never blocked, for `seconds`; it holds when a second person says the same."""

    value: Value
    why: Reason
    seconds: Annotated[int, msgspec.Meta(ge=60, le=366 * _DAY)] = _DAY


class Restored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Value


@endpoint("GET", "/indicators", permission="look", answers=IndicatorList, paged=True)
async def indicators(ctx: Ctx, query: Wanted) -> Answer:
    """Indicators that others gave, newest first, with what is in force and how often it hit."""
    message = Indicators(query.source, query.mode, query.word, query.limit, query.holds, int(query.after or 0))
    found = await ctx.ask(message, IndicatorList, of="alertd")
    return Answer(found, after=str(found.after or ""))


@endpoint("POST", "/indicators/override", permission="respond", answers=Overridden)
async def override(ctx: Ctx, body: NewOverride) -> Overridden:
    """Ask for a value to be blocked in spite of the lists of what never is, or agree with who asked."""
    request = OverrideIndicator(body.value.strip(), body.why.strip(), body.seconds)
    return await ctx.ask(request, Overridden, of="alertd")


@endpoint("POST", "/indicators/restore", permission="respond", answers=Overridden)
async def restore(ctx: Ctx, body: Restored) -> Overridden:
    """Take an override back; one person is enough."""
    return await ctx.ask(OverrideIndicator(body.value.strip(), back=True), Overridden, of="alertd")
