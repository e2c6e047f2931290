"""A compiled nftables table as a value: counters, sets, maps and chains by name.

The value is structural, so that two generations can be compared element by element and the change
between them is itself one small nftables transaction (`delta.py`). Strings are nftables syntax as
`nft -f` reads it; identifiers follow its lexical rules.
"""

from __future__ import annotations

import msgspec


class Chain(msgspec.Struct, frozen=True):
    """`base` is the hook line ("type filter hook forward priority filter; policy drop;") or "": a regular chain."""

    rules: tuple[str, ...]
    base: str = ""


class Set(msgspec.Struct, frozen=True):
    """A set or, with `data`, a map. `key` and `data` are `typeof`/`type` expressions.

    `elements` maps the key text to the value text ("" for a set). `live` sets are filled while the
    generation runs: the compiler gives their declaration, never their elements, and a change of
    generation leaves their elements alone.
    """

    key: str
    data: str = ""
    flags: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # further declaration statements, e.g. "size 65536;", "timeout 1h;"
    elements: dict[str, str] = {}
    live: bool = False


class Flowtable(msgspec.Struct, frozen=True):
    devices: tuple[str, ...]
    priority: str = "filter"


class Ruleset(msgspec.Struct, frozen=True):
    """One table of family inet. Dict order is the order of declaration."""

    table: str = "reef"
    counters: tuple[str, ...] = ()
    sets: dict[str, Set] = {}
    chains: dict[str, Chain] = {}
    flowtables: dict[str, Flowtable] = {}
