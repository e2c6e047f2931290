"""The messages behind the comparison of what the kernel runs with what the policy means."""

from __future__ import annotations

from typing import Literal

import msgspec

# How long applyd lets one wait for something new.
LONGEST_WAIT = 25.0

Why = Literal["asked", "loaded", "drift"]


class ReadBack(msgspec.Struct, frozen=True, tag=True):
    """What the kernel holds: now, or (`after` >= 0) when something newer is there, at the latest after `wait` s."""

    after: int = -1
    wait: float = LONGEST_WAIT


class ReadBackOf(msgspec.Struct, frozen=True, tag=True):
    """A `Snapshot`, packed; empty where nothing was read. `serial` counts loads and drifts. `why` drift: the snapshot
    is of what somebody made of the table, before it was repaired."""

    serial: int
    generation: int
    why: Why
    packed: bytes = b""


class Runs(msgspec.Struct, frozen=True):
    """Whether what the kernel runs is what the policy means, as it was compared last.

    `equal` only where everything was understood, compared and alike. `differences` are lines with a packet each,
    `more` the number of those that are not told; `unknown` was met and not understood; `unread` cannot be read back;
    under `assumed` the rest holds. `drifted` is what the last drift decided otherwise, at `drifted_at`.
    """

    generation: int
    at: float
    equal: bool
    differences: tuple[str, ...] = ()
    more: int = 0
    unknown: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    places: int = 0
    cases: int = 0
    seconds: float = 0.0
    drifted: tuple[str, ...] = ()
    drifted_at: float = 0.0
