"""Transparent mode: bumps in the wire, each between two interfaces, for sites that cannot give the gateway addresses.

The sockets are opened while inspectd has the privilege; which interfaces they are for, the policy says later. The
kernel has nothing to do with frames that are carried here. What it does with them while nobody carries them is
settled with verdictd (`carried.py`), which hears from each bridge every few milliseconds: when it hears nothing any
more, the kernel does what the policy says of traffic that is not inspected.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.policy.compiling.bundle import BridgeInfo
from ctypes_ext import engine
from ctypes_ext.inline import Bridge, BridgeCounters, Inline
from ctypes_ext.sets import SetChange
from dataplane.carried import ANSWER
from dataplane.inline import OPTIONS as INLINE
from dataplane.rulewatch import RuleChange

BRIDGES = 4  # that one gateway can have (`appliance.policy.limits.MAX_BRIDGES`)
_AGAIN = 0.2  # seconds until a line that was gone or down, or verdictd, is tried again
_PATIENCE = 1.0

# The kernel's table knows nothing of these connections: they are told from here, and so is what detections look at.
OPTIONS = msgspec.structs.replace(INLINE, report_flows=True, feeds=True)


class Pair(NamedTuple):
    """A bridge by the names of its interfaces; the number of what stands for its rule; whether what cannot be read
    passes."""

    name: str
    one: str
    other: str
    rule: int = 0
    open: bool = False

    @property
    def lines(self) -> tuple[str, str, str]:
        return self.name, self.one, self.other


class Bump(threading.Thread):
    """A pair of sockets, its worker, and the thread it runs in. `links` says which interface has which number now.

    Without `verdictd` (its socket for bridges) nobody is asked, and the kernel's part is somebody else's.
    """

    def __init__(
        self,
        number: int,
        bridge: Bridge,
        options: engine.Options,
        rules: RuleChange | None,
        links: Callable[[], Mapping[int, str]],
        verdictd: Path | None,
    ) -> None:
        super().__init__(name=f"bridge-{number}", daemon=True)
        self._bridge = bridge
        self._links = links
        self._verdictd = verdictd
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._pair: Pair | None = None
        self._keeper: socket.socket | None = None
        self._ended = False
        self.worker = engine.Worker(options)
        self.inline = Inline(self.worker)
        if rules is not None:
            self.inline.change_rules(rules.rules, rules.reactions)
        self.error = ""

    @property
    def pair(self) -> Pair | None:
        return self._pair

    def counted(self) -> BridgeCounters:
        return self._bridge.counters()

    def carry(self, pair: Pair | None) -> None:
        """From now on this pair's frames; None: nobody's."""
        with self._lock:
            before, self._pair = self._pair, pair
            if pair is not None and before is not None and pair.lines == before.lines:
                self._bridge.mean(mark=pair.rule, open_=pair.open)
                return
            self._let_go()
        self._changed.set()

    def stop(self) -> None:
        """Nothing passes from now on."""
        with self._lock:
            self._ended = True
            self._let_go()
        self.inline.stop()
        self._changed.set()

    def _let_go(self) -> None:
        """The loop ends as its keeper goes."""
        if self._keeper is not None:
            self._keeper.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        while not self._ended:
            self._changed.clear()
            pair = self._pair
            numbers = {name: number for number, name in self._links().items()}
            if pair is not None and {pair.one, pair.other} <= numbers.keys():
                try:
                    self._carry(pair, numbers[pair.one], numbers[pair.other])
                    self.error = ""
                except (OSError, engine.EngineError) as error:
                    self.error = str(error)
                self._bridge.rest()
            self._changed.wait(_AGAIN if pair is not None else None)

    def _carry(self, pair: Pair, one: int, other: int) -> None:
        if self._verdictd is None:
            self._bridge.bind(one, other, mark=pair.rule, open_=pair.open)
            self.inline.run_bridge(self._bridge)
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as keeper:
            keeper.settimeout(_PATIENCE)
            keeper.connect(str(self._verdictd))
            keeper.sendall(pair.name.encode())
            # From here on the kernel does not carry them: before that they would come twice.
            if keeper.recv(1) != ANSWER:
                raise OSError(f"verdictd does not leave the bridge {pair.name} to inspection")
            keeper.settimeout(None)
            with self._lock:
                if self._pair is None or pair.lines != self._pair.lines or self._ended:
                    return
                pair = self._pair
                self._bridge.bind(one, other, mark=pair.rule, open_=pair.open, keeper=keeper)
                self._keeper = keeper
            try:
                self.inline.run_bridge(self._bridge)
            finally:
                with self._lock:
                    self._keeper = None


class Bumps:
    """All bridges. Nothing is carried before `begin`."""

    def __init__(
        self,
        bridges: Sequence[Bridge],
        links: Callable[[], Mapping[int, str]],
        verdictd: Path | None,
        options: engine.Options = OPTIONS,
        sets: Callable[[], Iterable[SetChange]] = tuple,
    ) -> None:
        """`sets` says what the sets of the rules hold, for a worker that begins."""
        self._sets = sets
        self._bridges = bridges
        self._links = links
        self._verdictd = verdictd
        self._options = options
        self._bumps: list[Bump] = []  # as many as were ever carried at a time; they stay
        self._wanted: tuple[Pair, ...] = ()
        self._rules: RuleChange | None = None
        self._begun = False
        self._said: dict[str, str] = {}

    def begin(self, rules: RuleChange | None) -> None:
        """The rules are known, or it is known that there are none."""
        if not self._begun:
            self._begun, self._rules = True, rules
            self._settle()

    def follow(self, bridges: Sequence[BridgeInfo]) -> None:
        """What the running generation says."""
        wanted = tuple(Pair(one.name, *one.between, one.number, one.open) for one in bridges)
        if wanted != self._wanted:
            self._wanted = wanted
            self._settle()

    def _settle(self) -> None:
        """Who carries a pair that is still wanted goes on with it."""
        if not self._begun:
            return
        new = list(self._wanted)
        idle = []
        for bump in self._bumps:
            lines = None if bump.pair is None else bump.pair.lines
            same = next((pair for pair in new if pair.lines == lines), None)
            bump.carry(same)
            if same is None:
                idle.append(bump)
            else:
                new.remove(same)
        for pair in new:
            (idle.pop() if idle else self._another()).carry(pair)

    def _another(self) -> Bump:
        number = len(self._bumps)
        bump = Bump(number, self._bridges[number], self._options, self._rules, self._links, self._verdictd)
        if self._rules is not None:
            for change in self._sets():
                bump.inline.change_set(change)
        self._bumps.append(bump)
        bump.start()
        return bump

    def change_rules(self, change: RuleChange) -> None:
        """Between two frames of each. Raises `EngineError`."""
        self._rules = change
        for bump in self._bumps:
            bump.inline.change_rules(change.rules, change.reactions)

    def change_set(self, change: SetChange) -> None:
        """Likewise."""
        for bump in self._bumps:
            bump.inline.change_set(change)

    def workers(self) -> Iterator[engine.Worker]:
        """To drain their events."""
        return (bump.worker for bump in self._bumps)

    def keepers(self) -> Iterator[Inline]:
        """To hand them what they should keep of traffic."""
        return (bump.inline for bump in self._bumps)

    def counters(self) -> list[engine.Counters]:
        return [bump.inline.counters() for bump in self._bumps]

    def rule_costs(self) -> list[list[engine.RuleCost]]:
        """What rules cost on each."""
        return [bump.inline.rule_costs() for bump in self._bumps]

    def words(self) -> list[str]:
        """What a person should read of bridges that are not carried, once each time that it is something else."""
        said = []
        now = {bump.pair.name: bump.error for bump in self._bumps if bump.pair is not None and bump.error}
        for name, error in now.items():
            if self._said.get(name) != error:
                said.append(f"bridge {name}: {error}; tried again")
        self._said = now
        return said

    def stop(self) -> None:
        """Nothing is carried any more; afterwards the workers are free to be ended."""
        for bump in self._bumps:
            bump.stop()
        for bump in self._bumps:
            bump.join()
