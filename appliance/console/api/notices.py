"""What owners are told of: what of theirs ends, is proposed to change, runs, or was taken back."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console.context import Ctx
from appliance.console.registry import LARGEST, endpoint
from appliance.control.messages.notices import MOST_NOTICES, NoticeList, OwnNotices, SeeNotices


class Whose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those of who asks, by mail address, name or id; with `everybody` all. The newest come first."""

    everybody: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_NOTICES)] = 100


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to this number."""

    through: Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


@endpoint("GET", "/notices", permission="look", answers=NoticeList)
async def listed(ctx: Ctx, query: Whose) -> object:
    """Notices to owners, and how many of one's own are new."""
    return await ctx.ask(OwnNotices(query.everybody, query.limit), NoticeList)


@endpoint("POST", "/notices/seen", permission="look", answers=NoticeList)
async def seen(ctx: Ctx, body: Seen) -> object:
    """One's own were seen."""
    return await ctx.ask(SeeNotices(body.through), NoticeList)
