"""Connections that inspection handed back are given to it again: their conntrack marks get the flag of a queue.

Asked for when other signatures are in force. A new generation needs none of it, because it decides every connection
anew. Connections are read and changed as bytes, some hundreds with one datagram: a hundred thousand must not keep
applyd from answering.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping

from appliance.control.kernel.conntrack import CT_GET, CT_NEW, CTA_MARK, CTA_MARK_MASK, CTA_TUPLE_ORIG
from appliance.control.kernel.netlink import NLA_TYPE_MASK, DumpInterrupted, u32
from appliance.control.kernel.nfnetlink import CTNETLINK, GENMSG, Netfilter, body
from appliance.control.messages.live import Recalled
from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_QUEUE_OPEN,
    FLAGS_QUEUE,
    MARK_GENERATION,
    MARK_RULE,
    Bundle,
    generation_mark,
)

Log = Callable[[str], None]
AT_ONCE = 500  # connections that are changed between two breaths
_PAIR = struct.Struct("=HH")
_NUMBER = struct.Struct("!I")
_ROUNDS = 4  # how often the table is read until no connection without its flag is found


def flags_of(bundle: Bundle) -> dict[int, int]:
    """The queue flag of each rule that inspects, by its number; none where this kernel queues nothing."""
    if not {"queue", "xt-queue"} & set(bundle.requires):
        return {}
    closed = {profile.name for profile in bundle.profiles if profile.unavailable == "fail-closed"}
    return {
        rule.number: FLAG_QUEUE_CLOSED if rule.inspect in closed else FLAG_QUEUE_OPEN
        for rule in bundle.rules
        if rule.inspect
    }


def recall(netfilter: Netfilter, bundle: Bundle) -> Iterator[int]:
    """Set the flags again on connections that were handed back.

    Yields how many were changed so far whenever it has looked at or changed `AT_ONCE`, so that the caller may do
    something else between, with another socket than this; a caller for whom another generation runs meanwhile stops
    asking. Raises `NetlinkError`.
    """
    flags = flags_of(bundle)
    changed = 0
    for _ in range(_ROUNDS if flags else 0):
        before = changed
        whole = True
        waiting: list[bytes] = []
        try:
            for number, (family, raw) in enumerate(_handed_back(netfilter, generation_mark(bundle.generation))):
                update = _update(family, raw, flags)
                if update:
                    waiting.append(update)
                if number % AT_ONCE == 0:
                    yield changed
        except DumpInterrupted:
            whole = False
        for start in range(0, len(waiting), AT_ONCE):
            changed += _change(netfilter, waiting[start : start + AT_ONCE])
            yield changed
        if whole and changed == before:
            return


def _handed_back(netfilter: Netfilter, stamp: int) -> Iterator[tuple[int, bytes]]:
    """(family, attributes) of every connection that this generation decided and that has no queue flag."""
    wanted = u32(CTA_MARK, stamp) + u32(CTA_MARK_MASK, MARK_GENERATION | FLAGS_QUEUE)
    for _, message in netfilter.dump_whole(CTNETLINK | CT_GET, body(wanted, family=socket.AF_UNSPEC)):
        yield message[0], message[GENMSG.size :]


def _update(family: int, raw: bytes, flags: Mapping[int, int]) -> bytes:
    """The body of the message that gives a connection its flag; b"" for one whose rule does not inspect."""
    original, mark = b"", 0
    offset, end = 0, len(raw)
    while offset + 4 <= end:
        size, kind = _PAIR.unpack_from(raw, offset)
        if size < 4 or offset + size > end:
            break
        kind &= NLA_TYPE_MASK
        if kind == CTA_TUPLE_ORIG:
            original = raw[offset : offset + size]
        elif kind == CTA_MARK:
            (mark,) = _NUMBER.unpack_from(raw, offset + 4)
        offset += (size + 3) & ~3
    flag = flags.get(mark & MARK_RULE, 0)
    if not flag or not original:
        return b""
    padding = b"\0" * (-len(original) & 3)
    return body(original + padding + u32(CTA_MARK, flag) + u32(CTA_MARK_MASK, FLAGS_QUEUE), family)


def _change(netfilter: Netfilter, updates: list[bytes]) -> int:
    """Send many changes with one datagram; how many took. One that ended meanwhile is none."""
    ended = 0
    for error in netfilter.execute_many(CTNETLINK | CT_NEW, updates):
        if error.errno != errno.ENOENT:
            raise error
        ended += 1
    return len(updates) - ended


class Recaller:
    """Recalls one after the other: of two that are asked for, the second one sees what the first had passed already.

    `running` gives the bundle that runs, `settled` is told when flags were set.
    """

    def __init__(self, running: Callable[[], Bundle | None], settled: Callable[[], None], log: Log) -> None:
        self._running = running
        self._settled = settled
        self._log = log
        self._lock = asyncio.Lock()

    async def answer(self) -> Recalled:
        """Raises `NetlinkError`."""
        async with self._lock:
            begun = time.monotonic()
            bundle, changed = self._running(), 0
            if bundle is not None:
                with Netfilter() as netfilter:
                    for so_far in recall(netfilter, bundle):
                        changed = so_far
                        await asyncio.sleep(0)
                        if self._running() is not bundle:
                            break  # the new generation decides every connection anew
            seconds = time.monotonic() - begun
            if changed:
                self._settled()
                self._log(f"{changed} connections are inspected again ({seconds:.1f} s)")
            return Recalled(changed, seconds)
