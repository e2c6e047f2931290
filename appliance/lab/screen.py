"""What a lab in the foreground prints: decisions as they fall, what was found and stopped with its reasons, sums."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections import Counter

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError
from appliance.lab.traffic import Attempt
from appliance.lab.watch import Told, Watch

COLOURS = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
_STYLES = {"allow": "green", "found": "bold", "banned": "bold", "stopped": "bold", "alert": "yellow"}
_ALIKE = 3  # lines of one source and rule that are shown within `_WHILE`; more are counted
_WHILE = 2.0  # seconds
_GATE_EVERY = 1.0
_INDENT = " " * 14
_WIDEST = 140


class Paper:
    """Where the demo writes: coloured on a terminal, plain otherwise (and with NO_COLOR, https://no-color.org)."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, words: str = "", colour: str = "") -> None:
        if colour and self._coloured:
            words = f"\x1b[{COLOURS[colour]}m{words}\x1b[0m"
        print(words, flush=True)

    def explain(self, words: str) -> None:
        """Indented beneath the line that it explains."""
        width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
        for part in textwrap.wrap(words, max(width, 60), initial_indent=_INDENT, subsequent_indent=_INDENT):
            self.line(part, "dim")


class _Alike:
    """Lines of one source and rule: since when, and how many were not shown."""

    def __init__(self, now: float) -> None:
        self.since = now
        self.shown = 0
        self.counted = 0


class Screen:
    """One gateway's lines. `before` stands in front of each where there are several gateways."""

    def __init__(self, watch: Watch, paper: Paper, summary: Summary, before: str = "") -> None:
        self._watch = watch
        self._paper = paper
        self._summary = summary
        self._before = before
        self._alike: dict[tuple[str, str, str], _Alike] = {}
        self._dropped: dict[str, int] = {}
        self._asked = 0.0
        self._reached = (0, 0)

    def show(self) -> None:
        """What is new."""
        now = time.monotonic()
        for told in self._watch.read():
            self._summary.tell(told)
            if told.kind not in ("allow", "deny", "reject") or self._shows(told, now):
                self._paper.line(self._before + told.words, _STYLES.get(told.kind, "red"))
                for words in told.more:
                    self._paper.explain(words)
        for key, alike in list(self._alike.items()):
            if now - alike.since >= _WHILE:
                del self._alike[key]
                if alike.counted:
                    verdict, rule, source = key
                    words = f"{alike.counted:,} more like it: {verdict} {rule}, from {source or 'various'}"
                    self._paper.line(f"{self._before}{_INDENT}… {words}", "dim")
        if now - self._asked >= _GATE_EVERY:
            self._asked = now
            self._gate()

    def _shows(self, told: Told, now: float) -> bool:
        alike = self._alike.setdefault((told.kind, told.rule, told.source), _Alike(now))
        alike.shown += 1
        alike.counted += alike.shown > _ALIKE
        return alike.shown <= _ALIKE

    def _gate(self) -> None:
        """What never became a packet of the gateway, and how everybody else fared meanwhile."""
        try:
            dropped = self._watch.dropped()
        except (DaemonAway, ProtocolError, RefusedError):
            return  # it restarts; the counters go on
        more = {reason: count - self._dropped.get(reason, 0) for reason, count in dropped.items()}
        said = ", ".join(f"{count:,} {reason}" for reason, count in sorted(more.items()) if count > 0)
        reached, tried = self._summary.allowed()
        if said:
            words = f"{time.strftime('%H:%M:%S')}      GATE     dropped at the line: {said}"
            self._paper.line(self._before + words, "bold")
            meanwhile = tried - self._reached[1]
            if meanwhile:
                self._paper.explain(
                    f"meanwhile {reached - self._reached[0]} of {meanwhile} allowed attempts came through"
                )
        self._dropped = dropped
        self._summary.dropped = dropped
        self._reached = (reached, tried)


class Summary:
    """What was seen: attempts of the hosts, what the gateway decided, found and dropped."""

    def __init__(self) -> None:
        self.attempts: Counter[tuple[bool, bool]] = Counter()
        self.decided: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.dropped: dict[str, int] = {}

    def count(self, attempt: Attempt) -> None:
        self.attempts[attempt.meant, attempt.reached] += 1

    def tell(self, told: Told) -> None:
        if told.kind in ("allow", "deny", "reject"):
            self.decided[told.kind] += 1
        else:
            names = {"found": told.rule, "stopped": "stopped by a signature", "banned": "banned", "alert": "alerted"}
            self.found[names[told.kind]] += 1

    def allowed(self) -> tuple[int, int]:
        """Of what is allowed: how often it was reached, and tried."""
        reached = self.attempts[True, True]
        return reached, reached + self.attempts[True, False]

    def write(self, paper: Paper) -> None:
        paper.line(
            f"Of what the lab's first policy allows, the hosts reached {self.attempts[True, True]} "
            f"and missed {self.attempts[True, False]}; of what it forbids, they reached "
            f"{self.attempts[False, True]} and missed {self.attempts[False, False]}."
        )
        paper.line(f"Decisions in the log of the gateways: {_counts(self.decided)}.")
        paper.line(f"Found and stopped: {_counts(self.found)}; dropped at the line: {_counts(self.dropped)}.")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in sorted(counted.items()) if count) or "none"
