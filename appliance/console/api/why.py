"""Why a packet passes or does not: by what runs, with the routes, sets, bans and clock of the gateway."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec

from appliance.asking.loglines import LineError, Logged, parse_line
from appliance.asking.questions import Named, at_moment_of, named, of_flow, of_logged
from appliance.asking.refusal import CannotAsk
from appliance.asking.situation import MOST_MEMBERS, hop_of, members_of, naming, own_of, situation
from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.problems import Problem
from appliance.console.registry import endpoint
from appliance.control.messages.bans import Allowed, AllowList
from appliance.control.messages.gateway import BanList, Bans, NameBook, Names, Status, StatusReport
from appliance.control.messages.indicators import IndicatorList, Indicators
from appliance.control.messages.live import FlowList, Flows, SetList, Sets
from appliance.control.messages.why import WayList, Ways
from appliance.policy import addresses
from appliance.policy.answering.reach import Hop
from appliance.policy.answering.why import Answer, Question, Situation, why

_MOST_ASKED = 32  # questions about addresses that one question may lead to
T = TypeVar("T")


class WhyQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `line` of a log, the number of a `flow` that passes now, or two hosts and a service. `at` is a moment in
    seconds since the epoch, `person` who is at the source, `entering` the interface or zone it comes by."""

    line: Annotated[str, msgspec.Meta(max_length=20_000)] = ""
    flow: int = 0
    source: str = ""
    destination: str = ""
    service: str = ""
    person: str = ""
    entering: str = ""
    at: float | None = None


class WhyAnswered(msgspec.Struct, frozen=True):
    """`answer` has the packet's way in steps: where it enters, address translation, route, rule, inspection, where it
    leaves. `logged` is what the line says was decided; `note` what was chosen for words that mean more than one."""

    answer: Answer
    logged: str = ""
    note: str = ""


class _Unknown(Exception):
    """What the gateway was not asked yet: the way to an address, or which indicator blocks it."""

    def __init__(self, address: str, *, blocked: bool = False) -> None:
        super().__init__()
        self.address = address
        self.blocked = blocked


class _Learned:
    """What the gateway says of addresses, each asked once, as an answer comes to need it."""

    def __init__(self) -> None:
        self._hops: dict[str, Hop] = {}
        self._blocked: dict[str, str] = {}

    def hop(self, version: int, address: int) -> Hop:
        words = addresses.text_of(version, address)
        if words not in self._hops:
            raise _Unknown(words)
        return self._hops[words]

    def blocked(self, version: int, address: int) -> str:
        words = addresses.text_of(version, address)
        if words not in self._blocked:
            raise _Unknown(words, blocked=True)
        return self._blocked[words]

    async def ask(self, ctx: Ctx, missing: _Unknown) -> None:
        """Where alertd does not answer nothing is said of indicators. Raises `Problem`."""
        if len(self._hops) + len(self._blocked) >= _MOST_ASKED:
            raise problems.bad("this leads to too many addresses")
        if not missing.blocked:
            (way,) = (await ctx.ask(Ways((missing.address,)), WayList)).ways
            self._hops[missing.address] = hop_of(way)
            return
        self._blocked[missing.address] = ""
        with contextlib.suppress(Problem):
            found = await ctx.ask(Indicators(holds=missing.address, limit=1), IndicatorList, of="alertd")
            self._blocked[missing.address] = naming(missing.address, found)


async def _banned(ctx: Ctx) -> BanList:
    """All of them, page by page."""
    page = await ctx.ask(Bans(), BanList)
    found = list(page.bans)
    while page.after:
        page = await ctx.ask(Bans(after=page.after), BanList)
        found += page.bans
    return BanList(tuple(found))


@endpoint("POST", "/why", permission="look", answers=WhyAnswered)
async def asked(ctx: Ctx, body: WhyQuestion) -> object:
    """What the policy that runs decides about a packet, step by step, and the rules that nearly decided."""
    book = await ctx.console.workshop.rulebook(ctx)
    policy = book.policy
    members = {}
    for name in policy.dynamics:
        members[name] = members_of(await ctx.ask(Sets(name, MOST_MEMBERS), SetList))
    ways = await ctx.ask(Ways(()), WayList)
    own = own_of(one.address for one in ways.own)
    line = await _line(ctx, body, own)
    learned = _Learned()
    present = situation(
        policy,
        int(time.time()),
        learned.hop,
        members,
        await ctx.ask(Names(), NameBook),
        await ctx.ask(Status(), StatusReport),
        await _banned(ctx),
        await ctx.ask(AllowList(), Allowed),
        ways,
        learned.blocked,
    )

    def answer() -> WhyAnswered:
        now, note = present, ""
        if line is not None:
            now = _moved(body, at_moment_of(line, now))
            question, now = of_logged(line, policy, now, entering=body.entering, person=body.person)
        else:
            wanted = Named(body.source, body.destination, body.service, body.entering, body.person)
            packet, now, note = named(wanted, policy, _moved(body, now), own)
            question = Question(packet)
        logged = f"{line.action} {line.rule}".strip() if line is not None else ""
        return WhyAnswered(why(book, question, now), logged, note)

    try:
        return await _with_learning(ctx, learned, answer)
    except CannotAsk as error:
        words = f"{error}; {error.remedy}" if error.remedy else str(error)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, code=error.code) from error


async def _line(ctx: Ctx, body: WhyQuestion, own: tuple[tuple[int, int], ...]) -> Logged | None:
    """What is asked for as it was logged; None where two hosts are named. Raises `Problem`."""
    said = [bool(body.line.strip()), bool(body.flow), bool(body.source or body.destination)]
    if said.count(True) != 1:
        raise problems.bad("ask with a `line`, with a `flow`, or with `source`, `destination` and `service`")
    if body.flow:
        flows = (await ctx.ask(Flows(limit=1, id=body.flow), FlowList)).flows
        if not flows:
            raise problems.not_found(f"no flow {body.flow} passes now; ask with its line of the log")
        return of_flow(flows[0], own)
    if not body.line.strip():
        return None
    try:
        return parse_line(body.line, time.time())
    except LineError as error:
        words = f"{error}; give a whole line of `reef log` or `reef log --json`"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, words, code="bad-line") from error


def _moved(body: WhyQuestion, now: Situation) -> Situation:
    return now if body.at is None else msgspec.structs.replace(now, now=int(body.at))


async def _with_learning(ctx: Ctx, learned: _Learned, work: Callable[[], T]) -> T:
    """Does what asks for more as it goes. Raises `Problem`."""
    while True:
        try:
            return work()
        except _Unknown as missing:
            await learned.ask(ctx, missing)
