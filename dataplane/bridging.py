"""Transparent mode: bumps in the wire, each between two interfaces, for sites that cannot give the gateway addresses.

The sockets are opened while inspectd has the privilege; which interfaces they are for, the policy says later. While
no worker runs nothing passes: the kernel knows nothing of these frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ctypes_ext import engine
from ctypes_ext.inline import Bridge, Inline
from dataplane.rulewatch import RuleChange

BRIDGES = 4  # that one gateway can have
_AGAIN = 0.5  # seconds until a line that was gone or down is tried again


class Pair(NamedTuple):
    """Two interfaces by name; the number of the policy's rule; whether what cannot be read passes."""

    one: str
    other: str
    rule: int = 0
    open: bool = False


class Bump(threading.Thread):
    """One pair: a worker, and the thread it runs in. `links` says which interface has which number now."""

    def __init__(
        self,
        pair: Pair,
        bridge: Bridge,
        options: engine.Options,
        rules: RuleChange | None,
        links: Callable[[], Mapping[int, str]],
    ) -> None:
        super().__init__(name=f"bridge-{pair.one}", daemon=True)
        self.pair = pair
        self.bridge = bridge
        self._links = links
        self._ended = threading.Event()
        self.worker = engine.Worker(options)
        self.inline = Inline(self.worker)
        if rules is not None:
            self.inline.change_rules(rules.rules, rules.reactions)
        self.error = ""

    def run(self) -> None:
        while not self._ended.is_set():
            numbers = {name: number for number, name in self._links().items()}
            if {self.pair.one, self.pair.other} <= numbers.keys():
                try:
                    one, other = numbers[self.pair.one], numbers[self.pair.other]
                    self.bridge.bind(one, other, mark=self.pair.rule, open_=self.pair.open)
                    self.inline.run_bridge(self.bridge)
                except engine.EngineError as error:
                    self.error = str(error)
            self._ended.wait(_AGAIN)

    def stop(self) -> None:
        """Nothing passes from now on."""
        self._ended.set()
        self.inline.stop()
