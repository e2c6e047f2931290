"""What two policies decide differently, as plans and applies say it."""

from __future__ import annotations

import msgspec


class TrafficChange(msgspec.Struct, frozen=True):
    """Traffic that another text decides otherwise: in words, with one packet as example, and by which rules."""

    words: str
    example: str
    old_action: str
    new_action: str
    old_rule: str
    new_rule: str


class TrafficDifference(msgspec.Struct, frozen=True):
    """What two policies decide differently, exactly. `opened` is newly allowed, `closed` no longer allowed, `other`
    denied by both but otherwise. `unlisted` lines are left out. Where `undecided` says something, it is not complete.
    """

    opened: tuple[TrafficChange, ...]
    closed: tuple[TrafficChange, ...]
    other: tuple[TrafficChange, ...] = ()
    unlisted: int = 0
    undecided: tuple[str, ...] = ()
