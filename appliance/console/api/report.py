"""The report on standards, risks and figures, of what runs: as data, as a table, as a page to print."""

from __future__ import annotations

import time
from typing import Annotated, Literal, TypeVar

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.press import PressError, Refused
from appliance.console.problems import Problem
from appliance.console.registry import Raw, endpoint
from appliance.control.messages.alerts import AlertTrend, AlertTrendIs
from appliance.control.messages.audit import AuditHealth, AuditHealthIs
from appliance.control.messages.changes import MOST_LISTED, ProposalList, Proposals
from appliance.control.messages.gateway import (
    BanList,
    Bans,
    Doctor,
    DoctorReport,
    History,
    HistoryList,
    Request,
    RuleCounterList,
    RuleCounters,
    Show,
    Shown,
    Status,
    StatusReport,
)
from appliance.control.messages.hits import HitList, Hits
from appliance.control.messages.indicators import IndicatorList, Indicators
from appliance.control.messages.live import SetList, Sets
from appliance.control.messages.seals import SealList, Seals
from appliance.control.messages.watch import DeviceList, Devices
from appliance.report.evidence import Reading
from appliance.report.facts import HIT_DAYS, Seal
from appliance.report.figures import DAY, DAYS, MOST_DAYS, Records
from appliance.report.host import local
from appliance.report.job import Format, Job, done
from appliance.report.render_pdf import NoTypesetter
from appliance.report.report import Report
from appliance.report.told import Told

CSV, PDF = "text/csv", "application/pdf"
_HISTORY = 1000  # generations that are looked at
_PATIENCE = 60.0
Standard = Literal["iso-27033-4", "x805", "nist-800-41", "cis-8.1"]

T = TypeVar("T")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of so many days; of these standards, or of all."""

    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = DAYS
    standard: Annotated[tuple[Standard, ...], msgspec.Meta(max_length=8)] = ()


class _Asking:
    """The gateway's processes, asked in the name of who wants the report. What they refuse is told in it."""

    def __init__(self, ctx: Ctx) -> None:
        self._ctx = ctx

    async def read(
        self,
        query: str,
        message: Request,
        reply: type[T],
        of: Literal["policyd", "alertd", "watchd", "recordd"] = "policyd",
    ) -> Reading[T]:
        at = time.time()
        try:
            return Reading(query, at, await self._ctx.ask(message, reply, of=of, timeout=_PATIENCE))
        except Problem as problem:
            return Reading(query, at, None, problem.words)

    async def seal(self, shown: Reading[Shown]) -> Reading[Seal]:
        if shown.value is None:
            return Reading(shown.query, shown.time, None, shown.missing)
        generation = shown.value.summary.generation
        query = "reef history --verify"
        found = await self.read(query, Seals((generation,)), SealList)
        if found.value is None:
            return Reading(query, found.time, None, found.missing)
        (one,) = found.value.seals
        return Reading(query, found.time, Seal(generation, one.digest or one.words, one.state == "good"))

    async def records(self, since: float) -> Records:
        return Records(
            since,
            await self.read("GET /api/v1/proposals", Proposals("", MOST_LISTED), ProposalList),
            await self.read("GET /api/v1/alerts", AlertTrend(since), AlertTrendIs, "alertd"),
            await self.read("GET /api/v1/indicators", Indicators(limit=1), IndicatorList, "alertd"),
            await self.read("reef devices --json", Devices(), DeviceList, "watchd"),
            await self.read("reef ban --json", Bans(), BanList),
            await self.read("GET /api/v1/audit/health", AuditHealth(), AuditHealthIs, "recordd"),
        )


async def _made(ctx: Ctx, query: Wanted, format_: Format) -> bytes:
    asking, taken = _Asking(ctx), time.time()
    shown = await asking.read("reef show generation --json", Show(), Shown)
    if shown.value is None:
        raise problems.away(f"what runs cannot be read: {shown.missing}")
    box = await ctx.console.workshop.aside(local, ctx.console.instance)
    told = Told(
        taken=taken,
        shown=shown,
        status=await asking.read("reef show status --json", Status(), StatusReport),
        doctor=await asking.read("reef doctor --json", Doctor(), DoctorReport),
        history=await asking.read(f"reef history --limit {_HISTORY} --json", History(_HISTORY), HistoryList),
        counters=await asking.read("reef show rules --json", RuleCounters(), RuleCounterList),
        hits=await asking.read(f"reef show rules --unused {HIT_DAYS}d --json", Hits(HIT_DAYS * DAY), HitList),
        sets=await asking.read("reef show sets --json", Sets(), SetList),
        seal=await asking.seal(shown),
        processes=box.processes,
        sysctls=box.sysctls,
        disk=box.disk,
        records=await asking.records(taken - query.days * DAY),
    )
    job = await ctx.console.workshop.aside(msgspec.json.encode, Job(told, format_, query.standard))
    press = ctx.console.press
    try:
        if press is None:
            raise PressError("nothing is here that makes it")
        return await press.press(job)
    except PressError as error:
        raise problems.away(f"the report cannot be made: {error}") from error


def reported(job: bytes) -> bytes:
    """What is done in the press."""
    try:
        return done(msgspec.json.decode(job, type=Job))
    except NoTypesetter as error:
        raise Refused(str(error)) from error


@endpoint("GET", "/report", permission="look", answers=Report)
async def data(ctx: Ctx, query: Wanted) -> object:
    """Every clause of the standards with its answer and evidence, the page of risks, the figures of the last days.

    What only root at the gateway can look at is said to be so, and is no answer.
    """
    return msgspec.Raw(await _made(ctx, query, "json"))


@endpoint("GET", "/report.csv", permission="look", answers=CSV)
async def table(ctx: Ctx, query: Wanted) -> object:
    """The same for a spreadsheet (RFC 4180)."""
    return Raw(await _made(ctx, query, "csv"), f"{CSV}; charset=utf-8", _name(ctx, "csv"))


@endpoint("GET", "/report.pdf", permission="look", answers=PDF)
async def page(ctx: Ctx, query: Wanted) -> object:
    """The same as a page (PDF/UA-1), where the gateway has a typesetter."""
    return Raw(await _made(ctx, query, "pdf"), PDF, _name(ctx, "pdf"))


def _name(ctx: Ctx, suffix: str) -> str:
    status = ctx.console.known.status
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"report-{status.site if status else 'gateway'}-{day}.{suffix}"
