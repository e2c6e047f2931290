"""A proof as `reef check --json` prints it."""

from __future__ import annotations

import msgspec


class Shown(msgspec.Struct, frozen=True):
    """A finding of a proof as data: `kind` dead, no-effect, conflict, invariant or baseline.

    `name` is the invariant or the baseline, `others` the rules that have to do with it, `traffic` what it is about,
    `example` a packet that shows it.
    """

    kind: str
    rule: str
    others: tuple[str, ...]
    name: str
    traffic: str
    example: str


class Proven(msgspec.Struct, frozen=True):
    """Without `decided` the findings are not all; `undecided` says what is missing."""

    decided: bool
    undecided: tuple[str, ...]
    steps: int
    seconds: float
    findings: tuple[Shown, ...]
