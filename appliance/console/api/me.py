"""Who asks, and what they come in with: their passkeys, their passphrase and its app."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.problems import Problem
from appliance.console.registry import endpoint
from appliance.console.who import asking
from appliance.console.who.accounts import Accounts
from appliance.console.who.desk import Desk
from appliance.console.who.enrolling import Enrolling
from appliance.console.who.entering import Entering, Refused
from appliance.console.who.pages.words import EN
from appliance.console.who.qr import Picture
from appliance.policy.console import Person
from appliance.policy.roles import Permission

Word = Annotated[str, msgspec.Meta(max_length=64)]
Secret = Annotated[str, msgspec.Meta(max_length=512)]


class Me(msgspec.Struct, frozen=True):
    """Who asks. A session ends `idle` seconds after it was used last, and at `until` (seconds since the epoch); both
    are 0 for a token. `how`: session or token."""

    person: str
    name: str
    roles: tuple[str, ...]
    permissions: tuple[Permission, ...]
    zones: tuple[str, ...]
    how: str
    idle: int
    until: float


class PasskeyView(msgspec.Struct, frozen=True):
    """`name` is what it is removed by, `words` what its owner calls it. Times are seconds since the epoch, `used` 0:
    never. `synced`: it may be copied to other devices by whoever made the device."""

    name: str
    words: str
    added: float
    used: float
    synced: bool


class Credentials(msgspec.Struct, frozen=True):
    """What somebody comes in with. `codes` of break-glass are left."""

    passkeys: tuple[PasskeyView, ...]
    passphrase: bool
    certificate: bool
    codes: int


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`answer` is what the browser's `navigator.credentials.create` gave, as its `toJSON` says it."""

    answer: dict[str, Any]
    words: Word = ""


class NewApp(msgspec.Struct, frozen=True):
    """`secret` is for an authenticator app, `uri` the same as a link, `picture` as a QR code; `ticket` comes back
    with the first code."""

    secret: str
    uri: str
    ticket: str
    picture: Picture


class ProofWanted(msgspec.Struct, frozen=True):
    """How you may show that it is you: `passkey` is what the browser's `navigator.credentials.get` is asked, None
    without one. With neither you log in again."""

    passkey: dict[str, Any] | None
    passphrase: bool


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`answer` is what the device said to the options; or the passphrase, with a code of its app."""

    answer: dict[str, Any] | None = None
    passphrase: Secret = ""
    code: Word = ""


class NewPassphrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`code` is what the app of `ticket` shows now."""

    passphrase: Secret
    ticket: Secret
    code: Word


def desk_of(ctx: Ctx) -> Desk:
    """The desk behind the door. Raises `Problem` where there is none."""
    door = ctx.console.door
    if not isinstance(door, Desk):
        raise problems.away("no accounts are kept here")
    return door


def person_of(desk: Desk, login: str) -> Person:
    found = desk.person(login)
    if found is None:
        raise problems.not_found(f"the running policy names nobody {login[:64]!r}")
    return found


def in_person(ctx: Ctx) -> None:
    """Raises `Problem` where a program asks: what opens doors is made by people."""
    if ctx.person.how == "token":
        raise problems.forbidden("a token may not do this: log in for it", "session-needed")


def afresh(ctx: Ctx) -> None:
    """Raises `Problem` unless a person asks who showed within minutes that it is they: what opens doors is not made
    by whoever finds a screen that nobody locked."""
    in_person(ctx)
    if not desk_of(ctx).fresh(ctx.person):
        raise problems.forbidden("show again that it is you, and then do this", "prove")


def credentials_of(accounts: Accounts, person: Person) -> Credentials:
    return Credentials(
        tuple(
            PasskeyView(one.name, one.words, one.added, one.used, one.eligible)
            for one in accounts.passkeys(person.id)
        ),
        accounts.second(person.id) is not None,
        bool(person.certificate),
        accounts.codes_left(person.id),
    )


def refusal(refused: Refused) -> Problem:
    """Of what somebody wanted to come in with."""
    words = EN.of_refusal(refused.why, refused.wait)
    if refused.why == "wait":
        return problems.wait(words, max(1, round(refused.wait)))
    status = HTTPStatus.CONFLICT if refused.why == "full" else HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, words, code=refused.why)


@endpoint("GET", "/me", permission="known", answers=Me)
async def me(ctx: Ctx) -> Me:
    """Who asks, and what they may."""
    caller, desk = ctx.person, desk_of(ctx)
    person = person_of(desk, caller.person)
    idle, until = 0, 0.0
    for one in desk.sessions.listed(desk.bounds, caller.person):
        if caller.how == "session" and one.id == caller.id:
            idle, until = desk.settings.idle, desk.sessions.end_of(one, desk.bounds)
    return Me(
        person.id, person.name, person.roles, tuple(sorted(caller.permissions)), person.zones, caller.how, idle, until
    )


@endpoint("POST", "/me/proof/options", permission="known", answers=ProofWanted, secret=True)
async def ask_proof(ctx: Ctx) -> ProofWanted:
    """How you may show that it is you who sits there."""
    in_person(ctx)
    desk, person = desk_of(ctx), ctx.person.person
    wanted = Entering(desk).ask_passkey(ctx.person.id, asking.at(ctx.request))
    return ProofWanted(wanted if desk.accounts.passkeys(person) else None, desk.accounts.second(person) is not None)


@endpoint("POST", "/me/proof", permission="known", secret=True)
async def prove(ctx: Ctx, body: Proof) -> None:
    """Show that it is you, as at a log-in: for ten minutes you may change who comes in and what with."""
    in_person(ctx)
    desk, at, person = desk_of(ctx), asking.at(ctx.request), ctx.person.person
    try:
        if body.answer is not None:
            Entering(desk).shown_passkey(body.answer, ctx.person.id, at, person)
        else:
            await Entering(desk).shown_passphrase(person, body.passphrase, body.code, at)
    except Refused as refused:
        raise refusal(refused) from refused
    desk.prove(ctx.person, "passkey" if body.answer is not None else "passphrase", at)


@endpoint("GET", "/me/credentials", permission="known", answers=Credentials)
async def credentials(ctx: Ctx) -> Credentials:
    """What you come in with."""
    desk = desk_of(ctx)
    return credentials_of(desk.accounts, person_of(desk, ctx.person.person))


@endpoint("POST", "/me/passkeys/options", permission="known", answers=dict[str, Any], secret=True)
async def ask_passkey(ctx: Ctx) -> dict[str, Any]:
    """What the browser is to ask your device for, to make another passkey."""
    afresh(ctx)
    desk = desk_of(ctx)
    return Enrolling(desk).ask_passkey(person_of(desk, ctx.person.person), ctx.person.id, asking.at(ctx.request))


@endpoint("POST", "/me/passkeys", permission="known", answers=PasskeyView, status=201)
async def add_passkey(ctx: Ctx, body: NewPasskey) -> PasskeyView:
    """Add the passkey that your device made."""
    afresh(ctx)
    desk, at = desk_of(ctx), asking.at(ctx.request)
    person = person_of(desk, ctx.person.person)
    try:
        made = Enrolling(desk).passkey(person, body.answer, body.words, ctx.person.id, at)
    except Refused as refused:
        raise refusal(refused) from refused
    return PasskeyView(made.name, made.words, made.added, made.used, made.eligible)


@endpoint("DELETE", "/me/passkeys/{name}", permission="known")
async def remove_passkey(ctx: Ctx, name: Word) -> None:
    """Take a passkey away. The last way in stays: ask an administrator for another first."""
    afresh(ctx)
    desk = desk_of(ctx)
    _not_the_last(desk, person_of(desk, ctx.person.person))
    if not Enrolling(desk).remove_passkey(ctx.person.person, name, ctx.person.person, f"https {ctx.address}"):
        raise problems.not_found("you have no such passkey")


@endpoint("POST", "/me/app", permission="known", answers=NewApp, secret=True)
async def new_app(ctx: Ctx) -> NewApp:
    """A secret for an authenticator app, which a passphrase needs."""
    afresh(ctx)
    desk = desk_of(ctx)
    made = Enrolling(desk).new_app(person_of(desk, ctx.person.person), ctx.person.id)
    return NewApp(made.secret, made.uri, made.ticket, made.picture)


@endpoint("PUT", "/me/passphrase", permission="known")
async def set_passphrase(ctx: Ctx, body: NewPassphrase) -> None:
    """Set a passphrase with the app that shows this code; what was there before is good no more."""
    afresh(ctx)
    desk, at = desk_of(ctx), asking.at(ctx.request)
    person = person_of(desk, ctx.person.person)
    try:
        await Enrolling(desk).second(person, body.passphrase, body.ticket, body.code, ctx.person.id, at)
    except Refused as refused:
        raise refusal(refused) from refused


@endpoint("DELETE", "/me/passphrase", permission="known")
async def remove_passphrase(ctx: Ctx) -> None:
    """Take the passphrase and its app away."""
    afresh(ctx)
    desk = desk_of(ctx)
    _not_the_last(desk, person_of(desk, ctx.person.person))
    if not Enrolling(desk).remove_second(ctx.person.person, ctx.person.person, f"https {ctx.address}"):
        raise problems.not_found("you have no passphrase")


def _not_the_last(desk: Desk, person: Person) -> None:
    ways = len(desk.accounts.passkeys(person.id)) + (desk.accounts.second(person.id) is not None)
    if ways <= 1 and not person.certificate and desk.settings.oidc is None:
        words = "this is your last way in: add another before you take it away"
        raise Problem(HTTPStatus.CONFLICT, words, code="last")
