"""The worker's end of a lane (`reef/inline.h`): packets that wait, judged by a worker in a thread of its own."""

from __future__ import annotations

import socket
from typing import NamedTuple

from ctypes_ext._engine import ffi, lib
from ctypes_ext.engine import (
    COSTS,
    Counters,
    EngineError,
    Evidence,
    FileStore,
    RuleCost,
    Rules,
    Worker,
    check,
    costs_of,
    counters_of,
)
from ctypes_ext.reactions import Reactions
from ctypes_ext.sets import SetChange


class BridgeCounters(NamedTuple):
    """Frames."""

    passed: int
    stopped: int
    unseen: int
    lost: int


class Bridge:
    """A bump in the wire (`reef/bridge.h`). Making it needs CAP_NET_RAW, no more. Raises `EngineError`."""

    def __init__(self) -> None:
        out = ffi.new("reef_bridge **")
        check(lib.reef_bridge_open(out), "AF_PACKET")
        self._c = ffi.gc(out[0], lib.reef_bridge_free)

    def bind(
        self, one: int, other: int, *, mark: int = 0, open_: bool = False, keeper: socket.socket | None = None
    ) -> None:
        """Between these interfaces; `mark` stands for the policy's rule; `open_`: what cannot be read passes.

        `keeper` hears from the bridge while it carries frames, and must stay open as long.
        """
        hears = -1 if keeper is None else keeper.fileno()
        check(lib.reef_bridge_bind(self._c, one, other, mark, open_, hears), "bridge")

    def mean(self, *, mark: int, open_: bool) -> None:
        """As `bind` for the same interfaces, while it runs."""
        lib.reef_bridge_mean(self._c, mark, open_)

    def rest(self) -> None:
        """Between none from now on. Not while it runs."""
        lib.reef_bridge_rest(self._c)

    def counters(self) -> BridgeCounters:
        c = ffi.new("reef_bridge_counters *")
        lib.reef_bridge_count(self._c, c)
        return BridgeCounters(*(getattr(c, field) for field in BridgeCounters._fields))


class Inline:
    """Judges with `worker`, of which nobody else may use anything but `drain` from then on."""

    def __init__(self, worker: Worker) -> None:
        out = ffi.new("reef_inline **")
        check(lib.reef_inline_new(worker._c, out), "inline worker")
        self._c = ffi.gc(out[0], lib.reef_inline_free)
        self._worker = worker
        self._kept: list[object] = []

    def run(self, peer: socket.socket) -> None:
        """Over the lane that comes from `peer`, until that goes or `stop`, without the GIL. Raises `EngineError`."""
        status = lib.reef_inline_run(self._c, peer.fileno())
        if status != lib.REEF_END:
            check(status, "lane")

    def run_bridge(self, bridge: Bridge) -> None:
        """Between the lines of a bridge, likewise, until one of them is gone or down (`EngineError`), its keeper gave
        it up or went, or `stop`."""
        status = lib.reef_inline_bridge(self._c, bridge._c)
        if status != lib.REEF_END:
            check(status, "bridge")

    def stop(self) -> None:
        lib.reef_inline_stop(self._c)

    def change_rules(self, rules: Rules, reactions: Reactions | None = None) -> None:
        """Other rules, and what the policy has them do, from the next packet on; the state of flows stays.

        Raises `EngineError`.
        """
        check(lib.reef_inline_rules(self._c, rules._c, ffi.NULL if reactions is None else reactions.c), "rules")
        self._worker._rules, self._worker._reactions = rules, reactions

    def change_set(self, change: SetChange) -> bool:
        """As `Worker.change_set`, between two packets. Raises `EngineError`."""
        return change.took(lib.reef_inline_set_change(self._c, *change.c))

    def keep(self, store: FileStore | None, evidence: Evidence | None, *, every: bool) -> None:
        """As `Worker.keep`. Raises `EngineError`."""
        files = ffi.NULL if store is None else store._c
        packets = ffi.NULL if evidence is None else evidence._c
        check(lib.reef_inline_keep(self._c, files, every, packets), "what is kept")
        self._kept.append((store, evidence))  # files that come lie in it until they end

    def pressure(self) -> tuple[int, int]:
        """How much more there is to look into than time, 0 to 5: now, and the most since this was asked last."""
        found = ffi.new("unsigned[2]")
        lib.reef_inline_pressure(self._c, found, found + 1)
        return int(found[0]), int(found[1])

    def counters(self) -> Counters:
        c = ffi.new("reef_counters *")
        lib.reef_inline_count(self._c, c)
        return counters_of(c)

    def rule_costs(self) -> list[RuleCost]:
        """As `Worker.rule_costs`, read between two packets."""
        return costs_of(lambda start, out: int(lib.reef_inline_rule_costs(self._c, start, out, COSTS)))


__all__ = ["EngineError", "Inline"]
