"""Log-ins by a provider: a real one over TLS in this process, and what goes wrong on the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from appliance.console.who.entering import Refused
from appliance.console.who.provider import Provider
from appliance.policy.console import Oidc
from crypto.selfsigned import client_context
from tests.unit.who.house import AMARA, BEN, HERE, SETTINGS, House
from tests.unit.who.provider import CurveSigner, FakeProvider


@asynccontextmanager
async def login(house: House, claim: str = "email") -> AsyncIterator[tuple[FakeProvider, Provider]]:
    async with FakeProvider(house.folder, house.clock) as there:
        oidc = Oidc(there.issuer, "reef", claim)
        house.desk.renew(msgspec.structs.replace(SETTINGS, oidc=oidc))
        yield there, Provider(house.desk, house.folder, lambda: client_context(there.certificate), house.clock)


async def test_who_the_provider_knows_and_the_policy_names_comes_in(house: House) -> None:
    async with login(house) as (there, provider):
        url, browser = await provider.begin(HERE)
        assert url.startswith(f"{there.issuer}/authorize?") and browser not in url
        assert "code_challenge_method=S256" in url
        assert await provider.finish(there.log_in(url), browser, HERE) == AMARA
        url, browser = await provider.begin(HERE)
        there.changed = {"email": "BEN@health.example"}
        assert await provider.finish(there.log_in(url), browser, HERE) == BEN
        assert there.asked == ["discovery", "keys"], "what it says of itself is asked once"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "another"}, "somebody else"),
        ({"exp": 1_799_999_000}, "expired"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"nonce": "of another log-in"}, "nonce"),
        ({"email": "zoe@health.example"}, "nobody of the policy"),
        ({"email": None}, "no claim"),
        ({"email_verified": False}, "verified"),
        ({"email_verified": "true"}, "verified"),
    ],
)
async def test_a_token_that_is_not_for_us_lets_nobody_in(house: House, changed: dict[str, Any], said: str) -> None:
    async with login(house) as (there, provider):
        there.changed = changed
        url, browser = await provider.begin(HERE)
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url), browser, HERE)
        assert said in house.ears.words[-1]


async def test_a_token_of_a_forger_lets_nobody_in_and_new_keys_are_looked_for(house: House) -> None:
    async with login(house) as (there, provider):
        url, browser = await provider.begin(HERE)
        await provider.finish(there.log_in(url), browser, HERE)
        honest, there.signer = there.signer, CurveSigner("forged")
        document = honest.document
        there.signer.document = document  # type: ignore[method-assign]
        url, browser = await provider.begin(HERE)
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url), browser, HERE)


async def test_keys_that_changed_are_fetched(house: House) -> None:
    async with login(house) as (there, provider):
        there.signer = CurveSigner("next")
        url, browser = await provider.begin(HERE)
        assert await provider.finish(there.log_in(url), browser, HERE) == AMARA


async def test_an_answer_is_for_the_browser_that_began_once_and_soon(house: House) -> None:
    async with login(house) as (there, provider):
        url, browser = await provider.begin(HERE)
        _, other = await provider.begin(HERE)
        answer = there.log_in(url)
        for cookie in (other, "", "made up"):
            with pytest.raises(Refused, match="provider"):
                await provider.finish(answer, cookie, HERE)
        assert await provider.finish(answer, browser, HERE) == AMARA
        with pytest.raises(Refused, match="provider"):
            await provider.finish(answer, browser, HERE)
        url, browser = await provider.begin(HERE)
        house.now += 601
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url), browser, HERE)


@pytest.mark.parametrize("changed", [{"code": ""}, {"error": "access_denied"}, {"iss": "https://evil.example"},
                                     {"code": "made up"}, {"state": ""}])  # fmt: skip
async def test_an_answer_that_was_changed_lets_nobody_in(house: House, changed: dict[str, str]) -> None:
    async with login(house) as (there, provider):
        url, browser = await provider.begin(HERE)
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url) | changed, browser, HERE)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": 7},
    ],
)
async def test_a_provider_that_says_it_is_another_is_not_asked(house: House, metadata: dict[str, Any]) -> None:
    async with login(house) as (there, provider):
        there.metadata = metadata
        for _ in range(3):
            with pytest.raises(Refused, match="provider"):
                await provider.begin(HERE)
        assert there.asked == ["discovery"], "who tries again at once makes no flood of questions"


async def test_no_redirect_is_followed_and_no_other_certificate_believed(house: House) -> None:
    async with login(house) as (there, provider):
        there.metadata = {"jwks_uri": f"{there.issuer}/away"}
        url, browser = await provider.begin(HERE)
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url), browser, HERE)
        assert "302" in house.ears.words[-1]
    async with login(house) as (there, _):
        (house.folder / "else").mkdir()
        other = FakeProvider(house.folder / "else", house.clock)
        provider = Provider(house.desk, house.folder, lambda: client_context(other.certificate))
        with pytest.raises(Refused, match="provider"):
            await provider.begin(HERE)
        assert there.asked == []


async def test_a_provider_that_wants_a_secret_gets_it(house: House) -> None:
    async with login(house) as (there, provider):
        there.secret = "kept in a file"
        url, browser = await provider.begin(HERE)
        with pytest.raises(Refused, match="provider"):
            await provider.finish(there.log_in(url), browser, HERE)
        (house.folder / "oidc-secret").write_text("kept in a file\n")
        url, browser = await provider.begin(HERE)
        assert await provider.finish(there.log_in(url), browser, HERE) == AMARA


async def test_another_claim_names_people_by_their_id(house: House) -> None:
    async with login(house, "preferred_username") as (there, provider):
        there.changed = {"preferred_username": "ben", "email_verified": False}
        url, browser = await provider.begin(HERE)
        assert await provider.finish(there.log_in(url), browser, HERE) == BEN


async def test_without_a_provider_in_the_policy_there_is_none(house: House) -> None:
    provider = Provider(house.desk, house.folder, lambda: client_context(house.folder / "none"))
    with pytest.raises(Refused, match="provider"):
        await provider.begin(HERE)
