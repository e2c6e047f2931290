"""EVE as lines: the stored bytes behind a number. The client says up to where it durably has everything (`ack`).

`Reef-Cursor` is the number to ask behind next, also when nothing that was asked for was there; `Reef-Last` the
newest. Who names no `after` goes on where it acknowledged last.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import msgspec
from aiohttp import web

from appliance.events.api import intelmq, lists
from appliance.events.api.asked import Asked
from appliance.events.api.context import Context, guest_of
from appliance.events.api.problems import Problem, forbidden
from appliance.events.api.replies import gets, reply
from appliance.events.api.stores import Chosen, only
from appliance.events.classes import Class
from appliance.events.outbox import Page

NDJSON = "application/x-ndjson"
PAGE = 10_000
MAX_PAGE = 100_000
MAX_WAIT = 60
CURSOR, LAST = "Reef-Cursor", "Reef-Last"
PLACES = ("after", "limit", "since", "until", "ack", "wait")


class Eve:
    """Events by number: as they are (`/eve`), in IntelMQ's words (`/intelmq`), as a table (`/lists/alerts.csv`)."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        return gets({"/eve": self.eve, "/intelmq": self.intelmq, "/lists/alerts.csv": self.table})

    async def eve(self, request: web.Request) -> web.StreamResponse:
        page = await self._page(request, (*PLACES, "kinds"), guest_of(request).classes)
        data = b"".join(event.body + b"\n" for event in page.events)
        return await self._answer(request, page, data, NDJSON, "EVE")

    async def intelmq(self, request: web.Request) -> web.StreamResponse:
        page = await self._page(request, PLACES, self._alerts(request))
        guest = guest_of(request)
        data = await self._context.stores.run(intelmq.lines, page.events, self._context.site, guest.label)
        return await self._answer(request, page, data, NDJSON, "IntelMQ")

    async def table(self, request: web.Request) -> web.StreamResponse:
        page = await self._page(request, PLACES, self._alerts(request))
        guest = guest_of(request)
        data = await self._context.stores.run(lists.table, page.events, self._context.site, guest.label)
        return await self._answer(request, page, data, lists.CSV, "CSV")

    def _alerts(self, request: web.Request) -> frozenset[Class]:
        if not guest_of(request).reads_alerts:
            raise forbidden("alerts are not among what you may have")
        return frozenset((Class.ALERT,))

    async def _page(self, request: web.Request, known: tuple[str, ...], classes: frozenset[Class]) -> Page:
        guest, stores = guest_of(request), self._context.stores
        asked = Asked(request.query, known)
        acknowledged = asked.number("ack", -1)
        if acknowledged > stores.outbox.last():
            words = "`ack` is behind the newest event: nobody has that yet"
            raise Problem(HTTPStatus.CONFLICT, words)
        after = asked.number("after", -1)
        chosen = Chosen(
            after=after,
            limit=asked.limit(PAGE, MAX_PAGE),
            classes=classes,
            highest=guest.highest,
            kinds=only(asked.kinds("kinds")),
            since=asked.moment("since"),
            until=asked.moment("until"),
        )
        seconds = asked.number("wait", 0, most=MAX_WAIT)
        if acknowledged >= 0:
            stores.outbox.acknowledge(guest.name, acknowledged)
        if after < 0:
            chosen = msgspec.structs.replace(chosen, after=stores.outbox.position(guest.name).seq)
        page = await stores.events(chosen)
        until = asyncio.get_running_loop().time() + seconds
        while not page.events and (left := until - asyncio.get_running_loop().time()) > 0:
            if await stores.came(page.last, left):  # perhaps only what they did not ask for
                chosen = msgspec.structs.replace(chosen, after=page.through)
                page = await stores.events(chosen)
        return page

    async def _answer(
        self, request: web.Request, page: Page, data: bytes, media_type: str, what: str
    ) -> web.StreamResponse:
        self._context.exports.add(guest_of(request).name, f"{what}, events", len(page.events))
        headers = {CURSOR: str(page.through), LAST: str(page.last)}
        return await reply(request, self._context.stores, data, media_type, headers)
