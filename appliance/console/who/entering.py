"""The ways in: a passkey, a passphrase with a code of an app, a certificate, a code that breaks the glass.

Whoever is refused hears the same whatever was wrong, after the same work: nobody learns which names there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from appliance.console.who.desk import GLASS_HOURS, At, Desk
from appliance.console.who.guessing import network_of
from appliance.events import record
from appliance.policy.console import Person
from crypto import passphrase as phrases
from crypto import totp, webauthn

PASSKEY = "passkey"  # the purpose of its tickets
_AT_ONCE = 128  # tries that wait or are looked at, of all addresses
_NOBODY = phrases.keep("of nobody, so that it takes as long as that of somebody")
_NO_APP = totp.secret()

Why = Literal[
    "wrong", "wait", "passkey", "certificate", "provider", "invitation", "short", "differ", "code", "full"
]  # fmt: skip


class Refused(Exception):
    """They are not let in. `why` is a word of the pages; `wait` seconds until they may try again."""

    def __init__(self, why: Why, wait: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.wait = wait


class Entering:
    """Each way gives a new cookie or raises `Refused`. `sleep` waits as `asyncio.sleep` does."""

    def __init__(self, desk: Desk, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._desk = desk
        self._sleep = sleep
        self._trying = desk.trying

    # --- passkeys ---------------------------------------------------------------------------------------------------

    def ask_passkey(self, browser: str, at: At) -> dict[str, Any]:
        """What the browser with that cookie is to ask the person's device."""
        return webauthn.request(self._desk.relying(at), self._desk.tickets.make(PASSKEY, browser))

    def passkey(self, answer: dict[str, Any], browser: str, at: At, old: str = "") -> str:
        return self._desk.begin(self.shown_passkey(answer, browser, at), "passkey", at, old)

    def shown_passkey(self, answer: dict[str, Any], browser: str, at: At, only: str = "") -> Person:
        """Whose passkey answered: that of the person `only` where they are known already. Raises `Refused`."""
        desk = self._desk
        try:
            challenge = webauthn.challenge_of(answer)
            if desk.tickets.read(challenge, PASSKEY, browser) is None:
                raise webauthn.Rejected("the challenge is none of ours, too old, or was answered already")
            id_, handle = webauthn.used(answer)
            key = desk.accounts.passkey(id_)
            person = desk.person(key.person) if key is not None else None
            if key is None or person is None:
                raise webauthn.Rejected("the passkey is of nobody who is in the policy")
            if only not in ("", person.id):
                raise webauthn.Rejected(f"the passkey is not of {only}")
            if handle and handle != desk.accounts.handle(person.id):
                raise webauthn.Rejected("the passkey is of somebody else")
            found = webauthn.asserted(desk.relying(at), answer, challenge, key.public, key.count, key.eligible)
        except webauthn.Rejected as error:
            desk.fail("passkey", "", at)
            desk.trail(f"a passkey from {at.address} was refused: {error}")
            raise Refused("passkey") from error
        if desk.tickets.take(challenge, PASSKEY, browser) is None:
            raise Refused("passkey")
        desk.accounts.used_passkey(key, found)
        desk.guessing.right(at.address, person.id)
        return person

    # --- what can be guessed ----------------------------------------------------------------------------------------

    async def passphrase(self, login: str, passphrase: str, code: str, at: At, old: str = "") -> str:
        return self._desk.begin(await self.shown_passphrase(login, passphrase, code, at), "passphrase", at, old)

    async def shown_passphrase(self, login: str, passphrase: str, code: str, at: At) -> Person:
        """Whose passphrase and code they are. Raises `Refused`."""
        desk = self._desk
        async with self._try(login, at):
            person = desk.person(login)
            second = desk.accounts.second(person.id) if person is not None else None
            kept = second.passphrase if second is not None else _NOBODY
            good = await desk.aside(phrases.matches, passphrase, kept)
            app, last = (second.app, second.step) if second is not None else (_NO_APP, -1)
            step = totp.matches(app, code, desk.clock(), last)
            if person is None or second is None or not good or step < 0:
                raise self._wrong("passphrase", login, at)
            # Looked at again: the policy may have changed meanwhile, and the code may have been used.
            if desk.person(person.id) is None or not desk.accounts.used_step(person.id, step):
                raise self._wrong("passphrase", login, at)
            desk.guessing.right(at.address, login)
            return person

    async def glass(self, login: str, code: str, at: At, old: str = "") -> str:
        """A code that breaks the glass: an hour, and everybody is told."""
        desk = self._desk
        async with self._try(login, at):
            person = desk.person(login)
            if person is None or not person.break_glass or not desk.accounts.take_code(person.id, code):
                raise self._wrong("break-glass", login, at)
            desk.guessing.right(at.address, login)
            cookie = desk.begin(person, "break-glass", at, old)
        left = desk.accounts.codes_left(person.id)
        desk.trail.audit(
            person.id, "login.break-glass", person.id, origin=at.origin, detail={"codes left": f"{left}"}
        )
        words = (
            f"{person.name} ({person.id}) broke the glass: logged in from {at.address} with a one-time code, for "
            f"{GLASS_HOURS} hour; {left} codes are left. If it was not them: reef console revoke {person.id}"
        )
        desk.trail.alert(record.GLASS_BROKEN, "Break-glass log-in", words)
        return cookie

    @asynccontextmanager
    async def _try(self, login: str, at: At) -> AsyncIterator[None]:
        """One try of an address at a time, as late as the name is guessed at. Raises `Refused`."""
        desk, network = self._desk, network_of(at.address)
        wait = desk.guessing.waits(at.address)
        if wait > 0 or network in self._trying or len(self._trying) >= _AT_ONCE:
            raise Refused("wait", max(1.0, wait))
        self._trying.add(network)
        try:
            slow = desk.guessing.slow(_name(desk, login))
            if slow > 0:
                await self._sleep(slow)
            yield
        finally:
            self._trying.discard(network)

    def _wrong(self, how: str, login: str, at: At) -> Refused:
        wait = self._desk.fail(how, _name(self._desk, login), at)
        return Refused("wait" if wait else "wrong", wait)

    # --- a certificate ----------------------------------------------------------------------------------------------

    def certificate(self, at: At, old: str = "") -> str:
        """TLS has seen that they hold its key."""
        person = self._desk.by_certificate(at)
        if person is None:
            self._desk.fail("certificate", "", at)
            raise Refused("certificate")
        return self._desk.begin(person, "certificate", at, old)


def _name(desk: Desk, login: str) -> str:
    """What is held against a name is held against the person, however they are called."""
    person = desk.person(login)
    return person.id if person is not None else login
