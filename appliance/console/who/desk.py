"""The desk at the door of the console: who somebody is, by what they show, and what is told of it.

People, roles and zones are those of the running policy, asked at every request: who leaves the text is out at once,
and whose role changes has the new one. For the event loop's thread alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from appliance.console.callers import Caller
from appliance.console.who import device
from appliance.console.who.accounts import Accounts
from appliance.console.who.failures import EVERY, Failures, Much
from appliance.console.who.guessing import Guessing
from appliance.console.who.invitations import Invitation, Invitations, Wanted
from appliance.console.who.sessions import Bounds, How, Session, Sessions
from appliance.console.who.store import NAME, Store, StoreError
from appliance.console.who.tickets import Tickets
from appliance.console.who.tokens import Token, Tokens, Unfit
from appliance.control.auditing import Write
from appliance.events import record
from appliance.policy.console import ConsoleSettings, Person
from appliance.policy.roles import permissions_of
from crypto.webauthn import Relying

T = TypeVar("T")
GLASS_HOURS = 1
FRESH = 600.0  # seconds for which it is believed that who proved it sits there still
_HTTPS = 443


class Trail(Protocol):
    """`daemon.Log`."""

    def __call__(self, words: str) -> None: ...

    def alert(self, signature: int, category: str, words: str, interface: str = "") -> None: ...

    @property
    def audit(self) -> Write: ...


class At(msgspec.Struct, frozen=True):
    """Where a request comes from: the peer's address, its User-Agent, the certificate it showed as DER, and what the
    client calls the gateway."""

    address: str
    agent: str = ""
    certificate: bytes = b""
    host: str = ""

    @property
    def origin(self) -> str:
        return f"https {self.address}"

    @property
    def fingerprint(self) -> str:
        return sha256(self.certificate).hexdigest() if self.certificate else ""


class Desk:
    """Raises `StoreError` when it cannot be opened, and from whatever must be written."""

    def __init__(
        self,
        store: Store,
        trail: Trail,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self.trail = trail
        self.clock = clock
        self.accounts = Accounts(store)
        self.sessions = Sessions(store)
        self.tokens = Tokens(store)
        self.invitations = Invitations(store)
        self.tickets = Tickets(clock)
        self.guessing = Guessing(ticks)
        self.failures = Failures()
        self._much = Much()
        # Always the same thread: the C library keeps for each one what a passphrase took there, 40 MB.
        self._passphrases = ThreadPoolExecutor(1, thread_name_prefix="passphrases")
        self.trying: set[str] = set()  # networks that wait for an answer: each has one try at a time
        self._ticks = ticks
        self._told = ticks()
        self.settings = ConsoleSettings()
        self._people: dict[str, Person] = {}
        self._known = False

    @classmethod
    def open(cls, directory: Path, trail: Trail) -> Desk:
        """With the database in `directory`."""
        return cls(Store(directory / NAME, time.time), trail)

    async def aside(self, work: Callable[..., T], *given: str) -> T:
        """Make or check a passphrase beside the event loop, one at a time: each costs 19 MiB."""
        return await asyncio.get_running_loop().run_in_executor(self._passphrases, work, *given)

    def close(self) -> None:
        self._passphrases.shutdown(wait=False, cancel_futures=True)
        self.settle()
        self._tell_failures()
        self._store.close()

    # --- the policy -------------------------------------------------------------------------------------------------

    def renew(self, settings: ConsoleSettings) -> None:
        """Another generation runs."""
        self.settings = settings
        self._people = {person.id: person for person in settings.people}
        self._known = True
        try:
            self.settle()
        except StoreError as error:  # who is out stays out: people are asked for at every request
            self.trail(str(error))

    def settle(self) -> None:
        """What is due: call it every some seconds. Before the policy is known nobody is thrown out."""
        if self._known:
            for one in self.sessions.settle(self._people, self.bounds):
                detail = {"because": "the person is not in the policy any more"}
                self.trail.audit("console", "session.end", one.person, detail=detail)
            for person in self.accounts.settle(self._people):
                self.tokens.revoke_all(person)
                self.trail.audit("console", "account.forget", person, detail={"because": "left the policy"})
            self.tokens.settle(self._people)
        if self._ticks() - self._told >= EVERY:
            self._tell_failures()

    def _tell_failures(self) -> None:
        self._told = self._ticks()
        detail = self.failures.take()
        if detail:
            self.trail.audit("console", "login.fail", f"{detail['failures']} log-ins", detail=detail)
            if self._much.add(int(detail["failures"]), self._told):
                words = f"somebody guesses how to log in to the console: {detail['what']}. They wait longer each time"
                self.trail.alert(record.GUESSED, "Guessing at the log-in", words)

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.settings.idle, self.settings.session)

    @property
    def origin(self) -> str:
        """Of the console's own pages."""
        port = "" if self.settings.port == _HTTPS else f":{self.settings.port}"
        return f"https://{self.settings.name}{port}"

    def relying(self, at: At) -> Relying:
        """Who asks for passkeys. Where something forwards another port to the console its pages have that one; it is
        the same site to a browser, which says itself where a page came from."""
        name, _, port = at.host.partition(":")
        forwarded = (f"https://{at.host}",) if name == self.settings.name and (not port or port.isdecimal()) else ()
        return Relying(self.settings.name, tuple(dict.fromkeys((self.origin, *forwarded))))

    @property
    def people(self) -> tuple[Person, ...]:
        return self.settings.people

    def person(self, login: str) -> Person | None:
        """Who that is: by id, or by mail as people write it."""
        found = self._people.get(login)
        if found is None and "@" in login:
            meant = [one for one in self._people.values() if one.mail.casefold() == login.casefold()]
            found = meant[0] if len(meant) == 1 else None
        return found

    # --- who asks ---------------------------------------------------------------------------------------------------

    async def recognise(
        self, cookie: str, authorization: str, certificate: bytes, address: str, *, attended: bool = True
    ) -> Caller | None:
        """Who asks (`console.context.Door`)."""
        return self.known(cookie, authorization, certificate, address, attended=attended)

    def still(self, caller: Caller) -> bool:
        """Whether what they came by is good yet, and they may what they might; this does not count as use."""
        person = self._people.get(caller.person)
        if person is None or not caller.permissions <= permissions_of(person.roles):
            return False
        if caller.how == "token":
            return any(one.id == caller.id for one in self.tokens.listed(caller.person))
        return any(one.id == caller.id for one in self.sessions.listed(self.bounds, caller.person))

    def known(
        self, cookie: str, authorization: str, certificate: bytes, address: str, *, attended: bool = True
    ) -> Caller | None:
        """Who asks. A header `Authorization` is believed or not, whatever cookie comes with it."""
        if authorization:
            found = self._by_token(authorization)
            if found is None:
                self.failures.add("token", "", address)
            return found
        fingerprint = At(address, certificate=certificate).fingerprint
        session = self.sessions.find(cookie, fingerprint, self.bounds, used=attended) if cookie else None
        person = self._people.get(session.person) if session is not None else None
        if session is None or person is None:
            return None
        return Caller(person.id, person.name, permissions_of(person.roles), person.zones, "session", session.id)

    def _by_token(self, authorization: str) -> Caller | None:
        scheme, _, given = authorization.strip().partition(" ")
        found = self.tokens.find(given.strip()) if scheme.lower() == "bearer" else None
        person = self._people.get(found.person) if found is not None else None
        if found is None or person is None:
            return None
        may = frozenset(one for one in permissions_of(person.roles) if one in found.scopes)
        return Caller(person.id, person.name, may, person.zones, "token", found.id)

    def by_certificate(self, at: At) -> Person | None:
        """Whose certificate was shown in the handshake."""
        shown = at.fingerprint
        found = None
        for person in self._people.values():
            if shown and person.certificate and compare_digest(person.certificate, shown):
                found = person
        return found

    # --- in and out -------------------------------------------------------------------------------------------------

    def begin(self, person: Person, how: How, at: At, old: str = "") -> str:
        """They are in: a new cookie. `old` is the one they came with, which ends: nobody keeps the one they had
        before the log-in, so planting one gains nothing."""
        if old:
            before = self.sessions.find(old, at.fingerprint, self.bounds)
            if before is not None:
                self.sessions.end(before.id)
        self.accounts.handle(person.id)
        certificate = at.fingerprint if how == "certificate" else ""
        most = GLASS_HOURS * 3600.0 if how == "break-glass" else 0.0
        words = device.words_of(at.agent)
        cookie, made = self.sessions.begin(person.id, how, at.address, words, certificate=certificate, most=most)
        # A certificate and a provider answer for the machine: whoever sits there would be let in by them again. They
        # count for who has nothing else.
        if how not in ("certificate", "provider") or not self.accounts.enrolled(person.id):
            self.sessions.prove(made.id)
        detail = {"by": how, "device": words, "session": made.id}
        self.trail.audit(person.id, "login.pass", person.id, origin=at.origin, detail=detail)
        return cookie

    def fresh(self, caller: Caller) -> bool:
        """Whether who asks showed just now that it is they: ways in are not made by whoever finds the screen."""
        return self.clock() - self.sessions.proven(caller.id) < FRESH

    def prove(self, caller: Caller, how: How, at: At) -> None:
        """They showed it, in a session that goes on."""
        self.sessions.prove(caller.id)
        self.trail.audit(caller.person, "login.prove", caller.person, origin=at.origin, detail={"by": how})

    def leave(self, cookie: str, at: At) -> None:
        """Log-out."""
        found = self.sessions.find(cookie, at.fingerprint, self.bounds)
        if found is not None:
            self.sessions.end(found.id)
            self.trail.audit(found.person, "login.end", found.person, origin=at.origin, detail={"session": found.id})

    def fail(self, how: str, name: str, at: At) -> float:
        """A log-in that was none; gives the seconds they have to wait."""
        self.failures.add(how, name, at.address)
        return self.guessing.failed(at.address, name)

    # --- what is taken back, and made -------------------------------------------------------------------------------

    def revoke_session(self, id_: str, actor: str, origin: str, person: str = "") -> Session | None:
        found = self.sessions.end(id_, person)
        if found is not None:
            self.trail.audit(actor, "session.revoke", found.person, origin=origin, detail={"session": id_})
        return found

    def revoke_sessions(self, person: str, actor: str, origin: str, but: str = "") -> int:
        """All of a person; gives how many."""
        ended = self.sessions.end_all(person, but)
        if ended:
            self.trail.audit(actor, "session.revoke", person, origin=origin, detail={"sessions": f"{ended}"})
        return ended

    def make_token(
        self, caller: Caller, label: str, scopes: tuple[str, ...], seconds: float, origin: str
    ) -> tuple[str, Token]:
        """For some of what the person may. Raises `Unfit`."""
        beyond = sorted(set(scopes) - caller.permissions)
        if beyond:
            raise Unfit(f"you may not {', '.join(beyond)} yourself")
        given, made = self.tokens.make(caller.person, label, scopes, seconds)
        detail = {
            "token": made.id,
            "label": made.label,
            "scopes": " ".join(made.scopes),
            "until": f"{made.until:.0f}",
        }
        self.trail.audit(caller.person, "token.make", caller.person, origin=origin, detail=detail)
        return given, made

    def revoke_token(self, id_: str, actor: str, origin: str, person: str = "") -> Token | None:
        found = self.tokens.revoke(id_, person)
        if found is not None:
            detail = {"token": id_, "label": found.label}
            self.trail.audit(actor, "token.revoke", found.person, origin=origin, detail=detail)
        return found

    def invite(self, person: Person, actor: str, origin: str, *, reset: bool) -> tuple[str, Invitation]:
        """A link for them. With `reset` nothing that they came in with is good any more, from now on."""
        had = self.accounts.enrolled(person.id)
        if reset:
            self.reset(person.id)
        made, invitation = self.invitations.make(person.id, actor)
        detail = {"recovery": "yes" if had else "no", "reset": "yes" if reset else "no"}
        self.trail.audit(actor, "account.invite", person.id, origin=origin, detail=detail)
        if had:
            words = f"{actor} made a link by which {person.name} ({person.id}), who had an account, comes in again"
            self.trail.alert(record.ACCOUNT_RECOVERED, "Account recovery", words)
        return f"{self.origin}/invitation/{made}", invitation

    # A link that needs two.

    @property
    def needs_two(self) -> bool:
        """Whether the policy asks for four eyes: who can be somebody else has all of them."""
        return self.settings.approvals > 0

    def wanted(self) -> list[Wanted]:
        """Links that wait for somebody to agree, for people who are in the policy."""
        return [one for one in self.invitations.wanted() if one.person in self._people]

    def want_link(self, person: Person, actor: str, origin: str, *, reset: bool) -> Wanted:
        """Somebody else must agree before there is one."""
        found = self.invitations.want(person.id, actor, reset)
        detail = {"recovery": "yes" if self.accounts.enrolled(person.id) else "no", "reset": "yes" if reset else "no"}
        self.trail.audit(actor, "account.want", person.id, origin=origin, detail=detail)
        return found

    def agree_link(self, wanted: Wanted, actor: str, origin: str) -> tuple[str, Invitation] | None:
        """The link, told to who agrees; None where it is not wanted any more."""
        person = self._people.get(wanted.person)
        if person is None or not self.invitations.drop(wanted):
            return None
        detail = {"wanted by": wanted.by}
        self.trail.audit(actor, "account.agree", person.id, origin=origin, detail=detail)
        return self.invite(person, f"{wanted.by} and {actor}", origin, reset=wanted.reset)

    def refuse_link(self, wanted: Wanted, actor: str, origin: str) -> bool:
        """Whether it was still wanted."""
        gone = self.invitations.drop(wanted)
        if gone:
            detail = {"wanted by": wanted.by}
            self.trail.audit(actor, "account.refuse", wanted.person, origin=origin, detail=detail)
        return gone

    def reset(self, person: str) -> None:
        """Whatever they came in with, and what they opened with it, is gone."""
        self.accounts.forget(person)
        self.sessions.end_all(person)
        self.tokens.revoke_all(person)

    def codes(self, person: Person, actor: str, origin: str) -> list[str]:
        """New codes that break the glass."""
        made = self.accounts.new_codes(person.id)
        self.trail.audit(actor, "account.codes", person.id, origin=origin, detail={"codes": f"{len(made)}"})
        return made
