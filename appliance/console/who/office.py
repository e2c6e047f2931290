"""The console's socket, for who has a shell at the gateway: the first link, the way back, who is in, who must go.

Root and the operators' group may ask: whoever changes the policy there can name people in it too. What they do is in
the trail, and a link for somebody who had an account is an alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.console.who.desk import Desk
from appliance.console.who.store import StoreError
from appliance.control.auditing import origin_of
from appliance.control.ipc import Peer, Server
from appliance.control.messages.console import (
    BreakGlass,
    ConsolePeople,
    ConsolePeopleAre,
    ConsolePerson,
    ConsoleSession,
    ConsoleSessionList,
    ConsoleSessions,
    GlassCodes,
    Invite,
    Invited,
    RevokeSessions,
    SessionsRevoked,
)
from appliance.control.messages.gateway import Refused, Reply, Request
from appliance.control.processes import Instance
from appliance.policy.console import Person

NAME = "console"
_LIMIT = 64 << 10
_ASKED: tuple[type, ...] = (Invite, ConsolePeople, ConsoleSessions, RevokeSessions, BreakGlass)


class Office:
    """Answers at `console.sock`."""

    def __init__(self, instance: Instance, desk: Desk, log: Callable[[str], None]) -> None:
        self._desk = desk
        self._log = log

        def allowed(peer: Peer) -> bool:
            return instance.allows(NAME, peer.uid, peer.groups)

        permits: dict[type, Callable[[Peer], bool]] = dict.fromkeys(_ASKED, allowed)
        self._server = Server(
            instance.socket(NAME), permits, self.answer, limit=_LIMIT, report=log, watches=instance.watches
        )

    async def serve(self, stop: asyncio.Event) -> None:
        await self._server.start()
        await stop.wait()
        await self._server.stop()

    async def answer(self, request: Request, peer: Peer) -> Reply:
        try:
            return self._answer(request, peer)
        except StoreError as error:
            self._log(str(error))
            return Refused("store", str(error))

    def _answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case Invite(person, reset):
                return self._for(person, lambda found: self._invite(found, peer, reset))
            case BreakGlass(person):
                return self._for(person, lambda found: self._codes(found, peer))
            case ConsolePeople():
                waiting = self._desk.invitations.waiting()
                return ConsolePeopleAre(tuple(self._person(one, waiting) for one in self._desk.people))
            case ConsoleSessions():
                return ConsoleSessionList(
                    tuple(_session(one) for one in self._desk.sessions.listed(self._desk.bounds))
                )
            case RevokeSessions(person, id_, tokens):
                return self._revoke(person, id_, tokens, peer)
        return Refused("not-allowed", f"the console does not answer {type(request).__name__}")

    def _for(self, login: str, act: Callable[[Person], Reply]) -> Reply:
        """For somebody whom the running policy names."""
        person = self._desk.person(login)
        if person is None:
            known = ", ".join(one.id for one in self._desk.people[:20]) or "nobody"
            return Refused(
                "unknown",
                f"the running policy names nobody {login[:64]!r}; `console.people` has {known}. Add them there",
            )
        return act(person)

    def _invite(self, person: Person, peer: Peer, reset: bool) -> Reply:
        if not self._desk.settings.name:
            return Refused("state", "the running policy has no `console.name`: nobody could open the link")
        # Root may do everything, and everybody is told. For others at a shell four eyes hold as in a browser.
        if self._desk.needs_two and peer.uid != 0:
            wanted = self._desk.want_link(person, peer.name, origin_of(peer), reset=reset)
            return Invited(person.id, "", wanted.until)
        link, invitation = self._desk.invite(person, peer.name, origin_of(peer), reset=reset)
        return Invited(person.id, link, invitation.until)

    def _codes(self, person: Person, peer: Peer) -> Reply:
        if not person.break_glass:
            words = f"the policy does not let {person.id} break the glass; `break_glass: yes` there does"
            return Refused("not-allowed", words)
        if self._desk.needs_two and peer.uid != 0:
            words = "the policy asks for four eyes: only root makes codes that let somebody in alone"
            return Refused("approval", words)
        return GlassCodes(person.id, tuple(self._desk.codes(person, peer.name, origin_of(peer))))

    def _person(self, person: Person, waiting: dict[str, float]) -> ConsolePerson:
        desk = self._desk
        return ConsolePerson(
            person.id, person.name, person.roles, len(desk.accounts.passkeys(person.id)),
            desk.accounts.second(person.id) is not None, bool(person.certificate),
            desk.accounts.codes_left(person.id),
            waiting.get(person.id, 0.0), len(desk.sessions.listed(desk.bounds, person.id)),
            len(desk.tokens.listed(person.id)),
        )  # fmt: skip

    def _revoke(self, person: str, id_: str, tokens: bool, peer: Peer) -> Reply:
        desk, origin = self._desk, origin_of(peer)
        if id_:
            if desk.revoke_session(id_, peer.name, origin, person) is None:
                return Refused("unknown", f"there is no session {id_[:32]!r}; `reef console sessions` lists them")
            return SessionsRevoked(1, 0)
        found = desk.person(person)
        login = found.id if found is not None else person
        ended = desk.revoke_sessions(login, peer.name, origin)
        mine = desk.tokens.listed(login) if tokens else []
        for one in mine:
            desk.revoke_token(one.id, peer.name, origin)
        return SessionsRevoked(ended, len(mine))


def _session(one: object) -> ConsoleSession:
    return ConsoleSession(**{name: getattr(one, name) for name in ConsoleSession.__struct_fields__})
