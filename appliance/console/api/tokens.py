"""Tokens for programs: for some of what you may, for a time."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from appliance.console import problems
from appliance.console.api.me import afresh, desk_of, in_person
from appliance.console.api.sessions import Listing, Name, whose
from appliance.console.context import Ctx
from appliance.console.paging import page
from appliance.console.problems import Problem
from appliance.console.registry import endpoint
from appliance.console.who.tokens import Token, Unfit
from appliance.policy.roles import Permission

_DAY = 86_400
Days = Annotated[int, msgspec.Meta(ge=1, le=366)]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it is called, what it may, and for how many days."""

    label: Name
    scopes: tuple[Permission, ...]
    days: Days = 90


class TokenView(msgspec.Struct, frozen=True):
    """Times are seconds since the epoch, `used` 0: never."""

    id: str
    person: str
    label: str
    scopes: tuple[str, ...]
    made: float
    until: float
    used: float


class TokenMade(msgspec.Struct, frozen=True):
    """`token` is said now and never again."""

    token: str
    view: TokenView


def _view(one: Token) -> TokenView:
    return TokenView(one.id, one.person, one.label, one.scopes, one.made, one.until, one.used)


@endpoint("GET", "/tokens", permission="known", answers=tuple[TokenView, ...], paged=True)
async def tokens(ctx: Ctx, query: Listing) -> object:
    """Your tokens or, for administrators, those of others."""
    found = tuple(_view(one) for one in desk_of(ctx).tokens.listed(whose(ctx, query.person)))
    return page(found, query.limit, query.after, lambda one: one.id)


@endpoint("POST", "/tokens", permission="known", answers=TokenMade, status=201, secret=True)
async def make(ctx: Ctx, body: NewToken) -> TokenMade:
    """Make a token for some of what you may."""
    afresh(ctx)
    try:
        given, made = desk_of(ctx).make_token(
            ctx.person, body.label, body.scopes, body.days * _DAY, f"https {ctx.address}"
        )
    except Unfit as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), code="unfit") from error
    return TokenMade(given, _view(made))


@endpoint("DELETE", "/tokens/{id}", permission="known")
async def revoke(ctx: Ctx, id: Name) -> None:
    """Revoke a token, which opens nothing from then on."""
    if id != ctx.person.id and not ctx.person.may("administer"):
        in_person(ctx)
    person = "" if ctx.person.may("administer") else ctx.person.person
    if ctx.person.how != "token" and not any(one.id == id for one in desk_of(ctx).tokens.listed(ctx.person.person)):
        afresh(ctx)
    if desk_of(ctx).revoke_token(id, ctx.person.person, f"https {ctx.address}", person) is None:
        raise problems.not_found("there is no such token")
