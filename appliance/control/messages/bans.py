"""The messages of the allow-list, and of bans that nobody asked for."""

from __future__ import annotations

from typing import Literal

import msgspec


class Allow(msgspec.Struct, frozen=True, tag=True):
    """No ban holds for these addresses or CIDRs, for `seconds` (0: until it is taken back)."""

    addresses: tuple[str, ...]
    seconds: int = 0
    reason: str = ""
    owner: str = ""
    by: str = ""  # policyd tells applyd who asked


class Disallow(msgspec.Struct, frozen=True, tag=True):
    addresses: tuple[str, ...]
    by: str = ""


class AllowList(msgspec.Struct, frozen=True, tag=True):
    pass


class AllowEntry(msgspec.Struct, frozen=True):
    """`by` is "" for what nobody added at run time: what the policy says, and what the gateway cannot do without."""

    address: str
    by: str
    owner: str
    reason: str
    since: float = 0.0
    until: float = 0.0  # 0 for no end
    origin: Literal["person", "policy", "gateway"] = "person"


class Allowed(msgspec.Struct, frozen=True, tag=True):
    entries: tuple[AllowEntry, ...]


class BanFound(msgspec.Struct, frozen=True, tag=True):
    """Ban by the policy's automatic ban `rule`: `author` is "detection port-scan" or "signature 1:2019401", `words`
    what was found. How long is applyd's to say."""

    address: str
    rule: str
    author: str
    words: str = ""
