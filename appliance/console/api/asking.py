"""What `reef` asks of a gateway at which nobody has a shell: its own messages, in the name of who shows the token."""

from __future__ import annotations

import msgspec

from appliance.console import problems
from appliance.console.asking import Daemon
from appliance.console.context import Ctx
from appliance.console.registry import Raw, bounded, endpoint
from appliance.control.ipc import LIMIT
from appliance.control.messages.gateway import Request

MESSAGE = "application/vnd.reef.message+json"
_PATIENCE = 120.0  # seconds; a compile of a big policy on a slow box takes some
_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


@endpoint("POST", "/ask/{process}", permission="known", answers=MESSAGE, takes=MESSAGE, largest=LIMIT)
async def ask(ctx: Ctx, process: Daemon, body: bytes) -> Raw:
    """Ask a process of the gateway as `reef --gateway https://…` does. Message and answer are those of the version
    that runs there, and may change with it; programs use the other paths."""
    try:
        message = _decoder.decode(body)
        bounded(message)
    except (ValueError, RecursionError) as error:
        raise problems.bad(f"not a message of this version: {error}") from error
    reply = await ctx.ask(message, msgspec.Struct, of=process, timeout=_PATIENCE)
    return Raw(msgspec.json.encode(reply), MESSAGE)
