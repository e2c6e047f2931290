"""The application that the console serves: who asks is known before anything is done, every refusal has one form."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from importlib.metadata import version
from types import ModuleType
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from appliance.console import conditional, forgery, idempotency, openapi, problems, replies
from appliance.console.api import NOUNS
from appliance.console.bodies import Bodies, decoded
from appliance.console.callers import Caller
from appliance.console.context import Console, Ctx
from appliance.console.idempotency import Kept
from appliance.console.problems import PROBLEM, Problem
from appliance.console.registry import JSON, Endpoint, endpoints, placed, queried
from appliance.console.who.cookies import SESSION
from appliance.console.who.store import StoreError
from appliance.serving.bucket import Bucket
from appliance.serving.listening import CONNECTIONS, Connections, Limits

# Every viewer has a stream and some more connections; many come from one address where a proxy or a lab is between.
LIMITS = Limits(connections=1024, of_address=320)

_UNATTENDED = "X-Reef-Unattended"  # "1": a page asks by itself, nobody is at the screen
_RATE, _BURST = 100.0, 400.0  # requests a second of one person, and at once
_AT_ONCE = 48  # of one person
_MOST_PEOPLE = 1000

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "reef",
}
_HSTS = "max-age=31536000"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    console: Console,
    routes: Iterable[web.RouteDef] = (),
    nouns: Iterable[ModuleType] = NOUNS,
    limits: Limits = LIMITS,
) -> web.Application:
    """The API over these nouns, and other routes beside it."""
    listed = endpoints(nouns)
    api = Api(console)
    app = web.Application(middlewares=[_forms])
    app[CONNECTIONS] = Connections(_slow(console), limits)
    for one in listed:
        app.router.add_route(one.method, f"{openapi.PREFIX}{one.path}", api.answering(one))
    described = msgspec.json.encode(openapi.description(listed, version("reef-gateway")))

    async def describe(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": JSON, "ETag": conditional.of_bytes(described)}
        return await replies.sent(request, Kept(HTTPStatus.OK, headers, described))

    app.router.add_get(f"{openapi.PREFIX}/openapi.json", describe)
    app.add_routes(routes)

    async def common(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        book = console.known.book
        # Never for an address or another name, nor for the browser's own machine: the promise would hold for what is
        # not ours.
        name = book.console.name if book is not None else ""
        if name and request.host.partition(":")[0] == name and not name.endswith("localhost"):
            response.headers["Strict-Transport-Security"] = _HSTS
        if app[CONNECTIONS].old(request.transport) or response.headers.get("Connection", "").lower() == "close":
            response.force_close()

    async def end(_: web.Application) -> None:
        console.live.end()
        await api.finish()

    app.on_response_prepare.append(common)
    app.on_shutdown.append(end)
    return app


def _slow(console: Console) -> Callable[[str, str, str], None]:
    def tell(name: str, words: str, address: str) -> None:
        console.log(f"{name or address or 'somebody'} {words}")

    return tell


@web.middleware
async def _forms(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Deadlines end while a request is answered, and refusals have one form."""
    connections = request.app[CONNECTIONS]
    connections.begin(request.transport)
    try:
        _legible(request)
        return await handler(request)
    except Problem as problem:
        return _refusal(problem)
    except StoreError as error:
        logging.getLogger(__name__).error("%s", error)
        return _refusal(problems.store())
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _refusal(problems.of_http(error.status, error.reason, error.headers.get("Allow", "")))
    finally:
        connections.end(request.transport)


def _legible(request: web.Request) -> None:
    """Raises `Problem` for an address whose bytes are no text: it could be neither looked for nor answered."""
    try:
        unquote_to_bytes(request.raw_path).decode()
    except UnicodeDecodeError as error:
        raise problems.bad("the address is not UTF-8") from error


def _refusal(problem: Problem) -> web.Response:
    headers = {**problem.headers, "Content-Type": PROBLEM}
    return web.Response(status=problem.status, body=problems.body(problem), headers=headers)


class Api:
    """Makes of an endpoint what aiohttp calls. For one event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bodies = Bodies()
        self._rates: OrderedDict[str, Bucket] = OrderedDict()
        self._active: Counter[str] = Counter()
        self._changes: set[asyncio.Task[Kept]] = set()

    async def finish(self) -> None:
        """Wait for the changes that have begun."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    def answering(self, endpoint: Endpoint) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not endpoint.permission:
                return await self._answered(request, endpoint, None)
            caller = await self._recognised(request)
            if endpoint.permission != "known" and not caller.may(endpoint.permission):
                raise problems.forbidden(
                    f"{caller.name} may not do this: it needs the permission to {endpoint.permission}"
                )
            self._enter(caller)
            try:
                return await self._answered(request, endpoint, caller)
            finally:
                self._active[caller.person] -= 1

        return answer

    async def _recognised(self, request: web.Request) -> Caller:
        caller = await self._console.door.recognise(
            request.cookies.get(SESSION, ""),
            request.headers.get("Authorization", ""),
            _certificate(request),
            request.remote or "",
            attended=request.headers.get(_UNATTENDED) != "1",
        )
        if caller is None:
            raise problems.unauthorized()
        request.app[CONNECTIONS].known(request.transport, caller.person)
        return caller

    def _enter(self, caller: Caller) -> None:
        """Raises `Problem` where somebody asks too much."""
        now = self._console.clock()
        bucket = self._rates.pop(caller.person, None) or Bucket(_RATE, _BURST, now)
        self._rates[caller.person] = bucket
        while len(self._rates) > _MOST_PEOPLE:
            self._rates.popitem(last=False)
        waiting = bucket.take(now)
        if waiting > 0:
            raise problems.wait(f"more than {_RATE:.0f} requests a second", math.ceil(waiting))
        if self._active[caller.person] >= _AT_ONCE:
            raise problems.wait(f"more than {_AT_ONCE} requests at once", 1)
        self._active[caller.person] += 1

    async def _answered(self, request: web.Request, endpoint: Endpoint, caller: Caller | None) -> web.StreamResponse:
        if endpoint.changes and (caller is None or caller.how != "token"):
            why = forgery.why_not(request.headers, request.host)
            if why:
                raise problems.forbidden(why, "csrf")
        if endpoint.match:
            conditional.required(request.headers.get("If-Match", ""))
        arguments = self._named(request, endpoint)
        sent = b""
        if endpoint.body is not None:
            sent = await self._bodies.read(request, endpoint)
            arguments["body"] = decoded(sent, endpoint)
        ctx = Ctx(self._console, request, caller)
        if not endpoint.changes:
            value = await endpoint.handler(ctx, **arguments)
            if isinstance(value, web.StreamResponse):
                return value
            return await replies.sent(request, replies.made(request, endpoint, value))
        # A change that began is not broken off because nobody waits for its answer any more.
        change = asyncio.create_task(self._change(ctx, endpoint, arguments, sent))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        return await replies.sent(request, await asyncio.shield(change))

    async def _change(self, ctx: Ctx, endpoint: Endpoint, arguments: dict[str, object], sent: bytes) -> Kept:
        request = ctx.request
        key = request.headers.get(idempotency.HEADER, "")
        if not key or ctx.caller is None:
            return replies.made(request, endpoint, await endpoint.handler(ctx, **arguments))
        match = request.headers.get("If-Match", "")
        digest = idempotency.digest_of(request.method, request.path_qs, match, sent)
        claimed = self._console.answers.claim(ctx.caller.person, key, digest)
        if isinstance(claimed, Kept):
            return msgspec.structs.replace(claimed, headers={**claimed.headers, "Idempotency-Replayed": "true"})
        try:
            made = replies.made(request, endpoint, await endpoint.handler(ctx, **arguments))
        except Problem as problem:
            if problem.code == problems.UNANSWERED:
                claimed.unsaid()
            else:
                claimed.free()
            raise
        except StoreError:
            claimed.free()
            raise
        except BaseException:
            claimed.unsaid()  # a fault of ours: nobody knows how far it came
            raise
        if endpoint.secret:
            claimed.unsaid()
        else:
            claimed.done(made)
        return made

    def _named(self, request: web.Request, endpoint: Endpoint) -> dict[str, object]:
        """What stands in the path and behind the `?`."""
        try:
            found = placed(endpoint, dict(request.match_info))
        except ValueError as error:
            raise problems.not_found(f"nothing can be there: {error}") from error
        try:
            if endpoint.query is not None:
                found["query"] = queried(endpoint.query, request.query.items())
            elif request.query:
                raise ValueError(f"`{next(iter(request.query))[:64]}` is not asked for here")
        except ValueError as error:
            raise problems.bad(str(error)) from error
        return found


def _certificate(request: web.Request) -> bytes:
    """What the client showed in the handshake, as DER; the TLS context decided whom it believes."""
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return (connection.getpeercert(binary_form=True) or b"") if connection is not None else b""
