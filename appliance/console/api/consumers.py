"""Who gets what the gateway sees, and how far each of them has it."""

from __future__ import annotations

from appliance.console.context import Ctx
from appliance.console.registry import endpoint
from appliance.control.messages.events import ConsumerList, Consumers


@endpoint("GET", "/consumers", permission="look", answers=ConsumerList)
async def listed(ctx: Ctx) -> ConsumerList:
    """The consumers of the policy that runs, and what the outbox holds for them."""
    return await ctx.ask(Consumers(), ConsumerList, of="alertd")
