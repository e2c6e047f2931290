"""Zones, lines and the register of connections: what there is, how it is, and who answers for it."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated, Literal

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.healthnow import Health
from appliance.console.registry import endpoint
from appliance.control.messages.gateway import NameBook
from appliance.control.messages.lines import Crossing, LineIs, LineList, Lines, LineState, Past


class ZoneView(msgspec.Struct, frozen=True):
    """A zone of what runs. `external`: its lines leave the house. Without `networks` it is everything else."""

    name: str
    external: bool
    antispoofing: bool
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]


class BridgeView(msgspec.Struct, frozen=True):
    """A bump in the wire between two lines, inspected under a profile."""

    name: str
    between: tuple[str, str]
    inspect: str


class TopologyView(msgspec.Struct, frozen=True):
    """What runs, as zones and what they may reach: `pairs` of zones between which rules in force allow something."""

    generation: int
    site: str
    zones: tuple[ZoneView, ...]
    bridges: tuple[BridgeView, ...]
    pairs: tuple[Crossing, ...]


class LineView(msgspec.Struct, frozen=True):
    """A line with its last minutes, at `at` (seconds since the epoch)."""

    at: float
    line: LineState
    past: Past


class ConnectionRow(msgspec.Struct, frozen=True):
    """An external line: who provides it, and who answers for it. `state` is "" where the line is in no zone and no
    bridge; `since` as of lines."""

    line: str
    zone: str
    provider: str
    officer: str
    mail: str
    phone: str
    state: LineIs | Literal[""]
    since: float


class ConnectionsView(msgspec.Struct, frozen=True):
    """The register. `unregistered` are lines that carry traffic and stand in no zone: nobody answers for them."""

    generation: int
    at: float
    connections: tuple[ConnectionRow, ...]
    unregistered: tuple[str, ...]


@endpoint("GET", "/topology", permission="look", answers=TopologyView)
async def topology(ctx: Ctx) -> TopologyView:
    """The zones of what runs, their lines and networks, and which may reach which."""
    book = _book(ctx)
    pairs = await ctx.console.lines.pairs(ctx)
    zones = tuple(
        ZoneView(one.name, one.external, one.antispoofing, one.interfaces, book.networks.get(one.name, ()))
        for one in book.zones
    )
    bridges = tuple(BridgeView(one.name, one.between, one.inspect) for one in book.bridges)
    return TopologyView(book.generation, book.site, zones, bridges, pairs.pairs)


@endpoint("GET", "/lines", permission="look", answers=LineList)
async def lines(ctx: Ctx) -> LineList:
    """How every line is, and what passes it."""
    return await ctx.console.lines.lines(ctx)


@endpoint("GET", "/lines/{name}", permission="look", answers=LineView)
async def line(ctx: Ctx, name: Annotated[str, msgspec.Meta(max_length=64)]) -> LineView:
    """One line, with what passed it in the last minutes."""
    listed = await ctx.ask(Lines(name), LineList)
    found = next((one for one in listed.lines if one.name == name), None)
    if found is None or listed.past is None:
        raise problems.not_found(f"no line {name}")
    return LineView(listed.at, found, listed.past)


@endpoint("GET", "/connections", permission="look", answers=ConnectionsView)
async def connections(ctx: Ctx) -> ConnectionsView:
    """The register of external lines, and how each of them is."""
    book = _book(ctx)
    listed = await ctx.console.lines.lines(ctx)
    return register(book, listed)


@endpoint("GET", "/health", permission="look", answers=Health)
async def health(ctx: Ctx) -> Health:
    """Every process, and since when it is as it is."""
    found = ctx.console.health.now
    if found is None:
        raise problems.away(ctx.console.known.away or "nothing is known of the gateway yet")
    return found


def register(book: NameBook, listed: LineList) -> ConnectionsView:
    states = {one.name: one for one in listed.lines}
    rows = []
    for one in book.officers:
        name, mail = parseaddr(one.who)
        found = states.get(one.line)
        state: LineIs | Literal[""] = found.state if found is not None else ""
        since = found.since if found is not None else 0.0
        rows.append(ConnectionRow(one.line, one.zone, one.provider, name or one.who, mail, one.phone, state, since))
    strangers = tuple(one.name for one in listed.lines if not one.zone and not one.bridge)
    return ConnectionsView(book.generation, listed.at, tuple(rows), strangers)


def _book(ctx: Ctx) -> NameBook:
    book = ctx.console.known.book
    if book is None:
        raise problems.away("it is not known yet what runs")
    return book
