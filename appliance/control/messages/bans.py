"""The messages of bans, of people and by themselves, and of the allow-list."""

from __future__ import annotations

from typing import Literal

import msgspec


class Ban(msgspec.Struct, frozen=True, tag=True):
    """Drop everything from and to these addresses or CIDRs, for `seconds` (0: until it is taken back)."""

    addresses: tuple[str, ...]
    seconds: int = 0
    reason: str = ""
    by: str = ""  # policyd tells applyd who asked
    owner: str = ""


class Unban(msgspec.Struct, frozen=True, tag=True):
    addresses: tuple[str, ...]
    by: str = ""


class Bans(msgspec.Struct, frozen=True, tag=True):
    """A page of what is banned, newest first: what holds the address `word`, then what says it; "" for all. `after`
    is where the page before ended; one answer has at most 5,000."""

    word: str = ""
    after: int = 0
    limit: int = 5_000


class BanEntry(msgspec.Struct, frozen=True, gc=False):
    address: str
    by: str
    reason: str
    since: float
    until: float  # 0 for no end
    owner: str = ""


class BanList(msgspec.Struct, frozen=True, tag=True):
    """`total` that were meant, if not `exact` at least so many; the next page begins `after`, 0 at the end."""

    bans: tuple[BanEntry, ...]
    total: int = 0
    after: int = 0
    exact: bool = True


class TryBan(msgspec.Struct, frozen=True, tag=True):
    """What would come of a ban? Nothing is banned."""

    addresses: tuple[str, ...]


class BanTried(msgspec.Struct, frozen=True, tag=True):
    """`refused` has (address, code, why); `inside` those that lie in the site's own networks, and where; `banned`
    the bans that hold them already."""

    refused: tuple[tuple[str, str, str], ...] = ()
    inside: tuple[tuple[str, str], ...] = ()
    banned: tuple[BanEntry, ...] = ()


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
