"""What inspection, the detections and the gateway itself warned of."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec

from appliance.console import problems
from appliance.console.alertrows import AlertRow, AlertView, row, view
from appliance.console.context import Ctx
from appliance.console.evidence import pack
from appliance.console.problems import Problem
from appliance.console.registry import Answer, Raw, endpoint
from appliance.control.messages.alerts import (
    MOST_ALERTS,
    AlertCounts,
    AlertCountsAre,
    AlertIs,
    AlertKind,
    Alerts,
    AlertsAre,
    AlertWith,
)
from appliance.control.messages.changes import (
    Draft,
    DraftChecked,
    DraftText,
    DraftTextIs,
    DropDraft,
    OpenDraft,
    SetDraft,
)
from appliance.control.messages.why import Noted
from appliance.policy.written import edit_inspection
from appliance.policy.written.edit import EditError

_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Word = Annotated[str, msgspec.Meta(max_length=200)]
TAR = "application/x-tar"
_MOST_TITLE = 120  # letters of a draft's
_SUPPRESSIONS = re.compile(r"\bid:[ \t]*(S-[0-9]+)\b")


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts: of a `severity` or worse (1 is the worst), raised by a `kind`, under a `rule` of the policy, of a
    `signature` (its number, or words of its title), from or to an `address` or network, of moments in seconds since
    the epoch. The newest come first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ALERTS)] = 100
    after: Annotated[str, msgspec.Meta(pattern="^[0-9]{0,15}$")] = ""
    severity: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    kind: AlertKind | Literal[""] = ""
    rule: _Word = ""
    signature: _Word = ""
    address: _Word = ""
    since: _Moment = 0.0
    until: _Moment = 0.0


class AlertList(msgspec.Struct, frozen=True):
    """`through` is the newest number that there was: live events go on from there."""

    alerts: tuple[AlertRow, ...]
    through: int


class Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many signatures at most."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100


class Around(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What else was seen within so many `seconds` of it, at most so many events."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 300.0
    limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 100


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`place`: where the signature shall be silent, a zone (what comes from it), or an object, address or network of
    the policy (on whichever side). Until the end of the day `expires` (2026-12-31)."""

    place: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    expires: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`why` stands in the audit trail."""

    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


@endpoint("GET", "/alerts", permission="look", answers=AlertList, paged=True)
async def listed(ctx: Ctx, query: Chosen) -> Answer:
    """The alerts that the gateway keeps, the newest first. A page may have fewer than were asked for, or none, and
    go on all the same."""
    if query.until and query.since > query.until:
        raise problems.bad("`since` is later than `until`")
    asked = Alerts(
        int(query.after or 0), query.limit, query.severity, query.kind, query.rule, query.signature, query.address,
        query.since, query.until,
    )  # fmt: skip
    found = await ctx.ask(asked, AlertsAre, of="alertd")
    rows = tuple(one for kept in found.alerts if (one := row(kept)) is not None)
    return Answer(AlertList(rows, found.last), after=str(found.next) if found.next else "")


@endpoint("GET", "/alerts/counts", permission="look", answers=AlertCountsAre)
async def counts(ctx: Ctx, query: Many) -> AlertCountsAre:
    """How many alerts came in the last hour and day, and the signatures that raised the most."""
    return await ctx.ask(AlertCounts(query.limit), AlertCountsAre, of="alertd")


@endpoint("GET", "/alerts/{id}", permission="look", answers=AlertView)
async def one(ctx: Ctx, id: int, query: Around) -> AlertView:
    """One alert, and what else was seen of its connection."""
    found = view(await ctx.ask(AlertWith(id, query.seconds, query.limit), AlertIs, of="alertd"))
    if found is None:
        raise problems.not_found(f"alert {id} cannot be read")
    return found


@endpoint("POST", "/alerts/{id}/suppression", permission="edit", answers=Draft, status=201)
async def suppressed(ctx: Ctx, id: int, body: Silence) -> Answer:
    """Begin a draft in which the signature of the alert is silent somewhere. Nothing changes before it is applied."""
    found = await one(ctx, id, Around(limit=0))
    alert = found.alert
    if alert.kind != "signature":
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "only signatures of inspection can be suppressed", code="no-signature"
        )
    book = ctx.console.known.book
    zones = {zone.name for zone in book.zones} if book is not None else set()
    draft = await ctx.ask(OpenDraft(f"Suppress {alert.signature} {alert.title}"[:_MOST_TITLE]), Draft)
    opened = await ctx.ask(DraftText(draft.id), DraftTextIs)
    keys = {
        "id": edit_inspection.free_name(_SUPPRESSIONS.findall(opened.text), "S-"),
        "signatures": f"sid {alert.signature}",
        "from" if body.place in zones else "host": _quoted(body.place),
        "owner": _quoted(body.owner),
        "why": _quoted(body.why),
        "expires": body.expires,
    }
    try:
        text = edit_inspection.suppress(opened.text, keys)
    except EditError as error:
        await ctx.ask(DropDraft(draft.id), Noted)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}; {error.remedy}", code="edit") from error
    checked = await ctx.ask(
        SetDraft(draft.id, opened.draft.version, text, f"suppress {alert.signature}"), DraftChecked
    )
    return Answer(checked.draft, tag=str(checked.draft.version), location=f"/api/v1/drafts/{draft.id}")


@endpoint("POST", "/alerts/{id}/evidence", permission="audit", answers=TAR, secret=True)
async def packed(ctx: Ctx, id: int, body: Reason) -> Raw:
    """A sealed package about the alert, as a tar file: the alert, what was seen with it, the policy that ran, entries
    of the audit trail with their proofs. `reef evidence verify` checks it, and so do public tools."""
    packing = ctx.console.packing
    if packing.locked():
        raise problems.wait("another package is being made", 10)
    async with packing:
        made = await pack(ctx, id, body.why)
    return Raw(made.data, TAR, made.name)


def _quoted(words: str) -> str:
    """As it is written in the policy, whatever is in it: a string of JSON is one of YAML."""
    return msgspec.json.encode(words).decode()
