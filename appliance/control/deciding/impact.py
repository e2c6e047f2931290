"""`reef impact` in policyd: reads the flow log that inspectd wrote, and replays it against a candidate.

Newest first, one block after the other, in a thread, so that policyd goes on answering; blocks of zone pairs
that the candidate leaves as they are are not even inflated. One replay at a time: it may use a core for seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.control.deciding.daykeys import DayKeys, ask_keyd
from appliance.control.ipc import call_async
from appliance.control.messages.impact import FlowKeysForgotten, ForgetFlowKeys, Impact, Impacted
from appliance.control.messages.live import SetList, Sets
from appliance.control.processes import Instance
from appliance.events import flowfile
from appliance.events.flowfile import Block, Damage, FlowFileError
from appliance.policy.answering.classifier import Encoder, Members
from appliance.policy.answering.comparison import Comparison, members_of
from appliance.policy.limits import MAX_FLOW_LOG_DAYS
from appliance.policy.model import Policy
from crypto.flowkeys import SealBroken
from ctypes_ext.replay import BadColumns, Heads

WRITER = "inspectd"
MOST_GROUPS = 200
_DAY = 86400
_MINUTE = 60
_MOST_MEMBERS = 100_000


class _Seen(msgspec.Struct):
    """What was read so far."""

    logged: int = 0
    first: int = 0
    last: int = 0
    lost: int = 0
    damaged: int = 0
    left: int = 0  # flows that there was no time for
    no_key: set[int] = msgspec.field(default_factory=set)
    broken: int = 0

    def note(self, block: Block) -> None:
        self.logged += block.flows
        self.lost += block.lost
        self.first = min(self.first or block.first, block.first)
        self.last = max(self.last, block.last)


class FlowReader:
    """The flow log of an instance, replayed. Keeps what it encoded, so that the next candidate costs its edits."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._directory = instance.shared_of(WRITER)
        self._encoder = Encoder()
        self._busy = asyncio.Lock()

    async def impact(self, request: Impact, base: int, running: Policy, candidate: Policy) -> Impacted:
        """Raises `replay.ReplayError` when a policy is too large, `DaemonAway` and the like, OSError."""
        begun = time.monotonic()
        async with self._busy:
            members = await self._members(running, candidate)
            return await asyncio.to_thread(self._replay, request, base, running, candidate, members, begun)

    async def forget_keys(self, days: int) -> None:
        """Have the keys destroyed of what is older than the policy lets the log be."""
        today = int(time.time()) // _DAY
        before = today - days if days else today + 1
        await call_async(self._instance.socket("keyd"), ForgetFlowKeys(before), FlowKeysForgotten)

    async def _members(self, *policies: Policy) -> Members:
        """What the live sets hold now. What a flow's own rule says of them weighs more (`reef/replay.h`)."""
        names = {name for policy in policies for name in policy.dynamics}
        found: dict[str, tuple[str, ...]] = {}
        if names:
            socket = self._instance.socket("applyd")
            known = (await call_async(socket, Sets(), SetList)).sets
            for name in sorted(names & {one.name for one in known}):
                listed = await call_async(socket, Sets(name, _MOST_MEMBERS), SetList)
                found[name] = tuple(element for one in listed.sets if one.name == name for element in one.elements)
        return members_of(found)

    # --- in a thread --------------------------------------------------------------------------------

    def _replay(
        self, request: Impact, base: int, running: Policy, candidate: Policy, members: Members, begun: float
    ) -> Impacted:
        now = int(time.time())
        since = now - min(max(request.days, 0), MAX_FLOW_LOG_DAYS + 1) * _DAY
        if self._encoder.crowded:
            self._encoder = Encoder()
        comparison = Comparison(running, candidate, self._encoder, members=members, first=since, last=now)
        self._encoder.forget(running, candidate)
        seen = _Seen()
        keys = DayKeys(ask_keyd(self._instance))
        until = time.monotonic() + request.seconds if request.seconds else None
        for block in self._blocks(since // _MINUTE, seen, until):
            try:
                heads = Heads(flowfile.heads_of(block))
                if not comparison.wants(heads):
                    continue
                addresses = keys.addresses(block)
                if addresses is None:
                    seen.no_key.add(block.day)
                    seen.left += block.flows
                    continue
                comparison.feed(heads, flowfile.body_of(block), addresses)
            except (BadColumns, FlowFileError, SealBroken):
                seen.broken += 1
                seen.left += block.flows
        return self._said(request, base, comparison, seen, begun)

    def _blocks(self, since: int, seen: _Seen, until: float | None) -> Iterator[Block]:
        """The blocks of the log, newest first, for as long as there is time; all are counted."""
        for path in reversed(flowfile.files(self._directory)):
            if flowfile.hour_of(path) * 60 + 60 < since:
                return
            late = until is not None and time.monotonic() > until
            try:
                items = list(flowfile.read(path)) if not late else list(flowfile.headers(path))
            except FileNotFoundError:
                continue  # its hour was closed, or it grew too old, just now
            for item in reversed(items):
                if isinstance(item, Damage):
                    seen.damaged += item.bytes
                elif item.last >= since:
                    seen.note(item)
                    if until is not None and time.monotonic() > until:
                        seen.left += item.flows
                    else:
                        yield item

    def _said(self, request: Impact, base: int, comparison: Comparison, seen: _Seen, begun: float) -> Impacted:
        groups = comparison.groups(addresses=request.addresses, most=MOST_GROUPS)
        counted = comparison.sum()
        return Impacted(
            base=base,
            flows=seen.logged - seen.left,
            logged=seen.logged,
            since=seen.first * _MINUTE,
            until=seen.last * _MINUTE,
            seconds=time.monotonic() - begun,
            groups=groups,
            unlisted=counted.changes - len(groups),
            unsure=counted.unsure,
            unlike_log=counted.unlike_log,
            missing=tuple(_missing(seen, counted.changes_lost, self._directory)),
        )


def _missing(seen: _Seen, changes_lost: int, directory: Path) -> Iterator[str]:
    if not os.access(directory, os.R_OK | os.X_OK):
        yield f"{directory} cannot be read"
    elif not seen.logged:
        yield "nothing is logged of that time; what passes now is written every minute"
    if seen.no_key:
        yield f"the keys of {len(seen.no_key)} days cannot be had: their addresses are closed"
    if seen.broken:
        yield f"{seen.broken} blocks of the flow log cannot be read"
    if seen.damaged:
        yield f"{seen.damaged} bytes of the flow log are damaged or were not written whole"
    if seen.lost:
        yield f"{seen.lost} flows were not logged for want of room"
    if seen.left and not seen.no_key and not seen.broken:
        yield f"there was no time for the older {seen.left} flows"
    if changes_lost:
        yield f"{changes_lost} flows that differ are in no group: there are too many groups"
