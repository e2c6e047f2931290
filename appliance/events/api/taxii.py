"""TAXII 2.1: discovery, one API root, a collection for each that the consumer may have. Sections are the standard's.

Answers are the stored bytes between brackets. `next` is the moment at which the last object of a page was added, the
same number that `date_added` and the X-TAXII headers spell: `added_after` goes on there just as well, and where
both are given `next` holds. Moments are given once, so that no moment is on two pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from http import HTTPStatus
from uuid import uuid4

import msgspec
from aiohttp import web
from multidict import MultiDict, MultiMapping

from appliance.events import stix
from appliance.events.api.access import Guest, Told
from appliance.events.api.asked import MAX_NUMBER, Asked
from appliance.events.api.context import Context, Outcome, guest_of
from appliance.events.api.problems import TAXII, Problem, bad, forbidden, not_found
from appliance.events.api.replies import reply
from appliance.events.feeding import ALERTS_COLLECTION, taken
from appliance.events.objects import Page, Query
from appliance.events.sighted import moment as moment_of
from appliance.events.tlp import Tlp
from appliance.serving.packing import preferences

VERSION = "2.1"
STIX = f"application/stix+json;version={stix.SPEC_VERSION}"
ROOT = "/taxii2/gateway"
PAGE = 1000
MAX_PAGE = 10_000
MAX_CONTENT = 10 << 20
_BODY = 60.0  # seconds in which what is given must have come
_MOST_GIVEN = 20_000  # objects in one request
_MOST_STATUSES = 1000
_FILTERS = ("match[id]", "match[type]", "match[version]", "match[spec_version]")
_PAGING = ("limit", "next", "added_after")
# What alerts become, what the CSIRT warns of, and where it was seen: of the policy's collections those in STIX.
COLLECTIONS = {
    "alerts": ("Alerts", "Sightings of signatures and findings, with what was observed"),
    "indicators": ("Indicators", "Indicators that this gateway was given"),
    "sightings": ("Sightings", "Sightings of the indicators that this gateway was given"),
}


class _Envelope(msgspec.Struct):
    objects: list[msgspec.Raw]


_envelope = msgspec.json.Decoder(_Envelope)


def collection_id(site: str, name: str) -> str:
    return stix.own_id("collection", site, name).partition("--")[2]


def date_added(moment: int) -> str:
    """RFC 3339 with six digits: what `added_after` is compared with."""
    return moment_of(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def version_text(version: int) -> str:
    return stix.to_milliseconds(version) if version % 1000 == 0 else date_added(version)


def accepts(header: str | None) -> bool:
    """Whether TAXII 2.1 is among what the client takes (3.4); who names nothing takes anything (RFC 9110)."""
    if header is None or not header.strip():
        return True
    best = 0.0
    for value, parameters, quality in preferences(header):
        if value in ("*/*", "application/*") or (
            value == "application/taxii+json" and parameters.get("version", VERSION) == VERSION
        ):
            best = max(best, quality)
    return best > 0


def is_taxii(content_type: str) -> bool:
    value, parameters, _ = next(iter(preferences(content_type)), ("", {}, 0.0))
    return value == "application/taxii+json" and parameters.get("version", VERSION) == VERSION


class Taxii:
    """The endpoints. One for each application."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_name = {collection_id(context.site, name): name for name in COLLECTIONS}
        self._by_name |= {name: name for name in COLLECTIONS}  # the alias serves as well (5.2.1)
        self._statuses: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        """Every path with the slash that the standard asks for, and without: the same answer, no redirect."""
        collection = f"{ROOT}/collections/{{collection}}"
        one = f"{collection}/objects/{{object}}"
        found = []
        for path, get, others in (
            ("/taxii2", self.discovery, {}),
            (ROOT, self.root, {}),
            (f"{ROOT}/status/{{status}}", self.status, {}),
            (f"{ROOT}/collections", self.collections, {}),
            (collection, self.collection, {}),
            (f"{collection}/manifest", self.manifest, {}),
            (f"{collection}/objects", self.objects, {"POST": self.add}),
            (one, self.one, {"DELETE": self.delete}),
            (f"{one}/versions", self.versions, {}),
        ):
            for spelled in (path, f"{path}/"):
                found.append(web.get(spelled, get))
                found += [web.route(method, spelled, other) for method, other in others.items()]
        return found

    # --- the server and its root (4.1, 4.2) -------------------------------------------------------------------------

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        root = f"{request.scheme}://{_asked_host(request)}{ROOT}/"
        body = {
            "title": f"Reef gateway {self._context.site}",
            "description": "Alerts of this gateway and the indicators that it enforces",
            **({"contact": self._context.contact} if self._context.contact else {}),
            "default": root,
            "api_roots": [root],
        }
        return await self._json(request, body)

    async def root(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        body = {
            "title": self._context.site,
            "description": "What this gateway sees, and what it was warned of",
            "versions": [TAXII],
            "max_content_length": MAX_CONTENT,
        }
        return await self._json(request, body)

    # --- collections (5.1, 5.2) -------------------------------------------------------------------------------------

    async def collections(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        guest = guest_of(request)
        found = [self._described(name, guest) for name in COLLECTIONS if self._knows(guest, name)]
        return await self._json(request, {"collections": found} if found else {})

    async def collection(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        return await self._json(request, self._described(self._named(request), guest_of(request)))

    def _described(self, name: str, guest: Guest) -> dict[str, object]:
        title, description = COLLECTIONS[name]
        return {
            "id": collection_id(self._context.site, name),
            "title": f"{title} of {self._context.site}",
            "description": description,
            "alias": name,
            "can_read": guest.reads(name),
            "can_write": self._takes(guest, name),
            "media_types": [STIX],
        }

    def _takes(self, guest: Guest, name: str) -> bool:
        return name == "indicators" and guest.gives_indicators and self._context.inbox is not None

    def _knows(self, guest: Guest, name: str) -> bool:
        return guest.reads(name) or self._takes(guest, name)

    def _named(self, request: web.Request) -> str:
        """The collection of the path; one that is not for who asks is not there."""
        name = self._by_name.get(request.match_info["collection"])
        if name is None or not self._knows(guest_of(request), name):
            raise not_found("there is no such collection")
        return name

    def _readable(self, request: web.Request) -> str:
        name = self._named(request)
        if not guest_of(request).reads(name):
            raise forbidden("this collection can be written to, not read")
        return name

    # --- objects (5.3 to 5.8) ---------------------------------------------------------------------------------------

    async def objects(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        name = self._readable(request)
        page = await self._page(request, name, (*_PAGING, *_FILTERS))
        await self._acknowledge(request, name)
        return await self._objects(request, name, page)

    async def _acknowledge(self, request: web.Request, name: str) -> None:
        """Who asks for what was added behind a moment has what was added before: it need not be kept for them."""
        if name != ALERTS_COLLECTION or "match[id]" in request.query:
            return
        asked = Asked(_relevant(request.query, _PAGING), _PAGING)
        moment = asked.number("next", -1) if asked.text("next") is not None else asked.moment("added_after")
        if moment is not None and moment >= 0:
            stores = self._context.stores
            stores.outbox.acknowledge(guest_of(request).name, await stores.run(taken, stores.objects, moment))

    async def one(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        name, identifier = await self._existing(request)
        page = await self._page(request, name, (*_PAGING, "match[version]", "match[spec_version]"), identifier)
        return await self._objects(request, name, page)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        page = await self._page(request, self._readable(request), (*_PAGING, *_FILTERS))
        objects = [
            {
                "id": entry.id,
                "date_added": date_added(entry.added),
                "version": version_text(entry.version),
                "media_type": STIX,
            }
            for entry in page.entries
        ]
        return await self._paged(request, page, "objects", msgspec.json.encode(objects))

    async def versions(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        name, identifier = await self._existing(request)
        known = (*_PAGING, "match[spec_version]")
        page = await self._page(request, name, known, identifier, versions=("all",))
        found = [version_text(entry.version) for entry in page.entries]
        return await self._paged(request, page, "versions", msgspec.json.encode(found))

    async def _existing(self, request: web.Request) -> tuple[str, str]:
        """Collection and object of the path. One that is labelled too high is not there, and that is told."""
        name, identifier = self._readable(request), request.match_info["object"]
        guest = guest_of(request)
        stores = self._context.stores
        query = Query(limit=1, highest=guest.highest, ids=(identifier,), versions=("all",))
        if not (await stores.run(stores.objects.page, name, query)).rows:
            if await stores.run(stores.objects.above, name, identifier, guest.highest):
                words = f"{identifier[:300]} of {name}, labelled higher than {guest.highest.label}"
                self._context.access.tell(Told("refused", guest.name, words))
            raise not_found("there is no such object in this collection")
        return name, identifier

    async def _page(
        self,
        request: web.Request,
        name: str,
        known: tuple[str, ...],
        identifier: str = "",
        versions: tuple[str | int, ...] = (),
    ) -> Page:
        asked = Asked(_relevant(request.query, known), known)
        after = asked.moment("added_after")
        if asked.text("next") is not None:
            after = asked.number("next", 0, most=MAX_NUMBER)
        limit = asked.limit(PAGE, MAX_PAGE)
        chosen = versions or _versions(asked.text("match[version]"))
        ids, types = _words(asked.text("match[id]")), _words(asked.text("match[type]"))
        specs = _words(asked.text("match[spec_version]"))
        if specs is not None and stix.SPEC_VERSION not in specs:
            return Page((), {}, False)
        query = Query(
            after=-1 if after is None else after,
            limit=limit,
            highest=guest_of(request).highest,
            ids=(identifier,) if identifier else ids,
            types=types,
            versions=chosen,
        )
        return await self._context.stores.run(self._context.stores.objects.page, name, query)

    async def _objects(self, request: web.Request, name: str, page: Page) -> web.StreamResponse:
        self._context.exports.add(guest_of(request).name, f"TAXII collection {name}", len(page.rows))
        return await self._paged(request, page, "objects", b"[" + b",".join(page.bodies) + b"]")

    async def _paged(self, request: web.Request, page: Page, member: str, listed: bytes) -> web.StreamResponse:
        """An envelope, a manifest or versions; an empty one is an empty object (3.7)."""
        added = page.added
        if added is None:
            return await self._json(request, {})
        first, last = added
        head = b'{"more":true,"next":"%d","%s":' if page.more else b'{"more":false,"%s":'
        values = (last, member.encode()) if page.more else (member.encode(),)
        headers = {"X-TAXII-Date-Added-First": date_added(first), "X-TAXII-Date-Added-Last": date_added(last)}
        return await reply(request, self._context.stores, head % values + listed + b"}", TAXII, headers)

    # --- what is given (5.4, 4.3) -----------------------------------------------------------------------------------

    async def add(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        name = self._named(request)
        guest = guest_of(request)
        inbox = self._context.inbox
        if inbox is None or not self._takes(guest, name):
            raise forbidden("nothing can be added to this collection")
        if not is_taxii(request.headers.get("Content-Type", "")):
            words = f"what is added is of type {TAXII}"
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words)
        if (request.content_length or 0) > MAX_CONTENT:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_CONTENT} bytes")
        moment = date_added(self._context.clock())
        try:
            async with asyncio.timeout(_BODY):
                data = await request.read()
        except TimeoutError as error:
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from error
        objects = _given(data)
        outcomes = await inbox(guest.name, objects)
        known = {one.id for one in outcomes if one.taken}
        await self._context.stores.run(self._keep, name, objects, known)
        status = _status(str(uuid4()), moment, outcomes)
        self._statuses[str(status["id"])] = guest.name, msgspec.json.encode(status)
        while len(self._statuses) > _MOST_STATUSES:
            self._statuses.popitem(last=False)
        return await self._json(request, status, HTTPStatus.ACCEPTED)

    def _keep(self, name: str, given: list[bytes], known: set[str]) -> None:
        """What was taken is in the collection from now on, as it was given. Without a marking it may go to everybody,
        as the standard has it."""
        kept = []
        for body in given:
            with contextlib.suppress(stix.StixError):  # of a kind that cannot be told here, such as STIX 2.0
                made = stix.of_object(body, unmarked=Tlp.CLEAR)
                if made.id in known:
                    kept.append(made)
        if kept:
            with self._context.stores.objects.writing():
                self._context.stores.objects.add(name, kept)

    async def status(self, request: web.Request) -> web.StreamResponse:
        self._negotiated(request)
        owner, body = self._statuses.get(request.match_info["status"], ("", b""))
        if owner != guest_of(request).name:
            raise not_found("there is no such status; statuses are kept for a while")
        return await reply(request, self._context.stores, body, TAXII)

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """What a gateway said or was given stays said (R32): a version of the object that revokes it takes it
        back."""
        self._negotiated(request)
        name = self._named(request)
        if self._takes(guest_of(request), name):
            words = "objects are not deleted: add a version of it with `revoked`"
            raise forbidden(words)
        raise forbidden("nothing can be deleted from this collection")

    # --- forms ------------------------------------------------------------------------------------------------------

    def _negotiated(self, request: web.Request) -> None:
        if not accepts(request.headers.get("Accept")):
            raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"here is {TAXII} only")

    async def _json(
        self, request: web.Request, body: object, status: HTTPStatus = HTTPStatus.OK
    ) -> web.StreamResponse:
        return await reply(request, self._context.stores, msgspec.json.encode(body), TAXII, status=status)


def _asked_host(request: web.Request) -> str:
    """The gateway as the client calls it; without a word of the client, the address that it reached."""
    name = request.headers.get("Host", "")
    if name:
        return name
    own = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return f"[{own[0]}]:{own[1]}" if own and ":" in own[0] else f"{own[0]}:{own[1]}" if own else ""


def _relevant(query: MultiMapping[str], known: tuple[str, ...]) -> MultiMapping[str]:
    """What of a query concerns this endpoint. Clients say more than the standard knows, and send what is empty; but a
    filter that the standard does not know must not be passed over: more would come than was asked for."""
    for name in query:
        if name.startswith("match[") and name not in _FILTERS:
            raise bad(f"`{name[:64]}` is no filter; there are {', '.join(_FILTERS)}")
    return MultiDict((name, value) for name, value in query.items() if name in known and value)


def _words(text: str | None) -> tuple[str, ...] | None:
    """The values of a filter; any of them matches (3.4)."""
    return None if text is None else tuple(word.strip() for word in text.split(","))


def _versions(text: str | None) -> tuple[str | int, ...]:
    """`last`, `first`, `all` and time stamps (3.4.3)."""
    words = _words(text) or ("last",)
    try:
        return tuple(word if word in ("last", "first", "all") else stix.time_of(word) for word in words)
    except stix.StixError as error:
        raise bad(f"`match[version]` is last, first, all or a time stamp: {error}") from error


def _given(data: bytes) -> list[bytes]:
    try:
        objects = _envelope.decode(data).objects
    except msgspec.ValidationError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body is no envelope: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(f"the body is no JSON: {error}") from error
    if len(objects) > _MOST_GIVEN:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_MOST_GIVEN} objects at once")
    return [bytes(one) for one in objects]


def _status(identifier: str, moment: str, outcomes: list[Outcome]) -> dict[str, object]:
    """4.3.1. The work is done when it is answered: nothing is pending."""

    def details(taken: bool) -> list[dict[str, str]]:
        return [
            {"id": one.id, "version": one.version or moment, **({"message": one.words} if one.words else {})}
            for one in outcomes
            if one.taken is taken
        ]

    successes, failures = details(True), details(False)
    return {
        "id": identifier,
        "status": "complete",
        "request_timestamp": moment,
        "total_count": len(outcomes),
        "success_count": len(successes),
        **({"successes": successes} if successes else {}),
        "failure_count": len(failures),
        **({"failures": failures} if failures else {}),
        "pending_count": 0,
    }
