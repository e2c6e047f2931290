"""The audit trail, for auditors."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.audit import (
    MOST_ENTRIES,
    AuditEntries,
    AuditEntry,
    AuditHealth,
    AuditHealthIs,
    AuditLog,
)
from appliance.events import record

_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Word = Annotated[str, msgspec.Meta(max_length=200)]


class AuditLine(msgspec.Struct, frozen=True):
    """Entry `number` of the trail: `actor` did `action` to `object` at `at` (seconds since the epoch).

    `process` wrote it down, `origin` is where they sat, `record` the class of records whose retention holds for it.
    Where that time is over, or it cannot be read, `kept` is False and only its number is known.
    """

    number: int
    kept: bool = False
    at: float = 0.0
    process: str = ""
    actor: str = ""
    action: str = ""
    object: str = ""
    record: str = ""
    why: str = ""
    generation: int = 0
    origin: str = ""
    detail: dict[str, str] = {}


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries: of moments in seconds since the epoch, of an actor, of an action (or a subject, with a dot at
    its end), with words anywhere in them. The newest come first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 100
    after: Annotated[str, msgspec.Meta(pattern="^[0-9]{0,15}$")] = ""
    since: _Moment = 0.0
    until: _Moment = 0.0
    actor: _Word = ""
    action: _Word = ""
    words: _Word = ""


class _Event(msgspec.Struct, frozen=True):
    timestamp: str
    audit: record.Audit


_decoder = msgspec.json.Decoder(_Event)


def line(entry: AuditEntry) -> AuditLine:
    """What an entry says."""
    try:
        event = _decoder.decode(entry.body)
        at = record.parse_time(event.timestamp).timestamp()
    except (msgspec.DecodeError, ValueError):
        return AuditLine(entry.index)
    return AuditLine(entry.index, kept=True, at=at, **msgspec.structs.asdict(event.audit))


@endpoint("GET", "/audit", permission="audit", answers=tuple[AuditLine, ...], paged=True)
async def listed(ctx: Ctx, query: Chosen) -> Answer:
    """Who did what to what, when and why: the newest entries of the trail."""
    if query.until and query.since > query.until:
        raise problems.bad("`since` is later than `until`")
    asked = AuditLog(
        int(query.after or 0), query.limit, query.since, query.until, query.actor, query.action, query.words
    )
    found = await ctx.ask(asked, AuditEntries, of="recordd")
    return Answer(tuple(map(line, found.entries)), after=str(found.next) if found.next else "")


@endpoint("GET", "/audit/health", permission="look", answers=AuditHealthIs)
async def health(ctx: Ctx) -> AuditHealthIs:
    """Whether the trail is kept, signed and vouched for."""
    return await ctx.ask(AuditHealth(), AuditHealthIs, of="recordd")
