"""Is what is kept of a generation still what was signed? Asked of applyd, which has it and keyd's public key."""

from __future__ import annotations

from typing import Literal

import msgspec

MOST_SEALS = 20  # of one question: each is read whole


class Seals(msgspec.Struct, frozen=True, tag=True):
    """Check these generations again, at most `MOST_SEALS`."""

    generations: tuple[int, ...]


class SealState(msgspec.Struct, frozen=True):
    """`good`: the bundle is whole and its signature is by this gateway's key. `bad`: it is not what was signed.
    `unreadable`: the file is damaged or away. `gone`: it is not kept any more. `words` say more."""

    generation: int
    state: Literal["good", "bad", "unreadable", "gone"]
    digest: str = ""
    words: str = ""


class SealList(msgspec.Struct, frozen=True, tag=True):
    """`key` is the SHA-256 of the public key that was checked with, `at` when (seconds since the epoch)."""

    seals: tuple[SealState, ...]
    key: str
    at: float
