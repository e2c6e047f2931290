"""What inspection, the detections and the gateway itself warned of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.console import problems
from appliance.console.alertrows import AlertRow, AlertView, row, view
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages_alerts import (
    MOST_ALERTS,
    AlertCounts,
    AlertCountsAre,
    AlertIs,
    AlertKind,
    Alerts,
    AlertsAre,
    AlertWith,
)

_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Word = Annotated[str, msgspec.Meta(max_length=200)]


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts: of a `severity` or worse (1 is the worst), raised by a `kind`, under a `rule` of the policy, of a
    `signature` (its number, or words of its title), from or to an `address` or network, of moments in seconds since
    the epoch. The newest come first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ALERTS)] = 100
    after: Annotated[str, msgspec.Meta(pattern="^[0-9]{0,15}$")] = ""
    severity: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    kind: AlertKind | Literal[""] = ""
    rule: _Word = ""
    signature: _Word = ""
    address: _Word = ""
    since: _Moment = 0.0
    until: _Moment = 0.0


class AlertList(msgspec.Struct, frozen=True):
    """`through` is the newest number that there was: live events go on from there."""

    alerts: tuple[AlertRow, ...]
    through: int


class Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many signatures at most."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100


class Around(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What else was seen within so many `seconds` of it, at most so many events."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 300.0
    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100


@endpoint("GET", "/alerts", permission="look", answers=AlertList, paged=True)
async def listed(ctx: Ctx, query: Chosen) -> Answer:
    """The alerts that the gateway keeps, the newest first. A page may have fewer than were asked for, or none, and
    go on all the same."""
    if query.until and query.since > query.until:
        raise problems.bad("`since` is later than `until`")
    asked = Alerts(
        int(query.after or 0), query.limit, query.severity, query.kind, query.rule, query.signature, query.address,
        query.since, query.until,
    )  # fmt: skip
    found = await ctx.ask(asked, AlertsAre, of="alertd")
    rows = tuple(one for kept in found.alerts if (one := row(kept)) is not None)
    return Answer(AlertList(rows, found.last), after=str(found.next) if found.next else "")


@endpoint("GET", "/alerts/counts", permission="look", answers=AlertCountsAre)
async def counts(ctx: Ctx, query: Many) -> AlertCountsAre:
    """How many alerts came in the last hour and day, and the signatures that raised the most."""
    return await ctx.ask(AlertCounts(query.limit), AlertCountsAre, of="alertd")


@endpoint("GET", "/alerts/{id}", permission="look", answers=AlertView)
async def one(ctx: Ctx, id: int, query: Around) -> AlertView:
    """One alert, and what else was seen of its connection."""
    found = view(await ctx.ask(AlertWith(id, query.seconds, query.limit), AlertIs, of="alertd"))
    if found is None:
        raise problems.not_found(f"alert {id} cannot be read")
    return found
