"""Sessions and tokens: how they begin, what they open, how they end, and what is left of them on disk."""

from __future__ import annotations

import stat

import msgspec
import pytest

from appliance.console.callers import Caller
from appliance.console.who import secret
from appliance.console.who.desk import At
from appliance.console.who.sessions import MOST_OF_PERSON
from appliance.console.who.store import NAME, Store, StoreError
from appliance.console.who.tokens import LONGEST, Unfit
from tests.unit.who.house import AMARA, ANA, BEN, HERE, SETTINGS, THERE, House


def who(house: House, cookie: str, at: At = HERE) -> Caller | None:
    return house.desk.known(cookie, "", at.certificate, at.address)


def bearer(house: House, token: str) -> Caller | None:
    return house.desk.known("", f"Bearer {token}", b"", "10.0.0.9")


def test_a_session_says_who_it_is_and_what_they_may(house: House) -> None:
    found = who(house, house.desk.begin(AMARA, "passkey", HERE))
    assert found is not None
    assert (found.person, found.name, found.zones, found.how) == ("amara", "Amara Diaz", ("lan",), "session")
    assert found.permissions == {"look", "edit", "respond"}
    listed = house.desk.sessions.listed(house.desk.bounds, "amara")[0]
    assert (listed.device, listed.address, listed.how) == ("Firefox on Linux", "10.0.0.5", "passkey")


@pytest.mark.parametrize("cookie", ["", "x", "reef_" + "A" * 43, "A" * 43, "A" * 100_000, "\udcff" * 43])
def test_what_is_no_cookie_opens_nothing(house: House, cookie: str) -> None:
    house.desk.begin(AMARA, "passkey", HERE)
    assert who(house, cookie) is None


def test_a_log_in_makes_a_new_cookie_and_ends_the_one_that_came_with_it(house: House) -> None:
    """Fixation: whoever planted a cookie, or saw the one before, has nothing."""
    planted = house.desk.begin(BEN, "passkey", THERE)
    cookie = house.desk.begin(AMARA, "passkey", HERE, old=planted)
    assert cookie != planted
    assert who(house, planted) is None
    found = who(house, cookie)
    assert found is not None and found.person == "amara"
    made_up = secret.new()
    assert house.desk.begin(AMARA, "passkey", HERE, old=made_up) != made_up
    assert who(house, made_up) is None


def test_a_session_ends_when_it_is_not_used_and_at_the_latest(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    for _ in range(24):
        house.now += 1799
        assert who(house, cookie) is not None
    house.now = 1_800_000_000.0 + 43_200
    assert who(house, cookie) is None
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    house.now += 1800
    assert who(house, cookie) is None
    assert house.desk.sessions.listed(house.desk.bounds) == []


async def test_what_a_page_asks_by_itself_does_not_keep_its_session_open(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    for _ in range(2):
        house.now += 899
        assert await house.desk.recognise(cookie, "", b"", HERE.address, attended=False) is not None
    house.now += 2
    assert await house.desk.recognise(cookie, "", b"", HERE.address, attended=False) is None


def test_what_the_policy_says_of_sessions_holds_for_those_that_are_open(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    house.now += 600
    house.desk.renew(msgspec.structs.replace(SETTINGS, idle=300))
    assert who(house, cookie) is None


def test_who_leaves_the_policy_is_out_at_once_and_must_log_in_again_when_they_come_back(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    token, _ = house.desk.make_token(_caller(house, cookie), "ci", ("look",), 3600, "https 10.0.0.5")
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(BEN, ANA)))
    assert who(house, cookie) is None and bearer(house, token) is None
    assert ("console", "session.end", "amara") in [entry[:3] for entry in house.ears.entries]
    house.desk.renew(SETTINGS)  # a rollback
    assert who(house, cookie) is None
    assert bearer(house, token) is not None


def test_another_role_holds_at_once(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    reader = msgspec.structs.replace(AMARA, roles=("reader",))
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(reader,)))
    found = who(house, cookie)
    assert found is not None and found.permissions == {"look"}


def test_sessions_survive_a_restart_and_what_was_revoked_stays_revoked(house: House) -> None:
    kept, gone = house.desk.begin(AMARA, "passkey", HERE), house.desk.begin(AMARA, "passkey", THERE)
    found = who(house, gone)
    assert found is not None
    assert house.desk.revoke_session(found.id, "amara", "https 10.0.0.5", "amara") is not None
    house.open()
    assert who(house, kept) is not None and who(house, gone) is None
    assert "session.revoke" in house.ears.actions()


def test_nobody_revokes_the_session_of_another_as_their_own(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    found = who(house, cookie)
    assert found is not None
    assert house.desk.revoke_session(found.id, "ben", "https 10.0.0.5", "ben") is None
    assert who(house, cookie) is not None


def test_all_sessions_of_a_person_end_but_the_one_they_ask_from(house: House) -> None:
    here, there, other = (house.desk.begin(one, "passkey", HERE) for one in (AMARA, AMARA, BEN))
    found = who(house, here)
    assert found is not None
    assert house.desk.revoke_sessions("amara", "amara", "https 10.0.0.5", but=found.id) == 1
    assert who(house, here) is not None and who(house, there) is None and who(house, other) is not None


def test_the_oldest_of_too_many_sessions_goes(house: House) -> None:
    cookies = []
    for _ in range(MOST_OF_PERSON + 2):
        house.now += 1
        cookies.append(house.desk.begin(AMARA, "passkey", HERE))
    assert [who(house, cookie) is not None for cookie in cookies] == [False] * 2 + [True] * MOST_OF_PERSON


def test_a_session_of_a_certificate_is_nothing_without_it(house: House) -> None:
    shown = At("10.0.0.5", "curl", b"a certificate")
    cookie = house.desk.begin(AMARA, "certificate", shown)
    assert who(house, cookie, shown) is not None
    assert who(house, cookie) is None
    assert who(house, cookie, At("10.0.0.5", "curl", b"another")) is None


async def test_a_stream_goes_on_while_its_session_does_and_keeps_it_from_nothing(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    caller = await house.desk.recognise(cookie, "", b"", HERE.address)
    assert caller is not None
    token, made = house.desk.make_token(caller, "ci", ("look",), 3600, "")
    program = await house.desk.recognise("", f"Bearer {token}", b"", HERE.address)
    assert program is not None
    for _ in range(2):
        house.now += 899
        assert house.desk.still(caller) and house.desk.still(program)
    house.now += 2
    assert not house.desk.still(caller), "to look on is not to use it"
    assert house.desk.still(program)
    house.desk.revoke_token(made.id, "amara", "")
    assert not house.desk.still(program)
    caller = house.desk.known(house.desk.begin(AMARA, "passkey", HERE), "", b"", HERE.address)
    assert caller is not None and house.desk.still(caller)
    reader = msgspec.structs.replace(AMARA, roles=("reader",))
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(reader,)))
    assert not house.desk.still(caller)


def test_log_out_ends_it(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    house.desk.leave(cookie, HERE)
    assert who(house, cookie) is None
    assert house.ears.actions()[-1] == "login.end"


def test_nothing_on_disk_opens_anything(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    token, _ = house.desk.make_token(_caller(house, cookie), "ci", ("look",), 3600, "https 10.0.0.5")
    link, _ = house.desk.invite(BEN, "root", "local", reset=False)
    codes = house.desk.codes(ANA, "root", "local")
    house.desk.close()
    disk = b"".join(path.read_bytes() for path in house.folder.iterdir())
    for opens in (cookie, token, link.rpartition("/")[2], *codes):
        assert opens.encode() not in disk
    assert stat.S_IMODE((house.folder / NAME).stat().st_mode) == 0o600


def test_a_database_that_is_none_is_told(house: House) -> None:
    (house.folder / "broken.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(StoreError, match="damaged"):
        Store(house.folder / "broken.db", house.clock)


# --- tokens ---------------------------------------------------------------------------------------------------------


def _caller(house: House, cookie: str) -> Caller:
    found = who(house, cookie)
    assert found is not None
    return found


def test_a_token_may_what_it_was_made_for_and_its_person_still_may(house: House) -> None:
    caller = _caller(house, house.desk.begin(AMARA, "passkey", HERE))
    token, made = house.desk.make_token(caller, "ci", ("look", "edit"), 3600, "https 10.0.0.5")
    assert secret.is_secret(token, secret.TOKEN) and token.startswith("reef_")
    found = bearer(house, token)
    assert found is not None
    assert (found.person, found.how, found.id) == ("amara", "token", made.id)
    assert found.permissions == {"look", "edit"}
    reader = msgspec.structs.replace(AMARA, roles=("reader",))
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(reader,)))
    found = bearer(house, token)
    assert found is not None and found.permissions == {"look"}


@pytest.mark.parametrize(
    ("scopes", "seconds", "said"),
    [
        (("approve",), 60, "may not approve"),
        ((), 60, "scopes"),
        (("look",), 0, "a year"),
        (("look",), LONGEST + 1, "a year"),
    ],
)
def test_a_token_beyond_what_its_maker_may_is_not_made(
    house: House, scopes: tuple[str, ...], seconds: float, said: str
) -> None:
    caller = _caller(house, house.desk.begin(AMARA, "passkey", HERE))
    with pytest.raises(Unfit, match=said):
        house.desk.make_token(caller, "ci", scopes, seconds, "https 10.0.0.5")


def test_a_token_ends_is_revoked_and_survives_a_restart(house: House) -> None:
    caller = _caller(house, house.desk.begin(AMARA, "passkey", HERE))
    short, _ = house.desk.make_token(caller, "short", ("look",), 60, "")
    kept, _ = house.desk.make_token(caller, "kept", ("look",), 3600, "")
    gone, made = house.desk.make_token(caller, "gone", ("look",), 3600, "")
    assert house.desk.revoke_token(made.id, "ben", "", "ben") is None, "somebody else's"
    assert house.desk.revoke_token(made.id, "amara", "", "amara") is not None
    house.open()
    assert bearer(house, short) is not None and bearer(house, kept) is not None and bearer(house, gone) is None
    house.now += 60
    assert bearer(house, short) is None
    assert [one.label for one in house.desk.tokens.listed("amara")] == ["kept"]
    assert house.ears.actions().count("token.make") == 3 and "token.revoke" in house.ears.actions()


def test_when_a_token_was_used_last_is_kept(house: House) -> None:
    caller = _caller(house, house.desk.begin(AMARA, "passkey", HERE))
    token, _ = house.desk.make_token(caller, "ci", ("look",), 3600, "")
    house.now += 100
    assert bearer(house, token) is not None
    house.desk.settle()
    house.open()
    assert [one.used for one in house.desk.tokens.listed()] == [house.now]


def test_a_header_is_believed_or_not_whatever_cookie_comes_with_it(house: House) -> None:
    cookie = house.desk.begin(AMARA, "passkey", HERE)
    for header in ("Bearer wrong", "Basic YTpi", "Bearer", "reef_x", f"Bearer {cookie}"):
        assert house.desk.known(cookie, header, b"", "10.0.0.5") is None


def test_a_cookie_is_no_token_and_a_token_is_no_cookie(house: House) -> None:
    caller = _caller(house, house.desk.begin(AMARA, "passkey", HERE))
    token, _ = house.desk.make_token(caller, "ci", ("look",), 3600, "")
    assert who(house, token) is None
