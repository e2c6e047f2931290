"""What the pages before the console answer: log-in, invitation, log-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from appliance.console.who import asking, cookies, secret
from appliance.console.who.desk import At, Desk
from appliance.console.who.enrolling import App, Enrolling
from appliance.console.who.entering import Entering, Refused
from appliance.console.who.pages import asked
from appliance.console.who.pages.asked import Unfit
from appliance.console.who.pages.paper import HEADERS, Paper
from appliance.console.who.pages.words import Words, chosen
from appliance.console.who.provider import CALLBACK, Provider
from appliance.console.who.sessions import How
from appliance.console.who.store import StoreError
from appliance.policy.console import Person

_Handler = Callable[[web.Request], Awaitable[web.Response]]
_YEAR = 31_536_000
_MINUTES = 600


def routes(desk: Desk, entering: Entering, enrolling: Enrolling, provider: Provider) -> list[web.RouteDef]:
    """For the console's application."""
    return Pages(desk, entering, enrolling, provider).routes()


class Pages:
    """Answers in the language of who asks. Refusals are pages too, or JSON where the script asks."""

    def __init__(self, desk: Desk, entering: Entering, enrolling: Enrolling, provider: Provider) -> None:
        self._desk = desk
        self._entering = entering
        self._enrolling = enrolling
        self._provider = provider
        self._paper = Paper()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self._page(self.login)),
            web.get("/login/page.css", self._asset("page.css")),
            web.get("/login/page.js", self._asset("page.js")),
            web.post("/login/passkey/options", self._script(self.passkey_options)),
            web.post("/login/passkey", self._script(self.passkey)),
            web.post("/login/passphrase", self._page(self.passphrase)),
            web.post("/login/glass", self._page(self.glass)),
            web.post("/login/certificate", self._page(self.certificate)),
            web.get("/login/provider", self._page(self.to_provider)),
            web.get(CALLBACK, self._page(self.from_provider)),
            web.post("/logout", self._page(self.logout)),
            web.get("/invitation/{link}", self._page(self.invitation)),
            web.post("/invitation/{link}/passkey/options", self._script(self.new_passkey_options)),
            web.post("/invitation/{link}/passkey", self._script(self.new_passkey)),
            web.post("/invitation/{link}/passphrase", self._page(self.new_passphrase)),
        ]

    def _asset(self, name: str) -> _Handler:
        async def answer(_: web.Request) -> web.Response:
            return self._paper.asset(name)

        return answer

    # --- forms of refusals ------------------------------------------------------------------------------------------

    def _page(self, handler: _Handler) -> _Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except (Refused, Unfit) as refused:
                return self._refused(request, refused)
            except StoreError as error:
                self._desk.trail(str(error))
                return self._refused(request, Unfit("away"))

        return answer

    def _refused(self, request: web.Request, refused: Refused | Unfit) -> web.Response:
        words = _words(request)
        trouble = words.of_refusal(refused.why, getattr(refused, "wait", 0.0))
        name, status = self._desk.settings.name, _status(refused.why)
        return self._paper.page("refused", words, name, status=status, trouble=trouble, why=refused.why)

    def _script(self, handler: Callable[[web.Request], Awaitable[object]]) -> _Handler:
        """What the script asks: JSON both ways."""

        async def answer(request: web.Request) -> web.Response:
            try:
                said = await handler(request)
            except (Refused, Unfit) as refused:
                why, wait = refused.why, getattr(refused, "wait", 0.0)
            except StoreError as error:
                self._desk.trail(str(error))
                why, wait = "away", 0.0
            else:
                return said if isinstance(said, web.Response) else _json(said)
            return _json({"detail": _words(request).of_refusal(why, wait), "code": why}, _status(why))

        return answer

    # --- log-in -----------------------------------------------------------------------------------------------------

    async def login(self, request: web.Request) -> web.Response:
        return self._login(request, next_=asked.place(request.query.get("next")), out="out" in request.query)

    def _login(
        self,
        request: web.Request,
        *,
        next_: str = "/",
        out: bool = False,
        refused: Refused | None = None,
        open_: str = "",
        login: str = "",
    ) -> web.Response:
        """The page, with what went wrong and what was typed."""
        words, oidc = _words(request), self._desk.settings.oidc
        response = self._paper.page(
            "login", words, self._desk.settings.name,
            status=_status(refused.why) if refused is not None else HTTPStatus.OK,
            trouble=words.of_refusal(refused.why, refused.wait) if refused is not None else "",
            other=refused is None, next=next_, out=out, open=open_, login=login[:254],
            provider=urlsplit(oidc.issuer).hostname if oidc is not None else "",
            certificate=self._desk.by_certificate(asking.at(request)) is not None,
        )  # fmt: skip
        if refused is not None and refused.wait:
            response.headers["Retry-After"] = f"{max(1, round(refused.wait))}"
        self._know(request, response)
        return response

    def _know(self, request: web.Request, response: web.Response) -> None:
        """Give the browser the cookie that what it begins is bound to, and remember its language."""
        if not secret.is_secret(request.cookies.get(cookies.BROWSER, "")):
            cookies.give(response, cookies.BROWSER, secret.new())
        if request.query.get("lang") in ("en", "es"):
            cookies.give(response, cookies.LANGUAGE, request.query["lang"], seconds=_YEAR)

    async def passkey_options(self, request: web.Request) -> object:
        await asked.json(request)
        return self._entering.ask_passkey(_browser(request), asking.at(request))

    async def passkey(self, request: web.Request) -> object:
        sent = await asked.json(request)
        answer = sent.get("answer")
        if not isinstance(answer, dict):
            raise Unfit("passkey")
        cookie = self._entering.passkey(answer, _browser(request), asking.at(request), _old(request))
        return _entered(_json({"next": asked.place(sent.get("next"))}), cookie)

    async def passphrase(self, request: web.Request) -> web.Response:
        sent = await asked.form(request)
        login, at, next_ = sent.get("login", ""), asking.at(request), asked.place(sent.get("next"))
        try:
            cookie = await self._entering.passphrase(
                login, sent.get("passphrase", ""), sent.get("code", ""), at, _old(request)
            )
        except Refused as refused:
            return self._login(request, next_=next_, refused=refused, open_="passphrase", login=login)
        return _entered(_see(next_), cookie)

    async def glass(self, request: web.Request) -> web.Response:
        sent = await asked.form(request)
        try:
            cookie = await self._entering.glass(
                sent.get("login", ""), sent.get("code", ""), asking.at(request), _old(request)
            )
        except Refused as refused:
            return self._login(request, refused=refused, open_="break-glass")
        return _entered(_see("/"), cookie)

    async def certificate(self, request: web.Request) -> web.Response:
        sent = await asked.form(request)
        cookie = self._entering.certificate(asking.at(request), _old(request))
        return _entered(_see(asked.place(sent.get("next"))), cookie)

    async def to_provider(self, request: web.Request) -> web.Response:
        url, browser = await self._provider.begin(asking.at(request))
        response = _see(url)
        # Strict would keep it at home when the provider sends the browser back.
        cookies.give(response, cookies.PROVIDER, browser, seconds=_MINUTES, same_site="Lax")
        return response

    async def from_provider(self, request: web.Request) -> web.Response:
        at, browser = asking.at(request), request.cookies.get(cookies.PROVIDER, "")
        person = await self._provider.finish(dict(request.query), browser, at)
        cookie = self._desk.begin(person, "provider", at, _old(request))
        response = _entered(self._paper.page("going", _words(request), self._desk.settings.name), cookie)
        cookies.take_away(response, cookies.PROVIDER)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        await asked.form(request)
        self._desk.leave(_old(request), asking.at(request))
        response = _see("/login?out=1")
        cookies.take_away(response, cookies.SESSION)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    # --- invitations ------------------------------------------------------------------------------------------------

    async def invitation(self, request: web.Request) -> web.Response:
        link = request.match_info["link"]
        person = self._enrolling.invited(link, asking.at(request))
        browser = _browser(request) or secret.new()
        response = self._invitation(request, link, person, self._enrolling.new_app(person, browser))
        if browser != _browser(request):
            cookies.give(response, cookies.BROWSER, browser)
        return response

    def _invitation(
        self, request: web.Request, link: str, person: Person, app: App, refused: Refused | None = None
    ) -> web.Response:
        words = _words(request)
        return self._paper.page(
            "invitation", words, self._desk.settings.name,
            status=_status(refused.why) if refused is not None else HTTPStatus.OK,
            trouble=words.of_refusal(refused.why, refused.wait) if refused is not None else "",
            other=refused is None, person=person.name, login=person.id, app=app, here=f"/invitation/{link}",
            key=" ".join(app.secret[at : at + 4] for at in range(0, len(app.secret), 4)),
            open=refused is not None,
        )  # fmt: skip

    async def new_passkey_options(self, request: web.Request) -> object:
        await asked.json(request)
        at = asking.at(request)
        person = self._enrolling.invited(request.match_info["link"], at)
        return self._enrolling.ask_passkey(person, _browser(request), at)

    async def new_passkey(self, request: web.Request) -> object:
        sent = await asked.json(request)
        answer, words, link, at = (
            sent.get("answer"),
            sent.get("words"),
            request.match_info["link"],
            asking.at(request),
        )
        if not isinstance(answer, dict) or not isinstance(words, str):
            raise Unfit("passkey")
        person = self._enrolling.invited(link, at)
        self._enrolling.passkey(person, answer, words, _browser(request), at, link)
        return self._in(request, _json({"next": "/"}), person, "passkey", at)

    async def new_passphrase(self, request: web.Request) -> web.Response:
        sent, link, at = await asked.form(request), request.match_info["link"], asking.at(request)
        person, browser = self._enrolling.invited(link, at), _browser(request)
        ticket = sent.get("ticket", "")
        app = self._enrolling.same_app(person, ticket, browser) or self._enrolling.new_app(person, browser)
        try:
            if sent.get("passphrase") != sent.get("again"):
                raise Refused("differ")
            await self._enrolling.second(
                person, sent.get("passphrase", ""), ticket, sent.get("code", ""), browser, at, link
            )
        except Refused as refused:
            if refused.why == "invitation":
                raise
            return self._invitation(request, link, person, app, refused)
        return self._in(request, _see("/"), person, "passphrase", at)

    def _in(self, request: web.Request, response: web.Response, person: Person, how: How, at: At) -> web.Response:
        return _entered(response, self._desk.begin(person, how, at, _old(request)))


def _words(request: web.Request) -> Words:
    wanted = request.query.get("lang") or request.cookies.get(cookies.LANGUAGE, "")
    return chosen(wanted, request.headers.get("Accept-Language", ""))


def _browser(request: web.Request) -> str:
    """What the browser that asks is known by; "" where it came by none of our pages."""
    found = request.cookies.get(cookies.BROWSER, "")
    return found if secret.is_secret(found) else ""


def _old(request: web.Request) -> str:
    return request.cookies.get(cookies.SESSION, "")


def _status(why: str) -> HTTPStatus:
    found = {
        "wait": HTTPStatus.TOO_MANY_REQUESTS,
        "away": HTTPStatus.SERVICE_UNAVAILABLE,
        "invitation": HTTPStatus.NOT_FOUND,
        "short": HTTPStatus.UNPROCESSABLE_ENTITY,
        "differ": HTTPStatus.UNPROCESSABLE_ENTITY,
        "code": HTTPStatus.UNPROCESSABLE_ENTITY,
    }
    return found.get(why, HTTPStatus.FORBIDDEN)


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json", headers=HEADERS
    )


def _see(place: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": place})


def _entered(response: web.Response, cookie: str) -> web.Response:
    cookies.give(response, cookies.SESSION, cookie)
    return response
