"""How the gateway is: what runs, what is wrong."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.console import problems
from appliance.console.context import Ctx, Known
from appliance.console.registry import endpoint
from appliance.control.messages.gateway import ProcessHealth


class Trouble(msgspec.Struct, frozen=True):
    """Something that is wrong."""

    kind: Literal["process", "drift", "omitted", "decides", "unknown", "bridge"]
    words: str


class StatusView(msgspec.Struct, frozen=True):
    """`generation` runs; until `confirm_by` (seconds since the epoch, 0: it needs none) somebody must confirm it.

    `drift` says how the kernel differs from it. `problems` are what is wrong, in words. All of it was so at `as_of`;
    `away` says why nothing newer is known.
    """

    site: str
    generation: int
    confirmed: int
    confirm_by: float
    drift: str
    omitted: tuple[str, ...]
    processes: tuple[ProcessHealth, ...]
    problems: tuple[Trouble, ...]
    as_of: float
    away: str


def view(known: Known) -> StatusView | None:
    """What is known of the gateway; None before anything is."""
    status = known.status
    if status is None:
        return None
    dead = [one for one in status.processes if not one.alive]
    wrong = [Trouble("process", f"{one.name}: {one.words or 'does not run'}") for one in dead]
    wrong += [Trouble("drift", status.drift)] if status.drift else []
    wrong += [Trouble("omitted", words) for words in status.omitted]
    if status.runs is not None:
        wrong += [Trouble("decides", words) for words in status.runs.differences]
        wrong += [Trouble("unknown", words) for words in status.runs.unknown]
    wrong += [Trouble("bridge", f"{one.name}: {one.words}") for one in status.bridges if one.words]
    return StatusView(
        status.site, status.running, status.confirmed, status.confirm_by, status.drift, status.omitted,
        status.processes,
        tuple(wrong), known.as_of, known.away,
    )  # fmt: skip


@endpoint("GET", "/status", permission="look", answers=StatusView)
async def status(ctx: Ctx) -> StatusView:
    """What runs, and what is wrong, as it was known last."""
    found = view(ctx.console.known)
    if found is None:
        raise problems.away(ctx.console.known.away or "nothing is known of the gateway yet")
    return found
