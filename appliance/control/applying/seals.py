"""Checks again that stored generations are what was signed, for whoever asks (`messages/seals.py`)."""

from __future__ import annotations

import asyncio
import time

from appliance.control.applying.gateway import Gateway
from appliance.control.messages.seals import MOST_SEALS, SealList, Seals


async def seals(request: Seals, gateway: Gateway) -> SealList:
    """Each is read whole, beside the loop."""
    asked = dict.fromkeys(request.generations[:MOST_SEALS])
    found = [await asyncio.to_thread(gateway.seal, generation) for generation in asked]
    return SealList(tuple(found), gateway.key, time.time())
