"""What a judgement rests on: a question that a person can ask again, the answer, when, and a digest of the answer.

A `Reading` is something that was looked at, or the reason why it could not be. A check that needs a reading which is
not there raises `CannotTell`: nothing passes for want of a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

# "unknown" is written "cannot be evaluated" wherever a person reads it.
Outcome = Literal["pass", "fail", "unknown"]
OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "unknown")
WORDS: dict[Outcome, str] = {"pass": "pass", "fail": "fail", "unknown": "cannot be evaluated"}

MAX_FINDINGS = 50  # of one check; how many more there are is said


class Evidence(msgspec.Struct, frozen=True):
    """`value` answers `query`, as canonical JSON; `time` is when (seconds since the epoch), `digest` its SHA-256."""

    query: str
    value: str
    time: float
    digest: str

    @property
    def genuine(self) -> bool:
        """Whether the digest is that of the value."""
        return self.digest == digest_of(self.value)


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values have equal digests."""
    return msgspec.json.encode(value, order="deterministic").decode()


def digest_of(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def evidence(query: str, value: object, time: float) -> Evidence:
    said = canonical(value)
    return Evidence(query, said, time, digest_of(said))


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """What was read with `query` at `time`; where `missing` says why it could not be, `value` is None."""

    query: str
    time: float
    value: T | None = None
    missing: str = ""

    def known(self) -> T:
        """The value. Raises `CannotTell`."""
        if self.value is None:
            raise CannotTell(self.missing or "it was not looked at", (evidence(self.query, None, self.time),))
        return self.value

    def shows(self, value: object) -> Evidence:
        """The part of what was read that a check rests on."""
        return evidence(self.query, value, self.time)


class CannotTell(Exception):
    """The check cannot be evaluated: `reason` in words that a person can act on."""

    def __init__(self, reason: str, evidence: tuple[Evidence, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence


class NothingToJudge(CannotTell):
    """It was looked for, and this site has nothing of the kind: no guests, nothing published, nothing sensitive."""


class Result(msgspec.Struct, frozen=True):
    """What one check found. `findings` are the things that are wrong, one line each."""

    outcome: Outcome
    words: str
    evidence: tuple[Evidence, ...]
    findings: tuple[str, ...] = ()


def judged(wrong: Sequence[str], good: str, bad: str, *shown: Evidence) -> Result:
    """Pass with the words `good` when nothing is wrong, else fail with `bad` and the findings."""
    if not shown:
        raise ValueError("a judgement without evidence")
    if not wrong:
        return Result("pass", good, shown)
    listed = tuple(wrong[:MAX_FINDINGS])
    if len(wrong) > MAX_FINDINGS:
        listed += (f"and {len(wrong) - MAX_FINDINGS:,} more",)
    return Result("fail", bad, shown, listed)
