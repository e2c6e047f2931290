"""The connections that pass now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Annotated, Literal

import msgspec

from appliance.commands.names import Names
from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.flowrows import FlowRow, between, row
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.live import Flow, FlowList, Flows

MOST = 1000  # of one page
MOST_LOOKED = 20_000  # connections whose zones are looked at for one answer
_Word = Annotated[str, msgspec.Meta(max_length=200)]


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which connections: of an address or a network, of a port, with an end in a zone, decided by a rule. Those that
    carried most, or that began last, come first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100
    after: Annotated[str, msgspec.Meta(pattern="^[0-9]{0,9}$")] = ""
    order: Literal["biggest", "newest"] = "biggest"
    address: Annotated[str, msgspec.Meta(max_length=64)] = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    zone: _Word = ""
    rule: _Word = ""


class FlowsView(msgspec.Struct, frozen=True):
    """A page of `total` connections that were asked for. Where a zone is asked for and there are more connections
    than are looked at, `looked` says how many those were; else it is 0."""

    generation: int
    total: int
    looked: int
    flows: tuple[FlowRow, ...]


@endpoint("GET", "/flows", permission="look", answers=FlowsView, paged=True)
async def listed(ctx: Ctx, query: Chosen) -> Answer:
    """The connections that pass now, with the rule that let each through. They come and go between two pages."""
    _checked(query.address)
    skip = int(query.after or 0)
    names = ctx.console.flowbook.names(ctx.console.known.book)
    asked = Flows(query.limit, query.rule, query.address, 0, query.port, query.order, skip)
    if query.zone:
        asked = msgspec.structs.replace(asked, limit=MOST_LOOKED, skip=0)
    found = await ctx.ask(asked, FlowList)
    rows = await asyncio.to_thread(_rows, found.flows, names)  # many take a third of a second
    total, looked = found.total, 0
    if query.zone:
        looked = len(rows) if len(rows) < total else 0
        rows = between(rows, query.zone)
        total, rows = len(rows), rows[skip : skip + query.limit]
    behind = skip + len(rows)
    page = FlowsView(found.generation, total, looked, tuple(rows))
    return Answer(page, after=str(behind) if rows and behind < total else "")


@endpoint("GET", "/flows/{id}", permission="look", answers=FlowRow)
async def one(ctx: Ctx, id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]) -> FlowRow:
    """One connection, by its number."""
    number = int(id)
    found = (await ctx.ask(Flows(limit=1, id=number), FlowList)).flows if 0 < number < 1 << 64 else ()
    if not found:
        raise problems.not_found(f"no flow {id} passes now")
    return row(found[0], ctx.console.flowbook.names(ctx.console.known.book))


def _rows(flows: Iterable[Flow], names: Names) -> list[FlowRow]:
    return [row(flow, names) for flow in flows]


def _checked(address: str) -> None:
    """Raises `Problem` for what is no address and no network."""
    try:
        if address:
            ip_network(address, strict=False)
    except ValueError as error:
        raise problems.bad(f"`{address}` is no address and no network") from error
