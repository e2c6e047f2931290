"""Who is in: your own sessions and, for administrators, those of others."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console import problems
from appliance.console.api.me import afresh, desk_of, in_person
from appliance.console.context import Ctx
from appliance.console.paging import page
from appliance.console.registry import endpoint

Name = Annotated[str, msgspec.Meta(max_length=64)]


class SessionView(msgspec.Struct, frozen=True):
    """Times are seconds since the epoch; at `until` it ends however much it is used. `mine`: it asks."""

    id: str
    person: str
    how: str
    began: float
    seen: float
    until: float
    address: str
    device: str
    mine: bool


class Whose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`person`: of somebody else, `*` of everybody; only administrators may."""

    person: Name = ""


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`person`: of somebody else, `*` of everybody; only administrators may. `limit` at a time, behind the one whose
    id is `after`."""

    person: Name = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    after: Name = ""


class Ended(msgspec.Struct, frozen=True):
    """How many there were."""

    ended: int


def whose(ctx: Ctx, person: str) -> str:
    """Of whom something is asked; "" is everybody. Raises `Problem`."""
    own = ctx.person.person
    if person in ("", own):
        return own
    if not ctx.person.may("administer"):
        raise problems.forbidden(f"{ctx.person.name} may not do this: it needs the permission to administer")
    return "" if person == "*" else person


@endpoint("GET", "/sessions", permission="known", answers=tuple[SessionView, ...], paged=True)
async def sessions(ctx: Ctx, query: Listing) -> object:
    """Who is in, the newest first."""
    desk = desk_of(ctx)
    found = tuple(
        SessionView(
            one.id, one.person, one.how, one.began, one.seen, desk.sessions.end_of(one, desk.bounds), one.address,
            one.device, ctx.person.how == "session" and one.id == ctx.person.id,
        )
        for one in desk.sessions.listed(desk.bounds, whose(ctx, query.person))
    )  # fmt: skip
    return page(found, query.limit, query.after, lambda one: one.id)


@endpoint("DELETE", "/sessions/{id}", permission="known")
async def end(ctx: Ctx, id: Name) -> None:
    """End a session; what it has open ends within seconds."""
    desk = desk_of(ctx)
    own = any(one.id == id for one in desk.sessions.listed(desk.bounds, ctx.person.person))
    if not ctx.person.may("administer"):
        in_person(ctx)
    elif not own and ctx.person.how != "token":
        afresh(ctx)
    person = "" if ctx.person.may("administer") else ctx.person.person
    if desk.revoke_session(id, ctx.person.person, f"https {ctx.address}", person) is None:
        raise problems.not_found("there is no such session")


@endpoint("DELETE", "/sessions", permission="known", answers=Ended)
async def end_all(ctx: Ctx, query: Whose) -> Ended:
    """End all sessions of a person; of your own all but the one that asks."""
    person = whose(ctx, query.person)
    if not ctx.person.may("administer"):
        in_person(ctx)
    if not person:
        raise problems.bad("say whose sessions are to end")
    if person != ctx.person.person and ctx.person.how != "token":
        afresh(ctx)
    but = ctx.person.id if person == ctx.person.person and ctx.person.how == "session" else ""
    return Ended(desk_of(ctx).revoke_sessions(person, ctx.person.person, f"https {ctx.address}", but))
