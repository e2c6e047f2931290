"""alertd's part of the audit trail's witnesses: it carries checkpoints out and cosignatures in, and believes neither.

What is posted and what an answer means is recordd's to say, which has no network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages.audit import WitnessHeard, Witnessing, WitnessPost, WitnessPosts, WitnessSaid
from crypto.web import TlsContext

_EVERY = 2.0  # seconds
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_MOST = 1 << 16  # bytes of an answer
_TRIES = 3  # of one round: a witness may say first where it stands


async def carry(socket: Path, context: TlsContext, log: Callable[[str], None]) -> None:
    """Ask recordd at `socket` what goes to which witness, and post it; until cancelled."""
    said = ""
    async with aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session:
        while True:
            try:
                await round_of(socket, session, context)
                said = ""
            except (DaemonAway, ProtocolError, RefusedError) as error:
                if str(error) != said:
                    log(f"nothing goes to the witnesses of the audit trail: {error}")
                said = str(error)
            await asyncio.sleep(_EVERY)


async def round_of(socket: Path, session: aiohttp.ClientSession, context: TlsContext) -> None:
    """What is due now. Raises what `ipc.call_async` does."""
    for _ in range(_TRIES):
        posts = (await call_async(socket, Witnessing(), WitnessPosts, timeout=10)).posts
        answers = await asyncio.gather(*(_posted(post, session, context) for post in posts))
        heard = [await call_async(socket, answer, WitnessHeard, timeout=10) for answer in answers]
        if not any(one.again for one in heard):
            return


async def _posted(post: WitnessPost, session: aiohttp.ClientSession, context: TlsContext) -> WitnessSaid:
    """Status 0 with words where there was no answer."""
    try:
        async with session.post(post.address, data=post.body, ssl=context, allow_redirects=False) as answer:
            return WitnessSaid(post.name, answer.status, await answer.content.read(_MOST))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return WitnessSaid(post.name, 0, f"it cannot be reached: {error or type(error).__name__}".encode())
