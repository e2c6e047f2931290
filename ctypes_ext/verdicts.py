"""Queues of the kernel, and the lanes over which a worker judges what waits in them (`reef/verdicts.h`)."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import msgspec

from ctypes_ext._verdicts import ffi, lib


class VerdictsError(Exception):
    """A call failed; says which, and what the system answered."""


class Counters(msgspec.Struct, frozen=True):
    """Packets, but for `silences` and `workers` (times) and the states of the worker."""

    packets: int = 0
    accepted: int = 0
    dropped: int = 0
    rejected: int = 0
    handed_back: int = 0
    unseen: int = 0
    alone_accepted: int = 0
    alone_dropped: int = 0
    silences: int = 0
    workers: int = 0
    broken: int = 0
    verdicts_failed: int = 0
    attached: bool = False
    silent: bool = False


class Verdicts:
    """One lane with its queues. Making it, and every verdict, needs CAP_NET_ADMIN. Raises `VerdictsError`.

    What waits in the queues `closed` is dropped while no worker judges, what waits in those of `open` goes on.
    """

    def __init__(self, closed: Sequence[int], open_: Sequence[int]) -> None:
        out = ffi.new("reef_verdicts **")
        status = lib.reef_verdicts_new(list(closed), len(closed), list(open_), len(open_), out)
        _check(status, f"queues {', '.join(str(number) for number in (*closed, *open_))}")
        self._c = ffi.gc(out[0], lib.reef_verdicts_free)

    def run(self) -> None:
        """Until `stop`, without the GIL: for a thread of its own. Raises `VerdictsError`."""
        _check(lib.reef_verdicts_run(self._c), "verdicts")

    def stop(self) -> None:
        lib.reef_verdicts_stop(self._c)

    def attach(self, worker: socket.socket) -> bool:
        """Give the lane to who is at the other end; the socket is taken. False: it has a worker."""
        if lib.reef_verdicts_attach(self._c, worker.fileno()) == lib.REEF_FULL:
            return False
        worker.detach()
        return True

    def counters(self) -> Counters:
        c = ffi.new("reef_verdicts_counters *")
        lib.reef_verdicts_count(self._c, c)
        return Counters(**{field: getattr(c, field) for field in Counters.__struct_fields__})


def _check(status: int, what: str) -> None:
    if status == lib.REEF_OK:
        return
    if status == lib.REEF_SYSTEM:
        raise VerdictsError(f"{what}: {os.strerror(ffi.errno)}")
    raise VerdictsError(f"{what}: {ffi.string(lib.reef_status_text(status)).decode()}")
