"""The messages of the XDP gate: what is banned and allowed there, and what it has counted."""

from __future__ import annotations

from typing import Literal

import msgspec

LIST_NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"


class GateBanned(msgspec.Struct, frozen=True):
    """An address or CIDR, and until when (seconds since the epoch; 0 for no end)."""

    address: str
    until: float = 0.0


class GateBan(msgspec.Struct, frozen=True, tag=True):
    """Ban these at the gate too; with `whole` nothing but these."""

    entries: tuple[GateBanned, ...]
    whole: bool = False


class GateUnban(msgspec.Struct, frozen=True, tag=True):
    addresses: tuple[str, ...]


class GateAllow(msgspec.Struct, frozen=True, tag=True):
    """The allow-list, whole: addresses and CIDRs that no ban, bogon or flood limit keeps out. gated keeps it."""

    addresses: tuple[str, ...]


class GateIndicate(msgspec.Struct, frozen=True, tag=True):
    """Of alertd: what indicators block, beside single bans and lists; with `whole` nothing but these. A gate that was
    not told everything since it began refuses the rest with `anew`."""

    block: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    whole: bool = False


class GatePart(msgspec.Struct, frozen=True, tag=True):
    """Part `number` (from 0) of a list that is too long for one message. It bans nobody until its `GateList` comes;
    `ticket` is any word that no other list has."""

    ticket: str
    number: int
    packed4: bytes = b""
    packed6: bytes = b""


class GateList(msgspec.Struct, frozen=True, tag=True):
    """A list of prefixes under a name, whole, in the place of what stood there: all of it at one moment.

    Packed as `ctypes_ext.gate.PrefixList` does it: the address in network order, then a byte for the length. With a
    `ticket` the `parts` that came under it belong to the list.
    """

    name: str
    packed4: bytes = b""
    packed6: bytes = b""
    ticket: str = ""
    parts: int = 0


class GateFind(msgspec.Struct, frozen=True, tag=True):
    """Prefixes of lists, a page: those that hold the address or network `word`, then those inside of it; "" for all.
    `name` is a list, "" for every one; `after` how many were shown before."""

    word: str = ""
    name: str = ""
    after: int = 0
    limit: int = 100


class GateFoundEntry(msgspec.Struct, frozen=True, gc=False):
    address: str
    list: str


class GateFound(msgspec.Struct, frozen=True, tag=True):
    """`total` that were meant; the next page begins `after`, 0 at the end."""

    entries: tuple[GateFoundEntry, ...]
    total: int
    after: int = 0


class GateForget(msgspec.Struct, frozen=True, tag=True):
    """This list is no more."""

    name: str


class GateDone(msgspec.Struct, frozen=True, tag=True):
    """`words` says what was not done and why; "" when all was."""

    words: str = ""


class GateListed(msgspec.Struct, frozen=True, tag=True):
    name: str
    number: int
    entries: int
    duplicates: int
    seconds: float


class Gate(msgspec.Struct, frozen=True, tag=True):
    """Where does the gate stand, and what has it dropped?"""


class GateCount(msgspec.Struct, frozen=True):
    packets: int
    bytes: int


class GateLine(msgspec.Struct, frozen=True):
    """A line that the policy wants the gate at. `mode` "" where it is not; `words` says why."""

    interface: str
    zone: str
    mode: Literal["", "native", "generic", "nft"]  # nft: the ruleset's stand-in, because of `words`
    words: str = ""
    counts: dict[str, GateCount] = {}


class StandIn(msgspec.Struct, frozen=True, tag=True):
    """gated asks applyd to have nft do what it can of the gate's work at `lines`, where the gate cannot stand.

    Ranges: the first and the last address in network order, one after the other; ascending, disjoint, not adjacent.
    `allowed` is spared everything, `own` the lists. What else is done at a line is the policy's to say.
    """

    lines: tuple[str, ...]
    listed4: bytes = b""
    listed6: bytes = b""
    allowed4: bytes = b""
    allowed6: bytes = b""
    own4: bytes = b""
    own6: bytes = b""


class StoodIn(msgspec.Struct, frozen=True, tag=True):
    """It holds at these lines."""

    lines: tuple[str, ...]


class StandInCounts(msgspec.Struct, frozen=True, tag=True):
    """What did the stand-in drop, and is it there?"""


class StandInCounted(msgspec.Struct, frozen=True, tag=True):
    """By line and reason, since this applyd put it in; lines where nothing was dropped are there too."""

    lines: dict[str, dict[str, GateCount]]


class GateKept(msgspec.Struct, frozen=True):
    """A list: "bans" are the single ones. Counted since it has been there."""

    name: str
    number: int
    entries: int
    dropped: GateCount


class GateReport(msgspec.Struct, frozen=True, tag=True):
    """`words` says why there is no gate at all, "" when there is one. `memory` is what its tables take, in bytes."""

    words: str = ""
    lines: tuple[GateLine, ...] = ()
    lists: tuple[GateKept, ...] = ()
    allowed: int = 0
    memory: int = 0


GateRequest = (
    Gate
    | GateBan
    | GateUnban
    | GateAllow
    | GateList
    | GatePart
    | GateFind
    | GateIndicate
    | GateForget
    | StandIn
    | StandInCounts
)
GateReply = GateDone | GateFound | GateListed | GateReport | StandInCounted | StoodIn
