"""What a text must pass before it is sealed: required baselines, invariants, the demands of baselines (R9).

Pure but for the clock. What was proven once is kept: of the next text only what changed is looked at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import msgspec

from appliance.control.deciding.candidate import Candidate, findings, renamed
from appliance.control.messages.text import Finding
from appliance.control.messages.traffic import TrafficChange, TrafficDifference
from appliance.policy.meant.required import complaints, missing, under
from appliance.policy.model import Policy, Span
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.lexicon import Lexicon
from appliance.policy.proving.proof import Change, Difference
from appliance.policy.proving.prove import BUDGET
from appliance.policy.proving.traffic import alike, lines_of
from appliance.policy.proving.verdict import problems

LISTED = 1000  # lines of each kind of difference: more than a person reads, fewer than a frame holds
_SAME = 60.0  # seconds: a plan and the apply after it are judged once


class Judged(msgspec.Struct, frozen=True):
    """A text that passed: its warnings, those of the parser first. `seconds` is how long the judgement took."""

    findings: tuple[Finding, ...]
    seconds: float


class Gate:
    """Judges texts, and says what one opens and closes against another."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._examiner = Examiner(budget)
        self._lexicon: Lexicon | None = None
        self._last: tuple[Policy, tuple[str, ...], Judged] | None = None
        self._last_at = 0.0
        self._one = asyncio.Lock()

    async def judged(self, candidate: Candidate, required: tuple[str, ...]) -> Judged:
        """`judge` beside the loop: a text that takes seconds keeps nobody from confirming another. One at a time."""
        async with self._one:
            return await asyncio.to_thread(self.judge, candidate, required)

    async def differing(self, old: Policy | None, new: Policy) -> TrafficDifference | None:
        """`difference` beside the loop."""
        async with self._one:
            return await asyncio.to_thread(self.difference, old, new)

    def judge(self, candidate: Candidate, required: tuple[str, ...]) -> Judged:
        """Raises `PolicyError` with everything that keeps the text from running."""
        begun = time.perf_counter()
        if self._last is not None and begun - self._last_at < _SAME:
            policy, known, judged = self._last
            if policy is candidate.policy and known == required:
                return msgspec.structs.replace(
                    judged, findings=_together(candidate, judged), seconds=time.perf_counter() - begun
                )
        left_out = missing(candidate.policy, required)
        if left_out:
            raise PolicyError(self._left_out(candidate, left_out))
        found = self._examiner.examine(candidate.policy, int(time.time()))
        said = problems(candidate.policy, found.proof, candidate.file, self._words(candidate.policy))
        said = renamed(said, candidate.file)
        if found.open:
            raise PolicyError((*said, *(_refused(words, candidate.file) for words in found.open)))
        if any(problem.severity == "error" for problem in said):
            raise PolicyError(said)
        judged = Judged(findings(said), time.perf_counter() - begun)
        self._last, self._last_at = (candidate.policy, required, judged), begun
        return msgspec.structs.replace(judged, findings=_together(candidate, judged))

    def _left_out(self, candidate: Candidate, left_out: tuple[str, ...]) -> list[Problem]:
        """That baselines are missing, and what the text does that they would not let it."""
        found = complaints(candidate.text, candidate.file, left_out)
        policy, refused = under(candidate.text, candidate.file, left_out, candidate.inherited, candidate.files)
        if policy is None:
            return [*found, *refused]
        proof = self._examiner.against(candidate.policy, policy, int(time.time()))
        said = problems(candidate.policy, proof, candidate.file, self._words(candidate.policy))
        return [*found, *renamed(said, candidate.file)]

    def difference(self, old: Policy | None, new: Policy) -> TrafficDifference | None:
        """The traffic that `new` decides otherwise than `old`; None when there is no old."""
        if old is None:
            return None
        return traffic_of(self._examiner.difference(old, new, int(time.time())), self._words(new))

    def _words(self, policy: Policy) -> Lexicon:
        known = self._lexicon
        if known is None or not known.serves(policy):
            self._lexicon = known = Lexicon(policy)
        return known


def _refused(words: str, file: str) -> Problem:
    return Problem(
        Span(file, 0, 0),
        f"not decided: {words}; what is not shown to hold is not applied",
        "name zones instead of `any`, or say it in several invariants",
    )


def _together(candidate: Candidate, judged: Judged) -> tuple[Finding, ...]:
    return (*candidate.findings, *judged.findings)


def traffic_of(found: Difference, lexicon: Lexicon) -> TrafficDifference:
    """A difference in words: of each kind the first lines, and how many changes more there are."""
    opened, first = _said(found.opened, lexicon)
    closed, second = _said(found.closed, lexicon)
    other, third = _said(found.other, lexicon)
    return TrafficDifference(opened, closed, other, first + second + third, found.undecided)


def _said(changes: Iterable[Change], lexicon: Lexicon) -> tuple[tuple[TrafficChange, ...], int]:
    said: list[TrafficChange] = []
    unlisted = 0
    for group in alike(changes):
        if len(said) >= LISTED:
            unlisted += 1
            continue
        for line in lines_of(group, lexicon):
            rules = line.old_action, line.new_action, line.old_rule, line.new_rule
            said.append(TrafficChange(line.words, line.example, *rules))
    return tuple(said[:LISTED]), unlisted + max(0, len(said) - LISTED)
