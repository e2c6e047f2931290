"""The messages about indicators: alertd keeps them, applyd holds their addresses, the command line asks alertd."""

from __future__ import annotations

from typing import Literal

import msgspec


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
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


# --- the command line to alertd -----------------------------------------------------------------------------


class Indicators(msgspec.Struct, frozen=True, tag=True):
    """Those that there are, newest first: of a source, in a mode, with a word in their name or values; "" for any.
    Where the word is an address, those that name it or a network around it come first. `after` is where the page
    before ended. With `holds`, an address: those alone that block it, by itself or with a network; nothing else is
    told then."""

    source: str = ""
    mode: str = ""
    word: str = ""
    limit: int = 100
    holds: str = ""
    after: int = 0


class IndicatorInfo(msgspec.Struct, frozen=True):
    """`values` are (kind, text, mode, where it is looked for); `why` it is not stronger, by value ("" for the whole).

    Moments are seconds since the epoch, `until` 0 for no end; `hits` counts what was seen of its values.
    """

    id: str
    source: str
    name: str
    tlp: str
    confidence: int | None
    values: tuple[tuple[str, str, str, str], ...]
    why: tuple[tuple[str, str], ...]
    seen: float
    until: float
    hits: int = 0
    last_hit: float = 0.0


class SourceInfo(msgspec.Struct, frozen=True):
    """`fetched` seconds since the epoch, 0 for never or posted; `error` why the last fetch failed."""

    name: str
    address: str
    indicators: int
    fetched: float = 0.0
    error: str = ""


class IndicatorList(msgspec.Struct, frozen=True, tag=True):
    """`total` that were meant, if not `exact` at least so many, of which `indicators` are shown; the next page begins
    `after`, 0 at the end; `in_force` values by mode; `words`: what is wrong."""

    indicators: tuple[IndicatorInfo, ...]
    total: int
    in_force: dict[str, int]
    sources: tuple[SourceInfo, ...] = ()
    overrides: tuple[tuple[str, str, str, str, float], ...] = ()  # value, first, second, why, until
    words: tuple[str, ...] = ()
    after: int = 0
    exact: bool = True


class TakeIndicators(msgspec.Struct, frozen=True, tag=True):
    """A document of a source that an operator brings."""

    source: str
    format: Literal["stix", "misp", "csv"]
    document: bytes
    by: str = ""


class IndicatorsTaken(msgspec.Struct, frozen=True, tag=True):
    new: int
    changed: int
    known: int
    refused: tuple[tuple[str, str], ...] = ()


class OverrideIndicator(msgspec.Struct, frozen=True, tag=True):
    """Block a value that is never blocked; two persons must ask. `back`: take it back."""

    value: str
    why: str = ""
    seconds: int = 86_400
    back: bool = False


class Overridden(msgspec.Struct, frozen=True, tag=True):
    """`second` is "" while another person must still agree."""

    value: str
    first: str
    second: str
    until: float
