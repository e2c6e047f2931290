"""The first credential, another one, and the way back for who lost theirs: through a link that somebody gave them, or
from a session that they have."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.console.who import tickets
from appliance.console.who.accounts import Full, Passkey
from appliance.console.who.desk import At, Desk
from appliance.console.who.entering import Refused
from appliance.console.who.qr import Picture, picture
from appliance.policy.console import Person
from crypto import passphrase as phrases
from crypto import totp, webauthn

_PASSKEY, _APP = "new passkey", "new app"
_SECONDS = 1800.0  # for who has to install an app first


class App(msgspec.Struct, frozen=True):
    """What an authenticator app takes in: `secret` as people type it, `uri` as a link, `picture` as cameras read it;
    `ticket` comes back with the first code."""

    secret: str
    uri: str
    ticket: str
    picture: Picture


class Enrolling:
    """Everything raises `Refused`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def invited(self, link: str, at: At) -> Person:
        """Whom a link is for."""
        found = self._desk.invitations.look(link)
        person = self._desk.person(found.person) if found is not None else None
        if person is None:
            self._desk.fail("invitation", "", at)
            raise Refused("invitation")
        return person

    # --- passkeys ---------------------------------------------------------------------------------------------------

    def ask_passkey(self, person: Person, browser: str, at: At) -> dict[str, Any]:
        """What the browser with that cookie is to have the person's device make."""
        desk = self._desk
        challenge = desk.tickets.make(_PASSKEY, browser, person.id.encode())
        known = [one.id for one in desk.accounts.passkeys(person.id)]
        handle = desk.accounts.handle(person.id)
        return webauthn.creation(desk.relying(at), handle, person.id, person.name, challenge, known)

    def passkey(
        self, person: Person, answer: dict[str, Any], words: str, browser: str, at: At, link: str = ""
    ) -> Passkey:
        """The new passkey, which is theirs from now on. `link` is the one that they came by."""
        desk = self._desk
        try:
            challenge = webauthn.challenge_of(answer)
            if desk.tickets.read(challenge, _PASSKEY, browser) != person.id.encode():
                raise webauthn.Rejected("the challenge is none of ours, too old, or was answered already")
            made = webauthn.created(desk.relying(at), answer, challenge)
            self._use(link)
            desk.tickets.take(challenge, _PASSKEY, browser)
            kept = desk.accounts.add_passkey(person.id, made, words)
        except webauthn.Rejected as error:
            desk.trail(f"a new passkey of {person.id} from {at.address} was refused: {error}")
            raise Refused("passkey") from error
        except Full as error:
            raise Refused("full") from error
        detail = {"passkey": kept.name, "words": kept.words, "synced": "may be" if kept.eligible else "no"}
        desk.trail.audit(person.id, "account.passkey", person.id, origin=at.origin, detail=detail)
        return kept

    def remove_passkey(self, person: str, name: str, actor: str, origin: str) -> bool:
        gone = self._desk.accounts.remove_passkey(person, name)
        if gone:
            self._desk.trail.audit(actor, "account.remove", person, origin=origin, detail={"passkey": name})
        return gone

    # --- a passphrase and an app ------------------------------------------------------------------------------------

    def new_app(self, person: Person, browser: str) -> App:
        secret = totp.secret()
        ticket = self._desk.tickets.make(_APP, browser, f"{person.id} {secret}".encode(), _SECONDS)
        return self._shown(person, secret, tickets.written(ticket))

    def same_app(self, person: Person, ticket: str, browser: str) -> App | None:
        """The one that a page shows again after a slip."""
        found = self._app(person, ticket, browser)
        return self._shown(person, found, ticket) if found else None

    def _shown(self, person: Person, secret: str, ticket: str) -> App:
        uri = totp.uri(secret, person.id, self._desk.settings.name)
        return App(secret, uri, ticket, picture(uri))

    def _app(self, person: Person, ticket: str, browser: str) -> str:
        content = self._desk.tickets.read(tickets.read(ticket), _APP, browser) or b""
        whose, _, secret = content.decode().partition(" ")
        return secret if whose == person.id else ""

    async def second(
        self, person: Person, passphrase: str, ticket: str, code: str, browser: str, at: At, link: str = ""
    ) -> None:
        """A passphrase, and the app that showed this code; what was there before is good no more. `link` is the one
        that they came by."""
        desk = self._desk
        if not phrases.LEAST <= len(passphrase) <= phrases.MOST or person.id.casefold() in passphrase.casefold():
            raise Refused("short")
        app = self._app(person, ticket, browser)
        step = totp.matches(app, code, desk.clock()) if app else -1
        if step < 0:
            raise Refused("code")
        kept = await desk.aside(phrases.keep, passphrase)
        if desk.tickets.take(tickets.read(ticket), _APP, browser) is None:
            raise Refused("code")
        self._use(link)
        desk.accounts.set_second(person.id, kept, app, step)
        desk.trail.audit(person.id, "account.passphrase", person.id, origin=at.origin)

    def remove_second(self, person: str, actor: str, origin: str) -> bool:
        gone = self._desk.accounts.remove_second(person)
        if gone:
            self._desk.trail.audit(
                actor, "account.remove", person, origin=origin, detail={"passphrase": "with its app"}
            )
        return gone

    def _use(self, link: str) -> None:
        """The link is good no more; of two who use it at once one is late. "": they are in already."""
        if link and not self._desk.invitations.take(link):
            raise Refused("invitation")
