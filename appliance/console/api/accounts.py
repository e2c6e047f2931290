"""People and what they come in with, for administrators. Who the people are, and their roles, says the policy."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console import problems
from appliance.console.api.me import Credentials, afresh, credentials_of, desk_of, person_of
from appliance.console.api.sessions import Name
from appliance.console.context import Ctx
from appliance.console.registry import endpoint
from appliance.console.who.desk import Desk
from appliance.console.who.enrolling import Enrolling
from appliance.policy.console import Person

Login = Annotated[str, msgspec.Meta(max_length=64)]


class AccountView(msgspec.Struct, frozen=True):
    """`invited` is until when a link is good (seconds since the epoch), 0 without one."""

    id: str
    name: str
    mail: str
    roles: tuple[str, ...]
    zones: tuple[str, ...]
    break_glass: bool
    credentials: Credentials
    invited: float
    sessions: int
    tokens: int


class Inviting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `reset` what they come in with now is good no more."""

    reset: bool = False


class LinkView(msgspec.Struct, frozen=True):
    """`link` is good once, until `until` (seconds since the epoch). Whoever has it becomes that person. Where it is
    "" an approver may agree until then, and is told it."""

    person: str
    link: str
    until: float


class WantedView(msgspec.Struct, frozen=True):
    """`by` wants a link for `person` (`name`); an approver, who is neither, may agree until `until`."""

    person: str
    name: str
    by: str
    reset: bool
    until: float


def _view(desk: Desk, person: Person, waiting: dict[str, float]) -> AccountView:
    return AccountView(
        person.id, person.name, person.mail, person.roles, person.zones, person.break_glass,
        credentials_of(desk.accounts, person), waiting.get(person.id, 0.0),
        len(desk.sessions.listed(desk.bounds, person.id)), len(desk.tokens.listed(person.id)),
    )  # fmt: skip


@endpoint("GET", "/accounts", permission="administer", answers=tuple[AccountView, ...])
async def accounts(ctx: Ctx) -> tuple[AccountView, ...]:
    """The people of the running policy."""
    desk = desk_of(ctx)
    waiting = desk.invitations.waiting()
    return tuple(_view(desk, person, waiting) for person in desk.people)


@endpoint("GET", "/accounts/{id}", permission="administer", answers=AccountView)
async def account(ctx: Ctx, id: Login) -> AccountView:
    """One of them."""
    desk = desk_of(ctx)
    return _view(desk, person_of(desk, id), desk.invitations.waiting())


@endpoint("POST", "/accounts/{id}/invite", permission="administer", answers=LinkView, status=201, secret=True)
async def invite(ctx: Ctx, id: Login, body: Inviting) -> LinkView:
    """A link by which they make their first passkey or come in again. For who had an account it is an alert. While
    the policy asks for approvals an approver must agree first."""
    afresh(ctx)
    desk = desk_of(ctx)
    person = person_of(desk, id)
    if desk.needs_two:
        found = desk.want_link(person, ctx.person.person, f"https {ctx.address}", reset=body.reset)
        ctx.console.live.publish("link", {"person": person.id})
        return LinkView(person.id, "", found.until)
    link, invitation = desk.invite(person, ctx.person.person, f"https {ctx.address}", reset=body.reset)
    return LinkView(person.id, link, invitation.until)


@endpoint("DELETE", "/accounts/{id}/passkeys/{name}", permission="administer")
async def remove_passkey(ctx: Ctx, id: Login, name: Name) -> None:
    """Take a passkey of theirs away."""
    afresh(ctx)
    desk = desk_of(ctx)
    person = person_of(desk, id)
    if not Enrolling(desk).remove_passkey(person.id, name, ctx.person.person, f"https {ctx.address}"):
        raise problems.not_found(f"{person.id} has no such passkey")


@endpoint("DELETE", "/accounts/{id}/passphrase", permission="administer")
async def remove_passphrase(ctx: Ctx, id: Login) -> None:
    """Take their passphrase and its app away."""
    afresh(ctx)
    desk = desk_of(ctx)
    person = person_of(desk, id)
    if not Enrolling(desk).remove_second(person.id, ctx.person.person, f"https {ctx.address}"):
        raise problems.not_found(f"{person.id} has no passphrase")
