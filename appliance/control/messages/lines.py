"""The messages about lines: how the interfaces of the running generation are, and what passes them."""

from __future__ import annotations

from typing import Literal

import msgspec

MOST_LINES = 256  # of one answer
MOST_ADDRESSES = 16  # of one line
MOST_PAIRS = 4096  # of zones, in one answer

LineIs = Literal["up", "no carrier", "off", "missing"]


class Lines(msgspec.Struct, frozen=True, tag=True):
    """How every line is; with `name` also what passed that one in the last minutes."""

    name: str = ""


class Side(msgspec.Struct, frozen=True):
    """What passed a line in one direction since the interface is there, and how fast of late: bytes and packets a
    second, -1 before two looks were far enough apart."""

    bytes: int = 0
    packets: int = 0
    errors: int = 0
    dropped: int = 0
    byte_rate: float = -1.0
    packet_rate: float = -1.0


class LineState(msgspec.Struct, frozen=True):
    """One line, by its interface.

    `zone` or `bridge` is what it belongs to in the policy; neither: it carries traffic and nobody registered it.
    `state` is "up", "no carrier" (nobody at its other end), "off" (switched off here) or "missing". It is so since
    `since` (seconds since the epoch); 0: for as long as anybody looked.
    """

    name: str
    state: LineIs
    since: float = 0.0
    zone: str = ""
    bridge: str = ""
    addresses: tuple[str, ...] = ()
    received: Side = Side()
    sent: Side = Side()


class Past(msgspec.Struct, frozen=True):
    """Bytes a second that a line received and sent, each up to the moment in `times` (seconds since the epoch)."""

    times: tuple[float, ...] = ()
    received: tuple[float, ...] = ()
    sent: tuple[float, ...] = ()


class LineList(msgspec.Struct, frozen=True, tag=True):
    """The lines as they were at `at`; they are watched since `watched`. `total` is more where not all are listed."""

    generation: int
    at: float
    watched: float
    total: int
    lines: tuple[LineState, ...]
    past: Past | None = None


class Crossings(msgspec.Struct, frozen=True, tag=True):
    """Which zones may reach which, by the rules that run."""


class Crossing(msgspec.Struct, frozen=True):
    """`rules` rules in force allow something from one zone to the other; "gateway" is the gateway itself."""

    source: str
    destination: str
    rules: int


class CrossingList(msgspec.Struct, frozen=True, tag=True):
    """Pairs of zones between which something is allowed; `total` is more where not all are listed."""

    generation: int
    pairs: tuple[Crossing, ...]
    total: int
