"""A feed in MISP's format: an event for each day and label, with what its alerts saw. Pure but for the queries.

    manifest.json     what events there are, and when each changed last
    <uuid>.json       an event with its attributes
    hashes.csv        MD5 of every value, and the event it is in: MISP correlates with it before it takes an event

Attributes are what was seen, not what should be looked for: `to_ids` is false, that is the analyst's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import msgspec
from aiohttp import web

from appliance.events.api.asked import Asked
from appliance.events.api.context import Context, guest_of
from appliance.events.api.problems import forbidden, not_found
from appliance.events.api.replies import reply
from appliance.events.feeding import BANNED_KIND, place
from appliance.events.objects import Objects
from appliance.events.stix import own_id, precise
from appliance.events.tlp import Tlp

JSON = "application/json"
_DAY = 86_400
_DAYS = 90
_MICRO = 1_000_000
_COLOURS = {
    Tlp.CLEAR: "#ffffff", Tlp.GREEN: "#33ff00", Tlp.AMBER: "#ffc000", Tlp.AMBER_STRICT: "#ffc000", Tlp.RED: "#ff2b2b",
}  # fmt: skip
_CATEGORY = {"md5": "Payload delivery", "sha1": "Payload delivery", "sha256": "Payload delivery"}
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Day(msgspec.Struct, frozen=True):
    """An event of the feed: a day (since the epoch) and a label; `changed` in seconds since the epoch."""

    day: int
    tlp: Tlp
    changed: int


class Attribute(msgspec.Struct, frozen=True):
    """What alerts saw on a day, under one signature. Times are microseconds since the epoch."""

    kind: str
    value: str
    signature: str
    first: int
    last: int
    count: int


def event_id(site: str, day: int, tlp: Tlp) -> str:
    return own_id("misp-event", site, str(day), tlp.word).partition("--")[2]


def days(objects: Objects, highest: Tlp, since: int) -> list[Day]:
    rows = objects.reader().execute(
        "SELECT day, tlp, max(last) FROM seen WHERE day >= ? AND tlp <= ? AND kind <> ? GROUP BY day, tlp "
        "ORDER BY day, tlp",
        (since, int(highest), BANNED_KIND),
    )
    return [Day(day, Tlp(label), last // _MICRO) for day, label, last in rows]


def attributes(objects: Objects, day: Day) -> list[Attribute]:
    rows = objects.reader().execute(
        "SELECT kind, value, signature, first, last, count FROM seen WHERE day = ? AND tlp = ? AND kind <> ? "
        "ORDER BY kind, value, signature",
        (day.day, int(day.tlp), BANNED_KIND),
    )
    return [Attribute(*row) for row in rows]


def manifest(site: str, known: list[Day]) -> bytes:
    entries = {}
    for day in known:
        said = described(site, day)
        kept = ("Orgc", "Tag", "info", "date", "analysis", "threat_level_id", "timestamp")
        entries[said["uuid"]] = {member: said[member] for member in kept}
    return msgspec.json.encode(entries)


def described(site: str, day: Day) -> dict[str, Any]:
    """An event without its attributes; numbers are text, as MISP writes them."""
    date = datetime.fromtimestamp(day.day * _DAY, UTC).date().isoformat()
    return {
        "uuid": event_id(site, day.day, day.tlp),
        "info": f"What alerts of {site} saw on {date} ({day.tlp.label})",
        "date": date,
        "analysis": "2",
        "threat_level_id": "4",
        "published": True,
        "timestamp": str(day.changed),
        "publish_timestamp": str(day.changed),
        "Orgc": {"name": site, "uuid": own_id("identity", site).partition("--")[2]},
        "Tag": [{"name": f"tlp:{day.tlp.word}", "colour": _COLOURS[day.tlp]}],
    }


def event(site: str, day: Day, found: list[Attribute]) -> bytes:
    body = described(site, day)
    body["Attribute"] = [
        {
            "uuid": own_id("misp-attribute", body["uuid"], one.kind, one.value, one.signature).partition("--")[2],
            "type": one.kind,
            "category": _CATEGORY.get(one.kind, "Network activity"),
            "value": one.value,
            "comment": f"{one.signature}, {one.count} times" if one.count > 1 else one.signature,
            "to_ids": False,
            "timestamp": str(one.last // _MICRO),
            "first_seen": precise(one.first),
            "last_seen": precise(one.last),
        }
        for one in found
    ]
    return msgspec.json.encode({"Event": body})


def hashes(site: str, known: Iterator[tuple[Day, list[Attribute]]]) -> bytes:
    lines = []
    for day, found in known:
        uuid = event_id(site, day.day, day.tlp)
        for value in dict.fromkeys(one.value for one in found):
            lines.append(f"{md5(value.encode(), usedforsecurity=False).hexdigest()},{uuid}\n")
    return "".join(lines).encode()


class Misp:
    """The endpoints of the feed."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/misp/manifest.json", self.manifest),
            web.get("/misp/hashes.csv", self.hashes),
            web.get(f"/misp/{{event:{_UUID}}}.json", self.event),
        ]

    async def _days(self, request: web.Request) -> list[Day]:
        Asked(request.query, ())
        guest, context = guest_of(request), self._context
        if not guest.reads_alerts:
            raise forbidden("alerts are not among what you may have")
        since = context.clock() // _MICRO // _DAY - _DAYS
        return await context.stores.run(days, context.stores.objects, guest.highest, since)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        known, stores = await self._days(request), self._context.stores
        # What a feed is made of is kept with it: the outbox need not keep the alerts for who reads the feed.
        stores.outbox.acknowledge(guest_of(request).name, await stores.run(place, stores.objects))
        return await reply(request, stores, manifest(self._context.site, known), JSON)

    async def hashes(self, request: web.Request) -> web.StreamResponse:
        known, stores, site = await self._days(request), self._context.stores, self._context.site
        data = await stores.run(lambda: hashes(site, ((day, attributes(stores.objects, day)) for day in known)))
        return await reply(request, stores, data, "text/csv; charset=utf-8")

    async def event(self, request: web.Request) -> web.StreamResponse:
        stores, site = self._context.stores, self._context.site
        asked = request.match_info["event"]
        for day in await self._days(request):
            if event_id(site, day.day, day.tlp) == asked:
                found = await stores.run(attributes, stores.objects, day)
                self._context.exports.add(guest_of(request).name, "MISP feed, attributes", len(found))
                return await reply(request, stores, event(site, day, found), JSON)
        raise not_found("there is no such event in this feed")
