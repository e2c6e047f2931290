"""The console asks in the name of people: what each role may ask, and that nothing else comes through."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from appliance.control.ipc import Peer, RefusedError, Server, call_async
from appliance.control.messages.changes import Acting, ApplyProposal, ApproveProposal, DraftList, Drafts, Propose
from appliance.control.messages.gateway import (
    Apply,
    Ban,
    Check,
    Checked,
    Confirm,
    Confirmed,
    NameBook,
    Names,
    Refused,
    Reply,
    Request,
    Status,
    StatusReport,
)
from appliance.control.permits import NEEDED, People, may
from appliance.policy.console import ConsoleSettings, Person
from appliance.policy.roles import ROLES, Role, permissions_of

SESSION = "192.0.2.7 50000 192.0.2.1 8444"

# One of each kind of request, and the roles that may ask it.
MATRIX: dict[str, frozenset[Role]] = {
    "Status Drafts DraftText CheckDraft PlanDraft ImpactDraft Proposals ShowProposal History Show Plan Check Bans "
    "Devices Indicators Consumers Flows AuditHealth": frozenset(
        {"reader", "editor", "approver", "auditor", "administrator"}
    ),
    "OpenDraft EditDraft SetDraft NameDraft UndoDraft RedoDraft DropDraft Propose WithdrawProposal": frozenset(
        {"editor", "administrator"}
    ),
    "ApproveProposal RejectProposal": frozenset({"approver"}),
    "CommentProposal AmendProposal": frozenset({"editor", "approver", "administrator"}),
    "Confirm Rollback ApplyProposal ScheduleProposal": frozenset({"approver", "administrator"}),
    "Apply": frozenset({"administrator"}),
    "Ban Unban Allow Disallow Admit Expel GateList GateForget AcceptDevice ForgetDevice TakeIndicators "
    "OverrideIndicator": frozenset({"editor", "administrator"}),
    "AuditLog AuditProve AuditBundles SealEvidence HoldRecords ReleaseRecords Holds Unmask FindSubject "
    "PrivacyStores": frozenset({"auditor"}),
    # What processes ask of each other, and what the command line says of itself, nobody asks through the console.
    "Load SetUpdate Sign Seal Enforce Recall ReadBack StandIn BanFound AuditNote Disagreement Acting GateIndicate "
    "FlowKey WitnessSaid": frozenset(),
}
TYPES = {kind.__name__: kind for kind in get_args(Request)}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_ask_what_the_table_says(role: Role) -> None:
    permissions = permissions_of([role])
    for names, roles in MATRIX.items():
        for name in names.split():
            assert may(permissions, TYPES[name]) == (role in roles), (role, name)


def test_roles_add_up_and_nobody_has_none() -> None:
    assert may(permissions_of(["editor", "approver"]), Apply)  # edit of one, apply of the other
    assert not any(may(permissions_of([]), kind) for kind in TYPES.values())


def test_every_request_of_the_table_is_a_message() -> None:
    assert set(NEEDED) <= set(TYPES.values())


class Daemons:
    """A daemon that the console asks, and another one that knows the running policy, as applyd does."""

    def __init__(self, directory: Path, people: tuple[Person, ...]) -> None:
        self.running = 1
        self.settings = ConsoleSettings(people=people)
        self.asked: list[tuple[Request, Peer]] = []
        self.socket = directory / "policyd.sock"
        applyd = directory / "applyd.sock"
        anyone: Callable[[Peer], bool] = lambda _: True  # noqa: E731
        self.book = Server(applyd, dict.fromkeys((Status, Names), anyone), self._runs)
        permits: dict[type, Callable[[Peer], bool]] = dict.fromkeys(
            (Status, Names, Check, Confirm, Drafts, Ban, ApproveProposal), anyone
        )
        self.server = Server(self.socket, permits, self._answer, agency=People(os.getuid(), applyd))

    async def _runs(self, request: Request, _: Peer) -> Reply:
        if isinstance(request, Status):
            return StatusReport("here", self.running, self.running, 0.0, "", ())
        return NameBook(self.running, "here", (), (), console=self.settings)

    async def _answer(self, request: Request, peer: Peer) -> Reply:
        self.asked.append((request, peer))
        match request:
            case Status():
                return StatusReport("here", self.running, self.running, 0.0, "", ())
            case Names():
                return NameBook(self.running, "here", (), ())
            case Confirm():
                return Confirmed(1)
            case Drafts():
                return DraftList(())
            case _:
                return Checked((), 0, "here", ok=True)

    async def ask(self, person: str, request: Request, session: str = SESSION) -> Refused | None:
        """What it is refused with; None when it is answered."""
        wrapped = Acting(person, session, msgspec.json.encode(request))
        return await self.plain(wrapped)

    async def plain(self, request: Request) -> Refused | None:
        try:
            await call_async(self.socket, request, object, timeout=30)
        except RefusedError as error:
            return error.reply
        return None


def with_daemons(directory: Path, *people: Person) -> tuple[Daemons, Callable[..., None]]:
    daemons = Daemons(directory, people)

    def run(story: Callable[[Daemons], object]) -> None:
        async def main() -> None:
            await daemons.book.start()
            await daemons.server.start()
            try:
                await story(daemons)  # type: ignore[misc]
            finally:
                await daemons.server.stop()
                await daemons.book.stop()

        asyncio.run(main())

    return daemons, run


ANA = Person("ana", "Ana Ruiz", "ana@health.example", ("administrator",))
BEN = Person("ben", "Ben Cho", "ben@health.example", ("approver",))
EVE = Person("eve", "Eve Ito", "eve@health.example", ("reader",))


def code(refused: Refused | None) -> str:
    return "" if refused is None else refused.code


def test_a_person_is_answered_under_their_name(tmp_path: Path) -> None:
    async def story(daemons: Daemons) -> None:
        assert await daemons.ask("ben", Confirm()) is None
        request, peer = daemons.asked[-1]
        assert isinstance(request, Confirm)
        assert (peer.name, peer.acting, peer.session) == ("ben", True, SESSION)
        assert peer.uid == os.getuid()

    with_daemons(tmp_path, ANA, BEN)[1](story)


def test_roles_bound_what_is_handed_on(tmp_path: Path) -> None:
    async def story(daemons: Daemons) -> None:
        assert code(await daemons.ask("eve", Drafts())) == ""
        for request in (Confirm(), Ban(("192.0.2.9",)), ApproveProposal(1, "")):
            assert code(await daemons.ask("eve", request)) == "not-allowed"
        assert code(await daemons.ask("mallory", Drafts())) == "nobody"
        assert code(await daemons.ask("", Drafts())) == "bad-request"
        assert code(await daemons.ask("eve", Drafts(), session="")) == "bad-request"
        # What this daemon does not answer is not for anybody, whatever their roles say.
        assert code(await daemons.ask("ana", Propose("1"))) == "not-allowed"
        assert code(await daemons.ask("ben", ApplyProposal(1, ""))) == "not-allowed"
        assert len(daemons.asked) == 1

    with_daemons(tmp_path, ANA, BEN, EVE)[1](story)


def test_the_console_may_say_nothing_for_itself_but_ask_what_runs(tmp_path: Path) -> None:
    async def story(daemons: Daemons) -> None:
        assert await daemons.plain(Status()) is None
        assert await daemons.plain(Names()) is None
        for request in (Confirm(), Check("x"), Drafts(), Ban(("192.0.2.9",))):
            assert code(await daemons.plain(request)) == "not-allowed"
        # Not in a wrapper within a wrapper, and not in what is no message.
        inner = Acting("ana", SESSION, msgspec.json.encode(Confirm()))
        assert code(await daemons.ask("eve", inner)) == "not-allowed"
        assert code(await daemons.plain(Acting("ana", SESSION, b'{"type":"Confirm"'))) == "bad-request"
        assert [type(request) for request, _ in daemons.asked] == [Status, Names]

    with_daemons(tmp_path, ANA, EVE)[1](story)


def test_who_lost_a_role_has_lost_it_at_once(tmp_path: Path) -> None:
    async def story(daemons: Daemons) -> None:
        assert code(await daemons.ask("ben", Confirm())) == ""
        daemons.settings = ConsoleSettings(people=(msgspec.structs.replace(BEN, roles=("reader",)),))
        daemons.running = 2
        assert code(await daemons.ask("ben", Confirm())) == "not-allowed"
        daemons.settings, daemons.running = ConsoleSettings(), 3
        assert code(await daemons.ask("ben", Drafts())) == "nobody"

    with_daemons(tmp_path, BEN)[1](story)


def test_what_was_known_holds_while_applyd_is_away_and_nothing_does_before(tmp_path: Path) -> None:
    async def story(daemons: Daemons) -> None:
        await daemons.book.stop()
        assert code(await daemons.ask("ben", Confirm())) == "away"
        await daemons.book.start()
        assert code(await daemons.ask("ben", Confirm())) == ""
        await daemons.book.stop()
        assert code(await daemons.ask("ben", Confirm())) == ""
        assert code(await daemons.ask("ben", Ban(("192.0.2.9",)))) == "not-allowed"
        await daemons.book.start()

    with_daemons(tmp_path, BEN)[1](story)


def test_nobody_else_asks_in_the_name_of_people(tmp_path: Path) -> None:
    async def answer(request: Request, peer: Peer) -> Reply:
        raise AssertionError(f"{peer} asked {request}")

    async def story() -> None:
        path = tmp_path / "policyd.sock"
        agency = People(os.getuid() + 1, tmp_path / "applyd.sock")
        server = Server(path, {Confirm: lambda _: True}, answer, agency=agency)
        await server.start()
        try:
            with pytest.raises(RefusedError, match="Acting is not for"):
                await call_async(path, Acting("ana", SESSION, msgspec.json.encode(Confirm())), Confirmed)
        finally:
            await server.stop()

    asyncio.run(story())
