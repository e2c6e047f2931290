"""The pages before the console, asked as a browser asks: over a socket, with cookies, forms and the script's JSON."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from appliance.console.who import cookies, secret
from appliance.console.who.enrolling import Enrolling
from appliance.console.who.entering import Entering
from appliance.console.who.pages.asked import foreign, place
from appliance.console.who.pages.routes import routes
from appliance.console.who.pages.words import EN, ES, chosen
from appliance.console.who.provider import Provider
from appliance.policy.console import Oidc
from crypto.selfsigned import client_context
from tests.unit.who.authenticator import Authenticator
from tests.unit.who.house import AMARA, ANA, BEN, HERE, ORIGIN, SETTINGS, House
from tests.unit.who.provider import FakeProvider
from tests.unit.who.test_entering import PHRASE, code, invite

ROOT = Path(__file__).resolve().parents[3]
OURS = {"Sec-Fetch-Site": "same-origin"}
SCRIPT = {**OURS, "X-Reef": "1"}


class Browser:
    """Keeps cookies as a browser does at an HTTPS site."""

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session = session
        self._root = root
        self.cookies: dict[str, str] = {}
        self.given: list[str] = []  # Set-Cookie of the last answer

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[aiohttp.ClientResponse, str]:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        async with self._session.request(
            method, self._root + path, headers=sent, allow_redirects=False, **more
        ) as response:
            text = await response.text()
        self.given = response.headers.getall("Set-Cookie", [])
        for one in self.given:
            name, _, value = one.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if "Max-Age=0" not in one:
                self.cookies[name] = value
        return response, text

    async def get(self, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self.ask("GET", path, headers)

    async def form(self, path: str, **fields: str) -> tuple[aiohttp.ClientResponse, str]:
        return await self.ask("POST", path, OURS, data=fields)

    async def script(self, path: str, value: object) -> tuple[int, Any]:
        response, text = await self.ask("POST", path, SCRIPT, json=value)
        return response.status, msgspec.json.decode(text)


@asynccontextmanager
async def browser(house: House, provider: Provider | None = None) -> AsyncIterator[Browser]:
    desk = house.desk
    there = provider or Provider(desk, house.folder, lambda: client_context(house.folder / "none"))
    app = web.Application()
    app.add_routes(routes(desk, Entering(desk, house.sleep), Enrolling(desk), there))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Browser(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


def who(house: House, found: Browser) -> str:
    caller = house.desk.known(found.cookies.get(cookies.SESSION, ""), "", b"", "127.0.0.1")
    return caller.person if caller is not None else ""


class Page(HTMLParser):
    """What a page must not have, and whether what is opened is closed."""

    VOID = ("meta", "link", "input", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [f"{tag} {name}" for name in found if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag == "style" or (tag == "script" and not found.get("src")) else []
        self.ids += [one] if (one := found.get("id")) else []
        self.labels += [one] if tag == "label" and (one := found.get("for")) else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sound(text: str) -> None:
    page = Page(text)
    assert page.open == [] and page.inline == []
    assert len(set(page.ids)) == len(page.ids) and set(page.labels) <= set(page.ids)


# --- the page itself ------------------------------------------------------------------------------------------------


async def test_the_page_has_nothing_inline_is_kept_nowhere_and_speaks_two_languages(house: House) -> None:
    house.desk.renew(msgspec.structs.replace(SETTINGS, oidc=Oidc("https://login.example/realm", "reef")))
    async with browser(house) as found:
        response, text = await found.get("/login?next=/rules")
        sound(text)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert EN.with_passkey in text and "login.example" in text and 'lang="en"' in text and "/rules" in text
        assert EN.with_certificate not in text and 'href="?lang=es&amp;next=%2Frules"' in text
        response, text = await found.get("/login", **{"Accept-Language": "de, es-MX;q=0.9, en;q=0.8"})
        sound(text)
        assert ES.with_passkey in text
        await found.get("/login?lang=es")
        response, text = await found.get("/login", **{"Accept-Language": "en"})
        assert ES.with_passkey in text, "what was chosen stays"
        for name in ("page.css", "page.js"):
            response, text = await found.get(f"/login/{name}")
            assert response.status == 200 and text


async def test_a_cookie_is_for_this_host_and_no_script(house: House) -> None:
    async with browser(house) as found:
        await found.get("/login")
        assert len(found.given) == 1 and found.given[0].startswith("__Host-reef-browser=")
        for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert part in found.given[0]
        assert "Domain" not in found.given[0]
        await found.get("/login")
        assert found.given == [], "it is the same browser"


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/rules?zone=lan", "/rules?zone=lan"),
        ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/"), ("javascript:a()", "/"),
        ("/\t/evil.example", "/"), ("/%0d%0aSet-Cookie:x", "/%0d%0aSet-Cookie:x"), ("/a\r\nb", "/"), (None, "/"),
        ("", "/"), ("/" + "a" * 600, "/"), (7, "/"),
    ],
)  # fmt: skip
def test_nobody_is_led_away_after_the_log_in(asked: object, given: str) -> None:
    assert place(asked) == given


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://gateway.example:8444"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://gateway.example:8444"}, False),
        ({"Origin": "http://gateway.example:8444"}, True),
        ({"Origin": "https://gateway.example"}, True),
        ({"Origin": "null"}, True),
        ({}, True),
    ],
)
def test_a_form_of_another_page_is_told_apart(headers: dict[str, str], is_foreign: bool) -> None:
    assert foreign(headers, "gateway.example:8444") is is_foreign


def test_languages() -> None:
    accepting = {"": EN, "es": ES, "fr": EN, "en;q=0.2, es;q=0.3": ES, "x" * 9999: EN, "es;q=0": EN}
    for accepted, words in accepting.items():
        assert chosen("", accepted) is words
    assert chosen("es", "en") is ES and chosen("xx", "en") is EN
    for name in EN.__struct_fields__:
        assert getattr(EN, name) and getattr(ES, name)
        assert name == "language" or getattr(EN, name) != getattr(ES, name), f"{name} is not translated"
    assert "{seconds}" in EN.wait and "{seconds}" in ES.wait


def test_the_colours_are_those_of_the_console() -> None:
    colour = re.compile(r"(--[a-z-]+): (light-dark\([^)]*\));")
    theirs = dict(colour.findall((ROOT / "appliance/console/web/src/look/tokens.css").read_text()))
    ours = dict(colour.findall((ROOT / "appliance/console/who/pages/files/page.css").read_text()))
    assert len(ours) > 10 and ours == {name: theirs[name] for name in ours}


# --- ways in --------------------------------------------------------------------------------------------------------


async def test_an_invited_person_makes_a_passkey_is_in_leaves_and_comes_back(house: House) -> None:
    device, link = Authenticator(), invite(house, AMARA)
    async with browser(house) as found:
        response, text = await found.get(f"/invitation/{link}")
        sound(text)
        assert (
            response.status == 200 and "Amara Diaz" in text and response.headers["Referrer-Policy"] == "no-referrer"
        )
        _, options = await found.script(f"/invitation/{link}/passkey/options", {})
        status, said = await found.script(
            f"/invitation/{link}/passkey", {"answer": device.create(options, ORIGIN), "words": "blue key"}
        )
        assert (status, said) == (200, {"next": "/"}) and who(house, found) == "amara"
        assert any("__Host-reef=" in one and "SameSite=Strict" in one for one in found.given)
        response, text = await found.get(f"/invitation/{link}")
        assert response.status == 404 and EN.nothing_here in text
        response, _ = await found.form("/logout")
        assert response.status == 303 and response.headers["Location"] == "/login?out=1" and who(house, found) == ""
        await found.get("/login")
        _, options = await found.script("/login/passkey/options", {})
        planted = found.cookies[cookies.SESSION] = secret.new()
        answer = device.get(options, ORIGIN)
        status, said = await found.script("/login/passkey", {"answer": answer, "next": "/rules"})
        assert (status, said) == (200, {"next": "/rules"}) and who(house, found) == "amara"
        assert found.cookies[cookies.SESSION] != planted
        status, said = await found.script("/login/passkey", {"answer": answer, "next": "/rules"})
        assert status == 403 and said["detail"] == EN.bad_passkey


async def test_an_invited_person_without_passkeys_sets_a_passphrase_and_an_app(house: House) -> None:
    link = invite(house, BEN)
    async with browser(house) as found:
        _, text = await found.get(f"/invitation/{link}")
        key = re.search(r'class="key">([A-Z2-7 ]+)<', text)
        ticket = re.search(r'name="ticket" value="([^"]+)"', text)
        assert key is not None and ticket is not None
        app = key[1].replace(" ", "")
        fields = {"ticket": ticket[1], "code": code(house, app), "passphrase": PHRASE, "again": PHRASE}
        for changed, words in (({"again": "x"}, EN.differ), ({"passphrase": "x", "again": "x"}, EN.short),
                               ({"code": "000000" if fields["code"] != "000000" else "1"}, EN.bad_code)):  # fmt: skip
            response, text = await found.form(f"/invitation/{link}/passphrase", **{**fields, **changed})
            sound(text)
            assert response.status == 422 and words in unescape(text) and key[1] in text, (
                "the app need not begin anew"
            )
        response, _ = await found.form(f"/invitation/{link}/passphrase", **fields)
        assert response.status == 303 and who(house, found) == "ben"
        house.now += 30
        await found.form("/logout")
        response, text = await found.form("/login/passphrase", login="ben", passphrase=PHRASE, code="000000")
        sound(text)
        assert response.status == 403 and unescape(EN.wrong) in unescape(text) and PHRASE not in text
        response, _ = await found.form(
            "/login/passphrase", login="ben", passphrase=PHRASE, code=code(house, app), next="/changes"
        )
        assert response.status == 303 and response.headers["Location"] == "/changes" and who(house, found) == "ben"


async def test_who_guesses_is_told_how_long_to_wait(house: House) -> None:
    async with browser(house) as found:
        for _ in range(7):
            response, text = await found.form("/login/passphrase", login="amara", passphrase="guess", code="000000")
        assert response.status == 429 and int(response.headers["Retry-After"]) >= 1 and "Try again in" in text


async def test_a_name_is_never_written_as_html(house: House) -> None:
    evil = '"><script>alert(1)</script>'
    house.desk.renew(msgspec.structs.replace(SETTINGS, people=(msgspec.structs.replace(AMARA, name=evil),)))
    link = invite(house, AMARA)
    async with browser(house) as found:
        _, text = await found.get(f"/invitation/{link}")
        sound(text)
        assert evil not in text and evil in unescape(text)
        _, text = await found.form("/login/passphrase", login=evil, passphrase="x", code="0")
        sound(text)
        assert evil not in text
        _, text = await found.get(f"/login?next={evil}&lang={evil}")
        sound(text)
        assert evil not in text


async def test_forms_and_scripts_of_other_pages_are_not_taken(house: House) -> None:
    device = Authenticator()
    cookie = house.desk.begin(ANA, "passkey", HERE)
    async with browser(house) as found:
        found.cookies[cookies.SESSION] = cookie
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            response, _ = await found.ask("POST", "/logout", headers)
            assert response.status == 403 and who(house, found) == "ana"
            response, _ = await found.ask("POST", "/login/passphrase", headers, data={"login": "ana"})
            assert response.status == 403
        response, _ = await found.ask("POST", "/login/passkey/options", OURS, json={})
        assert response.status == 403, "without the header that only a script of ours sends"
        status, _ = await found.script("/login/passkey", {"answer": device.id.hex()})
        assert status == 403


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"answer":{}}', b"x" * 70_000])
async def test_what_no_page_sends_is_refused(house: House, body: bytes) -> None:
    async with browser(house) as found:
        response, _ = await found.ask("POST", "/login/passkey", SCRIPT, data=body)
        assert response.status == 403
        response, _ = await found.ask("POST", "/login/passphrase", OURS, data=body)
        assert response.status in (403, 429)
        response, _ = await found.ask("POST", "/login/passphrase", OURS, data="&".join(["a=b"] * 40))
        assert response.status == 403


async def test_the_provider_leads_back_and_in(house: House) -> None:
    async with FakeProvider(house.folder, house.clock) as there:
        house.desk.renew(msgspec.structs.replace(SETTINGS, oidc=Oidc(there.issuer, "reef")))
        provider = Provider(house.desk, house.folder, lambda: client_context(there.certificate))
        async with browser(house, provider) as found:
            response, _ = await found.get("/login/provider")
            assert response.status == 303 and any("SameSite=Lax" in one for one in found.given)
            answer = there.log_in(response.headers["Location"])
            response, text = await found.ask("GET", "/login/provider/callback", params=answer)
            sound(text)
            assert response.status == 200 and 'content="0; url=/"' in text and who(house, found) == "amara"
            assert cookies.PROVIDER not in found.cookies
            response, _ = await found.ask("GET", "/login/provider/callback", params=answer)
            assert response.status == 403
