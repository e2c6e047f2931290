"""What who has a shell at the gateway may ask of the console, over its real socket."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from appliance.console.who.office import Office
from appliance.control import ipc
from appliance.control.ipc import RefusedError, call_async
from appliance.control.messages.console import (
    BreakGlass,
    ConsolePeople,
    ConsolePeopleAre,
    ConsoleSessionList,
    ConsoleSessions,
    GlassCodes,
    Invite,
    Invited,
    RevokeSessions,
    SessionsRevoked,
)
from appliance.control.messages.gateway import Refused, Request, Status, StatusReport
from appliance.control.processes import PROCESSES, Identity, Instance
from tests.unit.who.house import AMARA, ANA, BEN, HERE, SETTINGS, House

T = TypeVar("T")


class Socket:
    """The office serves while this is open."""

    def __init__(self, house: House, folder: Path) -> None:
        # The lowest directory that pytest gives can be longer than a socket's path may be.
        identities = {row.name: Identity(40_000 + number, 1) for number, row in enumerate(PROCESSES)}
        self.instance = Instance("t", str(folder), str(folder), str(folder), identities, os.getgid())
        self.instance.run_of("console").mkdir(parents=True, exist_ok=True)
        self._stop = asyncio.Event()
        self.office = Office(self.instance, house.desk, house.ears)

    async def __aenter__(self) -> Socket:
        self._serving = asyncio.create_task(self.office.serve(self._stop))
        while not self.instance.socket("console").exists():
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._serving

    async def ask(self, request: Request, reply: type[T]) -> T:
        return await call_async(self.instance.socket("console"), request, reply)


async def test_a_link_for_somebody_of_the_policy_and_for_nobody_else(house: House) -> None:
    async with Socket(house, house.folder) as office:
        made = await office.ask(Invite("amara"), Invited)
        assert made.person == "amara" and made.until == house.now + 86_400
        assert house.desk.invitations.look(made.link.rpartition("/")[2]) is not None
        entry = house.ears.entries[-1]
        assert entry[1:3] == ("account.invite", "amara") and entry[0] not in ("", "console")
        with pytest.raises(RefusedError, match=r"names nobody 'zoe'.*amara, ben, ana"):
            await office.ask(Invite("zoe"), Invited)
        house.desk.renew(msgspec.structs.replace(SETTINGS, name=""))
        with pytest.raises(RefusedError, match=r"console\.name"):
            await office.ask(Invite("amara"), Invited)


async def test_with_four_eyes_a_shell_is_not_a_way_round_them_but_for_root(house: House) -> None:
    four_eyes = msgspec.structs.replace(SETTINGS, approvals=1)
    house.desk.renew(four_eyes)
    operator, root = (ipc.Peer(os.getpid(), uid, os.getgid()) for uid in (40_100, 0))
    office = Socket(house, house.folder).office
    asked = await office.answer(Invite("amara"), operator)
    assert isinstance(asked, Invited) and asked.link == ""
    assert [(one.person, one.reset) for one in house.desk.wanted()] == [("amara", False)]
    refused = await office.answer(BreakGlass("ana"), operator)
    assert isinstance(refused, Refused) and refused.code == "approval"
    made = await office.answer(Invite("amara"), root)
    assert isinstance(made, Invited) and made.link
    assert isinstance(await office.answer(BreakGlass("ana"), root), GlassCodes)


async def test_who_is_in_and_out_with_them(house: House) -> None:
    cookies = [house.desk.begin(person, "passkey", HERE) for person in (AMARA, AMARA, BEN)]
    caller = house.desk.known(cookies[0], "", b"", HERE.address)
    assert caller is not None
    house.desk.make_token(caller, "ci", ("look",), 3600, "")
    async with Socket(house, house.folder) as office:
        listed = (await office.ask(ConsoleSessions(), ConsoleSessionList)).sessions
        assert sorted(one.person for one in listed) == ["amara", "amara", "ben"]
        assert await office.ask(RevokeSessions("amara", caller.id), SessionsRevoked) == SessionsRevoked(1, 0)
        with pytest.raises(RefusedError, match="no session"):
            await office.ask(RevokeSessions("amara", caller.id), SessionsRevoked)
        assert await office.ask(RevokeSessions("amara", tokens=True), SessionsRevoked) == SessionsRevoked(1, 1)
        assert [one.person for one in (await office.ask(ConsoleSessions(), ConsoleSessionList)).sessions] == ["ben"]
    assert house.ears.actions().count("session.revoke") == 2 and "token.revoke" in house.ears.actions()


async def test_what_people_come_in_with(house: House) -> None:
    async with Socket(house, house.folder) as office:
        codes = await office.ask(BreakGlass("ana"), GlassCodes)
        assert len(codes.codes) == 10 and house.desk.accounts.take_code("ana", codes.codes[3])
        with pytest.raises(RefusedError, match="break_glass"):
            await office.ask(BreakGlass("amara"), GlassCodes)
        await office.ask(Invite("ben"), Invited)
        found = {one.id: one for one in (await office.ask(ConsolePeople(), ConsolePeopleAre)).people}
        assert found["ana"].codes == 9 and found["ben"].invited == house.now + 86_400 and found["amara"].invited == 0
        assert found["ana"].roles == ANA.roles


async def test_others_are_not_answered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Socket(house, house.folder) as office:
        with pytest.raises(RefusedError, match="not for"):
            await office.ask(Status(), StatusReport)
        stranger = ipc.Peer(1, 65_534, 65_534, ())
        monkeypatch.setattr(ipc, "peer_of", lambda _: stranger)
        with pytest.raises(RefusedError, match="does not answer"):
            await office.ask(Invite("amara"), Invited)
