"""The application that alertd serves: who asks is known before anything is answered, and every refusal has a form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from appliance.events.api import describing, problems
from appliance.events.api.access import Guest, Refused, Told
from appliance.events.api.context import GUEST, Context
from appliance.events.api.eve import Eve
from appliance.events.api.lists import Lists
from appliance.events.api.live import Live
from appliance.events.api.misp import Misp
from appliance.events.api.problems import Problem
from appliance.events.api.replies import COMMON, reply
from appliance.events.api.taxii import MAX_CONTENT, Taxii
from appliance.serving.listening import CONNECTIONS, Connections, Limits

FLUSH = 60.0  # seconds between two lines on the trail about what was exported
_PAUSE = 1.0  # seconds for which a guesser hears nothing
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(context: Context, limits: Limits = Limits()) -> web.Application:  # noqa: B008 - it is frozen
    """The endpoints over these stores, for `listening.listen`. Whoever serves it closes the stores after it."""
    live = Live(context)

    def slow(name: str, words: str, address: str) -> None:
        context.access.tell(Told("slow", name, words, address))

    app = web.Application(middlewares=[_forms, _door(context)], client_max_size=MAX_CONTENT)
    app[CONNECTIONS] = Connections(slow, limits)
    for part in (Taxii(context), Eve(context), live, Misp(context), Lists(context)):
        app.router.add_routes(part.routes())
    description = msgspec.json.encode(describing.description(context.site))

    async def describe(request: web.Request) -> web.StreamResponse:
        return await reply(request, context.stores, description, "application/json")

    app.router.add_get("/openapi.json", describe)
    app.on_response_prepare.append(_common)

    async def end(_: web.Application) -> None:
        live.end()

    app.on_shutdown.append(end)
    app.cleanup_ctx.append(_background(context))
    return app


def _background(context: Context) -> Callable[[web.Application], AsyncIterator[None]]:
    async def running(_: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(context.stores.watch()), asyncio.create_task(_flushing(context))]
        yield
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        context.exports.flush()

    return running


async def _flushing(context: Context) -> None:
    while True:
        await asyncio.sleep(FLUSH)
        context.exports.flush()


async def _common(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(COMMON)


@web.middleware
async def _forms(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refusals in the form of the path."""
    connections = request.app[CONNECTIONS]
    connections.begin(request.transport)
    try:
        return await handler(request)
    except Problem as problem:
        return problems.response(problem, request.path)
    except web.HTTPException as error:
        return problems.of_http(error, request.path)
    finally:
        connections.end(request.transport)


def _door(context: Context) -> Middleware:
    """Who asks, and whether they may ask now."""
    access = context.access

    @web.middleware
    async def door(request: web.Request, handler: _Handler) -> web.StreamResponse:
        guest = await _recognised(context, request)
        try:
            access.enter(guest)
        except Refused as refused:
            raise problems.wait(str(refused), refused.wait) from refused
        try:
            request[GUEST] = guest
            request.app[CONNECTIONS].known(request.transport, guest.name)
            context.stores.outbox.saw(guest.name)
            return await handler(request)
        finally:
            access.leave(guest)

    return door


async def _recognised(context: Context, request: web.Request) -> Guest:
    access = context.access
    guest = access.identify(request.headers.get("Authorization", ""), _certificate(request))
    if guest is not None:
        return guest
    address = request.remote or ""
    waiting = access.has_to_wait(address)
    if waiting <= 0:
        waiting = access.failed(address)
    if waiting > 0:
        await asyncio.sleep(min(waiting, _PAUSE))
        raise problems.wait("too many requests without a token that is known", int(waiting) + 1)
    challenge = 'Bearer realm="reef", Basic realm="reef", charset="UTF-8"'
    words = "show a token of a consumer of this gateway: `Authorization: Bearer …`, or Basic with it as password"
    raise Problem(HTTPStatus.UNAUTHORIZED, words, {"WWW-Authenticate": challenge})


def _certificate(request: web.Request) -> bytes:
    """What the client showed in the handshake, as DER; the TLS context decided whom it believes."""
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return (connection.getpeercert(binary_form=True) or b"") if connection is not None else b""
