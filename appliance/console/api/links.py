"""Links that need two people: who wants one for whom is seen by everybody, and an approver agrees, or not."""

from __future__ import annotations

from http import HTTPStatus

from appliance.console import problems
from appliance.console.api.accounts import LinkView, Login, WantedView
from appliance.console.api.me import afresh, desk_of, in_person
from appliance.console.context import Ctx
from appliance.console.problems import Problem
from appliance.console.registry import endpoint
from appliance.console.who.invitations import Wanted


def _wanted(ctx: Ctx, person: str) -> Wanted:
    found = next((one for one in desk_of(ctx).wanted() if one.person == person), None)
    if found is None:
        raise problems.not_found(f"nobody wants a link for {person[:64]!r}")
    return found


@endpoint("GET", "/links", permission="look", answers=tuple[WantedView, ...])
async def links(ctx: Ctx) -> tuple[WantedView, ...]:
    """Who wants a link for whom, while the policy asks for four eyes."""
    desk = desk_of(ctx)
    return tuple(
        WantedView(one.person, found.name, one.by, one.reset, one.until)
        for one in desk.wanted()
        if (found := desk.person(one.person)) is not None
    )


@endpoint("POST", "/links/{id}/agree", permission="approve", answers=LinkView, status=201, secret=True)
async def agree(ctx: Ctx, id: Login) -> LinkView:
    """Agree that they get a link, which is told to you: give it to them. Not for who wants it, nor whom it is for."""
    afresh(ctx)
    wanted, desk = _wanted(ctx, id), desk_of(ctx)
    if ctx.person.person in (wanted.by, wanted.person):
        raise problems.forbidden("somebody must agree who neither wants this link nor comes in by it", "own")
    made = desk.agree_link(wanted, ctx.person.person, f"https {ctx.address}")
    if made is None:
        raise Problem(HTTPStatus.CONFLICT, "this link is not wanted any more", code="state")
    link, invitation = made
    ctx.console.live.publish("link", {"person": wanted.person})
    return LinkView(wanted.person, link, invitation.until)


@endpoint("DELETE", "/links/{id}", permission="look")
async def refuse(ctx: Ctx, id: Login) -> None:
    """They get none: for whom it is for, who wants it, approvers and administrators."""
    in_person(ctx)
    wanted = _wanted(ctx, id)
    asker = ctx.person
    if asker.person not in (wanted.by, wanted.person) and not (asker.may("approve") or asker.may("administer")):
        raise problems.forbidden("this is for an approver, an administrator, or whom the link is for")
    if not desk_of(ctx).refuse_link(wanted, asker.person, f"https {ctx.address}"):
        raise Problem(HTTPStatus.CONFLICT, "this link is not wanted any more", code="state")
    ctx.console.live.publish("link", {"person": wanted.person})
