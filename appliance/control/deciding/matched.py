"""What single connections rules matched, from the flow log: for `reef suggest`, which finds few words for them.

In policyd, in a thread, newest block first; a block without a row of the rules is never opened. Alike rows of
different hours become one.
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from appliance.control.deciding.daykeys import Ask, DayKeys, ask_keyd
from appliance.control.messages.hits import Matched, MatchedFlows, MatchedList
from appliance.control.processes import Instance
from appliance.events import flowfile
from appliance.events.flowfile import Block, Damage, FlowFileError
from crypto.flowkeys import SealBroken
from ctypes_ext.flowrows import FlowRow, names_any, rows
from ctypes_ext.replay import BadColumns, Heads

WRITER = "inspectd"
MOST_ROWS = 200_000  # of an answer; and what a rule matched beyond that is no fewer words
_DAY = 86_400
_MINUTE = 60

# Everything but the flows and their time.
_Alike = tuple[str, str, str, int, int, int, int, int]


class MatchedReader:
    """Reads the flow log in `directory`; `key` gives the key of a day, None where it cannot be had.

    One answer at a time: it may use a core for seconds.
    """

    def __init__(self, directory: Path, key: Ask) -> None:
        self._directory = directory
        self._key = key
        self._busy = asyncio.Lock()

    async def read(self, request: Matched) -> MatchedList:
        """Raises OSError when the log cannot be read."""
        async with self._busy:
            return await asyncio.to_thread(self._read, request)

    def _read(self, request: Matched) -> MatchedList:
        since = int(time.time()) - request.seconds
        wanted = frozenset(request.rules)
        found: dict[_Alike, tuple[int, int]] = {}
        keys = DayKeys(self._key)
        first, last, logged, lost, unread, damaged = 0, 0, 0, 0, 0, 0
        for path in reversed(flowfile.files(self._directory)):
            if flowfile.hour_of(path) * 60 + 60 < since // _MINUTE:
                break
            try:
                items = list(flowfile.read(path))
            except FileNotFoundError:
                continue  # its hour was closed, or it grew too old, just now
            for block in items:
                if isinstance(block, Damage):
                    damaged += block.bytes
                    continue
                if block.last < since // _MINUTE:
                    continue
                first, last = min(first or block.first, block.first), max(last, block.last)
                logged, lost = logged + block.flows, lost + block.lost
                if not self._add(block, wanted, keys, found):
                    unread += block.flows
            if len(found) > MOST_ROWS:
                break
        listed = [_told(alike, *counted) for alike, counted in found.items()][:MOST_ROWS]
        missing = [f"{unread} flows cannot be read: their keys are gone, or their blocks damaged"] if unread else []
        missing += [f"{damaged} bytes of the flow log are damaged or were not written whole"] if damaged else []
        missing += [f"{lost} flows were not logged for want of room"] if lost else []
        missing += ["they matched more than can be told; older flows are left out"] if len(found) > MOST_ROWS else []
        return MatchedList(
            max(first * _MINUTE, since) if logged else 0, last * _MINUTE, logged, tuple(listed), tuple(missing)
        )

    def _add(
        self,
        block: Block,
        wanted: frozenset[str],
        keys: DayKeys,
        found: dict[_Alike, tuple[int, int]],
    ) -> bool:
        """Count the rows of the rules; False when the block cannot be read."""
        try:
            heads = Heads(flowfile.heads_of(block))
            if not names_any(heads, wanted):
                return True
            addresses = keys.addresses(block)
            if addresses is None:
                return False
            for row in rows(heads, flowfile.body_of(block), addresses, wanted):
                alike = _alike(row)
                flows, last = found.get(alike, (0, 0))
                found[alike] = (flows + row.flows, max(last, row.minute))
        except (BadColumns, FlowFileError, SealBroken):
            return False
        return True


def of_instance(instance: Instance) -> MatchedReader:
    """The flow log of an instance, whose keys keyd has."""
    return MatchedReader(instance.shared_of(WRITER), ask_keyd(instance))


def _alike(row: FlowRow) -> _Alike:
    return (
        row.rule, row.from_zone, row.to_zone, row.protocol, row.port, row.version, row.source, row.destination,
    )  # fmt: skip


def _told(alike: _Alike, flows: int, minute: int) -> MatchedFlows:
    rule, from_zone, to_zone, protocol, port, version, source, destination = alike
    address = IPv4Address if version == 4 else IPv6Address
    hosts = str(address(source)), str(address(destination))
    return MatchedFlows(rule, from_zone, to_zone, protocol, port, *hosts, flows, minute * _MINUTE)
