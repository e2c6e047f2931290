"""The messages that bring addresses and networks of indicators into force: alertd keeps them, applyd holds them."""

from __future__ import annotations

import msgspec


class Held(msgspec.Struct, frozen=True, array_like=True):
    """An address or a CIDR, and in how many seconds it ends by itself; 0 for no end."""

    address: str
    seconds: float = 0.0


class Enforce(msgspec.Struct, frozen=True, tag=True):
    """From now on packets from and to `block` are dropped, those of `tell` logged; `release` is neither any more.

    Where `whole` is set nothing else of earlier messages is left. What the gateway cannot do without, and what its
    operators allow, is refused one by one.
    """

    block: tuple[Held, ...] = ()
    tell: tuple[Held, ...] = ()
    release: tuple[str, ...] = ()
    whole: bool = False


class Enforced(msgspec.Struct, frozen=True, tag=True):
    """How many addresses and networks are in force now; `refused` are those that are not, and why."""

    block: int
    tell: int
    refused: tuple[tuple[str, str], ...] = ()
