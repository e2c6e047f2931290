"""Tables and plain lists: a line for each, for tools that read nothing else. Pure but for the one query.

Banned addresses are those that the gateway banned by itself in the days that are asked for; the lists of indicators
are what is in force now.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable

from aiohttp import web

from appliance.events.api.asked import Asked
from appliance.events.api.context import Context, guest_of
from appliance.events.api.problems import forbidden, not_found
from appliance.events.api.replies import gets, reply
from appliance.events.feeding import BANNED_KIND
from appliance.events.objects import Objects
from appliance.events.outbox import Stored
from appliance.events.sighted import moment, sighted
from appliance.events.tlp import Tlp

CSV = "text/csv; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
INDICATORS = ("addresses", "domains", "urls", "hashes")
_DAY = 86_400_000_000
_COLUMNS = (
    "sequence", "time", "site", "tlp", "source", "source_port", "destination", "destination_port", "protocol",
    "application", "action", "gid", "sid", "rev", "signature", "category", "severity", "attacker", "names", "url",
    "sha256", "community_id",
)  # fmt: skip


def table(events: Iterable[Stored], site: str, label: Callable[[Tlp], str]) -> bytes:
    """Alerts as CSV (RFC 4180), with a line of names first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for event in events:
        seen = sighted(event.body)
        if seen is None:
            continue
        row = (
            event.seq, moment(seen.time).isoformat(), site, label(event.tlp), seen.source, seen.source_port,
            seen.destination, seen.destination_port, seen.protocol, seen.application, seen.action, seen.gid, seen.sid,
            seen.rev, seen.signature, seen.category, seen.severity, seen.attacker, " ".join(seen.names), seen.url,
            " ".join(one.sha256 for one in seen.files if one.sha256), seen.community_id,
        )  # fmt: skip
        writer.writerow(map(_inert, row))
    return text.getvalue().encode("utf-8", "replace")


def _inert(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: strangers wrote some of it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def banned(objects: Objects, highest: Tlp, since: int) -> list[str]:
    """Addresses that were banned since that moment, each once."""
    rows = objects.reader().execute(
        "SELECT DISTINCT value FROM seen WHERE kind = ? AND tlp <= ? AND day >= ? AND last >= ? ORDER BY value",
        (BANNED_KIND, int(highest), since // _DAY, since),
    )
    return [row[0] for row in rows]


class Lists:
    """The endpoints of plain lists."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        return gets(
            {"/lists/banned.txt": self.banned, "/lists/{kind:addresses|domains|urls|hashes}.txt": self.indicators}
        )

    async def banned(self, request: web.Request) -> web.StreamResponse:
        guest, context = guest_of(request), self._context
        if not guest.reads_alerts:
            raise forbidden("alerts are not among what you may have")
        days = Asked(request.query, ("days",)).number("days", 7, least=1, most=3660)
        since = max(0, context.clock() - days * _DAY)
        found = await context.stores.run(banned, context.stores.objects, guest.highest, since)
        return await self._answer(request, "banned addresses", found)

    async def indicators(self, request: web.Request) -> web.StreamResponse:
        guest, context = guest_of(request), self._context
        Asked(request.query, ())
        if not guest.reads("indicators"):
            raise forbidden("indicators are not among what you may have")
        listed = context.listed
        if listed is None:
            raise not_found("this gateway has no indicators")
        kind = request.match_info["kind"]
        found = await context.stores.run(lambda: list(listed(kind, guest.highest)))
        return await self._answer(request, f"indicators, {kind}", found)

    async def _answer(self, request: web.Request, what: str, values: list[str]) -> web.StreamResponse:
        self._context.exports.add(guest_of(request).name, f"list, {what}", len(values))
        data = "".join(f"{value}\n" for value in values).encode("utf-8", "replace")
        return await reply(request, self._context.stores, data, PLAIN)
