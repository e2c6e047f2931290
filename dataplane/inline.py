"""Inline inspection: packets that wait for a verdict, judged by workers of their own, one for each lane of verdictd.

A lane's thread runs in C from the moment it has its lane: what Python does, it does beside it. Until the rules are
loaded for the first time no lane is asked for, and verdictd does what the policy says of unread traffic.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ctypes_ext import engine
from ctypes_ext.inline import Inline
from ctypes_ext.sets import SetChange
from dataplane.queues import lanes
from dataplane.rulewatch import RuleChange

_AGAIN = 0.2  # seconds until verdictd is asked again
_PATIENCE = 1.0

# Connections are reported by the kernel's own table. What was open before this process began is followed too, so that
# nothing passes unread; checksums are not there yet where cards compute them.
OPTIONS = engine.Options(
    report_flows=False,
    report_anomalies=True,
    checksums=False,
    midstream=True,
    act=True,
    whole=True,
    events=8192,
    text_bytes=4 << 20,
    rule_costs=True,
)


class Strained:
    """What a person should know of one lane that has more to look into than time."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._level = 0
        self._shed = 0

    def words(self, now: int, most: int, shed: int) -> list[str]:
        """`now` and `most` are levels of pressure, `shed` packets that were not looked at so far."""
        said = []
        worst = max(now, most)
        if worst > self._level:
            said.append(
                f"more to look into than time: what profiles name first under overload is left out ({worst} of 5)"
            )
        elif now == 0 and self._level > 0:
            said.append(f"time for everything again; packets that were left out: {shed - self._shed}")
            self._shed = shed
        self._level = now if now == 0 else max(worst, self._level)
        return [f"lane {self._number}: {words}" for words in said]


class Lane(threading.Thread):
    """One lane: a worker, and the thread that it runs in. It asks for a lane again whenever verdictd is back."""

    def __init__(
        self, number: int, verdictd: Path, options: engine.Options, rules: RuleChange | None, claims: engine.Claims
    ) -> None:
        super().__init__(name=f"inline-{number}", daemon=True)
        self._verdictd = verdictd
        self._ended = threading.Event()
        self.worker = engine.Worker(options, claims=claims)
        self.inline = Inline(self.worker)
        if rules is not None:
            self.inline.change_rules(rules.rules, rules.reactions)
        self.error = ""

    def run(self) -> None:
        while not self._ended.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as peer:
                try:
                    peer.settimeout(_PATIENCE)
                    peer.connect(str(self._verdictd))
                    peer.settimeout(None)
                    self.inline.run(peer)
                except (OSError, engine.EngineError) as error:
                    self.error = str(error)
            self._ended.wait(_AGAIN)

    def stop(self) -> None:
        self._ended.set()
        self.inline.stop()


class Lines:
    """All lanes. None before `begin`."""

    def __init__(self, verdictd: Path, options: engine.Options = OPTIONS) -> None:
        self._verdictd = verdictd
        self._options = options
        self._lanes: Sequence[Lane] = ()
        self._strained: Sequence[Strained] = ()
        self.claims = engine.Claims()  # for taps: what a lane judges is left to it

    @property
    def begun(self) -> bool:
        return bool(self._lanes)

    def begin(self, rules: RuleChange | None) -> None:
        """The rules are known, or it is known that there are none."""
        self._lanes = [
            Lane(number, self._verdictd, self._options, rules, self.claims) for number in range(len(lanes()))
        ]
        self._strained = [Strained(number) for number in range(len(self._lanes))]
        for lane in self._lanes:
            lane.start()

    def change_rules(self, change: RuleChange) -> None:
        """Between two packets of each lane. Raises `EngineError`."""
        for lane in self._lanes:
            lane.inline.change_rules(change.rules, change.reactions)

    def change_set(self, change: SetChange) -> None:
        """Between two packets of each lane."""
        for lane in self._lanes:
            lane.inline.change_set(change)

    def workers(self) -> Iterator[engine.Worker]:
        """To drain their events."""
        return (lane.worker for lane in self._lanes)

    def keepers(self) -> Iterator[Inline]:
        """To hand them what they should keep of traffic."""
        return (lane.inline for lane in self._lanes)

    def counters(self) -> list[engine.Counters]:
        return [lane.inline.counters() for lane in self._lanes]

    def rule_costs(self) -> list[list[engine.RuleCost]]:
        """Of each lane."""
        return [lane.inline.rule_costs() for lane in self._lanes]

    def words(self) -> list[str]:
        """What a person should read of lanes that cannot keep up."""
        return [
            words
            for lane, strained in zip(self._lanes, self._strained, strict=True)
            for words in strained.words(*lane.inline.pressure(), lane.inline.counters().shed)
        ]

    def stop(self) -> None:
        """Lanes go back to verdictd; afterwards the workers are free to be ended."""
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join()
