"""The ways in, tried rightly and wrongly."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from appliance.console.who.desk import At
from appliance.console.who.enrolling import Enrolling
from appliance.console.who.entering import Entering, Refused
from appliance.console.who.guessing import SLOWEST
from appliance.events.record import ACCOUNT_RECOVERED, GLASS_BROKEN, GUESSED
from appliance.policy.console import Person
from crypto import totp
from tests.unit.who.authenticator import Authenticator
from tests.unit.who.house import AMARA, ANA, BEN, HERE, ORIGIN, SETTINGS, THERE, House

PHRASE = "a lamp beside the river"
BROWSER = "the cookie of a browser"
Way = Callable[[], Awaitable[str]]


def entering(house: House) -> Entering:
    return Entering(house.desk, house.sleep)


def has_passkey(house: House, person: Person, device: Authenticator) -> None:
    enrolling = Enrolling(house.desk)
    answer = device.create(enrolling.ask_passkey(person, BROWSER, HERE), ORIGIN)
    enrolling.passkey(person, answer, "a key", BROWSER, HERE)


def by_passkey(house: House, device: Authenticator, browser: str = BROWSER, **changed: Any) -> str:
    ways = entering(house)
    answer = device.get(ways.ask_passkey(BROWSER, HERE), changed.pop("origin", ORIGIN), **changed)
    return ways.passkey(answer, browser, HERE)


async def has_phrase(house: House, person: Person) -> str:
    """Gives the secret of the app."""
    enrolling = Enrolling(house.desk)
    app = enrolling.new_app(person, BROWSER)
    await enrolling.second(person, PHRASE, app.ticket, code(house, app.secret), BROWSER, HERE)
    house.now += totp.STEP  # that code is used up
    return app.secret


def code(house: House, secret: str) -> str:
    return TOTP(base64.b32decode(secret), totp.DIGITS, SHA1(), 30).generate(house.now).decode()  # noqa: S303


def who(house: House, cookie: str) -> str:
    found = house.desk.known(cookie, "", b"", HERE.address)
    assert found is not None
    return found.person


# --- passkeys -------------------------------------------------------------------------------------------------------


def test_a_passkey_logs_in_without_a_name(house: House) -> None:
    device, other = Authenticator(), Authenticator(count=1)
    has_passkey(house, AMARA, device)
    has_passkey(house, BEN, other)
    assert who(house, by_passkey(house, device)) == "amara"
    assert who(house, by_passkey(house, other)) == "ben"
    used = house.desk.accounts.passkeys("ben")[0]
    assert (used.count, used.used, used.words) == (other.count, house.now, "a key")


def test_an_answer_is_good_once(house: House) -> None:
    """Also of a passkey that does not count, as those that are synced."""
    device = Authenticator()
    has_passkey(house, AMARA, device)
    ways = entering(house)
    answer = device.get(ways.ask_passkey(BROWSER, HERE), ORIGIN)
    ways.passkey(answer, BROWSER, HERE)
    with pytest.raises(Refused, match="passkey"):
        ways.passkey(answer, BROWSER, HERE)


def test_an_answer_of_another_browser_another_page_or_too_late_is_none(house: House) -> None:
    device = Authenticator()
    has_passkey(house, AMARA, device)
    for changed in ({"browser": "another"}, {"origin": "https://evil.example"}, {"rp": "evil.example"}):
        with pytest.raises(Refused, match="passkey"):
            by_passkey(house, device, **changed)
    ways = entering(house)
    answer = device.get(ways.ask_passkey(BROWSER, HERE), ORIGIN)
    house.now += 301
    with pytest.raises(Refused, match="passkey"):
        ways.passkey(answer, BROWSER, HERE)


def test_a_port_that_is_forwarded_is_the_console_and_another_name_is_not(house: House) -> None:
    device = Authenticator()
    has_passkey(house, AMARA, device)
    ways = entering(house)
    for host, origin, fits in (
        ("gateway.example:9000", "https://gateway.example:9000", True),
        ("gateway.example:9000", ORIGIN, True),
        ("gateway.example:9000", "https://gateway.example:9001", False),
        ("evil.example", "https://evil.example", False),
        ("gateway.example:x@evil.example", "https://gateway.example:x@evil.example", False),
    ):
        at = At("10.0.0.5", host=host)
        answer = device.get(ways.ask_passkey(BROWSER, at), origin)
        if fits:
            assert who(house, ways.passkey(answer, BROWSER, at)) == "amara"
        else:
            with pytest.raises(Refused, match="passkey"):
                ways.passkey(answer, BROWSER, at)


def test_a_challenge_for_a_new_passkey_logs_nobody_in(house: House) -> None:
    device = Authenticator()
    has_passkey(house, AMARA, device)
    options = Enrolling(house.desk).ask_passkey(AMARA, BROWSER, HERE)
    answer = device.get({"challenge": options["challenge"], "rpId": "gateway.example"}, ORIGIN)
    with pytest.raises(Refused, match="passkey"):
        entering(house).passkey(answer, BROWSER, HERE)


def test_a_passkey_of_nobody_and_of_who_left_logs_nobody_in(house: House) -> None:
    device, stranger = Authenticator(), Authenticator()
    has_passkey(house, AMARA, device)
    with pytest.raises(Refused, match="passkey"):
        by_passkey(house, stranger)
    with pytest.raises(Refused, match="passkey"):
        by_passkey(house, device, handle=house.desk.accounts.handle("ben"))
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(BEN,)))
    with pytest.raises(Refused, match="passkey"):
        by_passkey(house, device)
    house.desk.renew(SETTINGS)
    assert who(house, by_passkey(house, device)) == "amara"


def test_a_passkey_that_was_taken_away_logs_nobody_in(house: House) -> None:
    device = Authenticator()
    has_passkey(house, AMARA, device)
    name = house.desk.accounts.passkeys("amara")[0].name
    enrolling = Enrolling(house.desk)
    assert not enrolling.remove_passkey("ben", name, "ben", "")
    assert enrolling.remove_passkey("amara", name, "amara", "")
    with pytest.raises(Refused, match="passkey"):
        by_passkey(house, device)


# --- a passphrase and a code ----------------------------------------------------------------------------------------


async def test_passphrases_have_a_thread_of_their_own(house: House) -> None:
    """Each thread that ever looked at one keeps 40 MB: with those that everything else is done in, a console that is
    tried by many would outgrow what it may take."""
    others = ThreadPoolExecutor(1)
    others.shutdown()
    asyncio.get_running_loop().set_default_executor(others)  # whoever asks it for anything is refused
    secret = await has_phrase(house, AMARA)
    cookie = await entering(house).passphrase("amara", PHRASE, code(house, secret), HERE)
    assert who(house, cookie) == "amara"

    def whose(_: str) -> int:
        return threading.get_ident()

    threads = set(await asyncio.gather(*(house.desk.aside(whose, "") for _ in range(50))))
    assert len(threads) == 1 and threading.get_ident() not in threads


async def test_a_passphrase_and_a_code_log_in_once(house: House) -> None:
    app = await has_phrase(house, AMARA)
    ways, now = entering(house), code(house, app)
    assert who(house, await ways.passphrase("amara", PHRASE, now, HERE)) == "amara"
    with pytest.raises(Refused, match="wrong"):
        await ways.passphrase("amara", PHRASE, now, HERE)
    house.now += totp.STEP
    assert who(house, await ways.passphrase("Amara@Health.example", PHRASE, code(house, app), HERE)) == "amara"


async def test_both_must_be_right_and_nobody_hears_which_was_not(house: House) -> None:
    app = await has_phrase(house, AMARA)
    ways, now = entering(house), code(house, app)
    wrong = f"{(int(now) + 1) % 10**6:06}"
    for login, phrase, number in (
        ("amara", PHRASE, wrong),
        ("amara", "a lamp beside the rivet", now),
        ("ben", PHRASE, now),
        ("zoe", PHRASE, now),
    ):
        with pytest.raises(Refused) as refused:
            await ways.passphrase(login, phrase, number, HERE)
        assert refused.value.why == "wrong"


async def test_who_guesses_waits_and_the_right_person_elsewhere_does_not(house: House) -> None:
    app = await has_phrase(house, AMARA)
    ways = entering(house)
    whys = []
    for _ in range(12):
        with pytest.raises(Refused) as refused:
            await ways.passphrase("amara", "guess guess guess", "000000", THERE)
        whys.append(refused.value.why)
    assert whys[:5] == ["wrong"] * 5 and whys[5:] == ["wait"] * 7
    with pytest.raises(Refused) as refused:
        await ways.passphrase("amara", PHRASE, code(house, app), THERE)
    assert refused.value.why == "wait" and refused.value.wait >= 1, "what is right is not heard either"
    assert who(house, await ways.passphrase("amara", PHRASE, code(house, app), HERE)) == "amara"
    assert sum(house.slept) <= SLOWEST


async def test_a_name_that_is_guessed_at_from_everywhere_is_slow_and_open(house: House) -> None:
    app = await has_phrase(house, AMARA)
    for number in range(500):
        house.desk.fail("passphrase", "amara", At(f"192.0.{number >> 8}.{number & 255}"))
    assert who(house, await entering(house).passphrase("amara", PHRASE, code(house, app), HERE)) == "amara"
    assert house.slept == [SLOWEST]


@pytest.mark.parametrize("addresses", [1, 50])
async def test_guessing_is_told_once_an_hour(house: House, addresses: int) -> None:
    """Whether one address tries again and again, or many once each: somebody hears of it, and the person comes in."""
    app = await has_phrase(house, AMARA)
    for minute in range(60):
        house.desk.fail("passphrase", "amara", At(f"192.0.2.{minute % addresses}"))
        house.now += 61
        house.desk.settle()
    assert [number for number, _ in house.ears.alerts] == [GUESSED]
    assert "amara from 192.0.2." in house.ears.alerts[0][1]
    assert house.ears.actions().count("login.fail") > 20
    assert await Entering(house.desk, house.sleep).passphrase("amara", PHRASE, code(house, app), HERE)


def test_a_few_mistakes_are_no_guessing(house: House) -> None:
    for _ in range(10):
        for _ in range(3):
            house.desk.fail("passphrase", "amara", HERE)
        house.now += 3600
        house.desk.settle()
    assert house.ears.alerts == []


async def test_an_address_has_one_try_at_a_time(house: House) -> None:
    await has_phrase(house, AMARA)
    asleep, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await go_on.wait()

    for number in range(20):
        house.desk.fail("passphrase", "amara", At(f"192.0.2.{number}"))
    ways = Entering(house.desk, sleep)
    first = asyncio.create_task(ways.passphrase("amara", "guess guess guess", "000000", HERE))
    await asleep.wait()
    with pytest.raises(Refused, match="wait"):
        await ways.passphrase("amara", "guess guess guess", "000001", HERE)
    go_on.set()
    with pytest.raises(Refused, match="wrong"):
        await first


async def test_failures_are_told_together(house: House) -> None:
    for _ in range(3):
        with pytest.raises(Refused):
            await entering(house).passphrase("amara", "guess guess guess", "000000", THERE)
    assert "login.fail" not in house.ears.actions()
    house.now += 61
    house.desk.settle()
    told = [entry for entry in house.ears.entries if entry[1] == "login.fail"]
    assert len(told) == 1 and told[0][3] == {"failures": "3", "what": "amara from 192.0.2.77 by passphrase: 3"}


@pytest.mark.parametrize("phrase", ["short", "amara and the sea", "x" * 257])
async def test_a_passphrase_that_is_none_is_refused(house: House, phrase: str) -> None:
    enrolling = Enrolling(house.desk)
    app = enrolling.new_app(AMARA, BROWSER)
    with pytest.raises(Refused, match="short"):
        await enrolling.second(AMARA, phrase, app.ticket, "000000", BROWSER, HERE)


async def test_the_secret_of_an_app_is_for_who_was_shown_it(house: House) -> None:
    enrolling = Enrolling(house.desk)
    app = enrolling.new_app(AMARA, BROWSER)
    now = code(house, app.secret)
    for person, browser in ((BEN, BROWSER), (AMARA, "another")):
        with pytest.raises(Refused, match="code"):
            await enrolling.second(person, PHRASE, app.ticket, now, browser, HERE)
    assert enrolling.same_app(AMARA, app.ticket, BROWSER) == app
    assert enrolling.same_app(BEN, app.ticket, BROWSER) is None
    await enrolling.second(AMARA, PHRASE, app.ticket, now, BROWSER, HERE)
    with pytest.raises(Refused, match="code"):
        await enrolling.second(AMARA, PHRASE, app.ticket, now, BROWSER, HERE)


# --- links ----------------------------------------------------------------------------------------------------------


def invite(house: House, person: Person, *, reset: bool = False) -> str:
    url, _ = house.desk.invite(person, "root", "local", reset=reset)
    assert url.startswith(f"{ORIGIN}/invitation/")
    return url.rpartition("/")[2]


def test_a_link_makes_one_credential_within_a_day(house: House) -> None:
    enrolling, link = Enrolling(house.desk), invite(house, AMARA)
    assert enrolling.invited(link, HERE) == AMARA
    device = Authenticator()
    answer = device.create(enrolling.ask_passkey(AMARA, BROWSER, HERE), ORIGIN)
    enrolling.passkey(AMARA, answer, "", BROWSER, HERE, link)
    with pytest.raises(Refused, match="invitation"):
        enrolling.invited(link, HERE)
    answer = Authenticator().create(enrolling.ask_passkey(AMARA, BROWSER, HERE), ORIGIN)
    with pytest.raises(Refused, match="invitation"):
        enrolling.passkey(AMARA, answer, "", BROWSER, HERE, link)
    assert who(house, by_passkey(house, device)) == "amara"
    late = invite(house, BEN)
    house.now += 86_400
    with pytest.raises(Refused, match="invitation"):
        enrolling.invited(late, HERE)


@pytest.mark.parametrize("link", ["", "x", "A" * 43, "%2e%2e", "A" * 10_000])
def test_what_is_no_link_is_none(house: House, link: str) -> None:
    invite(house, AMARA)
    with pytest.raises(Refused, match="invitation"):
        Enrolling(house.desk).invited(link, HERE)


def test_a_new_link_takes_the_place_of_the_last(house: House) -> None:
    first, second = invite(house, AMARA), invite(house, AMARA)
    with pytest.raises(Refused):
        Enrolling(house.desk).invited(first, HERE)
    assert Enrolling(house.desk).invited(second, HERE) == AMARA
    assert list(house.desk.invitations.waiting()) == ["amara"]


def test_a_link_for_who_had_an_account_is_told(house: House) -> None:
    invite(house, AMARA)
    assert house.ears.alerts == []
    has_passkey(house, AMARA, Authenticator())
    invite(house, AMARA)
    assert [number for number, _ in house.ears.alerts] == [ACCOUNT_RECOVERED]


async def test_a_reset_takes_everything_that_opened(house: House) -> None:
    device = Authenticator()
    has_passkey(house, AMARA, device)
    app = await has_phrase(house, AMARA)
    cookie = by_passkey(house, device)
    caller = house.desk.known(cookie, "", b"", HERE.address)
    assert caller is not None
    token, _ = house.desk.make_token(caller, "ci", ("look",), 3600, "")
    link = invite(house, AMARA, reset=True)
    assert house.desk.known(cookie, "", b"", HERE.address) is None
    assert house.desk.known("", f"Bearer {token}", b"", HERE.address) is None
    with pytest.raises(Refused):
        by_passkey(house, device)
    with pytest.raises(Refused):
        await entering(house).passphrase("amara", PHRASE, code(house, app), HERE)
    assert Enrolling(house.desk).invited(link, HERE) == AMARA


# --- certificates and codes for the worst day -----------------------------------------------------------------------


def test_a_certificate_of_the_policy_logs_in_and_another_does_not(house: House) -> None:
    shown = At("10.0.0.5", "curl", b"a certificate")
    ana = msgspec.structs.replace(ANA, certificate=shown.fingerprint)
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(AMARA, ana)))
    cookie = entering(house).certificate(shown)
    found = house.desk.known(cookie, "", shown.certificate, shown.address)
    assert found is not None and found.person == "ana"
    for at in (HERE, At("10.0.0.5", "curl", b"another")):
        with pytest.raises(Refused, match="certificate"):
            entering(house).certificate(at)


async def test_breaking_the_glass_is_for_an_hour_once_and_told(house: House) -> None:
    codes = house.desk.codes(ANA, "root", "local")
    assert len(set(codes)) == 10
    ways = entering(house)
    cookie = await ways.glass("ana", codes[0].lower().replace("-", " "), HERE)
    assert who(house, cookie) == "ana"
    assert house.ears.alerts[0][0] == GLASS_BROKEN and "9 codes are left" in house.ears.alerts[0][1]
    assert "login.break-glass" in house.ears.actions()
    with pytest.raises(Refused, match="wrong"):
        await ways.glass("ana", codes[0], HERE)
    for _ in range(3):
        house.now += 1200
        found = house.desk.known(cookie, "", b"", HERE.address)
    assert found is None, "an hour, however busy"
    house.desk.codes(ANA, "root", "local")
    with pytest.raises(Refused, match="wrong"):
        await ways.glass("ana", codes[1], HERE)


async def test_a_code_is_for_its_person_and_for_who_may_break_the_glass(house: House) -> None:
    codes = house.desk.codes(ANA, "root", "local")
    also = house.desk.codes(AMARA, "root", "local")
    for login, given in (("ben", codes[0]), ("amara", also[0]), ("ana", also[0]), ("ana", ""), ("ana", "A" * 16)):
        with pytest.raises(Refused, match="wrong"):
            await entering(house).glass(login, given, At(f"10.0.9.{len(login)}"))


def test_who_is_out_of_the_policy_for_a_month_is_forgotten(house: House) -> None:
    has_passkey(house, AMARA, Authenticator())
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(BEN,)))
    house.now += 29 * 86_400
    house.desk.settle()
    assert house.desk.accounts.enrolled("amara")
    house.now += 2 * 86_400
    house.desk.settle()
    assert not house.desk.accounts.enrolled("amara")
    assert ("console", "account.forget", "amara") in [entry[:3] for entry in house.ears.entries]
